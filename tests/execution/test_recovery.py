"""Order Execution without its store, without room on its disk, and after a crash at any moment."""

from typing import Any
from unittest.mock import patch

from spire.database.journal import JournalFull
from spire.execution.booking import Booking
from spire.execution.values import OrderScope, OrderView
from spire.values.orders import Side, Status, TimeInForce
from spire.values.status import Flag
from spire.wire.errors import Refused, SpireError, Unavailable
from tests.execution.room import ExecutionRoomTestCase, Follower


class StoreAwayTests(ExecutionRoomTestCase):
    """The database is away: what adds risk waits for it and ends, everything else acts from the journal."""

    def test_an_opening_order_ends_as_store_down(self) -> None:
        """After two seconds, recorded; nothing was sent, and buying power is free."""
        self.store.is_down = True
        before = self.clock.monotonic()
        error = self.refused(Side.BUY, 7000, 14)
        self.assertEqual(error.coded, "STORE_DOWN")
        self.assertTrue(2.0 <= self.clock.monotonic() - before < 3.0)
        self.assertEqual(self.follower.told(), ["SUBMITTED", "REJECTED"])
        self.store.is_down = False
        self.advance(5.0)
        self.assertEqual(self.follower.told(), ["SUBMITTED", "REJECTED"])
        self.submit(Side.BUY, 7000, 14)

    def test_a_live_order_can_be_asked_for(self) -> None:
        """What is in memory needs no store."""
        view = self.submit(Side.BUY, 100, 13.5)
        self.store.is_down = True
        self.assertEqual(self.order(view).status, Status.NEW)

    def test_an_opening_order_waits_for_a_short_absence(self) -> None:
        """A store that comes back in time takes it; a repeated call waits for the same answer."""
        self.store.is_down = True
        request = self.request(Side.BUY, 100)
        answers = [self.later(self.client.submit(request)) for _ in range(2)]
        self.advance(0.5)
        self.assertEqual(self.follower.told(), ["SUBMITTED"])
        self.store.is_down = False
        self.advance(3.0)
        views: list[OrderView] = [self.successResultOf(answer) for answer in answers]
        self.assertEqual(views[0].order_id, views[1].order_id)
        self.assertEqual(self.follower.told(), ["SUBMITTED", "NEW", "TRADE 100@14.02"])

    def test_a_cancel_acts_at_once(self) -> None:
        """Answered and visible within a second, and in the store afterwards."""
        view = self.submit(Side.BUY, 100, 13.5)
        self.store.is_down = True
        before = self.clock.monotonic()
        self.assertEqual(self.result(self.client.cancel(view.order_id)).status, Status.CANCELED)
        self.assertLess(self.clock.monotonic() - before, 1.0)
        self.assertEqual(self.follower.told(), ["SUBMITTED", "NEW", "CANCELED"])
        self.store.is_down = False
        self.advance(5.0)
        self.assertEqual(self.order(view).status, Status.CANCELED)

    def test_an_unrouted_order_can_be_cancelled(self) -> None:
        """It ends before it was sent, and its submit says so."""
        self.store.is_down = True
        submitted = self.later(self.client.submit(self.request(Side.BUY, 100, 13.5)))
        self.advance(0.2)
        order_id = self.follower.events[0].order_id
        self.assertEqual(self.result(self.client.cancel(order_id)).status, Status.CANCELED)
        self.store.is_down = False
        self.advance(3.0)
        self.assertEqual(self.successResultOf(submitted).status, Status.CANCELED)
        self.assertEqual(self.follower.told(), ["SUBMITTED", "CANCELED"])

    def test_a_cancel_that_has_no_id_yet_keeps_the_order_from_its_driver(self) -> None:
        """The store takes the order meanwhile: it is answered when it has ended, and was never sent."""
        self.store.is_down = True
        request = self.request(Side.BUY, 100)
        submitted = self.later(self.client.submit(request))
        self.advance(0.2)
        order_id = self.follower.events[0].order_id
        with patch.object(Booking, "stamp", side_effect=Unavailable("no id is in hand")):
            pending: OrderView = self.result(self.client.cancel(order_id))
            again = self.later(self.client.submit(request))
            self.result(self.client.cancel(order_id))
            self.store.is_down = False
            self.advance(1.5)
        self.assertEqual((pending.status, pending.flags), (Status.PENDING_NEW, Flag.PENDING_CANCEL))
        self.assertEqual((self.follower.told(), submitted.called, again.called), (["SUBMITTED"], False, False))
        self.advance(1.0)
        for answer in (submitted, again):
            self.assertEqual(self.successResultOf(answer).status, Status.CANCELED)
        self.assertEqual(self.follower.told(), ["SUBMITTED", "CANCELED"])

    def test_a_reducing_order_and_its_fill_act_at_once(self) -> None:
        """The position moves now, the store follows."""
        self.submit(Side.BUY, 100)
        self.store.is_down = True
        self.submit(Side.SELL, 100)
        self.assertEqual(self.follower.told()[-1], "TRADE 100@14")
        self.assertEqual(len(self.result(self.store.positions())), 1)
        self.store.is_down = False
        self.advance(5.0)
        (held,) = self.result(self.store.positions())
        self.assertEqual((held.position.quantity, held.position.cost), (0, 0))

    def test_live_orders_are_listed_from_memory(self) -> None:
        """History alone needs the store."""
        view = self.submit(Side.BUY, 100, 13.5)
        self.store.is_down = True
        found = self.result(self.client.orders(self.account.trading_account_id, scope=OrderScope.LIVE))
        self.assertEqual([each.order_id for each in found], [view.order_id])


