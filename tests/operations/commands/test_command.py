"""The command line itself: what click does with it, and how it ends."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from spire.operations import admin
from spire.operations.command import main


class CommandLineTests(SynchronousTestCase):
    """Without any server."""

    def setUp(self) -> None:
        """Name a home where nothing is."""
        self.home = Path(self.mktemp()).absolute()
        self.home.mkdir()

    def spire(self, *words: str) -> Result:
        """Run the command as its entry point does."""
        environ = {"SPIRE_HOME": str(self.home), "SPIRE_LOGIN": str(self.home / "login.json")}
        return CliRunner().invoke(main, words, env=environ, prog_name="spire")

    def deploy(self) -> None:
        """Put a client's configuration into the home, of a Locator that nobody is."""
        (self.home / "etc").mkdir()
        (self.home / "authority.pem").write_text("")
        (self.home / "etc" / "client.toml").write_text(
            'environment = "DEMO"\n[locator]\naddresses = ["127.0.0.1:1"]\nauthority = "../authority.pem"\n'
        )

    def error(self, result: Result) -> Any:
        """Return the JSON error, which must be all that was written."""
        self.assertEqual(result.stdout, "")
        return json.loads(result.stderr)["error"]

    def test_help_names_every_command(self) -> None:
        """And where to begin."""
        result = self.spire("--help")
        self.assertEqual(result.exit_code, 0)
        for word in (
            "login", "logout", "status", "quotes", "trades", "chart", "order", "positions", "risk", "limits",
            "violations", "halt", "replay",
        ):  # fmt: skip
            self.assertIn(f"\n  {word} ", result.stdout)
        self.assertIn("spire login ACCOUNT", result.stdout)

    def test_every_option_of_every_command_has_a_help(self) -> None:
        """A person must not have to guess."""
        groups: list[Any] = [main, admin.main]
        while groups:
            for command in groups.pop().commands.values():
                groups += [command] if hasattr(command, "commands") else []
                self.assertTrue(command.help, command.name)
                for parameter in command.params:
                    if parameter.param_type_name == "option":
                        self.assertTrue(parameter.help, (command.name, parameter.name))

    def test_every_command_of_the_administrator_shows_an_example(self) -> None:
        """The shortest way to know how it is typed."""
        groups: list[Any] = [admin.main]
        without = []
        while groups:
            for command in groups.pop().commands.values():
                if hasattr(command, "commands"):
                    groups.append(command)
                elif "For example: spire" not in command.help and command.name not in ("login", "logout", "status"):
                    without.append(command.name)
        self.assertEqual(without, [])

    def test_the_administrators_help_names_every_command(self) -> None:
        """And where to begin."""
        result = CliRunner().invoke(admin.main, ["--help"], prog_name="spire-admin")
        self.assertEqual(result.exit_code, 0)
        for word in ("group", "trader", "account", "limits", "entitle", "rule", "halt", "day", "audit", "login"):
            self.assertIn(f"\n  {word} ", result.stdout)
        self.assertIn("spire-admin login ACCOUNT", result.stdout)

    def test_what_changes_something_for_good_needs_a_reason(self) -> None:
        """It is asked for before anybody is asked to log in."""
        for words in (
            ["limits", "set", "ann", "--net-loss", "1"],
            ["entitle", "grant", "ann", "--venue", "XNYS"],
            ["rule", "add", "--on", "desk", "--reject"],
            ["halt", "set", "--firm"],
            ["account", "roles", "ann", "--add", "auditor"],
        ):
            result = CliRunner().invoke(admin.main, words, env={"SPIRE_HOME": str(self.home)}, prog_name="spire-admin")
            self.assertEqual(result.exit_code, 2, words)
            self.assertIn("--reason", result.stderr)

    def test_the_help_of_audit_is_one_text_that_fits(self) -> None:
        """Indented once, as the help of every command."""
        help_ = CliRunner().invoke(admin.main, ["audit", "--help"], prog_name="spire-admin").stdout.splitlines()
        (example,) = [line for line in help_ if "For example:" in line]
        self.assertTrue(example.startswith("  For example: spire-admin audit "), example)
        self.assertEqual([line for line in help_ if len(line) > 80], [])

    def test_the_version_is_told(self) -> None:
        """Also in a checkout that is not installed."""
        result = self.spire("--version")
        self.assertEqual(result.exit_code, 0)
        self.assertTrue(result.stdout.startswith("spire"), result.stdout)

    def test_a_wrong_command_line_ends_with_2(self) -> None:
        """And says how help is had."""
        for words in (["nonsense"], ["quotes"], ["order", "submit", "hold", "1", "ACME.DEMO"], ["chart", "A.B", "--x"]):
            result = self.spire(*words)
            self.assertEqual(result.exit_code, 2, words)
            self.assertIn("--help", result.stderr)

    def test_json_may_stand_anywhere_and_makes_misuse_json_too(self) -> None:
        """Before or behind the command."""
        for words in (["--json", "nonsense"], ["order", "cancel", "x", "--json"], ["order", "--json", "cancel", "x"]):
            result = self.spire(*words)
            self.assertEqual((result.exit_code, self.error(result)["code"]), (2, "USAGE"), words)

    def test_amounts_that_are_none_are_refused_before_anything_is_sent(self) -> None:
        """Naming what is wrong with them."""
        for words, text in (
            (["order", "submit", "buy", "abc", "ACME.DEMO"], "no quantity"),
            (["order", "submit", "buy", "1", "ACME.DEMO", "--limit", "1.2345678"], "no price"),
            (["order", "submit", "buy", "1" * 30, "ACME.DEMO"], "out of range"),
            (["order", "cancel", "0"], "no order id"),
            (["chart", "ACME.DEMO", "--interval", "1x"], "no interval"),
            (["trades", "ACME.DEMO", "--last", "0"], "--last"),
            (["trades", "ACME.DEMO", "--last", "1.5"], "'1.5' is no whole number"),
            (["halt", "release", "xx", "--reason", "x"], "'xx' is no whole number"),
            (["halt", "release", "0", "--reason", "x"], "0 is not in the range"),
        ):
            result = self.spire(*words)
            self.assertEqual(result.exit_code, 2, words)
            self.assertIn(text, result.stderr)

    def test_without_a_deployment_it_says_how_one_is_made(self) -> None:
        """As a refusal, whose status is 1."""
        result = self.spire("status", "--json")
        self.assertEqual((result.exit_code, self.error(result)["code"]), (1, "NOT_FOUND"))
        self.assertIn("bin/quickstart", self.error(result)["message"])

    def test_a_deployment_that_cannot_be_read_is_named(self) -> None:
        """With file and line."""
        self.deploy()
        file = self.home / "etc" / "client.toml"
        file.write_text(f"colour = 'blue'\n{file.read_text()}")
        result = self.spire("status", "--json")
        self.assertEqual((result.exit_code, self.error(result)["code"]), (1, "INVALID"))
        self.assertIn("client.toml:1: colour", self.error(result)["message"])

    def test_without_a_login_it_says_how_to_log_in(self) -> None:
        """Every command that needs one."""
        self.deploy()
        for words in (["status"], ["quotes", "A.DEMO"], ["positions"], ["order", "list"], ["logout"]):
            result = self.spire(*words)
            self.assertEqual(result.exit_code, 1, words)
            self.assertIn("NOT_AUTHENTICATED", result.stderr)
            self.assertIn("spire login ACCOUNT", result.stderr)

    def test_a_login_that_others_can_read_is_not_used(self) -> None:
        """It may have been stolen."""
        self.deploy()
        (self.home / "login.json").write_text("{}")
        (self.home / "login.json").chmod(0o644)
        result = self.spire("status", "--json")
        self.assertIn("can be read by others", self.error(result)["message"])

    def test_a_password_is_not_read_from_a_pipe(self) -> None:
        """Nobody would see that it is asked for."""
        self.deploy()
        result = self.spire("login", "ada")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("--password-file", result.stderr)

    def test_a_replay_that_begins_paused_needs_a_terminal(self) -> None:
        """Nothing could ever let it go on."""
        result = self.spire("replay", str(self.home), "--paused")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("terminal", result.stderr)

    def test_a_feeds_missing_secret_is_named(self) -> None:
        """With the option that names another."""
        self.deploy()
        result = self.spire("replay", str(self.home))
        self.assertEqual(result.exit_code, 2)
        self.assertIn("--secret-file", result.stderr)
