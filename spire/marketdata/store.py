"""The store in MySQL: feed sessions, packed blocks, sequences and last records (tables in `schema/`)."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from zope.interface import implementer

from spire.database.database import Database
from spire.database.transaction import Transaction
from spire.marketdata.blocks import BLOCK_RECORDS, Block, block_of, grouped, stretches, unpack_block
from spire.marketdata.feed_session import FeedSession
from spire.marketdata.frames import FrameKind
from spire.marketdata.history import select
from spire.marketdata.interfaces import BlockRange, IMarketDataStore, Stored, StoredRecords
from spire.marketdata.values import LAYOUT_VERSION, Records, RecordType, Schedule, ServedMarket, joined, unpack
from spire.values.environment import Environment, FeedKind
from spire.values.time import Timestamp
from spire.wire.arguments import decode, encode

PAGE_BLOCKS: Final = 8
MERGE_BELOW: Final = 512
"""A last block with fewer records grows by what follows it, so that a quiet instrument does not leave thousands of tiny blocks."""

_INSERT_SESSION: Final = """
    INSERT INTO marketdata_feed_sessions
        (feed_session_id, name, account_id, account, kind, trade_date, schedule, environment, serves, opened, position)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON DUPLICATE KEY UPDATE feed_session_id = VALUES(feed_session_id)
"""
_MOVE_SESSION: Final = (
    "UPDATE marketdata_feed_sessions SET position = GREATEST(position, %s) WHERE feed_session_id = %s"
)
_END_SESSION: Final = "UPDATE marketdata_feed_sessions SET ended = %s WHERE feed_session_id = %s"
_SESSIONS: Final = """
    SELECT feed_session_id, name, account_id, account, kind, trade_date, schedule, environment, serves, opened, ended, position
    FROM marketdata_feed_sessions
    WHERE feed_session_id > %s
    ORDER BY feed_session_id
    LIMIT 500
"""
_BLOCK_COLUMNS: Final = """
    instrument_id, record_type, feed_session_id, first_sequence, last_sequence, least_time, greatest_time,
    record_count, layout_version, payload
"""
_INSERT_BLOCK: Final = f"""
    INSERT INTO marketdata_blocks ({_BLOCK_COLUMNS})
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON DUPLICATE KEY UPDATE
        last_sequence = VALUES(last_sequence),
        least_time = VALUES(least_time),
        greatest_time = VALUES(greatest_time),
        record_count = VALUES(record_count),
        payload = VALUES(payload)
"""  # noqa: S608 (a constant)
_BLOCK_BEFORE: Final = f"""
    SELECT {_BLOCK_COLUMNS}
    FROM marketdata_blocks
    WHERE instrument_id = %s AND record_type = %s AND last_sequence = %s AND feed_session_id = %s AND record_count < %s
        AND layout_version = %s
"""  # noqa: S608 (a constant)
_INSERT_SEQUENCE: Final = """
    INSERT INTO marketdata_sequences (record_type, instrument_id, last_sequence)
    VALUES (%s, %s, %s)
    ON DUPLICATE KEY UPDATE last_sequence = GREATEST(last_sequence, VALUES(last_sequence))
"""
_SEQUENCES: Final = """
    SELECT record_type, instrument_id, last_sequence
    FROM marketdata_sequences
    WHERE (record_type, instrument_id) > (%s, %s)
    ORDER BY record_type, instrument_id
    LIMIT 1000
"""
_INSERT_LAST: Final = """
    INSERT INTO marketdata_last_records
        (record_type, instrument_id, trade_date, sequence, feed_session_id, layout_version, record)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
    ON DUPLICATE KEY UPDATE
        feed_session_id = VALUES(feed_session_id),
        layout_version = VALUES(layout_version),
        record = VALUES(record),
        sequence = VALUES(sequence)
