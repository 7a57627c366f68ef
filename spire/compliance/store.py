"""The Compliance store in MySQL: tables `compliance_*`."""

from collections.abc import Sequence
from typing import Any, Final

from zope.interface import implementer

from spire.compliance.interfaces import BEGINNING, AuditPage, IComplianceStore, Place
from spire.compliance.memory import check_version
from spire.compliance.values import RuleEntry, Violation, ViolationQuery
from spire.database import audit
from spire.database.database import Database
from spire.database.transaction import Transaction
from spire.values.audit import AuditEvent, AuditQuery
from spire.values.environment import Environment
from spire.values.orders import Side
from spire.values.risk import RuleState
from spire.values.time import Timestamp

PAGE: Final = 1000
TOPIC: Final = "activity/0"
AUDIT: Final = "compliance_audit_events"

SELECT_RULES = """
    SELECT rule_id, entry_id, schema_name, parameters, state, version, author, reason, updated
    FROM compliance_rules
    WHERE rule_id > %s
    ORDER BY rule_id
    LIMIT %s
"""
SELECT_RULE = """
    SELECT rule_id, entry_id, schema_name, parameters, state, version, author, reason, updated
    FROM compliance_rules
    WHERE rule_id = %s
"""
SELECT_RULES_VERSION = "SELECT COALESCE(SUM(version), 0) FROM compliance_rules"
SELECT_HELD_VERSION = "SELECT version FROM compliance_rules WHERE rule_id = %s"
SELECT_VERSIONS = """
    SELECT rule_id, entry_id, schema_name, parameters, state, version, author, reason, updated
    FROM compliance_rule_versions
    WHERE rule_id = %s AND version > %s
    ORDER BY version
    LIMIT %s
"""
INSERT_RULE = """
    INSERT INTO compliance_rules (rule_id, entry_id, schema_name, parameters, state, version, author, reason, updated)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
INSERT_VERSION = """
    INSERT INTO compliance_rule_versions (rule_id, entry_id, schema_name, parameters, state, version, author, reason,
        updated)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
UPDATE_RULE = """
    UPDATE compliance_rules
    SET schema_name = %s, parameters = %s, state = %s, version = %s, author = %s, reason = %s, updated = %s
    WHERE rule_id = %s AND version = %s
"""

_VIOLATION: Final = (
    "epoch, activity_sequence, time, environment, trading_account_id, order_id, client_order_id, entered_by,"
    " instrument_id, side, quantity, rule_id, rule_version, entry_id, schema_name, state, text_value, limit_value, observed"
)
INSERT_VIOLATION = f"""
    INSERT INTO compliance_violations ({_VIOLATION})
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON DUPLICATE KEY UPDATE epoch = epoch
"""  # noqa: S608 - names of our own columns
SELECT_VIOLATIONS = f"""
    SELECT {_VIOLATION}
    FROM compliance_violations
    WHERE trading_account_id = %s AND epoch = %s AND activity_sequence > %s AND activity_sequence <= %s
    ORDER BY activity_sequence
    LIMIT %s
"""  # noqa: S608 - as above
FIND_VIOLATIONS = """
    SELECT {columns}
    FROM compliance_violations
    WHERE {conditions}
    ORDER BY epoch DESC, activity_sequence DESC
    LIMIT %s
"""
SELECT_PLACE = "SELECT epoch, activity_sequence FROM compliance_places WHERE topic = %s"
INSERT_PLACE = """
    INSERT INTO compliance_places (topic, epoch, activity_sequence)
    VALUES (%s, %s, %s)
    ON DUPLICATE KEY UPDATE topic = topic
"""
UPDATE_PLACE = """
    UPDATE compliance_places
    SET epoch = %s, activity_sequence = %s
    WHERE topic = %s AND (epoch < %s OR (epoch = %s AND activity_sequence < %s))
"""


