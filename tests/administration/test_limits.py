"""Limits and risk states: who sets them, against which version, and who sees them."""

from typing import Any

from attrs import evolve

from spire.administration.values import LimitTerms
from spire.database.errors import StoreDown
from spire.locator.values import Right
from spire.values.amounts import Money
from spire.values.audit import DONE
from spire.values.codes import Currency
from spire.values.risk import RiskMode
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, SpireError, Unavailable
from tests.administration.room import RoomTestCase, limit_terms, money


class LimitTests(RoomTestCase):
    """A trading account's limits."""

    def set(self, account: str = "administrator", **changed: Any) -> Any:
        """Set the demo account's limits."""
        given = {"terms": limit_terms(), "expected_version": 0, "reason": "a test", **changed}
        terms = given.pop("terms")
        book = given.pop("book", None) or self.book.entry_id
        return self.client(account).set_limits(book, terms, **given)

    def test_whoever_is_refused_all_the_time_fills_no_log(self) -> None:
        """Beyond the first his attempts are counted, and a later event tells how many."""
        for _ in range(30):
            self.refusal(self.set("demo_trader", reason="x" * 900))
        recorded = len(self.outcomes("limits.set"))
        self.assertLess(recorded, 25)
        self.platform.advance(5.0)
        self.refusal(self.set("demo_trader"))
        (newest, *_) = self.events(action="limits.set")
        self.assertIn(f"({30 - recorded} refused attempts before this one were only counted.)", newest.text or "")
        self.assertEqual(newest.outcome, "FORBIDDEN")

    def test_limits_that_were_never_set_are_absent(self) -> None:
        """Not unlimited, and not 0."""
        standing = self.run_it(self.client().standing(self.book.entry_id))
        self.assertEqual((standing.limits, standing.state), (None, None))

    def test_an_administrator_sets_limits(self) -> None:
        """The answer has version, reason, actor and time, and so has whoever asks afterwards."""
        limits = self.run_it(self.set())
        administrator = self.entry("administrators/administrator").entry_id
        self.assertEqual((limits.version, limits.reason, limits.actor), (1, "a test", administrator))
        self.assertEqual((limits.terms, limits.effective_to), (limit_terms(), None))
        self.assertEqual(self.run_it(self.client("demo_trader").standing(self.book.entry_id)).limits, limits)

    def test_a_risk_officer_sets_limits(self) -> None:
        """He may, like an administrator."""
        officer = self.officer()
        limits = self.run_it(
            officer.set_limits(self.book.entry_id, limit_terms(), expected_version=0, reason="he asked")
        )
        self.assertEqual(limits.version, 1)

    def test_nobody_else_sets_limits(self) -> None:
        """The trader himself least of all; the attempt is on record, with what was asked."""
        self.assertIsInstance(self.refusal(self.set("demo_trader")), Forbidden)
        (event,) = self.events(action="limits.set")
        self.assertEqual((event.outcome, event.actor_name), ("FORBIDDEN", "demo_trader"))
        self.assertIn("500000", event.after or "")
        self.assertIsNone(self.run_it(self.client().standing(self.book.entry_id)).limits)

    def test_a_service_cannot_set_limits(self) -> None:
        """Not even Risk."""
        self.assertIsInstance(self.refusal(self.set("risk_service")), Forbidden)

    def test_a_change_is_on_record_with_what_was_before(self) -> None:
        """Before, after, version, reason, and from where."""
        self.run_it(self.set())
        self.run_it(self.set(expected_version=1, terms=limit_terms(7), reason="less"))
        event = self.events(action="limits.set")[0]
        self.assertEqual((event.outcome, event.entity_version, event.reason), (DONE, 2, "less"))
        self.assertEqual(event.entity, f"trading_account:{self.book.entry_id}")
        self.assertIn("500000", event.before or "")
        self.assertNotIn("500000", event.after or "")
        self.assertNotEqual((event.session, event.source, event.correlation_id), ("", "", ""))

    def test_every_version_stays_readable(self) -> None:
        """Each with the time until which it held."""
        first = self.run_it(self.set())
        self.platform.advance(1.0)
        second = self.run_it(self.set(expected_version=1, terms=limit_terms(7)))
        history = self.run_it(self.client("demo_trader").limit_history(self.book.entry_id))
        self.assertEqual(history, (evolve(first, effective_to=second.effective_from), second))

    def test_a_long_history_comes_in_pages(self) -> None:
        """Oldest first, none lost, none twice."""
        for version in range(45):
            self.run_it(self.set(expected_version=version, reason="x" * 1000))
        history = self.run_it(self.client().limit_history(self.book.entry_id))
        self.assertEqual([each.version for each in history], list(range(1, 46)))

    def test_a_stale_version_is_a_conflict_with_the_one_in_force(self) -> None:
        """Two who read the same version do not overwrite each other."""
        self.run_it(self.set())
        error = self.refusal(self.set(terms=limit_terms(7)))
        self.assertIsInstance(error, Conflict)
        self.assertEqual(error.details["version"], "1")
        self.assertEqual(self.outcomes("limits.set"), ["CONFLICT", DONE])
        self.assertEqual(self.run_it(self.client().standing(self.book.entry_id)).limits.terms, limit_terms())

    def test_another_server_that_was_faster_is_noticed(self) -> None:
        """Memory is behind the store: the conflict names the store's version, and memory catches up."""
        limits = self.run_it(self.set())
        event = self.events(action="limits.set")[0]
        other = evolve(limits, version=2, reason="the other server")
        self.run_it(self.store.write(other, evolve(event, event_id="f" * 32)))
        error = self.refusal(self.set(expected_version=1))
        self.assertEqual((error.coded, error.details["version"]), ("CONFLICT", "2"))
        self.assertEqual(self.run_it(self.client().standing(self.book.entry_id)).limits, other)

    def bad(self, **terms: Any) -> SpireError:
        """Return how limits with a bad field are refused."""
        error = self.refusal(self.set(terms=limit_terms(**terms)))
        self.assertIsInstance(error, Invalid)
        self.assertEqual(self.outcomes("limits.set"), ["INVALID"])
        return error

    def test_an_unknown_currency_is_invalid(self) -> None:
        """Definitions decides."""
        self.assertEqual(self.bad(currency=Currency("XXQ")).details["argument"], "terms.currency")

    def test_a_negative_amount_is_invalid(self) -> None:
        """No limit is below 0."""
        self.assertEqual(self.bad(net_loss=-1).details["argument"], "terms.net_loss")

    def test_an_amount_beyond_64_bits_is_invalid(self) -> None:
        """It is refused before the database could."""
        terms = evolve(limit_terms(), buying_power=Money(2**63))
        error = self.refusal(self.set(terms=terms))
        self.assertEqual((error.coded, error.details["argument"]), ("INVALID", "terms.buying_power"))

    def test_zero_is_an_amount(self) -> None:
        """It means: nothing."""
        terms: LimitTerms = self.run_it(self.set(terms=limit_terms(0, 0, transition_seconds=0))).terms
        self.assertEqual((terms.buying_power, terms.net_loss), (money(0), money(0)))

    def test_a_day_and_a_second_of_transition_are_invalid(self) -> None:
        """At most a day."""
        self.assertEqual(self.bad(transition_seconds=86_401).details["argument"], "terms.transition_seconds")

    def test_limits_need_a_reason(self) -> None:
        """Blanks are none."""
        error = self.refusal(self.set(reason="  "))
        self.assertEqual((error.coded, error.details["argument"]), ("INVALID", "reason"))

    def test_what_is_no_trading_account_has_no_limits(self) -> None:
        """An account that logs in is none."""
        for number in (self.trader.entry_id, 999_999):
            self.assertIsInstance(self.refusal(self.set(book=number)), NotFound)
        self.assertEqual(self.outcomes("limits.set"), ["NOT_FOUND", "NOT_FOUND"])

    def test_a_foreign_account_is_not_shown(self) -> None:
        """Neither its limits nor their history."""
        self.person("tess", "trading_groups/demo/traders")
        tess = self.client("tess")
        self.assertIsInstance(self.refusal(tess.standing(self.book.entry_id)), Forbidden)
        self.assertIsInstance(self.refusal(tess.limit_history(self.book.entry_id)), Forbidden)
        self.assertIsInstance(self.refusal(tess.risk_history(self.book.entry_id)), Forbidden)

    def test_without_the_database_nothing_is_set(self) -> None:
        """UNAVAILABLE, in doubt, and as before; once it is back the same call works."""
        self.break_store("write", "record")
        error = self.refusal(self.set())
        self.assertIsInstance(error, Unavailable)
        self.assertEqual(error.details["in_doubt"], "yes")
        self.assertIsNone(self.run_it(self.client().standing(self.book.entry_id)).limits)
        self.repair_store("write", "record")
        self.assertEqual(self.run_it(self.set()).version, 1)

    def test_a_refusal_stays_one_where_it_cannot_be_recorded(self) -> None:
        """The log says so; nobody gains a right by a database that is away."""
        self.break_store("record")
        self.assertIsInstance(self.refusal(self.set("demo_trader")), Forbidden)

    def test_limits_committed_without_an_answer_appear(self) -> None:
        """The commit's answer was lost: memory catches up with the store."""
        view = self.client().limits()
        self.run_it(view.when_ready())
        write = self.store.write

        async def lost(*arguments: Any) -> None:
            await write(*arguments)
            self.break_store("revision")
            raise StoreDown("the answer was lost")

        self.store.write = lost  # type: ignore[method-assign]
        key = str(self.book.entry_id)
        self.assertIsInstance(self.refusal(self.set()), Unavailable)
        self.assertNotIn(key, view.rows)
        self.repair_store("revision")
        self.store.write = write  # type: ignore[method-assign]
        self.platform.advance(3.0)
        self.assertEqual(view.rows[key].version, 1)

    def test_limits_outlive_the_server(self) -> None:
        """They come back from the store."""
        limits = self.run_it(self.set())
        self.platform.stop("administration")
        self.platform.start("administration")
        self.platform.advance(5.0)
        self.assertEqual(self.run_it(self.client().standing(self.book.entry_id)).limits, limits)


