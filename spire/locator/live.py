"""What a running Service Locator holds in memory and publishes: directory, sessions, providers, keys."""

import re
from collections.abc import Callable, Iterable, Mapping

from zope.interface import implementer

from spire.locator.directory import SERVICE, Directory, has_lost_rights
from spire.locator.keys import PLATFORM_SERVICES
from spire.locator.registry import Registry
from spire.locator.sessions import LoginSessions
from spire.locator.values import (
    DIRECTORY,
    PROVIDERS,
    REVOCATIONS,
    SIGNING_KEYS,
    Change,
    Entry,
    Revocation,
    SigningKey,
    StoredDirectory,
)
from spire.values.time import Timestamp
from spire.wire.errors import Forbidden, NotFound, Overloaded
from spire.wire.identity import Identity, Provider
from spire.wire.publisher import Publisher, Topic
from spire.wire.server_session import Session
from spire.wire.state_topic import StateTopic
from spire.wire.topics import ITopics

SERVICE_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
UNKNOWN_SERVICES = 1_000
"""Names that may be followed at once although they are none of the platform's and nobody ever offered them here."""


@implementer(ITopics)
class LiveLocator:
    """The memory of a Locator; every change goes through here, and out to the topics in the same turn.

    `on_rights` is called after rights may have been withdrawn: with what tells the identities that lost theirs.
    """

    def __init__(self, publisher: Publisher, *, instance_id: str) -> None:
        self._publisher = publisher
        self._instance_id = instance_id
        self.directory = Directory()
        self.version = 0
        self.next_entry_id = 1
        self.sessions = LoginSessions()
        self.registry = Registry()
        self.on_rights: Callable[[Callable[[Identity], bool]], object] = _nobody_listens
        self._entries: StateTopic[Entry] = publisher.state(DIRECTORY, Entry, instance_id=instance_id)
        self._revocations: StateTopic[Revocation] = publisher.state(REVOCATIONS, Revocation, instance_id=instance_id)
        self._keys: StateTopic[SigningKey] = publisher.state(SIGNING_KEYS, SigningKey, instance_id=instance_id)
        self._providers: dict[str, StateTopic[Provider]] = {}
        self._unknown: set[str] = set()

    def take_directory(self, stored: StoredDirectory) -> None:
        """Take the whole directory, as the store holds it."""
        self.version = stored.version
        self.next_entry_id = stored.next_entry_id
        self.directory.replace(stored.entries)
        self._entries.replace({str(entry.entry_id): entry for entry in stored.entries})
        self._check_rights()

    def apply(self, change: Change, next_entry_id: int) -> None:
        """Take a committed change, which made the next version."""
        self.version += 1
        self.next_entry_id = max(self.next_entry_id, next_entry_id)
        for entry in change.put:
            self.directory.put(entry)
            self._entries.put(str(entry.entry_id), entry)
        for entry_id in change.removed:
            self.directory.remove(entry_id)
            self._entries.remove(str(entry_id))
        self._check_rights()

    def end_account(self, account_id: int, now: Timestamp, reason: str, kept: str | None = None) -> None:
        """End the login sessions of an account, and those that it opened for others."""
        ending = [s.login_session for s in self.sessions.of_account(account_id) if s.login_session != kept]
        self.revoke(self.sessions.end(key, now, reason) for key in ending)

    def revoke(self, revocations: Iterable[Revocation | None]) -> None:
        """Publish revocations, and close the sessions here that they concern."""
        ended = set()
        for revocation in revocations:
            if revocation is not None:
                ended.add(revocation.login_session)
                self._revocations.put(revocation.login_session, revocation)
        if ended:
            self.on_rights(lambda identity: identity.login_session in ended)

    def expire(self, now: Timestamp) -> list[Revocation]:
        """End idle sessions and stop publishing old revocations; return the new ones."""
        ended, dropped = self.sessions.expire(now)
        self.revoke(ended)
        for key in dropped:
            self._revocations.remove(key)
        return ended

    def take_keys(self, keys: Iterable[SigningKey]) -> None:
        """Publish these signing keys, and no others."""
        self._keys.replace({key.key_id: key for key in keys})

    @property
    def keys(self) -> Mapping[str, SigningKey]:
        """The published signing keys, by id."""
        return self._keys.rows

    @property
    def revocations(self) -> Mapping[str, Revocation]:
        """The published revocations, by login session."""
        return self._revocations.rows

    def register(self, session: Session, provider: Provider) -> None:
        """Publish a provider, as long as its session lasts; what is refused leaves nothing behind."""
        capabilities = self.directory.capabilities(session.identity.account_id)
        self.registry.check(provider, capabilities)
        self._topic_of(provider.service).put(provider.instance_id, provider)
        self._unknown.discard(provider.service)
        self.registry.register(session.id, provider, capabilities)

    def withdraw(self, session: Session, service: str, instance_id: str) -> None:
        """Take a provider of a session away."""
        provider = self.registry.withdraw(session.id, service, instance_id)
        self._topic_of(service).remove(provider.instance_id)

    def session_closed(self, session: Session) -> None:
        """Take away what a session had registered."""
        for provider in self.registry.withdraw_session(session.id):
            self._topic_of(provider.service).remove(provider.instance_id)

    async def open_topic(self, session: Session, name: str) -> Topic:
        """Return a topic for a session: services see all, people the providers only."""
        if name.startswith(PROVIDERS):
            return self._followed(name.removeprefix(PROVIDERS))
        topic = self._publisher.find(name)
        if topic is None:
            raise NotFound(f"The Service Locator has no topic {name}.", topic=name)
        if SERVICE not in self.directory.roles(session.identity.account_id):
            raise Forbidden(f"Only services follow {name}; ask for entries with FindEntry.", topic=name)
        return topic

    def _followed(self, service: str) -> StateTopic[Provider]:
        """Return the topic of a service for somebody who asks; everybody may ask for names that nobody offers."""
        is_unknown = service not in self._providers and service not in PLATFORM_SERVICES
        if is_unknown and len(self._unknown) >= UNKNOWN_SERVICES:
            self._forget_unknown()
            if len(self._unknown) >= UNKNOWN_SERVICES:
                raise Overloaded(f"{UNKNOWN_SERVICES} services that nobody offers are followed already.")
        topic = self._topic_of(service)
        if is_unknown:
            self._unknown.add(service)
        return topic

    def _forget_unknown(self) -> None:
        """Drop the topics that nobody reads and that never had a row, so that whoever resumes misses nothing."""
        for service in [name for name in self._unknown if not self._providers[name].readers]:
            self._publisher.drop(self._providers.pop(service).name)
            self._unknown.remove(service)

    def _topic_of(self, service: str) -> StateTopic[Provider]:
        topic = self._providers.get(service)
        if topic is not None:
            return topic
        if SERVICE_NAME.fullmatch(service) is None:
            raise NotFound("A service name has 1 to 64 lower-case letters, digits and '_'.", argument="service")
        topic = self._publisher.state(f"{PROVIDERS}{service}", Provider, instance_id=self._instance_id)
        self._providers[service] = topic
        return topic

    def _check_rights(self) -> None:
        self.on_rights(lambda identity: has_lost_rights(self.directory, identity))


def _nobody_listens(_: Callable[[Identity], bool]) -> None:
    """Do nothing: there is no port yet whose sessions could be closed."""
