"""Puts the Charting Server together."""

from collections.abc import Callable
from typing import ClassVar, Final

from twisted.application.service import IService
from twisted.protocols.amp import CommandLocator, IResponderLocator
from zope.interface import implementer

from spire.administration.client import AdministrationClient, LiveEntitlements
from spire.charting.configuration import ChartingConfiguration
from spire.charting.server import ChartingServer
from spire.charting.upstream import MarketDataTrades
from spire.definitions.client import DefinitionsClient
from spire.locator.client import LocatorLink
from spire.marketdata.client import MarketDataClient
from spire.relay.rights import Rights
from spire.relay.usage import FLUSH_SECONDS, DailyUsage
from spire.series.gate import Gate
from spire.service.container import SpireService
from spire.service.options import ServerOptions
from spire.service.parts import Parts
from spire.service.process import make_process
from spire.service.room import ServerRoom
from spire.wire.interfaces import IAvatars
from spire.wire.publisher import Publisher
from spire.wire.server_session import Session

SERVICE: Final = "charting_service"


class Options(ServerOptions[ChartingConfiguration]):
    """Command line of the Charting Server."""

    name: ClassVar[str] = "charting"
    configuration_type = ChartingConfiguration


def makeService(options: Options) -> IService:
    """Return what `twistd` runs."""
    return make_process(options, make_room)


def make_room(configuration: ChartingConfiguration, parts: Parts) -> SpireService:
    """Return the server: Locator, Definitions, Administration, market data, then its port."""
    locator = LocatorLink(configuration.locator, parts, configuration.environment)
    room = ServerRoom(configuration, parts, locator=locator)
    room.link()
    definitions = DefinitionsClient(room.upstream("definitions_service"))
    room.add("definitions", definitions.when_ready, definitions.close)
    administration = AdministrationClient(room.upstream("administration_service"))
    entitlements = LiveEntitlements(administration, parts.clock)
    room.add("entitlements", entitlements.when_ready, entitlements.close)
    usage = DailyUsage(administration.record_usage, parts.clock.now)
    market_data = MarketDataClient(room.upstream(configuration.charting.market_data_service))
    trades = MarketDataTrades(market_data, definitions)
    publisher = Publisher(
        clock=parts.clock,
        tasks=parts.tasks,
        metrics=parts.metrics,
        ring_budget_bytes=configuration.charting.ring_bytes,
    )
    server = ChartingServer(
        trades=trades,
        zone_of=trades.zone_of,
        rights=Rights(
            directory=locator.directory,
            allows=entitlements.allows,
            venue_of=lambda instrument: definitions.instruments.by_id(instrument).listing_venue,
            note=usage.note,
        ),
        publisher=publisher,
        tasks=parts.tasks,
    )
    gate = Gate(topics=server, series=server, refusal=server.refusal, clock=parts.clock, tasks=parts.tasks)
    entitlements.on_change(gate.check)
    running: list[Callable[[], None]] = []

    async def tell_usage() -> None:
        """Tell what was used; whoever still reads on a new day uses it on that day too."""
        gate.check()
        await usage.flush()

    def start() -> None:
        running.append(parts.tasks.every("market data usage", FLUSH_SECONDS, tell_usage))

    async def stop() -> None:
        while running:
            running.pop()()
        server.close()
        publisher.close()
        await usage.flush()

    room.add("candles", start, stop)
    room.listen(SERVICE, configuration.server, ChartingAvatars(gate))
    return room.finish()


@implementer(IAvatars)
class ChartingAvatars:
    """Candles for everybody who is logged in; which of them he may see is asked at every call."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def anonymous(self, session: Session) -> IResponderLocator:  # noqa: ARG002 (nobody may call anything before login)
        """Return nothing to call."""
        return CommandLocator()

    def avatar(self, session: Session) -> IResponderLocator:
        """Return series and streams."""
        return self._gate.table(session)

    def closed(self, session: Session) -> None:
        """Keep nothing: series and streams release themselves."""
