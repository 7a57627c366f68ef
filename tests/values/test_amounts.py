"""Amounts are strict going in, exact inside and rounded only as named."""

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.values.amounts import (
    INT64_MAX,
    INT64_MIN,
    Notional,
    Price,
    Quantity,
    Rounding,
    decimal_of,
    divide,
    format_amount,
    money_of,
    notional,
    notional_of,
    parse_amount,
    parse_money,
    parse_price,
    parse_quantity,
    value_of,
    whole,
)

SIXTY_FOUR_BITS = st.integers(INT64_MIN, INT64_MAX)
QUICK = settings(max_examples=60, derandomize=True, deadline=None)


class ParsingTests(SynchronousTestCase):
    """Text becomes an amount in one form only."""

    def test_decimals_are_scaled(self) -> None:
        """A price of 14.25 is 14,250,000 millionths."""
        self.assertEqual(parse_price("14.25"), 14_250_000)

    def test_whole_numbers_are_scaled(self) -> None:
        """A quantity of 100 is a hundred whole units."""
        self.assertEqual(parse_quantity("100"), whole(100))

    def test_negative_money_is_read(self) -> None:
        """A minus sign makes a debit."""
        self.assertEqual(parse_money("-0.000001"), -1)

    def _refused(self, text: str) -> None:
        with self.assertRaises(ValueError):
            parse_amount(text)

    def test_a_seventh_decimal_is_refused(self) -> None:
        """Nothing is rounded on the way in."""
        self._refused("1.0000001")

    def test_an_exponent_is_refused(self) -> None:
        """Scientific notation is no amount."""
        self._refused("1e3")

    def test_a_plus_sign_is_refused(self) -> None:
        """There is one way to write a positive amount."""
        self._refused("+1")

    def test_blanks_are_refused(self) -> None:
        """Blanks are not cut away."""
        self._refused(" 1")

    def test_a_leading_zero_is_refused(self) -> None:
        """007 may be a typing error."""
        self._refused("007")

    def test_a_bare_point_is_refused(self) -> None:
        """Digits stand on both sides of the point."""
        self._refused("1.")

    def test_digits_of_another_script_are_refused(self) -> None:
        """Only ASCII digits count."""
        self._refused("\u0661")

    def test_what_does_not_fit_64_bits_is_refused(self) -> None:
        """One millionth more than the greatest amount is out of range; the text says which is the greatest, or the least."""
        self._refused("9223372036854.775808")
        with self.assertRaisesRegex(ValueError, "the greatest price is 9223372036854.775807"):
            parse_price("9223372036854.775808")
        with self.assertRaisesRegex(ValueError, "the least price is -9223372036854.775808"):
            parse_price("-9223372036854.775809")

    @given(SIXTY_FOUR_BITS)
    @QUICK
    def test_formatting_and_parsing_are_inverse(self, value: int) -> None:
        """Every amount survives its text form."""
        self.assertEqual(parse_amount(format_amount(value)), value)

    def test_formatting_drops_trailing_zeros(self) -> None:
        """A whole amount has no point."""
        self.assertEqual([format_amount(whole(3)), format_amount(-1_500_000)], ["3", "-1.5"])


class RoundingTests(SynchronousTestCase):
    """Division rounds exactly as its caller says."""

    @given(st.integers(-(10**30), 10**30), st.integers(-(10**15), 10**15).filter(bool))
    @QUICK
    def test_every_rounding_agrees_with_exact_fractions(self, numerator: int, denominator: int) -> None:
        """Each mode gives what the exact quotient rounds to."""
        exact = Fraction(numerator, denominator)
        expected = {
            Rounding.HALF_EVEN: round(exact),
            Rounding.FLOOR: floor(exact),
            Rounding.CEILING: ceil(exact),
            Rounding.UP: ceil(exact) if exact > 0 else floor(exact),
            Rounding.DOWN: floor(exact) if exact > 0 else ceil(exact),
        }
        self.assertEqual({mode: divide(numerator, denominator, mode) for mode in Rounding}, expected)

    def test_halves_go_to_the_even_neighbour(self) -> None:
        """0.5 becomes 0, 1.5 becomes 2, -2.5 becomes -2."""
        self.assertEqual([divide(n, 2, Rounding.HALF_EVEN) for n in (1, 3, -5)], [0, 2, -2])


class NotionalTests(SynchronousTestCase):
    """Price times quantity stays exact beyond 64 bits."""

    def test_a_large_notional_does_not_wrap(self) -> None:
        """A million shares at 100,000 exceed 64 bits at 10**-12 and stay exact."""
        self.assertEqual(notional(parse_price("100000"), parse_quantity("1000000")), 10**11 * 10**12)

    @given(SIXTY_FOUR_BITS, SIXTY_FOUR_BITS)
    @QUICK
    def test_the_decimal_form_is_exact(self, price: int, quantity: int) -> None:
        """A notional survives its decimal form."""
        value = notional(Price(price), Quantity(quantity))
        self.assertEqual(notional_of(decimal_of(value)), value)

    def test_a_thirteenth_decimal_is_refused(self) -> None:
        """A decimal finer than 10**-12 is no notional."""
        with self.assertRaises(ValueError):
            notional_of(Decimal("0.0000000000001"))

    def test_not_a_number_is_refused(self) -> None:
        """NaN is no notional."""
        with self.assertRaises(ValueError):
            notional_of(Decimal("NaN"))

    def test_money_is_rounded_as_named(self) -> None:
        """Half a millionth goes up or down by name."""
        half = Notional(500_000)
        self.assertEqual([money_of(half, Rounding.UP), money_of(half, Rounding.DOWN)], [1, 0])

    def test_value_keeps_the_sign_of_the_quantity(self) -> None:
        """A short position has a negative value."""
        self.assertEqual(value_of(parse_price("2.5"), Quantity(-whole(4))), -whole(10))