class FullDiskTests(ExecutionRoomTestCase):
    """The journal has no room."""

    def fill_disk(self) -> None:
        """Let every write fail from here on."""
        self.before_write = self.no_room

    def test_an_order_is_refused_and_was_never_there(self) -> None:
        """With a code; its client order id and its buying power are free; the server stays up."""
        self.fill_disk()
        request = self.request(Side.BUY, 7000, 14)
        self.assertEqual(self.refusal(self.client.submit(request)).coded, "STORE_DOWN")
        self.assertEqual(self.refusal(self.client.submit(request)).coded, "STORE_DOWN")
        self.assertIn("journal", self.room.readiness.reasons)
        self.before_write = lambda: None
        self.advance(1.5)
        self.assertEqual(dict(self.room.readiness.reasons), {})
        self.assertEqual(self.follower.events, [])
        self.result(self.client.submit(request))
        self.advance(0.1)
        self.assertEqual(self.follower.told()[:2], ["SUBMITTED", "NEW"])
        self.flushLoggedErrors(JournalFull)

    def test_a_fill_is_kept_until_there_is_room(self) -> None:
        """It becomes visible late, in its place, and nothing is lost or doubled."""
        view = self.submit(Side.BUY, 100, 14.01)
        self.fill_disk()
        self.show(13.98, 100, 14.01, 60)
        self.assertEqual(self.follower.told(), ["SUBMITTED", "NEW"])
        self.refused(Side.BUY, 1, 13)
        self.before_write = lambda: None
        self.advance(2.5)
        self.show(13.98, 100, 14.00, 40)
        self.assertEqual(self.follower.told(), ["SUBMITTED", "NEW", "TRADE 60@14.01", "TRADE 40@14.01"])
        self.assertEqual([event.sequence for event in self.follower.events], [1, 2, 3, 4])
        self.assertEqual(self.order(view).status, Status.FILLED)


