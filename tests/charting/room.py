"""Charting among the rooms that it needs, in one process: real taps, memory stores, one clock, a feed in the test's hand."""

from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import numpy as np
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.charting.client import ChartingClient
from spire.charting.values import Candles, CandleTopic, Eligibility
from spire.feeds.client import FeedClient
from spire.locator.client import Link
from spire.marketdata.commands import FeedTerms
from spire.marketdata.values import RecordType, Schedule, ServedMarket, empty
from spire.testing.platform import Platform
from spire.values.environment import Environment, FeedKind
from spire.values.time import NANOSECONDS, parse_timestamp
from spire.wire.client_session import ClientSession
from spire.wire.errors import SpireError
from spire.wire.topics import StreamListener
from tests.values.examples import dollars, shares

SERVICE = "charting_service"
ADDRESS = "127.0.0.1:21400"
BAC, IBM = 1, 2
XNYS = 8
MINUTE = 60 * NANOSECONDS
OPEN = parse_timestamp("2013-10-08T13:30:00Z")


class Watcher(StreamListener[Candles]):
    """Keeps the candles that a stream brings."""

    def __init__(self) -> None:
        self.resets: list[tuple[int, int]] = []
        self.candles: list[Any] = []
        self.errors: list[SpireError] = []

    def reset(self, epoch: int, after: int) -> None:
        """Note a beginning."""
        self.resets.append((epoch, after))

    def update(self, records: Candles) -> None:
        """Keep candles."""
        self.candles.extend(candle.copy() for candle in records)

    def lost(self, error: SpireError) -> None:
        """Keep an error."""
        self.errors.append(error)

    def latest(self) -> dict[int, Any]:
        """Return the last state of each candle, by its minute after the open."""
        return {(int(candle["start"]) - OPEN) // MINUTE: candle for candle in self.candles}


def shape(candle: Any) -> tuple[float, float, float, float, int, int]:
    """Return open, high, low, close in dollars, volume in shares, and count."""
    prices = (int(candle[name]) / 10**6 for name in ("open", "high", "low", "close"))
    opening, high, low, close = prices
    return opening, high, low, close, int(candle["volume"]) // 10**6, int(candle["count"])


def minutes(instrument: int = BAC, interval: int = MINUTE) -> CandleTopic:
    """Return the series of one-minute candles of all prints."""
    return CandleTopic(instrument_id=instrument, interval=interval, eligibility=Eligibility.ALL)


class ChartingRoomTestCase(SynchronousTestCase):
    """A platform of its own for each test; `ring_bytes` is what Charting keeps for those who resume."""

    ring_bytes = 64 * 1024 * 1024

    def setUp(self) -> None:
        """Start the servers, a client that may see everything, and a feed of the New York Stock Exchange."""
        self.platform = Platform(Path(self.mktemp()).absolute())
        self.clock, self.network = self.platform.clock, self.platform.network
        self.addCleanup(self.platform.stop)
        file = self.platform.instance.layout.configuration("charting")
        file.write_text(f"{file.read_text()}\nring_bytes = {self.ring_bytes}\n")
        self.platform.start(
            "service-locator", "uid", "definitions", "administration", "market-data", "market-data-relay", "charting"
        )
        self.charting = self.client("demo_market_data")
        self.feed = self.open_feed("first")

    def link(self, account: str) -> Link:
        """Return an account's link to the Locator, logged in."""
        link = self.platform.link(account)
        self.addCleanup(lambda: self.run_(link.stop()))
        return link

    def session(self, service: str, account: str) -> ClientSession:
        """Return a session of an account with a service, which may not be there yet."""
        session = self.platform.session(service, self.link(account))
        self.addCleanup(lambda: self.run_(session.stop()))
        return session

    def client(self, account: str) -> ChartingClient:
        """Return an account's client, ready."""
        session = self.session(SERVICE, account)
        self.run_(session.when_ready(10.0))
        return ChartingClient(session)

    def open_feed(self, name: str, kind: FeedKind = FeedKind.SIMULATED) -> FeedClient:
        """Open a feed session of trades."""
        account = "replay_feed" if kind is FeedKind.REPLAY else "simulation_feed"
        session = self.session("market_data_feed_service", account)
        self.run_(session.when_ready())
        parts = self.platform.parts()
        terms = FeedTerms(
            name=name,
            kind=kind,
            trade_date="2013-10-08",
            schedule=Schedule.NORMAL,
            environment=Environment.DEMO,
            serves=(ServedMarket(venue=XNYS, record_type=RecordType.TRADE),),
        )
        feed = FeedClient(session, terms, clock=parts.clock, tasks=parts.tasks)
        self.run_(feed.start())
        self.addCleanup(lambda: self.run_(feed.stop()))
        return feed

    def prints(self, *rows: tuple[float, float, int], instrument: int = BAC, feed: FeedClient | None = None) -> None:
        """Publish prints (minutes after the open, dollars, shares) as one batch, and wait until they are everywhere."""
        records = empty(RecordType.TRADE, len(rows))
        records["instrument"] = instrument
        records["venue"] = XNYS
        for record, (minute, price, size) in zip(records, rows, strict=True):
            record["source_time"] = OPEN + round(minute * MINUTE)
            record["price"], record["size"] = dollars(price), shares(size)
        feed = feed or self.feed
        self.run_(feed.publish({RecordType.TRADE: records}, len(records)))
        self.run_(feed.flushed())
        self.platform.advance(0.3)

    def load(self, *arguments: Any, **options: Any) -> list[tuple[float, float, float, float, int, int]]:
        """Return the shapes of candles of the past."""
        return [shape(candle) for candle in self.run_(self.charting.candles(*arguments, **options)).records]

    def run_(self, work: Awaitable[Any]) -> Any:
        """Let time pass until something is done."""
        return self.platform.run(work)

    def refusal(self, work: Awaitable[Any], kind: type[SpireError]) -> Any:
        """Let time pass until something is refused, and return the refusal."""
        answer: Deferred[Any] = Deferred.fromCoroutine(work)  # type: ignore[arg-type]
        self.platform.advance(1.0)
        return self.failureResultOf(answer, kind).value


def state_of(candles: Candles) -> dict[int, bytes]:
    """Return what candles are, by their start."""
    return {int(candle["start"]): np.array(candle).tobytes() for candle in candles}
