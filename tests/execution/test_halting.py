"""The kill switch, as officers, the Risk Server, traders and the operator on the host meet it, through every kind of end."""

from typing import Any
from unittest.mock import patch

from spire.database.journal import JournalFull
from spire.execution.client import OrderExecutionClient
from spire.execution.recovery import replay
from spire.execution.values import FIRM, Halt, HaltOutcome, HaltRequest
from spire.service.audit import audit_events
from spire.values.audit import DONE, AuditEvent, AuditQuery
from spire.values.orders import Channel, Side, Status
from spire.values.risk import HaltAction, HaltMode, HaltScope, RiskMode
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, SpireError, Unavailable, Unsupported
from tests.execution.room import ExecutionRoomTestCase, Follower


class HaltTestCase(ExecutionRoomTestCase):
    """Two risk officers."""

    def setUp(self) -> None:
        """Log them in."""
        super().setUp()
        self.one = self.trader(self.rooms.officer("first_officer"))
        self.other = self.trader(self.rooms.officer("second_officer"))

    def set_halt(self, client: OrderExecutionClient, mode: HaltMode = HaltMode.NO_NEW, **changes: Any) -> HaltOutcome:
        """Set a halt of the firm, changed as named."""
        outcome: HaltOutcome = self.result(client.set_halt(self.halt(mode, **changes)))
        self.advance(0.1)
        return outcome

    def of_account(self, mode: HaltMode = HaltMode.NO_OPENING, **changes: Any) -> HaltRequest:
        """Return the request of a halt of the trader's account."""
        fields = {"scope": HaltScope.TRADING_ACCOUNT, "scope_id": self.account.trading_account_id}
        return self.halt(mode, **(fields | changes))

    def release(self, client: OrderExecutionClient, halt: Halt) -> Halt:
        """Release a halt."""
        released: Halt = self.result(client.release_halt(halt.halt_id, "it is over"))
        self.advance(0.1)
        return released

    def restart(self) -> None:
        """Crash, start again, and let everybody find his way back."""
        self.crash()
        self.serve()
        self.advance(5.0)

    def in_force(self) -> list[Halt]:
        """Return the halts in force as a service sees them that comes new."""
        view = self.risk.halts()
        self.platform.run(view.when_ready())
        self.advance(0.1)
        return [view.rows[key] for key in sorted(view.rows)]


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
        """A second officer's is another; nothing is recorded twice."""
        first = self.set_halt(self.one)
        self.assertEqual(self.set_halt(self.one).halt, first.halt)
        self.assertEqual(self.set_halt(self.other).halt.halt_id, first.halt.halt_id + 1)
        self.assertEqual(len(self.everything_of_the_firm().halts), 2)

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
                ("halt.set", "halt:1", DONE),
                ("halt.release", "halt:1", "FORBIDDEN"),
                ("halt.release", "halt:1", DONE),
                ("halt.release", "halt:1", "CONFLICT"),
                ("halt.release", "halt:99", "NOT_FOUND"),
                ("halt.release", "halt:1", "CONFLICT"),
            ],
        )

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
            audit_events(administrator.session, AuditQuery(entity="halt:1"))
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


