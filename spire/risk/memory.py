"""The Risk store in memory: the twin of `store.py`, for tests and for servers without a database."""

from collections.abc import Sequence

from zope.interface import implementer

from spire.database.audit import MemoryAuditLog, Page
from spire.risk.interfaces import IRiskStore
from spire.risk.kept import Baseline, Kept, KeptPosition, Opened, Place, RiskEvent, Saved
from spire.values.audit import AuditEvent, AuditQuery


@implementer(IRiskStore)
class MemoryRiskStore:
    """Keeps everything in this process; outlives a server as a database does."""

    def __init__(self) -> None:
        self._places: dict[int, Place] = {}
        self._positions: dict[int, dict[int, KeptPosition]] = {}
        self._baselines: dict[int, dict[int, Baseline]] = {}
        self._opened: dict[int, Opened] = {}
        self._events: dict[tuple[int, int], RiskEvent] = {}
        self._audit = MemoryAuditLog()

    async def load(self) -> Kept:
        """Return all that a server needs at its start."""
        return Kept(
            places=tuple(self._places[number] for number in sorted(self._places)),
            positions=tuple(
                self._positions[account][number]
                for account in sorted(self._positions)
                for number in sorted(self._positions[account])
            ),
            baselines=tuple(found[max(found)] for _, found in sorted(self._baselines.items())),
            opened=tuple(self._opened[number] for number in sorted(self._opened)),
        )

    async def save(self, saved: Saved) -> None:
        """Write what changed since the last time."""
        for account in saved.anew:
            self._positions.pop(account, None)
        for place in saved.places:
            self._places[place.trading_account_id] = place
        for position in saved.positions:
            self._positions.setdefault(position.trading_account_id, {})[position.instrument_id] = position
        for event in saved.events:
            self._events.setdefault((event.trading_account_id, event.version), event)

    async def record(
        self, baselines: Sequence[Baseline], opened: Sequence[Opened], audit: Sequence[AuditEvent]
    ) -> None:
        """Write baselines, opened days and audit events."""
        for baseline in baselines:
            self._baselines.setdefault(baseline.trading_account_id, {})[baseline.number] = baseline
        for row in opened:
            self._opened[row.trading_account_id] = row
        self._audit.write(audit)

    async def baselines(self, trading_account_id: int, after: int, limit: int) -> tuple[Baseline, ...]:
        """Return baselines of an account, oldest first."""
        found = self._baselines.get(trading_account_id, {})
        return tuple(found[number] for number in sorted(found) if number > after)[:limit]

    async def events(self, trading_account_id: int, after: int, limit: int) -> tuple[RiskEvent, ...]:
        """Return events of an account, oldest first."""
        return tuple(
            event
            for (account, version), event in sorted(self._events.items(), key=lambda item: item[0])
            if account == trading_account_id and version > after
        )[:limit]

    async def audit(self, query: AuditQuery) -> Page:
        """Return a page of the audit log."""
        return self._audit.read(query)
