"""The ordered writer keeps its promises on both stores."""

from collections.abc import Sequence

from twisted.trial.unittest import TestCase

from spire.database.migrations import migrate
from spire.database.ordered_writer import MemoryWriters, MemoryWriterStore, SqlWriterStore, WriterStore
from spire.database.transaction import Transaction
from spire.testing.database import DatabaseTestCase
from tests.database.writer_contract import OrderedWriterContract

INSERT = "INSERT INTO facts (item) VALUES (%s)"


class MemoryWriterTests(OrderedWriterContract, TestCase):
    """The twin in memory."""

    def setUp(self) -> None:
        self.writers = MemoryWriters()
        self.items: list[str] = []

    def make_store(self) -> WriterStore[str]:
        return MemoryWriterStore(self.writers, "facts", self.items.extend)

    def stored(self) -> list[str]:
        return self.items


class SqlWriterTests(OrderedWriterContract, DatabaseTestCase):
    """The writer's row in MySQL."""

    async def prepare(self) -> None:
        """Make the tables."""
        self.real_clock = self.clock
        await migrate(self.database, "test", [], "test")
        self.schema.execute("CREATE TABLE IF NOT EXISTS facts (id BIGINT AUTO_INCREMENT PRIMARY KEY, item VARCHAR(10))")

    def make_store(self) -> WriterStore[str]:
        return SqlWriterStore(self.database, "test", "facts", write)

    def stored(self) -> list[str]:
        return [item for (item,) in self.schema.execute("SELECT item FROM facts ORDER BY id")]

    async def test_a_batch_and_its_row_are_one_transaction(self) -> None:
        """A write that fails half way leaves neither."""
        store: WriterStore[str] = SqlWriterStore(self.database, "test", "facts", write_badly)
        row = await store.take_over()
        with self.assertRaises(RuntimeError):
            await store.commit(type(row)(token=row.token, batch=1, position=5), ["a"])
        self.assertEqual(self.stored(), [])
        self.assertEqual(self.schema.execute("SELECT batch, position FROM test_writers"), [(0, 0)])


def write(transaction: Transaction, items: Sequence[str]) -> None:
    """Write a batch."""
    transaction.executemany(INSERT, [(item,) for item in items])


def write_badly(transaction: Transaction, items: Sequence[str]) -> None:
    """Write a batch, and fail."""
    write(transaction, items)
    raise RuntimeError("half way")