class RiskStateTests(RoomTestCase):
    """A trading account's risk state, which the Risk Server writes."""

    def set(self, account: str = "risk_service", mode: RiskMode = RiskMode.CLOSE_ORDERS, **changed: Any) -> Any:
        """Set the demo account's risk state."""
        given = {"expected_version": 0, "reason": "a loss", **changed}
        return self.service(account).set_risk_state(self.book.entry_id, mode, **given)

    def test_risk_writes_a_state(self) -> None:
        """With expiry, date of the firm's zone, actor and the officer behind it."""
        officer = self.person("olga", "risk_officers")
        expiry = Timestamp(self.clock.now() + 300 * NANOSECONDS)
        state = self.run_it(self.set(expiry=expiry, on_behalf_of=officer))
        self.assertEqual((state.mode, state.version, state.expiry), (RiskMode.CLOSE_ORDERS, 1, expiry))
        self.assertEqual((state.on_behalf_of, state.business_date), (officer, "2013-10-08"))
        self.assertEqual(self.run_it(self.client("demo_trader").standing(self.book.entry_id)).state, state)
        event = self.events(action="risk_state.set")[0]
        self.assertEqual((event.outcome, event.on_behalf_of, event.actor_name), (DONE, officer, "risk_service"))

    def test_the_state_names_the_business_day_that_is_open(self) -> None:
        """Not the calendar's."""
        self.run_it(self.client().open_business_day("2013-10-11"))
        self.assertEqual(self.run_it(self.set()).business_date, "2013-10-11")

    def test_nobody_else_writes_one(self) -> None:
        """Not an administrator, not an officer, not another service."""
        self.officer()
        for account in ("administrator", "olga", "compliance_service"):
            error = self.refusal(self.set(account))
            self.assertEqual((error.coded, error.details["capability"]), ("FORBIDDEN", "risk.set_state"))
        self.assertEqual(self.outcomes("risk_state.set"), ["FORBIDDEN"] * 3)

    def test_a_stale_version_is_a_conflict(self) -> None:
        """A second Risk Server does not overwrite what it has not seen."""
        self.run_it(self.set())
        error = self.refusal(self.set(mode=RiskMode.ACTIVE))
        self.assertEqual((error.coded, error.details["version"]), ("CONFLICT", "1"))

    def test_every_state_stays_readable(self) -> None:
        """Oldest first."""
        for version, mode in enumerate((RiskMode.CLOSE_ORDERS, RiskMode.DISABLED, RiskMode.ACTIVE)):
            self.run_it(self.set(mode=mode, expected_version=version))
        history = self.run_it(self.client("demo_trader").risk_history(self.book.entry_id))
        self.assertEqual([each.mode for each in history], [RiskMode.CLOSE_ORDERS, RiskMode.DISABLED, RiskMode.ACTIVE])

    def test_bad_states_are_refused(self) -> None:
        """No reason, an officer that is none, a time that is none."""
        self.assertEqual(self.refusal(self.set(reason="")).details["argument"], "reason")
        self.assertIsInstance(self.refusal(self.set(on_behalf_of=999_999)), NotFound)
        self.assertEqual(self.refusal(self.set(expiry=Timestamp(-1))).details["argument"], "expiry")
        self.assertEqual(self.outcomes("risk_state.set"), ["INVALID", "NOT_FOUND", "INVALID"])


