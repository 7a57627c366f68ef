"""The audit log of one room: a table `<room>_audit_events` that is only appended to (`write`, `read`), and its twin in memory.

Every room's migration that makes the table spells these columns:

    audit_sequence BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, and those of `COLUMNS`

with a key for each thing that is asked for: (entity, audit_sequence), (actor, audit_sequence), (on_behalf_of,
audit_sequence), (action, audit_sequence), (time).
"""

from collections.abc import Iterable
from typing import Any, Final

from spire.database.transaction import Transaction
from spire.values.audit import AuditEvent, AuditQuery
from spire.values.environment import Environment
from spire.values.orders import Channel
from spire.values.time import Timestamp

MOST_EVENTS: Final = 200
"""Events of one page."""

COLUMNS: Final = (
    "event_id", "time", "environment", "actor", "actor_name", "on_behalf_of", "session", "channel", "source",
    "client_version", "action", "entity", "entity_version", "before_value", "after_value", "reason", "outcome",
    "text_value", "approval_id", "correlation_id",
)  # fmt: skip

INSERT: Final = "INSERT INTO {table} ({columns}) VALUES ({places})"
SELECT: Final = "SELECT audit_sequence, {columns} FROM {table} WHERE {conditions} ORDER BY audit_sequence DESC LIMIT %s"

Page = tuple[tuple[AuditEvent, ...], int | None]
"""Events, newest first, and the `before` of the next page; None behind the last one."""


def write(transaction: Transaction, table: str, events: Iterable[AuditEvent]) -> None:
    """Append events in the transaction of the changes that they record."""
    sql = INSERT.format(table=table, columns=", ".join(COLUMNS), places=", ".join(["%s"] * len(COLUMNS)))
    transaction.executemany(sql, [_row(event) for event in events])


def read(transaction: Transaction, table: str, query: AuditQuery) -> Page:
    """Return a page of the log."""
    sql, parameters = statement(table, query)
    rows = transaction.fetch(sql, parameters)
    return tuple(_event(row[1:]) for row in rows), rows[-1][0] if len(rows) == parameters[-1] else None


def statement(table: str, query: AuditQuery) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL that reads a page, and its parameters, the most rows last."""
    conditions: list[str] = ["1 = 1"]
    parameters: list[Any] = []
    for condition, value in (
        ("audit_sequence < %s", query.before),
        ("(actor = %s OR on_behalf_of = %s)", query.actor),
        ("entity = %s", query.entity),
        ("action = %s", query.action),
        ("time >= %s", query.since),
        ("time <= %s", query.until),
    ):
        if value is not None:
            conditions.append(condition)
            parameters += [value] * condition.count("%s")
    sql = SELECT.format(table=table, columns=", ".join(COLUMNS), conditions=" AND ".join(conditions))
    return sql, (*parameters, max(1, min(query.limit, MOST_EVENTS)))


class MemoryAuditLog:
    """The twin of the table."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    def write(self, events: Iterable[AuditEvent]) -> None:
        """Append events."""
        self.events += events

    def read(self, query: AuditQuery) -> Page:
        """Return a page of the log."""
        limit = max(1, min(query.limit, MOST_EVENTS))
        found = [
            (sequence, event)
            for sequence, event in reversed(tuple(enumerate(self.events, 1)))
            if (query.before is None or sequence < query.before)
            and (query.actor is None or query.actor in (event.actor, event.on_behalf_of))
            and (query.entity is None or event.entity == query.entity)
            and (query.action is None or event.action == query.action)
            and (query.since is None or event.time >= query.since)
            and (query.until is None or event.time <= query.until)
        ][:limit]
        return tuple(event for _, event in found), found[-1][0] if len(found) == limit else None


def _row(event: AuditEvent) -> tuple[Any, ...]:
    return (
        event.event_id,
        event.time,
        int(event.environment),
        event.actor,
        event.actor_name,
        event.on_behalf_of,
        event.session,
        int(event.channel),
        event.source,
        event.client_version[:100],
        event.action,
        event.entity[:200],
        event.entity_version,
        event.before,
        event.after,
        None if event.reason is None else event.reason[:1000],
        event.outcome,
        None if event.text is None else event.text[:1000],
        event.approval_id,
        event.correlation_id[:64],
    )


def _event(row: tuple[Any, ...]) -> AuditEvent:
    values = dict(zip(COLUMNS, row, strict=True))
    for column, name in (("before_value", "before"), ("after_value", "after"), ("text_value", "text")):
        values[name] = values.pop(column)
    values["time"] = Timestamp(values["time"])
    values["environment"] = Environment(values["environment"])
    values["channel"] = Channel(values["channel"])
    return AuditEvent(**values)
