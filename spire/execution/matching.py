"""Simulated fills of one instrument against its best bid and offer (sans-I/O; docs/order-execution.md).

An order that arrives fills at the opposite best, up to the displayed size that nobody has taken since that side changed. What is left
of a MARKET or LIMIT order rests; a resting MARKET order fills at the opposite best of a later quote, a resting LIMIT order at its
limit. All orders share what is displayed, in price-time order.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable
from itertools import takewhile

from attrs import define, field, frozen

from spire.values.amounts import ZERO_QUANTITY, Price, Quantity
from spire.values.orders import BookSide, OrderType, Side, TimeInForce, TradingSession
from spire.values.submission import Submission
from spire.values.time import Timestamp

NO_SESSIONS: frozenset[TradingSession] = frozenset()


@frozen(kw_only=True)
class Quote:
    """A best bid and offer; a side without quote is None. `time` is the market's."""

    sequence: int
    bid: Price | None
    bid_size: Quantity
    ask: Price | None
    ask_size: Quantity
    time: Timestamp

    @property
    def is_tradable(self) -> bool:
        """Return whether both sides are there and do not cross; a locked quote is tradable."""
        return self.bid is not None and self.ask is not None and self.bid <= self.ask


@frozen(kw_only=True)
class Fill:
    """A fill: `taken` is what is taken of the quote's side since it changed, this fill included."""

    order_id: int
    quantity: Quantity
    price: Price
    is_resting: bool
    quote: Quote
    taken: Quantity


@frozen(kw_only=True)
class Removal:
    """An order leaves the book unfilled or partly filled; `is_expired` tells its day's end from the cancel of its rest."""

    order_id: int
    is_expired: bool
    text: str


Outcome = Fill | Removal


@define(eq=False)
class WorkingOrder:
    """An order at the simulated venue; `window_end` is the end of its session in market time, None for never."""

    order_id: int
    side: Side
    limit: Price | None
    quantity: Quantity
    leaves: Quantity
    time_in_force: TimeInForce
    trading_session: TradingSession
    trade_date: str
    window_end: Timestamp | None
    arrival: int = 0

    @property
    def rank(self) -> tuple[int, int, int]:
        """Return the order's place among its side: market orders first, then the best price, then the first to come."""
        if self.limit is None:
            return (0, 0, self.arrival)
        return (1, -self.limit if self.side is Side.BUY else self.limit, self.arrival)


def working(submission: Submission, leaves: Quantity, window_end: Timestamp | None) -> WorkingOrder:
    """Return a submitted order as the venue works it."""
    return WorkingOrder(
        order_id=submission.order_id,
        side=submission.side,
        limit=submission.limit_price if submission.type is OrderType.LIMIT else None,
        quantity=submission.quantity,
        leaves=leaves,
        time_in_force=submission.time_in_force,
        trading_session=submission.trading_session,
        trade_date=submission.trade_date,
        window_end=window_end,
    )


@define
class Resting:
    """The resting orders of one side in price-time order."""

    orders: list[WorkingOrder] = field(factory=list)

    def add(self, order: WorkingOrder) -> None:
        """Put an order in its place."""
        insort(self.orders, order, key=_rank)

    def discard(self, order: WorkingOrder) -> None:
        """Take an order out, if it is there."""
        place = bisect_left(self.orders, order.rank, key=_rank)
        if place < len(self.orders) and self.orders[place] is order:
            del self.orders[place]


