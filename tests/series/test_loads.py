"""History over the wire: chunks, ends, errors, interruptions, and the hand-over to what is live."""

from collections.abc import AsyncIterator
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from zope.interface import implementer

from spire.series.commands import CancelLoad, Load
from spire.series.filter import Compare, Operator
from spire.series.following import Following, follow
from spire.series.interfaces import ISeries, Series
from spire.series.loads import RECOVER_SECONDS, STALL_SECONDS, Recovery, load
from spire.series.query import Interruption, LimitFrom, Query
from spire.series.responders import LOADS_AT_ONCE
from spire.wire.errors import Forbidden, Internal, Invalid, NotFound, Overloaded, Refused, SpireError, Unavailable
from spire.wire.server_session import Session
from spire.wire.stream_commands import FIRST_LOAD
from spire.wire.topics import HistoryChunk
from tests.wire.stream_support import PACKED, Recorder, StreamTestCase, ticks


@implementer(ISeries)
class TickSeries:
    """The history of ticks of a topic, up to where the topic stands."""

    def __init__(self, test: "SeriesTestCase") -> None:
        self.test = test
        self.queries: list[Query] = []
        self.error: Exception | None = None
        self.fails_after: int | None = None
        self.hangs = False
        self.empty_chunks = 0
        self.is_slow = False
        self.prepared = 0

    async def load(self, session: Session, query: Query) -> Series:
        """Answer; where it is slow, never, and a cancel takes a while too."""
        self.queries.append(query)
        if self.is_slow:
            self.prepared += 1
            try:
                await Deferred()
            finally:
                await self.test.clock.sleep(0.01)
                self.prepared -= 1
        if self.error is not None and self.fails_after is None:
            raise self.error
        topic = self.test.publisher.find(query.topic)
        if topic is None:
            raise NotFound(f"There is no topic {query.topic}.")
        return Series(epoch=topic.epoch, through=topic.through, codec=PACKED, chunks=self.chunks(query, topic.through))

    async def chunks(self, query: Query, through: int) -> AsyncIterator[HistoryChunk]:
        """Yield chunks of 5,000."""
        first = query.start_sequence or 1
        last = through if query.end_sequence is None else min(through, query.end_sequence)
        if query.limit is not None and query.limit_from is LimitFrom.HEAD:
            last = min(last, first + query.limit - 1)
        elif query.limit is not None:
            first = max(first, last - query.limit + 1)
        sent = 0
        for number in range(self.empty_chunks):
            await self.test.clock.sleep(STALL_SECONDS - 1)
            yield HistoryChunk(payload=b"", count=0, after=first - 1 + number, through=first + number)
        while first <= last:
            await self.test.clock.sleep(0.01)
            if self.hangs:
                await Deferred()
            if self.fails_after is not None and sent >= self.fails_after:
                assert self.error is not None
                raise self.error
            end = min(first + 4_999, last)
            records = ticks(first, end)
            yield HistoryChunk(payload=PACKED.encode(records), count=len(records), after=first - 1, through=end)
            sent += 1
            first = end + 1


class SeriesTestCase(StreamTestCase):
    """A room with series."""

    def setUp(self) -> None:
        """Make the series."""
        self.series = TickSeries(self)
        super().setUp()

    def serve(self, instance_id: str, address: str = "127.0.0.1:20900") -> Any:
        """Start a server with series."""
        factory = super().serve(instance_id, address)
        self.streams.series = self.series
        return factory

    def ask(self, query: Query) -> Deferred[Any]:
        """Start a load."""
        assert self.client is not None
        return Deferred.fromCoroutine(load(self.client, query, PACKED))

    def loaded(self, query: Query) -> Any:
        """Load."""
        asked = self.ask(query)
        self.clock.advance(5)
        return self.successResultOf(asked)

    def refused(self, query: Query, kind: type[SpireError], seconds: float = 5) -> SpireError:
        """Load in vain."""
        asked = self.ask(query)
        self.clock.advance(seconds)
        error = self.failureResultOf(asked, kind).value
        assert isinstance(error, SpireError)
        return error


