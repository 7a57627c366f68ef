"""The simulation feed: a generated market that never closes, sent as a SIMULATED feed session (docs/feeds.md)."""

from collections.abc import Callable
from datetime import date
from typing import Final

from attrs import evolve, field, frozen
from attrs.validators import ge, gt
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from spire.feeds.client import BATCH_RECORDS, FeedClient
from spire.feeds.generated_market import GeneratedMarket
from spire.marketdata.commands import FeedTerms
from spire.marketdata.values import Records, RecordType, Schedule, ServedMarket
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.values.environment import Environment, FeedKind
from spire.wire.client_session import ClientSession
from spire.wire.errors import SpireError

TURN_SECONDS: Final = 0.05


@frozen(kw_only=True)
class Rates:
    """How busy the market is: changes of the best bid and offer (with their book rows), and trades, a second, over all instruments."""

    quotes: float = field(default=20.0, validator=ge(0.0))
    trades: float = field(default=5.0, validator=ge(0.0))
    turn_seconds: float = field(default=TURN_SECONDS, validator=gt(0.0))


def simulation_terms(venue: int, trade_date: date, environment: Environment) -> FeedTerms:
    """Return the terms of one trade date's feed session."""
    return FeedTerms(
        name=f"simulation {venue} {trade_date.isoformat()}",
        kind=FeedKind.SIMULATED,
        trade_date=trade_date.isoformat(),
        schedule=Schedule.ALWAYS_OPEN,
        environment=environment,
        serves=tuple(ServedMarket(venue=venue, record_type=kind) for kind in RecordType),
    )


class SimulationFeed:
    """Sends a generated market until it is stopped; each trade date is a feed session of its own.

    `trade_date` says which date a moment belongs to. `failed` fires with the SpireError of a definite refusal.
    """

    _log = Logger()

    def __init__(
        self,
        session: ClientSession,
        market: GeneratedMarket,
        *,
        venue: int,
        environment: Environment,
        trade_date: Callable[[int], date],
        rates: Rates,
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self.failed: Deferred[SpireError] = Deferred()
        self._session = session
        self._market = market
        self._venue = venue
        self._environment = environment
        self._trade_date = trade_date
        self._rates = rates
        self._clock = clock
        self._tasks = tasks
        self._feed: FeedClient | None = None
        self._owes_book = True
        self._is_paused = False
        self._running: Deferred[None] | None = None

    @property
    def rates(self) -> Rates:
        """How busy the market is."""
        return self._rates

    @property
    def is_paused(self) -> bool:
        """Whether the market stands still; the feed session stays open."""
        return self._is_paused

    @property
    def accepted(self) -> int:
        """The last position of the current session that the server accepted."""
        return 0 if self._feed is None else self._feed.accepted

    def start(self) -> None:
        """Begin; the server may be away."""
        self._running = self._tasks.spawn("simulation feed", self._run())

    async def stop(self) -> None:
        """Stop; the feed session stays unfinished, for the next start on the same trade date."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await running
        if self._feed is not None:
            await self._feed.stop()

    def set_rates(self, *, quotes: float | None = None, trades: float | None = None) -> None:
        """Change how busy the market is. ValueError: a negative rate."""
        changed = {name: rate for name, rate in (("quotes", quotes), ("trades", trades)) if rate is not None}
        self._rates = evolve(self._rates, **changed)

    def pause(self) -> None:
        """Let the market stand still."""
        self._is_paused = True

    def resume(self) -> None:
        """Let the market move again."""
        self._is_paused = False

    def opened(self, position: int, removed_book: bool) -> None:  # noqa: ARG002 (a generated market goes on from now)
        """Send the whole book again where the server has removed it."""
        self._owes_book = self._owes_book or removed_book

    async def _run(self) -> None:
        try:
            while True:
                await self._run_day(self._trade_date(self._clock.now()))
        except SpireError as error:
            self._log.critical("the simulation feed is refused: {error}", error=str(error))
            self.failed.callback(error)

    async def _run_day(self, day: date) -> None:
        terms = simulation_terms(self._venue, day, self._environment)
        self._feed = feed = FeedClient(self._session, terms, clock=self._clock, tasks=self._tasks)
        self._owes_book = True
        await feed.start(self)
        quotes = trades = 0.0
        last = self._clock.monotonic()
        while self._trade_date(self._clock.now()) == day:
            await self._clock.sleep(self._rates.turn_seconds)
            monotonic = self._clock.monotonic()
            passed, last = min(1.0, monotonic - last), monotonic
            if self._owes_book:
                self._owes_book = False
                await self._send(feed, self._market.books(self._clock.now()))
            if self._is_paused:
                continue
            quotes += self._rates.quotes * passed
            trades += self._rates.trades * passed
            while quotes >= 1:
                count = min(int(quotes), len(self._market))
                quotes -= count
                await self._send(feed, self._market.quotes(count, self._clock.now()))
            if trades >= 1:
                await self._send(feed, {RecordType.TRADE: self._market.trades(int(trades), self._clock.now())})
                trades -= int(trades)
        await feed.end()

    async def _send(self, feed: FeedClient, records: dict[RecordType, Records]) -> None:
        """Publish records of several types in batches of the size that a box takes."""
        for kind, part in records.items():
            for first in range(0, len(part), BATCH_RECORDS):
                piece = part[first : first + BATCH_RECORDS]
                await feed.publish({kind: piece}, len(piece))
