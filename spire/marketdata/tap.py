"""Puts the Market Data Server together."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from twisted.application.service import IService

from spire.database.database import Database
from spire.database.journal import Journal
from spire.database.ordered_writer import MemoryWriterStore, OrderedWriter, SqlWriterStore, WriterStore
from spire.database.transaction import Transaction
from spire.definitions.client import DefinitionsClient
from spire.definitions.eligibility import eligibility_array
from spire.locator.client import LocatorLink
from spire.marketdata.configuration import MarketDataConfiguration
from spire.marketdata.interfaces import IMarketDataStore
from spire.marketdata.memory import MemoryMarketDataStore
from spire.marketdata.pipeline import Portion
from spire.marketdata.responders import ClientAvatars, FeedAvatars
from spire.marketdata.server import MarketDataServer
from spire.marketdata.store import MySqlMarketDataStore
from spire.marketdata.validation import Universe
from spire.marketdata.values import OPTIONAL
from spire.series.compilation import record_filter
from spire.service.container import SpireService
from spire.service.options import ServerOptions
from spire.service.parts import Parts
from spire.service.process import make_process
from spire.service.room import ServerRoom
from spire.wire.publisher import Publisher

SERVICE: Final = "market_data_service"
FEED_SERVICE: Final = "market_data_feed_service"
RULE: Final = "CONSOLIDATED"
_MOST_PORTIONS: Final = 2
"""Portions of records in one transaction of the writer."""


class Options(ServerOptions[MarketDataConfiguration]):
    """Command line of the Market Data Server."""

    name: ClassVar[str] = "market-data"
    configuration_type = MarketDataConfiguration


class DefinitionsReference:
    """What Market Data asks of Definitions."""

    def __init__(self, definitions: DefinitionsClient) -> None:
        self._definitions = definitions

    def universe(self) -> Universe:
        """Return the instruments and venues as they are known now."""
        venues = {venue.mic: venue.number for venue in self._definitions.venues}
        listings = (
            (instrument.instrument_id, venues[instrument.listing_venue])
            for instrument in self._definitions.instruments.all()
            if instrument.listing_venue in venues
        )
        return Universe(listings, venues.values())

    def eligibility(self, conditions: NDArray[np.uint64]) -> NDArray[np.uint16]:
        """Return what prints with these conditions count for, by the consolidated tape's rule."""
        return eligibility_array(self._definitions.eligibility[RULE], conditions)


def make_room(
    configuration: MarketDataConfiguration, parts: Parts, *, memory: MemoryMarketDataStore | None = None
) -> SpireService:
    """Return the server: database, Locator, Definitions, state, then the ports of clients and feeds.

    Without a database `memory` is the store, a fresh one by default; it outlives the server as a database would.
    """
    room = ServerRoom(
        configuration, parts, locator=LocatorLink(configuration.locator, parts, configuration.environment)
    )
    database = room.database(configuration.database, package="spire.marketdata", prefix="marketdata")
    room.link()
    definitions = DefinitionsClient(room.upstream("definitions_service"))
    room.add("definitions", definitions.when_ready, definitions.close)
    store, writer_store = _stores(database, memory)
    writer: OrderedWriter[Portion] = OrderedWriter(
        "market data blocks",
        writer_store,
        clock=parts.clock,
        tasks=parts.tasks,
        metrics=parts.metrics,
        max_batch=_MOST_PORTIONS,
    )
    journal = Journal(
        _journal_directory(configuration),
        "market-data",
        environment=configuration.environment,
        epoch=room.epoch,
        clock=parts.clock,
        metrics=parts.metrics,
        run_in_thread=parts.run_in_thread,
    )

    def journal_trouble(reason: str | None) -> None:
        if reason is None:
            room.readiness.clear("journal")
        else:
            room.readiness.because("journal", reason)

    server = MarketDataServer(
        settings=configuration.market_data,
        environment=configuration.environment,
        epoch=room.epoch,
        instance_id=room.instance_id,
        store=store,
        journal=journal,
        writer=writer,
        reference=DefinitionsReference(definitions),
        publisher=Publisher(
            clock=parts.clock,
            tasks=parts.tasks,
            metrics=parts.metrics,
            ring_budget_bytes=configuration.market_data.ring_bytes,
            compile_filter=record_filter({name: bit for fields in OPTIONAL.values() for name, bit in fields.items()}),
        ),
        clock=parts.clock,
        tasks=parts.tasks,
        trouble=journal_trouble,
    )
    writer.on_refused(lambda reason: room.readiness.tell("store", reason))
    writer.on_fenced(server.intake.retire)
    writer.on_fenced(lambda: room.readiness.because("fenced", "another Market Data Server has taken over its tables"))
    room.add("state", server.start, server.stop)
    room.listen(SERVICE, configuration.server, ClientAvatars(server, clock=parts.clock, tasks=parts.tasks))
    room.listen(FEED_SERVICE, configuration.feed_server, FeedAvatars(server))
    return room.finish()


def _stores(
    database: Database | None, memory: MemoryMarketDataStore | None
) -> tuple[IMarketDataStore, WriterStore[Portion]]:
    if database is None:
        twin = MemoryMarketDataStore() if memory is None else memory
        return twin, MemoryWriterStore(twin.writers, "blocks", lambda items: twin.write(None, _frames(items)))
    mysql = MySqlMarketDataStore(database)

    def write(transaction: Transaction, items: Sequence[Portion]) -> None:
        mysql.write(transaction, _frames(items))

    return mysql, SqlWriterStore(database, "marketdata", "blocks", write)


def _frames(portions: Sequence[Portion]) -> Portion:
    return tuple(item for portion in portions for item in portion)


def _journal_directory(configuration: MarketDataConfiguration) -> Path:
    directory = configuration.run.journal_directory
    if directory is None:
        raise ValueError("the Market Data Server needs run.journal_directory")
    return directory


def makeService(options: Options) -> IService:
    """Return the service that twistd runs."""
    return make_process(options, make_room)
