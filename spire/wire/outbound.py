"""The pushing half of a connection: what waits to be written, in which order, and when a slow reader is cut."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.wire.codec import encode_push
from spire.wire.segments import BOX_LIMIT, Segment, join
from spire.wire.stream_commands import Segments, StreamEnded

_CAPACITY: Final = BOX_LIMIT - 4


@frozen(kw_only=True)
class OutboundLimits:
    """How far a reader may fall behind: bytes that wait for it, and seconds for which its socket takes nothing."""

    lossless_bytes: int = 16 * 1024 * 1024
    paused_seconds: float = 10.0


class Line(Protocol):
    """The part of a connection (`spire.wire.interfaces.IConnection`) that a stream writes to."""

    @property
    def writable(self) -> bool:
        """False while the transport asks its producer to pause."""

    def write_box(self, box: bytes) -> None:
        """Send a serialised box; `on_writable` may be called before it returns."""

    def on_writable(self, callback: Callable[[bool], None]) -> None:
        """Call `callback` with False when the transport asks to pause and with True when it takes more."""


class Source(Protocol):
    """Something that has segments for one connection, asked in turn with the others."""

    def take(self, room: int) -> Sequence[Segment]:
        """Hand over the next segments, of at most `room` bytes together; none when nothing is left."""


class StreamClosedError(Exception):
    """The connection, or the stream, has gone while something waited to be delivered."""


class _Live:
    """Lossless segments in the order of their publication; `size` is their bytes.

    What waits for the streams in `dropped` must not go out. It is looked for once for all of them, by `sweep`, before
    the queue is used again: looking through a long queue for each of thousands of streams would take seconds.
    """

    def __init__(self) -> None:
        self.segments: deque[Segment] = deque()
        self.size = 0
        self.dropped: set[int] = set()

    def drop(self, stream: int) -> None:
        """Have what waits for `stream` left out."""
        if self.size:
            self.dropped.add(stream)

    def sweep(self) -> None:
        """Leave out what waits for the streams that were dropped."""
        kept = [one for one in self.segments if one.stream not in self.dropped]
        self.dropped.clear()
        self.segments.clear()
        self.segments.extend(kept)
        self.size = sum([one.size for one in kept])

    def clear(self) -> None:
        """Leave out everything."""
        self.dropped.clear()
        self.segments.clear()
        self.size = 0

    def take(self, room: int) -> list[Segment]:
        if self.dropped:
            self.sweep()
        segments = self.segments
        if self.size <= room:
            taken = list(segments)
            self.clear()
            return taken
        taken = []
        left = room
        while segments[0].size <= left:
            one = segments.popleft()
            left -= one.size
            taken.append(one)
        self.size -= room - left
        return taken


class _Conflated:
    """The latest segment per stream; an older one that was not taken lends it the beginning of its range."""

    def __init__(self) -> None:
        self.latest: dict[int, Segment] = {}

    def take(self, room: int) -> list[Segment]:
        taken: list[Segment] = []
        for one in self.latest.values():
            if one.size > room:
                break
            room -= one.size
            taken.append(one)
        for one in taken:
            del self.latest[one.stream]
        return taken


class _Deliveries:
    """Segments that somebody waits to see written: history, loads. One delivery is taken at a time."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Deferred[None], Sequence[Segment]] = OrderedDict()
        self._of_stream: dict[int, list[Deferred[None]]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, segments: Sequence[Segment]) -> Deferred[None]:
        """Queue a delivery; the answer fires once it is taken, and removes it where it is cancelled."""
        written: Deferred[None] = Deferred(self._remove)
        self._waiting[written] = segments
        self._of_stream.setdefault(segments[0].stream, []).append(written)
        return written

    def take(self, room: int) -> Sequence[Segment]:  # noqa: ARG002 (a delivery fits a box)
        if not self._waiting:
            return ()
        written, segments = next(iter(self._waiting.items()))
        self._remove(written)
        written.callback(None)
        return segments

    def drop(self, stream: int, reason: str = "the stream has ended") -> None:
        """Fail what waits for `stream`."""
        for written in tuple(self._of_stream.get(stream, ())):
            if written in self._waiting:
                self._remove(written)
                written.errback(StreamClosedError(reason))

    def close(self) -> None:
        """Fail everything."""
        for stream in tuple(self._of_stream):
            self.drop(stream, "the connection has gone")

    def _remove(self, written: Deferred[None]) -> None:
        stream = self._waiting.pop(written)[0].stream
        self._of_stream[stream].remove(written)
        if not self._of_stream[stream]:
            del self._of_stream[stream]


