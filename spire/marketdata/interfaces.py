"""What Market Data needs of its store; MySQL and memory implement it."""

from collections.abc import Awaitable, Sequence
from datetime import date

from attrs import frozen
from zope.interface import Interface

from spire.marketdata.feed_session import FeedSession
from spire.marketdata.frames import Frame
from spire.marketdata.values import Records, RecordType


@frozen(kw_only=True)
class Stored:
    """A frame on its way to the store, with its session's trade date (ISO)."""

    frame: Frame
    trade_date: str


@frozen(kw_only=True)
class BlockRange:
    """Which stored records are asked for: sequences after..through, event times, feed sessions.

    `without` are feed sessions to leave out; `feed_session` asks for one alone. Times are inclusive; None is no bound.
    """

    record_type: RecordType
    instrument: int
    after: int
    through: int
    start_time: int | None = None
    end_time: int | None = None
    feed_session: int | None = None
    without: frozenset[int] = frozenset()


@frozen(kw_only=True)
class StoredRecords:
    """A page of stored records in sequence order, and how far it reaches into the range.

    `reached` is the last sequence looked at (the first one, when read backwards); None when the range is exhausted.
    """

    records: Records
    reached: int | None


class IMarketDataStore(Interface):
    """Where accepted records end up. Every method raises StoreError while the store is away."""

    def feed_sessions() -> Awaitable[list[FeedSession]]:
        """Return every feed session."""

    def sequences() -> Awaitable[list[tuple[RecordType, int, int]]]:
        """Return (type, instrument, last stored sequence) of every index."""

    def last_records() -> Awaitable[dict[RecordType, Records]]:
        """Return each instrument's newest trade and BBO."""

    def last_record(record_type: RecordType, instrument: int, trade_date: date) -> Awaitable[Records]:
        """Return the last record of an instrument on a trade date, or none."""

    def read(wanted: BlockRange, *, backwards: bool) -> Awaitable[StoredRecords]:
        """Return the next page of a range, from its start or from its end; in sequence order either way."""

    def session_records(record_type: RecordType, feed_session: int, place: tuple[int, int]) -> Awaitable[list[Records]]:
        """Return a page of a feed session's records beyond `place` (instrument, sequence); empty at the end."""

    def write(transaction: object, items: Sequence[Stored]) -> None:
        """Store frames in the transaction of the ordered writer; may be run again after a lost commit."""
