"""Series of candles that are still being opened, over trades that never begin."""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from spire.charting import server
from spire.charting.interfaces import ITradeFollower, ITrades, TradeRange
from spire.charting.server import ChartingServer
from spire.marketdata.values import Records
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.testing.clock import ManualClock
from spire.wire.errors import Overloaded, Unavailable
from spire.wire.publisher import Publisher, Topic
from tests.charting.room import IBM, minutes

NOBODY: Any = None
"""The gate, which is not here, asks about sessions and rights."""


@implementer(ITrades)
class SilentTrades:
    """Followed, but nothing is told."""

    def __init__(self) -> None:
        self.followers: list[ITradeFollower] = []

    def load(
        self, wanted: TradeRange, restart: Callable[[], None], take: Callable[[Records], None]
    ) -> Awaitable[tuple[int, int]]:
        """Answer never."""
        return Deferred()

    def follow(self, instrument_id: int, after: int | None, follower: ITradeFollower) -> Callable[[], None]:
        """Keep the follower."""
        self.followers.append(follower)
        return lambda: self.followers.remove(follower)

    def is_replayed(self, instrument_id: int) -> bool:
        """Return False."""
        return False


class OpeningTests(SynchronousTestCase):
    """Whoever waits for a series gets it, or hears why not."""

    def setUp(self) -> None:
        """Make a server that follows one series at most."""
        self.patch(server, "MOST_LIVE_SERIES", 1)
        clock, metrics = ManualClock(), Metrics()
        tasks = Tasks(clock, metrics)
        self.trades = SilentTrades()
        self.server = ChartingServer(
            trades=self.trades,
            zone_of=lambda _: "America/New_York",
            rights=NOBODY,
            publisher=Publisher(clock=clock, tasks=tasks, metrics=metrics),
            tasks=tasks,
        )

    def open(self, instrument: int = 1) -> Deferred[Topic]:
        """Ask for a series."""
        return Deferred.fromCoroutine(self.server.open_topic(NOBODY, str(minutes(instrument))))

    def follower(self) -> Any:
        """Return who follows trades; it is one."""
        (follower,) = self.trades.followers
        return follower

    def test_a_series_that_somebody_waits_for_is_not_let_go(self) -> None:
        """Another one is refused instead, until its trades have begun and nobody reads it."""
        waiting = self.open()
        self.failureResultOf(self.open(IBM), Overloaded)
        self.follower().begin(1, 0)
        self.assertEqual(self.successResultOf(waiting).name, str(minutes()))
        self.assertNoResult(self.open(IBM))
        self.assertEqual(self.follower().topic, minutes(IBM))

    def test_a_series_that_nobody_waits_for_any_more_is_let_go(self) -> None:
        """Whoever went made room."""
        waiting = self.open()
        waiting.addErrback(lambda _: None)
        waiting.cancel()
        self.assertNoResult(self.open(IBM))

    def test_a_server_that_stops_tells_whoever_waits(self) -> None:
        """He asks another one."""
        waiting = [self.open(), self.open()]
        self.server.close()
        for one in waiting:
            self.failureResultOf(one, Unavailable)
        self.assertEqual(self.trades.followers, [])
