"""Both stores keep the contract, and the one in MySQL also under pressure."""

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from spire.database.errors import CommitUnknown
from spire.testing.database import DatabaseTestCase
from spire.uid.block import Block
from spire.uid.interfaces import IUidStore
from spire.uid.memory import MemoryCounter, MemoryUidStore
from spire.uid.store import UidStore
from tests.uid.store_contract import UidStoreContract


class MemoryUidStoreTests(UidStoreContract, TestCase):
    """The twin in memory."""

    def setUp(self) -> None:
        self.counter = MemoryCounter()
        self.store = MemoryUidStore(self.counter)

    async def other_store(self) -> IUidStore:
        return MemoryUidStore(self.counter)


class MySqlUidStoreTests(UidStoreContract, DatabaseTestCase):
    """The counter in MySQL."""

    rooms = (("spire.uid", "uid"),)

    async def prepare(self) -> None:
        """Make the store."""
        self.store: IUidStore = UidStore(self.database)

    async def other_store(self) -> IUidStore:
        return UidStore(await self.open_database())

    async def test_reservations_at_the_same_moment_are_disjoint(self) -> None:
        """Two servers with four connections each, in the first moment of a schema."""
        stores = [self.store, await self.other_store()]
        reserving = [Deferred.fromCoroutine(stores[index % 2].reserve(7, 0)) for index in range(40)]
        blocks = await gatherResults(reserving, consumeErrors=True)
        self.assertEqual(sorted(block.first for block in blocks), [1 + 7 * index for index in range(40)])

    async def test_a_reservation_whose_answer_was_lost_is_never_given_out(self) -> None:
        """The caller gets the block behind it."""
        run = self.database.run
        calls = []

        async def run_and_lose(name: str, function: object, *arguments: object) -> object:
            result = await run(name, function, *arguments)  # type: ignore[arg-type]
            calls.append(name)
            if len(calls) == 1:
                raise CommitUnknown("the connection was lost during commit")
            return result

        self.patch(self.database, "run", run_and_lose)
        self.assertEqual(await self.store.reserve(10, 0), Block(11, 10))

    async def test_a_server_killed_in_a_transaction_gives_nothing_out(self) -> None:
        """Its lock and its change go with its connection."""
        other = await self.open_database()

        def die(transaction: object) -> None:
            transaction.execute("INSERT IGNORE INTO uid_counter (id, next_id) VALUES (1, 1)")  # type: ignore[attr-defined]
            transaction.execute("UPDATE uid_counter SET next_id = 500 WHERE id = 1")  # type: ignore[attr-defined]
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            await other.run("die", die)
        self.assertEqual(await self.store.reserve(10, 0), Block(1, 10))
