"""A session as a server sees it: hello, login, the avatar's table, expiry, and one place that releases everything."""

from collections.abc import Callable
from enum import Enum
from os import urandom
from typing import Any

from attrs import define
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.protocols.amp import IResponderLocator
from twisted.python.failure import Failure

from spire.runtime.clock import Clock
from spire.runtime.log_context import fields as log_fields
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.values.environment import Environment
from spire.values.orders import Channel
from spire.wire.connection import Connection, Traffic
from spire.wire.errors import Conflict, Forbidden, NotAuthenticated, Overloaded, SpireError, Unavailable
from spire.wire.expiry import Expiry
from spire.wire.guard import Guard, login_first, no_such_command
from spire.wire.handshake import OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION
from spire.wire.identity import Identity
from spire.wire.interfaces import IAvatars, ITicketVerifier
from spire.wire.limits import Limits
from spire.wire.login import TicketProof, make_portal
from spire.wire.outbound import OutboundStream
from spire.wire.server_handshake import HandshakeResponders, ServerConnection

NONCE_BYTES = 32


class State(Enum):
    """Where a session stands; it only moves downwards."""

    HELLO = "hello"
    ANONYMOUS = "anonymous"
    ACTIVE = "active"
    CLOSING = "closing"
    CLOSED = "closed"


@define(eq=False)
class _Registration:
    """Something that ends with the session."""

    release: Callable[[], object]


