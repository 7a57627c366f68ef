"""The order that closes a position."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.definitions.ticks import is_on_tick
from spire.definitions.values import TickStep, TickTable
from spire.risk.flatten import closing_limit, closing_quantity, closing_side
from spire.values.amounts import Price
from spire.values.orders import Side
from tests.execution.examples import TICKS
from tests.values.examples import dollars, shares

FINE = TickTable(
    name="two steps",
    steps=(TickStep(from_price=dollars(0), tick=dollars(0.0001)), TickStep(from_price=dollars(1), tick=dollars(0.01))),
)
WIDE = TickTable(name="wide", steps=(TickStep(from_price=dollars(0), tick=dollars(5)),))
PRICES = st.integers(min_value=10_000, max_value=10_000_000_000)


class ClosingTests(SynchronousTestCase):
    """Side, quantity and limit."""

    def test_a_long_position_is_sold_and_a_short_one_bought(self) -> None:
        """The side takes risk away."""
        self.assertIs(closing_side(shares(1)), Side.SELL)
        self.assertIs(closing_side(-shares(1)), Side.BUY)

    def test_all_of_a_position_is_closed(self) -> None:
        """Nothing else is on the way."""
        self.assertEqual(closing_quantity(shares(-300), shares(0), shares(1)), shares(300))

    def test_what_is_pending_is_not_closed_twice(self) -> None:
        """Orders whose cancel is not confirmed may still fill."""
        self.assertEqual(closing_quantity(shares(300), shares(120), shares(1)), shares(180))

    def test_a_position_that_is_covered_leaves_nothing(self) -> None:
        """Never more than is held."""
        self.assertEqual(closing_quantity(shares(300), shares(400), shares(1)), shares(0))

    def test_less_than_an_increment_cannot_be_closed(self) -> None:
        """Orders are multiples of the increment."""
        self.assertEqual(closing_quantity(shares(7), shares(0), shares(5)), shares(5))
        self.assertEqual(closing_quantity(shares(4), shares(0), shares(5)), shares(0))

    def test_a_sale_goes_five_per_cent_below_the_bid(self) -> None:
        """14.00 x 0.95 is 13.30."""
        self.assertEqual(closing_limit(Side.SELL, dollars(14.00), dollars(14.02), TICKS), dollars(13.30))

    def test_a_purchase_goes_five_per_cent_above_the_ask(self) -> None:
        """14.02 x 1.05 is 14.721, and the tick inside the collar 14.72."""
        self.assertEqual(closing_limit(Side.BUY, dollars(14.00), dollars(14.02), TICKS), dollars(14.72))

    def test_a_sale_is_rounded_up_into_the_collar(self) -> None:
        """14.01 x 0.95 is 13.3095: 13.30 would lie outside."""
        self.assertEqual(closing_limit(Side.SELL, dollars(14.01), dollars(14.02), TICKS), dollars(13.31))

    def test_ticks_wider_than_the_collar_still_reach_the_market(self) -> None:
        """Between 12 and 12.60 there is no tick of 5: the sale names the one below the bid."""
        self.assertEqual(closing_limit(Side.SELL, dollars(12), dollars(13), WIDE), dollars(10))
        self.assertEqual(closing_limit(Side.BUY, dollars(12), dollars(13), WIDE), dollars(15))

    @given(bid=PRICES, spread=st.integers(min_value=0, max_value=1_000_000))
    def test_a_sale_is_marketable_on_tick_and_inside_the_collar(self, bid: int, spread: int) -> None:
        """Whatever the quote, unless ticks are wider than the collar."""
        limit = closing_limit(Side.SELL, Price(bid), Price(bid + spread), FINE)
        self.assertTrue(is_on_tick(FINE, limit))
        self.assertTrue(limit <= bid)
        self.assertTrue(limit * 100 >= bid * 95 or bid - limit < dollars(0.01))

    @given(ask=PRICES, spread=st.integers(min_value=0, max_value=9_000))
    def test_a_purchase_is_marketable_on_tick_and_inside_the_collar(self, ask: int, spread: int) -> None:
        """Likewise."""
        limit = closing_limit(Side.BUY, Price(ask - spread), Price(ask), FINE)
        self.assertTrue(is_on_tick(FINE, limit))
        self.assertTrue(limit >= ask)
        self.assertTrue(limit * 100 <= ask * 105 or limit - ask < dollars(0.01))
