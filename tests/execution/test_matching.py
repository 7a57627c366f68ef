"""Simulated fills keep the fill rule: the opposite best, what is displayed and not yet taken, price before time."""

from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.execution.matching import Fill, Market, Outcome, Quote, Removal, WorkingOrder
from spire.values.amounts import Price, Quantity
from spire.values.orders import BookSide, Side, TimeInForce, TradingSession
from spire.values.time import Timestamp
from tests.system.fill_rule import FillRule
from tests.system.tape import Quote as TapeQuote
from tests.values.examples import dollars, shares

OPEN = frozenset((TradingSession.REGULAR, TradingSession.EXTENDED))
QUOTE = Quote(
    sequence=1, bid=dollars(10), bid_size=shares(300), ask=dollars(10.02), ask_size=shares(200), time=Timestamp(1)
)


def order(order_id: int, side: Side, size: int, limit: float | None = None, **changes: Any) -> WorkingOrder:
    """Return an order as it comes to the venue."""
    fields: dict[str, Any] = {
        "order_id": order_id,
        "side": side,
        "limit": None if limit is None else dollars(limit),
        "quantity": shares(size),
        "leaves": shares(size),
        "time_in_force": TimeInForce.DAY,
        "trading_session": TradingSession.REGULAR,
        "trade_date": "2013-10-08",
        "window_end": Timestamp(100),
    }
    return WorkingOrder(**(fields | changes))


def fills(outcomes: list[Outcome]) -> list[tuple[int, int, int]]:
    """Return order, quantity and price of each fill."""
    return [(each.order_id, each.quantity, each.price) for each in outcomes if isinstance(each, Fill)]


class ArrivalTests(SynchronousTestCase):
    """What an order meets when it arrives."""

    def setUp(self) -> None:
        """Show a quote."""
        self.market = Market()
        self.market.show(QUOTE)

    def submit(self, working: WorkingOrder, *, is_fresh: bool = True) -> list[Outcome]:
        """Bring an order to the open market."""
        return self.market.submit(working, OPEN, is_fresh=is_fresh)

    def test_a_market_order_fills_at_the_opposite_best(self) -> None:
        """A buy of 100 pays the ask."""
        self.assertEqual(fills(self.submit(order(1, Side.BUY, 100))), [(1, shares(100), dollars(10.02))])

    def test_a_fill_names_its_quote_and_what_is_taken(self) -> None:
        """The report can tell where it came from."""
        (fill,) = self.submit(order(1, Side.SELL, 100))
        assert isinstance(fill, Fill)
        self.assertEqual((fill.quote.sequence, fill.taken, fill.is_resting), (1, shares(100), False))

    def test_a_fill_ends_at_the_displayed_size(self) -> None:
        """Of 500 wanted, 200 are there; the rest of a market order waits."""
        self.assertEqual(fills(self.submit(order(1, Side.BUY, 500))), [(1, shares(200), dollars(10.02))])
        self.assertEqual([each.leaves for each in self.market.orders], [shares(300)])

    def test_what_one_order_took_another_cannot(self) -> None:
        """Both share what is displayed."""
        self.submit(order(1, Side.BUY, 150))
        self.assertEqual(fills(self.submit(order(2, Side.BUY, 150))), [(2, shares(50), dollars(10.02))])

    def test_a_limit_below_the_ask_rests(self) -> None:
        """A buy at 10.01 does not reach 10.02."""
        self.assertEqual(self.submit(order(1, Side.BUY, 100, 10.01)), [])
        self.assertFalse(self.market.is_idle)

    def test_a_limit_above_the_ask_fills_at_the_ask(self) -> None:
        """A better price is passed on."""
        self.assertEqual(fills(self.submit(order(1, Side.BUY, 100, 11))), [(1, shares(100), dollars(10.02))])

    def test_the_rest_of_an_ioc_is_removed(self) -> None:
        """200 fill, the rest does not wait."""
        outcomes = self.submit(order(1, Side.BUY, 500, time_in_force=TimeInForce.IOC))
        self.assertEqual(fills(outcomes), [(1, shares(200), dollars(10.02))])
        self.assertIsInstance(outcomes[-1], Removal)
        self.assertTrue(self.market.is_idle)

    def test_a_fok_fills_whole(self) -> None:
        """200 are there."""
        outcomes = self.submit(order(1, Side.BUY, 200, time_in_force=TimeInForce.FOK))
        self.assertEqual(fills(outcomes), [(1, shares(200), dollars(10.02))])

    def test_a_fok_that_cannot_fill_whole_takes_nothing(self) -> None:
        """201 are not there, and nothing is taken."""
        outcomes = self.submit(order(1, Side.BUY, 201, time_in_force=TimeInForce.FOK))
        self.assertEqual((fills(outcomes), self.market.taken(BookSide.ASK)), ([], 0))
        self.assertIsInstance(outcomes[-1], Removal)

    def test_a_stale_quote_fills_nothing(self) -> None:
        """The order rests instead."""
        self.assertEqual(self.submit(order(1, Side.BUY, 100), is_fresh=False), [])

    def test_a_crossed_quote_fills_nothing(self) -> None:
        """A bid above the ask is no market."""
        self.market.show(evolve(QUOTE, bid=dollars(10.03)))
        self.assertEqual(self.submit(order(1, Side.BUY, 100)), [])

    def test_a_locked_quote_fills(self) -> None:
        """Bid and ask at one price can trade."""
        self.market.show(evolve(QUOTE, bid=dollars(10.02)))
        self.assertEqual(len(fills(self.submit(order(1, Side.BUY, 100)))), 1)

    def test_a_one_sided_quote_fills_nothing(self) -> None:
        """Without a bid there is no market to buy in either."""
        self.market.show(evolve(QUOTE, bid=None))
        self.assertEqual(self.submit(order(1, Side.BUY, 100)), [])

    def test_a_closed_session_fills_nothing(self) -> None:
        """A regular order waits for the regular session."""
        extended = frozenset((TradingSession.EXTENDED,))
        self.assertEqual(self.market.submit(order(1, Side.BUY, 100), extended, is_fresh=True), [])


