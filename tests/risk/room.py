"""The Risk Server among all rooms, in one process: real taps, memory stores, one clock, a feed in the test's hand."""

from collections.abc import Awaitable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from spire.administration.client import AdministrationClient
from spire.administration.values import LimitTerms, RiskState
from spire.client.positions import ActivityLedger
from spire.database.errors import CommitUnknown, StoreDown, StoreError
from spire.execution.client import OrderExecutionClient
from spire.execution.values import OrderRequest, OrderScope, OrderView
from spire.feeds.client import FeedClient
from spire.locator.client import Link
from spire.locator.values import AccountKind, TradingAccountTerms, TradingAccountType
from spire.marketdata.commands import FeedTerms
from spire.marketdata.values import BboKind, Present, RecordType, Schedule, ServedMarket, empty
from spire.risk import tap
from spire.risk.client import RiskClient
from spire.risk.kept import Baseline, Opened, Saved
from spire.risk.memory import MemoryRiskStore
from spire.risk.values import Portfolio
from spire.testing.platform import Platform
from spire.values.amounts import Money
from spire.values.audit import AuditEvent
from spire.values.codes import Currency
from spire.values.environment import Environment, FeedKind
from spire.values.orders import Capacity, OrderType, Side, Status
from spire.values.risk import RiskMode
from spire.values.time import NANOSECONDS, Timestamp, parse_timestamp
from spire.wire.client_session import ClientSession
from spire.wire.errors import SpireError
from tests.values.examples import dollars, shares

BAC, IBM = 1, 2
XNYS = 8
OPEN = parse_timestamp("2013-10-08T13:30:00Z")
CLOSE = parse_timestamp("2013-10-08T20:00:00Z")
TODAY, TOMORROW = "2013-10-08", "2013-10-09"
SERVERS = (
    "service-locator",
    "uid",
    "definitions",
    "administration",
    "market-data",
    "market-data-relay",
    "compliance",
    "order-execution",
)
LIMITS = LimitTerms(
    currency=Currency("USD"),
    buying_power=Money(dollars(1_000_000)),
    net_loss=Money(dollars(100)),
    transition_seconds=30,
)


class FragileRiskStore(MemoryRiskStore):
    """A memory store that can be away, take nothing, take no more records, or take them without an answer."""

    is_down = False
    takes_records = True
    answers_records: bool | None = True
    """None: neither taken nor answered."""
    refusal: StoreError | None = None

    async def save(self, saved: Saved) -> None:
        """Write, or be away."""
        self._look()
        await super().save(saved)

    async def record(self, baselines: Any, opened: Any, audit: Any) -> None:
        """Write, or be away."""
        self._look()
        if not self.takes_records:
            raise StoreDown("the database went away")
        if self.answers_records is not None:
            await super().record(baselines, opened, audit)
        if not self.answers_records:
            raise CommitUnknown("the connection was lost during commit")

    async def baselines(self, trading_account_id: int, after: int, limit: int) -> tuple[Baseline, ...]:
        """Read, or be away."""
        self._look()
        return await super().baselines(trading_account_id, after, limit)

    def _look(self) -> None:
        if self.is_down:
            raise StoreDown("the database is away")
        if self.refusal is not None:
            raise self.refusal

    def recover(self) -> None:
        """Be there again, and take everything."""
        self.is_down, self.takes_records, self.answers_records, self.refusal = False, True, True, None

    def last_baseline(self, account_id: int) -> Baseline:
        """Return the last record of an account."""
        found = self._baselines[account_id]
        return found[max(found)]

    def opened_day(self, account_id: int) -> Opened:
        """Return what was opened for an account."""
        return self._opened[account_id]

    def forget_audit(self) -> None:
        """Begin the audit log anew."""
        self._audit.events.clear()

    def audited(self, action: str) -> list[AuditEvent]:
        """Return the audit events of an action, in order."""
        return [event for event in self._audit.events if event.action == action]


