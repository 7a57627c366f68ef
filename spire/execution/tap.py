"""Puts Order Execution together."""

from collections.abc import Callable
from typing import ClassVar, Final

from attrs import frozen
from twisted.application.service import IService
from twisted.protocols.amp import CommandLocator, IResponderLocator
from zope.interface import implementer

from spire.administration.client import AdministrationClient, LiveEntitlements
from spire.compliance.client import ComplianceClient
from spire.database.errors import StoreDown
from spire.database.journal import Journal
from spire.database.ordered_writer import OrderedWriter
from spire.definitions.client import DefinitionsClient
from spire.execution.booking import Booking
from spire.execution.chronicle import Chronicle
from spire.execution.configuration import SIMULATION, OrderExecutionConfiguration
from spire.execution.controls import HEARTBEAT_SECONDS
from spire.execution.decide import Terms
from spire.execution.disclosure import Disclosure
from spire.execution.drivers.simulation import SimulationDriver
from spire.execution.halting import Halting
from spire.execution.inputs import Inputs
from spire.execution.interfaces import IDriver, IExecutionStore
from spire.execution.memory import MemoryExecutionStore
from spire.execution.orders import Orders
from spire.execution.recovery import taken_sizes
from spire.execution.responders import HaltResponders, OrderResponders
from spire.execution.server import OrderExecution
from spire.execution.store import ExecutionStore
from spire.execution.submitting import Settings, Submitting
from spire.execution.upstream import MarketUpstream
from spire.execution.values import HALTS, Batch, Halt
from spire.locator.client import LocatorLink
from spire.locator.values import DIRECTORY, Entry
from spire.marketdata.client import MarketDataClient
from spire.service.audit import AuditResponders, AuditTrail
from spire.service.container import SpireService
from spire.service.options import ServerOptions
from spire.service.parts import Parts
from spire.service.process import make_process
from spire.service.room import ServerRoom
from spire.uid.client import UidSource
from spire.values.codes import Venue
from spire.wire.guard import Responders
from spire.wire.interfaces import IAvatars
from spire.wire.publisher import Publisher
from spire.wire.server_session import Session
from spire.wire.stream_responders import StreamResponders

SERVICE: Final = "order_execution_service"
_MOST_IN_A_TRANSACTION: Final = 50
"""Batches of events; each holds what became durable in one turn."""

_CHECK_SECONDS: Final = 1.0


class Options(ServerOptions[OrderExecutionConfiguration]):
    """The command line of `twistd spire-order-execution`."""

    name: ClassVar[str] = "order-execution"
    configuration_type = OrderExecutionConfiguration


def makeService(options: Options) -> IService:
    """Return what `twistd` runs."""
    return make_process(options, make_room)


def make_room(
    configuration: OrderExecutionConfiguration, parts: Parts, *, store: IExecutionStore | None = None
) -> SpireService:
    """Put the server together; `store` replaces the new one in memory where the world has no database."""
    room = ServerRoom(
        configuration, parts, locator=LocatorLink(configuration.locator, parts, configuration.environment)
    )
    database = room.database(configuration.database, package="spire.execution", prefix="execution")
    if database is not None:
        store = ExecutionStore(database)
    store = store or MemoryExecutionStore()
    service, halting = _make_service(room, configuration, parts, store)
    room.listen(SERVICE, configuration.server, ExecutionAvatars(service, halting, store, parts))
    return room.finish()


