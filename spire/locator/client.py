"""A process's link to the Service Locator, and the typed calls that one makes over it."""

from collections.abc import Callable, Mapping
from functools import partial
from os import urandom

from attrs import evolve
from twisted.logger import Logger
from zope.interface import implementer

from spire.locator import commands
from spire.locator.calls import LocatorClient
from spire.locator.credentials import CachedLogin, LocatorLogin, Password
from spire.locator.directory import Directory, has_lost_rights
from spire.locator.providers import ProviderViews
from spire.locator.values import (
    DIRECTORY,
    REVOCATIONS,
    SIGNING_KEYS,
    Entry,
    Revocation,
    SigningKey,
)
from spire.locator.verification import DirectoryVerifier
from spire.runtime.chance import Chance, RandomBytes, random_source
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.service.interfaces import ILocator
from spire.service.parts import Parts
from spire.service.sections import LocatorSection
from spire.values.environment import Environment
from spire.wire.addresses import FixedAddresses
from spire.wire.back_off import TO_LOCATOR
from spire.wire.client_session import ClientSession
from spire.wire.errors import Forbidden, SpireError, Unavailable
from spire.wire.identity import Identity, Provider
from spire.wire.interfaces import IAddresses, IConnector, ICredentials
from spire.wire.server_session import ServerFactory
from spire.wire.state_view import StateView
from spire.wire.ticket_credentials import TicketCredentials

SERVICE_NAME = "service_locator"

AGAIN_SECONDS = 1.0
"""From a registration that failed to the next attempt."""


@implementer(IAddresses)
class Link:
    """One account's link to the Service Locator: it logs in, stays logged in, and finds services.

    `session` is the session with a Locator, `credentials` log in to every other service, `login` holds what a shell
    keeps (`login.cached`). Several addresses are several Locators of one schema: any of them will do.
    """

    def __init__(
        self,
        how: Password | CachedLogin,
        *,
        addresses: tuple[str, ...],
        connector: IConnector,
        environment: Environment,
        clock: Clock,
        tasks: Tasks,
        metrics: Metrics,
        random_bytes: RandomBytes = urandom,
    ) -> None:
        self._clock = clock
        self._tasks = tasks
        self._metrics = metrics
        self._connector = connector
        self._environment = environment
        self.login = LocatorLogin(how, clock=clock, tasks=tasks, random_bytes=random_bytes)
        self.credentials: ICredentials = TicketCredentials(self.login, tasks)
        source = random_source(random_bytes)
        self.chance: Chance = source.random
        self.session = self._session(addresses, self.login)
        self._providers = ProviderViews(self.session, clock, source)
        self.calls = LocatorClient(self.session)

    @property
    def is_ready(self) -> bool:
        """Whether a Locator can be asked now."""
        return self.session.is_ready

    def start(self) -> None:
        """Begin to connect, and keep connecting."""
        self.session.start()

    async def stop(self) -> None:
        """Close the connection; the login session stays open."""
        self.login.rest()
        await self.session.stop()

    async def when_ready(self, timeout_seconds: float | None = None) -> None:
        """Wait until a Locator can be asked; raises Unavailable after the time, CredentialsRefused for good."""
        await self.session.when_ready(timeout_seconds)

    def on_state(self, callback: Callable[[bool], None]) -> None:
        """Call back with whether the link is ready, at every change."""
        self.session.on_state(callback)

    async def addresses(self, service: str) -> list[Provider]:
        """Return the providers of a service as last known; raises Unavailable before the first answer."""
        return await self._providers.addresses(service)

    def on_change(self, callback: Callable[[str], None]) -> None:
        """Call back with a service's name when its providers change."""
        self._providers.on_change(callback)

    def _session(self, addresses: tuple[str, ...], credentials: ICredentials) -> ClientSession:
        return ClientSession(
            SERVICE_NAME,
            addresses=FixedAddresses(SERVICE_NAME, addresses, self._environment),
            connector=self._connector,
            credentials=credentials,
            environment=self._environment,
            clock=self._clock,
            tasks=self._tasks,
            metrics=self._metrics,
            chance=self.chance,
            back_off=TO_LOCATOR,
        )


