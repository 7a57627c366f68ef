"""The database against a real server."""

import contextlib
import os
import signal
from threading import Barrier

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from spire.database.connector import ConnectTimeouts
from spire.database.database import DatabaseLimits, make_database
from spire.database.errors import (
    CommitUnknown,
    MissingReference,
    NotUnique,
    StoreDown,
    StoreFault,
    StoreTimeout,
    TooLong,
)
from spire.database.transaction import Transaction
from spire.testing.database import DatabaseTestCase, make_test_server

PARENTS = """
CREATE TABLE IF NOT EXISTS parents (id BIGINT PRIMARY KEY, name VARCHAR(5) NOT NULL, UNIQUE KEY by_name (name))
"""
CHILDREN = """
CREATE TABLE IF NOT EXISTS children (
    id BIGINT PRIMARY KEY, parent BIGINT NOT NULL REFERENCES parents (id), data MEDIUMBLOB
)
"""


class RealServerTests(DatabaseTestCase):
    """Named transactions on MariaDB."""

    timeout = 20

    async def prepare(self) -> None:
        """Make tables."""
        self.schema.execute(PARENTS)
        self.schema.execute(CHILDREN)

    async def write(self, sql: str, *parameters: object) -> int:
        """Run one statement."""
        return await self.database.run("write", lambda txn: txn.execute(sql, parameters))

    async def test_what_is_written_can_be_read(self) -> None:
        """Text and bytes of any kind come back as they were."""
        blob = bytes(range(256)) * 300
        await self.write("INSERT INTO parents (id, name) VALUES (%s, %s)", 1, "ä'\\%")
        await self.database.run(
            "many",
            lambda txn: txn.executemany(
                "INSERT INTO children (id, parent, data) VALUES (%s, %s, %s)", [(n, 1, blob) for n in range(50)]
            ),
        )
        self.assertEqual(
            await self.database.run("read", lambda txn: txn.fetch_one("SELECT name FROM parents WHERE id = %s", (1,))),
            ("ä'\\%",),
        )
        rows = await self.database.run("read", lambda txn: txn.fetch("SELECT data FROM children ORDER BY id"))
        self.assertEqual(rows, [(blob,)] * 50)

    async def test_errors_are_told_apart_by_their_code(self) -> None:
        """A store knows what happened without the driver."""
        await self.write("INSERT INTO parents (id, name) VALUES (1, 'a')")
        with self.assertRaises(NotUnique) as caught:
            await self.write("INSERT INTO parents (id, name) VALUES (2, 'a')")
        self.assertEqual(caught.exception.key, "by_name")
        with self.assertRaises(MissingReference):
            await self.write("INSERT INTO children (id, parent) VALUES (1, 99)")
        with self.assertRaises(TooLong):
            await self.write("INSERT INTO parents (id, name) VALUES (3, 'sixsix')")
        with self.assertRaises(TooLong):
            await self.write("INSERT INTO parents (id, name) VALUES (%s, 'x')", 2**63)
        with self.assertRaises(StoreFault):
            await self.write("INSERT INTO nowhere (id) VALUES (1)")

    async def test_text_is_compared_by_its_bytes(self) -> None:
        """A and a are two names."""
        await self.write("INSERT INTO parents (id, name) VALUES (1, 'a')")
        self.assertEqual(await self.write("INSERT INTO parents (id, name) VALUES (2, 'A')"), 1)

    async def test_a_session_is_strict_and_reads_what_is_committed(self) -> None:
        """UTC, READ COMMITTED."""
        row = await self.database.run(
            "read", lambda txn: txn.fetch_one("SELECT @@session.time_zone, @@session.tx_isolation")
        )
        self.assertEqual(row, ("+00:00", "READ-COMMITTED"))

    async def test_a_deadlock_is_repeated_until_both_are_done(self) -> None:
        """Two transactions that lock the same rows crosswise both come to their end."""
        await self.write("INSERT INTO parents (id, name) VALUES (1, 'a'), (2, 'b')")
        attempts: list[int] = []
        both_hold_one = Barrier(2)

        def change(transaction: Transaction, first: int, second: int) -> None:
            attempts.append(first)
            sql = "UPDATE parents SET name = CONCAT(name, 'x') WHERE id = %s"
            transaction.execute(sql, (first,))
            if len(attempts) <= 2:
                both_hold_one.wait(timeout=10)
            transaction.execute(sql, (second,))

        calls = [Deferred.fromCoroutine(self.database.run("change", change, *pair)) for pair in ((1, 2), (2, 1))]
        await gatherResults(calls, consumeErrors=True)
        self.assertEqual(self.schema.execute("SELECT name FROM parents ORDER BY id"), [("axx",), ("bxx",)])
        self.assertEqual(len(attempts), 3)

    async def test_a_connection_killed_between_calls_is_replaced(self) -> None:
        """Nobody notices."""
        await self.write("INSERT INTO parents (id, name) VALUES (1, 'a')")
        self.kill_connections()
        self.assertEqual(await self.write("UPDATE parents SET name = 'b' WHERE id = 1"), 1)

    async def test_a_connection_killed_in_a_transaction_is_replaced(self) -> None:
        """It was rolled back, and is run again."""
        runs: list[int] = []

        def change(transaction: Transaction) -> None:
            runs.append(1)
            transaction.execute("INSERT INTO parents (id, name) VALUES (1, 'a')")
            if len(runs) == 1:
                self.kill_connections()
            transaction.execute("INSERT INTO parents (id, name) VALUES (2, 'b')")

        await self.database.run("change", change)
        self.assertEqual(self.schema.execute("SELECT COUNT(*) FROM parents"), [(2,)])

    async def test_a_connection_killed_before_the_commit_leaves_it_unknown(self) -> None:
        """It is told, and not run again."""

        def change(transaction: Transaction) -> None:
            transaction.execute("INSERT INTO parents (id, name) VALUES (1, 'a')")
            self.kill_connections()

        with self.assertRaises(CommitUnknown):
            await self.database.run("change", change)
        self.assertEqual(self.schema.execute("SELECT COUNT(*) FROM parents"), [(0,)])

    async def test_a_statement_that_hangs_is_given_up(self) -> None:
        """After the read time-out, and the database is up again right after it."""
        database = self.schema.open(self.clock, timeouts=ConnectTimeouts(read_seconds=0.2))
        await database.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(database.stop()))
        with self.assertRaises(StoreTimeout):
            await database.run("hang", lambda txn: txn.fetch("SELECT SLEEP(5)"))
        is_up: Deferred[bool] = Deferred()
        database.on_state(lambda up: up and not is_up.called and is_up.callback(up))
        self.assertTrue(await is_up)

    async def test_wrong_credentials_are_a_fault(self) -> None:
        """The start ends with it, and its text does not hold the password."""
        database = make_database(
            [self.schema.server.address],
            user=self.schema.user,
            password="wrong-secret",
            schema=self.schema.name,
            clock=self.clock,
            metrics=self.metrics,
        )
        self.addCleanup(lambda: Deferred.fromCoroutine(database.stop()))
        with self.assertRaises(StoreFault) as caught:
            await database.start()
        self.assertNotIn("wrong-secret", str(caught.exception))

    async def test_stop_cuts_off_what_takes_too_long(self) -> None:
        """A statement that hangs does not keep the process alive."""
        database = self.schema.open(self.clock, limits=DatabaseLimits(drain_seconds=0.2))
        await database.start()
        hanging = Deferred.fromCoroutine(database.run("hang", lambda txn: txn.fetch("SELECT SLEEP(30)")))
        await database.stop()
        with self.assertRaises(StoreDown):
            await hanging

    def kill_connections(self) -> None:
        """End every connection of this test's user, at the server; callable from a worker thread."""
        rows = self.schema.execute("SELECT id FROM information_schema.processlist WHERE user = %s", (self.schema.user,))
        for (number,) in rows:
            with contextlib.suppress(Exception):
                self.schema.execute(f"KILL {number}")