def _make_service(
    room: ServerRoom, configuration: OrderExecutionConfiguration, parts: Parts, store: IExecutionStore
) -> tuple[OrderExecution, Halting]:
    section = configuration.order_execution
    locator = room.locator
    assert isinstance(locator, LocatorLink)
    room.link()
    ids = UidSource(room.upstream("uid_service"), clock=parts.clock, tasks=parts.tasks, metrics=parts.metrics)
    definitions = DefinitionsClient(room.upstream("definitions_service"))
    administration = AdministrationClient(room.upstream("administration_service"))
    market_data = MarketDataClient(room.upstream(section.market_data_service))
    compliance = ComplianceClient(room.upstream("compliance_service"))
    entitlements = LiveEntitlements(administration, parts.clock)
    kept = _make_chronicle(room, configuration, parts, store)
    orders, chronicle = kept.orders, kept.chronicle
    inputs = Inputs(
        administration=administration,
        compliance=compliance,
        definitions=definitions,
        directory=locator.directory,
        orders=orders,
        clock=parts.clock,
        metrics=parts.metrics,
    )
    booking = Booking(
        orders=orders,
        chronicle=chronicle,
        ids=ids,
        business_day=inputs.business_date,
        firm_zone=section.firm_zone,
        clock=parts.clock,
        metrics=parts.metrics,
    )
    upstream = MarketUpstream(
        client=market_data,
        definitions=definitions,
        taken=lambda instrument_id: taken_sizes(orders, store, instrument_id),
        clock=parts.clock,
        tasks=parts.tasks,
    )
    drivers: dict[str, IDriver] = {}
    checks: list[Callable[[], None]] = [upstream.check]
    if SIMULATION in section.drivers:
        simulation = SimulationDriver(
            upstream=upstream, find_instrument=definitions.instruments.by_id, report=booking.report
        )
        drivers[SIMULATION] = simulation
        checks.append(simulation.check)
    disclosure = Disclosure(
        directory=locator.directory,
        allows=entitlements.allows,
        venue_of=lambda number: _listing_venue(definitions, number),
    )
    submitting = Submitting(
        settings=Settings(
            environment=configuration.environment,
            terms=Terms(collar=section.collar, margin=section.short_margin),
            store_seconds=section.store_seconds,
        ),
        orders=orders,
        chronicle=chronicle,
        booking=booking,
        ids=ids,
        definitions=definitions,
        upstream=upstream,
        inputs=inputs,
        disclosure=disclosure,
        drivers=drivers,
        clock=parts.clock,
        metrics=parts.metrics,
    )
    topic = kept.publisher.state(HALTS, Halt, instance_id=room.instance_id)
    halting = Halting(
        directory=locator.directory,
        orders=orders,
        chronicle=chronicle,
        submitting=submitting,
        inputs=inputs,
        trail=AuditTrail(environment=configuration.environment, clock=parts.clock, random_bytes=parts.random_bytes),
        topic=topic,
        clock=parts.clock,
    )
    service = OrderExecution(
        directory=locator.directory,
        definitions=definitions,
        store=store,
        journal=kept.journal,
        writer=kept.writer,
        chronicle=chronicle,
        orders=orders,
        booking=booking,
        submitting=submitting,
        upstream=upstream,
        drivers=drivers,
        disclosure=disclosure,
        halts=topic,
        clock=parts.clock,
        tasks=parts.tasks,
    )
    entries = locator.session.subscriptions.state(DIRECTORY, Entry)
    entries.observe_version(inputs.directory_changed)
    entries.observe_version(service.rights_changed)
    checks += [lambda: _supervised(room, inputs), halting.end_announced]
    _add_verbs(room, halting)
    _add_steps(room, parts, ids, definitions, upstream, inputs, entitlements, service, halting, checks)
    return service, halting


def _listing_venue(definitions: DefinitionsClient, instrument_id: int) -> Venue | None:
    instrument = definitions.instruments.get(instrument_id)
    return None if instrument is None else instrument.listing_venue


def _supervised(room: ServerRoom, inputs: Inputs) -> None:
    """Say that Risk does not supervise, or that it does again."""
    silent = inputs.check()
    reason = f"no heartbeat for {HEARTBEAT_SECONDS:g} s: opening orders are refused"
    room.readiness.tell("risk_service", None if silent is None else reason)


def _add_verbs(room: ServerRoom, halting: Halting) -> None:
    """Let an operator on this host halt without Locator and login."""
    room.verb("halt", halting.set_here, "Stop orders: scope, scope_id, mode (NO_OPENING, NO_NEW), reason, cancel_all.")
    room.verb("release_halt", halting.release_here, "End a halt that was set here: halt_id, reason.")
    room.verb("halts", halting.list_here, "List the halts in force.")


