"""The store in memory: the twin of `store.py` for tests and for a platform without a database."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from attrs import evolve
from zope.interface import implementer

from spire.database.ordered_writer import MemoryWriters
from spire.marketdata.blocks import Block, pack, unpack_block
from spire.marketdata.feed_session import FeedSession
from spire.marketdata.frames import FrameKind
from spire.marketdata.history import select
from spire.marketdata.interfaces import BlockRange, IMarketDataStore, Stored, StoredRecords
from spire.marketdata.sequencing import runs
from spire.marketdata.values import Records, RecordType, joined

PAGE_BLOCKS = 4
"""Blocks of a page."""


@implementer(IMarketDataStore)
class MemoryMarketDataStore:
    """Blocks, feed sessions, sequences and last records in dictionaries; `writers` holds the writer's row."""

    def __init__(self) -> None:
        self.writers = MemoryWriters()
        self._sessions: dict[int, FeedSession] = {}
        self._blocks: dict[tuple[int, RecordType], list[Block]] = {}
        self._sequences: dict[tuple[RecordType, int], int] = {}
        self._last: dict[tuple[RecordType, int, str], Records] = {}

    async def feed_sessions(self) -> list[FeedSession]:
        """Return every feed session."""
        return [self._sessions[number] for number in sorted(self._sessions)]

    async def sequences(self) -> list[tuple[RecordType, int, int]]:
        """Return (type, instrument, last stored sequence) of every index."""
        return [(kind, instrument, last) for (kind, instrument), last in self._sequences.items()]

    async def last_records(self) -> dict[RecordType, Records]:
        """Return each instrument's newest trade and BBO."""
        newest: dict[tuple[RecordType, int], Records] = {}
        for (kind, instrument, _), record in self._last.items():
            known = newest.get((kind, instrument))
            if known is None or known["sequence"][0] < record["sequence"][0]:
                newest[kind, instrument] = record
        return {
            kind: joined(kind, [record for (own, _), record in newest.items() if own is kind])
            for kind in (RecordType.TRADE, RecordType.BBO)
        }

    async def last_record(self, record_type: RecordType, instrument: int, trade_date: date) -> Records:
        """Return the last record of an instrument on a trade date, or none."""
        found = self._last.get((record_type, instrument, trade_date.isoformat()))
        return joined(record_type, [] if found is None else [found])

    async def read(self, wanted: BlockRange, *, backwards: bool) -> StoredRecords:
        """Return the next page of a range, from its start or from its end; in sequence order either way."""
        blocks = [
            block
            for block in self._blocks.get((wanted.instrument, wanted.record_type), [])
            if block.last_sequence > wanted.after
            and block.first_sequence <= wanted.through
            and (wanted.start_time is None or block.greatest_time >= wanted.start_time)
            and (wanted.end_time is None or block.least_time <= wanted.end_time)
            and (wanted.feed_session is None or block.feed_session == wanted.feed_session)
            and block.feed_session not in (wanted.without if wanted.feed_session is None else ())
        ]
        page = blocks[-PAGE_BLOCKS:] if backwards else blocks[:PAGE_BLOCKS]
        records = joined(wanted.record_type, [select(unpack_block(block), wanted) for block in page])
        if len(page) < PAGE_BLOCKS:
            return StoredRecords(records=records, reached=None)
        return StoredRecords(records=records, reached=page[0].first_sequence if backwards else page[-1].last_sequence)

    async def session_records(
        self, record_type: RecordType, feed_session: int, place: tuple[int, int]
    ) -> list[Records]:
        """Return a page of a feed session's records beyond `place` (instrument, sequence); empty at the end."""
        beyond = [
            block
            for (instrument, kind), blocks in sorted(self._blocks.items())
            for block in blocks
            if kind is record_type and block.feed_session == feed_session and (instrument, block.first_sequence) > place
        ]
        return [unpack_block(block) for block in beyond[:PAGE_BLOCKS]]

    def write(self, transaction: object, items: Sequence[Stored]) -> None:  # noqa: ARG002 (memory has no transaction)
        """Store frames; the same frames again change nothing."""
        for item in items:
            frame = item.frame
            if frame.opened is not None:
                self._sessions.setdefault(frame.feed_session, frame.opened)
            session = self._sessions[frame.feed_session]
            if frame.kind is FrameKind.BATCH:
                session = evolve(session, position=max(session.position, frame.first + frame.count - 1))
            elif frame.kind is FrameKind.ENDED:
                session = evolve(session, ended=frame.time)
            self._sessions[frame.feed_session] = session
            for kind, records in frame.records.items():
                self._keep(kind, records, item.trade_date)
        for kind in RecordType:
            parts = [item.frame.records[kind] for item in items if kind in item.frame.records]
            for block in pack(kind, parts):
                own = self._blocks.setdefault((block.instrument, kind), [])
                own[:] = [known for known in own if known.first_sequence < block.first_sequence]
                own.append(block)

    def _keep(self, kind: RecordType, records: Records, trade_date: str) -> None:
        for run in runs(records):
            known = self._sequences.get((kind, run.instrument), 0)
            self._sequences[kind, run.instrument] = max(known, run.last)
            if kind is RecordType.BOOK:
                continue
            last = self._last.get((kind, run.instrument, trade_date))
            if last is None or last["sequence"][0] <= np.uint64(run.last):
                self._last[kind, run.instrument, trade_date] = run.records[-1:].copy()
