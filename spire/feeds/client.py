"""What every feed is built on: numbers records, sends batches, keeps what is not acknowledged and sends it again.

Positions count a feed session's records from 1. After any break, on either side, the server says what it accepted last and the feed
goes on from there: nothing is lost, nothing doubled (docs/feeds.md).
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from spire.marketdata.commands import (
    BATCH_BYTES,
    CloseFeedSession,
    FeedHeartbeat,
    FeedTerms,
    OpenFeedSession,
    PublishBatch,
)
from spire.marketdata.values import LAYOUTS, Records, RecordType
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.wire.client_session import ClientSession
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, SpireError, Unsupported

BATCH_RECORDS: Final = BATCH_BYTES // max(layout.itemsize for layout in LAYOUTS.values())
"""Most records of a batch, of whatever types."""
WINDOW: Final = 16
"""Batches that may wait for their acknowledgement."""
HEARTBEAT_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 0.5

_DEFINITE: Final = (Conflict, Forbidden, Invalid, NotFound, Unsupported)
_ARGUMENTS: Final = {RecordType.TRADE: "trades", RecordType.BBO: "bbos", RecordType.BOOK: "books"}


class FeedListener(Protocol):
    """What a feed learns about its session."""

    def opened(self, position: int, removed_book: bool) -> None:
        """Know that the session is open, or open again, and stands at `position`; with `removed_book` send the book again."""


@frozen(kw_only=True)
class _Batch:
    first: int
    count: int
    payloads: dict[str, Any]

    @property
    def last(self) -> int:
        return self.first + self.count - 1


class FeedClient:
    """One feed session of one feed.

    `start`, then `publish` batches, then `end` at the end of the data, or `stop` and leave the session unfinished. `failed` fires
    with the SpireError when the server refuses for good: the session is another's, ended, or a record is invalid.
    """

    _log = Logger()

    def __init__(self, session: ClientSession, terms: FeedTerms, *, clock: Clock, tasks: Tasks) -> None:
        self.terms = terms
        self.failed: Deferred[SpireError] = Deferred()
        self._session = session
        self._clock = clock
        self._tasks = tasks
        self._listener: FeedListener | None = None
        self._feed_session: int | None = None
        self._waiting: deque[_Batch] = deque()
        self._unsent = 0
        self._in_flight = 0
        self._accepted = 0
        self._next = 1
        self._backlog = 0
        self._backlog_limit = 1
        self._is_open = False
        self._is_broken = False
        self._is_stopped = False
        self._is_ending = False
        self._error: SpireError | None = None
        self._wakers: list[Deferred[None]] = []
        self._running: Deferred[None] | None = None
        self._stop_heartbeat: Callable[[], None] = lambda: None
        session.on_state(self._state_changed)

    @property
    def feed_session(self) -> int | None:
        """The number of the feed session, None before it was opened."""
        return self._feed_session

    @property
    def connection(self) -> ClientSession:
        """The client session with the feed service."""
        return self._session

    @property
    def accepted(self) -> int:
        """The last position that the server said is durable."""
        return self._accepted

    @property
    def next_position(self) -> int:
        """The position that the next published record gets."""
        return self._next

    @property
    def backlog(self) -> int:
        """What the server last said it has not stored yet, in records."""
        return self._backlog

    @property
    def is_open(self) -> bool:
        """Whether the session is open on the server now."""
        return self._is_open

    async def start(self, listener: FeedListener | None = None, *, keeps_book: bool = False) -> int:
        """Open the session, however long that takes, and return the last position that the server accepted.

        Raises the server's SpireError when it refuses for good.
        """
        self._listener = listener
        self._running = self._tasks.spawn(f"feed {self.terms.name}", self._run(keeps_book))
        self._stop_heartbeat = self._tasks.every("feed heartbeat", HEARTBEAT_SECONDS, self._heartbeat)
        while self._feed_session is None:
            self._raise_if_failed()
            await self._change()
        self._raise_if_failed()
        return self._accepted

    async def publish(self, records: dict[RecordType, Records], count: int) -> None:
        """Queue a batch of at most `BATCH_RECORDS`; waits while the window is full or the server asks for patience.

        Raises the server's SpireError when it refused for good.
        """
        while not self._is_stopped and (len(self._waiting) >= WINDOW or self._backlog >= self._backlog_limit):
            self._raise_if_failed()
            await self._change()
        self._raise_if_failed()
        payloads: dict[str, Any] = {_ARGUMENTS[kind]: part.tobytes() for kind, part in records.items() if len(part)}
        self._waiting.append(_Batch(first=self._next, count=count, payloads=payloads))
        self._next += count
        self._wake()

    async def flushed(self) -> None:
        """Wait until everything published is acknowledged."""
        while self._waiting and not self._is_stopped:
            self._raise_if_failed()
            await self._change()
        self._raise_if_failed()

    async def changed(self) -> None:
        """Wait for an acknowledgement or another change; raises the SpireError of a definite refusal."""
        self._raise_if_failed()
        await self._change()
        self._raise_if_failed()

    async def end(self) -> None:
        """Wait for every acknowledgement, then end the session on the server."""
        await self.flushed()
        self._is_ending = True
        self._wake()
        while self._running is not None and not self._is_stopped:
            self._raise_if_failed()
            await self._change()
        self._raise_if_failed()

    async def stop(self) -> None:
        """Leave the session as it is, unfinished unless `end` came first."""
        self._is_stopped = True
        self._stop_heartbeat()
        self._wake()
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await running

    async def _run(self, keeps_book: bool) -> None:
        while not self._is_stopped:
            try:
                await self._session.when_ready()
                if await self._open(keeps_book):
                    keeps_book = True
                    if await self._pump():
                        break
            except SpireError as error:
                if isinstance(error, _DEFINITE):
                    if self._is_ending and isinstance(error, Conflict):
                        break
                    self._refused(error)
                    return
                self._log.warn("feed {name} tries again: {error}", name=self.terms.name, error=str(error))
                await self._clock.sleep(RETRY_SECONDS)
        self._is_open = False
        self._running = None
        self._stop_heartbeat()
        self._wake()

    async def _open(self, keeps_book: bool) -> bool:
        self._is_broken = False
        self._error = None
        answer = await self._session.call(
            OpenFeedSession, terms=self.terms, keeps_book=keeps_book, resumes=self._feed_session
        )
        if self._is_broken:
            return False
        is_first = self._feed_session is None
        self._feed_session = answer["feed_session"]
        self._backlog_limit = answer["backlog_limit"]
        self._backlog = 0
        self._acknowledged(answer["position"])
        if is_first:
            self._next = self._accepted + 1
        self._unsent = 0
        self._is_open = True
        if self._listener is not None:
            self._listener.opened(self._accepted, bool(answer["removed_book"]))
        self._wake()
        return True

    async def _pump(self) -> bool:
        """Send until something breaks; True when the session was ended."""
        while not (self._is_broken or self._is_stopped):
            if self._unsent < len(self._waiting):
                self._send(self._waiting[self._unsent])
                self._unsent += 1
            elif self._is_ending and not self._waiting:
                await self._session.call(CloseFeedSession, feed_session=self._feed_session)
                return True
            else:
                await self._change()
        self._is_open = False
        while self._in_flight:
            await self._change()
        if self._error is not None:
            raise self._error
        return False

    def _send(self, batch: _Batch) -> None:
        self._in_flight += 1
        call = self._session.call(
            PublishBatch, feed_session=self._feed_session, first=batch.first, count=batch.count, **batch.payloads
        )
        answered: Deferred[dict[str, Any]] = Deferred.fromCoroutine(call)
        answered.addCallbacks(self._published, self._broke)

    def _published(self, answer: dict[str, Any]) -> None:
        self._in_flight -= 1
        self._backlog = answer["backlog"]
        self._acknowledged(answer["position"])
        self._wake()

    def _broke(self, failure: Failure) -> None:
        self._in_flight -= 1
        failure.trap(SpireError)
        assert isinstance(failure.value, SpireError)
        if not self._is_broken:
            self._is_broken = True
            self._error = failure.value
        self._wake()

    def _acknowledged(self, position: int) -> None:
        self._accepted = max(self._accepted, position)
        while self._waiting and self._waiting[0].last <= self._accepted:
            self._waiting.popleft()
            self._unsent = max(0, self._unsent - 1)
        if self._waiting and self._waiting[0].first <= self._accepted:
            batch = self._waiting[0]
            raise Conflict(f"the server stopped inside the batch {batch.first} to {batch.last}, at {self._accepted}")

    async def _heartbeat(self) -> None:
        if not self._is_open:
            return
        try:
            answer = await self._session.call(FeedHeartbeat, feed_session=self._feed_session)
        except SpireError as error:
            self._log.debug("feed {name}: heartbeat failed: {error}", name=self.terms.name, error=str(error))
            return
        self._backlog = answer["backlog"]
        self._wake()

    def _state_changed(self, is_ready: bool) -> None:
        if not is_ready:
            self._is_open = False
            self._is_broken = True
        self._wake()

    def _refused(self, error: SpireError) -> None:
        self._error = error
        self._is_stopped = True
        self._is_open = False
        self._stop_heartbeat()
        self._running = None
        self._wake()
        if not self.failed.called:
            self.failed.callback(error)

    def _raise_if_failed(self) -> None:
        if self._is_stopped and self._error is not None:
            raise self._error

    def _change(self) -> Deferred[None]:
        waker: Deferred[None] = Deferred()
        self._wakers.append(waker)
        return waker

    def _wake(self) -> None:
        wakers, self._wakers = self._wakers, []
        for waker in wakers:
            if not waker.called:
                waker.callback(None)
