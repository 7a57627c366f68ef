"""Average cost is exact where it can be, and nothing is lost where it is rounded."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.accounting.position import Position, apply_amount, apply_posting, apply_trade, unrealised
from spire.values.amounts import Money, Price, Quantity, Rounding, money_of, notional, whole
from spire.values.codes import Currency
from spire.values.orders import PostingKind
from tests.values.examples import dollars, make_posting, shares

USD = Currency("USD")
FLAT = Position(currency=USD)
TRADES = st.lists(st.tuples(st.integers(-500, 500).filter(bool), st.integers(1, 2 * 10**9)), min_size=1, max_size=12)
FRACTIONS = st.lists(
    st.tuples(st.integers(-(10**9), 10**9).filter(bool), st.integers(1, 10**9)), min_size=1, max_size=12
)


def cash(quantity: int, price: int) -> int:
    """Return the cash that a trade moves."""
    return -money_of(notional(Price(price), Quantity(quantity)), Rounding.HALF_EVEN)


class AverageCostTests(SynchronousTestCase):
    """Positions by hand."""

    def test_a_purchase_costs_what_was_paid(self) -> None:
        """100 at 14 cost 1,400."""
        position = apply_trade(FLAT, shares(100), dollars(14))
        self.assertEqual((position.quantity, position.cost, position.realised), (shares(100), whole(1400), 0))

    def test_the_average_follows_purchases(self) -> None:
        """100 at 14 and 100 at 15 average 14.50."""
        position = apply_trade(apply_trade(FLAT, shares(100), dollars(14)), shares(100), dollars(15))
        self.assertEqual(position.average_price, dollars(14.5))

    def test_a_sale_realises_against_the_average(self) -> None:
        """Selling 50 of them at 16 realises 75 and keeps the average."""
        position = apply_trade(apply_trade(FLAT, shares(100), dollars(14.5)), shares(-50), dollars(16))
        self.assertEqual((position.cost, position.realised), (whole(725), whole(75)))

    def test_crossing_through_zero_closes_then_opens(self) -> None:
        """Selling 150 of 100 realises on 100 and is short 50 at the trade's price."""
        position = apply_trade(apply_trade(FLAT, shares(100), dollars(10)), shares(-150), dollars(11))
        self.assertEqual((position.quantity, position.cost, position.realised), (shares(-50), whole(-550), whole(100)))

    def test_a_short_gains_when_the_price_falls(self) -> None:
        """100 sold at 10 and bought at 9 realise 100."""
        position = apply_trade(apply_trade(FLAT, shares(-100), dollars(10)), shares(100), dollars(9))
        self.assertEqual((position.quantity, position.cost, position.realised), (0, 0, whole(100)))

    def test_a_reduction_rounds_half_even_and_keeps_the_rest(self) -> None:
        """A third of a cost of 0.00001 is 0.000003, the rest stays."""
        position = Position(currency=USD, quantity=shares(3), cost=Money(10))
        after = apply_amount(position, shares(-1), Money(0))
        self.assertEqual((after.cost, after.realised), (7, -3))

    def test_a_flat_position_has_no_average(self) -> None:
        """Nothing held has no price."""
        self.assertIsNone(FLAT.average_price)

    def test_a_long_position_gains_above_its_cost(self) -> None:
        """100 at 14 marked at 14.25 are up 25."""
        self.assertEqual(unrealised(apply_trade(FLAT, shares(100), dollars(14)), dollars(14.25)), whole(25))

    def test_a_short_position_gains_below_its_cost(self) -> None:
        """100 short at 14 marked at 13.75 are up 25."""
        self.assertEqual(unrealised(apply_trade(FLAT, shares(-100), dollars(14)), dollars(13.75)), whole(25))


class PostingTests(SynchronousTestCase):
    """The ledger's entries move positions."""

    def test_a_fee_is_no_profit(self) -> None:
        """A FEE posting adds to the fees only."""
        position = apply_posting(FLAT, make_posting(0, -whole(2), kind=PostingKind.FEE))
        self.assertEqual((position.fees, position.realised), (whole(2), 0))

    def test_a_bust_takes_the_trade_back(self) -> None:
        """Trade and bust leave nothing behind."""
        bought = apply_posting(FLAT, make_posting(shares(100), -whole(1400)))
        busted = apply_posting(bought, make_posting(shares(-100), whole(1400), kind=PostingKind.BUST))
        self.assertEqual(busted, FLAT)

    def test_another_currency_is_refused(self) -> None:
        """Dollars and yen do not add up."""
        with self.assertRaises(ValueError):
            apply_posting(FLAT, make_posting(shares(1), -1, currency=Currency("JPY")))


class PropertyTests(SynchronousTestCase):
    """For every history."""

    @given(TRADES)
    @settings(max_examples=80)
    def test_a_flat_position_costs_nothing_and_realised_the_cash(self, trades: list[tuple[int, int]]) -> None:
        """After closing out, cost is 0 and realised equals the cash flow to the last millionth."""
        position, flow = FLAT, 0
        for count, price in [*trades, (-sum(count for count, _ in trades), 10_000_000)]:
            position = apply_trade(position, shares(count), Price(price))
            flow += cash(shares(count), price)
        self.assertEqual((position.quantity, position.cost, position.realised), (0, 0, flow))

    @given(FRACTIONS)
    @settings(max_examples=80)
    def test_realised_less_cost_is_always_the_cash(self, trades: list[tuple[int, int]]) -> None:
        """No rounding loses a millionth, whatever fractions trade."""
        position, flow = FLAT, 0
        for quantity, price in trades:
            position = apply_trade(position, Quantity(quantity), Price(price))
            flow += cash(quantity, price)
            self.assertEqual(position.realised - position.cost, flow)
            self.assertTrue(position.quantity or not position.cost)
