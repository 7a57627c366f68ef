"""What people and servers set, as a trader meets it: limits, risk states, rules, supervision, the Risk Server's own orders."""

from unittest.mock import patch

from spire.database.journal import JournalFull
from spire.execution.values import HaltRequest, OrderView
from spire.values.amounts import Money, whole
from spire.values.codes import Currency
from spire.values.orders import Channel, Side, Status
from spire.values.risk import HaltMode, HaltScope, RiskMode, RuleState
from spire.wire.errors import Forbidden, SpireError
from tests.execution.room import ExecutionRoomTestCase, Follower

ACCOUNT_PATH = "trading_groups/demo/accounts/demo_trader"
GROUP_PATH = "trading_groups/demo"
RATE_ID = "USDCAD-2013-10-08-indicative"


class LimitTests(ExecutionRoomTestCase):
    """Limits are those of Administration, live."""

    def test_other_limits_count_at_once(self) -> None:
        """And the decision names their version."""
        view = self.submit(Side.BUY, 1000, 10)
        self.limits(buying_power=Money(whole(15_000)))
        error = self.refused(Side.BUY, 501, 10)
        self.assertEqual(
            (error.coded, error.details["limit"], error.details["observed"]), ("BUYING_POWER", "15000", "15010")
        )
        second = self.submit(Side.BUY, 500, 10)
        versions = [each.submission.decision.limits_version or 0 for each in (view, second)]
        self.assertEqual(versions[1] - versions[0], 1)

    def test_limits_in_another_currency_are_converted(self) -> None:
        """10,000 dollars are 10,357 Canadian ones by the rate of Definitions, which the decision names."""
        self.limits(currency=Currency("CAD"), buying_power=Money(whole(10_357)))
        view = self.submit(Side.BUY, 1000, 10)
        decision = view.submission.decision
        self.assertEqual((decision.buying_power_used, decision.exchange_rate_id), (whole(10_357), RATE_ID))
        self.assertEqual(self.refused(Side.BUY, 1, 1).coded, "BUYING_POWER")

    def test_a_currency_that_no_rate_reaches_refuses_opening(self) -> None:
        """What reduces passes."""
        self.submit(Side.BUY, 100)
        self.limits(currency=Currency("SEK"))
        error = self.refused(Side.BUY, 1, 10)
        self.assertEqual(
            (error.coded, error.details["limit"], error.details["observed"]), ("EXCHANGE_RATE_MISSING", "SEK", "USD")
        )
        self.submit(Side.SELL, 100)
        self.assertEqual(self.follower.told()[-1], "TRADE 100@14")

    def test_one_currency_asks_for_no_rate(self) -> None:
        """Nothing is looked up for the orders of an account whose limits are in its own currency."""
        self.submit(Side.BUY, 100)
        with patch(
            "spire.definitions.client.Rates.conversion", side_effect=AssertionError("asked for a rate")
        ) as asked:
            view = self.submit(Side.BUY, 100, 13)
            self.assertIsNone(view.submission.decision.exchange_rate_id)
            self.assertEqual(self.refused(Side.BUY, 100_000, 13).coded, "BUYING_POWER")
        asked.assert_not_called()

    def test_an_account_without_limits_opens_nothing(self) -> None:
        """Nothing is unlimited."""
        number = self.rooms.trader("unlimited_trader")
        self.advance(0.2)
        request = self.request(Side.BUY, 1, 10, trading_account_id=number)
        error = self.refusal(self.trader("unlimited_trader").submit(request))
        self.assertEqual((error.coded, error.details["rule"]), ("LIMITS_MISSING", "limits"))


