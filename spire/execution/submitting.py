"""An order from its decision to its answer: reserved in one turn, durable, stored where it opens risk, then routed."""

from collections.abc import Mapping

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from spire.definitions.client import DefinitionsClient
from spire.execution.booking import Booking, Ids
from spire.execution.chronicle import Chronicle, Entry
from spire.execution.controls import forbidden_by_state, refusal_of
from spire.execution.decide import Decision, Holding, Market, Terms, decide
from spire.execution.disclosure import Disclosure
from spire.execution.firm import firm_events, violation_of
from spire.execution.form import Resolved
from spire.execution.inputs import Inputs
from spire.execution.interfaces import IDriver
from spire.execution.orders import Order, Orders
from spire.execution.refusals import STORE_DOWN, error_for, journal_down
from spire.execution.reports import refused, rejection
from spire.execution.upstream import MarketUpstream
from spire.execution.values import Activity, Execution, OrderView, Refusal
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.values.environment import Environment
from spire.values.orders import Channel, ExecType, ReportSource
from spire.values.status import Flag
from spire.values.submission import Submission
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
    """A submission on its way; those who wait for its answer. One that `is_cancelled` waits for its CANCELED report alone."""

    order: Order
    is_cancelled: bool = False
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
        inputs: Inputs,
        disclosure: Disclosure,
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
        self._inputs = inputs
        self._disclosure = disclosure
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

    def take(self, session: Session, order: Resolved, received: Timestamp, *, by_risk: bool) -> "Deferred[OrderView]":
        """Decide, reserve and append in this turn; fires with the order's view, or fails with the refusal.

        What the order did to compliance rules is one with it: both are durable, or neither.
        """
        request, instrument = order.request, order.instrument
        account = self._orders.account(request.trading_account_id)
        market = self._upstream.market(instrument, request.trading_session)
        holding = Holding(
            position=account.positions.get(instrument.instrument_id),
            use=account.use(instrument.instrument_id),
            used_elsewhere=account.used_elsewhere(instrument.instrument_id),
        )
        ticks = self._definitions.tick_tables.get(instrument.tick_table)
        controls = self._inputs.controls(account, order.currency, by_risk=by_risk)
        decision = decide(order, market, holding, ticks, self._settings.terms, controls)
        submission = self._submission(session, order, decision, received, market, by_risk=by_risk)
        refusal = decision.refusal
        stamp = None if refusal is None else self._booking.stamp()
        violations = firm_events(
            self._orders, submission.accepted, *[violation_of(breach, submission) for breach in decision.breaches]
        )
        if refusal is not None and stamp is not None:
            event = refused(submission, refusal, stamp, epoch=self._orders.epoch, sequence=account.sequence + 1)
            told = self._disclosure.refusal(session.identity, submission.instrument_id, refusal)
            return self._refuse(self._chronicle.fold(*violations, event), told, submission.order_id)
        event = Activity(
            sequence=account.sequence + 1,
            epoch=self._orders.epoch,
            time=submission.accepted,
            trading_account_id=submission.trading_account_id,
            submission=submission,
        )
        return self._accept(submission, self._chronicle.fold(*violations, event), is_opening=decision.is_opening)

    def cancel(self, order: Order, actor: int | None) -> None:
        """Cancel a live order: through its driver, or at once where it was not routed yet, and then never is."""
        submission = order.submission
        self._orders.flag(submission.order_id, Flag.PENDING_CANCEL)
        pending = self.find(submission.order_id)
        if pending is None:
            self._driver(submission).cancel(submission.order_id, actor)
        elif not pending.is_cancelled:
            pending.is_cancelled = True
            _quiet(pending)
            canceled = Execution(
                order_id=submission.order_id, exec_type=ExecType.CANCELED, source=ReportSource.PERSON, actor=actor
            )
            self._booking.report(canceled, lambda: self._cancelled(pending))

    def _cancelled(self, pending: Pending) -> None:
        """Answer those who wait for an order that has ended before it was routed."""
        self._pending.pop(pending.order.submission.order_id, None)
        _answer(pending, pending.order.view)

    def _refuse(self, entry: Entry, refusal: Refusal, order_id: int) -> "Deferred[OrderView]":
        waiting: Deferred[OrderView] = Deferred()
        error = error_for(refusal, order_id)
        self._outcomes.labels(outcome=refusal.code).inc()
        self._chronicle.append(
            entry,
            durable=lambda: waiting.errback(error),
            lost=lambda: waiting.errback(journal_down()),
        )
        return waiting

    def _accept(self, submission: Submission, entry: Entry, *, is_opening: bool) -> "Deferred[OrderView]":
        order = self._orders.find(submission.order_id)
        assert order is not None
        pending = Pending(order=order)
        self._pending[submission.order_id] = pending
        waiting = self.join(pending)
        self._outcomes.labels(outcome="accepted").inc()
        if is_opening:
            pending.timer = self._clock.later(self._settings.store_seconds, self._too_late, pending)
            self._chronicle.append(
                entry, committed=lambda: self._route_opening(pending), lost=lambda: self._undo(pending)
            )
        else:
            self._chronicle.append(entry, durable=lambda: self._route(pending), lost=lambda: self._undo(pending))
        return waiting

    def _route_opening(self, pending: Pending) -> None:
        """Route an order that opens risk, unless a halt or a risk state came while it waited for the store.

        Both are asked: the halt that Risk announced a state with ends when the state arrives.
        """
        if pending.is_cancelled:
            return
        number = pending.order.submission.trading_account_id
        halts = self._orders.halts.on(number)
        refusal = refusal_of(halts[0]) if halts else forbidden_by_state(*self._inputs.standing(number), is_opening=True)
        if refusal is None:
            self._route(pending)
        else:
            self._end(pending, refusal)

    def _route(self, pending: Pending) -> None:
        """Answer, and send the order to its driver unless it has ended meanwhile."""
        submission = pending.order.submission
        if pending.is_cancelled or self._pending.pop(submission.order_id, None) is None:
            return
        _quiet(pending)
        _answer(pending, pending.order.view)
        if pending.order.state.is_live:
            self._driver(submission).submit(submission)

    def _too_late(self, pending: Pending) -> None:
        """End an opening order that the store did not take in time; it was never routed."""
        self._end(pending, Refusal(code=STORE_DOWN, text="The database did not take the order in time.", rule="store"))

    def _end(self, pending: Pending, refusal: Refusal) -> None:
        """End an order that was not routed yet, and tell those who wait why."""
        submission = pending.order.submission
        if pending.is_cancelled or self._pending.pop(submission.order_id, None) is None:
            return
        _quiet(pending)
        if not pending.order.state.is_live:
            _answer(pending, pending.order.view)
            return
        error = error_for(refusal, submission.order_id)
        self._outcomes.labels(outcome=refusal.code).inc()
        self._booking.report(rejection(submission.order_id, refusal), lambda: _fail(pending, error))

    def _driver(self, submission: Submission) -> IDriver:
        return self._drivers[self._definitions.destinations[submission.destination].driver]

    def _undo(self, pending: Pending) -> None:
        """Tell those who wait that the journal did not take the order: it never was."""
        _quiet(pending)
        self._pending.pop(pending.order.submission.order_id, None)
        _fail(pending, journal_down())

    def _submission(
        self,
        session: Session,
        order: Resolved,
        decision: Decision,
        received: Timestamp,
        market: Market,
        *,
        by_risk: bool,
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
            channel=Channel.RISK if by_risk else session.channel,
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
            decision=decision.snapshot,
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
