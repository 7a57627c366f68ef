"""Logging in and staying logged in: login, renewal of tickets, logout, change of password."""

from collections.abc import Awaitable, Callable

from attrs import frozen
from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from spire.database.errors import StoreDown
from spire.locator.changes import check_name, check_password_change
from spire.locator.commits import store_errors
from spire.locator.directory import may_no_longer_log_in
from spire.locator.interfaces import ILocatorStore
from spire.locator.keys import KeyRing, renewal_holds
from spire.locator.live import LiveLocator
from spire.locator.passwords import ACCOUNT_BACK_OFF, PEER_BACK_OFF, PasswordHashes, PasswordPolicy
from spire.locator.sessions import LOGGED_OUT
from spire.locator.values import LoginSession, LoginState, StoredCredential
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.errors import Invalid, NotAuthenticated, Overloaded, Unavailable
from spire.wire.server_session import Session

AUDIENCES = 32
ATTEMPTS = 3
WAITING_LOGINS = 16
"""Logins of one account that may wait for each other."""

NOBODY = "*"
"""Stands for all names that no account can have: they fail as an unknown one does, and are counted together."""

REFUSED = "The account or the password is wrong."
ENDED = "This login has ended; log in again."


@frozen(kw_only=True)
class Issued:
    """A ticket, and the login session that renews it."""

    login_session: str
    ticket: str
    expires: Timestamp
    account_id: int
    account: str


@frozen(kw_only=True)
class Claimant:
    """Who tries to log in, from where, and with which key (the public half of an Ed25519 pair, 32 bytes)."""

    account: str
    password: str
    public_key: bytes
    audiences: tuple[str, ...]
    peer: str
    delegate_id: int | None = None


