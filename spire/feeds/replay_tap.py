"""Puts the replay feed's process together."""

from typing import ClassVar

from twisted.application.service import IService
from twisted.logger import Logger
from twisted.python.failure import Failure

from spire.feeds.configuration import ReplayConfiguration
from spire.feeds.process import begin_feed
from spire.feeds.replay import Progress, ReplayFeed, replay_terms
from spire.feeds.replay_source import RecordedDay, load_day, parse_moment
from spire.service.container import Child, SpireService
from spire.service.options import ServerOptions
from spire.service.parts import Parts
from spire.service.process import make_process
from spire.service.readiness import Readiness
from spire.values.time import format_timestamp
from spire.wire.errors import Invalid, Unavailable


class Options(ServerOptions[ReplayConfiguration]):
    """Command line of the replay feed."""

    name: ClassVar[str] = "replay-feed"
    configuration_type = ReplayConfiguration


class ReplayProcess:
    """The replay of one configuration, and what its admin endpoint can be asked."""

    _log = Logger()

    def __init__(self, configuration: ReplayConfiguration, parts: Parts) -> None:
        self._section = configuration.replay
        self._environment = configuration.environment
        self._parts = parts
        self._process = begin_feed("replay_feed", configuration, configuration.locator, parts)
        self._day: RecordedDay | None = None
        self._feed: ReplayFeed | None = None

    def assemble(self) -> SpireService:
        """Return the service with its verbs."""
        service = self._process.service
        service.add(Child(name="replay", start=self._start, stop=self._stop))
        service.verbs.add("progress", self.progress, "Where the replay stands.")
        service.verbs.add("pause", self.pause, "Send nothing more; the feed session stays open.")
        service.verbs.add("resume", self.resume, "Go on.")
        service.verbs.add("step", self.step, "Pause and send count=1 more records.")
        service.verbs.add("speed", self.speed, "Go on at factor=2 times market time; factor=0 is as fast as possible.")
        service.verbs.add("until", self.until, "Go on and pause at time=09:45 (market time, or ISO).")
        return service

    def progress(self) -> dict[str, object]:
        """Return where the replay stands."""
        return _plain(self._running.progress)

    def pause(self) -> dict[str, object]:
        """Send nothing more."""
        self._running.pause()
        return self.progress()

    def resume(self) -> dict[str, object]:
        """Go on."""
        self._running.resume()
        return self.progress()

    async def step(self, count: str | int = 1) -> dict[str, object]:
        """Send some more records, and answer when they are accepted."""
        try:
            return _plain(await self._running.step(int(count)))
        except ValueError as error:
            raise Invalid(str(error), argument="count") from error

    def speed(self, factor: str | float) -> dict[str, object]:
        """Change the speed; 0 is as fast as possible."""
        try:
            self._running.set_speed(float(factor) or None)
        except ValueError as error:
            raise Invalid(str(error), argument="factor") from error
        return self.progress()

    def until(self, time: str) -> dict[str, object]:
        """Go on and pause at a market time."""
        running = self._running
        assert self._day is not None
        try:
            running.run_until(parse_moment(time, self._day.trade_date))
        except ValueError as error:
            raise Invalid(str(error), argument="time") from error
        return self.progress()

    @property
    def _running(self) -> ReplayFeed:
        if self._feed is None:
            raise Unavailable("The replay has not begun yet.")
        return self._feed

    async def _start(self) -> None:
        section, parts = self._section, self._parts
        self._day = day = await load_day(
            section.path,
            self._process.definitions,
            parts.run_in_thread,
            trade_date=section.date,
            symbols=section.symbols,
            listing_venue=section.listing_venue,
        )
        until = None if section.until is None else parse_moment(section.until, day.trade_date)
        feed = ReplayFeed(
            self._process.feed_session,
            day.timeline,
            replay_terms(day, self._environment, section.name),
            clock=parts.clock,
            tasks=parts.tasks,
            speed=section.speed,
            is_paused=section.paused,
            until=until,
        )
        position = await feed.start()
        self._feed = feed
        feed.done.addCallbacks(self._done, self._failed)
        self._log.info(
            "replays {name} from {position} of {total}",
            name=feed.terms.name,
            position=position,
            total=len(day.timeline),
        )

    async def _stop(self) -> None:
        if self._feed is not None:
            await self._feed.stop()

    def _done(self, _: object) -> None:
        self._log.info("the replay has ended")

    def _failed(self, failure: Failure) -> None:
        self._log.critical("the replay is refused: {error}", error=str(failure.value))
        self._readiness.because("replay", str(failure.value))

    @property
    def _readiness(self) -> Readiness:
        return self._process.service.readiness


def _plain(progress: Progress) -> dict[str, object]:
    return {
        "sent": progress.sent,
        "accepted": progress.accepted,
        "total": progress.total,
        "market_time": None if progress.market_time is None else format_timestamp(progress.market_time),
        "speed": progress.speed,
        "paused": progress.is_paused,
        "connected": progress.is_connected,
        "ended": progress.is_ended,
    }


def make_room(configuration: ReplayConfiguration, parts: Parts) -> SpireService:
    """Return the replay feed."""
    return ReplayProcess(configuration, parts).assemble()


def makeService(options: Options) -> IService:
    """Return the service that twistd runs."""
    return make_process(options, make_room)