"""
_NEWEST: Final = """
    SELECT l.record
    FROM marketdata_last_records AS l
    JOIN (
        SELECT instrument_id, MAX(sequence) AS newest
        FROM marketdata_last_records
        WHERE record_type = %s AND layout_version = %s AND instrument_id > %s
        GROUP BY instrument_id
        ORDER BY instrument_id
        LIMIT 1000
    ) AS n ON l.instrument_id = n.instrument_id AND l.sequence = n.newest
    WHERE l.record_type = %s
    ORDER BY l.instrument_id
"""
_LAST: Final = """
    SELECT record
    FROM marketdata_last_records
    WHERE record_type = %s AND instrument_id = %s AND trade_date = %s AND layout_version = %s
"""
_SESSION_BLOCKS: Final = f"""
    SELECT {_BLOCK_COLUMNS}
    FROM marketdata_blocks
    WHERE feed_session_id = %s AND record_type = %s AND (instrument_id, first_sequence) > (%s, %s)
    ORDER BY instrument_id, first_sequence
    LIMIT %s
"""  # noqa: S608 (a constant)


@implementer(IMarketDataStore)
class MySqlMarketDataStore:
    """Market data in MySQL; reading decompresses in the database's threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tails: dict[tuple[int, RecordType], Records | None] = {}

    async def feed_sessions(self) -> list[FeedSession]:
        """Return every feed session."""
        found: list[FeedSession] = []
        while True:
            after = found[-1].feed_session_id if found else 0
            page = await self._database.run("marketdata.feed_sessions", _read_sessions, after)
            if not page:
                return found
            found += page

    async def sequences(self) -> list[tuple[RecordType, int, int]]:
        """Return (type, instrument, last stored sequence) of every index."""
        found: list[tuple[RecordType, int, int]] = []
        place = (0, 0)
        while True:
            rows = await self._database.run("marketdata.sequences", _fetch, _SEQUENCES, place)
            if not rows:
                return found
            found += [(RecordType(kind), instrument, last) for kind, instrument, last in rows]
            place = (rows[-1][0], rows[-1][1])

    async def last_records(self) -> dict[RecordType, Records]:
        """Return each instrument's newest trade and BBO."""
        result = {}
        for kind in (RecordType.TRADE, RecordType.BBO):
            parts: list[Records] = []
            after = 0
            while True:
                rows = await self._database.run(
                    "marketdata.last_records", _fetch, _NEWEST, (int(kind), LAYOUT_VERSION, after, int(kind))
                )
                if not rows:
                    break
                page = joined(kind, [unpack(kind, row[0]) for row in rows])
                parts.append(page)
                after = int(page["instrument"][-1])
            result[kind] = joined(kind, parts)
        return result

    async def last_record(self, record_type: RecordType, instrument: int, trade_date: date) -> Records:
        """Return the last record of an instrument on a trade date, or none."""
        rows = await self._database.run(
            "marketdata.last_record", _fetch, _LAST, (int(record_type), instrument, trade_date, LAYOUT_VERSION)
        )
        return joined(record_type, [unpack(record_type, row[0]) for row in rows])

    async def read(self, wanted: BlockRange, *, backwards: bool) -> StoredRecords:
        """Return the next page of a range, from its start or from its end; in sequence order either way."""
        return await self._database.run("marketdata.read", _read_page, wanted, backwards)

    async def session_records(
        self, record_type: RecordType, feed_session: int, place: tuple[int, int]
    ) -> list[Records]:
        """Return a page of a feed session's records beyond `place` (instrument, sequence); empty at the end."""
        parameters = (feed_session, int(record_type), *place, PAGE_BLOCKS)
        return await self._database.run("marketdata.session_records", _read_blocks, _SESSION_BLOCKS, parameters)

    def write(self, transaction: object, items: Sequence[Stored]) -> None:
        """Store frames in the transaction of the ordered writer; may be run again after a lost commit."""
        assert isinstance(transaction, Transaction)
        _write_sessions(transaction, items)
        trade_dates = {item.frame.feed_session: item.trade_date for item in items}
        for kind in RecordType:
            parts = [item.frame.records[kind] for item in items if kind in item.frame.records]
            if not parts:
                continue
            records = grouped(kind, parts)
            found = list(stretches(records))
            self._write_blocks(transaction, kind, records, found)
            sequences: dict[int, int] = {}
            last: dict[tuple[int, str], Any] = {}
            for _, end in found:
                newest = records[end - 1]
                instrument = int(newest["instrument"])
                sequences[instrument] = int(newest["sequence"])
                last[instrument, trade_dates[int(newest["feed_session"])]] = newest
            transaction.executemany(_INSERT_SEQUENCE, [(int(kind), *row) for row in sorted(sequences.items())])
            if kind is not RecordType.BOOK:
                transaction.executemany(_INSERT_LAST, [_last_row(kind, key[1], last[key]) for key in sorted(last)])

    def _write_blocks(
        self, transaction: Transaction, kind: RecordType, records: Records, found: Sequence[tuple[int, int]]
    ) -> None:
        rows = [
            _block_row(self._block(transaction, kind, records[first : min(first + BLOCK_RECORDS, end)]))
            for begin, end in found
            for first in range(begin, end, BLOCK_RECORDS)
        ]
        if rows:
            transaction.executemany(_INSERT_BLOCK, rows)

    def _block(self, transaction: Transaction, kind: RecordType, records: Records) -> Block:
        """Return the block of a stretch, joined to the stored one before it while that one is small.

        What is remembered of small last blocks saves reading them; where it does not fit (a commit was lost, another
        process wrote), the stored one is read.
        """
        key = (int(records["instrument"][0]), kind)
        whole = records
        if len(records) < MERGE_BELOW:
            tail = self._tails[key] if key in self._tails else self._stored_tail(transaction, kind, records)
            if tail is not None and not _follows(tail, records):
                tail = self._stored_tail(transaction, kind, records)
            whole = records if tail is None else joined(kind, [tail, records])
        # A view would keep the whole portion alive.
        self._tails[key] = whole.copy() if len(whole) < MERGE_BELOW else None
        return block_of(kind, whole)

    def _stored_tail(self, transaction: Transaction, kind: RecordType, records: Records) -> Records | None:
        if records["sequence"][0] == 1:
            return None
        before = transaction.fetch(_BLOCK_BEFORE, _before(kind, records))
        return unpack_block(_block_of(before[0])) if before else None


