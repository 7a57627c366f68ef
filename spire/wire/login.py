"""Login by twisted.cred: a ticket with its proof becomes an avatar, the table of what the session may call."""

from collections.abc import Callable
from typing import Any

from attrs import define
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, succeed
from twisted.protocols.amp import IResponderLocator
from zope.interface import implementer

from spire.wire.identity import Identity
from spire.wire.interfaces import IAvatars, ITicketVerifier


class ITicketProof(ICredentials):
    """A ticket and the proof, over one hello, that its key is at hand."""


@implementer(ITicketProof)
@define(kw_only=True)
class TicketProof:
    """What `Authenticate` brings; `identity` is set by the checker when it holds."""

    ticket: str
    proof: bytes
    service: str
    instance_id: str
    nonce: bytes
    identity: Identity | None = None


@implementer(ICredentialsChecker)
class TicketChecker:
    """Checks tickets; anything that does not hold is NotAuthenticated."""

    credentialInterfaces = (ITicketProof,)  # noqa: N815 (Twisted's name)

    def __init__(self, verifier: ITicketVerifier) -> None:
        self._verifier = verifier

    def requestAvatarId(self, credentials: TicketProof) -> Deferred[bytes | tuple[()]]:
        """Return the account's name; raises NotAuthenticated."""
        identity: Identity = self._verifier.verify(
            credentials.ticket, credentials.proof, credentials.service, credentials.instance_id, credentials.nonce
        )
        credentials.identity = identity
        return succeed(identity.account.encode())


@implementer(IRealm)
class SessionRealm:
    """Hands out a service's avatars."""

    def __init__(self, avatars: IAvatars) -> None:
        self._avatars = avatars

    def requestAvatar(
        self,
        avatarId: bytes | tuple[()],  # noqa: ARG002, N803 (Twisted's; the session holds more than a name)
        mind: Any,
        *interfaces: Any,
    ) -> tuple[Any, IResponderLocator, Callable[[], None]]:
        """Return the table of the session `mind`, and what is called once when it ends."""
        if IResponderLocator not in interfaces:
            raise NotImplementedError("a session's avatar is its table of responders")
        mind.adopt()
        return IResponderLocator, self._avatars.avatar(mind), lambda: self._avatars.closed(mind)


def make_portal(avatars: IAvatars, verifier: ITicketVerifier) -> Portal:
    """Return the portal of one service."""
    return Portal(SessionRealm(avatars), [TicketChecker(verifier)])
