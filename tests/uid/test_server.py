"""The Uid Server and its client, over a network in memory."""

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase

from spire.database.errors import StoreDown
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.testing.clock import ManualClock
from spire.testing.network import MemoryNetwork
from spire.uid.block import RESTORE_MARGIN, Block
from spire.uid.client import BLOCK_SIZE, ENOUGH, MARK, UidSource
from spire.uid.commands import ReserveBlock
from spire.uid.high_water import HighWaterFile
from spire.uid.memory import MemoryCounter, MemoryUidStore
from spire.uid.server import UidService
from spire.uid.tap import SERVICE, UidAvatars
from spire.values.environment import Environment
from spire.wire.addresses import FixedAddresses
from spire.wire.arguments import Integer
from spire.wire.client_session import ClientSession
from spire.wire.commands import Command
from spire.wire.errors import Forbidden, Invalid, Unavailable
from spire.wire.server_session import ServerFactory
from spire.wire.ticket_credentials import TicketCredentials
from tests.wire.support import Tickets

ADDRESS = "127.0.0.1:20900"


class Store(MemoryUidStore):
    """A counter that can be away."""

    is_down = False

    async def next_id(self) -> int:
        self.check()
        return await super().next_id()

    async def reserve(self, size: int, at_least: int) -> Block:
        self.check()
        return await super().reserve(size, at_least)

    def check(self) -> None:
        """Raise StoreDown while away."""
        if self.is_down:
            raise StoreDown("the store is away")


class UidCase(SynchronousTestCase):
    """A Uid Server that listens."""

    def setUp(self) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.tasks = Tasks(self.clock, self.metrics)
        self.network = MemoryNetwork(self.clock)
        self.counter = MemoryCounter()
        self.store = Store(self.counter)
        self.mark = HighWaterFile(Path(self.mktemp()))
        self.service = self.started()
        self.serve(self.service)

    def started(self) -> UidService:
        """Start a service on the counter and the mark, as a new process would."""
        service = UidService(self.store, self.mark, run_in_thread=execute, metrics=self.metrics)
        self.successResultOf(Deferred.fromCoroutine(service.start()))
        return service

    def serve(self, service: UidService, capabilities: frozenset[str] = frozenset({"uid.reserve"})) -> None:
        """Listen."""
        self.tickets = Tickets(self.clock, audiences=(SERVICE,), capabilities=capabilities)
        factory = ServerFactory(
            service=SERVICE,
            instance_id="uid-1",
            epoch=1,
            environment=Environment.DEMO,
            avatars=UidAvatars(service),
            verifier=self.tickets.verifier(),
            clock=self.clock,
            tasks=self.tasks,
            metrics=self.metrics,
        )
        self.port = self.successResultOf(self.network.listen(ADDRESS, SERVICE, factory))

    def session(self) -> ClientSession:
        """Return a client's session that is started."""
        session = ClientSession(
            SERVICE,
            addresses=FixedAddresses(SERVICE, (ADDRESS,), Environment.DEMO),
            connector=self.network,
            credentials=TicketCredentials(self.tickets, self.tasks),
            environment=Environment.DEMO,
            clock=self.clock,
            tasks=self.tasks,
            metrics=self.metrics,
            chance=lambda: 0.0,
        )
        session.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(session.stop()))
        self.clock.pump(3)
        return session

    def reserve(
        self, session: ClientSession, size: int, command: type[Command] = ReserveBlock
    ) -> Deferred[dict[str, Any]]:
        """Ask for a block, and let the network move."""
        asked = Deferred.fromCoroutine(session.call(command, size=size))
        self.clock.pump(2)
        return asked


class AnySize(Command):
    """`ReserveBlock` of a client that does not know the bounds."""

    commandName = ReserveBlock.commandName  # noqa: N815 (Twisted's name)
    arguments = [(b"size", Integer())]
    response = ReserveBlock.response


