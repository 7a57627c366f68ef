"""The Market Data Server, its feeds and clients over a network in memory."""

import errno
import shutil
from datetime import date
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs

from spire.database import journal
from spire.database.errors import StoreDown
from spire.database.journal import JournalFailed, JournalFull
from spire.database.ordered_writer import MemoryWriterStore
from spire.feeds.client import FeedClient
from spire.marketdata import acceptance, memory
from spire.marketdata.client import MarketDataClient
from spire.marketdata.codecs import CODECS
from spire.marketdata.commands import LARGEST_TAIL, PublishBatch, TakeSnapshot
from spire.marketdata.interfaces import BlockRange, StoredRecords
from spire.marketdata.snapshots import SnapshotPages
from spire.marketdata.values import RecordType, ServedMarket, topic_of
from spire.series.filter import Compare, Operator
from spire.series.loads import load
from spire.series.query import Interruption, LimitFrom, Query
from spire.values.orders import BookSide
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, Refused, Unavailable
from spire.wire.topics import Policy
from tests.marketdata.records import VENUE, quotes, row, trades
from tests.marketdata.room import FEED_SERVICE, SERVICE, Recorder, RoomTestCase

TRADES_1 = topic_of(RecordType.TRADE, 1)


class PublishTests(RoomTestCase):
    """From a feed to a client."""

    def test_a_subscriber_gets_what_a_feed_publishes(self) -> None:
        """Sequenced, stamped and judged, in order, and only its instrument."""
        client, recorder = self.client(), Recorder()
        client.subscribe(RecordType.TRADE, 1, recorder, after=0)
        self.clock.advance(0.5)
        self.publish(self.feed(), trades=trades([1, 2, 1]))
        self.clock.advance(0.5)
        received = np.concatenate(recorder.parts)
        self.assertEqual((received["sequence"].tolist(), received["price"].tolist()), ([1, 2], [10_000, 10_002]))
        self.assertTrue((received["feed_session"] == 1).all())
        self.assertTrue((received["receive_time"] > 0).all())
        self.assertTrue((received["eligibility"] == 15).all())

    def test_history_is_what_was_streamed(self) -> None:
        """Before and after the store has it."""
        self.publish(self.feed(), trades=trades([1, 2, 1], start_time=1000))
        client = self.client()
        fresh = self.result(client.load(Query(topic=TRADES_1)))
        self.clock.advance(5)
        self.assertEqual(self.server.intake.backlog, 0)
        stored = self.result(client.load(Query(topic=TRADES_1)))
        self.assertEqual((fresh.through, fresh.records["sequence"].tolist()), (2, [1, 2]))
        self.assertEqual(stored.records.tobytes(), fresh.records.tobytes())

    def test_history_of_store_and_memory_joins_without_a_seam(self) -> None:
        """Part is stored, part is not yet."""
        feed = self.feed()
        self.publish(feed, trades=trades([1] * 10))
        self.clock.advance(5)
        self.publish(feed, trades=trades([1] * 10, start_time=2000))
        client = self.client()
        for query, expected in (
            (Query(topic=TRADES_1), range(1, 21)),
            (Query(topic=TRADES_1, limit=12), range(9, 21)),
            (Query(topic=TRADES_1, limit=12, limit_from=LimitFrom.HEAD), range(1, 13)),
            (Query(topic=TRADES_1, start_sequence=8, end_sequence=13), range(8, 14)),
            (Query(topic=TRADES_1, start_time=1009, end_time=2001), range(10, 13)),
        ):
            loaded = self.result(client.load(query))
            self.assertEqual(loaded.records["sequence"].tolist(), list(expected))

    def test_history_is_filtered(self) -> None:
        """By any field of the record."""
        self.publish(self.feed(), trades=trades([1] * 5))
        condition = Compare(field="price", operator=Operator.GREATER, value=10_002)
        loaded = self.result(self.client().load(Query(topic=TRADES_1, filter=condition)))
        self.assertEqual(loaded.records["price"].tolist(), [10_003, 10_004])

    def test_a_rare_filter_is_loaded_however_long_it_takes(self) -> None:
        """The client hears that it is still looked for, from either end."""
        self.patch(memory, "PAGE_BLOCKS", 1)
        feed = self.feed()
        for turn in range(20):
            self.publish(feed, trades=trades([1] * 600, start_time=1000 + 600 * turn))
            self.clock.advance(1)
        read = self.store.read

        async def slow(wanted: BlockRange, *, backwards: bool) -> StoredRecords:
            await self.clock.sleep(5)
            return await read(wanted, backwards=backwards)

        self.patch(self.store, "read", slow)
        client = self.client()
        rare = Compare(field="price", operator=Operator.EQUAL, value=7)
        asked = [
            Deferred.fromCoroutine(
                client.load(Query(topic=TRADES_1, filter=rare, policy=Interruption.BREAK, limit=limit))
            )
            for limit in (None, 1)
        ]
        self.clock.advance(150)
        self.assertEqual([len(self.successResultOf(one).records) for one in asked], [0, 0])

    def test_a_follower_gets_past_and_future_once(self) -> None:
        """One hand-over."""
        feed = self.feed()
        self.publish(feed, trades=trades([1] * 5))
        recorder = Recorder()
        self.client().follow(Query(topic=TRADES_1), recorder)
        self.clock.advance(1)
        self.publish(feed, trades=trades([1] * 5, start_time=2000))
        self.clock.advance(1)
        self.assertEqual(recorder.sequences, list(range(1, 11)))

    def test_a_snapshot_has_quote_trade_and_book(self) -> None:
        """With the sequences to go on from."""
        books = np.concatenate([row(1, BookSide.BID, 10, 5), row(1, BookSide.ASK, 11, 5), row(1, BookSide.BID, 9, 5)])
        self.publish(self.feed(), trades=trades([1, 1]), bbos=quotes([1]), books=books)
        snapshot = self.result(self.client().snapshot(1))
        self.assertEqual((snapshot.trade_through, snapshot.bbo_through, snapshot.book_through), (2, 1, 3))
        self.assertEqual((snapshot.trade["price"].tolist(), snapshot.bbo["bid"].tolist()), ([10_001], [1000]))
        self.assertEqual(snapshot.book["price"].tolist(), [10, 9, 11])

    def test_a_big_book_comes_in_pages(self) -> None:
        """More rows than fit one answer."""
        feed = self.feed()
        for part in range(5):
            rows = [row(1, BookSide.BID, 1 + part * 500 + place, 5) for place in range(500)]
            self.publish(feed, books=np.concatenate(rows))
        snapshot = self.result(self.client().snapshot(1))
        self.assertEqual(snapshot.book["price"].tolist(), list(range(2500, 0, -1)))

    def test_a_big_book_that_moves_is_read_as_it_was(self) -> None:
        """Each page is of the moment of the first, however much changes between them."""
        feed = self.feed()
        self.big_book(feed)
        client = self.client()
        calls = self.moving(client, feed)
        snapshot = self.result(client.snapshot(1))
        self.assertEqual((len(calls), snapshot.book_through), (3, 1500))
        self.assertEqual(snapshot.book["price"].tolist(), list(range(1500, 0, -1)))
        self.assertTrue((snapshot.book["size"] == 5).all())

    def test_books_are_read_at_once_on_one_session(self) -> None:
        """The server keeps some for each."""
        feed = self.feed()
        self.big_book(feed)
        self.big_book(feed, 2)
        client = self.client()
        offsets = self.moving(client, feed)
        both = [Deferred.fromCoroutine(client.snapshot(instrument)) for instrument in (1, 2)]
        self.clock.advance(1)
        self.assertEqual([len(self.successResultOf(one).book) for one in both], [1500, 1500])
        self.assertEqual(offsets, [0, 0, 681, 681, 1362, 1362])

    def test_two_who_read_one_book_on_one_session_take_turns(self) -> None:
        """Their pages would mix, because the server keeps one of an instrument."""
        feed = self.feed()
        self.big_book(feed)
        client = self.client()
        offsets = self.moving(client, feed)
        both = [Deferred.fromCoroutine(client.snapshot(1)) for _ in range(2)]
        self.clock.advance(1)
        self.assertEqual([self.successResultOf(one).book_through for one in both], [1500, 1503])
        self.assertEqual(offsets, [0, 681, 1362] * 2)

    def test_a_book_whose_pages_never_belong_together_is_unavailable(self) -> None:
        """The reader is told; he does not begin again for ever."""
        feed = self.feed()
        self.big_book(feed)
        client = self.client()
        calls = self.moving(client, feed)
        self.patch(SnapshotPages, "kept", lambda *_: None)
        self.refusal(client.snapshot(1), Unavailable)
        self.assertEqual(len(calls), 6)

    def test_what_is_kept_for_a_reader_goes_with_the_last_page_or_with_him(self) -> None:
        """A page asked for after that is of the current book."""
        dropped: list[SnapshotPages] = []
        original = SnapshotPages.drop

        def drop(pages: SnapshotPages) -> None:
            dropped.append(pages)
            original(pages)

        self.patch(SnapshotPages, "drop", drop)
        feed = self.feed()
        self.big_book(feed)
        session = self.client().session
        page = partial(session.call, TakeSnapshot, instrument=1)
        self.result(page(book_offset=0))
        self.publish(feed, books=row(1, BookSide.BID, 1, 6))
        throughs = [self.result(page(book_offset=offset))["book_through"] for offset in (681, 1362, 681)]
        self.assertEqual(throughs, [1500, 1500, 1501])
        self.result(session.stop())
        self.clock.advance(1)
        self.assertEqual(len(dropped), 1)
        self.assertIsNone(dropped[0].kept(1, 681))

    def test_a_snapshot_without_the_book_is_one_call(self) -> None:
        """However large the book is: nothing of it comes, and its sequence is 0."""
        feed = self.feed()
        self.big_book(feed)
        self.publish(feed, trades=trades([1]), bbos=quotes([1]))
        client = self.client()
        calls = self.moving(client, feed)
        snapshot = self.result(client.snapshot(1, with_book=False))
        self.assertEqual((len(calls), len(snapshot.book), snapshot.book_through), (1, 0, 0))
        self.assertEqual((snapshot.trade_through, snapshot.bbo_through), (1, 1))

    def big_book(self, feed: FeedClient, instrument: int = 1) -> None:
        """Publish a book of 1,500 rows, which are three pages."""
        for part in range(3):
            rows = [row(instrument, BookSide.BID, 1 + part * 500 + place, 5) for place in range(500)]
            self.publish(feed, books=np.concatenate(rows))

    def moving(self, client: MarketDataClient, feed: FeedClient) -> list[int]:
        """Have the book change after each answer that a client gets; return the offsets that it asks for."""
        call, offsets = client.session.call, []

        async def moved(*command: Any, **arguments: Any) -> Any:
            answer = await call(*command, **arguments)
            offsets.append(arguments["book_offset"])
            change = row(1, BookSide.BID, 1, 5 + len(offsets))
            Deferred.fromCoroutine(feed.publish({RecordType.BOOK: change}, 1))
            return answer

        self.patch(client.session, "call", moved)
        return offsets

    def test_a_conflating_reader_gets_the_latest(self) -> None:
        """The range stays covered."""
        feed = self.feed()
        recorder = Recorder()
        self.client().subscribe(RecordType.BBO, 1, recorder, policy=Policy.CONFLATE)
        self.clock.advance(0.5)
        self.publish(feed, bbos=quotes([1] * 50))
        self.clock.advance(0.5)
        self.assertEqual(recorder.sequences[-1], 50)
        self.assertEqual(recorder.errors, [])

    def test_last_records_are_found_by_trade_date(self) -> None:
        """The current day from memory, an earlier one from the store."""
        feed = self.feed("7", trade_date="2013-10-07")
        self.publish(feed, trades=trades([1], start_time=500))
        self.result(feed.end())
        self.clock.advance(5)
        self.publish(self.feed("8"), trades=trades([1], start_time=1000))
        client = self.client()
        earlier, _ = self.result(client.last_records(1, date(2013, 10, 7)))
        current, no_quote = self.result(client.last_records(1, date(2013, 10, 8)))
        self.assertEqual((earlier["source_time"].tolist(), current["source_time"].tolist()), ([500], [1000]))
        self.assertEqual(len(no_quote), 0)


