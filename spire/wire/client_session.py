"""A session as a client sees it: it finds its server, logs in, subscribes again, and survives all but a refusal."""

from collections.abc import Callable
from enum import Enum
from typing import Any

from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.protocols.amp import IResponderLocator
from twisted.python.failure import Failure
from zope.interface import implementer

from spire.runtime.chance import Chance
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.runtime.waiters import Waiters
from spire.values.environment import Environment
from spire.values.time import Timestamp
from spire.wire.back_off import TO_SERVICES, BackOff
from spire.wire.client_connection import ClientConnection
from spire.wire.connection import CALL_SECONDS, Traffic
from spire.wire.errors import Conflict, CredentialsRefused, Forbidden, SpireError, Unavailable
from spire.wire.guard import Guard
from spire.wire.handshake import PROTOCOL_VERSION, Greeting, Hello
from spire.wire.identity import Provider
from spire.wire.interfaces import IAddresses, IConnector, ICredentials
from spire.wire.limits import Limits
from spire.wire.subscriptions import Subscriptions

CLIENT_VERSION = "spire 0.1.0"


class ClientState(Enum):
    """Where a client session stands."""

    STOPPED = "stopped"
    WAITING = "waits before the next attempt"
    CONNECTING = "connects"
    GREETING = "says hello"
    AUTHENTICATING = "logs in"
    RESUBSCRIBING = "subscribes"
    READY = "ready"
    REFUSED = "its credentials were refused"


