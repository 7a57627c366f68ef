"""A client's credentials made of tickets: log in with one, lengthen every open session when it is renewed."""

from typing import Any

from attrs import define
from twisted.logger import Logger
from zope.interface import implementer

from spire.runtime.tasks import Tasks
from spire.wire.errors import SpireError
from spire.wire.handshake import Authenticate, Greeting, Reauthenticate
from spire.wire.interfaces import IConnection, ICredentials, ITicketSource
from spire.wire.tickets import HeldTicket, sign_proof


@define(eq=False)
class _LoggedIn:
    """A connection that was logged in with a ticket; `nonce` is for the next proof."""

    connection: IConnection
    service: str
    instance_id: str
    nonce: bytes


@implementer(ICredentials)
class TicketCredentials:
    """Proves who a client is to any service; one object serves all sessions of a process."""

    _log = Logger()

    def __init__(self, source: ITicketSource, tasks: Tasks) -> None:
        self._source = source
        self._tasks = tasks
        self._open: set[_LoggedIn] = set()
        source.on_renewed(self._renewed)

    async def authenticate(self, connection: IConnection, hello: Greeting) -> None:
        """Log in over `connection`; raises what the ticket's source or the server answers."""
        held: HeldTicket = await self._source.ticket()
        one = _LoggedIn(connection, hello.service, hello.instance_id, hello.nonce)
        one.nonce = await self._send(Authenticate, one, held)
        self._open.add(one)
        connection.on_lost(lambda _: self._open.discard(one))

    async def _send(self, command: Any, one: _LoggedIn, held: HeldTicket) -> bytes:
        proof = sign_proof(held.key, one.service, one.instance_id, one.nonce)
        answer = await one.connection.ask(command, {"ticket": held.ticket, "proof": proof})
        nonce: bytes = answer["nonce"]
        return nonce

    def _renewed(self) -> None:
        for one in tuple(self._open):
            self._tasks.spawn("renew session", self._renew(one))

    async def _renew(self, one: _LoggedIn) -> None:
        """Lengthen one session; a refusal is logged, and the session ends when its ticket does."""
        try:
            one.nonce = await self._send(Reauthenticate, one, await self._source.ticket())
        except SpireError as error:
            self._log.warn("the session with {service} was not renewed: {error}", service=one.service, error=str(error))
