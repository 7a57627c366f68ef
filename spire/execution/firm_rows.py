"""The events of the whole firm in MySQL: halts, violations and audit events, beside the tables of orders (`store.py`)."""

from collections.abc import Sequence
from typing import Any, Final

from spire.compliance.values import Violation
from spire.database.transaction import Transaction
from spire.execution.rows import PLACE, Columns, insert, select
from spire.execution.values import FIRM, Activity, Halt, HeldHalts
from spire.values.audit import AuditEvent
from spire.values.time import Timestamp

AUDIT_TABLE: Final = "execution_audit_events"

HALTS: Final = Columns(Halt)
VIOLATIONS: Final = Columns(Violation, skip=frozenset({"sequence", "epoch"}))
AUDITS: Final = Columns(AuditEvent)

PUT_HALT = insert("execution_halts", HALTS.names, update=HALTS.names[1:])
INSERT_HALT_EVENT = insert("execution_halt_events", (*HALTS.names, *PLACE))
INSERT_VIOLATION = insert("execution_violations", (*VIOLATIONS.names, *PLACE))
INSERT_AUDIT = insert(AUDIT_TABLE, (*AUDITS.names, *PLACE))

SELECT_IN_FORCE = select("execution_halts", HALTS.names, "WHERE released IS NULL ORDER BY halt_id")
SELECT_LAST_HALT = "SELECT COALESCE(MAX(halt_id), 0) FROM execution_halts"
_EVENTS = """
    WHERE epoch = %s AND activity_sequence > %s AND activity_sequence <= %s
    ORDER BY activity_sequence
    LIMIT %s
"""
SELECT_HALT_EVENTS = select("execution_halt_events", (*HALTS.names, *PLACE), _EVENTS)
SELECT_VIOLATIONS = select("execution_violations", (*VIOLATIONS.names, *PLACE), _EVENTS)
SELECT_AUDITS = select(AUDIT_TABLE, (*AUDITS.names, *PLACE), _EVENTS)


def write_firm(transaction: Transaction, events: Sequence[Activity]) -> None:
    """Put the firm's events among these into the tables."""
    events = [event for event in events if event.trading_account_id == FIRM]
    if not events:
        return
    halts = {event.halt.halt_id: event.halt for event in events if event.halt is not None}
    transaction.executemany(PUT_HALT, [HALTS.row(halts[number]) for number in sorted(halts)])
    for sql, columns, name in (
        (INSERT_HALT_EVENT, HALTS, "halt"),
        (INSERT_VIOLATION, VIOLATIONS, "violation"),
        (INSERT_AUDIT, AUDITS, "audit"),
    ):
        rows = [_row(columns, getattr(event, name), event) for event in events if getattr(event, name) is not None]
        transaction.executemany(sql, rows)


def read_halts(transaction: Transaction) -> HeldHalts:
    """Return the halts in force, and the last id."""
    rows = transaction.fetch(SELECT_IN_FORCE)
    last = transaction.fetch_one(SELECT_LAST_HALT)
    return HeldHalts(in_force=tuple(HALTS.value(row) for row in rows), last_id=0 if last is None else int(last[0]))


def firm_activity(transaction: Transaction, place: tuple[int, int, int, int]) -> tuple[Activity, ...]:
    """Return a page of the firm's events: epoch, after, through and limit say which."""
    found: list[Activity] = []
    for sql, columns, name in (
        (SELECT_HALT_EVENTS, HALTS, "halt"),
        (SELECT_VIOLATIONS, VIOLATIONS, "violation"),
        (SELECT_AUDITS, AUDITS, "audit"),
    ):
        for row in transaction.fetch(sql, place):
            epoch, sequence, time = row[-len(PLACE) :]
            others = {"sequence": sequence, "epoch": epoch} if name == "violation" else {}
            fields: dict[str, Any] = {name: columns.value(row, **others)}
            found.append(
                Activity(sequence=sequence, epoch=epoch, time=Timestamp(time), trading_account_id=FIRM, **fields)
            )
    return tuple(sorted(found, key=lambda event: event.sequence)[: place[-1]])


def _row(columns: Columns[Any], value: object, event: Activity) -> tuple[Any, ...]:
    return (*columns.row(value), event.epoch, event.sequence, event.time)