class RefusalTests(RoomTestCase):
    """What is refused, with a code, and the server stays up."""

    def test_a_feed_needs_the_capability(self) -> None:
        """Without it nobody publishes, or is even let in."""
        session = self.connect(FEED_SERVICE, "market_data.all")
        self.assertFalse(session.is_ready)

    def test_a_client_needs_the_capability(self) -> None:
        """A feed's account does not read."""
        session = self.connect(SERVICE, "market_data.publish")
        self.assertFalse(session.is_ready)

    def test_an_unknown_instrument_is_not_found(self) -> None:
        """History, snapshot and stream say so; nothing looks empty."""
        client, recorder = self.client(), Recorder()
        self.refusal(client.load(Query(topic="trade/99")), NotFound)
        self.refusal(client.snapshot(99), NotFound)
        client.subscribe(RecordType.TRADE, 99, recorder)
        self.clock.advance(0.5)
        self.assertIsInstance(recorder.errors[0], NotFound)

    def test_a_number_that_no_instrument_can_have_is_not_found(self) -> None:
        """Also to a client that does not look before it asks."""
        client, recorder = self.client(), Recorder()
        self.refusal(load(client.session, Query(topic="trade/5000000000"), CODECS[RecordType.TRADE]), NotFound)
        client.subscribe(RecordType.TRADE, 5_000_000_000, recorder)
        self.clock.advance(0.5)
        self.assertIsInstance(recorder.errors[0], NotFound)

    def test_a_bad_record_ends_the_feed_with_invalid(self) -> None:
        """It names record and field; nothing of the batch is accepted."""
        feed = self.feed()
        bad = trades([1, 1])
        bad["price"][1] = -5
        self.send(feed, trades=bad)
        error = self.successResultOf(feed.failed)
        self.assertIsInstance(error, Invalid)
        self.assertIn("record 1: price", str(error))
        self.assertEqual(self.result(self.client().snapshot(1)).trade_through, 0)

    def test_bytes_that_are_no_records_are_invalid(self) -> None:
        """The connection stays."""
        feed = self.feed()
        session = feed.connection
        error = self.refusal(session.call(PublishBatch, feed_session=1, first=1, count=1, trades=b"garbage"), Invalid)
        self.assertIn("whole number", str(error))
        self.assertTrue(session.is_ready)

    def test_a_tail_that_would_fill_the_memory_is_invalid(self) -> None:
        """Also where there is less; more are asked by sequence or time, or from the head."""
        self.publish(self.feed(), trades=trades([1]))
        client = self.client()
        error = self.refusal(client.load(Query(topic=TRADES_1, limit=LARGEST_TAIL + 1)), Invalid)
        self.assertEqual(error.details["argument"], "limit")
        self.assertIn("by sequence or time", error.message)
        for query in (
            Query(topic=TRADES_1, limit=LARGEST_TAIL),
            Query(topic=TRADES_1, limit=LARGEST_TAIL + 1, limit_from=LimitFrom.HEAD),
        ):
            self.assertEqual(len(self.result(client.load(query)).records), 1)

    def test_a_feed_session_that_never_was_is_not_found(self) -> None:
        """An error never looks like an empty result."""
        self.refusal(self.client().load(Query(topic=TRADES_1, feed_session=4_242)), NotFound)

    def test_a_market_of_no_venue_is_invalid(self) -> None:
        """It would stand in the list of markets for ever."""
        for venue in (-1, 4_242, 2**40):
            feed = self.make_feed(serves=(ServedMarket(venue=venue, record_type=RecordType.TRADE),))
            self.assertIn(str(venue), str(self.refusal(feed.start(), Invalid)))

    def test_a_trade_date_beyond_timestamps_is_invalid(self) -> None:
        """Nanoseconds since 1970 reach neither the first year nor the last."""
        for day in ("0001-01-01", "9999-12-31", "tomorrow"):
            self.assertIn(day, str(self.refusal(self.make_feed(trade_date=day).start(), Invalid)))

    def test_a_strangers_batch_is_no_sign_of_life(self) -> None:
        """Only the connection on which a session is open keeps its quotes fresh."""
        feed = self.feed()
        market = self.client().markets()
        self.result(feed.stop())
        self.clock.advance(6.0)
        self.assertTrue(market.is_stale(VENUE, RecordType.TRADE))
        stranger = self.connect(FEED_SERVICE, "market_data.publish")
        batch = trades([1]).tobytes()
        self.refusal(stranger.call(PublishBatch, feed_session=1, first=1, count=1, trades=batch), Conflict)
        self.assertTrue(market.is_stale(VENUE, RecordType.TRADE))

    def test_a_second_feed_of_a_market_is_a_conflict(self) -> None:
        """While the first is connected."""
        self.feed("first")
        second = self.make_feed("second")
        self.refusal(second.start(), Conflict)

    def test_an_instrument_that_definitions_adds_is_accepted_at_once(self) -> None:
        """The server looks again before it refuses."""
        feed = self.feed()
        self.market.instruments.append(4)
        self.publish(feed, trades=trades([4]))
        self.assertEqual(self.result(self.client().snapshot(4)).trade_through, 1)

    def test_an_instrument_that_is_not_known_yet_is_tried_again(self) -> None:
        """Definitions may tell the feed a moment before it tells the server."""
        feed = self.feed()
        self.send(feed, trades=trades([4]))
        self.clock.advance(1)
        self.assertEqual(feed.accepted, 0)
        self.market.instruments.append(4)
        self.clock.advance(2)
        self.assertEqual(feed.accepted, 1)


