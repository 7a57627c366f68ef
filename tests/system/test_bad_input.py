"""What real servers do with bad input: a coded error at the right place, and they stay up for everybody else."""

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue

from spire.client.platform import Spire
from spire.execution.commands import ListTradingAccounts
from spire.execution.values import OrderRequest
from spire.operations.processes import OperationError
from spire.values.amounts import Price, Quantity
from spire.values.environment import Environment
from spire.values.orders import OrderType, Side
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.arguments import Bytes, Typed
from spire.wire.boxes import key_header
from spire.wire.commands import Command
from spire.wire.errors import CredentialsRefused, Forbidden, Invalid, NotAuthenticated, NotFound
from spire.wire.tickets import HeldTicket
from tests.system.case import CHECKOUT
from tests.system.peer import Forger, Peer
from tests.system.shared import SharedInstanceTestCase

SERVICE = "order_execution_service"
MINUTE = 60 * NANOSECONDS


class MakeCoffee(Command):
    """Nothing that any server knows."""


class SubmitAnything(Command):
    """SubmitOrder with bytes where an order belongs."""

    commandName = b"SubmitOrder"  # noqa: N815 - the name is Twisted's
    arguments = [(b"request", Bytes())]


class SubmitNumbers(Command):
    """SubmitOrder with an order of another shape."""

    commandName = b"SubmitOrder"  # noqa: N815 - the name is Twisted's
    arguments = [(b"request", Typed(dict[str, int]))]


class CredentialsTests(SharedInstanceTestCase):
    """Passwords, tickets and proofs that do not hold."""

    async def test_a_wrong_password_is_refused_and_the_right_one_still_holds(self) -> None:
        """NOT_AUTHENTICATED, for good: nothing tries again by itself."""
        await self.refused(self.client("demo_trader", "a wrong password"), CredentialsRefused)
        again = await self.client("demo_trader")
        self.assertEqual(again.account, "demo_trader")

    async def test_an_expired_ticket_is_refused(self) -> None:
        """By every service, without asking the Locator."""
        peer, held = await self.visitor()
        claims = self.forger.claims(held)
        past = {"issued": Timestamp(claims.issued - 10 * MINUTE), "expires": Timestamp(claims.issued - MINUTE)}
        error = await self.refused(self.presents(peer, held, **past), NotAuthenticated)
        self.assertIn("expired", error.message)
        await self.still_serves(peer, held)

    async def test_a_forged_ticket_is_refused(self) -> None:
        """Signed by another key under the name of the Locator's."""
        peer, held = await self.visitor()
        error = await self.refused(peer.present(self.forger.forged(held), peer.proof(held)), NotAuthenticated)
        self.assertIn("not one that the Service Locator signed", error.message)
        await self.still_serves(peer, held)

    async def test_a_ticket_for_another_service_is_refused(self) -> None:
        """A server that is lent a ticket cannot spend it elsewhere."""
        peer, held = await self.visitor()
        error = await self.refused(self.presents(peer, held, audiences=("uid_service",)), NotAuthenticated)
        self.assertIn(f"not for {SERVICE}", error.message)
        await self.still_serves(peer, held)

    async def test_a_ticket_of_another_environment_is_refused(self) -> None:
        """PRODUCTION's tickets are worth nothing here, nor ours there."""
        peer, held = await self.visitor()
        error = await self.refused(self.presents(peer, held, environment=Environment.PRODUCTION), NotAuthenticated)
        self.assertIn("PRODUCTION", error.message)
        await self.still_serves(peer, held)

    async def test_somebody_elses_ticket_is_refused(self) -> None:
        """A ticket without its key is paper."""
        peer, held = await self.visitor()
        other = await (await self.client("demo_market_data")).link.login.ticket()
        error = await self.refused(peer.present(other.ticket, peer.proof(held)), NotAuthenticated)
        self.assertIn("proof", error.message)
        await self.still_serves(peer, held)

    async def test_a_replayed_proof_is_refused(self) -> None:
        """What was overheard on one connection does not open another."""
        first, held = await self.visitor()
        overheard = first.proof(held)
        await first.present(held.ticket, overheard)
        second = await self.connect(self.trader, SERVICE)
        error = await self.refused(second.present(held.ticket, overheard), NotAuthenticated)
        self.assertIn("proof", error.message)
        await self.still_serves(second, held)

    async def test_a_feed_needs_the_capability(self) -> None:
        """FORBIDDEN at the door of the feeds' port, for a reader and a trader alike."""
        reader = await self.client("demo_market_data")
        peer = await self.connect(reader, "market_data_feed_service")
        await self.refused(peer.log_in(await reader.link.login.ticket()), Forbidden)
        feed = await self.client("replay_feed")
        await peer.log_in(await feed.link.login.ticket())

    async def visitor(self) -> tuple[Peer, HeldTicket]:
        """Return a connection to Order Execution that is not logged in, and a genuine ticket."""
        self.trader = await self.client("demo_trader")
        self.forger = Forger(self.instance)
        return await self.connect(self.trader, SERVICE), await self.trader.link.login.ticket()

    def presents(self, peer: Peer, held: HeldTicket, **changes: Any) -> Deferred[Any]:
        """Log in with a ticket of other claims."""
        return peer.present(self.forger.changed(held, **changes), peer.proof(held))

    async def still_serves(self, peer: Peer, held: HeldTicket) -> None:
        """Check that the same connection takes the genuine ticket, and serves."""
        await peer.log_in(held)
        await check_service(peer)


