"""Both Market Data stores keep the contract."""

from collections.abc import Sequence
from typing import ClassVar

from twisted.trial.unittest import TestCase

from spire.database.transaction import Transaction
from spire.marketdata.interfaces import Stored
from spire.marketdata.memory import MemoryMarketDataStore
from spire.marketdata.store import MERGE_BELOW, MySqlMarketDataStore
from spire.marketdata.values import RecordType
from spire.testing.database import DatabaseTestCase
from tests.marketdata.records import trades
from tests.marketdata.store_contract import MarketDataStoreContract


class MemoryMarketDataStoreTests(MarketDataStoreContract, TestCase):
    """The contract on the memory twin."""

    def setUp(self) -> None:
        """Make an empty store."""
        self.store = MemoryMarketDataStore()
        self.begin()

    async def commit(self, items: Sequence[Stored]) -> None:
        """Write frames."""
        self.store.write(None, items)


class MySqlMarketDataStoreTests(MarketDataStoreContract, DatabaseTestCase):
    """The contract on MySQL, and how blocks stand in the table."""

    rooms: ClassVar[tuple[tuple[str, str], ...]] = (("spire.marketdata", "marketdata"),)

    async def prepare(self) -> None:
        """Make a store on the open database."""
        self.store = MySqlMarketDataStore(self.database)
        self.begin()

    async def commit(self, items: Sequence[Stored]) -> None:
        """Write frames in one transaction."""

        def write(transaction: Transaction) -> None:
            self.store.write(transaction, items)

        await self.database.run("test", write)

    async def test_small_blocks_grow(self) -> None:
        """A quiet instrument does not leave a block for each commit; a new feed session begins a new one."""
        await self.commit([self.opened(1)])
        for number in range(10):
            await self.commit([self.batch(1, RecordType.TRADE, trades([1] * 3, start_time=1000 + number))])
        await self.commit([self.opened(2), self.batch(2, RecordType.TRADE, trades([1] * 3))])
        counts = self.schema.execute("SELECT record_count FROM marketdata_blocks ORDER BY first_sequence")
        self.assertEqual(counts, [(30,), (3,)])
        self.assertEqual((await self.read())["sequence"].tolist(), list(range(1, 34)))

    async def test_a_small_last_block_keeps_nothing_else_in_memory(self) -> None:
        """A record of a quiet instrument comes among many of a busy one."""
        await self.commit([self.opened(1), self.batch(1, RecordType.TRADE, trades([1] * 1000 + [2]))])
        tail = self.store._tails[2, RecordType.TRADE]
        assert tail is not None
        self.assertIsNone(tail.base)

    async def test_grown_blocks_are_left_alone(self) -> None:
        """A block that has its size is not written again."""
        await self.commit([self.opened(1), self.batch(1, RecordType.TRADE, trades([1] * MERGE_BELOW))])
        await self.commit([self.batch(1, RecordType.TRADE, trades([1] * 3))])
        counts = self.schema.execute("SELECT record_count FROM marketdata_blocks ORDER BY first_sequence")
        self.assertEqual(counts, [(MERGE_BELOW,), (3,)])
