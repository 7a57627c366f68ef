"""The Charting Server: candles of the past as series, candles as they change as topics."""

from collections.abc import AsyncIterator, Callable

import numpy as np
from twisted.internet.defer import Deferred
from zope.interface import implementer

from spire.charting.codecs import CODEC
from spire.charting.interfaces import ITradeFollower, ITrades, TradeRange
from spire.charting.live import LiveCandles, load_candles, whole_buckets
from spire.charting.values import Candles, CandleTopic
from spire.marketdata.values import Records, RecordType
from spire.relay.rights import Rights
from spire.runtime.tasks import Tasks
from spire.series.interfaces import ISeries, Series
from spire.series.query import Interruption, LimitFrom, Query, validate
from spire.wire.errors import Invalid, NotFound, Overloaded, SpireError, Unsupported
from spire.wire.log_topic import LogTopic
from spire.wire.publisher import Publisher, Topic
from spire.wire.server_session import Session
from spire.wire.topics import HistoryChunk, IHistory, ITopics

MOST_LIVE_SERIES = 2_000
CANDLES_A_CHUNK = 4_096


@implementer(ISeries, ITopics)
class ChartingServer:
    """Serves candles of any instrument and interval; the gate before it asks `refusal` who may see them.

    `zone_of(instrument_id)` names the time zone of the instrument's listing venue and raises NotFound for an unknown one.
    """

    def __init__(
        self,
        *,
        trades: ITrades,
        zone_of: Callable[[int], str],
        rights: Rights,
        publisher: Publisher,
        tasks: Tasks,
    ) -> None:
        self._trades = trades
        self._zone_of = zone_of
        self._rights = rights
        self._publisher = publisher
        self._tasks = tasks
        self._live: dict[str, LiveCandles] = {}

    def refusal(self, session: Session, name: str) -> SpireError | None:
        """Return why a session may not see a series, or None where it may see the trades that it is made of.

        Raises Invalid for a name that is none, NotFound for an unknown instrument.
        """
        topic, _ = self._parse(name)
        return self._rights.refusal(session.identity, topic.instrument_id, RecordType.TRADE)

    async def load(self, session: Session, query: Query) -> Series:  # noqa: ARG002 (the gate has checked it)
        """Return the candles whose buckets touch the query's range of time, each whole, by the sequence of their last trade.

        `start_sequence` leaves out candles that have not changed since; a limit counts candles. A filter and an
        `end_sequence` are UNSUPPORTED: candles are made of trades, not stored.
        """
        validate(query)
        if query.filter is not None or query.end_sequence is not None:
            raise Unsupported("Candles take neither a filter nor an end by sequence.", argument="query")
        topic, zone = self._parse(query.topic)
        start, end = whole_buckets(query.start_time, query.end_time, topic.interval, zone)
        wanted = TradeRange(
            instrument_id=topic.instrument_id,
            start=start,
            end=end,
            feed_session=query.feed_session,
            policy=Interruption.BREAK,
        )
        epoch, through, candles = await load_candles(self._trades, wanted, topic, zone)
        candles = candles.take(np.argsort(candles["sequence"], kind="stable"))
        if query.start_sequence is not None:
            candles = candles.compress(candles["sequence"] >= query.start_sequence)
        if query.limit is not None:
            candles = candles[: query.limit] if query.limit_from is LimitFrom.HEAD else candles[-query.limit :]
        return Series(epoch=epoch, through=through, codec=CODEC, chunks=_chunks(candles))

    async def open_topic(self, session: Session, name: str) -> Topic:  # noqa: ARG002 (the gate has checked it)
        """Return the live topic of a series of candles, followed from its first subscriber on."""
        topic, zone = self._parse(name)
        live = self._live.get(name)
        if live is not None and live.is_lost:
            self._forget(name)
            live = None
        if live is None:
            self._make_room()
            live = self._live[name] = LiveCandles(topic, zone, self._trades, self._tasks, self._log_maker(name))
            live.start()
        return await live.when_open()

    def _parse(self, name: str) -> tuple[CandleTopic, str]:
        try:
            topic = CandleTopic.parse(name)
        except ValueError as error:
            raise Invalid(str(error), argument="topic") from error
        return topic, self._zone_of(topic.instrument_id)

    def _log_maker(self, name: str) -> Callable[[int, int], LogTopic]:
        def make(epoch: int, through: int) -> LogTopic:
            return self._publisher.log(
                name, epoch=epoch, through=through, codec=CODEC, history=_History(self._trades, self._live[name])
            )

        return make

    def _make_room(self) -> None:
        """Let go of a series that nobody reads or waits for, where there are many; raises Overloaded where there is none."""
        if len(self._live) < MOST_LIVE_SERIES:
            return
        for name, live in tuple(self._live.items()):
            if not live.is_used:
                self._forget(name)
                return
        raise Overloaded(f"This server follows {MOST_LIVE_SERIES} series of candles already.")

    def _forget(self, name: str) -> None:
        self._live.pop(name).close()
        self._publisher.drop(name)

    def close(self) -> None:
        """Stop to follow any trades; whoever waits for a series hears it."""
        for name in tuple(self._live):
            self._forget(name)


@implementer(IHistory)
class _History:
    """What a live series has published, made again from stored trades."""

    def __init__(self, trades: ITrades, live: LiveCandles) -> None:
        self._trades = trades
        self._live = live

    async def earliest(self, topic: str) -> int:  # noqa: ARG002 (of the interface)
        """Return 0: no trade was ever dropped."""
        return 0

    async def load(self, topic: str, after: int, through: int) -> AsyncIterator[HistoryChunk]:
        """Yield the candles that the trades of after..through changed, as they are now."""
        missed = _Missed(after, through)
        stop = self._trades.follow(CandleTopic.parse(topic).instrument_id, after, missed)
        try:
            records = await missed.complete
        finally:
            stop()
        yield await self._live.changed_by(records, after, through)


@implementer(ITradeFollower)
class _Missed:
    """Gathers the trades of after..through."""

    def __init__(self, after: int, through: int) -> None:
        self.complete: Deferred[Records] = Deferred()
        self._after = after
        self._through = through
        self._parts: list[Records] = []

    def begin(self, epoch: int, after: int) -> None:  # noqa: ARG002 (of the interface)
        """Begin again; a later beginning leaves a hole that is told."""
        self._parts.clear()
        if after > self._after:
            self.lost(NotFound(f"Trades after {self._after} are kept nowhere."))

    def more(self, trades: Records) -> None:
        """Keep what is wanted, until the range is whole."""
        if self.complete.called:
            return
        self._parts.append(trades[trades["sequence"] <= self._through])
        if int(trades["sequence"][-1]) >= self._through:
            self.complete.callback(np.concatenate(self._parts))

    def lost(self, error: SpireError) -> None:
        """Fail with why."""
        if not self.complete.called:
            self.complete.errback(error)


async def _chunks(candles: Candles) -> AsyncIterator[HistoryChunk]:
    """Yield candles in portions."""
    after = 0
    for begin in range(0, len(candles), CANDLES_A_CHUNK):
        part = candles[begin : begin + CANDLES_A_CHUNK]
        through = int(part["sequence"][-1])
        yield HistoryChunk(payload=part.tobytes(), count=len(part), after=after, through=through)
        after = through