@implementer(ILocator)
class LocatorLink(Link):
    """A server's link: it also follows the directory, verifies tickets and registers services.

    Keys, revocations, directory and providers hold as last received while no Locator can be reached, so that a Locator's
    restart stops nobody. With several addresses it registers at every Locator, because each knows its own providers.
    """

    _log = Logger()

    def __init__(self, section: LocatorSection, parts: Parts, environment: Environment) -> None:
        super().__init__(
            Password(account=section.account, password=section.secret_file.text),
            addresses=section.addresses,
            connector=parts.connector,
            environment=environment,
            clock=parts.clock,
            tasks=parts.tasks,
            metrics=parts.metrics,
            random_bytes=parts.random_bytes,
        )
        self._instance_id = parts.random_bytes(8).hex()
        self.directory = Directory()
        state = self.session.subscriptions.state
        self._entries: StateView[Entry] = state(DIRECTORY, Entry)
        self._revocations: StateView[Revocation] = state(REVOCATIONS, Revocation)
        self._keys: StateView[SigningKey] = state(SIGNING_KEYS, SigningKey)
        self._entries.observe(self._entry_changed)
        self._entries.observe_version(self._rights_changed)
        self._revocations.observe(self._revoked)
        self._verifier = DirectoryVerifier(
            keys=lambda: self._keys.rows,
            revocations=lambda: self._revocations.rows,
            directory=self.directory,
            environment=environment,
            clock=parts.clock,
        )
        self._factories: list[ServerFactory] = []
        self._registrations: dict[str, Provider] = {}
        self._registrars = [self.session]
        if len(section.addresses) > 1:
            self._registrars = [self._session((address,), self.credentials) for address in section.addresses]
        for registrar in self._registrars:
            registrar.on_state(partial(self._register_again, registrar))

    @property
    def is_ready(self) -> bool:
        """Whether a Locator can be asked now, and its topics have been received."""
        return self.session.is_ready and all(v.is_ready for v in (self._entries, self._revocations, self._keys))

    def start(self) -> None:
        """Begin to connect, and keep connecting."""
        super().start()
        for registrar in self._registrars:
            registrar.start()

    async def stop(self) -> None:
        """Log out and close."""
        await self.login.logout()
        for registrar in self._registrars:
            await registrar.stop()
        await super().stop()

    async def when_ready(self, timeout_seconds: float | None = None) -> None:
        """Wait until the Locator's topics are here."""
        await super().when_ready(timeout_seconds)
        for view in (self._entries, self._revocations, self._keys):
            await view.when_ready()

    # Verifying

    def verify(self, ticket: str, proof: bytes, service: str, instance_id: str, nonce: bytes) -> Identity:
        """Return who a ticket names; raises NotAuthenticated where it, or the proof, does not hold."""
        return self._verifier.verify(ticket, proof, service, instance_id, nonce)

    def guard(self, factory: ServerFactory) -> None:
        """Close sessions of this factory as soon as their login ends or their account loses rights."""
        self._factories.append(factory)

    def _entry_changed(self, _: str, old: Entry | None, new: Entry | None) -> None:
        if new is not None:
            self.directory.put(new)
        elif old is not None:
            self.directory.remove(old.entry_id)

    def _rights_changed(self) -> None:
        self._close(lambda identity: has_lost_rights(self.directory, identity))

    def _revoked(self, login_session: str, _: Revocation | None, new: Revocation | None) -> None:
        if new is not None:
            self._close(lambda identity: identity.login_session == login_session)

    def _close(self, lost: Callable[[Identity], bool]) -> None:
        for factory in self._factories:
            factory.revoke(lost)

    # Registering

    async def register(self, service: str, addresses: tuple[str, ...], properties: Mapping[str, str]) -> None:
        """Offer a service, now and after every reconnect; raises Forbidden without the right, Unavailable for now."""
        provider = Provider(
            service=service,
            instance_id=self._instance_id,
            addresses=addresses,
            account=self.login.account,
            environment=self._environment.name,
            properties=dict(properties),
        )
        await self._offer(provider)
        self._registrations[service] = provider

    async def set_load(self, service: str, load: int) -> None:
        """Tell the load of a registered service; clients prefer a lower one. One that is withdrawn has no load."""
        if service not in self._registrations:
            return
        provider = evolve(self._registrations[service], load=load)
        self._registrations[service] = provider
        await self._offer(provider)

    async def withdraw(self) -> None:
        """Take back everything registered here; a Locator that is away forgets it by itself."""
        providers, self._registrations = list(self._registrations.values()), {}
        for registrar in self._registrars:
            for provider in providers if registrar.is_ready else ():
                try:
                    await registrar.call(
                        commands.Withdraw,
                        service=provider.service,
                        instance_id=provider.instance_id,
                        timeout_seconds=2.0,
                    )
                except SpireError as error:
                    self._log.info("{service} was not withdrawn: {error}", service=provider.service, error=str(error))

    async def _offer(self, provider: Provider) -> None:
        """Register at every Locator that can be reached; Unavailable where none can."""
        ready = [registrar for registrar in self._registrars if registrar.is_ready]
        if not ready:
            raise Unavailable(f"No Service Locator can be reached to register {provider.service}.", in_doubt="no")
        for registrar in ready:
            await _register(registrar, provider)

    def _register_again(self, registrar: ClientSession, is_ready: bool) -> None:
        for provider in self._registrations.values() if is_ready else ():
            self._tasks.spawn(f"register {provider.service}", self._keep_trying(registrar, provider))

    async def _keep_trying(self, registrar: ClientSession, provider: Provider) -> None:
        """Register anew after a reconnect, until it holds, is refused for good, withdrawn, or the Locator goes again."""
        while registrar.is_ready and self._registrations.get(provider.service) is provider:
            try:
                await _register(registrar, provider)
            except Forbidden as error:
                self._log.error("{service} cannot be registered: {error}", service=provider.service, error=str(error))
                return
            except SpireError as error:
                self._log.info("{service} is not registered yet: {error}", service=provider.service, error=str(error))
                await self._clock.sleep(AGAIN_SECONDS)
            else:
                return


async def _register(registrar: ClientSession, provider: Provider) -> None:
    await registrar.call(
        commands.Register,
        service=provider.service,
        instance_id=provider.instance_id,
        addresses=provider.addresses,
        properties=provider.properties,
        load=provider.load,
    )
