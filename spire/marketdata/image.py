"""What is visible: books, last records, market time, and the records that the store does not hold yet (sans-I/O).

`apply` takes durable frames in order and answers what to publish for them; applying and publishing belong in one reactor turn.
"""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from spire.marketdata.book import Book
from spire.marketdata.feed_session import FeedSession
from spire.marketdata.frames import Frame, FrameKind
from spire.marketdata.market_time import MarketTime
from spire.marketdata.sequencing import Run, runs
from spire.marketdata.validation import Universe
from spire.marketdata.values import Records, RecordType, ServedMarket, empty
from spire.values.environment import FeedKind

Index = tuple[RecordType, int]
"""A type and an instrument: what sequences, topics and blocks belong to."""


class Publication(NamedTuple):
    """Records of one index that became visible."""

    record_type: RecordType
    run: Run


class Image:
    """The current state of every instrument, and recent history."""

    def __init__(self) -> None:
        self.books: dict[int, Book] = {}
        self.resident = Resident()
        self._last: dict[Index, Records] = {}
        self._visible: dict[Index, int] = {}
        self._times: dict[tuple[int, ServedMarket], MarketTime] = {}

    def visible(self, index: Index) -> int:
        """Return the last visible sequence of an index, 0 before the first."""
        return self._visible.get(index, 0)

    def last(self, record_type: RecordType, instrument: int) -> Records:
        """Return the last record of a type, or none."""
        return self._last.get((record_type, instrument), empty(record_type))

    def market_time(self, feed_session: int, market: ServedMarket) -> MarketTime | None:
        """Return the market time of a feed session in one market, None before its first record."""
        return self._times.get((feed_session, market))

    def restore(self, record_type: RecordType, records: Records, visible: Mapping[int, int]) -> None:
        """Take what the store holds: each instrument's newest record, and every instrument's last sequence."""
        for instrument, sequence in visible.items():
            self._visible[record_type, instrument] = sequence
        for place, instrument in enumerate(records["instrument"].tolist()):
            self._last[record_type, instrument] = records[place : place + 1]

    def restore_book(self, records: Records) -> None:
        """Take stored book records, grouped by instrument."""
        for run in runs(records):
            self._book(run.instrument).apply(run.records)

    def apply(self, position: int, frame: Frame) -> list[Publication]:
        """Take a durable frame; return what became visible, in order."""
        publications = []
        for record_type, records in frame.records.items():
            for run in runs(records):
                index = (record_type, run.instrument)
                self._visible[index] = run.last
                if record_type is RecordType.BOOK:
                    self._book(run.instrument).apply(run.records)
                else:
                    self._last[index] = run.records[-1:]
                self.resident.add(position, index, run.records)
                publications.append(Publication(record_type, run))
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
        times = []
        if market.record_type is RecordType.BOOK:
            candidates = {instrument: book.rows for instrument, book in self.books.items()}
        else:
            candidates = {one: last for (kind, one), last in self._last.items() if kind is market.record_type}
        for instrument, records in candidates.items():
            own = records[records["feed_session"] == number]
            if len(own) and universe.listing_venue(instrument) == market.venue:
                times.append(int(own["source_time"].max()))
        if times:
            clock = self._times[number, market] = MarketTime(session.kind)
            clock.saw(max(times), monotonic)

    def _book(self, instrument: int) -> Book:
        book = self.books.get(instrument)
        if book is None:
            book = self.books[instrument] = Book()
        return book


class Resident:
    """Visible records that only the journal holds, per index, until the store has them."""

    def __init__(self) -> None:
        self._parts: dict[Index, deque[tuple[int, Records]]] = {}
        self._order: deque[tuple[int, Index]] = deque()
        self._records = 0

    @property
    def record_count(self) -> int:
        """Return how many records are resident."""
        return self._records

    def add(self, position: int, index: Index, records: Records) -> None:
        """Keep records of a journal position."""
        parts = self._parts.get(index)
        if parts is None:
            parts = self._parts[index] = deque()
        parts.append((position, records))
        self._order.append((position, index))
        self._records += len(records)

    def parts(self, index: Index) -> list[Records]:
        """Return the resident records of an index, oldest first."""
        return [records for _, records in self._parts.get(index, ())]

    def trim(self, position: int) -> None:
        """Drop what the store holds: everything up to a journal position."""
        while self._order and self._order[0][0] <= position:
            _, index = self._order.popleft()
            parts = self._parts[index]
            _, records = parts.popleft()
            self._records -= len(records)
            if not parts:
                del self._parts[index]
