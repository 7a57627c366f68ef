"""An order as it was submitted, with what the decision about it saw (docs/values.md)."""

from attrs import evolve, field, frozen

from spire.values.amounts import Price, Quantity
from spire.values.codes import Currency
from spire.values.environment import Environment
from spire.values.orders import Capacity, Channel, OrderType, Side, TimeInForce, TradingSession, VersionState
from spire.values.tickers import Ticker
from spire.values.time import Timestamp


@frozen(kw_only=True)
class DecisionSnapshot:
    """What the decision about an order saw.

    `quote_age` is nanoseconds on the receive clock when the decision was made; None fields were absent or not looked at.
    `exchange_rate_id` names the rates that converted what is used into the currency of the limits, separated by commas.
    `reserved_price` is the price at which buying power was reserved, `buying_power_used` includes this order.
    """

    quote_sequence: int | None = None
    quote_epoch: int | None = None
    bid: Price | None = None
    bid_size: Quantity | None = None
    ask: Price | None = None
    ask_size: Quantity | None = None
    quote_age: int | None = None
    exchange_rate_id: str | None = None
    limits_version: int | None = None
    rules_version: int | None = None
    reserved_price: Price | None = None
    buying_power_used: int | None = None
    opening: bool = True


@frozen(kw_only=True)
class Submission:
    """An order as Order Execution accepted it for a decision; it never changes.

    Prices and quantities are scaled by 10**6; times are nanoseconds since 1970 UTC. `received` is when the call arrived,
    `entered` when the client says that it was entered, `accepted` when it was decided; `market_time` is the venue's time then.
    Dates are ISO text. `tags` holds FIX fields by number, verbatim. Absent is None.
    """

    order_id: int
    client_order_id: str
    parent_order_id: int | None = None
    order_group_id: int | None = None
    strategy_id: int | None = None
    environment: Environment
    trading_account_id: int
    entered_by: int
    on_behalf_of: int | None = None
    session: str
    channel: Channel
    instrument_id: int
    ticker: Ticker
    destination: str
    side: Side
    type: OrderType
    quantity: Quantity
    limit_price: Price | None = None
    stop_price: Price | None = None
    display_quantity: Quantity | None = None
    minimum_quantity: Quantity | None = None
    time_in_force: TimeInForce
    expire_time: Timestamp | None = None
    trading_session: TradingSession
    currency: Currency
    capacity: Capacity
    origin: str | None = None
    locate_id: str | None = None
    manual: bool = False
    tags: dict[int, str] = field(factory=dict)
    received: Timestamp
    entered: Timestamp | None = None
    accepted: Timestamp
    market_time: Timestamp | None = None
    trade_date: str
    business_date: str
    decision: DecisionSnapshot


@frozen(kw_only=True)
class Terms:
    """What an amendment may change."""

    quantity: Quantity
    limit_price: Price | None = None
    stop_price: Price | None = None
    display_quantity: Quantity | None = None
    minimum_quantity: Quantity | None = None
    time_in_force: TimeInForce
    expire_time: Timestamp | None = None


@frozen(kw_only=True)
class OrderVersion:
    """One version of an order's terms; version 1 is the submission's own."""

    order_id: int
    version: int
    client_order_id: str
    orig_client_order_id: str | None = None
    terms: Terms
    requested_by: int
    time: Timestamp
    state: VersionState


@frozen(kw_only=True)
class VenueOrder:
    """Under which names an order's version is known at its destination."""

    destination: str
    venue_client_order_id: str
    order_id: int
    version: int
    venue_order_id: str | None = None


def terms_of(submission: Submission) -> Terms:
    """Return the terms that a submission states."""
    return Terms(
        quantity=submission.quantity,
        limit_price=submission.limit_price,
        stop_price=submission.stop_price,
        display_quantity=submission.display_quantity,
        minimum_quantity=submission.minimum_quantity,
        time_in_force=submission.time_in_force,
        expire_time=submission.expire_time,
    )


def amended(submission: Submission, terms: Terms) -> Submission:
    """Return the submission as an accepted version's terms leave it."""
    return evolve(
        submission,
        quantity=terms.quantity,
        limit_price=terms.limit_price,
        stop_price=terms.stop_price,
        display_quantity=terms.display_quantity,
        minimum_quantity=terms.minimum_quantity,
        time_in_force=terms.time_in_force,
        expire_time=terms.expire_time,
    )
