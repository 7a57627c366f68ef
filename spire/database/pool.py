"""Twisted's connection pool over our connector: a thread has a connection, and opens it when it needs one."""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred

from spire.database.connector import Connector, StoreConnection


class Pool(Protocol):
    """What `Database` needs of a pool; tests give one that works in the calling thread."""

    connections: dict[Any, StoreConnection]

    def start(self) -> None:
        """Start the threads."""

    def close(self) -> None:
        """End the threads and close the connections; blocks until running work has ended."""

    def connect(self) -> StoreConnection:
        """Return this thread's connection; opens one if there is none."""

    def disconnect(self, conn: StoreConnection) -> None:
        """Close and forget this thread's connection."""

    def run(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Run `function(*arguments)` in a thread."""


class _NoConnection:
    """Stands where adbapi would connect, commit and roll back by itself, which fails badly on a dead connection."""

    def __init__(self, pool: object) -> None:
        del pool

    def commit(self) -> None:
        """Do nothing: the transaction was committed by whoever ran it."""

    def rollback(self) -> None:
        """Do nothing: the transaction was rolled back by whoever ran it."""


class StorePool(ConnectionPool):
    """An adbapi pool whose connections come from a `Connector` and are kept by thread."""

    def __init__(self, connector: Connector, reactor: object, connections: int) -> None:
        super().__init__(  # type: ignore[no-untyped-call] # adbapi has no annotations
            "pymysql", cp_reactor=reactor, cp_min=1, cp_max=connections, cp_name="database"
        )
        self.connectionFactory = _NoConnection  # type: ignore[assignment] # it need not be a kind of adbapi's class
        self._connector = connector

    def connect(self) -> StoreConnection:
        """Return this thread's connection; opens one if there is none. Raises what `Connector.open` raises."""
        thread = self.threadID()  # type: ignore[no-untyped-call] # as above
        connection: StoreConnection | None = self.connections.get(thread)
        if connection is None:
            connection = self.connections[thread] = self._connector.open()
        return connection

    def run(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Run `function(*arguments)` in one of the pool's threads."""
        running: Deferred[Any] = self.runWithConnection(  # type: ignore[no-untyped-call] # as above
            lambda _: function(*arguments)
        )
        return running
