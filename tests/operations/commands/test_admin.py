"""`spire-admin`, as an administrator works with it."""

import json
import stat
from pathlib import Path

from spire.administration.client import AdministrationClient
from spire.administration.values import EntitlementGrant
from spire.operations.admin import main
from spire.wire.errors import Unavailable
from tests.operations.commands.room import AdminTestCase


class GroupTests(AdminTestCase):
    """Trading groups, traders, accounts of people."""

    def test_a_group_is_made_listed_and_shown_with_its_people(self) -> None:
        """Whoever is made in it, stands in it."""
        (made,) = self.admin("group", "create", "alpha")
        self.assertIn(made, self.admin("group", "list"))
        self.admin("trader", "create", "ann", "--group", "alpha")
        self.admin("account", "create", "mia", "--role", "manager:alpha")
        shown = {(row["member"], row["place"]) for row in self.admin("group", "show", "alpha")}
        self.assertEqual(shown, {("ann", "traders"), ("ann", "accounts"), ("mia", "managers")})

    def test_a_group_is_made_once(self) -> None:
        """The second attempt is a conflict."""
        self.admin("group", "create", "beta")
        self.assertEqual(self.refusal("group", "create", "beta")["code"], "CONFLICT")

    def test_only_administrators_make_groups(self) -> None:
        """The refusal is in the audit log."""
        self.assertEqual(self.refusal("group", "create", "mine", account="demo_trader")["code"], "FORBIDDEN")
        events = self.admin("audit", "--actor", "demo_trader")
        self.assertIn("FORBIDDEN", [event["outcome"] for event in events])

    def test_a_trader_needs_a_group_that_is_there(self) -> None:
        """The error says how one is made."""
        error = self.refusal("trader", "create", "nobody", "--group", "nowhere")
        self.assertEqual(error["code"], "NOT_FOUND")
        self.assertIn("spire-admin group create nowhere", error["message"])

    def test_a_trader_who_comes_from_another_group_gets_a_trading_account_there(self) -> None:
        """The one that he had stays, and is not his to trade any more."""
        for name in ("west", "east"):
            self.admin("group", "create", name)
        (made,) = self.admin("trader", "create", "lou", "--group", "west")
        error = self.refusal("trader", "open", "lou", "--group", "east")
        self.assertEqual(error["code"], "NOT_FOUND")
        self.assertIn("account roles lou --add trader:east", error["message"])
        self.admin("account", "roles", "lou", "--add", "trader:east", "--remove", "trader:west", "--reason", "he moved")
        (opened,) = self.admin("trader", "open", "lou", "--group", "east", "--currency", "CAD")
        self.assertEqual((opened["trader"], opened["account_id"]), ("lou", made["account_id"]))
        self.passwords["lou"] = made["password"]
        found = self.rows("limits", account="lou")
        self.assertEqual([row["account"] for row in found], ["lou"])
        self.assertEqual(self.refusal("trader", "open", "lou", "--group", "east")["code"], "CONFLICT")

    def test_a_password_is_written_to_a_new_file_of_mode_600(self) -> None:
        """Then it is shown nowhere, and logs the account in."""
        file = Path(self.mktemp()).absolute()
        (made,) = self.admin("account", "create", "olga", "--role", "risk_officer", "--password-to", str(file))
        self.assertIsNone(made["password"])
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        self.passwords["olga"] = file.read_text().strip()
        self.assertEqual(self.spire("halt", "list", account="olga"), "")

    def test_the_password_file_of_an_account_that_was_refused_is_gone(self) -> None:
        """So that the same command may be typed again."""
        file = Path(self.mktemp()).absolute()
        words = ("account", "create", "odd", "--role", "emperor", "--password-to", str(file))
        self.assertEqual(self.refusal(*words)["code"], "INVALID")
        self.assertFalse(file.exists())

    def test_a_password_may_be_given_in_a_file(self) -> None:
        """Which logs the account in; an empty one is no password."""
        file = Path(self.mktemp()).absolute()
        file.write_text("correct horse battery staple\n")
        (made,) = self.admin("account", "create", "pam", "--role", "auditor", "--password-file", str(file))
        self.assertIsNone(made["password"])
        self.passwords["pam"] = "correct horse battery staple"
        self.assertIn("logged in as pam", self.spire("status", account="pam"))
        file.write_text("\n")
        said = self.misused("account", "create", "pat", "--role", "auditor", "--password-file", str(file))
        self.assertIn("holds no password", said)

    def test_a_file_that_is_there_is_not_overwritten(self) -> None:
        """It may hold somebody's password."""
        file = Path(self.mktemp()).absolute()
        file.write_text("kept")
        said = self.misused("account", "create", "odd", "--role", "auditor", "--password-to", str(file))
        self.assertIn("cannot be made", said)
        self.assertEqual(file.read_text(), "kept")

    def test_roles_are_given_and_taken_and_shown(self) -> None:
        """All of it or nothing."""
        self.admin("account", "create", "rob", "--role", "auditor")
        (row,) = self.admin(
            "account", "roles", "rob", "--add", "risk_officer", "--remove", "auditor", "--reason", "promoted"
        )
        self.assertEqual(row["roles"], "risk_officer")
        self.assertEqual(self.refusal("account", "roles", "rob", "--add", "king", "--reason", "x")["code"], "INVALID")
        (row,) = self.admin("account", "show", "rob")
        self.assertEqual(row["roles"], "risk_officer")

    def test_a_trader_who_leaves_a_group_leaves_his_trading_accounts_there(self) -> None:
        """Which is said, since they keep its rules and its manager, and he trades them no more."""
        self.admin("group", "create", "lambda")
        self.admin("group", "create", "mu")
        self.admin("trader", "create", "leo", "--group", "lambda")
        said = self.note("account", "roles", "leo", "--add", "trader:mu", "--remove", "trader:lambda", "--reason", "x")
        self.assertIn("Trading accounts of leo stay where they are: in group lambda", said)
        self.assertIn("leo trades there no more", said)
        self.assertEqual(self.note("account", "roles", "leo", "--add", "auditor", "--reason", "x"), "")

    def test_the_last_administrator_stays(self) -> None:
        """Else nobody could make one."""
        error = self.refusal("account", "roles", "administrator", "--remove", "administrator", "--reason", "x")
        self.assertEqual(error["code"], "CONFLICT")
        self.assertIn("nobody is left without a role", error["message"])

    def test_a_profile_is_written_field_by_field(self) -> None:
        """What is not given stays; another version is refused."""
        self.admin("account", "create", "eve", "--role", "auditor")
        self.admin("account", "identity", "eve", "--first-name", "Eve", "--country", "US")
        (row,) = self.admin("account", "identity", "eve", "--last-name", "Example")
        self.assertEqual(
            (row["first_name"], row["last_name"], row["country"], row["version"]), ("Eve", "Example", "US", "2")
        )
        words = ("account", "identity", "eve", "--city", "Lima", "--expected-version", "1")
        error = self.refusal(*words)
        self.assertEqual((error["code"], error["details"]["version"]), ("CONFLICT", "2"))

    def test_the_fields_of_a_profile_are_called_by_their_words(self) -> None:
        """In the help, and over the table."""
        help_ = self.invoke("account", "identity", "--help", account="administrator", main=main).stdout
        self.assertRegex(help_, r"--e-mail TEXT +The e-mail; empty takes it away\.")
        shown = self.invoke("account", "identity", "administrator", account="administrator", main=main).stdout
        self.assertIn("E-mail", shown)

    def test_a_disabled_account_logs_in_no_more(self) -> None:
        """Until it is enabled again."""
        self.make_person("dan", "auditor")
        (row,) = self.admin("account", "disable", "dan")
        self.assertEqual(row["disabled"], "disabled")
        result = self.invoke("status", account="dan")
        self.assertEqual(type(result.exception).__name__, "SystemExit")
        self.assertIn("NOT_AUTHENTICATED", result.stderr)
        (row,) = self.admin("account", "enable", "dan")
        self.assertIsNone(row["disabled"])

    def test_an_account_that_is_not_there_is_not_found(self) -> None:
        """Whatever is asked of it."""
        for words in (
            ("account", "roles", "ghost", "--reason", "x"),
            ("account", "disable", "ghost"),
            ("entitle", "list", "ghost"),
        ):
            self.assertEqual(self.refusal(*words)["code"], "NOT_FOUND", words)