def _follows(tail: Records, records: Records) -> bool:
    """Return whether records continue a small last block."""
    return bool(
        tail["sequence"][-1] + 1 == records["sequence"][0] and tail["feed_session"][0] == records["feed_session"][0]
    )


def _last_row(kind: RecordType, trade_date: str, record: Any) -> tuple[Any, ...]:
    return (
        int(kind),
        int(record["instrument"]),
        trade_date,
        int(record["sequence"]),
        int(record["feed_session"]),
        LAYOUT_VERSION,
        record.tobytes(),
    )


def _write_sessions(transaction: Transaction, items: Sequence[Stored]) -> None:
    positions: dict[int, int] = {}
    for item in items:
        frame = item.frame
        if frame.opened is not None:
            transaction.execute(_INSERT_SESSION, _session_row(frame.opened))
        if frame.kind is FrameKind.BATCH:
            positions[frame.feed_session] = frame.first + frame.count - 1
        if frame.kind is FrameKind.ENDED:
            transaction.execute(_END_SESSION, (frame.time, frame.feed_session))
    for feed_session, position in sorted(positions.items()):
        transaction.execute(_MOVE_SESSION, (position, feed_session))


def _session_row(session: FeedSession) -> tuple[Any, ...]:
    return (
        session.feed_session_id,
        session.name,
        session.account_id,
        session.account,
        int(session.kind),
        session.trade_date,
        int(session.schedule),
        int(session.environment),
        encode(session.serves),
        session.opened,
        session.position,
    )


