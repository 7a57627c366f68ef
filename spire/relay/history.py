"""History out of Market Data, page by page: what a relay answers loads with, and resumes beyond its rings."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.python.failure import Failure
from zope.interface import implementer

from spire.marketdata.codecs import CODECS
from spire.marketdata.commands import LARGEST_TAIL
from spire.marketdata.values import Records, parse_topic
from spire.relay import pages
from spire.relay.pages import SharedPages
from spire.runtime.clock import Clock
from spire.runtime.waiters import Waiters
from spire.series.interfaces import ISeries, Series
from spire.series.loads import Alive, Connected, Loaded, load
from spire.series.query import Interruption, LimitFrom, Query, validate
from spire.wire.errors import Forbidden, Invalid, NotAuthenticated, NotFound, Unavailable
from spire.wire.server_session import Session
from spire.wire.topics import HistoryChunk

PAGES_AT_ONCE: Final = 48
"""Pages on their way from upstream at a time, which lets a session have 64 loads under way."""

SIGN_SECONDS: Final = 10.0
"""How often a reader is told that his page is still being read."""


class Reading:
    """A page on its way from upstream: first where its topic stands, then signs that it goes on, at last the page.

    It may be long until a page is full, where a filter matches rarely; its reader would give it up in silence.
    """

    def __init__(
        self, page: Callable[[Query, Alive], Coroutine[Any, Any, Loaded[Records]]], query: Query, clock: Clock
    ) -> None:
        self._clock = clock
        self._signed = clock.monotonic()
        self._standing: tuple[int, int] | None = None
        self._ended: Loaded[Records] | Failure | None = None
        self._waiting: Waiters[None] = Waiters()
        self._loading = Deferred.fromCoroutine(page(query, self._goes_on))
        self._loading.addBoth(self._end)

    async def standing(self) -> tuple[int, int]:
        """Return the epoch and where the topic stood. Raises what the page failed with."""
        while self._standing is None and self._ended is None:
            await self._waiting.join()
        if self._standing is None:
            page = self.page()
            return page.epoch, page.through
        return self._standing

    async def signs(self) -> AsyncIterator[None]:
        """Yield now and then, until the page is here or has failed."""
        while self._ended is None:
            await self._waiting.join()
            if self._ended is None:
                yield None

    def page(self) -> Loaded[Records]:
        """Return the page, behind the last sign. Raises what it failed with."""
        assert self._ended is not None
        if isinstance(self._ended, Failure):
            self._ended.raiseException()
        return self._ended

    def stop(self) -> None:
        """Read no further."""
        self._loading.cancel()

    def _goes_on(self, epoch: int, through: int) -> None:
        now = self._clock.monotonic()
        if self._standing is None or now - self._signed >= SIGN_SECONDS:
            self._standing = (epoch, through)
            self._signed = now
            self._waiting.succeed(None)

    def _end(self, result: Loaded[Records] | Failure) -> None:
        self._ended = result
        self._waiting.succeed(None)


@implementer(ISeries)
class UpstreamHistory:
    """Everything that Market Data keeps, for all readers of this relay; `session` is the one with Market Data.

    Nothing is waited for: while Market Data is away a page is UNAVAILABLE, and so is the rest of a load whose epoch has
    changed meanwhile. Whoever recovers asks again. Other errors are Market Data's own.
    """

    def __init__(self, session: Connected) -> None:
        self._session = session
        self._slots = DeferredSemaphore(PAGES_AT_ONCE)
        self._shared = SharedPages(self._stretch)

    async def load(self, session: Session, query: Query) -> Series:  # noqa: ARG002 (the gate has checked it)
        """Return history as Market Data would. A TAIL is read in one go, anything else in pages from its start.

        Raises NotFound for a topic that is no log, Invalid for a TAIL of more than `LARGEST_TAIL`.
        """
        validate(query)
        try:
            record_type, _ = parse_topic(query.topic)
        except ValueError as error:
            raise NotFound(str(error), topic=query.topic) from None
        is_tail = query.limit is not None and query.limit_from is LimitFrom.TAIL
        if is_tail and query.limit is not None and query.limit > LARGEST_TAIL:
            raise Invalid(
                f"A relay takes the last {LARGEST_TAIL:,} records at most: ask for more by sequence or time.",
                argument="limit",
            )
        first = self._read(query if is_tail else _portion(query, query.limit))
        try:
            epoch, through = await first.standing()
        except BaseException:
            first.stop()
            raise
        chunks = _Chunks(first, _tail(query, first) if is_tail else self._pages(query, first))
        return Series(epoch=epoch, through=through, codec=CODECS[record_type], chunks=chunks)

    async def stretch(self, topic: str, epoch: int, after: int, through: int) -> AsyncIterator[HistoryChunk]:
        """Yield every record of a topic in a range of sequences of an epoch, of whatever feed session."""
        while after < through:
            page = await self._shared.page(topic, epoch, after, through)
            end = min(page.through, through)
            yield _chunk(page.part(after, end), after, end)
            after = end

    async def _stretch(self, topic: str, epoch: int, after: int, through: int) -> Records:
        wanted = Query(topic=topic, start_sequence=after + 1, end_sequence=through, options={"feed_sessions": "all"})
        found = await self.page(wanted)
        if found.epoch != epoch or found.through < through:
            raise Unavailable("Market Data has begun anew; ask again.")
        return found.records

    async def page(self, query: Query, alive: Alive = lambda _epoch, _through: None) -> Loaded[Records]:
        """Return all records of a query at once. Raises Unavailable while Market Data is away."""
        await self._slots.acquire()
        try:
            codec = CODECS[parse_topic(query.topic)[0]]
            return await load(self._session, evolve(query, policy=Interruption.BREAK), codec, alive=alive)
        except (Forbidden, NotAuthenticated) as error:
            raise Unavailable(f"The relay may not read Market Data: {error.message}") from error
        finally:
            self._slots.release()

    def _read(self, query: Query) -> Reading:
        return Reading(self.page, query, self._session.subscriptions.clock)

    async def _pages(self, query: Query, reading: Reading) -> AsyncGenerator[HistoryChunk, None]:
        """Yield the first page and those behind it, up to where the topic stood at the first."""
        epoch, through = await reading.standing()
        end = through if query.end_sequence is None else min(through, query.end_sequence)
        left = query.limit
        reached = _before(query)
        try:
            while True:
                async for _ in reading.signs():
                    yield _nothing(reached)
                page = reading.page()
                if page.epoch != epoch:
                    raise Unavailable("Market Data has begun anew; ask again.")
                count = len(page.records)
                if count:
                    last = int(page.records["sequence"][-1])
                    yield _chunk(page.records, reached, last)
                    reached = last
                is_last = count < _size(left)
                if left is not None:
                    left -= count
                if is_last or left == 0 or reached >= end:
                    return
                rest = evolve(query, start_sequence=reached + 1, end_sequence=end)
                reading = self._read(_portion(rest, left))
        finally:
            reading.stop()


def _size(left: int | None) -> int:
    return pages.PAGE if left is None else min(pages.PAGE, left)


def _portion(query: Query, left: int | None) -> Query:
    """Return the question for the next page, where `left` records are wanted."""
    return evolve(query, limit=_size(left), limit_from=LimitFrom.HEAD)


def _before(query: Query) -> int:
    return (query.start_sequence or 1) - 1


async def _tail(query: Query, reading: Reading) -> AsyncGenerator[HistoryChunk, None]:
    """Yield what is in memory then in portions, so that not all of it is copied at once."""
    async for _ in reading.signs():
        yield _nothing(_before(query))
    records = reading.page().records
    reached = int(records["sequence"][0]) - 1 if len(records) else 0
    for begin in range(0, len(records), pages.PAGE):
        part = records[begin : begin + pages.PAGE]
        last = int(part["sequence"][-1])
        yield _chunk(part, reached, last)
        reached = last


class _Chunks:
    """The chunks of a load; to close them stops what is being read, also before anybody has taken one."""

    def __init__(self, first: Reading, chunks: AsyncGenerator[HistoryChunk, None]) -> None:
        self._first = first
        self._chunks = chunks

    def __aiter__(self) -> "_Chunks":
        return self

    def __anext__(self) -> Awaitable[HistoryChunk]:
        return self._chunks.__anext__()

    async def aclose(self) -> None:
        """Take no more."""
        self._first.stop()
        await self._chunks.aclose()


def _nothing(reached: int) -> HistoryChunk:
    return HistoryChunk(payload=b"", count=0, after=reached, through=reached)


def _chunk(records: Records, after: int, through: int) -> HistoryChunk:
    return HistoryChunk(payload=records.tobytes(), count=len(records), after=after, through=through)
