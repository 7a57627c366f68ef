"""Puts the Administration Server together."""

from collections.abc import Callable
from typing import ClassVar, Final

from twisted.application.service import IService

from spire.administration.board import Board
from spire.administration.commits import Commits
from spire.administration.configuration import AdministrationConfiguration
from spire.administration.groups import Groups
from spire.administration.interfaces import IAdministrationStore
from spire.administration.memory import MemoryAdministrationStore
from spire.administration.responders import AdministrationAvatars, Served
from spire.administration.server import AdministrationService
from spire.administration.store import AdministrationStore
from spire.database.errors import StoreDown
from spire.definitions.client import DefinitionsClient
from spire.locator.client import LocatorLink
from spire.locator.values import DIRECTORY, Entry
from spire.service.audit import AuditTrail
from spire.service.container import SpireService
from spire.service.options import ServerOptions
from spire.service.parts import Parts
from spire.service.process import make_process
from spire.service.room import ServerRoom
from spire.uid.client import UidSource
from spire.wire.publisher import Publisher

SERVICE: Final = "administration_service"


class Options(ServerOptions[AdministrationConfiguration]):
    """The command line of `twistd spire-administration`."""

    name: ClassVar[str] = "administration"
    configuration_type = AdministrationConfiguration


def makeService(options: Options) -> IService:
    """Return what `twistd` runs."""
    return make_process(options, make_room)


def make_room(
    configuration: AdministrationConfiguration, parts: Parts, *, store: IAdministrationStore | None = None
) -> SpireService:
    """Put the server together; `store` replaces the empty one in memory where the world has no database."""
    locator = LocatorLink(configuration.locator, parts, configuration.environment)
    room = ServerRoom(configuration, parts, locator=locator)
    database = room.database(configuration.database, package="spire.administration", prefix="administration")
    if database is not None:
        store = AdministrationStore(database)
    elif store is None:
        store = MemoryAdministrationStore()
    room.link()
    ids = UidSource(room.upstream("uid_service"), clock=parts.clock, tasks=parts.tasks, metrics=parts.metrics)
    definitions = DefinitionsClient(room.upstream("definitions_service"))
    publisher = Publisher(clock=parts.clock, tasks=parts.tasks, metrics=parts.metrics)
    board = Board(publisher, directory=locator.directory, instance_id=room.instance_id)
    trail = AuditTrail(environment=configuration.environment, clock=parts.clock, random_bytes=parts.random_bytes)
    commits = Commits(store=store, board=board, trail=trail)
    service = AdministrationService(
        store=store,
        board=board,
        commits=commits,
        directory=locator.directory,
        definitions=definitions,
        next_id=ids.next,
        firm_zone=configuration.administration.firm_zone,
        environment=configuration.environment,
        clock=parts.clock,
    )
    following: list[Callable[[], None]] = []

    async def start() -> None:
        await commits.start()
        following.append(
            parts.tasks.every("administration.refresh", configuration.administration.refresh_seconds, commits.refresh)
        )

    def stop() -> None:
        while following:
            following.pop()()
        publisher.close()

    async def start_ids() -> None:
        ids.start()
        await ids.when_ready()

    locator.session.subscriptions.state(DIRECTORY, Entry).observe_version(board.rights_changed)
    room.add("identifiers", start_ids, ids.stop)
    room.add("definitions", definitions.when_ready, definitions.close)
    room.add("administration", start, stop, retry_on=(StoreDown,))
    groups = Groups(
        locator=locator.calls,
        directory=locator.directory,
        definitions=definitions,
        commits=commits,
        clock=parts.clock,
    )
    served = Served(
        service=service, groups=groups, topics=board, read_audit=service.read_audit, roles_now=locator.directory.roles
    )
    room.listen(SERVICE, configuration.server, AdministrationAvatars(served, clock=parts.clock, tasks=parts.tasks))
    return room.finish()
