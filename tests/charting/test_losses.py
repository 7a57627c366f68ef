"""Charting when others go away: clients that wait no more, and servers that come back."""

from twisted.internet.defer import CancelledError, Deferred

from spire.marketdata.archive import Archive
from spire.relay.history import PAGES_AT_ONCE
from spire.series.interfaces import Series
from spire.series.query import Interruption, Query
from spire.series.responders import LOADS_AT_ONCE
from spire.service.readiness import State
from spire.wire.errors import Unavailable
from spire.wire.server_session import Session
from tests.charting.room import (
    SERVICE,
    ChartingRoomTestCase,
    Watcher,
    minutes,
    shape,
)

RELAY = "market_data_relay_service"
RELAY_ADDRESS = "127.0.0.1:22300"


class CancelTests(ChartingRoomTestCase):
    """What nobody waits for any more is prepared nowhere."""

    def setUp(self) -> None:
        """Have Market Data take its time when the test says so."""
        super().setUp()
        self.prints((0, 14.00, 1))
        self.is_slow = True
        self.asked: list[Deferred[None]] = []
        original = Archive.load

        async def slow(archive: Archive, session: Session, query: Query) -> Series:
            if self.is_slow:
                waiting: Deferred[None] = Deferred(self.asked.remove)
                self.asked.append(waiting)
                await waiting
            return await original(archive, session, query)

        self.patch(Archive, "load", slow)

    def test_queries_are_cancelled_up_to_market_data(self) -> None:
        """All that a session may have under way; no slot of any server is lost."""
        queries = [Deferred.fromCoroutine(self.charting.candles(minutes())) for _ in range(LOADS_AT_ONCE)]
        self.platform.advance(1.0)
        self.assertEqual(len(self.asked), PAGES_AT_ONCE)
        for query in queries:
            query.cancel()
            self.failureResultOf(query, CancelledError)
        self.platform.advance(1.0)
        self.assertEqual(self.asked, [])
        self.is_slow = False
        queries = [Deferred.fromCoroutine(self.charting.candles(minutes())) for _ in range(LOADS_AT_ONCE)]
        self.platform.advance(1.0)
        self.assertEqual({len(self.successResultOf(query).records) for query in queries}, {1})

    def test_the_end_of_a_session_cancels_its_queries(self) -> None:
        """Up to Market Data as well."""
        query = Deferred.fromCoroutine(self.charting.candles(minutes(), policy=Interruption.BREAK))
        self.platform.advance(1.0)
        self.assertEqual(len(self.asked), 1)
        self.network.drop(SERVICE)
        self.platform.advance(1.0)
        self.failureResultOf(query, Unavailable)
        self.assertEqual(self.asked, [])


class LossTests(ChartingRoomTestCase):
    """Others go away and come back."""

    def test_prints_that_charting_missed_are_in_the_candles_afterwards(self) -> None:
        """Market data is lost and found; the subscriber sees no break."""
        watcher = Watcher()
        self.charting.follow(minutes(), watcher)
        self.platform.advance(1.0)
        self.prints((0, 14.00, 1))
        self.network.faults.refuse.add(RELAY_ADDRESS)
        self.network.drop(RELAY)
        self.prints((0.5, 14.10, 1))
        self.assertEqual(self.platform.rooms["charting"].readiness.state, State.DEGRADED)
        self.assertEqual(shape(watcher.latest()[0])[4], 1)
        self.network.faults.refuse.clear()
        self.platform.advance(20.0)
        self.assertEqual(self.platform.rooms["charting"].readiness.state, State.READY)
        self.assertEqual(shape(watcher.latest()[0]), (14.00, 14.10, 14.00, 14.10, 2, 2))
        self.assertEqual(watcher.errors, [])

    def test_prints_that_the_relay_missed_are_in_the_candles_afterwards(self) -> None:
        """Market Data is lost behind it and found."""
        watcher = Watcher()
        self.charting.follow(minutes(), watcher)
        self.platform.advance(1.0)
        self.prints((0, 14.00, 1))
        self.network.faults.refuse.add("127.0.0.1:20300")
        self.network.drop("market_data_service")
        self.prints((0.5, 14.10, 1))
        self.refusal(self.charting.candles(minutes(), policy=Interruption.BREAK), Unavailable)
        self.network.faults.refuse.clear()
        self.platform.advance(20.0)
        self.assertEqual(shape(watcher.latest()[0]), (14.00, 14.10, 14.00, 14.10, 2, 2))
        self.assertEqual(watcher.errors, [])

    def test_without_the_locator_charts_go_on(self) -> None:
        """Who is connected stays so; the server says what it misses."""
        self.platform.stop("service-locator")
        self.platform.advance(2.0)
        self.assertEqual(self.platform.rooms["charting"].readiness.state, State.DEGRADED)
        self.prints((0, 14.00, 1))
        self.assertEqual(len(self.load(minutes())), 1)
        self.platform.start("service-locator")
        self.platform.advance(20.0)
        self.assertEqual(self.platform.rooms["charting"].readiness.state, State.READY)

    def test_a_client_that_lost_charting_has_every_change_afterwards(self) -> None:
        """It resumes where it stood."""
        watcher = Watcher()
        self.charting.follow(minutes(), watcher)
        self.platform.advance(1.0)
        self.prints((0, 14.00, 1))
        self.network.drop(SERVICE)
        self.prints((0.5, 14.10, 1), (1, 14.20, 1))
        self.platform.advance(10.0)
        self.assertEqual(shape(watcher.latest()[0]), (14.00, 14.10, 14.00, 14.10, 2, 2))
        self.assertEqual(shape(watcher.latest()[1]), (14.20, 14.20, 14.20, 14.20, 1, 1))
        self.assertEqual(watcher.errors, [])

    def test_a_restarted_charting_server_goes_on_from_history(self) -> None:
        """It holds nothing that it cannot make again."""
        watcher = Watcher()
        self.charting.follow(minutes(), watcher)
        self.platform.advance(1.0)
        self.prints((0, 14.00, 1))
        self.platform.stop("charting")
        self.prints((0.5, 14.10, 1))
        self.platform.start("charting")
        self.platform.advance(20.0)
        self.prints((0.6, 14.05, 1))
        self.assertEqual(shape(watcher.latest()[0]), (14.00, 14.10, 14.00, 14.05, 3, 3))
        self.assertEqual(watcher.errors, [])
