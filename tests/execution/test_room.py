"""Order Execution with its clients, its upstreams and a feed: what traders see."""

from typing import Any

from spire.execution.values import OrderScope
from spire.locator.values import Right
from spire.marketdata.server import MarketDataServer
from spire.values.amounts import whole
from spire.values.orders import ExecType, Side, Status, TimeInForce, TradingSession
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable, Unsupported
from tests.execution.room import FOUR, ExecutionRoomTestCase, Follower
from tests.values.examples import dollars, shares


class FillTests(ExecutionRoomTestCase):
    """Orders meet the market."""

    def test_a_market_order_fills_and_is_posted(self) -> None:
        """The submit is acknowledged, the fill follows on the account's activity, the ledger moves with it."""
        view = self.submit(Side.BUY, 100)
        self.assertEqual(view.status, Status.PENDING_NEW)
        self.assertEqual(self.follower.told(), ["SUBMITTED", "NEW", "TRADE 100@14.02"])
        (posting,) = self.follower.postings
        self.assertEqual((posting.quantity, posting.amount), (shares(100), -whole(1402)))
        self.assertEqual([event.sequence for event in self.follower.events], [1, 2, 3])

    def test_a_resting_limit_fills_at_its_limit_when_a_quote_reaches_it(self) -> None:
        """In parts, as far as what is displayed goes; the report names the quote."""
        view = self.submit(Side.BUY, 100, 14.01)
        self.show(13.98, 100, 14.00, 60)
        self.show(13.98, 100, 14.01, 500)
        self.assertEqual(self.follower.told(), ["SUBMITTED", "NEW", "TRADE 60@14.01", "TRADE 40@14.01"])
        self.assertEqual(self.order(view).status, Status.FILLED)
        first, second = self.follower.reports[1:]
        self.assertEqual((second.quote_sequence or 0) - (first.quote_sequence or 0), 1)

    def test_an_ioc_order_does_not_wait(self) -> None:
        """200 are there; the rest is cancelled."""
        view = self.submit(Side.BUY, 300, time_in_force=TimeInForce.IOC)
        self.assertEqual(self.follower.told(), ["SUBMITTED", "NEW", "TRADE 200@14.02", "CANCELED"])
        self.assertEqual(self.order(view).cumulative, shares(200))

    def test_tags_come_back_as_they_were(self) -> None:
        """With the answer, with a query and on the activity."""
        tags = {10_001: "desk 4", 58: "\u00e9t\u00e9"}
        view = self.submit(Side.BUY, 100, tags=tags)
        self.assertEqual([view.submission.tags, self.order(view).submission.tags], [tags, tags])
        (submission,) = [event.submission for event in self.follower.events if event.submission is not None]
        self.assertEqual(submission.tags, tags)

    def test_an_upstream_loss_leaves_no_hole(self) -> None:
        """Quotes that were missed meanwhile fill afterwards."""
        self.submit(Side.BUY, 100, 13.95)
        self.platform.network.faults.refuse.add("127.0.0.1:20300")
        self.platform.network.drop("market_data_service")
        self.show(13.90, 100, 13.94, 100)
        self.show(13.98, 100, 14.00, 100)
        self.assertEqual(self.refused(Side.BUY, 1).coded, "QUOTE_STALE")
        self.platform.network.faults.refuse.clear()
        self.advance(5.0)
        self.assertEqual(self.follower.told()[:2], ["SUBMITTED", "NEW"])
        self.assertIn("TRADE 100@13.95", self.follower.told())

    def test_quotes_are_followed_without_the_book(self) -> None:
        """It may be large, and the order waits."""
        asked: list[bool] = []
        original = MarketDataServer.snapshot

        def snapshot(*arguments: Any, with_book: bool) -> Any:
            asked.append(with_book)
            return original(*arguments, with_book=with_book)

        self.patch(MarketDataServer, "snapshot", snapshot)
        self.submit(Side.BUY, 100)
        self.assertEqual(asked, [False])

    def test_orders_expire_at_the_end_of_their_session(self) -> None:
        """At 16:00 by the market's clock, confirmed by the venue; after it a DAY order is refused."""
        view = self.submit(Side.BUY, 100, 13.50)
        extended = self.submit(Side.BUY, 100, 13.50, trading_session=TradingSession.EXTENDED)
        self.show(13.98, 100, 14.00, 100, seconds=(FOUR - self.now) / 10**9)
        self.advance(1.5)
        self.assertEqual(self.order(view).status, Status.EXPIRED)
        self.assertEqual(self.order(extended).status, Status.NEW)
        self.assertEqual(self.refused(Side.BUY, 100, 13.50).coded, "SESSION_ENDED")

    def test_another_trade_date_ends_a_day_order(self) -> None:
        """The venue's next session is another day."""
        view = self.submit(Side.BUY, 100, 13.50)
        self.platform.run(self.feed.end())
        self.is_ended = True
        self.feed = self.open_feed("2013-10-09")
        self.advance(1.5)
        self.assertEqual(self.order(view).status, Status.EXPIRED)


