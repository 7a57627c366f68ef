"""What is current of one instrument, and how a session reads a large book of it in pages (sans-I/O)."""

from typing import Any, Final

from attrs import frozen

from spire.marketdata.commands import BATCH_BYTES
from spire.marketdata.values import BOOK, Records
from spire.wire.errors import Invalid

BOOK_PAGE: Final = BATCH_BYTES // BOOK.itemsize
"""Rows of a page."""

BOOKS_KEPT: Final = 8
"""Books that a session may read at once."""


@frozen(kw_only=True)
class MarketSnapshot:
    """What is current of an instrument: at most one trade and one BBO, the whole book, and the sequences of the three topics.

    Where the book was not asked for, it has no rows and its sequence is 0.
    """

    epoch: int
    trade: Records
    bbo: Records
    book: Records
    trade_through: int
    bbo_through: int
    book_through: int


class SnapshotPages:
    """The snapshots whose books a session reads page by page, each as it was at its first page: it moves on meanwhile.

    One of an instrument is kept, until its last page was read or another one of several pages begins; of BOOKS_KEPT
    instruments, those that were read last.
    """

    def __init__(self) -> None:
        self._kept: dict[int, MarketSnapshot] = {}

    def kept(self, instrument: int, offset: int) -> MarketSnapshot | None:
        """Return the snapshot that a page belongs to; None for a first page, or where nothing is kept of the instrument."""
        return self._kept.get(instrument) if offset else None

    def answer(self, instrument: int, snapshot: MarketSnapshot, offset: int) -> dict[str, Any]:
        """Return the answer to TakeSnapshot with the page from row `offset` on. Raises Invalid behind the last row."""
        rows = snapshot.book
        if offset > len(rows):
            raise Invalid(f"the book has {len(rows)} rows", argument="book_offset")
        if offset + BOOK_PAGE < len(rows):
            self._keep(instrument, snapshot)
        elif offset:
            self._kept.pop(instrument, None)
        return {
            "epoch": snapshot.epoch,
            "trade": snapshot.trade.tobytes(),
            "bbo": snapshot.bbo.tobytes(),
            "book": rows[offset : offset + BOOK_PAGE].tobytes(),
            "book_rows": len(rows),
            "trade_through": snapshot.trade_through,
            "bbo_through": snapshot.bbo_through,
            "book_through": snapshot.book_through,
        }

    def drop(self) -> None:
        """Keep nothing."""
        self._kept.clear()

    def _keep(self, instrument: int, snapshot: MarketSnapshot) -> None:
        self._kept.pop(instrument, None)
        self._kept[instrument] = snapshot
        if len(self._kept) > BOOKS_KEPT:
            del self._kept[next(iter(self._kept))]
