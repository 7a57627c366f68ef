"""A DB-API driver whose servers do what the test says, and a pool that works in the calling thread."""

from collections.abc import Callable
from typing import Any

import pymysql
from twisted.python.failure import Failure

from spire.database.connector import Connector
from spire.database.pool import StorePool

LOST = pymysql.OperationalError(2013, "Lost connection to MySQL server during query")
REFUSED = pymysql.OperationalError(2003, "Can't connect to MySQL server")
DEADLOCK = pymysql.OperationalError(1213, "Deadlock found")


class FakeServer:
    """One server: refuses connections while `is_down`, raises the next of `failures` for a statement that begins so."""

    def __init__(self) -> None:
        self.is_down = False
        self.connections = 0
        self.log: list[str] = []
        self.failures: list[tuple[str, BaseException]] = []

    def fail(self, statement: str, error: BaseException, times: int = 1) -> None:
        """Let the next statements that begin with `statement` fail."""
        self.failures += [(statement, error)] * times

    def run(self, statement: str) -> None:
        """Take one statement."""
        self.log.append(statement)
        for index, (start, error) in enumerate(self.failures):
            if statement.startswith(start):
                del self.failures[index]
                raise error


class FakeDriver:
    """`connect` for a `Connector`, over servers by host name."""

    def __init__(self, **servers: FakeServer) -> None:
        self.servers = servers

    def __call__(self, *, host: str, **_: Any) -> "FakeConnection":
        server = self.servers[host]
        if server.is_down:
            raise REFUSED
        server.connections += 1
        return FakeConnection(server)


class FakeConnection:
    """A connection to one server, open until a statement finds it lost."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.open = True

    def run(self, statement: str) -> None:
        if not self.open or self.server.is_down:
            self.open = False
            raise LOST
        try:
            self.server.run(statement)
        except pymysql.OperationalError as error:
            self.open = error.args[0] not in (2006, 2013)
            raise

    def cursor(self) -> "FakeCursor":
        return FakeCursor(self)

    def commit(self) -> None:
        self.run("COMMIT")

    def rollback(self) -> None:
        self.run("ROLLBACK")

    def ping(self, reconnect: bool) -> None:
        self.run("PING")

    def close(self) -> None:
        self.open = False


class FakeCursor:
    """Sends statements on a connection; every query answers one row."""

    rowcount = 1
    lastrowid = 0

    def __init__(self, connection: FakeConnection) -> None:
        self._connection = connection

    def __enter__(self) -> "FakeCursor":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def execute(self, sql: str, parameters: object = ()) -> None:
        if not sql.startswith("SET SESSION"):
            self._connection.run(sql)

    executemany = execute

    def fetchall(self) -> list[tuple[int]]:
        return [(1,)]

    def fetchone(self) -> tuple[int]:
        return (1,)

    def close(self) -> None:
        return None


class SteppedPool(StorePool):
    """Twisted's pool, with the calling thread for a thread; `is_held` lets jobs wait until `release`."""

    def __init__(self, connector: Connector, reactor: object, connections: int) -> None:
        super().__init__(connector, _Reactor(), connections)
        self.threadpool = self
        self.is_held = False
        self.held: list[Callable[[], None]] = []
        self.is_closed = False

    def callInThreadWithCallback(  # noqa: N802 (Twisted's name)
        self, done: Callable[[bool, Any], None], function: Callable[..., Any], *arguments: Any, **named: Any
    ) -> None:
        """Run `function` now, or when it is released."""

        def run() -> None:
            try:
                result = function(*arguments, **named)
            except BaseException:  # noqa: BLE001 - as a thread pool does
                done(False, Failure())
            else:
                done(True, result)

        if self.is_held:
            self.held.append(run)
        else:
            run()

    def release(self) -> None:
        """Run what was held."""
        self.is_held = False
        held, self.held = self.held, []
        for run in held:
            run()

    def start(self) -> None:
        """Start nothing."""

    def close(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True


class _Reactor:
    """What adbapi asks of a reactor."""

    def callWhenRunning(self, *_: object) -> None:  # noqa: N802 (Twisted's name)
        return None

    def callFromThread(self, function: Callable[..., None], *arguments: Any) -> None:  # noqa: N802 (Twisted's name)
        function(*arguments)
