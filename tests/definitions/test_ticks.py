"""Tick tables, eligibility and exchange rates."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.definitions.eligibility import eligibility_array, eligibility_of
from spire.definitions.files import default_directory, load_datasets
from spire.definitions.rates import find_conversion
from spire.definitions.ticks import is_on_tick, round_to_tick, tick_at
from spire.definitions.values import ExchangeRate, TickStep, TickTable
from spire.marketdata.values import COUNTS_ALL, COUNTS_HIGH_LOW, COUNTS_LAST, COUNTS_OPEN, COUNTS_VOLUME
from spire.values.amounts import Money, Price, Rounding, parse_price
from spire.values.codes import Currency
from spire.values.environment import Environment
from spire.values.time import Timestamp

DATASETS = load_datasets(default_directory(), Environment.DEMO)
US = next(table for table in DATASETS.tick_tables if table.name == "US_EQUITIES")
CONSOLIDATED = next(rule for rule in DATASETS.eligibility if rule.name == "CONSOLIDATED")
PRICES = st.integers(1, 10**12).map(Price)


class TickTests(SynchronousTestCase):
    """The US tick table that ships."""

    def test_a_cent_from_one_dollar_on(self) -> None:
        """At 1.00 the tick is 0.01."""
        self.assertEqual(tick_at(US, parse_price("1")), parse_price("0.01"))

    def test_a_hundredth_of_a_cent_below_one_dollar(self) -> None:
        """At 0.9999 the tick is 0.0001."""
        self.assertEqual(tick_at(US, parse_price("0.9999")), parse_price("0.0001"))

    def test_half_a_cent_is_off_tick(self) -> None:
        """13.805 is no order price, 13.80 is, 0.1234 is."""
        wanted = [is_on_tick(US, parse_price(text)) for text in ("13.805", "13.8", "0.1234", "0.12345")]
        self.assertEqual(wanted, [False, True, True, False])

    def test_nothing_at_or_below_zero_is_on_tick(self) -> None:
        """0 and a negative price are no order prices."""
        self.assertEqual([is_on_tick(US, Price(0)), is_on_tick(US, Price(-10_000))], [False, False])

    @settings(max_examples=200)
    @given(price=PRICES, rounding=st.sampled_from(Rounding))
    def test_a_rounded_price_is_on_tick_and_near(self, price: Price, rounding: Rounding) -> None:
        """Rounding ends on a tick less than one tick away, or on the least price."""
        rounded = round_to_tick(US, price, rounding)
        self.assertTrue(is_on_tick(US, rounded))
        self.assertTrue(abs(rounded - price) < tick_at(US, price) or rounded == US.steps[0].tick)

    @settings(max_examples=100)
    @given(price=PRICES)
    def test_rounding_goes_the_way_it_says(self, price: Price) -> None:
        """FLOOR never rises above the price but to the least one, CEILING never falls below it."""
        self.assertLessEqual(round_to_tick(US, price, Rounding.FLOOR), max(price, US.steps[0].tick))
        self.assertGreaterEqual(round_to_tick(US, price, Rounding.CEILING), price)

    def test_a_table_must_begin_at_zero(self) -> None:
        """A table that leaves low prices open is refused."""
        with self.assertRaisesRegex(ValueError, "begin at price 0"):
            TickTable(name="X", steps=(TickStep(from_price=Price(1_000_000), tick=Price(10_000)),))

    def test_a_step_must_lie_on_its_own_tick(self) -> None:
        """A step from 1.005 with a tick of 0.01 is refused."""
        steps = (
            TickStep(from_price=Price(0), tick=Price(1)),
            TickStep(from_price=Price(1_005_000), tick=Price(10_000)),
        )
        with self.assertRaisesRegex(ValueError, "divide"):
            TickTable(name="X", steps=steps)


class EligibilityTests(SynchronousTestCase):
    """Which prints count, by the conditions of the data."""

    def test_a_regular_print_counts_for_all(self) -> None:
        """Condition bit 0 alone counts for everything."""
        self.assertEqual(eligibility_of(CONSOLIDATED, 0x1), COUNTS_ALL)

    def test_a_sweep_counts_for_all(self) -> None:
        """An intermarket sweep that is trade-through exempt counts for everything."""
        self.assertEqual(eligibility_of(CONSOLIDATED, 0x20000020), COUNTS_ALL)

    def test_an_extended_hours_print_counts_for_volume_only(self) -> None:
        """Form T sets no price."""
        self.assertEqual(eligibility_of(CONSOLIDATED, 0x2000), COUNTS_VOLUME)

    def test_a_derivatively_priced_print_sets_no_last(self) -> None:
        """It counts for high, low and volume."""
        self.assertEqual(eligibility_of(CONSOLIDATED, 1 << 9), COUNTS_HIGH_LOW | COUNTS_VOLUME)

    def test_an_official_close_counts_for_nothing(self) -> None:
        """The listing venue's closing price message repeats what was counted."""
        self.assertEqual(eligibility_of(CONSOLIDATED, 1 << 24), 0)

    def test_the_opening_and_closing_prints_count_for_all(self) -> None:
        """Auction prints set open, high, low and last."""
        wanted = COUNTS_OPEN | COUNTS_HIGH_LOW | COUNTS_LAST | COUNTS_VOLUME
        self.assertEqual([eligibility_of(CONSOLIDATED, bits) for bits in (0x40, 0x80)], [wanted, wanted])

    def test_all_counts_everything(self) -> None:
        """The rule ALL takes every print."""
        rule = next(each for each in DATASETS.eligibility if each.name == "ALL")
        self.assertEqual(eligibility_of(rule, 2**64 - 1), COUNTS_ALL)

    @settings(max_examples=50)
    @given(conditions=st.lists(st.integers(0, 2**64 - 1), max_size=20))
    def test_an_array_answers_as_its_prints_do(self, conditions: list[int]) -> None:
        """The columnar form equals the single form."""
        answer = eligibility_array(CONSOLIDATED, np.array(conditions, dtype="<u8"))
        self.assertEqual(answer.tolist(), [eligibility_of(CONSOLIDATED, each) for each in conditions])


