"""What the system tests share: an instance of real processes, clients of it, and the `spire` command."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from spire.client.deployment import find_deployment
from spire.client.platform import Spire
from spire.database.private import find_server
from spire.operations.instance import Instance
from spire.operations.servers import SERVERS
from spire.operations.settings import InstanceSettings
from spire.testing.ports import free_port_offset
from spire.values.environment import Environment

R = TypeVar("R")
CHECKOUT = Path(__file__).resolve().parents[2]


class SystemTestCase(TestCase):
    """One instance a test, made from nothing, and gone afterwards.

    `servers` are started; blocking work of the instance runs in a thread. Clients that `client` made are closed at the end.
    """

    timeout = 600
    environment = Environment.REPLAY
    servers: Sequence[str] = tuple(kind.name for kind in SERVERS)

    async def setUp(self) -> None:
        """Set the instance up and start its servers."""
        if find_server() is None:
            self.skipTest("no mariadbd is installed")
        self._folder = Path(tempfile.mkdtemp(prefix="spire-system-"))
        self.instance = Instance(self._folder / "var")
        self._clients: list[Spire] = []
        self.addCleanup(lambda: Deferred.fromCoroutine(self._clean()))
        await self.in_thread(self.instance.set_up, self.settings())
        self.configure()
        await self.in_thread(self.instance.start, list(self.servers))

    def settings(self) -> InstanceSettings:
        """Return what the instance is set up with."""
        return InstanceSettings(environment=self.environment, port_offset=free_port_offset())

    def configure(self) -> None:
        """Change configuration files before the first start."""

    async def _clean(self) -> None:
        for client in reversed(self._clients):
            await client.close()
        killed = await self.in_thread(self.instance.stop)
        shutil.rmtree(self._folder)
        self.assertEqual(killed, [], "these had to be killed")

    def in_thread(self, function: Callable[..., R], *arguments: Any) -> "Deferred[R]":
        """Run a blocking function of the instance."""
        return deferToThread(function, *arguments)

    def as_deferred(self, coroutine: Coroutine[Any, Any, R]) -> "Deferred[R]":
        """Run a coroutine where Twisted wants a Deferred."""
        return Deferred.fromCoroutine(coroutine)

    async def client(self, account: str, password: str | None = None) -> Spire:
        """Return the platform, logged in as an account of the instance."""
        from twisted.internet import reactor

        secret = self.instance.password(account) if password is None else password
        client = Spire.login(reactor, find_deployment(self.instance.home), account, secret)
        self._clients.append(client)
        await client.open()
        return client

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a command on this instance."""
        return dict(os.environ) | {
            "PYTHONPATH": str(CHECKOUT),
            "SPIRE_HOME": str(self.instance.home),
            "SPIRE_LOGIN": str(self._folder / "login.json"),
        }

    async def spire(self, *words: str, status: int = 0) -> str:
        """Run the `spire` command as a user would, and return what it wrote to standard output."""
        out, err, code = await self.run_spire(*words)
        self.assertEqual(code, status, err)
        return out

    async def run_spire(self, *words: str) -> tuple[str, str, int]:
        """Run the `spire` command and return its output, its errors and its exit status."""
        arguments = ["-m", "spire", *words]
        out, err, code = await getProcessOutputAndValue(sys.executable, arguments, self.environ, str(self._folder))
        return out.decode(), err.decode(), code
