"""What Risk does about an account, by how things stand."""

from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.accounting.position import Position
from spire.risk.flatten import FlattenOrder
from spire.risk.states import (
    Announced,
    Bounds,
    Course,
    LiveOrder,
    Loss,
    Move,
    Situation,
    Standing,
    Tradable,
    course,
    opening_orders,
)
from spire.values.amounts import Money
from spire.values.codes import Currency
from spire.values.orders import Side
from spire.values.risk import RiskMode
from spire.values.time import NANOSECONDS, Timestamp
from tests.execution.examples import TICKS
from tests.values.examples import dollars, shares

NOW = Timestamp(1_381_239_000 * NANOSECONDS)
LATER = Timestamp(NOW + 30 * NANOSECONDS)
BAC = 42
BOUNDS = Bounds(net_loss=Money(dollars(100)), transition_seconds=30, allowed_state=RiskMode.ACTIVE)
EVEN = Loss(closed=Money(0), day=Money(0))
QUOTED = Tradable(name="BAC.XNYS", increment=shares(1), ticks=TICKS, quote=(dollars(14.00), dollars(14.02)))
CLOSED = Tradable(
    name="BAC.XNYS", increment=shares(1), ticks=TICKS, quote=None, why_not="its regular session is closed"
)
CLOSING = Standing(mode=RiskMode.CLOSE_ORDERS, version=4, expiry=LATER)
DISABLED = Standing(mode=RiskMode.DISABLED, version=5)


def situation(**changes: Any) -> Situation:
    """Return an account that is even, flat and ACTIVE."""
    fields: dict[str, Any] = {
        "now": NOW,
        "monotonic": 50.0,
        "bounds": BOUNDS,
        "standing": Standing(version=3),
        "loss": EVEN,
    }
    return Situation(**(fields | changes))


def held(count: int) -> dict[int, Position]:
    """Return a position in BAC."""
    return {BAC: Position(currency=Currency("USD"), quantity=shares(count))}


def order(order_id: int, side: Side, count: int, **changes: Any) -> LiveOrder:
    """Return a live order in BAC."""
    return LiveOrder(order_id=order_id, instrument_id=BAC, side=side, leaves=shares(count), **changes)


def lost(closed: float, day: float) -> Loss:
    """Return what an account made."""
    return Loss(closed=Money(dollars(closed)), day=Money(dollars(day)))


class BreachTests(SynchronousTestCase):
    """An ACTIVE account."""

    def move(self, **changes: Any) -> Move:
        """Return the state that is written."""
        move = course(situation(**changes), None).move
        assert move is not None
        return move

    def test_an_account_within_its_limit_is_left_alone(self) -> None:
        """Nothing is to be done or remembered."""
        self.assertEqual(course(situation(loss=lost(-99, -99.99)), None), Course())

    def test_what_is_realised_acts_at_once(self) -> None:
        """At the limit itself, whatever the marks say."""
        move = self.move(loss=lost(-100, 50))
        self.assertEqual((move.mode, move.expiry, move.halts_first), (RiskMode.CLOSE_ORDERS, LATER, True))
        self.assertEqual(move.reason, "realised today less fees is -100, the limit -100")

    def test_the_loss_of_the_day_must_last_three_seconds(self) -> None:
        """First it is remembered, then it counts."""
        beyond = situation(loss=lost(0, -100))
        first = course(beyond, None)
        self.assertEqual(first, Course(beyond_since=50.0))
        self.assertIsNone(course(evolve(beyond, monotonic=52.9), 50.0).move)
        last = course(evolve(beyond, monotonic=53.0), 50.0).move
        assert last is not None
        self.assertEqual(last.reason, "the day's profit on fresh marks, for 3 s, is -100, the limit -100")

    def test_a_recovery_begins_the_wait_anew(self) -> None:
        """The three seconds are in one piece."""
        self.assertIsNone(course(situation(loss=lost(0, -99), monotonic=52.0), 50.0).beyond_since)

    def test_a_limit_of_zero_is_a_limit(self) -> None:
        """At or below it is beyond it."""
        bounds = evolve(BOUNDS, net_loss=Money(0))
        self.assertIs(self.move(bounds=bounds).mode, RiskMode.CLOSE_ORDERS)

    def test_without_limits_nothing_is_a_breach(self) -> None:
        """Such an account may not open anything in the first place."""
        self.assertEqual(course(situation(bounds=None, loss=lost(-1000, -1000)), None), Course())

    def test_a_missing_rate_is_no_loss_and_no_profit(self) -> None:
        """The account is blind, which is told elsewhere."""
        unknown = Loss(closed=None, day=None)
        self.assertEqual(course(situation(loss=unknown), None), Course())

    def test_limits_that_allow_less_act_at_once(self) -> None:
        """DISABLED as well as CLOSE_ORDERS, which then has no end."""
        disabled = self.move(bounds=evolve(BOUNDS, allowed_state=RiskMode.DISABLED))
        self.assertEqual((disabled.mode, disabled.halts_first), (RiskMode.DISABLED, True))
        closing = self.move(bounds=evolve(BOUNDS, allowed_state=RiskMode.CLOSE_ORDERS))
        self.assertEqual((closing.mode, closing.expiry, closing.halts_first), (RiskMode.CLOSE_ORDERS, None, True))

    def test_a_halt_whose_state_was_never_written_is_finished(self) -> None:
        """The server stopped between the two; the loss may have gone meanwhile."""
        move = self.move(announced=Announced(version=4, reason="it lost"))
        self.assertEqual((move.mode, move.reason, move.halts_first), (RiskMode.CLOSE_ORDERS, "it lost", False))

    def test_a_halt_whose_state_is_in_force_is_no_reason(self) -> None:
        """Order Execution ends it by itself."""
        self.assertEqual(course(situation(announced=Announced(version=3, reason="it lost")), None), Course())