class CrashTests(ExecutionRoomTestCase):
    """The server dies and comes back on its store and journal."""

    def restart(self) -> None:
        """Crash, start again, and let everybody find his way back."""
        self.crash()
        self.serve()
        self.advance(5.0)
        self.assertTrue(self.client.session.is_ready)

    def everything(self) -> Follower:
        """Return the account's activity as somebody sees it who comes new."""
        follower = Follower()
        self.client.follow(self.account.trading_account_id, follower, after=0)
        self.advance(0.5)
        return follower

    def test_a_resting_order_survives(self) -> None:
        """It fills at a later quote; who followed sees neither a hole nor a repetition."""
        view = self.submit(Side.BUY, 100, 14.01)
        self.restart()
        self.show(13.98, 100, 14.00, 100)
        self.assertEqual(self.order(view).status, Status.FILLED)
        self.assertEqual(self.follower.told(), ["SUBMITTED", "NEW", "TRADE 100@14.01"])
        self.assertEqual(self.everything().events, self.follower.events)

    def test_positions_and_buying_power_survive(self) -> None:
        """What was held may be sold, and no more."""
        self.submit(Side.BUY, 100)
        self.restart()
        self.assertEqual(self.refused(Side.SELL, 101).coded, "SHORT_REQUIRED")
        self.submit(Side.SELL, 100)
        self.assertEqual(self.follower.told()[-1], "TRADE 100@14")

    def test_what_was_taken_of_a_quote_stays_taken(self) -> None:
        """The side still shows what it showed; only what was left can fill."""
        self.submit(Side.BUY, 150)
        self.show(13.99, 100, 14.02, 200)
        self.restart()
        self.submit(Side.BUY, 150, 14.02)
        self.assertEqual(self.follower.told()[-1], "TRADE 50@14.02")

    def test_a_side_that_changed_meanwhile_may_be_taken_again(self) -> None:
        """The change is found although the server was away."""
        self.submit(Side.BUY, 150)
        self.crash()
        self.show(13.99, 100, 14.03, 200)
        self.show(13.99, 100, 14.02, 200)
        self.serve()
        self.advance(5.0)
        self.submit(Side.BUY, 150, 14.02)
        self.assertEqual(self.follower.told()[-1], "TRADE 150@14.02")

    def test_an_order_that_the_store_does_not_hold_is_not_routed(self) -> None:
        """It was never acknowledged, and is never sent late."""
        self.store.is_down = True
        submitted = self.later(self.client.submit(self.request(Side.BUY, 100)))
        submitted.addErrback(lambda failure: failure.trap(SpireError))
        self.advance(0.5)
        self.crash()
        self.store.is_down = False
        self.serve()
        self.advance(5.0)
        self.assertEqual(self.follower.told(), ["SUBMITTED", "REJECTED"])
        self.assertEqual(self.follower.reports[0].reason, "NOT_ROUTED")

    def test_a_reducing_order_that_only_the_journal_holds_lives_on(self) -> None:
        """It was routed; the store gets it from the journal."""
        self.submit(Side.BUY, 100)
        self.store.is_down = True
        view = self.submit(Side.SELL, 100, 15)
        self.crash()
        self.store.is_down = False
        self.serve()
        self.advance(5.0)
        self.assertEqual(self.order(view).status, Status.NEW)
        stored: Any = self.result(self.store.order(view.order_id))
        self.assertEqual(stored.status, Status.NEW)

    def test_an_ioc_order_that_was_caught_by_the_crash_is_cancelled(self) -> None:
        """Its moment is over: the store held it, its driver had not answered."""
        answered = self.later(self.client.submit(self.request(Side.BUY, 100, time_in_force=TimeInForce.IOC)))
        answered.addErrback(lambda failure: failure.trap(SpireError))
        with patch("spire.execution.drivers.simulation.SimulationDriver.submit", lambda *_: None):
            self.advance(0.2)
        self.restart()
        self.assertEqual(self.follower.told(), ["SUBMITTED", "NEW", "CANCELED"])

    def test_a_client_order_id_is_remembered(self) -> None:
        """The same request after a restart is still one order, an ended one included."""
        request = self.request(Side.BUY, 100)
        first: OrderView = self.result(self.client.submit(request))
        self.advance(0.1)
        self.restart()
        second: OrderView = self.result(self.client.submit(request))
        self.assertEqual((first.order_id, second.status), (second.order_id, Status.FILLED))

    def test_a_refusal_is_remembered(self) -> None:
        """The same request after a restart is refused with the same reason."""
        request = self.request(Side.SELL, 100)
        first = self.refusal(self.client.submit(request))
        self.advance(0.1)
        self.restart()
        second = self.refusal(self.client.submit(request))
        self.assertIsInstance(second, Refused)
        self.assertEqual((first.coded, first.details), (second.coded, second.details))

    def test_a_journal_behind_its_store_is_refused(self) -> None:
        """Sequences would be given out twice."""
        self.submit(Side.BUY, 100)
        self.crash()
        for file in self.journal.iterdir():
            file.unlink()
        with self.assertRaises(Exception) as caught:
            self.serve()
        self.assertIn("restore the journal", str(caught.exception))
        self.flushLoggedErrors()