class ServerTests(UidCase):
    """Blocks over the wire."""

    def test_blocks_are_reserved_for_who_may(self) -> None:
        """Each call has the next block."""
        session = self.session()
        self.assertEqual(self.successResultOf(self.reserve(session, 100))["first"], 1)
        self.assertEqual(self.successResultOf(self.reserve(session, 1_000_000))["first"], 101)
        self.assertEqual(self.counter.next_id, 1_000_101)

    def test_a_stranger_to_the_capability_is_refused(self) -> None:
        """And nothing is reserved."""
        self.port.stopListening()
        self.serve(self.service, frozenset())
        self.failureResultOf(self.reserve(self.session(), 100), Forbidden)
        self.assertEqual(self.counter.next_id, 1)

    def test_a_size_out_of_range_is_invalid(self) -> None:
        """What a foreign client sends is refused by name."""
        session = self.session()
        for size in (0, -1, 1_000_001):
            self.failureResultOf(self.reserve(session, size, AnySize), Invalid)
        self.assertEqual(self.counter.next_id, 1)

    def test_while_the_store_is_away_callers_are_told(self) -> None:
        """UNAVAILABLE, and afterwards it goes on."""
        session = self.session()
        self.store.is_down = True
        self.failureResultOf(self.reserve(session, 100), Unavailable)
        self.store.is_down = False
        self.assertEqual(self.successResultOf(self.reserve(session, 100))["first"], 1)

    def test_the_mark_is_durable_before_the_answer(self) -> None:
        """It is the end of the last block."""
        self.successResultOf(self.reserve(self.session(), 100))
        self.assertEqual(self.mark.load(), 101)

    def test_a_block_whose_mark_cannot_be_written_is_not_given_out(self) -> None:
        """The identifiers are lost, which is no harm; the next block is behind them."""
        session = self.session()
        self.patch(self.mark, "store", lambda mark: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        self.failureResultOf(self.reserve(session, 100), Unavailable)
        self.patch(self.mark, "store", lambda mark: None)
        self.assertEqual(self.successResultOf(self.reserve(session, 100))["first"], 101)

    def test_a_restored_database_is_skipped_past(self) -> None:
        """A counter behind the mark would give out identifiers again."""
        self.successResultOf(self.reserve(self.session(), 1000))
        self.counter.next_id = 1
        self.port.stopListening()
        self.network.drop()
        self.serve(self.started())
        self.assertEqual(self.successResultOf(self.reserve(self.session(), 10))["first"], 1001 + RESTORE_MARGIN)
        self.assertEqual(self.counter.next_id, 1011 + RESTORE_MARGIN)


class SourceTests(UidCase):
    """Identifiers in hand."""

    def source(self) -> UidSource:
        """Return a source that is started."""
        source = UidSource(self.session(), clock=self.clock, tasks=self.tasks, metrics=self.metrics)
        source.start()
        self.clock.pump(4)
        return source

    def test_enough_are_in_hand_before_it_is_ready(self) -> None:
        """10,000 at least, so that cancels and fills outlive MySQL."""
        source = self.source()
        self.successResultOf(Deferred.fromCoroutine(source.when_ready()))
        self.assertGreaterEqual(source.in_hand, ENOUGH)
        self.assertEqual([source.next() for _ in range(3)], [1, 2, 3])

    def test_below_the_mark_more_is_fetched_in_the_background(self) -> None:
        """Nobody waits, and the hand never holds fewer than enough."""
        source = self.source()
        least = source.in_hand
        taken = []
        for _ in range(60_000):
            taken.append(source.next())
            if len(taken) % 100 == 0:
                self.clock.pump(2)
            least = min(least, source.in_hand)
        self.assertGreaterEqual(least, ENOUGH)
        self.assertEqual(taken, list(range(1, 60_001)))

    def test_identifiers_in_hand_outlive_the_store_and_the_server(self) -> None:
        """MARK of them can be given out, then it says that it is dry."""
        source = self.source()
        self.store.is_down = True
        taken = {source.next() for _ in range(BLOCK_SIZE)}
        self.clock.advance(1)
        self.assertEqual(len(taken), BLOCK_SIZE)
        self.assertRaises(Unavailable, source.next)

    def test_it_refills_when_the_store_is_back(self) -> None:
        """By itself, within the longest pause."""
        source = self.source()
        self.store.is_down = True
        for _ in range(BLOCK_SIZE - 1):
            source.next()
        self.clock.advance(60)
        self.assertEqual(source.in_hand, 1)
        self.store.is_down = False
        self.clock.advance(6)
        self.assertGreaterEqual(source.in_hand, MARK)

    def test_it_refills_at_once_when_the_server_is_back(self) -> None:
        """A session that is ready again ends the pause."""
        source = self.source()
        self.port.stopListening()
        self.network.drop()
        for _ in range(5_000):
            source.next()
        self.clock.advance(10)
        before = source.in_hand
        self.serve_again()
        self.clock.advance(40)
        self.assertGreater(source.in_hand, before)

    def serve_again(self) -> None:
        """Let a second server of the same schema listen, with the same keys."""
        tickets = self.tickets
        self.serve(self.started())
        self.tickets.keys.update(tickets.keys)

    def test_no_identifier_comes_from_two_sources(self) -> None:
        """Two processes on one server."""
        first, second = self.source(), self.source()
        taken = [source.next() for _ in range(500) for source in (first, second)]
        self.assertEqual(len(set(taken)), 1_000)

    def test_whoever_waits_is_told_when_it_stops(self) -> None:
        """Nothing hangs at stop."""
        self.store.is_down = True
        source = self.source()
        waiting = Deferred.fromCoroutine(source.when_ready())
        self.assertNoResult(waiting)
        self.successResultOf(Deferred.fromCoroutine(source.stop()))
        self.failureResultOf(waiting, Unavailable)
