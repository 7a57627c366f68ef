"""Replays a recorded day as a feed: at a speed or as fast as possible, with pause, step and until (docs/feeds.md).

Positions are those of the timeline, which is the same for the same files. A restarted replay under the name of an unfinished
session therefore goes on exactly where the server stopped accepting.
"""

from collections.abc import Callable
from typing import Final

from attrs import frozen
from twisted.internet.defer import Deferred

from spire.feeds.client import BATCH_RECORDS, FeedClient
from spire.feeds.merge import Timeline
from spire.feeds.pace import Pace
from spire.feeds.replay_source import RecordedDay
from spire.marketdata.commands import FeedTerms
from spire.marketdata.values import Schedule
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.values.environment import Environment, FeedKind
from spire.values.time import Timestamp
from spire.wire.client_session import ClientSession
from spire.wire.errors import SpireError

PROGRESS_SECONDS: Final = 0.2


@frozen(kw_only=True)
class Progress:
    """Where a replay stands: positions sent and accepted of `total`, market time of the last one sent (None before the first)."""

    sent: int
    accepted: int
    total: int
    market_time: Timestamp | None
    speed: float | None
    is_paused: bool
    is_connected: bool
    is_ended: bool


def replay_terms(day: RecordedDay, environment: Environment, name: str | None = None) -> FeedTerms:
    """Return the terms of a replay's feed session; it is named after its day and symbols unless told otherwise."""
    return FeedTerms(
        name=name or f"replay {day.trade_date.isoformat()} {' '.join(day.symbols)}",
        kind=FeedKind.REPLAY,
        trade_date=day.trade_date.isoformat(),
        schedule=Schedule.NORMAL,
        environment=environment,
        serves=day.serves,
    )


class ReplayFeed:
    """One replay.

    `done` fires with None when everything is accepted and the session has ended, or fails with the SpireError of a definite refusal.
    `on_progress` is called at changes and some times a second.
    """

    def __init__(
        self,
        session: ClientSession,
        timeline: Timeline,
        terms: FeedTerms,
        *,
        clock: Clock,
        tasks: Tasks,
        speed: float | None = None,
        is_paused: bool = False,
        until: Timestamp | None = None,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> None:
        self.terms = terms
        self.done: Deferred[None] = Deferred()
        self._timeline = timeline
        self._clock = clock
        self._tasks = tasks
        self._feed = FeedClient(session, terms, clock=clock, tasks=tasks)
        self._pace = Pace(timeline, speed=speed, is_paused=is_paused, until=until)
        self._on_progress = on_progress
        self._sent = 0
        self._is_started = False
        self._is_ended = False
        self._running: Deferred[None] | None = None
        self._sleeping: Deferred[None] | None = None
        self._stop_progress: Callable[[], None] = lambda: None

    @property
    def feed_session(self) -> int | None:
        """The number of the feed session, None before it was opened."""
        return self._feed.feed_session

    @property
    def progress(self) -> Progress:
        """Where it stands now."""
        return Progress(
            sent=self._sent,
            accepted=self._feed.accepted,
            total=len(self._timeline),
            market_time=Timestamp(self._timeline.time_at(self._sent)) if self._sent else None,
            speed=self._pace.speed,
            is_paused=self._pace.is_paused,
            is_connected=self._feed.is_open,
            is_ended=self._is_ended,
        )

    async def start(self) -> int:
        """Open the feed session and begin; returns the position that the server had accepted already."""
        self._stop_progress = self._tasks.every("replay progress", PROGRESS_SECONDS, self._tell)
        began = self._sent = await self._feed.start(keeps_book=True)
        self._is_started = True
        self._running = self._tasks.spawn(f"replay {self.terms.name}", self._run())
        return began

    def pause(self) -> None:
        """Send nothing more; the session stays open."""
        self._pace.pause()
        self._wake()

    def resume(self) -> None:
        """Go on at the speed that is set."""
        self._pace.resume()
        self._wake()

    def set_speed(self, speed: float | None) -> None:
        """Go on at a factor of market time, or as fast as possible (None). ValueError: not above 0."""
        self._pace.set_speed(speed)
        self._wake()

    def run_until(self, market_time: Timestamp | None) -> None:
        """Go on and pause behind the last record at or before a market time; None takes that back."""
        self._pace.run_until(market_time, self._sent)
        self._wake()

    async def step(self, count: int = 1) -> Progress:
        """Pause if it is not paused, send `count` more records, and return when the server accepted them."""
        target = self._pace.step(count, self._sent)
        self._wake()
        await self.reached(target)
        return self.progress

    async def reached(self, position: int) -> None:
        """Wait until the server accepted everything up to a position; raises the SpireError that ends the replay."""
        while self._feed.accepted < position:
            await self._feed.changed()

    async def stop(self) -> None:
        """Stop sending; the session stays unfinished on the server unless the replay was done."""
        self._stop_progress()
        running, self._running = self._running, None
        if running is not None and not self.done.called:
            running.cancel()
            await running
        await self._feed.stop()

    async def _run(self) -> None:
        try:
            while self._sent < len(self._timeline):
                now = self._clock.monotonic()
                allowed = self._pace.allowed(self._sent, now)
                if allowed <= self._sent:
                    await self._sleep(self._pace.wait_seconds(self._sent, now))
                    continue
                part = self._timeline.cut(self._sent + 1, min(BATCH_RECORDS, allowed - self._sent))
                await self._feed.publish(part.records, part.count)
                self._sent = part.last
            await self._feed.end()
        except SpireError as error:
            self._finish(error)
        else:
            self._is_ended = True
            self._finish(None)

    def _finish(self, error: SpireError | None) -> None:
        self._stop_progress()
        self._tell()
        if self.done.called:
            return
        if error is None:
            self.done.callback(None)
        else:
            self.done.errback(error)

    async def _sleep(self, seconds: float | None) -> None:
        self._tell()
        sleeping: Deferred[None] = Deferred()
        self._sleeping = sleeping
        timer = None if seconds is None else self._clock.later(seconds, self._wake)
        try:
            await sleeping
        finally:
            if timer is not None and timer.active():
                timer.cancel()

    def _wake(self) -> None:
        sleeping, self._sleeping = self._sleeping, None
        if sleeping is not None and not sleeping.called:
            sleeping.callback(None)

    def _tell(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self.progress)
