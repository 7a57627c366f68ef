"""What a position is worth: the mark of an instrument, and whether it may trip a limit (sans-I/O; docs/risk.md)."""

from attrs import evolve, frozen

from spire.accounting.portfolio import mark
from spire.risk.values import MarkSource
from spire.values.amounts import Price
from spire.values.time import Timestamp


@frozen
class Mark:
    """A mark, where it comes from, and whether it is fresh: only fresh marks trip a limit."""

    price: Price
    source: MarkSource
    is_fresh: bool


@frozen
class Marks:
    """The marks of one instrument: of a long and of a short position; None where nothing says what it is worth.

    `last_quote` are bid and ask that could last be traded upon, however long ago: where there is no print either, a day closes at them.
    """

    long: Mark | None = None
    short: Mark | None = None
    last_quote: tuple[Price, Price] | None = None

    def of(self, quantity: int) -> Mark | None:
        """Return the mark of a position of a signed quantity; None when flat."""
        if not quantity:
            return None
        return self.long if quantity > 0 else self.short


UNKNOWN = Marks()
NEVER = Timestamp(0)


@frozen(kw_only=True)
class Prices:
    """What was seen of an instrument: its best bid and offer, its last eligible print, and the feed session of each.

    `last_quote` are bid and ask that could last be traded upon.
    """

    bid: Price | None = None
    ask: Price | None = None
    quote_session: int = 0
    quote_time: Timestamp = NEVER
    last: Price | None = None
    last_session: int = 0
    last_quote: tuple[Price, Price] | None = None

    def quoted(self, bid: Price | None, ask: Price | None, feed_session: int, time: Timestamp = NEVER) -> "Prices":
        """Return the prices after a quote of a market time."""
        return evolve(self, bid=bid, ask=ask, quote_session=feed_session, quote_time=time)

    def believed(self, trust: "Trust") -> "Prices":
        """Return the prices once it is known that the quote may be traded upon, if it may."""
        quote = quote_of(self, trust)
        return self if quote is None or quote == self.last_quote else evolve(self, last_quote=quote)

    def printed(self, last: Price, feed_session: int) -> "Prices":
        """Return the prices after an eligible print."""
        return evolve(self, last=last, last_session=feed_session)


@frozen(kw_only=True)
class Trust:
    """What may be believed of an instrument's market now.

    `quotes` and `prints` are the feed sessions whose quotes and prints are not stale, None where they are. `is_open` says that the regular
    session trades.
    """

    quotes: int | None = None
    prints: int | None = None
    is_open: bool = False


NOTHING = Trust()


def quote_of(prices: Prices, trust: Trust) -> tuple[Price, Price] | None:
    """Return bid and ask that may be traded upon: fresh, two-sided, uncrossed, in the open regular session."""
    if not trust.is_open or trust.quotes is None or prices.quote_session != trust.quotes:
        return None
    if prices.bid is None or prices.ask is None or prices.bid > prices.ask:
        return None
    return prices.bid, prices.ask


def marks_of(prices: Prices, trust: Trust) -> Marks:
    """Return an instrument's marks: its quote where it may be traded upon, else its last eligible print.

    A print is fresh while the feed that brought it is: an instrument that nobody bids for any more still trips a limit, and one whose
    venue has closed keeps no other from doing so.
    """
    quote = quote_of(prices, trust)
    if quote is not None:
        sides = (mark(1, *quote), mark(-1, *quote))
        long, short = (None if price is None else Mark(price, MarkSource.BBO, True) for price in sides)
        return Marks(long, short, quote)
    if prices.last is None:
        return Marks(last_quote=prices.last_quote)
    is_fresh = trust.prints is not None and prices.last_session == trust.prints
    last = Mark(prices.last, MarkSource.TRADE, is_fresh)
    return Marks(last, last, prices.last_quote)


def why_not(prices: Prices, trust: Trust) -> str:
    """Return why there is no quote to trade upon, for a person."""
    if trust.quotes is None or prices.quote_session != trust.quotes:
        return "its quote is stale"
    if not trust.is_open:
        return "its regular session is closed"
    if prices.bid is None or prices.ask is None:
        return "its quote has not both sides"
    return "its quote is crossed"
