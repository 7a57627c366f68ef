"""A service with a few commands, a locator's keys, and a network in memory to reach it by."""

from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.protocols import amp
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.testing.clock import ManualClock
from spire.testing.network import MemoryNetwork
from spire.values.environment import Environment
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.arguments import Bytes, Integer, Text, Typed
from spire.wire.commands import Command, Push
from spire.wire.connection import Connection, Traffic
from spire.wire.errors import Conflict, Refused
from spire.wire.guard import Guard
from spire.wire.handshake import Authenticate, Hello
from spire.wire.interfaces import IAvatars, ITicketSource
from spire.wire.limits import Limits
from spire.wire.server_session import ServerFactory, Session
from spire.wire.tickets import Claims, HeldTicket, TicketKey, TicketVerifier, issue, make_key, public_bytes, sign_proof

SERVICE = "test_service"
ADDRESS = "127.0.0.1:20900"
INSTANCE = "instance-1"


@frozen(kw_only=True)
class Point:
    """A value to send."""

    x: int
    y: int = 0


class Add(Command):
    """A synchronous command."""

    arguments = [(b"left", Integer()), (b"right", Integer())]
    response = [(b"sum", Integer())]


class Move(Command):
    """A command with a typed argument."""

    arguments = [(b"point", Typed(Point)), (b"note", Text(optional=True))]
    response = [(b"point", Typed(Point)), (b"note", Text(optional=True))]


class Wait(Command):
    """A command that is answered when the test says so."""

    arguments = [(b"name", Text())]
    response = [(b"name", Text())]


class Stop(Command):
    """As `Wait`, cancelled when the caller goes."""

    response = [(b"name", Text())]
    cancel_on_close = True


class Fail(Command):
    """A command that raises what the test has put there."""

    response = [(b"value", Bytes(optional=True))]


class Note(Push):
    """A one-way command."""

    arguments = [(b"text", Text())]


class Absent(Command):
    """A command that no table holds."""

    response = [(b"value", Integer())]


class AbsentPush(Push):
    """A one-way command that no table holds."""


class Ping(Command):
    """A command of those who are not logged in."""

    response = [(b"pong", Text())]


class Room(amp.CommandLocator):
    """The avatar's table."""

    def __init__(self, session: Session | None = None) -> None:
        self.session = session
        self.notes: list[str] = []
        self.waiting: dict[str, Deferred[None]] = {}
        self.outcome: Any = {"value": b""}
        self.correlations: list[str] = []

    @Add.responder
    def add(self, left: int, right: int) -> dict[str, Any]:
        """Add."""
        if self.session is not None:
            self.correlations.append(self.session.correlation_id)
        return {"sum": left + right}

    @Move.responder
    def move(self, point: Point, note: str | None) -> dict[str, Any]:
        """Return what came."""
        if point.x == 13:
            raise Conflict("The point is taken.", x=point.x)
        if point.x == 14:
            raise Refused("SHORT_REQUIRED", "Sell short instead.", position=7)
        return {"point": point, "note": note}

    @Wait.responder
    async def wait(self, name: str) -> dict[str, Any]:
        """Answer later."""
        self.waiting[name] = Deferred()
        await self.waiting[name]
        self.notes.append(f"waited {name}")
        return {"name": name}

    @Stop.responder
    async def stop(self) -> dict[str, Any]:
        """Answer later, or be cancelled."""
        self.waiting["stop"] = Deferred(lambda _: self.notes.append("cancelled"))
        await self.waiting["stop"]
        return {"name": "stop"}

    @Fail.responder
    def fail(self) -> Any:
        """Raise or return what the test has put there."""
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    @Note.responder
    def note(self, text: str) -> None:
        """Keep the text."""
        if text == "raise":
            raise ValueError("a push that fails")
        self.notes.append(text)


class Strangers(amp.CommandLocator):
    """The table of those who are not logged in."""

    @Ping.responder
    def ping(self) -> dict[str, Any]:
        """Answer."""
        return {"pong": "pong"}


@implementer(IAvatars)
class Avatars:
    """Hands out rooms, and remembers which sessions ended."""

    def __init__(self) -> None:
        self.rooms: list[Room] = []
        self.closed_sessions: list[Session] = []
        self.refusal: Exception | None = None

    def anonymous(self, session: Session) -> amp.CommandLocator:
        """Return the strangers' table."""
        return Strangers()

    def avatar(self, session: Session) -> amp.CommandLocator:
        """Return a room of the session's own."""
        if self.refusal is not None:
            raise self.refusal
        self.rooms.append(Room(session))
        return self.rooms[-1]

    def closed(self, session: Session) -> None:
        """Note the session."""
        self.closed_sessions.append(session)


