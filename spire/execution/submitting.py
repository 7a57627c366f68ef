"""An order from its decision to its answer: reserved in one turn, durable, stored where it opens risk, then routed."""

from collections.abc import Mapping

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from spire.definitions.client import DefinitionsClient
from spire.execution.booking import Booking, Ids
from spire.execution.chronicle import Chronicle
from spire.execution.decide import Accepted, Holding, Market, Resolved, Terms, decide
from spire.execution.interfaces import IDriver
from spire.execution.orders import Order, Orders
from spire.execution.refusals import STORE_DOWN, error_for, journal_down
from spire.execution.reports import refused, rejection
from spire.execution.upstream import MarketUpstream
from spire.execution.values import Activity, OrderView, Refusal, Written
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.values.environment import Environment
from spire.values.submission import DecisionSnapshot, Submission
from spire.values.time import Timestamp
from spire.wire.errors import SpireError
from spire.wire.server_session import Session


@frozen(kw_only=True)
class Settings:
    """What the firm allows, and how patient the server is."""

    environment: Environment
    terms: Terms
    store_seconds: float


@define(eq=False)
class Pending:
    """A submission on its way; those who wait for its answer."""

    order: Order
    waiting: list[Deferred[OrderView]] = field(factory=list)
    timer: IDelayedCall | None = None


