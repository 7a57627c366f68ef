"""Subscriptions at the server's end: how a reader gets from where it stands to where its topic is."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred

from spire.runtime.tasks import Tasks
from spire.runtime.turnstile import Turnstile
from spire.wire.errors import SpireError
from spire.wire.log_topic import LogTopic, View
from spire.wire.outbound import OutboundStream, StreamClosedError, in_boxes
from spire.wire.records import Codec
from spire.wire.segments import BOX_LIMIT, HEAD_SIZE, PAYLOAD_LIMIT, Segment, SegmentFlags, segment
from spire.wire.state_topic import ARRAY_HEAD_SIZE, Entry, StateTopic, payload_of
from spire.wire.topics import HistoryChunk, IHistory, Policy

CATCH_UP_BYTES: Final = 1024 * 1024
"""Bytes that may wait for a connection when a reader joins; what is more is read from the ring in turns."""

SEGMENTS_AT_ONCE: Final = 1_000
"""Segments of the ring that a reader holds while it catches up."""


HISTORIES_AT_ONCE: Final = 16
"""Readers of one connection that read history at the same time."""


class Reader(ABC):
    """One connection's subscription to one stream, from its registration to its end.

    It sends nothing before `start`: the client must have its answer first. `forget` is called when it is over.
    """

    def __init__(
        self, stream: int, outbound: OutboundStream, position: int, forget: Callable[["Reader"], None]
    ) -> None:
        self.stream = stream
        self.outbound = outbound
        self.position = position
        self.started = False
        self.closed = False
        self._forget = forget
        self._ending: tuple[str, str] | None = None

    def start(self) -> None:
        """Send what is behind `position`, then follow; called once the client has its answer, and before a flush."""
        self.started = True
        if self._ending is not None:
            self.outbound.end(self.stream, *self._ending)
        elif not self.closed:
            self._begin()

    def close(self) -> None:
        """Leave the topic; what waits for the stream is dropped."""
        if not self.closed:
            self.closed = True
            self._leave()
            self.outbound.purge(self.stream)
            self._forget(self)

    def end(self, code: str, message: str) -> None:
        """Leave the topic and tell the client why."""
        if self.closed:
            return
        self.close()
        if self.started:
            self.outbound.end(self.stream, code, message)
        else:
            self._ending = (code, message)

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the topic."""

    @abstractmethod
    def _begin(self) -> None:
        """Send and follow."""

    @abstractmethod
    def _leave(self) -> None:
        """Take this reader off its topic."""


class LogReader(Reader):
    """A subscription to one view of a log topic.

    Until it has caught up it is a cursor that costs the topic nothing; then the view hands it every segment. The readers
    of a connection take turns at history, so that what waits for it does not grow with their number.
    """

    def __init__(
        self,
        topic: LogTopic,
        view: View,
        outbound: OutboundStream,
        position: int,
        tasks: Tasks,
        turns: Turnstile,
        forget: Callable[[Reader], None],
    ) -> None:
        super().__init__(view.stream, outbound, position, forget)
        self.topic = topic
        self.view = view
        self._tasks = tasks
        self._turns = turns
        self._turn: Deferred[None] | None = None
        topic.readers.add(self)
        view.held += 1

    @property
    def name(self) -> str:
        """The name of the topic."""
        return self.topic.name

    def _begin(self) -> None:
        if not self._join():
            self._tasks.spawn("stream catch-up", self._catch_up())

    def _leave(self) -> None:
        if self._turn is not None:
            self._turn.cancel()
        self.topic.readers.discard(self)
        self.topic.leave(self.view, self.outbound)

    def _join(self) -> bool:
        """Become live, where memory holds what is missing and the connection has room for it."""
        missing = self.topic.since(self.position)
        if self.view.policy is Policy.CONFLATE and not self.view.filtered and missing != []:
            latest = self.topic.latest(self.position)
            if latest is not None:
                missing = [latest]
        if missing is None:
            return False
        if missing and sum(one.size for one in missing) + self.outbound.waiting_bytes > CATCH_UP_BYTES:
            return False
        for one in missing:
            self.view.show(one, self.outbound)
        self.view.join(self.outbound)
        return True

    async def _catch_up(self) -> None:
        ended = ("INTERNAL", "The server failed to read what was missed; its log says why.")
        try:
            while not self.closed and not self._join():
                missing = self.topic.since(self.position)
                if missing is not None:
                    await self._deliver(missing[:SEGMENTS_AT_ONCE])
                    continue
                before = self.position
                await self._read_history()
                if self.position == before:
                    ended = ("GAP", f"{self.topic.name} is not kept from {before} on.")
                    return
            self.outbound.flush()
            ended = ("", "")
        except StreamClosedError:
            ended = ("", "")
        except SpireError as error:
            ended = (error.coded, error.message)
        finally:
            if ended[0]:
                self.end(*ended)

    async def _read_history(self) -> None:
        """Send stored records, when it is this reader's turn at history."""
        history = self.topic.history
        if history is None:
            return
        self._turn = self._turns.take()
        await self._turn
        try:
            if self.outbound.closed:
                raise StreamClosedError("the connection has gone")
            if not await self._read_latest(history):
                await self._read_missing(history)
        finally:
            self._turns.release()

    async def _read_missing(self, history: IHistory) -> None:
        """Send stored records up to where the topic stands now, or up to the first hole in them."""
        chunks = history.load(self.topic.name, self.position, self.topic.flushed)
        try:
            async for chunk in chunks:
                if chunk.after > self.position:
                    return
                await self._deliver(cut(chunk, self.topic.codec, self.view.stream))
        finally:
            await end_iteration(chunks)

    async def _read_latest(self, history: IHistory) -> bool:
        """Send the record of the topic's last sequence to a reader that wants the latest alone, for all that it missed.

        False where it wants more, or where no record has that very sequence: then all of it must be read.
        """
        end = self.topic.flushed
        if self.view.policy is not Policy.CONFLATE or self.view.filtered or self.position >= end - 1:
            return False
        latest: HistoryChunk | None = None
        chunks = history.load(self.topic.name, end - 1, end)
        try:
            async for chunk in chunks:
                latest = chunk if chunk.count else latest
        finally:
            await end_iteration(chunks)
        if latest is None:
            return False
        await self._deliver([segment(self.view.stream, self.position, end, 1, self.topic.codec.last(latest.payload))])
        return True

    async def _deliver(self, segments: Iterable[Segment]) -> None:
        wanted = [self.view.render(one) for one in segments if one.through > self.position]
        for batch in in_boxes(wanted):
            if self.closed:
                raise StreamClosedError("the subscription was closed")
            await self.outbound.deliver(batch)
            self.position = batch[-1].through


