"""How the `spire` command speaks: tables for people, JSON for programs, errors that say what to do."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click
from attrs import frozen
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


@frozen
class Column:
    """One column: its key in JSON, its heading, and whether it holds numbers."""

    key: str
    heading: str
    numeric: bool = False


class Output:
    """Writes results to standard output and everything else to standard error.

    As JSON a table is one object a line, so that a stream can be piped.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(soft_wrap=False)
        self.errors = Console(stderr=True)

    def table(self, columns: Sequence[Column], rows: Iterable[dict[str, Any]], *, title: str | None = None) -> None:
        """Write rows, whose values are text, whole numbers, booleans or None."""
        if self.as_json:
            for row in rows:
                self.line(row)
            return
        table = Table(title=title, title_justify="left", header_style="bold")
        for column in columns:
            table.add_column(column.heading, justify="right" if column.numeric else "left", no_wrap=column.numeric)
        count = 0
        for row in rows:
            table.add_row(*(escape(_shown(row.get(column.key))) for column in columns))
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


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return str(value)


pass_output = click.make_pass_decorator(Output)