def rate(pair: str, value: str) -> ExchangeRate:
    """Return a rate by its pair."""
    base, counter = pair.split("/")
    return ExchangeRate(
        rate_id=pair,
        base=Currency(base),
        counter=Currency(counter),
        rate=int(float(value) * 10**9),
        as_of=Timestamp(0),
        source="test",
    )


class ConversionTests(SynchronousTestCase):
    """Exchange rates."""

    RATES = (rate("EUR/USD", "1.25"), rate("USD/CAD", "1.5"))

    def convert(self, pair: str) -> int | None:
        """Return 100 units in the other currency."""
        base, counter = pair.split("/")
        found = find_conversion(self.RATES, Currency(base), Currency(counter))
        return None if found is None else found.convert(Money(100_000_000), Rounding.HALF_EVEN)

    def test_a_rate_multiplies(self) -> None:
        """100 EUR at 1.25 are 125 USD."""
        self.assertEqual(self.convert("EUR/USD"), 125_000_000)

    def test_an_inverse_divides(self) -> None:
        """100 USD at 1.25 are 80 EUR."""
        self.assertEqual(self.convert("USD/EUR"), 80_000_000)

    def test_a_third_currency_is_crossed(self) -> None:
        """100 EUR are 187.5 CAD through USD, and the rates used are named."""
        self.assertEqual(self.convert("EUR/CAD"), 187_500_000)
        found = find_conversion(self.RATES, Currency("EUR"), Currency("CAD"))
        assert found is not None
        self.assertEqual(found.rate_ids, ("EUR/USD", "USD/CAD"))

    def test_the_same_currency_needs_no_rate(self) -> None:
        """100 JPY are 100 JPY."""
        self.assertEqual(self.convert("JPY/JPY"), 100_000_000)

    def test_a_missing_rate_is_none(self) -> None:
        """Nothing is known of JPY: never 1, never 0."""
        self.assertIsNone(self.convert("EUR/JPY"))
