"""Pages of rows that fit an answer (sans-I/O): cut by bytes, because names and reasons have any length."""

from collections.abc import Sequence
from typing import Final, TypeVar

from spire.wire.arguments import encode

Row = TypeVar("Row")

PAGE_ROWS: Final = 50
PAGE_BYTES: Final = 50_000
"""Of the 65,535 that an argument takes; a portfolio that comes along has its own."""


def fitting(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return as many rows from the first on as fit an answer; at least one where there is one."""
    page: list[Row] = []
    size = 0
    for row in rows[:PAGE_ROWS]:
        size += len(encode(row))
        if page and size > PAGE_BYTES:
            break
        page.append(row)
    return tuple(page)