class LoadTests(SeriesTestCase):
    """A load is complete or an error."""

    def test_all_records_and_where_the_topic_stands(self) -> None:
        """Many chunks become one answer."""
        self.log_topic(through=23_000)
        loaded = self.loaded(Query(topic="trade/1"))
        self.assertEqual(loaded.records["sequence"].tolist(), list(range(1, 23_001)))
        self.assertEqual((loaded.epoch, loaded.through), (1, 23_000))

    def test_an_empty_answer_is_an_answer(self) -> None:
        """No records, no error."""
        self.log_topic()
        loaded = self.loaded(Query(topic="trade/1"))
        self.assertEqual((len(loaded.records), loaded.through), (0, 0))

    def test_a_refusal_reaches_the_caller_with_its_code(self) -> None:
        """An error never looks like an empty answer."""
        self.assertIn("trade/9", self.refused(Query(topic="trade/9"), NotFound).message)
        self.series.error = Forbidden("Not yours.")
        self.refused(Query(topic="trade/1"), Forbidden)
        self.refused(Query(topic="trade/1", limit=0), Invalid)

    def test_an_error_between_chunks_fails_the_load(self) -> None:
        """What came before it is not passed off as everything."""
        self.log_topic(through=23_000)
        self.series.error, self.series.fails_after = Forbidden("Withdrawn."), 2
        self.refused(Query(topic="trade/1"), Forbidden)

    def test_a_fault_between_chunks_fails_the_load(self) -> None:
        """A fault of the server arrives as INTERNAL."""
        self.log_topic(through=23_000)
        self.series.error, self.series.fails_after = ZeroDivisionError(), 2
        self.refused(Query(topic="trade/1"), Internal)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_what_takes_the_records_may_refuse_more_of_them(self) -> None:
        """The query ends with its error, and the server reads no further."""
        self.log_topic(through=2_000_000)
        assert self.client is not None

        def take(_: object) -> None:
            raise Invalid("Too many.")

        recovery = Recovery(self.client, Query(topic="trade/1"), PACKED, began=lambda _epoch, _after: None, take=take)
        asked = Deferred.fromCoroutine(recovery.run())
        self.clock.advance(1)
        self.failureResultOf(asked, Invalid)
        self.assertEqual(self.streams.loads[-1].open_loads, 0)

    def test_a_slow_client_holds_the_server_back(self) -> None:
        """The server reads no more than the connection takes."""
        self.log_topic(through=2_000_000)
        (link,) = self.network.connections()
        asked = self.ask(Query(topic="trade/1"))
        self.clock.pump()
        link.server.hold()
        self.clock.advance(10)
        self.assertLess(link.server.undelivered_bytes, 300_000)
        link.server.release()
        self.clock.advance(10)
        self.assertEqual(len(self.successResultOf(asked).records), 2_000_000)

    def test_a_load_that_stalls_is_given_up(self) -> None:
        """Whoever asked under BREAK learns after a while that nothing comes."""
        self.log_topic(through=10)
        self.series.hangs = True
        query = Query(topic="trade/1", policy=Interruption.BREAK)
        self.refused(query, Unavailable, STALL_SECONDS + 1)
        self.assertEqual(self.streams.loads[-1].open_loads, 0)
        self.lose_connection()

    def test_a_load_that_finds_nothing_for_long_goes_on(self) -> None:
        """The server says how far it has looked."""
        self.log_topic(through=10)
        self.series.empty_chunks = 3
        asked = self.ask(Query(topic="trade/1", policy=Interruption.BREAK))
        self.clock.advance(3 * STALL_SECONDS)
        self.assertEqual(len(self.successResultOf(asked).records), 10)

    def test_a_cancelled_load_ends_at_the_server(self) -> None:
        """The server stops reading when nobody waits."""
        self.log_topic(through=2_000_000)
        asked = self.ask(Query(topic="trade/1"))
        self.clock.advance(0.1)
        self.assertEqual(self.streams.loads[-1].open_loads, 1)
        asked.cancel()
        self.failureResultOf(asked)
        self.clock.advance(1)
        self.assertEqual(self.streams.loads[-1].open_loads, 0)

    def test_a_load_that_is_being_prepared_is_cancelled(self) -> None:
        """The work for it ends with it."""
        self.series.is_slow = True
        asked = self.ask(Query(topic="trade/1"))
        self.settle()
        self.assertEqual((self.series.prepared, self.streams.loads[-1].open_loads), (1, 1))
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.clock.advance(1)
        self.assertEqual((self.series.prepared, self.streams.loads[-1].open_loads), (0, 0))

    def test_who_waits_for_a_load_that_another_cancels_hears_of_it(self) -> None:
        """A code, and nothing in the log: it is no fault."""
        assert self.client is not None
        self.series.is_slow = True
        number = FIRST_LOAD + 7
        asked = Deferred.fromCoroutine(self.client.call(Load, number=number, query=Query(topic="trade/1")))
        self.settle()
        cancelled = Deferred.fromCoroutine(self.client.call(CancelLoad, number=number))
        self.clock.advance(1)
        self.successResultOf(cancelled)
        self.assertEqual(self.failureResultOf(asked, Refused).value.coded, "CANCELLED")

    def test_a_number_may_be_taken_again_after_a_cancel(self) -> None:
        """The former load, which has not ended yet, takes nothing of the new one with it."""
        assert self.client is not None
        self.log_topic(through=10)
        call, number = self.client.call, FIRST_LOAD + 7
        self.series.is_slow = True
        former = Deferred.fromCoroutine(call(Load, number=number, query=Query(topic="trade/1")))
        cancelled = Deferred.fromCoroutine(call(CancelLoad, number=number))
        self.settle()
        self.successResultOf(cancelled)
        self.series.is_slow = False
        self.series.hangs = True
        again = Deferred.fromCoroutine(call(Load, number=number, query=Query(topic="trade/1")))
        self.settle()
        self.assertNoResult(former)
        self.clock.advance(1)
        self.failureResultOf(former, Refused)
        self.assertEqual((self.successResultOf(again)["through"], self.streams.loads[-1].open_loads), (10, 1))
        self.lose_connection()

    def test_the_end_of_a_session_cancels_what_is_being_prepared(self) -> None:
        """Nobody is there to take it."""
        self.series.is_slow = True
        self.ask(Query(topic="trade/1", policy=Interruption.BREAK)).addErrback(lambda _: None)
        self.settle()
        self.assertEqual(self.series.prepared, 1)
        self.lose_connection()
        self.clock.advance(1)
        self.assertEqual((self.series.prepared, self.streams.loads[-1].open_loads), (0, 0))

    def test_too_many_loads_at_once_are_refused(self) -> None:
        """One session may have so many under way."""
        self.log_topic(through=10)
        self.series.hangs = True
        for _ in range(LOADS_AT_ONCE):
            self.ask(Query(topic="trade/1")).addErrback(lambda _: None)
        self.settle()
        self.refused(Query(topic="trade/1"), Overloaded)
        self.assertEqual(self.streams.loads[-1].open_loads, LOADS_AT_ONCE)
        self.lose_connection()
        self.assertEqual(self.streams.loads[-1].open_loads, 0)