class StateTests(ExecutionRoomTestCase):
    """Risk states and supervision."""

    def test_close_orders_lets_only_reduce(self) -> None:
        """From the moment in which Administration tells it; cancels pass."""
        self.submit(Side.BUY, 100)
        resting = self.submit(Side.BUY, 100, 13.5)
        self.risk_state(RiskMode.CLOSE_ORDERS)
        error = self.refused(Side.BUY, 1, 13)
        self.assertEqual((error.coded, error.details["observed"]), ("RISK_STATE", "CLOSE_ORDERS"))
        self.assertEqual(self.result(self.client.cancel(resting.order_id)).status, Status.CANCELED)
        self.submit(Side.SELL, 100)
        self.assertEqual(self.follower.told()[-1], "TRADE 100@14")

    def test_disabled_takes_only_orders_of_risk(self) -> None:
        """They reduce, need no right on the account, heed no rule, and say where they come from."""
        self.submit(Side.BUY, 100)
        resting = self.submit(Side.BUY, 100, 13.5)
        self.rule(ACCOUNT_PATH, "reject_submissions", {})
        self.risk_state(RiskMode.DISABLED)
        self.assertEqual(self.refused(Side.BUY, 100, 13).coded, "COMPLIANCE")
        self.assertEqual(self.result(self.client.cancel(resting.order_id)).status, Status.CANCELED)
        view: OrderView = self.result(self.risk.submit(self.request(Side.SELL, 100, 13.5)))
        self.advance(0.1)
        self.assertEqual((view.submission.channel, self.follower.told()[-1]), (Channel.RISK, "TRADE 100@14"))

    def test_disabled_refuses_what_a_trader_would_reduce(self) -> None:
        """Risk alone closes now."""
        self.submit(Side.BUY, 100)
        self.risk_state(RiskMode.DISABLED)
        self.assertEqual(self.refused(Side.SELL, 100).coded, "RISK_STATE")

    def test_risk_may_only_reduce(self) -> None:
        """Nothing held, nothing to reduce; recorded as any refusal."""
        error = self.refusal(self.risk.submit(self.request(Side.BUY, 100, 13.5)))
        self.advance(0.1)
        self.assertEqual((error.coded, error.details["observed"]), ("RISK_MAY_ONLY_REDUCE", "100"))
        self.assertEqual(self.follower.told(), ["SUBMITTED", "REJECTED"])

    def test_nothing_is_opened_five_seconds_after_the_last_heartbeat(self) -> None:
        """What reduces passes; the next heartbeat lets all pass again."""
        self.submit(Side.BUY, 100)
        self.is_supervised = False
        self.advance(4.0)
        self.submit(Side.BUY, 1, 13)
        self.advance(2.5)
        error = self.refused(Side.BUY, 1, 13)
        self.assertEqual((error.coded, error.details["limit"]), ("RISK_UNSUPERVISED", "5"))
        self.assertIn("risk_service", self.room.readiness.reasons)
        self.submit(Side.SELL, 100)
        self.is_supervised = True
        self.advance(2.5)
        self.submit(Side.BUY, 1, 13)
        self.assertEqual(dict(self.room.readiness.reasons), {})

    def test_nothing_is_opened_before_the_first_heartbeat(self) -> None:
        """A restarted server waits for one."""
        self.is_supervised = False
        self.crash()
        self.serve()
        self.advance(2.0)
        error = self.refused(Side.BUY, 1, 13)
        self.assertEqual((error.coded, error.details["observed"]), ("RISK_UNSUPERVISED", "never heard of"))

    def test_a_blind_account_opens_nothing(self) -> None:
        """Risk says which it cannot watch."""
        self.blind = (self.account.trading_account_id,)
        self.advance(1.5)
        self.assertEqual(self.refused(Side.BUY, 1, 13).details["observed"], "blind")
        metrics = self.parts.metrics
        self.assertEqual(metrics.value("spire_execution_blind_accounts"), 1)

    def test_an_account_that_risk_does_not_know_opens_nothing(self) -> None:
        """One that was made after Risk last looked; what reduces passes, and so does all once Risk knows it."""
        self.submit(Side.BUY, 100)
        self.through = self.account.trading_account_id - 1
        self.advance(1.5)
        error = self.refused(Side.BUY, 1, 13)
        self.assertEqual((error.coded, error.details["observed"]), ("RISK_UNSUPERVISED", "unknown to Risk"))
        self.submit(Side.SELL, 50)
        self.through = self.account.trading_account_id
        self.advance(1.5)
        self.submit(Side.BUY, 1, 13)

    def test_a_state_that_came_while_the_store_was_away_ends_an_opening_order(self) -> None:
        """The halt that announced it has ended with its arrival; the order was never routed."""
        for mode in (RiskMode.CLOSE_ORDERS, RiskMode.DISABLED):
            self.risk_state(RiskMode.ACTIVE)
            self.store.is_down = True
            submitted = self.later(self.client.submit(self.request(Side.BUY, 100, 13)))
            self.advance(0.1)
            standing = self.result(self.rooms.administration.standing(self.account.trading_account_id))
            announced = HaltRequest(
                scope=HaltScope.TRADING_ACCOUNT,
                scope_id=self.account.trading_account_id,
                mode=HaltMode.NO_OPENING,
                reason="the loss limit is reached",
                announces=standing.state.version + 1,
            )
            self.result(self.risk.set_halt(announced))
            self.risk_state(mode)
            self.store.is_down = False
            self.advance(2.0)
            error = self.failureResultOf(submitted, SpireError).value
            self.assertEqual(
                (error.coded, error.details["rule"], error.details["observed"]), ("RISK_STATE", "risk_state", mode.name)
            )
            self.assertEqual(self.follower.told()[-2:], ["SUBMITTED", "REJECTED"])

    def test_limits_that_came_while_the_store_was_away_end_an_opening_order(self) -> None:
        """Where the state that they allow forbids it."""
        self.store.is_down = True
        submitted = self.later(self.client.submit(self.request(Side.BUY, 100, 13)))
        self.advance(0.1)
        self.limits(allowed_state=RiskMode.CLOSE_ORDERS)
        self.store.is_down = False
        self.advance(2.0)
        error = self.failureResultOf(submitted, SpireError).value
        self.assertEqual((error.coded, error.details["rule"]), ("RISK_STATE", "allowed_state"))

    def test_only_risk_supervises(self) -> None:
        """A trader's word counts nothing, and is written down."""
        error = self.refusal(self.client.supervise(through=2**40))
        self.assertIsInstance(error, Forbidden)
        (audit,) = self.everything_of_the_firm().audits
        self.assertEqual(
            (audit.action, audit.outcome, audit.actor_name), ("risk.supervise", "FORBIDDEN", "demo_trader")
        )

    def test_inputs_hold_as_last_received(self) -> None:
        """Administration and Compliance may be away: what they said holds."""
        self.rule(ACCOUNT_PATH, "max_quantity", {"quantity": "500"})
        for service, address in (
            ("administration_service", "127.0.0.1:20100"),
            ("compliance_service", "127.0.0.1:21900"),
        ):
            self.platform.network.faults.refuse.add(address)
            self.platform.network.drop(service)
        self.addCleanup(self.advance, 5.0)
        self.addCleanup(self.platform.network.faults.refuse.clear)
        self.advance(3.0)
        self.submit(Side.BUY, 100, 13)
        self.assertEqual(self.refused(Side.BUY, 501, 13).coded, "COMPLIANCE")
        self.assertLessEqual({"administration_service", "compliance_service"}, set(self.room.readiness.reasons))