class ClientSession:
    """A session with a service, whichever of its servers that is.

    It is ready when it has logged in and subscribed again to all that was subscribed. Losing the connection, the server
    or the network only makes it not ready: it comes back by itself, at once when `addresses` reports a change. A
    definitive refusal of the credentials stops it until `start` is called again. It never repeats a call.

    `account` is the account that must have registered the provider; None accepts any. `pushes` answers one-way
    commands beside those of the subscriptions.
    """

    _log = Logger()

    def __init__(
        self,
        service: str,
        *,
        addresses: IAddresses,
        connector: IConnector,
        credentials: ICredentials,
        environment: Environment,
        clock: Clock,
        tasks: Tasks,
        metrics: Metrics,
        chance: Chance,
        back_off: BackOff = TO_SERVICES,
        limits: Limits | None = None,
        account: str | None = None,
        pushes: IResponderLocator | None = None,
        client_version: str = CLIENT_VERSION,
    ) -> None:
        self.service = service
        self.state = ClientState.STOPPED
        self.reason = "it was not started"
        self.subscriptions = Subscriptions(clock=clock, tasks=tasks, metrics=metrics, chance=chance)
        self.greeting: Greeting | None = None
        self._addresses = addresses
        self._connector = connector
        self._credentials = credentials
        self._environment = environment
        self._clock = clock
        self._tasks = tasks
        self._back_off = back_off
        self._limits = limits or Limits()
        self._account = account
        self._pushes = pushes
        self._client_version = client_version
        self._chance = chance
        self._guard = Guard(metrics, "client")
        self._traffic = Traffic(metrics, "client")
        self._gauge = metrics.gauge("spire_wire_client_ready", "Client sessions that are ready.", ["service"])
        self._transport: ClientService | None = None
        self._connection: ClientConnection | None = None
        self._waiting: Waiters[None] = Waiters()
        self._impatient: set[Deferred[None]] = set()
        self._watchers: list[Callable[[bool], None]] = []
        self._failures = 0
        self._attempts = 0
        self._count = 0
        self._ready_since: float | None = None
        self._pause: Deferred[None] | None = None
        self._woken = False
        addresses.on_change(self._addresses_changed)

    # What callers use

    @property
    def is_ready(self) -> bool:
        """Whether calls are possible now."""
        return self.state is ClientState.READY

    @property
    def instance_id(self) -> str:
        """The server's instance; empty while not connected to one."""
        return "" if self.greeting is None else self.greeting.instance_id

    @property
    def epoch(self) -> int | None:
        """The server's epoch; None while not connected to one."""
        return None if self.greeting is None else self.greeting.epoch

    def start(self) -> None:
        """Begin to connect, and keep connecting; after a refusal, try again with the same credentials."""
        if self.state not in (ClientState.STOPPED, ClientState.REFUSED):
            return
        self._failures = self._attempts = 0
        self._move(ClientState.CONNECTING, "it has just been started")
        reactor: Any = self._clock.reactor
        self._transport = ClientService(_Located(self), _Connections(self), retryPolicy=lambda _: 0.0, clock=reactor)
        self._transport.startService()

    async def stop(self) -> None:
        """Close the connection and stay away; calls that wait fail with Unavailable."""
        self._move(ClientState.STOPPED, "it was stopped")
        self._waiting.fail(Unavailable(f"The session with {self.service} was stopped."))
        self.subscriptions.close()
        await self._leave()

    async def when_ready(self, timeout_seconds: float | None = None) -> None:
        """Wait until calls are possible.

        Raises Unavailable, with what is in the way, after `timeout_seconds` or when the session is stopped, and
        CredentialsRefused where it is of no use to wait. With a time it also raises Forbidden, at once when a server
        says so; without one the wait goes on, since the right may be granted.
        """
        if self.is_ready:
            return
        if self.state is ClientState.REFUSED:
            raise CredentialsRefused(self.reason)
        if timeout_seconds is not None and timeout_seconds <= 0:
            raise self._not_ready()
        waiting = self._waiting.join()
        timer: IDelayedCall | None = None
        if timeout_seconds is not None:
            timer = self._clock.later(timeout_seconds, self._give_up, waiting)
            self._impatient.add(waiting)
        try:
            await waiting
        finally:
            self._impatient.discard(waiting)
            if timer is not None and timer.active():
                timer.cancel()

    def on_state(self, callback: Callable[[bool], None]) -> None:
        """Call `callback` with whether the session is ready, each time that this changes."""
        self._watchers.append(callback)

    async def call(
        self,
        command: type[amp.Command],
        /,
        *,
        timeout_seconds: float = CALL_SECONDS,
        wait_seconds: float = 0.0,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Call `command` and return the values of the answer; raises what the server answered.

        While the session is not ready the call fails with Unavailable at once, or waits up to `wait_seconds`. Where the
        answer does not come, Unavailable is `in_doubt`: the server may have done it, and only the caller can know
        whether to ask again.
        """
        if not self.is_ready:
            await self.when_ready(wait_seconds)
        connection = self._connection
        if connection is None:
            raise self._not_ready()
        return await connection.ask(command, arguments, timeout_seconds)

    def push(self, command: type[amp.Command], /, **arguments: Any) -> bool:
        """Send a one-way command; False, and nothing sent, while the session is not ready."""
        if not self.is_ready or self._connection is None:
            return False
        self._connection.push(command, arguments)
        return True

    # Finding the server

    async def _connect(self, factory: IProtocolFactory) -> Any:
        """Wait as the failures so far ask for, pick an address and connect; every failure is counted and kept."""
        await self._wait_for_turn()
        self._move(ClientState.CONNECTING, self.reason)
        try:
            address = await self._pick()
            connecting = self._connector.endpoint(address, self.service).connect(factory)
            reactor: Any = self._clock.reactor
            return await connecting.addTimeout(self._limits.login_seconds, reactor)
        except Exception as error:
            # ClientService tries again after any failure; a cancelled attempt is no failure.
            if self._transport is not None:
                self._failed(str(error) or type(error).__name__)
            raise

    async def _wait_for_turn(self) -> None:
        delay = 0.0 if self._woken else self._back_off.delay(self._failures, self._chance)
        self._woken = False
        if delay <= 0.0:
            return
        self._move(ClientState.WAITING, self.reason)
        pause = self._pause = Deferred()
        timer = self._clock.later(delay, self._wake)
        try:
            await pause
        finally:
            self._pause = None
            if timer.active():
                timer.cancel()

    def _wake(self) -> None:
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.callback(None)

    def _addresses_changed(self, service: str) -> None:
        if service != self.service or self.state in (ClientState.STOPPED, ClientState.REFUSED, ClientState.READY):
            return
        self._failures = 0
        if self._pause is None:
            self._woken = True
        else:
            self._wake()

    async def _pick(self) -> str:
        """Return the next address to try: providers by load, equals as they come, then round again."""
        providers: list[Provider] = await self._addresses.addresses(self.service)
        if self._account is not None:
            providers = [provider for provider in providers if provider.account == self._account]
        ordered = sorted(providers, key=lambda provider: provider.load)
        addresses = [address for provider in ordered for address in provider.addresses]
        if not addresses:
            raise Unavailable(f"No server of {self.service} is registered.")
        address = addresses[self._attempts % len(addresses)]
        self._attempts += 1
        return address

    # Logging in

    def _connection_made(self, connection: ClientConnection) -> None:
        connection.on_lost(lambda reason: self._connection_lost(connection, reason))
        self._tasks.spawn(f"login to {self.service}", self._login(connection))

    async def _login(self, connection: ClientConnection) -> None:
        try:
            self._move(ClientState.GREETING, self.reason)
            greeting = await self._greet(connection)
            self._move(ClientState.AUTHENTICATING, self.reason)
            await self._credentials.authenticate(connection, greeting)
            self._move(ClientState.RESUBSCRIBING, self.reason)
            self.greeting = greeting
            await self.subscriptions.restore(connection)
        except CredentialsRefused as error:
            connection.refused = error
        except Forbidden as error:
            self.reason = str(error)
            for waiting in tuple(self._impatient):
                self._give_up(waiting, error)
        except SpireError as error:
            self.reason = str(error)
        else:
            if connection.is_open and self.state is ClientState.RESUBSCRIBING:
                self._connection = connection
                self._attempts = 0
                self._woken = False
                self._ready_since = self._clock.monotonic()
                self._move(ClientState.READY, "")
        finally:
            if self._connection is not connection:
                connection.abort()

    async def _greet(self, connection: ClientConnection) -> Greeting:
        answer = await connection.ask(
            Hello,
            {
                "protocol": PROTOCOL_VERSION,
                "environment": self._environment.name,
                "service": self.service,
                "client_version": self._client_version,
            },
            self._limits.login_seconds,
        )
        if answer["service"] != self.service or answer["environment"] != self._environment.name:
            raise Conflict(f"{connection.peer} is {answer['service']} in {answer['environment']}.")
        return Greeting(
            protocol=answer["protocol"],
            environment=self._environment,
            service=answer["service"],
            instance_id=answer["instance_id"],
            epoch=answer["epoch"],
            nonce=answer["nonce"],
            time=Timestamp(answer["time"]),
        )

    # Losing it

    def _connection_lost(self, connection: ClientConnection, reason: Failure) -> None:
        self.greeting = None
        self._connection = None
        self.subscriptions.disconnected(reason)
        if connection.refused is not None:
            self._refused(connection.refused)
        elif self.state is not ClientState.STOPPED:
            was_ready, self._ready_since = self._ready_since, None
            if was_ready is not None and self._clock.monotonic() - was_ready >= self._back_off.ceiling_seconds:
                self._failures = 0
            if connection.goodbye is not None:
                self._failed(str(connection.goodbye))
            elif not reason.check(ConnectionLost, ConnectionDone, ConnectionAborted):
                self._failed(f"{type(reason.value).__name__}: {reason.getErrorMessage()}")
            else:
                self._failed(self.reason or "the connection was lost")

    def _failed(self, text: str) -> None:
        self._failures += 1
        self._move(ClientState.WAITING, text)
        if self._failures in (1, 5) or self._failures % 20 == 0:
            self._log.info("no session with {service}: {reason}", service=self.service, reason=text)

    def _refused(self, error: CredentialsRefused) -> None:
        self._log.warn("{service}: the credentials were refused: {reason}", service=self.service, reason=error.message)
        self._move(ClientState.REFUSED, error.message)
        self._waiting.fail(error)
        self._tasks.spawn(f"leave {self.service}", self._leave())

    async def _leave(self) -> None:
        transport, self._transport = self._transport, None
        if self._connection is not None:
            self._connection.close()
        if transport is not None:
            await transport.stopService()

    def _give_up(self, waiting: Deferred[None], error: SpireError | None = None) -> None:
        if self._waiting.leave(waiting):
            waiting.errback(error or self._not_ready())

    def _not_ready(self) -> Unavailable:
        why = (self.reason or self.state.value).rstrip(".")
        return Unavailable(f"{self.service} cannot be reached: {why}.", in_doubt="no")

    def _move(self, state: ClientState, reason: str) -> None:
        was_ready = self.is_ready
        self.state = state
        self.reason = reason
        if was_ready == self.is_ready:
            return
        self._gauge.labels(service=self.service).inc(1 if self.is_ready else -1)
        if self.is_ready:
            self._waiting.succeed(None)
        for watcher in tuple(self._watchers):
            watcher(self.is_ready)


@implementer(IStreamClientEndpoint)
class _Located:
    """An endpoint that looks up where the service is each time that it connects."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """Connect to the address whose turn it is."""
        return Deferred.fromCoroutine(self._session._connect(factory))


class _Connections(Factory):
    """Makes the connections of one client session."""

    noisy = False

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    def buildProtocol(self, addr: object) -> ClientConnection:  # noqa: ARG002 (the session knows)
        """Return a connection that tells the session when it is made."""
        session = self._session
        session._count += 1
        connection = ClientConnection(
            session._guard, session._clock, session._traffic, session._limits, f"{session.service}#{session._count}"
        )
        locators = [session.subscriptions.responders()] + ([session._pushes] if session._pushes is not None else [])
        connection.prepare(locators, session._connection_made)
        return connection
