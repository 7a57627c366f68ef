"""Streams under everything that goes wrong at once: lost boxes, cuts, pauses, broken connections, ageing rings."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.series.filter import Compare, Operator
from spire.series.query import filter_bytes
from spire.wire.commands import Push
from spire.wire.errors import Internal
from spire.wire.log_topic import LogTopic
from spire.wire.state_topic import StateTopic
from spire.wire.stream_commands import Segments
from spire.wire.topics import Policy
from tests.wire.stream_support import PACKED, Limit, Recorder, StreamTestCase, ticks


class FlushTests(StreamTestCase):
    """A topic that cannot be flushed costs its own readers a question, and the others nothing."""

    def setUp(self) -> None:
        """Follow two topics of records and one of rows."""
        super().setUp()
        self.topics = [self.log_topic(f"trade/{number}", history=True) for number in (1, 2)]
        self.rows = self.publisher.state("limits", Limit, instance_id="one")
        self.recorders = [self.listen(topic.name) for topic in self.topics]
        self.view = self.subscriptions.state("limits", Limit)
        self.settle()

    def flush_in_vain(self, kind: type[Any], topic: Any) -> None:
        """Publish to all topics, one of which fails once when all are flushed."""
        flush = kind.flush

        def failing(which: Any, *arguments: Any) -> None:
            flush(which, *arguments)
            if which is topic:
                raise ZeroDivisionError

        fault = self.patch(kind, "flush", failing)
        self.publish_to_all(1)
        fault.restore()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def publish_to_all(self, number: int) -> None:
        """Publish one more record and row to all topics."""
        for topic in self.topics:
            topic.publish(PACKED.encode(ticks(number, number)), 1, number)
        self.rows.put(str(number), Limit(amount=number))
        self.settle()

    def assert_complete(self) -> None:
        """Check that nobody misses anything, now and later."""
        self.assertEqual([recorder.sequences for recorder in self.recorders], [[1], [1]])
        self.assertEqual(dict(self.view.rows), dict(self.rows.rows))
        self.publish_to_all(2)
        self.assertEqual([recorder.sequences for recorder in self.recorders], [[1, 2], [1, 2]])
        self.assertEqual(dict(self.view.rows), dict(self.rows.rows))
        self.assertEqual(self.publisher.ring_bytes, sum(one.size for topic in self.topics for one in topic.ring))

    def test_a_log_that_fails_is_read_from_history(self) -> None:
        """Its records are stored; those of the other topics, and rows, go out as ever."""
        self.flush_in_vain(LogTopic, self.topics[0])
        self.assert_complete()

    def test_rows_that_fail_are_asked_for_again(self) -> None:
        """The topic still knows them."""
        self.flush_in_vain(StateTopic, self.rows)
        self.assert_complete()


class HoleTests(StreamTestCase):
    """A client proves that it missed nothing, and asks for what it did miss."""

    def test_a_box_that_never_came_is_noticed_and_made_good(self) -> None:
        """The segment after the hole does not fit; the client asks again from where it stands."""
        topic = self.log_topic()
        recorder = self.listen()
        connection = self.streams.streams[-1].outbound._connection
        self.publish(topic, 1, 2)
        write = connection.write_box
        connection.write_box = lambda _: None  # type: ignore[method-assign, assignment]
        self.publish(topic, 3, 4)
        connection.write_box = write  # type: ignore[method-assign]
        self.publish(topic, 5, 6)
        self.clock.advance(5)
        self.assertEqual(recorder.sequences, [1, 2, 3, 4, 5, 6])
        self.assertEqual(self.metrics.value("spire_streams_recovered_total", reason="hole"), 1)

    def test_a_box_that_cannot_be_read_costs_one_box(self) -> None:
        """Garbage in a push is logged, and what it displaced is asked for again."""
        topic = self.log_topic()
        recorder = self.listen()
        session = next(iter(self.factory.sessions))
        session.send(Segments, data=b"\xff\xff\xff\xff garbage")
        self.publish(topic, 1, 2)
        self.assertEqual(recorder.sequences, [1, 2])
        self.assertEqual(len(self.flushLoggedErrors(Internal)), 1)

    def test_pushes_are_one_way(self) -> None:
        """Segments are never answered."""
        self.assertTrue(issubclass(Segments, Push))


LAST_EARLY = 40
EARLY = filter_bytes(Compare("sequence", Operator.LESS_OR_EQUAL, LAST_EARLY))
"""Keeps the first forty records: all that come after them are empty segments."""

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["publish", "publish", "flood", "wait", "pause", "resume", "drop", "age", "listen", "restart"]),
        st.integers(1, 30),
    ),
    max_size=25,
)


class LogTestCase(StreamTestCase):
    """A topic with history, and a small ring."""

    ring_seconds = 5.0
    ring_budget_bytes = 40_000


class AnyOrderTests(SynchronousTestCase):
    """Whatever happens, a lossless listener gets every record once, and a conflating one the last that its filter keeps."""

    @settings(max_examples=25)
    @given(EVENTS)
    def test_nothing_is_missed_and_nothing_comes_twice(self, events: list[tuple[str, int]]) -> None:
        """Publishing, floods, slow readers, lost connections, forgetful rings, late listeners."""
        room = LogTestCase()
        room.setUp()
        topic = room.log_topic(history=True)
        listeners = [room.listen(after=0)]
        latest = room.listen(policy=Policy.CONFLATE, after=0)
        early = room.listen(policy=Policy.CONFLATE, after=0, filter_bytes=EARLY)
        room.slow_down()
        for what, number in events:
            if what in ("publish", "flood"):
                count = number if what == "publish" else number * 100
                first, last = topic.through + 1, topic.through + count
                topic.publish(ticks(first, last).tobytes(), count, last)
                room.clock.advance(0.003)
            elif what == "wait":
                room.clock.advance(number / 100)
            elif what == "age":
                room.clock.advance(6)
            elif what == "drop":
                room.network.drop()
            elif what == "restart":
                topic.end("RESTARTED", "Ask again.")
            elif what == "listen":
                recorder = Recorder()
                room.subscriptions.log("trade/1", recorder, codec=topic.codec, after=0)
                listeners.append(recorder)
            else:
                for link in room.network.connections():
                    link.server.hold() if what == "pause" else link.server.release()
        for link in room.network.connections():
            link.server.release()
        room.clock.advance(90)
        everything = list(range(1, topic.through + 1))
        for listener in listeners:
            self.assertEqual(listener.sequences, everything)
            self.assertEqual([call for call in listener.calls if call[0] in ("reset", "lost")], [("reset", 1, 0)])
        self.assertEqual(latest.sequences[-1:], everything[-1:])
        self.assertEqual(early.sequences[-1:], everything[:LAST_EARLY][-1:])
        for listener in (latest, early):
            self.assertEqual(listener.sequences, sorted(set(listener.sequences)))