class CloseOrdersTests(SynchronousTestCase):
    """An account in CLOSE_ORDERS."""

    def test_live_orders_are_asked_for(self) -> None:
        """Nothing is cancelled before they are known."""
        self.assertEqual(course(situation(standing=CLOSING), None), Course(wants_orders=True))

    def test_orders_that_open_are_cancelled_and_those_that_close_stay(self) -> None:
        """Also one that slipped in later."""
        orders = (order(1, Side.SELL, 100), order(2, Side.BUY, 100))
        found = course(situation(standing=CLOSING, orders=orders, positions=held(100)), None)
        self.assertEqual(found.cancels, (2,))

    def test_two_orders_may_not_close_more_than_there_is(self) -> None:
        """The earlier one stays."""
        orders = (order(2, Side.SELL, 60), order(1, Side.SELL, 60))
        self.assertEqual(opening_orders(orders, held(100)), [2])

    def test_a_cancel_that_is_pending_is_not_sent_again(self) -> None:
        """The venue has been asked."""
        orders = (order(1, Side.BUY, 100, is_cancel_pending=True),)
        self.assertEqual(opening_orders(orders, {}), [])

    def test_a_profit_does_not_bring_it_back(self) -> None:
        """It latches."""
        found = course(situation(standing=CLOSING, loss=lost(500, 500), orders=()), None)
        self.assertEqual(found, Course(wants_orders=True))

    def test_at_its_expiry_it_is_disabled(self) -> None:
        """By wall time, so that a restart neither forgives nor repeats."""
        before = course(situation(standing=CLOSING, now=Timestamp(LATER - 1)), None)
        self.assertIsNone(before.move)
        move = course(situation(standing=CLOSING, now=LATER), None).move
        assert move is not None
        self.assertEqual((move.mode, move.halts_first, move.expiry), (RiskMode.DISABLED, False, None))

    def test_a_further_loss_does_not_put_the_expiry_off(self) -> None:
        """The state is not written again."""
        self.assertIsNone(course(situation(standing=CLOSING, loss=lost(-500, -500)), None).move)

    def test_a_loss_gives_an_end_to_what_the_limits_allow_for_ever(self) -> None:
        """An account that may only close can lose too much as well."""
        forever = Standing(mode=RiskMode.CLOSE_ORDERS, version=4)
        bounds = evolve(BOUNDS, allowed_state=RiskMode.CLOSE_ORDERS)
        self.assertIsNone(course(situation(standing=forever, bounds=bounds), None).move)
        move = course(situation(standing=forever, bounds=bounds, loss=lost(-100, 0)), None).move
        assert move is not None
        self.assertEqual((move.mode, move.expiry, move.halts_first), (RiskMode.CLOSE_ORDERS, LATER, False))

    def test_limits_that_allow_nothing_disable_it_before_its_expiry(self) -> None:
        """An administrator does not have to wait."""
        bounds = evolve(BOUNDS, allowed_state=RiskMode.DISABLED)
        move = course(situation(standing=CLOSING, bounds=bounds), None).move
        assert move is not None
        self.assertIs(move.mode, RiskMode.DISABLED)