class Session:
    """Who is connected, and what he holds: the first argument of every method of an application service."""

    _log = Logger()

    def __init__(self, factory: "ServerFactory", number: int) -> None:
        self.id = f"{factory.service}-{factory.instance_id[:8]}-{number}"
        self.state = State.HELLO
        self.client_version = ""
        self.close_reason: SpireError | None = None
        self.connection = ServerConnection(factory.guard, factory.clock, factory.traffic, factory.limits, self.id)
        self.connection.session = self
        self._factory = factory
        self._identity: Identity | None = None
        self._outbound: OutboundStream | None = None
        self._proof: TicketProof | None = None
        self._nonce = factory.random_bytes(NONCE_BYTES)
        self._handshake = HandshakeResponders(self)
        self._logout: Callable[[], None] | None = None
        self._registrations: dict[_Registration, None] = {}
        self._failed_logins = 0
        self._timer: IDelayedCall | None = None
        self._expiry: Expiry | None = None

    # What application services use

    @property
    def identity(self) -> Identity:
        """The account that is logged in; raises NotAuthenticated where nobody is."""
        if self._identity is None:
            raise NotAuthenticated("Log in first.")
        return self._identity

    @property
    def is_authenticated(self) -> bool:
        """Whether somebody is logged in."""
        return self._identity is not None

    @property
    def nonce(self) -> bytes:
        """What the next proof of this session's client must sign."""
        return self._nonce

    @property
    def peer(self) -> str:
        """The client's address as `host:port`."""
        return self.connection.peer

    @property
    def channel(self) -> Channel:
        """The business channel: the portal where it acts for somebody, else AMP."""
        return Channel.PORTAL if self._identity is not None and self._identity.delegate else Channel.AMP

    @property
    def correlation_id(self) -> str:
        """The correlation id of the command that runs; empty outside of one."""
        return str(log_fields.get().get("correlation_id", ""))

    @property
    def outbound(self) -> OutboundStream:
        """The session's stream of pushed segments; raises NotAuthenticated before login."""
        if self._outbound is None:
            raise NotAuthenticated("Log in first.")
        return self._outbound

    @property
    def subscription_limit(self) -> int:
        """How many subscriptions the session may hold, by its role."""
        limits = self._factory.limits
        return limits.service_subscriptions if self._is_service() else limits.subscriptions

    def require(self, capability: str) -> None:
        """Raise Forbidden unless whoever is logged in holds `capability`."""
        identity = self.identity
        if not identity.holds(capability):
            raise Forbidden(f"{identity.account} lacks the capability {capability}.", capability=capability)

    def send(self, command: type[amp.Command], **arguments: Any) -> None:
        """Push a one-way command; nothing happens where the session is closed."""
        self.connection.push(command, arguments)

    def on_close(self, release: Callable[[], object]) -> Callable[[], None]:
        """Call `release` when the session ends, at once where it has; the answer takes it back."""
        if self.state is State.CLOSED:
            release()
            return lambda: None
        registration = _Registration(release)
        self._registrations[registration] = None
        return lambda: self._registrations.pop(registration, None)

    def close(self, reason: str | SpireError = "") -> None:
        """Tell the client why and close; a text becomes UNAVAILABLE, which the client takes for a reason to return."""
        if self.state in (State.CLOSING, State.CLOSED):
            return
        self.state = State.CLOSING
        self.close_reason = Unavailable(reason) if isinstance(reason, str) else reason
        self._stop_timer()
        if self._outbound is not None:
            self._outbound.close()
        self.connection.close(self.close_reason if self.close_reason.message else None)

    # From the connection

    def _opened(self) -> None:
        connection, factory = self.connection, self._factory
        if not factory._admit(self):
            return
        connection.table = factory.guard.compile(self._handshake)
        connection.unknown = login_first
        connection.on_lost(self._lost)
        connection.keep_alive()
        self._timer = factory.clock.later(factory.limits.login_seconds, self._late)

    def _hello(self, protocol: int, environment: str, service: str, client_version: str) -> dict[str, Any]:
        if self.state is not State.HELLO:
            raise Conflict("Hello was said already.")
        factory = self._factory
        mismatch = ""
        if not OLDEST_PROTOCOL_VERSION <= protocol <= PROTOCOL_VERSION:
            mismatch = f"This server speaks protocol {OLDEST_PROTOCOL_VERSION} to {PROTOCOL_VERSION}, not {protocol}."
        elif environment != factory.environment.name:
            mismatch = f"This is {factory.environment.name}, not {environment}."
        elif service != factory.service:
            mismatch = f"This is {factory.service}, not {service}."
        if mismatch:
            error = Conflict(mismatch, environment=factory.environment.name, service=factory.service)
            factory.clock.later(0.0, self.close, error)
            raise error
        self.client_version = client_version
        self.state = State.ANONYMOUS
        self._stop_timer()
        self._timer = factory.clock.later(factory.limits.login_seconds, self._late)
        self.connection.table = factory.guard.compile(factory.avatars.anonymous(self), self._handshake)
        return {
            "protocol": PROTOCOL_VERSION,
            "environment": factory.environment.name,
            "service": factory.service,
            "instance_id": factory.instance_id,
            "epoch": factory.epoch,
            "nonce": self._nonce,
            "time": factory.clock.now(),
        }

    async def _authenticate(self, ticket: str, proof: bytes) -> dict[str, Any]:
        if self.state is State.HELLO:
            raise NotAuthenticated("Say hello first.")
        if self.state is not State.ANONYMOUS:
            raise Conflict("This session is logged in already.")
        self._proof = self._claim(ticket, proof)
        avatar: Any
        try:
            _, avatar, logout = await self._factory.portal.login(self._proof, self, IResponderLocator)
        except SpireError:
            self._identity = None
            raise
        finally:
            self._proof = None
        self._logout = logout
        self._activate(avatar)
        return self._next_nonce()

    def adopt(self) -> None:
        """Take the identity that cred has just checked; only the realm calls it."""
        if self._proof is None or self._proof.identity is None:
            raise NotAuthenticated("Nobody is logging in.")
        self._identity = self._proof.identity

    def _activate(self, avatar: IResponderLocator) -> None:
        factory, connection = self._factory, self.connection
        self.state = State.ACTIVE
        self._stop_timer()
        connection.table = factory.guard.compile(avatar, self._handshake)
        connection.unknown = no_such_command
        if self._is_service():
            connection.outstanding_limit = factory.limits.service_outstanding_calls
        self._outbound = OutboundStream(connection, clock=factory.clock, metrics=factory.metrics)
        factory.logins.labels(service=factory.service, outcome="succeeded").inc()
        self._log.info(
            "{session}: {account} logged in from {peer}", session=self.id, account=self.identity.account, peer=self.peer
        )
        self._await_expiry()

    def _reauthenticate(self, ticket: str, proof: bytes) -> dict[str, Any]:
        held = self.identity
        claim = self._claim(ticket, proof)
        renewed: Identity = self._factory.verifier.verify(
            claim.ticket, claim.proof, claim.service, claim.instance_id, claim.nonce
        )
        if (renewed.account_id, renewed.delegate_id) != (held.account_id, held.delegate_id):
            raise Conflict(f"This session belongs to {held.account}.")
        self._identity = renewed
        if not (held.roles <= renewed.roles and held.capabilities <= renewed.capabilities):
            # The table was made for rights that are gone: the client comes back and gets the one it may have.
            self._factory.clock.later(0.0, self.close, NotAuthenticated("Rights were withdrawn; log in again."))
        else:
            self._await_expiry()
        return self._next_nonce()

    def _claim(self, ticket: str, proof: bytes) -> TicketProof:
        factory = self._factory
        return TicketProof(
            ticket=ticket, proof=proof, service=factory.service, instance_id=factory.instance_id, nonce=self._nonce
        )

    def _next_nonce(self) -> dict[str, Any]:
        self._nonce = self._factory.random_bytes(NONCE_BYTES)
        return {"nonce": self._nonce, "expires": self.identity.expires}

    def _is_service(self) -> bool:
        return self._identity is not None and "service" in self._identity.roles

    # Deadlines

    def _late(self, patience: int = 4) -> None:
        if self.connection.running and patience:
            # A login is being checked: passwords are hashed in a queue.
            self._timer = self._factory.clock.later(self._factory.limits.login_seconds / 2, self._late, patience - 1)
            return
        self.close(NotAuthenticated("Nobody logged in within the time allowed."))

    def _login_failed(self, answer: Callable[[], None]) -> None:
        factory = self._factory
        factory.logins.labels(service=factory.service, outcome="refused").inc()
        self._failed_logins += 1
        over = self._failed_logins - factory.limits.patient_attempts
        if over <= 0:
            answer()
            return
        factory.clock.later(over * factory.limits.attempt_delay_seconds, self._refuse, answer)

    def _refuse(self, answer: Callable[[], None]) -> None:
        answer()
        if self._failed_logins >= self._factory.limits.login_attempts:
            self.close(NotAuthenticated("Too many failed logins."))

    def _await_expiry(self) -> None:
        self._stop_timer()
        factory = self._factory
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = Expiry(factory.clock, factory.limits, factory.can_renew, self.identity.expires, self._expired)

    def _expired(self) -> None:
        self.close(NotAuthenticated("The ticket has expired; log in again."))

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if self._expiry is not None and self.state is not State.ACTIVE:
            self._expiry.cancel()

    # The end

    def _lost(self, _: Failure) -> None:
        """Release everything that the session holds; the only place that does."""
        self.state = State.CLOSED
        self._stop_timer()
        if self._outbound is not None:
            self._outbound.close()
        registrations, self._registrations = list(self._registrations), {}
        for registration in reversed(registrations):
            self._release(registration.release)
        logout, self._logout = self._logout, None
        if logout is not None:
            self._release(logout)
        self._factory._forget(self)

    def _release(self, function: Callable[[], object]) -> None:
        try:
            function()
        except Exception:  # noqa: BLE001 (one registration that fails must not keep the others)
            self._log.failure("{session}: a registration could not be released", session=self.id)


