"""The assembly that servers share: database, Locator, upstreams, own steps, ports, registration, in the order told."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from spire.database.database import Database
from spire.database.errors import StoreDown
from spire.database.migrations import check, load_steps
from spire.runtime.chance import random_source
from spire.service.container import Child, SpireService, Step
from spire.service.interfaces import ILocator
from spire.service.parts import Parts
from spire.service.readiness import Readiness, Reason
from spire.service.sections import DatabaseSection, ListenSection, ServerConfiguration
from spire.wire.client_session import ClientSession
from spire.wire.errors import Unavailable
from spire.wire.interfaces import IAvatars
from spire.wire.server_session import ServerFactory

RETRY_SECONDS = 1.0
FLUSH_SECONDS = 2.0


class ServerRoom:
    """Builds one server's `SpireService`; the order of the calls is the start order, its reverse the stop order.

    Start waits, as long as it takes, for a database that is away, for the Locator and for upstreams, and readiness says
    which; a schema of another version, refused credentials or a port in use end the start. `finish` adds what comes last:
    registration of every port's service. Each upstream and the Locator, lost later, make the server degraded.
    """

    _log = Logger()

    def __init__(self, configuration: ServerConfiguration, parts: Parts, *, locator: ILocator | None = None) -> None:
        self.configuration = configuration
        self.parts = parts
        self.locator = locator
        self.instance_id = parts.random_bytes(8).hex()
        self.epoch = 1
        self.factories: dict[str, ServerFactory] = {}
        self.service = SpireService(configuration.server.name, clock=parts.clock, readiness=Readiness())
        self._registrations: list[tuple[str, tuple[str, ...], Mapping[str, str]]] = []
        self._ports: list[IListeningPort] = []
        self._upstreams: list[ClientSession] = []
        self._are_upstreams_started = False
        self._has_tasks = False

    @property
    def readiness(self) -> Readiness:
        """The server's readiness; rooms add their own reasons to it."""
        return self.service.readiness

    def add(
        self,
        name: str,
        start: Step,
        stop: Step = lambda: None,
        *,
        stop_seconds: float = 5.0,
        retry_on: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> None:
        """Add a step of the room's own (state to load, a journal, a writer).

        A start that raises one of `retry_on` (StoreDown, say) is tried again each second, and readiness says why.
        """
        self._own_tasks()

        async def patiently() -> None:
            await self._until(name, retry_on, start)

        self.service.add(Child(name=name, start=patiently, stop=stop, stop_seconds=stop_seconds))

    def verb(self, name: str, function: Callable[..., object], purpose: str) -> None:
        """Offer a verb of the room's own on the admin endpoint."""
        self.service.verbs.add(name, function, purpose)

    def database(self, section: DatabaseSection, *, package: str, prefix: str) -> Database | None:
        """Open the database and check the room's schema (`schema/*.sql` of `package`); None in memory."""
        database = self.parts.open_database(section)
        if database is None:
            return None
        steps = load_steps(package, prefix)
        database.on_state(self._follow("database"))

        async def start() -> None:
            await database.start()
            await self._until("database", StoreDown, lambda: check(database, prefix, steps))

        self.service.add(Child(name="database", start=start, stop=database.stop))
        return database

    def link(self) -> None:
        """Connect to the Locator, and wait for its topics."""
        locator = self._locator()
        locator.on_state(self._follow("service_locator"))

        async def start() -> None:
            locator.start()
            await self._wait("service_locator", locator.when_ready, "waits for service_locator")

        self.add("service_locator", start, locator.stop)

    def upstream(self, service: str, *, account: str | None = None, awaited: bool = True) -> ClientSession:
        """Make a client session with another server; all are started at the first, each is awaited in its turn.

        `account` must have registered the service; it is the service's own name unless given. One that is not `awaited`
        (a server that needs this one to start) never holds up the start; while it is away the server is degraded.
        """
        locator = self._locator()
        session = ClientSession(
            service,
            addresses=locator,
            connector=self.parts.connector,
            credentials=locator.credentials,
            environment=self.configuration.environment,
            clock=self.parts.clock,
            tasks=self.parts.tasks,
            metrics=self.parts.metrics,
            chance=random_source(self.parts.random_bytes).random,
            account=service if account is None else account,
        )

        def trouble() -> str:
            return f"{service}: {session.reason or session.state.value}"

        session.on_state(self._follow(service, trouble))
        self._upstreams.append(session)

        async def start() -> None:
            if not self._are_upstreams_started:
                self._are_upstreams_started = True
                for each in self._upstreams:
                    each.start()
            if awaited:
                await self._wait(service, session.when_ready, trouble)
            elif not session.is_ready:
                self.readiness.because(service, trouble)

        self._own_tasks()
        self.service.add(Child(name=service, start=start, stop=session.stop))
        return session

    def listen(
        self,
        service: str,
        section: ListenSection,
        avatars: IAvatars,
        *,
        properties: Mapping[str, str] | None = None,
        **factory_options: Any,
    ) -> None:
        """Serve `avatars` as `service` on a port; its `ServerFactory` stands in `factories` once it listens."""
        self._registrations.append((service, section.advertise, properties or {}))

        async def start() -> None:
            factory = self.make_factory(service, avatars, **factory_options)
            self.factories[service] = factory
            if self.locator is not None:
                self.locator.guard(factory)
            self._ports.append(await self.parts.listener.listen(section.interface, service, factory))

        async def stop() -> None:
            await self._close_ports()
            factory = self.factories.pop(service, None)
            if factory is not None:
                factory.close_all()
                await self._sessions_gone(factory)

        self.add(f"port of {service}", start, stop)

    def make_factory(self, service: str, avatars: IAvatars, **options: Any) -> ServerFactory:
        """Make the factory of one service; its verifier is the Locator link unless `options` name another."""
        options.setdefault("verifier", self.locator)
        return ServerFactory(
            service=service,
            instance_id=self.instance_id,
            epoch=self.epoch,
            environment=self.configuration.environment,
            avatars=avatars,
            clock=self.parts.clock,
            tasks=self.parts.tasks,
            metrics=self.parts.metrics,
            random_bytes=self.parts.random_bytes,
            **options,
        )

    def finish(self) -> SpireService:
        """Add the registration, which comes last, and answer the service."""
        self.verb("drain", self._drain, "Withdraw from the Locator and take no new connection; stop follows by stop.")
        if self.locator is not None:
            self.add("registration", self._register, self.locator.withdraw)
        return self.service

    def _locator(self) -> ILocator:
        if self.locator is None:
            raise ValueError(f"{self.service.name} has no link to the Locator")
        return self.locator

    def _own_tasks(self) -> None:
        """Drain background work after everything that may start some has stopped, and before the database goes."""
        if not self._has_tasks:
            self._has_tasks = True
            self.service.add(Child(name="tasks", start=lambda: None, stop=lambda: self.parts.tasks.drain(4.0)))

    async def _register(self) -> None:
        locator = self._locator()
        for service, addresses, properties in self._registrations:
            await self._until("registration", Unavailable, partial(locator.register, service, addresses, properties))

    async def _drain(self) -> dict[str, object]:
        if self.locator is not None:
            await self.locator.withdraw()
        await self._close_ports()
        self.readiness.because("drain", "an operator drains it")
        return {"sessions": sum(len(factory.sessions) for factory in self.factories.values())}

    async def _sessions_gone(self, factory: ServerFactory) -> None:
        """Let sessions flush what is on its way to them, for a moment."""
        deadline = self.parts.clock.monotonic() + FLUSH_SECONDS
        while factory.sessions and self.parts.clock.monotonic() < deadline:
            await self.parts.clock.sleep(0.02)

    async def _close_ports(self) -> None:
        while self._ports:
            stopping = self._ports.pop().stopListening()
            if stopping is not None:
                await stopping

    async def _wait(self, key: str, when_ready: Callable[..., Any], reason: Reason) -> None:
        self.readiness.because(key, reason)
        await when_ready()
        self.readiness.clear(key)

    async def _until(self, key: str, trouble: type[Exception] | tuple[type[Exception], ...], attempt: Step) -> None:
        """Attempt until it works; `trouble` is waited out, anything else ends the start."""
        while True:
            try:
                result = attempt()
                if result is not None:
                    await result
            except trouble as error:
                self.readiness.because(key, str(error))
                self._log.warn("{service} waits for {key}: {reason}", service=self.service.name, key=key, reason=error)
                await self.parts.clock.sleep(RETRY_SECONDS)
            else:
                self.readiness.clear(key)
                return

    def _follow(self, key: str, reason: Reason = "") -> Callable[[bool], None]:
        def changed(is_ready: bool) -> None:
            if is_ready:
                self.readiness.clear(key)
            else:
                self.readiness.because(key, reason or f"{key} is away")

        return changed
