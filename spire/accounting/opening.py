"""Whether an order opens risk, counting what is already pending (docs/accounting.md)."""

from spire.values.amounts import Quantity
from spire.values.orders import Side


def opens(held: Quantity, side: Side, quantity: Quantity, pending: Quantity) -> bool:
    """Return whether an order adds risk.

    `held` is the signed position, `pending` the leaves of the live orders on the order's own side. An order reduces only when it
    and all of them together stay within the position: two cannot over-close, and one that is partly covered opens.
    """
    if held * side.direction >= 0:
        return True
    return quantity + pending > abs(held)


def needs_short(held: Quantity, side: Side, quantity: Quantity, pending: Quantity) -> bool:
    """Return whether a plain SELL would go beyond the long position less the pending sells: it must be marked short."""
    return side is Side.SELL and quantity + pending > max(0, held)
