"""What is visible: books, last records, market time, and the records that the store does not hold yet (sans-I/O).

`apply` takes durable frames in order and answers what to publish for them; applying and publishing belong in one reactor turn.
"""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spire.marketdata.book import Book
from spire.marketdata.feed_session import FeedSession
from spire.marketdata.frames import Frame, FrameKind
from spire.marketdata.market_time import MarketTime
from spire.marketdata.sequencing import Runs, Slots, grown, runs, runs_of
from spire.marketdata.validation import Universe
from spire.marketdata.values import Records, RecordType, ServedMarket, empty, joined
from spire.values.environment import FeedKind

Index = tuple[RecordType, int]
"""A type and an instrument: what sequences, topics and blocks belong to."""


class Publication(NamedTuple):
    """Records of one type that became visible, grouped by instrument."""

    record_type: RecordType
    records: Records
    runs: Runs


class Newest:
    """The last visible record and sequence of each instrument, of one type."""

    def __init__(self, record_type: RecordType) -> None:
        self._slots = Slots()
        self._records = empty(record_type)
        self._visible = np.zeros(0, dtype=np.uint64)
        self._record_type = record_type

    def put(self, runs: Runs, records: Records) -> None:
        """Take the last record of each run."""
        slots = self._places(runs.instruments)
        self._records[slots] = records[runs.ends - 1]
        self._visible[slots] = runs.lasts

    def restore(self, visible: Mapping[int, int], records: Records) -> None:
        """Take last sequences, and the last records as far as there are any."""
        instruments = np.fromiter(visible.keys(), dtype=np.uint32, count=len(visible))
        slots = self._places(instruments)
        self._visible[slots] = np.fromiter(visible.values(), dtype=np.uint64, count=len(visible))
        self._records[self._places(records["instrument"])] = records

    def visible(self, instrument: int) -> int:
        """Return the last visible sequence, 0 before the first."""
        slot = self._slots.find(instrument)
        return 0 if slot is None else int(self._visible[slot])

    def record(self, instrument: int) -> Records:
        """Return the last record, or none."""
        slot = self._slots.find(instrument)
        if slot is None or not self._records["sequence"][slot]:
            return empty(self._record_type)
        return self._records[slot : slot + 1].copy()

    @property
    def records(self) -> Records:
        """Return every instrument's last record."""
        known = self._records[: len(self._slots)]
        there: Records = known[known["sequence"] > 0]
        return there

    def _places(self, instruments: NDArray[np.uint32]) -> NDArray[np.intp]:
        slots = self._slots.of(np.ascontiguousarray(instruments))
        self._records = grown(self._records, len(self._slots))
        self._visible = grown(self._visible, len(self._slots))
        return slots


