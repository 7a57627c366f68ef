"""One operating-system process of Spire: real parts, the room in them, and what an operator sees of it."""

import atexit
import gc
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.threads import deferToThreadPool
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized
from zope.interface import implementer

from spire.database.database import Database
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.service.admin import AdminEndpoint
from spire.service.container import SpireService
from spire.service.databases import open_database
from spire.service.logs import JsonLog, Levels, LogOutput
from spire.service.notify import ReadyFile, Systemd
from spire.service.options import ServerOptions
from spire.service.parts import Parts
from spire.service.paths import admin_path, private_directory, ready_path
from spire.service.sections import DatabaseSection, LocatorSection, ProcessConfiguration, ServerSection
from spire.service.vitals import Vitals
from spire.wire.errors import Unavailable
from spire.wire.interfaces import IConnector, IListener
from spire.wire.tls import TlsConnector, TlsListener

C = TypeVar("C", bound=ProcessConfiguration)

# Python hands the interpreter lock over this often at most: threads of the database must not hold the reactor up.
SWITCH_SECONDS = 0.0005


def make_process(options: ServerOptions[C], make_room: Callable[[C, Parts], SpireService]) -> IService:
    """Return the service that `twistd` runs: what a tap's `makeService` answers."""
    from twisted.internet import reactor  # a plugin must not choose the reactor when it is imported

    configuration = options.configuration
    parts = real_parts(configuration, reactor)
    room = make_room(configuration, parts)
    return ProcessService(configuration.run.name or options.name, room, configuration, parts, reactor)


def real_parts(configuration: ProcessConfiguration, reactor: Any) -> Parts:
    """Return TLS, threads, system randomness and MySQL behind one reactor."""
    clock = Clock(reactor)
    metrics = Metrics()
    tasks = Tasks(clock, metrics)
    locator = getattr(configuration, "locator", None)
    server = getattr(configuration, "server", None)

    def run_in_thread(function: Callable[..., Any], /, *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(reactor, reactor.getThreadPool(), function, *arguments)

    def opened(section: DatabaseSection) -> Database:
        return open_database(section, clock, metrics)

    return Parts(
        clock=clock,
        tasks=tasks,
        metrics=metrics,
        connector=TlsConnector(str(locator.authority.path), reactor)
        if isinstance(locator, LocatorSection)
        else _Nowhere(),
        listener=TlsListener(server.certificate.content, server.key.content, reactor)
        if isinstance(server, ServerSection)
        else _Nowhere(),
        run_in_thread=run_in_thread,
        random_bytes=os.urandom,
        open_database=opened,
    )


@implementer(IConnector, IListener)
class _Nowhere:
    """The network of a process whose configuration names none."""

    def endpoint(self, address: str, service: str) -> IStreamClientEndpoint:
        """Refuse: there is no certificate authority to trust."""
        raise Unavailable(f"the configuration has no [locator] section, so {service} at {address} cannot be trusted")

    def listen(self, address: str, service: str, factory: IProtocolFactory) -> Deferred[IListeningPort]:  # noqa: ARG002 - the interface names it
        """Refuse: there is no certificate to show."""
        raise Unavailable(f"the configuration has no [server] section, so {service} cannot listen at {address}")


class ProcessService(Service):
    """A room with its log, readiness file, admin endpoint and vital signs.

    A start that fails stops the reactor, and the process exits with status 1.
    """

    _log = Logger()

    def __init__(
        self, name: str, room: SpireService, configuration: ProcessConfiguration, parts: Parts, reactor: Any
    ) -> None:
        self.setName(name)  # type: ignore[no-untyped-call]
        self.process = name
        self.room = room
        self._configuration = configuration
        self._parts = parts
        self._reactor = reactor
        self._levels = Levels(configuration.run.log_level)
        self._vitals = Vitals(parts.clock, parts.metrics)
        directory = configuration.run.directory
        self._admin = AdminEndpoint(admin_path(directory, name), room.verbs, reactor)
        self._ready_file = ReadyFile(ready_path(directory, name), room.readiness)
        self._systemd = Systemd(room.readiness, os.environ)
        self._began = parts.clock.now()
        for verb, function, purpose in (
            ("ping", self._ping, "Answer with the name and process id."),
            ("status", self._status, "State, step, reasons, children and verbs."),
            ("metrics", self._metrics, "All metrics in Prometheus text format."),
            ("log_level", self._log_level, "Change the log level: level=debug, and source=spire.wire for a part."),
        ):
            room.verbs.add(verb, function, purpose)

    def setServiceParent(self, parent: Any) -> None:
        """Join the application, and give it our log: twistd asks its application for the observer."""
        if isinstance(parent, Componentized):
            log = JsonLog(self.process, LogOutput(self._configuration.run.log_file).write)
            parent.setComponent(ILogObserver, self._levels.filter(log))
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        """Begin to start as soon as the reactor runs, so that a failure can stop it."""
        super().startService()  # type: ignore[no-untyped-call]
        sys.setswitchinterval(SWITCH_SECONDS)
        self._reactor.callWhenRunning(lambda: Deferred.fromCoroutine(self._start()))

    def stopService(self) -> Deferred[None]:
        """Stop the room, then what shows it."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _start(self) -> None:
        try:
            private_directory(self._configuration.run.directory)
            self.room.readiness.observe(self._ready_file.refresh)
            self.room.readiness.observe(self._systemd.refresh)
            self._ready_file.refresh()
            self._vitals.start()
            await self._admin.start()
        except OSError:
            self._log.failure("{process} cannot use its run directory", process=self.process)
            self._give_up()
            return
        try:
            await self.room.start()
        except Exception:  # noqa: BLE001 - logged by the container; every failed start ends the process
            if self.running:
                self._give_up()
            return
        gc.collect()
        gc.freeze()  # what lives now lives until the end: collections need not walk it
        self._log.info("{process} is ready", process=self.process)

    async def _stop(self) -> None:
        await self.room.stop()
        self._vitals.stop()
        await self._admin.stop()
        self._log.info("{process} has stopped", process=self.process)

    def _give_up(self) -> None:
        self._log.critical("{process} did not start and exits", process=self.process)
        exit_with(1)
        self._reactor.stop()

    def _ping(self) -> dict[str, object]:
        return {"process": self.process, "pid": os.getpid()}

    def _status(self) -> dict[str, object]:
        readiness = self.room.readiness
        return {
            "process": self.process,
            "service": self.room.name,
            "environment": self._configuration.environment.name,
            "pid": os.getpid(),
            "uptime_seconds": round((self._parts.clock.now() - self._began) / 1e9, 3),
            "state": str(readiness.state),
            "step": readiness.step,
            "reasons": dict(readiness.reasons),
            "children": [child.name for child in self.room.children],
            "tasks": len(self._parts.tasks.running),
            "verbs": dict(self.room.verbs.purposes),
        }

    def _metrics(self) -> str:
        return self._parts.metrics.exposition().decode()

    def _log_level(self, level: str, source: str = "") -> dict[str, str]:
        self._levels.set(level, source)
        return {"level": level, "source": source}


def exit_with(status: int) -> None:
    """Make the process exit with `status` although twistd, which knows no failed start, would end it with 0.

    Registered for the very end, so that twistd has closed its log and removed its pid file before.
    """

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    atexit.register(leave)
