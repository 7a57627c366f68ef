"""Rules at the Compliance Server, as those who write, read and follow them see it."""

from typing import Any

from attrs import evolve

from spire.compliance import tap
from spire.compliance.rules import describe
from spire.compliance.values import RULES, RuleEntry
from spire.service.audit import audit_events
from spire.service.readiness import State
from spire.values.audit import AuditEvent, AuditQuery
from spire.values.risk import RuleState
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, SpireError, Unavailable
from tests.compliance.examples import draft
from tests.compliance.room import SERVICE, ComplianceRoomTestCase


class RuleTestCase(ComplianceRoomTestCase):
    """An administrator who writes rules on the demo group."""

    def setUp(self) -> None:
        """Log the administrator in."""
        super().setUp()
        self.administrator = self.client("administrator")

    def add(self, place: str = "demo", **changes: Any) -> RuleEntry:
        """Add a rule that is taken."""
        rule: RuleEntry = self.result(self.administrator.add_rule(draft(self.id_of(place), **changes), "as agreed"))
        return rule

    def add_refused(self, kind: type[SpireError], place: str = "demo", *, who: str, **changes: Any) -> SpireError:
        """Add a rule that is not taken."""
        wrong = draft(**({"entry_id": self.id_of(place)} | changes))
        return self.refusal(self.client(who).add_rule(wrong, "as agreed"), kind)

    def audit(self) -> tuple[AuditEvent, ...]:
        """Return the audit log, newest first."""
        events, _ = self.result(audit_events(self.administrator.session, AuditQuery()))
        return events