class StateReader(Reader):
    """A subscription to a state topic: a cursor over the rows in the order of their last change.

    A reader that keeps up is handed what was encoded for all; one that lags gets each key once, as it is by then.
    """

    def __init__(
        self,
        topic: StateTopic[Any],
        outbound: OutboundStream,
        position: int,
        forget: Callable[[Reader], None],
        *,
        snapshot: bool,
    ) -> None:
        super().__init__(topic.stream, outbound, position, forget)
        self.topic = topic
        self._snapshot = snapshot
        self._shared: deque[Segment] = deque()
        self._walk: list[Entry] | None = None
        self._walked = 0
        self._walk_end = 0
        self._removals = True
        topic.readers.add(self)

    @property
    def name(self) -> str:
        """The name of the topic."""
        return self.topic.name

    def _begin(self) -> None:
        self.outbound.ask(self)

    def _leave(self) -> None:
        self.topic.readers.discard(self)

    def changed(self, segments: Sequence[Segment], after: int) -> bool:
        """Take a change that was encoded for all, if it is the next one; otherwise catch up when asked."""
        if not self.started or self.position >= self.topic.version:
            return False
        keeps_up = self.position == after and self._walk is None and not self._snapshot
        self._shared = deque(segments) if keeps_up and not self._shared else deque()
        self.outbound.ask(self)
        return True

    def take(self, room: int) -> list[Segment]:
        """Hand over the next part: of what was encoded for all, or of the walk over what changed."""
        if self.closed:
            return []
        taken = [self._shared.popleft()] if self._shared else self._step(min(room, BOX_LIMIT))
        if taken:
            self.position = taken[-1].through
        return taken

    def _step(self, room: int) -> list[Segment]:
        topic = self.topic
        after = self.position  # of the client: what it is sent covers what is passed over on the way
        while True:
            if self._walk is None:
                self._removals = self.position > 0 or not self._snapshot
            if self._removals and self.position < topic.floor:
                # Removals that the client has not got are forgotten, also by a walk that held them.
                self._snapshot, self.position, self._walk, self._removals = True, 0, None, False
                after = 0
            if self._walk is None:
                if not self._snapshot and self.position >= topic.version:
                    return []
                self._walk = topic.changes_since(self.position, removals=self._removals)
                self._walked = 0
                self._walk_end = topic.version
            gathered, last = self._gather(min(room - HEAD_SIZE, PAYLOAD_LIMIT) - ARRAY_HEAD_SIZE)
            through, flags = last, int(SegmentFlags.MORE)
            if self._walked == len(self._walk):
                self._walk = None
                through = self._walk_end
                flags = SegmentFlags.MORE if topic.version > through else 0
                if flags and not gathered and self.position > 0:
                    self.position = max(self.position, through)
                    continue
            if self._snapshot:
                flags |= SegmentFlags.SNAPSHOT
            if not flags & SegmentFlags.MORE:
                self._snapshot = False
            return [segment(self.stream, after, through, len(gathered), payload_of(gathered), flags=flags)]

    def _gather(self, limit: int) -> tuple[list[bytes], int]:
        """Return the next entries of the walk that fit, without those that have changed since, and the last version."""
        assert self._walk is not None
        gathered: list[bytes] = []
        size = 0
        last = self.position
        walk = self._walk
        while self._walked < len(walk):
            entry = walk[self._walked]
            if self.topic.holds(entry):
                if size + len(entry.encoded) > limit:
                    break
                gathered.append(entry.encoded)
                size += len(entry.encoded)
            last = entry.version
            self._walked += 1
        return gathered, last


def cut(chunk: HistoryChunk, codec: Codec[Any], stream: int) -> list[Segment]:
    """Return a stored chunk as segments that fit a box and cover its whole range. Raises RecordError."""
    if len(chunk.payload) <= PAYLOAD_LIMIT:
        return [segment(stream, chunk.after, chunk.through, chunk.count, chunk.payload)]
    made = []
    after = chunk.after
    pieces = codec.split(chunk.payload, PAYLOAD_LIMIT)
    for piece in pieces:
        through = chunk.through if piece is pieces[-1] else piece.through
        made.append(segment(stream, after, through, piece.records, piece.payload))
        after = through
    return made


async def end_iteration(chunks: object) -> None:
    """Close an iteration that may be an asynchronous generator with something to release."""
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()