class OwnTests(AdminTestCase):
    """What everybody may ask of himself."""

    def test_ones_own_name_is_oneself(self) -> None:
        """Also for those who may read no directory in which they stand."""
        for words in (("account", "show"), ("account", "identity"), ("entitle", "list")):
            self.admin(*words, "demo_trader", account="demo_trader")
        (shown,) = self.admin("account", "show", "demo_trader", account="demo_trader")
        self.assertEqual((shown["account"], shown["roles"]), ("demo_trader", "trader:demo"))
        (own,) = self.admin("account", "identity", "demo_trader", account="demo_trader")
        self.assertEqual((own["account"], own["account_id"]), ("demo_trader", shown["account_id"]))
        words = ("account", "identity", "demo_trader", "--city", "Lima")
        self.assertEqual(self.refusal(*words, account="demo_trader")["code"], "FORBIDDEN")


class NumberTests(AdminTestCase):
    """Names made of digits, and numbers."""

    def test_a_name_of_digits_is_a_name(self) -> None:
        """Nobody else has it for his number; without a name the number will do."""
        (made,) = self.admin("account", "create", "777000", "--role", "auditor")
        self.assertEqual(self.admin("account", "show", "777000")[0]["account_id"], made["account_id"])
        self.assertEqual(self.admin("account", "show", made["account_id"])[0]["account"], "777000")

    def test_the_name_of_one_account_and_the_number_of_another_is_refused(self) -> None:
        """What is done to the wrong one may not be undone; both can be told apart still."""
        (nina,) = self.admin("account", "create", "nina", "--role", "auditor")
        (made,) = self.admin("account", "create", nina["account_id"], "--role", "auditor")
        error = self.refusal("account", "disable", nina["account_id"])
        self.assertEqual(error["code"], "INVALID")
        self.assertIn(f"write {made['account_id']} or nina, or rename one", error["message"])
        shown = [self.admin("account", "show", word)[0]["account"] for word in ("nina", made["account_id"])]
        self.assertEqual(shown, ["nina", nina["account_id"]])

    def test_the_name_of_one_trading_account_and_the_number_of_another_is_refused(self) -> None:
        """Else the limits of the wrong one are set; an account that logs in has another number."""
        self.admin("group", "create", "nu")
        (nora,) = self.admin("trader", "create", "nora", "--group", "nu")
        number = nora["trading_account_id"]
        (made,) = self.admin("trader", "create", number, "--group", "nu")
        error = self.refusal("limits", "set", number, "--net-loss", "1", "--reason", "small")
        self.assertEqual(error["code"], "INVALID")
        self.assertIn(f"write {made['trading_account_id']} or nora, or rename one", error["message"])
        self.assertEqual(self.admin("account", "show", number)[0]["account_id"], made["account_id"])


