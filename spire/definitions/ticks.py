"""Tick sizes: which prices an order may name (sans-I/O). They bind orders, never prints."""

from spire.definitions.values import TickTable
from spire.values.amounts import Price, Rounding, divide


def tick_at(table: TickTable, price: Price) -> Price:
    """Return the tick at a price above 0; ValueError at 0 or below."""
    if price <= 0:
        raise ValueError("a price must be above 0")
    tick = table.steps[0].tick
    for step in table.steps:
        if step.from_price > price:
            break
        tick = step.tick
    return tick


def is_on_tick(table: TickTable, price: Price) -> bool:
    """Whether an order may name this price: above 0 and a multiple of the tick there."""
    return price > 0 and price % tick_at(table, price) == 0


def round_to_tick(table: TickTable, price: Price, rounding: Rounding) -> Price:
    """Return the price that an order may name next to `price`, by `rounding`, never below the least tick.

    A step boundary lies on the ticks of both sides, so that rounding up out of a step ends on a legal price.
    """
    tick = tick_at(table, price)
    return Price(max(divide(price, tick, rounding) * tick, table.steps[0].tick))
