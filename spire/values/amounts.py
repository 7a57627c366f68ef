"""Prices, quantities and money as integers scaled by 10**6, with strict text forms and explicit rounding (docs/values.md)."""

import re
from decimal import Context, Decimal
from enum import IntEnum
from typing import Final, NewType

SCALE: Final = 1_000_000
"""How many of the smallest units make one share, one unit of currency, one unit of price."""

INT64_MAX: Final = 2**63 - 1
INT64_MIN: Final = -(2**63)

Money = NewType("Money", int)
"""An amount of one currency at 10**-6; negative is a debit."""

Price = NewType("Price", int)
"""A price of one unit of an instrument at 10**-6."""

Quantity = NewType("Quantity", int)
"""A quantity of an instrument at 10**-6; a position's is negative when short."""

Notional = NewType("Notional", int)
"""Price x quantity at 10**-12: a Python integer, because 64 bits end at 9.2 million."""

ZERO_MONEY: Final = Money(0)
ZERO_PRICE: Final = Price(0)
ZERO_QUANTITY: Final = Quantity(0)
ZERO_NOTIONAL: Final = Notional(0)

_DIGITS: Final = 6
_DECIMAL = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]{1,6}))?", re.ASCII)
_WIDE: Final = Context(prec=60)


class Rounding(IntEnum):
    """What happens to the part that does not fit: each caller names it."""

    HALF_EVEN = 1
    UP = 2
    """Away from zero."""
    DOWN = 3
    """Towards zero."""
    FLOOR = 4
    CEILING = 5


def whole(count: int) -> int:
    """Return `count` whole units as a scaled integer."""
    return count * SCALE


def divide(numerator: int, denominator: int, rounding: Rounding) -> int:
    """Return numerator / denominator as an integer, rounded as named.

    ZeroDivisionError: the denominator is zero.
    """
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    quotient, rest = divmod(numerator, denominator)
    if not rest or rounding is Rounding.FLOOR:
        return quotient
    if rounding is Rounding.CEILING:
        return quotient + 1
    if rounding is Rounding.UP:
        return quotient if numerator < 0 else quotient + 1
    if rounding is Rounding.DOWN:
        return quotient + 1 if numerator < 0 else quotient
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient % 2):
        return quotient + 1
    return quotient


def notional(price: Price, quantity: Quantity) -> Notional:
    """Return price x quantity, exact at 10**-12, with the quantity's sign."""
    return Notional(price * quantity)


def money_of(value: Notional, rounding: Rounding) -> Money:
    """Return a notional as money, rounded at 10**-6 as named."""
    return Money(divide(value, SCALE, rounding))


def value_of(price: Price, quantity: Quantity, rounding: Rounding = Rounding.HALF_EVEN) -> Money:
    """Return price x quantity as money, rounded at 10**-6; half-even unless named."""
    return Money(divide(price * quantity, SCALE, rounding))


def decimal_of(value: Notional) -> Decimal:
    """Return a notional in units of currency, exact: the form it has on the wire and in DECIMAL(38,12)."""
    return Decimal(value).scaleb(-12, _WIDE)


def notional_of(value: Decimal) -> Notional:
    """Return the notional that a decimal stands for.

    ValueError: it has more than twelve decimals, or is no number.
    """
    if not value.is_finite():
        raise ValueError(f"{value} is not a number")
    scaled = value.scaleb(12, _WIDE)
    result = int(scaled)
    if result != scaled:
        raise ValueError(f"{value} has more than 12 decimals")
    return Notional(result)


def parse_amount(text: str, what: str = "amount") -> int:
    """Return a decimal string as a scaled integer.

    The form is digits, with a minus sign if negative and at most six decimals; no plus sign, exponent, blank, separator or
    leading zero. ValueError: another form, or it does not fit 64 bits.
    """
    match = _DECIMAL.fullmatch(text) if isinstance(text, str) and len(text) <= 32 else None
    if match is None:
        raise ValueError(f"{text!r} is no {what}: write digits with at most {_DIGITS} decimals, such as 14.25")
    sign, units, decimals = match.groups()
    result = int(units) * SCALE + int((decimals or "").ljust(_DIGITS, "0"))
    if sign:
        result = -result
    if not INT64_MIN <= result <= INT64_MAX:
        bound = (
            f"the least {what} is {format_amount(INT64_MIN)}"
            if sign
            else f"the greatest {what} is {format_amount(INT64_MAX)}"
        )
        raise ValueError(f"{text} is out of range: {bound}")
    return result


def parse_price(text: str) -> Price:
    """Return a decimal string as a price; ValueError as for `parse_amount`."""
    return Price(parse_amount(text, "price"))


def parse_quantity(text: str) -> Quantity:
    """Return a decimal string as a quantity; ValueError as for `parse_amount`."""
    return Quantity(parse_amount(text, "quantity"))


def parse_money(text: str) -> Money:
    """Return a decimal string as money; ValueError as for `parse_amount`."""
    return Money(parse_amount(text, "amount of money"))


def format_amount(value: int) -> str:
    """Return a scaled integer as a decimal string, without trailing zeros: the inverse of `parse_amount`."""
    units, rest = divmod(abs(value), SCALE)
    sign = "-" if value < 0 else ""
    return f"{sign}{units}.{rest:06d}".rstrip("0") if rest else f"{sign}{units}"
