"""One instance for all tests that only disturb it: made by the first, gone when the test run ends."""

import atexit
import shutil
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from spire.client.platform import Spire
from spire.database.private import find_server
from spire.operations.instance import Instance
from spire.operations.settings import InstanceSettings
from spire.testing.ports import free_port_offset
from tests.system.case import SystemTestCase
from tests.system.peer import Peer, connect

E = TypeVar("E", bound=Exception)
FEED = "simulation-feed"


class _Shared:
    """The instance of this process, once it is made."""

    instance: Instance | None = None


class SharedInstanceTestCase(SystemTestCase):
    """A generated market and every server, the same processes for every test.

    After each test all of them must be as they were before it: up, and not a single one started anew, unless `restarts`
    names it.
    """

    timeout = 120
    servers = (*SystemTestCase.servers, FEED)

    async def setUp(self) -> None:
        """Make the instance if there is none, and note its processes."""
        if find_server() is None:
            self.skipTest("no mariadbd is installed")
        self._clients: list[Spire] = []
        self._peers: list[Peer] = []
        self.restarts: set[str] = set()
        if _Shared.instance is None:
            settings = InstanceSettings(environment=self.environment, port_offset=free_port_offset(), feeds=(FEED,))
            _Shared.instance = await self.in_thread(_make, settings)
        self.instance = _Shared.instance
        self._folder = self.instance.home.parent
        before = await self.in_thread(self.pids)
        self.addCleanup(lambda: Deferred.fromCoroutine(self._check(before)))

    async def connect(self, client: Spire, service: str) -> Peer:
        """Return a connection that has said hello and keeps no rules; it is closed at the end."""
        peer = await connect(client, service)
        self._peers.append(peer)
        return peer

    def refused(self, asked: "Awaitable[Any]", kind: type[E]) -> "Deferred[E]":
        """Wait for the refusal of a kind; anything else fails the test."""
        waiting = asked if isinstance(asked, Deferred) else Deferred.fromCoroutine(asked)  # type: ignore[arg-type]
        return self.assertFailure(waiting, kind)

    def pids(self) -> dict[str, int | None]:
        """Return the process ids of those that are up, by name."""
        return {state.name: state.pid for state in self.instance.check() if state.is_up}

    async def _check(self, before: dict[str, int | None]) -> None:
        for peer in self._peers:
            peer.close()
            await peer.lost
        for client in reversed(self._clients):
            await client.close()
        after = await self.in_thread(self.pids)
        expected = {name: after.get(name) if name in self.restarts else pid for name, pid in before.items()}
        self.assertEqual(after, expected, "a process did not stay up")


def _make(settings: InstanceSettings) -> Instance:
    """Set up and start; blocks."""
    folder = Path(tempfile.mkdtemp(prefix="spire-system-"))
    instance = Instance(folder / "var")

    def gone() -> None:
        instance.stop()
        shutil.rmtree(folder)

    atexit.register(gone)
    instance.set_up(settings)
    instance.start()
    return instance
