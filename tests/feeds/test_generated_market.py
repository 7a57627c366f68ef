"""Tests of the generated market."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.feeds.generated_market import GeneratedMarket
from spire.marketdata.bbo import best_of
from spire.marketdata.book import Book
from spire.marketdata.sequencing import Sequences, runs
from spire.marketdata.validation import Universe, check_batch
from spire.marketdata.values import RecordType

INSTRUMENTS = [3, 4, 9]
UNIVERSE = Universe([(instrument, 100) for instrument in INSTRUMENTS], [100])


class GeneratedMarketTests(SynchronousTestCase):
    """Random, but repeatable and consistent."""

    def test_the_same_seed_gives_the_same_market(self) -> None:
        """Byte for byte."""
        a, b = (GeneratedMarket(INSTRUMENTS, 100, seed=7) for _ in range(2))
        self.assertEqual(a.quotes(2, 1)[RecordType.BOOK].tobytes(), b.quotes(2, 1)[RecordType.BOOK].tobytes())
        self.assertEqual(a.trades(5, 2).tobytes(), b.trades(5, 2).tobytes())

    @settings(max_examples=20)
    @given(st.integers(0, 2**32), st.lists(st.integers(1, 3), max_size=20))
    def test_the_book_rows_always_show_the_best_bid_and_offer(self, seed: int, moves: list[int]) -> None:
        """Whoever follows the book sees the BBO that the feed says, uncrossed."""
        market = GeneratedMarket(INSTRUMENTS, 100, seed=seed)
        books = {instrument: Book() for instrument in INSTRUMENTS}
        bbos = {}
        sequences = Sequences()
        for turn, records in enumerate([market.books(1), *(market.quotes(count, 2) for count in moves)]):
            rows, _ = sequences.assign(RecordType.BOOK, records[RecordType.BOOK])
            for run in runs(rows):
                books[run.instrument].apply(run.records)
            for record in records[RecordType.BBO]:
                bbos[int(record["instrument"])] = record
            self.assertEqual(len(bbos), len(INSTRUMENTS), turn)
        for instrument, book in books.items():
            best = best_of(book.rows, instrument=instrument, listing_venue=100, source_time=2)[0]
            said = bbos[instrument]
            fields = ["bid", "bid_size", "ask", "ask_size", "bid_venue", "ask_venue"]
            self.assertEqual([best[name] for name in fields], [said[name] for name in fields])
            self.assertLess(best["bid"], best["ask"])

    def test_every_record_would_be_accepted(self) -> None:
        """The server's own checks find nothing."""
        market = GeneratedMarket(INSTRUMENTS, 100, seed=1)
        served = frozenset([100])
        for kind, records in {**market.quotes(3, 5), RecordType.TRADE: market.trades(50, 5)}.items():
            check_batch(kind, records, UNIVERSE, served)
        self.assertEqual(market.trades(1, 5)["trade_id"].tolist(), [51])
