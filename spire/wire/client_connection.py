"""The client's end of a connection: what a server may push, and why it said goodbye."""

from collections.abc import Callable, Iterable
from typing import Any

from twisted.protocols import amp
from twisted.protocols.amp import IResponderLocator

from spire.wire.connection import Connection
from spire.wire.errors import CredentialsRefused, error_of
from spire.wire.handshake import Goodbye, Heartbeat


class ClientConnection(Connection):
    """One connection of a client session; `refused` is set where its server, or the Locator, refused the credentials."""

    refused: CredentialsRefused | None = None
    _made: Callable[[Any], None]

    def prepare(self, locators: Iterable[IResponderLocator], made: Callable[[Any], None]) -> None:
        """Take what the server may push, and whom to tell when the connection is there."""
        self.table = self.guard.compile(*locators, _ClientResponders(self))
        self.outstanding_limit = self.limits.service_outstanding_calls
        self._made = made

    def opened(self) -> None:
        """Begin: the transport is there."""
        self.keep_alive()
        self._made(self)


class _ClientResponders(amp.CommandLocator):
    """What every server may push."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @Heartbeat.responder
    def heartbeat(self) -> None:
        """Nothing: that it came is what counts."""

    @Goodbye.responder
    def goodbye(self, code: str, message: str) -> None:
        """Keep the reason for whoever asks why the connection went."""
        self._connection.goodbye = error_of(code, message)