@implementer(IComplianceStore)
class ComplianceStore:
    """Keeps rules, violations, places and the audit log in MySQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rules(self) -> tuple[RuleEntry, ...]:
        """Return the newest version of every rule, read in pages."""
        found: list[RuleEntry] = []
        while True:
            after = found[-1].rule_id if found else 0
            rows = await self._database.run("compliance.rules", _fetch, SELECT_RULES, (after, PAGE))
            found += [_rule(row) for row in rows]
            if len(rows) < PAGE:
                return tuple(found)

    async def rules_version(self) -> int:
        """Return the sum of all rules' versions."""
        rows = await self._database.run("compliance.rules_version", _fetch, SELECT_RULES_VERSION, ())
        return int(rows[0][0])

    async def rule(self, rule_id: int) -> RuleEntry | None:
        """Return the newest version of a rule."""
        rows = await self._database.run("compliance.rule", _fetch, SELECT_RULE, (rule_id,))
        return _rule(rows[0]) if rows else None

    async def rule_versions(self, rule_id: int, after: int, limit: int) -> tuple[RuleEntry, ...]:
        """Return versions of a rule, oldest first."""
        rows = await self._database.run("compliance.rule_versions", _fetch, SELECT_VERSIONS, (rule_id, after, limit))
        return tuple(_rule(row) for row in rows)

    async def add_rule(self, rule: RuleEntry, event: AuditEvent) -> None:
        """Write the first version of a rule."""
        await self._database.run("compliance.add_rule", _add, rule, event)

    async def change_rule(self, rule: RuleEntry, event: AuditEvent) -> None:
        """Write the next version of a rule."""
        await self._database.run("compliance.change_rule", _change, rule, event)

    async def place(self) -> Place:
        """Return how far violations were taken over."""
        rows = await self._database.run("compliance.place", _fetch, SELECT_PLACE, (TOPIC,))
        return Place(*rows[0]) if rows else BEGINNING

    async def record(self, violations: Sequence[Violation], place: Place) -> None:
        """Write violations and how far they reach."""
        await self._database.run("compliance.record", _record, tuple(violations), place)

    async def violations(
        self, trading_account_id: int, epoch: int, after: int, through: int, limit: int
    ) -> tuple[Violation, ...]:
        """Return violations of a trading account, in order."""
        rows = await self._database.run(
            "compliance.violations", _fetch, SELECT_VIOLATIONS, (trading_account_id, epoch, after, through, limit)
        )
        return tuple(_violation(row) for row in rows)

    async def find_violations(
        self, query: ViolationQuery, trading_account_ids: Sequence[int] | None
    ) -> tuple[Violation, ...]:
        """Return violations that match a query, newest first."""
        if trading_account_ids is not None and not trading_account_ids:
            return ()
        conditions = ["1 = 1"]
        parameters: list[object] = []
        if trading_account_ids is not None:
            conditions.append(f"trading_account_id IN ({', '.join(['%s'] * len(trading_account_ids))})")
            parameters += trading_account_ids
        for condition, values in (
            ("rule_id = %s", (query.rule_id,)),
            ("time >= %s", (query.since,)),
            ("time <= %s", (query.until,)),
            ("(epoch, activity_sequence) < (%s, %s)", (None,) if query.before is None else query.before),
        ):
            if values[0] is not None:
                conditions.append(condition)
                parameters += [value for value in values if value is not None]
        sql = FIND_VIOLATIONS.format(columns=_VIOLATION, conditions=" AND ".join(conditions))
        rows = await self._database.run("compliance.find_violations", _fetch, sql, (*parameters, query.limit))
        return tuple(_violation(row) for row in rows)

    async def audit(self, event: AuditEvent) -> None:
        """Write an audit event."""
        await self._database.run("compliance.audit", audit.write, AUDIT, (event,))

    async def audit_events(self, query: AuditQuery) -> AuditPage:
        """Return a page of the audit log."""
        return await self._database.run("compliance.audit_events", audit.read, AUDIT, query)


def _fetch(transaction: Transaction, sql: str, parameters: tuple[object, ...]) -> list[tuple[Any, ...]]:
    return transaction.fetch(sql, parameters)


def _add(transaction: Transaction, rule: RuleEntry, event: AuditEvent) -> None:
    transaction.execute(INSERT_RULE, _rule_row(rule))
    transaction.execute(INSERT_VERSION, _rule_row(rule))
    audit.write(transaction, AUDIT, (event,))


def _change(transaction: Transaction, rule: RuleEntry, event: AuditEvent) -> None:
    changed = transaction.execute(
        UPDATE_RULE,
        (
            rule.schema,
            rule.parameters,
            int(rule.state),
            rule.version,
            rule.author,
            rule.reason,
            rule.updated,
            rule.rule_id,
            rule.version - 1,
        ),
    )
    if not changed:
        held = transaction.fetch_one(SELECT_HELD_VERSION, (rule.rule_id,))
        check_version(rule, None if held is None else held[0])
    transaction.execute(INSERT_VERSION, _rule_row(rule))
    audit.write(transaction, AUDIT, (event,))


def _record(transaction: Transaction, violations: tuple[Violation, ...], place: Place) -> None:
    transaction.executemany(INSERT_VIOLATION, [_violation_row(violation) for violation in violations])
    transaction.execute(INSERT_PLACE, (TOPIC, place.epoch, place.sequence))
    transaction.execute(UPDATE_PLACE, (place.epoch, place.sequence, TOPIC, place.epoch, place.epoch, place.sequence))


def _rule_row(rule: RuleEntry) -> tuple[Any, ...]:
    return (
        rule.rule_id,
        rule.entry_id,
        rule.schema,
        rule.parameters,
        int(rule.state),
        rule.version,
        rule.author,
        rule.reason,
        rule.updated,
    )


def _rule(row: tuple[Any, ...]) -> RuleEntry:
    rule_id, entry_id, schema, parameters, state, version, author, reason, updated = row
    return RuleEntry(
        rule_id=rule_id,
        entry_id=entry_id,
        schema=schema,
        parameters=parameters,
        state=RuleState(state),
        version=version,
        author=author,
        reason=reason,
        updated=Timestamp(updated),
    )


def _violation_row(violation: Violation) -> tuple[Any, ...]:
    """Return the row of a violation; texts are cut to their columns, for one that does not fit would stop all behind it."""
    return (
        violation.epoch,
        violation.sequence,
        violation.time,
        int(violation.environment),
        violation.trading_account_id,
        violation.order_id,
        violation.client_order_id[:64],
        violation.entered_by,
        violation.instrument_id,
        int(violation.side),
        violation.quantity,
        violation.rule_id,
        violation.rule_version,
        violation.entry_id,
        violation.schema[:64],
        int(violation.state),
        violation.text[:1000],
        None if violation.limit is None else violation.limit[:255],
        None if violation.observed is None else violation.observed[:255],
    )


def _violation(row: tuple[Any, ...]) -> Violation:
    return Violation(
        epoch=row[0],
        sequence=row[1],
        time=Timestamp(row[2]),
        environment=Environment(row[3]),
        trading_account_id=row[4],
        order_id=row[5],
        client_order_id=row[6],
        entered_by=row[7],
        instrument_id=row[8],
        side=Side(row[9]),
        quantity=row[10],
        rule_id=row[11],
        rule_version=row[12],
        entry_id=row[13],
        schema=row[14],
        state=RuleState(row[15]),
        text=row[16],
        limit=row[17],
        observed=row[18],
    )
