"""History through a relay is Market Data's own, whatever is asked, and its errors are too."""

from datetime import date
from typing import Any
from unittest.mock import patch

import numpy as np
from attrs import evolve
from twisted.internet.defer import Deferred

from spire.marketdata import memory
from spire.marketdata.codecs import CODECS
from spire.marketdata.commands import LARGEST_TAIL, TakeSnapshot
from spire.marketdata.interfaces import BlockRange, StoredRecords
from spire.marketdata.values import RecordType, unpack
from spire.relay import history, pages
from spire.series.commands import Load
from spire.series.filter import Compare, Operator
from spire.series.loads import load
from spire.series.query import Interruption, LimitFrom, Query
from spire.values.environment import FeedKind
from spire.values.orders import BookSide
from spire.values.time import Timestamp
from spire.wire.errors import Invalid, NotFound, Unavailable
from spire.wire.readers import end_iteration
from spire.wire.stream_commands import FIRST_LOAD
from tests.relay.room import BAC, LONG_AGO, MARKET_DATA, RELAY, SEES_ALL, RelayRoomTestCase, quotes, row, trades

TOPIC = "trade/1"


class QueryTestCase(RelayRoomTestCase):
    """Three feed sessions of one day: one stored, one replayed, one in memory only. Pages of 64 records."""

    def setUp(self) -> None:
        """Publish 700 prints, replay 100 others, then 300 more, of which the store has but some."""
        super().setUp()
        self.patch(pages, "PAGE", 64)
        simulated = self.feed("simulated")
        self.prints(simulated, 700)
        self.run_(simulated.end())
        replayed = self.feed("replayed", FeedKind.REPLAY)
        self.prints(replayed, 100, start=700)
        self.run_(replayed.end())
        self.platform.advance(5.0)
        self.last = self.feed("last")
        self.prints(self.last, 300, start=800)
        self.direct = self.session(MARKET_DATA, SEES_ALL)
        self.relayed = self.client().session

    def loaded(self, session: Any, query: Query) -> Any:
        """Load."""
        return self.run_(load(session, query, CODECS[RecordType.TRADE]))

    def assert_same(self, count: int, **terms: Any) -> None:
        """Check that both answer a query alike, with so many records."""
        query = Query(topic=TOPIC, **terms)
        theirs, ours = self.loaded(self.direct, query), self.loaded(self.relayed, query)
        self.assertEqual(len(theirs.records), count)
        self.assertEqual(ours.records.tobytes(), theirs.records.tobytes())
        self.assertEqual((ours.epoch, ours.through), (theirs.epoch, theirs.through))


class EqualityTests(QueryTestCase):
    """Byte for byte what Market Data answers, with the same epoch and place."""

    def test_everything_page_by_page(self) -> None:
        """Of the primary feed sessions, of all of them, or of the replayed one, which is no primary one."""
        self.assert_same(1_000)
        self.assert_same(1_100, options={"feed_sessions": "all"})
        self.assert_same(100, feed_session=2)

    def test_heads(self) -> None:
        """Less than a page, several, whole pages, more than there is."""
        self.assert_same(10, limit=10, limit_from=LimitFrom.HEAD)
        self.assert_same(777, limit=777, limit_from=LimitFrom.HEAD)
        self.assert_same(128, limit=128, limit_from=LimitFrom.HEAD)
        self.assert_same(1_000, limit=5_000, limit_from=LimitFrom.HEAD)

    def test_tails(self) -> None:
        """More than a page, more than there is, and of a range: the oldest record comes first."""
        self.assert_same(500, limit=500)
        self.assert_same(1_000, limit=5_000)
        self.assert_same(150, start_sequence=601, end_sequence=900, limit=150)

    def test_ranges_of_sequences(self) -> None:
        """Over the replayed session, beyond the last record, and where there is nothing."""
        self.assert_same(200, start_sequence=601, end_sequence=900)
        self.assert_same(100, start_sequence=1_001, end_sequence=9_999)
        self.assert_same(0, start_sequence=1_101)

    def test_a_range_of_times(self) -> None:
        """Both ends count."""
        start, end = (Timestamp(LONG_AGO + 1 + place) for place in (100, 399))
        self.assert_same(300, start_time=start, end_time=end)

    def test_filters(self) -> None:
        """A limit counts what passes; a page that is not full ends the answer, however far it reached."""
        dear = Compare(field="price", operator=Operator.GREATER, value=5_200)
        cheap = Compare(field="price", operator=Operator.LESS_OR_EQUAL, value=14)
        self.assert_same(90, filter=dear, limit=90, limit_from=LimitFrom.HEAD)
        self.assert_same(5, filter=cheap)

    def test_last_records_and_snapshot(self) -> None:
        """Of whoever may see all of it, unchanged."""
        self.publish(self.last, bbos=quotes([BAC]))
        direct, relayed = self.client(service=MARKET_DATA), self.client()
        theirs, ours = (self.run_(client.snapshot(BAC)) for client in (direct, relayed))
        self.assertEqual((ours.trade.tobytes(), ours.bbo.tobytes()), (theirs.trade.tobytes(), theirs.bbo.tobytes()))
        self.assertEqual((ours.trade_through, ours.bbo_through, ours.epoch), (1_100, 1, theirs.epoch))
        theirs, ours = (self.run_(client.last_records(BAC, date(2013, 10, 8))) for client in (direct, relayed))
        self.assertEqual([part.tobytes() for part in ours], [part.tobytes() for part in theirs])
        self.assertEqual([len(part) for part in ours], [1, 1])


