"""Packed record layouts of market data, and the frozen values around them (docs/market-data.md).

Every record type is one little-endian numpy layout, declared here once; its bytes are what a feed sends, the journal stores, the
server publishes and the client reads. Prices and sizes are scaled by 10**6, times are nanoseconds since 1970 UTC, instruments and
venues stand as their platform-wide numbers. A bit of `present` is set where an optional field holds a value; an absent field is 0.
"""

from collections.abc import Sequence
from enum import IntEnum, IntFlag
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from spire.values.amounts import Price, Quantity
from spire.values.environment import FeedKind
from spire.values.time import Timestamp

Records = NDArray[np.void]
"""A structured array of one of the layouts below."""

LAYOUT_VERSION: Final = 1
"""Version of all layouts of this file; it stands in the feed's opening, in journal frames and in stored blocks."""


class RecordType(IntEnum):
    """Which layout a batch, a topic, a block or a sequence belongs to."""

    TRADE = 1
    BBO = 2
    BOOK = 3


class Present(IntFlag):
    """Bits of a record's `present` field: which optional fields hold a value."""

    PARTICIPANT_TIME = 1
    SOURCE_SEQUENCE = 2
    TRADE_ID = 4
    FACILITY = 8
    ELIGIBILITY = 16
    BID = 32
    ASK = 64
    ORDER_COUNT = 128


class BboKind(IntEnum):
    """Where a best bid and offer comes from: a consolidated tape, or our own computation from a book."""

    NATIONAL = 1
    COMPUTED = 2


class Schedule(IntEnum):
    """Which hours a feed session's market keeps: its venue's schedule, or always open."""

    NORMAL = 1
    ALWAYS_OPEN = 2


COUNTS_OPEN: Final = 1
COUNTS_HIGH_LOW: Final = 2
COUNTS_LAST: Final = 4
COUNTS_VOLUME: Final = 8
COUNTS_ALL: Final = COUNTS_OPEN | COUNTS_HIGH_LOW | COUNTS_LAST | COUNTS_VOLUME
"""Bits of `eligibility`: what a print counts for in statistics and consolidated candles."""

_HEAD: Final = [("sequence", "<u8"), ("instrument", "<u4"), ("venue", "<u2")]
_TIMES: Final = [("participant_time", "<i8"), ("source_time", "<i8"), ("receive_time", "<i8")]

TRADE: Final = np.dtype(
    [
        *_HEAD,
        ("present", "<u2"),
        *_TIMES,
        ("trade_id", "<u8"),
        ("source_sequence", "<u8"),
        ("conditions", "<u8"),
        ("price", "<i8"),
        ("size", "<i8"),
        ("facility", "<u2"),
        ("eligibility", "<u2"),
        ("feed_session", "<u4"),
    ]
)
"""A print: `venue` is where it traded, `facility` the reporting facility of an off-exchange print, `source_time` its event time."""

BBO: Final = np.dtype(
    [
        *_HEAD,
        ("present", "<u2"),
        *_TIMES,
        ("source_sequence", "<u8"),
        ("bid", "<i8"),
        ("bid_size", "<i8"),
        ("ask", "<i8"),
        ("ask_size", "<i8"),
        ("bid_conditions", "<u8"),
        ("ask_conditions", "<u8"),
        ("bid_venue", "<u2"),
        ("ask_venue", "<u2"),
        ("feed_session", "<u4"),
        ("kind", "<u2"),
        ("reserved", "<u2"),
        ("reserved_too", "<u4"),
    ]
)
"""A change of the best bid and offer: `venue` is the listing venue; each side names the venue that holds it."""

BOOK: Final = np.dtype(
    [
        *_HEAD,
        ("present", "<u2"),
        *_TIMES,
        ("source_sequence", "<u8"),
        ("price", "<i8"),
        ("size", "<i8"),
        ("participant", "S8"),
        ("order_count", "<u4"),
        ("feed_session", "<u4"),
        ("side", "<u2"),
        ("reserved", "<u2"),
        ("reserved_too", "<u4"),
    ]
)
"""A row of the book, known by (venue, participant, side, price), with its absolute size; size 0 removes it."""