class Submitting:
    """Takes decided orders through journal and store to their drivers, and answers those who wait."""

    def __init__(
        self,
        *,
        settings: Settings,
        orders: Orders,
        chronicle: Chronicle,
        booking: Booking,
        ids: Ids,
        definitions: DefinitionsClient,
        upstream: MarketUpstream,
        drivers: Mapping[str, IDriver],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._orders = orders
        self._chronicle = chronicle
        self._booking = booking
        self._ids = ids
        self._definitions = definitions
        self._upstream = upstream
        self._drivers = drivers
        self._clock = clock
        self._pending: dict[int, Pending] = {}
        self._outcomes = metrics.counter("spire_execution_submissions", "Orders submitted, by outcome.", ["outcome"])

    def find(self, order_id: int) -> Pending | None:
        """Return a submission that is not routed yet."""
        return self._pending.get(order_id)

    def join(self, pending: Pending) -> "Deferred[OrderView]":
        """Return what fires with the answer to a submission that is on its way."""
        waiting: Deferred[OrderView] = Deferred()
        pending.waiting.append(waiting)
        return waiting

    def stop(self) -> None:
        """Keep no more time."""
        for pending in self._pending.values():
            _quiet(pending)

    def take(self, session: Session, order: Resolved, received: Timestamp) -> "Deferred[OrderView]":
        """Decide, reserve and append in this turn; fires with the order's view, or fails with the refusal."""
        request, instrument = order.request, order.instrument
        account = self._orders.account(request.trading_account_id)
        market = self._upstream.market(instrument, request.trading_session)
        holding = Holding(
            position=account.positions.get(instrument.instrument_id),
            use=account.use(instrument.instrument_id),
            used_elsewhere=account.used_elsewhere(instrument.instrument_id),
        )
        ticks = self._definitions.tick_tables.get(instrument.tick_table)
        decision = decide(order, market, holding, ticks, self._settings.terms)
        snapshot = decision.snapshot if isinstance(decision, Accepted) else DecisionSnapshot()
        submission = self._submission(session, order, snapshot, received, market)
        if isinstance(decision, Refusal):
            return self._refuse(submission, decision, account.sequence + 1)
        written = self._orders.fold(
            Activity(
                sequence=account.sequence + 1,
                epoch=self._orders.epoch,
                time=submission.accepted,
                trading_account_id=submission.trading_account_id,
                submission=submission,
            )
        )
        return self._accept(submission, written, is_opening=decision.is_opening)

    def _refuse(self, submission: Submission, refusal: Refusal, sequence: int) -> "Deferred[OrderView]":
        waiting: Deferred[OrderView] = Deferred()
        activity = refused(submission, refusal, self._booking.stamp(), epoch=self._orders.epoch, sequence=sequence)
        error = error_for(refusal, submission.order_id)
        self._outcomes.labels(outcome=refusal.code).inc()
        self._chronicle.append(
            self._orders.fold(activity),
            durable=lambda: waiting.errback(error),
            lost=lambda: waiting.errback(journal_down()),
        )
        return waiting

    def _accept(self, submission: Submission, written: Written, *, is_opening: bool) -> "Deferred[OrderView]":
        order = self._orders.find(submission.order_id)
        assert order is not None
        pending = Pending(order=order)
        self._pending[submission.order_id] = pending
        waiting = self.join(pending)
        self._outcomes.labels(outcome="accepted").inc()
        if is_opening:
            pending.timer = self._clock.later(self._settings.store_seconds, self._too_late, pending)
            self._chronicle.append(written, committed=lambda: self._route(pending), lost=lambda: self._undo(pending))
        else:
            self._chronicle.append(written, durable=lambda: self._route(pending), lost=lambda: self._undo(pending))
        return waiting

    def _route(self, pending: Pending) -> None:
        """Answer, and send the order to its driver unless it has ended meanwhile."""
        submission = pending.order.submission
        if self._pending.pop(submission.order_id, None) is None:
            return
        _quiet(pending)
        _answer(pending, pending.order.view)
        if pending.order.state.is_live:
            driver = self._definitions.destinations[submission.destination].driver
            self._drivers[driver].submit(submission)

    def _too_late(self, pending: Pending) -> None:
        """End an opening order that the store did not take in time; it was never routed."""
        submission = pending.order.submission
        if self._pending.pop(submission.order_id, None) is None:
            return
        if not pending.order.state.is_live:
            _answer(pending, pending.order.view)
            return
        refusal = Refusal(code=STORE_DOWN, text="The database did not take the order in time.", rule="store")
        error = error_for(refusal, submission.order_id)
        self._outcomes.labels(outcome=STORE_DOWN).inc()
        self._booking.report(rejection(submission.order_id, refusal), lambda: _fail(pending, error))

    def _undo(self, pending: Pending) -> None:
        """Tell those who wait that the journal did not take the order: it never was."""
        _quiet(pending)
        self._pending.pop(pending.order.submission.order_id, None)
        _fail(pending, journal_down())

    def _submission(
        self, session: Session, order: Resolved, snapshot: DecisionSnapshot, received: Timestamp, market: Market
    ) -> Submission:
        request = order.request
        return Submission(
            order_id=self._ids.next(),
            client_order_id=request.client_order_id,
            parent_order_id=request.parent_order_id,
            order_group_id=request.order_group_id,
            strategy_id=request.strategy_id,
            environment=self._settings.environment,
            trading_account_id=request.trading_account_id,
            entered_by=session.identity.account_id,
            session=session.id,
            channel=session.channel,
            instrument_id=order.instrument.instrument_id,
            ticker=order.instrument.ticker,
            destination=order.destination,
            side=request.side,
            type=request.type,
            quantity=request.quantity,
            limit_price=request.limit_price,
            time_in_force=request.time_in_force,
            trading_session=request.trading_session,
            currency=order.currency,
            capacity=order.capacity,
            origin=request.origin,
            locate_id=request.locate_id,
            manual=request.manual,
            tags=request.tags,
            received=received,
            entered=request.entered,
            accepted=self._clock.now(),
            market_time=market.market_time,
            trade_date=market.trade_date,
            business_date=self._booking.business_date(),
            decision=snapshot,
        )


def _quiet(pending: Pending) -> None:
    if pending.timer is not None and pending.timer.active():
        pending.timer.cancel()


def _answer(pending: Pending, view: OrderView) -> None:
    waiting, pending.waiting = pending.waiting, []
    for each in waiting:
        each.callback(view)


def _fail(pending: Pending, error: SpireError) -> None:
    waiting, pending.waiting = pending.waiting, []
    for each in waiting:
        each.errback(error)
