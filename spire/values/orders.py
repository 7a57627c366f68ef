"""The vocabulary of orders: sides, types, times in force, statuses, kinds of report and posting (docs/values.md).

Numbers are the wire's and the database's; they are never reused.
"""

from enum import IntEnum


class Side(IntEnum):
    """What an order does to a position."""

    BUY = 1
    SELL = 2
    SELL_SHORT = 3
    SELL_SHORT_EXEMPT = 4

    @property
    def direction(self) -> int:
        """Return +1 for a buy, -1 for every sell."""
        return 1 if self is Side.BUY else -1

    @property
    def is_short(self) -> bool:
        """Return whether the order is marked as a short sale."""
        return self in (Side.SELL_SHORT, Side.SELL_SHORT_EXEMPT)


class BookSide(IntEnum):
    """A side of a book or quote."""

    BID = 1
    ASK = 2

    @property
    def opposite(self) -> "BookSide":
        """Return the other side."""
        return BookSide.ASK if self is BookSide.BID else BookSide.BID


class OrderType(IntEnum):
    """How an order's price is found."""

    MARKET = 1
    LIMIT = 2
    STOP = 3
    STOP_LIMIT = 4
    PEGGED = 5


class TimeInForce(IntEnum):
    """How long an order works."""

    DAY = 1
    IOC = 2
    FOK = 3
    GTC = 4
    GTD = 5
    OPG = 6
    CLS = 7


class TradingSession(IntEnum):
    """In which sessions of a trade date an order works; EXTENDED is pre-market, regular and post-market."""

    REGULAR = 1
    EXTENDED = 2
    OVERNIGHT = 3


class Capacity(IntEnum):
    """In which capacity the firm acts."""

    AGENCY = 1
    PRINCIPAL = 2
    RISKLESS_PRINCIPAL = 3


class Channel(IntEnum):
    """By which way an order came in."""

    AMP = 1
    PORTAL = 2
    FIX = 3
    RISK = 4
    OPERATOR = 5


class Status(IntEnum):
    """Where an order stands. Pending cancel, pending replace and in doubt are flags, not statuses."""

    PENDING_NEW = 1
    NEW = 2
    PARTIALLY_FILLED = 3
    DONE_FOR_DAY = 4
    FILLED = 5
    CANCELED = 6
    EXPIRED = 7
    REJECTED = 8


class ExecType(IntEnum):
    """What a report says."""

    NEW = 1
    TRADE = 2
    CANCELED = 3
    REPLACED = 4
    REJECTED = 5
    EXPIRED = 6
    CANCEL_REJECTED = 7
    REPLACE_REJECTED = 8
    TRADE_CANCEL = 9
    TRADE_CORRECT = 10
    RESTATED = 11
    DONE_FOR_DAY = 12
    STATUS = 13


class ReportSource(IntEnum):
    """Who says it."""

    VENUE = 1
    DRIVER = 2
    RISK = 3
    PERSON = 4
    RECONCILIATION = 5


class Liquidity(IntEnum):
    """Whether a fill added or took liquidity."""

    ADDED = 1
    REMOVED = 2
    ROUTED = 3
    AUCTION = 4


class PostingKind(IntEnum):
    """Why a posting stands in the ledger."""

    TRADE = 1
    FEE = 2
    BUST = 3
    CORRECTION = 4
    CORPORATE_ACTION = 5
    TRANSFER = 6
    OPENING = 7
    ADJUSTMENT = 8


class VersionState(IntEnum):
    """What became of a requested version of an order."""

    PENDING = 1
    ACCEPTED = 2
    REJECTED = 3
