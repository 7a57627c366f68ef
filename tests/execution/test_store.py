"""Both stores of Order Execution keep the contract."""

from typing import ClassVar

from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from spire.execution.interfaces import IExecutionStore
from spire.execution.memory import MemoryExecutionStore
from spire.execution.store import ExecutionStore
from spire.testing.database import DatabaseTestCase
from tests.execution.store_contract import ExecutionStoreContract


class MemoryExecutionStoreTests(ExecutionStoreContract, TestCase):
    """The contract on the memory twin."""

    def setUp(self) -> None:
        """Make an empty store."""
        self.store = MemoryExecutionStore()

    def test_it_provides_the_interface(self) -> None:
        """No method is missing."""
        self.assertTrue(verifyObject(IExecutionStore, self.store))


class ExecutionStoreTests(ExecutionStoreContract, DatabaseTestCase):
    """The contract on MySQL."""

    rooms: ClassVar[tuple[tuple[str, str], ...]] = (("spire.execution", "execution"),)

    async def prepare(self) -> None:
        """Make a store on the open database."""
        self.store = ExecutionStore(self.database)

    def test_it_provides_the_interface(self) -> None:
        """No method is missing."""
        self.assertTrue(verifyObject(IExecutionStore, self.store))

    async def test_a_long_ledger_is_read_whole(self) -> None:
        """More than a page of positions comes back complete."""
        self.schema.execute("INSERT INTO execution_positions SELECT 7, seq, 'USD', 1, 2, 3, 4, 5 FROM seq_1_to_1203")
        held = await self.store.positions()
        self.assertEqual([each.instrument_id for each in held], list(range(1, 1204)))
