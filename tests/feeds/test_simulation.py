"""The simulation feed and a Market Data Server in memory."""

from datetime import date, timedelta

from spire.feeds.generated_market import GeneratedMarket
from spire.feeds.simulation import Rates, SimulationFeed
from spire.marketdata.values import RecordType
from spire.values.time import local_date, parse_timestamp
from spire.wire.errors import Conflict
from tests.marketdata.records import INSTRUMENTS, VENUE
from tests.marketdata.room import FEED_SERVICE, Recorder, RoomTestCase


class SimulationTestCase(RoomTestCase):
    """A simulation and a server."""

    def simulate(self, seed: int = 1) -> SimulationFeed:
        """Start a simulation on a connection of its own."""
        feed = SimulationFeed(
            self.connect(FEED_SERVICE, "market_data.publish"),
            GeneratedMarket(list(INSTRUMENTS), VENUE, seed=seed),
            venue=VENUE,
            environment=self.environment,
            trade_date=lambda now: local_date(now, "UTC"),  # type: ignore[arg-type] # a plain int is a timestamp here
            rates=Rates(quotes=20.0, trades=5.0, turn_seconds=0.25),
            clock=self.clock,
            tasks=self.tasks,
        )
        self.addCleanup(lambda: self.result(feed.stop()))
        feed.start()
        self.clock.advance(1)
        return feed


class SimulationTests(SimulationTestCase):
    """A generated market goes on by itself."""

    def test_quotes_trades_and_book_come_at_their_rates(self) -> None:
        """Over ten seconds."""
        quotes, trades = Recorder(), Recorder()
        client = self.client()
        self.simulate()
        for instrument in INSTRUMENTS:
            client.subscribe(RecordType.BBO, instrument, quotes)
            client.subscribe(RecordType.TRADE, instrument, trades)
        self.clock.advance(10)
        self.assertIn(len(quotes.sequences), range(190, 211))
        self.assertIn(len(trades.sequences), range(45, 56))

    def test_book_and_quote_agree_at_any_moment(self) -> None:
        """The first level is the best bid and offer."""
        self.simulate()
        self.clock.advance(7)
        snapshot = self.result(self.client().snapshot(1))
        bids = snapshot.book[snapshot.book["side"] == 1]
        asks = snapshot.book[snapshot.book["side"] == 2]
        self.assertEqual((len(bids), len(asks)), (5, 5))
        self.assertEqual((bids["price"][0], asks["price"][0]), (snapshot.bbo["bid"][0], snapshot.bbo["ask"][0]))

    def test_a_killed_simulation_begins_a_fresh_book(self) -> None:
        """What the dead one left is removed, whatever it was."""
        first = self.simulate(seed=1)
        self.clock.advance(3)
        self.result(first.stop())
        self.network.drop(FEED_SERVICE)
        self.simulate(seed=99)
        self.clock.advance(3)
        snapshot = self.result(self.client().snapshot(1))
        self.assertEqual(len(snapshot.book), 10)
        self.assertEqual(len(self.server.intake.sessions.sessions), 1)

    def test_a_killed_server_gets_the_market_back(self) -> None:
        """Book and quotes agree again after the restart."""
        self.simulate()
        self.clock.advance(3)
        self.crash()
        self.serve()
        self.clock.advance(20)
        snapshot = self.result(self.client().snapshot(1))
        self.assertEqual(len(snapshot.book), 10)
        self.assertEqual(snapshot.book["price"][0], snapshot.bbo["bid"][0])

    def test_a_market_that_is_paused_stands_still_and_stays_fresh(self) -> None:
        """Its heartbeats go on."""
        markets = self.client().markets()
        feed = self.simulate()
        feed.pause()
        self.clock.advance(1)
        held = feed.accepted
        self.clock.advance(8)
        self.assertEqual(feed.accepted, held)
        self.assertFalse(markets.is_stale(VENUE))
        feed.resume()
        self.clock.advance(5)
        self.assertGreater(feed.accepted, held)

    def test_a_market_that_another_feed_serves_is_refused(self) -> None:
        """The process says so instead of trying for ever."""
        self.feed("other")
        feed = self.simulate()
        self.assertIsInstance(self.successResultOf(feed.failed), Conflict)
        self.flushLoggedErrors()


class MidnightTests(SimulationTestCase):
    """Around the end of a trade date."""

    beginning = parse_timestamp("2013-10-08T23:59:50Z")

    def test_a_new_trade_date_is_a_new_feed_session(self) -> None:
        """The old one ends, with its book; the new one sends its own."""
        self.simulate()
        first = self.server.intake.sessions.get(1)
        self.clock.advance(20)
        second = self.server.intake.sessions.get(2)
        days = [date.fromisoformat(each.trade_date) for each in (first, second)]
        self.assertEqual(days[1] - days[0], timedelta(days=1))
        self.assertIsNotNone(self.server.intake.sessions.get(1).ended)
        self.assertEqual(len(self.result(self.client().snapshot(1)).book), 10)
