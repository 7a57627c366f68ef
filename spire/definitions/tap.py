"""Puts the Definitions Server together."""

from collections.abc import Callable
from typing import ClassVar

from twisted.application.service import IService

from spire.database.errors import StoreDown
from spire.definitions.configuration import DefinitionsConfiguration
from spire.definitions.files import default_directory, load_datasets
from spire.definitions.interfaces import IDefinitionsStore
from spire.definitions.memory import MemoryDefinitionsStore
from spire.definitions.responders import DefinitionsAvatars
from spire.definitions.server import DefinitionsService
from spire.definitions.store import DefinitionsStore
from spire.locator.client import LocatorLink
from spire.locator.directory import ADMINISTRATOR
from spire.service.container import SpireService
from spire.service.options import ServerOptions
from spire.service.parts import Parts
from spire.service.process import make_process
from spire.service.room import ServerRoom
from spire.wire.identity import Identity
from spire.wire.publisher import Publisher

SERVICE = "definitions_service"


class Options(ServerOptions[DefinitionsConfiguration]):
    """The command line of `twistd spire-definitions`."""

    name: ClassVar[str] = "definitions"
    configuration_type = DefinitionsConfiguration


def makeService(options: Options) -> IService:
    """Return what `twistd` runs."""
    return make_process(options, make_room)


def make_room(configuration: DefinitionsConfiguration, parts: Parts) -> SpireService:
    """Put the server together from its configuration and the world's parts."""
    locator = LocatorLink(configuration.locator, parts, configuration.environment)
    room = ServerRoom(configuration, parts, locator=locator)
    database = room.database(configuration.database, package="spire.definitions", prefix="definitions")
    store: IDefinitionsStore = MemoryDefinitionsStore() if database is None else DefinitionsStore(database)
    room.link()
    publisher = Publisher(clock=parts.clock, tasks=parts.tasks, metrics=parts.metrics)
    directory = configuration.definitions.directory or default_directory()

    def is_administrator(identity: Identity) -> bool:
        """Ask the live directory too: a right that was withdrawn ends before the ticket does."""
        return ADMINISTRATOR in identity.roles and ADMINISTRATOR in locator.directory.roles(identity.account_id)

    service = DefinitionsService(
        store=store,
        load=lambda: load_datasets(directory, configuration.environment),
        publisher=publisher,
        clock=parts.clock,
        instance_id=room.instance_id,
        is_administrator=is_administrator,
    )
    following: list[Callable[[], None]] = []

    async def start() -> None:
        await service.start()
        seconds = configuration.definitions.refresh_seconds
        following.append(parts.tasks.every("definitions.refresh", seconds, service.refresh))

    def stop() -> None:
        while following:
            following.pop()()
        publisher.close()

    room.add("definitions", start, stop, retry_on=(StoreDown,))
    room.listen(SERVICE, configuration.server, DefinitionsAvatars(service, clock=parts.clock, tasks=parts.tasks))
    return room.finish()
