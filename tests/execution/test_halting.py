"""The kill switch as risk officers, the Risk Server and traders meet it."""

from typing import Any
from unittest.mock import patch

from spire.execution.values import FIRM, HaltOutcome, HaltRequest
from spire.service.audit import audit_events
from spire.values.audit import DONE, AuditEvent, AuditQuery
from spire.values.orders import Channel, Side, Status
from spire.values.risk import HaltAction, HaltMode, HaltScope, RiskMode
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, SpireError, Unsupported
from tests.execution.halting import HaltTestCase
from tests.execution.room import Follower


class OfficerTests(HaltTestCase):
    """What risk officers do."""

    def test_a_halt_of_the_firm_stops_every_account(self) -> None:
        """With its id and reason, from the answer on; cancels pass; another officer ends it."""
        resting = self.submit(Side.BUY, 100, 13)
        outcome = self.set_halt(self.one)
        error = self.refused(Side.BUY, 1, 13)
        self.assertEqual(
            (error.coded, error.details["rule"], error.details["observed"]),
            ("HALTED", f"halt/{outcome.halt.halt_id}", "NO_NEW"),
        )
        second = self.rooms.second_account()
        self.advance(0.2)
        request = self.request(Side.BUY, 1, 13, trading_account_id=second)
        self.assertEqual(self.refusal(self.trader("second_trader").submit(request)).coded, "HALTED")
        self.assertEqual(self.result(self.client.cancel(resting.order_id)).status, Status.CANCELED)
        released = self.release(self.other, outcome.halt)
        self.assertEqual(released.release_reason, "it is over")
        self.submit(Side.BUY, 1, 13)

    def test_it_is_in_force_in_the_turn_of_the_call(self) -> None:
        """An order that arrives with it, behind it, is refused; nothing waits for the journal."""
        halted = self.later(self.one.set_halt(self.halt()))
        self.advance(0.01)
        self.assertEqual(len(self.rooms_halts()), 1)
        self.advance(0.1)
        self.assertEqual(self.successResultOf(halted).halt.halt_id, 1)

    def rooms_halts(self) -> Any:
        """Return the halts as the operator on the host sees them."""
        return self.result(self.room.verbs.run("halts", {}))

    def test_an_opening_order_that_waits_for_the_store_is_not_routed_any_more(self) -> None:
        """It was accepted before the halt, and ends as HALTED: nobody had an answer yet."""
        self.store.is_down = True
        submitted = self.later(self.client.submit(self.request(Side.BUY, 100, 13)))
        self.advance(0.3)
        self.set_halt(self.one)
        self.store.is_down = False
        self.advance(2.0)
        failure = self.failureResultOf(submitted, SpireError)
        self.assertEqual((failure.value.coded, failure.value.details["rule"]), ("HALTED", "halt/1"))
        self.assertEqual(self.follower.told(), ["SUBMITTED", "REJECTED"])
        self.assertEqual(self.follower.reports[0].rule, "halt/1")

    def test_a_halt_of_an_account_stops_that_account(self) -> None:
        """NO_OPENING lets it reduce; the other account trades on."""
        self.submit(Side.BUY, 100)
        self.result(self.one.set_halt(self.of_account()))
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")
        self.submit(Side.SELL, 100)
        self.assertEqual(self.follower.told()[-1], "TRADE 100@14")
        second = self.rooms.second_account()
        self.advance(0.2)
        self.result(self.trader("second_trader").submit(self.request(Side.BUY, 1, 13, trading_account_id=second)))

    def test_cancel_all_cancels_the_scope(self) -> None:
        """The answer lists what was confirmed; orders of others rest on."""
        mine = self.submit(Side.BUY, 100, 13)
        second = self.rooms.second_account()
        self.advance(0.2)
        other = self.trader("second_trader")
        theirs = self.result(other.submit(self.request(Side.BUY, 1, 13, trading_account_id=second)))
        outcome: HaltOutcome = self.result(self.one.set_halt(self.of_account(actions=HaltAction.CANCEL_ALL)))
        self.assertEqual((outcome.confirmed, outcome.unconfirmed), ((mine.order_id,), ()))
        self.assertEqual(self.order(mine).status, Status.CANCELED)
        outcome = self.set_halt(self.one, actions=HaltAction.CANCEL_ALL)
        self.assertEqual(outcome.confirmed, (theirs.order_id,))

    def test_a_cancel_that_is_not_answered_is_unconfirmed(self) -> None:
        """It was sent; its order is live still."""
        view = self.submit(Side.BUY, 100, 13)
        with patch("spire.execution.drivers.simulation.SimulationDriver.cancel", lambda *_: None):
            outcome = self.set_halt(self.one, actions=HaltAction.CANCEL_ALL)
        self.assertEqual((outcome.confirmed, outcome.unconfirmed), ((), (view.order_id,)))

    def test_cancel_all_reaches_what_is_not_routed_yet(self) -> None:
        """It ends before it was sent."""
        self.store.is_down = True
        submitted = self.later(self.client.submit(self.request(Side.BUY, 100, 13)))
        self.advance(0.2)
        outcome = self.set_halt(self.one, actions=HaltAction.CANCEL_ALL)
        self.assertEqual(len(outcome.confirmed), 1)
        self.store.is_down = False
        self.advance(3.0)
        self.assertEqual(self.successResultOf(submitted).status, Status.CANCELED)

    def test_the_same_halt_again_is_the_one_in_force(self) -> None:
        """A second officer's is another."""
        first = self.set_halt(self.one)
        self.assertEqual(self.set_halt(self.one).halt, first.halt)
        self.assertEqual(self.set_halt(self.other).halt.halt_id, first.halt.halt_id + 1)
        self.assertEqual(len(self.everything_of_the_firm().halts), 2)

    def test_the_same_halt_again_is_written_down_with_its_reason(self) -> None:
        """It cancels anew; the halt keeps its first reason, the audit log has both."""
        self.submit(Side.BUY, 100)
        first = self.set_halt(self.one, HaltMode.NO_OPENING, actions=HaltAction.CANCEL_ALL)
        resting = self.submit(Side.SELL, 100, 15)
        again = self.set_halt(self.one, HaltMode.NO_OPENING, actions=HaltAction.CANCEL_ALL, reason="it is still wrong")
        self.assertEqual((again.halt, again.confirmed), (first.halt, (resting.order_id,)))
        firm = self.everything_of_the_firm()
        self.assertEqual(len(firm.halts), 1)
        self.assertEqual(
            [(audit.entity, audit.reason, audit.outcome) for audit in firm.audits],
            [("firm:0", "something is wrong", DONE), ("firm:0", "it is still wrong", DONE)],
        )
        self.assertEqual(firm.audits[1].before, firm.audits[1].after)
        self.assertIn("in force already", firm.audits[1].text or "")

    def test_one_sets_another_releases(self) -> None:
        """Who set it is FORBIDDEN; an ended one is CONFLICT, one that never was NOT_FOUND; each attempt is written down."""
        halt = self.set_halt(self.one).halt
        self.assertIsInstance(self.refusal(self.one.release_halt(halt.halt_id, "mine")), Forbidden)
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")
        self.release(self.other, halt)
        self.assertIsInstance(self.refusal(self.other.release_halt(halt.halt_id, "again")), Conflict)
        self.assertIsInstance(self.refusal(self.other.release_halt(99, "what")), NotFound)
        self.assertIsInstance(self.refusal(self.other.release_halt(halt.halt_id, "")), Conflict)
        audits = self.everything_of_the_firm().audits
        self.assertEqual(
            [(each.action, each.entity, each.outcome) for each in audits],
            [
                ("halt.set", "firm:0", DONE),
                ("halt.release", "firm:0", "FORBIDDEN"),
                ("halt.release", "firm:0", DONE),
                ("halt.release", "halt:1", "CONFLICT"),
                ("halt.release", "halt:99", "NOT_FOUND"),
                ("halt.release", "halt:1", "CONFLICT"),
            ],
        )

    def test_all_that_befalls_a_halt_is_found_by_what_it_stops(self) -> None:
        """Refused, set, a release refused, released: one entity, which is the trading account's, with the halt's id."""
        self.refusal(self.trader("demo_trader").set_halt(self.of_account()))
        halt = self.result(self.one.set_halt(self.of_account())).halt
        self.refusal(self.one.release_halt(halt.halt_id, "mine"))
        self.release(self.other, halt)
        entity = f"trading_account:{self.account.trading_account_id}"
        events, _ = self.result(audit_events(self.trader("administrator").session, AuditQuery(entity=entity)))
        self.assertEqual(
            [(event.action, event.outcome) for event in reversed(events)],
            [
                ("halt.set", "FORBIDDEN"),
                ("halt.set", DONE),
                ("halt.release", "FORBIDDEN"),
                ("halt.release", DONE),
            ],
        )
        for event in events[:3]:
            self.assertIn(f'"halt_id": "{halt.halt_id}"', event.after or "")

    def test_nobody_else_sets_or_releases(self) -> None:
        """A trader, an administrator, another service: FORBIDDEN, written down, without effect."""
        halt = self.set_halt(self.one, HaltMode.NO_OPENING).halt
        for account in ("demo_trader", "administrator", "charting_service"):
            client = self.trader(account)
            self.assertIsInstance(self.refusal(client.set_halt(self.halt())), Forbidden, account)
            self.assertIsInstance(self.refusal(client.release_halt(halt.halt_id, "x")), Forbidden, account)
        self.assertEqual(self.in_force(), [halt])
        outcomes = [audit.outcome for audit in self.everything_of_the_firm().audits]
        self.assertEqual(outcomes, [DONE] + ["FORBIDDEN"] * 6)

    def test_bad_input_is_coded_and_written_down(self) -> None:
        """With the argument; nothing is in force."""
        for asked, kind, argument in (
            (self.halt(reason=""), Invalid, "reason"),
            (self.halt(reason="x" * 20_000), Invalid, "reason"),
            (self.halt(scope_id=7), Invalid, "scope_id"),
            (self.halt(announces=3), Invalid, "announces"),
            (self.halt(actions=HaltAction.FLATTEN), Unsupported, "actions"),
            (self.halt(scope=HaltScope.GROUP, scope_id=7), Unsupported, "scope"),
            (self.of_account(scope_id=2**40), NotFound, None),
        ):
            error = self.refusal(self.one.set_halt(asked))
            self.assertIsInstance(error, kind)
            self.assertEqual(error.details.get("argument"), argument)
        firm = self.everything_of_the_firm()
        self.assertEqual((firm.halts, self.in_force()), ([], []))
        self.assertEqual(
            [audit.outcome for audit in firm.audits],
            ["INVALID", "INVALID", "INVALID", "INVALID", "UNSUPPORTED", "UNSUPPORTED", "NOT_FOUND"],
        )

    def test_a_role_that_is_withdrawn_halts_nothing(self) -> None:
        """Asked of the directory at each call, and the streams that it opened end."""
        watching = Follower()
        officer = self.trader(self.rooms.officer("leaving_officer"))
        officer.follow(FIRM, watching, after=0)
        self.advance(0.2)
        self.rooms.withdraw_officer("leaving_officer")
        self.advance(0.5)
        error = self.refusal(officer.set_halt(self.halt()))
        self.assertEqual(self.in_force(), [])
        self.assertIn(error.coded, ("FORBIDDEN", "UNAVAILABLE", "NOT_AUTHENTICATED"))

    def test_the_audit_log_can_be_read(self) -> None:
        """By an auditor's or administrator's session, newest first, with what was before and after; by nobody else."""
        halt = self.set_halt(self.one).halt
        self.release(self.other, halt)
        administrator = self.trader("administrator")
        page: tuple[tuple[AuditEvent, ...], int | None] = self.result(
            audit_events(administrator.session, AuditQuery(entity="firm:0"))
        )
        (released, was_set), before = page
        self.assertIsNone(before)
        self.assertEqual(
            (was_set.actor_name, was_set.before, was_set.reason), ("first_officer", None, "something is wrong")
        )
        self.assertIn('"NO_NEW"', was_set.after or "")
        self.assertEqual((released.actor_name, released.before), ("second_officer", was_set.after))
        self.assertIsInstance(self.refusal(audit_events(self.client.session, AuditQuery())), Forbidden)

    def test_the_halts_in_force_are_a_topic(self) -> None:
        """For services, officers and administrators, live; a trader is FORBIDDEN."""
        view = self.trader("administrator").halts()
        self.platform.run(view.when_ready())
        halt = self.set_halt(self.one).halt
        self.assertEqual(dict(view.rows), {"1": halt})
        self.release(self.other, halt)
        self.assertEqual(dict(view.rows), {})
        mine = self.client.halts()
        self.assertIsInstance(self.refusal(mine.when_ready()), Forbidden)


