"""Codes and tickers have one form."""

from twisted.trial.unittest import SynchronousTestCase

from spire.values.codes import Venue, parse_country, parse_currency, parse_venue
from spire.values.environment import Environment, FeedKind, allows_feed
from spire.values.tickers import Ticker, parse_ticker


class CodeTests(SynchronousTestCase):
    """Venues, currencies and countries are checked for their form."""

    def test_a_mic_is_a_venue(self) -> None:
        """Four capitals or digits pass."""
        self.assertEqual(parse_venue("XNYS"), "XNYS")

    def test_a_venue_in_small_letters_is_refused(self) -> None:
        """Nothing is folded."""
        with self.assertRaises(ValueError):
            parse_venue("xnys")

    def test_a_long_currency_is_refused(self) -> None:
        """A currency has three letters."""
        with self.assertRaises(ValueError):
            parse_currency("USDT")

    def test_a_country_with_a_line_end_is_refused(self) -> None:
        """The whole text must match."""
        with self.assertRaises(ValueError):
            parse_country("US\n")


class TickerTests(SynchronousTestCase):
    """SYMBOL.VENUE splits at the last dot."""

    def test_a_symbol_may_hold_dots(self) -> None:
        """BRK.A at XNYS keeps its dot."""
        self.assertEqual(parse_ticker("BRK.A.XNYS"), Ticker("BRK.A", Venue("XNYS")))

    def test_the_text_form_comes_back(self) -> None:
        """Text and ticker are inverse."""
        self.assertEqual(str(parse_ticker("BAC.XNYS")), "BAC.XNYS")

    def test_a_ticker_without_venue_is_refused(self) -> None:
        """A bare symbol is ambiguous."""
        with self.assertRaises(ValueError):
            parse_ticker("BAC")

    def test_an_empty_symbol_is_refused(self) -> None:
        """A venue alone is no ticker."""
        with self.assertRaises(ValueError):
            parse_ticker(".XNYS")


class EnvironmentTests(SynchronousTestCase):
    """Production takes live data only."""

    def test_production_refuses_a_replay(self) -> None:
        """A recorded day is no market."""
        self.assertFalse(allows_feed(Environment.PRODUCTION, FeedKind.REPLAY))

    def test_a_demo_takes_a_replay(self) -> None:
        """Outside production everything may feed."""
        self.assertTrue(allows_feed(Environment.DEMO, FeedKind.REPLAY))
