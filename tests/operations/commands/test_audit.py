"""`spire-admin audit`: who did what, through which service, and why."""

import json

from spire.operations.admin import main
from tests.operations.commands.room import AdminTestCase


class AuditTests(AdminTestCase):
    """What was changed, and what was tried."""

    def test_logs_of_all_servers_are_merged_by_time(self) -> None:
        """Each event with its server, actor, and what was before and after."""
        self.admin("group", "create", "eta")
        self.admin("limits", "set", "demo_trader", "--net-loss", "70000", "--reason", "a test of the log")
        self.admin("rule", "add", "--on", "eta", "--reject", "--reason", "a test of the log")
        events = self.admin("audit", "--last", "10")
        self.assertEqual([event["time"] for event in events], sorted(event["time"] for event in events))
        servers = {event["server"] for event in events}
        self.assertGreaterEqual(servers, {"service-locator", "administration", "compliance"})
        (limits,) = [
            event for event in events if event["reason"] == "a test of the log" and "limits" in event["action"]
        ]
        self.assertEqual(
            (limits["server"], limits["actor_name"], limits["outcome"]), ("administration", "administrator", "DONE")
        )
        self.assertEqual(json.loads(limits["after"])["terms"]["net_loss"], "70000")

    def test_an_actor_without_an_account_is_found_by_name(self) -> None:
        """Set-up is no account."""
        events = self.admin("audit", "--server", "administration", "--actor", "setup")
        self.assertEqual({event["actor_name"] for event in events}, {"setup"})

    def test_traders_read_no_audit_log(self) -> None:
        """Auditors do, although they find no account by name."""
        self.assertEqual(self.refusal("audit", account="demo_trader")["code"], "FORBIDDEN")
        self.make_person("abe", "auditor")
        self.admin("audit", "--server", "administration", "--actor", "administrator", "--last", "5", account="abe")

    def test_a_log_that_cannot_be_read_is_an_error_behind_the_others(self) -> None:
        """Nobody takes the rest for all of it."""
        self.refuse("127.0.0.1:21900")
        result = self.invoke("--json", "audit", account="administrator", main=main)
        self.assertEqual(result.exit_code, 1)
        self.assertGreater(len(result.stdout.splitlines()), 0)
        error = json.loads(result.stderr.splitlines()[-1])["error"]
        self.assertEqual((error["code"], error["details"]["server"]), ("UNAVAILABLE", "compliance"))

    def test_every_log_that_cannot_be_read_is_named(self) -> None:
        """They are waited for together, not one after the other."""
        self.refuse("127.0.0.1:21900", "127.0.0.1:20600")
        before = self.platform.clock.monotonic()
        result = self.invoke("--json", "audit", account="administrator", main=main)
        self.assertLess(self.platform.clock.monotonic() - before, 15.0)
        self.assertEqual(result.exit_code, 1)
        self.assertGreater(len(result.stdout.splitlines()), 0)
        error = json.loads(result.stderr.splitlines()[-1])["error"]
        self.assertEqual((error["code"], error["details"]["server"]), ("UNAVAILABLE", "compliance, risk"))
        told = self.invoke("audit", account="administrator", main=main)
        self.assertIn("The audit logs of compliance, risk are missing here: ", told.stderr)

    def test_nobody_is_told_that_there_is_nothing_where_something_was_not_read(self) -> None:
        """Only that the log is missing."""
        words = ("audit", "--server", "compliance", "--action", "never")
        self.assertIn("No such events.", self.note(*words))
        self.refuse("127.0.0.1:21900")
        result = self.invoke(*words, account="administrator", main=main)
        self.assertEqual((result.exit_code, result.stdout), (1, ""))
        self.assertIn("The audit log of compliance is missing here", result.stderr)
        self.assertNotIn("No such events", result.stderr)

    def test_who_acted_through_a_service_is_named_before_it(self) -> None:
        """The person is found by his name, the service by its own."""
        self.admin("group", "create", "iota")
        for actor in ("administrator", "administration_service"):
            made = [
                event
                for event in self.admin("audit", "--server", "service-locator", "--actor", actor)
                if event["outcome"] == "DONE" and "iota" in (event["after"] or "")
            ]
            self.assertEqual(
                {(event["by"], event["via"]) for event in made}, {("administrator", "administration_service")}, actor
            )
        (set_up,) = self.admin("audit", "--server", "administration", "--actor", "setup", "--last", "1")
        self.assertEqual((set_up["by"], set_up["via"]), ("setup", None))

    def test_auditors_read_names(self) -> None:
        """And find people by them."""
        self.make_person("abe", "auditor")
        self.admin("group", "create", "kappa")
        events = self.admin("audit", "--server", "service-locator", "--actor", "administrator", account="abe")
        self.assertIn("administrator", {event["by"] for event in events if event["via"] == "administration_service"})

    def test_the_reason_that_was_given_stands_beside_what_the_refusal_said(self) -> None:
        """Neither takes the other's place."""
        words = ("limits", "set", "demo_trader", "--currency", "XQZ", "--reason", "a slip of mine")
        said = self.refusal(*words)["message"]
        result = self.invoke("audit", "--server", "administration", "--last", "1", account="administrator", main=main)
        heading, _, line = result.stdout.splitlines()
        self.assertRegex(heading, r" By +Action .* Reason +Refusal$")
        self.assertRegex(line, r" administrator +limits\.set .* a slip of mine +")
        self.assertTrue(line.endswith(said), line)

    def test_columns_in_which_nothing_stands_are_left_out(self) -> None:
        """A table that fits is easier to read."""
        self.admin("limits", "set", "demo_trader", "--net-loss", "60000", "--reason", "a test of the table")
        words = ("audit", "--server", "administration", "--action", "limits.set", "--last", "1")
        heading = self.invoke(*words, account="administrator", main=main).stdout.splitlines()[0]
        self.assertIn("Reason", heading)
        self.assertNotIn("Via", heading)
        self.assertNotIn("Refusal", heading)
