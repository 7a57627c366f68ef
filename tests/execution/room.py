"""Order Execution among the rooms that it needs, in one process: real taps, memory stores, one clock, a feed in the test's hand."""

from collections.abc import Awaitable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.administration.client import AdministrationClient
from spire.administration.values import Limits, LimitTerms, RiskState
from spire.compliance.client import ComplianceClient
from spire.database.errors import StoreDown
from spire.database.ordered_writer import WriterRow
from spire.execution import tap
from spire.execution.client import OrderExecutionClient
from spire.execution.memory import MemoryExecutionStore
from spire.execution.values import Activity, Batch, OrderRequest, OrderView, TradingAccountView
from spire.feeds.client import FeedClient
from spire.locator.client import Link
from spire.locator.credentials import Password
from spire.marketdata.commands import FeedTerms
from spire.marketdata.values import BboKind, Present, Records, RecordType, Schedule, ServedMarket, empty
from spire.runtime.tasks import Tasks
from spire.service.parts import Parts
from spire.testing.clock import ManualClock
from spire.testing.platform import Platform
from spire.values.amounts import Money, whole
from spire.values.codes import Currency
from spire.values.environment import Environment, FeedKind
from spire.values.orders import OrderType, Side
from spire.values.posting import Posting
from spire.values.report import Report
from spire.values.risk import RiskMode
from spire.values.time import NANOSECONDS, Timestamp, parse_timestamp
from spire.wire.client_session import ClientSession
from spire.wire.errors import SpireError
from spire.wire.topics import StreamListener
from tests.marketdata.room import ProcessClock
from tests.values.examples import dollars, shares

SERVICE = "order_execution_service"
BAC = 1
XNYS = 8
NINE_THIRTY = parse_timestamp("2013-10-08T13:30:00Z")
FOUR = parse_timestamp("2013-10-08T20:00:00Z")
SECTION = '\n[order_execution]\nmarket_data_service = "market_data_service"\n'
LIMITS = LimitTerms(
    currency=Currency("USD"), buying_power=Money(whole(100_000)), net_loss=Money(whole(50_000)), transition_seconds=60
)


class FragileStore(MemoryExecutionStore):
    """A memory store that can be away."""

    is_down = False

    def writer(self) -> Any:
        """Return a writer's store that can be away."""
        return FragileWriterStore(self, super().writer())


class FragileWriterStore:
    """Commits unless the store is away."""

    def __init__(self, store: FragileStore, inner: Any) -> None:
        self._store = store
        self._inner = inner

    async def take_over(self) -> WriterRow:
        """Take the writer over."""
        row: WriterRow = await self._inner.take_over()
        return row

    async def commit(self, row: WriterRow, items: Sequence[Batch]) -> None:
        """Write a batch, or be away."""
        if self._store.is_down:
            raise StoreDown("the database is away")
        await self._inner.commit(row, items)


class Follower(StreamListener[tuple[Activity, ...]]):
    """Keeps an account's activity."""

    def __init__(self) -> None:
        self.events: list[Activity] = []
        self.errors: list[SpireError] = []

    def update(self, records: tuple[Activity, ...]) -> None:
        """Keep events."""
        self.events += records

    def lost(self, error: SpireError) -> None:
        """Keep an error."""
        self.errors.append(error)

    @property
    def reports(self) -> list[Report]:
        """Return the reports, in order."""
        return [event.report for event in self.events if event.report is not None]

    @property
    def postings(self) -> list[Posting]:
        """Return the postings, in order."""
        return [event.posting for event in self.events if event.posting is not None]

    def told(self) -> list[str]:
        """Return what happened, in words: kind, quantity and price of each report."""
        words = []
        for event in self.events:
            if event.submission is not None:
                words.append("SUBMITTED")
            if event.report is not None:
                report = event.report
                fill = (
                    ""
                    if report.last_quantity is None
                    else f" {report.last_quantity // 10**6}@{(report.last_price or 0) / 10**6:g}"
                )
                words.append(f"{report.exec_type.name}{fill}")
        return words


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


