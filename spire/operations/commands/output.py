"""How the `spire` command speaks: tables for people, JSON for programs, errors that say what to do."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final, TextIO

import click
from attrs import frozen
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spire.wire.errors import SpireError

ADVICE: Final = {
    "NOT_AUTHENTICATED": "Log in: spire login ACCOUNT",
    "FORBIDDEN": "Ask an administrator for the right, or log in as another account: spire login ACCOUNT",
    "UNAVAILABLE": "See which servers are up: spire status, or ./check.sh where the instance is",
    "OVERLOADED": "Wait a moment and try again.",
    "STORE_DOWN": "Opening orders wait for the database; cancels and reducing orders work. See: spire status",
    "SHORT_REQUIRED": "Sell at most what the account holds (spire positions), less what its live orders sell already.",
    "BUYING_POWER": "Order less, or free buying power: spire order list, spire order cancel ORDER_ID",
    "HALTED": "Orders that reduce may pass, cancels always do. A risk officer sees the halt with: spire halt list",
    "RISK_STATE": "Ask a risk officer for the account's release. Why it was stopped: spire risk",
    "RISK_UNSUPERVISED": "Opening orders wait for the Risk Server; cancels and reducing orders work. See: spire status",
    "RISK_MAY_ONLY_REDUCE": "The Risk Server's orders close positions, and never open one.",
    "COMPLIANCE": "A rule of the firm stops the order. See: spire violations",
    "LIMITS_MISSING": "Ask an administrator to set the account's limits: spire-admin limits set ACCOUNT ...",
    "EXCHANGE_RATE_MISSING": "Without a rate nobody can tell what the order costs; orders that reduce work.",
    "QUOTE_STALE": "The market sends nothing now. See: spire quotes TICKER",
    "QUOTE_MISSING": "The instrument has no quote yet. See: spire quotes TICKER",
    "INTERNAL": "The server's log says more; name the time of this call to its operator.",
}
"""What to do next, by error code."""

SPECIAL_ADVICE: Final = {
    ("RISK_STATE", "rule", "allowed_state"): "Its limits allow no more, as spire limits shows: ask a risk officer.",
    ("HALTED", "observed", "NO_NEW"): (
        "No new order passes, cancels always do. A risk officer sees the halt with: spire halt list"
    ),
    ("RISK_STATE", "observed", "DISABLED"): (
        "The account takes no orders: ask a risk officer to release it. Why it was stopped: spire risk"
    ),
    ("RISK_STATE", "observed", "CLOSE_ORDERS"): (
        "Reduce only, or ask a risk officer to release the account. Why it was stopped: spire risk"
    ),
}
"""What to do next where a detail says more than the code."""

OTHER_OFFICER: Final = "Another risk officer must release it, who logs in with: spire login ACCOUNT"

BETWEEN: Final = 3
"""Columns from one cell to the next."""


@frozen
class Column:
    """One column: its key in JSON, its heading, whether it holds numbers, or times, which a table shows to the millisecond.

    `number` is the key of the number that a table shows in place of a name that the reader may not see, and `what` says of
    what it is one.
    """

    key: str
    heading: str
    numeric: bool = False
    is_time: bool = False
    number: str | None = None
    what: str = "account"


class Output:
    """Writes results to standard output and everything else to standard error.

    As JSON a table is one object a line, so that a stream can be piped. A table that is wider than the terminal is
    written as one block a row: a number must never be cut. Without a terminal nothing bounds a table, and its form does not
    depend on what stands in it. Raises BrokenPipeError when the reader of results has gone.
    """

    def __init__(self, *, as_json: bool, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.as_json = as_json
        self._stdout = sys.stdout if stdout is None else stdout
        self._stderr = sys.stderr if stderr is None else stderr
        self.console = Console(file=self._stdout)
        self.errors = Console(file=self._stderr)

    def table(
        self,
        columns: Sequence[Column],
        rows: Iterable[dict[str, Any]],
        *,
        title: str | None = None,
        empty: str = "Nothing to show.",
    ) -> None:
        """Write rows, whose values are text, whole numbers, booleans or None; without rows tell what `empty` says."""
        if self.as_json:
            for row in rows:
                self.line(row)
            return
        cells = [[_cell(row, column) for column in columns] for row in rows]
        if not cells:
            self.note(empty)
            return
        aligned = [list(row) for row in cells]
        for place, column in enumerate(columns):
            if column.numeric:
                _align(aligned, place)
        width = _width(columns, aligned)
        if self._stdout.isatty() and width > self.console.width:
            self._blocks(columns, cells, title)
        else:
            self._table(columns, aligned, title, max(width, len(title or "")))

    def line(self, row: dict[str, Any], text: str | None = None) -> None:
        """Write one object: as JSON in a line, or as `text` for a person."""
        if self.as_json:
            self.write(json.dumps(row))
        else:
            self.write(text if text is not None else "  ".join(_shown(value) for value in row.values()))

    def write(self, text: str) -> None:
        """Write text and a line's end to standard output, at once."""
        self._stdout.write(text + "\n")
        self._stdout.flush()

    def note(self, text: str) -> None:
        """Tell a person something that is no result."""
        self.errors.print(escape(text), highlight=False, soft_wrap=True)

    def error(self, error: SpireError) -> None:
        """Tell what was refused, why, and what to do next."""
        advice = advice_for(error)
        if advice is not None and advice.lower() in error.message.lower():
            advice = None
        if self.as_json:
            self._json_error(error.coded, error.message, error.details, advice)
            return
        self.errors.print(
            f"[bold red]{escape(error.coded)}[/] {escape(error.message)}", highlight=False, soft_wrap=True
        )
        for name, value in error.details.items():
            self.note(f"  {name}: {value}")
        if advice:
            self.note(f"  {advice}")

    def misuse(self, error: click.ClickException) -> None:
        """Tell what is wrong with the command line."""
        if not self.as_json:
            error.show(self._stderr)
            return
        context = error.ctx if isinstance(error, click.UsageError) else None
        advice = None if context is None else f"See: {context.command_path} --help"
        self._json_error("USAGE", error.format_message(), {}, advice)

    def _json_error(self, code: str, message: str, details: dict[str, str], advice: str | None) -> None:
        body = {"code": code, "message": message, "details": details, "advice": advice}
        self._stderr.write(json.dumps({"error": body}) + "\n")
        self._stderr.flush()

    def _table(self, columns: Sequence[Column], cells: list[list[str]], title: str | None, width: int) -> None:
        table = Table(
            title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False, show_edge=False
        )
        for column in columns:
            table.add_column(column.heading, justify="right" if column.numeric else "left", no_wrap=True)
        for row in cells:
            table.add_row(*map(escape, row))
        console = Console(file=self._stdout, width=max(width, self.console.width))
        with console.capture() as captured:
            console.print(table)
        self.write("\n".join(line.rstrip() for line in captured.get().splitlines()))

    def _blocks(self, columns: Sequence[Column], cells: list[list[str]], title: str | None) -> None:
        wide = max(len(column.heading) for column in columns)
        blocks = [
            "\n".join(f"{column.heading:<{wide}}  {cell}" for column, cell in zip(columns, row, strict=True))
            for row in cells
        ]
        self.write("\n\n".join(([title] if title else []) + blocks))


