"""How the `spire` command speaks: tables for people, JSON for programs, errors that say what to do."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click
from attrs import frozen
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spire.wire.errors import SpireError

ADVICE: Final = {
    "NOT_AUTHENTICATED": "Log in again: spire login ACCOUNT",
    "FORBIDDEN": "Ask an administrator for the right, or log in as another account: spire login ACCOUNT",
    "UNAVAILABLE": "See which servers are up: spire status; a local instance: ./check.sh",
    "OVERLOADED": "Wait a moment and try again.",
    "STORE_DOWN": "Opening orders wait for the database; cancels and reducing orders work. See: spire status",
    "SHORT_REQUIRED": "A sale beyond the position must be marked: --side SELL_SHORT (where the account may sell short).",
    "INTERNAL": "The server's log says more; name the time of this call to its operator.",
}
"""What to do next, by error code."""


WIDE: Final = 240
"""Columns of output that no terminal bounds."""


@frozen
class Column:
    """One column: its key in JSON, its heading, whether it holds numbers, or times, which a table shows to the millisecond."""

    key: str
    heading: str
    numeric: bool = False
    is_time: bool = False


class Output:
    """Writes results to standard output and everything else to standard error.

    As JSON a table is one object a line, so that a stream can be piped.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(width=None if sys.stdout.isatty() else WIDE)
        self.errors = Console(stderr=True)

    def table(self, columns: Sequence[Column], rows: Iterable[dict[str, Any]], *, title: str | None = None) -> None:
        """Write rows, whose values are text, whole numbers, booleans or None."""
        if self.as_json:
            for row in rows:
                self.line(row)
            return
        table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column.heading, justify="right" if column.numeric else "left", no_wrap=True)
        count = 0
        for row in rows:
            table.add_row(*(escape(_cell(row.get(column.key), column)) for column in columns))
            count += 1
        if count:
            self.console.print(table)
        else:
            self.note("Nothing to show.")

    def line(self, row: dict[str, Any], text: str | None = None) -> None:
        """Write one object: as JSON in a line, or as `text` for a person."""
        if self.as_json:
            sys.stdout.write(json.dumps(row) + "\n")
            sys.stdout.flush()
        else:
            shown = text if text is not None else "  ".join(_shown(value) for value in row.values())
            self.console.print(escape(shown), highlight=False)

    def note(self, text: str) -> None:
        """Tell a person something that is no result."""
        self.errors.print(escape(text), highlight=False)

    def error(self, error: SpireError) -> None:
        """Tell what was refused, why, and what to do next."""
        advice = ADVICE.get(error.coded)
        if self.as_json:
            body = {"code": error.coded, "message": error.message, "details": error.details, "advice": advice}
            sys.stderr.write(json.dumps({"error": body}) + "\n")
            return
        self.errors.print(f"[bold red]{escape(error.coded)}[/] {escape(error.message)}", highlight=False)
        for name, value in error.details.items():
            self.errors.print(f"  {escape(name)}: {escape(value)}", highlight=False)
        if advice:
            self.errors.print(f"  {escape(advice)}", highlight=False)


def _cell(value: object, column: Column) -> str:
    return short_time(value) if column.is_time and isinstance(value, str) else _shown(value)


def short_time(text: str) -> str:
    """Return an ISO time in UTC without a T, to the millisecond at most."""
    day, _, rest = text.rstrip("Z").partition("T")
    seconds, _, fraction = rest.partition(".")
    fraction = fraction[:3].rstrip("0")
    return f"{day} {seconds}{'.' + fraction if fraction else ''}"


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return str(value)


pass_output = click.make_pass_decorator(Output)
