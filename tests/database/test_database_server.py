"""The database against a real server."""

from spire.testing.database import DatabaseTestCase


class RealServerTests(DatabaseTestCase):
    """Named transactions on MariaDB."""

    async def prepare(self) -> None:
        await self.database.run(
            "make",
            lambda txn: txn.execute(
                "CREATE TABLE IF NOT EXISTS t (id BIGINT PRIMARY KEY, name VARCHAR(5) NOT NULL) ENGINE=InnoDB"
            ),
        )

    async def test_what_is_written_can_be_read(self) -> None:
        """A transaction's rows are there for the next one."""
        await self.database.run(
            "write", lambda txn: txn.executemany("INSERT INTO t (id, name) VALUES (%s, %s)", [(1, "a"), (2, "b")])
        )
        rows = await self.database.run("read", lambda txn: txn.fetch("SELECT id, name FROM t ORDER BY id"))
        self.assertEqual(rows, [(1, "a"), (2, "b")])
