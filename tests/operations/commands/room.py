"""The commands on the platform in one process: real arguments and output, real rooms, no socket."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from spire.client.deployment import Deployment, LocatorAddresses
from spire.client.platform import Spire
from spire.locator.credentials import Password
from spire.operations import admin, command, day
from spire.operations.commands.shell import Shell
from spire.operations.servers import OPERATIONS_ACCOUNT
from spire.service.secrets import read_text
from spire.testing.platform import Platform

SERVERS = (
    "service-locator", "uid", "definitions", "administration", "market-data", "market-data-relay", "charting",
    "compliance", "order-execution", "risk",
)  # fmt: skip
FEED = "simulation-feed"


class CommandTestCase(SynchronousTestCase):
    """A generated market of the demo venue, and who types; the rooms are shared by the tests of a class."""

    platform: Platform
    passwords: dict[str, str]
    """Of accounts that tests made."""

    account = "demo_trader"

    def setUp(self) -> None:
        """Start the platform for the first test of the class."""
        if "platform" not in type(self).__dict__:
            type(self).platform = Platform(Path(self.mktemp()).absolute())
            type(self).passwords = {}
            etc = self.platform.instance.layout.etc
            (etc / "client.toml").write_text(
                'environment = "DEMO"\n[locator]\naddresses = ["127.0.0.1:20000"]\nauthority = "../tls/authority.pem"\n'
            )
            self.platform.instance.configure(FEED, "simulation", quotes=20.0, trades=60.0)
            self.platform.start(*SERVERS, FEED)
            self.platform.advance(3.0)

    @classmethod
    def tearDownClass(cls) -> None:
        """Stop the platform."""
        if "platform" in cls.__dict__:
            cls.platform.stop()

    def client(self, account: str) -> Spire:
        """Return the platform as an account sees it, which logs in when it is entered."""
        parts = self.platform.parts()
        authority = self.platform.instance.layout.tls / "authority.pem"
        return Spire(
            Password(account=account, password=self.password(account)),
            Deployment(
                environment=self.platform.instance.settings.environment,
                locator=LocatorAddresses(addresses=("127.0.0.1:20000",), authority=read_text(authority)),
            ),
            clock=self.platform.clock,
            connector=self.platform.network,
            random_bytes=parts.random_bytes,
        )

    def password(self, account: str) -> str:
        """Return the password of an account of the instance, or of one that a test made."""
        return self.passwords.get(account) or self.platform.instance.password(account)

    def invoke(self, *words: str, account: str | None = None, main: click.Command = command.main) -> Result:
        """Type a command."""
        case = self

        class MemoryShell(Shell):
            """Runs what would need a reactor in the test's time."""

            def run(self, body: Callable[[Spire], Awaitable[None]]) -> None:
                """Run as the test's account, over memory."""
                self._run_as_account(account or case.account, body)

            def run_as(self, make: Callable[[Any], Spire], body: Callable[[Spire], Awaitable[None]]) -> None:
                """Run as the account that opens days: no other command of the tests names one."""
                self._run_as_account(OPERATIONS_ACCOUNT, body)

            def _run_as_account(self, name: str, body: Callable[[Spire], Awaitable[None]]) -> None:
                async def entered() -> None:
                    async with case.client(name) as spire:
                        await body(spire)

                case.platform.run(entered(), 120.0)
                raise SystemExit(self.status)

        environ = {"SPIRE_HOME": str(self.platform.instance.home)}
        return CliRunner().invoke(main, words, env=environ, prog_name=main.name or "spire", obj=MemoryShell)

    def spire(self, *words: str, account: str | None = None) -> str:
        """Type a command that must succeed, and return what it shows."""
        return self._done(self.invoke(*words, account=account))

    def admin(self, *words: str, account: str = "administrator") -> list[dict[str, Any]]:
        """Type a command of the administrator that must succeed, and return the objects that it writes."""
        done = self._done(self.invoke("--json", *words, account=account, main=admin.main))
        return [json.loads(line) for line in done.splitlines()]

    def opened(self, *words: str) -> list[dict[str, Any]]:
        """Run what opens the business day, and return the objects that it writes."""
        done = self._done(self.invoke("--json", *words, main=day.main))
        return [json.loads(line) for line in done.splitlines()]

    def _done(self, result: Result) -> str:
        self.assertEqual(result.exit_code, 0, result.stderr or repr(result.exception))
        return result.stdout

    def refuse(self, *addresses: str) -> None:
        """Let servers be away until the test ends."""
        for address in addresses:
            self.platform.network.faults.refuse.add(address)
            self.addCleanup(self.platform.network.faults.refuse.discard, address)

    def make_person(self, name: str, role: str) -> None:
        """Make an account in a role, unless a test made it already."""
        if name not in self.passwords:
            (row,) = self.admin("account", "create", name, "--role", role)
            self.passwords[name] = row["password"]

    def rows(self, *words: str, account: str | None = None) -> list[dict[str, Any]]:
        """Type a command that must succeed, and return the objects that it writes."""
        return [json.loads(line) for line in self.spire("--json", *words, account=account).splitlines()]

    def refused(self, *words: str, account: str | None = None, main: click.Command = command.main) -> dict[str, Any]:
        """Type a command that must be refused, and return its error."""
        result = self.invoke("--json", *words, account=account, main=main)
        self.assertEqual((result.exit_code, result.stdout), (1, ""), result.stderr)
        error: dict[str, Any] = json.loads(result.stderr.splitlines()[-1])["error"]
        return error


class AdminTestCase(CommandTestCase):
    """An administrator's commands."""

    def refusal(self, *words: str, account: str = "administrator") -> dict[str, Any]:
        """Type a command that must be refused, and return its error."""
        return self.refused(*words, account=account, main=admin.main)

    def misused(self, *words: str) -> str:
        """Type a command line that must be wrong, and return what is said of it."""
        result = self.invoke(*words, account="administrator", main=admin.main)
        self.assertEqual(result.exit_code, 2, result.stderr)
        return result.stderr

    def note(self, *words: str, account: str = "administrator") -> str:
        """Type a command that must succeed, and return what it says beside its result."""
        result = self.invoke(*words, account=account, main=admin.main)
        self.assertEqual(result.exit_code, 0, result.stderr or repr(result.exception))
        return result.stderr