class RefusalTests(ExecutionRoomTestCase):
    """What is not taken has a code and a reason."""

    def test_an_order_beyond_buying_power_is_refused(self) -> None:
        """With limit and observed value; live orders and positions count; equality passes."""
        self.submit(Side.BUY, 5000, 10)
        error = self.refused(Side.BUY, 5001, 10)
        self.assertEqual(error.coded, "BUYING_POWER")
        self.assertEqual((error.details["limit"], error.details["observed"]), ("100000", "100010"))
        self.submit(Side.BUY, 5000, 10)

    def test_a_refused_order_is_recorded(self) -> None:
        """Submission and rejection are one event, and the client order id is used."""
        request = self.request(Side.BUY, 100, 14.005)
        first = self.refusal(self.client.submit(request))
        second = self.refusal(self.client.submit(request))
        self.assertEqual((first.coded, second.coded), ("OFF_TICK", "OFF_TICK"))
        self.assertEqual(first.details, second.details)
        self.advance(0.1)
        (event,) = self.follower.events
        assert event.report is not None
        self.assertEqual((event.report.exec_type, event.report.reason), (ExecType.REJECTED, "OFF_TICK"))

    def test_an_order_beyond_the_position_is_refused(self) -> None:
        """Pending sells count: two cannot over-close."""
        self.assertEqual(self.refused(Side.SELL, 1).coded, "SHORT_REQUIRED")
        self.submit(Side.BUY, 100)
        self.submit(Side.SELL, 60, 15)
        self.assertEqual(self.refused(Side.SELL, 41, 15).coded, "SHORT_REQUIRED")
        self.submit(Side.SELL, 40, 15)

    def test_what_makes_no_sense_is_not_recorded(self) -> None:
        """INVALID names the argument, NOT_FOUND the ticker; the activity stays empty."""
        invalid = self.refused(Side.BUY, -1, 14)
        self.assertIsInstance(invalid, Invalid)
        self.assertEqual(invalid.details["argument"], "quantity")
        self.assertIsInstance(self.refused(Side.BUY, 1, 14, ticker="NOPE.XNYS"), NotFound)
        self.assertIsInstance(self.refused(Side.BUY, 1, 14, ticker="nonsense"), Invalid)
        self.assertIsInstance(self.refused(Side.BUY, 1, 14, currency="EUR"), Invalid)
        self.assertEqual(self.follower.events, [])

    def test_what_this_release_does_not_do_is_unsupported(self) -> None:
        """Never treated as something else."""
        for changes in (
            {"time_in_force": TimeInForce.GTC},
            {"trading_session": TradingSession.OVERNIGHT},
            {"stop_price": dollars(13)},
            {"display_quantity": shares(10)},
        ):
            self.assertIsInstance(self.refused(Side.BUY, 1, 14, **changes), Unsupported, changes)
        self.assertIsInstance(self.refused(Side.SELL_SHORT, 1, 14), Unsupported)

    def test_a_silent_feed_stops_opening_orders_only(self) -> None:
        """Without a heartbeat for 5 s a quote is stale; reducing goes on, and waits for a quote."""
        self.submit(Side.BUY, 100)
        self.platform.network.faults.refuse.add("127.0.0.1:20400")
        self.platform.network.drop("market_data_feed_service")
        self.advance(7.0)
        self.assertEqual(self.refused(Side.BUY, 100).coded, "QUOTE_STALE")
        view = self.submit(Side.SELL, 100)
        self.assertEqual(self.order(view).status, Status.NEW)
        self.platform.network.faults.refuse.clear()
        self.advance(5.0)
        self.show(13.98, 100, 14.00, 100)
        self.assertEqual(self.order(view).status, Status.FILLED)

    def test_a_one_sided_quote_stops_opening_orders(self) -> None:
        """So does a crossed one."""
        self.show(14.00, 100, None, 0)
        self.assertEqual(self.refused(Side.BUY, 100, 14).coded, "QUOTE_ONE_SIDED")
        self.show(14.03, 100, 14.02, 100)
        self.assertEqual(self.refused(Side.BUY, 100, 14).coded, "QUOTE_CROSSED")

    def test_a_stranger_may_nothing(self) -> None:
        """No order, no cancel, no look, each FORBIDDEN."""
        view = self.submit(Side.BUY, 100, 13)
        stranger = self.trader("demo_market_data")
        self.assertIsInstance(self.refusal(stranger.submit(self.request(Side.BUY, 1, 13))), Forbidden)
        self.assertIsInstance(self.refusal(stranger.cancel(view.order_id)), Forbidden)
        self.assertIsInstance(self.refusal(stranger.orders(self.account.trading_account_id)), Forbidden)
        follower = Follower()
        stranger.follow(self.account.trading_account_id, follower)
        self.advance(0.2)
        self.assertEqual([type(error) for error in follower.errors], [Forbidden])
        self.assertEqual(self.result(stranger.trading_accounts()), ())
        self.assertEqual(self.order(view).status, Status.NEW)


