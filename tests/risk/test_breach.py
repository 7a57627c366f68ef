"""What follows a loss beyond the limit, until the account is flat, also over restarts."""

from twisted.internet.defer import Deferred

from spire.execution.client import OrderExecutionClient
from spire.execution.values import HaltRequest, OrderRequest, OrderView
from spire.risk.acting import FAILED, ORIGIN
from spire.risk.supervision import Supervision, Watched
from spire.values.amounts import Money
from spire.values.orders import Channel, Side, Status, TimeInForce
from spire.values.risk import HaltMode, HaltScope, RiskMode
from spire.values.time import NANOSECONDS
from tests.risk.room import CLOSE, IBM, RiskRoomTestCase
from tests.values.examples import dollars


class BreachTests(RiskRoomTestCase):
    """A loss beyond the limit."""

    is_shared = True
    size = 100_000

    def test_what_is_realised_acts_at_once(self) -> None:
        """Halt and state are there before a second has passed."""
        self.submit(Side.BUY, 1_000)
        self.quote(13.89, 13.91)
        self.submit(Side.SELL, 1_000, settle=0.3)
        self.assertIs(self.mode(), RiskMode.CLOSE_ORDERS)
        self.assertEqual(self.refused(Side.BUY, 1).coded, "RISK_STATE")

    def test_the_loss_of_the_day_acts_after_three_seconds(self) -> None:
        """Not before."""
        self.submit(Side.BUY, 1_000)
        self.quote(13.91, 13.93)
        self.advance(2.0)
        self.assertIs(self.mode(), RiskMode.ACTIVE)
        self.advance(1.5)
        state = self.state()
        assert state is not None
        self.assertIs(state.mode, RiskMode.CLOSE_ORDERS)
        self.assertEqual(state.reason, "the day's profit on fresh marks, for 3 s, is -110, the limit -100")

    def test_a_loss_that_recovers_in_time_does_not_count(self) -> None:
        """The three seconds begin anew."""
        self.submit(Side.BUY, 1_000)
        self.quote(13.91, 13.93)
        self.advance(2.0)
        self.quote(13.99, 14.01)
        self.quote(13.91, 13.93)
        self.advance(2.0)
        self.assertIs(self.mode(), RiskMode.ACTIVE)

    def test_a_loss_on_stale_marks_does_not_count(self) -> None:
        """The feed fell silent just after it had shown the loss."""
        self.submit(Side.BUY, 1_000)
        self.print_(13.91)
        self.run_(self.feed.stop())
        self.advance(20.0)
        portfolio = self.portfolio()
        self.assertEqual((portfolio.day_profit, portfolio.is_fresh), (-dollars(110), False))
        self.assertIs(self.mode(), RiskMode.ACTIVE)

    def test_a_position_without_fresh_mark_hides_no_loss_of_another(self) -> None:
        """Nobody quotes one of two instruments any more; what the other loses stops the account."""
        self.quote(20.00, 20.02, instrument=IBM)
        self.submit(Side.BUY, 10, ticker="IBM.XNYS")
        self.print_(20.00, instrument=IBM)
        self.run_(self.feed.end())
        self.feed = self.open_feed()
        self.quote(14.00, 14.02)
        self.submit(Side.BUY, 1_000)
        self.quote(13.89, 13.91)
        self.advance(3.5)
        self.assertFalse(self.portfolio().is_fresh)
        self.assertIs(self.mode(), RiskMode.CLOSE_ORDERS)

    def test_an_account_that_cannot_be_looked_at_keeps_no_other_from_being_stopped(self) -> None:
        """It is logged, and the next one is looked at."""
        other = self.trader(f"ben_of_{self.name}")
        self.advance(1.5)
        self.submit(Side.BUY, 1_000)
        orders = self.orders_of(f"ben_of_{self.name}")
        self.run_(orders.submit(self.request(Side.BUY, 1_000, trading_account_id=other)))
        self.advance(0.5)
        first, second = sorted((self.account, other))
        look = Supervision.look

        def fail(supervision: Supervision, number: int, *, asks: bool = False) -> None:
            if number == first:
                raise ValueError("it cannot be looked at")
            look(supervision, number, asks=asks)

        self.patch(Supervision, "look", fail)
        self.quote(13.91, 13.93)
        self.advance(3.5)
        self.assertEqual((self.mode(first), self.mode(second)), (RiskMode.ACTIVE, RiskMode.CLOSE_ORDERS))
        self.assertTrue(self.flushLoggedErrors(ValueError))

    def test_what_was_done_is_kept_with_its_figures(self) -> None:
        """The event says upon what the state was written."""
        self.submit(Side.BUY, 1_000)
        self.quote(13.89, 13.91)
        self.submit(Side.SELL, 1_000)
        self.advance(1.5)
        (event,) = self.run_(self.store.events(self.account, 0, 10))
        self.assertEqual((event.before, event.after), (RiskMode.ACTIVE, RiskMode.CLOSE_ORDERS))
        self.assertEqual((event.day_realised, event.net_loss), (-dollars(130), dollars(100)))

    def test_nobody_else_is_touched(self) -> None:
        """Another account trades on."""
        account = self.trader(f"ben_of_{self.name}")
        self.submit(Side.BUY, 1_000)
        self.quote(13.89, 13.91)
        self.submit(Side.SELL, 1_000)
        self.advance(1.0)
        orders = self.orders_of(f"ben_of_{self.name}")
        self.run_(orders.submit(self.request(Side.BUY, 10, trading_account_id=account)))
        self.assertIs(self.mode(account), RiskMode.ACTIVE)

    def test_the_halt_ends_with_the_state_that_it_announced(self) -> None:
        """Of both only the state is left."""
        halts = self.orders_of(self.officer).halts()
        seen: list[int | None] = []
        halts.observe(lambda _, old, new: seen.append(None if new is None else new.announces))
        self.run_(halts.when_ready())
        self.submit(Side.BUY, 1_000)
        self.quote(13.89, 13.91)
        self.submit(Side.SELL, 1_000)
        self.advance(1.0)
        state = self.state()
        assert state is not None
        self.assertEqual(seen, [state.version, None])

    def test_while_administration_is_away_the_account_is_halted_all_the_same(self) -> None:
        """And its opening orders are cancelled; the state follows when it can be written, and the transition with it."""
        self.submit(Side.BUY, 1_000)
        opening = self.submit(Side.BUY, 100, 13.50)
        self.platform.network.faults.refuse.add("127.0.0.1:20100")
        self.platform.network.drop("administration_service")
        self.quote(13.89, 13.91)
        self.submit(Side.SELL, 1_000, settle=1.0)
        self.assertEqual(self.refused(Side.BUY, 1).coded, "HALTED")
        self.assertIs(self.status(opening), Status.CANCELED)
        self.advance(5.0)
        self.platform.network.faults.refuse.clear()
        self.run_(self.administration.session.when_ready())
        self.advance(10.0)
        state = self.state()
        assert state is not None
        self.assertIs(state.mode, RiskMode.CLOSE_ORDERS)
        self.assertEqual(state.expiry, state.since + 30 * NANOSECONDS)
        self.assertEqual(self.refused(Side.BUY, 1).coded, "RISK_STATE")

    def test_a_halt_whose_state_was_not_written_is_finished_after_a_restart(self) -> None:
        """Risk was killed between the two."""
        self.platform.stop("risk")
        state = self.state()
        version = 1 if state is None else state.version + 1
        request = HaltRequest(
            scope=HaltScope.TRADING_ACCOUNT,
            scope_id=self.account,
            mode=HaltMode.NO_OPENING,
            reason="it lost",
            announces=version,
        )
        self.run_(self.orders_of("risk_service").set_halt(request))
        self.start_risk()
        self.advance(2.0)
        finished = self.state()
        assert finished is not None
        self.assertEqual((finished.mode, finished.version), (RiskMode.CLOSE_ORDERS, version))
        self.assertEqual(finished.reason, "it lost")


