"""A topic of records with stored sequences: its open batch, its ring, and the views that subscribers share."""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from spire.wire.errors import Conflict, Invalid
from spire.wire.groups import Flush, Group
from spire.wire.outbound import OutboundStream
from spire.wire.records import Codec, RecordError
from spire.wire.segments import MAXIMUM_SEQUENCE, PAYLOAD_LIMIT, Segment, segment
from spire.wire.topics import IHistory, Policy

Keep = Callable[[bytes, int], tuple[bytes, int]]
"""A compiled filter: (payload, count) to the payload and count of the records that pass."""


Part = tuple[bytes, int, int]
"""What was published together: the payload, the number of its records, and where they end."""


class Board(Protocol):
    """What a log topic needs of its publisher."""

    def next_stream(self) -> int:
        """Return a stream number that was never given out."""

    def dirty(self, topic: "LogTopic") -> None:
        """Know that `topic` has something to flush."""

    def release(self, size: int) -> None:
        """Know that a ring has let go of `size` bytes before their time."""

    def compile_filter(self, expression: bytes, codec: Codec[Any]) -> Keep:
        """Return the filter that `expression` says. Raises Invalid."""


class Reader(Protocol):
    """A subscription to a topic, from its registration on."""

    def end(self, code: str, message: str) -> None:
        """Leave the topic and tell the client."""


class View:
    """What one (filter, policy) makes of a topic: one stream number, encoded once for all its subscribers.

    `held` counts the readers, `subscribers` are the connections of those that have caught up.
    """

    __slots__ = ("_codec", "_keep", "group", "held", "policy", "stream", "subscribers")

    def __init__(self, stream: int, policy: Policy, codec: Codec[Any], keep: Keep | None) -> None:
        self.stream = stream
        self.policy = policy
        self._codec = codec
        self._keep = keep
        self.held = 0
        self.group: Group | None = None
        self.subscribers: dict[OutboundStream, None] = {}

    @property
    def filtered(self) -> bool:
        """Whether records are left out."""
        return self._keep is not None

    def render(self, one: Segment) -> Segment:
        """Return the topic's segment as this view shows it; the range stays."""
        payload, count = one.payload, one.records
        if self._keep is not None and count:
            payload, count = self._keep(payload, count)
        if self.policy is Policy.CONFLATE and count > 1:
            payload, count = self._codec.last(payload), 1
        if self.stream == one.stream and count == one.records:
            return one
        return segment(self.stream, one.after, one.through, count, payload, time=one.time)

    def show(self, one: Segment, stream: OutboundStream) -> None:
        """Queue `one` with a subscriber that is about to become live."""
        if self.policy is Policy.CONFLATE:
            stream.offer_latest(self.render(one))
        else:
            stream.offer(self.render(one))

    def publish(self, one: Segment, flush: Flush) -> None:
        """Queue `one` for every live subscriber."""
        shown = one if self.stream == one.stream else self.render(one)
        if self.policy is Policy.CONFLATE:
            for stream in self.subscribers:
                if stream.offer_latest(shown):
                    flush.touched.add(stream)
            return
        group = self.group
        if group is None:
            group = self.group = flush.group(self.subscribers)
        if not group.segments:
            flush.groups.append(group)
        group.segments.append(shown)

    def join(self, stream: OutboundStream) -> None:
        """Have `stream` handed every segment from now on."""
        self.subscribers[stream] = None
        self.group = None

    def leave(self, stream: OutboundStream) -> None:
        """Hand `stream` nothing more."""
        self.subscribers.pop(stream, None)
        self.group = None