class ServerFactory(Factory):
    """Makes the sessions of one service on one port.

    `sessions` holds those that are connected, logged in or not. `can_renew` says whether a Locator can be reached; it
    defaults to the verifier's own `is_ready`, for a verifier that is a link to the Locator.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self,
        *,
        service: str,
        instance_id: str,
        epoch: int,
        environment: Environment,
        avatars: IAvatars,
        verifier: ITicketVerifier,
        clock: Clock,
        tasks: Tasks,
        metrics: Metrics,
        limits: Limits | None = None,
        random_bytes: Callable[[int], bytes] = urandom,
        can_renew: Callable[[], bool] | None = None,
    ) -> None:
        self.service = service
        self.instance_id = instance_id
        self.epoch = epoch
        self.environment = environment
        self.avatars = avatars
        self.verifier = verifier
        self.clock = clock
        self.tasks = tasks
        self.metrics = metrics
        self.limits = limits or Limits()
        self.random_bytes = random_bytes
        self.can_renew = can_renew or (lambda: bool(getattr(verifier, "is_ready", True)))
        self.sessions: set[Session] = set()
        self.guard = Guard(metrics, "server")
        self.traffic = Traffic(metrics, "server")
        self.portal = make_portal(avatars, verifier)
        self.logins = metrics.counter("spire_wire_logins", "Logins, by outcome.", ["service", "outcome"])
        self._open = metrics.gauge("spire_wire_sessions", "Sessions that are connected.", ["service"])
        self._count = 0

    def buildProtocol(self, addr: IAddress | None) -> Connection:  # noqa: ARG002 (the transport says it too)
        """Return the connection of a new session."""
        self._count += 1
        return Session(self, self._count).connection

    def revoke(self, predicate: Callable[[Identity], bool], reason: str = "The login was revoked.") -> int:
        """Close the sessions of the identities that `predicate` picks; return how many."""
        revoked = [session for session in self.sessions if session.is_authenticated and predicate(session.identity)]
        for session in revoked:
            session.close(NotAuthenticated(reason))
        return len(revoked)

    def close_all(self, reason: str = "The server stops.") -> None:
        """Close every session."""
        for session in tuple(self.sessions):
            session.close(reason)

    def _admit(self, session: Session) -> bool:
        if len(self.sessions) >= self.limits.sessions:
            self.traffic.faults.labels(fault="sessions").inc()
            session.close(Overloaded(f"This server takes at most {self.limits.sessions} sessions."))
            return False
        self.sessions.add(session)
        self._open.labels(service=self.service).inc()
        return True

    def _forget(self, session: Session) -> None:
        if session in self.sessions:
            self.sessions.remove(session)
            self._open.labels(service=self.service).dec()