class Market:
    """The simulated venue's book of one instrument."""

    def __init__(self) -> None:
        self.quote: Quote | None = None
        self._taken = {BookSide.BID: ZERO_QUANTITY, BookSide.ASK: ZERO_QUANTITY}
        self._resting = {BookSide.BID: Resting(), BookSide.ASK: Resting()}
        self._orders: dict[int, WorkingOrder] = {}
        self._dates: Counter[str] = Counter()
        self._earliest_end: Timestamp | None = None
        self._arrivals = 0

    @property
    def orders(self) -> Iterable[WorkingOrder]:
        """Return the resting orders."""
        return self._orders.values()

    @property
    def is_idle(self) -> bool:
        """Return whether nothing rests: quotes then only change what is displayed."""
        return not self._orders

    def taken(self, side: BookSide) -> Quantity:
        """Return what was taken of a side since it changed."""
        return self._taken[side]

    def restore_taken(self, side: BookSide, taken: Quantity) -> None:
        """Take over what earlier reports say was taken of a side of the current quote."""
        self._taken[side] = taken

    def show(self, quote: Quote, *, bid_changed: bool | None = None, ask_changed: bool | None = None) -> None:
        """Take over the next quote without filling anything; a side's price or size that changed is all untaken.

        The flags say that a side changed on the way although it looks as before.
        """
        before, self.quote = self.quote, quote
        if bid_changed is None:
            bid_changed = before is None or (before.bid, before.bid_size) != (quote.bid, quote.bid_size)
        if ask_changed is None:
            ask_changed = before is None or (before.ask, before.ask_size) != (quote.ask, quote.ask_size)
        if bid_changed:
            self._taken[BookSide.BID] = ZERO_QUANTITY
        if ask_changed:
            self._taken[BookSide.ASK] = ZERO_QUANTITY

    def on_quote(self, quote: Quote, open_sessions: frozenset[TradingSession]) -> list[Outcome]:
        """Take over the next quote and fill what it reaches; `open_sessions` are the sessions that trade at its time."""
        self.show(quote)
        outcomes: list[Outcome] = []
        if not self._orders or not quote.is_tradable or not open_sessions:
            return outcomes
        for side in (BookSide.BID, BookSide.ASK):
            for order in self._reached(side, quote):
                if order.trading_session in open_sessions:
                    outcomes += self._fill(order, quote, is_resting=True)
        return outcomes

    def submit(self, order: WorkingOrder, open_sessions: frozenset[TradingSession], *, is_fresh: bool) -> list[Outcome]:
        """Bring an order to the venue; `is_fresh` says that the quote may be traded upon."""
        self._arrivals += 1
        order.arrival = self._arrivals
        quote = self.quote
        outcomes: list[Outcome] = []
        if quote is not None and is_fresh and quote.is_tradable and order.trading_session in open_sessions:
            available = self._available(order, quote) if self._reaches(order, quote) else 0
            if available and (order.time_in_force is not TimeInForce.FOK or available >= order.leaves):
                outcomes = self._fill(order, quote, is_resting=False)
        if order.leaves and order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
            text = "nothing left at the quote" if outcomes else "no fill at the quote"
            outcomes.append(Removal(order_id=order.order_id, is_expired=False, text=text))
        elif order.leaves:
            self.rest(order)
        return outcomes

    def rest(self, order: WorkingOrder) -> None:
        """Put an order on the book without trading."""
        if not order.arrival:
            self._arrivals += 1
            order.arrival = self._arrivals
        self._orders[order.order_id] = order
        self._dates[order.trade_date] += 1
        if order.window_end is not None and (self._earliest_end is None or order.window_end < self._earliest_end):
            self._earliest_end = order.window_end
        self._resting[_book_side(order.side)].add(order)

    def find(self, order_id: int) -> WorkingOrder | None:
        """Return a resting order."""
        return self._orders.get(order_id)

    def cancel(self, order_id: int) -> WorkingOrder | None:
        """Take an order off the book; None when it does not rest here."""
        order = self._orders.pop(order_id, None)
        if order is not None:
            self._resting[_book_side(order.side)].discard(order)
            self._dates[order.trade_date] -= 1
        return order

    def replace(self, order_id: int, leaves: Quantity, limit: Price | None) -> WorkingOrder | None:
        """Change what an order works; it keeps its place only when nothing but its quantity falls."""
        order = self.cancel(order_id)
        if order is None:
            return None
        if limit != order.limit or leaves > order.leaves:
            order.arrival = 0
        order.limit, order.leaves = limit, leaves
        self.rest(order)
        return order

    def expire(self, market_time: Timestamp, trade_date: str) -> list[Outcome]:
        """End the orders whose session is over in market time, or whose trade date is no longer the venue's."""
        is_due = self._earliest_end is not None and market_time >= self._earliest_end
        if not is_due and self._dates[trade_date] == len(self._orders):
            return []
        over = [
            order
            for order in self._orders.values()
            if order.trade_date != trade_date or (order.window_end is not None and market_time >= order.window_end)
        ]
        for order in over:
            self.cancel(order.order_id)
        ends = [order.window_end for order in self._orders.values() if order.window_end is not None]
        self._earliest_end = min(ends, default=None)
        return [Removal(order_id=order.order_id, is_expired=True, text="the session is over") for order in over]

    def _reached(self, side: BookSide, quote: Quote) -> list[WorkingOrder]:
        """Return the resting orders of a side that a quote reaches, which stand in front of all others."""
        return list(takewhile(lambda order: self._reaches(order, quote), self._resting[side].orders))

    def _reaches(self, order: WorkingOrder, quote: Quote) -> bool:
        if order.limit is None:
            return True
        if order.side is Side.BUY:
            return quote.ask is not None and quote.ask <= order.limit
        return quote.bid is not None and quote.bid >= order.limit

    def _available(self, order: WorkingOrder, quote: Quote) -> int:
        if order.side is Side.BUY:
            return max(0, quote.ask_size - self._taken[BookSide.ASK])
        return max(0, quote.bid_size - self._taken[BookSide.BID])

    def _fill(self, order: WorkingOrder, quote: Quote, *, is_resting: bool) -> list[Outcome]:
        quantity = Quantity(min(order.leaves, self._available(order, quote)))
        if quantity <= 0:
            return []
        against = BookSide.ASK if order.side is Side.BUY else BookSide.BID
        best = quote.ask if order.side is Side.BUY else quote.bid
        assert best is not None
        self._taken[against] = Quantity(self._taken[against] + quantity)
        order.leaves = Quantity(order.leaves - quantity)
        if not order.leaves:
            self.cancel(order.order_id)
        return [
            Fill(
                order_id=order.order_id,
                quantity=quantity,
                price=order.limit if is_resting and order.limit is not None else best,
                is_resting=is_resting,
                quote=quote,
                taken=self._taken[against],
            )
        ]


def _rank(order: WorkingOrder) -> tuple[int, int, int]:
    return order.rank


def _book_side(side: Side) -> BookSide:
    return BookSide.BID if side is Side.BUY else BookSide.ASK
