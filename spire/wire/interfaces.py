"""What the wire asks of the Locator, of rooms and of transports, and what it gives them."""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.amp import Command, IResponderLocator
from twisted.python.failure import Failure
from zope.interface import Attribute, Interface

from spire.wire.identity import Identity, Provider


class IConnection(Interface):
    """One AMP connection, from either end, as the parts above it see it."""

    peer = Attribute("Where the other end is, as text.")
    writable = Attribute("False while the transport asks its producer to pause.")
    is_open = Attribute("False once the connection is lost or closing.")

    def ask(
        command: type[Command], arguments: dict[str, Any], timeout_seconds: float = 10.0
    ) -> Deferred[dict[str, Any]]:
        """Call `command`; the Deferred fires with the answer's values by name, or fails with a SpireError."""

    def push(command: type[Command], arguments: dict[str, Any]) -> None:
        """Send a one-way command; nothing happens on a closed connection."""

    def write_box(box: bytes) -> None:
        """Send one serialised box (`spire.wire.codec.encode_push`), which many connections may share."""

    def on_writable(callback: Callable[[bool], None]) -> None:
        """Call `callback` with False when the transport asks to pause and with True when it takes more."""

    def on_lost(callback: Callable[[Failure], None]) -> None:
        """Call `callback` once, with the reason, when the connection is gone."""


class ICredentials(Interface):
    """How a client proves to a server who it is."""

    def authenticate(connection: IConnection, hello: Any) -> Awaitable[None]:
        """Log in over `connection`, whose server said `hello` (`spire.wire.handshake.Greeting`).

        Raises CredentialsRefused where trying again is of no use; any other SpireError is tried again.
        """


class ITicketSource(Interface):
    """Where a client's tickets come from: its login at the Locator."""

    def ticket() -> Awaitable[Any]:
        """Return the `spire.wire.tickets.HeldTicket` in force, waiting for a new one where the old one has expired.

        Raises CredentialsRefused where the Locator refused the login for good, Unavailable where it cannot be reached.
        """

    def on_renewed(callback: Callable[[], None]) -> None:
        """Call `callback` each time that a newer ticket is held."""


class ITicketVerifier(Interface):
    """How a server checks a ticket."""

    def verify(ticket: str, proof: bytes, service: str, instance_id: str, nonce: bytes) -> Identity:
        """Return who the ticket names; `proof` signs (service, instance_id, nonce) with the key in the ticket.

        Raises NotAuthenticated where ticket or proof does not hold.
        """


class IAvatars(Interface):
    """What the sessions of one service may call: responder tables by who is logged in."""

    def anonymous(session: Any) -> IResponderLocator:
        """Return what a session may call before it has logged in."""

    def avatar(session: Any) -> IResponderLocator:
        """Return what the logged-in session may call; `session.identity` is set. Raises Forbidden for nothing."""

    def closed(session: Any) -> None:
        """Forget a session that was logged in; called once, after the registrations of the session are released."""


class IAddresses(Interface):
    """Where services are, live."""

    def addresses(service: str) -> Awaitable[list[Provider]]:
        """Return the providers of `service`, empty where none is known. Raises Unavailable before the first answer."""

    def on_change(callback: Callable[[str], None]) -> None:
        """Call `callback` with a service's name each time that its providers change."""


class IConnector(Interface):
    """How a client reaches an address."""

    def endpoint(address: str, service: str) -> IStreamClientEndpoint:
        """Return an endpoint for `host:port` that accepts only a server that proves to be `service`."""


class IListener(Interface):
    """How a server takes connections."""

    def listen(address: str, service: str, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen on `host:port` (port 0: any) as `service`."""


class IRestorable(Interface):
    """What lives on a client session across connections: its subscriptions."""

    def responders() -> IResponderLocator:
        """Return the responders for what the server pushes; asked once a connection."""

    def restore(connection: IConnection) -> Awaitable[None]:
        """Subscribe again to what is subscribed, over a fresh, authenticated connection; the session is ready after it.

        A SpireError closes the connection, and all is tried again.
        """

    def disconnected(reason: Failure) -> None:
        """Take note that the connection is gone."""
