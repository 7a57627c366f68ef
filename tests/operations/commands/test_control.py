"""`spire risk`, `limits`, `violations` and `halt`, and what opens the business day."""

import json
from typing import Any

from twisted.internet.defer import CancelledError

from spire.operations.commands.risk import show
from spire.operations.commands.violations import violations
from spire.operations.day import main as day
from spire.wire.errors import SpireError
from tests.operations.commands.following import FollowTestCase, Kept
from tests.operations.commands.room import CommandTestCase


class ViolationTests(FollowTestCase):
    """Orders that break a rule."""

    def test_a_refusal_names_its_rule_and_is_seen_as_a_violation(self) -> None:
        """By the trader, and by the manager of his group."""
        (rule,) = self.admin("rule", "add", "--on", "demo", "--max-quantity", "500", "--reason", "small orders only")
        self.platform.advance(1.0)
        error = self.refused("order", "submit", "buy", "501", "ACME.DEMO")
        self.assertEqual(
            (error["code"], error["details"]["limit"], error["details"]["observed"]), ("COMPLIANCE", "500", "501")
        )
        self.assertIn("spire violations", error["advice"])
        self.platform.advance(1.0)
        (seen,) = self.rows("violations")
        self.assertEqual(
            (seen["account"], seen["ticker"], seen["quantity"], seen["state"], seen["rule"]),
            ("demo_trader", "ACME.DEMO", "501", "ACTIVE", f"max_quantity/{rule['rule_id']}"),
        )
        self.make_person("mia", "manager:demo")
        for words in ([], ["--group", "demo"], ["--account", "demo_trader"], ["--rule", rule["rule_id"]]):
            (row,) = self.rows("violations", *words, account="mia")
            self.assertEqual(row["order_id"], seen["order_id"], words)
        self.assertEqual(self.rows("violations", "--rule", "987654"), [])
        self.admin("rule", "change", rule["rule_id"], "--state", "disabled", "--reason", "over")

    def test_strangers_see_no_violations(self) -> None:
        """An empty list would look like peace."""
        self.assertEqual(self.refused("violations", account="demo_market_data")["code"], "FORBIDDEN")
        error = self.refused("violations", "--account", "demo_trader", account="demo_market_data")
        self.assertEqual(error["code"], "NOT_FOUND")

    def test_account_and_group_exclude_each_other(self) -> None:
        """The command line is wrong."""
        result = self.invoke("violations", "--account", "demo_trader", "--group", "demo")
        self.assertEqual(result.exit_code, 2)

    def test_following_begins_where_the_list_ended(self) -> None:
        """Each violation once, also one that happens while the past is read."""
        (rule,) = self.admin(
            "rule",
            "add",
            "--on",
            "account:demo_trader",
            "--max-quantity",
            "7",
            "--state",
            "passive",
            "--reason",
            "look",
        )
        self.platform.advance(1.0)
        self.spire("order", "submit", "buy", "8", "BLUE.DEMO", "--limit", "0.01", "--client-order-id", "before")
        written: list[str] = []
        body: Any = violations.callback.__wrapped__  # type: ignore[union-attr]

        following = self.followed(
            "demo_trader",
            lambda spire: body(spire, Kept(written), None, None, int(rule["rule_id"]), 50, True),
        )
        self.platform.advance(3.0)
        self.spire("order", "submit", "buy", "9", "BLUE.DEMO", "--limit", "0.01", "--client-order-id", "after")
        self.platform.advance(2.0)
        following.cancel()
        self.platform.advance(2.0)
        self.failureResultOf(following, CancelledError)
        ids = [each["client_order_id"] for each in map(json.loads, written)]
        self.assertEqual(ids, ["before", "after"])
        self.admin("rule", "change", rule["rule_id"], "--state", "disabled", "--reason", "over")


