"""What drivers say, booked: report and posting made, folded and appended, in the order in which they were said."""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from attrs import evolve
from twisted.logger import Logger

from spire.execution.chronicle import Chronicle
from spire.execution.orders import Order, Orders
from spire.execution.reports import Stamp, reported
from spire.execution.values import Execution
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.values.time import NANOSECONDS, Timestamp, local_date
from spire.wire.errors import Unavailable

RETRY_SECONDS: Final = 0.5

Callback = Callable[[], object]


class Ids(Protocol):
    """Where ids come from."""

    def next(self) -> int:
        """Return an id that nobody else gets; Unavailable when none is in hand."""


class Booking:
    """Makes reports of executions; what cannot get an id now waits in order."""

    _log = Logger()

    def __init__(
        self,
        *,
        orders: Orders,
        chronicle: Chronicle,
        ids: Ids,
        business_day: Callable[[], str | None],
        firm_zone: str,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._orders = orders
        self._chronicle = chronicle
        self._ids = ids
        self._business_day = business_day
        self._firm_zone = firm_zone
        self._clock = clock
        self._waiting: deque[tuple[Execution, Callback | None]] = deque()
        self._business_date = ("", Timestamp(0))
        self._reports = metrics.counter("spire_execution_reports", "Reports, by kind.", ["kind"])

    def report(self, execution: Execution, durable: Callback | None = None) -> None:
        """Book what a driver says of an order; `durable` is called when the journal holds it."""
        if self._waiting or not self._book(execution, durable):
            self._waiting.append((execution, durable))
            if len(self._waiting) == 1:
                self._clock.later(RETRY_SECONDS, self._again)

    def stamp(self) -> Stamp:
        """Return ids and time for a report. Raises Unavailable when no id is in hand."""
        return Stamp(
            now=self._clock.now(),
            business_date=self.business_date(),
            report_id=self._ids.next(),
            posting_id=self._ids.next(),
        )

    def business_date(self) -> str:
        """Return the firm's current business date; before the first was opened, the date in its zone."""
        opened = self._business_day()
        if opened is not None:
            return opened
        now = self._clock.now()
        date, until = self._business_date
        if now >= until:
            date = local_date(now, self._firm_zone).isoformat()
            self._business_date = (date, Timestamp(now // NANOSECONDS * NANOSECONDS + NANOSECONDS))
        return date

    def _book(self, execution: Execution, durable: Callback | None) -> bool:
        """Book it; False where there is no id for it now."""
        order = self._orders.find(execution.order_id)
        if order is None:
            self._log.critical("a report names order {order_id}, which is not known", order_id=execution.order_id)
            return True
        if execution.exec_id is not None and order.heard.get(execution.exec_id) == execution:
            return True
        try:
            stamp = self.stamp()
        except Unavailable:
            return False
        execution = self._told_apart(order, execution, stamp)
        account = self._orders.account(order.submission.trading_account_id)
        try:
            activity = reported(order, execution, stamp, epoch=self._orders.epoch, sequence=account.sequence + 1)
            entry = self._chronicle.fold(activity)
        except ValueError as error:  # it does not follow, or an amount or a text does not fit
            self._log.critical(
                "a report of order {order_id} cannot be booked: {error}",
                order_id=execution.order_id,
                error=str(error),
            )
            return True
        self._reports.labels(kind=execution.exec_type.name).inc()
        self._chronicle.append(entry, durable=durable)
        return True

    def _told_apart(self, order: Order, execution: Execution, stamp: Stamp) -> Execution:
        """Remember a driver's execution id; one that comes again with other content is kept under a name of its own."""
        if execution.exec_id is None:
            return execution
        if execution.exec_id not in order.heard:
            order.heard[execution.exec_id] = execution
            return execution
        self._log.critical(
            "execution {exec_id} of order {order_id} came again with other content",
            exec_id=execution.exec_id,
            order_id=execution.order_id,
        )
        return evolve(execution, exec_id=f"{execution.exec_id}#{stamp.report_id}")

    def _again(self) -> None:
        while self._waiting and self._book(*self._waiting[0]):
            self._waiting.popleft()
        if self._waiting:
            self._clock.later(RETRY_SECONDS, self._again)
