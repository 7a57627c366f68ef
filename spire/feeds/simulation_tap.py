"""Puts the simulation feed's process together."""

from datetime import date
from typing import ClassVar

from attrs import evolve
from twisted.application.service import IService

from spire.definitions.instruments import InstrumentStatus
from spire.feeds.configuration import SimulationConfiguration
from spire.feeds.generated_market import GeneratedMarket, MarketShape
from spire.feeds.process import FeedProcess, begin_feed
from spire.feeds.simulation import SimulationFeed
from spire.service.container import Child, SpireService
from spire.service.options import ServerOptions
from spire.service.parts import Parts
from spire.service.process import make_process
from spire.values.time import Timestamp, local_date
from spire.wire.errors import Invalid, NotFound, SpireError, Unavailable


class Options(ServerOptions[SimulationConfiguration]):
    """Command line of the simulation feed."""

    name: ClassVar[str] = "simulation-feed"
    configuration_type = SimulationConfiguration


class SimulationProcess:
    """The simulation of one configuration, and what its admin endpoint can be asked."""

    def __init__(self, configuration: SimulationConfiguration, parts: Parts) -> None:
        self._section = configuration.simulation
        self._environment = configuration.environment
        self._parts = parts
        self._process: FeedProcess = begin_feed("simulation_feed", configuration, configuration.locator, parts)
        self._feed: SimulationFeed | None = None

    def assemble(self) -> SpireService:
        """Return the service with its verbs."""
        service = self._process.service
        service.add(Child(name="simulation", start=self._start, stop=self._stop))
        service.verbs.add("progress", self.progress, "Rates, and how many records of today were accepted.")
        service.verbs.add("rates", self.rates, "Change quotes=20 and trades=5, each a second over all instruments.")
        service.verbs.add("pause", self.pause, "Let the market stand still; the feed session stays open.")
        service.verbs.add("resume", self.resume, "Let the market move again.")
        return service

    def progress(self) -> dict[str, object]:
        """Return what the market does."""
        feed = self._running
        return {
            "quotes": feed.rates.quotes,
            "trades": feed.rates.trades,
            "paused": feed.is_paused,
            "accepted": feed.accepted,
        }

    def rates(self, quotes: str | float | None = None, trades: str | float | None = None) -> dict[str, object]:
        """Change how busy the market is."""
        try:
            self._running.set_rates(
                quotes=None if quotes is None else float(quotes), trades=None if trades is None else float(trades)
            )
        except ValueError as error:
            raise Invalid(str(error)) from error
        return self.progress()

    def pause(self) -> dict[str, object]:
        """Let the market stand still."""
        self._running.pause()
        return self.progress()

    def resume(self) -> dict[str, object]:
        """Let the market move again."""
        self._running.resume()
        return self.progress()

    @property
    def _running(self) -> SimulationFeed:
        if self._feed is None:
            raise Unavailable("The simulation has not begun yet.")
        return self._feed

    def _start(self) -> None:
        section, definitions = self._section, self._process.definitions
        venue = definitions.venues.by_mic(section.venue)
        instruments = [
            instrument
            for instrument in definitions.instruments.all()
            if instrument.listing_venue == venue.mic and instrument.status is InstrumentStatus.ACTIVE
        ]
        if not instruments:
            raise NotFound(f"No active instrument is listed on {section.venue}: add some, or name another venue.")
        tick = max(definitions.tick_tables[each.tick_table].steps[-1].tick for each in instruments)
        shape = evolve(MarketShape(), levels=section.levels, tick=tick)
        market = GeneratedMarket(
            [instrument.instrument_id for instrument in instruments], venue.number, seed=section.seed, shape=shape
        )
        calendar = definitions.schedules.calendar_of(venue.mic)

        def trade_date(now: int) -> date:
            session = calendar.session_at(Timestamp(now))
            return local_date(Timestamp(now), venue.time_zone) if session is None else session.trade_date

        self._feed = SimulationFeed(
            self._process.feed_session,
            market,
            venue=venue.number,
            environment=self._environment,
            trade_date=trade_date,
            rates=section.rates,
            clock=self._parts.clock,
            tasks=self._parts.tasks,
        )
        self._feed.failed.addCallback(self._failed)
        self._feed.start()

    async def _stop(self) -> None:
        if self._feed is not None:
            await self._feed.stop()

    def _failed(self, error: SpireError) -> None:
        self._process.service.readiness.because("simulation", str(error))


def make_room(configuration: SimulationConfiguration, parts: Parts) -> SpireService:
    """Return the simulation feed."""
    return SimulationProcess(configuration, parts).assemble()


def makeService(options: Options) -> IService:
    """Return the service that twistd runs."""
    return make_process(options, make_room)
