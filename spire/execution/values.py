"""Order Execution's own values: what a client asks, what the activity of a trading account holds, what drivers say."""

from decimal import Decimal
from enum import IntEnum

from attrs import field, frozen

from spire.accounting.position import Position
from spire.compliance.values import Violation
from spire.values.amounts import ZERO_QUANTITY, Price, Quantity, notional_of
from spire.values.audit import AuditEvent
from spire.values.orders import (
    Capacity,
    ExecType,
    Liquidity,
    OrderType,
    ReportSource,
    Side,
    Status,
    TimeInForce,
    TradingSession,
)
from spire.values.posting import Posting
from spire.values.report import Report
from spire.values.risk import HaltAction, HaltMode, HaltScope
from spire.values.status import Flag, OrderState
from spire.values.submission import Submission
from spire.values.time import Timestamp

LONGEST_CLIENT_ORDER_ID = 64
LONGEST_TEXT = 255
MOST_TAGS = 32

FIRM = 0
"""Stands for a trading account where events of the whole firm are: halts, violations, audit events."""

HALTS = "halts"
"""State topic of the halts in force, by halt id: for servers, risk officers, administrators and auditors."""


@frozen(kw_only=True)
class Halt:
    """A halt: orders of its scope are stopped until it is released.

    `scope_id` is the trading account of that scope, 0 for the firm. `set_by` is None for an operator at the server's own
    socket. A halt of the Risk Server `announces` the version of the risk state that follows it, and ends once that version
    is in force. `released` and `released_by` are set with its end, and stay.
    """

    halt_id: int
    scope: HaltScope
    scope_id: int
    mode: HaltMode
    actions: HaltAction = HaltAction.NONE
    reason: str
    set_by: int | None
    set_at: Timestamp
    announces: int | None = None
    released: Timestamp | None = None
    released_by: int | None = None
    release_reason: str | None = None


@frozen(kw_only=True)
class HaltRequest:
    """What is asked for when a halt is set; fields as in `Halt`."""

    scope: HaltScope
    scope_id: int = 0
    mode: HaltMode
    actions: HaltAction = HaltAction.NONE
    reason: str
    announces: int | None = None


MOST_LISTED = 5_000
"""Orders that the outcome of a halt lists."""


@frozen(kw_only=True)
class HaltOutcome:
    """A halt in force, and what became of the cancels that it asked for, as order ids.

    `confirmed` have ended, `unconfirmed` were sent and are not answered yet; both together are all that were sent, or
    the first `MOST_LISTED`, unconfirmed ones before the others.
    """

    halt: Halt
    confirmed: tuple[int, ...] = ()
    unconfirmed: tuple[int, ...] = ()


@frozen(kw_only=True)
class Activity:
    """One event of a trading account: a row of the log topic `activity/<trading account>`, dense from 1.

    It holds what became true at once: a submission, a report with the posting that it caused, or a submission with the report
    that rejected it. Those of the trading account FIRM hold a halt that was set or released, a violation, or an audit event.
    """

    sequence: int
    epoch: int
    time: Timestamp
    trading_account_id: int
    submission: Submission | None = None
    report: Report | None = None
    posting: Posting | None = None
    halt: Halt | None = None
    violation: Violation | None = None
    audit: AuditEvent | None = None

    @property
    def order_id(self) -> int:
        """Return the order that the event is about; 0 for a posting without order."""
        if self.submission is not None:
            return self.submission.order_id
        if self.report is not None:
            return self.report.order_id
        return 0 if self.posting is None or self.posting.order_id is None else self.posting.order_id


def activity_topic(trading_account_id: int) -> str:
    """Return the name of a trading account's log topic."""
    return f"activity/{trading_account_id}"


def parse_activity_topic(name: str) -> int:
    """Return the trading account of a topic's name; ValueError for any other name."""
    head, _, tail = name.partition("/")
    if head != "activity" or not (tail.isascii() and tail.isdigit()) or str(int(tail)) != tail:
        raise ValueError(f"{name!r} is no activity topic: write activity/ and the trading account's id")
    return int(tail)


@frozen(kw_only=True)
class OrderRequest:
    """What a client sends to submit an order; what is absent is filled in by the server.

    `ticker` reads SYMBOL.VENUE. Absent are the destination (the preferred one of the listing venue), currency (the instrument's)
    and capacity (the trading account's default).
    """

    client_order_id: str
    trading_account_id: int
    ticker: str
    side: Side
    type: OrderType
    quantity: Quantity
    limit_price: Price | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    trading_session: TradingSession = TradingSession.REGULAR
    destination: str | None = None
    currency: str | None = None
    capacity: Capacity | None = None
    stop_price: Price | None = None
    display_quantity: Quantity | None = None
    minimum_quantity: Quantity | None = None
    expire_time: Timestamp | None = None
    parent_order_id: int | None = None
    order_group_id: int | None = None
    strategy_id: int | None = None
    origin: str | None = None
    locate_id: str | None = None
    manual: bool = False
    entered: Timestamp | None = None
    tags: dict[int, str] = field(factory=dict)