class OutageTests(DatabaseTestCase):
    """A server of its own, which is killed."""

    timeout = 30

    async def test_a_killed_server_is_told_at_once_and_found_again(self) -> None:
        """Calls fail fast while it is away; nothing committed is lost."""
        server, remove = await deferToThread(make_test_server)
        self.addCleanup(deferToThread, remove)
        password = server.create_schema("outage", "outage_user")
        database = make_database(
            [server.address],
            user="outage_user",
            password=password,
            schema="outage",
            clock=self.clock,
            metrics=self.metrics,
            limits=DatabaseLimits(probe_seconds=0.05),
        )
        await database.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(database.stop()))
        await database.run("make", lambda txn: txn.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)"))
        await database.run("write", lambda txn: txn.execute("INSERT INTO t VALUES (1)"))
        await deferToThread(server.kill)
        with self.assertRaises(StoreDown):
            await database.run("write", lambda txn: txn.execute("INSERT INTO t VALUES (2)"))
        began = self.clock.monotonic()
        with self.assertRaises(StoreDown):
            await database.run("write", lambda txn: txn.execute("INSERT INTO t VALUES (2)"))
        self.assertLess(self.clock.monotonic() - began, 0.1)
        is_up: Deferred[bool] = Deferred()
        database.on_state(is_up.callback)
        await deferToThread(server.start)
        self.assertTrue(await is_up)
        self.assertEqual(await database.run("read", lambda txn: txn.fetch("SELECT id FROM t")), [(1,)])

    async def test_a_server_that_hangs_does_not_hold_up_everybody(self) -> None:
        """The first call waits for the time-out, the next ones are told at once."""
        server, remove = await deferToThread(make_test_server)
        self.addCleanup(deferToThread, remove)
        password = server.create_schema("hang", "hang_user")
        database = make_database(
            [server.address],
            user="hang_user",
            password=password,
            schema="hang",
            clock=self.clock,
            metrics=self.metrics,
            timeouts=ConnectTimeouts(connect_seconds=0.3, read_seconds=0.3),
        )
        await database.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(database.stop()))
        pid = server.start()
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        with self.assertRaises(StoreDown):
            await database.run("read", lambda txn: txn.fetch("SELECT 1"))
        began = self.clock.monotonic()
        with self.assertRaises(StoreDown):
            await database.run("read", lambda txn: txn.fetch("SELECT 1"))
        self.assertLess(self.clock.monotonic() - began, 0.1)