class Image:
    """The current state of every instrument, and recent history."""

    def __init__(self) -> None:
        self.books: dict[int, Book] = {}
        self.resident = Resident()
        self._newest = {kind: Newest(kind) for kind in RecordType}
        self._times: dict[tuple[int, ServedMarket], MarketTime] = {}

    def visible(self, index: Index) -> int:
        """Return the last visible sequence of an index, 0 before the first."""
        return self._newest[index[0]].visible(index[1])

    def last(self, record_type: RecordType, instrument: int) -> Records:
        """Return the last record of a type, or none."""
        return self._newest[record_type].record(instrument)

    def market_time(self, feed_session: int, market: ServedMarket) -> MarketTime | None:
        """Return the market time of a feed session in one market, None before its first record."""
        return self._times.get((feed_session, market))

    def restore(self, record_type: RecordType, records: Records, visible: Mapping[int, int]) -> None:
        """Take what the store holds: each instrument's newest record, and every instrument's last sequence."""
        self._newest[record_type].restore(visible, records)

    def restore_book(self, records: Records) -> None:
        """Take stored book records, grouped by instrument."""
        for run in runs(records):
            self._book(run.instrument).apply(run.records)

    def apply(self, position: int, frame: Frame) -> list[Publication]:
        """Take a durable frame; return what became visible, in order."""
        publications = []
        for record_type, records in frame.records.items():
            found = runs_of(records)
            self._newest[record_type].put(found, records)
            self.resident.add(position, record_type, records)
            if record_type is RecordType.BOOK:
                for instrument, begin, end, _ in found.rows():
                    self._book(instrument).apply(records[begin:end])
            publications.append(Publication(record_type, records, found))
        return publications

    def saw(self, frame: Frame, kind: FeedKind, universe: Universe, monotonic: float) -> list[ServedMarket]:
        """Move market time on by a batch; return the markets where it moved."""
        moved: list[ServedMarket] = []
        if frame.kind is not FrameKind.BATCH:
            return moved
        for record_type, records in frame.records.items():
            listing = universe.listing_venues(records["instrument"])
            times = records["source_time"]
            for venue in {int(listing[0])} if (listing == listing[0]).all() else set(listing.tolist()):
                market = ServedMarket(venue=venue, record_type=record_type)
                key = (frame.feed_session, market)
                clock = self._times.get(key)
                if clock is None:
                    clock = self._times[key] = MarketTime(kind)
                if clock.saw(int(times[listing == venue].max()), monotonic):
                    moved.append(market)
        return moved

    def restore_time(self, market: ServedMarket, session: FeedSession, universe: Universe, monotonic: float) -> None:
        """Set market time from the newest records of a session, as after a start."""
        number = session.feed_session_id
        if market.record_type is RecordType.BOOK:
            parts = [book.rows for book in self.books.values()]
            records = joined(RecordType.BOOK, parts)
        else:
            records = self._newest[market.record_type].records
        own = records[records["feed_session"] == number]
        own = own[universe.listing_venues(own["instrument"]) == market.venue]
        if len(own):
            clock = self._times[number, market] = MarketTime(session.kind)
            clock.saw(int(own["source_time"].max()), monotonic)

    def _book(self, instrument: int) -> Book:
        book = self.books.get(instrument)
        if book is None:
            book = self.books[instrument] = Book()
        return book


class _Kept(NamedTuple):
    """Records of a journal position, grouped by instrument."""

    position: int
    record_type: RecordType
    records: Records


class Resident:
    """Visible records that only the journal holds, until the store has them.

    For each index it knows the frames that hold records of it: while the store is away there are many, and every load asks.
    """

    def __init__(self) -> None:
        self._frames: deque[_Kept] = deque()
        self._by_index: dict[RecordType, dict[int, deque[_Kept]]] = {kind: {} for kind in RecordType}
        self._records = 0

    @property
    def record_count(self) -> int:
        """Return how many records are resident."""
        return self._records

    def add(self, position: int, record_type: RecordType, records: Records) -> None:
        """Keep records of a journal position, grouped by instrument."""
        kept = _Kept(position, record_type, records)
        self._frames.append(kept)
        self._records += len(records)
        by_instrument = self._by_index[record_type]
        for instrument in runs_of(records).instruments.tolist():
            found = by_instrument.get(instrument)
            if found is None:
                by_instrument[instrument] = deque((kept,))
            else:
                found.append(kept)

    def parts(self, index: Index) -> list[Records]:
        """Return the resident records of an index, oldest first."""
        record_type, instrument = index
        found = []
        for kept in self._by_index[record_type].get(instrument, ()):
            instruments = kept.records["instrument"]
            begin = int(np.searchsorted(instruments, instrument))
            end = int(np.searchsorted(instruments, instrument, side="right"))
            found.append(kept.records[begin:end])
        return found

    def trim(self, position: int) -> None:
        """Drop what the store holds: everything up to a journal position."""
        while self._frames and self._frames[0].position <= position:
            kept = self._frames.popleft()
            self._records -= len(kept.records)
            by_instrument = self._by_index[kept.record_type]
            for instrument in runs_of(kept.records).instruments.tolist():
                found = by_instrument[instrument]
                found.popleft()
                if not found:
                    del by_instrument[instrument]