class AuthorTests(AdminTestCase):
    """Who did something, as people see it who may read no account but their own."""

    def test_a_name_that_one_may_not_see_is_none_beside_its_number(self) -> None:
        """In JSON both stand apart, whoever reads; a table says of what it is the number."""
        self.make_person("olga", "risk_officer")
        self.admin("limits", "set", "demo_trader", "--net-loss", "70000", "--reason", "a good year", account="olga")
        words = ("limits", "demo_trader", "--history")
        for row in (self.rows(*words, account="olga")[1], self.rows(*words, account="administrator")[1]):
            self.assertEqual(row["actor"], "olga")
        number = row["actor_id"]
        row = self.rows(*words)[1]
        self.assertEqual((row["actor"], row["actor_id"]), (None, number))
        self.assertRegex(self.spire(*words), rf" account {number} .* a good year")

    def test_grants_and_days_say_who_made_them_in_the_same_way(self) -> None:
        """Set-up has a name that everybody may know."""
        self.admin("entitle", "grant", "demo_trader", "--venue", "XNYS", "--reason", "more")
        self.opened()
        (found,) = self.admin("account", "show", "administrator")
        granted = self.admin("entitle", "list", "demo_trader", account="demo_trader")
        first, second = sorted(granted, key=lambda row: row["venue"], reverse=True)
        self.assertEqual((first["granted_by"], first["granted_by_id"]), ("setup", "0"))
        self.assertEqual((second["granted_by"], second["granted_by_id"]), (None, found["account_id"]))
        self.assertEqual(
            (second["account"], second["revoked_by"], second["revoked_by_id"]), ("demo_trader", None, None)
        )
        (day,) = self.admin("day", "show", account="demo_trader")
        self.assertIsNone(day["opened_by"])
        result = self.invoke("day", "show", account="demo_trader", main=main)
        self.assertRegex(result.stdout, rf" account {day['opened_by_id']} ")
        (day,) = self.admin("day", "show")
        self.assertEqual(day["opened_by"], "operations_service")