class LatchTests(HaltTestCase):
    """Halts outlive every end of the server."""

    def test_it_survives_a_crash(self) -> None:
        """In force before the port opens; another officer may release it, and its id is not given out again."""
        halt = self.set_halt(self.one).halt
        self.advance(0.5)
        self.restart()
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")
        self.assertEqual(self.in_force(), [halt])
        self.release(self.other, halt)
        self.restart()
        self.submit(Side.BUY, 1, 13)
        self.assertEqual(self.set_halt(self.one).halt.halt_id, 2)

    def test_it_survives_in_the_journal_alone(self) -> None:
        """The store never heard of it; afterwards it has."""
        self.store.is_down = True
        halt = self.set_halt(self.one).halt
        self.crash()
        self.assertEqual(self.result(self.store.halts()).in_force, ())
        self.store.is_down = False
        self.serve()
        self.advance(5.0)
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")
        self.assertEqual(self.result(self.store.halts()).in_force, (halt,))

    def test_it_survives_in_the_store_alone(self) -> None:
        """Days later the journal has let go of it."""
        halt = self.set_halt(self.one).halt
        self.advance(1.0)
        self.platform.run(self.room.stop())
        with patch("spire.execution.server.replay", wraps=_nothing_replayed):
            self.serve()
        self.advance(5.0)
        self.assertEqual(self.in_force(), [halt])
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")

    def test_the_history_of_the_firm_is_whole(self) -> None:
        """From memory, from the store, and after a restart: dense, once each."""
        halt = self.set_halt(self.one).halt
        self.release(self.other, halt)
        self.set_halt(self.one, HaltMode.NO_OPENING)
        before = self.everything_of_the_firm().events
        self.assertEqual([event.sequence for event in before], [1, 2, 3, 4, 5, 6])
        self.advance(70.0)
        self.assertEqual(self.everything_of_the_firm().events, before)
        self.restart()
        self.assertEqual(self.everything_of_the_firm().events, before)


def _nothing_replayed(orders: Any, chronicle: Any, frames: Any, stored: int, last: int) -> Any:
    """Replay as if the journal held nothing: the store has it all."""
    assert stored == last
    return replay(orders, chronicle, (), stored, last)


class FullDiskTests(HaltTestCase):
    """The journal takes nothing: halts hold all the same, and nothing is released."""

    def tearDown(self) -> None:
        """Let the errors of the disk be."""
        self.flushLoggedErrors(JournalFull)

    def room_again(self) -> None:
        """Let the journal be written again."""
        self.before_write = lambda: None
        self.advance(1.5)

    def test_a_halt_holds_and_is_answered_unavailable(self) -> None:
        """It is written down as soon as there is room, and told then."""
        self.before_write = self.no_room
        self.assertIsInstance(self.refusal(self.one.set_halt(self.halt())), Unavailable)
        self.assertIsInstance(self.refusal(self.one.set_halt(self.halt())), Unavailable)
        self.assertEqual(self.in_force(), [])
        self.room_again()
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")
        self.assertEqual(len(self.in_force()), 1)
        firm = self.everything_of_the_firm()
        self.assertEqual([event.sequence for event in firm.events], [1, 2])
        self.restart()
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")

    def test_a_release_fails_and_the_halt_holds_on(self) -> None:
        """Known to be full or not: nothing is released that was not written down."""
        halt = self.set_halt(self.one).halt
        self.before_write = self.no_room
        self.assertIsInstance(self.refusal(self.other.release_halt(halt.halt_id, "over")), Unavailable)
        self.assertIsInstance(self.refusal(self.other.release_halt(halt.halt_id, "over")), Unavailable)
        self.room_again()
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")
        self.assertEqual(self.in_force(), [halt])
        self.assertEqual(len(self.everything_of_the_firm().halts), 1)

    def test_events_of_the_firm_are_numbered_anew(self) -> None:
        """What was undone leaves no hole between a halt and a refused attempt that waited."""
        rule = self.rule("trading_groups/demo", "max_quantity", {"quantity": "1"})
        self.before_write = self.no_room
        submitted = self.later(self.client.submit(self.request(Side.BUY, 2, 13)))
        halted = self.later(self.one.set_halt(self.halt()))
        stranger = self.later(self.client.set_halt(self.halt()))
        self.advance(0.1)
        for call in (submitted, halted):
            self.failureResultOf(call, SpireError)
        self.assertIsInstance(self.failureResultOf(stranger).value, Forbidden)
        self.room_again()
        firm = self.everything_of_the_firm()
        self.assertEqual([event.sequence for event in firm.events], [1, 2, 3])
        self.assertEqual((len(firm.halts), firm.violations), (1, []))
        self.assertEqual(sorted(audit.outcome for audit in firm.audits), [DONE, "FORBIDDEN"])
        self.assertEqual(rule.version, 1)


