"""The server's end of the handshake: what every session may call, and the connection that carries it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from twisted.protocols import amp

from spire.wire.connection import Connection
from spire.wire.handshake import Authenticate, Goodbye, Heartbeat, Hello, Reauthenticate

if TYPE_CHECKING:
    from spire.wire.server_session import Session


class ServerConnection(Connection):
    """The connection of one session."""

    session: "Session"

    def opened(self) -> None:
        """Begin the session."""
        self.session._opened()

    def login_failed(self, answer: Callable[[], None]) -> None:
        """Let the session say when the refusal is sent."""
        self.session._login_failed(answer)


class HandshakeResponders(amp.CommandLocator):
    """What every session may call, whoever it is."""

    _log = Logger()

    def __init__(self, session: "Session") -> None:
        self._session = session

    @Hello.responder
    def hello(self, protocol: int, environment: str, service: str, client_version: str) -> dict[str, Any]:
        """Greet."""
        return self._session._hello(protocol, environment, service, client_version)

    @Authenticate.responder
    async def authenticate(self, ticket: str, proof: bytes) -> dict[str, Any]:
        """Log in with a ticket."""
        return await self._session._authenticate(ticket, proof)

    @Reauthenticate.responder
    def reauthenticate(self, ticket: str, proof: bytes) -> dict[str, Any]:
        """Renew."""
        return self._session._reauthenticate(ticket, proof)

    @Heartbeat.responder
    def heartbeat(self) -> None:
        """Nothing: that it came is what counts."""

    @Goodbye.responder
    def goodbye(self, code: str, message: str) -> None:
        """Note that the client leaves."""
        self._log.debug("{session}: the client left: {code} {text}", session=self._session.id, code=code, text=message)
