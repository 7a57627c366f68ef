"""The fill rule, worked out a second time from the recorded quotes: the system test's oracle for the simulation driver.

One instrument, orders in the sequence in which they reached the driver. Plain Python over the tape's own tuples; it
shares nothing with the platform's matching.
"""

from typing import NamedTuple

from tests.system.tape import Quote


class Fill(NamedTuple):
    """One fill: which order, the index of the quote that filled it, price and size at 10**6."""

    order: str
    quote: int
    price: int
    size: int


class _Order:
    def __init__(
        self, name: str, *, buys: bool, limit: int | None, size: int, arrival: int, session: tuple[int, int]
    ) -> None:
        self.name = name
        self.session = session
        self.buys = buys
        self.limit = limit
        self.leaves = size
        self.arrival = arrival

    def rank(self) -> tuple[int, int]:
        if self.limit is None:
            return (-(10**18), self.arrival)
        return (-self.limit if self.buys else self.limit, self.arrival)


class FillRule:
    """Orders of one instrument against a succession of best bids and offers; a session is a (start, end) in market time."""

    def __init__(self) -> None:
        self.fills: list[Fill] = []
        self.canceled: set[str] = set()
        self._resting: list[_Order] = []
        self._quote: Quote | None = None
        self._index = -1
        self._left = {True: 0, False: 0}  # size not yet taken on the side that (buys, sells) trade against
        self._arrivals = 0

    def quote(self, index: int, change: Quote) -> None:
        """Show the rule the next change; what was taken is forgotten on a side whose price or size changed."""
        before, self._quote, self._index = self._quote, change, index
        if before is None or (before.ask, before.ask_size) != (change.ask, change.ask_size):
            self._left[True] = change.ask_size or 0
        if before is None or (before.bid, before.bid_size) != (change.bid, change.bid_size):
            self._left[False] = change.bid_size or 0
        for order in sorted(self._resting, key=_Order.rank):
            self._trade(order, resting=True)
        self._resting = [order for order in self._resting if order.leaves]

    @property
    def shown(self) -> Quote:
        """The quote shown last."""
        assert self._quote is not None
        return self._quote

    def left(self, *, buys: bool) -> int:
        """Return the size not yet taken on the side that an order trades against."""
        return self._left[buys]

    def leaves(self, *, buys: bool) -> int:
        """Return what the resting orders of a side still want."""
        return sum(order.leaves for order in self._resting if order.buys is buys)

    def is_resting(self, name: str) -> bool:
        """Return whether an order rests."""
        return any(order.name == name for order in self._resting)

    def filled(self, name: str) -> int:
        """Return how much of an order was filled."""
        return sum(fill.size for fill in self.fills if fill.order == name)

    def submit(
        self,
        name: str,
        *,
        buys: bool,
        size: int,
        limit: int | None,
        session: tuple[int, int],
        time_in_force: str = "DAY",
    ) -> None:
        """Bring an order to the driver at the quote shown last."""
        self._arrivals += 1
        order = _Order(name, buys=buys, limit=limit, size=size, arrival=self._arrivals, session=session)
        if time_in_force == "FOK" and self._reachable(order) < size:
            self.canceled.add(name)
            return
        self._trade(order, resting=False)
        if order.leaves and time_in_force in ("IOC", "FOK"):
            self.canceled.add(name)
        elif order.leaves:
            self._resting.append(order)

    def cancel(self, name: str) -> None:
        """Take a resting order away."""
        self._resting = [order for order in self._resting if order.name != name]
        self.canceled.add(name)

    def _tradable(self, order: _Order) -> bool:
        quote = self._quote
        if quote is None or quote.bid is None or quote.ask is None or quote.bid > quote.ask:
            return False
        return order.session[0] <= quote.time < order.session[1]

    def _reachable(self, order: _Order) -> int:
        if not self._tradable(order) or self._quote is None:
            return 0
        opposite = self._quote.ask if order.buys else self._quote.bid
        assert opposite is not None
        reached = order.limit is None or (opposite <= order.limit if order.buys else opposite >= order.limit)
        return self._left[order.buys] if reached else 0

    def _trade(self, order: _Order, *, resting: bool) -> None:
        size = min(order.leaves, self._reachable(order))
        if not size:
            return
        assert self._quote is not None
        opposite = self._quote.ask if order.buys else self._quote.bid
        price = order.limit if resting and order.limit is not None else opposite
        assert price is not None
        self._left[order.buys] -= size
        order.leaves -= size
        self.fills.append(Fill(order.name, self._index, price, size))