class SnapshotTests(RelayRoomTestCase):
    """A large book through a relay, which moves while it is read."""

    def setUp(self) -> None:
        """Publish a book of three pages."""
        super().setUp()
        self.market = self.feed()
        for part in range(3):
            rows = [row(BAC, BookSide.BID, 1 + part * 500 + place, 5) for place in range(500)]
            self.publish(self.market, books=np.concatenate(rows))
        self.client_session = self.client().session

    def page(self, offset: int, **options: bool) -> Any:
        """Return a page, and change the book then."""
        answer = self.run_(self.client_session.call(TakeSnapshot, instrument=BAC, book_offset=offset, **options))
        self.publish(self.market, books=row(BAC, BookSide.BID, 1, 6))
        return answer

    def test_its_pages_are_of_the_moment_of_the_first(self) -> None:
        """And the next book is the current one."""
        pages = [self.page(offset) for offset in (0, 681, 1362)]
        self.assertEqual([page["book_through"] for page in pages], [1500] * 3)
        book = unpack(RecordType.BOOK, b"".join(page["book"] for page in pages))
        self.assertEqual((book["price"].tolist(), set(book["size"].tolist())), (list(range(1500, 0, -1)), {5}))
        self.assertEqual(self.page(0)["book_through"], 1503)

    def test_readers_do_not_disturb_each_other(self) -> None:
        """The relay reads all of a book before it answers, one after the other."""
        clients = [self.client() for _ in range(3)]
        self.network.faults.delay_seconds = 0.01
        asked = [Deferred.fromCoroutine(client.snapshot(BAC)) for client in clients]
        self.platform.advance(2.0)
        self.network.faults.delay_seconds = 0.0
        self.assertEqual([len(self.successResultOf(one).book) for one in asked], [1500] * 3)

    def test_without_the_book_it_is_not_read(self) -> None:
        """Nothing of it comes, and its sequence is 0."""
        answer = self.page(0, without_book=True)
        self.assertEqual((answer["book"], answer["book_rows"], answer["book_through"]), (b"", 0, 0))