class OutboundStream:
    """Everything that one connection is pushed: control first, then its sources in turn, until the transport is full.

    Being paused is normal; what waits then is bounded by `OutboundLimits`. Beyond the bounds the lossless segments that
    wait are dropped and their streams are cut: `on_cut` tells the subscriptions, whose clients resume.
    """

    def __init__(
        self, connection: Line, *, clock: Clock, metrics: Metrics, limits: OutboundLimits | None = None
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._limits = limits or OutboundLimits()
        self._cuts = metrics.counter("spire_streams_cut", "Streams cut because their reader fell behind.", ["reason"])
        self._live = _Live()
        self._conflated = _Conflated()
        self._deliveries = _Deliveries()
        self._ready: deque[Source] = deque()
        self._queued: set[Source] = set()
        self._paused_since: float | None = None if connection.writable else clock.monotonic()
        self._flushing = False
        self._watch: IDelayedCall | None = None
        self._cut_callbacks: list[Callable[[frozenset[int], str], None]] = []
        self.closed = False
        self.written_bytes = 0
        connection.on_writable(self.writable)

    @property
    def paused(self) -> bool:
        """Whether the transport has asked to be spared."""
        return self._paused_since is not None

    @property
    def waiting_bytes(self) -> int:
        """Bytes of lossless segments that wait."""
        if self._live.dropped:
            self._live.sweep()
        return self._live.size

    def close(self) -> None:
        """Drop all that waits; whoever awaits a delivery gets StreamClosedError."""
        if self.closed:
            return
        self.closed = True
        if self._watch is not None and self._watch.active():
            self._watch.cancel()
        self._live.clear()
        self._conflated.latest.clear()
        self._ready.clear()
        self._queued.clear()
        self._cut_callbacks.clear()
        self._deliveries.close()

    def on_cut(self, callback: Callable[[frozenset[int], str], None]) -> None:
        """Have `callback(streams, reason)` called when streams are cut; it tells the client."""
        self._cut_callbacks.append(callback)

    def end(self, stream: int, code: str, message: str) -> None:
        """Tell the client that `stream` has ended, before all data that waits."""
        self.purge(stream)
        if not self.closed:
            self._connection.write_box(encode_push(StreamEnded, stream=stream, code=code, message=message))

    def offer(self, segment: Segment) -> bool:
        """Queue a lossless segment; True where `flush` must be called: nothing waited before it, or too much does."""
        live = self._live
        if live.dropped:
            live.sweep()
        live.segments.append(segment)
        before = live.size
        live.size = before + segment.size
        return before == 0 or live.size > self._limits.lossless_bytes

    def offer_all(self, segments: Sequence[Segment], size: int) -> None:
        """Queue lossless segments, of `size` bytes together; `flush` must follow."""
        if not self.closed:
            live = self._live
            if live.dropped:
                live.sweep()
            live.segments.extend(segments)
            live.size += size

    def offer_boxes(
        self, boxes: Sequence[tuple[bytes, Sequence[Segment]]], segments: Sequence[Segment], size: int
    ) -> None:
        """Write boxes that were made for several connections, if nothing waits here; else queue their segments."""
        if self.closed:
            return
        if self._paused_since is not None or self._flushing or self.waiting_bytes or self._ready or self._waits():
            self.offer_all(segments, size)
            return
        for box, inside in boxes:
            if self._paused_since is None:
                self.written_bytes += len(box)
                self._connection.write_box(box)
            else:
                self.offer_all(inside, sum([one.size for one in inside]))

    def offer_latest(self, segment: Segment) -> bool:
        """Queue a segment in place of one of its stream that waits; True where none waited, as with `offer`."""
        latest = self._conflated.latest
        first = not latest
        held = latest.get(segment.stream)
        latest[segment.stream] = segment if held is None else segment.replacing(held)
        return first

    def ask(self, source: Source) -> None:
        """Have `source` asked for segments at the next flush."""
        if source not in self._queued and not self.closed:
            self._queued.add(source)
            self._ready.append(source)

    async def deliver(self, segments: Sequence[Segment]) -> None:
        """Write `segments`, which are of one stream and fit a box together, when their turn comes, and return then.

        Raises StreamClosedError where the connection goes first, or `purge` drops them.
        """
        if self.closed:
            raise StreamClosedError("the connection has gone")
        written = self._deliveries.add(segments)
        self.flush()
        await written

    def purge(self, stream: int) -> None:
        """Drop what waits for `stream`."""
        self._live.drop(stream)
        self._conflated.latest.pop(stream, None)
        self._deliveries.drop(stream)

    def flush(self) -> None:
        """Write boxes until nothing waits or the transport is full."""
        if self.closed:
            return
        if self.waiting_bytes:
            self.ask(self._live)
        if self._conflated.latest:
            self.ask(self._conflated)
        if self._deliveries:
            self.ask(self._deliveries)
        if self._flushing:
            return
        if self._paused_since is not None:
            self._bound()
            return
        self._flushing = True
        try:
            self._write_ready()
        finally:
            self._flushing = False
        if self.waiting_bytes:
            self._bound()

    def writable(self, writable: bool) -> None:  # the connection calls it with one position
        """Hold everything back while the transport's buffer is full; go on when it is empty."""
        if writable:
            self._paused_since = None
            self.flush()
        elif self._paused_since is None:
            self._paused_since = self._clock.monotonic()

    def _waits(self) -> bool:
        return bool(self._conflated.latest or self._deliveries)

    def _write_ready(self) -> None:
        gathered: list[Segment] = []
        size = 0
        while self._ready and self._paused_since is None:
            source = self._ready.popleft()
            self._queued.discard(source)
            taken = source.take(_CAPACITY)
            if not taken:
                continue
            self.ask(source)
            added = sum(one.size for one in taken)
            if size + added > _CAPACITY:
                self._write(gathered)
                gathered, size = [], 0
            gathered.extend(taken)
            size += added
        if gathered:
            self._write(gathered)

    def _write(self, segments: Sequence[Segment]) -> None:
        box = encode_push(Segments, data=join(segments))
        self.written_bytes += len(box)
        self._connection.write_box(box)

    def _bound(self) -> None:
        """Cut where too much waits; else look again when the reader has been given its time."""
        waiting = self.waiting_bytes
        if waiting > self._limits.lossless_bytes:
            self._cut("bytes")
        elif waiting and (self._watch is None or not self._watch.active()):
            self._watch = self._clock.later(self._limits.paused_seconds, self._look)

    def _look(self) -> None:
        if self._paused_since is None or not self.waiting_bytes:
            return
        left = self._paused_since + self._limits.paused_seconds - self._clock.monotonic()
        if left <= 0:
            self._cut("time")
        else:
            self._watch = self._clock.later(left, self._look)

    def _cut(self, reason: str) -> None:
        streams = frozenset(one.stream for one in self._live.segments)
        self._live.clear()
        self._cuts.labels(reason=reason).inc(len(streams))
        for callback in tuple(self._cut_callbacks):
            callback(streams, reason)


def boxes_of(segments: Sequence[Segment]) -> list[tuple[bytes, list[Segment]]]:
    """Return the boxes that push `segments`, each with what is inside."""
    return [(encode_push(Segments, data=join(inside)), inside) for inside in in_boxes(segments)]


def in_boxes(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    """Group `segments`, in order, into lists that fit a box."""
    gathered: list[Segment] = []
    size = 0
    for one in segments:
        if gathered and size + one.size > _CAPACITY:
            yield gathered
            gathered, size = [], 0
        gathered.append(one)
        size += one.size
    if gathered:
        yield gathered