@implementer(ITicketSource)
class Tickets:
    """A Locator's signing key, and one account's tickets."""

    def __init__(self, clock: ManualClock, **claims: Any) -> None:
        self.clock = clock
        self.signing = TicketKey(key_id="k1", private=make_key(lambda n: b"s" * n))
        self.keys = {"k1": public_bytes(self.signing.private)}
        self.holder = make_key(lambda n: b"h" * n)
        self.claims = claims
        self.revoked: set[str] = set()
        self.refusal: Exception | None = None
        self.renewed: list[Any] = []

    def verifier(self) -> TicketVerifier:
        """Return what a server checks them with."""
        return TicketVerifier(
            self.keys, lambda claims: claims.login_session in self.revoked, Environment.DEMO, self.clock
        )

    def make(self, **changes: Any) -> str:
        """Return a ticket."""
        now = self.clock.now()
        claims = Claims(
            **{
                "account_id": 7,
                "account": "ann",
                "audiences": (SERVICE,),
                "environment": Environment.DEMO,
                "roles": frozenset({"trader"}),
                "capabilities": frozenset({"test.use"}),
                "login_session": "login-1",
                "key": public_bytes(self.holder),
                "issued": now,
                "expires": Timestamp(now + 300 * NANOSECONDS),
                **self.claims,
                **changes,
            }
        )
        return issue(claims, self.signing)

    async def ticket(self) -> HeldTicket:
        """Return a fresh ticket."""
        if self.refusal is not None:
            raise self.refusal
        now = self.clock.now()
        return HeldTicket(ticket=self.make(), key=self.holder, issued=now, expires=Timestamp(now + 300 * NANOSECONDS))

    def on_renewed(self, callback: Any) -> None:
        """Keep the callback."""
        self.renewed.append(callback)


class Peer(Connection):
    """A bare client connection, which says what the test says, and is alive."""


class WireTestCase(SynchronousTestCase):
    """A server on a network in memory."""

    limits = Limits()

    def setUp(self) -> None:
        """Start the server."""
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.tasks = Tasks(self.clock, self.metrics)
        self.network = MemoryNetwork(self.clock)
        self.tickets = Tickets(self.clock)
        self.avatars = Avatars()
        self.locator_is_there = True
        self.factory = self.serve(INSTANCE)

    def serve(self, instance_id: str, address: str = ADDRESS) -> ServerFactory:
        """Start a server of the service."""
        factory = ServerFactory(
            service=SERVICE,
            instance_id=instance_id,
            epoch=3,
            environment=Environment.DEMO,
            avatars=self.avatars,
            verifier=self.tickets.verifier(),
            clock=self.clock,
            tasks=self.tasks,
            metrics=self.metrics,
            limits=self.limits,
            can_renew=lambda: self.locator_is_there,
        )
        self.port = self.successResultOf(self.network.listen(address, SERVICE, factory))
        return factory

    def connect(self, *locators: amp.CommandLocator) -> Peer:
        """Connect and say nothing but that we live."""
        metrics = Metrics()
        guard = Guard(metrics, "peer")
        peer = Peer(guard, self.clock, Traffic(metrics, "peer"), Limits(), "peer")
        peer.table = guard.compile(*locators)
        factory = Factory.forProtocol(lambda: peer)
        connected = self.network.endpoint(ADDRESS, SERVICE).connect(factory)
        self.clock.pump()
        self.successResultOf(connected)
        peer.keep_alive()
        return peer

    def answer(self, asked: Deferred[Any]) -> Any:
        """Let the network move, and return the answer."""
        self.clock.pump()
        return self.successResultOf(asked)

    def refusal(self, asked: Deferred[Any], kind: type[Exception]) -> Any:
        """Let the network move, and return the error."""
        self.clock.pump()
        return self.failureResultOf(asked, kind).value

    def hello(self, peer: Peer, **changes: Any) -> Deferred[Any]:
        """Say hello."""
        arguments = {"protocol": 1, "environment": "DEMO", "service": SERVICE, "client_version": "test 1"}
        return peer.ask(Hello, {**arguments, **changes})

    def authenticate(self, peer: Peer, nonce: bytes, ticket: str | None = None, **proof: Any) -> Deferred[Any]:
        """Log in."""
        ticket = self.tickets.make() if ticket is None else ticket
        over = {"service": SERVICE, "instance_id": INSTANCE, "nonce": nonce, **proof}
        return peer.ask(Authenticate, {"ticket": ticket, "proof": sign_proof(self.tickets.holder, **over)})

    def log_in(self, *locators: amp.CommandLocator) -> Peer:
        """Connect, say hello and log in."""
        peer = self.connect(*locators)
        greeting = self.answer(self.hello(peer))
        self.answer(self.authenticate(peer, greeting["nonce"]))
        return peer

    @property
    def room(self) -> Room:
        """The room of the session that logged in last."""
        return self.avatars.rooms[-1]

    @property
    def session(self) -> Session:
        """The session that logged in last."""
        session = self.room.session
        assert session is not None
        return session