class DeathTests(RoomTestCase):
    """Killing and losing."""

    def test_a_killed_server_goes_on_where_it_was(self) -> None:
        """From the journal alone: history, sequences, snapshot; feed and subscriber come back by themselves."""
        recorder = Recorder()
        client, feed = self.client(), self.feed()
        client.subscribe(RecordType.TRADE, 1, recorder, after=0)
        self.clock.advance(0.2)
        self.publish(feed, trades=trades([1] * 5), bbos=quotes([1]), books=row(1, BookSide.BID, 10, 5))
        before = self.result(client.snapshot(1))
        self.crash()
        self.serve()
        self.clock.advance(10)
        after = self.result(client.snapshot(1))
        self.assertEqual(before.trade.tobytes(), after.trade.tobytes())
        self.assertEqual(before.bbo.tobytes(), after.bbo.tobytes())
        self.assertEqual(before.book.tobytes(), after.book.tobytes())
        self.publish(feed, trades=trades([1] * 5, start_time=2000))
        self.clock.advance(1)
        self.assertEqual(recorder.sequences, list(range(1, 11)))
        self.assertEqual(len(recorder.resets), 1)

    def test_a_server_killed_after_storing_goes_on_from_the_store(self) -> None:
        """Sequences, last records and the book come from there."""
        client, feed = self.client(), self.feed()
        self.publish(feed, trades=trades([1] * 5), bbos=quotes([1]), books=row(1, BookSide.BID, 10, 5))
        self.clock.advance(5)
        before = self.result(client.snapshot(1))
        self.crash()
        self.serve()
        self.clock.advance(10)
        after = self.result(client.snapshot(1))
        self.assertEqual(before.book.tobytes(), after.book.tobytes())
        self.assertEqual((after.trade_through, after.bbo_through, after.book_through), (5, 1, 1))
        self.publish(feed, trades=trades([1]))
        loaded = self.result(client.load(Query(topic=TRADES_1)))
        self.assertEqual(loaded.records["sequence"].tolist(), [1, 2, 3, 4, 5, 6])

    def test_batches_in_flight_at_a_kill_are_sent_again_and_doubled_never(self) -> None:
        """Whatever was durable, acknowledged or not."""
        feed = self.feed()
        for turn in range(6):
            self.clock.pump(turn)
            self.send(feed, trades=trades([1] * 10, start_time=1000 * turn + 1))
            if turn in (2, 4):
                self.crash()
                self.serve()
        self.clock.advance(10)
        self.result(feed.flushed())
        loaded = self.result(self.client().load(Query(topic=TRADES_1)))
        self.assertEqual(loaded.records["sequence"].tolist(), list(range(1, 61)))
        expected = [time for turn in range(6) for time in range(1000 * turn + 1, 1000 * turn + 11)]
        self.assertEqual(loaded.records["source_time"].tolist(), expected)

    def test_a_killed_feed_goes_on_under_its_name(self) -> None:
        """The server says what it accepted last."""
        first = self.feed()
        self.publish(first, trades=trades([1] * 5))
        self.result(first.stop())
        self.network.drop(FEED_SERVICE)
        again = self.make_feed()
        self.assertEqual(self.result(again.start(keeps_book=True)), 5)
        self.assertEqual(again.next_position, 6)

    def test_a_full_disk_refuses_the_batch_and_loses_nothing(self) -> None:
        """The feed sends again until there is room; sequences have no hole."""
        feed = self.feed()
        self.publish(feed, trades=trades([1]))

        def full() -> None:
            raise JournalFull(errno.ENOSPC, "no space left on device")

        self.before_write = full
        self.send(feed, trades=trades([1, 1], start_time=2000))
        session = self.connect(FEED_SERVICE, "market_data.publish")
        self.clock.advance(1)
        self.assertEqual(feed.accepted, 1)
        self.assertTrue(session.is_ready)
        self.before_write = lambda: None
        self.clock.advance(2)
        self.assertEqual(feed.accepted, 3)
        self.assertIn("no space left", str(self.trouble[0]))
        self.assertIsNone(self.trouble[-1])
        loaded = self.result(self.client().load(Query(topic=TRADES_1)))
        self.assertEqual(loaded.records["sequence"].tolist(), [1, 2, 3])
        self.flushLoggedErrors()

    def test_a_full_disk_is_a_coded_error(self) -> None:
        """JOURNAL_FULL, so that an operator sees it at the feed too."""
        feed = self.feed()

        def full() -> None:
            raise JournalFull(errno.ENOSPC, "no space left on device")

        self.before_write = full
        call = feed.connection.call(PublishBatch, feed_session=1, first=1, count=1, trades=trades([1]).tobytes())
        error = self.refusal(call, Refused)
        self.assertEqual(error.coded, "JOURNAL_FULL")
        self.flushLoggedErrors()

    def test_a_journal_that_takes_nothing_at_all_refuses_and_the_server_stays(self) -> None:
        """It may be broken for good, or a group may be none that it takes: feeds are told, and the rest goes on."""
        feed = self.feed()
        batch = trades([1]).tobytes()
        for error in (JournalFailed("the journal is not open"), ValueError("a frame holds at most 1 byte")):
            with patch.object(self.journal, "append_many", side_effect=error):
                call = feed.connection.call(PublishBatch, feed_session=1, first=1, count=1, trades=batch)
                self.assertEqual(self.refusal(call, Refused).coded, "JOURNAL_FAILED")
            self.assertIn(str(error), str(self.trouble[-1]))
        self.publish(feed, trades=trades([1]))
        self.assertIsNone(self.trouble[-1])
        self.assertEqual(self.result(self.client().snapshot(1)).trade_through, 1)
        self.result(self.server.stop())

    def test_without_the_store_feeds_and_streams_go_on(self) -> None:
        """Memory answers what it holds; older history is UNAVAILABLE, not empty; afterwards all is stored."""
        feed, client = self.feed(), self.client()
        self.publish(feed, trades=trades([1] * 3))
        self.clock.advance(5)
        down = StoreDown("the database is away")
        with patch.object(self.store, "write", side_effect=down), patch.object(self.store, "read", side_effect=down):
            self.publish(feed, trades=trades([1] * 3, start_time=2000))
            self.clock.advance(3)
            self.assertEqual(self.server.intake.backlog, 3)
            recent = self.result(client.load(Query(topic=TRADES_1, start_sequence=4)))
            self.assertEqual(recent.records["sequence"].tolist(), [4, 5, 6])
            self.refusal(client.load(Query(topic=TRADES_1, policy=Interruption.BREAK)), Unavailable)
        self.clock.advance(10)
        self.assertEqual(self.server.intake.backlog, 0)
        self.assertEqual(len(self.result(client.load(Query(topic=TRADES_1))).records), 6)

    def test_a_server_whose_tables_were_taken_over_takes_nothing_more(self) -> None:
        """Feeds are UNAVAILABLE here and look for the other one."""
        feed = self.feed()
        self.result(MemoryWriterStore(self.store.writers, "blocks", self.write).take_over())
        self.publish(feed, trades=trades([1]))
        self.clock.advance(3)
        self.send(feed, trades=trades([1]))
        self.clock.advance(3)
        self.assertEqual(feed.accepted, 1)
        self.assertTrue(self.writer.is_fenced)
        self.flushLoggedErrors()

    def test_a_lost_journal_refuses_the_start(self) -> None:
        """Rather than giving out sequences that the store has given out before."""
        self.publish(self.feed(), trades=trades([1]))
        self.clock.advance(5)
        self.crash()
        shutil.rmtree(self.directory)
        failure = self.assertRaises(AssertionError, self.serve)
        self.assertIn("the epoch must rise", str(failure))

    def test_a_trickle_is_never_held_up_and_a_flood_gathers(self) -> None:
        """Many small batches take a group each; what comes behind a big one waits 5 ms and goes together."""
        feed = self.feed()
        before = self.journal.position
        for turn in range(5):
            self.send(feed, trades=trades([1], start_time=turn + 1))
        self.assertEqual(self.journal.position, before + 5)
        records = trades([1] * 500)
        for _ in range(10):
            self.successResultOf(Deferred.fromCoroutine(feed.publish({RecordType.TRADE: records}, len(records))))
        self.clock.advance(1)
        self.assertEqual(feed.accepted, 5005)
        self.assertLess(self.journal.position, before + 5 + 10)

    def test_a_stop_stores_everything(self) -> None:
        """A graceful end leaves nothing to the journal."""
        self.publish(self.feed(), trades=trades([1] * 3))
        self.result(self.server.stop())
        self.assertEqual(dict(self.store._sequences), {(RecordType.TRADE, 1): 3})


