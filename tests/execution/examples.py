"""Activity, instruments and requests for the tests of Order Execution."""

import datetime
from typing import Any

from spire.administration.values import Limits, LimitTerms
from spire.compliance.values import Violation
from spire.definitions.instruments import Alias, Instrument, InstrumentType, Terms
from spire.definitions.rates import Conversion
from spire.definitions.values import Destination, TickStep, TickTable
from spire.execution.firm import firm_events
from spire.execution.orders import Order, Orders
from spire.execution.reports import Stamp, refused, reported
from spire.execution.values import Activity, Execution, Halt, OrderRequest, Refusal, Written
from spire.values.amounts import Money
from spire.values.audit import AuditEvent
from spire.values.codes import Currency, Venue
from spire.values.orders import ExecType, OrderType, Side
from spire.values.submission import Submission
from spire.values.tickers import Ticker
from spire.values.time import Timestamp
from tests.values.examples import dollars, shares

ACCOUNT = 7
BAC = 42

TICKS = TickTable(name="us", steps=(TickStep(from_price=dollars(0), tick=dollars(0.01)),))
USD = Currency("USD")
RATE = Conversion(numerator=1, denominator=1, rate_ids=())

DESTINATION = Destination(
    name="SIMULATION", description="", driver="simulation", venues=(Venue("XNYS"),), preferred_for=(Venue("XNYS"),)
)


def instrument(**changes: Any) -> Instrument:
    """Return BAC."""
    terms: dict[str, Any] = {
        "effective_from": datetime.date(2000, 1, 1),
        "type": InstrumentType.EQUITY,
        "listing_venue": Venue("XNYS"),
        "currency": Currency("USD"),
        "tick_table": "us",
        "order_increment": shares(1),
        "round_lot": shares(100),
    }
    return Instrument(
        instrument_id=BAC,
        name="Bank of America",
        aliases=(Alias(ticker=Ticker("BAC", Venue("XNYS")), effective_from=datetime.date(2000, 1, 1)),),
        terms=(Terms(**(terms | changes)),),
    )


def limits(buying_power: Money, **changes: Any) -> Limits:
    """Return limits of the account, version 4."""
    terms: dict[str, Any] = {
        "currency": USD,
        "buying_power": buying_power,
        "net_loss": Money(0),
        "transition_seconds": 60,
    }
    return Limits(
        trading_account_id=ACCOUNT,
        terms=LimitTerms(**(terms | changes)),
        version=4,
        reason="",
        actor=1,
        effective_from=Timestamp(1),
    )


def request(**changes: Any) -> OrderRequest:
    """Return a request to buy 100 BAC at 14."""
    fields: dict[str, Any] = {
        "client_order_id": "a-1",
        "trading_account_id": ACCOUNT,
        "ticker": "BAC.XNYS",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "quantity": shares(100),
        "limit_price": dollars(14),
    }
    return OrderRequest(**(fields | changes))


def stamp(number: int) -> Stamp:
    """Return ids and a time made of a number."""
    return Stamp(
        now=Timestamp(1000 + number), business_date="2013-10-08", report_id=10_000 + number, posting_id=20_000 + number
    )


class Teller:
    """Makes the events of one account, one after the other, and folds them into `orders`."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.number = 0

    def submitted(self, submission: Submission) -> Activity:
        """Return the event of a submission."""
        self.number += 1
        return self._told(
            Activity(
                sequence=self._next(submission.trading_account_id),
                epoch=self.orders.epoch,
                time=Timestamp(1000 + self.number),
                trading_account_id=submission.trading_account_id,
                submission=submission,
            )
        )

    def refused(self, submission: Submission, refusal: Refusal) -> Activity:
        """Return the event of a refused submission."""
        self.number += 1
        return self._told(
            refused(
                submission,
                refusal,
                stamp(self.number),
                epoch=self.orders.epoch,
                sequence=self._next(submission.trading_account_id),
            )
        )

    def said(self, exec_type: ExecType, order_id: int, **fields: Any) -> Activity:
        """Return the event of what a driver says of an order."""
        self.number += 1
        order = self.order(order_id)
        execution = Execution(order_id=order_id, exec_type=exec_type, **fields)
        return self._told(
            reported(
                order,
                execution,
                stamp(self.number),
                epoch=self.orders.epoch,
                sequence=self._next(order.submission.trading_account_id),
            )
        )

    def filled(self, order_id: int, count: int, price: float, **fields: Any) -> Activity:
        """Return the event of a fill."""
        return self.said(ExecType.TRADE, order_id, quantity=shares(count), price=dollars(price), **fields)

    def order(self, order_id: int) -> Order:
        """Return an order that is known."""
        order = self.orders.find(order_id)
        assert order is not None
        return order

    def _next(self, trading_account_id: int) -> int:
        return self.orders.account(trading_account_id).sequence + 1

    def _told(self, activity: Activity) -> Activity:
        self.written = self.orders.fold(activity)
        return activity


def tell_of_the_firm(orders: Orders, now: int, content: Halt | Violation | AuditEvent) -> Written:
    """Fold the firm's next event and return what it writes."""
    (event,) = firm_events(orders, Timestamp(now), content)
    return orders.fold(event)
