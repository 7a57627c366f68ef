"""Answers and rows that fit, whatever stands in them."""

from twisted.trial.unittest import SynchronousTestCase

from spire.risk.pages import PAGE_BYTES, PAGE_ROWS, fitting
from spire.risk.portfolios import told
from spire.wire.arguments import encode

LONG = "\N{MUSICAL SYMBOL G CLEF}" * 1_000


class PageTests(SynchronousTestCase):
    """A page of rows."""

    def test_few_rows_are_one_page(self) -> None:
        """All of them."""
        self.assertEqual(fitting(["a", "b"]), ("a", "b"))

    def test_a_page_has_so_many_rows_at_most(self) -> None:
        """However short they are."""
        self.assertEqual(fitting(list(range(PAGE_ROWS + 1))), tuple(range(PAGE_ROWS)))

    def test_long_rows_are_cut_by_their_bytes(self) -> None:
        """Characters take up to four."""
        page = fitting([LONG] * PAGE_ROWS)
        self.assertEqual(len(page), 12)
        self.assertTrue(len(encode(page)) <= PAGE_BYTES)

    def test_a_row_that_is_longer_than_a_page_comes_alone(self) -> None:
        """Else nothing would ever come."""
        self.assertEqual(fitting([LONG * 20, "b"]), (LONG * 20,))


class ToldTests(SynchronousTestCase):
    """Why positions cannot be closed."""

    def test_nothing_that_waits_is_not_told(self) -> None:
        """The row has None."""
        self.assertIsNone(told(()))

    def test_a_cause_is_told_once_however_many_positions_have_it(self) -> None:
        """With the first of them."""
        pending = (
            "BAC.XNYS: its quote is stale",
            "IBM.XNYS: its regular session is closed",
            "GE.XNYS: its quote is stale",
        )
        self.assertEqual(
            told(pending), "BAC.XNYS and 1 more: its quote is stale; IBM.XNYS: its regular session is closed"
        )

    def test_many_long_causes_fit_a_row(self) -> None:
        """A few of them, cut, and how many there are."""
        text = told(tuple(f"T{number}.XNYS: {number} {LONG}" for number in range(500)))
        assert text is not None
        self.assertTrue(text.endswith("; and 496 more"), text[-20:])
        self.assertTrue(len(text.encode()) < 4_000)
