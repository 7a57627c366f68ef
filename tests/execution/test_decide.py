"""Decisions about orders, rule by rule."""

from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.accounting.buying_power import InstrumentUse
from spire.accounting.position import Position
from spire.definitions.instruments import InstrumentStatus
from spire.definitions.values import Destination, TickTable
from spire.execution.controls import Controls
from spire.execution.decide import Decision, Holding, Market, Terms, decide
from spire.execution.form import Resolved, check_form, resolve
from spire.execution.matching import Quote
from spire.execution.values import Refusal
from spire.values.amounts import Money, Price, Quantity, whole
from spire.values.codes import Venue
from spire.values.orders import Capacity, OrderType, Side, TimeInForce, TradingSession
from spire.values.time import Timestamp
from tests.execution.examples import DESTINATION, RATE, TICKS, USD, instrument, limits, request
from tests.values.examples import dollars, shares

TERMS = Terms(collar=500, margin=5000)
BUYING_POWER = Money(whole(10_000))
CONTROLS = Controls(limits=limits(BUYING_POWER), conversions={USD: RATE})
QUOTE = Quote(
    sequence=9, bid=dollars(13.99), bid_size=shares(5), ask=dollars(14), ask_size=shares(6), time=Timestamp(50)
)
MARKET = Market(
    market_time=Timestamp(60),
    trade_date="2013-10-08",
    has_window=True,
    window_end=Timestamp(100),
    quote=QUOTE,
    quote_epoch=1,
    age=5,
    is_stale=False,
)
DRIVERS = frozenset({"simulation"})


def held(count: int = 0, cost: int = 0, used_elsewhere: int = 0) -> Holding:
    """Return a holding of so many shares at a total cost."""
    position = Position(currency=USD, quantity=shares(count), cost=Money(whole(cost)))
    elsewhere = {USD: Money(whole(used_elsewhere))} if used_elsewhere else {}
    return Holding(position=position, use=InstrumentUse(), used_elsewhere=elsewhere)


def resolved(instrument_changes: dict[str, Any] | None = None, **changes: Any) -> Resolved:
    """Return a request with its defaults."""
    found = resolve(request(**changes), instrument(**(instrument_changes or {})), (DESTINATION,), None, DRIVERS)
    assert isinstance(found, Resolved)
    return found


def code(decision: Decision | Resolved | Refusal | None) -> str:
    """Return a refusal's code."""
    refusal = decision.refusal if isinstance(decision, Decision) else decision
    assert isinstance(refusal, Refusal), decision
    return refusal.code


def outcome(
    order: Resolved,
    market: Market = MARKET,
    holding: Holding | None = None,
    ticks: TickTable | None = TICKS,
    controls: Controls = CONTROLS,
) -> Decision:
    """Decide about an order of somebody who holds nothing, unless told."""
    return decide(order, market, holding or held(), ticks, TERMS, controls)