def _read_sessions(transaction: Transaction, after: int) -> list[FeedSession]:
    return [_session_of(row) for row in transaction.fetch(_SESSIONS, (after,))]


def _session_of(row: tuple[Any, ...]) -> FeedSession:
    number, name, account_id, account, kind, trade_date, schedule, environment, serves, opened, ended, position = row
    return FeedSession(
        feed_session_id=number,
        name=name,
        account_id=account_id,
        account=account,
        kind=FeedKind(kind),
        trade_date=trade_date.isoformat(),
        schedule=Schedule(schedule),
        environment=Environment(environment),
        serves=decode(tuple[ServedMarket, ...], serves),
        opened=Timestamp(opened),
        ended=None if ended is None else Timestamp(ended),
        position=position,
    )


def _before(kind: RecordType, records: Records) -> tuple[Any, ...]:
    instrument, first = int(records["instrument"][0]), int(records["sequence"][0])
    return instrument, int(kind), first - 1, int(records["feed_session"][0]), MERGE_BELOW, LAYOUT_VERSION


def _block_row(block: Block) -> tuple[Any, ...]:
    return (
        block.instrument,
        int(block.record_type),
        block.feed_session,
        block.first_sequence,
        block.last_sequence,
        block.least_time,
        block.greatest_time,
        block.count,
        block.layout_version,
        block.payload,
    )


def _block_of(row: tuple[Any, ...]) -> Block:
    instrument, kind, feed_session, first, last, least, greatest, count, version, payload = row
    return Block(
        instrument=instrument,
        record_type=RecordType(kind),
        feed_session=feed_session,
        first_sequence=first,
        last_sequence=last,
        least_time=least,
        greatest_time=greatest,
        count=count,
        layout_version=version,
        payload=payload,
    )


def _fetch(transaction: Transaction, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return list(transaction.fetch(sql, parameters))


def _read_blocks(transaction: Transaction, sql: str, parameters: tuple[Any, ...]) -> list[Records]:
    return [unpack_block(_block_of(row)) for row in transaction.fetch(sql, parameters)]


def _range_query(wanted: BlockRange, backwards: bool) -> tuple[str, tuple[Any, ...]]:
    conditions = ["instrument_id = %s", "record_type = %s", "last_sequence > %s", "first_sequence <= %s"]
    parameters: list[Any] = [wanted.instrument, int(wanted.record_type), wanted.after, wanted.through]
    if wanted.start_time is not None:
        conditions.append("greatest_time >= %s")
        parameters.append(wanted.start_time)
    if wanted.end_time is not None:
        conditions.append("least_time <= %s")
        parameters.append(wanted.end_time)
    if wanted.feed_session is not None:
        conditions.append("feed_session_id = %s")
        parameters.append(wanted.feed_session)
    elif wanted.without:
        conditions.append(f"feed_session_id NOT IN ({', '.join(['%s'] * len(wanted.without))})")
        parameters += sorted(wanted.without)
    order = "DESC" if backwards else "ASC"
    sql = (
        f"SELECT {_BLOCK_COLUMNS} FROM marketdata_blocks WHERE {' AND '.join(conditions)}"  # noqa: S608 (placeholders)
        f" ORDER BY first_sequence {order} LIMIT %s"
    )
    return sql, (*parameters, PAGE_BLOCKS)


def _read_page(transaction: Transaction, wanted: BlockRange, backwards: bool) -> StoredRecords:
    sql, parameters = _range_query(wanted, backwards)
    blocks = [_block_of(row) for row in transaction.fetch(sql, parameters)]
    if backwards:
        blocks.reverse()
    parts = [select(unpack_block(block), wanted) for block in blocks]
    records = joined(wanted.record_type, [part for part in parts if len(part)])
    if len(blocks) < PAGE_BLOCKS:
        return StoredRecords(records=records, reached=None)
    return StoredRecords(records=records, reached=blocks[0].first_sequence if backwards else blocks[-1].last_sequence)
