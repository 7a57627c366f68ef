"""What Order Execution knows of orders, positions and client order ids (sans-I/O): a fold over the activity of all accounts.

The live server and its recovery call the same `fold`, so that the journal replayed gives the state that was.
"""

from collections.abc import Iterator, Mapping

from attrs import define, evolve, field

from spire.accounting.buying_power import InstrumentUse
from spire.accounting.position import Position, apply_posting
from spire.execution.content import digest_of
from spire.execution.halts import Halts
from spire.execution.values import (
    FIRM,
    AccountHead,
    Activity,
    Execution,
    HeldPosition,
    OrderView,
    TakenSize,
    UsedClientOrderId,
    Written,
)
from spire.values.amounts import (
    INT64_MAX,
    INT64_MIN,
    ZERO_MONEY,
    ZERO_PRICE,
    ZERO_QUANTITY,
    Money,
    Quantity,
    decimal_of,
    format_amount,
)
from spire.values.codes import Currency
from spire.values.orders import ExecType, Side, Status
from spire.values.posting import Posting
from spire.values.report import Report
from spire.values.status import Flag, OrderState, apply, submitted
from spire.values.submission import Submission
from spire.values.time import Timestamp


@define(eq=False)
class Order:
    """One order that is live, or whose end has not reached the store yet."""

    submission: Submission
    state: OrderState
    updated: Timestamp
    reason: str | None = None
    text: str | None = None
    rule: str | None = None
    limit: str | None = None
    observed: str | None = None
    is_counted: bool = False
    postings: dict[str, int] = field(factory=dict)
    heard: dict[str, Execution] = field(factory=dict)

    @property
    def view(self) -> OrderView:
        """Return the order as clients see it."""
        state = self.state
        return OrderView(
            submission=self.submission,
            version=state.version,
            status=state.status,
            quantity=state.quantity,
            cumulative=state.cumulative,
            leaves=state.leaves,
            cumulative_notional=decimal_of(state.notional),
            flags=int(state.flags),
            reports=state.sequence,
            updated=self.updated,
            reason=self.reason,
            text=self.text,
            rule=self.rule,
            limit=self.limit,
            observed=self.observed,
        )


@define(eq=False)
class Account:
    """One trading account: how far its activity goes, its positions, and what its live orders use."""

    trading_account_id: int
    epoch: int
    sequence: int = 0
    positions: dict[int, Position] = field(factory=dict)
    uses: dict[int, InstrumentUse] = field(factory=dict)
    orders: dict[int, Order] = field(factory=dict)
    live: int = 0
    used: dict[Currency, Money] = field(factory=dict)
    _used_by: dict[int, tuple[Currency, Money]] = field(factory=dict)

    def use(self, instrument_id: int) -> InstrumentUse:
        """Return the live orders in an instrument as buying power counts them."""
        use = self.uses.get(instrument_id)
        if use is None:
            use = self.uses[instrument_id] = InstrumentUse()
        return use

    def held(self, instrument_id: int) -> Quantity:
        """Return the signed position in an instrument."""
        position = self.positions.get(instrument_id)
        return ZERO_QUANTITY if position is None else position.quantity

    def used_elsewhere(self, instrument_id: int) -> dict[Currency, Money]:
        """Return the buying power that all other instruments use, by currency; one in which nothing is used is absent."""
        here = self._used_by.get(instrument_id)
        if here is None:
            return self.used
        currency, amount = here
        rest = Money(self.used[currency] - amount)
        others = {other: used for other, used in self.used.items() if other != currency}
        return others | {currency: rest} if rest else others

    def recount(self, instrument_id: int, currency: Currency) -> None:
        """Count again what an instrument uses, after its orders or its position changed."""
        use = self.uses.get(instrument_id)
        position = self.positions.get(instrument_id)
        now = ZERO_MONEY if use is None and position is None else (use or InstrumentUse()).used(position)
        before = self._used_by.pop(instrument_id, None)
        if before is not None:
            self._add(before[0], -before[1])
        if now:
            self._used_by[instrument_id] = (currency, now)
            self._add(currency, now)

    def _add(self, currency: Currency, amount: int) -> None:
        total = self.used.get(currency, ZERO_MONEY) + amount
        if total:
            self.used[currency] = Money(total)
        else:
            del self.used[currency]