LAYOUTS: Final[dict[RecordType, np.dtype[Any]]] = {RecordType.TRADE: TRADE, RecordType.BBO: BBO, RecordType.BOOK: BOOK}
ALLOWED: Final[dict[RecordType, Present]] = {
    RecordType.TRADE: Present.PARTICIPANT_TIME
    | Present.SOURCE_SEQUENCE
    | Present.TRADE_ID
    | Present.FACILITY
    | Present.ELIGIBILITY,
    RecordType.BBO: Present.PARTICIPANT_TIME | Present.SOURCE_SEQUENCE | Present.BID | Present.ASK,
    RecordType.BOOK: Present.PARTICIPANT_TIME | Present.SOURCE_SEQUENCE | Present.ORDER_COUNT,
}
"""Which bits of `present` a type may set."""

OPTIONAL: Final[dict[RecordType, dict[str, int]]] = {
    RecordType.TRADE: {
        "participant_time": Present.PARTICIPANT_TIME,
        "source_sequence": Present.SOURCE_SEQUENCE,
        "trade_id": Present.TRADE_ID,
        "facility": Present.FACILITY,
        "eligibility": Present.ELIGIBILITY,
    },
    RecordType.BBO: {
        "participant_time": Present.PARTICIPANT_TIME,
        "source_sequence": Present.SOURCE_SEQUENCE,
        **dict.fromkeys(("bid", "bid_size", "bid_venue", "bid_conditions"), Present.BID),
        **dict.fromkeys(("ask", "ask_size", "ask_venue", "ask_conditions"), Present.ASK),
    },
    RecordType.BOOK: {
        "participant_time": Present.PARTICIPANT_TIME,
        "source_sequence": Present.SOURCE_SEQUENCE,
        "order_count": Present.ORDER_COUNT,
    },
}
"""Which bit of `present` says that a field holds a value; fields not named here always do."""

_TOPICS: Final = {RecordType.TRADE: "trade", RecordType.BBO: "bbo", RecordType.BOOK: "book"}
_TYPES: Final = {name: kind for kind, name in _TOPICS.items()}
_LONGEST_NUMBER: Final = len(str(2**32))
FEED_SESSIONS_TOPIC: Final = "feed_sessions"


def topic_of(record_type: RecordType, instrument: int) -> str:
    """Return the name of the log topic that carries one type of one instrument."""
    return f"{_TOPICS[record_type]}/{instrument}"


def parse_topic(name: str) -> tuple[RecordType, int]:
    """Return type and instrument of a topic's name.

    ValueError: the name is not one of trade, bbo or book with an instrument's number, from 1 and below 2**32.
    """
    head, _, tail = name.partition("/")
    instrument = int(tail) if tail.isascii() and tail.isdigit() and len(tail) <= _LONGEST_NUMBER else 0
    if head not in _TYPES or not 0 < instrument < 2**32 or str(instrument) != tail:
        raise ValueError(f"{name!r} is no market data topic: write trade/, bbo/ or book/ and the instrument's number")
    return _TYPES[head], instrument


def empty(record_type: RecordType, count: int = 0) -> Records:
    """Return a zeroed array of `count` records."""
    return np.zeros(count, dtype=LAYOUTS[record_type])


def joined(record_type: RecordType, parts: Sequence[Records]) -> Records:
    """Return the records of all parts as one array.

    The bytes are joined: numpy would work out a common layout, which costs more than the records do.
    """
    if len(parts) == 1:
        return parts[0]
    return np.frombuffer(
        bytearray().join([np.ascontiguousarray(part).data for part in parts]), dtype=LAYOUTS[record_type]
    )