class DisabledTests(SynchronousTestCase):
    """A DISABLED account."""

    def found(self, **changes: Any) -> Course:
        """Return what is to be done about a DISABLED account with 100 BAC."""
        fields: dict[str, Any] = {
            "standing": DISABLED,
            "orders": (),
            "positions": held(100),
            "markets": {BAC: QUOTED},
        }
        return course(situation(**(fields | changes)), None)

    def test_all_orders_are_cancelled_but_those_of_risk(self) -> None:
        """Closing ones, too."""
        orders = (order(1, Side.SELL, 10), order(2, Side.BUY, 10), order(3, Side.SELL, 90, is_ours=True))
        self.assertEqual(self.found(orders=orders).cancels, (1, 2))

    def test_a_position_is_closed_with_one_order(self) -> None:
        """A limit inside the collar."""
        expected = FlattenOrder(instrument_id=BAC, side=Side.SELL, quantity=shares(100), limit_price=dollars(13.30))
        self.assertEqual(self.found().orders, (expected,))

    def test_a_short_position_is_bought(self) -> None:
        """Above the ask."""
        (found,) = self.found(positions=held(-100)).orders
        self.assertEqual((found.side, found.limit_price), (Side.BUY, dollars(14.72)))

    def test_there_is_one_order_at_a_time(self) -> None:
        """While one works no other is sent."""
        found = self.found(orders=(order(3, Side.SELL, 100, is_ours=True),))
        self.assertEqual((found.orders, found.pending), ((), ()))

    def test_what_is_not_cancelled_yet_is_not_closed_twice(self) -> None:
        """Only the rest is."""
        (found,) = self.found(orders=(order(1, Side.SELL, 30, is_cancel_pending=True),)).orders
        self.assertEqual(found.quantity, shares(70))

    def test_an_order_that_cannot_be_cancelled_is_told(self) -> None:
        """It covers all there is."""
        found = self.found(orders=(order(1, Side.SELL, 100, is_cancel_pending=True),))
        self.assertEqual(found.pending, ("BAC.XNYS: orders that were cancelled still work",))

    def test_a_closed_session_is_waited_out(self) -> None:
        """With the reason."""
        found = self.found(markets={BAC: CLOSED})
        self.assertEqual((found.orders, found.pending), ((), ("BAC.XNYS: its regular session is closed",)))

    def test_a_flat_account_is_done(self) -> None:
        """Neither orders nor reasons."""
        found = self.found(positions=held(0))
        self.assertEqual((found.orders, found.pending, found.cancels), ((), (), ()))

    def test_nothing_but_a_person_brings_it_back(self) -> None:
        """Neither profit nor limits that allow more."""
        self.assertIsNone(self.found(loss=lost(1000, 1000)).move)

    @given(
        quantity=st.integers(min_value=-1000, max_value=1000),
        leaves=st.lists(st.tuples(st.sampled_from((Side.BUY, Side.SELL)), st.integers(1, 500)), max_size=5),
    )
    def test_no_order_ever_goes_beyond_the_position(self, quantity: int, leaves: list[tuple[Side, int]]) -> None:
        """Whatever is pending: what is sent and what is pending on its side stay within it."""
        orders = tuple(order(number, side, count) for number, (side, count) in enumerate(leaves, 1))
        for found in self.found(positions=held(quantity), orders=orders).orders:
            pending = sum(each.leaves for each in orders if each.side is found.side)
            self.assertTrue(found.quantity > 0)
            self.assertTrue(found.quantity + pending <= abs(shares(quantity)))
            self.assertTrue(found.side.direction * quantity < 0)