class AddRuleTests(RuleTestCase):
    """Putting rules on directory entries."""

    def test_a_rule_that_is_added_reaches_a_follower(self) -> None:
        """Live, at version 1, with its author, reason and time."""
        view = self.client("officer").rules()
        self.result(view.when_ready())
        before = self.platform.clock.now()
        rule = self.add(parameters='{ "quantity" : "100" }')
        self.assertEqual(dict(view.rows), {str(rule.rule_id): rule})
        self.assertEqual((rule.version, rule.reason, rule.parameters), (1, "as agreed", '{"quantity":"100"}'))
        self.assertEqual(rule.author, self.firm.people["administrator"].account_id)
        self.assertGreaterEqual(rule.updated, before)

    def test_each_rule_has_an_id_of_its_own(self) -> None:
        """Also on another entry, and after a restart."""
        first, second = self.add(), self.add("book")
        self.restart()
        self.administrator = self.client("administrator")
        third = self.add()
        self.assertEqual(len({first.rule_id, second.rule_id, third.rule_id}), 3)

    def test_a_rule_can_stand_on_the_root_a_group_and_a_trading_account(self) -> None:
        """In any state."""
        rules = [self.add("/", state=RuleState.PASSIVE), self.add(), self.add("book", state=RuleState.DISABLED)]
        found = self.result(self.administrator.rules_of(self.id_of("book")))
        self.assertEqual(list(found), sorted(rules, key=lambda rule: rule.rule_id))

    def test_only_an_administrator_adds_rules(self) -> None:
        """Neither a risk officer nor a manager nor a trader; the attempt is audited and nothing is live."""
        for who in ("officer", "manager", "trader"):
            with self.subTest(who):
                self.add_refused(Forbidden, who=who)
        events = self.audit()
        self.assertEqual([(event.actor_name, event.outcome) for event in events],
                         [(who, "FORBIDDEN") for who in ("trader", "manager", "officer")])  # fmt: skip
        self.assertEqual(self.result(self.administrator.rules_of(self.id_of("demo"))), ())

    def test_an_entry_that_is_not_there_is_not_found(self) -> None:
        """And the attempt is audited."""
        error = self.add_refused(NotFound, who="administrator", entry_id=2**40)
        self.assertEqual(error.details["argument"], "draft.entry_id")
        self.assertEqual([(event.action, event.outcome) for event in self.audit()], [("rule.add", "NOT_FOUND")])

    def test_an_account_carries_no_rule(self) -> None:
        """A person is neither directory nor trading account."""
        error = self.add_refused(Invalid, "trader", who="administrator")
        self.assertEqual(error.details["argument"], "draft.entry_id")

    def test_an_unknown_schema_is_invalid(self) -> None:
        """The schemas that there are, are named."""
        error = self.add_refused(Invalid, who="administrator", schema="max_size")
        self.assertEqual(error.details["argument"], "draft.schema")
        self.assertIn("max_quantity", error.message)

    def test_a_wrong_parameter_is_invalid_and_audited(self) -> None:
        """With what was asked for, and why not; nothing is half done."""
        error = self.add_refused(Invalid, who="administrator", parameters='{"quantity": "-1"}')
        self.assertEqual(error.details["argument"], "draft.parameters")
        (event,) = self.audit()
        self.assertEqual(
            (event.outcome, event.entity, event.text), ("INVALID", f"entry:{self.id_of('demo')}", error.message)
        )
        self.assertIn('{\\"quantity\\": \\"-1\\"}', event.after or "")
        self.assertEqual(self.result(self.store.rules()), ())

    def test_a_rule_needs_a_reason(self) -> None:
        """A blank one says nothing."""
        wrong = self.administrator.add_rule(draft(self.id_of("demo")), "  ")
        error = self.refusal(wrong, Invalid)
        self.assertEqual(error.details["argument"], "reason")

    def test_restricted_instruments_must_be_known_to_definitions(self) -> None:
        """The one that is not is named; those that ship are."""
        known = self.add(schema="restricted_instruments", parameters=describe({"instrument_ids": [1, 2]}))
        self.assertEqual(known.parameters, '{"instrument_ids":[1,2]}')
        unknown = describe({"instrument_ids": [1, 9999]})
        error = self.add_refused(Invalid, who="administrator", schema="restricted_instruments", parameters=unknown)
        self.assertEqual((error.details["argument"], error.details["instrument_id"]), ("draft.parameters", "9999"))

    def test_the_largest_rule_fits_the_topic(self) -> None:
        """A thousand instruments and the longest reason arrive."""
        numbers = [1 + number % 16 for number in range(1000)]
        parameters = describe({"instrument_ids": [f"{number:030d}" for number in numbers[:900]]})
        rule = self.result(
            self.administrator.add_rule(
                draft(self.id_of("demo"), schema="restricted_instruments", parameters=parameters), "r" * 1000
            )
        )
        view = self.administrator.rules()
        self.result(view.when_ready())
        self.assertEqual(view.rows[str(rule.rule_id)], rule)

    def test_a_change_has_its_audit_event(self) -> None:
        """Who, what, from where, before and after, in the log that comes with it."""
        rule = self.add()
        (event,) = self.audit()
        self.assertEqual(
            (event.action, event.entity, event.entity_version, event.outcome, event.before, event.reason),
            ("rule.add", f"rule:{rule.rule_id}", 1, "DONE", None, "as agreed"),
        )
        self.assertIn('"version": "1"', event.after or "")
        self.assertEqual((event.actor_name, event.time), ("administrator", rule.updated))

    def test_nothing_is_added_while_the_store_is_away(self) -> None:
        """UNAVAILABLE says what to do; nobody sees a rule."""
        view = self.administrator.rules()
        self.result(view.when_ready())
        self.store.is_down = True
        error = self.refusal(self.administrator.add_rule(draft(self.id_of("demo")), "as agreed"), Unavailable)
        self.assertIn("nothing was changed", error.message)
        self.store.is_down = False
        self.advance(5.0)
        self.assertEqual(dict(view.rows), {})

    def test_a_rule_whose_commit_is_unknown_is_live_once_it_is_seen_to_be_stored(self) -> None:
        """The answer says that it is in doubt; what is stored comes into force without a restart."""
        view = self.administrator.rules()
        self.result(view.when_ready())
        self.store.loses_commit = True
        error = self.refusal(self.administrator.add_rule(draft(self.id_of("demo")), "as agreed"), Unavailable)
        self.assertEqual(error.details["in_doubt"], "yes")
        self.assertEqual(dict(view.rows), {})
        self.advance(3.0)
        self.assertEqual([rule.reason for rule in view.rows.values()], ["as agreed"])


