"""Puts the Charting Server together."""

from typing import ClassVar, Final

from twisted.application.service import IService
from twisted.protocols.amp import CommandLocator, IResponderLocator
from zope.interface import implementer

from spire.charting.configuration import ChartingConfiguration
from spire.charting.server import CAPABILITY, ChartingServer
from spire.charting.upstream import MarketDataTrades
from spire.definitions.client import DefinitionsClient
from spire.locator.client import LocatorLink
from spire.marketdata.client import MarketDataClient
from spire.series.responders import SeriesResponders
from spire.service.container import SpireService
from spire.service.options import ServerOptions
from spire.service.parts import Parts
from spire.service.process import make_process
from spire.service.room import ServerRoom
from spire.wire.guard import Responders
from spire.wire.interfaces import IAvatars
from spire.wire.publisher import Publisher
from spire.wire.server_session import Session
from spire.wire.stream_responders import StreamResponders

SERVICE: Final = "charting_service"


class Options(ServerOptions[ChartingConfiguration]):
    """Command line of the Charting Server."""

    name: ClassVar[str] = "charting"
    configuration_type = ChartingConfiguration


def makeService(options: Options) -> IService:
    """Return what `twistd` runs."""
    return make_process(options, make_room)


def make_room(configuration: ChartingConfiguration, parts: Parts) -> SpireService:
    """Return the server: Locator, Definitions, market data, then its port."""
    locator = LocatorLink(configuration.locator, parts, configuration.environment)
    room = ServerRoom(configuration, parts, locator=locator)
    room.link()
    definitions = DefinitionsClient(room.upstream("definitions_service"))
    room.add("definitions", definitions.when_ready, definitions.close)
    market_data = MarketDataClient(room.upstream(configuration.charting.market_data_service))
    trades = MarketDataTrades(market_data, definitions)
    publisher = Publisher(
        clock=parts.clock,
        tasks=parts.tasks,
        metrics=parts.metrics,
        ring_budget_bytes=configuration.charting.ring_bytes,
    )
    server = ChartingServer(trades=trades, zone_of=trades.zone_of, publisher=publisher, tasks=parts.tasks)

    def stop() -> None:
        server.close()
        publisher.close()

    room.add("candles", lambda: None, stop)
    room.listen(SERVICE, configuration.server, ChartingAvatars(server, parts))
    return room.finish()


@implementer(IAvatars)
class ChartingAvatars:
    """Candles for sessions that may see all market data."""

    def __init__(self, server: ChartingServer, parts: Parts) -> None:
        self._server = server
        self._parts = parts

    def anonymous(self, session: Session) -> IResponderLocator:  # noqa: ARG002 (nobody may call anything before login)
        """Return nothing to call."""
        return CommandLocator()

    def avatar(self, session: Session) -> IResponderLocator:
        """Return series and streams."""
        session.require(CAPABILITY)
        return Responders(
            StreamResponders(session, self._server, clock=self._parts.clock, tasks=self._parts.tasks),
            SeriesResponders(session, self._server, clock=self._parts.clock, tasks=self._parts.tasks),
        )

    def closed(self, session: Session) -> None:
        """Keep nothing: series and streams release themselves."""
