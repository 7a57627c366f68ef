"""Results and errors, as people and as programs read them."""

import json
from io import StringIO
from typing import Any

import click
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.operations.commands.output import Column, Output, advice_for, counted, short_time
from spire.wire.errors import Forbidden, NotAuthenticated, Refused

COLUMNS = (
    Column("ticker", "Ticker"),
    Column("price", "Price", numeric=True),
    Column("time", "Time", is_time=True),
)
ROWS = (
    {"ticker": "ACME.DEMO", "price": "105.2", "time": "2026-11-23T07:07:07.136000000Z"},
    {"ticker": "B.DEMO", "price": "9.375", "time": None},
    {"ticker": "[red]C.DEMO", "price": None, "time": "2026-11-23T07:07:00.000000000Z"},
)


class Terminal(StringIO):
    """Standard output that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


class OutputTestCase(SynchronousTestCase):
    """An output whose two streams the test reads."""

    def make(self, *, as_json: bool = False, out: StringIO | None = None) -> Output:
        """Return an output."""
        self.out, self.err = out or StringIO(), StringIO()
        return Output(as_json=as_json, stdout=self.out, stderr=self.err)


class TableTests(OutputTestCase):
    """Rows for people."""

    def test_numbers_stand_below_each_other(self) -> None:
        """With the same count of decimals, right-aligned; what is absent is a dash."""
        self.make().table(COLUMNS, ROWS)
        self.assertEqual(
            self.out.getvalue().splitlines(),
            [
                "Ticker          Price   Time",
                "───────────────────────────────────────────────",
                "ACME.DEMO     105.200   2026-11-23 07:07:07.136",
                "B.DEMO          9.375   -",
                "[red]C.DEMO         -   2026-11-23 07:07:00",
            ],
        )

    def test_one_decimal_is_shown_as_two(self) -> None:
        """Money reads so; whole numbers stay whole."""
        output = self.make()
        output.table(COLUMNS[1:2], [{"price": "105.2"}, {"price": "100"}, {"price": "-3"}])
        output.table(COLUMNS[1:2], [{"price": "100"}])
        lines = [line.strip() for line in self.out.getvalue().splitlines()]
        self.assertEqual(lines[2:5], ["105.20", "100.00", "-3.00"])
        self.assertEqual(lines[-1], "100")

    def test_a_table_wider_than_the_terminal_becomes_blocks(self) -> None:
        """Nothing is ever cut; numbers are as they are."""
        output = self.make(out=Terminal())
        output.console.width = 40
        output.table(COLUMNS, ROWS[:2], title="Prices")
        self.assertEqual(
            self.out.getvalue(),
            "Prices\n\n"
            "Ticker  ACME.DEMO\nPrice   105.2\nTime    2026-11-23 07:07:07.136\n\n"
            "Ticker  B.DEMO\nPrice   9.375\nTime    -\n",
        )

    @given(width=st.integers(20, 120))
    @settings(max_examples=30)
    def test_every_value_is_there_at_every_width(self, width: int) -> None:
        """As a table or as blocks."""
        output = self.make(out=Terminal())
        output.console.width = width
        output.table(COLUMNS, ROWS)
        shown = self.out.getvalue()
        for value in ("ACME.DEMO", "105.2", "9.375", "[red]C.DEMO", "2026-11-23 07:07:07.136"):
            self.assertIn(value, shown)
        self.assertNotIn("…", shown)

    def test_without_a_terminal_a_table_is_a_table_however_wide(self) -> None:
        """Whoever reads lines gets one a row, also where a cell is long."""
        self.make().table(COLUMNS, [*ROWS[:1], {"ticker": "x" * 500, "price": "\u6f22" * 300, "time": None}])
        lines = self.out.getvalue().splitlines()
        self.assertEqual(len(lines), 4)
        self.assertTrue(lines[0].startswith("Ticker  "))
        self.assertIn("x" * 500 + "   " + "\u6f22" * 300 + "   -", lines[3])

    def test_a_name_that_is_not_told_is_the_number_that_stands_for_it(self) -> None:
        """With what it is a number of; without a number either there is none."""
        columns = (Column("by", "By", number="by_id"), Column("on", "On", number="on_id", what="entry"))
        self.make().table(
            columns, [{"by": "ann", "by_id": "7", "on": None, "on_id": "12"}, {"by": None, "by_id": None, "on": "demo"}]
        )
        lines = [line.split() for line in self.out.getvalue().splitlines()[2:]]
        self.assertEqual(lines, [["ann", "entry", "12"], ["-", "demo"]])

    def test_no_rows_are_told_beside_the_results(self) -> None:
        """A program that reads results gets none."""
        self.make().table(COLUMNS, [], empty="No prices.")
        self.assertEqual((self.out.getvalue(), self.err.getvalue()), ("", "No prices.\n"))

    def test_as_json_each_row_is_a_line_with_exact_values(self) -> None:
        """Nothing is aligned or shortened."""
        self.make(as_json=True).table(COLUMNS, ROWS, title="Prices")
        self.assertEqual([json.loads(line) for line in self.out.getvalue().splitlines()], list(ROWS))

    def test_no_rows_as_json_are_no_lines(self) -> None:
        """An empty stream."""
        self.make(as_json=True).table(COLUMNS, [])
        self.assertEqual(self.out.getvalue(), "")


class ErrorTests(OutputTestCase):
    """Refusals and misuse."""

    def error(self) -> Any:
        """Return what was written as a JSON error."""
        return json.loads(self.err.getvalue())["error"]

    def test_a_refusal_says_what_why_and_what_next(self) -> None:
        """Code, text, details, advice; nothing on standard output."""
        self.make().error(Forbidden("ada lacks it.", capability="market_data.all"))
        first, second, third = self.err.getvalue().splitlines()
        self.assertEqual((first, second), ("FORBIDDEN ada lacks it.", "  capability: market_data.all"))
        self.assertIn("Ask an administrator", third)
        self.assertEqual(self.out.getvalue(), "")

    def test_a_long_text_is_not_broken(self) -> None:
        """Somebody may want to copy it."""
        self.make().error(Refused("SOME_RULE", "x " * 200))
        self.assertEqual(len(self.err.getvalue().splitlines()), 1)

    def test_markup_in_a_text_is_text(self) -> None:
        """A server's words are not ours."""
        self.make().error(Forbidden("[bold]no[/bold] [/]", name="[x]"))
        self.assertIn("FORBIDDEN [bold]no[/bold] [/]\n  name: [x]", self.err.getvalue())

    def test_advice_that_the_text_gives_already_is_not_repeated(self) -> None:
        """Once is enough."""
        self.make().error(NotAuthenticated("Nobody is logged in here; log in: spire login ACCOUNT"))
        self.assertEqual(len(self.err.getvalue().splitlines()), 1)

    def test_what_may_still_be_done_depends_on_how_it_is_stopped(self) -> None:
        """Nobody is told to reduce who may not."""

        def advice(code: str, **details: str | int) -> str:
            return str(advice_for(Refused(code, "stopped.", **details)))

        self.assertIn("Orders that reduce may pass", advice("HALTED", observed="NO_OPENING"))
        self.assertNotIn("reduce", advice("HALTED", observed="NO_NEW"))
        self.assertIn("Reduce only", advice("RISK_STATE", observed="CLOSE_ORDERS", rule="risk_state"))
        self.assertIn("takes no orders", advice("RISK_STATE", observed="DISABLED", rule="risk_state"))
        self.assertIn("spire limits", advice("RISK_STATE", observed="DISABLED", rule="allowed_state"))
        self.assertIn("Another risk officer", str(advice_for(Forbidden("You set halt 7.", halt_id=7))))
        self.assertIn("administrator", str(advice_for(Forbidden("no.", role="risk_officer"))))

    def test_a_refusal_as_json_is_one_object(self) -> None:
        """With the same four parts."""
        self.make(as_json=True).error(Forbidden("no.", capability="x"))
        error = self.error()
        self.assertEqual((error["code"], error["message"], error["details"]), ("FORBIDDEN", "no.", {"capability": "x"}))
        self.assertIn("administrator", error["advice"])

    def test_misuse_as_json_is_one_object(self) -> None:
        """Its code is USAGE."""
        self.make(as_json=True).misuse(click.UsageError("No such option"))
        self.assertEqual((self.error()["code"], self.error()["message"]), ("USAGE", "No such option"))


class CountTests(SynchronousTestCase):
    """Numbers of things."""

    def test_one_is_told_from_several(self) -> None:
        """None are several."""
        told = [counted(number, "order is", "orders are") for number in (0, 1, 2)]
        self.assertEqual(told, ["0 orders are", "1 order is", "2 orders are"])


class TimeTests(SynchronousTestCase):
    """Times in a table."""

    def test_a_time_is_shown_to_the_millisecond(self) -> None:
        """Always with three digits, so that they stand below each other."""
        self.assertEqual(short_time("2026-11-23T07:07:15.660000001Z"), "2026-11-23 07:07:15.660")

    def test_a_whole_second_has_no_fraction(self) -> None:
        """As candles begin."""
        self.assertEqual(short_time("2026-11-23T07:07:15.000000000Z"), "2026-11-23 07:07:15")