class LimitTests(AdminTestCase):
    """Limits of trading accounts."""

    def setUp(self) -> None:
        """Make a group with a trader, once."""
        super().setUp()
        if "gil" not in self.passwords:
            self.admin("group", "create", "gamma")
            (row,) = self.admin("trader", "create", "gil", "--group", "gamma")
            self.passwords["gil"] = row["password"]

    def test_limits_are_set_changed_in_part_and_kept_with_their_history(self) -> None:
        """With version, author and reason."""
        self.admin(
            "limits", "set", "gil", "--buying-power", "1000000", "--net-loss", "5000.5", "--reason", "first",
        )  # fmt: skip
        self.admin("limits", "set", "gil", "--net-loss", "7", "--transition-seconds", "60", "--reason", "less")
        (shown,) = self.admin("limits", "show", "gil")
        self.assertEqual(
            [shown[key] for key in ("buying_power", "net_loss", "currency", "transition_seconds", "state", "version")],
            ["1000000", "7", "USD", 60, "ACTIVE", "2"],
        )
        history = self.admin("limits", "history", "gil")
        self.assertEqual([(row["net_loss"], row["reason"]) for row in history], [("5000.5", "first"), ("7", "less")])
        self.assertEqual({row["actor"] for row in history}, {"administrator"})
        (own,) = self.rows("limits", account="gil")
        self.assertEqual((own["account"], own["net_loss"]), ("gil", "7"))

    def test_what_the_service_refuses_is_told_with_the_argument(self) -> None:
        """And nothing is changed."""
        self.admin("trader", "create", "gus", "--group", "gamma")
        self.admin("limits", "set", "gus", "--buying-power", "5", "--net-loss", "5", "--reason", "small")
        before = self.admin("limits", "show", "gus")
        error = self.refusal("limits", "set", "gus", "--currency", "XQZ", "--reason", "a slip")
        self.assertEqual(error["code"], "INVALID")
        self.assertIn("currency", error["details"]["argument"])
        error = self.refusal("limits", "set", "gus", "--net-loss", "-1", "--reason", "a slip")
        self.assertIn("net_loss", error["details"]["argument"])
        error = self.refusal("limits", "set", "gus", "--net-loss", "1", "--reason", "late", "--expected-version", "99")
        self.assertEqual(error["code"], "CONFLICT")
        self.assertEqual(self.admin("limits", "show", "gus"), before)

    def test_limits_that_were_never_set_need_both_amounts(self) -> None:
        """Zero would be a value."""
        self.admin("trader", "create", "hal", "--group", "gamma")
        self.assertIn("--buying-power", self.misused("limits", "set", "hal", "--net-loss", "1", "--reason", "half"))
        result = self.invoke("limits", "show", "hal", account="administrator", main=main)
        self.assertIn("never set", result.stderr)

    def test_others_may_not_set_limits(self) -> None:
        """Not even their own."""
        words = ("limits", "set", "gil", "--buying-power", "9", "--net-loss", "1", "--reason", "mine")
        error = self.refusal(*words, account="gil")
        self.assertEqual(error["code"], "FORBIDDEN")

    def test_a_number_is_sent_as_it_is_and_the_refusal_is_recorded(self) -> None:
        """Whoever tries what he may not leaves a trace, also on an account that he cannot see."""
        (made,) = self.admin("trader", "create", "hugh", "--group", "gamma")
        number = made["trading_account_id"]
        words = ("limits", "set", number, "--buying-power", "9", "--net-loss", "9", "--reason", "let me")
        self.assertIn(self.refusal(*words, account="gil")["code"], ("FORBIDDEN", "NOT_FOUND"))
        (event,) = self.admin("audit", "--server", "administration", "--entity", f"trading_account:{number}")
        self.assertEqual((event["by"], event["action"], event["reason"]), ("gil", "limits.set", "let me"))
        self.assertNotEqual(event["outcome"], "DONE")
        self.assertEqual(self.refusal("limits", "show", "987654")["code"], "NOT_FOUND")
        words = ("limits", "set", number, "--buying-power", "9", "--net-loss", "9", "--reason", "small")
        self.assertEqual(self.admin(*words)[0]["account"], "hugh")

    def test_half_of_the_limits_is_sent_too_where_none_may_be_seen(self) -> None:
        """The server refuses it, and its log tells who tried what."""
        (made,) = self.admin("trader", "create", "hope", "--group", "gamma")
        number = made["trading_account_id"]
        error = self.refusal("limits", "set", number, "--net-loss", "9", "--reason", "half of it", account="gil")
        self.assertEqual((error["code"], error["details"]["role"]), ("FORBIDDEN", "administrator"))
        (event,) = self.admin("audit", "--server", "administration", "--entity", f"trading_account:{number}")
        self.assertEqual((event["by"], event["outcome"], event["reason"]), ("gil", "FORBIDDEN", "half of it"))
        self.assertEqual(json.loads(event["after"])["net_loss"], "9")
        error = self.refusal("limits", "set", "987654", "--net-loss", "9", "--reason", "nobody's")
        self.assertEqual(error["code"], "NOT_FOUND")
        (event,) = self.admin("audit", "--server", "administration", "--entity", "trading_account:987654")
        self.assertEqual((event["outcome"], event["reason"]), ("NOT_FOUND", "nobody's"))

    def test_an_amount_that_no_number_holds_is_refused_with_the_greatest(self) -> None:
        """Such a one cannot be sent."""
        said = self.misused("limits", "set", "gil", "--net-loss", "99999999999999", "--reason", "a slip")
        self.assertIn(
            "99999999999999 is out of range: the greatest amount of money is 9223372036854.775807",
            " ".join(said.split()),
        )

    def test_a_loss_limit_of_nothing_says_what_it_does(self) -> None:
        """It is a value, and stops the account at once."""
        self.admin("trader", "create", "ivy", "--group", "gamma")
        words = ("limits", "set", "ivy", "--buying-power", "9", "--reason", "closed")
        self.assertIn("stops ivy at once", self.note(*words, "--net-loss", "0"))
        self.assertEqual(self.note(*words, "--net-loss", "1"), "")

    def test_an_unknown_account_is_answered_with_those_there_are(self) -> None:
        """A typing error is answered with help."""
        error = self.refusal("limits", "show", "gill")
        self.assertEqual(error["code"], "NOT_FOUND")
        self.assertIn("gil", error["details"]["known"])


