"""The topics of one server: what they publish is flushed together, and kept for a while for those who resume."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.wire.errors import Conflict, Unsupported
from spire.wire.groups import Flush, Groups
from spire.wire.log_topic import Keep, LogTopic
from spire.wire.records import Codec
from spire.wire.state_topic import StateTopic
from spire.wire.topics import IHistory

Row = TypeVar("Row")
Topic = LogTopic | StateTopic[Any]
FilterCompiler = Callable[[bytes, Codec[Any]], Keep]

RING_SECONDS: Final = 60.0
RING_BYTES: Final = 256 * 1024 * 1024


class Publisher:
    """All topics of one server, by name.

    What is published within `flush_seconds` (0: within one reactor turn) goes out as one segment per topic. The rings
    of all log topics together hold `ring_seconds`, within `ring_budget_bytes`. `compile_filter` turns a subscription's
    filter into a function (`spire.series.compilation.record_filter`); without it filters are refused.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        clock: Clock,
        tasks: Tasks,
        metrics: Metrics,
        ring_budget_bytes: int = RING_BYTES,
        ring_seconds: float = RING_SECONDS,
        flush_seconds: float = 0.0,
        compile_filter: FilterCompiler | None = None,
    ) -> None:
        self.clock = clock
        self.tasks = tasks
        self._ring_budget = ring_budget_bytes
        self._ring_seconds = ring_seconds
        self._flush_seconds = flush_seconds
        self._compile_filter = compile_filter
        self._topics: dict[str, Topic] = {}
        self._last_stream = 0
        self._dirty: dict[Topic, None] = {}
        self._scheduled: IDelayedCall | None = None
        self._ages: deque[tuple[float, int, list[LogTopic]]] = deque()
        self._groups = Groups()
        self._ring_bytes = 0
        self._segments = metrics.counter("spire_streams_segments", "Segments published.")
        self._records = metrics.counter("spire_streams_records", "Records published.")
        self._ring_gauge = metrics.gauge("spire_streams_ring_bytes", "Bytes kept for those who resume.")
        self._stop_ageing = tasks.every("ring", max(1.0, ring_seconds / 10), self._age)

    @property
    def topics(self) -> Iterable[Topic]:
        """All topics, in the order of their making."""
        return self._topics.values()

    @property
    def ring_bytes(self) -> int:
        """Bytes that all rings hold."""
        return self._ring_bytes

    def log(
        self, name: str, *, epoch: int, through: int, codec: Codec[Any], history: IHistory | None = None
    ) -> LogTopic:
        """Make the log topic `name`, which stands at `through` of `epoch`. Raises Conflict where the name is taken."""
        topic = LogTopic(self, self._free(name), epoch=epoch, through=through, codec=codec, history=history)
        self._topics[name] = topic
        return topic

    def state(self, name: str, row_type: type[Row], *, instance_id: str) -> StateTopic[Row]:
        """Make the empty state topic `name`. Raises Conflict where the name is taken."""
        topic = StateTopic(self, self._free(name), row_type, instance_id=instance_id, stream=self.next_stream())
        self._topics[name] = topic
        return topic

    def find(self, name: str) -> Topic | None:
        """Return the topic `name`, or None."""
        return self._topics.get(name)

    def drop(self, name: str) -> None:
        """Forget the topic `name`; its subscribers learn that it is gone."""
        topic = self._topics.pop(name, None)
        if topic is None:
            return
        topic.end("NOT_FOUND", f"The topic {name} is gone.")
        self._dirty.pop(topic, None)
        if isinstance(topic, LogTopic):
            self._ring_bytes -= sum(one.size for one in topic.ring)
            topic.ring.clear()

    def publish_many(self, batch: Iterable[tuple[LogTopic, bytes, int, int]]) -> None:
        """Publish (topic, payload, count, through) for many topics in one go. Raises what `LogTopic.publish` raises."""
        for topic, payload, count, through in batch:
            topic.publish(payload, count, through)

    def flush(self) -> None:
        """Make segments of everything published, hand them to the connections and write."""
        if self._scheduled is not None and self._scheduled.active():
            self._scheduled.cancel()
        self._scheduled = None
        dirty, self._dirty = self._dirty, {}
        if not dirty:
            return
        time = self.clock.now()
        flush = Flush(self._groups)
        logs = []
        for topic in dirty:
            try:
                if isinstance(topic, LogTopic):
                    logs.append(topic)
                    topic.flush(time, flush)
                else:
                    topic.flush(time, flush.touched)
            except Exception:  # noqa: BLE001 (one topic's fault must not keep the others from going out)
                self._log.failure("{topic} could not be flushed: its readers ask again", topic=topic.name)
                topic.recover()
        if logs:
            self._ages.append((self.clock.monotonic(), time, logs))
            self._ring_bytes += sum([one.size for one in flush.made])
            self._segments.inc(len(flush.made))
            self._records.inc(sum([one.records for one in flush.made]))
            self._age()
        flush.hand_over()

    def close(self) -> None:
        """Flush what is left and keep no more time."""
        self._stop_ageing()
        self.flush()

    def next_stream(self) -> int:
        """Return a stream number that was never given out."""
        self._last_stream += 1
        return self._last_stream

    def dirty(self, topic: Topic) -> None:
        """Have `topic` flushed at the next flush."""
        self._dirty[topic] = None
        if self._scheduled is None:
            self._scheduled = self.clock.later(self._flush_seconds, self.flush)

    def release(self, size: int) -> None:
        """Know that a ring has let go of `size` bytes before their time."""
        self._ring_bytes -= size

    def compile_filter(self, expression: bytes, codec: Codec[Any]) -> Keep:
        """Return the compiled filter. Raises Invalid, or Unsupported where this server has no filters."""
        if self._compile_filter is None:
            raise Unsupported("This server's topics cannot be filtered.")
        return self._compile_filter(expression, codec)

    def _free(self, name: str) -> str:
        if name in self._topics:
            raise Conflict(f"There is a topic {name} already.", topic=name)
        return name

    def _age(self) -> None:
        """Let the rings go of what is too old, or too much."""
        ages = self._ages
        oldest = self.clock.monotonic() - self._ring_seconds
        while ages and (ages[0][0] < oldest or self._ring_bytes > self._ring_budget):
            _, time, topics = ages.popleft()
            for topic in topics:
                self._ring_bytes -= topic.forget(time)
        self._ring_gauge.set(self._ring_bytes)