@frozen(kw_only=True)
class _Kept:
    """What keeps the events."""

    orders: Orders
    journal: Journal
    writer: OrderedWriter[Batch]
    publisher: Publisher
    chronicle: Chronicle


def _make_chronicle(
    room: ServerRoom, configuration: OrderExecutionConfiguration, parts: Parts, store: IExecutionStore
) -> _Kept:
    directory = configuration.run.journal_directory
    assert directory is not None  # the configuration refuses it
    journal = Journal(
        directory,
        "order-execution",
        environment=configuration.environment,
        epoch=room.epoch,
        clock=parts.clock,
        metrics=parts.metrics,
        run_in_thread=parts.run_in_thread,
    )
    writer: OrderedWriter[Batch] = OrderedWriter(
        "order execution",
        store.writer(),
        clock=parts.clock,
        tasks=parts.tasks,
        metrics=parts.metrics,
        max_batch=_MOST_IN_A_TRANSACTION,
    )
    writer.on_refused(lambda reason: room.readiness.tell("store", reason))
    writer.on_fenced(lambda: room.readiness.because("writer", "another server has taken over: stop this one"))
    orders = Orders(room.epoch)
    publisher = Publisher(
        clock=parts.clock,
        tasks=parts.tasks,
        metrics=parts.metrics,
        ring_budget_bytes=configuration.order_execution.ring_bytes,
    )
    chronicle = Chronicle(
        journal=journal, writer=writer, orders=orders, store=store, publisher=publisher, clock=parts.clock
    )

    def stalled(is_stalled: bool) -> None:
        if is_stalled:
            room.readiness.because("journal", "the journal cannot be written: make room on its disk")
        else:
            room.readiness.clear("journal")

    chronicle.on_stalled = stalled
    return _Kept(orders=orders, journal=journal, writer=writer, publisher=publisher, chronicle=chronicle)


def _add_steps(
    room: ServerRoom,
    parts: Parts,
    ids: UidSource,
    definitions: DefinitionsClient,
    upstream: MarketUpstream,
    inputs: Inputs,
    entitlements: LiveEntitlements,
    service: OrderExecution,
    halting: Halting,
    checks: list[Callable[[], None]],
) -> None:
    """Add what starts after the upstream sessions, in its order."""
    stops: list[Callable[[], None]] = []

    async def fetch_ids() -> None:
        ids.start()
        await ids.when_ready()

    def watch() -> None:
        stops.extend(parts.tasks.every("market", _CHECK_SECONDS, check) for check in checks)

    def stop_watching() -> None:
        while stops:
            stops.pop()()

    room.add("identifiers", fetch_ids, ids.stop)
    room.add("definitions", definitions.when_ready, definitions.close)
    room.add("markets", upstream.markets.view.when_ready)
    room.add("controls", inputs.when_ready, inputs.close)
    room.add("entitlements", entitlements.when_ready, entitlements.close)
    room.add("orders", service.start, service.stop, retry_on=StoreDown, stop_seconds=10.0)
    room.add("halts", halting.open, halting.close)
    room.add("market checks", watch, stop_watching)


@implementer(IAvatars)
class ExecutionAvatars:
    """Nothing before login; orders, halts, activity and the audit log after it, each call by its rights."""

    def __init__(self, service: OrderExecution, halting: Halting, store: IExecutionStore, parts: Parts) -> None:
        self._service = service
        self._halting = halting
        self._store = store
        self._parts = parts

    def anonymous(self, session: Session) -> IResponderLocator:  # noqa: ARG002 - the interface names it
        """Return nothing to call."""
        return CommandLocator()

    def avatar(self, session: Session) -> IResponderLocator:
        """Return what one may ask for."""
        return Responders(
            StreamResponders(session, self._service, clock=self._parts.clock, tasks=self._parts.tasks),
            OrderResponders(session, self._service),
            HaltResponders(session, self._halting),
            AuditResponders(session, self._store.audit, self._service.roles_now),
        )

    def closed(self, session: Session) -> None:
        """Forget nothing: what a session holds is released with it."""
