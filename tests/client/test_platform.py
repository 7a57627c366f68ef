"""The client library on the platform in one process."""

from pathlib import Path

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.client.deployment import Deployment, LocatorAddresses
from spire.client.platform import Spire
from spire.client.positions import ActivityLedger
from spire.execution.values import OrderRequest, OrderView
from spire.locator.credentials import CachedLogin, Password
from spire.service.secrets import read_text
from spire.testing.platform import Platform
from spire.values.amounts import Price, parse_price, parse_quantity
from spire.values.environment import Environment
from spire.values.orders import OrderType, Side, Status
from spire.wire.client_session import ClientSession
from spire.wire.errors import CredentialsRefused, NotFound, Unavailable

SERVERS = (
    "service-locator", "uid", "definitions", "administration", "market-data", "market-data-relay", "compliance",
    "order-execution", "risk", "simulation-feed",
)  # fmt: skip
ORDERS = "order_execution_service"


class PlatformTests(SynchronousTestCase):
    """A trader's way to every server; the rooms are shared by the tests."""

    rooms: Platform | None = None

    def setUp(self) -> None:
        """Start the rooms, once."""
        if PlatformTests.rooms is None:
            PlatformTests.rooms = Platform(Path(self.mktemp()).absolute())
            PlatformTests.rooms.start(*SERVERS)
            PlatformTests.rooms.advance(3.0)
        self.platform = PlatformTests.rooms

    @classmethod
    def tearDownClass(cls) -> None:
        """Stop them."""
        if cls.rooms is not None:
            cls.rooms.stop()
            cls.rooms = None

    def make(self, how: Password | CachedLogin | None = None) -> Spire:
        """Return a client that has not logged in yet."""
        layout = self.platform.instance.layout
        if how is None:
            how = Password(account="demo_trader", password=self.platform.instance.password("demo_trader"))
        locator = LocatorAddresses(addresses=("127.0.0.1:20000",), authority=read_text(layout.tls / "authority.pem"))
        return Spire(
            how,
            Deployment(environment=Environment.DEMO, locator=locator),
            clock=self.platform.clock,
            connector=self.platform.network,
            random_bytes=self.platform.parts().random_bytes,
        )

    def open(self, how: Password | CachedLogin | None = None) -> Spire:
        """Return a client that is logged in, and closed at the end."""
        spire = self.make(how)
        self.platform.run(spire.open())
        self.addCleanup(lambda: self.platform.run(spire.close()))
        return spire

    def submit(self, spire: Spire, quantity: str = "10", limit: str | None = None) -> OrderView:
        """Submit an order, and return it as acknowledged."""
        price: Price | None = None if limit is None else parse_price(limit)

        async def submit() -> OrderView:
            await spire.ready(ORDERS)
            account = await spire.orders.trading_account("demo_trader")
            request = OrderRequest(
                client_order_id=spire.orders.client_order_id(),
                trading_account_id=account.trading_account_id,
                ticker="ACME.DEMO",
                side=Side.BUY,
                type=OrderType.MARKET if price is None else OrderType.LIMIT,
                quantity=parse_quantity(quantity),
                limit_price=price,
            )
            return await spire.orders.submit(request)

        return self.platform.run(submit())

    def test_a_market_order_is_settled_when_it_is_filled(self) -> None:
        """The acknowledgement says less."""
        spire = self.open()
        order = self.submit(spire)
        self.assertEqual(order.status, Status.PENDING_NEW)
        self.assertEqual(self.platform.run(spire.settled(order)).status, Status.FILLED)

    def test_a_resting_order_is_settled_while_it_rests(self) -> None:
        """Nobody waits for what may never come."""
        spire = self.open()
        began = self.platform.clock.monotonic()
        order = self.platform.run(spire.settled(self.submit(spire, limit="0.01")))
        self.assertEqual(order.status, Status.NEW)
        self.assertLess(self.platform.clock.monotonic() - began, 1.5)
        self.platform.run(spire.orders.cancel(order.order_id))
        self.assertEqual(self.platform.run(spire.settled(order)).status, Status.CANCELED)

    def test_waiting_for_an_orders_fate_leaves_no_timer(self) -> None:
        """Whether it is over or given up."""
        spire = self.open()
        order = self.submit(spire, limit="0.01")
        waiting = Deferred.fromCoroutine(spire.settled(order))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.platform.run(spire.orders.cancel(order.order_id))

    def test_an_accounts_positions_follow_its_fills(self) -> None:
        """Live, behind what there was."""
        spire = self.open()
        order = self.platform.run(spire.settled(self.submit(spire)))
        ledger = ActivityLedger(spire.orders, order.submission.trading_account_id)
        self.platform.run(ledger.when_ready())
        (instrument,) = ledger.portfolio.positions
        before = ledger.portfolio.positions[instrument].quantity
        self.submit(spire, "5")
        self.platform.advance(1.0)
        self.assertEqual(ledger.portfolio.positions[instrument].quantity - before, parse_quantity("5"))
        ledger.close()

    def test_activity_that_one_may_not_see_fails_who_waits(self) -> None:
        """With the server's reason."""
        spire = self.open()
        ledger = ActivityLedger(spire.orders, 987_654)
        self.assertRaises(NotFound, self.platform.run, ledger.when_ready())

    def test_activity_that_cannot_be_read_ends_the_wait(self) -> None:
        """After the time that the caller gives it, with a code; the ledger itself goes on trying."""
        spire = self.open()
        self.platform.network.faults.refuse.add("127.0.0.1:20700")
        self.addCleanup(self.platform.network.faults.refuse.discard, "127.0.0.1:20700")
        began = self.platform.clock.monotonic()
        ledger = ActivityLedger(spire.orders, 1)
        self.assertRaises(Unavailable, self.platform.run, ledger.when_ready(5.0))
        self.assertTrue(5.0 <= self.platform.clock.monotonic() - began < 6.0)
        ledger.close()

    def test_a_kept_login_goes_on_without_the_password(self) -> None:
        """Until it is ended, and then never again."""
        first = self.open()
        kept = first.cached_login
        self.assertEqual((kept.account, kept.environment), ("demo_trader", Environment.DEMO))
        again = self.open(CachedLogin(login_session=kept.login_session, key=kept.key))
        self.assertEqual((again.account, again.account_id), ("demo_trader", first.account_id))
        self.platform.run(again.logout())
        late = self.make(CachedLogin(login_session=kept.login_session, key=kept.key))
        self.assertRaises(CredentialsRefused, self.platform.run, self.entered(late))

    async def entered(self, spire: Spire) -> None:
        """Enter and leave."""
        async with spire:
            pass

    def test_a_wrong_password_is_refused_and_closes_everything(self) -> None:
        """The `async with` block is never entered."""
        spire = self.make(Password(account="demo_trader", password="wrong"))
        self.assertRaises(CredentialsRefused, self.platform.run, self.entered(spire))
        self.assertFalse(spire.link.is_ready)

    def test_slow_services_are_told_once_each_with_the_reason(self) -> None:
        """So that a person knows why nothing happens."""
        spire, told = self.open(), list[tuple[str, str]]()

        def tell(session: ClientSession) -> None:
            told.append((session.service, session.reason))

        spire.on_slow = tell
        self.assertRaises(Unavailable, self.platform.run, spire.ready("charting_service", 4.0))
        ((service, reason),) = told
        self.assertEqual(service, "charting_service")
        self.assertIn("No server of charting_service", reason)
        self.platform.run(spire.ready(ORDERS))
        self.assertEqual(len(told), 1)
