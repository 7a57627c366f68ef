"""Order Execution: decides orders in one turn, makes them durable, routes them, and books what comes back."""

import datetime
from collections.abc import Callable, Mapping
from typing import Final

from attrs import evolve
from twisted.logger import Logger
from zope.interface import implementer

from spire.database.errors import StoreDown, StoreError
from spire.database.journal import Journal
from spire.database.ordered_writer import OrderedWriter
from spire.definitions.client import DefinitionsClient
from spire.execution import access
from spire.execution.booking import Booking
from spire.execution.chronicle import Chronicle
from spire.execution.commands import PAGE_BYTES
from spire.execution.disclosure import Disclosure
from spire.execution.form import Resolved, check_form, resolve
from spire.execution.interfaces import IDriver, IExecutionStore
from spire.execution.orders import Order, Orders
from spire.execution.recovery import replay, restore
from spire.execution.refusals import NOT_ROUTED, error_for, journal_down, rejection_of
from spire.execution.reports import rejection
from spire.execution.submitting import Submitting
from spire.execution.upstream import MarketUpstream
from spire.execution.values import (
    Batch,
    Halt,
    OrderQuery,
    OrderRequest,
    OrderScope,
    OrderView,
    Refusal,
    TradingAccountView,
    UsedClientOrderId,
)
from spire.locator.directory import Directory
from spire.locator.values import Kind
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.wire.arguments import encode
from spire.wire.errors import Conflict, Forbidden, NotFound, Unavailable
from spire.wire.publisher import Topic
from spire.wire.server_session import Session
from spire.wire.state_topic import StateTopic
from spire.wire.topics import ITopics

KEPT_BUSINESS_DATES: Final = 5
LONGEST_PAGE: Final = 200
TRIM_SECONDS: Final = 30.0


