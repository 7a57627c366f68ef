"""The Service Locator's store in MySQL."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from zope.interface import implementer

from spire.database import audit
from spire.database.database import Database
from spire.database.errors import CommitUnknown
from spire.database.transaction import Transaction
from spire.locator.interfaces import HashChanged, ILocatorStore, Page
from spire.locator.values import (
    AccountKind,
    AccountTimes,
    DirectoryWrite,
    Entry,
    FailureCount,
    Grant,
    Kind,
    LoginSession,
    LoginState,
    SigningKey,
    StoredCredential,
    StoredDirectory,
    TradingAccountTerms,
    TradingAccountType,
)
from spire.values.audit import AuditEvent, AuditQuery
from spire.values.orders import Capacity
from spire.values.time import Timestamp

R = TypeVar("R")

COMMIT_ATTEMPTS = 3
AUDIT_TABLE = "locator_audit_events"

READ_VERSION = "SELECT version, next_entry_id, change_id FROM locator_directory WHERE id = 1"
BEGIN_DIRECTORY = """
    INSERT INTO locator_directory (id, version, next_entry_id, change_id) VALUES (1, 0, 1, '')
    ON DUPLICATE KEY UPDATE id = VALUES(id)"""
RAISE_VERSION = """
    UPDATE locator_directory
    SET version = version + 1, next_entry_id = GREATEST(next_entry_id, %s), change_id = %s
    WHERE id = 1 AND version = %s"""

READ_ENTRIES = "SELECT entry_id, kind, name, disabled FROM locator_entries ORDER BY entry_id"
READ_EDGES = "SELECT entry_id, parent_id FROM locator_edges ORDER BY entry_id, parent_id"
READ_GRANTS = "SELECT target_id, account_id, rights FROM locator_grants ORDER BY target_id, account_id"
READ_ACCOUNT_KINDS = "SELECT account_id, kind FROM locator_accounts"
READ_CAPABILITIES = "SELECT account_id, capability FROM locator_capabilities ORDER BY account_id, capability"
READ_TERMS = """
    SELECT trading_account_id, type, firm_designated_id, client_identifier, base_currency, default_capacity,
           aggregation_unit, short_marking_exempt
    FROM locator_trading_accounts"""

PUT_ENTRY = """
    INSERT INTO locator_entries (entry_id, kind, name, disabled) VALUES (%s, %s, %s, %s)
    ON DUPLICATE KEY UPDATE name = VALUES(name), disabled = VALUES(disabled)"""
PUT_ACCOUNT = """
    INSERT INTO locator_accounts (account_id, login_name, kind, password_hash, registered, password_changed, last_login)
    VALUES (%s, %s, %s, NULL, %s, %s, NULL)
    ON DUPLICATE KEY UPDATE login_name = VALUES(login_name)"""
PUT_TERMS = """
    INSERT INTO locator_trading_accounts
        (trading_account_id, type, firm_designated_id, client_identifier, base_currency, default_capacity,
         aggregation_unit, short_marking_exempt)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
    ON DUPLICATE KEY UPDATE
        type = VALUES(type), firm_designated_id = VALUES(firm_designated_id),
        client_identifier = VALUES(client_identifier), base_currency = VALUES(base_currency),
        default_capacity = VALUES(default_capacity), aggregation_unit = VALUES(aggregation_unit),
        short_marking_exempt = VALUES(short_marking_exempt)"""
DELETE_EDGES = "DELETE FROM locator_edges WHERE entry_id = %s"
PUT_EDGE = "INSERT INTO locator_edges (entry_id, parent_id) VALUES (%s, %s)"
DELETE_GRANTS = "DELETE FROM locator_grants WHERE target_id = %s"
PUT_GRANT = "INSERT INTO locator_grants (target_id, account_id, rights) VALUES (%s, %s, %s)"
DELETE_CAPABILITIES = "DELETE FROM locator_capabilities WHERE account_id = %s"
PUT_CAPABILITY = "INSERT INTO locator_capabilities (account_id, capability) VALUES (%s, %s)"
DELETE_ENTRY = "DELETE FROM locator_entries WHERE entry_id = %s"
SET_PASSWORD = "UPDATE locator_accounts SET password_hash = %s, password_changed = %s WHERE account_id = %s"  # noqa: S105
END_ACCOUNT_SESSIONS = """
    UPDATE locator_login_sessions SET ended = %s, end_reason = %s
    WHERE (account_id = %s OR delegate_id = %s) AND ended IS NULL AND login_session <> %s"""

_CREDENTIAL = """
    SELECT a.account_id, a.password_hash, e.disabled
    FROM locator_accounts a JOIN locator_entries e ON e.entry_id = a.account_id
    WHERE a.password_hash IS NOT NULL AND """
# To the collation names are equal that differ in trailing blanks.
READ_CREDENTIAL_BY_NAME = _CREDENTIAL + "a.login_name = %s AND LENGTH(a.login_name) = LENGTH(%s)"
READ_CREDENTIAL = _CREDENTIAL + "a.account_id = %s"
READ_TIMES = "SELECT registered, password_changed, last_login FROM locator_accounts WHERE account_id = %s"
READ_FAILURE = "SELECT subject, failures, last_failed FROM locator_login_failures WHERE subject = %s"
COUNT_FAILURE = """
    INSERT INTO locator_login_failures (subject, failures, last_failed) VALUES (%s, 1, %s)
    ON DUPLICATE KEY UPDATE
        failures = IF(last_failed < %s, 1, failures + 1), last_failed = VALUES(last_failed)"""
CLEAR_FAILURE = "DELETE FROM locator_login_failures WHERE subject = %s"
FORGET_FAILURES = "DELETE FROM locator_login_failures WHERE last_failed < %s"

LOCK_HOLDERS = "SELECT entry_id, disabled FROM locator_entries WHERE entry_id IN (%s, %s) LOCK IN SHARE MODE"
LOCK_HASH = "SELECT password_hash FROM locator_accounts WHERE account_id = %s FOR UPDATE"
PUT_SESSION = """
    INSERT INTO locator_login_sessions
        (login_session, account_id, delegate_id, public_key, audiences, opened, last_used, peer)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
    ON DUPLICATE KEY UPDATE login_session = VALUES(login_session)"""
SET_LAST_LOGIN = "UPDATE locator_accounts SET last_login = %s WHERE account_id = %s"
SET_HASH = "UPDATE locator_accounts SET password_hash = %s WHERE account_id = %s AND password_hash = %s"
READ_SESSIONS = """
    SELECT login_session, account_id, delegate_id, public_key, audiences, opened, last_used, peer, ended, end_reason
    FROM locator_login_sessions WHERE """
END_SESSION = """
    UPDATE locator_login_sessions SET ended = %s, end_reason = %s WHERE login_session = %s AND ended IS NULL"""
TOUCH_SESSION = "UPDATE locator_login_sessions SET last_used = GREATEST(last_used, %s) WHERE login_session = %s"
FORGET_SESSIONS = "DELETE FROM locator_login_sessions WHERE ended < %s"

FIND_EVENT = "SELECT 1 FROM locator_audit_events WHERE event_id = %s"

READ_KEYS = "SELECT key_id, public_key, created, retires FROM locator_signing_keys ORDER BY created, key_id"
PUT_KEY = """
    INSERT INTO locator_signing_keys (key_id, public_key, created, retires) VALUES (%s, %s, %s, %s)
    ON DUPLICATE KEY UPDATE key_id = VALUES(key_id)"""
RETIRE_KEY = "UPDATE locator_signing_keys SET retires = %s WHERE key_id = %s AND retires IS NULL"


@implementer(ILocatorStore)
class LocatorStore:
    """Keeps what the Service Locator knows in MySQL, in the tables `locator_*`.

    The row of `locator_directory` orders the changes of the directory among all Locators of a schema.
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

    async def load_directory(self) -> StoredDirectory:
        """Return the whole directory."""
        return await self._run("locator.load_directory", _load_directory)

    async def directory_version(self) -> int:
        """Return the version of the directory."""
        return await self._run("locator.directory_version", _directory_version)

    async def write_directory(self, write: DirectoryWrite, expected_version: int) -> bool:
        """Commit a change if the directory still has the expected version."""
        return await self._run("locator.write_directory", _write_directory, write, expected_version)

    async def record(self, event: AuditEvent) -> None:
        """Write an audit event."""
        await self._run("locator.record", _record, event)

    async def audit(self, query: AuditQuery) -> Page:
        """Return a page of the audit log."""
        return await self._run("locator.audit", audit.read, AUDIT_TABLE, query)

    async def login_state(self, name: str, subjects: Iterable[str]) -> LoginState:
        """Return what a login needs to know."""
        return await self._run("locator.login_state", _login_state, name.casefold(), sorted(subjects))

    async def credential(self, account_id: int) -> StoredCredential | None:
        """Return the credential of an account."""
        return await self._run("locator.credential", _credential, READ_CREDENTIAL, account_id)

    async def account_times(self, account_id: int) -> AccountTimes | None:
        """Return the times that are kept of an account."""
        return await self._run("locator.account_times", _account_times, account_id)

    async def record_failure(self, subjects: Iterable[str], now: Timestamp, forgotten_before: Timestamp) -> None:
        """Count one more failure of each subject."""
        rows = [(subject, now, forgotten_before) for subject in sorted(subjects)]
        await self._run("locator.record_failure", _each, COUNT_FAILURE, rows)

    async def open_session(
        self, session: LoginSession, matched_hash: str, cleared: Iterable[str], new_hash: str | None
    ) -> bool:
        """Write a new login session if the account still has the hash that its password matched."""
        arguments = (session, matched_hash, sorted(cleared), new_hash)
        return await self._run("locator.open_session", _open_session, *arguments)

    async def find_session(self, login_session: str) -> LoginSession | None:
        """Return a login session."""
        found = await self._run("locator.find_session", _sessions, "login_session = %s", login_session)
        return found[0] if found else None

    async def load_sessions(self, ended_since: Timestamp) -> list[LoginSession]:
        """Return open login sessions and those that ended since a time."""
        return await self._run("locator.load_sessions", _sessions, "ended IS NULL OR ended >= %s", ended_since)

    async def ended_sessions(self, since: Timestamp) -> list[LoginSession]:
        """Return the login sessions that ended since a time."""
        return await self._run("locator.ended_sessions", _sessions, "ended >= %s", since)

    async def end_sessions(self, reasons: Mapping[str, str], now: Timestamp) -> None:
        """End login sessions."""
        rows = [(now, reason, key) for key, reason in sorted(reasons.items())]
        await self._run("locator.end_sessions", _each, END_SESSION, rows)

    async def touch_sessions(self, last_used: Mapping[str, Timestamp]) -> None:
        """Write the last use of login sessions."""
        rows = [(time, key) for key, time in sorted(last_used.items())]
        await self._run("locator.touch_sessions", _each, TOUCH_SESSION, rows)

    async def forget_before(self, sessions: Timestamp, failures: Timestamp) -> None:
        """Delete what is too old to matter."""
        await self._run("locator.forget_sessions", _each, FORGET_SESSIONS, [(sessions,)])
        await self._run("locator.forget_failures", _each, FORGET_FAILURES, [(failures,)])

    async def signing_keys(self) -> list[SigningKey]:
        """Return the public halves of the signing keys."""
        return await self._run("locator.signing_keys", _signing_keys)

    async def add_signing_key(self, key: SigningKey, event: AuditEvent | None = None) -> None:
        """Write the public half of a key."""
        await self._run("locator.add_signing_key", _add_signing_key, key, event)

    async def retire_signing_key(self, key_id: str, retires: Timestamp) -> None:
        """Set when a key is no longer believed."""
        await self._run("locator.retire_signing_key", _each, RETIRE_KEY, [(retires, key_id)])


