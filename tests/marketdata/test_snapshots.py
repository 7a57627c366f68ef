"""Large books in pages: what a server keeps of them, and who has to wait."""

from typing import Any

import numpy as np
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.marketdata.book_turns import BookTurns
from spire.marketdata.snapshots import BOOK_PAGE, BOOKS_KEPT, MarketSnapshot, SnapshotPages
from spire.marketdata.values import BOOK, RecordType, empty
from spire.testing.clock import OPENING, ManualClock
from spire.wire.errors import Unavailable


def snapshot(pages: int = 2) -> MarketSnapshot:
    """Return a snapshot whose book has so many pages."""
    return MarketSnapshot(
        epoch=1,
        trade=empty(RecordType.TRADE),
        bbo=empty(RecordType.BBO),
        book=np.zeros(pages * BOOK_PAGE, dtype=BOOK),
        trade_through=0,
        bbo_through=0,
        book_through=1,
    )


class SnapshotPagesTests(SynchronousTestCase):
    """What is kept for one session."""

    def setUp(self) -> None:
        """Begin as many books as are kept."""
        self.pages = SnapshotPages()
        self.books = {instrument: snapshot(3) for instrument in range(1, BOOKS_KEPT + 1)}
        for instrument, book in self.books.items():
            self.pages.answer(instrument, book, 0)

    def test_each_book_is_kept_for_itself(self) -> None:
        """Until its own last page was read."""
        self.assertIs(self.pages.kept(1, BOOK_PAGE), self.books[1])
        self.pages.answer(2, self.books[2], 2 * BOOK_PAGE)
        self.assertIsNone(self.pages.kept(2, BOOK_PAGE))
        self.assertIs(self.pages.kept(3, BOOK_PAGE), self.books[3])

    def test_one_too_many_replaces_the_one_that_nobody_reads(self) -> None:
        """A session cannot have a server keep any number."""
        self.pages.answer(1, self.books[1], BOOK_PAGE)
        self.pages.answer(99, snapshot(), 0)
        self.assertIsNone(self.pages.kept(2, BOOK_PAGE))
        self.assertIs(self.pages.kept(1, BOOK_PAGE), self.books[1])


class BookTurnsTests(SynchronousTestCase):
    """Who reads, and who waits."""

    def setUp(self) -> None:
        """Nobody reads."""
        self.clock = ManualClock(OPENING)
        self.turns = BookTurns(self.clock, 10.0)
        self.reading: list[int] = []

    def read(self, instrument: int, seconds: float = 60.0) -> Deferred[Any]:
        """Read a book for some time."""

        async def run() -> None:
            async with self.turns.turn(instrument):
                self.reading.append(instrument)
                await self.clock.sleep(seconds)

        return Deferred.fromCoroutine(run())

    def test_nobody_waits_for_ever(self) -> None:
        """Those before him may wait for a server that does not answer."""
        for instrument in range(BOOKS_KEPT):
            self.read(instrument)
        others = [self.read(instrument) for instrument in (BOOKS_KEPT, 1)]
        self.clock.advance(9.9)
        self.assertNoResult(others[0])
        self.clock.advance(0.2)
        self.assertEqual([type(self.failureResultOf(one).value) for one in others], [Unavailable] * 2)
        self.assertEqual(self.reading, list(range(BOOKS_KEPT)))

    def test_whoever_is_cancelled_leaves_the_queue(self) -> None:
        """His turn is the next one's."""
        self.read(1, seconds=1.0)
        left, stays = self.read(1), self.read(1, seconds=1.0)
        left.cancel()
        self.failureResultOf(left, CancelledError)
        self.clock.advance(2.5)
        self.successResultOf(stays)
        self.assertEqual(self.turns._locks, {})
        self.assertEqual(self.clock.reactor.getDelayedCalls(), [])

    def test_a_turn_may_end_as_soon_as_it_comes(self) -> None:
        """As where the connection has gone meanwhile."""
        first, second = self.read(1, seconds=1.0), Deferred.fromCoroutine(self.at_once(1))
        self.clock.advance(1.5)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.turns._locks, {})

    async def at_once(self, instrument: int) -> None:
        """Take a turn and leave."""
        async with self.turns.turn(instrument):
            pass
