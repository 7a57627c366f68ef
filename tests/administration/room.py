"""Administration among the rooms that it needs, in one process, and people who are logged in."""

from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from spire.administration.client import AdministrationClient
from spire.administration.values import GrantTerms, LimitTerms
from spire.client.deployment import Deployment, LocatorAddresses
from spire.client.platform import Spire
from spire.database.errors import StoreDown
from spire.locator.credentials import Password
from spire.locator.values import AccountKind, Entry, TradingAccountTerms, TradingAccountType
from spire.service.audit import SETUP, audit_events
from spire.service.secrets import read_text
from spire.testing.platform import Platform
from spire.values.amounts import Money, whole
from spire.values.audit import AuditEvent, AuditQuery
from spire.values.codes import Currency, Venue
from spire.values.environment import Environment
from spire.values.orders import Capacity
from spire.wire.errors import NotFound, SpireError

SERVERS = ("service-locator", "uid", "definitions", "administration")
ROLE_PLACES = {"risk_officer": "risk_officers", "auditor": "auditors", "operator": "operators"}
GOOD_PASSWORD = "correct horse battery staple"
TERMS = TradingAccountTerms(
    type=TradingAccountType.PROPRIETARY,
    firm_designated_id="fresh",
    base_currency="USD",
    default_capacity=Capacity.PRINCIPAL,
)


def limit_terms(buying_power: int = 500_000, net_loss: int = 1_000, **more: Any) -> LimitTerms:
    """Return limits in whole dollars."""
    given = {"currency": Currency("USD"), "transition_seconds": 60, **more}
    return LimitTerms(buying_power=money(buying_power), net_loss=money(net_loss), **given)


def money(units: int) -> Money:
    """Return an amount of whole units."""
    return Money(whole(units))


def grant_terms(account_id: int, venue: str | None = "XNYS", **more: Any) -> GrantTerms:
    """Return a grant of a listing venue."""
    listing_venue = None if venue is None else Venue(venue)
    return GrantTerms(**{"account_id": account_id, "product": "demo", "listing_venue": listing_venue, **more})


class RoomTestCase(SynchronousTestCase):
    """Four rooms, and clients by account."""

    def setUp(self) -> None:
        """Start the rooms."""
        self.platform = Platform(Path(self.mktemp()).absolute())
        self.platform.start(*SERVERS)
        self.clock = self.platform.clock
        self.store = self.platform.administration_store
        self._clients: dict[str, Spire] = {}
        self.passwords: dict[str, str] = {}
        self.addCleanup(self._stop)

    def _stop(self) -> None:
        for client in self._clients.values():
            self.run_it(client.close())
        self.platform.stop()

    def run_it(self, work: Awaitable[Any], seconds: float = 30.0) -> Any:
        """Let time pass until it is done."""
        return self.platform.run(work, seconds)

    def refusal(self, work: Awaitable[Any]) -> SpireError:
        """Return what a call is refused with."""

        async def attempt() -> SpireError:
            try:
                await work
            except SpireError as error:
                return error
            raise self.failureException("nothing was refused")

        error: SpireError = self.run_it(attempt())
        return error

    def spire(self, account: str) -> Spire:
        """Return the platform as an account sees it."""
        if account not in self._clients:
            layout = self.platform.instance.layout
            password = self.passwords.get(account) or self.platform.instance.password(account)
            locator = LocatorAddresses(
                addresses=("127.0.0.1:20000",), authority=read_text(layout.tls / "authority.pem")
            )
            spire = Spire(
                Password(account=account, password=password),
                Deployment(environment=Environment.DEMO, locator=locator),
                clock=self.clock,
                connector=self.platform.network,
                random_bytes=self.platform.parts().random_bytes,
            )
            self.run_it(spire.open())
            self._clients[account] = spire
        return self._clients[account]

    def client(self, account: str = "administrator") -> AdministrationClient:
        """Return Administration's client of an account, connected."""
        spire = self.spire(account)
        self.run_it(spire.ready("administration_service"))
        return spire.administration

    def entry(self, path: str) -> Entry:
        """Return what stands at a path."""
        entry: Entry = self.run_it(self.spire("administrator").link.calls.find(path))
        return entry

    @property
    def trader(self) -> Entry:
        """The demo trader's account."""
        return self.entry("trading_groups/demo/traders/demo_trader")

    @property
    def book(self) -> Entry:
        """A trading account that the demo trader may trade and that nobody has set anything for."""
        try:
            return self.entry("trading_groups/demo/accounts/fresh")
        except NotFound:
            calls = self.spire("administrator").link.calls
            place = self.entry("trading_groups/demo/accounts")
            self.run_it(calls.make_trading_account("fresh", place.entry_id, TERMS, self.trader.entry_id))
            self.platform.advance(0.5)
            return self.entry("trading_groups/demo/accounts/fresh")

    def person(self, name: str, place: str) -> int:
        """Make a person in a directory, and return his id."""
        calls = self.spire("administrator").link.calls
        self.passwords[name] = GOOD_PASSWORD
        made = self.run_it(calls.make_account(name, self.entry(place).entry_id, AccountKind.PERSON, GOOD_PASSWORD))
        return int(made)

    def officer(self) -> AdministrationClient:
        """Return the client of a risk officer."""
        if "olga" not in self.passwords:
            self.person("olga", "risk_officers")
        return self.client("olga")

    def service(self, account: str) -> AdministrationClient:
        """Return Administration's client of a service's account."""
        return self.client(account)

    def events(self, **query: Any) -> tuple[AuditEvent, ...]:
        """Return the newest audit events of Administration, without those of set-up."""
        events, _ = self.run_it(audit_events(self.client().session, AuditQuery(**query)))
        return tuple(event for event in events if event.actor_name != SETUP)

    def outcomes(self, action: str) -> list[str]:
        """Return what came of attempts at an action, the newest first."""
        return [event.outcome for event in self.events(action=action)]

    def break_store(self, *methods: str) -> None:
        """Let methods of the store find the database away, until `repair_store`."""

        async def away(*_: object) -> None:
            raise StoreDown("the database is away")

        for method in methods:
            setattr(self.store, method, away)

    def repair_store(self, *methods: str) -> None:
        """Let the database be back."""
        for method in methods:
            delattr(self.store, method)