class TopicTests(RoomTestCase):
    """Who follows what, live."""

    def follow(self, view: Any) -> Any:
        """Return a view that is ready."""
        self.run_it(view.when_ready())
        return view

    def test_services_and_officers_follow_everything(self) -> None:
        """Rows come as they are set."""
        views = [
            self.follow(self.service("order_execution_service").limits()),
            self.follow(self.officer().limits()),
            self.follow(self.client().limits()),
        ]
        limits = self.run_it(
            self.client().set_limits(self.book.entry_id, limit_terms(), expected_version=0, reason="live")
        )
        self.platform.advance(0.5)
        self.assertEqual([view.rows[str(self.book.entry_id)] for view in views], [limits] * 3)

    def test_feeds_and_scripts_follow_nothing_of_anybody(self) -> None:
        """Their accounts stand among the services, and are no servers."""
        for account in ("operations_service", "simulation_feed"):
            client = self.service(account)
            for view in (
                client.limits(),
                client.risk_states(),
                client.entitlements(),
                client.identities(),
                client.limits(self.book.entry_id),
                client.entitlements(self.trader.entry_id),
            ):
                self.assertIsInstance(self.refusal(view.when_ready()), Forbidden, account)
            self.assertIsInstance(self.refusal(client.standing(self.book.entry_id)), Forbidden)
        self.follow(self.service("operations_service").business_days())

    def test_a_service_that_may_register_nothing_any_more_follows_nothing_any_more(self) -> None:
        """At once."""
        relay = self.entry("services/market_data_relay_service")
        view = self.follow(self.service("market_data_relay_service").limits())
        self.run_it(self.spire("administrator").link.calls.set_capabilities(relay.entry_id, ()))
        self.platform.advance(0.5)
        self.run_it(self.client().set_limits(self.book.entry_id, limit_terms(), expected_version=0, reason="live"))
        self.platform.advance(5.0)
        self.assertNotIn(str(self.book.entry_id), view.rows)
        self.assertFalse(view.is_live)

    def test_a_trader_follows_his_own_account_only(self) -> None:
        """The row comes when it is set, and changes; the whole topic is not his."""
        trader = self.client("demo_trader")
        limits, states = (
            self.follow(trader.limits(self.book.entry_id)),
            self.follow(trader.risk_states(self.book.entry_id)),
        )
        self.run_it(self.client().set_limits(self.book.entry_id, limit_terms(), expected_version=0, reason="live"))
        self.run_it(
            self.service("risk_service").set_risk_state(
                self.book.entry_id, RiskMode.DISABLED, expected_version=0, reason="loss"
            )
        )
        self.platform.advance(0.5)
        self.assertEqual([row.version for row in (*limits.rows.values(), *states.rows.values())], [1, 1])
        self.assertIsInstance(self.refusal(trader.limits().when_ready()), Forbidden)
        self.assertIsInstance(self.refusal(trader.identities().when_ready()), Forbidden)

    def test_topics_that_are_none_are_not_found(self) -> None:
        """A wrong name, a wrong number, an account that is none."""
        client = self.client()
        subscribe = client.session.subscriptions.state
        for name in (
            "x",
            "limits/",
            "limits/x",
            "limits/07",
            "limits/999999",
            "limits/" + "9" * 190,
            "business_days/1",
            f"limits/{self.trader.entry_id}",
        ):
            self.assertIsInstance(self.refusal(subscribe(name, object).when_ready()), NotFound)

    def test_a_withdrawn_right_ends_the_stream_at_once(self) -> None:
        """What changes afterwards does not arrive."""
        tess = self.person("tess", "trading_groups/demo/traders")
        calls = self.spire("administrator").link.calls
        self.run_it(calls.grant(tess, self.book.entry_id, Right.VIEW))
        view = self.follow(self.client("tess").limits(self.book.entry_id))
        self.run_it(calls.grant(tess, self.book.entry_id, Right.NONE))
        self.platform.advance(0.5)
        self.run_it(self.client().set_limits(self.book.entry_id, limit_terms(), expected_version=0, reason="live"))
        self.platform.advance(5.0)
        self.assertEqual(dict(view.rows), {})
        self.assertFalse(view.is_live)

    def test_a_lost_role_ends_the_whole_topics_at_once(self) -> None:
        """An officer who is one no more follows nothing."""
        officer = self.person("olga", "risk_officers")
        calls = self.spire("administrator").link.calls
        self.run_it(calls.associate(officer, self.entry("auditors").entry_id))
        view = self.follow(self.client("olga").limits())
        self.run_it(calls.detach(officer, self.entry("risk_officers").entry_id))
        self.run_it(calls.associate(officer, self.entry("trading_groups/demo/traders").entry_id))
        self.run_it(calls.detach(officer, self.entry("auditors").entry_id))
        self.platform.advance(1.0)
        self.assertFalse(view.is_live)
