"""The Administration store in MySQL."""
# ruff: noqa: S608 - the columns are constants of `rows`

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from attrs import astuple
from zope.interface import implementer

from spire.administration import rows
from spire.administration.interfaces import Change, IAdministrationStore, Page, Stored
from spire.administration.values import (
    BusinessDay,
    EntitlementGrant,
    Identity,
    Limits,
    RiskState,
    Usage,
)
from spire.database import audit
from spire.database.database import Database
from spire.database.errors import CommitUnknown, NotUnique
from spire.database.transaction import Transaction
from spire.values.audit import AuditEvent, AuditQuery

R = TypeVar("R")

COMMIT_ATTEMPTS: Final = 3
AUDIT_TABLE: Final = "administration_audit_events"

RAISE_REVISION = """
    INSERT INTO administration_revision (id, revision) VALUES (1, 1)
    ON DUPLICATE KEY UPDATE revision = revision + 1
"""
LOWER_REVISION = "UPDATE administration_revision SET revision = revision - 1 WHERE id = 1"
READ_REVISION = "SELECT revision FROM administration_revision WHERE id = 1"
FIND_EVENT = "SELECT 1 FROM administration_audit_events WHERE event_id = %s"

READ_LIMITS = f"SELECT {rows.LIMITS} FROM administration_limits ORDER BY trading_account_id"
INSERT_LIMITS = f"""
    INSERT INTO administration_limits ({rows.LIMITS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
UPDATE_LIMITS = """
    UPDATE administration_limits
    SET version = %s, currency = %s, buying_power = %s, net_loss = %s, transition_seconds = %s, allowed_state = %s,
        reason = %s, actor = %s, effective_from = %s, effective_to = %s
    WHERE trading_account_id = %s AND version = %s
"""
END_LIMITS = """
    UPDATE administration_limit_history SET effective_to = %s WHERE trading_account_id = %s AND version = %s
