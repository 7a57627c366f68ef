"""A Market Data Server on memory store, journal and network, with feeds and clients, all moved by one clock."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.trial.unittest import SynchronousTestCase

from spire.database.journal import Journal
from spire.database.ordered_writer import MemoryWriterStore, OrderedWriter
from spire.feeds.client import FeedClient
from spire.marketdata.client import MarketDataClient
from spire.marketdata.commands import FeedTerms
from spire.marketdata.configuration import MarketDataSection
from spire.marketdata.memory import MemoryMarketDataStore
from spire.marketdata.pipeline import Portion
from spire.marketdata.responders import ClientAvatars, FeedAvatars
from spire.marketdata.server import MarketDataServer
from spire.marketdata.validation import Universe
from spire.marketdata.values import COUNTS_ALL, Records, RecordType, Schedule, ServedMarket
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.testing.clock import OPENING, ManualClock
from spire.testing.network import MemoryNetwork
from spire.values.environment import Environment, FeedKind
from spire.wire.addresses import FixedAddresses
from spire.wire.client_session import ClientSession
from spire.wire.errors import SpireError
from spire.wire.interfaces import IAvatars
from spire.wire.publisher import Publisher
from spire.wire.server_session import ServerFactory
from spire.wire.ticket_credentials import TicketCredentials
from spire.wire.topics import StreamListener
from tests.marketdata.records import INSTRUMENTS, VENUE
from tests.wire.support import Tickets

SERVICE, FEED_SERVICE = "market_data_service", "market_data_feed_service"
ADDRESSES = {SERVICE: "127.0.0.1:20300", FEED_SERVICE: "127.0.0.1:20400"}


class Market:
    """What Definitions would say."""

    def __init__(self) -> None:
        self.instruments = list(INSTRUMENTS)

    def universe(self) -> Universe:
        """Return the instruments, all of one venue."""
        return Universe([(instrument, VENUE) for instrument in self.instruments], [VENUE])

    def eligibility(self, conditions: NDArray[np.uint64]) -> NDArray[np.uint16]:
        """Count everything."""
        return np.full(len(conditions), COUNTS_ALL, dtype=np.uint16)


class ProcessClock(Clock):
    """The clock of one process: once that is dead, nothing of it is called any more."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock.reactor, wall=clock.now, monotonic=clock.monotonic)
        self.is_dead = False

    def later(self, delay_seconds: float, function: Callable[..., object], *args: Any, **kwargs: Any) -> IDelayedCall:
        """Call `function` unless the process has died by then."""

        def call() -> None:
            if not self.is_dead:
                function(*args, **kwargs)

        return super().later(delay_seconds, call)


class Recorder(StreamListener[Records]):
    """Keeps what a stream brings."""

    def __init__(self) -> None:
        self.resets: list[tuple[int, int]] = []
        self.parts: list[Records] = []
        self.errors: list[SpireError] = []

    def reset(self, epoch: int, after: int) -> None:
        """Note a beginning."""
        self.resets.append((epoch, after))

    def update(self, records: Records) -> None:
        """Keep records."""
        self.parts.append(np.array(records))

    def lost(self, error: SpireError) -> None:
        """Keep an error."""
        self.errors.append(error)

    @property
    def sequences(self) -> list[int]:
        """Return the sequences received, in order."""
        return [int(sequence) for part in self.parts for sequence in part["sequence"]]


