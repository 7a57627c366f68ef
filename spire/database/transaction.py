"""What a store's function is given: one transaction on one connection, in a worker thread."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymysql

from spire.database.errors import store_error

Parameters = Sequence[object]
Row = tuple[Any, ...]
Callback = tuple[Callable[..., object], tuple[Any, ...]]

_MANY = re.compile(r"\s*(?:INSERT|REPLACE)\b.+?\bVALUES\s*\(([^)]*)\)", re.IGNORECASE | re.DOTALL)
_PLACES = re.compile(r"\s*%s\s*(?:,\s*%s\s*)*\Z")


@contextmanager
def translated() -> Iterator[None]:
    """Raise the driver's errors as ours."""
    try:
        yield
    except (pymysql.MySQLError, OSError) as error:
        raise store_error(error) from error


class Transaction:
    """Statements of one transaction; it is committed when the function returns and rolled back when it raises.

    The function may be run again from its beginning, so it must not change anything but the database. Statements raise
    the errors of `spire.database.errors`; a function may catch NotUnique and go on, never StoreDown.
    """

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self.callbacks: list[Callback] = []
        self.has_written = False

    def execute(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one statement and return how many rows it changed (a row set to what it was does not count)."""
        self.has_written = True
        with translated():
            self._cursor.execute(sql, tuple(parameters))
        return int(self._cursor.rowcount)

    def executemany(self, sql: str, rows: Sequence[Parameters]) -> int:
        """Run one INSERT or REPLACE with many rows, in statements of about a megabyte; return how many it changed.

        ValueError unless VALUES holds nothing but `%s`: the driver would silently send row by row.
        """
        match = _MANY.match(sql)
        if match is None or _PLACES.match(match.group(1)) is None:
            raise ValueError("executemany takes INSERT or REPLACE with VALUES (%s, ...) and nothing else in it")
        if not rows:
            return 0
        self.has_written = True
        with translated():
            return int(self._cursor.executemany(sql, rows) or 0)

    def fetch(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Run a query and return all its rows; ask for a page of 1,000 or so, never for a table."""
        with translated():
            self._cursor.execute(sql, tuple(parameters))
            return list(self._cursor.fetchall())

    def fetch_one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """Run a query and return its first row, or None."""
        with translated():
            self._cursor.execute(sql, tuple(parameters))
            row: Row | None = self._cursor.fetchone()
        return row

    def after_commit(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Call `callback` on the reactor thread once this transaction is committed, before `run` returns.

        Callbacks of transactions that ran at the same time come in any order: a caller that needs the order of
        commits runs one transaction at a time.
        """
        self.callbacks.append((callback, arguments))
