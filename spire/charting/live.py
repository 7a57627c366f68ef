"""One live series of candles: trades come in, changed candles go out as whole candles, late prints included."""

from collections.abc import Callable

import numpy as np
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from zope.interface import implementer

from spire.charting.candles import CandleSeries, aggregate, bucket_bounds, stretches
from spire.charting.interfaces import ITradeFollower, ITrades, TradeRange
from spire.charting.values import CANDLE, Candles, CandleTopic
from spire.marketdata.values import Records
from spire.runtime.tasks import Tasks
from spire.runtime.waiters import Waiters
from spire.values.time import Timestamp
from spire.wire.errors import Invalid, SpireError, Unavailable
from spire.wire.log_topic import LogTopic
from spire.wire.topics import HistoryChunk

KEPT_BUCKETS = 4_096
"""Candles that a live series keeps in memory; an older one is loaded again when a late print changes it."""

PORTION = 65_536
"""Trades that are aggregated at once; between two portions of history others have their turn."""

MOST_CANDLES = 2**18
"""Candles that one query may make: all of them are in memory, and sorted at once, before the first one goes out."""


class Buckets:
    """The candles of one series that were touched, of the primary feed sessions and of each replayed one.

    From `_whole_from` on every bucket that has a print is held, so that a new one needs no look at history.
    """

    _log = Logger()

    def __init__(self, topic: CandleTopic, zone: str, trades: ITrades) -> None:
        self._topic = topic
        self._zone = zone
        self._trades = trades
        self._series: dict[int | None, CandleSeries] = {}
        self._whole_from: dict[int | None, int] = {}

    async def change(self, records: Records) -> Candles:
        """Return the candles that `records` change, as they are after them, in the order of their last trades."""
        changed = [np.zeros(0, dtype=CANDLE)]
        for feed_session in np.unique(records["feed_session"]).tolist():
            key = feed_session if self._trades.is_replayed(self._topic.instrument_id) else None
            part = records if key is None else records[records["feed_session"] == feed_session]
            changed.append(await self._change(key, part))
            if key is None:
                break
        candles = np.concatenate(changed)
        return candles[np.argsort(candles["sequence"], kind="stable")]

    async def _change(self, feed_session: int | None, records: Records) -> Candles:
        series = self._series.setdefault(feed_session, CandleSeries())
        fresh = aggregate(records, self._topic.interval, self._zone, self._topic.eligibility)
        if not len(fresh):
            return fresh
        before = int(records["sequence"][0]) - 1
        whole_from = self._whole_from.get(feed_session)
        if whole_from is None:
            newest = Timestamp(int(fresh["start"][-1]))
            try:
                series.hold(await self._load(newest, None, before, feed_session))
                whole_from = newest
            except Invalid:
                self._log.info("{topic}: its newest print is far behind the last one", topic=str(self._topic))
        late = fresh if whole_from is None else fresh[fresh["start"] < whole_from]
        for start, end in stretches(series.missing(late), self._topic.interval):
            series.hold(await self._load(start, end, before, feed_session))
        updated = series.apply(fresh)
        dropped = series.keep_latest(KEPT_BUCKETS)
        if whole_from is not None:
            oldest = int(series.all()["start"][0])
            self._whole_from[feed_session] = max(whole_from, oldest) if dropped else whole_from
        return updated

    async def _load(self, start: Timestamp, end: Timestamp | None, through: int, feed_session: int | None) -> Candles:
        """Return the candles of a range of market time out of history, up to a sequence."""
        wanted = TradeRange(
            instrument_id=self._topic.instrument_id, start=start, end=end, through=through, feed_session=feed_session
        )
        _, _, candles = await load_candles(self._trades, wanted, self._topic, self._zone)
        return candles


async def load_candles(trades: ITrades, wanted: TradeRange, topic: CandleTopic, zone: str) -> tuple[int, int, Candles]:
    """Return (epoch, through, candles) of a range of trades, oldest first; trades are taken in portions.

    Raises Invalid, and takes no more, where there are more than MOST_CANDLES.
    """
    portion: list[Records] = []
    series = CandleSeries()

    def restart() -> None:
        portion.clear()
        series.keep_latest(0)

    def condense() -> None:
        if portion:
            series.apply(aggregate(np.concatenate(portion), topic.interval, zone, topic.eligibility))
            portion.clear()
        if len(series) > MOST_CANDLES:
            raise Invalid(
                f"That makes more than {MOST_CANDLES:,} candles: ask for a shorter range or a longer interval.",
                argument="query",
            )

    def take(records: Records) -> None:
        portion.append(records)
        if sum(map(len, portion)) >= PORTION:
            condense()

    epoch, through = await trades.load(wanted, restart, take)
    condense()
    return epoch, through, series.all()


