"""What drivers say is booked once, in order, and never lost for want of an id."""

from typing import Any, cast

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from spire.execution.booking import Booking
from spire.execution.chronicle import Chronicle
from spire.execution.orders import Orders
from spire.execution.values import Activity, Execution, Written
from spire.runtime.metrics import Metrics
from spire.testing.clock import ManualClock
from spire.values.amounts import Price
from spire.values.orders import ExecType, Status
from spire.wire.errors import Unavailable
from tests.execution.examples import ACCOUNT, BAC, Teller
from tests.values.examples import dollars, make_submission, shares


class Ids:
    """Ids until there are none."""

    def __init__(self) -> None:
        self.left = 100
        self.given = 0

    def next(self) -> int:
        """Return the next id, or raise Unavailable."""
        if not self.left:
            raise Unavailable("none in hand")
        self.left -= 1
        self.given += 1
        return self.given


class Taken:
    """Stands where the chronicle takes events."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self.written: list[Written] = []

    def fold(self, event: Activity) -> Written:
        """Fold an event."""
        return self._orders.fold(event)

    def append(self, written: Written, **_: Any) -> None:
        """Keep an event."""
        self.written.append(written)


def fill(exec_id: str | None = None, count: int = 10) -> Execution:
    """Return a fill of order 1."""
    return Execution(order_id=1, exec_type=ExecType.TRADE, exec_id=exec_id, quantity=shares(count), price=dollars(14))


class BookingTests(SynchronousTestCase):
    """One order that a driver talks about."""

    def setUp(self) -> None:
        """Submit an order."""
        self.orders = Orders(epoch=1)
        Teller(self.orders).submitted(make_submission())
        self.clock = ManualClock()
        self.ids = Ids()
        self.taken = Taken(self.orders)
        self.booking = Booking(
            orders=self.orders,
            chronicle=cast("Chronicle", self.taken),
            ids=self.ids,
            business_day=lambda: None,
            firm_zone="America/New_York",
            clock=self.clock,
            metrics=Metrics(),
        )

    @property
    def told(self) -> list[tuple[str, str]]:
        """Return kind and execution id of each report, in order."""
        reports = [item.activity.report for item in self.taken.written]
        return [(report.exec_type.name, report.exec_id) for report in reports if report is not None]

    def test_a_fill_is_a_report_and_a_posting(self) -> None:
        """Dated by the firm's day."""
        self.booking.report(fill())
        (item,) = self.taken.written
        assert item.activity.posting is not None
        self.assertEqual((item.activity.sequence, item.activity.posting.business_date), (2, "2013-10-08"))

    def test_the_same_execution_again_changes_nothing(self) -> None:
        """A venue that repeats itself is heard once."""
        self.booking.report(fill("x1"))
        self.booking.report(fill("x1"))
        self.assertEqual(self.told, [("TRADE", "x1")])

    def test_the_same_id_with_other_content_is_kept_apart(self) -> None:
        """Nothing is dropped, and somebody is told."""
        self.booking.report(fill("x1"))
        self.booking.report(fill("x1", 20))
        self.assertEqual(self.told, [("TRADE", "x1"), ("TRADE", "x1#3")])

    def test_reports_wait_in_order_for_ids(self) -> None:
        """The Uid Server is away and the hand is empty: a fill and the cancel behind it come later."""
        self.ids.left = 0
        self.booking.report(fill("x1"))
        self.booking.report(Execution(order_id=1, exec_type=ExecType.CANCELED, exec_id="x2"))
        self.clock.advance(3.0)
        self.assertEqual(self.told, [])
        self.ids.left = 10
        self.clock.advance(1.0)
        self.assertEqual(self.told, [("TRADE", "x1"), ("CANCELED", "x2")])

    def test_an_impossible_report_is_not_booked(self) -> None:
        """A second cancel is an alarm, not an event."""
        self.booking.report(Execution(order_id=1, exec_type=ExecType.CANCELED))
        self.booking.report(Execution(order_id=1, exec_type=ExecType.CANCELED))
        self.assertEqual(len(self.taken.written), 1)

    def test_a_fill_beyond_what_can_be_sent_changes_nothing(self) -> None:
        """Its amount does not fit 64 bits: an alarm, and neither a hole in the activity nor a position that no store takes."""
        self.booking.report(evolve(fill(), price=Price(2**63 - 1)))
        self.booking.report(fill())
        self.assertEqual([item.activity.sequence for item in self.taken.written], [2])
        order = self.orders.find(1)
        assert order is not None
        self.assertEqual(order.state.cumulative, shares(10))
        self.assertEqual(self.orders.account(ACCOUNT).held(BAC), shares(10))

    def test_a_late_fill_is_booked(self) -> None:
        """After the cancel, flagged."""
        self.booking.report(Execution(order_id=1, exec_type=ExecType.CANCELED))
        self.booking.report(fill())
        order = self.orders.find(1)
        assert order is not None
        self.assertEqual((order.state.status, order.state.cumulative), (Status.CANCELED, shares(10)))

    def test_a_report_of_nobody_is_an_alarm(self) -> None:
        """It books nothing."""
        self.booking.report(Execution(order_id=404, exec_type=ExecType.NEW))
        self.assertEqual(self.told, [])
