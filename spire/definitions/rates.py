"""Conversion between currencies (sans-I/O): a missing rate is None, never 1 and never 0."""

from collections.abc import Iterable

from attrs import frozen

from spire.definitions.parsing import RATE_SCALE
from spire.definitions.values import ExchangeRate
from spire.values.amounts import Money, Rounding, divide
from spire.values.codes import Currency


@frozen(kw_only=True)
class Conversion:
    """Multiply by `numerator` / `denominator`; `rate_ids` are the rates that it came from, none for the same currency."""

    numerator: int
    denominator: int
    rate_ids: tuple[str, ...]

    def convert(self, amount: Money, rounding: Rounding) -> Money:
        """Return the amount in the other currency, rounded once at 10**-6."""
        return Money(divide(amount * self.numerator, self.denominator, rounding))


def find_conversion(rates: Iterable[ExchangeRate], base: Currency, counter: Currency) -> Conversion | None:
    """Return how to convert `base` into `counter`: directly, inverted, or through one third currency, in that order.

    Among several third currencies the first in the alphabet counts; None where no such way exists.
    """
    if base == counter:
        return Conversion(numerator=1, denominator=1, rate_ids=())
    legs: dict[tuple[Currency, Currency], Conversion] = {}
    for rate in rates:
        inverse = Conversion(numerator=RATE_SCALE, denominator=rate.rate, rate_ids=(rate.rate_id,))
        legs.setdefault((rate.counter, rate.base), inverse)
        legs[rate.base, rate.counter] = Conversion(
            numerator=rate.rate, denominator=RATE_SCALE, rate_ids=(rate.rate_id,)
        )
    direct = legs.get((base, counter))
    if direct is not None:
        return direct
    for third in sorted({middle for start, middle in legs if start == base}):
        second = legs.get((third, counter))
        if second is not None:
            first = legs[base, third]
            return Conversion(
                numerator=first.numerator * second.numerator,
                denominator=first.denominator * second.denominator,
                rate_ids=first.rate_ids + second.rate_ids,
            )
    return None
