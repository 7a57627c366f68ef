"""Quotes, trades and charts, as a person asks for them."""

import csv
from io import StringIO

from click.testing import Result

from spire.values.amounts import parse_price
from tests.operations.commands.room import CommandTestCase


class MarketTests(CommandTestCase):
    """A generated market."""

    def test_a_quote_has_both_sides_and_the_last_print(self) -> None:
        """In a market that is not stale."""
        (row,) = self.rows("quotes", "ACME.DEMO")
        self.assertLess(parse_price(row["bid"]), parse_price(row["ask"]))
        self.assertEqual((row["ticker"], row["stale"]), ("ACME.DEMO", None))
        self.assertGreater(parse_price(row["last"]), 0)

    def test_a_market_without_a_feed_is_stale(self) -> None:
        """And what it never had is absent."""
        (row,) = self.rows("quotes", "BAC.XNYS")
        self.assertEqual((row["bid"], row["ask"], row["last"], row["stale"]), (None, None, None, "stale"))

    def test_small_letters_will_do(self) -> None:
        """The ticker has none."""
        self.assertEqual(
            [row["ticker"] for row in self.rows("quotes", "acme.demo", "Blue.Demo")], ["ACME.DEMO", "BLUE.DEMO"]
        )

    def test_an_unknown_ticker_is_not_found_and_similar_ones_are_named(self) -> None:
        """Of the same venue."""
        error = self.refused("quotes", "ACNE.DEMO")
        self.assertEqual((error["code"], error["details"]["similar"]), ("NOT_FOUND", "ACME.DEMO"))

    def test_what_is_no_ticker_is_invalid(self) -> None:
        """It says how one is written."""
        error = self.refused("trades", "ACME")
        self.assertEqual(error["code"], "INVALID")
        self.assertIn("SYMBOL.VENUE", error["message"])

    def test_trades_are_the_latest_oldest_first(self) -> None:
        """Their sequences follow each other."""
        rows = self.rows("trades", "ACME.DEMO", "--last", "3")
        sequences = [int(row["sequence"]) for row in rows]
        self.assertEqual(sequences, list(range(sequences[0], sequences[0] + 3)))
        self.assertEqual({row["venue"] for row in rows}, {"DEMO"})

    def test_trades_of_a_range_of_time_lie_within_it(self) -> None:
        """From a time on, until before another."""
        everything = self.rows("trades", "ACME.DEMO", "--last", "60000")
        start, end = everything[1]["market_time"], everything[4]["market_time"]
        self.assertEqual(self.rows("trades", "ACME.DEMO", "--from", start, "--to", end), everything[1:4])

    def test_a_time_without_prints_shows_nothing_and_says_so(self) -> None:
        """That is no failure."""
        result = self.invoke("trades", "ACME.DEMO", "--to", "2001-01-01")
        self.assertEqual((result.exit_code, result.stdout), (0, ""))
        self.assertIn("No prints of ACME.DEMO", result.stderr)

    def test_a_time_that_is_none_is_misuse(self) -> None:
        """Though only the venue's zone could tell."""
        result = self.invoke("chart", "ACME.DEMO", "--from", "yesterday")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("'yesterday' is no time", result.stderr)

    def test_a_chart_as_csv_is_the_chart(self) -> None:
        """With a line of names, and exact values."""
        candles = self.rows("chart", "ACME.DEMO", "--interval", "1s")
        lines = list(csv.DictReader(StringIO(self.spire("chart", "ACME.DEMO", "--interval", "1s", "--csv"))))
        self.assertEqual(
            lines[: len(candles) - 1], [{k: v for k, v in row.items() if k != "notional"} for row in candles[:-1]]
        )

    def test_a_chart_cannot_be_csv_and_json(self) -> None:
        """One of the two would have to be left out in silence."""
        error = self.refused("chart", "ACME.DEMO", "--csv")
        self.assertEqual(error["code"], "INVALID")
        self.assertIn("--csv", error["message"])

    def test_a_chart_adds_up_to_the_trades(self) -> None:
        """In volume and count."""
        trades = self.rows("trades", "ACME.DEMO", "--last", "60000")
        (candle,) = self.rows("chart", "ACME.DEMO", "--interval", "1d", "--to", trades[-1]["market_time"])
        self.assertGreaterEqual(int(candle["count"]), len(trades))
        self.assertEqual(candle["open"], trades[0]["price"])

    def test_without_the_right_market_data_is_forbidden(self) -> None:
        """At once, and not as a server that is away."""
        for words in (["quotes", "ACME.DEMO"], ["trades", "ACME.DEMO"], ["chart", "ACME.DEMO"]):
            error = self.refused(*words, account="administrator")
            self.assertEqual((error["code"], error["details"]["venue"]), ("FORBIDDEN", "DEMO"), words)

    def test_status_names_every_service(self) -> None:
        """All are up; Market Data itself is for its relays, not for traders."""
        states = {row["service"]: row["state"] for row in self.rows("status")}
        self.assertEqual(states.pop("market_data_feed_service"), "registered")
        self.assertEqual(states.pop("market_data_service"), "up, not for you")
        self.assertEqual(set(states.values()), {"up"})
        self.assertEqual(len(states), 9)


class LostMarketDataTests(CommandTestCase):
    """Market Data is away, behind the relay and the Charting Server that are asked."""

    def setUp(self) -> None:
        """Cut it off."""
        super().setUp()
        self.refuse("127.0.0.1:20300")
        self.platform.network.drop("market_data_service")
        self.platform.advance(1.0)

    def waited(self, *words: str) -> Result:
        """Type a command that must wait for as long as for any service, and return how it ended."""
        before = self.platform.clock.monotonic()
        result = self.invoke(*words)
        seconds = self.platform.clock.monotonic() - before
        self.assertTrue(9.0 < seconds < 15.0, (seconds, result.stderr))
        return result

    def test_it_is_waited_for_as_a_service_is(self) -> None:
        """After a second it is said why, and after ten the command ends."""
        for words in (("quotes", "ACME.DEMO"), ("trades", "ACME.DEMO"), ("chart", "ACME.DEMO")):
            result = self.waited(*words)
            self.assertEqual((result.exit_code, result.stdout), (1, ""), words)
            self.assertEqual(result.stderr.count("Waiting for market data: "), 1, words)
            self.assertIn("UNAVAILABLE", result.stderr)

    def test_what_comes_back_in_time_is_answered(self) -> None:
        """The command goes on by itself."""
        self.platform.clock.later(3.0, lambda: self.platform.network.faults.refuse.discard("127.0.0.1:20300"))
        result = self.invoke("trades", "ACME.DEMO", "--last", "2")
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertIn("Waiting for market data: ", result.stderr)
        self.assertEqual(len(result.stdout.splitlines()), 4)


class LostServerTests(CommandTestCase):
    """A server that is away."""

    def test_it_is_told_which_and_the_exit_status_says_so(self) -> None:
        """By the command that needs it, and by status."""
        self.platform.stop("charting")
        error = self.refused("chart", "ACME.DEMO")
        self.assertEqual(error["code"], "UNAVAILABLE")
        self.assertIn("charting_service", error["message"])
        self.assertIn("spire status", error["advice"])
        result = self.invoke("status")
        self.assertEqual(result.exit_code, 1)
        self.assertRegex(result.stdout, r"(?m)^charting_service +- +not registered$")
        self.assertEqual(len(self.rows("quotes", "ACME.DEMO")), 1)
