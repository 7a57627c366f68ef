"""The Market Data Server: accepts what feeds send, keeps it, and serves history, snapshots and streams of it."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from twisted.logger import Logger
from zope.interface import implementer

from spire.database.errors import StoreDown
from spire.database.journal import Journal, JournalMismatch
from spire.database.ordered_writer import Fenced, OrderedWriter, WriterStopped
from spire.marketdata.acceptance import Acceptance
from spire.marketdata.archive import READ_ALL, Archive, Stretches
from spire.marketdata.codecs import CODECS
from spire.marketdata.configuration import MarketDataSection
from spire.marketdata.feed_session import FeedSessions
from spire.marketdata.frames import Frame, FrameKind, decode_frames
from spire.marketdata.image import Image, Index, Publication
from spire.marketdata.intake import FeedIntake
from spire.marketdata.interfaces import IMarketDataStore
from spire.marketdata.markets import Markets
from spire.marketdata.pipeline import Pipeline, Portion, Storing
from spire.marketdata.sequencing import Sequences
from spire.marketdata.snapshots import MarketSnapshot
from spire.marketdata.validation import Universe
from spire.marketdata.values import (
    FEED_SESSIONS_TOPIC,
    FeedSessionState,
    Records,
    RecordType,
    empty,
    parse_topic,
    topic_of,
)
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.values.environment import Environment
from spire.wire.errors import NotFound
from spire.wire.log_topic import LogTopic
from spire.wire.publisher import Publisher, Topic
from spire.wire.server_session import Session
from spire.wire.topics import ITopics

_REFRESH_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 0.5

R = TypeVar("R")


class Reference(Protocol):
    """What the server needs of Definitions, as they are known now."""

    def universe(self) -> Universe:
        """Return the instruments and venues."""

    def eligibility(self, conditions: NDArray[np.uint64]) -> NDArray[np.uint16]:
        """Return what prints with these conditions count for."""


@implementer(ITopics)
class MarketDataServer:
    """Owns feed sessions, the journal, the image and the topics.

    `start` rebuilds everything from store and journal; from then on a record is visible exactly when the journal holds it. `trouble`
    hears why the journal takes nothing, and None when it does again.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        settings: MarketDataSection,
        environment: Environment,
        epoch: int,
        instance_id: str,
        store: IMarketDataStore,
        journal: Journal,
        writer: OrderedWriter[Portion],
        reference: Reference,
        publisher: Publisher,
        clock: Clock,
        tasks: Tasks,
        trouble: Callable[[str | None], object] = lambda _: None,
    ) -> None:
        self._epoch = epoch
        self._store = store
        self._journal = journal
        self._writer = writer
        self._publisher = publisher
        self._clock = clock
        self._tasks = tasks
        self._image = Image()
        self._sessions = FeedSessions(environment)
        self._acceptance = Acceptance(self._sessions, Sequences(), self._image.books, reference.eligibility)
        self._storing = Storing(writer, clock, settings.store_seconds, self._stored)
        self._pipeline = Pipeline(
            acceptance=self._acceptance,
            image=self._image,
            journal=journal,
            storing=self._storing,
            clock=clock,
            visible=self._visible,
            trouble=trouble,
        )
        topic = publisher.state(FEED_SESSIONS_TOPIC, FeedSessionState, instance_id=instance_id)
        self._markets = Markets(
            topic=topic,
            sessions=self._sessions,
            image=self._image,
            connection_of=self._acceptance.connection_of,
            clock=clock,
        )
        self.intake = FeedIntake(
            pipeline=self._pipeline,
            markets=self._markets,
            make_universe=reference.universe,
            clock=clock,
            tasks=tasks,
            backlog_limit=settings.backlog_records,
            grace_seconds=settings.feed_grace_seconds,
        )
        self.archive = Archive(
            store=store,
            image=self._image,
            sessions=self._sessions,
            universe=lambda: self.intake.universe,
            index_of=self._index,
            epoch=epoch,
        )
        self._history = Stretches(self.archive)
        self._topics: dict[RecordType, dict[int, LogTopic]] = {kind: {} for kind in RecordType}
        self._stops: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Take the writer over and rebuild: store first, then what only the journal holds. Raises StoreError, JournalError."""
        row = await self._writer.start()
        for session in await self._patiently(self._store.feed_sessions):
            self._sessions.put(session)
        await self._restore_store()
        self.intake.refresh()
        count = 0
        entries = self._journal.open()
        if self._journal.position < row.position:
            raise JournalMismatch(
                f"the journal ends at {self._journal.position}, but the store holds entries up to {row.position}: it was lost"
                " or replaced; accepted records may be missing, and the epoch must rise"
            )
        for entry in entries:
            if entry.position > row.position:
                self._replay(entry.position, decode_frames(entry.payload))
                count += 1
        self._restore_times()
        for session in self._sessions.sessions.values():
            self._markets.session_changed(session.feed_session_id)
        self.intake.watch(self._sessions.unfinished)
        self._stops = [
            self._tasks.every("feed staleness", 1.0, self._markets.check),
            self._tasks.every("definitions", _REFRESH_SECONDS, self.intake.refresh),
        ]
        self._log.info("{count} journal entries were not stored yet", count=count)

    async def stop(self) -> None:
        """Answer what is under way, store what is gathered if the store is there, close the journal."""
        for stop in self._stops:
            stop()
        await self._pipeline.idle()
        self._markets.stop()
        self._storing.close_portion()
        if self._writer.delay_seconds < 1.0:
            await self._flush()
        self._writer.stop()
        await self._journal.close()

    async def _flush(self) -> None:
        try:
            await self._storing.flushed()
        except (Fenced, WriterStopped) as error:
            self._log.warn("the journal keeps what the store does not hold: {error}", error=error)

    # Reading

    async def open_topic(self, session: Session, name: str) -> Topic:
        """Return the topic of an instrument and type, or the state topic of feed sessions.

        Raises Forbidden without the capability, NotFound for another name or an unknown instrument.
        """
        session.require(READ_ALL)
        if name == FEED_SESSIONS_TOPIC:
            found = self._publisher.find(name)
            assert found is not None
            return found
        index = self._index(name)
        return self._topic(index, self._image.visible(index))

    def snapshot(self, session: Session, instrument: int, *, with_book: bool) -> MarketSnapshot:
        """Return what is current of an instrument. Raises Forbidden, NotFound."""
        session.require(READ_ALL)
        self._known(instrument)
        book = self._image.books.get(instrument) if with_book else None
        return MarketSnapshot(
            epoch=self._epoch,
            trade=self._image.last(RecordType.TRADE, instrument),
            bbo=self._image.last(RecordType.BBO, instrument),
            book=empty(RecordType.BOOK) if book is None else book.rows,
            trade_through=self._image.visible((RecordType.TRADE, instrument)),
            bbo_through=self._image.visible((RecordType.BBO, instrument)),
            book_through=self._image.visible((RecordType.BOOK, instrument)) if with_book else 0,
        )

    # What became durable

    def _visible(self, frame: Frame, publications: Sequence[Publication]) -> None:
        for kind, records, found in publications:
            size = records.itemsize
            payload = records.tobytes()
            topics = self._topics[kind]
            self._publisher.publish_many(
                [
                    (
                        topics.get(instrument) or self._topic((kind, instrument), last - (end - begin)),
                        payload[begin * size : end * size],
                        end - begin,
                        last,
                    )
                    for instrument, begin, end, last in found.rows()
                ]
            )
        if frame.kind is FrameKind.BATCH:
            session = self._sessions.get(frame.feed_session)
            self._markets.moved(self._image.saw(frame, session.kind, self.intake.universe, self._clock.monotonic()))
        elif frame.kind is not FrameKind.REMOVED:
            self._markets.session_changed(frame.feed_session)

    def _stored(self, position: int) -> None:
        self._image.resident.trim(position)
        self._journal.trim(position).addErrback(
            lambda failure: self._log.failure("the journal keeps files whose records are stored", failure=failure)
        )

    # Rebuilding

    async def _restore_store(self) -> None:
        visible: dict[RecordType, dict[int, int]] = {kind: {} for kind in RecordType}
        for kind, instrument, last in await self._patiently(self._store.sequences):
            visible[kind][instrument] = last
            self._acceptance.sequences.observe(kind, instrument, last)
        newest = await self._patiently(self._store.last_records)
        for kind in RecordType:
            self._image.restore(kind, newest.get(kind, empty(kind)), visible[kind])
        for session in self._sessions.unfinished:
            if any(market.record_type is RecordType.BOOK for market in session.serves):
                await self._restore_book(session.feed_session_id)

    async def _restore_book(self, feed_session: int) -> None:
        place = (0, 0)
        while True:
            reading = partial(self._store.session_records, RecordType.BOOK, feed_session, place)
            pages: list[Records] = await self._patiently(reading)
            if not pages:
                return
            for records in pages:
                self._image.restore_book(records)
            place = (int(pages[-1]["instrument"][-1]), int(pages[-1]["sequence"][-1]))

    def _replay(self, position: int, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self._acceptance.restore(frame)
            self._image.apply(position, frame)
        self._storing.add(position, self._pipeline.stored(frames))

    def _restore_times(self) -> None:
        for market, number in self._sessions.current.items():
            self._image.restore_time(market, self._sessions.get(number), self.intake.universe, self._clock.monotonic())

    async def _patiently(self, read: Callable[[], Awaitable[R]]) -> R:
        while True:
            try:
                return await read()
            except StoreDown as error:
                self._log.warn("the start waits for the store: {error}", error=error)
                await self._clock.sleep(_RETRY_SECONDS)

    # Small things

    def _index(self, name: str) -> tuple[RecordType, int]:
        try:
            record_type, instrument = parse_topic(name)
        except ValueError as error:
            raise NotFound(str(error), topic=name) from None
        self._known(instrument)
        return record_type, instrument

    def _known(self, instrument: int) -> None:
        if self.intake.universe.listing_venue(instrument) is None:
            self.intake.refresh()
            if self.intake.universe.listing_venue(instrument) is None:
                raise NotFound(f"There is no instrument {instrument}.", instrument=instrument)

    def _topic(self, index: Index, through: int) -> LogTopic:
        kind, instrument = index
        topic = self._topics[kind].get(instrument)
        if topic is None:
            topic = self._topics[kind][instrument] = self._publisher.log(
                topic_of(kind, instrument),
                epoch=self._epoch,
                through=through,
                codec=CODECS[kind],
                history=self._history,
            )
        return topic