class HaltTests(CommandTestCase):
    """The kill switch: one officer sets it, another releases it."""

    def setUp(self) -> None:
        """Make two risk officers, once."""
        super().setUp()
        self.make_person("olga", "risk_officer")
        self.make_person("otto", "risk_officer")

    def test_a_firm_wide_halt_stops_orders_until_another_officer_ends_it(self) -> None:
        """Live orders are cancelled where that is asked for."""
        (order,) = self.rows("order", "submit", "buy", "7", "BLUE.DEMO", "--limit", "0.01")
        words = ("--json", "halt", "set", "--firm", "--no-new", "--cancel-all", "--reason", "odd prices")
        result = self.invoke(*words, account="olga")
        self.assertRegex(
            result.stderr, r"^(1 order is cancelled|0 orders are cancelled\.\n1 cancel is not confirmed yet)"
        )
        halt = json.loads(result.stdout)
        self.assertEqual((halt["scope"], halt["mode"], halt["account"]), ("FIRM", "NO_NEW", None))
        self.assertEqual(halt["confirmed"] + halt["unconfirmed"], [order["order_id"]])
        error = self.refused("order", "submit", "buy", "7", "BLUE.DEMO")
        self.assertEqual(error["code"], "HALTED")
        self.assertIn("No new order passes", error["advice"])
        self.assertIn("spire halt list", error["advice"])
        (listed,) = self.rows("halt", "list", account="otto")
        self.assertEqual(
            (listed["halt_id"], listed["reason"], listed["set_by"]), (halt["halt_id"], "odd prices", "olga")
        )
        own = self.refused("halt", "release", halt["halt_id"], "--reason", "never mind", account="olga")
        self.assertEqual(own["code"], "FORBIDDEN")
        self.assertIn("Another risk officer must release it", own["advice"])
        (ended,) = self.rows("halt", "release", halt["halt_id"], "--reason", "checked", account="otto")
        self.assertIsNotNone(ended["released"])
        self.assertEqual((ended["set_by"], ended["released_by"], ended["release_reason"]), ("olga", "otto", "checked"))
        self.assertEqual(self.rows("halt", "list", account="otto"), [])
        (order,) = self.rows("order", "submit", "buy", "7", "BLUE.DEMO", "--limit", "0.01")
        self.rows("order", "cancel", order["order_id"])

    def test_a_halt_of_one_account_names_it(self) -> None:
        """Those that reduce pass, unless --no-new is given."""
        (halt,) = self.rows("halt", "set", "--account", "demo_trader", "--reason", "his leave", account="olga")
        self.assertEqual(
            (halt["scope"], halt["account"], halt["mode"]), ("TRADING_ACCOUNT", "demo_trader", "NO_OPENING")
        )
        self.assertEqual(self.refused("order", "submit", "buy", "7", "BLUE.DEMO")["code"], "HALTED")
        self.rows("halt", "release", halt["halt_id"], "--reason", "he is back", account="otto")

    def test_a_halt_that_is_in_force_already_is_told_as_one(self) -> None:
        """Its officer sees the reason that he gave then."""
        words = ("halt", "set", "--account", "demo_trader", "--reason")
        first = self.invoke("--json", *words, "his leave", account="olga")
        self.assertEqual(first.stderr, "")
        again = self.invoke("--json", *words, "odd prices", account="olga")
        self.assertEqual(again.stdout, first.stdout)
        number = json.loads(first.stdout)["halt_id"]
        self.assertIn(f"You set halt {number} before, and it is in force already", again.stderr)
        self.rows("halt", "release", number, "--reason", "he is back", account="otto")

    def test_a_halt_needs_one_scope_and_a_reason(self) -> None:
        """The command line is wrong without."""
        for words in ([], ["--firm", "--account", "demo_trader"]):
            result = self.invoke("halt", "set", *words, "--reason", "x")
            self.assertEqual(result.exit_code, 2)
            self.assertIn("either --firm or --account", result.stderr)
        self.assertEqual(self.invoke("halt", "set", "--firm").exit_code, 2)

    def test_a_halt_is_released_by_what_it_stops(self) -> None:
        """Nobody must copy its number; who ended it and why is shown."""
        self.rows("halt", "set", "--firm", "--reason", "odd prices", account="olga")
        self.rows("halt", "set", "--account", "demo_trader", "--reason", "his leave", account="olga")
        shown = self.spire("halt", "release", "--firm", "--reason", "prices are right", account="otto")
        self.assertRegex(shown.splitlines()[0], r"Released \(UTC\) +Released by +Why$")
        self.assertRegex(shown.splitlines()[-1], r" FIRM .* olga .* odd prices .* otto +prices are right$")
        (ended,) = self.rows("halt", "release", "--account", "demo_trader", "--reason", "he is back", account="otto")
        self.assertEqual(ended["account"], "demo_trader")
        error = self.refused("halt", "release", "--firm", "--reason", "again", account="otto")
        self.assertEqual(error["code"], "NOT_FOUND")

    def test_of_two_halts_of_one_scope_one_must_be_named(self) -> None:
        """They may have different reasons."""
        halts = [
            self.rows("halt", "set", "--firm", "--reason", "odd prices", account=officer)[0]["halt_id"]
            for officer in ("olga", "otto")
        ]
        error = self.refused("halt", "release", "--firm", "--reason", "one of them", account="otto")
        self.assertEqual(error["code"], "INVALID")
        for halt_id, officer in zip(halts, ("otto", "olga"), strict=True):
            self.assertIn(halt_id, error["message"])
            self.rows("halt", "release", halt_id, "--reason", "over", account=officer)
        self.assertEqual(self.invoke("halt", "release", "--reason", "x").exit_code, 2)

    def test_traders_set_no_halts(self) -> None:
        """Nor do they see those in force, or end one."""
        for words in (
            ["set", "--firm", "--reason", "x"], ["list"], ["release", "1", "--reason", "x"],
        ):  # fmt: skip
            self.assertEqual(self.refused("halt", *words)["code"], "FORBIDDEN", words)


