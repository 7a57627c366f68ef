"""What the Risk Server asks of its store; MySQL and memory implement it."""

from collections.abc import Awaitable, Sequence

from zope.interface import Interface

from spire.risk.kept import Baseline, Kept, Opened, RiskEvent, Saved
from spire.values.audit import AuditEvent, AuditQuery


class IRiskStore(Interface):
    """What Risk keeps. Any method raises StoreDown while the database is away; what it writes it writes whole or not at all."""

    def load() -> Awaitable[Kept]:
        """Return all that a server needs at its start."""

    def save(saved: Saved) -> Awaitable[None]:
        """Write what changed since the last time, in one transaction; an event of a version that is there is not written again."""

    def record(baselines: Sequence[Baseline], opened: Sequence[Opened], audit: Sequence[AuditEvent]) -> Awaitable[None]:
        """Write baselines (again one of the same number replaces it), which days are opened, and audit events."""

    def baselines(trading_account_id: int, after: int, limit: int) -> Awaitable[tuple[Baseline, ...]]:
        """Return up to `limit` baselines of an account behind number `after`, oldest first."""

    def events(trading_account_id: int, after: int, limit: int) -> Awaitable[tuple[RiskEvent, ...]]:
        """Return up to `limit` events of an account behind state version `after`, oldest first."""

    def audit(query: AuditQuery) -> Awaitable[tuple[tuple[AuditEvent, ...], int | None]]:
        """Return a page of the audit log, newest first, and where the next one begins."""
