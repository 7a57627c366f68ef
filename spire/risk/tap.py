"""Puts the Risk Server together."""

from typing import ClassVar, Final

from twisted.application.service import IService

from spire.administration.client import AdministrationClient, LiveEntitlements
from spire.database.errors import StoreDown
from spire.definitions.client import DefinitionsClient
from spire.execution.client import OrderExecutionClient
from spire.locator.client import LocatorLink
from spire.locator.values import DIRECTORY, Entry
from spire.marketdata.client import MarketDataClient
from spire.relay.rights import Rights
from spire.risk.acting import Acting
from spire.risk.baselines import Baselines
from spire.risk.configuration import RiskConfiguration
from spire.risk.days import Days
from spire.risk.facts import Facts
from spire.risk.interfaces import IRiskStore
from spire.risk.ledgers import Ledgers
from spire.risk.memory import MemoryRiskStore
from spire.risk.portfolios import Portfolios
from spire.risk.profit import Book
from spire.risk.releasing import Releases
from spire.risk.responders import RiskAvatars
from spire.risk.server import RiskService
from spire.risk.sight import Sight
from spire.risk.store import RiskStore
from spire.risk.supervision import Supervision
from spire.risk.turns import Turns
from spire.risk.upstream import MarketWatch
from spire.service.audit import AuditTrail
from spire.service.container import SpireService
from spire.service.options import ServerOptions
from spire.service.parts import Parts
from spire.service.process import make_process
from spire.service.room import ServerRoom
from spire.wire.publisher import Publisher

SERVICE: Final = "risk_service"


class Options(ServerOptions[RiskConfiguration]):
    """The command line of `twistd spire-risk`."""

    name: ClassVar[str] = "risk"
    configuration_type = RiskConfiguration


def makeService(options: Options) -> IService:
    """Return what `twistd` runs."""
    return make_process(options, make_room)


def make_room(configuration: RiskConfiguration, parts: Parts, *, store: IRiskStore | None = None) -> SpireService:
    """Put the server together; `store` replaces the new one in memory where the world has no database."""
    locator = LocatorLink(configuration.locator, parts, configuration.environment)
    room = ServerRoom(configuration, parts, locator=locator)
    database = room.database(configuration.database, package="spire.risk", prefix="risk")
    if database is not None:
        store = RiskStore(database)
    room.link()
    definitions = DefinitionsClient(room.upstream("definitions_service"))
    administration = AdministrationClient(room.upstream("administration_service"))
    entitlements = LiveEntitlements(administration, parts.clock)
    market_data = MarketDataClient(room.upstream(configuration.risk.market_data_service))
    orders = OrderExecutionClient(room.upstream("order_execution_service"), random_bytes=parts.random_bytes)
    publisher = Publisher(clock=parts.clock, tasks=parts.tasks, metrics=parts.metrics)
    service = _make_service(
        room,
        configuration,
        parts,
        store or MemoryRiskStore(),
        definitions,
        administration,
        entitlements,
        market_data,
        orders,
        publisher,
    )
    entitlements.on_change(service.entitlements_changed)

    async def stop() -> None:
        await service.stop()
        publisher.close()

    room.add("definitions", definitions.when_ready, definitions.close)
    room.add("entitlements", entitlements.when_ready, entitlements.close)
    room.add("facts", service.facts.when_ready)
    room.add("markets", market_data.markets().view.when_ready)
    room.add("accounts", service.start, stop, retry_on=StoreDown, stop_seconds=10.0)
    avatars = RiskAvatars(service, locator.directory, clock=parts.clock, tasks=parts.tasks)
    room.listen(SERVICE, configuration.server, avatars)
    locator.session.subscriptions.state(DIRECTORY, Entry).observe_version(service.directory_changed)
    return room.finish()


def _make_service(
    room: ServerRoom,
    configuration: RiskConfiguration,
    parts: Parts,
    store: IRiskStore,
    definitions: DefinitionsClient,
    administration: AdministrationClient,
    entitlements: LiveEntitlements,
    market_data: MarketDataClient,
    orders: OrderExecutionClient,
    publisher: Publisher,
) -> RiskService:
    locator = room.locator
    assert isinstance(locator, LocatorLink)
    facts = Facts(
        administration=administration,
        orders=orders,
        definitions=definitions,
        directory=locator.directory,
        own_id=lambda: locator.login.account_id,
        firm_zone=configuration.risk.firm_zone,
        clock=parts.clock,
    )
    book = Book()
    market = MarketWatch(
        client=market_data, definitions=definitions, tell=book.mark, clock=parts.clock, tasks=parts.tasks
    )
    ledgers = Ledgers(orders=orders, book=book, works=market.follow)
    acting = Acting(
        facts=facts, administration=administration, orders=orders, ticker=market.ticker, metrics=parts.metrics
    )
    supervision = Supervision(
        facts=facts,
        book=book,
        ledgers=ledgers,
        market=market,
        acting=acting,
        clock=parts.clock,
        tasks=parts.tasks,
        metrics=parts.metrics,
    )
    ledgers.changed = supervision.look
    baselines = Baselines(book=book, facts=facts, clock=parts.clock)
    supervision.awaits_record, supervision.lets_go = baselines.awaits_record, baselines.lets_go
    rights = Rights(
        directory=locator.directory,
        allows=entitlements.allows,
        venue_of=lambda number: definitions.instruments.by_id(number).listing_venue,
        note=lambda *_: None,
    )
    trail = AuditTrail(environment=configuration.environment, clock=parts.clock, random_bytes=parts.random_bytes)
    turns = Turns(facts=facts, supervision=supervision, acting=acting, store=store, clock=parts.clock)
    releases = Releases(
        facts=facts,
        book=book,
        ledgers=ledgers,
        market=market,
        supervision=supervision,
        baselines=baselines,
        store=store,
        trail=trail,
        turns=turns,
    )
    days = Days(
        facts=facts,
        book=book,
        ledgers=ledgers,
        market=market,
        supervision=supervision,
        acting=acting,
        baselines=baselines,
        trail=trail,
        turns=turns,
        clock=parts.clock,
    )
    portfolios = Portfolios(
        supervision=supervision,
        book=book,
        facts=facts,
        publisher=publisher,
        clock=parts.clock,
        instance_id=room.instance_id,
    )
    return RiskService(
        directory=locator.directory,
        facts=facts,
        book=book,
        ledgers=ledgers,
        market=market,
        supervision=supervision,
        baselines=baselines,
        days=days,
        releases=releases,
        turns=turns,
        portfolios=portfolios,
        orders=orders,
        store=store,
        sight=Sight(directory=locator.directory, rights=rights),
        trail=trail,
        readiness=room.readiness,
        save_seconds=configuration.risk.save_seconds,
        clock=parts.clock,
        tasks=parts.tasks,
    )
