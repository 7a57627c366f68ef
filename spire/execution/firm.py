"""Events of the whole firm: halts, violations and audit events on the topic `activity/0` (sans-I/O)."""

from typing import Final

from attrs import evolve

from spire.compliance.rules import Breach
from spire.compliance.values import Violation
from spire.execution.orders import Orders
from spire.execution.values import FIRM, Activity, Halt
from spire.values.audit import AuditEvent
from spire.values.submission import Submission
from spire.values.time import Timestamp

LONGEST_AUDIT_TEXT: Final = 1000
LONGEST_AUDIT_NAME: Final = 100
LONGEST_ENTITY: Final = 200
LONGEST_AUDIT_VALUE: Final = 4_000
"""Characters of `before` and `after`: an event of a log topic must fit one segment."""


def firm_events(orders: Orders, now: Timestamp, *contents: Halt | Violation | AuditEvent) -> tuple[Activity, ...]:
    """Return the next events of the firm, one for each of what they hold; they are to be folded together."""
    first = orders.account(FIRM).sequence + 1
    return tuple([_firm_event(orders.epoch, first + place, now, each) for place, each in enumerate(contents)])


def _firm_event(epoch: int, sequence: int, now: Timestamp, content: Halt | Violation | AuditEvent) -> Activity:
    return Activity(
        sequence=sequence,
        epoch=epoch,
        time=now,
        trading_account_id=FIRM,
        halt=content if isinstance(content, Halt) else None,
        violation=evolve(content, sequence=sequence, epoch=epoch) if isinstance(content, Violation) else None,
        audit=fitted(content) if isinstance(content, AuditEvent) else None,
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
    """Return an audit event cut to what its columns and a segment hold, before the journal takes it: all say the same.

    Text that UTF-8 cannot carry, as an operator's JSON may hold, is spelled out.
    """
    return evolve(
        event,
        actor_name=_cut(event.actor_name, LONGEST_AUDIT_NAME),
        client_version=_cut(event.client_version, LONGEST_AUDIT_NAME),
        entity=_cut(event.entity, LONGEST_ENTITY),
        before=None if event.before is None else _cut(event.before, LONGEST_AUDIT_VALUE),
        after=None if event.after is None else _cut(event.after, LONGEST_AUDIT_VALUE),
        reason=None if event.reason is None else _cut(event.reason, LONGEST_AUDIT_TEXT),
        text=None if event.text is None else _cut(event.text, LONGEST_AUDIT_TEXT),
        correlation_id=_cut(event.correlation_id, 64),
    )


def _cut(text: str, longest: int) -> str:
    return text.encode(errors="backslashreplace").decode()[:longest]