class InterruptionTests(SeriesTestCase):
    """A connection that is lost in the middle of a load."""

    def test_recover_asks_for_the_rest(self) -> None:
        """Every record arrives once, over two connections."""
        self.log_topic(through=100_000)
        asked = self.ask(Query(topic="trade/1", limit=90_000))
        self.clock.advance(0.05)
        self.lose_connection()
        self.reconnect()
        self.clock.advance(10)
        records = self.successResultOf(asked).records
        self.assertEqual(records["sequence"].tolist(), list(range(10_001, 100_001)))
        self.assertEqual(len(self.series.queries), 2)
        self.assertGreater(self.series.queries[1].start_sequence, 10_001)
        self.assertIsNone(self.series.queries[1].limit)

    def test_what_was_looked_at_in_vain_is_not_asked_for_again(self) -> None:
        """And it counts as progress: who recovers waits from there on. A TAIL begins anew."""
        self.log_topic(through=100)
        self.series.empty_chunks = 3
        asked = [self.ask(Query(topic="trade/1", limit=limit)) for limit in (None, 100)]
        self.clock.advance(2 * STALL_SECONDS)
        self.lose_connection()
        self.series.empty_chunks = 0
        self.reconnect()
        self.clock.advance(10)
        self.assertEqual([query.start_sequence for query in self.series.queries], [None, None, 3, None])
        self.assertEqual([len(self.successResultOf(one).records) for one in asked], [98, 100])

    def test_another_epoch_begins_the_load_again(self) -> None:
        """Nothing of the former numbering is mixed with the new one."""
        self.log_topic(through=100_000)
        asked = self.ask(Query(topic="trade/1"))
        self.clock.advance(0.05)
        self.restart_server()
        self.log_topic(epoch=2, through=7)
        self.reconnect()
        self.clock.advance(10)
        loaded = self.successResultOf(asked)
        self.assertEqual((loaded.epoch, loaded.records["sequence"].tolist()), (2, [1, 2, 3, 4, 5, 6, 7]))

    def test_break_fails(self) -> None:
        """Under BREAK the caller learns at once."""
        self.log_topic(through=100_000)
        asked = self.ask(Query(topic="trade/1", policy=Interruption.BREAK))
        self.clock.advance(0.05)
        self.lose_connection()
        self.failureResultOf(asked, Unavailable)

    def test_recovery_does_not_wait_for_ever(self) -> None:
        """A server that stays away ends the load."""
        self.log_topic(through=100_000)
        asked = self.ask(Query(topic="trade/1"))
        self.clock.advance(0.05)
        self.lose_connection()
        self.clock.advance(RECOVER_SECONDS + 40)
        self.failureResultOf(asked, Unavailable)

    def test_a_server_that_looks_at_the_same_place_again_makes_no_progress(self) -> None:
        """It says each time that it looks, and fails: that ends too."""
        self.log_topic(through=100)

        async def chunks(query: Query, through: int) -> AsyncIterator[HistoryChunk]:
            yield HistoryChunk(payload=b"", count=0, after=0, through=0)
            raise Unavailable("The database is away.")

        self.patch(self.series, "chunks", chunks)
        asked = self.ask(Query(topic="trade/1", limit=50, limit_from=LimitFrom.TAIL))
        self.clock.advance(RECOVER_SECONDS + 40)
        self.failureResultOf(asked, Unavailable)