def _each(txn: Transaction, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
    for row in rows:
        txn.execute(sql, row)


def _directory_version(txn: Transaction) -> int:
    row = txn.fetch_one(READ_VERSION, ())
    return 0 if row is None else int(row[0])


def _load_directory(txn: Transaction) -> StoredDirectory:
    """Read every table; the version is read first and last, so that a change in between is noticed and read again."""
    while True:
        row = txn.fetch_one(READ_VERSION, ())
        version, next_entry_id = (0, 1) if row is None else (int(row[0]), int(row[1]))
        entries = _read_entries(txn)
        if _directory_version(txn) == version:
            return StoredDirectory(version=version, next_entry_id=next_entry_id, entries=entries)


def _read_entries(txn: Transaction) -> tuple[Entry, ...]:
    parents: dict[int, list[int]] = {}
    for entry_id, parent_id in txn.fetch(READ_EDGES, ()):
        parents.setdefault(entry_id, []).append(parent_id)
    grants: dict[int, list[Grant]] = {}
    for target_id, account_id, rights in txn.fetch(READ_GRANTS, ()):
        grants.setdefault(target_id, []).append(Grant(account_id=account_id, rights=rights))
    capabilities: dict[int, list[str]] = {}
    for account_id, capability in txn.fetch(READ_CAPABILITIES, ()):
        capabilities.setdefault(account_id, []).append(capability)
    account_kinds = {account_id: AccountKind(kind) for account_id, kind in txn.fetch(READ_ACCOUNT_KINDS, ())}
    terms = {row[0]: _terms(row) for row in txn.fetch(READ_TERMS, ())}
    return tuple(
        Entry(
            entry_id=entry_id,
            kind=Kind(kind),
            name=name,
            parents=tuple(parents.get(entry_id, ())),
            grants=tuple(grants.get(entry_id, ())),
            disabled=bool(disabled),
            account_kind=account_kinds.get(entry_id),
            capabilities=tuple(capabilities.get(entry_id, ())),
            terms=terms.get(entry_id),
        )
        for entry_id, kind, name, disabled in txn.fetch(READ_ENTRIES, ())
    )


def _terms(row: tuple[Any, ...]) -> TradingAccountTerms:
    _, kind, firm_designated_id, client_identifier, base_currency, capacity, aggregation_unit, exempt = row
    return TradingAccountTerms(
        type=TradingAccountType(kind),
        firm_designated_id=firm_designated_id,
        client_identifier=client_identifier,
        base_currency=base_currency,
        default_capacity=Capacity(capacity),
        aggregation_unit=aggregation_unit,
        short_marking_exempt=bool(exempt),
    )


def _write_directory(txn: Transaction, write: DirectoryWrite, expected_version: int) -> bool:
    if expected_version == 0:
        txn.execute(BEGIN_DIRECTORY)
    if txn.execute(RAISE_VERSION, (write.next_entry_id, write.change_id, expected_version)) == 0:
        row = txn.fetch_one(READ_VERSION, ())
        return row is not None and row[2] == write.change_id
    if write.former_hash is not None:
        account_id, former = write.former_hash
        if txn.fetch_one(LOCK_HASH, (account_id,)) != (former,):
            raise HashChanged
    for entry in write.change.put:
        _put_entry(txn, entry, write.now)
    for entry_id in write.change.removed:
        for sql in (DELETE_EDGES, DELETE_GRANTS, DELETE_ENTRY):
            txn.execute(sql, (entry_id,))
    for account_id, password_hash in write.passwords:
        txn.execute(SET_PASSWORD, (password_hash, write.now, account_id))
    for account_id in write.ended_accounts:
        parameters = (write.now, write.end_reason, account_id, account_id, write.kept_session or "")
        txn.execute(END_ACCOUNT_SESSIONS, parameters)
    audit.write(txn, AUDIT_TABLE, write.audit)
    return True


def _record(txn: Transaction, event: AuditEvent) -> None:
    if txn.fetch_one(FIND_EVENT, (event.event_id,)) is None:
        audit.write(txn, AUDIT_TABLE, (event,))


def _put_entry(txn: Transaction, entry: Entry, now: Timestamp) -> None:
    key = (entry.entry_id,)
    txn.execute(PUT_ENTRY, (entry.entry_id, int(entry.kind), entry.name, entry.disabled))
    txn.execute(DELETE_EDGES, key)
    txn.execute(DELETE_GRANTS, key)
    _each(txn, PUT_EDGE, [(entry.entry_id, parent) for parent in entry.parents])
    _each(txn, PUT_GRANT, [(entry.entry_id, grant.account_id, grant.rights) for grant in entry.grants])
    if entry.account_kind is not None:
        txn.execute(PUT_ACCOUNT, (entry.entry_id, entry.name.casefold(), int(entry.account_kind), now, now))
        txn.execute(DELETE_CAPABILITIES, key)
        _each(txn, PUT_CAPABILITY, [(entry.entry_id, capability) for capability in entry.capabilities])
    if entry.terms is not None:
        terms = entry.terms
        parameters = (
            entry.entry_id,
            int(terms.type),
            terms.firm_designated_id,
            terms.client_identifier,
            terms.base_currency,
            int(terms.default_capacity),
            terms.aggregation_unit,
            terms.short_marking_exempt,
        )
        txn.execute(PUT_TERMS, parameters)


def _login_state(txn: Transaction, name: str, subjects: list[str]) -> LoginState:
    failures = {}
    for key in subjects:
        row = txn.fetch_one(READ_FAILURE, (key,))
        if row is not None:
            failures[key] = FailureCount(subject=row[0], failures=row[1], last_failed=Timestamp(row[2]))
    return LoginState(credential=_credential(txn, READ_CREDENTIAL_BY_NAME, name, name), failures=failures)


def _credential(txn: Transaction, sql: str, *parameters: str | int) -> StoredCredential | None:
    row = txn.fetch_one(sql, parameters)
    return None if row is None else StoredCredential(account_id=row[0], password_hash=row[1], disabled=bool(row[2]))


def _account_times(txn: Transaction, account_id: int) -> AccountTimes | None:
    row = txn.fetch_one(READ_TIMES, (account_id,))
    return None if row is None else AccountTimes(registered=row[0], password_changed=row[1], last_login=row[2])


def _open_session(
    txn: Transaction, session: LoginSession, matched_hash: str, cleared: list[str], new_hash: str | None
) -> bool:
    """Lock the entries and the credential, in the order of `_write_directory`, and write if the login still holds."""
    holders = {session.account_id, session.delegate_id or session.account_id}
    found = txn.fetch(LOCK_HOLDERS, (min(holders), max(holders)))
    if {row[0] for row in found if not row[1]} != holders:
        return False
    row = txn.fetch_one(LOCK_HASH, (session.account_id,))
    if row is None or row[0] not in (matched_hash, new_hash or matched_hash):
        return False
    parameters = (
        session.login_session,
        session.account_id,
        session.delegate_id,
        session.public_key,
        " ".join(session.audiences),
        session.opened,
        session.last_used,
        session.peer,
    )
    txn.execute(PUT_SESSION, parameters)
    txn.execute(SET_LAST_LOGIN, (session.opened, session.account_id))
    if new_hash is not None:
        txn.execute(SET_HASH, (new_hash, session.account_id, matched_hash))
    _each(txn, CLEAR_FAILURE, [(subject,) for subject in cleared])
    return True


def _sessions(txn: Transaction, condition: str, parameter: str | int) -> list[LoginSession]:
    """Read login sessions; `condition` is one of this module's constants."""
    return [
        LoginSession(
            login_session=row[0],
            account_id=row[1],
            delegate_id=row[2],
            public_key=bytes(row[3]),
            audiences=tuple(row[4].split()),
            opened=row[5],
            last_used=row[6],
            peer=row[7],
            ended=row[8],
            end_reason=row[9],
        )
        for row in txn.fetch(f"{READ_SESSIONS}{condition} ORDER BY login_session", (parameter,))
    ]


def _add_signing_key(txn: Transaction, key: SigningKey, event: AuditEvent | None) -> None:
    txn.execute(PUT_KEY, (key.key_id, key.public_key, key.created, key.retires))
    if event is not None:
        _record(txn, event)


def _signing_keys(txn: Transaction) -> list[SigningKey]:
    return [
        SigningKey(key_id=row[0], public_key=bytes(row[1]), created=row[2], retires=row[3])
        for row in txn.fetch(READ_KEYS, ())
    ]
