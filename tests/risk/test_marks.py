"""What a position is worth, and whether that may trip a limit."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from spire.risk.marks import NOTHING, UNKNOWN, Mark, Marks, Prices, Trust, marks_of, quote_of, why_not
from spire.risk.values import MarkSource
from tests.values.examples import dollars

QUOTED = Prices(bid=dollars(14.00), ask=dollars(14.02), quote_session=5, last=dollars(14.01), last_session=5)
TRUSTED = Trust(quotes=5, prints=5, is_open=True)
LAST = Mark(dollars(14.01), MarkSource.TRADE, True)


class MarkTests(SynchronousTestCase):
    """The best of what is known: quote, print, nothing."""

    def test_a_long_position_is_worth_the_bid_and_a_short_one_the_ask(self) -> None:
        """Each side is what closing would bring; both are fresh."""
        marks = marks_of(QUOTED, TRUSTED)
        self.assertEqual(marks.of(1), Mark(dollars(14.00), MarkSource.BBO, True))
        self.assertEqual(marks.of(-1), Mark(dollars(14.02), MarkSource.BBO, True))

    def test_a_flat_position_has_no_mark(self) -> None:
        """There is nothing to be worth anything."""
        self.assertIsNone(marks_of(QUOTED, TRUSTED).of(0))

    def test_a_locked_quote_counts(self) -> None:
        """Bid and ask may be equal."""
        locked = evolve(QUOTED, ask=dollars(14.00))
        self.assertEqual(quote_of(locked, TRUSTED), (dollars(14.00), dollars(14.00)))

    def test_a_crossed_quote_gives_way_to_the_last_print(self) -> None:
        """And the last print is fresh while its feed is."""
        crossed = evolve(QUOTED, bid=dollars(14.03))
        self.assertEqual(marks_of(crossed, TRUSTED), Marks(LAST, LAST))
        self.assertEqual(why_not(crossed, TRUSTED), "its quote is crossed")

    def test_a_quote_without_bids_gives_way_to_the_last_print(self) -> None:
        """Nobody bids any more: the loss still counts."""
        one_sided = evolve(QUOTED, bid=None)
        self.assertEqual(marks_of(one_sided, TRUSTED).of(1), LAST)
        self.assertEqual(why_not(one_sided, TRUSTED), "its quote has not both sides")

    def test_a_closed_session_marks_at_the_last_print(self) -> None:
        """Quotes before the open and after the close say little."""
        closed = evolve(TRUSTED, is_open=False)
        self.assertEqual(marks_of(QUOTED, closed).of(1), LAST)
        self.assertEqual(why_not(QUOTED, closed), "its regular session is closed")

    def test_a_stale_feed_leaves_the_last_print_which_is_not_fresh(self) -> None:
        """A silent market trips nobody."""
        silent = Trust(quotes=None, prints=None, is_open=True)
        self.assertEqual(marks_of(QUOTED, silent).of(1), Mark(dollars(14.01), MarkSource.TRADE, False))
        self.assertEqual(why_not(QUOTED, silent), "its quote is stale")

    def test_a_quote_of_an_earlier_feed_session_is_stale(self) -> None:
        """Another feed serves the market now, and has not quoted the instrument yet."""
        self.assertIsNone(quote_of(evolve(QUOTED, quote_session=4), TRUSTED))

    def test_a_print_of_an_earlier_feed_session_is_not_fresh(self) -> None:
        """It is the last one all the same."""
        before = evolve(QUOTED, bid=None, last_session=4)
        self.assertEqual(marks_of(before, TRUSTED).of(1), Mark(dollars(14.01), MarkSource.TRADE, False))

    def test_without_quote_and_print_nothing_is_known(self) -> None:
        """It is never zero."""
        self.assertEqual(marks_of(Prices(), TRUSTED), UNKNOWN)

    def test_the_last_quote_that_could_be_traded_upon_is_kept(self) -> None:
        """Neither a quote after the close nor a crossed one takes its place."""
        seen = QUOTED.believed(TRUSTED)
        later = seen.quoted(dollars(1), dollars(99), 5).believed(evolve(TRUSTED, is_open=False))
        crossed = later.quoted(dollars(15), dollars(14), 5).believed(TRUSTED)
        self.assertEqual(marks_of(crossed, NOTHING).last_quote, (dollars(14.00), dollars(14.02)))
        self.assertEqual(
            marks_of(evolve(crossed, last=None), NOTHING), Marks(last_quote=(dollars(14.00), dollars(14.02)))
        )

    def test_what_is_seen_replaces_only_itself(self) -> None:
        """A quote leaves the print, a print the quote."""
        seen = Prices().printed(dollars(14.01), 5).quoted(dollars(14.00), dollars(14.02), 5)
        self.assertEqual(seen, QUOTED)
