"""Reports and postings made from what drivers say (sans-I/O)."""

from attrs import frozen

from spire.execution.orders import Order, posting_of
from spire.execution.values import Activity, Execution, Refusal
from spire.values.amounts import ZERO_PRICE, ZERO_QUANTITY, Money, Quantity, decimal_of, value_of
from spire.values.orders import ExecType, PostingKind, ReportSource
from spire.values.posting import Posting
from spire.values.report import Report
from spire.values.status import Change, OrderState, advance, submitted
from spire.values.submission import Submission
from spire.values.time import Timestamp

_KINDS = {
    ExecType.TRADE: PostingKind.TRADE,
    ExecType.TRADE_CANCEL: PostingKind.BUST,
    ExecType.TRADE_CORRECT: PostingKind.CORRECTION,
}


@frozen(kw_only=True)
class Stamp:
    """When a report is recorded, for which business date, and the ids that it gets."""

    now: Timestamp
    business_date: str
    report_id: int
    posting_id: int


def make_report(submission: Submission, state: OrderState, execution: Execution, stamp: Stamp) -> Report:
    """Return the order's next report; TransitionError when it may not follow."""
    price = execution.price or ZERO_PRICE
    after = advance(
        state,
        Change(
            exec_type=execution.exec_type,
            quantity=execution.quantity,
            price=price,
            replaced_quantity=execution.replaced_quantity or ZERO_QUANTITY,
            replaced_price=execution.replaced_price or ZERO_PRICE,
            order_quantity=execution.order_quantity,
            version=execution.version,
        ),
    )
    traded = execution.exec_type in _KINDS
    return Report(
        report_id=stamp.report_id,
        order_id=submission.order_id,
        version=after.version,
        sequence=after.sequence,
        environment=submission.environment,
        trading_account_id=submission.trading_account_id,
        instrument_id=submission.instrument_id,
        side=submission.side,
        exec_type=execution.exec_type,
        status=after.status,
        exec_id=execution.exec_id or str(stamp.report_id),
        exec_ref_id=execution.exec_ref_id,
        destination=submission.destination,
        venue_order_id=execution.venue_order_id,
        last_quantity=execution.quantity if traded else None,
        last_price=execution.price if traded else None,
        last_market=execution.market,
        replaced_quantity=execution.replaced_quantity,
        replaced_price=execution.replaced_price,
        order_quantity=execution.order_quantity,
        quote_sequence=execution.quote_sequence,
        quote_taken=execution.quote_taken,
        liquidity=execution.liquidity,
        capacity=submission.capacity,
        cumulative=after.cumulative,
        leaves=after.leaves,
        cumulative_notional=decimal_of(after.notional),
        flags=int(after.flags),
        venue_time=execution.venue_time,
        receive_time=stamp.now,
        record_time=stamp.now,
        market_time=execution.market_time,
        trade_date=submission.trade_date,
        reason=execution.reason,
        rule=execution.rule,
        limit=execution.limit,
        observed=execution.observed,
        text=execution.text,
        source=execution.source,
        actor=execution.actor,
    )


def make_posting(order: Order, report: Report, stamp: Stamp) -> Posting | None:
    """Return the ledger's entry for a fill, a bust or a correction; None for every other report."""
    kind = _KINDS.get(report.exec_type)
    if kind is None:
        return None
    submission = order.submission
    direction = submission.side.direction
    last = direction * (report.last_quantity or 0)
    quantity = Quantity(last)
    amount = Money(-value_of(report.last_price or ZERO_PRICE, quantity))
    if kind is PostingKind.BUST:
        quantity, amount = Quantity(-quantity), Money(-amount)
    if kind is PostingKind.CORRECTION:
        before = Quantity(direction * (report.replaced_quantity or 0))
        amount = Money(amount + value_of(report.replaced_price or ZERO_PRICE, before))
        quantity = Quantity(quantity - before)
    return Posting(
        posting_id=stamp.posting_id,
        environment=submission.environment,
        trading_account_id=submission.trading_account_id,
        instrument_id=submission.instrument_id,
        currency=submission.currency,
        quantity=quantity,
        amount=amount,
        kind=kind,
        price=report.last_price,
        order_id=submission.order_id,
        report_id=report.report_id,
        exec_id=report.exec_id,
        time=stamp.now,
        trade_date=report.trade_date,
        settlement_date=report.settlement_date,
        business_date=stamp.business_date,
        actor=report.actor,
        reason=report.reason,
        reverses=None if kind is PostingKind.TRADE else posting_of(order, report.exec_ref_id),
    )


def reported(order: Order, execution: Execution, stamp: Stamp, *, epoch: int, sequence: int) -> Activity:
    """Return the account's next event: a driver's word about an order, with the posting that it causes."""
    report = make_report(order.submission, order.state, execution, stamp)
    return Activity(
        sequence=sequence,
        epoch=epoch,
        time=stamp.now,
        trading_account_id=order.submission.trading_account_id,
        report=report,
        posting=make_posting(order, report, stamp),
    )


def refused(submission: Submission, refusal: Refusal, stamp: Stamp, *, epoch: int, sequence: int) -> Activity:
    """Return the account's next event: an order that was submitted and refused at once."""
    report = make_report(submission, submitted(submission), rejection(submission.order_id, refusal), stamp)
    return Activity(
        sequence=sequence,
        epoch=epoch,
        time=stamp.now,
        trading_account_id=submission.trading_account_id,
        submission=submission,
        report=report,
    )


def rejection(order_id: int, refusal: Refusal, source: ReportSource = ReportSource.DRIVER) -> Execution:
    """Return the word that ends an order as rejected."""
    return Execution(
        order_id=order_id,
        exec_type=ExecType.REJECTED,
        reason=refusal.code,
        rule=refusal.rule,
        limit=refusal.limit,
        observed=refusal.observed,
        text=refusal.text,
        source=source,
    )