class WireTests(SharedInstanceTestCase):
    """What arrives is no command, or not one that makes sense."""

    async def test_an_unknown_command_is_not_found(self) -> None:
        """The connection stays."""
        peer, _ = await self.logged_in()
        await self.refused(peer.ask(MakeCoffee, {}), NotFound)
        await check_service(peer)

    async def test_arguments_that_do_not_parse_are_invalid_and_named(self) -> None:
        """The connection stays."""
        peer, _ = await self.logged_in()
        error = await self.refused(peer.ask(SubmitAnything, {"request": b"\xc1\xff\x00"}), Invalid)
        self.assertEqual(error.details["argument"], "request")
        await check_service(peer)

    async def test_an_argument_of_another_shape_is_invalid_and_named(self) -> None:
        """With the path to what is missing."""
        peer, _ = await self.logged_in()
        error = await self.refused(peer.ask(SubmitNumbers, {"request": {"quantity": 5}}), Invalid)
        self.assertEqual(error.details["argument"], "request")
        await check_service(peer)

    async def test_an_oversized_box_ends_its_connection_alone(self) -> None:
        """INVALID says why, before the rest of it has been read."""
        peer, other = await self.logged_in()
        peer.write_box(b"".join(key_header(b"k%d" % number) + b"\xff\xff" + b"x" * 65_535 for number in range(3)))
        await peer.lost
        assert peer.goodbye is not None
        self.assertEqual(peer.goodbye.coded, "INVALID")
        self.assertIn("larger than", peer.goodbye.message)
        await self.serves(other)

    async def test_garbage_ends_its_connection_alone(self) -> None:
        """As from a browser that tries the port."""
        peer, other = await self.logged_in()
        peer.write_box(b"GET / HTTP/1.1\r\nHost: spire\r\n\r\n")
        await peer.lost
        assert peer.goodbye is not None
        self.assertEqual(peer.goodbye.coded, "INVALID")
        await self.serves(other)

    async def test_a_negative_quantity_is_invalid_and_no_order(self) -> None:
        """INVALID names the field; nothing is recorded under its client order id."""
        trader = await self.client("demo_trader")
        await trader.ready(SERVICE)
        account = (await trader.orders.trading_account("demo_trader")).trading_account_id
        request = OrderRequest(
            client_order_id=trader.orders.client_order_id(),
            trading_account_id=account,
            ticker="ACME.DEMO",
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=Quantity(-100 * 10**6),
            limit_price=Price(10**6),
        )
        error = await self.refused(trader.orders.submit(request), Invalid)
        self.assertIn("quantity", error.message + error.details.get("argument", ""))
        self.assertEqual(await trader.orders.orders(account, client_order_id=request.client_order_id), ())

    async def logged_in(self) -> tuple[Peer, Spire]:
        """Return a connection that is logged in, and another client of the same server."""
        trader = await self.client("demo_trader")
        await trader.ready(SERVICE)
        peer = await self.connect(trader, SERVICE)
        await peer.log_in(await trader.link.login.ticket())
        return peer, trader

    async def serves(self, client: Spire) -> None:
        """Check that another session noticed nothing."""
        self.assertTrue(client.session(SERVICE).is_ready)
        self.assertEqual((await client.orders.trading_account("demo_trader")).name, "demo_trader")


class ConfigurationTests(SharedInstanceTestCase):
    """A configuration that says something nobody understands."""

    async def test_an_unknown_key_is_refused_with_file_line_and_key(self) -> None:
        """The process ends with status 1 before it opens anything, and whoever starts it is told."""
        self.restarts.add("charting")
        await self.in_thread(self.instance.stop, ["charting"])
        file = self.instance.layout.configuration("charting")
        good = file.read_text()
        line = good.splitlines().index("[server]") + 2
        try:
            file.write_text(good.replace("[server]\n", "[server]\ncolour = 'blue'\n"))
            error = await self.refused(self.in_thread(self.instance.start, ["charting"]), OperationError)
            self.assertIn(f"{file.name}:{line}: server.colour: unknown key", str(error))
            program, *arguments = self.instance.process("charting").command
            environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
            said, _, status = await getProcessOutputAndValue(program, arguments, environment)
            self.assertEqual(status, 1)
            self.assertIn(f"{file}:{line}: server.colour: unknown key", said.decode())
        finally:
            file.write_text(good)
            await self.in_thread(self.instance.start, ["charting"])


async def check_service(peer: Peer) -> None:
    """Check that a connection is served; AssertionError otherwise."""
    answer = await peer.ask(ListTradingAccounts, {"after": 0})
    assert [account.name for account in answer["accounts"]] == ["demo_trader"], answer
