"""The Administration store in memory: the twin of `store.py`, by the same contract."""

from collections.abc import Sequence

from attrs import evolve
from zope.interface import implementer

from spire.administration.interfaces import Change, IAdministrationStore, Page, Stored
from spire.administration.values import BusinessDay, EntitlementGrant, Identity, Limits, RiskState, Usage
from spire.database.audit import MemoryAuditLog
from spire.values.audit import AuditEvent, AuditQuery


@implementer(IAdministrationStore)
class MemoryAdministrationStore:
    """Keeps everything for as long as the process lives."""

    def __init__(self) -> None:
        self._revision = 0
        self._limits: dict[int, dict[int, Limits]] = {}
        self._states: dict[int, dict[int, RiskState]] = {}
        self._grants: dict[int, EntitlementGrant] = {}
        self._identities: dict[int, Identity] = {}
        self._days: dict[str, BusinessDay] = {}
        self._usage: set[Usage] = set()
        self._log = MemoryAuditLog()
        self._events: set[str] = set()

    async def load(self) -> Stored:
        """Return everything in force."""
        return Stored(
            revision=self._revision,
            limits=tuple(versions[max(versions)] for _, versions in sorted(self._limits.items())),
            states=tuple(versions[max(versions)] for _, versions in sorted(self._states.items())),
            grants=tuple(grant for _, grant in sorted(self._grants.items()) if grant.revoked is None),
            identities=tuple(identity for _, identity in sorted(self._identities.items())),
            days=tuple(day for _, day in sorted(self._days.items())),
        )

    async def revision(self) -> int:
        """Return how many changes there have been."""
        return self._revision

    async def write(self, change: Change, event: AuditEvent) -> int | None:
        """Commit a change with its audit event."""
        if event.event_id in self._events:
            return self._revision
        if not self._put(change):
            return None
        self._revision += 1
        await self.record(event)
        return self._revision

    def _put(self, change: Change) -> bool:
        match change:
            case Limits():
                versions = self._limits.get(change.trading_account_id, {})
                if change.version != len(versions) + 1:
                    return False
                ended = {
                    number: row if row.effective_to is not None else evolve(row, effective_to=change.effective_from)
                    for number, row in versions.items()
                }
                self._limits[change.trading_account_id] = {**ended, change.version: change}
            case RiskState():
                states = self._states.get(change.trading_account_id, {})
                if change.version != len(states) + 1:
                    return False
                self._states[change.trading_account_id] = {**states, change.version: change}
            case Identity():
                known = self._identities.get(change.account_id)
                if change.version != (1 if known is None else known.version + 1):
                    return False
                self._identities[change.account_id] = change
            case EntitlementGrant():
                held = self._grants.get(change.grant_id)
                if (held is None) != (change.revoked is None) or (held is not None and held.revoked is not None):
                    return False
                self._grants[change.grant_id] = change
            case BusinessDay():
                if self._days and max(self._days) >= change.business_date:
                    return False
                self._days = {
                    date: day if day.closed is not None else evolve(day, closed=change.opened)
                    for date, day in self._days.items()
                }
                self._days[change.business_date] = change
        return True

    async def limit_history(self, trading_account_id: int, after: int, limit: int) -> tuple[Limits, ...]:
        """Return versions of the limits of a trading account."""
        versions = self._limits.get(trading_account_id, {})
        return tuple(versions[number] for number in sorted(versions) if number > after)[:limit]

    async def risk_history(self, trading_account_id: int, after: int, limit: int) -> tuple[RiskState, ...]:
        """Return versions of the risk state of a trading account."""
        versions = self._states.get(trading_account_id, {})
        return tuple(versions[number] for number in sorted(versions) if number > after)[:limit]

    async def grants_of(self, account_id: int, after: int, limit: int) -> tuple[EntitlementGrant, ...]:
        """Return an account's grants."""
        found = [grant for _, grant in sorted(self._grants.items()) if grant.terms.account_id == account_id]
        return tuple(grant for grant in found if grant.grant_id > after)[:limit]

    async def grant(self, grant_id: int) -> EntitlementGrant | None:
        """Return a grant."""
        return self._grants.get(grant_id)

    async def record_usage(self, usage: Sequence[Usage]) -> None:
        """Record usage."""
        self._usage.update(usage)

    async def usage(self, date: str) -> tuple[Usage, ...]:
        """Return what was used on a date."""
        found = [each for each in self._usage if each.date == date]
        return tuple(sorted(found, key=lambda each: (each.account_id, each.listing_venue, each.record_type)))

    async def record(self, event: AuditEvent) -> None:
        """Write an audit event."""
        if event.event_id not in self._events:
            self._events.add(event.event_id)
            self._log.write((event,))

    async def audit(self, query: AuditQuery) -> Page:
        """Return a page of the audit log."""
        return self._log.read(query)
