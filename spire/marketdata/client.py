"""Market data for every other process: history, live streams, snapshots, and the state of each market."""

from datetime import date
from typing import Any, Final

from spire.marketdata.book_turns import BookTurns
from spire.marketdata.codecs import CODECS
from spire.marketdata.commands import FindLastRecords, TakeSnapshot
from spire.marketdata.market_time import STALE_SECONDS
from spire.marketdata.snapshots import MarketSnapshot
from spire.marketdata.values import (
    BOOK,
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
from spire.wire.errors import Invalid, NotFound, Unavailable
from spire.wire.state_view import StateView
from spire.wire.topics import Policy, StreamListener

CALL_SECONDS: Final = 10.0
READINGS: Final = 3
"""How often a book is begun whose pages turn out not to belong together."""


class MarketDataClient:
    """Typed access to a service that serves market data; `session` is started and stopped by its owner.

    Records are numpy arrays of the layouts in `spire.marketdata.values`.
    """

    def __init__(self, session: ClientSession) -> None:
        self.session = session
        self._clock = session.subscriptions.clock
        self._markets: Markets | None = None
        self._book_turns = BookTurns(self._clock, CALL_SECONDS)

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

    async def snapshot(self, instrument: int, *, with_book: bool = True) -> MarketSnapshot:
        """Return what is current of an instrument; without its book that is one call, however large the book is.

        Some books are read at once, because the server keeps so many for the session; the others wait for CALL_SECONDS.
        Raises NotFound for an unknown instrument, Forbidden, Unavailable.
        """
        if not with_book:
            return _snapshot([await self._page(instrument, without_book=True)])
        async with self._book_turns.turn(instrument):
            for _ in range(READINGS):
                pages = await self._pages(instrument)
                if pages:
                    return _snapshot(pages)
        raise Unavailable("The book moved while it was read; ask again.")

    async def _pages(self, instrument: int) -> list[dict[str, Any]]:
        """Return the pages of a book, or nothing where they do not belong together: the server is another one by now."""
        pages = [await self._page(instrument)]
        first = pages[0]
        offset = len(first["book"])
        while offset < first["book_rows"] * BOOK.itemsize:
            try:
                page = await self._page(instrument, offset // BOOK.itemsize)
            except Invalid:
                return []
            if (page["epoch"], page["book_through"]) != (first["epoch"], first["book_through"]) or not page["book"]:
                return []
            pages.append(page)
            offset += len(page["book"])
        return pages

    async def _page(self, instrument: int, offset: int = 0, **options: bool) -> dict[str, Any]:
        return await self.session.call(
            TakeSnapshot, timeout_seconds=CALL_SECONDS, instrument=instrument, book_offset=offset, **options
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


def _snapshot(pages: list[dict[str, Any]]) -> MarketSnapshot:
    first = pages[0]
    return MarketSnapshot(
        epoch=first["epoch"],
        trade=unpack(RecordType.TRADE, first["trade"]),
        bbo=unpack(RecordType.BBO, first["bbo"]),
        book=joined(RecordType.BOOK, [unpack(RecordType.BOOK, page["book"]) for page in pages]),
        trade_through=first["trade_through"],
        bbo_through=first["bbo_through"],
        book_through=first["book_through"],
    )


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
