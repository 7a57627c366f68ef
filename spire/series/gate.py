"""What stands between a room's topics and series and its sessions: who may read what, asked at every call and kept true."""

from collections.abc import Callable

from attrs import frozen
from zope.interface import implementer

from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.series.interfaces import ISeries, Series
from spire.series.query import Query
from spire.series.responders import SeriesResponders
from spire.wire.errors import SpireError
from spire.wire.guard import Responders
from spire.wire.publisher import Topic
from spire.wire.readers import end_iteration
from spire.wire.server_session import Session
from spire.wire.stream_responders import StreamResponders
from spire.wire.topics import ITopics

Refusal = Callable[[Session, str], SpireError | None]
"""Why a session may not read a topic, or None where it may; it may also raise the error."""


@frozen(kw_only=True)
class _Table:
    """What one session reads."""

    streams: StreamResponders
    series: SeriesResponders


@implementer(ITopics, ISeries)
class Gate:
    """Lets sessions through to `topics` and `series` where `refusal` has nothing against it.

    It is asked before, and again after anything that waited; `check` asks again for whatever is open, and ends at once
    what is refused now.
    """

    def __init__(self, *, topics: ITopics, series: ISeries, refusal: Refusal, clock: Clock, tasks: Tasks) -> None:
        self._topics = topics
        self._series = series
        self._refusal = refusal
        self._clock = clock
        self._tasks = tasks
        self._tables: dict[Session, _Table] = {}

    def table(self, session: Session) -> Responders:
        """Return the streams and series of a session, which are checked until it ends."""
        streams = StreamResponders(session, self, clock=self._clock, tasks=self._tasks)
        series = SeriesResponders(session, self, clock=self._clock, tasks=self._tasks)
        self._tables[session] = _Table(streams=streams, series=series)
        session.on_close(lambda: self._tables.pop(session, None))
        return Responders(streams, series)

    async def open_topic(self, session: Session, name: str) -> Topic:
        """Return the topic, as ITopics says, where the session may read it."""
        self._require(session, name)
        topic: Topic = await self._topics.open_topic(session, name)
        self._require(session, name)
        return topic

    async def load(self, session: Session, query: Query) -> Series:
        """Return the series, as ISeries says, where the session may read it."""
        self._require(session, query.topic)
        series: Series = await self._series.load(session, query)
        try:
            self._require(session, query.topic)
        except SpireError:
            await end_iteration(series.chunks)
            raise
        return series

    def check(self) -> None:
        """End every stream and load that its session may not read any more."""
        for session, table in tuple(self._tables.items()):

            def refusal(name: str, session: Session = session) -> SpireError | None:
                return self._refused(session, name)

            table.streams.end_where(refusal)
            table.series.end_where(refusal)

    def _require(self, session: Session, name: str) -> None:
        error = self._refusal(session, name)
        if error is not None:
            raise error

    def _refused(self, session: Session, name: str) -> SpireError | None:
        try:
            return self._refusal(session, name)
        except SpireError as error:
            return error
