"""Login sessions in memory: who may renew a ticket, until when, and which sessions ended lately (sans-I/O)."""

from collections.abc import Iterable

from attrs import evolve

from spire.locator.values import LoginSession, Revocation
from spire.values.time import NANOSECONDS, Timestamp

IDLE_SECONDS = 12 * 3600
"""A login session that was not renewed for so long has ended."""

REVOCATION_SECONDS = 2 * 3600
"""How long a revocation is published: longer than any ticket or session without the Locator can last (65 minutes)."""

EXPIRED = "idle"
LOGGED_OUT = "logged out"
PASSWORD_CHANGED = "password changed"  # noqa: S105  a reason, not a password
DISABLED = "disabled"


class LoginSessions:
    """The open login sessions and the recent revocations, by session id.

    MySQL holds the same rows; this memory lets tickets be renewed, and sessions be ended, while MySQL is away.
    """

    def __init__(self, *, idle_seconds: float = IDLE_SECONDS, revocation_seconds: float = REVOCATION_SECONDS) -> None:
        self._idle = int(idle_seconds * NANOSECONDS)
        self._kept = int(revocation_seconds * NANOSECONDS)
        self._open: dict[str, LoginSession] = {}
        self._revocations: dict[str, Revocation] = {}
        self._touched: set[str] = set()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def revocations(self) -> dict[str, Revocation]:
        """The revocations that are still published, by session id."""
        return dict(self._revocations)

    def add(self, session: LoginSession) -> Revocation | None:
        """Remember a session; one that ended gives its revocation, if that is new and recent enough to matter."""
        known = self._revocations.get(session.login_session)
        if known is not None:
            return None
        if session.ended is None:
            here = self._open.get(session.login_session)
            last_used = session.last_used if here is None else max(session.last_used, here.last_used)
            self._open[session.login_session] = evolve(session, last_used=last_used)
            return None
        return self._revoke(session, session.ended, session.end_reason or EXPIRED)

    def take_end(self, session: LoginSession, now: Timestamp) -> Revocation | None:
        """Take over an end that another Locator put on record; return its revocation, or None when it is known.

        It counts from now on: a Locator whose store was away may have renewed the session until this moment.
        """
        return self._revoke(session, now, session.end_reason or EXPIRED)

    def get(self, login_session: str, now: Timestamp) -> LoginSession | None:
        """Return an open session, or None when it is unknown, ended or idle for too long."""
        session = self._open.get(login_session)
        return session if session is not None and not self.is_idle(session, now) else None

    def is_idle(self, session: LoginSession, now: Timestamp) -> bool:
        """Whether a session was not used for so long that it counts as ended."""
        return now - session.last_used >= self._idle

    def is_ended(self, login_session: str) -> bool:
        """Whether a session is known to have ended lately."""
        return login_session in self._revocations

    def touch(self, login_session: str, now: Timestamp) -> None:
        """Note that a session was used; `take_touched` tells the store later."""
        session = self._open[login_session]
        self._open[login_session] = evolve(session, last_used=max(session.last_used, now))
        self._touched.add(login_session)

    def take_touched(self) -> dict[str, Timestamp]:
        """Return the last use of each session that was used since the last call."""
        touched = {key: self._open[key].last_used for key in self._touched if key in self._open}
        self._touched.clear()
        return touched

    def put_back(self, touched: Iterable[str]) -> None:
        """Note again what the store could not take."""
        self._touched.update(touched)

    def of_account(self, account_id: int) -> list[LoginSession]:
        """Return the open sessions of an account, as holder or as the delegate who logged the holder in."""
        return [s for s in self._open.values() if account_id in (s.account_id, s.delegate_id)]

    def end(self, login_session: str, now: Timestamp, reason: str) -> Revocation | None:
        """End a session; return its revocation, or None when it was not open."""
        session = self._open.get(login_session)
        return None if session is None else self._revoke(session, now, reason)

    def idle(self, now: Timestamp) -> list[str]:
        """Return the sessions that seem idle here; another Locator may have renewed them."""
        return [key for key, session in self._open.items() if self.is_idle(session, now)]

    def expire(self, now: Timestamp) -> tuple[list[Revocation], list[str]]:
        """End idle sessions and drop old revocations; return the new revocations and the ids of the dropped ones."""
        idle = [session for session in self._open.values() if self.is_idle(session, now)]
        ended = [revocation for s in idle if (revocation := self._revoke(s, now, EXPIRED)) is not None]
        dropped = [key for key, revocation in self._revocations.items() if now - revocation.ended >= self._kept]
        for key in dropped:
            del self._revocations[key]
        return ended, dropped

    def _revoke(self, session: LoginSession, now: Timestamp, reason: str) -> Revocation | None:
        self._open.pop(session.login_session, None)
        self._touched.discard(session.login_session)
        if session.login_session in self._revocations:
            return None
        revocation = Revocation(
            login_session=session.login_session, account_id=session.account_id, ended=now, reason=reason
        )
        self._revocations[session.login_session] = revocation
        return revocation
