"""The order that closes a position: a marketable limit inside the collar, for at once or not at all (sans-I/O; docs/risk.md)."""

from typing import Final

from attrs import frozen

from spire.accounting.buying_power import BASIS_POINTS
from spire.definitions.ticks import round_to_tick
from spire.definitions.values import TickTable
from spire.values.amounts import ZERO_QUANTITY, Price, Quantity, Rounding, divide
from spire.values.orders import Side

COLLAR: Final = 500
"""Basis points beyond the opposite best that a flattening order may trade."""


@frozen(kw_only=True)
class FlattenOrder:
    """A LIMIT IOC order of the Risk Server."""

    instrument_id: int
    side: Side
    quantity: Quantity
    limit_price: Price


def closing_side(quantity: int) -> Side:
    """Return the side that closes a position."""
    return Side.SELL if quantity > 0 else Side.BUY


def closing_quantity(held: Quantity, pending: Quantity, increment: Quantity) -> Quantity:
    """Return how much may still be closed: the position less what is pending on its closing side, in whole increments."""
    rest = max(0, abs(held) - pending)
    return Quantity(rest - rest % increment) if rest else ZERO_QUANTITY


def closing_limit(side: Side, bid: Price, ask: Price, ticks: TickTable) -> Price:
    """Return the limit: 5 % worse than the opposite best, on the tick next to it inside the collar.

    Where ticks are so wide that none lies between, the tick that reaches the opposite best.
    """
    if side is Side.SELL:
        worst = Price(divide(bid * (BASIS_POINTS - COLLAR), BASIS_POINTS, Rounding.CEILING))
        return min(_at(ticks, worst, Rounding.CEILING), _at(ticks, bid, Rounding.FLOOR))
    worst = Price(divide(ask * (BASIS_POINTS + COLLAR), BASIS_POINTS, Rounding.FLOOR))
    return max(_at(ticks, worst, Rounding.FLOOR), _at(ticks, ask, Rounding.CEILING))


def _at(ticks: TickTable, price: Price, rounding: Rounding) -> Price:
    return round_to_tick(ticks, Price(max(1, price)), rounding)