class ChangeRuleTests(RuleTestCase):
    """Writing the next version of a rule."""

    def test_a_change_reaches_a_follower_and_is_kept(self) -> None:
        """The topic has the newest version, the history has both."""
        view = self.client("officer").rules()
        first = self.add()
        second = self.result(
            self.administrator.change_rule(
                first.rule_id,
                draft(first.entry_id, state=RuleState.PASSIVE),
                expected_version=1,
                reason="only watch",
            )
        )
        self.advance(0.1)
        self.assertEqual((second.version, second.state, second.reason), (2, RuleState.PASSIVE, "only watch"))
        self.assertEqual(view.rows[str(first.rule_id)], second)
        self.assertEqual(self.result(self.administrator.rule_history(first.rule_id)), (first, second))

    def test_a_stale_version_is_a_conflict(self) -> None:
        """It names the version that holds, is audited, and changes nothing."""
        rule = self.add()
        change = draft(rule.entry_id, parameters='{"quantity":"5"}')
        second = self.result(self.administrator.change_rule(rule.rule_id, change, expected_version=1, reason="less"))
        error = self.refusal(
            self.administrator.change_rule(rule.rule_id, change, expected_version=1, reason="less"), Conflict
        )
        self.assertEqual(error.details["version"], "2")
        self.assertEqual(self.audit()[0].outcome, "CONFLICT")
        self.assertEqual(self.result(self.administrator.rule_history(rule.rule_id)), (rule, second))

    def test_an_audit_event_holds_both_versions(self) -> None:
        """What was, and what is."""
        rule = self.add()
        self.result(
            self.administrator.change_rule(
                rule.rule_id, draft(rule.entry_id, parameters='{"quantity":"5"}'), expected_version=1, reason="less"
            )
        )
        event = self.audit()[0]
        self.assertEqual((event.action, event.entity_version), ("rule.change", 2))
        self.assertIn('{\\"quantity\\":\\"100\\"}', event.before or "")
        self.assertIn('{\\"quantity\\":\\"5\\"}', event.after or "")

    def test_only_an_administrator_changes_rules(self) -> None:
        """A manager may not, on his own group either."""
        rule = self.add()
        change = self.client("manager").change_rule(
            rule.rule_id, draft(rule.entry_id), expected_version=1, reason="mine"
        )
        self.refusal(change, Forbidden)
        event = self.audit()[0]
        self.assertEqual((event.entity, event.outcome), (f"rule:{rule.rule_id}", "FORBIDDEN"))

    def test_a_rule_stays_on_its_entry(self) -> None:
        """Whoever wants it elsewhere adds another."""
        rule = self.add()
        moved = self.administrator.change_rule(
            rule.rule_id, draft(self.id_of("book")), expected_version=1, reason="move"
        )
        self.assertEqual(self.refusal(moved, Invalid).details["argument"], "draft.entry_id")

    def test_an_unknown_rule_is_not_found(self) -> None:
        """To change as to read."""
        change = self.administrator.change_rule(2**50, draft(self.id_of("demo")), expected_version=1, reason="which?")
        self.refusal(change, NotFound)
        self.refusal(self.administrator.rule_history(2**50), NotFound)

    def test_a_wrong_parameter_leaves_the_rule_as_it_was(self) -> None:
        """INVALID, and version 1 stays in force."""
        rule = self.add()
        wrong = draft(rule.entry_id, parameters='{"quantity":"0"}')
        self.refusal(self.administrator.change_rule(rule.rule_id, wrong, expected_version=1, reason="none"), Invalid)
        self.assertEqual(self.result(self.administrator.rules_of(rule.entry_id)), (rule,))

    def test_what_another_server_on_the_same_tables_wrote_is_served(self) -> None:
        """Within the time of a refresh, and a change against the version before it is a CONFLICT at once."""
        rule = self.add()
        view = self.administrator.rules()
        self.result(view.when_ready())
        (event,) = self.audit()
        theirs = evolve(rule, version=2, reason="theirs")
        self.result(self.store.change_rule(theirs, evolve(event, event_id="0" * 32)))
        self.refusal(
            self.administrator.change_rule(rule.rule_id, draft(rule.entry_id), expected_version=1, reason="ours"),
            Conflict,
        )
        self.advance(3.0)
        self.assertEqual(dict(view.rows), {str(rule.rule_id): theirs})


