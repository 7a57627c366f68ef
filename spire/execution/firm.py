"""Events of the whole firm: halts, violations and audit events on the topic `activity/0` (sans-I/O)."""

from typing import Final

from attrs import evolve

from spire.compliance.rules import Breach
from spire.compliance.values import Violation
from spire.execution.orders import Orders
from spire.execution.values import FIRM, Activity, Halt, Written
from spire.values.audit import AuditEvent
from spire.values.submission import Submission
from spire.values.time import Timestamp

LONGEST_AUDIT_TEXT: Final = 1000
LONGEST_AUDIT_NAME: Final = 100
LONGEST_ENTITY: Final = 200
LONGEST_AUDIT_VALUE: Final = 4_000
"""Characters of `before` and `after`: an event of a log topic must fit one segment."""


def firm_event(
    orders: Orders,
    now: Timestamp,
    *,
    halt: Halt | None = None,
    violation: Violation | None = None,
    audit: AuditEvent | None = None,
) -> Written:
    """Fold the firm's next event, one of the three, and return what it writes."""
    sequence = orders.account(FIRM).sequence + 1
    if violation is not None:
        violation = evolve(violation, sequence=sequence, epoch=orders.epoch)
    return orders.fold(
        Activity(
            sequence=sequence,
            epoch=orders.epoch,
            time=now,
            trading_account_id=FIRM,
            halt=halt,
            violation=violation,
            audit=None if audit is None else fitted(audit),
        )
    )


def violation_of(breach: Breach, submission: Submission) -> Violation:
    """Return the violation that a submission is; its sequence comes with its event."""
    rule = breach.entry
    return Violation(
        sequence=0,
        epoch=0,
        time=submission.accepted,
        environment=submission.environment,
        trading_account_id=submission.trading_account_id,
        order_id=submission.order_id,
        client_order_id=submission.client_order_id,
        entered_by=submission.entered_by,
        instrument_id=submission.instrument_id,
        side=submission.side,
        quantity=submission.quantity,
        rule_id=rule.rule_id,
        rule_version=rule.version,
        entry_id=rule.entry_id,
        schema=rule.schema,
        state=rule.state,
        text=breach.broken.text,
        limit=breach.broken.limit,
        observed=breach.broken.observed,
    )


def fitted(event: AuditEvent) -> AuditEvent:
    """Return an audit event cut to what its columns and a segment hold, before the journal takes it: all say the same."""
    return evolve(
        event,
        actor_name=event.actor_name[:LONGEST_AUDIT_NAME],
        client_version=event.client_version[:LONGEST_AUDIT_NAME],
        entity=event.entity[:LONGEST_ENTITY],
        before=None if event.before is None else event.before[:LONGEST_AUDIT_VALUE],
        after=None if event.after is None else event.after[:LONGEST_AUDIT_VALUE],
        reason=None if event.reason is None else event.reason[:LONGEST_AUDIT_TEXT],
        text=None if event.text is None else event.text[:LONGEST_AUDIT_TEXT],
        correlation_id=event.correlation_id[:64],
    )
