"""Buying power counts the worse of both sides, with positions at cost."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.accounting.buying_power import InstrumentUse, collared, reservation_price
from spire.accounting.position import Position, apply_trade
from spire.values.amounts import ZERO_QUANTITY, Price, Quantity, whole
from spire.values.codes import Currency
from spire.values.orders import OrderType, Side
from tests.values.examples import dollars, shares

FLAT = Position(currency=Currency("USD"))
BID, ASK = dollars(9.9), dollars(10.1)


def held(count: int, price: float) -> Position:
    """Return a position from one trade."""
    return apply_trade(FLAT, shares(count), dollars(price))


def price_of(side: Side, order_type: OrderType, limit: Price | None) -> Price:
    """Return a reservation price with a collar of 5 % and a margin of 50 %."""
    return reservation_price(side, order_type, limit, BID, ASK, collar=500, margin=5000)


class PriceTests(SynchronousTestCase):
    """What one order reserves per share."""

    def test_a_limit_buy_reserves_its_limit(self) -> None:
        """Also above the ask."""
        self.assertEqual(price_of(Side.BUY, OrderType.LIMIT, dollars(12)), dollars(12))

    def test_a_market_buy_reserves_the_ask_and_the_collar(self) -> None:
        """5 % above 10.10 is 10.605."""
        self.assertEqual(price_of(Side.BUY, OrderType.MARKET, None), dollars(10.605))

    def test_a_short_reserves_the_worse_of_limit_and_ask_with_margin(self) -> None:
        """Half more than 10.10."""
        self.assertEqual(price_of(Side.SELL_SHORT, OrderType.LIMIT, dollars(9)), dollars(15.15))

    def test_a_collar_rounds_away_from_the_market(self) -> None:
        """A fraction of a millionth goes to the safe side."""
        self.assertEqual([collared(Price(1), Side.BUY, 500), collared(Price(1), Side.SELL, 500)], [2, 0])


class UseTests(SynchronousTestCase):
    """How much is used."""

    def setUp(self) -> None:
        """Begin without orders."""
        self.use = InstrumentUse()

    def test_a_buy_uses_its_cost(self) -> None:
        """100 at 10 use 1,000."""
        self.use.buys.put(1, dollars(10), shares(100))
        self.assertEqual(self.use.used(None), whole(1000))

    def test_the_smaller_side_is_free(self) -> None:
        """A sell of 50 at 11 beside it changes nothing."""
        self.use.buys.put(1, dollars(10), shares(100))
        self.use.sells.put(2, dollars(11), shares(50))
        self.assertEqual(self.use.used(None), whole(1000))

    def test_a_reduction_releases_at_cost(self) -> None:
        """Long 100 at 10 less 50 sold at 11 uses 500."""
        self.assertEqual(self.use.used(apply_trade(held(100, 10), shares(-50), dollars(11))), whole(500))

    def test_a_position_turned_short_uses_what_it_brought_in(self) -> None:
        """Short 50 at 11 uses 550."""
        self.assertEqual(self.use.used(apply_trade(held(100, 10), shares(-150), dollars(11))), whole(550))

    def test_a_position_turned_long_uses_its_cost(self) -> None:
        """Short 100 at 10, then 150 bought at 9, uses 450."""
        self.assertEqual(self.use.used(apply_trade(held(-100, 10), shares(150), dollars(9))), whole(450))

    def test_buys_add_to_a_long_position(self) -> None:
        """100 held at 10 and 100 bid at 9 use 1,900."""
        self.use.buys.put(1, dollars(9), shares(100))
        self.assertEqual(self.use.used(held(100, 10)), whole(1900))

    def test_the_cheapest_sells_are_covered_first(self) -> None:
        """Of 100 at 11 and 100 at 12 against 150 held, 50 at 12 stand open, below the cost."""
        self.use.sells.put(1, dollars(30), shares(100))
        self.use.sells.put(2, dollars(11), shares(100))
        self.assertEqual(self.use.used(held(150, 1)), whole(1500))

    def test_a_trial_leaves_no_trace(self) -> None:
        """Asking what an order would use does not add it."""
        self.assertEqual(self.use.used(None, (Side.BUY, dollars(10), shares(100))), whole(1000))
        self.assertEqual(self.use.used(None), 0)

    def test_a_finished_order_uses_nothing(self) -> None:
        """Leaves of zero remove it."""
        self.use.buys.put(1, dollars(10), shares(100))
        self.use.buys.put(1, dollars(10), ZERO_QUANTITY)
        self.assertEqual((self.use.used(None), self.use.buys.entries), (0, []))

    @given(
        st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.integers(1, 5), st.integers(0, 4)), max_size=20),
        st.integers(-12, 12),
    )
    @settings(max_examples=100)
    def test_running_sums_equal_a_plain_count(self, steps: list[tuple[int, bool, int, int]], count: int) -> None:
        """Whatever is put, used equals the figure counted from nothing."""
        use, live = InstrumentUse(), dict[tuple[bool, int], tuple[int, int]]()
        for order_id, buys, price, leaves in steps:
            (use.buys if buys else use.sells).put(order_id, Price(whole(price)), Quantity(whole(leaves)))
            live[buys, order_id] = (price, leaves)
        position = held(count, 3) if count else None
        buying = sorted((each for (buys, _), each in live.items() if buys), reverse=True)
        selling = sorted(each for (buys, _), each in live.items() if not buys)
        expected = max(
            _open(buying, max(0, -count)) + max(0, count) * 3, _open(selling, max(0, count)) + max(0, -count) * 3
        )
        self.assertEqual(use.used(position), whole(expected))


def _open(orders: list[tuple[int, int]], covered: int) -> int:
    total = 0
    for price, leaves in orders:
        taken = min(covered, leaves)
        covered -= taken
        total += price * (leaves - taken)
    return total