class RiskRoomTestCase(SynchronousTestCase):
    """A platform with an open business day, a quote of BAC at 14.00 to 14.02, and a trader of each test's own."""

    is_shared: ClassVar[bool] = False
    """Whether the tests of the class share the platform: they leave the business day, and nothing that stops others."""

    size = 1_000
    """Shares of a quote; where the platform is shared Risk also closes what accounts of other tests hold."""

    platform: Platform
    store: FragileRiskStore
    links: dict[str, Link]
    passwords: dict[str, str]
    officer = "officer"
    feeds = 0

    def setUp(self) -> None:
        """Start everything, where the platform is shared for the first test of the class, and make a trader."""
        place: Any = type(self) if self.is_shared else self
        is_first = "platform" not in place.__dict__
        if is_first:
            place.platform = Platform(Path(self.mktemp()).absolute())
            place.links, place.passwords = {}, {}
            place.store = FragileRiskStore()
            if not self.is_shared:
                self.addCleanup(self.platform.stop)
            self.platform.start(*SERVERS)
        self.numbers = 0
        self.now = Timestamp(OPEN + NANOSECONDS)
        self.administration = AdministrationClient(self.ready("administration_service", "administrator"))
        self.addCleanup(self.platform.network.faults.refuse.clear)
        self.addCleanup(self.store.recover)
        if is_first:
            self.run_(self.administration.open_business_day(TODAY))
        self.feed = self.open_feed()
        self.quote(13.99, 14.02)
        self.quote(14.00, 14.02)
        if is_first:
            self.start_risk()
            self.person(self.officer, "risk_officer")
        if self.is_shared:
            self.name = f"trader{len(self.passwords)}"
            self.account = self.trader(self.name)
        else:
            self.name = "demo_trader"
            self.account = self.trading_account(self.name)
            self.set_limits()
        self.orders = self.orders_of(self.name)
        self.ledger = ActivityLedger(self.orders, self.account)
        self.risk = self.risk_of(self.officer)
        if is_first:
            self.run_(self.risk.open_day(TODAY))
        self.advance(1.5)

    @classmethod
    def tearDownClass(cls) -> None:
        """Stop a platform that was shared."""
        if "platform" in cls.__dict__:
            for link in cls.links.values():
                cls.platform.run(link.stop())
            cls.platform.stop()

    # Servers

    def start_risk(self) -> None:
        """Start the Risk Server on what the store holds."""
        room = tap.make_room(self.platform.configuration("risk"), self.platform.parts(), store=self.store)
        self.platform.rooms["risk"] = room
        self.platform.run(room.start())

    def restart_risk(self) -> None:
        """Stop the Risk Server and start it again."""
        self.platform.stop("risk")
        self.start_risk()
        self.run_(self.risk.session.when_ready())
        self.advance(1.0)

    # People

    def link(self, account: str) -> Link:
        """Return an account's link to the Locator, logged in."""
        link = self.links.get(account)
        if link is None:
            link = self.links[account] = self.platform.link(account, self.passwords.get(account))
            if not self.is_shared:
                self.addCleanup(lambda: self.run_(link.stop()))
        return link

    def session(self, service: str, account: str) -> ClientSession:
        """Return a session of an account with a service, which may not be there yet."""
        session = self.platform.session(service, self.link(account))
        self.addCleanup(lambda: self.run_(session.stop()))
        return session

    def ready(self, service: str, account: str) -> ClientSession:
        """Return a session that is ready."""
        session = self.session(service, account)
        self.run_(session.when_ready())
        return session

    def risk_of(self, account: str) -> RiskClient:
        """Return an account's client of the Risk Server."""
        return RiskClient(self.ready("risk_service", account))

    def orders_of(self, account: str) -> OrderExecutionClient:
        """Return an account's client of Order Execution."""
        return OrderExecutionClient(self.ready("order_execution_service", account))

    def person(self, name: str, role: str) -> str:
        """Make a person's account in a role's directory, and return its name."""
        self.make_account(name, f"{role}s")
        return name

    def make_account(self, name: str, place: str) -> int:
        """Make a person's account in a directory."""
        self.passwords[name] = f"a long phrase of number {len(self.passwords)}"
        calls = self.link("administrator").calls
        parent = self.run_(calls.find(place)).entry_id
        return int(self.run_(calls.make_account(name, parent, AccountKind.PERSON, self.passwords[name])))

    def trader(self, name: str, currency: str = "USD") -> int:
        """Make a second trader of the group demo, and return his trading account, with limits."""
        trader = self.make_account(name, "trading_groups/demo/traders")
        calls = self.link("administrator").calls
        place = self.run_(calls.find("trading_groups/demo/accounts")).entry_id
        account = int(self.run_(calls.make_trading_account(name, place, self.terms(name, currency), trader)))
        self.advance(0.2)
        self.set_limits(account=account)
        return account

    def terms(self, name: str, currency: str = "USD") -> TradingAccountTerms:
        """Return the fields of a trading account."""
        return TradingAccountTerms(
            type=TradingAccountType.PROPRIETARY,
            firm_designated_id=name,
            base_currency=currency,
            default_capacity=Capacity.PRINCIPAL,
        )

    def trading_account(self, name: str) -> int:
        """Return the id of a trading account of the group demo."""
        entry = self.run_(self.link("administrator").calls.find(f"trading_groups/demo/accounts/{name}"))
        return int(entry.entry_id)

    # Limits and states

    def set_limits(self, *, account: int | None = None, **changes: Any) -> None:
        """Set limits of an account, demo_trader's unless named."""
        number = account or self.account
        standing = self.run_(self.administration.standing(number))
        version = 0 if standing.limits is None else standing.limits.version
        terms = evolve(LIMITS, **changes)
        self.run_(self.administration.set_limits(number, terms, expected_version=version, reason="a test"))
        self.advance(0.2)

    def state(self, account: int | None = None) -> RiskState | None:
        """Return the risk state that Administration holds."""
        found: RiskState | None = self.run_(self.administration.standing(account or self.account)).state
        return found

    def mode(self, account: int | None = None) -> RiskMode:
        """Return the mode that Administration holds."""
        found = self.state(account)
        return RiskMode.ACTIVE if found is None else found.mode

    def portfolio(self, account: int | None = None) -> Portfolio:
        """Return where an account stands, as Risk says."""
        portfolio, _ = self.run_(self.risk.load(account or self.account))
        return portfolio

    # The market

    def open_feed(self, trade_date: str = TODAY) -> FeedClient:
        """Open a feed session of quotes and prints of the New York Stock Exchange."""
        RiskRoomTestCase.feeds += 1
        session = self.ready("market_data_feed_service", "replay_feed")
        parts = self.platform.parts()
        terms = FeedTerms(
            name=f"feed {self.feeds} of {trade_date}",
            kind=FeedKind.REPLAY,
            trade_date=trade_date,
            schedule=Schedule.NORMAL,
            environment=Environment.DEMO,
            serves=tuple(ServedMarket(venue=XNYS, record_type=each) for each in (RecordType.BBO, RecordType.TRADE)),
        )
        feed = FeedClient(session, terms, clock=parts.clock, tasks=parts.tasks)
        self.run_(feed.start())
        self.addCleanup(lambda: self.run_(feed.stop()))
        return feed

    def quote(
        self,
        bid: float | None,
        ask: float | None,
        *,
        size: int | None = None,
        instrument: int = BAC,
        time: Timestamp | None = None,
    ) -> None:
        """Publish a quote, and wait until it is everywhere."""
        self.now = Timestamp(self.now + NANOSECONDS) if time is None else time
        record = empty(RecordType.BBO, 1)
        record["instrument"] = instrument
        record["venue"] = record["bid_venue"] = record["ask_venue"] = XNYS
        record["source_time"] = self.now
        record["kind"] = BboKind.NATIONAL
        for name, price, bit in (("bid", bid, Present.BID), ("ask", ask, Present.ASK)):
            if price is not None:
                record[name] = dollars(price)
                record[f"{name}_size"] = shares(size or self.size)
                record["present"] |= np.uint16(bit)
        self.run_(self.feed.publish({RecordType.BBO: record}, 1))
        self.run_(self.feed.flushed())
        self.advance(0.3)

    def print_(self, price: float, *, conditions: int = 0, instrument: int = BAC) -> None:
        """Publish a print."""
        record = empty(RecordType.TRADE, 1)
        record["instrument"] = instrument
        record["venue"] = XNYS
        record["source_time"] = self.now
        record["price"], record["size"] = dollars(price), shares(100)
        record["conditions"] = conditions
        self.run_(self.feed.publish({RecordType.TRADE: record}, 1))
        self.run_(self.feed.flushed())
        self.advance(0.3)

    # Orders

    def request(self, side: Side, count: int, limit: float | None = None, **changes: Any) -> OrderRequest:
        """Return an order in BAC."""
        self.numbers += 1
        fields: dict[str, Any] = {
            "client_order_id": f"test-{self.numbers}",
            "trading_account_id": self.account,
            "ticker": "BAC.XNYS",
            "side": side,
            "type": OrderType.MARKET if limit is None else OrderType.LIMIT,
            "quantity": shares(count),
            "limit_price": None if limit is None else dollars(limit),
        }
        return OrderRequest(**(fields | changes))

    def submit(
        self, side: Side, count: int, limit: float | None = None, *, settle: float = 0.3, **changes: Any
    ) -> OrderView:
        """Submit an order that is taken, and let happen what follows."""
        view: OrderView = self.run_(self.orders.submit(self.request(side, count, limit, **changes)))
        self.advance(settle)
        return view

    def refused(self, side: Side, count: int, limit: float | None = None, **changes: Any) -> SpireError:
        """Submit an order that is not taken."""
        return self.refusal(self.orders.submit(self.request(side, count, limit, **changes)))

    def status(self, view: OrderView) -> Status:
        """Return how an order stands now."""
        found: OrderView = self.run_(self.orders.order(self.account, view.order_id))
        return found.status

    def all_orders(self) -> tuple[OrderView, ...]:
        """Return the orders of the account."""
        found: tuple[OrderView, ...] = self.run_(self.orders.orders(self.account, scope=OrderScope.ALL))
        return found

    def held(self, instrument: int = BAC) -> int:
        """Return the account's position in whole shares, as the trader works it out from the activity."""
        position = self.ledger.portfolio.position(instrument)
        return 0 if position is None else position.quantity // 10**6

    # Time

    def run_(self, work: Awaitable[Any]) -> Any:
        """Let time pass until something is done."""
        return self.platform.run(work)

    def refusal(self, work: Awaitable[Any]) -> SpireError:
        """Let time pass until something is refused."""
        try:
            answer = self.platform.run(work)
        except SpireError as error:
            return error
        raise AssertionError(f"not refused: {answer}")

    def advance(self, seconds: float) -> None:
        """Let time pass; everything happens at its own time."""
        self.platform.advance(seconds)


class LossTestCase(RiskRoomTestCase):
    """An account that can lose."""

    def lose(self, keep: int = 0) -> None:
        """Realise a loss beyond the limit and keep some shares."""
        self.quote(14.00, 14.02, size=5_000)
        self.submit(Side.BUY, 1_000 + keep)
        self.quote(13.89, 13.91, size=5_000)
        self.submit(Side.SELL, 1_000)
        self.assertIs(self.mode(), RiskMode.CLOSE_ORDERS)
