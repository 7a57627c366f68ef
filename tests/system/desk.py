"""A trading desk of the system tests: people that an administrator makes, and a stepped market that they trade in."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from spire.administration.values import GrantTerms, LimitTerms
from spire.client.platform import Spire
from spire.client.positions import ActivityLedger
from spire.compliance.values import Violation
from spire.execution.values import OrderRequest, OrderView
from spire.locator.values import TradingAccountTerms, TradingAccountType
from spire.marketdata.values import RecordType
from spire.operations.passwords import generate_password
from spire.values.amounts import Money, Price, Quantity, whole
from spire.values.codes import Currency, Venue
from spire.values.orders import Capacity, OrderType, Side, TimeInForce
from spire.values.time import Timestamp, at_local
from spire.wire.errors import SpireError
from spire.wire.topics import StreamListener
from tests.system import tape
from tests.system.case import SystemTestCase
from tests.system.stepped import open_replay
from tests.system.waiting import until

E = TypeVar("E", bound=SpireError)

DAY = date(2013, 10, 7)
ZONE = "America/New_York"
CENT = 10_000
SHARE = 1_000_000
AT_ONCE_SECONDS = 2.0
"""How long something may take that happens at once, with processes that share two cores."""


def new_york(hour: int, minute: int, second: int = 0) -> Timestamp:
    """Return a time of 7 October 2013."""
    return at_local(DAY, ((hour * 60 + minute) * 60 + second) * 10**9, ZONE)


class Person:
    """Somebody with an account: his client, and his trading account if he has one."""

    def __init__(self, name: str, password: str, account_id: int, trading_account_id: int = 0) -> None:
        self.name = name
        self.password = password
        self.account_id = account_id
        self.trading_account_id = trading_account_id
        self.client: Spire

    def request(
        self,
        side: Side,
        shares: int,
        *,
        limit: int | None = None,
        tif: TimeInForce = TimeInForce.DAY,
        ticker: str = "BAC.XNYS",
        account: int | None = None,
    ) -> OrderRequest:
        """Return an order of so many shares at a limit in millionths, for his own trading account unless named."""
        return OrderRequest(
            client_order_id=self.client.orders.client_order_id(),
            trading_account_id=self.trading_account_id if account is None else account,
            ticker=ticker,
            side=side,
            type=OrderType.MARKET if limit is None else OrderType.LIMIT,
            quantity=Quantity(whole(shares)),
            limit_price=None if limit is None else Price(limit),
            time_in_force=tif,
        )

    async def submit(self, side: Side, shares: int, **terms: Any) -> OrderView:
        """Submit an order and return it once its fate is known."""
        return await self.client.settled(await self.client.orders.submit(self.request(side, shares, **terms)))

    async def ledger(self) -> ActivityLedger:
        """Return the whole activity of his trading account, followed no more."""
        ledger = ActivityLedger(self.client.orders, self.trading_account_id)
        await ledger.when_ready()
        ledger.close()
        return ledger

    async def held(self, instrument_id: int) -> int:
        """Return his position by the postings, in millionths."""
        position = (await self.ledger()).portfolio.position(instrument_id)
        return 0 if position is None else int(position.quantity)


class Violations(StreamListener[tuple[Violation, ...]]):
    """Keeps what a stream of violations brings."""

    def __init__(self) -> None:
        self.found: list[Violation] = []

    def update(self, records: tuple[Violation, ...]) -> None:
        """Keep violations."""
        self.found += records


class DeskTestCase(SystemTestCase):
    """An administrator, a stepped replay of 7 October, and whoever a test makes.

    `services` are those that everybody is connected to, beside market data.
    """

    timeout = 900
    services = (
        "charting_service", "order_execution_service", "administration_service", "compliance_service", "risk_service",
    )  # fmt: skip

    async def open_market(self) -> None:
        """Begin a replay of BAC in the hands of the test, in the regular session."""
        self.tape = await self.in_thread(tape.open_tape, self._folder)
        self.quotes = self.tape.quotes("BAC", DAY)
        self.administrator = await self.client("administrator")
        definitions = await self.administrator.definitions_ready()
        self.bac = definitions.instruments.by_ticker("BAC.XNYS").instrument_id
        self.ibm = definitions.instruments.by_ticker("IBM.XNYS").instrument_id
        await self.administrator.ready("administration_service")
        self.watcher = await self.client("demo_market_data")
        await self.watcher.ready(self.watcher.deployment.market_data_service)
        self.feed = await open_replay(
            await self.client("replay_feed"), self.tape.ticks, DAY, self.in_thread, symbols=("BAC",)
        )
        self.addCleanup(lambda: self.as_deferred(self.feed.stop()))
        await self.feed.run_to(new_york(9, 31))

    async def quote(self) -> tuple[int, int]:
        """Return the best bid and offer that the market shows now, in millionths."""
        snapshot = await self.watcher.market_data.snapshot(self.bac)
        shown = self.quotes[snapshot.bbo_through - 1]
        assert shown.bid is not None
        assert shown.ask is not None
        self.assertEqual((int(snapshot.bbo["bid"][0]), int(snapshot.bbo["ask"][0])), (shown.bid, shown.ask))
        return shown.bid, shown.ask

    async def step(self, records: int, probe: Person) -> None:
        """Send more of the day, and wait until Order Execution decides on the last quote, which `probe` asks without effect."""
        await self.feed.step(records)
        through = (await self.watcher.market_data.snapshot(self.bac)).bbo_through

        async def has_seen() -> bool:
            view = await probe.client.orders.submit(probe.request(Side.BUY, 1, limit=CENT, tif=TimeInForce.IOC))
            return view.submission.decision.quote_sequence == through

        await until(has_seen, seconds=20)

    # People

    async def make_group(self, name: str) -> int:
        """Make a trading group and return its directory's id."""
        return (await self.administrator.administration.create_group(name)).group_id

    async def make_person(self, name: str, role: str) -> Person:
        """Make an account in a role and log it in."""
        password = generate_password(name)
        number = await self.administrator.administration.create_account(name, password, role)
        return await self.log_in(Person(name, password, number))

    async def make_trader(self, name: str, group_id: int) -> Person:
        """Make a trader with a trading account in dollars and log him in."""
        password = generate_password(name)
        terms = TradingAccountTerms(
            type=TradingAccountType.PROPRIETARY,
            firm_designated_id=name,
            base_currency="USD",
            default_capacity=Capacity.PRINCIPAL,
        )
        made = await self.administrator.administration.create_trader(group_id, name, password, terms)
        return await self.log_in(Person(name, password, made.account_id, made.trading_account_id))

    async def log_in(self, person: Person) -> Person:
        """Log somebody in, at every service that he needs."""
        person.client = await self.client(person.name, person.password)
        for service in (person.client.deployment.market_data_service, *self.services):
            await person.client.ready(service)
        return person

    async def set_limits(
        self, person: Person, *, net_loss: int, buying_power: int = 1_000_000, transition_seconds: int = 5
    ) -> None:
        """Set somebody's limits in whole dollars."""
        standing = await self.administrator.administration.standing(person.trading_account_id)
        await self.administrator.administration.set_limits(
            person.trading_account_id,
            LimitTerms(
                currency=Currency("USD"),
                buying_power=Money(whole(buying_power)),
                net_loss=Money(whole(net_loss)),
                transition_seconds=transition_seconds,
            ),
            expected_version=0 if standing.limits is None else standing.limits.version,
            reason="the desk's plan",
        )

    async def entitle(self, person: Person, record_type: RecordType | None = None) -> int:
        """Entitle somebody to the New York Stock Exchange and return the grant's id."""
        terms = GrantTerms(
            account_id=person.account_id, product="NYSE", listing_venue=Venue("XNYS"), record_type=record_type
        )
        return (await self.administrator.administration.grant(terms, "he trades there")).grant_id

    # Asking

    async def refused(self, asked: Awaitable[Any], kind: type[E]) -> E:
        """Return the refusal of a kind; anything else fails the test."""
        waiting = asked if isinstance(asked, Deferred) else Deferred.fromCoroutine(asked)  # type: ignore[arg-type]
        error: E = await self.assertFailure(waiting, kind)
        return error

    async def at_once(self, condition: Callable[[], Awaitable[bool]], seconds: float = AT_ONCE_SECONDS) -> None:
        """Wait until something holds that holds at once."""
        await until(condition, seconds=seconds)