class RuleTests(ExecutionRoomTestCase):
    """Compliance rules of the account, of its group, and passive ones."""

    def test_a_rule_of_the_account_refuses_and_is_a_violation(self) -> None:
        """Both are told of the same order; the violation knows its place."""
        rule = self.rule(ACCOUNT_PATH, "max_quantity", {"quantity": "500"})
        error = self.refused(Side.BUY, 501, 10)
        self.assertEqual(
            (error.coded, error.details["rule"], error.details["limit"], error.details["observed"]),
            ("COMPLIANCE", f"max_quantity/{rule.rule_id}", "500", "501"),
        )
        (event,) = self.follower.events
        assert event.submission is not None
        firm = self.everything_of_the_firm()
        (violation,) = firm.violations
        self.assertEqual(
            (violation.order_id, violation.rule_id, violation.state, violation.limit, violation.observed),
            (event.submission.order_id, rule.rule_id, RuleState.ACTIVE, "500", "501"),
        )
        self.assertEqual((violation.sequence, violation.epoch), (firm.events[0].sequence, firm.events[0].epoch))
        taken = self.submit(Side.BUY, 500, 10)
        self.assertEqual(taken.submission.decision.rules_version, event.submission.decision.rules_version)

    def test_a_passive_rule_only_reports(self) -> None:
        """The order goes, and the trader sees nothing of it."""
        self.rule(ACCOUNT_PATH, "max_quantity", {"quantity": "500"}, RuleState.PASSIVE)
        self.submit(Side.BUY, 501, 10)
        self.assertEqual(self.follower.told(), ["SUBMITTED", "NEW"])
        (violation,) = self.everything_of_the_firm().violations
        self.assertEqual((violation.state, violation.observed), (RuleState.PASSIVE, "501"))

    def test_orders_are_counted_per_account_or_together(self) -> None:
        """Those of a second account of the group count together; one that has ended counts no more."""
        second = self.rooms.second_account()
        self.advance(0.2)
        other = self.trader("second_trader")
        self.rule(GROUP_PATH, "order_count_limit", {"count": "2", "counted": "TOGETHER"})
        first = self.submit(Side.BUY, 1, 10)
        taken: OrderView = self.result(other.submit(self.request(Side.BUY, 1, 10, trading_account_id=second)))
        error = self.refused(Side.BUY, 1, 10)
        self.assertEqual((error.coded, error.details["limit"], error.details["observed"]), ("COMPLIANCE", "2", "3"))
        self.result(other.cancel(taken.order_id))
        self.submit(Side.BUY, 1, 10)
        self.result(self.client.cancel(first.order_id))
        self.rule(ACCOUNT_PATH, "order_count_limit", {"count": "1", "counted": "PER_ACCOUNT"})
        self.assertEqual(self.refused(Side.BUY, 1, 10).details["limit"], "1")

    def test_a_restricted_instrument_is_refused(self) -> None:
        """Also to who would reduce; a disabled rule stops nobody."""
        self.submit(Side.BUY, 100)
        rule = self.rule(GROUP_PATH, "restricted_instruments", {"instrument_ids": ["1"]})
        self.assertEqual(self.refused(Side.SELL, 100).details["rule"], f"restricted_instruments/{rule.rule_id}")

    def test_a_changed_rule_counts_at_once(self) -> None:
        """The next order is decided under its new version: the rule book is one change further."""
        rule = self.rule(GROUP_PATH, "reject_submissions", {})
        self.assertEqual(self.refused(Side.BUY, 1, 10).coded, "COMPLIANCE")
        (event,) = self.follower.events
        assert event.submission is not None
        before = event.submission.decision.rules_version
        assert before is not None
        self.change_rule(rule, RuleState.PASSIVE)
        view = self.submit(Side.BUY, 1, 10)
        self.assertEqual(view.submission.decision.rules_version, before + 1)

    def test_traders_do_not_see_the_events_of_the_firm(self) -> None:
        """FORBIDDEN, whoever asks without the role."""
        follower = Follower()
        self.client.follow(0, follower)
        self.advance(0.2)
        self.assertEqual([type(error) for error in follower.errors], [Forbidden])

    def test_a_violation_and_its_refusal_survive_a_crash_together(self) -> None:
        """The store took neither before; afterwards both are there, once."""
        self.rule(ACCOUNT_PATH, "max_quantity", {"quantity": "500"})
        self.store.is_down = True
        self.assertEqual(self.refused(Side.BUY, 501, 10).coded, "COMPLIANCE")
        self.crash()
        self.store.is_down = False
        self.serve()
        self.advance(5.0)
        self.assertEqual(self.follower.told(), ["SUBMITTED", "REJECTED"])
        firm = self.everything_of_the_firm()
        self.assertEqual(len(firm.violations), 1)
        self.assertEqual(firm.events, list(self.result(self.store.activity(0, 1, 0, 9, 9))))

    def test_a_full_disk_leaves_neither(self) -> None:
        """What nobody heard of broke no rule; the next violation is the first."""
        self.rule(ACCOUNT_PATH, "max_quantity", {"quantity": "500"})
        self.before_write = self.no_room
        error = self.refusal(self.client.submit(self.request(Side.BUY, 501, 10)))
        self.assertEqual(error.coded, "STORE_DOWN")
        self.before_write = lambda: None
        self.advance(1.5)
        self.assertEqual(self.refused(Side.BUY, 502, 10).coded, "COMPLIANCE")
        firm = self.everything_of_the_firm()
        self.assertEqual([(each.sequence, each.observed) for each in firm.violations], [(1, "502")])
        self.flushLoggedErrors(JournalFull)