@implementer(ITradeFollower)
class LiveCandles:
    """Follows the trades of one instrument into a log topic of candles, whose sequences are those of the trades.

    Trades are taken one batch after the other, because a late print may have to load its bucket first. `changed_by` answers a resume that is older than the topic's ring.
    """

    _log = Logger()

    def __init__(
        self, topic: CandleTopic, zone: str, trades: ITrades, tasks: Tasks, make_log: Callable[[int, int], LogTopic]
    ) -> None:
        self.topic = topic
        self._zone = zone
        self._trades = trades
        self._tasks = tasks
        self._make_log = make_log
        self._log_topic: LogTopic | None = None
        self._buckets = Buckets(topic, zone, trades)
        self._pending: list[Records] = []
        self._is_working = False
        self._waiting: Waiters[LogTopic] = Waiters()
        self._error: SpireError | None = None
        self._stop: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin to follow."""
        self._stop = self._trades.follow(self.topic.instrument_id, None, self)

    def when_open(self) -> Deferred[LogTopic]:
        """Fire with the topic once it is known where the trades stand; fails with why the trades ended."""
        if self._log_topic is not None:
            return succeed(self._log_topic)
        return fail(self._error) if self._error is not None else self._waiting.join()

    @property
    def is_used(self) -> bool:
        """Whether somebody reads it, or waits for it."""
        return bool(self._waiting) or (self._log_topic is not None and bool(self._log_topic.readers))

    @property
    def is_lost(self) -> bool:
        """Whether the trades have ended."""
        return self._error is not None

    def close(self) -> None:
        """Stop to follow; whoever waits for the topic hears that he may ask again."""
        self._stop()
        self._waiting.fail(Unavailable(f"{self.topic} is not followed any more; ask again."))

    def begin(self, epoch: int, after: int) -> None:
        """Open the topic where the trades stand, or begin it anew."""
        self._pending.clear()
        self._buckets = Buckets(self.topic, self._zone, self._trades)
        if self._log_topic is None:
            self._log_topic = self._make_log(epoch, after)
        else:
            self._log_topic.restart(epoch=epoch, through=after)
        self._waiting.succeed(self._log_topic)

    def more(self, trades: Records) -> None:
        """Queue trades; one batch at a time is worked on."""
        self._pending.append(trades)
        if not self._is_working:
            self._is_working = True
            self._tasks.spawn("candles", self._work())

    def lost(self, error: SpireError) -> None:
        """End the topic: a subscriber asks again and learns why."""
        self._error = error
        self._pending.clear()
        self._waiting.fail(error)
        if self._log_topic is not None:
            self._log_topic.end(error.coded, error.message)

    async def _work(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending, []
                buckets, log_topic = self._buckets, self._log_topic
                records = np.concatenate(batch)
                changed = await buckets.change(records)
                if log_topic is not None and buckets is self._buckets:
                    log_topic.publish(changed.tobytes(), len(changed), int(records["sequence"][-1]))
        except SpireError as error:
            self._log.warn("{topic} cannot go on: {reason}", topic=str(self.topic), reason=error)
            self._stop()
            self.lost(error)
        finally:
            self._is_working = False

    async def changed_by(self, trades: Records, after: int, through: int) -> HistoryChunk:
        """Return the candles that `trades`, all of after..through, changed, as they were at `through`."""
        if not len(trades):
            return HistoryChunk(payload=b"", count=0, after=after, through=through)
        changed = await Buckets(self.topic, self._zone, self._trades).change(trades)
        return HistoryChunk(payload=changed.tobytes(), count=len(changed), after=after, through=through)


def whole_buckets(
    start: Timestamp | None, end: Timestamp | None, interval: int, zone: str
) -> tuple[Timestamp | None, Timestamp | None]:
    """Widen a range of market time (both ends included) so that each bucket that it touches is whole."""
    if start is not None:
        start = Timestamp(int(bucket_bounds(np.array([start]), interval, zone)[0][0]))
    if end is not None:
        end = Timestamp(int(bucket_bounds(np.array([end]), interval, zone)[1][0]) - 1)
    return start, end
