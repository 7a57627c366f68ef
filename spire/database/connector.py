"""Opens connections to the first server of a list that answers, and knows when one has died."""

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any

import pymysql
from attrs import field, frozen

from spire.database.address import DatabaseAddress
from spire.database.errors import StoreDown, StoreError, Verdict, store_error, verdict_of

# What every session is set to: strict, UTC, and no waiting for a lock longer than a caller would.
SESSION = (
    "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',"
    " SESSION time_zone = '+00:00', SESSION innodb_lock_wait_timeout = 5"
)
ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"

Driver = Callable[..., Any]


def connect(
    *, unix_socket: str = "", host: str = "", port: int = 0, connect_timeout: float, **options: Any
) -> "pymysql.connections.Connection[pymysql.cursors.Cursor]":
    """Connect with PyMySQL over a socket of our own: its own leaks when nobody listens. Raises as PyMySQL does."""
    raw = pymysql.connect(
        unix_socket=unix_socket or None,
        host=host or None,
        port=port,
        defer_connect=True,
        ssl_disabled=bool(unix_socket),  # over TCP it speaks TLS where the server does; here it would only cost time
        **options,
    )
    if unix_socket:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            opened.settimeout(connect_timeout)
            opened.connect(unix_socket)
        except OSError:
            opened.close()
            raise
    else:
        opened = socket.create_connection((host, port), connect_timeout)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    try:
        raw.connect(opened)
    except BaseException:
        opened.close()
        raise
    return raw


@frozen(kw_only=True)
class ConnectTimeouts:
    """Seconds that opening a connection, one read and one write may take."""

    connect_seconds: float = 2.0
    read_seconds: float = 10.0
    write_seconds: float = 10.0


class StoreConnection:
    """One connection of the driver: never reused after it broke, closed as often as anybody likes."""

    def __init__(self, raw: Any, address: DatabaseAddress, opened: float) -> None:
        self.raw = raw
        self.address = address
        self.last_used = opened

    @property
    def is_open(self) -> bool:
        """Whether the driver still holds a socket."""
        return bool(self.raw.open)

    def answers(self) -> bool:
        """Ask the server; a connection that does not answer is closed."""
        try:
            self.raw.ping(reconnect=False)
        except (pymysql.MySQLError, OSError):
            self.close()
            return False
        return True

    def rollback(self) -> bool:
        """Roll back; a connection that cannot is closed, which rolls back too, and False is answered."""
        try:
            self.raw.rollback()
        except (pymysql.MySQLError, OSError):
            self.close()
            return False
        return True

    def close(self) -> None:
        """Close; never raises."""
        with suppress(pymysql.MySQLError, OSError):
            self.raw.close()

    def abort(self) -> None:
        """Wake a thread that waits for the server; may be called from another thread, and never raises."""
        with suppress(OSError, AttributeError):
            self.raw._sock.shutdown(socket.SHUT_RDWR)


@frozen(kw_only=True)
class Login:
    """Who logs in to which schema; the password never shows."""

    user: str
    password: str = field(repr=False)
    schema: str | None


class Connector:
    """Opens connections along a list of addresses, beginning with the one that worked last.

    Called from worker threads. An address that turned out dead or read-only is left for the next in the list.
    """

    def __init__(
        self,
        addresses: Sequence[DatabaseAddress],
        login: Login,
        *,
        monotonic: Callable[[], float],
        timeouts: ConnectTimeouts | None = None,
        driver: Driver = connect,
    ) -> None:
        if not addresses:
            raise ValueError("a database needs at least one address")
        self._addresses = tuple(addresses)
        self._login = login
        self._monotonic = monotonic
        self._timeouts = ConnectTimeouts() if timeouts is None else timeouts
        self._driver = driver
        self._lock = Lock()
        self._current = 0

    def open(self) -> StoreConnection:
        """Connect; StoreDown when no server of the list can be reached, StoreFault when one refuses the login."""
        with self._lock:
            first = self._current
        reasons = []
        for offset in range(len(self._addresses)):
            index = (first + offset) % len(self._addresses)
            address = self._addresses[index]
            try:
                connection = StoreConnection(self._connect(address), address, self._monotonic())
            except (pymysql.MySQLError, OSError) as error:
                failure = self._translate(error)
                if not isinstance(failure, StoreDown):
                    raise failure from error
                reasons.append(f"{address}: {failure}")
                continue
            with self._lock:
                self._current = index
            return connection
        raise StoreDown("; ".join(reasons))

    def avoid(self, address: DatabaseAddress) -> None:
        """Begin with the next address of the list from now on, unless somebody else moved on already."""
        with self._lock:
            if self._addresses[self._current] == address:
                self._current = (self._current + 1) % len(self._addresses)

    def _connect(self, address: DatabaseAddress) -> Any:
        place: dict[str, object] = (
            {"unix_socket": address.socket_path}
            if address.socket_path
            else {"host": address.host, "port": address.port}
        )
        raw = self._driver(
            **place,
            user=self._login.user,
            password=self._login.password,
            database=self._login.schema,
            charset="utf8mb4",
            collation="utf8mb4_bin",
            autocommit=False,
            binary_prefix=True,
            connect_timeout=self._timeouts.connect_seconds,
            read_timeout=self._timeouts.read_seconds,
            write_timeout=self._timeouts.write_seconds,
            max_allowed_packet=64 * 1024 * 1024,
        )
        try:
            with raw.cursor() as cursor:
                cursor.execute(SESSION)
                cursor.execute(ISOLATION)
        except BaseException:
            with suppress(pymysql.MySQLError, OSError):
                raw.close()
            raise
        return raw

    @staticmethod
    def _translate(error: BaseException) -> StoreError:
        # While connecting, a server that is silent is as good as one that is away: the next in the list may answer.
        if verdict_of(error) is Verdict.TIMEOUT:
            return StoreDown("it did not answer in time")
        return store_error(error)
