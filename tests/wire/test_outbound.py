"""What waits for a connection: order, turns, bounds and cuts."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.testing.clock import ManualClock
from spire.wire.boxes import BoxParser
from spire.wire.outbound import OutboundLimits, OutboundStream, StreamClosedError
from spire.wire.publisher import Publisher
from spire.wire.segments import BOX_LIMIT, Segment, parse, segment
from spire.wire.topics import Policy
from tests.wire.stream_support import PACKED, StreamTestCase, ticks


class Line:
    """A connection that keeps what is written, and pauses after so many boxes."""

    def __init__(self) -> None:
        self.boxes: list[dict[bytes, bytes]] = []
        self.callbacks: list[Any] = []
        self.writable = True
        self.pause_after: int | None = None

    def write_box(self, box: bytes) -> None:
        """Keep the box."""
        self.boxes += BoxParser(1 << 20).feed(box)
        if self.pause_after is not None and len(self.boxes) % self.pause_after == 0:
            self.set(writable=False)

    def on_writable(self, callback: Any) -> None:
        """Keep the callback."""
        self.callbacks.append(callback)

    def set(self, *, writable: bool) -> None:
        """Pause or resume."""
        self.writable = writable
        for callback in self.callbacks:
            callback(writable)

    def streams(self) -> list[int]:
        """Return the stream of each segment written, in order."""
        return [head[0] for box in self.boxes if b"data" in box for head in parse(box[b"data"])[0]]

    def throughs(self) -> list[int]:
        """Return where the first stream written stood, segment by segment."""
        heads = [head for box in self.boxes if b"data" in box for head in parse(box[b"data"])[0]]
        return [head[5] for head in heads if head[0] == heads[0][0]]


def one(stream: int, after: int, size: int = 10) -> Segment:
    """Return a segment of one record."""
    return segment(stream, after, after + 1, 1, b"x" * size)


class Looked:
    """A segment that counts how often somebody looks which stream it belongs to."""

    size = 100

    def __init__(self, stream: int) -> None:
        self.looks = 0
        self._stream = stream

    @property
    def stream(self) -> int:
        """Count it."""
        self.looks += 1
        return self._stream


class OutboundTestCase(SynchronousTestCase):
    """A stream on a line."""

    limits = OutboundLimits(lossless_bytes=200_000, paused_seconds=10.0)

    def setUp(self) -> None:
        """Make it."""
        self.clock = ManualClock()
        self.line = Line()
        self.metrics = Metrics()
        self.stream = OutboundStream(self.line, clock=self.clock, metrics=self.metrics, limits=self.limits)
        self.cuts: list[tuple[frozenset[int], str]] = []
        self.stream.on_cut(lambda streams, reason: self.cuts.append((streams, reason)))


class OrderTests(OutboundTestCase):
    """Segments leave in order, in few boxes, and wait while the line is full."""

    def test_small_segments_share_a_box(self) -> None:
        """A flush joins what waits."""
        for number in range(100):
            self.stream.offer(one(number, 0))
        self.stream.flush()
        self.assertEqual(len(self.line.boxes), 1)
        self.assertEqual(self.line.streams(), list(range(100)))

    def test_no_box_exceeds_its_limit(self) -> None:
        """Segments of any size are joined up to 60,000 bytes."""
        for number in range(60):
            self.stream.offer(one(1, number, size=7_001 + number))
        self.stream.flush()
        self.assertLessEqual(max(len(box[b"data"]) for box in self.line.boxes), BOX_LIMIT)
        self.assertEqual(len(self.line.streams()), 60)

    def test_a_full_line_holds_everything_back(self) -> None:
        """Nothing is written while paused, everything afterwards, in order."""
        self.line.set(writable=False)
        for number in range(5):
            self.stream.offer(one(1, number))
            self.stream.flush()
        self.assertEqual(self.line.boxes, [])
        self.line.set(writable=True)
        self.assertEqual(self.line.streams(), [1] * 5)

    def test_deliveries_and_live_segments_take_turns(self) -> None:
        """A long history does not keep live segments back, nor they it."""
        self.line.pause_after = 1
        self.line.set(writable=False)
        for number in range(3):
            Deferred.fromCoroutine(self.stream.deliver([one(9, number, size=50_000)]))
            self.stream.offer(one(1, number, size=50_000))
        for _ in range(6):
            self.line.set(writable=True)
        self.assertEqual(sorted(self.line.streams()), [1, 1, 1, 9, 9, 9])
        self.assertEqual(set(self.line.streams()[:2]), {1, 9})
        self.assertEqual(set(self.line.streams()[2:4]), {1, 9})

    def test_an_end_goes_before_data_and_drops_its_own(self) -> None:
        """Control is not held back by a full line, and what waited for the stream is gone."""
        self.line.set(writable=False)
        self.stream.offer(one(1, 0))
        self.stream.offer(one(2, 0))
        self.stream.end(1, "FORBIDDEN", "Withdrawn.")
        self.assertEqual([box[b"code"] for box in self.line.boxes], [b"FORBIDDEN"])
        self.line.set(writable=True)
        self.assertEqual(self.line.streams(), [2])

    def test_streams_that_end_together_are_looked_for_together(self) -> None:
        """However many streams are closed, a long queue is gone through once; what is queued afterwards stays."""
        self.line.set(writable=False)
        waiting = [Looked(stream) for stream in range(100)]
        for waiter in waiting:
            self.stream.offer(waiter)  # type: ignore[arg-type] # a stand-in
        for stream in range(1, 100):
            self.stream.purge(stream)
        self.stream.offer(one(7, 0))
        self.assertEqual(self.stream.waiting_bytes, waiting[0].size + one(7, 0).size)
        self.assertEqual(sum(waiter.looks for waiter in waiting), 100)

    def test_whoever_waits_for_one_stream_learns_that_it_has_ended(self) -> None:
        """Its deliveries fail, those of others are written."""
        self.line.set(writable=False)
        ended, goes_on = [Deferred.fromCoroutine(self.stream.deliver([one(stream, 0)])) for stream in (1, 2)]
        self.stream.purge(1)
        self.failureResultOf(ended, StreamClosedError)
        self.line.set(writable=True)
        self.successResultOf(goes_on)
        self.assertEqual(self.line.streams(), [2])

    def test_the_latest_replaces_what_waits_and_covers_its_range(self) -> None:
        """A conflated segment that was never sent lends its beginning to the next."""
        self.line.set(writable=False)
        for number in range(4):
            self.stream.offer_latest(one(1, number))
        self.line.set(writable=True)
        (head,) = parse(self.line.boxes[0][b"data"])[0]
        self.assertEqual((head[4], head[5], head[2]), (0, 4, 1))


class BoundTests(OutboundTestCase):
    """A reader that falls behind is cut, by bytes or by time."""

    def test_too_many_bytes_cut_all_that_wait(self) -> None:
        """Beyond the bound the queue is dropped and its streams are named."""
        self.line.set(writable=False)
        for number in range(30):
            if self.stream.offer(one(number % 3, number, size=10_000)):
                self.stream.flush()
        self.assertEqual(self.cuts, [(frozenset({0, 1, 2}), "bytes")])
        self.assertLess(self.stream.waiting_bytes, 200_000)
        self.assertEqual(self.metrics.value("spire_streams_cut_total", reason="bytes"), 3)

    def test_too_long_a_pause_cuts_what_waits(self) -> None:
        """After ten seconds without taking anything a reader with lossless data waiting is cut."""
        self.line.set(writable=False)
        self.clock.advance(8)
        self.stream.offer(one(1, 0))
        self.stream.flush()
        self.clock.advance(1)
        self.assertEqual(self.cuts, [])
        self.clock.advance(10)
        self.assertEqual(self.cuts, [(frozenset({1}), "time")])

    def test_a_pause_that_ends_in_time_cuts_nothing(self) -> None:
        """Short pauses are normal, however many there are."""
        for number in range(10):
            self.line.set(writable=False)
            self.stream.offer(one(1, number))
            self.stream.flush()
            self.clock.advance(3)
            self.line.set(writable=True)
        self.clock.advance(20)
        self.assertEqual(self.cuts, [])
        self.assertEqual(self.line.streams(), [1] * 10)

    def test_a_long_pause_with_nothing_waiting_cuts_nothing(self) -> None:
        """Who only has history to wait for is not cut."""
        self.line.set(writable=False)
        self.stream.flush()
        self.clock.advance(60)
        self.assertEqual(self.cuts, [])

    def test_whoever_waits_learns_that_the_connection_has_gone(self) -> None:
        """A delivery to a closed stream fails, before and after."""
        self.line.set(writable=False)
        waiting = Deferred.fromCoroutine(self.stream.deliver([one(1, 0)]))
        self.assertNoResult(waiting)
        self.stream.close()
        self.failureResultOf(waiting, StreamClosedError)
        self.failureResultOf(Deferred.fromCoroutine(self.stream.deliver([one(1, 0)])), StreamClosedError)

    def test_a_cancelled_delivery_is_not_written(self) -> None:
        """What nobody waits for any more leaves the queue."""
        self.line.set(writable=False)
        waiting = Deferred.fromCoroutine(self.stream.deliver([one(1, 0)]))
        waiting.cancel()
        self.failureResultOf(waiting)
        self.line.set(writable=True)
        self.assertEqual(self.line.streams(), [])


class SlowReaderTests(StreamTestCase):
    """Being cut is never loss."""

    def test_a_cut_client_resumes_by_itself(self) -> None:
        """A client whose connection took nothing for long gets everything in the end, in order, once."""
        topic = self.log_topic(history=True)
        recorder = self.listen()
        (link,) = self.network.connections()
        link.server.hold()
        for first in range(1, 200_001, 4_000):
            topic.publish(ticks(first, first + 3_999).tobytes(), 4_000, first + 3_999)
            self.clock.advance(0.3)
        self.assertEqual(self.metrics.value("spire_streams_cut_total", reason="time"), 1)
        self.assertLess(len(recorder.sequences), 100_000)
        link.server.release()
        self.clock.advance(30)
        self.assertEqual(recorder.sequences, list(range(1, 200_001)))
        self.assertEqual(recorder.calls.count(("reset", 1, 0)), 1)
        self.assertNotIn(("lost", "GAP"), recorder.calls)

    def test_other_topics_of_the_connection_go_on(self) -> None:
        """Only streams with something waiting are cut."""
        busy, quiet = self.log_topic("trade/1"), self.log_topic("trade/2")
        recorder, other = self.listen("trade/1"), self.listen("trade/2")
        (link,) = self.network.connections()
        link.server.hold()
        for first in range(1, 60_001, 4_000):
            busy.publish(ticks(first, first + 3_999).tobytes(), 4_000, first + 3_999)
            self.clock.advance(0.9)
        link.server.release()
        self.clock.advance(5)
        self.publish(quiet, 1, 1)
        self.assertEqual(recorder.sequences, list(range(1, 60_001)))
        self.assertEqual(other.calls, [("reset", 1, 0), "ready", "update"])


class SharingTests(SynchronousTestCase):
    """Connections that follow the same topics are written the same boxes."""

    def setUp(self) -> None:
        """Make 500 topics, and three connections that follow them all."""
        self.clock = ManualClock()
        metrics = Metrics()
        self.publisher = Publisher(clock=self.clock, tasks=Tasks(self.clock, metrics), metrics=metrics)
        self.topics = [self.publisher.log(f"trade/{number}", epoch=1, through=0, codec=PACKED) for number in range(500)]
        self.lines = [Line() for _ in range(3)]
        self.streams = [OutboundStream(line, clock=self.clock, metrics=metrics) for line in self.lines]
        for topic in self.topics:
            for stream in self.streams:
                topic.view(None, Policy.LOSSLESS).join(stream)

    def publish(self, sequence: int) -> None:
        """Publish one record on each topic, and flush."""
        payload = ticks(sequence, sequence).tobytes()
        self.publisher.publish_many((topic, payload, 1, sequence) for topic in self.topics)
        self.clock.pump()

    def test_one_box_serves_all(self) -> None:
        """The very same bytes go to every connection."""
        self.publish(1)
        self.assertEqual([len(line.boxes) for line in self.lines], [1, 1, 1])
        self.assertEqual(self.lines[0].boxes, self.lines[2].boxes)
        self.assertEqual(self.lines[0].streams(), [topic.view(None, Policy.LOSSLESS).stream for topic in self.topics])

    def test_one_that_is_full_keeps_its_order(self) -> None:
        """What it could not take follows later, in order, while the others go on."""
        self.publish(1)
        self.lines[2].set(writable=False)
        self.publish(2)
        self.publish(3)
        self.lines[2].set(writable=True)
        self.publish(4)
        self.assertEqual([line.throughs() for line in self.lines], [[1, 2, 3, 4]] * 3)

    def test_one_that_fills_up_on_the_way_gets_the_rest_later(self) -> None:
        """A pause between two shared boxes loses nothing."""
        self.lines[1].pause_after = 1
        records = ticks(1, 20).tobytes()
        self.publisher.publish_many((topic, records, 20, 20) for topic in self.topics)
        self.clock.pump()
        self.assertEqual(len(self.lines[1].boxes), 1)
        for _ in range(10):
            self.lines[1].set(writable=True)
        self.assertEqual(self.lines[1].streams(), self.lines[0].streams())

    def test_one_that_leaves_is_written_nothing_more(self) -> None:
        """Membership changes between two flushes hold for the second."""
        self.publish(1)
        for topic in self.topics:
            topic.view(None, Policy.LOSSLESS).leave(self.streams[1])
        self.publish(2)
        self.assertEqual([line.throughs() for line in self.lines], [[1, 2], [1], [1, 2]])
