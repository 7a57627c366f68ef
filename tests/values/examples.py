"""Orders and reports for tests, with every required field set."""

from typing import Any

from spire.values.amounts import Price, Quantity, decimal_of, whole
from spire.values.codes import Currency, Venue
from spire.values.environment import Environment
from spire.values.orders import (
    Capacity,
    Channel,
    ExecType,
    OrderType,
    PostingKind,
    ReportSource,
    Side,
    TimeInForce,
    TradingSession,
)
from spire.values.posting import Posting
from spire.values.report import Report
from spire.values.status import Change, OrderState, advance
from spire.values.submission import DecisionSnapshot, Submission
from spire.values.tickers import Ticker
from spire.values.time import Timestamp


def shares(count: int) -> Quantity:
    """Return a whole number of shares."""
    return Quantity(whole(count))


def dollars(text: float) -> Price:
    """Return a price given in dollars."""
    return Price(round(text * 10**6))


def make_submission(**changes: Any) -> Submission:
    """Return a limit order to buy 100 BAC at 14, changed as named."""
    fields: dict[str, Any] = {
        "order_id": 1,
        "client_order_id": "a-1",
        "environment": Environment.DEMO,
        "trading_account_id": 7,
        "entered_by": 3,
        "session": "s1",
        "channel": Channel.AMP,
        "instrument_id": 42,
        "ticker": Ticker("BAC", Venue("XNYS")),
        "destination": "SIMULATION",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "quantity": shares(100),
        "limit_price": dollars(14),
        "time_in_force": TimeInForce.DAY,
        "trading_session": TradingSession.REGULAR,
        "currency": Currency("USD"),
        "capacity": Capacity.AGENCY,
        "received": Timestamp(10),
        "accepted": Timestamp(11),
        "trade_date": "2013-10-08",
        "business_date": "2013-10-08",
        "decision": DecisionSnapshot(),
    }
    return Submission(**(fields | changes))


def make_report(state: OrderState, change: Change, **changes: Any) -> Report:
    """Return the report that a change makes of an order."""
    after = advance(state, change)
    traded = change.exec_type in (ExecType.TRADE, ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT)
    fields: dict[str, Any] = {
        "report_id": 1000 + state.order_id * 100 + after.sequence,
        "order_id": state.order_id,
        "version": after.version,
        "sequence": after.sequence,
        "environment": Environment.DEMO,
        "trading_account_id": 7,
        "instrument_id": 42,
        "side": Side.BUY,
        "exec_type": change.exec_type,
        "status": after.status,
        "exec_id": f"e{state.order_id}-{after.sequence}",
        "destination": "SIMULATION",
        "last_quantity": change.quantity if traded else None,
        "last_price": change.price if traded else None,
        "cumulative": after.cumulative,
        "leaves": after.leaves,
        "cumulative_notional": decimal_of(after.notional),
        "flags": int(after.flags),
        "receive_time": Timestamp(20),
        "record_time": Timestamp(21),
        "trade_date": "2013-10-08",
        "source": ReportSource.DRIVER,
    }
    return Report(**(fields | changes))


def make_posting(quantity: int, amount: int, **changes: Any) -> Posting:
    """Return a posting of a signed quantity and amount, both scaled."""
    fields: dict[str, Any] = {
        "posting_id": 5000,
        "environment": Environment.DEMO,
        "trading_account_id": 7,
        "instrument_id": 42,
        "currency": Currency("USD"),
        "quantity": quantity,
        "amount": amount,
        "kind": PostingKind.TRADE,
        "time": Timestamp(22),
        "trade_date": "2013-10-08",
        "business_date": "2013-10-08",
    }
    return Posting(**(fields | changes))
