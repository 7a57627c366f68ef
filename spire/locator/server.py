"""The Service Locator's application service: registration and login, by session; `editor` changes the directory."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attrs import frozen
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.logger import Logger

from spire.database.errors import StoreDown
from spire.locator.commits import DirectoryCommits, store_errors
from spire.locator.directory import ADMINISTRATOR, LOGIN_FOR
from spire.locator.editor import DirectoryEditor
from spire.locator.interfaces import ILocatorStore, Page
from spire.locator.keys import RETIREMENT_SECONDS, TICKET_SECONDS, KeyRing, load_or_make, signing_key, write_key
from spire.locator.live import LiveLocator
from spire.locator.logins import Claimant, Issued, Logins
from spire.locator.passwords import PasswordHashes, PasswordPolicy
from spire.locator.queries import Queries
from spire.locator.registry import in_order_of_load
from spire.locator.sessions import REVOCATION_SECONDS
from spire.runtime.chance import random_source
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.service.audit import AuditTrail
from spire.values.audit import AuditEvent, AuditQuery
from spire.values.environment import Environment
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.errors import Forbidden, Invalid
from spire.wire.identity import Provider
from spire.wire.publisher import Publisher
from spire.wire.server_session import Session
from spire.wire.tickets import make_key

SERVICE_NAME = "service_locator"

FOLLOW_SECONDS = 1.0
SAVE_SECONDS = 20.0
FORGET_SECONDS = 600.0
KEY_SETTLE_SECONDS = 5.0
"""From a new signing key's publication to its first use."""

OVERLAP_SECONDS = 120
"""How far back of the last reading other Locators' session ends are read again: their clocks and commits may lag."""

KEPT_SECONDS = 90 * 24 * 3600
"""How long the rows of ended login sessions are kept."""

FAILURES_KEPT_SECONDS = 3600
"""How long failure counts are kept; the back-off forgets them earlier."""

ADDRESSES = 16


@frozen(kw_only=True)
class LocatorParts:
    """What the application service is put together from."""

    store: ILocatorStore
    publisher: Publisher
    hashes: PasswordHashes
    policy: PasswordPolicy
    clock: Clock
    tasks: Tasks
    metrics: Metrics
    random_bytes: Callable[[int], bytes]
    environment: Environment
    instance_id: str
    signing_key_file: Path
    ticket_seconds: int = TICKET_SECONDS


