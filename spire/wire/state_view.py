"""A state topic as a client holds it: a live map of rows that is always a state which the server had."""

from collections.abc import Callable, Mapping
from math import inf
from types import MappingProxyType
from typing import Any, Generic, Optional, TypeVar

import msgspec
from twisted.logger import Logger, LogLevel

from spire.runtime.clock import Clock
from spire.runtime.waiters import Waiters
from spire.wire.channels import Channel, Key, Owner, Payload
from spire.wire.errors import Internal, SpireError, Unavailable
from spire.wire.segments import SegmentFlags
from spire.wire.stream_commands import Epoch, TopicAnswer, TopicRequest
from spire.wire.topics import Mode, Policy

Row = TypeVar("Row")
Observer = Callable[[str, Any, Any], object]


class StateChannel(Channel):
    """The rows of a state topic, shared by all views of it in this process.

    Parts of a snapshot or of a change are held back until the last of them is there. `epoch`, `version` and `rows`
    belong together and change together: what a stream that was lost half-way had announced is not asked for.
    """

    _log = Logger()

    def __init__(self, key: Key, row_type: Any, clock: Clock, owner: Owner) -> None:
        super().__init__(key)
        self.row_type = row_type
        self.rows: dict[str, Any] = {}
        self.epoch: Epoch | None = None
        self.version = 0
        self.ready = False
        self.error: SpireError | None = None
        self.views: tuple[StateView[Any], ...] = ()
        self._clock = clock
        self._owner = owner
        self._decoder = msgspec.msgpack.Decoder(list[tuple[str, Optional[row_type]]])  # noqa: UP045 (a run-time type)
        self._position = 0
        self._target = 0
        self._awaited: Epoch | None = None  # the epoch of a snapshot that is not whole yet
        self._snapshot: dict[str, Any] | None = None
        self._held: list[tuple[str, Any]] = []
        self._current_until: float | None = None

    @property
    def idle(self) -> bool:
        """Whether nobody looks any more."""
        return not self.views

    @property
    def is_live(self) -> bool:
        """Whether the rows are the server's."""
        return self.ready and self.stream is not None and self._awaited is None and self.version >= self._target

    @property
    def age_seconds(self) -> float:
        """Seconds since the rows were last known to be the server's; 0 while they are, infinite before the first."""
        if self.is_live:
            return 0.0
        return inf if self._current_until is None else self._clock.monotonic() - self._current_until

    def request(self) -> TopicRequest:
        """Ask for what changed since our version, or for all rows."""
        return TopicRequest(
            topic=self.topic, epoch=self.epoch, after=self.version if self.ready else None, policy=Policy.CONFLATE
        )

    def answered(self, answer: TopicAnswer) -> None:
        """Go on from our version, or await a snapshot."""
        self._target = answer.through
        self._held.clear()
        self._snapshot = None
        if answer.mode is Mode.RESUMED:
            self._awaited = None
            self._position = self.version
            if self.version >= self._target:
                self._current_until = None
        else:
            self._awaited = answer.epoch
            self._position = 0
            if self.ready and self._current_until is None:
                self._current_until = self._clock.monotonic()

    def receive(self, after: int, through: int, records: int, flags: int, payload: Payload) -> bool:
        """Gather a part; with the last part the rows change."""
        if flags & SegmentFlags.SNAPSHOT:
            if after == 0:
                self._snapshot = {}
                self._position = 0
                self._held.clear()
            elif self._snapshot is None:
                return False
        elif through <= self._position:
            return True
        if after > self._position:
            return False
        box, offset, length = payload
        try:
            changes = self._decoder.decode(memoryview(box)[offset : offset + length])
        except (msgspec.MsgspecError, RecursionError) as problem:
            self._owner.end(self, Internal(f"{self.topic} sent what cannot be read: {problem}"))
            return True
        if len(changes) != records:
            self._owner.end(self, Internal(f"{self.topic} sent {len(changes)} rows where {records} were announced."))
            return True
        self._position = through
        self._held.extend(changes)
        if not flags & SegmentFlags.MORE:
            self._commit(through)
        self.failures = 0
        return True

    def interrupted(self) -> None:
        """Keep the rows as last received, and note since when."""
        self._snapshot = None
        self._held.clear()
        if self.ready and self._current_until is None:
            self._current_until = self._clock.monotonic()

    def refused(self, error: SpireError) -> None:
        """End all views; the rows stay as last received."""
        self.interrupted()
        self.error = error
        views, self.views = self.views, ()
        for view in views:
            view.fail(error)

    def leave(self, view: "StateView[Any]") -> None:
        """Let one view go; with the last one the stream is closed."""
        self.views = tuple(one for one in self.views if one is not view)
        if not self.views:
            self._owner.abandon(self)

    def _commit(self, version: int) -> None:
        """Make the gathered changes the rows, then tell."""
        rows = self.rows
        changed: dict[str, Any] = {}
        if self._snapshot is not None:
            for key, row in self._held:
                if row is None:
                    self._snapshot.pop(key, None)
                else:
                    self._snapshot[key] = row
            for key in [key for key in rows if key not in self._snapshot]:
                changed[key] = rows.pop(key)
            for key, row in self._snapshot.items():
                former = rows.get(key)
                if former != row:
                    changed[key] = former
                    rows[key] = row
            self._snapshot = None
            if self._awaited is not None:
                self.epoch, self._awaited = self._awaited, None
        else:
            for key, row in self._held:
                former = rows.pop(key, None)
                changed.setdefault(key, former)
                if row is not None:
                    rows[key] = row
        self._held.clear()
        self.version = version
        self.ready = True
        if version >= self._target:
            self._current_until = None
        self.error = None
        for view in self.views:
            view.changed(changed)