class PageTests(QueryTestCase):
    """How a relay reads."""

    def test_what_comes_while_pages_are_read_is_not_part_of_the_answer(self) -> None:
        """The answer ends where the topic stood; a subscription goes on from there."""
        asked = Deferred.fromCoroutine(load(self.relayed, Query(topic=TOPIC), CODECS[RecordType.TRADE]))
        self.network.faults.delay_seconds = 0.01
        self.platform.advance(0.1)
        self.network.faults.delay_seconds = 0.0
        self.publish(self.last, trades=trades([BAC] * 50, start_time=2_000))
        self.platform.advance(2.0)
        found = self.successResultOf(asked)
        self.assertEqual((found.through, int(found.records["sequence"][-1])), (1_100, 1_100))

    def test_a_relay_holds_no_more_than_a_page_for_a_slow_reader(self) -> None:
        """It asks for the next one when the reader has taken the last."""
        asked: list[Query] = []
        original = self.market_data.archive.load

        async def counted(session: Any, query: Query) -> Any:
            asked.append(query)
            return await original(session, query)

        (link,) = self.network.connections(RELAY)
        with patch.object(self.market_data.archive, "load", counted):
            link.server.hold()
            waiting = Deferred.fromCoroutine(load(self.relayed, Query(topic=TOPIC), CODECS[RecordType.TRADE]))
            self.platform.advance(5.0)
            held = len(asked)
            link.server.release()
            self.platform.advance(5.0)
        self.assertLess(held, 16)
        self.assertEqual(len(asked), 16)
        self.assertEqual(len(self.successResultOf(waiting).records), 1_000)

    def test_many_loads_at_once_are_all_answered(self) -> None:
        """More than Market Data lets one session have: they take turns."""
        sessions = [self.client().session for _ in range(2)]
        query = Query(topic=TOPIC, limit=200, limit_from=LimitFrom.HEAD)
        asked = [
            Deferred.fromCoroutine(load(session, query, CODECS[RecordType.TRADE]))
            for session in sessions
            for _ in range(40)
        ]
        self.platform.advance(5.0)
        self.assertEqual({len(self.successResultOf(one).records) for one in asked}, {200})

    def slow_store(self, seconds: float) -> None:
        """Have the store answer a block at a time, and take its time for it."""
        read = self.store.read

        async def slow(wanted: BlockRange, *, backwards: bool) -> StoredRecords:
            await self.clock.sleep(seconds)
            return await read(wanted, backwards=backwards)

        self.patch(memory, "PAGE_BLOCKS", 1)
        self.patch(self.store, "read", slow)

    def test_a_page_that_fills_slowly_is_waited_for(self) -> None:
        """The reader hears that it is still being read, page or TAIL."""
        self.slow_store(40.0)
        rare = Compare(field="price", operator=Operator.LESS_OR_EQUAL, value=10)
        asked = [
            Deferred.fromCoroutine(load(self.relayed, query, CODECS[RecordType.TRADE]))
            for query in (
                Query(topic=TOPIC, filter=rare, policy=Interruption.BREAK),
                Query(topic=TOPIC, filter=rare, policy=Interruption.BREAK, limit=5),
            )
        ]
        self.platform.advance(400.0)
        self.assertEqual([len(self.successResultOf(one).records) for one in asked], [1, 1])

    def test_a_load_that_is_cancelled_before_its_first_chunk_reads_no_further(self) -> None:
        """Although its page was begun when it was answered."""
        self.slow_store(5.0)
        series = self.run_(self.relay.history.load(None, Query(topic=TOPIC)))
        self.assertEqual(self.relay.history._slots.tokens, history.PAGES_AT_ONCE - 1)
        self.run_(end_iteration(series.chunks))
        self.assertEqual(self.relay.history._slots.tokens, history.PAGES_AT_ONCE)

    def test_a_cancelled_load_reads_no_further(self) -> None:
        """Its pages are the reader's own."""
        self.network.faults.delay_seconds = 0.01
        asked = Deferred.fromCoroutine(load(self.relayed, Query(topic=TOPIC), CODECS[RecordType.TRADE]))
        self.platform.advance(0.1)
        asked.addErrback(lambda _: None)
        asked.cancel()
        self.platform.advance(2.0)
        self.network.faults.delay_seconds = 0.0
        self.assertEqual(self.relay.history._slots.tokens, history.PAGES_AT_ONCE)