class FormTests(SynchronousTestCase):
    """What can be no order, and what is none here."""

    def argument(self, **changes: Any) -> str | None:
        """Return which argument is refused as invalid."""
        refusal = check_form(request(**changes))
        assert refusal is not None
        self.assertEqual((refusal.code, refusal.is_recorded), ("INVALID", False))
        return refusal.rule

    def test_a_good_order_passes(self) -> None:
        """Nothing is wrong with it."""
        self.assertIsNone(check_form(request()))

    def test_a_quantity_must_be_positive(self) -> None:
        """Zero and less make no order."""
        self.assertEqual([self.argument(quantity=Quantity(0)), self.argument(quantity=Quantity(-1))], ["quantity"] * 2)

    def test_a_limit_order_needs_a_limit(self) -> None:
        """And a market order has none."""
        self.assertEqual(self.argument(limit_price=None), "limit_price")
        self.assertEqual(self.argument(type=OrderType.MARKET), "limit_price")

    def test_a_limit_must_be_positive(self) -> None:
        """Nobody sells for nothing."""
        self.assertEqual(self.argument(limit_price=Price(0)), "limit_price")

    def test_a_client_order_id_is_printable_and_short(self) -> None:
        """Empty, blank, too long and not ASCII are refused."""
        self.assertEqual(self.argument(client_order_id=""), "client_order_id")
        self.assertEqual(self.argument(client_order_id="a b"), "client_order_id")
        self.assertEqual(self.argument(client_order_id="x" * 65), "client_order_id")
        self.assertEqual(self.argument(client_order_id="\u00e9"), "client_order_id")

    def test_tags_are_bounded(self) -> None:
        """By number and by length."""
        self.assertEqual(self.argument(tags={0: "x"}), "tags")
        self.assertEqual(self.argument(tags=dict.fromkeys(range(1, 34), "x")), "tags")
        self.assertEqual(self.argument(tags={2**63: "x"}), "tags")

    def test_numbers_that_the_store_cannot_hold_are_refused(self) -> None:
        """One that does not fit its column would stop the writer, and everybody's orders with it."""
        for argument in ("parent_order_id", "order_group_id", "strategy_id", "entered"):
            for number in (2**63, 2**64 - 1, -1):
                self.assertEqual(self.argument(**{argument: number}), argument)
            self.assertIsNone(check_form(request(**{argument: 2**63 - 1})), argument)

    def test_what_is_not_done_is_unsupported(self) -> None:
        """Each kind that the release does not do, by its name."""
        for changes in (
            {"type": OrderType.STOP},
            {"side": Side.SELL_SHORT_EXEMPT},
            {"time_in_force": TimeInForce.OPG},
            {"trading_session": TradingSession.OVERNIGHT},
            {"expire_time": Timestamp(1)},
            {"minimum_quantity": shares(1)},
        ):
            refusal = check_form(request(**changes))
            assert refusal is not None
            self.assertEqual((refusal.code, refusal.is_recorded), ("UNSUPPORTED", False), changes)


class DefaultTests(SynchronousTestCase):
    """What the client left out."""

    def test_the_preferred_destination_is_taken(self) -> None:
        """Before others that take the venue."""
        other = Destination(name="AAA", description="", driver="simulation", venues=(Venue("XNYS"),))
        found = resolve(request(), instrument(), (other, DESTINATION), Capacity.PRINCIPAL, DRIVERS)
        assert isinstance(found, Resolved)
        self.assertEqual((found.destination, found.currency, found.capacity), ("SIMULATION", USD, Capacity.PRINCIPAL))

    def test_another_currency_is_invalid(self) -> None:
        """The instrument's own counts."""
        self.assertEqual(code(resolve(request(currency="EUR"), instrument(), (DESTINATION,), None, DRIVERS)), "INVALID")

    def test_an_unknown_destination_is_invalid(self) -> None:
        """As is one that does not take the venue."""
        self.assertEqual(
            code(resolve(request(destination="NOWHERE"), instrument(), (DESTINATION,), None, DRIVERS)), "INVALID"
        )

    def test_a_destination_without_driver_is_unsupported(self) -> None:
        """The deployment does not drive it."""
        self.assertEqual(code(resolve(request(), instrument(), (DESTINATION,), None, frozenset())), "UNSUPPORTED")

    def test_the_digest_tells_content_apart(self) -> None:
        """Other content is another order, another id is not."""
        self.assertEqual(resolved(client_order_id="b").digest, resolved().digest)
        self.assertNotEqual(resolved(quantity=shares(101)).digest, resolved().digest)
        self.assertNotEqual(resolved(origin="desk").digest, resolved().digest)


