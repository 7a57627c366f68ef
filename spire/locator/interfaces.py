"""What the Service Locator asks of its store; `store.py` keeps it in MySQL, `memory.py` in memory."""

from collections.abc import Iterable, Mapping

from zope.interface import Interface

from spire.locator.values import (
    AccountTimes,
    DirectoryWrite,
    LoginSession,
    LoginState,
    SigningKey,
    StoredCredential,
    StoredDirectory,
)
from spire.values.audit import AuditEvent, AuditQuery
from spire.values.time import Timestamp

Page = tuple[tuple[AuditEvent, ...], int | None]
"""Audit events, and the `before` of the next page."""


class HashChanged(Exception):  # noqa: N818 - named for what happened, as the store's errors are
    """The account's password is no longer the one that was checked; nothing was written."""


class ILocatorStore(Interface):
    """Directory, credentials, login sessions and signing keys; every method is one transaction.

    All raise the store errors of `spire.database.errors`, StoreDown above all.
    """

    async def load_directory() -> StoredDirectory:
        """Return the whole directory; an empty one has version 0 and gives out ids from 1."""

    async def directory_version() -> int:
        """Return the version of the directory, to see whether another Locator changed it."""

    async def write_directory(write: DirectoryWrite, expected_version: int) -> bool:
        """Commit a change with its audit events if the directory still has the expected version; return whether it is.

        Told again after a lost answer, it returns True without a second change. Raises HashChanged as the write says.
        """

    async def record(event: AuditEvent) -> None:
        """Write the audit event of a refused attempt; told again, it writes nothing more."""

    async def audit(query: AuditQuery) -> Page:
        """Return a page of the audit log, newest first."""

    async def login_state(name: str, subjects: Iterable[str]) -> LoginState:
        """Return the credential of an account name (whatever its case), and the failure counts of the subjects.

        A blank before or behind the name makes it another one.
        """

    async def credential(account_id: int) -> StoredCredential | None:
        """Return the credential of an account."""

    async def account_times(account_id: int) -> AccountTimes | None:
        """Return the times that are kept of an account."""

    async def record_failure(subjects: Iterable[str], now: Timestamp, forgotten_before: Timestamp) -> None:
        """Count one more failure of each subject; counts whose last failure is older begin again."""

    async def open_session(
        session: LoginSession, matched_hash: str, cleared: Iterable[str], new_hash: str | None
    ) -> bool:
        """Write a new login session, the account's last login and, if given, its new hash; clear failure counts.

        `matched_hash` is the one that the password was compared with. Returns False, and writes nothing, where the account
        has another by now, or it or the delegate is disabled. Told again after a lost answer, it returns True.
        """

    async def find_session(login_session: str) -> LoginSession | None:
        """Return a login session, open or ended."""

    async def load_sessions(ended_since: Timestamp) -> list[LoginSession]:
        """Return all open login sessions and those that ended since a time, by id."""

    async def ended_sessions(since: Timestamp) -> list[LoginSession]:
        """Return the login sessions whose end was put on record since a time, by id."""

    async def end_sessions(reasons: Mapping[str, str], now: Timestamp) -> None:
        """End login sessions, each for its reason; one that has ended already keeps its time and reason.

        `now` is the time of the telling, not of an earlier logout: what others ask for is what ended since they asked last.
        """

    async def touch_sessions(last_used: Mapping[str, Timestamp]) -> None:
        """Write the last use of login sessions; an older time than the stored one changes nothing."""

    async def forget_before(sessions: Timestamp, failures: Timestamp) -> None:
        """Delete login sessions that ended before a time, and failure counts whose last failure is older than one."""

    async def signing_keys() -> list[SigningKey]:
        """Return the public halves of the signing keys, by creation."""

    async def add_signing_key(key: SigningKey, event: AuditEvent | None = None) -> None:
        """Write the public half of a key, with the audit event of its making; one that is there already is no error."""

    async def retire_signing_key(key_id: str, retires: Timestamp) -> None:
        """Set when a key is no longer believed, unless that is set already."""