class RoomTestCase(SynchronousTestCase):
    """One server; `crash` and `serve` are its end and its next beginning."""

    environment = Environment.DEMO
    beginning = OPENING
    settings = MarketDataSection(store_seconds=0.5, feed_grace_seconds=10.0)

    def setUp(self) -> None:
        """Start the server. Its processes die here, the machine does not: nothing waits for the disk."""
        self.patch(os, "fdatasync", lambda _: None)
        self.clock = ManualClock(self.beginning)
        self.tasks = Tasks(self.clock, Metrics())
        self.network = MemoryNetwork(self.clock)
        self.store = MemoryMarketDataStore()
        self.market = Market()
        self.directory = Path(self.mktemp())
        self.starts = 0
        self.trouble: list[str | None] = []
        self.sessions: list[ClientSession] = []
        self.before_write: Callable[[], None] = lambda: None
        self.held: Deferred[None] | None = None
        self.serve()

    def serve(self) -> None:
        """Start a server on what store and journal hold."""
        self.starts += 1
        instance = f"instance-{self.starts}"
        self.process = clock = ProcessClock(self.clock)
        self.server_tasks = Tasks(clock, Metrics())
        self.journal = Journal(
            self.directory,
            "market-data",
            environment=self.environment,
            epoch=1,
            clock=clock,
            metrics=Metrics(),
            run_in_thread=self.run_in_place,
        )
        self.writer: OrderedWriter[Portion] = OrderedWriter(
            "blocks",
            MemoryWriterStore(self.store.writers, "blocks", self.write),
            clock=clock,
            tasks=self.server_tasks,
            metrics=Metrics(),
        )
        self.writer.on_fenced(lambda: self.server.intake.retire())
        self.publisher = Publisher(clock=clock, tasks=self.server_tasks, metrics=Metrics())
        self.server = MarketDataServer(
            settings=self.settings,
            environment=self.environment,
            epoch=1,
            instance_id=instance,
            store=self.store,
            journal=self.journal,
            writer=self.writer,
            reference=self.market,
            publisher=self.publisher,
            clock=clock,
            tasks=self.server_tasks,
            trouble=self.trouble.append,
        )
        self.result(self.server.start())
        avatars: dict[str, IAvatars] = {
            SERVICE: ClientAvatars(self.server, clock=clock, tasks=self.server_tasks),
            FEED_SERVICE: FeedAvatars(self.server),
        }
        self.ports = []
        self.factories: dict[str, ServerFactory] = {}
        for service, table in avatars.items():
            factory = ServerFactory(
                service=service,
                instance_id=instance,
                epoch=1,
                environment=self.environment,
                avatars=table,
                verifier=Tickets(self.clock).verifier(),
                clock=clock,
                tasks=self.server_tasks,
                metrics=Metrics(),
            )
            self.factories[service] = factory
            self.ports.append(self.successResultOf(self.network.listen(ADDRESSES[service], service, factory)))

    def crash(self) -> None:
        """End the server as SIGKILL does: nothing is flushed, nothing answered."""
        self.process.is_dead = True
        for port in self.ports:
            self.successResultOf(port.stopListening())
        self.network.drop()
        self.successResultOf(Deferred.fromCoroutine(self.journal.close()))

    async def run_in_place(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Do a thread's work at once or when `held` fires, or what the test does instead."""
        self.before_write()
        if self.held is not None:
            await self.held
        return function(*arguments)

    def write(self, items: Any) -> None:
        """Store portions in memory."""
        self.store.write(None, tuple(item for portion in items for item in portion))

    def connect(self, service: str, *capabilities: str, account: str = "ada") -> ClientSession:
        """Start a client session and wait until it is ready."""
        tickets = Tickets(self.clock, audiences=(service,), capabilities=frozenset(capabilities), account=account)
        session = ClientSession(
            service,
            addresses=FixedAddresses(service, [ADDRESSES[service]], self.environment),
            connector=self.network,
            credentials=TicketCredentials(tickets, self.tasks),
            environment=self.environment,
            clock=self.clock,
            tasks=self.tasks,
            metrics=Metrics(),
            chance=lambda: 0.0,
        )
        session.start()
        self.addCleanup(lambda: self.result(session.stop()))
        self.clock.advance(0.5)
        return session

    def client(self) -> MarketDataClient:
        """Return a client that may read everything."""
        session = self.connect(SERVICE, "market_data.all")
        self.assertTrue(session.is_ready)
        return MarketDataClient(session)

    def terms(self, name: str = "feed", **changes: Any) -> FeedTerms:
        """Return a replay's terms in the test's market."""
        terms: dict[str, Any] = {
            "name": name,
            "kind": FeedKind.REPLAY,
            "trade_date": "2013-10-08",
            "schedule": Schedule.NORMAL,
            "environment": self.environment,
            "serves": tuple(ServedMarket(venue=VENUE, record_type=kind) for kind in RecordType),
        }
        return FeedTerms(**{**terms, **changes})

    def feed(self, name: str = "feed", **changes: Any) -> FeedClient:
        """Return a feed that has opened its session."""
        feed = self.make_feed(name, **changes)
        self.result(feed.start(keeps_book=True))
        return feed

    def make_feed(self, name: str = "feed", **changes: Any) -> FeedClient:
        """Return a feed on a connection of its own."""
        session = self.connect(FEED_SERVICE, "market_data.publish")
        feed = FeedClient(session, self.terms(name, **changes), clock=self.clock, tasks=self.tasks)
        self.addCleanup(lambda: self.result(feed.stop()))
        return feed

    def publish(self, feed: FeedClient, **records: Records) -> None:
        """Publish `trades`, `bbos` and `books` as one batch, and wait for the acknowledgement."""
        self.send(feed, **records)
        self.result(feed.flushed())

    def send(self, feed: FeedClient, **records: Records) -> None:
        """Publish without waiting."""
        names = {"trades": RecordType.TRADE, "bbos": RecordType.BBO, "books": RecordType.BOOK}
        given = {names[name]: part for name, part in records.items()}
        self.result(feed.publish(given, sum(len(part) for part in given.values())))

    def result(self, work: Awaitable[Any]) -> Any:
        """Let the network move until a call is answered."""
        return self.successResultOf(self.moved(work))

    def refusal(self, work: Awaitable[Any], kind: type[SpireError]) -> Any:
        """Let the network move until a call is refused."""
        return self.failureResultOf(self.moved(work), kind).value

    def moved(self, work: Awaitable[Any]) -> Deferred[Any]:
        """Start a call and let the network move."""
        answer: Deferred[Any] = Deferred.fromCoroutine(work)  # type: ignore[arg-type]
        self.clock.advance(0.5)
        return answer