@frozen(kw_only=True)
class OrderView:
    """An order with where it stands after `reports` reports.

    `reason`, `text`, `rule`, `limit` and `observed` are those of the last report that gave a reason.
    """

    submission: Submission
    version: int = 1
    status: Status
    quantity: Quantity
    cumulative: Quantity
    leaves: Quantity
    cumulative_notional: Decimal
    flags: int = 0
    reports: int = 0
    updated: Timestamp
    reason: str | None = None
    text: str | None = None
    rule: str | None = None
    limit: str | None = None
    observed: str | None = None

    @property
    def order_id(self) -> int:
        """Return the order's id."""
        return self.submission.order_id

    def state(self) -> OrderState:
        """Return the view as the state that further reports apply to."""
        return OrderState(
            order_id=self.submission.order_id,
            version=self.version,
            sequence=self.reports,
            status=self.status,
            time_in_force=self.submission.time_in_force,
            quantity=self.quantity,
            cumulative=self.cumulative,
            leaves=self.leaves,
            notional=notional_of(self.cumulative_notional),
            flags=Flag(self.flags),
        )


class OrderScope(IntEnum):
    """Which orders a query asks for."""

    LIVE = 1
    ALL = 2


@frozen(kw_only=True)
class OrderQuery:
    """Orders of one trading account in the order of their ids, after `after_order_id`, at most `limit` a page.

    `client_order_id` and `order_id` narrow it to single orders.
    """

    trading_account_id: int
    scope: OrderScope = OrderScope.ALL
    client_order_id: str | None = None
    order_id: int | None = None
    after_order_id: int = 0
    limit: int = 50


@frozen(kw_only=True)
class TradingAccountView:
    """A trading account as its users see it: where its activity stands and what they may do with it."""

    trading_account_id: int
    name: str
    may_trade: bool
    epoch: int
    activity: int


@frozen(kw_only=True)
class Execution:
    """What a driver says of an order; the server makes a report of it.

    `exec_id` is None where the driver has no ids of its own. Quantities and prices as in `Report`.
    """

    order_id: int
    exec_type: ExecType
    exec_id: str | None = None
    exec_ref_id: str | None = None
    quantity: Quantity = ZERO_QUANTITY
    price: Price | None = None
    replaced_quantity: Quantity | None = None
    replaced_price: Price | None = None
    order_quantity: Quantity | None = None
    version: int | None = None
    market: str | None = None
    liquidity: Liquidity | None = None
    venue_order_id: str | None = None
    quote_sequence: int | None = None
    quote_taken: Quantity | None = None
    venue_time: Timestamp | None = None
    market_time: Timestamp | None = None
    reason: str | None = None
    rule: str | None = None
    limit: str | None = None
    observed: str | None = None
    text: str | None = None
    source: ReportSource = ReportSource.DRIVER
    actor: int | None = None


@frozen(kw_only=True)
class Refusal:
    """Why an order is not accepted: code, rule, limit and observed value.

    With `is_recorded` the order is journaled as submitted and REJECTED, and its client order id is used.
    """

    code: str
    text: str
    rule: str | None = None
    limit: str | None = None
    observed: str | None = None
    is_recorded: bool = True


@frozen(kw_only=True)
class HeldPosition:
    """A position of a trading account as the ledger up to `sequence` of its activity makes it."""

    trading_account_id: int
    instrument_id: int
    position: Position
    sequence: int


@frozen(kw_only=True)
class UsedClientOrderId:
    """A client order id that a trading account has used, with the digest of what it stood for."""

    trading_account_id: int
    client_order_id: str
    order_id: int
    business_date: str
    digest: bytes


@frozen(kw_only=True)
class TakenSize:
    """What was taken of one side of an instrument's quote, as the last fill there says."""

    instrument_id: int
    side: Side
    quote_sequence: int
    taken: Quantity


@frozen(kw_only=True)
class Written:
    """What one event writes to the store: the event, and what it made of its order, position and client order id."""

    activity: Activity
    order: OrderView | None = None
    position: HeldPosition | None = None
    used: UsedClientOrderId | None = None


Batch = tuple[Written, ...]
"""Events that go to the store together: one item of the ordered writer."""


@frozen(kw_only=True)
class HeldHalts:
    """The halts in force, by id, and the last halt id that was given out (0: none)."""

    in_force: tuple[Halt, ...] = ()
    last_id: int = 0


@frozen(kw_only=True)
class AccountHead:
    """How far a trading account's activity goes."""

    trading_account_id: int
    epoch: int
    sequence: int


def is_ended(view: OrderView) -> bool:
    """Return whether an order has ended."""
    return not view.state().is_live
