"""The Risk Server: starts what watches, keeps what it must remember, and answers who may ask."""

from collections.abc import Callable
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from zope.interface import implementer

from spire.database.audit import Page
from spire.database.errors import StoreDown, StoreError
from spire.execution.client import OrderExecutionClient
from spire.locator.directory import Directory
from spire.risk import access
from spire.risk.baselines import Baselines
from spire.risk.days import Days
from spire.risk.facts import Facts
from spire.risk.interfaces import IRiskStore
from spire.risk.ledgers import Ledgers
from spire.risk.pages import PAGE_ROWS, fitting
from spire.risk.portfolios import Portfolios
from spire.risk.profit import Book
from spire.risk.releasing import Releases
from spire.risk.sight import Sight
from spire.risk.supervision import Supervision
from spire.risk.turns import Turns
from spire.risk.upstream import MarketWatch
from spire.risk.values import PORTFOLIOS, MarkedPosition, OpenedAccount, Portfolio
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.service.audit import AuditTrail
from spire.service.readiness import Readiness
from spire.values.audit import AuditEvent, AuditQuery
from spire.wire.errors import Forbidden, NotFound, SpireError
from spire.wire.publisher import Topic
from spire.wire.server_session import Session
from spire.wire.stream_responders import StreamResponders
from spire.wire.topics import ITopics

CHECK_SECONDS: Final = 0.25
SECOND: Final = 1.0
CATCH_UP_SECONDS: Final = 10.0
"""How long the start waits for the activity of all accounts and the marks of what they hold; those that are missing then are blind."""


PORTFOLIO: Final = "portfolio"
POSITIONS: Final = "positions"


