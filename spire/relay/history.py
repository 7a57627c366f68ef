"""History out of Market Data, page by page: what a relay answers loads with, and resumes beyond its rings."""

from collections.abc import AsyncIterator
from typing import Final

from attrs import evolve
from twisted.internet.defer import DeferredSemaphore
from zope.interface import implementer

from spire.marketdata.codecs import CODECS
from spire.marketdata.values import Records, parse_topic
from spire.relay import pages
from spire.relay.pages import SharedPages
from spire.series.interfaces import ISeries, Series
from spire.series.loads import Connected, Loaded, load
from spire.series.query import Interruption, LimitFrom, Query, validate
from spire.wire.errors import Forbidden, Invalid, NotAuthenticated, NotFound, Unavailable
from spire.wire.server_session import Session
from spire.wire.topics import HistoryChunk

PAGES_AT_ONCE: Final = 48
"""Pages on their way from upstream at a time, which lets a session have 64 loads under way."""

LARGEST_TAIL: Final = pages.PAGE
"""Records of a TAIL at most: it is in memory as a whole, as a page is, until its reader has taken it."""


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

        Raises NotFound for a topic that is no log, Invalid for a TAIL of more than a page.
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
        first = await self.page(query if is_tail else _portion(query, query.limit))
        chunks = _tail(first) if is_tail else self._pages(query, first)
        return Series(epoch=first.epoch, through=first.through, codec=CODECS[record_type], chunks=chunks)

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

    async def page(self, query: Query) -> Loaded[Records]:
        """Return all records of a query at once. Raises Unavailable while Market Data is away."""
        await self._slots.acquire()
        try:
            return await load(
                self._session, evolve(query, policy=Interruption.BREAK), CODECS[parse_topic(query.topic)[0]]
            )
        except (Forbidden, NotAuthenticated) as error:
            raise Unavailable(f"The relay may not read Market Data: {error.message}") from error
        finally:
            self._slots.release()

    async def _pages(self, query: Query, page: Loaded[Records]) -> AsyncIterator[HistoryChunk]:
        """Yield the first page and those behind it, up to where the topic stood at the first."""
        epoch = page.epoch
        end = page.through if query.end_sequence is None else min(page.through, query.end_sequence)
        left = query.limit
        reached = (query.start_sequence or 1) - 1
        while True:
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
            page = await self.page(_portion(rest, left))
            if page.epoch != epoch:
                raise Unavailable("Market Data has begun anew; ask again.")


def _size(left: int | None) -> int:
    return pages.PAGE if left is None else min(pages.PAGE, left)


def _portion(query: Query, left: int | None) -> Query:
    """Return the question for the next page, where `left` records are wanted."""
    return evolve(query, limit=_size(left), limit_from=LimitFrom.HEAD)


async def _tail(found: Loaded[Records]) -> AsyncIterator[HistoryChunk]:
    """Yield what is in memory already in portions, so that not all of it is copied at once."""
    records = found.records
    reached = int(records["sequence"][0]) - 1 if len(records) else 0
    for begin in range(0, len(records), pages.PAGE):
        part = records[begin : begin + pages.PAGE]
        last = int(part["sequence"][-1])
        yield _chunk(part, reached, last)
        reached = last


def _chunk(records: Records, after: int, through: int) -> HistoryChunk:
    return HistoryChunk(payload=records.tobytes(), count=len(records), after=after, through=through)