class TrimTests(RoomTestCase):
    """What the store has, the journal need not keep."""

    def test_a_journal_that_cannot_be_trimmed_is_logged(self) -> None:
        """Its disk fills, and somebody must hear why; records are stored all the same."""
        self.patch(self.journal, "trim", lambda _: fail(OSError(errno.EIO, "Input/output error")))
        with capturedLogs() as events:
            self.publish(self.feed(), trades=trades([1]))
            self.clock.advance(2)
        self.assertTrue(self.flushLoggedErrors(OSError))
        self.assertTrue(any("the journal keeps files" in (event["log_format"] or "") for event in events))
        self.assertEqual(self.server.intake.backlog, 0)


class MarketTests(RoomTestCase):
    """The state topic `feed_sessions`."""

    def test_market_time_follows_the_records_of_a_replay(self) -> None:
        """And stands still between them."""
        markets = self.client().markets()
        feed = self.feed()
        self.assertIsNone(markets.market_time(VENUE))
        self.publish(feed, trades=trades([1, 1], start_time=1000))
        self.clock.advance(3)
        self.assertEqual(markets.market_time(VENUE), 1001)
        self.publish(feed, bbos=quotes([1], start_time=5000))
        self.clock.advance(3)
        self.assertEqual(markets.market_time(VENUE), 5000)
        state = markets.state(VENUE, RecordType.TRADE)
        self.assertEqual((state.trade_date, state.connected, state.name), ("2013-10-08", True, "feed"))

    def test_a_market_without_a_feed_is_stale(self) -> None:
        """Nothing is trusted that nobody sends."""
        markets = self.client().markets()
        self.clock.advance(1)
        self.assertTrue(markets.is_stale(VENUE))

    def test_a_quiet_feed_is_not_stale_while_it_sends_heartbeats(self) -> None:
        """A paused replay rests for minutes."""
        markets = self.client().markets()
        self.publish(self.feed(), bbos=quotes([1]))
        self.clock.advance(120)
        self.assertFalse(markets.is_stale(VENUE))

    def test_a_feed_that_is_lost_is_stale_after_five_seconds_and_fresh_when_it_returns(self) -> None:
        """Its session goes on."""
        markets = self.client().markets()
        feed = self.feed()
        self.network.faults.refuse.add("127.0.0.1:20400")
        self.network.drop(FEED_SERVICE)
        self.clock.advance(1)
        self.assertFalse(markets.state(VENUE, RecordType.BBO).connected)
        self.clock.advance(7)
        self.assertTrue(markets.is_stale(VENUE))
        self.network.faults.refuse.clear()
        self.clock.advance(30)
        self.assertTrue(feed.is_open)
        self.assertFalse(markets.is_stale(VENUE))

    def test_a_dead_feeds_book_rows_are_removed_after_the_grace_period(self) -> None:
        """By published records, so that nobody keeps phantom quotes; no quote is made up."""
        client, recorder = self.client(), Recorder()
        feed = self.feed()
        self.publish(feed, books=row(1, BookSide.BID, 10, 5), bbos=quotes([1]))
        client.subscribe(RecordType.BOOK, 1, recorder, after=0)
        self.result(feed.stop())
        self.network.faults.refuse.add("127.0.0.1:20400")
        self.network.drop(FEED_SERVICE)
        self.clock.advance(9)
        self.assertEqual(len(self.result(client.snapshot(1)).book), 1)
        self.clock.advance(3)
        snapshot = self.result(client.snapshot(1))
        self.assertEqual((len(snapshot.book), snapshot.bbo_through), (0, 1))
        self.assertEqual([int(part["size"][-1]) for part in recorder.parts], [5, 0])

    def test_a_feed_that_goes_while_its_opening_waits_has_a_grace_period_too(self) -> None:
        """It took the session over from its former connection, whose end means nothing any more."""
        client, feed = self.client(), self.feed()
        self.publish(feed, books=row(1, BookSide.BID, 10, 5))
        again = self.make_feed()
        self.held = held = Deferred()
        self.send(feed, trades=trades([1]))
        opening = Deferred.fromCoroutine(again.start(keeps_book=True)).addErrback(lambda _: None)
        self.clock.advance(0.1)
        self.moved(again.connection.stop())
        self.held = None
        held.callback(None)
        for each in (feed, feed.connection):
            self.moved(each.stop())
        opening.cancel()
        self.assertEqual(len(self.result(client.snapshot(1)).book), 1)
        self.clock.advance(12)
        self.assertEqual(len(self.result(client.snapshot(1)).book), 0)

    def test_a_book_that_fits_no_entry_of_the_journal_is_removed_in_several(self) -> None:
        """All of it at once to whoever looks, and after a restart."""
        self.patch(journal, "MAX_PAYLOAD_BYTES", 60_000)
        self.patch(acceptance, "GROUP_RECORDS", 600)
        client, recorder, feed = self.client(), Recorder(), self.feed()
        for part in range(3):
            rows = [row(1, BookSide.BID, 1 + part * 500 + place, 5) for place in range(500)]
            self.publish(feed, books=np.concatenate(rows))
        client.subscribe(RecordType.BOOK, 1, recorder, after=1500)
        before = self.journal.position
        self.result(feed.stop())
        self.network.faults.refuse.add("127.0.0.1:20400")
        self.network.drop(FEED_SERVICE)
        self.clock.advance(10.2)
        self.assertEqual(self.journal.position, before + 3)
        self.crash()
        self.network.faults.refuse.clear()
        self.serve()
        self.clock.advance(10)
        snapshot = self.result(client.snapshot(1))
        self.assertEqual((len(snapshot.book), snapshot.book_through), (0, 3000))
        self.assertEqual(recorder.sequences, list(range(1501, 3001)))

    def test_an_ended_session_says_so(self) -> None:
        """Its market is stale at once, and keeps its time."""
        markets = self.client().markets()
        feed = self.feed()
        self.publish(feed, bbos=quotes([1], start_time=5000))
        self.result(feed.end())
        self.clock.advance(1)
        state = markets.state(VENUE, RecordType.BBO)
        self.assertEqual((state.ended, state.stale, markets.market_time(VENUE)), (True, True, 5000))

    def test_market_time_survives_a_restart(self) -> None:
        """From the store's last records."""
        self.publish(self.feed(), bbos=quotes([1], start_time=5000))
        self.clock.advance(5)
        self.crash()
        self.serve()
        self.clock.advance(5)
        markets = self.client().markets()
        self.clock.advance(1)
        self.assertEqual(markets.market_time(VENUE), 5000)

    def test_replaying_a_day_twice_reads_the_first_unless_asked(self) -> None:
        """Both are kept."""
        for name, start in (("first", 1000), ("second", 3000)):
            feed = self.feed(name)
            self.publish(feed, trades=trades([1, 1], start_time=start))
            self.result(feed.end())
        client = self.client()
        primary = self.result(client.load(Query(topic=TRADES_1)))
        second = self.result(client.load(Query(topic=TRADES_1, feed_session=2)))
        everything = self.result(client.load(Query(topic=TRADES_1, options={"feed_sessions": "all"})))
        self.assertEqual(primary.records["sequence"].tolist(), [1, 2])
        self.assertEqual(second.records["sequence"].tolist(), [3, 4])
        self.assertEqual(everything.records["sequence"].tolist(), [1, 2, 3, 4])


class ForbiddenTests(RoomTestCase):
    """Rights inside the tables, too."""

    def test_the_server_checks_again_what_the_port_checked(self) -> None:
        """A feed's session cannot read through the client's methods."""
        self.feed()
        (session,) = [each for each in self.factories[FEED_SERVICE].sessions if each.is_authenticated]
        self.assertRaises(Forbidden, self.server.snapshot, session, 1, with_book=True)
