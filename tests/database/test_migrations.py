"""Numbered steps: read, applied once, checked."""

import os
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from spire.database import lease as leases
from spire.database.errors import SchemaMismatch, StoreFault
from spire.database.lease import LeaseHeld
from spire.database.migrations import Step, check, load_steps, migrate, split_statements
from spire.database.transaction import Transaction
from spire.testing.database import DatabaseTestCase

ONE = Step(
    number=1, name="one", statements=("CREATE TABLE test_one (id INT PRIMARY KEY)", "INSERT INTO test_one VALUES (1)")
)
TWO = Step(number=2, name="two", statements=("ALTER TABLE test_one ADD COLUMN name VARCHAR(5)",))


class SplitTests(SynchronousTestCase):
    """SQL text becomes statements."""

    def test_semicolons_in_quotes_and_comments_split_nothing(self) -> None:
        """Comments go."""
        text = """
            -- one; two
            CREATE TABLE a (b VARCHAR(9) DEFAULT ';', c INT /* d; e */, `f;` INT, g INT DEFAULT -1);
            INSERT INTO a VALUES ('it''s; \\'so\\'', 4/2, 3-1);
        """
        first, second = split_statements(text)
        self.assertEqual(first, "CREATE TABLE a (b VARCHAR(9) DEFAULT ';', c INT , `f;` INT, g INT DEFAULT -1)")
        self.assertEqual(second, "INSERT INTO a VALUES ('it''s; \\'so\\'', 4/2, 3-1)")


class LoadTests(SynchronousTestCase):
    """A room's schema folder."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.package = f"room_{id(self)}"
        schema = self.directory / self.package / "schema"
        schema.mkdir(parents=True)
        (schema.parent / "__init__.py").touch()
        self.schema = schema
        sys.path.insert(0, os.fspath(self.directory.absolute()))
        self.addCleanup(sys.path.remove, os.fspath(self.directory.absolute()))

    def test_steps_come_in_order(self) -> None:
        """With their numbers, names and statements; other files are none of ours."""
        (self.schema / "002_more.sql").write_text("ALTER TABLE room_a ADD COLUMN b INT;")
        (self.schema / "001_first.sql").write_text("CREATE TABLE room_a (a INT);\nCREATE TABLE room_b (a INT);")
        (self.schema / "README").touch()
        steps = load_steps(self.package, "room")
        self.assertEqual(
            [(step.number, step.name, len(step.statements)) for step in steps], [(1, "first", 2), (2, "more", 1)]
        )

    def test_a_hole_is_refused(self) -> None:
        """Somebody forgot a file."""
        (self.schema / "002_more.sql").write_text("ALTER TABLE room_a ADD COLUMN b INT;")
        self.assertRaises(ValueError, load_steps, self.package, "room")

    def test_the_table_of_another_room_is_refused(self) -> None:
        """Every table bears its room's name."""
        (self.schema / "001_first.sql").write_text("CREATE TABLE other_a (a INT);")
        error = self.assertRaises(ValueError, load_steps, self.package, "room")
        self.assertIn("other_a", str(error))


class MigrateTests(DatabaseTestCase):
    """Steps on a real server."""

    timeout = 20

    async def prepare(self) -> None:
        """Begin without any table."""
        for (table,) in self.schema.execute("SHOW TABLES"):
            self.schema.execute(f"DROP TABLE `{table}`")

    async def test_steps_are_applied_once(self) -> None:
        """A second run finds nothing to do; later steps are added."""
        self.assertEqual(await migrate(self.database, "test", [ONE], "me"), 2)
        self.assertEqual(await migrate(self.database, "test", [ONE], "me"), 0)
        self.assertEqual(await migrate(self.database, "test", [ONE, TWO], "me"), 1)
        self.assertEqual(self.schema.execute("SELECT * FROM test_one"), [(1, None)])
        await check(self.database, "test", [ONE, TWO])

    async def test_a_server_refuses_a_schema_that_is_not_its_own(self) -> None:
        """Missing, older, newer, or edited: each says what to do."""
        await self.mismatch([ONE], "set up the schema")
        await migrate(self.database, "test", [ONE], "me")
        await self.mismatch([ONE, TWO], "upgrade the schema")
        await migrate(self.database, "test", [ONE, TWO], "me")
        await self.mismatch([ONE], "upgrade the servers")
        edited = Step(number=1, name="one", statements=(ONE.statements[0], "INSERT INTO test_one VALUES (2)"))
        await self.mismatch([edited, TWO], "another content")
        with self.assertRaises(SchemaMismatch):
            await migrate(self.database, "test", [edited, TWO], "me")

    async def mismatch(self, steps: list[Step], words: str) -> None:
        """Check, and expect these words."""
        with self.assertRaises(SchemaMismatch) as caught:
            await check(self.database, "test", steps)
        self.assertIn(words, str(caught.exception))

    async def test_a_crash_between_a_statement_and_its_record_is_made_good(self) -> None:
        """The statement is run again, and that its table exists is good."""
        await migrate(self.database, "test", [ONE], "me")
        self.schema.execute("UPDATE test_migrations SET state = 'running' WHERE statement = 0")
        self.assertEqual(await migrate(self.database, "test", [ONE], "me"), 1)
        await check(self.database, "test", [ONE])

    async def test_a_table_that_exists_for_another_reason_is_an_error(self) -> None:
        """Only a statement in doubt may find its work done."""
        self.schema.execute("CREATE TABLE test_one (other INT)")
        with self.assertRaises(StoreFault):
            await migrate(self.database, "test", [ONE], "me")
        self.assertEqual(self.schema.execute("SELECT holder FROM test_lease"), [("",)])

    async def test_two_at_once_do_not_meet(self) -> None:
        """The second is told who is at it."""
        await migrate(self.database, "test", [], "me")
        await self.database.run("take", leases.take, "test", "migrations", "somebody else", 60)
        with self.assertRaises(LeaseHeld) as caught:
            await migrate(self.database, "test", [ONE], "me")
        self.assertEqual(caught.exception.holder, "somebody else")


class LeaseTests(DatabaseTestCase):
    """One holder at a time."""

    timeout = 20

    async def prepare(self) -> None:
        """Make the lease table."""
        await migrate(self.database, "test", [], "me")

    async def take(self, holder: str, seconds: float = 60) -> leases.Lease:
        """Take the lease."""
        return await self.database.run("take", leases.take, "test", "role", holder, seconds)

    async def test_the_token_grows_with_every_change_of_hands(self) -> None:
        """What a former holder writes can be told by it."""
        first = await self.take("a")
        with self.assertRaises(LeaseHeld):
            await self.take("b")
        await self.database.run("release", leases.release, first)
        second = await self.take("b")
        self.assertGreater(second.token, first.token)

    async def test_a_silent_holder_loses_it(self) -> None:
        """And hears of it when he renews."""
        first = await self.take("a", seconds=-1)
        second = await self.take("b")
        with self.assertRaises(LeaseHeld):
            await self.database.run("renew", leases.renew, first, 60)
        await self.database.run("renew", leases.renew, second, 60)

    async def test_releasing_what_was_lost_does_nothing(self) -> None:
        """The new holder keeps it."""
        first = await self.take("a", seconds=-1)
        await self.take("b")
        await self.database.run("release", leases.release, first)

        def holder(transaction: Transaction) -> object:
            return transaction.fetch_one("SELECT holder FROM test_lease WHERE name = 'role'")

        self.assertEqual(await self.database.run("read", holder), ("b",))
