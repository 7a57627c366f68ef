"""The Risk Server watches: positions and profit, and whether Order Execution knows that it does."""

from typing import Any

from twisted.internet.defer import Deferred

from spire.accounting.portfolio import profit
from spire.accounting.position import Position
from spire.database.errors import StoreDown, TooLong
from spire.execution.client import OrderExecutionClient
from spire.locator.directory import Directory
from spire.marketdata.server import MarketDataServer
from spire.risk import tap
from spire.risk.kept import KeptPosition, Place, Saved
from spire.risk.portfolios import Portfolios
from spire.risk.server import RiskService
from spire.risk.supervision import Watched
from spire.risk.values import MarkSource, Portfolio
from spire.values.amounts import Money
from spire.values.codes import Currency
from spire.values.orders import Side
from tests.risk.room import BAC, IBM, RiskRoomTestCase
from tests.values.examples import dollars, shares


class ProfitTests(RiskRoomTestCase):
    """What an account makes."""

    is_shared = True
    size = 100_000

    def test_the_profit_of_a_day_is_that_of_an_independent_calculation(self) -> None:
        """From the postings that the trader sees and the quote that he sees."""
        self.submit(Side.BUY, 100)
        self.submit(Side.SELL, 40, 14.00)
        self.quote(14.10, 14.12)
        portfolio = self.portfolio()
        expected = profit(self.ledger.portfolio, {BAC: dollars(14.10)})
        self.assertEqual((portfolio.realised, portfolio.unrealised), (expected.realised, expected.unrealised))
        self.assertEqual(portfolio.day_profit, expected.total)
        self.assertEqual(portfolio.day_profit, dollars(60 * 0.08 - 40 * 0.02))
        self.assertTrue(portfolio.is_fresh)
        self.assertFalse(portfolio.is_blind)

    def test_positions_come_with_their_marks(self) -> None:
        """A long position at the bid."""
        self.submit(Side.BUY, 100)
        _, (position,) = self.run_(self.risk.load(self.account))
        self.assertEqual((position.instrument_id, position.quantity), (BAC, shares(100)))
        self.assertEqual((position.mark, position.mark_source), (dollars(14.00), MarkSource.BBO))

    def test_without_bids_the_last_print_that_counts_is_the_mark(self) -> None:
        """A print that does not update the last price is passed over."""
        self.submit(Side.BUY, 100)
        self.print_(13.95)
        self.quote(None, 14.02)
        _, (position,) = self.run_(self.risk.load(self.account))
        self.assertEqual((position.mark, position.mark_source), (dollars(13.95), MarkSource.TRADE))

    def test_portfolios_are_followed_live(self) -> None:
        """By whoever may see the account, at most once a second."""
        view = self.risk.portfolio(self.account)
        positions = self.risk.positions(self.account)
        self.run_(view.when_ready())
        self.submit(Side.BUY, 100)
        self.quote(14.50, 14.52)
        self.advance(1.5)
        row = view.rows[str(self.account)]
        self.assertEqual(row.day_profit, dollars(48))
        self.assertEqual(positions.rows[str(BAC)].unrealised, dollars(48))
        changes: list[int] = []
        view.observe_version(lambda: changes.append(1))
        for step in range(8):
            self.quote(14.50 - step / 100, 14.52)
        self.assertTrue(1 <= len(changes) <= 4, changes)

    def test_a_new_trading_account_is_watched_at_once(self) -> None:
        """Its first order is taken, and its profit counted."""
        account = self.trader("ben")
        self.advance(1.5)
        orders = self.orders_of("ben")
        self.run_(orders.submit(self.request(Side.BUY, 100, trading_account_id=account)))
        self.advance(1.0)
        self.assertEqual(self.portfolio(account).day_profit, -dollars(2))


