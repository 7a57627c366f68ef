"""A relay among the rooms that it needs, in one process: real taps, memory stores, one clock, a feed in the test's hand."""

import shutil
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.administration.client import AdministrationClient
from spire.administration.values import EntitlementGrant, GrantTerms
from spire.feeds.client import FeedClient
from spire.locator.client import Link
from spire.marketdata import tap as marketdata_tap
from spire.marketdata.client import MarketDataClient
from spire.marketdata.commands import FeedTerms
from spire.marketdata.memory import MemoryMarketDataStore
from spire.marketdata.server import MarketDataServer
from spire.marketdata.values import Records, RecordType, Schedule, ServedMarket
from spire.relay import tap as relay_tap
from spire.relay.server import RelayServer
from spire.service.container import SpireService
from spire.testing.clock import OPENING
from spire.testing.platform import Platform
from spire.values.codes import Venue
from spire.values.environment import Environment, FeedKind
from spire.wire.client_session import ClientSession
from spire.wire.errors import SpireError
from tests.marketdata.records import quotes, row, trades
from tests.marketdata.room import Recorder

RELAY = "market_data_relay_service"
MARKET_DATA = "market_data_service"
RELAY_ADDRESS = "127.0.0.1:22300"
MARKET_DATA_ADDRESS = "127.0.0.1:20300"
SECOND_ADDRESS = "127.0.0.1:22301"
SEES_ALL = "demo_market_data"
NEEDS_GRANTS = "administrator"
BAC, IBM = 1, 2
XNYS = Venue("XNYS")
XNYS_NUMBER = 8
LONG_AGO = 1_381_239_000_000_000_000  # 8 October 2013
ROOMS = ("service-locator", "uid", "definitions", "administration", "market-data", "market-data-relay")

__all__ = ["Recorder", "quotes", "row", "trades"]