class RightsTests(ExecutionRoomTestCase):
    """Rights change while sessions are open."""

    def test_a_right_that_is_withdrawn_ends_at_once(self) -> None:
        """The trader sees no more of the account and submits nothing; when it comes back, so does he."""
        directory = self.rooms.link("administrator").calls
        account, number = self.client_account(), self.account.trading_account_id
        self.submit(Side.BUY, 100, 13.5)
        self.result(directory.grant(account, number, Right.NONE))
        self.addCleanup(lambda: self.result(directory.grant(account, number, Right.VIEW | Right.TRADE)))
        self.advance(3.0)
        self.assertIsInstance(self.follower.errors[-1], Forbidden)
        self.assertIsInstance(self.refused(Side.BUY, 100, 13.5), Forbidden)
        self.assertIsInstance(self.refusal(self.client.orders(number)), Forbidden)

    def test_whoever_is_no_trader_any_more_orders_nothing(self) -> None:
        """At once his session ends; when he comes back, he may not. Given back the role, he trades his account again."""
        self.move(add="auditor", remove="trader:demo")
        self.assertIsInstance(self.refused(Side.BUY, 100, 13.5), Unavailable)
        self.advance(3.0)
        self.assertIsInstance(self.refused(Side.BUY, 100, 13.5), Forbidden)
        self.assertEqual(self.follower.told(), [])
        self.move(add="trader:demo", remove="auditor")
        self.advance(3.0)
        self.assertEqual(self.submit(Side.BUY, 100, 13.5).status, Status.PENDING_NEW)

    def move(self, *, add: str, remove: str) -> None:
        """Give the trader another role in place of one."""
        administration, account = self.rooms.administration, self.client_account()
        self.result(administration.change_roles(account, add=(add,), remove=(remove,), reason="moved"))

    def client_account(self) -> int:
        """Return the trader's account."""
        return self.rooms.link("demo_trader").login.account_id


class OrderTests(ExecutionRoomTestCase):
    """Orders by their ids."""

    def test_a_cancel_ends_an_order(self) -> None:
        """A second one comes too late, and buying power is free again."""
        view = self.submit(Side.BUY, 7000, 14)
        self.assertEqual(self.result(self.client.cancel(view.order_id)).status, Status.CANCELED)
        self.assertIsInstance(self.refusal(self.client.cancel(view.order_id)), Conflict)
        self.assertIsInstance(self.refusal(self.client.cancel(2**40)), NotFound)
        self.submit(Side.BUY, 7000, 14)

    def test_the_same_client_order_id_is_one_order(self) -> None:
        """With the same content; with other content it is CONFLICT."""
        request = self.request(Side.BUY, 100, 13.5)
        first, second = self.result(self.client.submit(request)), self.result(self.client.submit(request))
        self.assertEqual(first.order_id, second.order_id)
        changed = self.request(Side.BUY, 101, 13.5, client_order_id=request.client_order_id)
        self.assertIsInstance(self.refusal(self.client.submit(changed)), Conflict)
        self.advance(0.1)
        self.assertEqual(self.follower.told(), ["SUBMITTED", "NEW"])

    def test_an_absent_client_order_id_is_made(self) -> None:
        """By the library, before the call."""
        view = self.submit(Side.BUY, 100, 13.5, client_order_id="")
        self.assertEqual(len(view.submission.client_order_id), 24)

    def test_orders_are_found(self) -> None:
        """Live ones, all of them in pages, one by its client order id."""
        requests = [self.request(Side.BUY, 1, 13.5) for _ in range(30)]
        views = [self.result(self.client.submit(request)) for request in requests]
        self.result(self.client.cancel(views[0].order_id))
        number = self.account.trading_account_id
        self.assertEqual(len(self.result(self.client.orders(number))), 30)
        self.assertEqual(len(self.result(self.client.orders(number, scope=OrderScope.LIVE))), 29)
        (found,) = self.result(self.client.orders(number, client_order_id=requests[7].client_order_id))
        self.assertEqual(found.order_id, views[7].order_id)
        self.assertIsInstance(self.refusal(self.client.order(number, 2**40)), NotFound)

    def test_activity_is_followed_from_its_beginning(self) -> None:
        """Also by who comes late: what memory has let go comes from the store."""
        self.submit(Side.BUY, 100)
        self.advance(70.0)
        late = Follower()
        self.client.follow(self.account.trading_account_id, late, after=0)
        self.advance(0.3)
        self.assertEqual(late.events, self.follower.events)
        self.assertEqual(late.told(), ["SUBMITTED", "NEW", "TRADE 100@14.02"])