class StateView(Generic[Row]):
    """A live map of the rows of a state topic.

    Rows hold as last received while the connection is away; `age_seconds` says for how long. The map itself must not
    be kept across a change by whoever iterates over it.
    """

    _log = Logger()

    def __init__(self, channel: StateChannel) -> None:
        self._channel = channel
        self.rows: Mapping[str, Row] = MappingProxyType(channel.rows)
        self._observers: dict[object, Observer] = {}
        self._version_observers: dict[object, Callable[[], object]] = {}
        self._waiting: Waiters[None] = Waiters()
        self._error: SpireError | None = None
        self._closed = False

    @property
    def topic(self) -> str:
        """The name of the topic."""
        return self._channel.topic

    @property
    def version(self) -> int:
        """The server's version of the rows."""
        return self._channel.version

    @property
    def epoch(self) -> Epoch | None:
        """The instance that the version belongs to."""
        return self._channel.epoch

    @property
    def is_ready(self) -> bool:
        """Whether a whole snapshot has been received, ever."""
        return self._channel.ready

    @property
    def is_live(self) -> bool:
        """Whether the stream is open and has brought all that the server had when it was opened."""
        return self._channel.is_live

    @property
    def age_seconds(self) -> float:
        """Seconds since the rows were last known to be the server's; 0 while they are, infinite before the first."""
        return self._channel.age_seconds

    @property
    def error(self) -> SpireError | None:
        """Why the view has ended, or None."""
        return self._error

    async def when_ready(self) -> None:
        """Return once there are rows. Raises what the server refused with, or Unavailable once the view is closed."""
        if self._error is not None:
            raise self._error
        if self._closed:
            raise Unavailable(f"The view of {self.topic} is closed.")
        if self.is_ready:
            return
        await self._waiting.join()

    def observe(self, callback: Callable[[str, Row | None, Row | None], object]) -> Callable[[], None]:
        """Call `callback(key, old, new)` for each row that changes, None for none; the answer stops it.

        It is called when all rows of a change are in place; rows that are there already are not reported.
        """
        token = object()
        self._observers[token] = callback

        def stop() -> None:
            self._observers.pop(token, None)

        return stop

    def observe_version(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call `callback` after each change as a whole, the first snapshot included; the answer stops it."""
        token = object()
        self._version_observers[token] = callback

        def stop() -> None:
            self._version_observers.pop(token, None)

        return stop

    def close(self) -> None:
        """Look no more; nothing is called after it. Whoever waits gets Unavailable."""
        if not self._closed:
            self._closed = True
            self._observers.clear()
            self._version_observers.clear()
            self._release(Unavailable(f"The view of {self.topic} was closed."))
            self._channel.leave(self)

    # From the channel

    def changed(self, former: Mapping[str, Any]) -> None:
        """Tell of changed rows, given as they were before."""
        for observer in tuple(self._observers.values()):
            for key, old in former.items():
                new = self.rows.get(key)
                if old is not new:
                    self._call(observer, key, old, new)
        for callback in tuple(self._version_observers.values()):
            self._call(callback)
        self._release(None)

    def fail(self, error: SpireError) -> None:
        """End with `error`."""
        self._error = error
        # UNAVAILABLE from a server is asked for again; only the session's own stop ends a view with it.
        level = LogLevel.debug if error.coded == Unavailable.code else LogLevel.warn
        self._log.emit(level, "the view of {topic} has ended: {error}", topic=self.topic, error=str(error))
        self._release(error)

    def _release(self, error: SpireError | None) -> None:
        if error is None:
            self._waiting.succeed(None)
        else:
            self._waiting.fail(error)

    def _call(self, function: Callable[..., object], *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception:  # noqa: BLE001 (an observer's fault must not keep the rows from the others)
            self._log.failure("an observer of {topic} failed", topic=self.topic)