class DayTests(ExecutionRoomTestCase):
    """The business date is the firm's."""

    def test_an_opened_day_is_the_business_date(self) -> None:
        """Before the first it is the date in the firm's zone; orders and postings carry it, restarts keep client order ids."""
        view = self.submit(Side.BUY, 1)
        today = view.submission.business_date
        self.assertEqual(self.follower.postings[-1].business_date, today)
        opened: str = self.result(self.rooms.open_next_day())
        self.advance(0.2)
        request = self.request(Side.BUY, 1)
        first: OrderView = self.result(self.client.submit(request))
        self.advance(0.1)
        self.assertEqual(first.submission.business_date, opened)
        self.assertEqual(self.follower.postings[-1].business_date, opened)
        self.crash()
        self.serve()
        self.advance(5.0)
        again: OrderView = self.result(self.client.submit(request))
        self.assertEqual(again.order_id, first.order_id)


class ManagerTests(ExecutionRoomTestCase):
    """The group's manager."""

    def test_a_manager_cancels_what_his_traders_submitted(self) -> None:
        """And no one who only watches."""
        view = self.submit(Side.BUY, 100, 13)
        manager = self.trader(self.rooms.manager("demo_manager"))
        self.assertEqual(self.result(manager.cancel(view.order_id)).status, Status.CANCELED)