@implementer(ITopics)
class OrderExecution:
    """The application service; every method takes the session first.

    Orders are answered as whoever asks may see them at that moment (`disclosure`).
    """

    _log = Logger()

    def __init__(
        self,
        *,
        directory: Directory,
        definitions: DefinitionsClient,
        store: IExecutionStore,
        journal: Journal,
        writer: OrderedWriter[Batch],
        chronicle: Chronicle,
        orders: Orders,
        booking: Booking,
        submitting: Submitting,
        upstream: MarketUpstream,
        drivers: Mapping[str, IDriver],
        disclosure: Disclosure,
        halts: StateTopic[Halt],
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._directory = directory
        self._definitions = definitions
        self._store = store
        self._journal = journal
        self._writer = writer
        self._chronicle = chronicle
        self._orders = orders
        self._booking = booking
        self._submitting = submitting
        self._upstream = upstream
        self._drivers = drivers
        self._disclosure = disclosure
        self._halts = halts
        self._clock = clock
        self._tasks = tasks
        self._readers: dict[Session, set[str]] = {}
        self._stops: list[Callable[[], None]] = []

    # Start and stop

    async def start(self) -> None:
        """Take over what store and journal hold, end what was never routed, and give the rest to its drivers.

        Raises StoreDown while the store is away (call it again), JournalError where the journal cannot be used.
        """
        row = await self._writer.start()
        await restore(self._store, self._orders, self._chronicle, self._oldest_kept())
        frames = self._journal.open()
        recovered = replay(self._orders, self._chronicle, frames, row.position, self._journal.position)
        self._log.info(
            "{replayed} events came from the journal, {live} orders are live",
            replayed=recovered.replayed,
            live=len(recovered.live),
        )
        for order in recovered.never_routed:
            refusal = Refusal(code=NOT_ROUTED, text="The server restarted before the order was routed.")
            self._booking.report(rejection(order.submission.order_id, refusal))
        by_driver: dict[str, list[OrderView]] = {}
        for order in recovered.live:
            by_driver.setdefault(self._driver_name(order.submission.destination), []).append(order.view)
        for name, views in by_driver.items():
            self._drivers[name].restore(views)
        self._stops = [
            self._tasks.every("trim journal", TRIM_SECONDS, lambda: self._journal.trim(self._writer.position)),
            self._tasks.every("forget ids", 3600.0, lambda: self._orders.forget_ids_before(self._oldest_kept())),
        ]

    async def stop(self) -> None:
        """Let what was appended become durable, and reach the store if it is there; close the journal."""
        for stop in self._stops:
            stop()
        self._submitting.stop()
        try:
            await self._chronicle.settled()
            self._chronicle.close()
            if self._writer.delay_seconds < 1.0:
                await self._writer.flushed()
        except (Unavailable, StoreError) as error:
            self._log.warn("not everything is stored, the journal keeps it: {error}", error=str(error))
        self._chronicle.close()
        self._writer.stop()
        await self._journal.close()

    # Orders

    async def submit(self, session: Session, request: OrderRequest) -> OrderView:
        """Take an order; return it once it is durable and on its way.

        Raises Forbidden, NotFound, Invalid, Conflict, Unsupported, Unavailable, or Refused with the code of the rule.
        """
        received = self._clock.now()
        entry = access.require_trade(self._directory, session.identity, request.trading_account_id)
        malformed = check_form(request)
        if malformed is not None:
            raise error_for(malformed)
        instrument = self._definitions.instruments.by_ticker(request.ticker)
        capacity = None if entry.terms is None else entry.terms.default_capacity
        resolved = resolve(
            request, instrument, tuple(self._definitions.destinations), capacity, frozenset(self._drivers)
        )
        if isinstance(resolved, Refusal):
            raise error_for(resolved)
        if not self._upstream.is_prepared(instrument.instrument_id):
            await self._upstream.prepare(instrument)
            access.require_trade(self._directory, session.identity, request.trading_account_id)
        used = self._orders.used_id(request.trading_account_id, request.client_order_id)
        if used is not None:
            return await self._first(session, used, resolved)
        if self._chronicle.is_stalled or self._writer.is_fenced:
            raise journal_down()
        by_risk = access.is_risk(self._directory, session.identity)
        view = await self._submitting.take(session, resolved, received, by_risk=by_risk)
        return self._disclosure.view(session.identity, view)

    async def cancel(self, session: Session, order_id: int) -> OrderView:
        """Cancel an order, acting from the journal. Raises NotFound, Forbidden, Conflict for one that has ended."""
        order = self._orders.find(order_id)
        if order is None:
            view = await self._stored(order_id)
            access.require_cancel(self._directory, session.identity, view.submission)
            raise Conflict(f"Order {order_id} has ended: {view.status.name}.", status=view.status.name)
        access.require_cancel(self._directory, session.identity, order.submission)
        if not order.state.is_live:
            raise Conflict(f"Order {order_id} has ended: {order.state.status.name}.", status=order.state.status.name)
        self._submitting.cancel(order, session.identity.account_id)
        await self._chronicle.settled()
        return self._disclosure.view(session.identity, order.view)

    async def query(self, session: Session, query: OrderQuery) -> tuple[tuple[OrderView, ...], int | None]:
        """Return a page of orders and where to go on. Raises NotFound, Forbidden, Unavailable."""
        access.require_view(self._directory, session.identity, query.trading_account_id)
        query = evolve(query, limit=max(1, min(query.limit, LONGEST_PAGE)))
        memory = self._in_memory(query)
        stored: dict[int, OrderView] = {}
        reached: int | None = None
        if query.scope is OrderScope.ALL and query.order_id not in memory:
            try:
                rows = await self._store.orders(query)
            except StoreDown as error:
                raise Unavailable("Ended orders cannot be read now; live ones can.") from error
            stored = {view.order_id: view for view in rows}
            memory |= self._in_memory(query)  # those of before may have ended and been forgotten, and say so
            reached = rows[-1].order_id if len(rows) == query.limit else None
        ids = [number for number in sorted(memory.keys() | stored.keys()) if reached is None or number <= reached]
        page: list[OrderView] = []
        size = 0
        for number in ids[: query.limit]:
            order = memory.get(number)
            view = self._disclosure.view(session.identity, stored[number] if order is None else order.view)
            size += len(encode(view))
            if page and size > PAGE_BYTES:
                break
            page.append(view)
        is_whole = reached is None and len(page) == len(ids)
        return tuple(page), None if is_whole or not page else page[-1].order_id

    def trading_accounts(self, session: Session, after: int) -> tuple[tuple[TradingAccountView, ...], int | None]:
        """Return a page of the trading accounts that the caller may see, by id."""
        identity = session.identity
        found: list[TradingAccountView] = []
        for entry in sorted(self._directory, key=lambda entry: entry.entry_id):
            number = entry.entry_id
            if number <= after or entry.kind is not Kind.TRADING_ACCOUNT:
                continue
            if not access.may_view(self._directory, identity, number):
                continue
            if len(found) == LONGEST_PAGE:
                return tuple(found), found[-1].trading_account_id
            found.append(
                TradingAccountView(
                    trading_account_id=number,
                    name=entry.name,
                    may_trade=access.may_trade(self._directory, identity.account_id, number),
                    epoch=self._orders.epoch,
                    activity=self._chronicle.topic(number).through,
                )
            )
        return tuple(found), None

    def roles_now(self, account_id: int) -> frozenset[str]:
        """Return the roles that an account holds at this moment."""
        return self._directory.roles(account_id)

    async def open_topic(self, session: Session, name: str) -> Topic:
        """Return the activity of a trading account or of the firm, or the halts in force. Raises NotFound, Forbidden."""
        number = access.require_topic(self._directory, session.identity, name)
        if session not in self._readers:
            self._readers[session] = set()
            session.on_close(lambda: self._readers.pop(session, None))
        self._readers[session].add(name)
        return self._halts if number is None else self._chronicle.topic(number)

    def rights_changed(self) -> None:
        """Close the sessions that read what they may not see any more: a right that is withdrawn ends at once."""
        for session, names in tuple(self._readers.items()):
            try:
                for name in names:
                    access.require_topic(self._directory, session.identity, name)
            except (Forbidden, NotFound):
                session.close(Forbidden("A right to see a trading account was withdrawn; log in again."))

    async def _first(self, session: Session, used: UsedClientOrderId, resolved: Resolved) -> OrderView:
        """Answer a repeated client order id with its first order; Conflict when the content differs."""
        if used.digest != resolved.digest:
            raise Conflict(
                f"Client order id {used.client_order_id} stands for order {used.order_id} with other content.",
                order_id=used.order_id,
            )
        pending = self._submitting.find(used.order_id)
        if pending is not None:
            return self._disclosure.view(session.identity, await self._submitting.join(pending))
        order = self._orders.find(used.order_id)
        if order is not None:
            await self._chronicle.settled()
            view = order.view
        else:
            view = await self._stored(used.order_id)
        view = self._disclosure.view(session.identity, view)
        rejected = rejection_of(view)
        if rejected is not None:
            raise rejected
        return view

    # Small things

    def _oldest_kept(self) -> str:
        date = datetime.date.fromisoformat(self._booking.business_date())
        kept = 1 if date.isoweekday() <= 5 else 0
        while kept < KEPT_BUSINESS_DATES:
            date -= datetime.timedelta(days=1)
            kept += date.isoweekday() <= 5
        return date.isoformat()

    def _in_memory(self, query: OrderQuery) -> dict[int, Order]:
        return {
            number: order
            for number, order in self._orders.of_account(query.trading_account_id).items()
            if number > query.after_order_id
            and (query.order_id is None or number == query.order_id)
            and (query.client_order_id is None or order.submission.client_order_id == query.client_order_id)
            and (query.scope is OrderScope.ALL or order.state.is_live)
        }

    async def _stored(self, order_id: int) -> OrderView:
        try:
            view = await self._store.order(order_id)
        except StoreDown as error:
            raise Unavailable("Ended orders cannot be read now.") from error
        if view is None:
            raise NotFound(f"There is no order {order_id}.", order_id=order_id)
        return view

    def _driver_name(self, destination: str) -> str:
        return self._definitions.destinations[destination].driver
