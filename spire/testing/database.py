"""A real MariaDB for tests: one server per test run, a fresh schema per test class.

`SPIRE_TEST_MARIADB` names the socket of a server that was made by `PrivateMariaDB` (the test run starts one for all its
workers); without it each process starts its own at first use and stops it at exit.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from spire.database.connector import ConnectTimeouts
from spire.database.database import Database, DatabaseLimits, make_database
from spire.database.migrations import load_steps, migrate
from spire.database.private import PrivateMariaDB, find_server
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics

SOCKET_VARIABLE = "SPIRE_TEST_MARIADB"

_numbers = count(1)
_servers: list[PrivateMariaDB] = []


def make_test_server() -> tuple[PrivateMariaDB, Callable[[], None]]:
    """Start a private server in a new directory; the answer's second half ends it and removes the directory."""
    directory = Path(tempfile.mkdtemp(prefix=f"spire-{os.getpid()}-"))
    server = PrivateMariaDB(directory / "data", directory / "socket", buffer_pool_megabytes=32, is_durable=False)
    server.initialise()
    server.start()

    def remove() -> None:
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)

    return server, remove


def shared_server() -> PrivateMariaDB:
    """Return the server that the tests of this process share; SkipTest where no MariaDB server is installed."""
    if not _servers:
        socket = os.environ.get(SOCKET_VARIABLE, "")
        if socket:
            directory = Path(socket).parent
            _servers.append(PrivateMariaDB(directory.parent / "data", directory))
        elif find_server() is None:
            raise SkipTest("no MariaDB server is installed: apt-get install mariadb-server-core")
        else:
            server, remove = make_test_server()
            atexit.register(remove)
            _servers.append(server)
    return _servers[0]


class TestSchema:
    """A schema of its own on the shared server, with a user that has rights on it alone."""

    __test__ = False

    def __init__(self) -> None:
        self.server = shared_server()
        self.name = f"spire_test_{os.getpid()}_{next(_numbers)}"
        self.user = self.name
        self.password = self.server.create_schema(self.name, self.user)

    def open(
        self,
        clock: Clock,
        metrics: Metrics | None = None,
        *,
        limits: DatabaseLimits | None = None,
        timeouts: ConnectTimeouts | None = None,
    ) -> Database:
        """Make a database on this schema; the caller starts and stops it."""
        return make_database(
            [self.server.address],
            user=self.user,
            password=self.password,
            schema=self.name,
            clock=clock,
            metrics=Metrics() if metrics is None else metrics,
            limits=limits,
            timeouts=timeouts,
        )

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement as the administrator, beside the code that is tested; return its rows."""
        with closing(self.server.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"USE `{self.name}`")
            cursor.execute(sql, tuple(parameters))
            return list(cursor.fetchall())

    def empty(self) -> None:
        """Delete all rows, but keep what is recorded of migrations."""
        tables = self.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_name NOT LIKE %s",
            (self.name, r"%\_migrations"),
        )
        with closing(self.server.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"USE `{self.name}`")
            cursor.execute("SET foreign_key_checks = 0")
            cursor.execute("BEGIN")
            for (table,) in tables:
                cursor.execute(f"DELETE FROM `{table}`")  # noqa: S608 - the name comes from the server
            cursor.execute("COMMIT")


# A class keeps its schema for as long as the server lives: trial has no hook at a class's end.
_schemas: dict[type[TestCase], TestSchema] = {}


class DatabaseTestCase(TestCase):
    """A test case whose class has a schema with the tables of `rooms`, and each test an open, empty `database`.

    `rooms` holds (package, room) pairs, as `load_steps` takes them. `self.schema` is for looking beside the code.
    """

    rooms: ClassVar[tuple[tuple[str, str], ...]] = ()
    schema: TestSchema
    database: Database
    clock: Clock
    metrics: Metrics

    def setUp(self) -> Deferred[None]:  # type: ignore[override] # trial waits for it
        """Make the tables or empty them, and open the database; override `prepare` for more."""
        return Deferred.fromCoroutine(self._set_up())

    async def prepare(self) -> None:
        """Do what a test case needs when its database is open."""

    async def open_database(self) -> Database:
        """Open another database on the same schema, as a second process would; it is stopped after the test."""
        database = self.schema.open(self.clock)
        await database.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(database.stop()))
        return database

    async def _set_up(self) -> None:
        from twisted.internet import reactor

        is_new = type(self) not in _schemas
        self.schema = TestSchema() if is_new else _schemas[type(self)]
        self.clock = Clock(reactor)
        self.metrics = Metrics()
        self.database = self.schema.open(self.clock, self.metrics)
        await self.database.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.database.stop()))
        if is_new:
            for package, room in self.rooms:
                await migrate(self.database, room, load_steps(package, room), f"test {os.getpid()}")
            _schemas[type(self)] = self.schema
        else:
            self.schema.empty()
        await self.prepare()