class RelayRoomTestCase(SynchronousTestCase):
    """A platform of its own for each test; `relay_settings` is what the relay's configuration says."""

    relay_settings = "linger_seconds = 60.0"
    rooms: tuple[str, ...] = ROOMS
    beginning = OPENING

    def setUp(self) -> None:
        """Start the servers, and keep at hand the Market Data Server and the relays that the taps make."""
        self.platform = Platform(Path(self.mktemp()).absolute(), start=self.beginning)
        self.clock, self.network = self.platform.clock, self.platform.network
        self.addCleanup(self.platform.stop)
        self.store = MemoryMarketDataStore()
        self.epoch = 1
        self.relays: list[RelayServer] = []
        self.links: dict[str, Link] = {}
        self.feeds: list[FeedClient] = []
        self.watch_servers()
        file = self.platform.instance.layout.configuration("market-data-relay")
        text = file.read_text()
        file.write_text(text[: text.index("# Seconds for which")] + self.relay_settings + "\n")
        for name in self.rooms:
            if name == "market-data":
                self.start_market_data()
            else:
                self.platform.start(name)

    def watch_servers(self) -> None:
        """Have what the taps make noted, and Market Data begin in the test's epoch."""

        def market_data(**parts: Any) -> MarketDataServer:
            self.market_data = MarketDataServer(**{**parts, "epoch": self.epoch})
            return self.market_data

        def relay(**parts: Any) -> RelayServer:
            self.relays.append(RelayServer(**parts))
            return self.relays[-1]

        self.patch(marketdata_tap, "MarketDataServer", market_data)
        self.patch(relay_tap, "RelayServer", relay)

    # Servers

    def start_market_data(self) -> None:
        """Start Market Data on what its store and journal hold."""
        configuration = self.platform.configuration("market-data")
        room = marketdata_tap.make_room(configuration, self.platform.parts(), memory=self.store)
        self.platform.rooms["market-data"] = room
        self.run_(room.start())

    def restart_market_data(self, seconds: float = 20.0) -> None:
        """Stop Market Data, start it again, and wait until the relay has found it."""
        self.platform.stop("market-data")
        self.platform.advance(2.0)
        self.start_market_data()
        self.platform.advance(seconds)

    def begin_another_epoch(self) -> None:
        """Lose all that Market Data kept, and start it in the next epoch."""
        self.platform.stop("market-data")
        self.store = MemoryMarketDataStore()
        shutil.rmtree(self.platform.configuration("market-data").run.journal_directory)
        self.epoch += 1
        self.start_market_data()
        self.platform.advance(20.0)

    def start_second_relay(self) -> SpireService:
        """Start one more relay, on a port of its own."""
        configuration = self.platform.configuration("market-data-relay")
        server = evolve(configuration.server, interface=SECOND_ADDRESS, advertise=(SECOND_ADDRESS,))
        room = relay_tap.make_room(evolve(configuration, server=server), self.platform.parts())
        self.platform.rooms["second-relay"] = room
        self.run_(room.start())
        return room

    def lose_market_data(self) -> None:
        """Break the way from the relay to Market Data; feeds have theirs."""
        self.network.faults.refuse.add(MARKET_DATA_ADDRESS)
        self.network.drop(MARKET_DATA)
        self.platform.advance(0.1)

    def find_market_data(self) -> None:
        """Mend it, and wait until the relay is back."""
        self.network.faults.refuse.discard(MARKET_DATA_ADDRESS)
        self.platform.advance(40.0)

    @property
    def relay(self) -> RelayServer:
        """The relay, or the last one that was started."""
        return self.relays[-1]

    def upstream_readers(self) -> dict[str, int]:
        """Return how many subscriptions Market Data serves, by topic, where there are any."""
        topics = self.market_data._publisher.topics
        return {topic.name: len(topic.readers) for topic in topics if topic.readers}

    # Clients

    def link(self, account: str) -> Link:
        """Return an account's link to the Locator, logged in."""
        if account not in self.links:
            link = self.links[account] = self.platform.link(account)
            self.addCleanup(lambda: self.run_(link.stop()))
        return self.links[account]

    def session(self, service: str, account: str) -> ClientSession:
        """Return a session of an account with a service, ready."""
        session = self.platform.session(service, self.link(account), chance=lambda: 0.0)
        self.addCleanup(lambda: self.run_(session.stop()))
        self.run_(session.when_ready(10.0))
        return session

    def client(self, account: str = SEES_ALL, service: str = RELAY) -> MarketDataClient:
        """Return an account's client of the relay, or of Market Data itself."""
        return MarketDataClient(self.session(service, account))

    def follow(self, client: MarketDataClient, topic_type: RecordType = RecordType.TRADE, **options: Any) -> Recorder:
        """Subscribe to a type of BAC, and wait for the answer."""
        recorder = Recorder()
        recorder.subscription = client.subscribe(topic_type, BAC, recorder, **options)  # type: ignore[attr-defined]
        self.platform.advance(0.3)
        return recorder

    # Rights

    @property
    def administration(self) -> AdministrationClient:
        """Administration, for an administrator."""
        if not hasattr(self, "_administration"):
            self._administration = AdministrationClient(self.session("administration_service", "administrator"))
        return self._administration

    def grant(self, record_type: RecordType | None = None, **terms: Any) -> EntitlementGrant:
        """Entitle the one who needs grants to a type of the New York Stock Exchange, or to all types."""
        given = {"account_id": self.link(NEEDS_GRANTS).login.account_id, "product": "test", "listing_venue": XNYS}
        made: EntitlementGrant = self.run_(
            self.administration.grant(GrantTerms(**{**given, "record_type": record_type, **terms}), "a test")
        )
        self.platform.advance(0.2)
        return made

    def revoke(self, grant: EntitlementGrant) -> None:
        """Take a grant back."""
        self.run_(self.administration.revoke(grant.grant_id, "a test"))
        self.platform.advance(0.2)

    # Feeds

    def feed(self, name: str = "first", kind: FeedKind = FeedKind.SIMULATED) -> FeedClient:
        """Open a feed session of all types of the New York Stock Exchange."""
        account = "replay_feed" if kind is FeedKind.REPLAY else "simulation_feed"
        terms = FeedTerms(
            name=name,
            kind=kind,
            trade_date="2013-10-08",
            schedule=Schedule.NORMAL,
            environment=Environment.DEMO,
            serves=tuple(ServedMarket(venue=XNYS_NUMBER, record_type=record_type) for record_type in RecordType),
        )
        parts = self.platform.parts()
        feed = FeedClient(
            self.session("market_data_feed_service", account), terms, clock=parts.clock, tasks=parts.tasks
        )
        self.run_(feed.start())
        self.feeds.append(feed)
        self.addCleanup(lambda: self.run_(feed.stop()))
        return feed

    def publish(self, feed: FeedClient, **records: Records) -> None:
        """Publish `trades`, `bbos` and `books` of the New York Stock Exchange, and wait until they are everywhere."""
        names = {"trades": RecordType.TRADE, "bbos": RecordType.BBO, "books": RecordType.BOOK}
        given = {names[name]: at_home(part) for name, part in records.items()}
        self.run_(feed.publish(given, sum(len(part) for part in given.values())))
        self.run_(feed.flushed())
        self.platform.advance(0.2)

    def prints(self, feed: FeedClient, count: int, start: int = 0) -> None:
        """Publish so many prints of BAC, in batches."""
        for begin in range(0, count, 500):
            number = min(500, count - begin)
            self.publish(feed, trades=trades([BAC] * number, start_time=1 + start + begin))

    # Time

    def run_(self, work: Awaitable[Any]) -> Any:
        """Let time pass until something is done."""
        return self.platform.run(work)

    def refusal(self, work: Awaitable[Any], kind: type[SpireError]) -> Any:
        """Let time pass until something is refused, and return the refusal."""
        answer: Deferred[Any] = Deferred.fromCoroutine(work)  # type: ignore[arg-type]
        self.platform.advance(1.0)
        return self.failureResultOf(answer, kind).value


def at_home(records: Records) -> Records:
    """Return records of 8 October 2013 that name the New York Stock Exchange where they name a venue."""
    records["source_time"] += LONG_AGO
    for name in ("venue", "bid_venue", "ask_venue"):
        if name in (records.dtype.names or ()):
            records[name] = XNYS_NUMBER
    return records


def joined(recorder: Recorder) -> bytes:
    """Return the bytes of all that a recorder was given."""
    return b"".join(np.ascontiguousarray(part).tobytes() for part in recorder.parts)
