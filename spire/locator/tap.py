"""The Service Locator's twistd plugin: options, and the place where it is put together."""

from collections.abc import Callable

from twisted.application.service import IService

from spire.database.errors import StoreDown
from spire.locator.configuration import LocatorConfiguration
from spire.locator.interfaces import ILocatorStore
from spire.locator.memory import MemoryLocatorStore
from spire.locator.passwords import PasswordHashes
from spire.locator.responders import LocatorAvatars
from spire.locator.server import SERVICE_NAME, LocatorParts, LocatorService
from spire.locator.store import LocatorStore
from spire.locator.verification import DirectoryVerifier
from spire.service.container import SpireService
from spire.service.options import ServerOptions
from spire.service.parts import Parts
from spire.service.process import make_process
from spire.service.room import ServerRoom
from spire.wire.identity import Identity
from spire.wire.publisher import Publisher


class Options(ServerOptions[LocatorConfiguration]):
    """The options of `twistd spire-service-locator`."""

    name = "service-locator"
    configuration_type = LocatorConfiguration


def make_room(configuration: LocatorConfiguration, parts: Parts, *, store: ILocatorStore | None = None) -> SpireService:
    """Put the Service Locator together; `store` replaces the empty one in memory where there is no database."""
    room = ServerRoom(configuration, parts)
    own = configuration.service_locator
    database = room.database(configuration.database, package="spire.locator", prefix="locator")
    if database is not None:
        store = LocatorStore(database)
    publisher = Publisher(clock=parts.clock, tasks=parts.tasks, metrics=parts.metrics)
    service = LocatorService(
        LocatorParts(
            store=store or MemoryLocatorStore(),
            publisher=publisher,
            hashes=PasswordHashes(parts.run_in_thread, cost=own.hash_cost, concurrency=own.hashes_at_once),
            policy=own.password_policy,
            clock=parts.clock,
            tasks=parts.tasks,
            metrics=parts.metrics,
            random_bytes=parts.random_bytes,
            environment=configuration.environment,
            instance_id=room.instance_id,
            signing_key_file=own.signing_key_file,
            ticket_seconds=own.ticket_seconds,
        )
    )
    verifier = DirectoryVerifier(
        keys=lambda: service.live.keys,
        revocations=lambda: service.live.revocations,
        directory=service.live.directory,
        environment=configuration.environment,
        clock=parts.clock,
    )

    def close_sessions(lost: Callable[[Identity], bool]) -> None:
        for factory in room.factories.values():
            factory.revoke(lost)

    # In the next turn: the answer to the command that withdrew the rights goes out first.
    service.live.on_rights = lambda lost: parts.clock.later(0, close_sessions, lost)
    room.add("directory", service.load, service.stop, retry_on=(StoreDown,))
    room.add("publisher", lambda: None, publisher.close)
    room.listen(
        SERVICE_NAME,
        configuration.server,
        LocatorAvatars(service, clock=parts.clock, tasks=parts.tasks),
        verifier=verifier,
        can_renew=lambda: True,
    )
    return room.finish()


def makeService(options: Options) -> IService:
    """Return the service that twistd runs."""
    return make_process(options, make_room)
