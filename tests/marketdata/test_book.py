"""Tests of the book and the best bid and offer that it shows."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.marketdata.bbo import best_of
from spire.marketdata.book import Book
from spire.marketdata.values import Present, Records
from spire.values.orders import BookSide
from tests.marketdata.records import row

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(list(BookSide)),
        st.integers(1, 4),
        st.integers(0, 3),
        st.sampled_from([b"A", b"B"]),
        st.sampled_from([10, 11]),
    ),
    max_size=40,
)


def numbered(*parts: Records) -> Records:
    """Return rows in one array with ascending sequences."""
    records = np.concatenate(parts)
    records["sequence"] = range(1, len(records) + 1)
    return records


class BookTests(SynchronousTestCase):
    """A row is known by venue, participant, side and price."""

    @settings(max_examples=100)
    @given(CHANGES, st.integers(1, 10))
    def test_the_book_is_what_was_last_said(
        self, changes: list[tuple[BookSide, int, int, bytes, int]], step: int
    ) -> None:
        """A plain dictionary gives the same rows, however the records are cut."""
        book = Book()
        expected = {}
        rows = [row(1, side, price, size, participant=who, venue=venue) for side, price, size, who, venue in changes]
        records = numbered(*rows) if rows else np.zeros(0)
        for first in range(0, len(records), step):
            book.apply(records[first : first + step])
        for side, price, size, who, venue in changes:
            expected[side, price, who, venue] = size
        shown = {
            (BookSide(int(each["side"])), int(each["price"]), bytes(each["participant"]), int(each["venue"])): int(
                each["size"]
            )
            for each in book.rows
        }
        self.assertEqual(shown, {key: size for key, size in expected.items() if size})

    def test_rows_stand_best_first(self) -> None:
        """Bids fall, asks rise."""
        book = Book()
        prices = [(BookSide.ASK, 12), (BookSide.BID, 9), (BookSide.ASK, 11), (BookSide.BID, 10)]
        book.apply(numbered(*[row(1, side, price, 5) for side, price in prices]))
        self.assertEqual(book.rows["price"].tolist(), [10, 9, 11, 12])

    def test_removals_take_away_one_feed_sessions_rows(self) -> None:
        """Applied, they leave the rows of others."""
        book = Book()
        records = numbered(row(1, BookSide.BID, 10, 5), row(1, BookSide.BID, 9, 5))
        records["feed_session"] = [7, 8]
        book.apply(records)
        gone = book.removals(7)
        gone["sequence"] = 3
        book.apply(gone)
        self.assertEqual(book.rows["price"].tolist(), [9])


class BestTests(SynchronousTestCase):
    """The best bid and offer of a book."""

    def test_sizes_at_the_best_price_add_up(self) -> None:
        """The venue is the one that shows most."""
        rows = numbered(
            row(1, BookSide.BID, 10, 5, participant=b"A", venue=10),
            row(1, BookSide.BID, 10, 4, participant=b"A", venue=11),
            row(1, BookSide.BID, 10, 3, participant=b"B", venue=11),
            row(1, BookSide.BID, 9, 50),
        )
        best = best_of(rows, instrument=1, listing_venue=10, source_time=5)[0]
        self.assertEqual((best["bid"], best["bid_size"], best["bid_venue"]), (10, 12, 11))
        self.assertEqual(best["present"], Present.BID)