class RiskTests(FollowTestCase):
    """Where an account stands, by the Risk Server."""

    def test_a_position_is_shown_with_its_mark(self) -> None:
        """And the account with its mode, profit and limit."""
        self.rows("order", "submit", "buy", "100", "ACME.DEMO")
        self.platform.advance(2.0)
        (row,) = self.rows("risk")
        self.assertEqual((row["account"], row["mode"], row["currency"]), ("demo_trader", "ACTIVE", "USD"))
        self.assertEqual(row["net_loss"], "100000")
        (position,) = [each for each in row["positions"] if each["ticker"] == "ACME.DEMO"]
        self.assertEqual((position["quantity"], position["mark_source"]), ("100", "BBO"))
        shown = self.spire("risk", "show", "--account", "demo_trader")
        self.assertRegex(shown, r"(?m)^demo_trader +ACTIVE ")
        self.assertRegex(shown, r"(?m)^ACME\.DEMO +100 ")

    def test_an_account_is_followed_until_it_may_no_longer_be_seen(self) -> None:
        """Each change is a line; the end is an error, not silence."""
        self.admin("group", "create", "theta")
        (made,) = self.admin("trader", "create", "tim", "--group", "theta")
        self.passwords["tim"] = made["password"]
        self.make_person("max", "manager:theta")
        self.platform.advance(2.0)
        written: list[str] = []
        body: Any = show.callback.__wrapped__  # type: ignore[union-attr]
        following = self.followed("max", lambda spire: body(spire, Kept(written), None, True))
        self.platform.advance(3.0)
        self.admin("limits", "set", "tim", "--buying-power", "1", "--net-loss", "777", "--reason", "small")
        self.platform.advance(3.0)
        limits = [json.loads(line)["net_loss"] for line in written]
        self.assertEqual((limits[0], limits[-1]), (None, "777"))
        self.admin("account", "roles", "max", "--add", "trader:theta", "--remove", "manager:theta", "--reason", "x")
        self.platform.advance(5.0)
        self.failureResultOf(following, SpireError)

    def test_strangers_see_no_account(self) -> None:
        """Whether they name one or not."""
        self.assertEqual(self.rows("risk", account="demo_market_data"), [])
        error = self.refused("risk", "--account", "demo_trader", account="demo_market_data")
        self.assertEqual(error["code"], "NOT_FOUND")

    def test_an_active_account_cannot_be_released(self) -> None:
        """And only a risk officer releases any."""
        self.make_person("olga", "risk_officer")
        error = self.refused("risk", "release", "demo_trader", "--reason", "x", account="olga")
        self.assertEqual(error["code"], "CONFLICT")
        error = self.refused("risk", "release", "demo_trader", "--reason", "x")
        self.assertEqual(error["code"], "FORBIDDEN")

    def test_options_before_a_subcommand_are_refused(self) -> None:
        """They would be lost without a word."""
        result = self.invoke("risk", "--account", "demo_trader", "release", "demo_trader", "--reason", "x")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("behind release", result.stderr)


