"""What the Compliance Server asks of its store; MySQL and memory implement it."""

from collections.abc import Awaitable, Sequence
from typing import Final

from attrs import frozen
from zope.interface import Interface

from spire.compliance.values import RuleEntry, Violation, ViolationQuery
from spire.values.audit import AuditEvent, AuditQuery

AuditPage = tuple[tuple[AuditEvent, ...], int | None]


@frozen(order=True)
class Place:
    """How far Order Execution's `activity/0` was followed: everything up to `sequence` of `epoch`."""

    epoch: int
    sequence: int


BEGINNING: Final = Place(1, 0)
"""The place before anything was followed: epochs begin with 1, sequences behind 0."""


class IComplianceStore(Interface):
    """Rules with all their versions, violations, and the audit log. Any method raises StoreDown while the database is away."""

    def rules() -> Awaitable[tuple[RuleEntry, ...]]:
        """Return the newest version of every rule, by rule id."""

    def rules_version() -> Awaitable[int]:
        """Return the sum of all rules' versions: it grows by 1 with each rule that is added or changed, by whichever server."""

    def rule(rule_id: int) -> Awaitable[RuleEntry | None]:
        """Return the newest version of a rule, None where there is none."""

    def rule_versions(rule_id: int, after: int, limit: int) -> Awaitable[tuple[RuleEntry, ...]]:
        """Return up to `limit` versions of a rule behind version `after`, oldest first."""

    def add_rule(rule: RuleEntry, event: AuditEvent) -> Awaitable[None]:
        """Write the first version of a rule with its audit event, both or neither."""

    def change_rule(rule: RuleEntry, event: AuditEvent) -> Awaitable[None]:
        """Write the next version of a rule with its audit event, both or neither.

        Conflict with the version that holds unless that is the one before; NotFound without such a rule.
        """

    def place() -> Awaitable[Place]:
        """Return how far violations were taken over; BEGINNING at first."""

    def record(violations: Sequence[Violation], place: Place) -> Awaitable[None]:
        """Write violations and how far they reach, in one transaction.

        What is there already is left as it is, and a place is never taken back: the same call may be repeated.
        """

    def violations(
        trading_account_id: int, epoch: int, after: int, through: int, limit: int
    ) -> Awaitable[tuple[Violation, ...]]:
        """Return up to `limit` violations of a trading account in `after`..`through` of an epoch, in order."""

    def find_violations(
        query: ViolationQuery, trading_account_ids: Sequence[int] | None
    ) -> Awaitable[tuple[Violation, ...]]:
        """Return up to `query.limit` violations that match a query, newest first, of these trading accounts (None: of all).

        The query's entry is not looked at: it has become the trading accounts.
        """

    def audit(event: AuditEvent) -> Awaitable[None]:
        """Write the audit event of an attempt that was refused."""

    def audit_events(query: AuditQuery) -> Awaitable[AuditPage]:
        """Return a page of the audit log, newest first, and where the next one begins."""
