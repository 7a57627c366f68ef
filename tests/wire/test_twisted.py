"""What Twisted itself does, where the wire is built upon it; run at every upgrade."""

from typing import Any

from twisted.application.internet import ClientService
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols import amp
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from spire.wire.boxes import serialise
from tests.wire.support import Add, Room


class Undeclared(amp.Command):
    """A command without errors, as plain AMP has them."""

    response = [(b"value", amp.String())]


class Base(amp.Command):
    """A command that declares everything."""

    errors = {Exception: b"ANY"}


class Derived(Base):
    """One that declares something of its own, in vain."""

    errors = {KeyError: b"KEY"}


class Pushing(amp.Command):
    """A command whose responder pushes."""


UNDECLARED = {b"_command": b"Undeclared", b"_ask": b"1"}


class Plain(amp.AMP):
    """A plain AMP server."""

    outcome: Any = None

    @Undeclared.responder
    def undeclared(self) -> Any:
        """Raise or return."""
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    @Add.responder
    def add(self, left: int, right: int) -> dict[str, int]:
        """Add."""
        return {"sum": left + right}

    @Pushing.responder
    def pushing(self) -> dict[str, object]:
        """Push something, then answer."""
        self.callRemoteString(b"Push", requiresAnswer=False)
        return {}

    @Derived.responder
    def derived(self) -> dict[str, object]:
        """Raise what `Derived` declares."""
        raise KeyError("declared")


class AmpTests(SynchronousTestCase):
    """Why there is a guard: plain AMP ends the connection in all of these cases."""

    def setUp(self) -> None:
        """Connect a plain server to nothing."""
        self.server = Plain()
        self.transport = StringTransport()
        self.server.makeConnection(self.transport)

    def closed_after(self, box: dict[bytes, bytes], outcome: Any = None) -> bool:
        """Return whether the server closes after one call."""
        self.server.outcome = outcome
        self.server.dataReceived(serialise(box))
        self.flushLoggedErrors()
        return self.transport.disconnecting

    def test_an_undeclared_exception_closes(self) -> None:
        """One fault of ours."""
        self.assertTrue(self.closed_after(UNDECLARED, ValueError("fault")))

    def test_wrong_keys_close(self) -> None:
        """An answer that was not declared."""
        self.assertTrue(self.closed_after(UNDECLARED, {"other": b""}))

    def test_an_answer_that_is_too_long_closes(self) -> None:
        """65,536 bytes."""
        self.assertTrue(self.closed_after(UNDECLARED, {"value": b"x" * 65_536}))

    def test_an_argument_that_does_not_parse_closes(self) -> None:
        """Anybody can do that."""
        self.assertTrue(self.closed_after({b"_command": b"Add", b"_ask": b"1", b"left": b"x", b"right": b"1"}))

    def test_a_missing_argument_closes(self) -> None:
        """That too."""
        self.assertTrue(self.closed_after({b"_command": b"Add", b"_ask": b"1", b"left": b"1"}))

    def test_an_unknown_push_closes(self) -> None:
        """A newer peer would lose its connection to an older one."""
        self.assertTrue(self.closed_after({b"_command": b"Newer"}))

    def test_an_unknown_call_does_not_close(self) -> None:
        """It is answered UNHANDLED."""
        self.assertFalse(self.closed_after({b"_command": b"Newer", b"_ask": b"1"}))

    def test_a_declared_base_class_hides_its_subclasses(self) -> None:
        """Inherited errors are matched first, so no base command may declare Exception."""
        self.server.dataReceived(serialise({b"_command": b"Derived", b"_ask": b"1"}))
        [answer] = amp.parseString(self.transport.value())
        self.assertEqual(answer[b"_error_code"], b"ANY")

    def test_a_push_from_a_responder_leaves_before_its_answer(self) -> None:
        """Boxes leave in the order of their writing."""
        self.server.dataReceived(serialise({b"_command": b"Pushing", b"_ask": b"1"}))
        kinds = [b"_answer" in box for box in amp.parseString(self.transport.value())]
        self.assertEqual(kinds, [False, True])

    def test_a_locator_lists_its_commands_as_we_read_them(self) -> None:
        """The guard compiles tables from this private mapping."""
        command, function = Room._commandDispatch[b"Add"]  # type: ignore[attr-defined]
        self.assertIs(command, Add)
        self.assertEqual(function(Room(), left=1, right=2), {"sum": 3})


class ClockTests(SynchronousTestCase):
    """Why there is a clock of our own for tests."""

    def test_twisteds_clock_jumps_to_the_end_first(self) -> None:
        """A timer made on the way counts from the end."""
        clock = Clock()
        seen: list[float] = []
        clock.callLater(1.0, lambda: clock.callLater(1.0, lambda: seen.append(clock.seconds())))
        clock.advance(5.0)
        self.assertEqual(seen, [])
        clock.advance(1.0)
        self.assertEqual(seen, [6.0])


class CancelTests(SynchronousTestCase):
    """Why no broad except stands around an await."""

    def test_cancelled_error_is_an_ordinary_exception(self) -> None:
        """Catching Exception swallows it."""
        self.assertTrue(issubclass(CancelledError, Exception))

    def test_a_coroutine_starts_at_once(self) -> None:
        """On the caller's stack, until its first wait."""
        seen: list[str] = []

        async def work() -> None:
            seen.append("started")
            await Deferred()

        Deferred.fromCoroutine(work())
        self.assertEqual(seen, ["started"])


@implementer(IStreamClientEndpoint)
class Endpoint:
    """An endpoint that connects to a transport in memory."""

    def __init__(self) -> None:
        self.protocols: list[Any] = []

    def connect(self, factory: Any) -> Deferred[Any]:
        """Connect at once."""
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(StringTransport())
        self.protocols.append(protocol)
        return succeed(protocol)


class ClientServiceTests(SynchronousTestCase):
    """Why the client session never uses `prepareConnection`."""

    def test_a_rejected_connection_is_left_open(self) -> None:
        """The service connects again and forgets the first."""
        endpoint, clock = Endpoint(), Clock()
        answers = [fail(ValueError("refused")), succeed(None)]
        service = ClientService(
            endpoint,
            Factory.forProtocol(Protocol),
            retryPolicy=lambda _: 1.0,
            clock=clock,
            prepareConnection=lambda _: answers.pop(0),
        )
        service.startService()
        clock.advance(1.0)
        self.flushLoggedErrors(ValueError)
        self.assertEqual(len(endpoint.protocols), 2)
        self.assertFalse(endpoint.protocols[0].transport.disconnecting)

    def test_a_bare_one_reconnects_after_each_loss(self) -> None:
        """With the delay that the policy gives."""
        from twisted.internet.error import ConnectionLost
        from twisted.python.failure import Failure

        endpoint, clock = Endpoint(), Clock()
        service = ClientService(endpoint, Factory.forProtocol(Protocol), retryPolicy=lambda _: 0.0, clock=clock)
        service.startService()
        for count in (1, 2, 3):
            self.assertEqual(len(endpoint.protocols), count)
            endpoint.protocols[-1].connectionLost(Failure(ConnectionLost()))
            clock.advance(0.0)
        self.assertEqual(len(endpoint.protocols), 4)