class FollowTests(SeriesTestCase):
    """History, then what comes: one hand-over."""

    def follow(self, **query: Any) -> tuple[Recorder, Following[Any]]:
        """Follow the topic."""
        assert self.client is not None
        recorder = Recorder()
        return recorder, follow(self.client, Query(topic="trade/1", **query), recorder, PACKED)

    def test_the_past_and_the_present_join_without_a_seam(self) -> None:
        """Records published during the load follow it, each once."""
        topic = self.log_topic(through=20_000)
        self.slow_down()
        recorder, following = self.follow()
        for sequence in range(20_001, 20_101):
            topic.publish(ticks(sequence, sequence).tobytes(), 1, sequence)
            self.step()
        self.clock.advance(2)
        self.assertEqual(recorder.sequences, list(range(1, 20_101)))
        self.assertEqual([call for call in recorder.calls if call != "update"], [("reset", 1, 0), "ready"])
        self.assertEqual((following.through, following.is_live), (20_100, True))

    def test_a_tail_begins_late_and_goes_on(self) -> None:
        """The last few, then all that comes."""
        topic = self.log_topic(through=100)
        recorder, _ = self.follow(limit=3)
        self.clock.advance(1)
        self.publish(topic, 101, 102)
        self.assertEqual(recorder.sequences, [98, 99, 100, 101, 102])

    def test_the_filter_holds_for_what_comes(self) -> None:
        """The same expression filters the stream."""
        topic = self.log_topic(through=0)
        recorder, _ = self.follow(filter=Compare("sequence", Operator.GREATER, 3))
        self.clock.advance(1)
        self.publish(topic, 1, 5)
        self.assertEqual(recorder.sequences, [4, 5])

    def test_a_reconnect_leaves_no_hole(self) -> None:
        """What was missed comes from ring or history; the past is not loaded again."""
        topic = self.log_topic(through=10, history=True)
        recorder, _ = self.follow()
        self.clock.advance(1)
        self.lose_connection()
        topic.publish(ticks(11, 20).tobytes(), 10, 20)
        self.clock.advance(120)
        self.reconnect()
        self.publish(topic, 21, 21)
        self.assertEqual(recorder.sequences, list(range(1, 22)))
        self.assertEqual(len(self.series.queries), 1)

    def test_another_epoch_is_loaded_again(self) -> None:
        """The listener is reset and gets the new numbering from its beginning."""
        self.log_topic(through=3)
        recorder, _ = self.follow()
        self.clock.advance(1)
        self.restart_server()
        topic = self.log_topic(epoch=2, through=2)
        self.reconnect()
        self.clock.advance(1)
        self.publish(topic, 3, 3)
        self.assertEqual(recorder.sequences, [1, 2, 3, 1, 2, 3])
        self.assertEqual(recorder.calls.count(("reset", 2, 0)), 1)

    def test_a_hole_that_nothing_fills_is_told(self) -> None:
        """GAP, then a reset behind it, and on."""
        topic = self.log_topic(through=3)
        recorder, _ = self.follow()
        self.clock.advance(1)
        self.lose_connection()
        topic.publish(ticks(4, 9).tobytes(), 6, 9)
        self.clock.advance(200)
        self.reconnect()
        self.publish(topic, 10, 10)
        self.assertEqual(recorder.sequences, [1, 2, 3, 10])
        self.assertIn(("lost", "GAP"), recorder.calls)
        self.assertIn(("reset", 1, 9), recorder.calls)

    def test_break_ends_with_the_connection(self) -> None:
        """Under BREAK an interruption is the end."""
        self.log_topic(through=3)
        recorder, following = self.follow(policy=Interruption.BREAK)
        self.clock.advance(1)
        self.lose_connection()
        self.assertEqual(recorder.calls[-1], ("lost", "UNAVAILABLE"))
        self.assertTrue(following.closed)

    def test_a_refusal_is_told(self) -> None:
        """A topic that is not there ends the following with its code."""
        recorder, following = self.follow()
        self.clock.advance(1)
        self.assertEqual(recorder.calls, [("lost", "NOT_FOUND")])
        self.assertTrue(following.closed)

    def test_nothing_comes_after_close(self) -> None:
        """Closed in the middle of the past or of the present."""
        topic = self.log_topic(through=100_000)
        recorder, following = self.follow()
        self.clock.advance(0.05)
        following.close()
        self.clock.advance(5)
        received = len(recorder.sequences)
        self.publish(topic, 100_001, 100_001)
        self.assertLess(received, 100_000)
        self.assertEqual(len(recorder.sequences), received)
        self.assertEqual(topic.readers, set())
        self.assertEqual(self.streams.loads[-1].open_loads, 0)

    def test_a_listener_that_fails_on_the_past_is_told(self) -> None:
        """It loses its query, and nothing else happens."""
        self.log_topic(through=10)
        assert self.client is not None
        recorder = Recorder()
        recorder.update = lambda _: 1 / 0  # type: ignore[assignment, method-assign]
        follow(self.client, Query(topic="trade/1"), recorder, PACKED)
        self.clock.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(recorder.calls[-1], ("lost", "INTERNAL"))

    def test_what_cannot_be_followed_is_refused(self) -> None:
        """An end, a HEAD limit, a feed session."""
        assert self.client is not None
        query = Query(topic="trade/1")
        for wrong in (
            evolve(query, end_sequence=5),
            evolve(query, limit=5, limit_from=LimitFrom.HEAD),
            evolve(query, feed_session=5),
        ):
            with self.assertRaises(Invalid):
                follow(self.client, wrong, Recorder(), PACKED)
