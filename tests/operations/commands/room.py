"""The `spire` command on the platform in one process: real arguments and output, real rooms, no socket."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from spire.client.deployment import Deployment, LocatorAddresses
from spire.client.platform import Spire
from spire.locator.credentials import Password
from spire.operations.command import main
from spire.operations.commands.shell import Shell
from spire.service.secrets import read_text
from spire.testing.platform import Platform

SERVERS = ("service-locator", "uid", "definitions", "market-data", "charting", "order-execution")
FEED = "simulation-feed"


class CommandTestCase(SynchronousTestCase):
    """A generated market of the demo venue, and who types; the rooms are shared by the tests of a class."""

    platform: Platform
    account = "demo_trader"

    def setUp(self) -> None:
        """Start the platform for the first test of the class."""
        if "platform" not in type(self).__dict__:
            type(self).platform = Platform(Path(self.mktemp()).absolute())
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
            Password(account=account, password=self.platform.instance.password(account)),
            Deployment(
                environment=self.platform.instance.settings.environment,
                locator=LocatorAddresses(addresses=("127.0.0.1:20000",), authority=read_text(authority)),
            ),
            clock=self.platform.clock,
            connector=self.platform.network,
            random_bytes=parts.random_bytes,
        )

    def invoke(self, *words: str, account: str | None = None) -> Result:
        """Type a command."""
        case = self

        class MemoryShell(Shell):
            """Runs what would need a reactor in the test's time."""

            def run(self, body: Callable[[Spire], Awaitable[None]]) -> None:
                """Run as the test's account, over memory."""

                async def entered() -> None:
                    async with case.client(account or case.account) as spire:
                        await body(spire)

                case.platform.run(entered())
                raise SystemExit(self.status)

        environ = {"SPIRE_HOME": str(self.platform.instance.home)}
        return CliRunner().invoke(main, words, env=environ, prog_name="spire", obj=MemoryShell)

    def spire(self, *words: str) -> str:
        """Type a command that must succeed, and return what it shows."""
        result = self.invoke(*words)
        self.assertEqual(result.exit_code, 0, result.stderr)
        return result.stdout

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """Type a command that must succeed, and return the objects that it writes."""
        return [json.loads(line) for line in self.spire("--json", *words).splitlines()]

    def refused(self, *words: str, account: str | None = None) -> dict[str, Any]:
        """Type a command that must be refused, and return its error."""
        result = self.invoke("--json", *words, account=account)
        self.assertEqual((result.exit_code, result.stdout), (1, ""), result.stderr)
        error: dict[str, Any] = json.loads(result.stderr.splitlines()[-1])["error"]
        return error