class RiskTests(HaltTestCase):
    """The Risk Server's own halts."""

    def announced(self, version: int) -> HaltRequest:
        """Return the halt that Risk sets before it writes a risk state."""
        return self.of_account(announces=version, reason="the loss limit is reached")

    def next_version(self) -> int:
        """Return the version that the next risk state will have."""
        standing = self.result(self.rooms.administration.standing(self.account.trading_account_id))
        return 1 if standing.state is None else standing.state.version + 1

    def test_it_ends_with_the_risk_state_that_it_announced(self) -> None:
        """Between both nothing is opened, afterwards the risk state stops it; the end is written down."""
        outcome: HaltOutcome = self.result(self.risk.set_halt(self.announced(self.next_version())))
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")
        state = self.risk_state(RiskMode.CLOSE_ORDERS)
        self.assertEqual(self.in_force(), [])
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "RISK_STATE")
        firm = self.everything_of_the_firm()
        self.assertEqual(firm.halts[-1].released_by, outcome.halt.set_by)
        self.assertEqual((firm.audits[-1].action, firm.audits[-1].channel), ("halt.release", Channel.RISK))
        self.assertIn(f"Version {state.version}", firm.audits[-1].reason or "")

    def test_a_later_announcement_is_waited_for(self) -> None:
        """The same halt, which the earlier state does not end any more."""
        version = self.next_version()
        first: HaltOutcome = self.result(self.risk.set_halt(self.announced(version)))
        second: HaltOutcome = self.result(self.risk.set_halt(self.announced(version + 1)))
        self.assertEqual((second.halt.halt_id, second.halt.announces), (first.halt.halt_id, version + 1))
        self.risk_state(RiskMode.CLOSE_ORDERS)
        self.assertEqual(len(self.in_force()), 1)
        self.risk_state(RiskMode.DISABLED)
        self.assertEqual(self.in_force(), [])

    def test_risk_or_an_officer_releases_it(self) -> None:
        """But Risk no person's."""
        halt = self.result(self.risk.set_halt(self.announced(self.next_version()))).halt
        self.release(self.risk, halt)
        halt = self.result(self.risk.set_halt(self.announced(self.next_version()))).halt
        self.release(self.one, halt)
        persons = self.set_halt(self.one).halt
        self.assertIsInstance(self.refusal(self.risk.release_halt(persons.halt_id, "x")), Forbidden)

    def test_risk_stops_opening_on_accounts_only(self) -> None:
        """The rest is for persons, and it says what follows."""
        self.assertIsInstance(self.refusal(self.risk.set_halt(self.halt(HaltMode.NO_OPENING, announces=1))), Forbidden)
        self.assertIsInstance(
            self.refusal(self.risk.set_halt(self.of_account(HaltMode.NO_NEW, announces=1))), Forbidden
        )
        error = self.refusal(self.risk.set_halt(self.of_account()))
        self.assertEqual((type(error), error.details["argument"]), (Invalid, "announces"))

    def test_risk_reduces_under_no_opening_and_not_under_no_new(self) -> None:
        """A person may stop the Risk Server too."""
        self.submit(Side.BUY, 100)
        self.set_halt(self.one, HaltMode.NO_OPENING)
        self.result(self.risk.submit(self.request(Side.SELL, 60)))
        self.set_halt(self.one, HaltMode.NO_NEW)
        self.assertEqual(self.refusal(self.risk.submit(self.request(Side.SELL, 40))).coded, "HALTED")

    def test_it_ends_although_the_announcement_came_while_the_server_was_down(self) -> None:
        """The state is there when it starts again."""
        self.result(self.risk.set_halt(self.announced(self.next_version())))
        self.crash()
        self.rooms.set_risk_state(RiskMode.CLOSE_ORDERS)
        self.addCleanup(self.rooms.set_risk_state, RiskMode.ACTIVE)
        self.serve()
        self.advance(5.0)
        self.assertEqual(self.in_force(), [])
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "RISK_STATE")