"""
INSERT_LIMIT_HISTORY = f"""
    INSERT INTO administration_limit_history ({rows.LIMITS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
READ_LIMIT_HISTORY = f"""
    SELECT {rows.LIMITS} FROM administration_limit_history
    WHERE trading_account_id = %s AND version > %s ORDER BY version LIMIT %s
"""

READ_STATES = f"SELECT {rows.STATE} FROM administration_risk_states ORDER BY trading_account_id"
INSERT_STATE = f"INSERT INTO administration_risk_states ({rows.STATE}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
UPDATE_STATE = """
    UPDATE administration_risk_states
    SET version = %s, mode = %s, reason = %s, actor = %s, on_behalf_of = %s, since = %s, expiry = %s, business_date = %s
    WHERE trading_account_id = %s AND version = %s
"""
INSERT_STATE_HISTORY = f"""
    INSERT INTO administration_risk_state_history ({rows.STATE}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
READ_STATE_HISTORY = f"""
    SELECT {rows.STATE} FROM administration_risk_state_history
    WHERE trading_account_id = %s AND version > %s ORDER BY version LIMIT %s
"""

INSERT_GRANT = f"""
    INSERT INTO administration_entitlement_grants ({rows.GRANT})
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
REVOKE_GRANT = """
    UPDATE administration_entitlement_grants SET revoked = %s, revoked_by = %s, revoke_reason = %s
    WHERE grant_id = %s AND revoked IS NULL
"""
READ_GRANTS = f"SELECT {rows.GRANT} FROM administration_entitlement_grants WHERE revoked IS NULL ORDER BY grant_id"
READ_GRANTS_OF = f"""
    SELECT {rows.GRANT} FROM administration_entitlement_grants
    WHERE account_id = %s AND grant_id > %s ORDER BY grant_id LIMIT %s
"""
READ_GRANT = f"SELECT {rows.GRANT} FROM administration_entitlement_grants WHERE grant_id = %s"

READ_IDENTITIES = f"""
    SELECT account_id, version, {rows.PROFILE}, actor, updated FROM administration_identities ORDER BY account_id
"""
INSERT_IDENTITY = f"""
    INSERT INTO administration_identities (account_id, version, {rows.PROFILE}, actor, updated)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
UPDATE_IDENTITY = """
    UPDATE administration_identities
    SET version = %s, first_name = %s, last_name = %s, e_mail = %s, telephone = %s, address = %s, city = %s,
        province = %s, country = %s, notes = %s, actor = %s, updated = %s
    WHERE account_id = %s AND version = %s
"""

READ_DAYS = "SELECT business_date, opened, opened_by, closed FROM administration_business_days ORDER BY business_date"
READ_LAST_DAY = "SELECT MAX(business_date) FROM administration_business_days"
CLOSE_DAYS = "UPDATE administration_business_days SET closed = %s WHERE closed IS NULL"
INSERT_DAY = """
    INSERT INTO administration_business_days (business_date, opened, opened_by, closed) VALUES (%s, %s, %s, %s)
"""

INSERT_USAGE = """
    INSERT IGNORE INTO administration_usage (usage_date, account_id, listing_venue, record_type) VALUES (%s, %s, %s, %s)
"""
READ_USAGE = """
    SELECT usage_date, account_id, listing_venue, record_type FROM administration_usage
    WHERE usage_date = %s ORDER BY account_id, listing_venue, record_type
"""


@implementer(IAdministrationStore)
class AdministrationStore:
    """Keeps everything in the tables `administration_*`.

    The row of `administration_revision` is taken first by every change, so that changes of all servers of a schema follow
    one after another.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def _run(self, name: str, function: Callable[..., R], *arguments: object) -> R:
        """Run a transaction, again where its commit may or may not have happened: all of them may be run twice."""
        for _ in range(COMMIT_ATTEMPTS - 1):
            try:
                return await self._database.run(name, function, *arguments)
            except CommitUnknown:
                continue
        return await self._database.run(name, function, *arguments)

    async def load(self) -> Stored:
        """Return everything in force."""
        return await self._run("administration.load", _load)

    async def revision(self) -> int:
        """Return how many changes there have been."""
        return await self._run("administration.revision", _revision)

    async def write(self, change: Change, event: AuditEvent) -> int | None:
        """Commit a change with its audit event."""
        return await self._run("administration.write", _write, change, event)

    async def limit_history(self, trading_account_id: int, after: int, limit: int) -> tuple[Limits, ...]:
        """Return versions of the limits of a trading account."""
        key = (trading_account_id, after, limit)
        return await self._run("administration.limit_history", _rows, READ_LIMIT_HISTORY, rows.limits_of, key)

    async def risk_history(self, trading_account_id: int, after: int, limit: int) -> tuple[RiskState, ...]:
        """Return versions of the risk state of a trading account."""
        key = (trading_account_id, after, limit)
        return await self._run("administration.risk_history", _rows, READ_STATE_HISTORY, rows.state_of, key)

    async def grants_of(self, account_id: int, after: int, limit: int) -> tuple[EntitlementGrant, ...]:
        """Return an account's grants."""
        key = (account_id, after, limit)
        return await self._run("administration.grants_of", _rows, READ_GRANTS_OF, rows.grant_of, key)

    async def grant(self, grant_id: int) -> EntitlementGrant | None:
        """Return a grant."""
        found = await self._run("administration.grant", _rows, READ_GRANT, rows.grant_of, (grant_id,))
        return found[0] if found else None

    async def record_usage(self, usage: Sequence[Usage]) -> None:
        """Record usage."""
        rows = [(each.date, each.account_id, each.listing_venue, int(each.record_type)) for each in usage]
        await self._run("administration.record_usage", _record_usage, rows)

    async def usage(self, date: str) -> tuple[Usage, ...]:
        """Return what was used on a date."""
        return await self._run("administration.usage", _rows, READ_USAGE, rows.usage_of, (date,))

    async def record(self, event: AuditEvent) -> None:
        """Write an audit event."""
        await self._run("administration.record", _record, event)

    async def audit(self, query: AuditQuery) -> Page:
        """Return a page of the audit log."""
        return await self._run("administration.audit", audit.read, AUDIT_TABLE, query)


def _rows(
    transaction: Transaction, sql: str, row_of: Callable[[tuple[Any, ...]], R], parameters: tuple[object, ...] = ()
) -> tuple[R, ...]:
    return tuple(row_of(row) for row in transaction.fetch(sql, parameters))


def _revision(transaction: Transaction) -> int:
    row = transaction.fetch_one(READ_REVISION)
    return 0 if row is None else int(row[0])


def _load(transaction: Transaction) -> Stored:
    """Read every table; the revision is read first and last, so that a change in between is noticed and read again."""
    while True:
        stored = Stored(
            revision=_revision(transaction),
            limits=_rows(transaction, READ_LIMITS, rows.limits_of),
            states=_rows(transaction, READ_STATES, rows.state_of),
            grants=_rows(transaction, READ_GRANTS, rows.grant_of),
            identities=_rows(transaction, READ_IDENTITIES, rows.identity_of),
            days=_rows(transaction, READ_DAYS, rows.day_of),
        )
        if _revision(transaction) == stored.revision:
            return stored


def _write(transaction: Transaction, change: Change, event: AuditEvent) -> int | None:
    transaction.execute(RAISE_REVISION)
    if transaction.fetch_one(FIND_EVENT, (event.event_id,)) is not None:
        transaction.execute(LOWER_REVISION)
        return _revision(transaction)
    if not _put(transaction, change):
        transaction.execute(LOWER_REVISION)
        return None
    audit.write(transaction, AUDIT_TABLE, (event,))
    return _revision(transaction)


def _put(transaction: Transaction, change: Change) -> bool:
    """Write a change if it follows what is stored; nothing is written where it does not."""
    match change:
        case Limits():
            row = rows.limits_row(change)
            former = (change.trading_account_id, change.version - 1)
            if not _follow(transaction, INSERT_LIMITS, UPDATE_LIMITS, row, former):
                return False
            transaction.execute(END_LIMITS, (change.effective_from, *former))
            transaction.execute(INSERT_LIMIT_HISTORY, row)
            return True
        case RiskState():
            row = rows.state_row(change)
            former = (change.trading_account_id, change.version - 1)
            if not _follow(transaction, INSERT_STATE, UPDATE_STATE, row, former):
                return False
            transaction.execute(INSERT_STATE_HISTORY, row)
            return True
        case Identity():
            row = (change.account_id, change.version, *astuple(change.profile), change.actor, change.updated)
            former = (change.account_id, change.version - 1)
            return _follow(transaction, INSERT_IDENTITY, UPDATE_IDENTITY, row, former)
        case EntitlementGrant(revoked=None):
            return _inserted(transaction, INSERT_GRANT, rows.grant_row(change))
        case EntitlementGrant():
            revocation = (change.revoked, change.revoked_by, change.revoke_reason, change.grant_id)
            return transaction.execute(REVOKE_GRANT, revocation) == 1
        case BusinessDay():
            last = transaction.fetch_one(READ_LAST_DAY)
            if last is not None and last[0] is not None and last[0] >= change.business_date:
                return False
            transaction.execute(CLOSE_DAYS, (change.opened,))
            return _inserted(
                transaction, INSERT_DAY, (change.business_date, change.opened, change.opened_by, change.closed)
            )


def _follow(
    transaction: Transaction, insert: str, update: str, row: tuple[object, ...], former: tuple[int, int]
) -> bool:
    """Write the row whose first column is its key and whose second is its version, if the former version holds."""
    if former[1] == 0:
        return _inserted(transaction, insert, row)
    return transaction.execute(update, (*row[1:], *former)) == 1


def _inserted(transaction: Transaction, sql: str, row: tuple[object, ...]) -> bool:
    try:
        transaction.execute(sql, row)
    except NotUnique:
        return False
    return True


def _record_usage(transaction: Transaction, rows: list[tuple[object, ...]]) -> None:
    transaction.executemany(INSERT_USAGE, rows)


def _record(transaction: Transaction, event: AuditEvent) -> None:
    if transaction.fetch_one(FIND_EVENT, (event.event_id,)) is None:
        audit.write(transaction, AUDIT_TABLE, (event,))