class KeepingTests(RiskRoomTestCase):
    """What is kept, and what is told although something goes wrong."""

    def test_positions_are_resumed_after_a_restart(self) -> None:
        """From the place that was kept; what happened meanwhile is booked on top."""
        self.submit(Side.BUY, 100)
        self.advance(1.5)
        self.platform.stop("risk")
        self.submit(Side.SELL, 40, 14.00)
        self.start_risk()
        self.run_(self.risk.session.when_ready())
        self.advance(1.0)
        portfolio, (position,) = self.run_(self.risk.load(self.account))
        self.assertEqual((position.quantity, portfolio.realised), (shares(60), -dollars(0.8)))

    def test_marks_are_followed_without_the_book(self) -> None:
        """It may be large, and positions would have no mark."""
        asked: list[bool] = []
        original = MarketDataServer.snapshot

        def snapshot(*arguments: Any, with_book: bool) -> Any:
            asked.append(with_book)
            return original(*arguments, with_book=with_book)

        self.submit(Side.BUY, 100)
        self.patch(MarketDataServer, "snapshot", snapshot)
        self.restart_risk()
        self.assertEqual(set(asked), {False})

    def test_what_was_not_written_before_the_end_is_booked_again(self) -> None:
        """Positions and place are those of one moment, so that nothing is missing and nothing counts twice."""
        self.submit(Side.BUY, 100)
        self.advance(1.5)
        self.store.is_down = True
        self.submit(Side.BUY, 50)
        self.submit(Side.SELL, 40, 14.00)
        self.platform.stop("risk")
        self.store.is_down = False
        self.start_risk()
        self.run_(self.risk.session.when_ready())
        self.advance(1.0)
        _, (position,) = self.run_(self.risk.load(self.account))
        expected = self.ledger.portfolio.position(BAC)
        assert expected is not None
        self.assertEqual(position.quantity, shares(110))
        self.assertEqual((position.cost, position.realised), (expected.cost, expected.realised))

    def test_an_account_that_leaves_the_directory_and_comes_back_is_worked_out_anew(self) -> None:
        """Its place is behind what was booked before, and its book was forgotten."""
        self.submit(Side.BUY, 100)
        self.advance(1.5)
        made: list[tuple[RiskService, Directory]] = []

        class Known(RiskService):
            def __init__(self, *, directory: Directory, **parts: Any) -> None:
                super().__init__(directory=directory, **parts)
                made.append((self, directory))

        self.patch(tap, "RiskService", Known)
        self.restart_risk()
        ((service, directory),) = made
        entry = directory.get(self.account)
        assert entry is not None
        directory.remove(self.account)
        service.directory_changed()
        directory.put(entry)
        service.directory_changed()
        self.advance(2.0)
        _, (position,) = self.run_(self.risk.load(self.account))
        self.assertEqual(position.quantity, shares(100))

    def test_positions_of_another_epoch_are_worked_out_anew(self) -> None:
        """What was kept belongs to a ledger that is gone."""
        self.submit(Side.BUY, 100)
        self.advance(1.5)
        self.platform.stop("risk")
        wrong = Position(currency=Currency("USD"), quantity=shares(5_000), cost=Money(dollars(1)))
        self.run_(
            self.store.save(
                Saved(
                    places=(Place(trading_account_id=self.account, epoch=99, sequence=3),),
                    positions=tuple(
                        KeptPosition(trading_account_id=self.account, instrument_id=number, position=wrong)
                        for number in (BAC, IBM)
                    ),
                )
            )
        )
        self.start_risk()
        self.run_(self.risk.session.when_ready())
        self.advance(2.0)
        _, positions = self.run_(self.risk.load(self.account))
        held = {each.instrument_id: each.quantity for each in positions if each.quantity}
        self.assertEqual(held, {BAC: shares(100)})
        kept = [each for each in self.run_(self.store.load()).positions if each.position.quantity]
        self.assertEqual([(each.instrument_id, each.position.quantity) for each in kept], [(BAC, shares(100))])

    def test_the_last_write_waits_for_the_one_under_way(self) -> None:
        """Where that one fails its positions go with the last, not only the place behind them."""
        self.quote(20.00, 20.02, instrument=IBM)
        save, gate = self.store.save, list[Deferred[None]]()

        async def slow(saved: Saved) -> None:
            if not gate and saved.places:
                gate.append(Deferred())
                await gate[0]
            await save(saved)

        self.patch(self.store, "save", slow)
        self.submit(Side.BUY, 100, settle=1.5)
        self.assertEqual(len(gate), 1)
        self.submit(Side.BUY, 10, ticker="IBM.XNYS")
        stopping = Deferred.fromCoroutine(self.platform.rooms.pop("risk").stop())
        self.advance(0.5)
        gate[0].errback(StoreDown("it went away"))
        self.run_(stopping)
        self.start_risk()
        self.run_(self.risk.session.when_ready())
        self.advance(1.5)
        _, positions = self.run_(self.risk.load(self.account))
        held = {each.instrument_id: each.quantity // 10**6 for each in positions}
        self.assertEqual(held, {BAC: self.held(), IBM: self.held(IBM)})
        self.assertEqual(held, {BAC: 100, IBM: 10})

    def test_a_store_that_is_away_stops_nobody(self) -> None:
        """What could not be written goes with the next; the server says that it is degraded."""
        self.store.is_down = True
        self.submit(Side.BUY, 100)
        self.advance(1.5)
        self.assertIn("positions are not written", self.platform.states()["risk"])
        self.store.is_down = False
        self.advance(1.5)
        self.assertEqual(self.platform.states()["risk"], "ready")
        (position,) = self.run_(self.store.load()).positions
        self.assertEqual(position.position.quantity, shares(100))

    def test_what_the_store_refuses_is_not_lost(self) -> None:
        """Whatever it has against it: it goes with the next, and the server says so meanwhile."""
        self.store.refusal = TooLong("a value does not fit")
        self.submit(Side.BUY, 100)
        self.advance(1.5)
        self.assertIn("positions are not written: a value does not fit", self.platform.states()["risk"])
        self.store.refusal = None
        self.advance(1.5)
        self.assertEqual(self.platform.states()["risk"], "ready")
        kept = self.run_(self.store.load())
        self.assertEqual([each.position.quantity for each in kept.positions], [shares(100)])
        self.assertTrue([each for each in kept.places if each.trading_account_id == self.account])

    def test_a_row_that_cannot_be_published_keeps_no_other_back(self) -> None:
        """It is logged once, and told as soon as it can be."""
        account = self.trader("ben")
        view = self.risk.portfolios()
        self.run_(view.when_ready())
        self.advance(1.5)
        row = Portfolios._portfolio

        def fail(portfolios: Portfolios, watched: Watched) -> Portfolio:
            if watched.account_id == account:
                raise ValueError("its row does not fit")
            return row(portfolios, watched)

        patch = self.patch(Portfolios, "_portfolio", fail)
        for number, trader in ((account, "ben"), (self.account, "demo_trader")):
            orders = self.orders_of(trader)
            self.run_(orders.submit(self.request(Side.BUY, 100, trading_account_id=number)))
        self.advance(2.5)
        self.assertEqual(view.rows[str(self.account)].day_profit, -dollars(2))
        self.assertEqual(view.rows[str(account)].day_profit, 0)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        patch.restore()
        self.advance(1.5)
        self.assertEqual(view.rows[str(account)].day_profit, -dollars(2))


class SupervisionTests(RiskRoomTestCase):
    """Order Execution knows whether Risk watches."""

    def test_without_risk_nothing_is_opened(self) -> None:
        """Five seconds after its last sign of life; what reduces passes."""
        self.submit(Side.BUY, 100)
        self.platform.stop("risk")
        self.advance(6.0)
        self.assertEqual(self.refused(Side.BUY, 1).coded, "RISK_UNSUPERVISED")
        self.submit(Side.SELL, 100)
        self.start_risk()
        self.advance(1.0)
        self.submit(Side.BUY, 1)

    def test_order_execution_hears_up_to_which_account_risk_watches(self) -> None:
        """The greatest that Risk knows: a new one with the next sign of life, none while the directory is away."""
        heard: list[int] = []
        supervise = OrderExecutionClient.supervise

        async def listen(client: OrderExecutionClient, blind: tuple[int, ...] = (), *, through: int) -> None:
            heard.append(through)
            await supervise(client, blind, through=through)

        self.patch(OrderExecutionClient, "supervise", listen)
        self.advance(1.5)
        self.assertEqual(set(heard), {self.account})
        account = self.trader("ben")
        self.advance(1.5)
        self.assertEqual(heard[-1], max(self.account, account))
        heard.clear()
        self.platform.stop("service-locator")
        self.advance(1.5)
        self.assertEqual(set(heard), {max(self.account, account)})

    def test_an_account_in_a_currency_without_rate_is_blind(self) -> None:
        """Its orders that open are refused, and the server says why it is degraded."""
        account = self.trader("ben", currency="ZAR")
        self.advance(1.5)
        self.assertEqual(self.portfolio(account).unconverted, ("USD",))
        self.assertTrue(self.portfolio(account).is_blind)
        request = self.request(Side.BUY, 1, trading_account_id=account)
        self.assertEqual(self.refusal(self.orders_of("ben").submit(request)).coded, "RISK_UNSUPERVISED")
        self.assertIn("1 trading accounts cannot be watched: ben", self.platform.states()["risk"])

    def test_the_server_says_that_its_market_data_is_away(self) -> None:
        """And an account that holds something is blind."""
        self.submit(Side.BUY, 100)
        self.platform.stop("market-data-relay")
        self.advance(2.0)
        self.assertIn("market_data_relay_service", self.platform.states()["risk"])
        self.assertTrue(self.portfolio().is_blind)
