"""The rooms that Order Execution needs, in one process: shared by all tests of that process."""

import datetime
from pathlib import Path
from typing import ClassVar

from spire.administration.client import AdministrationClient
from spire.administration.values import Limits, LimitTerms, RiskState
from spire.compliance.client import ComplianceClient
from spire.locator.client import Link
from spire.locator.values import AccountKind, Right, TradingAccountTerms, TradingAccountType
from spire.testing.clock import ManualClock
from spire.testing.platform import Platform
from spire.values.amounts import Money, whole
from spire.values.codes import Currency
from spire.values.orders import Capacity
from spire.values.risk import RiskMode
from spire.values.time import local_date
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
        self._day: datetime.date | None = None
        self.administration = AdministrationClient(self._ready("administration_service", "administrator"))
        self.risk_administration = AdministrationClient(self._ready("administration_service", "risk_service"))
        self.compliance = ComplianceClient(self._ready("compliance_service", "administrator"))
        self._calls = self.link("administrator").calls
        self.trading_account_id = self.path("trading_groups/demo/accounts/demo_trader")
        self.set_limits(LIMITS)

    def _ready(self, service: str, account: str) -> ClientSession:
        session = self.session(service, account)
        self.platform.run(session.when_ready())
        return session

    def officer(self, name: str) -> str:
        """Return the name of a risk officer's account, made at the first call."""
        self._person(name, "risk_officers")
        return name

    def withdraw_officer(self, name: str) -> None:
        """Make somebody a trader who was a risk officer."""
        number, places = self.path(f"risk_officers/{name}"), ("trading_groups/demo/traders", "risk_officers")
        traders, officers = (self.path(place) for place in places)
        self.platform.run(self._calls.associate(number, traders))
        self.platform.run(self._calls.detach(number, officers))

    def manager(self, name: str) -> str:
        """Return the name of an account that manages the group demo, made at the first call."""
        if name not in self.passwords:
            number = self._person(name, "trading_groups/demo/managers")
            rights = Right.READ | Right.VIEW | Right.MANAGE
            self.platform.run(self._calls.grant(number, self.path("trading_groups/demo"), rights))
        return name

    def path(self, path: str) -> int:
        """Return the id of a directory entry."""
        return int(self.platform.run(self._calls.find(path)).entry_id)

    def _person(self, name: str, place: str) -> int:
        if name in self.passwords:
            return self.path(f"{place}/{name}")
        self.passwords[name] = f"a long phrase of a test {len(self.passwords)}"
        made = self._calls.make_account(name, self.path(place), AccountKind.PERSON, self.passwords[name])
        return self.platform.run(made)

    def trader(self, name: str) -> int:
        """Make a trader in the group demo with a trading account of the same name, without limits; return its id."""
        trader = self._person(name, "trading_groups/demo/traders")
        place = self.path("trading_groups/demo/accounts")
        return self.platform.run(
            self._calls.make_trading_account(name, place, self.account_terms(name), trader_id=trader)
        )

    def second_account(self) -> int:
        """Return a second trading account of the group demo; its trader is `second_trader`."""
        if self._second is None:
            self._second = self.trader("second_trader")
            self.set_limits(LIMITS, self._second)
        return self._second

    def account_terms(self, name: str) -> TradingAccountTerms:
        """Return the terms of a trading account in dollars."""
        return TradingAccountTerms(
            type=TradingAccountType.PROPRIETARY,
            firm_designated_id=name,
            base_currency="USD",
            default_capacity=Capacity.PRINCIPAL,
        )

    async def open_next_day(self) -> str:
        """Open the business date after the current one, tomorrow where there is none yet, and return it."""
        current = self._day or local_date(self.clock.now(), "America/New_York")
        self._day = current + datetime.timedelta(days=1)
        return (await self.administration.open_business_day(self._day.isoformat())).business_date

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
            link = self.links[account] = self.platform.link(account, self.passwords.get(account))
        return link

    def session(self, service: str, account: str) -> ClientSession:
        """Return a session of an account with a service, which may not be there yet."""
        return self.platform.session(service, self.link(account))


def rooms(directory: str) -> Rooms:
    """Return the shared rooms, started at the first call."""
    if Rooms.shared is None:
        Rooms.shared = Rooms(Path(directory).absolute())
    return Rooms.shared