def advice_for(error: SpireError) -> str | None:
    """Return what to do next, if there is something."""
    if error.coded == "FORBIDDEN" and "halt_id" in error.details:
        return OTHER_OFFICER
    for (code, name, value), advice in SPECIAL_ADVICE.items():
        if error.coded == code and error.details.get(name) == value:
            return advice
    return ADVICE.get(error.coded)


def _width(columns: Sequence[Column], cells: list[list[str]]) -> int:
    """Return how many columns of a terminal the table takes."""
    widest = (
        max(cell_len(column.heading), *(cell_len(row[place]) for row in cells)) for place, column in enumerate(columns)
    )
    return sum(widest) + BETWEEN * (len(columns) - 1)


def _align(cells: list[list[str]], place: int) -> None:
    """Give the numbers of a column the same count of decimals, none or at least two, so that their points line up."""
    decimals = max(len(row[place].partition(".")[2]) for row in cells)
    if decimals:
        decimals = max(decimals, 2)
    for row in cells:
        whole, _, fraction = row[place].partition(".")
        if decimals and whole.lstrip("-").isdecimal():
            row[place] = f"{whole}.{fraction:0<{decimals}}"


def _cell(row: dict[str, Any], column: Column) -> str:
    value = row.get(column.key)
    if value is None and column.number is not None:
        value = named(None, row.get(column.number), column.what)
    return short_time(value) if column.is_time and isinstance(value, str) else _shown(value)


def named(name: str | None, number: str | None, what: str = "account") -> str | None:
    """Return a name, or where there is none the number that stands for it, as `account 12`; None for neither."""
    return name if name is not None or number is None else f"{what} {number}"


def counted(number: int, one: str, several: str) -> str:
    """Return a number with the words for one or for several, as `1 order is` and `2 orders are`."""
    return f"{number} {one if number == 1 else several}"


def short_time(text: str) -> str:
    """Return an ISO time in UTC without a T, to the millisecond at most."""
    day, _, rest = text.rstrip("Z").partition("T")
    seconds, _, fraction = rest.partition(".")
    milliseconds = f".{fraction[:3]:0<3}" if fraction.strip("0") else ""
    return f"{day} {seconds}{milliseconds}"


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return str(value)