@implementer(ITopics)
class RiskService:
    """The application service; every method that serves somebody takes the session first."""

    _log = Logger()

    def __init__(
        self,
        *,
        directory: Directory,
        facts: Facts,
        book: Book,
        ledgers: Ledgers,
        market: MarketWatch,
        supervision: Supervision,
        baselines: Baselines,
        days: Days,
        releases: Releases,
        turns: Turns,
        portfolios: Portfolios,
        orders: OrderExecutionClient,
        store: IRiskStore,
        sight: Sight,
        trail: AuditTrail,
        readiness: Readiness,
        save_seconds: float,
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._directory = directory
        self.facts = facts
        self._book = book
        self._ledgers = ledgers
        self._market = market
        self._supervision = supervision
        self._baselines = baselines
        self._days = days
        self._releases = releases
        self._turns = turns
        self._portfolios = portfolios
        self._orders = orders
        self._store = store
        self._sight = sight
        self._trail = trail
        self._readiness = readiness
        self._save_seconds = save_seconds
        self._clock = clock
        self._tasks = tasks
        self._readers: dict[Session, set[str]] = {}
        self._streams: dict[Session, StreamResponders] = {}
        self._stops: list[Callable[[], None]] = []
        self._is_started = False
        self._saving = DeferredLock()

    # Start and stop

    async def start(self) -> None:
        """Take over what was kept, follow every account behind its place, and begin to watch. Raises StoreDown."""
        kept = await self._store.load()
        self._baselines.restore(kept.baselines, kept.opened)
        entries = self.facts.trading_accounts()
        places = [place for place in kept.places if place.trading_account_id in entries]
        self._ledgers.restore(places)
        known = {place.trading_account_id for place in places}
        self._supervision.open_books(known)
        for row in kept.positions:
            if row.trading_account_id in known:
                self._book.put(row.trading_account_id, row.instrument_id, row.position)
        for number in self._book.instruments():
            self._market.follow(number)
        self._is_started = True
        self.directory_changed()
        self.facts.limits.observe(lambda key, *_: self._supervision.look(int(key)))
        self.facts.states.observe(lambda key, *_: self._supervision.changed.add(int(key)))
        self.facts.days.observe_version(lambda: self._supervision.changed.update(self._supervision.accounts))
        await self._caught_up()
        self._supervision.start()
        self._supervision.check_all()
        self._stops = [
            self._tasks.every("watch", CHECK_SECONDS, self._check),
            self._tasks.every("look at all", SECOND, self._second),
            self._tasks.every("publish portfolios", SECOND, self._publish),
            self._tasks.every("complete days", SECOND, self._days.complete),
            self._tasks.every("tell late", SECOND, self._turns.tell),
            self._tasks.every("settle releases", SECOND, self._releases.settle),
            self._tasks.every("supervise", SECOND, self._supervise),
            self._tasks.every("save positions", self._save_seconds, self.save),
        ]
        await self._supervise()

    async def stop(self) -> None:
        """Watch no more, and write what was booked."""
        self._supervision.stop()
        while self._stops:
            self._stops.pop()()
        self._ledgers.close()
        self._market.close()
        self.facts.close()
        await self.save()
        await self._turns.tell()

    async def _caught_up(self) -> None:
        deadline = self._clock.monotonic() + CATCH_UP_SECONDS
        while self._clock.monotonic() < deadline:
            if all(ledger.is_caught_up for ledger in self._ledgers.all()) and self._market.is_caught_up:
                return
            await self._clock.sleep(0.05)

    async def save(self) -> None:
        """Write places and positions in one transaction, one after the other; what the store does not take goes with the next."""
        await self._saving.run(lambda: Deferred.fromCoroutine(self._save()))

    async def _save(self) -> None:
        taken = self._ledgers.take_unsaved()
        if taken is None:
            return
        saved, unsaved = taken
        is_written = False
        try:
            await self._store.save(saved)
            is_written = True
        except StoreError as error:
            self._readiness.because("positions", f"positions are not written: {error}")
            if not isinstance(error, StoreDown):
                self._log.critical("positions are not written, and will not be as they are: {error}", error=str(error))
        finally:
            if not is_written:
                self._ledgers.give_back(unsaved)
        if is_written:
            self._readiness.clear("positions")

    def directory_changed(self) -> None:
        """Watch new trading accounts at once, and those that are gone no more; end what may not be read any more."""
        if not self._is_started:
            return
        self._supervision.follow_directory(self._baselines.rebase)
        for session, names in tuple(self._readers.items()):
            if not all(self._may_read(session, name) for name in names):
                session.close(Forbidden("A right to see a trading account was withdrawn; log in again."))

    def serve_streams(self, session: Session, streams: StreamResponders) -> None:
        """Know a session's streams, which end where it may not see any more what they bring."""
        self._streams[session] = streams
        session.on_close(lambda: self._streams.pop(session, None))

    def entitlements_changed(self) -> None:
        """End what is read of positions where some of the market data in it may not be seen any more, or not yet."""
        for session, names in tuple(self._readers.items()):
            streams = self._streams.get(session)
            if streams is not None and any(name.startswith(f"{POSITIONS}/") for name in names):
                streams.end_where(partial(self._unseen, session))

    def _unseen(self, session: Session, name: str) -> Forbidden | None:
        """Return why a session may not read a topic because of the market data in it; None where it may."""
        if not name.startswith(f"{POSITIONS}/"):
            return None
        book = self._book.accounts.get(_parse(name)[1])
        held = () if book is None else book.held()
        if all(self._sight.sees(session.identity, number) for number in held):
            return None
        return Forbidden(
            "You are not entitled to the best bid and offer of everything that this account holds: "
            "call LoadPortfolio, which leaves out what you may not see.",
            topic=name,
        )

    # Watching

    def _check(self) -> None:
        self._market.check()
        self._supervision.check()

    def _second(self) -> None:
        self._ledgers.check()
        self._supervision.check_all()

    def _publish(self) -> None:
        """Tell what changed, once nobody reads any more what he may not see now."""
        self.entitlements_changed()
        self._portfolios.publish()

    async def _supervise(self) -> None:
        """Tell Order Execution that Risk watches, and whom it cannot watch."""
        blind = self._supervision.blind()
        names = ", ".join(self.facts.name(number) for number in blind[:5])
        self._readiness.tell("blind", f"{len(blind)} trading accounts cannot be watched: {names}" if blind else None)
        try:
            await self._orders.supervise(blind, through=self._supervision.through())
        except SpireError as error:
            self._readiness.because("supervise", f"Order Execution does not hear that Risk watches: {error}")
        else:
            self._readiness.clear("supervise")

    # Commands

    async def open_day(
        self, session: Session, business_date: str, after: int
    ) -> tuple[tuple[OpenedAccount, ...], int | None]:
        """Open a business date with the first page; return a page of what became of the accounts."""
        if not after:
            entity = f"business_day:{business_date}"
            async with self._trail.attempt(session, "day.open", entity, self._audit, asked=business_date):
                access.require_open(self._directory, session.identity)
                await self._days.open(session, business_date)
        access.require_open(self._directory, session.identity)
        found = [each for each in self._days.results(business_date) if each.trading_account_id > after]
        page = fitting(found)
        return page, page[-1].trading_account_id if len(found) > len(page) else None

    async def release(self, session: Session, trading_account_id: int, reason: str, *, new_baseline: bool) -> Portfolio:
        """Give an account back its allowed state; return where it stands then."""
        entity = f"trading_account:{trading_account_id}"
        asked = "with a new baseline" if new_baseline else "on the old baseline"
        async with self._trail.attempt(session, "account.release", entity, self._audit, asked=asked, reason=reason):
            access.require_release(self._directory, session.identity)
            await self._releases.release(session, trading_account_id, reason, new_baseline=new_baseline)
        return self._portfolios.row(trading_account_id)

    def load_portfolio(
        self, session: Session, trading_account_id: int, after: int
    ) -> tuple[Portfolio, tuple[MarkedPosition, ...], int | None]:
        """Return where an account stands, and a page of its positions, without the marks that the caller may not see.

        Raises NotFound, Forbidden.
        """
        self._require_watched(session, trading_account_id)
        found = [each for each in self._portfolios.positions(trading_account_id) if each.instrument_id > after]
        page = tuple(self._sight.seen(session.identity, each) for each in fitting(found))
        following = page[-1].instrument_id if len(found) > len(page) else None
        return self._portfolios.row(trading_account_id), page, following

    def list_portfolios(self, session: Session, after: int) -> tuple[tuple[Portfolio, ...], int | None]:
        """Return a page of the portfolios that the caller may see."""
        found: list[Portfolio] = []
        for number in sorted(self._supervision.accounts):
            if number > after and access.may_view(self._directory, session.identity, number):
                found.append(self._portfolios.row(number))
                if len(found) > PAGE_ROWS:
                    break
        page = fitting(found)
        return page, page[-1].trading_account_id if len(found) > len(page) else None

    async def audit_page(self, query: AuditQuery) -> Page:
        """Return a page of the audit log."""
        page: Page = await self._store.audit(query)
        return page

    # Topics

    async def open_topic(self, session: Session, name: str) -> Topic:
        """Return all portfolios, or what one account's topic holds. Raises NotFound, Forbidden."""
        if name == PORTFOLIOS:
            access.require_all(self._directory, session.identity)
            topic: Topic = self._portfolios.all
        else:
            kind, number = _parse(name)
            self._require_watched(session, number)
            unseen = self._unseen(session, name)
            if unseen is not None:
                raise unseen
            if kind == POSITIONS:
                self.entitlements_changed()
                topic = self._portfolios.positions_topic(number)
            else:
                topic = self._portfolios.portfolio_topic(number)
        if session not in self._readers:
            self._readers[session] = set()
            session.on_close(lambda: self._readers.pop(session, None))
        self._readers[session].add(name)
        return topic

    def _may_read(self, session: Session, name: str) -> bool:
        if name == PORTFOLIOS:
            return access.sees_all(self._directory, session.identity)
        return access.may_view(self._directory, session.identity, _parse(name)[1])

    def _require_watched(self, session: Session, trading_account_id: int) -> None:
        access.require_view(self._directory, session.identity, trading_account_id)
        if trading_account_id not in self._supervision.accounts:
            raise NotFound(f"There is no trading account {trading_account_id}.", trading_account_id=trading_account_id)

    async def _audit(self, event: AuditEvent) -> None:
        await self._store.record((), (), (event,))


def _parse(name: str) -> tuple[str, int]:
    """Return kind and trading account of a topic's name; NotFound for any other name, also another spelling of a number."""
    kind, _, number = name.partition("/")
    is_number = number.isascii() and number.isdigit() and len(number) <= 18 and str(int(number)) == number
    if kind not in (PORTFOLIO, POSITIONS) or not is_number:
        raise NotFound(f"There is no topic {name}; write portfolio/ or positions/ and a trading account.", topic=name)
    return kind, int(number)
