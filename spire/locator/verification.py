"""How a server checks tickets: signature, proof and revocation, and never more rights than the directory shows now."""

from collections.abc import Callable, Mapping

from attrs import evolve
from zope.interface import implementer

from spire.locator.directory import Directory, may_no_longer_log_in
from spire.locator.keys import BelievedKeys
from spire.locator.values import Revocation, SigningKey
from spire.runtime.clock import Clock
from spire.values.environment import Environment
from spire.wire.identity import Identity
from spire.wire.interfaces import ITicketVerifier
from spire.wire.tickets import Claims, TicketVerifier


@implementer(ITicketVerifier)
class DirectoryVerifier:
    """Checks tickets with the Locator's keys, revocations and directory, as last received.

    An identity carries the roles and capabilities that both its ticket and the directory give it; an account that the
    directory does not show yet keeps its ticket's.
    """

    def __init__(
        self,
        *,
        keys: Callable[[], Mapping[str, SigningKey]],
        revocations: Callable[[], Mapping[str, Revocation]],
        directory: Directory,
        environment: Environment,
        clock: Clock,
    ) -> None:
        self._revocations = revocations
        self._directory = directory
        self._tickets = TicketVerifier(BelievedKeys(keys, clock.now), self._is_revoked, environment, clock)

    def verify(self, ticket: str, proof: bytes, service: str, instance_id: str, nonce: bytes) -> Identity:
        """Return who the ticket names; raises NotAuthenticated where it, or the proof, does not hold."""
        identity = self._tickets.verify(ticket, proof, service, instance_id, nonce)
        if identity.account_id not in self._directory:
            return identity
        return evolve(
            identity,
            roles=identity.roles & self._directory.roles(identity.account_id),
            capabilities=identity.capabilities & self._directory.capabilities(identity.account_id),
        )

    def _is_revoked(self, claims: Claims) -> bool:
        is_out = may_no_longer_log_in(self._directory, claims.account_id, claims.delegate_id)
        return is_out or claims.login_session in self._revocations()
