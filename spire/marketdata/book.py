"""The book of one instrument: rows by (venue, participant, side, price), the last size said for each (sans-I/O)."""

from typing import Final

import numpy as np

from spire.marketdata.values import Records, RecordType, empty, joined
from spire.values.orders import BookSide

_COMPACT_AT_LEAST: Final = 512


class Book:
    """Rows of one instrument's book.

    Records are kept as they came and folded when somebody asks or when they have become many, so that applying a batch costs the
    same however large the book is.
    """

    def __init__(self) -> None:
        self._rows: Records = empty(RecordType.BOOK)
        self._pending: list[Records] = []
        self._pending_count = 0

    def apply(self, records: Records) -> None:
        """Take records in sequence order; size 0 removes a row."""
        if len(records):
            self._pending.append(records.copy())  # a view would keep the whole frame alive
            self._pending_count += len(records)
            if self._pending_count >= max(_COMPACT_AT_LEAST, 4 * len(self._rows)):
                self._fold()

    @property
    def rows(self) -> Records:
        """The rows, best first: bids from the highest price, then asks from the lowest; at one price by sequence."""
        if self._pending:
            self._fold()
        return self._rows

    def removals(self, feed_session: int) -> Records:
        """Return records that take away every row of a feed session."""
        rows = self.rows
        gone: Records = rows[rows["feed_session"] == feed_session].copy()
        gone["size"] = 0
        gone["order_count"] = 0
        return gone

    def _fold(self) -> None:
        everything = joined(RecordType.BOOK, [self._rows, *self._pending])
        self._pending, self._pending_count = [], 0
        order = np.lexsort(
            (
                everything["sequence"],
                everything["price"],
                everything["participant"],
                everything["venue"],
                everything["side"],
            )
        )
        grouped = everything[order]
        key = grouped[["side", "venue", "participant", "price"]]
        is_last = np.ones(len(grouped), dtype=bool)
        is_last[:-1] = key[1:] != key[:-1]
        current = grouped[is_last & (grouped["size"] > 0)]
        towards = np.where(current["side"] == BookSide.BID, -current["price"], current["price"])
        self._rows = current[np.lexsort((current["sequence"], towards, current["side"]))]
