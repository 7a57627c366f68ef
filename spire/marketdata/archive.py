"""Reading back: history as series, stretches for those who resume, last records of a day."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date
from typing import Final

from zope.interface import implementer

from spire.database.errors import StoreDown
from spire.marketdata.codecs import CODECS
from spire.marketdata.commands import LARGEST_TAIL
from spire.marketdata.feed_session import FeedSessions
from spire.marketdata.history import Wanted, read_backwards, read_forwards
from spire.marketdata.image import Image, Index
from spire.marketdata.interfaces import BlockRange, IMarketDataStore
from spire.marketdata.validation import Universe
from spire.marketdata.values import LAYOUTS, OPTIONAL, Records, RecordType, ServedMarket
from spire.series.compilation import to_numpy
from spire.series.interfaces import ISeries, Series
from spire.series.query import LimitFrom, Query, validate
from spire.wire.errors import Invalid, Unavailable
from spire.wire.server_session import Session
from spire.wire.topics import HistoryChunk, IHistory

READ_ALL: Final = "market_data.all"
"""The capability to read every instrument and type."""


@implementer(ISeries)
class Archive:
    """Everything that is visible, from the store and from what only the journal and memory hold yet.

    `index_of` turns a topic's name into type and instrument, or raises NotFound.
    """

    def __init__(
        self,
        *,
        store: IMarketDataStore,
        image: Image,
        sessions: FeedSessions,
        universe: Callable[[], Universe],
        index_of: Callable[[str], Index],
        epoch: int,
    ) -> None:
        self._store = store
        self._image = image
        self._sessions = sessions
        self._universe = universe
        self._index_of = index_of
        self._epoch = epoch

    async def load(self, session: Session, query: Query) -> Series:
        """Return history as ISeries says. Without a feed session in the query, only primary ones are read.

        Raises NotFound for a feed session that never was, Invalid for a TAIL of more than `LARGEST_TAIL`, also where
        ISeries does.
        """
        session.require(READ_ALL)
        validate(query)
        index = record_type, instrument = self._index_of(query.topic)
        from_tail = query.limit_from is LimitFrom.TAIL
        if from_tail and query.limit is not None and query.limit > LARGEST_TAIL:
            raise Invalid(
                f"Market Data takes the last {LARGEST_TAIL:,} records at most: ask for more by sequence or time.",
                argument="limit",
            )
        if query.feed_session is not None:
            self._sessions.get(query.feed_session)
        through = self._image.visible(index)
        resident = self._image.resident.parts(index)
        market = ServedMarket(venue=self._universe().listing_venue(instrument) or 0, record_type=record_type)
        everything = query.options.get("feed_sessions") == "all"
        wanted = Wanted(
            range=BlockRange(
                record_type=record_type,
                instrument=instrument,
                after=max(0, (query.start_sequence or 1) - 1),
                through=through if query.end_sequence is None else min(through, query.end_sequence),
                start_time=query.start_time,
                end_time=query.end_time,
                feed_session=query.feed_session,
                without=frozenset() if everything else self._sessions.secondary(market),
            ),
            mask=None if query.filter is None else to_numpy(query.filter, LAYOUTS[record_type], OPTIONAL[record_type]),
            limit=query.limit,
            from_tail=from_tail,
        )
        return Series(
            epoch=self._epoch, through=through, codec=CODECS[record_type], chunks=self._chunks(resident, wanted)
        )

    def stretch(self, topic: str, after: int, through: int) -> AsyncIterator[HistoryChunk]:
        """Yield every record of a topic in a range of sequences, of whatever feed session."""
        index = record_type, instrument = self._index_of(topic)
        wanted = Wanted(range=BlockRange(record_type=record_type, instrument=instrument, after=after, through=through))
        return self._chunks(self._image.resident.parts(index), wanted)

    async def last_records(self, session: Session, instrument: int, trade_date: str) -> tuple[Records, Records]:
        """Return the last trade and BBO of an instrument on a trade date, each perhaps empty.

        Raises Forbidden, NotFound, Invalid, Unavailable while the store is away.
        """
        session.require(READ_ALL)
        try:
            day = date.fromisoformat(trade_date)
        except ValueError:
            raise Invalid(f"{trade_date!r} is no date", argument="trade_date") from None
        found = []
        for kind in (RecordType.TRADE, RecordType.BBO):
            record = self._image.last(kind, instrument)
            if not len(record) or self._sessions.get(int(record["feed_session"][0])).trade_date != day.isoformat():
                record = await self._stored_last(kind, instrument, day)
            found.append(record)
        return found[0], found[1]

    async def _stored_last(self, kind: RecordType, instrument: int, day: date) -> Records:
        try:
            return await self._store.last_record(kind, instrument, day)
        except StoreDown as error:
            raise Unavailable("The database is away; ask again later.") from error

    async def _chunks(self, resident: Sequence[Records], wanted: Wanted) -> AsyncIterator[HistoryChunk]:
        reached = wanted.range.after
        total = 0
        try:
            if wanted.limit is not None and wanted.from_tail:
                parts: list[Records] = []
                async for records in read_backwards(self._store, resident, wanted):
                    if len(records):
                        parts.append(records)
                    yield _nothing(reached, reached)  # the client learns that it is still looked for
                reached = int(parts[-1]["sequence"][0]) - 1 if parts else reached
                while parts:
                    records = parts.pop()
                    chunk = _chunk(reached, records, int(records["sequence"][-1]))
                    reached = chunk.through
                    yield chunk
            else:
                async for part in read_forwards(self._store, resident, wanted):
                    chunk = _chunk(reached, part.records, part.reached)
                    reached, total = chunk.through, total + chunk.count
                    yield chunk
        except StoreDown as error:
            raise Unavailable("The database is away and memory does not reach back so far; ask again later.") from error
        is_cut = wanted.limit is not None and not wanted.from_tail and total >= wanted.limit
        if reached < wanted.range.through and not is_cut:
            yield _nothing(reached, wanted.range.through)


@implementer(IHistory)
class Stretches:
    """What a log topic asks for when its ring does not reach back far enough."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def earliest(self, topic: str) -> int:  # noqa: ARG002 (nothing is ever dropped)
        """Return 0: every record is kept."""
        return 0

    def load(self, topic: str, after: int, through: int) -> AsyncIterator[HistoryChunk]:
        """Yield every record of a topic in a range of sequences."""
        return self._archive.stretch(topic, after, through)


def _chunk(after: int, records: Records, through: int) -> HistoryChunk:
    return HistoryChunk(payload=records.tobytes(), count=len(records), after=after, through=through)


def _nothing(after: int, through: int) -> HistoryChunk:
    return HistoryChunk(payload=b"", count=0, after=after, through=through)
