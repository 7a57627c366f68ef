"""The Service Locator's store in memory: the twin of `store.py`, by the same contract."""

from collections.abc import Iterable, Mapping

from attrs import evolve
from zope.interface import implementer

from spire.database.audit import MemoryAuditLog
from spire.locator.interfaces import HashChanged, ILocatorStore, Page
from spire.locator.values import (
    AccountTimes,
    DirectoryWrite,
    Entry,
    FailureCount,
    Kind,
    LoginSession,
    LoginState,
    SigningKey,
    StoredCredential,
    StoredDirectory,
)
from spire.values.audit import AuditEvent, AuditQuery
from spire.values.time import Timestamp


@implementer(ILocatorStore)
class MemoryLocatorStore:
    """Keeps what the Service Locator knows for as long as the process lives."""

    def __init__(self) -> None:
        self._version = 0
        self._next_entry_id = 1
        self._change_id = ""
        self._entries: dict[int, Entry] = {}
        self._hashes: dict[int, str] = {}
        self._times: dict[int, AccountTimes] = {}
        self._failures: dict[str, FailureCount] = {}
        self._sessions: dict[str, LoginSession] = {}
        self._keys: dict[str, SigningKey] = {}
        self._log = MemoryAuditLog()

    async def load_directory(self) -> StoredDirectory:
        """Return the whole directory."""
        entries = tuple(entry for _, entry in sorted(self._entries.items()))
        return StoredDirectory(version=self._version, next_entry_id=self._next_entry_id, entries=entries)

    async def directory_version(self) -> int:
        """Return the version of the directory."""
        return self._version

    async def write_directory(self, write: DirectoryWrite, expected_version: int) -> bool:
        """Commit a change if the directory still has the expected version."""
        if self._version != expected_version:
            return self._change_id == write.change_id
        if write.former_hash is not None and self._hashes.get(write.former_hash[0]) != write.former_hash[1]:
            raise HashChanged
        self._version += 1
        self._change_id = write.change_id
        self._next_entry_id = max(self._next_entry_id, write.next_entry_id)
        for entry in write.change.put:
            self._put(entry, write.now)
        for entry_id in write.change.removed:
            self._entries.pop(entry_id, None)
        for account_id, password_hash in write.passwords:
            self._hashes[account_id] = password_hash
            self._times[account_id] = evolve(self._times[account_id], password_changed=write.now)
        for session in list(self._sessions.values()):
            concerned = {session.account_id, session.delegate_id} & set(write.ended_accounts)
            if concerned and session.ended is None and session.login_session != write.kept_session:
                self._sessions[session.login_session] = evolve(session, ended=write.now, end_reason=write.end_reason)
        self._log.write(write.audit)
        return True

    async def record(self, event: AuditEvent) -> None:
        """Write an audit event."""
        if all(known.event_id != event.event_id for known in self._log.events):
            self._log.write((event,))

    async def audit(self, query: AuditQuery) -> Page:
        """Return a page of the audit log."""
        return self._log.read(query)

    def _put(self, entry: Entry, now: Timestamp) -> None:
        self._entries[entry.entry_id] = entry
        if entry.kind is Kind.ACCOUNT and entry.entry_id not in self._times:
            self._times[entry.entry_id] = AccountTimes(registered=now, password_changed=now, last_login=None)

    async def login_state(self, name: str, subjects: Iterable[str]) -> LoginState:
        """Return what a login needs to know."""
        failures = {subject: self._failures[subject] for subject in subjects if subject in self._failures}
        for entry in self._entries.values():
            if entry.kind is Kind.ACCOUNT and entry.name.casefold() == name.casefold():
                return LoginState(credential=await self.credential(entry.entry_id), failures=failures)
        return LoginState(credential=None, failures=failures)

    async def credential(self, account_id: int) -> StoredCredential | None:
        """Return the credential of an account."""
        password_hash = self._hashes.get(account_id)
        if password_hash is None:
            return None
        disabled = self._entries[account_id].disabled
        return StoredCredential(account_id=account_id, password_hash=password_hash, disabled=disabled)

    async def account_times(self, account_id: int) -> AccountTimes | None:
        """Return the times that are kept of an account."""
        return self._times.get(account_id)

    async def record_failure(self, subjects: Iterable[str], now: Timestamp, forgotten_before: Timestamp) -> None:
        """Count one more failure of each subject."""
        for subject in subjects:
            known = self._failures.get(subject)
            before = 0 if known is None or known.last_failed < forgotten_before else known.failures
            self._failures[subject] = FailureCount(subject=subject, failures=before + 1, last_failed=now)

    async def open_session(
        self, session: LoginSession, matched_hash: str, cleared: Iterable[str], new_hash: str | None
    ) -> bool:
        """Write a new login session if the account still has the hash that its password matched."""
        holders = [self._entries.get(i) for i in (session.account_id, session.delegate_id) if i is not None]
        if any(holder is None or holder.disabled for holder in holders):
            return False
        if self._hashes.get(session.account_id) not in (matched_hash, new_hash or matched_hash):
            return False
        self._sessions.setdefault(session.login_session, session)
        self._times[session.account_id] = evolve(self._times[session.account_id], last_login=session.opened)
        if new_hash is not None:
            self._hashes[session.account_id] = new_hash
        for subject in cleared:
            self._failures.pop(subject, None)
        return True

    async def find_session(self, login_session: str) -> LoginSession | None:
        """Return a login session."""
        return self._sessions.get(login_session)

    async def load_sessions(self, ended_since: Timestamp) -> list[LoginSession]:
        """Return open login sessions and those that ended since a time."""
        return [s for _, s in sorted(self._sessions.items()) if s.ended is None or s.ended >= ended_since]

    async def ended_sessions(self, since: Timestamp) -> list[LoginSession]:
        """Return the login sessions that ended since a time."""
        return [s for _, s in sorted(self._sessions.items()) if s.ended is not None and s.ended >= since]

    async def end_sessions(self, reasons: Mapping[str, str], now: Timestamp) -> None:
        """End login sessions."""
        for key, reason in reasons.items():
            session = self._sessions.get(key)
            if session is not None and session.ended is None:
                self._sessions[key] = evolve(session, ended=now, end_reason=reason)

    async def touch_sessions(self, last_used: Mapping[str, Timestamp]) -> None:
        """Write the last use of login sessions."""
        for key, time in last_used.items():
            session = self._sessions.get(key)
            if session is not None:
                self._sessions[key] = evolve(session, last_used=max(time, session.last_used))

    async def forget_before(self, sessions: Timestamp, failures: Timestamp) -> None:
        """Delete what is too old to matter."""
        self._sessions = {k: s for k, s in self._sessions.items() if s.ended is None or s.ended >= sessions}
        self._failures = {k: count for k, count in self._failures.items() if count.last_failed >= failures}

    async def signing_keys(self) -> list[SigningKey]:
        """Return the public halves of the signing keys."""
        return sorted(self._keys.values(), key=lambda key: (key.created, key.key_id))

    async def add_signing_key(self, key: SigningKey, event: AuditEvent | None = None) -> None:
        """Write the public half of a key."""
        self._keys.setdefault(key.key_id, key)
        if event is not None:
            await self.record(event)

    async def retire_signing_key(self, key_id: str, retires: Timestamp) -> None:
        """Set when a key is no longer believed."""
        key = self._keys[key_id]
        if key.retires is None:
            self._keys[key_id] = evolve(key, retires=retires)
