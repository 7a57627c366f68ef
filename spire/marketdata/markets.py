"""The state topic `feed_sessions`: who serves each market now, its market time, and whether its quotes are stale."""

from collections.abc import Callable, Iterable
from typing import Final

from twisted.internet.interfaces import IDelayedCall

from spire.marketdata.feed_session import FeedSessions
from spire.marketdata.image import Image
from spire.marketdata.market_time import is_stale
from spire.marketdata.values import FeedSessionState, ServedMarket, market_key
from spire.runtime.clock import Clock
from spire.values.time import Timestamp
from spire.wire.state_topic import StateTopic

PUBLISH_SECONDS: Final = 0.1
"""Market time is published at most so often; the first change after a pause at once."""


class Markets:
    """Keeps the rows of the topic true to the feed sessions."""

    def __init__(
        self,
        *,
        topic: StateTopic[FeedSessionState],
        sessions: FeedSessions,
        image: Image,
        connection_of: Callable[[int], str | None],
        clock: Clock,
    ) -> None:
        self._topic = topic
        self._sessions = sessions
        self._image = image
        self._connection_of = connection_of
        self._clock = clock
        self._heard: dict[int, float] = {}
        self._dirty: set[ServedMarket] = set()
        self._timer: IDelayedCall | None = None
        self._published = float("-inf")

    def hear(self, feed_session: int) -> None:
        """Take note that a feed session sent a batch or a heartbeat; a stale market is fresh again at once."""
        was_stale = is_stale(self._heard.get(feed_session), self._clock.monotonic())
        self._heard[feed_session] = self._clock.monotonic()
        if was_stale:
            self.session_changed(feed_session)

    def moved(self, markets: Iterable[ServedMarket]) -> None:
        """Publish new market times, soon."""
        self._dirty.update(markets)
        if self._timer is None and self._dirty:
            wait = PUBLISH_SECONDS - (self._clock.monotonic() - self._published)
            self._timer = self._clock.later(max(0.0, wait), self._flush)

    def session_changed(self, feed_session: int) -> None:
        """Publish at once that a session was opened, lost, found again or ended."""
        for market in self._sessions.get(feed_session).serves:
            if self._sessions.current.get(market) == feed_session:
                self._put(market)

    def check(self) -> None:
        """Publish what went stale; call each second."""
        for market in tuple(self._sessions.current):
            row = self._topic.rows.get(market_key(market.venue, market.record_type))
            if row is None or row.stale != self._row(market).stale:
                self._put(market)

    def stop(self) -> None:
        """Keep no more time."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _flush(self) -> None:
        self._timer = None
        self._published = self._clock.monotonic()
        dirty, self._dirty = self._dirty, set()
        for market in dirty:
            self._put(market)

    def _put(self, market: ServedMarket) -> None:
        self._dirty.discard(market)
        row = self._row(market)
        self._topic.put(row.key, row)

    def _row(self, market: ServedMarket) -> FeedSessionState:
        session = self._sessions.get(self._sessions.current[market])
        monotonic = self._clock.monotonic()
        time = self._image.market_time(session.feed_session_id, market)
        has_ended = session.ended is not None
        return FeedSessionState(
            venue=market.venue,
            record_type=market.record_type,
            feed_session=session.feed_session_id,
            name=session.name,
            kind=session.kind,
            trade_date=session.trade_date,
            schedule=session.schedule,
            market_time=Timestamp(0) if time is None else time.at(monotonic),
            updated=self._clock.now(),
            connected=not has_ended and self._connection_of(session.feed_session_id) is not None,
            stale=has_ended or is_stale(self._heard.get(session.feed_session_id), monotonic),
            ended=has_ended,
        )
