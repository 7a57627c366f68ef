"""What a feed's batch must satisfy before it is sequenced, checked a column at a time (sans-I/O)."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spire.marketdata.values import ALLOWED, BboKind, Present, Records, RecordType, Schedule
from spire.values.amounts import SCALE, format_amount
from spire.values.orders import BookSide
from spire.values.time import local_midnight

_EARLIEST: Final = 0
_LATEST: Final = 2**62
GRACE_DAYS: Final = 3
"""How many days behind its trade date a session's records may lie: overnight sessions and late corrections, not more."""
GREATEST_PRICE: Final = 10_000_000 * SCALE
GREATEST_SIZE: Final = 1_000_000_000 * SCALE
"""What an order may ask for at most: beyond it a number is a fault of the feed, and sums of it would not fit 64 bits."""


class InvalidRecordError(ValueError):
    """A record that must not be accepted; the message names its place in the batch, counted from 0, and the field."""


class UnknownInstrumentError(InvalidRecordError):
    """A record of an instrument that Definitions did not tell us of, or not yet."""


class Universe:
    """The instruments with their listing venues, and the venues, by number: what a record may name."""

    def __init__(self, listings: Iterable[tuple[int, int]], venues: Iterable[int]) -> None:
        """Take (instrument, listing venue) pairs and the numbers of all venues."""
        pairs = sorted(listings)
        self._instruments = np.array([instrument for instrument, _ in pairs], dtype=np.uint32)
        self._listings = np.array([venue for _, venue in pairs], dtype=np.uint16)
        self._venues = np.zeros(65536, dtype=bool)
        for venue in venues:
            self._venues[venue] = True

    def listing_venues(self, instruments: NDArray[np.uint32]) -> NDArray[np.uint16]:
        """Return each instrument's listing venue, 0 where the instrument is unknown."""
        if not self._instruments.size:
            return np.zeros(len(instruments), dtype=np.uint16)
        index = np.searchsorted(self._instruments, instruments)
        index[index == len(self._instruments)] = 0
        known = self._instruments[index] == instruments
        return np.where(known, self._listings[index], 0).astype(np.uint16)

    def listing_venue(self, instrument: int) -> int | None:
        """Return one instrument's listing venue, None if it is unknown."""
        venue = int(self.listing_venues(np.array([instrument], dtype=np.uint32))[0])
        return venue or None

    def is_venue(self, number: int) -> bool:
        """Return whether a number is a venue of the platform."""
        return 0 <= number < len(self._venues) and bool(self._venues[number])

    def are_venues(self, numbers: NDArray[np.uint16]) -> NDArray[np.bool_]:
        """Return which numbers are venues of the platform."""
        return self._venues[numbers]


def latest_time(trade_date: date, schedule: Schedule) -> int:
    """Return the last event time that records of a feed session may have, in nanoseconds since 1970.

    One wild time would move a venue's market time for good and end every DAY order; a market that is always open has no
    last day.
    """
    if schedule is Schedule.ALWAYS_OPEN:
        return _LATEST
    return local_midnight(trade_date + timedelta(days=GRACE_DAYS), "UTC")


def check_batch(
    record_type: RecordType,
    records: Records,
    universe: Universe,
    served_venues: frozenset[int],
    *,
    latest: int = _LATEST,
) -> None:
    """Refuse a batch that holds a record which must not be sequenced; no event time may be beyond `latest`.

    InvalidRecordError: unknown instrument or venue, a market that the feed session does not serve, a price, size or time out of
    range, a side or kind without meaning, or a `present` bit that the type does not have.
    """
    listing = universe.listing_venues(records["instrument"])
    if not listing.all():
        place = int(np.flatnonzero(listing == 0)[0])
        raise UnknownInstrumentError(
            f"{record_type.name} record {place}: instrument {records['instrument'][place]} is unknown"
        )
    served = _any_of(listing, served_venues)
    _require(record_type, served, "instrument", "is not listed where the feed session serves this type")
    present = records["present"]
    _require(record_type, present & ~np.uint16(ALLOWED[record_type]) == 0, "present", "has a bit of another type")
    _in_range(record_type, records, "source_time")
    _require(record_type, records["source_time"] <= latest, "source_time", "is days beyond the session's trade date")
    _in_range(record_type, records, "participant_time")
    _in_range(record_type, records, "receive_time")
    _require(record_type, universe.are_venues(records["venue"]), "venue", "is unknown")
    _CHECKS[record_type](records, universe)


def _any_of(venues: NDArray[np.uint16], wanted: frozenset[int]) -> NDArray[np.bool_]:
    found = np.zeros(len(venues), dtype=bool)
    for venue in wanted:
        found |= venues == venue
    return found


def _trade(records: Records, universe: Universe) -> None:
    kind = RecordType.TRADE
    _in_bounds(kind, records["price"], "price", 1, GREATEST_PRICE)
    _in_bounds(kind, records["size"], "size", 1, GREATEST_SIZE)
    facility = (records["present"] & np.uint16(Present.FACILITY)) != 0
    _require(kind, ~facility | universe.are_venues(records["facility"]), "facility", "is unknown")


def _bbo(records: Records, universe: Universe) -> None:
    kind = RecordType.BBO
    known = (records["kind"] == BboKind.NATIONAL) | (records["kind"] == BboKind.COMPUTED)
    _require(kind, known, "kind", "is neither NATIONAL nor COMPUTED")
    for side, bit in (("bid", Present.BID), ("ask", Present.ASK)):
        has = (records["present"] & np.uint16(bit)) != 0
        price, size, venue = records[side], records[f"{side}_size"], records[f"{side}_venue"]
        _require(kind, np.where(has, price > 0, price == 0), side, "must be positive, or 0 when absent")
        _require(kind, np.where(has, size >= 0, size == 0), f"{side}_size", "must not be negative, and 0 when absent")
        _in_bounds(kind, price, side, 0, GREATEST_PRICE)
        _in_bounds(kind, size, f"{side}_size", 0, GREATEST_SIZE)
        _require(kind, ~has | universe.are_venues(venue), f"{side}_venue", "is unknown")


def _book(records: Records, _: Universe) -> None:
    kind = RecordType.BOOK
    side = records["side"]
    _require(kind, (side == BookSide.BID) | (side == BookSide.ASK), "side", "is neither BID nor ASK")
    _in_bounds(kind, records["price"], "price", 1, GREATEST_PRICE)
    _in_bounds(kind, records["size"], "size", 0, GREATEST_SIZE)


_CHECKS: Final = {RecordType.TRADE: _trade, RecordType.BBO: _bbo, RecordType.BOOK: _book}


def _in_range(record_type: RecordType, records: Records, field: str) -> None:
    values = records[field]
    _require(record_type, (values >= _EARLIEST) & (values <= _LATEST), field, "is no time since 1970")


def _in_bounds(record_type: RecordType, values: NDArray[np.int64], field: str, least: int, greatest: int) -> None:
    if not ((values >= least) & (values <= greatest)).all():
        complaint = "must be positive" if least else "must not be negative"
        _require(record_type, values >= least, field, complaint)
        _require(record_type, values <= greatest, field, f"must be at most {format_amount(greatest)}")


def _require(record_type: RecordType, holds: NDArray[np.bool_], field: str, complaint: str) -> None:
    if not holds.all():
        place = int(np.flatnonzero(~holds)[0])
        raise InvalidRecordError(f"{record_type.name} record {place}: {field} {complaint}")