class HostTests(HaltTestCase):
    """The operator at the server's own socket."""

    def verb(self, name: str, **arguments: object) -> Any:
        """Ask a verb."""
        return self.result(self.room.verbs.run(name, arguments))

    def refused_verb(self, name: str, **arguments: object) -> SpireError:
        """Ask a verb that is refused."""
        return self.refusal(self.room.verbs.run(name, arguments))

    def test_a_halt_needs_neither_locator_nor_login(self) -> None:
        """Set and released by the same hands; nobody is named."""
        self.submit(Side.BUY, 100, 13)
        self.platform.network.faults.refuse.add("127.0.0.1:20000")
        self.addCleanup(self.advance, 5.0)
        self.addCleanup(self.platform.network.faults.refuse.clear)
        self.platform.network.drop("service_locator")
        answer = self.verb("halt", reason="fire", cancel_all=True)
        self.assertEqual(
            (answer["halt"]["halt_id"], answer["halt"]["set_by"], len(answer["confirmed"])), ("1", None, 1)
        )
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")
        self.assertEqual([each["halt_id"] for each in self.verb("halts")], ["1"])
        self.verb("release_halt", halt_id="1", reason="over")
        self.submit(Side.BUY, 1, 13)
        firm = self.everything_of_the_store()
        self.assertEqual(
            [(each.actor, each.channel, each.action) for each in firm],
            [
                (None, Channel.OPERATOR, "halt.set"),
                (None, Channel.OPERATOR, "halt.release"),
            ],
        )

    def everything_of_the_store(self) -> list[AuditEvent]:
        """Return the audit log, oldest first."""
        self.advance(0.5)
        events, _ = self.result(self.store.audit(AuditQuery()))
        return list(reversed(events))

    def test_a_single_account_can_be_halted(self) -> None:
        """By its id."""
        number = str(self.account.trading_account_id)
        self.verb("halt", scope="TRADING_ACCOUNT", scope_id=number, mode="NO_OPENING", reason="fire")
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")

    def test_the_host_releases_only_its_own(self) -> None:
        """An officer's waits for an officer; what was set on the host may be released by one."""
        halt = self.set_halt(self.one).halt
        self.assertIsInstance(self.refused_verb("release_halt", halt_id=halt.halt_id, reason="x"), Forbidden)
        self.verb("halt", reason="fire")
        self.release(self.one, self.in_force()[1])

    def test_bad_input_is_coded_and_written_down(self) -> None:
        """Nothing is in force."""
        for arguments, kind in (
            ({"scope": "MOON", "reason": "x"}, Invalid),
            ({"scope_id": "seven", "reason": "x"}, Invalid),
            ({"reason": ""}, Invalid),
            ({"scope": "VENUE", "scope_id": 8, "reason": "x"}, Unsupported),
            ({"scope": "TRADING_ACCOUNT", "scope_id": 2**40, "reason": "x"}, NotFound),
        ):
            self.assertIsInstance(self.refused_verb("halt", **arguments), kind, arguments)
        self.assertIsInstance(self.refused_verb("release_halt", halt_id="one", reason="x"), Invalid)
        self.assertIsInstance(self.refused_verb("release_halt", halt_id=1, reason="x"), NotFound)
        self.assertEqual(self.in_force(), [])
        self.assertEqual(
            [audit.outcome for audit in self.everything_of_the_store()],
            ["INVALID", "INVALID", "INVALID", "UNSUPPORTED", "NOT_FOUND", "INVALID", "NOT_FOUND"],
        )

    def test_before_the_start_nothing_is_promised(self) -> None:
        """UNAVAILABLE says that no orders are taken either."""
        self.platform.run(self.room.stop())
        self.assertIsInstance(self.refused_verb("halt", reason="fire"), Unavailable)
        self.serve()
        self.advance(5.0)