class RestingTests(SynchronousTestCase):
    """What later quotes do to resting orders."""

    def setUp(self) -> None:
        """Show a quote and rest two buys at 10.01, and one at 10.00."""
        self.market = Market()
        self.market.show(QUOTE)
        for working in (
            order(1, Side.BUY, 100, 10),
            order(2, Side.BUY, 100, 10.01),
            order(3, Side.BUY, 100, 10.01),
        ):
            self.market.submit(working, OPEN, is_fresh=True)

    def show(self, sequence: int, ask: float, size: int) -> list[Outcome]:
        """Show a new ask."""
        return self.market.on_quote(
            evolve(QUOTE, sequence=sequence, ask=dollars(ask), ask_size=shares(size), bid=dollars(9.9)), OPEN
        )

    def test_a_resting_limit_fills_at_its_limit(self) -> None:
        """Never better, although the ask is lower."""
        outcomes = self.show(2, 9.99, 1000)
        self.assertEqual(
            fills(outcomes),
            [(2, shares(100), dollars(10.01)), (3, shares(100), dollars(10.01)), (1, shares(100), dollars(10))],
        )

    def test_price_goes_before_time(self) -> None:
        """150 displayed go to the better price, first come first."""
        self.assertEqual(
            fills(self.show(2, 10, 150)), [(2, shares(100), dollars(10.01)), (3, shares(50), dollars(10.01))]
        )

    def test_an_unchanged_side_gives_nothing_more(self) -> None:
        """What was taken stays taken while the side stands."""
        self.show(2, 10, 150)
        self.assertEqual(
            self.market.on_quote(evolve(QUOTE, sequence=3, ask=dollars(10), ask_size=shares(150)), OPEN), []
        )

    def test_a_changed_size_is_all_new(self) -> None:
        """A side that shows another size may be taken again."""
        self.show(2, 10, 150)
        self.assertEqual(fills(self.show(3, 10, 160)), [(3, shares(50), dollars(10.01)), (1, shares(100), dollars(10))])

    def test_a_waiting_market_order_fills_at_the_next_quote(self) -> None:
        """It goes before every limit, at the opposite best."""
        self.market.submit(order(4, Side.BUY, 300), OPEN, is_fresh=True)
        self.assertEqual(fills(self.show(2, 10.01, 120))[0], (4, shares(100), dollars(10.01)))

    def test_a_cancelled_order_fills_no_more(self) -> None:
        """It is off the book."""
        self.market.cancel(2)
        self.assertEqual([each[0] for each in fills(self.show(2, 10.01, 1000))], [3])

    def test_a_replacement_at_another_price_loses_its_place(self) -> None:
        """Order 2 comes back behind order 3."""
        self.market.replace(2, shares(100), dollars(10))
        self.market.replace(2, shares(100), dollars(10.01))
        self.assertEqual([each[0] for each in fills(self.show(2, 10.01, 1000))], [3, 2])

    def test_a_smaller_replacement_keeps_its_place(self) -> None:
        """Less of the same waits where it stood."""
        self.market.replace(2, shares(60), dollars(10.01))
        self.assertEqual(
            fills(self.show(2, 10.01, 70)), [(2, shares(60), dollars(10.01)), (3, shares(10), dollars(10.01))]
        )

    def test_orders_expire_at_the_end_of_their_session(self) -> None:
        """At the very moment, not before."""
        self.assertEqual(self.market.expire(Timestamp(99), "2013-10-08"), [])
        self.assertEqual({each.order_id for each in self.market.expire(Timestamp(100), "2013-10-08")}, {1, 2, 3})
        self.assertTrue(self.market.is_idle)

    def test_orders_expire_with_their_trade_date(self) -> None:
        """Another trade date ends them at any hour."""
        self.assertEqual(len(self.market.expire(Timestamp(5), "2013-10-09")), 3)