class EntitlementTests(AdminTestCase):
    """Who sees which market."""

    def setUp(self) -> None:
        """Make a trader without any right to market data, once."""
        super().setUp()
        if "ida" not in self.passwords:
            self.admin("group", "create", "delta")
            (row,) = self.admin("trader", "create", "ida", "--group", "delta")
            self.passwords["ida"] = row["password"]

    def test_a_grant_shows_the_market_at_once_and_its_end_hides_it(self) -> None:
        """Nobody logs in again."""
        self.assertEqual(self.refused("quotes", "ACME.DEMO", account="ida")["code"], "FORBIDDEN")
        (made,) = self.admin("entitle", "grant", "ida", "--venue", "DEMO", "--reason", "she trades there")
        self.assertEqual((made["venue"], made["type"], made["mode"]), ("DEMO", "all", "REAL_TIME"))
        (row,) = self.rows("quotes", "ACME.DEMO", account="ida")
        self.assertIsNotNone(row["bid"])
        (ended,) = self.admin("entitle", "revoke", "ida", "--venue", "DEMO", "--reason", "she left")
        self.assertEqual((ended["grant_id"], ended["revoke_reason"]), (made["grant_id"], "she left"))
        self.assertEqual(self.refused("quotes", "ACME.DEMO", account="ida")["code"], "FORBIDDEN")
        self.assertEqual(self.admin("entitle", "list", "ida"), [])
        self.assertEqual(len(self.admin("entitle", "list", "ida", "--all")), 1)

    def test_revoking_one_of_two_grants_tells_of_the_other(self) -> None:
        """Who believes that it is over must know."""
        self.admin("account", "create", "jon", "--role", "trader:delta")
        (whole,) = self.admin("entitle", "grant", "jon", "--venue", "all", "--reason", "a guest")
        self.admin("entitle", "grant", "jon", "--venue", "XNYS", "--type", "BBO", "--reason", "a guest")
        said = self.note("entitle", "revoke", "jon", "--venue", "XNYS", "--type", "BBO", "--reason", "over")
        self.assertIn(f"still sees data of XNYS by grant {whole['grant_id']}", said)

    def test_without_a_type_only_grants_of_every_type_are_revoked(self) -> None:
        """All of them go with --type all; what was revoked is said."""
        self.admin("account", "create", "kit", "--role", "trader:delta")
        (every,) = self.admin("entitle", "grant", "kit", "--venue", "XNYS", "--reason", "a guest")
        (best,) = self.admin("entitle", "grant", "kit", "--venue", "XNYS", "--type", "BBO", "--reason", "a guest")
        words = ("entitle", "revoke", "kit", "--venue", "XNYS", "--reason", "over")
        said = self.note(*words)
        self.assertIn(f"Revoked of kit: every type of XNYS (grant {every['grant_id']}).", said)
        self.assertIn(f"still sees data of XNYS by grant {best['grant_id']}", said)
        error = self.refusal(*words)
        self.assertEqual(error["code"], "NOT_FOUND")
        self.assertIn("(BBO): name one with --type, or all", error["message"])
        self.assertIn(f"Revoked of kit: BBO of XNYS (grant {best['grant_id']}).", self.note(*words, "--type", "all"))
        shown = self.admin("entitle", "list", "kit", "--all")
        self.assertEqual({(row["revoked_by"], row["revoke_reason"]) for row in shown}, {("administrator", "over")})
        listed = self.invoke("entitle", "list", "kit", "--all", account="administrator", main=main).stdout
        self.assertRegex(listed.splitlines()[0], r"Revoked \(UTC\) +Revoked by +Why$")

    def test_what_was_revoked_before_a_failure_is_shown(self) -> None:
        """Then the error: who repeats the command must know what is left."""
        self.admin("account", "create", "lou", "--role", "trader:delta")
        first, second, third = (
            self.admin("entitle", "grant", "lou", "--venue", "XNYS", "--type", kind, "--reason", "a guest")[0]
            for kind in ("BBO", "TRADE", "BOOK")
        )
        revoke = AdministrationClient.revoke

        async def failing(client: AdministrationClient, grant_id: int, reason: str) -> EntitlementGrant:
            if str(grant_id) == second["grant_id"]:
                raise Unavailable("Administration is away.")
            return await revoke(client, grant_id, reason)

        self.patch(AdministrationClient, "revoke", failing)
        words = ("--json", "entitle", "revoke", "lou", "--venue", "XNYS", "--type", "all", "--reason", "over")
        result = self.invoke(*words, account="administrator", main=main)
        self.assertEqual(result.exit_code, 1)
        (shown,) = map(json.loads, result.stdout.splitlines())
        self.assertEqual((shown["grant_id"], shown["revoke_reason"]), (first["grant_id"], "over"))
        self.assertIn(f"Revoked of lou: BBO of XNYS (grant {first['grant_id']}).", result.stderr)
        rest = f"TRADE of XNYS (grant {second['grant_id']}), BOOK of XNYS (grant {third['grant_id']})"
        self.assertIn(f"Not known to be revoked: {rest}.", result.stderr)
        self.assertEqual(json.loads(result.stderr.splitlines()[-1])["error"]["code"], "UNAVAILABLE")

    def test_who_may_not_see_a_grant_tries_to_revoke_it_all_the_same(self) -> None:
        """The server refuses it, and its log tells who tried."""
        (made,) = self.admin("account", "create", "lea", "--role", "trader:delta")
        (grant,) = self.admin("entitle", "grant", "lea", "--venue", "XNYS", "--reason", "a guest")
        words = ("entitle", "revoke", made["account_id"], "--grant", grant["grant_id"], "--reason", "not she")
        self.assertEqual(self.refusal(*words, account="ida")["code"], "FORBIDDEN")
        (event,) = self.admin("audit", "--server", "administration", "--actor", "ida")
        self.assertEqual((event["action"], event["outcome"]), ("entitlement.revoke", "FORBIDDEN"))
        self.assertEqual(event["reason"], "not she")

    def test_a_type_without_a_venue_is_refused(self) -> None:
        """A grant that is named by its number has its own."""
        said = self.misused("entitle", "revoke", "ida", "--grant", "1", "--type", "BBO", "--reason", "over")
        self.assertIn("--type goes with --venue", said)

    def test_a_grant_that_is_not_there_cannot_be_revoked(self) -> None:
        """An empty answer would look like success."""
        error = self.refusal("entitle", "revoke", "ida", "--venue", "XNAS", "--reason", "over")
        self.assertEqual(error["code"], "NOT_FOUND")

    def test_an_unknown_venue_and_delayed_data_are_refused(self) -> None:
        """By the service, with its codes."""
        error = self.refusal("entitle", "grant", "ida", "--venue", "ZZZZ", "--reason", "a slip")
        self.assertEqual(error["code"], "INVALID")
        error = self.refusal("entitle", "grant", "ida", "--venue", "XNYS", "--mode", "delayed", "--reason", "later")
        self.assertEqual(error["code"], "UNSUPPORTED")