class ErrorTests(QueryTestCase):
    """Errors are Market Data's, and never look like an empty answer."""

    def refused(self, query: Query, kind: Any) -> Any:
        """Load in vain."""
        return self.refusal(load(self.relayed, query, CODECS[RecordType.TRADE]), kind)

    def test_a_filter_that_names_no_field_is_invalid(self) -> None:
        """As Market Data says it."""
        wrong = Compare(field="colour", operator=Operator.EQUAL, value=1)
        self.assertIn("colour", self.refused(Query(topic=TOPIC, filter=wrong), Invalid).message)

    def test_a_feed_session_that_never_was_is_not_found(self) -> None:
        """As Market Data says it."""
        self.refused(Query(topic=TOPIC, feed_session=99), NotFound)

    def test_a_tail_that_would_fill_the_memory_is_invalid(self) -> None:
        """One of a page is answered; more are asked by sequence or time, or from the head."""
        error = self.refused(Query(topic=TOPIC, limit=LARGEST_TAIL + 1), Invalid)
        self.assertEqual(error.details["argument"], "limit")
        self.assertIn("by sequence or time", error.message)
        self.assertEqual(len(self.loaded(self.relayed, Query(topic=TOPIC, limit=LARGEST_TAIL)).records), 1_000)
        head = Query(topic=TOPIC, limit=10**9, limit_from=LimitFrom.HEAD)
        self.assertEqual(len(self.loaded(self.relayed, head).records), 1_000)

    def test_a_name_that_is_no_topic_is_not_found(self) -> None:
        """The relay knows that by itself; the feed sessions are a topic, but of no records."""
        for name in ("trade/x", "candles/1", "trade/4000000", "trade/5000000000", "feed_sessions"):
            self.refused(Query(topic=name), NotFound)

    def test_what_is_merely_wrong_is_invalid(self) -> None:
        """Also to a client that does not look before it asks, and by Market Data as by the relay."""
        for session in (self.direct, self.relayed):
            for wrong in (
                Query(topic=TOPIC, start_sequence=-5),
                Query(topic=TOPIC, end_sequence=2**64 - 1),
                Query(topic=TOPIC, end_time=Timestamp(2**63)),
                Query(topic=TOPIC, feed_session=2**63),
            ):
                self.refusal(session.call(Load, number=FIRST_LOAD + 99, query=wrong), Invalid)

    def test_while_market_data_is_away_a_load_that_breaks_is_unavailable(self) -> None:
        """At once; the text says that it is tried again."""
        self.lose_market_data()
        query = Query(topic=TOPIC, policy=Interruption.BREAK)
        self.assertIn(MARKET_DATA, self.refused(query, Unavailable).message)

    def test_while_market_data_is_away_a_load_that_recovers_waits_for_it(self) -> None:
        """And gets all of it afterwards."""
        self.lose_market_data()
        asked = Deferred.fromCoroutine(load(self.relayed, Query(topic=TOPIC), CODECS[RecordType.TRADE]))
        self.platform.advance(5.0)
        self.find_market_data()
        self.assertEqual(len(self.successResultOf(asked).records), 1_000)

    def test_a_load_whose_upstream_breaks_between_pages_recovers_the_rest(self) -> None:
        """Each record once."""
        self.network.faults.delay_seconds = 0.01
        asked = Deferred.fromCoroutine(load(self.relayed, Query(topic=TOPIC), CODECS[RecordType.TRADE]))
        self.platform.advance(0.15)
        self.network.faults.delay_seconds = 0.0
        self.lose_market_data()
        self.assertNoResult(asked)
        self.find_market_data()
        found = self.successResultOf(asked).records["sequence"].tolist()
        self.assertEqual(found, [*range(1, 701), *range(801, 1_101)])

    def test_a_load_over_two_epochs_is_not_mixed(self) -> None:
        """A page of another epoch ends it; who recovers begins anew."""
        query = Query(topic=TOPIC, policy=Interruption.BREAK)
        original = self.relay.history.page
        pages = 0

        async def page(*wanted: Any) -> Any:
            nonlocal pages
            pages += 1
            found = await original(*wanted)
            return found if pages < 3 else evolve(found, epoch=2)

        with patch.object(self.relay.history, "page", page):
            self.assertIn("anew", self.refused(query, Unavailable).message)
