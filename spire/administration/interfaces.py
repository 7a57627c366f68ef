"""What the Administration Server asks of its store; MySQL and memory implement it."""

from collections.abc import Awaitable, Sequence

from attrs import frozen
from zope.interface import Interface

from spire.administration.values import BusinessDay, EntitlementGrant, Identity, Limits, RiskState, Usage
from spire.values.audit import AuditEvent, AuditQuery

Change = Limits | RiskState | Identity | EntitlementGrant | BusinessDay
"""A row as it is to be. It must follow what is stored: the next version; a new grant, or the revocation of one that is not
revoked; a later date than every business day."""

Page = tuple[tuple[AuditEvent, ...], int | None]


@frozen(kw_only=True)
class Stored:
    """What is in force, as of `revision`, which counts changes; grants are those that are not revoked."""

    revision: int
    limits: tuple[Limits, ...] = ()
    states: tuple[RiskState, ...] = ()
    grants: tuple[EntitlementGrant, ...] = ()
    identities: tuple[Identity, ...] = ()
    days: tuple[BusinessDay, ...] = ()


class IAdministrationStore(Interface):
    """Limits, risk states, grants, identities, business days, usage, and the audit log.

    Every method is one transaction and raises StoreDown while the database is away.
    """

    def load() -> Awaitable[Stored]:
        """Return everything in force."""

    def revision() -> Awaitable[int]:
        """Return how many changes there have been, by whichever server; 0 at first."""

    def write(change: Change, event: AuditEvent) -> Awaitable[int | None]:
        """Commit a change with its audit event and return the revision that it made.

        None, and nothing written, where it does not follow what is stored. Told again with the same event after a lost
        answer, it changes nothing more. A new version ends its predecessor in the history of limits; a new business day
        closes those before.
        """

    def limit_history(trading_account_id: int, after: int, limit: int) -> Awaitable[tuple[Limits, ...]]:
        """Return versions of the limits of a trading account above `after`, oldest first, at most `limit`."""

    def risk_history(trading_account_id: int, after: int, limit: int) -> Awaitable[tuple[RiskState, ...]]:
        """Return versions of the risk state of a trading account above `after`, oldest first, at most `limit`."""

    def grants_of(account_id: int, after: int, limit: int) -> Awaitable[tuple[EntitlementGrant, ...]]:
        """Return an account's grants with ids above `after`, revoked ones included, by id, at most `limit`."""

    def grant(grant_id: int) -> Awaitable[EntitlementGrant | None]:
        """Return a grant, revoked or not."""

    def record_usage(usage: Sequence[Usage]) -> Awaitable[None]:
        """Record usage; what is recorded already is no error."""

    def usage(date: str) -> Awaitable[tuple[Usage, ...]]:
        """Return what was used on a date, by account, venue and type."""

    def record(event: AuditEvent) -> Awaitable[None]:
        """Write the audit event of a refused attempt; told again, it writes nothing more."""

    def audit(query: AuditQuery) -> Awaitable[Page]:
        """Return a page of the audit log, newest first."""