class DayTests(CommandTestCase):
    """The business day."""

    def test_a_day_is_opened_once_and_the_next_one_anew(self) -> None:
        """The same again touches nothing; without a date it is the day in the firm's zone."""
        said, *accounts = self.opened()
        self.assertEqual(said["business_date"], "2013-10-08")
        self.assertEqual([(row["account"], row["outcome"]) for row in accounts], [("demo_trader", "OPENED")])
        said, *accounts = self.opened("--date", "2013-10-08")
        self.assertEqual((said["opened"], said["untouched"], said["kept"]), (0, 1, 0))
        (row,) = self.admin("day", "show")
        self.assertEqual((row["business_date"], row["state"]), ("2013-10-08", "open"))
        said, *accounts = self.admin("day", "open", "--date", "2013-10-09")
        self.assertEqual((said["business_date"], said["opened"]), ("2013-10-09", 1))
        self.assertEqual([row["account"] for row in accounts], ["demo_trader"])
        self.assertEqual([row["state"] for row in self.admin("day", "show")], ["closed", "open"])
        error = self.refused("--date", "2013-10-08", main=day)
        self.assertEqual(error["code"], "CONFLICT")

    def test_a_later_date_that_somebody_opened_goes_on(self) -> None:
        """Starting servers opens no day that is over, and says so; who names the date is refused."""
        self.opened("--date", "2013-10-12")
        result = self.invoke("--json", main=day)
        self.assertEqual(result.exit_code, 0, result.stderr)
        said = json.loads(result.stdout.splitlines()[0])
        self.assertEqual((said["business_date"], said["opened"], said["untouched"]), ("2013-10-12", 0, 1))
        self.assertIn("Today is 2013-10-08 in America/New_York, but business date 2013-10-12 is open", result.stderr)
        self.assertEqual(self.admin("day", "open")[0]["business_date"], "2013-10-12")
        self.assertEqual(self.refused("--date", "2013-10-08", main=day)["code"], "CONFLICT")

    def test_what_is_no_date_is_refused_before_anything_is_asked(self) -> None:
        """The message shows how one is written."""
        result = self.invoke("--date", "8 October", main=day)
        self.assertEqual(result.exit_code, 2)
        self.assertIn("write 2013-10-07", result.stderr)

    def test_while_risk_is_away_it_waits_and_then_fails_with_nothing_opened(self) -> None:
        """Administration is not told of a day that nobody could open."""
        before = self.admin("day", "show")
        self.platform.network.faults.refuse.add("127.0.0.1:20600")
        self.addCleanup(self.platform.network.faults.refuse.discard, "127.0.0.1:20600")
        error = self.refused("--date", "2013-10-10", main=day)
        self.assertEqual(error["code"], "UNAVAILABLE")
        self.assertEqual(self.admin("day", "show"), before)