class Logins:
    """Checks passwords and proofs, opens and ends login sessions, and has tickets signed."""

    _log = Logger()

    def __init__(
        self,
        *,
        live: LiveLocator,
        store: ILocatorStore,
        take_if_changed: Callable[[], Awaitable[None]],
        keys: KeyRing,
        hashes: PasswordHashes,
        policy: PasswordPolicy,
        clock: Clock,
        tasks: Tasks,
        metrics: Metrics,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._live = live
        self._store = store
        self._take_if_changed = take_if_changed
        self._keys = keys
        self._hashes = hashes
        self.policy = policy
        self._clock = clock
        self._tasks = tasks
        self._random_bytes = random_bytes
        self._turns: dict[str, DeferredLock] = {}
        self._unsaved_ends: dict[str, str] = {}
        self._logins = metrics.counter("spire_locator_logins", "Logins with a password, by outcome.", ["outcome"])
        self._renewals = metrics.counter("spire_locator_renewals", "Tickets renewed, by outcome.", ["outcome"])

    async def login(self, claimant: Claimant) -> Issued:
        """Check a password and open a login session.

        A password that is changed while the login is under way, or an account disabled then, is refused as a wrong one is.
        """
        if len(claimant.public_key) != 32:
            raise Invalid("An Ed25519 public key of 32 bytes is expected.", argument="public_key")
        audiences = claimant.audiences
        if not 0 < len(audiences) <= AUDIENCES or not all(a and a.isascii() and " " not in a for a in audiences):
            raise Invalid(f"1 to {AUDIENCES} service names, or '*', are expected.", argument="audiences")
        session = await self._opened(claimant)
        self._logins.labels(outcome="succeeded").inc()
        self._live.sessions.add(session)
        issued = self._issue(session)
        self._log.info(
            "{account} logged in from {peer}, session {login_session}",
            account=issued.account,
            peer=claimant.peer,
            login_session=session.login_session,
        )
        return issued

    async def renew(self, connection: Session, service: str, instance_id: str, key: str, proof: bytes) -> Issued:
        """Sign another ticket for a login session whose key proves to be at hand."""
        session = await self._session(key)
        held = session is not None and renewal_holds(
            session.public_key, proof, service=service, instance_id=instance_id, nonce=connection._nonce, session=key
        )
        if session is None or not held:
            self._renewals.labels(outcome="refused").inc()
            raise NotAuthenticated(ENDED if session is None else "The proof does not hold.")
        self._live.sessions.touch(key, self._clock.now())
        issued = self._issue(session)
        self._renewals.labels(outcome="succeeded").inc()
        return issued

    def logout(self, connection: Session) -> None:
        """End the caller's login session here and now; the store learns it as soon as it can."""
        key = connection.identity.login_session
        self._live.revoke([self._live.sessions.end(key, self._clock.now(), LOGGED_OUT)])
        self._unsaved_ends[key] = LOGGED_OUT
        self._tasks.spawn("locator.save_logout", self.save())

    async def check_own_password(self, account_id: int, password: str, peer: str) -> str:
        """Return the hash that the account's own password matches, else raise Invalid; wrong ones count as failed logins."""
        name = self._live.directory.entry(account_id).name
        try:
            return (await self._checked(name, password, peer, "The old password is wrong.")).password_hash
        except NotAuthenticated as error:
            raise Invalid(error.message, argument="old_password") from None

    async def new_hash(self, account: str, password: str) -> str:
        """Return the hash of a new password that the policy allows."""
        self.policy.check(password, account)
        return await self._hashes.make(password)

    def needs_old_password(self, actor: int, account_id: int) -> bool:
        """Whether the actor changes his own password; Forbidden where it is not his to change."""
        return check_password_change(self._live.directory, actor, account_id)

    def expire(self) -> None:
        """End idle sessions, and stop publishing old revocations; the store learns it with the next `save`."""
        for revocation in self._live.expire(self._clock.now()):
            self._unsaved_ends[revocation.login_session] = revocation.reason

    async def save(self) -> None:
        """Tell the store which sessions ended and which were used; what it cannot take now is told later.

        On record a session ended when that was told: the other Locators read what ended since they read last.
        """
        ends, self._unsaved_ends = self._unsaved_ends, {}
        touched = self._live.sessions.take_touched()
        try:
            if ends:
                await self._store.end_sessions(ends, self._clock.now())
                ends = {}
            if touched:
                await self._store.touch_sessions(touched)
        except StoreDown:
            self._unsaved_ends = {**self._unsaved_ends, **ends}
            self._live.sessions.put_back(touched)

    async def _opened(self, claimant: Claimant) -> LoginSession:
        """Return a login session that is on record, opened with a password that still held at that moment.

        Where the hash is another by then, because the password was changed or another login renewed its hash, the password
        is compared again; where an account or a delegate was disabled, at another Locator perhaps, it is refused.
        """
        cleared = [_account_subject(_account_key(claimant.account))]
        for _ in range(ATTEMPTS):
            credential = await self._checked(claimant.account, claimant.password, claimant.peer, REFUSED)
            new_hash = None
            if self._hashes.is_outdated(credential.password_hash):
                new_hash = await self._hashes.make(claimant.password)
            now = self._clock.now()
            session = LoginSession(
                login_session=self._random_bytes(16).hex(),
                account_id=credential.account_id,
                delegate_id=claimant.delegate_id,
                public_key=claimant.public_key,
                audiences=claimant.audiences,
                opened=now,
                last_used=now,
                peer=claimant.peer,
            )
            with store_errors():
                if await self._store.open_session(session, credential.password_hash, cleared, new_hash):
                    return session
                await self._take_if_changed()
            if may_no_longer_log_in(self._live.directory, session.account_id, session.delegate_id):
                self._logins.labels(outcome="refused").inc()
                raise NotAuthenticated(REFUSED)
        raise Unavailable("This account changes all the time; try again in a few seconds.")

    async def _session(self, key: str) -> LoginSession | None:
        """Return an open login session that may go on, from memory or, opened at another Locator, the store."""
        now = self._clock.now()
        session = self._live.sessions.get(key, now)
        if session is None and not self._live.sessions.is_ended(key):
            with store_errors():
                found = await self._store.find_session(key)
            if found is None:
                return None
            self._live.revoke([self._live.sessions.add(found)])
            session = self._live.sessions.get(key, now)
        if session is None:
            return None
        directory = self._live.directory
        holders = [i for i in (session.account_id, session.delegate_id) if i is not None]
        if any(holder not in directory for holder in holders):
            return None
        return None if may_no_longer_log_in(directory, session.account_id, session.delegate_id) else session

    async def _checked(self, name: str, password: str, peer: str, refusal: str) -> StoredCredential:
        """Return the credential behind name and password; wrong ones are counted and NotAuthenticated."""
        key = _account_key(name)
        async with self._turn(key):
            subjects = [_account_subject(key), f"peer:{peer}"]
            with store_errors():
                state = await self._store.login_state(key, subjects)
            self._check_back_off(state, subjects)
            credential = state.credential
            stored = None if credential is None else credential.password_hash
            matched = await self._hashes.matches(stored, password)
            if credential is not None and matched and not credential.disabled:
                return credential
            self._logins.labels(outcome="refused").inc()
            now = self._clock.now()
            forgotten = Timestamp(now - int(ACCOUNT_BACK_OFF.forgotten_seconds * NANOSECONDS))
            with store_errors():
                await self._store.record_failure(subjects, now, forgotten)
            self._log.warn("login of {account} from {peer} refused", account=name[:100], peer=peer)
            raise NotAuthenticated(refusal)

    def _check_back_off(self, state: LoginState, subjects: list[str]) -> None:
        now = self._clock.now()
        account, peer = (state.failures.get(subject) for subject in subjects)
        wait = max(ACCOUNT_BACK_OFF.wait_seconds(account, now), PEER_BACK_OFF.wait_seconds(peer, now))
        if wait > 0:
            self._logins.labels(outcome="too many").inc()
            raise Overloaded(
                f"Too many failed logins; try again in {wait:.0f} s.", reason="back_off", retry_seconds=int(wait) + 1
            )

    def _turn(self, name: str) -> "_Turn":
        lock = self._turns.setdefault(name, DeferredLock())
        if len(lock.waiting) >= WAITING_LOGINS:
            raise Overloaded("Too many logins of this account at once; try again in a few seconds.")
        return _Turn(self._turns, name, lock)

    def _issue(self, session: LoginSession) -> Issued:
        directory = self._live.directory
        account = directory.get(session.account_id)
        if account is None:
            raise Unavailable("The directory does not show this account yet; try again.")
        delegate = None if session.delegate_id is None else directory.entry(session.delegate_id)
        ticket, expires = self._keys.issue(
            session,
            account=account,
            delegate=delegate,
            roles=directory.roles(account.entry_id),
            capabilities=directory.capabilities(account.entry_id),
            services=tuple(self._live.registry.services),
            now=self._clock.now(),
        )
        return Issued(
            login_session=session.login_session,
            ticket=ticket,
            expires=expires,
            account_id=account.entry_id,
            account=account.name,
        )


class _Turn:
    """One login of an account at a time, so that parallel guesses are all counted."""

    def __init__(self, turns: dict[str, DeferredLock], name: str, lock: DeferredLock) -> None:
        self._turns = turns
        self._name = name
        self._lock = lock

    async def __aenter__(self) -> None:
        await self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()
        if not self._lock.locked and not self._lock.waiting:
            self._turns.pop(self._name, None)


def _account_key(name: str) -> str:
    """Return what an account is looked up, locked and counted by: every way to write its name gives the same."""
    try:
        return check_name(name).casefold()
    except Invalid:
        return NOBODY


def _account_subject(key: str) -> str:
    return f"account:{key[:200]}"
