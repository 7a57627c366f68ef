"""Puts the Market Data Relay together."""

from collections.abc import Callable
from typing import ClassVar, Final

from twisted.application.service import IService

from spire.administration.client import AdministrationClient, LiveEntitlements
from spire.definitions.client import DefinitionsClient
from spire.locator.client import LocatorLink
from spire.marketdata.values import FEED_SESSIONS_TOPIC, OPTIONAL, FeedSessionState
from spire.relay.configuration import RelayConfiguration
from spire.relay.markets import CHECK_SECONDS, MirroredMarkets
from spire.relay.responders import RelayAvatars
from spire.relay.rights import Rights
from spire.relay.server import SWEEP_SECONDS, RelayServer
from spire.relay.usage import FLUSH_SECONDS, DailyUsage
from spire.series.compilation import record_filter
from spire.series.gate import Gate
from spire.service.container import SpireService
from spire.service.options import ServerOptions
from spire.service.parts import Parts
from spire.service.process import make_process
from spire.service.readiness import State
from spire.service.room import ServerRoom
from spire.wire.errors import SpireError
from spire.wire.publisher import Publisher

SERVICE: Final = "market_data_relay_service"
LOAD_SECONDS: Final = 5.0
"""The Locator is told the number of sessions at most so often."""


class Options(ServerOptions[RelayConfiguration]):
    """Command line of the Market Data Relay."""

    name: ClassVar[str] = "market-data-relay"
    configuration_type = RelayConfiguration


def makeService(options: Options) -> IService:
    """Return what `twistd` runs."""
    return make_process(options, make_room)


def make_room(configuration: RelayConfiguration, parts: Parts) -> SpireService:
    """Return the server: Locator, Definitions, Administration, Market Data, then its port."""
    settings = configuration.relay
    locator = LocatorLink(configuration.locator, parts, configuration.environment)
    room = ServerRoom(configuration, parts, locator=locator)
    room.link()
    definitions = DefinitionsClient(room.upstream("definitions_service"))
    room.add("definitions", definitions.when_ready, definitions.close)
    administration = AdministrationClient(room.upstream("administration_service"))
    entitlements = LiveEntitlements(administration, parts.clock)
    room.add("entitlements", entitlements.when_ready, entitlements.close)
    usage = DailyUsage(administration.record_usage, parts.clock.now)
    upstream = room.upstream(settings.market_data_service)
    publisher = Publisher(
        clock=parts.clock,
        tasks=parts.tasks,
        metrics=parts.metrics,
        ring_budget_bytes=settings.ring_bytes,
        compile_filter=record_filter({name: bit for fields in OPTIONAL.values() for name, bit in fields.items()}),
    )
    view = upstream.subscriptions.state(FEED_SESSIONS_TOPIC, FeedSessionState)
    topic = publisher.state(FEED_SESSIONS_TOPIC, FeedSessionState, instance_id=room.instance_id)
    markets = MirroredMarkets(view, topic, parts.clock)
    server = RelayServer(
        upstream=upstream,
        rights=Rights(
            directory=locator.directory,
            allows=entitlements.allows,
            venue_of=lambda instrument: definitions.instruments.by_id(instrument).listing_venue,
            note=usage.note,
        ),
        markets=markets,
        publisher=publisher,
        clock=parts.clock,
        metrics=parts.metrics,
        linger_seconds=settings.linger_seconds,
    )
    gate = Gate(topics=server, series=server.history, refusal=server.refusal, clock=parts.clock, tasks=parts.tasks)
    entitlements.on_change(gate.check)
    running: list[Callable[[], None]] = []
    told = 0

    async def tell_load() -> None:
        """Tell the Locator how many sessions there are; a Locator that is away is told the next time."""
        nonlocal told
        factory = room.factories.get(SERVICE)
        count = 0 if factory is None else len(factory.sessions)
        if count == told or room.readiness.state is State.STARTING:
            return
        try:
            await locator.set_load(SERVICE, count)
        except SpireError:
            return
        told = count

    async def tell_usage() -> None:
        """Tell what was used; whoever still reads on a new day uses it on that day too."""
        gate.check()
        await usage.flush()

    async def start() -> None:
        await view.when_ready()
        every = parts.tasks.every
        running.append(every("relay linger", min(SWEEP_SECONDS, settings.linger_seconds), server.sweep))
        running.append(every("relay markets", CHECK_SECONDS, markets.check))
        running.append(every("relay load", LOAD_SECONDS, tell_load))
        running.append(every("market data usage", FLUSH_SECONDS, tell_usage))

    async def stop() -> None:
        while running:
            running.pop()()
        server.close()
        publisher.close()
        await usage.flush()

    room.add("relay", start, stop)
    room.listen(SERVICE, configuration.server, RelayAvatars(server, gate))
    return room.finish()