class RuleTests(AdminTestCase):
    """Rules on groups and accounts."""

    def test_every_rule_is_added_in_words_and_told_in_words(self) -> None:
        """What it checks can be read."""
        self.admin("group", "create", "epsilon")
        told = {}
        for words in (
            ["--max-quantity", "500"],
            ["--order-count", "20"],
            ["--order-count", "3", "--per-account"],
            ["--restrict", "bac.xnys,IBM.XNYS"],
            ["--reject", "--state", "disabled"],
        ):
            (row,) = self.admin("rule", "add", "--on", "epsilon", *words, "--reason", "the desk's plan")
            told[" ".join(words)] = (row["checks"], row["state"], row["on"])
        self.assertEqual(
            list(told.values()),
            [
                ("at most 500 an order", "ACTIVE", "epsilon"),
                ("at most 20 live orders together", "ACTIVE", "epsilon"),
                ("at most 3 live orders an account", "ACTIVE", "epsilon"),
                ("no orders in BAC.XNYS, IBM.XNYS", "ACTIVE", "epsilon"),
                ("no orders", "DISABLED", "epsilon"),
            ],
        )
        self.assertEqual(len(self.admin("rule", "list", "--on", "epsilon")), 5)

    def test_a_rule_is_changed_with_its_history(self) -> None:
        """Its place stays; another version is refused."""
        (made,) = self.admin("rule", "add", "--on", "account:demo_trader", "--max-quantity", "5000", "--reason", "one")
        number = made["rule_id"]
        self.admin("rule", "change", number, "--state", "passive", "--reason", "only look")
        self.admin("rule", "change", number, "--max-quantity", "6000", "--reason", "more")
        history = self.admin("rule", "history", number)
        self.assertEqual(
            [(row["version"], row["checks"], row["state"]) for row in history],
            [
                ("1", "at most 5000 an order", "ACTIVE"),
                ("2", "at most 5000 an order", "PASSIVE"),
                ("3", "at most 6000 an order", "PASSIVE"),
            ],
        )
        words = ("rule", "change", number, "--state", "active", "--reason", "late", "--expected-version", "2")
        error = self.refusal(*words)
        self.assertEqual((error["code"], error["details"]["version"]), ("CONFLICT", "3"))
        self.admin("rule", "change", number, "--state", "disabled", "--reason", "over")

    def test_what_makes_no_sense_is_refused_by_the_service(self) -> None:
        """And stands in its audit log."""
        self.admin("group", "create", "zeta")
        error = self.refusal("rule", "add", "--on", "zeta", "--max-quantity", "-5", "--reason", "a slip")
        self.assertEqual(error["code"], "INVALID")
        error = self.refusal("rule", "add", "--on", "zeta", "--order-count", "-1", "--reason", "a slip")
        self.assertEqual(error["code"], "INVALID")
        events = self.admin("audit", "--server", "compliance", "--last", "2")
        self.assertEqual([event["outcome"] for event in events], ["INVALID", "INVALID"])

    def test_a_rule_checks_one_thing_on_something_that_is_there(self) -> None:
        """A command line without, or with two, is wrong."""
        self.assertIn("Name one of", self.misused("rule", "add", "--on", "demo", "--reason", "none"))
        self.assertIn(
            "Name one of",
            self.misused("rule", "add", "--on", "demo", "--reject", "--order-count", "1", "--reason", "x"),
        )
        self.assertIn(
            "--per-account", self.misused("rule", "add", "--on", "demo", "--reject", "--per-account", "--reason", "x")
        )
        self.assertIn("--on names nothing", self.misused("rule", "add", "--on", "", "--reject", "--reason", "x"))
        error = self.refusal("rule", "add", "--on", "nowhere", "--reject", "--reason", "x")
        self.assertEqual(error["code"], "NOT_FOUND")
        self.assertEqual(self.refusal("rule", "history", "987654")["code"], "NOT_FOUND")

    def test_a_rule_stands_on_a_trading_account_by_its_number(self) -> None:
        """Unless a group is called so: then it must be said which is meant."""
        self.admin("group", "create", "omicron")
        (made,) = self.admin("trader", "create", "oda", "--group", "omicron")
        number = made["trading_account_id"]
        (rule,) = self.admin("rule", "add", "--on", number, "--reject", "--reason", "x")
        self.assertEqual((rule["on"], rule["entry_id"]), ("oda", number))
        self.assertEqual(self.admin("rule", "list", "--on", number), [rule])
        self.admin("group", "create", number)
        error = self.refusal("rule", "add", "--on", number, "--reject", "--reason", "x")
        self.assertEqual(error["code"], "INVALID")
        self.assertIn(f"group:{number} or account:{number}", error["message"])
        self.assertEqual(
            self.refusal("rule", "add", "--on", "987654", "--reject", "--reason", "x")["code"], "NOT_FOUND"
        )

    def test_a_group_and_an_account_of_one_name_must_be_told_apart(self) -> None:
        """A rule in the wrong place would bind others."""
        self.admin("group", "create", "twin")
        self.admin("trader", "create", "twin", "--group", "twin")
        error = self.refusal("rule", "add", "--on", "twin", "--reject", "--reason", "x")
        self.assertEqual(error["code"], "INVALID")
        self.assertIn("group:twin or account:twin", error["message"])
        (on_group,) = self.admin("rule", "add", "--on", "group:twin", "--reject", "--reason", "x")
        (on_account,) = self.admin("rule", "add", "--on", "account:twin", "--reject", "--reason", "x")
        self.assertNotEqual(on_group["entry_id"], on_account["entry_id"])
        (rule,) = self.admin("rule", "add", "--on", "trading_groups/twin/accounts", "--reject", "--reason", "x")
        self.assertEqual(rule["on"], "accounts")
