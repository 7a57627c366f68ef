"""The platform as one logged-in account sees it: one object that hands out every service's client."""

from collections.abc import Callable
from os import urandom
from types import TracebackType
from typing import Any, Self

from twisted.internet.defer import CancelledError

from spire.administration.client import AdministrationClient
from spire.charting.client import ChartingClient
from spire.client.cached_login import CachedLogin
from spire.client.deployment import Deployment
from spire.client.outcome import settled
from spire.compliance.client import ComplianceClient
from spire.definitions.client import DefinitionsClient
from spire.execution.client import OrderExecutionClient
from spire.execution.values import OrderView
from spire.locator.calls import LocatorClient
from spire.locator.client import Link
from spire.locator.credentials import CachedLogin as LocatorLogin
from spire.locator.credentials import Password
from spire.marketdata.client import MarketDataClient
from spire.risk.client import RiskClient
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.wire.client_session import ClientSession
from spire.wire.errors import SpireError
from spire.wire.interfaces import IConnector
from spire.wire.tls import TlsConnector

CONNECT_SECONDS = 10.0
STOP_SECONDS = 5.0
SLOW_SECONDS = 1.0


class Spire:
    """One account's way to every server.

    Each service's client connects when it is first asked for, stays connected, and comes back by itself after a server
    was away. `async with` closes it::

        async with Spire.login(reactor, find_deployment(), "demo", password) as spire:
            await spire.definitions_ready()

    `on_slow` is called with a session that is awaited for more than a second: a person may be told why nothing happens.
    `connect_seconds` is how long a service is waited for where the call does not say.
    Prices and quantities are integers scaled by 10**6, times are nanoseconds since 1970 UTC (`spire.values`).
    """

    def __init__(
        self,
        how: Password | LocatorLogin,
        deployment: Deployment,
        *,
        clock: Clock,
        connector: IConnector,
        random_bytes: Callable[[int], bytes] = urandom,
    ) -> None:
        self.deployment = deployment
        self.clock = clock
        self.metrics = Metrics()
        self.tasks = Tasks(clock, self.metrics)
        self._connector = connector
        self.link = Link(
            how,
            addresses=deployment.locator.addresses,
            connector=connector,
            environment=deployment.environment,
            clock=clock,
            tasks=self.tasks,
            metrics=self.metrics,
            random_bytes=random_bytes,
        )
        self.connect_seconds = CONNECT_SECONDS
        self.on_slow: Callable[[ClientSession], None] = lambda _: None
        self._sessions: dict[str, ClientSession] = {}
        self._definitions: DefinitionsClient | None = None
        self._market_data: MarketDataClient | None = None
        self._charting: ChartingClient | None = None
        self._orders: OrderExecutionClient | None = None
        self._administration: AdministrationClient | None = None
        self._compliance: ComplianceClient | None = None
        self._risk: RiskClient | None = None

    @classmethod
    def login(cls, reactor: Any, deployment: Deployment, account: str, password: str) -> Self:
        """Return the platform for an account and its password; entering the `async with` block logs in."""
        return cls(
            Password(account=account, password=password),
            deployment,
            clock=Clock(reactor),
            connector=TlsConnector(str(deployment.locator.authority.path)),
        )

    @classmethod
    def resume(cls, reactor: Any, deployment: Deployment, login: CachedLogin) -> Self:
        """Return the platform for a login that was kept (`spire login`)."""
        return cls(
            LocatorLogin(login_session=login.login_session, key=login.key),
            deployment,
            clock=Clock(reactor),
            connector=TlsConnector(str(deployment.locator.authority.path)),
        )

    async def open(self, timeout_seconds: float | None = None) -> None:
        """Log in at the Service Locator. Raises CredentialsRefused, or Unavailable after the time."""
        self.link.start()
        await self._awaited(self.link.session, timeout_seconds)

    async def close(self) -> None:
        """Close every connection; the login session stays open, so that a kept login goes on."""
        if self._definitions is not None:
            self._definitions.close()
        for session in self._sessions.values():
            await session.stop()
        await self.link.stop()
        await self.tasks.drain(STOP_SECONDS)

    async def logout(self) -> None:
        """End the login session everywhere."""
        await self.link.login.logout()

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except (SpireError, CancelledError):
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def account(self) -> str:
        """The account's name, once logged in."""
        return self.link.login.account

    @property
    def account_id(self) -> int:
        """The account's id, once logged in."""
        return self.link.login.account_id

    @property
    def cached_login(self) -> CachedLogin:
        """What a shell keeps in order to stay logged in."""
        kept = self.link.login.cached
        return CachedLogin(
            account=self.account,
            environment=self.deployment.environment,
            login_session=kept.login_session,
            key=kept.key,
        )

    @property
    def directory(self) -> LocatorClient:
        """Accounts, trading accounts, directories and rights, as far as the account may see and change them."""
        return self.link.calls

    @property
    def definitions(self) -> DefinitionsClient:
        """Reference data, live. Before the first snapshot its views raise Unavailable; see `definitions_ready`."""
        if self._definitions is None:
            self._definitions = DefinitionsClient(self.session("definitions_service"))
        return self._definitions

    async def definitions_ready(self, timeout_seconds: float | None = None) -> DefinitionsClient:
        """Return the reference data once it is here."""
        definitions = self.definitions
        await self.ready("definitions_service", timeout_seconds)
        await definitions.when_ready()
        return definitions

    @property
    def market_data(self) -> MarketDataClient:
        """Quotes, trades and the book: of the past, now and live, from the service that the deployment names."""
        if self._market_data is None:
            self._market_data = MarketDataClient(self.session(self.deployment.market_data_service))
        return self._market_data

    @property
    def charting(self) -> ChartingClient:
        """Candles: of the past, and as they change."""
        if self._charting is None:
            self._charting = ChartingClient(self.session("charting_service"))
        return self._charting

    @property
    def orders(self) -> OrderExecutionClient:
        """Orders: submit, cancel, query, and an account's activity."""
        if self._orders is None:
            self._orders = OrderExecutionClient(self.session("order_execution_service"))
        return self._orders

    @property
    def administration(self) -> AdministrationClient:
        """Groups, limits, risk states, entitlements, identities and business days."""
        if self._administration is None:
            self._administration = AdministrationClient(self.session("administration_service"))
        return self._administration

    @property
    def compliance(self) -> ComplianceClient:
        """Rules, and violations of them."""
        if self._compliance is None:
            self._compliance = ComplianceClient(self.session("compliance_service"))
        return self._compliance

    @property
    def risk(self) -> RiskClient:
        """Positions and profit as the Risk Server has them, and the release of accounts."""
        if self._risk is None:
            self._risk = RiskClient(self.session("risk_service"))
        return self._risk

    async def settled(self, order: OrderView, timeout_seconds: float = 2.0) -> OrderView:
        """Return an order once its fate is known: it has ended, or it rests in the market, or the time is over."""
        return await settled(self.orders, order, clock=self.clock, timeout_seconds=timeout_seconds)

    async def ready(self, service: str, timeout_seconds: float | None = None) -> ClientSession:
        """Return the session with a service once it is ready. Raises Unavailable after the time, or the refusal."""
        session = self.session(service)
        await self._awaited(session, timeout_seconds)
        return session

    async def _awaited(self, session: ClientSession, timeout_seconds: float | None) -> None:
        seconds = self.connect_seconds if timeout_seconds is None else timeout_seconds
        slow = self.clock.later(SLOW_SECONDS, lambda: self.on_slow(session))
        try:
            await session.when_ready(seconds)
        finally:
            if slow.active():
                slow.cancel()

    def session(self, service: str) -> ClientSession:
        """Return the session with a service, made and started at the first call."""
        session = self._sessions.get(service)
        if session is None:
            session = self._sessions[service] = ClientSession(
                service,
                addresses=self.link,
                connector=self._connector,
                credentials=self.link.credentials,
                environment=self.deployment.environment,
                clock=self.clock,
                tasks=self.tasks,
                metrics=self.metrics,
                chance=self.link.chance,
            )
            session.start()
        return session