class LocatorService:
    """Answers the commands of the Service Locator; every method takes the session first.

    What it knows stands in memory (`live`), what must last in the store. A change of the directory is checked against
    memory, committed if no other Locator was faster, and then published.
    """

    _log = Logger()

    def __init__(self, parts: LocatorParts) -> None:
        self._parts = parts
        self._clock = parts.clock
        self._store = parts.store
        self._random_order = random_source(parts.random_bytes)
        self._stops: list[Callable[[], None]] = []
        self._followed = Timestamp(0)
        self._key_file = parts.signing_key_file
        self._keys = KeyRing(environment=parts.environment, ticket_seconds=parts.ticket_seconds)
        self.live = LiveLocator(parts.publisher, instance_id=parts.instance_id)
        self.queries = Queries(self.live, parts.store)
        self._commits = commits = DirectoryCommits(
            live=self.live, store=parts.store, clock=parts.clock, random_bytes=parts.random_bytes
        )
        self.logins = Logins(
            live=self.live,
            store=parts.store,
            take_if_changed=commits.take_if_changed,
            keys=self._keys,
            hashes=parts.hashes,
            policy=parts.policy,
            clock=parts.clock,
            tasks=parts.tasks,
            metrics=parts.metrics,
            random_bytes=parts.random_bytes,
        )
        self._trail = AuditTrail(environment=parts.environment, clock=parts.clock, random_bytes=parts.random_bytes)
        self.editor = DirectoryEditor(
            live=self.live,
            store=parts.store,
            commits=commits,
            logins=self.logins,
            trail=self._trail,
        )

    # Life

    async def load(self) -> None:
        """Read directory, keys and login sessions, and begin to follow what other Locators write."""
        key = load_or_make(self._key_file, self._parts.random_bytes)
        self._keys.use(key)
        await self._publish_key(key)
        self.live.take_directory(await self._store.load_directory())
        now = self._clock.now()
        for session in await self._store.load_sessions(_before(now, REVOCATION_SECONDS)):
            self.live.revoke([self.live.sessions.add(session)])
        self._followed = now
        self.logins.expire()
        every = self._parts.tasks.every
        self._stops = [
            every("locator.follow", FOLLOW_SECONDS, self.follow),
            every("locator.save", SAVE_SECONDS, self.keep_house),
            every("locator.forget", FORGET_SECONDS, self._forget),
        ]

    async def stop(self) -> None:
        """Save the last use of the login sessions."""
        for stop in self._stops:
            stop()
        await self.logins.save()

    async def follow(self) -> None:
        """Take over what another Locator of the same schema changed; a store that is away changes nothing.

        What was put on record meanwhile is read when the store is back: nothing is passed over, however long it was away.
        """
        try:
            await self._commits.take_if_changed()
            now = self._clock.now()
            since = _before(min(self._followed, now), OVERLAP_SECONDS)
            for session in await self._store.ended_sessions(since):
                self.live.revoke([self.live.sessions.take_end(session, now)])
            self._followed = now
            self.live.take_keys(await self._store.signing_keys())
        except StoreDown:
            return

    async def keep_house(self) -> None:
        """End idle sessions, and save which sessions were used; a store that is away changes nothing."""
        with suppress(StoreDown):
            for key in self.live.sessions.idle(self._clock.now()):
                found = await self._store.find_session(key)
                if found is not None:
                    self.live.revoke([self.live.sessions.add(found)])
            self.logins.expire()
        await self.logins.save()

    async def _forget(self) -> None:
        now = self._clock.now()
        with suppress(StoreDown):
            await self._store.forget_before(_before(now, KEPT_SECONDS), _before(now, FAILURES_KEPT_SECONDS))

    # Login

    async def login(
        self, session: Session, account: str, password: str, public_key: bytes, audiences: tuple[str, ...]
    ) -> Issued:
        """Log in with a password."""
        claimant = Claimant(
            account=account, password=password, public_key=public_key, audiences=audiences, peer=host_of(session.peer)
        )
        return await self.logins.login(claimant)

    async def renew(self, session: Session, login_session: str, proof: bytes) -> Issued:
        """Sign another ticket of a login session."""
        return await self.logins.renew(session, SERVICE_NAME, self._parts.instance_id, key=login_session, proof=proof)

    async def login_for(
        self, session: Session, account: str, password: str, public_key: bytes, audiences: tuple[str, ...], peer: str
    ) -> Issued:
        """Log somebody in who acts through the caller; needs the capability `login.for`."""
        delegate_id = session.identity.account_id
        if LOGIN_FOR not in self.live.directory.capabilities(delegate_id):
            raise Forbidden("This account may not log others in.", capability=LOGIN_FOR)
        claimant = Claimant(
            account=account,
            password=password,
            public_key=public_key,
            audiences=audiences,
            peer=peer,
            delegate_id=delegate_id,
        )
        return await self.logins.login(claimant)

    # Registry

    def register(
        self,
        session: Session,
        service: str,
        instance_id: str,
        addresses: tuple[str, ...],
        properties: dict[str, str],
        load: int,
    ) -> None:
        """Offer a service as long as the session lasts."""
        if not 0 < len(addresses) <= ADDRESSES or not all(0 < len(address) <= 255 for address in addresses):
            raise Invalid(f"1 to {ADDRESSES} addresses are expected.", argument="addresses")
        provider = Provider(
            service=service,
            instance_id=instance_id,
            addresses=addresses,
            account=session.identity.account,
            environment=self._parts.environment.name,
            load=load,
            properties=properties,
        )
        self.live.register(session, provider)
        self._log.info(
            "{account} offers {service} at {addresses}", account=provider.account, service=service, addresses=addresses
        )

    def withdraw(self, session: Session, service: str, instance_id: str) -> None:
        """Take a registration back."""
        self.live.withdraw(session, service, instance_id)

    def locate(self, service: str) -> tuple[Provider, ...]:
        """Return the providers of a service."""
        return tuple(in_order_of_load(self.live.registry.providers(service), self._random_order))

    # Audit

    async def read_audit(self, query: AuditQuery) -> Page:
        """Return a page of the audit log. Raises StoreDown."""
        return await self._store.audit(query)

    # Signing keys

    async def rotate_signing_key(self, session: Session) -> str:
        """Put a new signing key in force; administrators only."""
        if ADMINISTRATOR not in self.live.directory.roles(session.identity.account_id):
            raise Forbidden("Only an administrator changes the signing key.", role=ADMINISTRATOR)
        key = make_key(self._parts.random_bytes)
        former = self._keys.key_id
        with store_errors():
            made = signing_key(key, self._clock.now()).key_id
            event = self._trail.event(session, "signing_key.rotate", f"signing_key:{made}", before=former, after=made)
            await self._publish_key(key, event)
        write_key(self._key_file, key)
        await self._clock.sleep(KEY_SETTLE_SECONDS)
        self._keys.use(key)
        with store_errors():
            await self._store.retire_signing_key(former, _before(self._clock.now(), -RETIREMENT_SECONDS))
            self.live.take_keys(await self._store.signing_keys())
        self._log.info("signing key {key_id} took over from {former}", key_id=self._keys.key_id, former=former)
        return self._keys.key_id

    async def _publish_key(self, key: Ed25519PrivateKey, event: AuditEvent | None = None) -> None:
        await self._store.add_signing_key(signing_key(key, self._clock.now()), event)
        self.live.take_keys(await self._store.signing_keys())


def host_of(peer: str) -> str:
    """Return the host of `host:port`."""
    return peer.rpartition(":")[0] or peer


def _before(now: Timestamp, seconds: int) -> Timestamp:
    return Timestamp(now - seconds * NANOSECONDS)
