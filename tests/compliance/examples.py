"""Rules, violations and audit events that the tests of Compliance share."""

from typing import Any

from spire.compliance.rules import describe
from spire.compliance.values import RuleDraft, RuleEntry, Violation
from spire.values.audit import AuditEvent
from spire.values.environment import Environment
from spire.values.orders import Channel, Side
from spire.values.risk import RuleState
from spire.values.time import Timestamp

NOW = Timestamp(1_381_239_000_000_000_000)

LIVE_TOGETHER = describe({"count": 2, "counted": "TOGETHER"})
LIVE_PER_ACCOUNT = describe({"count": 2, "counted": "PER_ACCOUNT"})
AT_MOST_100 = describe({"quantity": "100"})


def entry(rule_id: int = 1, entry_id: int = 1, **changes: Any) -> RuleEntry:
    """Return a rule of at most 100 shares an order."""
    fields: dict[str, Any] = {
        "rule_id": rule_id,
        "entry_id": entry_id,
        "schema": "max_quantity",
        "parameters": AT_MOST_100,
        "state": RuleState.ACTIVE,
        "version": 1,
        "author": 20,
        "reason": "fat fingers",
        "updated": NOW,
    }
    return RuleEntry(**(fields | changes))


def draft(entry_id: int, **changes: Any) -> RuleDraft:
    """Return the draft of a rule of at most 100 shares an order."""
    return RuleDraft(**({"entry_id": entry_id, "schema": "max_quantity", "parameters": AT_MOST_100} | changes))


def violation(sequence: int, trading_account_id: int = 7, **changes: Any) -> Violation:
    """Return a violation at a place of `activity/0`, a second after the one before."""
    fields: dict[str, Any] = {
        "sequence": sequence,
        "epoch": 1,
        "time": Timestamp(NOW + sequence * 1_000_000_000),
        "environment": Environment.DEMO,
        "trading_account_id": trading_account_id,
        "order_id": 1000 + sequence,
        "client_order_id": f"order-{sequence}",
        "entered_by": 22,
        "instrument_id": 1,
        "side": Side.BUY,
        "quantity": 200_000_000,
        "rule_id": 1,
        "rule_version": 3,
        "entry_id": 5,
        "schema": "max_quantity",
        "state": RuleState.ACTIVE,
        "text": "The order's quantity is too great.",
        "limit": "100",
        "observed": "200",
    }
    return Violation(**(fields | changes))


def audit_event(number: int, **changes: Any) -> AuditEvent:
    """Return an audit event with an id of its own."""
    fields: dict[str, Any] = {
        "event_id": f"{number:032x}",
        "time": Timestamp(NOW + number),
        "environment": Environment.DEMO,
        "actor": 20,
        "actor_name": "ada",
        "session": "compliance_service-1-1",
        "channel": Channel.AMP,
        "source": "memory:1",
        "action": "rule.add",
        "entity": f"rule:{number}",
    }
    return AuditEvent(**(fields | changes))