class StateTests(RiskRoomTestCase):
    """CLOSE_ORDERS, then DISABLED until flat."""

    def lose(self) -> None:
        """Hold 900 shares and have realised a loss beyond the limit."""
        self.submit(Side.BUY, 1_900)
        self.quote(13.89, 13.91, size=5_000)
        self.submit(Side.SELL, 1_000, settle=0.3)
        self.assertIs(self.mode(), RiskMode.CLOSE_ORDERS)

    def setUp(self) -> None:
        """Show more size than the others need."""
        super().setUp()
        self.quote(14.00, 14.02, size=5_000)

    def test_opening_orders_are_cancelled_and_closing_ones_stay(self) -> None:
        """And only closing ones are taken."""
        opening = self.submit(Side.BUY, 100, 13.50)
        closing_later = self.submit(Side.BUY, 1_900)
        self.assertIs(self.status(closing_later), Status.FILLED)
        closing = self.submit(Side.SELL, 100, 15.00)
        self.quote(13.89, 13.91, size=5_000)
        self.submit(Side.SELL, 1_000, settle=0.5)
        self.advance(1.0)
        self.assertIs(self.status(opening), Status.CANCELED)
        self.assertIs(self.status(closing), Status.NEW)
        self.assertEqual(self.refused(Side.BUY, 1, 13.50).coded, "RISK_STATE")
        self.submit(Side.SELL, 100)
        self.assertEqual(self.held(), 800)

    def test_after_its_time_the_account_is_disabled_and_ends_flat(self) -> None:
        """Everything is cancelled, and several orders over several quotes close the position."""
        self.lose()
        resting = self.submit(Side.SELL, 100, 15.00)
        self.quote(13.89, 13.91, size=400)
        self.advance(30.0)
        self.assertIs(self.mode(), RiskMode.DISABLED)
        self.assertIs(self.status(resting), Status.CANCELED)
        self.assertEqual(self.held(), 500)
        self.quote(13.80, 13.82, size=300)
        self.advance(1.5)
        self.assertEqual(self.held(), 200)
        self.quote(13.85, 13.87, size=300)
        self.advance(1.5)
        self.assertEqual(self.held(), 0)
        ours = [view for view in self.all_orders() if view.submission.channel is Channel.RISK]
        self.assertTrue(len(ours) >= 3)
        self.assertEqual({view.submission.time_in_force for view in ours}, {TimeInForce.IOC})
        self.assertIsNone(self.portfolio().flatten_pending)
        self.assertEqual(self.refused(Side.SELL, 1).coded, "SHORT_REQUIRED")

    def test_a_short_way_to_disabled_does_the_same(self) -> None:
        """Limits that allow nothing: cancelled and closed without any loss."""
        self.submit(Side.BUY, 300)
        resting = self.submit(Side.BUY, 100, 13.50)
        self.set_limits(allowed_state=RiskMode.DISABLED)
        self.advance(3.0)
        self.assertIs(self.mode(), RiskMode.DISABLED)
        self.assertIs(self.status(resting), Status.CANCELED)
        self.assertEqual(self.held(), 0)

    def test_a_slow_answer_for_one_position_delays_no_other(self) -> None:
        """Both orders are sent together; the account waits for the answer that is missing, the other position is closed."""
        self.hold_two()
        answer: Deferred[None] = Deferred()
        submit, asked = OrderExecutionClient.submit, []

        async def slow(client: OrderExecutionClient, request: OrderRequest) -> OrderView:
            if request.origin == ORIGIN:
                asked.append(request.ticker)
                if len(asked) == 1:
                    await answer
            return await submit(client, request)

        self.patch(OrderExecutionClient, "submit", slow)
        self.set_limits(allowed_state=RiskMode.DISABLED)
        self.advance(3.0)
        self.assertEqual(sorted(asked), ["BAC.XNYS", "IBM.XNYS"])
        self.assertEqual(sorted((self.held(), self.held(IBM))), [0, 10])
        answer.callback(None)
        self.advance(2.0)
        self.assertEqual((self.held(), self.held(IBM)), (0, 0))

    def test_a_fault_at_one_order_keeps_no_other_from_being_closed(self) -> None:
        """It is logged and told as pending, and the next look tries again."""
        self.hold_two()
        submit, faults = OrderExecutionClient.submit, [ValueError("a fault")] * 2

        async def failing(client: OrderExecutionClient, request: OrderRequest) -> OrderView:
            if request.origin == ORIGIN and request.ticker == "BAC.XNYS" and faults:
                raise faults.pop()
            return await submit(client, request)

        self.patch(OrderExecutionClient, "submit", failing)
        told = self.patch_pending()
        self.set_limits(allowed_state=RiskMode.DISABLED)
        self.advance(5.0)
        self.assertIn((f"{FAILED}: ValueError",), told)
        self.assertEqual((self.held(), self.held(IBM), faults), (0, 0, []))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_a_fault_at_one_cancel_stops_nothing_else(self) -> None:
        """However often it comes back: the other orders are cancelled, and what can be closed is."""
        self.hold_two()
        resting = [self.submit(Side.SELL, 1, price) for price in (15.00, 15.10, 15.20)]
        cancel, faulty = OrderExecutionClient.cancel, {resting[0].submission.order_id}

        async def failing(client: OrderExecutionClient, order_id: int) -> object:
            if order_id in faulty:
                raise ValueError("a fault")
            return await cancel(client, order_id)

        self.patch(OrderExecutionClient, "cancel", failing)
        self.set_limits(allowed_state=RiskMode.DISABLED)
        self.advance(5.0)
        self.assertEqual([self.status(order) for order in resting], [Status.NEW, Status.CANCELED, Status.CANCELED])
        self.assertEqual((self.held(), self.held(IBM)), (1, 0))
        faulty.clear()
        self.advance(3.0)
        self.assertEqual((self.status(resting[0]), self.held()), (Status.CANCELED, 0))
        self.assertTrue(self.flushLoggedErrors(ValueError))

    def hold_two(self) -> None:
        """Hold ten shares of each of two instruments."""
        self.quote(20.00, 20.02, instrument=IBM)
        self.submit(Side.BUY, 10)
        self.submit(Side.BUY, 10, ticker="IBM.XNYS")

    def patch_pending(self) -> list[tuple[str, ...]]:
        """Return what supervision will have told as pending."""
        told: list[tuple[str, ...]] = []
        original = Supervision._tell_pending

        def tell(supervision: Supervision, watched: Watched, pending: tuple[str, ...]) -> None:
            told.append(pending)
            original(supervision, watched, pending)

        self.patch(Supervision, "_tell_pending", tell)
        return told

    def test_a_closed_session_is_waited_out(self) -> None:
        """FLATTEN_PENDING with the reason; it goes on when the market is open again."""
        self.lose()
        self.quote(13.89, 13.91, size=5_000, time=CLOSE)
        self.advance(31.0)
        self.assertIs(self.mode(), RiskMode.DISABLED)
        self.assertEqual(self.held(), 900)
        pending = self.portfolio().flatten_pending
        self.assertEqual(pending, "BAC.XNYS: its regular session is closed")
        self.run_(self.feed.end())
        self.feed = self.open_feed("2013-10-09")
        self.quote(13.70, 13.72, size=5_000, time=type(CLOSE)(CLOSE + 18 * 3600 * 10**9))
        self.advance(2.5)
        self.assertEqual(self.held(), 0)
        self.assertIsNone(self.portfolio().flatten_pending)

    def test_a_persons_halt_stops_also_the_orders_of_risk(self) -> None:
        """Until another person releases it."""
        orders = self.orders_of(self.officer)
        request = HaltRequest(scope=HaltScope.FIRM, mode=HaltMode.NO_NEW, reason="something is wrong " * 50)
        self.lose()
        halt = self.run_(orders.set_halt(request)).halt
        self.advance(32.0)
        self.assertEqual(self.held(), 900)
        pending = self.portfolio().flatten_pending or ""
        self.assertIn("stops every order", pending)
        self.assertTrue(len(pending) < 300, pending)
        other = self.orders_of(self.person("second_officer", "risk_officer"))
        self.run_(other.release_halt(halt.halt_id, "all is well"))
        self.advance(2.5)
        self.assertEqual(self.held(), 0)

    def test_a_restart_does_not_put_the_expiry_off(self) -> None:
        """It stands in the risk state, and passes also while Risk is away."""
        self.lose()
        state = self.state()
        self.advance(10.0)
        self.restart_risk()
        self.assertEqual(self.state(), state)
        self.platform.stop("risk")
        self.advance(25.0)
        self.start_risk()
        self.advance(2.0)
        self.assertIs(self.mode(), RiskMode.DISABLED)
        self.assertEqual(self.held(), 0)

    def test_a_restart_while_it_flattens_goes_on_and_closes_nothing_twice(self) -> None:
        """Half is closed before, half after."""
        self.lose()
        self.quote(13.89, 13.91, size=400)
        self.advance(31.0)
        self.assertEqual(self.held(), 500)
        self.restart_risk()
        self.quote(13.80, 13.82, size=5_000)
        self.advance(2.5)
        self.assertEqual(self.held(), 0)
        self.assertIs(self.mode(), RiskMode.DISABLED)

    def test_order_execution_that_restarts_changes_nothing(self) -> None:
        """Its activity is followed on from where it stood, and the rest is closed."""
        self.lose()
        self.quote(13.89, 13.91, size=400)
        self.advance(31.0)
        self.assertEqual(self.held(), 500)
        self.platform.stop("order-execution")
        self.advance(3.0)
        self.platform.start("order-execution")
        self.quote(13.80, 13.82, size=5_000)
        self.advance(10.0)
        _, (position,) = self.run_(self.risk.load(self.account))
        self.assertEqual(position.quantity, 0)
        self.assertEqual(self.held(), 0)

    def test_it_is_still_disabled_after_a_restart_on_the_same_day(self) -> None:
        """Also when the day is opened again."""
        self.lose()
        self.advance(33.0)
        self.restart_risk()
        accounts = {each.trading_account_id: each for each in self.run_(self.risk.open_day("2013-10-08"))}
        self.assertEqual(accounts[self.account].outcome, "ALREADY_OPEN")
        self.assertIs(self.mode(), RiskMode.DISABLED)

    def test_a_profit_on_the_rest_changes_nothing(self) -> None:
        """The state latches."""
        self.lose()
        self.quote(20.00, 20.02, size=5_000)
        self.advance(5.0)
        self.assertEqual(self.portfolio().mode, RiskMode.CLOSE_ORDERS)
        self.assertTrue(self.portfolio().day_profit > Money(0))