def unpack(record_type: RecordType, payload: bytes) -> Records:
    """Return a read-only view of packed records.

    ValueError: the payload is not a whole number of records.
    """
    layout = LAYOUTS[record_type]
    if len(payload) % layout.itemsize:
        raise ValueError(
            f"{len(payload)} bytes are not a whole number of {record_type.name} records of {layout.itemsize}"
        )
    return np.frombuffer(payload, dtype=layout)


@frozen(kw_only=True)
class ServedMarket:
    """One (listing venue, record type) that a feed session serves; `venue` is the venue's number."""

    venue: int
    record_type: RecordType


@frozen(kw_only=True)
class FeedSessionState:
    """A row of the state topic `feed_sessions`: the current session of one (listing venue, type).

    `market_time` is the latest event time seen; for LIVE and SIMULATED sessions a follower advances it by the time that passed since
    it got the row. `stale` says that quotes of this market must not be trusted: no batch and no heartbeat for five seconds, or ended.
    `trade_date` is an ISO date.
    """

    venue: int
    record_type: RecordType
    feed_session: int
    name: str
    kind: FeedKind
    trade_date: str
    schedule: Schedule
    market_time: Timestamp
    updated: Timestamp
    connected: bool
    stale: bool
    ended: bool

    @property
    def key(self) -> str:
        """Return the row's key in the topic."""
        return market_key(self.venue, self.record_type)


def market_key(venue: int, record_type: RecordType) -> str:
    """Return the key of a (listing venue, type) in the topic `feed_sessions`."""
    return f"{venue}/{_TOPICS[record_type]}"


@frozen(kw_only=True)
class Trade:
    """One print, for those who ask for single objects."""

    sequence: int
    instrument: int
    venue: int
    source_time: Timestamp
    receive_time: Timestamp
    participant_time: Timestamp | None
    trade_id: int | None
    facility: int | None
    conditions: int
    eligibility: int | None
    price: Price
    size: Quantity
    feed_session: int


@frozen(kw_only=True)
class BestQuote:
    """One side of a best bid and offer."""

    price: Price
    size: Quantity
    venue: int


@frozen(kw_only=True)
class BestBidOffer:
    """One state of the best bid and offer; a side is None where nobody quotes."""

    sequence: int
    instrument: int
    source_time: Timestamp
    receive_time: Timestamp
    kind: BboKind
    bid: BestQuote | None
    ask: BestQuote | None
    feed_session: int


def trade_of(record: np.void) -> Trade:
    """Return one packed trade as an object."""
    present = int(record["present"])
    return Trade(
        sequence=int(record["sequence"]),
        instrument=int(record["instrument"]),
        venue=int(record["venue"]),
        source_time=Timestamp(int(record["source_time"])),
        receive_time=Timestamp(int(record["receive_time"])),
        participant_time=Timestamp(int(record["participant_time"])) if present & Present.PARTICIPANT_TIME else None,
        trade_id=int(record["trade_id"]) if present & Present.TRADE_ID else None,
        facility=int(record["facility"]) if present & Present.FACILITY else None,
        conditions=int(record["conditions"]),
        eligibility=int(record["eligibility"]) if present & Present.ELIGIBILITY else None,
        price=Price(int(record["price"])),
        size=Quantity(int(record["size"])),
        feed_session=int(record["feed_session"]),
    )


def bbo_of(record: np.void) -> BestBidOffer:
    """Return one packed best bid and offer as an object."""
    present = int(record["present"])
    bid = BestQuote(
        price=Price(int(record["bid"])), size=Quantity(int(record["bid_size"])), venue=int(record["bid_venue"])
    )
    ask = BestQuote(
        price=Price(int(record["ask"])), size=Quantity(int(record["ask_size"])), venue=int(record["ask_venue"])
    )
    return BestBidOffer(
        sequence=int(record["sequence"]),
        instrument=int(record["instrument"]),
        source_time=Timestamp(int(record["source_time"])),
        receive_time=Timestamp(int(record["receive_time"])),
        kind=BboKind(int(record["kind"])),
        bid=bid if present & Present.BID else None,
        ask=ask if present & Present.ASK else None,
        feed_session=int(record["feed_session"]),
    )
