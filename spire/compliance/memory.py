"""The Compliance store in memory: the twin of `store.py`, for tests and for servers without a database."""

from collections.abc import Sequence

from zope.interface import implementer

from spire.compliance.interfaces import BEGINNING, AuditPage, IComplianceStore, Place
from spire.compliance.values import RuleEntry, Violation, ViolationQuery
from spire.database.audit import MemoryAuditLog
from spire.values.audit import AuditEvent, AuditQuery
from spire.wire.errors import Conflict, NotFound


@implementer(IComplianceStore)
class MemoryComplianceStore:
    """Keeps everything in this process; outlives a server as a database does."""

    def __init__(self) -> None:
        self._versions: dict[int, list[RuleEntry]] = {}
        self._violations: dict[tuple[int, int], Violation] = {}
        self._place = BEGINNING
        self._audit = MemoryAuditLog()

    async def rules(self) -> tuple[RuleEntry, ...]:
        """Return the newest version of every rule, by rule id."""
        return tuple(self._versions[number][-1] for number in sorted(self._versions))

    async def rules_version(self) -> int:
        """Return the sum of all rules' versions."""
        return sum(versions[-1].version for versions in self._versions.values())

    async def rule(self, rule_id: int) -> RuleEntry | None:
        """Return the newest version of a rule."""
        versions = self._versions.get(rule_id)
        return None if versions is None else versions[-1]

    async def rule_versions(self, rule_id: int, after: int, limit: int) -> tuple[RuleEntry, ...]:
        """Return versions of a rule, oldest first."""
        return tuple(rule for rule in self._versions.get(rule_id, ()) if rule.version > after)[:limit]

    async def add_rule(self, rule: RuleEntry, event: AuditEvent) -> None:
        """Write the first version of a rule."""
        self._versions[rule.rule_id] = [rule]
        self._audit.write((event,))

    async def change_rule(self, rule: RuleEntry, event: AuditEvent) -> None:
        """Write the next version of a rule."""
        versions = self._versions.get(rule.rule_id)
        check_version(rule, None if versions is None else versions[-1].version)
        self._versions[rule.rule_id].append(rule)
        self._audit.write((event,))

    async def place(self) -> Place:
        """Return how far violations were taken over."""
        return self._place

    async def record(self, violations: Sequence[Violation], place: Place) -> None:
        """Write violations and how far they reach."""
        for violation in violations:
            self._violations.setdefault((violation.epoch, violation.sequence), violation)
        self._place = max(self._place, place)

    async def violations(
        self, trading_account_id: int, epoch: int, after: int, through: int, limit: int
    ) -> tuple[Violation, ...]:
        """Return violations of a trading account, in order."""
        found = sorted(
            sequence
            for (one, sequence), violation in self._violations.items()
            if one == epoch and after < sequence <= through and violation.trading_account_id == trading_account_id
        )
        return tuple(self._violations[epoch, sequence] for sequence in found[:limit])

    async def find_violations(
        self, query: ViolationQuery, trading_account_ids: Sequence[int] | None
    ) -> tuple[Violation, ...]:
        """Return violations that match a query, newest first."""
        wanted = None if trading_account_ids is None else frozenset(trading_account_ids)
        found = [
            violation
            for place, violation in sorted(self._violations.items(), reverse=True)
            if (wanted is None or violation.trading_account_id in wanted)
            and (query.rule_id is None or violation.rule_id == query.rule_id)
            and (query.since is None or violation.time >= query.since)
            and (query.until is None or violation.time <= query.until)
            and (query.before is None or place < query.before)
        ]
        return tuple(found[: query.limit])

    async def audit(self, event: AuditEvent) -> None:
        """Write an audit event."""
        self._audit.write((event,))

    async def audit_events(self, query: AuditQuery) -> AuditPage:
        """Return a page of the audit log."""
        return self._audit.read(query)


def check_version(rule: RuleEntry, held: int | None) -> None:
    """Raise NotFound without a held version, Conflict unless the rule's version is the one after it."""
    if held is None:
        raise NotFound(f"There is no rule {rule.rule_id}.", rule_id=rule.rule_id)
    if held != rule.version - 1:
        raise Conflict(
            f"Rule {rule.rule_id} is at version {held}, not {rule.version - 1}: read it again.", version=held
        )
