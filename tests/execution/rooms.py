"""The rooms that Order Execution needs, in one process: shared by all tests of that process."""

from pathlib import Path
from typing import ClassVar

from spire.administration.client import AdministrationClient
from spire.administration.values import Limits, LimitTerms, RiskState
from spire.compliance.client import ComplianceClient
from spire.locator.client import Link
from spire.locator.credentials import Password
from spire.locator.values import TradingAccountTerms, TradingAccountType
from spire.testing.clock import ManualClock
from spire.testing.platform import Platform
from spire.values.amounts import Money, whole
from spire.values.codes import Currency
from spire.values.environment import Environment
from spire.values.orders import Capacity
from spire.values.risk import RiskMode
from spire.wire.client_session import ClientSession

SERVICE = "order_execution_service"
SECTION = '\n[order_execution]\nmarket_data_service = "market_data_service"\n'
LIMITS = LimitTerms(
    currency=Currency("USD"), buying_power=Money(whole(100_000)), net_loss=Money(whole(50_000)), transition_seconds=60
)


class Rooms:
    """The rooms that are shared by all tests of a process; only Order Execution begins anew with each."""

    shared: ClassVar["Rooms | None"] = None

    def __init__(self, home: Path) -> None:
        self.platform = Platform(home)
        self.clock: ManualClock = self.platform.clock
        file = self.platform.instance.layout.configuration("order-execution")
        text = file.read_text().partition("\n[order_execution]")[0]
        file.chmod(0o600)
        file.write_text(text + SECTION)
        self.platform.start("service-locator", "uid", "definitions", "administration", "market-data", "compliance")
        self.links: dict[str, Link] = {}
        self.passwords: dict[str, str] = {}
        self._second: int | None = None
        self.administration = AdministrationClient(self._ready("administration_service", "administrator"))
        self.risk_administration = AdministrationClient(self._ready("administration_service", "risk_service"))
        self.compliance = ComplianceClient(self._ready("compliance_service", "administrator"))
        calls = self.link("administrator").calls
        trader = self.platform.run(calls.find("trading_groups/demo/accounts/demo_trader"))
        self.trading_account_id = int(trader.entry_id)
        self.set_limits(LIMITS)

    def _ready(self, service: str, account: str) -> ClientSession:
        session = self.session(service, account)
        self.platform.run(session.when_ready())
        return session

    def officer(self, name: str) -> str:
        """Return the name of a risk officer's account, made at the first call."""
        return self._person(name, "risk_officer")

    def manager(self, name: str) -> str:
        """Return the name of an account that manages the group demo, made at the first call."""
        return self._person(name, "manager:demo")

    def _person(self, name: str, role: str) -> str:
        if name not in self.passwords:
            self.passwords[name] = f"{name}: a long phrase of a test"
            self.platform.run(self.administration.create_account(name, self.passwords[name], role))
        return name

    def second_account(self) -> int:
        """Return a second trading account of the group demo; its trader is `second_trader`."""
        if self._second is None:
            (group,) = [each for each in self.platform.run(self.administration.groups()) if each.name == "demo"]
            self.passwords["second_trader"] = "a long phrase of the second trader"
            terms = TradingAccountTerms(
                type=TradingAccountType.PROPRIETARY,
                firm_designated_id="second",
                base_currency="USD",
                default_capacity=Capacity.PRINCIPAL,
            )
            made = self.platform.run(
                self.administration.create_trader(
                    group.group_id, "second_trader", self.passwords["second_trader"], terms
                )
            )
            self._second = made.trading_account_id
            self.set_limits(LIMITS, self._second)
        return self._second

    def set_limits(self, terms: LimitTerms, trading_account_id: int | None = None) -> Limits:
        """Set the limits of a trading account, demo_trader's unless named."""
        number = trading_account_id or self.trading_account_id
        standing = self.platform.run(self.administration.standing(number))
        version = 0 if standing.limits is None else standing.limits.version
        return self.platform.run(
            self.administration.set_limits(number, terms, expected_version=version, reason="a test")
        )

    def set_risk_state(self, mode: RiskMode) -> RiskState:
        """Write the risk state of demo_trader's account, as the Risk Server does."""
        standing = self.platform.run(self.administration.standing(self.trading_account_id))
        version = 0 if standing.state is None else standing.state.version
        return self.platform.run(
            self.risk_administration.set_risk_state(
                self.trading_account_id, mode, expected_version=version, reason="a test"
            )
        )

    def link(self, account: str) -> Link:
        """Return an account's link to the Locator, logged in."""
        link = self.links.get(account)
        if link is None:
            parts = self.platform.parts()
            secret = self.passwords.get(account)
            if secret is None:
                secret = self.platform.instance.layout.secret(account).read_text().strip()
            link = Link(
                Password(account=account, password=secret),
                addresses=("127.0.0.1:20000",),
                connector=parts.connector,
                environment=Environment.DEMO,
                clock=parts.clock,
                tasks=parts.tasks,
                metrics=parts.metrics,
                random_bytes=parts.random_bytes,
            )
            link.start()
            self.platform.run(link.when_ready())
            self.links[account] = link
        return link

    def session(self, service: str, account: str) -> ClientSession:
        """Return a session of an account with a service, which may not be there yet."""
        parts = self.platform.parts()
        link = self.link(account)
        session = ClientSession(
            service,
            addresses=link,
            connector=parts.connector,
            credentials=link.credentials,
            environment=Environment.DEMO,
            clock=parts.clock,
            tasks=parts.tasks,
            metrics=parts.metrics,
        )
        session.start()
        return session


def rooms(directory: str) -> Rooms:
    """Return the shared rooms, started at the first call."""
    if Rooms.shared is None:
        Rooms.shared = Rooms(Path(directory).absolute())
    return Rooms.shared