class RuleTests(SynchronousTestCase):
    """The rules that are recorded."""

    def test_an_opening_order_is_accepted_with_what_was_seen(self) -> None:
        """The snapshot has quote, age and reservation."""
        decision = outcome(resolved())
        self.assertIsNone(decision.refusal)
        snapshot = decision.snapshot
        self.assertTrue(decision.is_opening)
        self.assertEqual((snapshot.quote_sequence, snapshot.bid, snapshot.ask, snapshot.quote_age), (9, *_sides(), 5))
        self.assertEqual((snapshot.reserved_price, snapshot.buying_power_used), (dollars(14), whole(1400)))

    def test_a_price_off_the_tick_is_refused(self) -> None:
        """With the tick and the price."""
        decision = outcome(resolved(limit_price=dollars(14.005)))
        refusal = decision.refusal
        assert refusal is not None
        self.assertEqual((refusal.code, refusal.limit, refusal.observed), ("OFF_TICK", "0.01", "14.005"))

    def test_an_unknown_tick_table_refuses_limits(self) -> None:
        """Nothing passes unchecked."""
        self.assertEqual(code(outcome(resolved(), ticks=None)), "OFF_TICK")

    def test_a_fraction_of_the_increment_is_refused(self) -> None:
        """Half a share is none."""
        self.assertEqual(code(outcome(resolved(quantity=Quantity(1_500_000)))), "ORDER_INCREMENT")

    def test_a_suspended_instrument_is_refused(self) -> None:
        """Whatever the order is."""
        self.assertEqual(code(outcome(resolved({"status": InstrumentStatus.SUSPENDED}))), "INSTRUMENT_NOT_ACTIVE")

    def test_a_missing_session_is_refused(self) -> None:
        """A holiday has none."""
        self.assertEqual(code(outcome(resolved(), evolve(MARKET, has_window=False))), "NO_SESSION")

    def test_an_order_after_its_session_is_refused(self) -> None:
        """At its end, to the nanosecond."""
        self.assertEqual(code(outcome(resolved(), evolve(MARKET, market_time=Timestamp(100)))), "SESSION_ENDED")
        self.assertIsNone(outcome(resolved(), evolve(MARKET, market_time=Timestamp(99))).refusal)

    def test_a_sell_beyond_the_position_needs_a_short(self) -> None:
        """Pending sells count."""
        holding = held(150, 1500)
        holding.use.sells.put(1, dollars(14), shares(60))
        self.assertEqual(code(outcome(resolved(side=Side.SELL), holding=holding)), "SHORT_REQUIRED")

    def test_each_unusable_quote_refuses_opening(self) -> None:
        """Missing, stale, one-sided and crossed have codes of their own."""
        order = resolved()
        self.assertEqual(code(outcome(order, evolve(MARKET, quote=None))), "QUOTE_MISSING")
        self.assertEqual(code(outcome(order, evolve(MARKET, quote=None, waits_for_store=True))), "STORE_DOWN")
        self.assertEqual(code(outcome(order, evolve(MARKET, is_stale=True))), "QUOTE_STALE")
        self.assertEqual(code(outcome(order, evolve(MARKET, quote=evolve(QUOTE, ask=None)))), "QUOTE_ONE_SIDED")
        self.assertEqual(code(outcome(order, evolve(MARKET, quote=evolve(QUOTE, ask=dollars(13))))), "QUOTE_CROSSED")

    def test_a_locked_quote_is_good(self) -> None:
        """Bid and ask may meet."""
        self.assertIsNone(outcome(resolved(), evolve(MARKET, quote=evolve(QUOTE, ask=dollars(13.99)))).refusal)

    def test_a_reducing_order_needs_no_quote(self) -> None:
        """Nothing stale stops it, nor a limit that is used up."""
        market = evolve(MARKET, quote=None, is_stale=True)
        decision = outcome(resolved(side=Side.SELL), market, held(100, 1000, used_elsewhere=50_000))
        self.assertEqual((decision.refusal, decision.is_opening), (None, False))

    def test_a_market_order_is_priced_with_the_collar(self) -> None:
        """680 at 14.70 fit 10,000, 681 do not."""
        order = resolved(type=OrderType.MARKET, limit_price=None, quantity=shares(680))
        self.assertIsNone(outcome(order).refusal)
        order = resolved(type=OrderType.MARKET, limit_price=None, quantity=shares(681))
        self.assertEqual(code(outcome(order)), "BUYING_POWER")

    def test_equality_with_the_limit_passes(self) -> None:
        """One share more does not."""
        order = resolved(limit_price=dollars(100), quantity=shares(100))
        self.assertIsNone(outcome(order).refusal)
        self.assertEqual(code(outcome(order, holding=held(used_elsewhere=1))), "BUYING_POWER")

    @given(st.integers(1, 400), st.integers(1, 3000), st.integers(0, 12_000))
    @settings(max_examples=60)
    def test_what_is_accepted_is_within_the_limit(self, count: int, cents: int, elsewhere: int) -> None:
        """For any order: accepted exactly when all that is used, this order included, fits."""
        order = resolved(quantity=shares(count), limit_price=Price(cents * 10_000))
        decision = outcome(order, holding=held(used_elsewhere=elsewhere))
        fits = count * cents * 10_000 + whole(elsewhere) <= BUYING_POWER
        self.assertEqual(decision.refusal is None, fits)


def _sides() -> tuple[Price, Price]:
    return dollars(13.99), dollars(14)
