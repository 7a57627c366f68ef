"""Puts the Compliance Server together."""

from collections.abc import Callable
from typing import ClassVar, Final

from twisted.application.service import IService

from spire.compliance.configuration import ComplianceConfiguration
from spire.compliance.interfaces import IComplianceStore
from spire.compliance.memory import MemoryComplianceStore
from spire.compliance.responders import ComplianceAvatars
from spire.compliance.server import ComplianceService
from spire.compliance.store import ComplianceStore
from spire.compliance.upstream import ViolationUpstream
from spire.compliance.violations import ViolationLog
from spire.database.errors import StoreDown
from spire.definitions.client import DefinitionsClient
from spire.execution.client import OrderExecutionClient
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

SERVICE: Final = "compliance_service"


class Options(ServerOptions[ComplianceConfiguration]):
    """The command line of `twistd spire-compliance`."""

    name: ClassVar[str] = "compliance"
    configuration_type = ComplianceConfiguration


def makeService(options: Options) -> IService:
    """Return what `twistd` runs."""
    return make_process(options, make_room)


def make_room(
    configuration: ComplianceConfiguration, parts: Parts, *, store: IComplianceStore | None = None
) -> SpireService:
    """Put the server together; `store` replaces the new one in memory where the world has no database."""
    locator = LocatorLink(configuration.locator, parts, configuration.environment)
    room = ServerRoom(configuration, parts, locator=locator)
    database = room.database(configuration.database, package="spire.compliance", prefix="compliance")
    if database is not None:
        store = ComplianceStore(database)
    store = store or MemoryComplianceStore()
    room.link()
    ids = UidSource(room.upstream("uid_service"), clock=parts.clock, tasks=parts.tasks, metrics=parts.metrics)
    definitions = DefinitionsClient(room.upstream("definitions_service"))
    orders = OrderExecutionClient(room.upstream("order_execution_service", awaited=False))
    publisher = Publisher(clock=parts.clock, tasks=parts.tasks, metrics=parts.metrics)
    violations = ViolationLog(store=store, publisher=publisher)
    upstream = ViolationUpstream(
        client=orders,
        violations=violations,
        tell=lambda reason: room.readiness.tell("violations", reason),
        clock=parts.clock,
        tasks=parts.tasks,
    )
    service = ComplianceService(
        directory=locator.directory,
        store=store,
        publisher=publisher,
        violations=violations,
        trail=AuditTrail(environment=configuration.environment, clock=parts.clock, random_bytes=parts.random_bytes),
        rule_id=ids.next,
        is_instrument=lambda number: definitions.instruments.get(number) is not None,
        clock=parts.clock,
        instance_id=room.instance_id,
    )
    locator.session.subscriptions.state(DIRECTORY, Entry).observe_version(service.rights_changed)
    following: list[Callable[[], None]] = []

    async def fetch_ids() -> None:
        ids.start()
        await ids.when_ready()

    async def start() -> None:
        await service.start()
        upstream.start()
        seconds = configuration.compliance.refresh_seconds
        following.append(parts.tasks.every("compliance.refresh", seconds, service.refresh))

    def stop() -> None:
        while following:
            following.pop()()
        upstream.stop()
        publisher.close()

    room.add("identifiers", fetch_ids, ids.stop)
    room.add("definitions", definitions.when_ready, definitions.close)
    room.add("rules", start, stop, retry_on=StoreDown)
    avatars = ComplianceAvatars(service, roles_now=locator.directory.roles, clock=parts.clock, tasks=parts.tasks)
    room.listen(SERVICE, configuration.server, avatars)
    return room.finish()