class ExecutionRoomTestCase(SynchronousTestCase):
    """Order Execution on a store and a journal of its own, a feed session of its own, and a trader."""

    feeds = 0

    def setUp(self) -> None:
        """Start the server, the feed and the trader's client, and show a quote."""
        self.rooms = rooms(self.mktemp())
        self.platform = self.rooms.platform
        self.clock = self.rooms.clock
        self.store = FragileStore()
        self.journal = Path(self.mktemp()).absolute()
        self.now = Timestamp(NINE_THIRTY + NANOSECONDS)
        self.feed = self.open_feed()
        self.show(14.00, 300, 14.02, 200)
        self.before_write: Any = lambda: None
        self.serve()
        self.is_supervised = True
        self.blind: tuple[int, ...] = ()
        self.risk = OrderExecutionClient(self.rooms.session(SERVICE, "risk_service"))
        self.addCleanup(lambda: self.platform.run(self.risk.session.stop()))
        self.platform.run(self.risk.session.when_ready())
        self.platform.run(self.risk.supervise())
        self.addCleanup(self.platform.parts().tasks.every("supervise", 1.0, self._supervise))
        self.client = self.trader("demo_trader")
        self.account: TradingAccountView = self.result(self.client.trading_account("demo_trader"))
        self.follower = Follower()
        self.client.follow(self.account.trading_account_id, self.follower)
        self.advance(0.1)
        self.numbers = 0

    async def _supervise(self) -> None:
        """Be the Risk Server's sign of life."""
        if self.is_supervised and self.risk.session.is_ready:
            with suppress(SpireError):
                await self.risk.supervise(self.blind)

    # The server

    def serve(self) -> None:
        """Start a server on what store and journal hold."""
        configuration = self.platform.configuration("order-execution")
        configuration = evolve(configuration, run=evolve(configuration.run, journal_directory=self.journal))
        self.process = ProcessClock(self.clock)
        parts = self.platform.parts()
        self.parts = Parts(
            clock=self.process,
            tasks=Tasks(self.process, parts.metrics),
            metrics=parts.metrics,
            connector=parts.connector,
            listener=parts.listener,
            run_in_thread=self.in_place,
            random_bytes=parts.random_bytes,
            open_database=parts.open_database,
        )
        self.room = tap.make_room(configuration, self.parts, store=self.store)
        self.platform.run(self.room.start())
        self.addCleanup(self.stop, self.room)

    def stop(self, room: Any) -> None:
        """Stop a server, unless it has crashed."""
        if room is self.room and not self.process.is_dead:
            self.platform.run(room.stop())

    def crash(self) -> None:
        """End the server as SIGKILL does: nothing is flushed, nobody is told."""
        self.platform.network.drop(SERVICE)
        self.platform.run(self._close())
        self.process.is_dead = True

    async def _close(self) -> None:
        """Free what the operating system would: the port, connections, the journal's lock."""
        children = {child.name: child for child in self.room.children}
        service = children["orders"].stop.__self__  # type: ignore[attr-defined] # the application service
        await _settled(children[f"port of {SERVICE}"].stop())
        await service._journal.close()
        await children["service_locator"].stop.__self__.session.stop()  # type: ignore[attr-defined] # no logout
        for upstream in (
            "uid_service",
            "definitions_service",
            "administration_service",
            "market_data_service",
            "compliance_service",
        ):
            await _settled(children[upstream].stop())

    async def in_place(self, function: Any, /, *arguments: Any) -> Any:
        """Do a thread's work at once, or what the test does instead."""
        self.before_write()
        return function(*arguments)

    def trader(self, account: str) -> OrderExecutionClient:
        """Return an account's client, ready."""
        session = self.rooms.session(SERVICE, account)
        self.addCleanup(lambda: self.platform.run(session.stop()))
        self.platform.run(session.when_ready())
        return OrderExecutionClient(session)

    # The market

    def open_feed(self, trade_date: str = "2013-10-08") -> FeedClient:
        """Open a feed session for the New York Stock Exchange; it ends the one before."""
        ExecutionRoomTestCase.feeds += 1
        session = self.rooms.session("market_data_feed_service", "replay_feed")
        self.platform.run(session.when_ready())
        parts = self.platform.parts()
        feed = FeedClient(
            session,
            FeedTerms(
                name=f"execution {ExecutionRoomTestCase.feeds}",
                kind=FeedKind.REPLAY,
                trade_date=trade_date,
                schedule=Schedule.NORMAL,
                environment=Environment.DEMO,
                serves=(ServedMarket(venue=XNYS, record_type=RecordType.BBO),),
            ),
            clock=parts.clock,
            tasks=parts.tasks,
        )
        self.platform.run(feed.start())
        self.is_ended = False

        def end() -> None:
            self.platform.run(feed.end() if feed is self.feed and not self.is_ended else feed.stop())
            self.platform.run(session.stop())

        self.addCleanup(end)
        return feed

    def show(self, bid: float | None, bid_size: int, ask: float | None, ask_size: int, *, seconds: float = 1.0) -> None:
        """Publish a quote, `seconds` of market time after the one before."""
        self.publish(self.quote(bid, bid_size, ask, ask_size, seconds=seconds))

    def quote(
        self, bid: float | None, bid_size: int, ask: float | None, ask_size: int, *, seconds: float = 1.0
    ) -> Records:
        """Return a quote, `seconds` of market time after the one before."""
        self.now = Timestamp(self.now + round(seconds * NANOSECONDS))
        record = empty(RecordType.BBO, 1)
        record["instrument"] = BAC
        record["venue"] = record["bid_venue"] = record["ask_venue"] = XNYS
        record["source_time"] = self.now
        record["kind"] = BboKind.NATIONAL
        for name, price, size, bit in (("bid", bid, bid_size, Present.BID), ("ask", ask, ask_size, Present.ASK)):
            if price is not None:
                record[name] = dollars(price)
                record[f"{name}_size"] = shares(size)
                record["present"] |= np.uint16(bit)
        return record

    def publish(self, *quotes: Records) -> None:
        """Publish quotes as one batch, and wait until they have arrived everywhere."""
        records = np.concatenate(quotes)
        self.platform.run(self.feed.publish({RecordType.BBO: records}, len(records)))
        self.platform.run(self.feed.flushed())
        self.advance(0.3)

    # Asking

    def request(self, side: Side, count: int, limit: float | None = None, **changes: Any) -> OrderRequest:
        """Return an order in BAC with a client order id of its own."""
        self.numbers += 1
        fields: dict[str, Any] = {
            "client_order_id": f"{self.id()[-40:]}-{self.numbers}",
            "trading_account_id": self.account.trading_account_id,
            "ticker": "BAC.XNYS",
            "side": side,
            "type": OrderType.MARKET if limit is None else OrderType.LIMIT,
            "quantity": shares(count),
            "limit_price": None if limit is None else dollars(limit),
        }
        return OrderRequest(**(fields | changes))

    def submit(self, side: Side, count: int, limit: float | None = None, **changes: Any) -> OrderView:
        """Submit an order that is taken, and let happen what follows."""
        view: OrderView = self.result(self.client.submit(self.request(side, count, limit, **changes)))
        self.advance(0.1)
        return view

    def refused(self, side: Side, count: int, limit: float | None = None, **changes: Any) -> SpireError:
        """Submit an order that is not taken."""
        error = self.refusal(self.client.submit(self.request(side, count, limit, **changes)))
        self.advance(0.1)
        return error

    def order(self, view: OrderView) -> OrderView:
        """Return an order as it stands now."""
        found: OrderView = self.result(self.client.order(self.account.trading_account_id, view.order_id))
        return found

    def result(self, work: Awaitable[Any]) -> Any:
        """Let time pass until a call is answered."""
        return self.platform.run(work)

    def refusal(self, work: Awaitable[Any]) -> SpireError:
        """Let time pass until a call is refused."""
        try:
            answer = self.platform.run(work)
        except SpireError as error:
            return error
        raise AssertionError(f"not refused: {answer}")

    def later(self, work: Any) -> "Deferred[Any]":
        """Begin a call without waiting for its answer."""
        return Deferred.fromCoroutine(work)

    def advance(self, seconds: float) -> None:
        """Let time pass in small steps."""
        for _ in range(round(seconds / 0.01)):
            self.platform.advance(0.01)


async def _settled(work: Any) -> None:
    if work is not None:
        await work
