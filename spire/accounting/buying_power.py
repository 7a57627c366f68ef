"""How much buying power the live orders and the position in one instrument use (docs/accounting.md).

Used is the greater of what all buys and what all sells could lead to, priced when each order was decided. Filled quantity moves
from the orders to the position, which counts with its cost; a reducing fill therefore releases what was paid, not the proceeds.
"""

from bisect import bisect_left, insort
from typing import Final

from attrs import define, field

from spire.accounting.position import Position
from spire.values.amounts import (
    SCALE,
    ZERO_NOTIONAL,
    ZERO_QUANTITY,
    Money,
    Notional,
    Price,
    Quantity,
    Rounding,
    divide,
    money_of,
)
from spire.values.orders import OrderType, Side

BASIS_POINTS: Final = 10_000


def collared(price: Price, side: Side, collar: int) -> Price:
    """Return a price made worse for a side by `collar` basis points, rounded away from the market."""
    if side is Side.BUY:
        return Price(divide(price * (BASIS_POINTS + collar), BASIS_POINTS, Rounding.CEILING))
    return Price(divide(price * (BASIS_POINTS - collar), BASIS_POINTS, Rounding.FLOOR))


def reservation_price(
    side: Side, order_type: OrderType, limit: Price | None, bid: Price, ask: Price, *, collar: int, margin: int
) -> Price:
    """Return the price at which an order reserves buying power.

    A buy: a limit order at its limit, a market order at the ask plus the collar. A sell counts where it goes beyond the position:
    at the greater of limit and ask plus the margin when marked short, else at the limit, or the bid for a market order. `collar`
    and `margin` are basis points.
    """
    if side is Side.BUY:
        return limit if order_type is OrderType.LIMIT and limit is not None else collared(ask, side, collar)
    if side.is_short:
        worst = max(limit or ask, ask)
        return Price(divide(worst * (BASIS_POINTS + margin), BASIS_POINTS, Rounding.CEILING))
    return limit if order_type is OrderType.LIMIT and limit is not None else bid


@define
class SideUse:
    """The live orders of one side: (price, order_id) in price order with their leaves, and running sums."""

    entries: list[tuple[Price, int]] = field(factory=list)
    leaves: dict[int, tuple[Price, Quantity]] = field(factory=dict)
    quantity: Quantity = ZERO_QUANTITY
    notional: Notional = ZERO_NOTIONAL

    def put(self, order_id: int, price: Price, leaves: Quantity) -> None:
        """Set what an order still works; zero removes it."""
        before = self.leaves.pop(order_id, None)
        if before is not None:
            self.quantity = Quantity(self.quantity - before[1])
            self.notional = Notional(self.notional - before[0] * before[1])
        if before is not None and (leaves <= 0 or before[0] != price):
            del self.entries[bisect_left(self.entries, (before[0], order_id))]
            before = None
        if leaves > 0:
            if before is None:
                insort(self.entries, (price, order_id))
            self.leaves[order_id] = (price, leaves)
            self.quantity = Quantity(self.quantity + leaves)
            self.notional = Notional(self.notional + price * leaves)

    def beyond(self, covered: int, *, cheapest_first: bool) -> Notional:
        """Return the notional of what a position of `covered` does not absorb, taking its orders in price order."""
        if covered <= 0:
            return self.notional
        if self.quantity <= covered:
            return Notional(0)
        absorbed = 0
        for price, order_id in self.entries if cheapest_first else reversed(self.entries):
            taken = min(covered, self.leaves[order_id][1])
            absorbed += price * taken
            covered -= taken
            if not covered:
                break
        return Notional(self.notional - absorbed)


@define
class InstrumentUse:
    """The live orders of one trading account in one instrument."""

    buys: SideUse = field(factory=SideUse)
    sells: SideUse = field(factory=SideUse)

    def side(self, side: Side) -> SideUse:
        """Return the orders of the side that an order stands on."""
        return self.buys if side is Side.BUY else self.sells

    def used(self, position: Position | None, extra: tuple[Side, Price, Quantity] | None = None) -> Money:
        """Return the buying power in use, rounded up; `extra` is an order that would be added, without adding it."""
        held = 0 if position is None else position.quantity
        cost = 0 if position is None else abs(position.cost) * SCALE
        if extra is not None:
            self.side(extra[0]).put(_TRIAL, extra[1], extra[2])
        try:
            buying = self.buys.beyond(-held, cheapest_first=False)
            selling = self.sells.beyond(held, cheapest_first=True)
        finally:
            if extra is not None:
                self.side(extra[0]).put(_TRIAL, extra[1], ZERO_QUANTITY)
        if held > 0:
            return money_of(Notional(max(buying + cost, selling)), Rounding.UP)
        if held < 0:
            return money_of(Notional(max(buying, selling + cost)), Rounding.UP)
        return money_of(Notional(max(buying, selling)), Rounding.UP)


_TRIAL: Final = 0
"""An order id that is never given out, for the order that is being tried."""