class Orders:
    """All accounts, orders and client order ids of one Order Execution server."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.halts = Halts()
        self._accounts: dict[int, Account] = {}
        self._orders: dict[int, Order] = {}
        self._client_order_ids: dict[tuple[int, str], UsedClientOrderId] = {}
        self._taken: dict[tuple[int, Side], TakenSize] = {}

    # Looking

    @property
    def live(self) -> Iterator[Order]:
        """All live orders."""
        return (order for order in self._orders.values() if order.state.is_live)

    def account(self, trading_account_id: int) -> Account:
        """Return a trading account, which begins empty."""
        account = self._accounts.get(trading_account_id)
        if account is None:
            account = Account(trading_account_id=trading_account_id, epoch=self.epoch)
            self._accounts[trading_account_id] = account
        return account

    def find(self, order_id: int) -> Order | None:
        """Return an order that is live or has just ended."""
        return self._orders.get(order_id)

    def of_account(self, trading_account_id: int) -> Mapping[int, Order]:
        """Return the orders of an account that are live or have just ended, by id, in no order."""
        account = self._accounts.get(trading_account_id)
        return {} if account is None else account.orders

    def used_id(self, trading_account_id: int, client_order_id: str) -> UsedClientOrderId | None:
        """Return what a client order id was used for."""
        return self._client_order_ids.get((trading_account_id, client_order_id))

    def taken(self, instrument_id: int, side: Side) -> TakenSize | None:
        """Return what the last fill on a side of an instrument says was taken."""
        return self._taken.get((instrument_id, side))

    # Restoring what the store holds

    def restore_head(self, head: AccountHead) -> None:
        """Take over how far an account's activity goes; another epoch begins again at 0."""
        self.account(head.trading_account_id).sequence = head.sequence if head.epoch == self.epoch else 0

    def restore_position(self, held: HeldPosition) -> None:
        """Take over a position."""
        account = self.account(held.trading_account_id)
        account.positions[held.instrument_id] = held.position
        account.recount(held.instrument_id, held.position.currency)

    def restore_order(self, view: OrderView) -> None:
        """Take over a live order."""
        order = Order(submission=view.submission, state=view.state(), updated=view.updated)
        order.reason, order.text = view.reason, view.text
        order.rule, order.limit, order.observed = view.rule, view.limit, view.observed
        self._orders[view.order_id] = order
        self._work(order)

    def restore_used_id(self, used: UsedClientOrderId) -> None:
        """Take over a used client order id."""
        self._client_order_ids[used.trading_account_id, used.client_order_id] = used

    # Changing

    def fold(self, activity: Activity) -> Written:
        """Take over the next event of an account and return what it writes.

        ValueError: it is not the account's next, its report does not follow, or the position does not fit 64 bits; nothing has
        changed then.
        """
        account = self.account(activity.trading_account_id)
        if activity.sequence != account.sequence + 1 or activity.epoch != account.epoch:
            raise ValueError(
                f"activity {activity.sequence} of account {activity.trading_account_id} does not follow {account.sequence}"
            )
        if activity.trading_account_id == FIRM:
            account.sequence = activity.sequence
            if activity.halt is not None:
                self.halts.put(activity.halt)
            return Written(activity=activity)
        order, used = self._find_or_admit(activity)
        position = None if activity.posting is None else _moved(account, activity.posting)
        if activity.report is not None:
            if order is None:
                raise ValueError(f"report {activity.report.report_id} names order {activity.report.order_id}, unknown")
            _report(order, activity.report)
        account.sequence = activity.sequence
        if order is not None and activity.submission is not None:
            self._orders[order.submission.order_id] = order
        if used is not None:
            self.restore_used_id(used)
        held = None if position is None else self._post(account, activity, order, position)
        if order is not None:
            self._work(order)
        if activity.report is not None:
            self._remember_taken(activity.report)
        return Written(activity=activity, order=None if order is None else order.view, position=held, used=used)

    def withdraw(self, activity: Activity) -> None:
        """Undo a submission or the release of a halt that could not be made durable: it was never said to anybody.

        A halt that was set stands, and what else there is follows from it or from the submission.
        """
        if activity.halt is not None:
            self.halts.reinstate(activity.halt)
        submission = activity.submission
        if submission is None:
            return
        self._client_order_ids.pop((submission.trading_account_id, submission.client_order_id), None)
        order = self._orders.pop(submission.order_id, None)
        if order is not None:
            order.state = evolve(order.state, status=Status.REJECTED, leaves=ZERO_QUANTITY)
            self._work(order)
            self.account(submission.trading_account_id).orders.pop(submission.order_id, None)

    def flag(self, order_id: int, flag: Flag) -> None:
        """Set a flag of a live order, such as a cancel that is pending."""
        order = self._orders[order_id]
        order.state = evolve(order.state, flags=order.state.flags | flag)

    def forget(self, order_id: int) -> None:
        """Forget an order that has ended, once the store holds its end."""
        order = self._orders.get(order_id)
        if order is not None and not order.state.is_live:
            del self._orders[order_id]
            self.account(order.submission.trading_account_id).orders.pop(order_id, None)

    def forget_stored(self, view: OrderView) -> None:
        """Forget an order whose end the store holds, unless more was said of it since."""
        order = self._orders.get(view.order_id)
        if order is not None and order.state.sequence == view.reports:
            self.forget(view.order_id)

    def forget_ids_before(self, business_date: str) -> int:
        """Forget client order ids used before a business date; return how many."""
        old = [key for key, used in self._client_order_ids.items() if used.business_date < business_date]
        for key in old:
            del self._client_order_ids[key]
        return len(old)

    def _find_or_admit(self, activity: Activity) -> tuple[Order | None, UsedClientOrderId | None]:
        submission = activity.submission
        if submission is None:
            return self._orders.get(activity.order_id), None
        order = Order(submission=submission, state=submitted(submission), updated=activity.time)
        used = UsedClientOrderId(
            trading_account_id=submission.trading_account_id,
            client_order_id=submission.client_order_id,
            order_id=submission.order_id,
            business_date=submission.business_date,
            digest=digest_of(submission),
        )
        return order, used

    def _post(self, account: Account, activity: Activity, order: Order | None, position: Position) -> HeldPosition:
        posting = activity.posting
        assert posting is not None
        account.positions[posting.instrument_id] = position
        account.recount(posting.instrument_id, posting.currency)
        if order is not None and posting.exec_id is not None:
            order.postings[posting.exec_id] = posting.posting_id
        return HeldPosition(
            trading_account_id=account.trading_account_id,
            instrument_id=posting.instrument_id,
            position=position,
            sequence=activity.sequence,
        )

    def _work(self, order: Order) -> None:
        """Let buying power count what the order still works."""
        submission = order.submission
        account = self.account(submission.trading_account_id)
        account.orders[submission.order_id] = order
        price = submission.decision.reserved_price or submission.limit_price or ZERO_PRICE
        use = account.use(submission.instrument_id)
        use.side(submission.side).put(submission.order_id, price, order.state.leaves)
        account.recount(submission.instrument_id, submission.currency)
        is_live = order.state.is_live
        if is_live is not order.is_counted:
            order.is_counted = is_live
            account.live += 1 if is_live else -1

    def _remember_taken(self, report: Report) -> None:
        if report.exec_type is ExecType.TRADE and report.quote_sequence is not None and report.quote_taken is not None:
            self._taken[report.instrument_id, report.side] = TakenSize(
                instrument_id=report.instrument_id,
                side=report.side,
                quote_sequence=report.quote_sequence,
                taken=report.quote_taken,
            )


def _moved(account: Account, posting: Posting) -> Position:
    """Return the position after a posting; ValueError where an amount does not fit 64 bits, as wire and store need it."""
    before = account.positions.get(posting.instrument_id) or Position(currency=posting.currency)
    after = apply_posting(before, posting)
    for amount in (posting.amount, after.quantity, after.cost, after.realised, after.fees):
        if not INT64_MIN <= amount <= INT64_MAX:
            raise ValueError(f"posting {posting.posting_id} moves {format_amount(amount)}, which does not fit 64 bits")
    return after


def _report(order: Order, report: Report) -> None:
    order.state = apply(order.state, report)
    order.updated = report.record_time
    if report.reason is not None:
        order.reason, order.text = report.reason, report.text
        order.rule, order.limit, order.observed = report.rule, report.limit, report.observed


def posting_of(order: Order, exec_ref_id: str | None) -> int | None:
    """Return the posting that a fill made, where this server still knows it."""
    return None if exec_ref_id is None else order.postings.get(exec_ref_id)
