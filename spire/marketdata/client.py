"""Market data for every other process: history, live streams, snapshots, and the state of each market."""

from datetime import date
from typing import Any

from attrs import frozen

from spire.marketdata.codecs import CODECS
from spire.marketdata.commands import FindLastRecords, TakeSnapshot
from spire.marketdata.market_time import STALE_SECONDS
from spire.marketdata.values import (
    FEED_SESSIONS_TOPIC,
    FeedSessionState,
    Records,
    RecordType,
    joined,
    market_key,
    parse_topic,
    topic_of,
    unpack,
)
from spire.series.following import Following, follow
from spire.series.loads import Loaded, load
from spire.series.query import Query
from spire.values.environment import FeedKind
from spire.values.time import Timestamp
from spire.wire.channels import LogSubscription
from spire.wire.client_session import ClientSession
from spire.wire.errors import NotFound
from spire.wire.state_view import StateView
from spire.wire.topics import Policy, StreamListener

CALL_SECONDS = 10.0


@frozen(kw_only=True)
class MarketSnapshot:
    """What is current of an instrument: at most one trade and one BBO, the whole book, and the sequences of the three topics."""

    epoch: int
    trade: Records
    bbo: Records
    book: Records
    trade_through: int
    bbo_through: int
    book_through: int


class MarketDataClient:
    """Typed access to a service that serves market data; `session` is started and stopped by its owner.

    Records are numpy arrays of the layouts in `spire.marketdata.values`.
    """

    def __init__(self, session: ClientSession) -> None:
        self.session = session
        self._clock = session.subscriptions.clock
        self._markets: Markets | None = None

    async def load(self, query: Query) -> Loaded[Records]:
        """Return the records of `query.topic` (`topic_of`); see `spire.series.loads.load`."""
        return await load(self.session, query, CODECS[parse_topic(query.topic)[0]])

    def follow(
        self, query: Query, listener: StreamListener[Records], *, policy: Policy = Policy.LOSSLESS
    ) -> Following[Records]:
        """Load what `query` asks for, then follow its topic; see `spire.series.following.follow`."""
        return follow(self.session, query, listener, CODECS[parse_topic(query.topic)[0]], policy=policy)

    def subscribe(
        self,
        record_type: RecordType,
        instrument: int,
        listener: StreamListener[Records],
        *,
        after: int | None = None,
        epoch: int | None = None,
        policy: Policy = Policy.LOSSLESS,
    ) -> LogSubscription[Records]:
        """Follow one topic: from what comes next, or behind `after` (a snapshot's `..._through`, with its epoch)."""
        return self.session.subscriptions.log(
            topic_of(record_type, instrument),
            listener,
            codec=CODECS[record_type],
            after=after,
            epoch=epoch,
            policy=policy,
        )

    async def snapshot(self, instrument: int) -> MarketSnapshot:
        """Return what is current of an instrument. Raises NotFound for an unknown one, Forbidden, Unavailable."""
        pages: list[Records] = []
        first: dict[str, Any] | None = None
        while True:
            offset = sum(len(page) for page in pages)
            answer = await self.session.call(
                TakeSnapshot, timeout_seconds=CALL_SECONDS, instrument=instrument, book_offset=offset
            )
            if first is None or answer["book_through"] != first["book_through"]:
                pages = []  # the book moved between two pages: begin again
                if offset:
                    first = None
                    continue
                first = answer
            pages.append(unpack(RecordType.BOOK, answer["book"]))
            if sum(len(page) for page in pages) >= answer["book_rows"]:
                break
        return MarketSnapshot(
            epoch=first["epoch"],
            trade=unpack(RecordType.TRADE, answer["trade"]),
            bbo=unpack(RecordType.BBO, answer["bbo"]),
            book=joined(RecordType.BOOK, pages),
            trade_through=answer["trade_through"],
            bbo_through=answer["bbo_through"],
            book_through=answer["book_through"],
        )

    async def last_records(self, instrument: int, trade_date: date) -> tuple[Records, Records]:
        """Return the last trade and the last BBO of a trade date, each perhaps empty."""
        answer = await self.session.call(
            FindLastRecords, timeout_seconds=CALL_SECONDS, instrument=instrument, trade_date=trade_date.isoformat()
        )
        return unpack(RecordType.TRADE, answer["trade"]), unpack(RecordType.BBO, answer["bbo"])

    def markets(self) -> "Markets":
        """Return the state of every market, live; subscribed at the first call."""
        if self._markets is None:
            self._markets = Markets(self.session)
        return self._markets


class Markets:
    """The topic `feed_sessions` as a follower sees it: current session, market time and staleness per (listing venue, type)."""

    def __init__(self, session: ClientSession) -> None:
        self._clock = session.subscriptions.clock
        self.view: StateView[FeedSessionState] = session.subscriptions.state(FEED_SESSIONS_TOPIC, FeedSessionState)
        self._received: dict[str, float] = {}
        self.view.observe(self._changed)

    def state(self, venue: int, record_type: RecordType) -> FeedSessionState:
        """Return the row of a market. NotFound: no feed ever served it."""
        row = self.view.rows.get(market_key(venue, record_type))
        if row is None:
            raise NotFound(f"No feed serves {record_type.name} of venue {venue}.", venue=venue)
        return row

    def is_stale(self, venue: int, record_type: RecordType = RecordType.BBO) -> bool:
        """Return whether quotes of a market must not be trusted now: its feed is silent or gone, or our upstream is not ready."""
        row = self.view.rows.get(market_key(venue, record_type))
        return row is None or row.stale or not self.view.is_ready or self.view.age_seconds > STALE_SECONDS

    def market_time(self, venue: int) -> Timestamp | None:
        """Return a venue's market time: the greatest of its types; None before the first event.

        It advances by the local monotonic clock while the session is LIVE or SIMULATED, by records alone when it is REPLAY.
        """
        times = [self._time_of(row) for row in self.view.rows.values() if row.venue == venue and row.market_time]
        return max(times) if times else None

    def _time_of(self, row: FeedSessionState) -> Timestamp:
        if row.kind is FeedKind.REPLAY or row.ended:
            return row.market_time
        passed = self._clock.monotonic() - self._received.get(row.key, self._clock.monotonic())
        return Timestamp(row.market_time + round(max(0.0, passed) * 1_000_000_000))

    def _changed(self, key: str, old: FeedSessionState | None, new: FeedSessionState | None) -> None:  # noqa: ARG002 (an observer's signature)
        if new is not None:
            self._received[key] = self._clock.monotonic()
