"""A real instance in a temporary directory, and the sessions that benchmark processes open with it."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineReceiver

from spire.client.deployment import Deployment, find_deployment
from spire.locator.client import Link
from spire.locator.credentials import Password
from spire.operations.instance import Instance
from spire.operations.settings import InstanceSettings
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.wire.client_session import ClientSession
from spire.wire.tls import TlsConnector


@contextmanager
def instance(port_offset: int) -> Iterator[Instance]:
    """Make an instance, and stop and remove it at the end, also when this process is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    home = Path(tempfile.mkdtemp(prefix=f"spire-benchmark-{os.getpid()}-"))
    made = Instance(home)
    try:
        made.set_up(InstanceSettings(port_offset=port_offset))
        yield made
    finally:
        made.stop()
        shutil.rmtree(home, ignore_errors=True)


def pids_of(made: Instance, *names: str) -> list[int]:
    """Return the process ids of servers of the instance."""
    return [pid for name in names if (pid := made.process(name).pid) is not None]


def pin_processes(pids: list[int], core: int) -> None:
    """Keep processes, with all their threads, on one core."""
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core % (os.cpu_count() or 1)})


class Member:
    """One account of an instance, logged in, with sessions of its own."""

    def __init__(self, home: Path, account: str, reactor: Any) -> None:
        self.deployment: Deployment = find_deployment(home)
        self.clock = Clock(reactor)
        self.metrics = Metrics()
        self.tasks = Tasks(self.clock, self.metrics)
        self._connector = TlsConnector(str(self.deployment.locator.authority.path), reactor)
        self.link = Link(
            Password(account=account, password=(home / "secrets" / account).read_text().strip()),
            addresses=self.deployment.locator.addresses,
            connector=self._connector,
            environment=self.deployment.environment,
            clock=self.clock,
            tasks=self.tasks,
            metrics=self.metrics,
        )

    async def open(self) -> None:
        """Log in."""
        self.link.start()
        await self.link.when_ready(20)

    async def session(self, service: str) -> ClientSession:
        """Return a new session with a service, ready."""
        session = ClientSession(
            service,
            addresses=self.link,
            connector=self._connector,
            credentials=self.link.credentials,
            environment=self.deployment.environment,
            clock=self.clock,
            tasks=self.tasks,
            metrics=self.metrics,
            chance=self.link.chance,
        )
        session.start()
        await session.when_ready(20)
        return session


class _Lines(LineReceiver):
    delimiter = b"\n"

    def __init__(self, received: Callable[[str], object]) -> None:
        self._received = received

    def lineReceived(self, line: bytes) -> None:
        self._received(line.decode())


def listen_to_parent(received: Callable[[str], object], reactor: Any) -> None:
    """Call `received` with each line that the parent process sends."""
    StandardIO(_Lines(received), reactor=reactor)