class LogTopic:
    """One log: records are published in the order of their sequences and go out at the publisher's next flush.

    `through` is the last sequence published, `epoch` the numbering it belongs to. `history` answers for what the ring
    has let go of; without one that is a gap.
    """

    __slots__ = (
        "_base", "_batch", "_board", "_flushed", "_last", "_views", "codec", "epoch", "history", "name", "readers",
        "ring", "through",
    )  # fmt: skip

    def __init__(
        self, board: Board, name: str, *, epoch: int, through: int, codec: Codec[Any], history: IHistory | None = None
    ) -> None:
        self._board = board
        self.name = name
        self.epoch = epoch
        self.through = through
        self.codec = codec
        self.history = history
        self.ring: deque[Segment] = deque()
        self.readers: set[Reader] = set()
        self._flushed = through
        self._last: Segment | None = None
        self._batch: list[Part] = []
        self._views: dict[tuple[bytes | None, Policy], View] = {}
        self._base = self.view(None, Policy.LOSSLESS)

    @property
    def flushed(self) -> int:
        """The last sequence that has become part of a segment."""
        return self._flushed

    @property
    def ring_after(self) -> int:
        """The sequence after which the ring holds everything."""
        return self.ring[0].after if self.ring else self._flushed

    def publish(self, payload: bytes, count: int, through: int) -> None:
        """Make `count` records visible, which end at `through`; everything since the last `through` is covered.

        Raises Conflict unless `through` is greater than before: sequences are never reissued. Raises Invalid where one
        record does not fit a segment; the topic stays as it was.
        """
        if not self.through < through <= MAXIMUM_SEQUENCE:
            raise Conflict(f"{self.name} stands at {self.through}: {through} cannot be published", topic=self.name)
        pieces = self._pieces(payload, through) if len(payload) > PAYLOAD_LIMIT else [(payload, count, through)]
        self.through = through
        if not self._batch:
            self._board.dirty(self)
        self._batch += pieces

    def restart(self, *, epoch: int, through: int) -> None:
        """Begin anew, in another epoch or behind a hole: every subscriber is sent to ask again."""
        self.epoch = epoch
        self.through = self._flushed = through
        self._board.release(sum(one.size for one in self.ring))
        self.ring.clear()
        self._batch.clear()
        self._last = None
        self.end("RESTARTED", "The topic begins anew.")

    def recover(self) -> None:
        """Go on behind what a flush failed to send: every subscriber is sent to ask history for it."""
        self.restart(epoch=self.epoch, through=self.through)

    def end(self, code: str, message: str) -> None:
        """End every subscription."""
        for reader in tuple(self.readers):
            reader.end(code, message)

    def view(self, expression: bytes | None, policy: Policy) -> View:
        """Return the view of a filter and a policy, made at the first call. Raises Invalid for a bad filter."""
        view = self._views.get((expression, policy))
        if view is None:
            keep = None if expression is None else self._board.compile_filter(expression, self.codec)
            view = View(self._board.next_stream(), policy, self.codec, keep)
            self._views[(expression, policy)] = view
        return view

    def leave(self, view: View, stream: OutboundStream) -> None:
        """Take a reader off a view; a filtered view that nobody has any more is forgotten."""
        view.leave(stream)
        view.held -= 1
        if not view.held and view.filtered:
            self._views = {key: known for key, known in self._views.items() if known is not view}

    def flush(self, time: int, flush: Flush) -> None:
        """Make segments of the open batch and queue them for all subscribers."""
        batch = self._batch
        if not batch:
            return
        self._batch = []
        if len(batch) > 1:
            batch = _gathered(batch)
        base = self._base
        stream = base.stream
        for payload, count, through in batch:
            one = segment(stream, self._flushed, through, count, payload, time=time)
            self._flushed = through
            self.ring.append(one)
            flush.made.append(one)
            if base.subscribers:
                base.publish(one, flush)
            if len(self._views) > 1:
                for view in self._views.values():
                    if view is not base and view.subscribers:
                        view.publish(one, flush)

    def forget(self, time: int) -> int:
        """Let the ring go of what was published up to `time`; returns the bytes.

        The last record of all is kept for those who want the latest alone.
        """
        ring = self.ring
        freed = 0
        while ring and ring[0].time <= time:
            oldest = ring.popleft()
            freed += oldest.size
            if not ring and oldest.records:
                self._last = segment(
                    oldest.stream, oldest.after, oldest.through, 1, self.codec.last(oldest.payload), time=oldest.time
                )
        return freed

    def since(self, position: int) -> list[Segment] | None:
        """Return the ring's segments that hold what follows `position`, or None where it no longer reaches back so far."""
        if position >= self._flushed:
            return []
        found: list[Segment] = []
        for one in reversed(self.ring):
            if one.through <= position:
                break
            found.append(one)
        if not found or found[-1].after > position:
            return None
        found.reverse()
        return found

    def latest(self, position: int) -> Segment | None:
        """Return the last record as the answer to everything after `position`, or None where memory does not hold it."""
        for one in reversed(self.ring):
            if one.records:
                last = self.codec.last(one.payload)
                return segment(one.stream, min(position, one.after), self._flushed, 1, last, time=one.time)
        if self._last is None:
            return None
        one = self._last
        return segment(one.stream, min(position, one.after), self._flushed, 1, one.payload, time=one.time)

    def _pieces(self, payload: bytes, through: int) -> list[Part]:
        """Cut what is longer than a segment may be between its records."""
        try:
            pieces = self.codec.split(payload, PAYLOAD_LIMIT)
        except RecordError as problem:
            raise Invalid(f"{self.name} cannot hold what was published: {problem}.", topic=self.name) from problem
        parts = [(piece.payload, piece.records, piece.through) for piece in pieces]
        last, count, _ = parts[-1]
        return [*parts[:-1], (last, count, through)]


def _gathered(batch: list[Part]) -> list[Part]:
    """Join what was published into payloads that fit a segment."""
    gathered: list[Part] = []
    parts: list[bytes] = []
    size = total = last = 0
    for payload, count, through in batch:
        if parts and size + len(payload) > PAYLOAD_LIMIT:
            gathered.append((b"".join(parts), total, last))
            parts, size, total = [], 0, 0
        parts.append(payload)
        size += len(payload)
        total += count
        last = through
    gathered.append((b"".join(parts), total, last))
    return gathered
