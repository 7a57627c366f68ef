"""Puts the Uid Server together."""

from typing import ClassVar

from twisted.application.service import IService
from twisted.protocols.amp import CommandLocator, IResponderLocator
from zope.interface import implementer

from spire.database.errors import StoreDown
from spire.locator.client import LocatorLink
from spire.service.container import SpireService
from spire.service.options import ServerOptions
from spire.service.parts import Parts
from spire.service.process import make_process
from spire.service.room import ServerRoom
from spire.uid.configuration import UidConfiguration
from spire.uid.high_water import HighWaterFile
from spire.uid.interfaces import IUidStore
from spire.uid.memory import MemoryUidStore
from spire.uid.responders import UidResponders
from spire.uid.server import UidService
from spire.uid.store import UidStore
from spire.wire.interfaces import IAvatars
from spire.wire.server_session import Session

SERVICE = "uid_service"


class Options(ServerOptions[UidConfiguration]):
    """The command line of `twistd spire-uid`."""

    name: ClassVar[str] = "uid"
    configuration_type = UidConfiguration


def makeService(options: Options) -> IService:
    """Return what `twistd` runs."""
    return make_process(options, make_room)


def make_room(configuration: UidConfiguration, parts: Parts, *, store: IUidStore | None = None) -> SpireService:
    """Put the server together; `store` replaces the new one in memory where the world has no database."""
    locator = LocatorLink(configuration.locator, parts, configuration.environment)
    room = ServerRoom(configuration, parts, locator=locator)
    database = room.database(configuration.database, package="spire.uid", prefix="uid")
    if database is not None:
        store = UidStore(database)
    room.link()
    service = UidService(
        store or MemoryUidStore(),
        HighWaterFile(configuration.high_water_file),
        run_in_thread=parts.run_in_thread,
        metrics=parts.metrics,
    )
    room.add("counter", service.start, retry_on=StoreDown)
    room.listen(SERVICE, configuration.server, UidAvatars(service))
    return room.finish()


@implementer(IAvatars)
class UidAvatars:
    """Nothing before login; one command after it, which asks for its capability itself."""

    def __init__(self, service: UidService) -> None:
        self._service = service

    def anonymous(self, session: Session) -> IResponderLocator:  # noqa: ARG002 - the interface names it
        """Return nothing to call."""
        return CommandLocator()

    def avatar(self, session: Session) -> IResponderLocator:
        """Return the commands."""
        return UidResponders(session, self._service)

    def closed(self, session: Session) -> None:
        """Forget nothing: a session holds nothing."""
