"""The topic `feed_sessions` as a relay shows it: Market Data's rows, stale while the relay does not hear from there."""

from typing import Final

from attrs import evolve

from spire.marketdata.market_time import STALE_SECONDS
from spire.marketdata.values import FeedSessionState
from spire.runtime.clock import Clock
from spire.values.environment import FeedKind
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.state_topic import StateTopic
from spire.wire.state_view import StateView

CHECK_SECONDS: Final = 1.0


class MirroredMarkets:
    """Republishes the rows of Market Data's topic under the relay's own instance.

    Rows are passed on as they come. When they are not live for more than five seconds they are put once more as stale,
    and as they were when they are live again; the market time of either moves on as a follower's does, never back.
    """

    def __init__(self, view: StateView[FeedSessionState], topic: StateTopic[FeedSessionState], clock: Clock) -> None:
        self.topic = topic
        self._view = view
        self._clock = clock
        self._received: dict[str, float] = {}
        self._is_stale = False
        view.observe(self._changed)
        view.observe_version(self.check)

    def check(self) -> None:
        """Show all rows as stale, or as fresh again, where that has changed; call each second."""
        is_stale = self._view.age_seconds > STALE_SECONDS
        if is_stale != self._is_stale:
            self._is_stale = is_stale
            for key, row in self._view.rows.items():
                self.topic.put(key, self._moved_on(key, row))

    def _changed(self, key: str, _: FeedSessionState | None, new: FeedSessionState | None) -> None:
        if new is None:
            self._received.pop(key, None)
            self.topic.remove(key)
        else:
            self._received[key] = self._clock.monotonic()
            self.topic.put(key, evolve(new, stale=new.stale or self._is_stale))

    def _moved_on(self, key: str, row: FeedSessionState) -> FeedSessionState:
        passed = 0.0
        if row.kind is not FeedKind.REPLAY and not row.ended and row.market_time:
            now = self._clock.monotonic()
            passed = now - self._received.get(key, now)
        return evolve(
            row,
            stale=row.stale or self._is_stale,
            market_time=Timestamp(row.market_time + round(passed * NANOSECONDS)),
            updated=self._clock.now(),
        )
