"""The simulated destination beside matching: replacements, words of others, restarts."""

import datetime
from typing import Any, cast

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from spire.execution.drivers.simulation import SimulationDriver
from spire.execution.interfaces import IDriver
from spire.execution.matching import Quote
from spire.execution.upstream import ALL_SESSIONS, Hours, MarketUpstream
from spire.execution.values import Execution, OrderView
from spire.values.amounts import Quantity, decimal_of
from spire.values.orders import ExecType, Status, TimeInForce
from spire.values.status import submitted
from spire.values.submission import Submission, terms_of
from spire.values.time import Timestamp
from tests.execution.examples import instrument
from tests.values.examples import dollars, make_submission, shares


class View:
    """A view that nobody changes."""

    def observe_version(self, callback: Any) -> None:
        """Take note of nobody."""


class Market:
    """An open market with one quote."""

    def __init__(self) -> None:
        self.listener: Any = None
        self.markets = type("Markets", (), {"view": View()})()
        self.followed: list[int] = []

    def follow(self, wanted: Any) -> None:
        """Note what is followed."""
        self.followed.append(wanted.instrument_id)

    def is_prepared(self, _: int) -> bool:
        """Say yes."""
        return True

    def is_stale(self, _: Any) -> bool:
        """Say no."""
        return False

    def market_time(self, _: Any) -> Timestamp:
        """Return a moment."""
        return Timestamp(50)

    def hours(self, *_: Any) -> Hours:
        """Return that all is open."""
        return Hours(trade_date=datetime.date(2013, 10, 8).isoformat(), open_sessions=ALL_SESSIONS)

    def window_end(self, *_: Any) -> tuple[bool, Timestamp | None]:
        """Return the end of the day."""
        return True, Timestamp(100)


def view(submission: Submission, status: Status = Status.PENDING_NEW) -> OrderView:
    """Return an order as it was before a restart."""
    state = submitted(submission)
    return OrderView(
        submission=submission,
        status=status,
        quantity=state.quantity,
        cumulative=state.cumulative,
        leaves=state.leaves,
        cumulative_notional=decimal_of(state.notional),
        updated=Timestamp(1),
    )


class SimulationTests(SynchronousTestCase):
    """A driver with BAC at 14.00 to 14.02."""

    def setUp(self) -> None:
        """Show the quote."""
        self.said: list[Execution] = []
        self.market = Market()
        self.driver = SimulationDriver(
            upstream=cast("MarketUpstream", self.market),
            find_instrument=lambda _: instrument(),
            report=self.said.append,
        )
        quote = Quote(
            sequence=1,
            bid=dollars(14),
            bid_size=shares(500),
            ask=dollars(14.02),
            ask_size=shares(500),
            time=Timestamp(5),
        )
        self.driver.caught_up(instrument(), quote, {})

    def kinds(self) -> list[str]:
        """Return what was said since the last question."""
        kinds = [each.exec_type.name for each in self.said]
        self.said.clear()
        return kinds

    def test_it_is_a_driver(self) -> None:
        """No method is missing."""
        self.assertTrue(verifyObject(IDriver, self.driver))

    def test_a_replacement_is_confirmed_with_its_version(self) -> None:
        """The rest works on under the new terms."""
        order = make_submission(limit_price=dollars(13.9))
        self.driver.submit(order)
        self.kinds()
        self.driver.replace(1, 2, evolve(terms_of(order), quantity=shares(50)), actor=3)
        (word,) = self.said
        self.assertEqual((word.exec_type, word.version, word.order_quantity), (ExecType.REPLACED, 2, shares(50)))

    def test_a_replacement_below_what_filled_is_refused(self) -> None:
        """And the order works on as it was."""
        order = make_submission(quantity=shares(600), limit_price=dollars(14.02))
        self.driver.submit(order)
        self.assertEqual(self.kinds(), ["NEW", "TRADE"])
        self.driver.replace(1, 2, evolve(terms_of(order), quantity=shares(500)), actor=3)
        self.assertEqual(self.kinds(), ["REPLACE_REJECTED"])
        self.driver.cancel(1, None)
        self.assertEqual(self.kinds(), ["CANCELED"])

    def test_what_does_not_rest_cannot_be_cancelled_or_replaced(self) -> None:
        """The answer says so."""
        self.driver.cancel(9, None)
        self.driver.replace(9, 2, terms_of(make_submission()), None)
        self.assertEqual(self.kinds(), ["CANCEL_REJECTED", "REPLACE_REJECTED"])

    def test_a_fill_made_elsewhere_takes_from_the_rest(self) -> None:
        """What a person reports is passed on, and not filled again."""
        self.driver.submit(make_submission(limit_price=dollars(13.9)))
        self.kinds()
        self.driver.update(Execution(order_id=1, exec_type=ExecType.TRADE, quantity=shares(100), price=dollars(13.9)))
        self.assertEqual(self.kinds(), ["TRADE"])
        self.driver.cancel(1, None)
        self.assertEqual(self.kinds(), ["CANCEL_REJECTED"])

    def test_restored_orders_rest_without_trading(self) -> None:
        """Unacknowledged ones are acknowledged; IOC and FOK are over."""
        self.driver.restore(
            [
                view(make_submission(order_id=1), Status.NEW),
                view(make_submission(order_id=2, limit_price=dollars(15))),
                view(make_submission(order_id=3, time_in_force=TimeInForce.FOK)),
            ]
        )
        self.assertEqual(
            [(each.order_id, each.exec_type.name) for each in self.said], [(2, "NEW"), (3, "NEW"), (3, "CANCELED")]
        )
        self.assertEqual(self.market.followed, [42, 42])

    def test_what_an_earlier_run_took_is_not_there_twice(self) -> None:
        """A quote of which all was taken fills nobody."""
        driver = SimulationDriver(
            upstream=cast("MarketUpstream", self.market),
            find_instrument=lambda _: instrument(),
            report=self.said.append,
        )
        quote = Quote(
            sequence=1, bid=dollars(14), bid_size=shares(5), ask=dollars(14.02), ask_size=shares(5), time=Timestamp(5)
        )
        side = make_submission().side
        driver.caught_up(instrument(), quote, {side: Quantity(shares(5))})
        driver.submit(make_submission(limit_price=dollars(15)))
        self.assertEqual(self.kinds(), ["NEW"])