class ReadTests(RuleTestCase):
    """Who reads and follows rules."""

    def test_the_rules_that_bind_an_account_are_those_on_it_and_above(self) -> None:
        """By id; a rule on another account is not among them."""
        rules = [self.add("/"), self.add("demo"), self.add("book")]
        self.add("other")
        self.assertEqual(list(self.result(self.client("trader").rules_of(self.id_of("book")))), rules)

    def test_a_manager_reads_the_rules_of_his_group(self) -> None:
        """And what each of them was before."""
        rule = self.add()
        manager = self.client("manager")
        self.assertEqual(self.result(manager.rules_of(self.id_of("demo"))), (rule,))
        self.assertEqual(self.result(manager.rule_history(rule.rule_id)), (rule,))

    def test_without_a_right_on_the_entry_nothing_is_read(self) -> None:
        """Neither the rules nor their history; a trader reads those of his own account, not those of another."""
        rule = self.add("other")
        self.refusal(self.client("stranger").rules_of(self.id_of("demo")), Forbidden)
        self.refusal(self.client("trader").rules_of(self.id_of("other")), Forbidden)
        self.refusal(self.client("trader").rule_history(rule.rule_id), Forbidden)

    def test_the_rules_of_nothing_are_not_found(self) -> None:
        """An id that no entry has."""
        self.refusal(self.administrator.rules_of(2**40), NotFound)

    def test_many_rules_come_in_pages(self) -> None:
        """All of them, in the order of their ids."""
        parameters = describe({"instrument_ids": [f"{1:030d}"] * 900})
        rules = [self.add(schema="restricted_instruments", parameters=parameters) for _ in range(4)]
        self.assertEqual(list(self.result(self.administrator.rules_of(self.id_of("book")))), rules)

    def test_a_long_history_comes_in_pages(self) -> None:
        """Every version, oldest first."""
        rule = self.add()
        for version in range(1, 205):
            self.result(
                self.administrator.change_rule(
                    rule.rule_id, draft(rule.entry_id), expected_version=version, reason="again"
                )
            )
        history = self.result(self.administrator.rule_history(rule.rule_id))
        self.assertEqual([each.version for each in history], list(range(1, 206)))

    def test_history_cannot_be_read_while_the_store_is_away(self) -> None:
        """UNAVAILABLE, never an empty history; the rules in force can be read."""
        rule = self.add()
        self.store.is_down = True
        self.refusal(self.administrator.rule_history(rule.rule_id), Unavailable)
        self.assertEqual(self.result(self.administrator.rules_of(rule.entry_id)), (rule,))
        self.store.is_down = False

    def test_a_trader_does_not_follow_all_rules(self) -> None:
        """He reads those that bind him."""
        session = self.client("trader").session
        view = session.subscriptions.state(RULES, RuleEntry)
        self.refusal(view.when_ready(), Forbidden)

    def test_who_loses_the_role_stops_following_at_once(self) -> None:
        """An open stream ends with the right to it."""
        self.firm.hire("leaver", "risk_officers")
        view = self.client("leaver").rules()
        self.result(view.when_ready())
        directory = self.firm.people["administrator"].directory
        self.result(directory.associate(self.id_of("leaver"), self.id_of("trading_groups/demo/traders")))
        self.result(directory.detach(self.id_of("leaver"), self.id_of("risk_officers")))
        self.advance(0.5)
        rule = self.add()
        self.advance(0.5)
        self.assertNotIn(str(rule.rule_id), view.rows)

    def test_the_audit_log_is_for_auditors_and_administrators(self) -> None:
        """A trader is FORBIDDEN."""
        self.refusal(audit_events(self.client("trader").session, AuditQuery()), Forbidden)

    def test_a_topic_that_does_not_exist_is_not_found(self) -> None:
        """And says how topics are called."""
        view = self.client("officer").session.subscriptions.state("violations/first", RuleEntry)
        self.refusal(view.when_ready(), NotFound)


class StartTests(RuleTestCase):
    """Starting, with what the store holds and without what is away."""

    def test_a_restart_keeps_rules_and_their_ids(self) -> None:
        """A follower that stayed has the same rows under another epoch."""
        rule = self.add()
        view = self.client("officer").rules()
        self.result(view.when_ready())
        epoch = view.epoch
        self.restart()
        self.platform.run(self.firm.people["officer"].ready(SERVICE, 60.0))
        self.advance(1.0)
        self.assertEqual(dict(view.rows), {str(rule.rule_id): rule})
        self.assertNotEqual(view.epoch, epoch)

    def test_it_starts_without_order_execution(self) -> None:
        """Which needs it to start; it is degraded and says so."""
        self.assertEqual(self.room.readiness.state, State.DEGRADED)
        self.assertEqual(list(self.room.readiness.reasons), ["order_execution_service"])

    def test_it_waits_for_a_store_that_is_away(self) -> None:
        """And is ready once it is there."""
        self.platform.run(self.room.stop())
        self.store.is_down = True
        starting = self.later(self._start())
        self.advance(3.0)
        self.assertNoResult(starting)
        self.store.is_down = False
        self.advance(2.0)
        self.successResultOf(starting)

    async def _start(self) -> None:
        room = tap.make_room(self.platform.configuration("compliance"), self.platform.parts(), store=self.store)
        self.addCleanup(lambda: self.platform.run(room.stop()))
        await room.start()


class ConfigurationTests(RuleTestCase):
    """The template that ships."""

    def test_the_template_is_a_whole_configuration(self) -> None:
        """With the time of a refresh by default."""
        configuration = self.platform.configuration("compliance")
        self.assertEqual(configuration.compliance.refresh_seconds, 2.0)
        self.assertEqual(configuration.server.name, SERVICE)