PRICES = st.sampled_from([None, 9_98, 9_99, 10_00, 10_01, 10_02])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("quote"), PRICES, st.integers(1, 5), PRICES, st.integers(1, 5)),
        st.tuples(
            st.just("order"),
            st.booleans(),
            PRICES,
            st.integers(1, 7),
            st.sampled_from(["DAY", "IOC", "FOK"]),
        ),
        st.tuples(st.just("cancel"), st.integers(0, 10)),
    ),
    max_size=25,
)


class SecondOpinionTests(SynchronousTestCase):
    """The venue and the system test's own rule agree."""

    @given(STEPS)
    @settings(max_examples=200)
    def test_every_history_fills_as_the_plain_rule_says(self, steps: list[tuple[Any, ...]]) -> None:
        """Same orders, same quotes, same fills."""
        market, rule, found, count = Market(), FillRule(), list[tuple[int, int, int, int]](), 0
        for number, step in enumerate(steps, 1):
            if step[0] == "quote":
                _, bid, bid_size, ask, ask_size = step
                quote = Quote(
                    sequence=number,
                    bid=None if bid is None else Price(bid),
                    bid_size=Quantity(0 if bid is None else bid_size),
                    ask=None if ask is None else Price(ask),
                    ask_size=Quantity(0 if ask is None else ask_size),
                    time=Timestamp(number),
                )
                outcomes = market.on_quote(quote, OPEN)
                rule.quote(number, _tape(quote))
            elif step[0] == "order":
                count += 1
                _, buys, limit, size, time_in_force = step
                working = order(
                    count,
                    Side.BUY if buys else Side.SELL,
                    1,
                    limit=None,
                    time_in_force=TimeInForce[time_in_force],
                )
                working.limit, working.leaves = (None if limit is None else Price(limit)), Quantity(size)
                outcomes = market.submit(working, OPEN, is_fresh=True)
                rule.submit(
                    str(count), buys=buys, size=size, limit=limit, time_in_force=time_in_force, session=(0, 10**18)
                )
            else:
                market.cancel(step[1])
                rule.cancel(str(step[1]))
                continue
            found += [
                (each.order_id, each.quote.sequence, each.price, each.quantity)
                for each in outcomes
                if isinstance(each, Fill)
            ]
        self.assertEqual(found, [(int(each.order), each.quote, each.price, each.size) for each in rule.fills])


def _tape(quote: Quote) -> TapeQuote:
    fields = {
        "time": quote.time,
        "bid": quote.bid,
        "bid_size": quote.bid_size,
        "ask": quote.ask,
        "ask_size": quote.ask_size,
    }
    return TapeQuote(**{name: fields.get(name) for name in TapeQuote._fields})  # type: ignore[arg-type]
