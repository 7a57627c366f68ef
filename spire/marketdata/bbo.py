"""The best bid and offer that a book shows (sans-I/O)."""

import numpy as np

from spire.marketdata.values import BboKind, Present, Records, RecordType, empty
from spire.values.orders import BookSide


def best_of(rows: Records, *, instrument: int, listing_venue: int, source_time: int) -> Records:
    """Return one COMPUTED record from a book's rows.

    A side's price is the best, its size the sum of what is shown there, its venue the one that shows most (the lowest number among
    equals); a side without rows is absent.
    """
    record = empty(RecordType.BBO, 1)
    record["instrument"] = instrument
    record["venue"] = listing_venue
    record["source_time"] = source_time
    record["kind"] = BboKind.COMPUTED
    for side, name, bit in ((BookSide.BID, "bid", Present.BID), (BookSide.ASK, "ask", Present.ASK)):
        own = rows[(rows["side"] == side) & (rows["size"] > 0)]
        if not len(own):
            continue
        price = own["price"].max() if side is BookSide.BID else own["price"].min()
        best = own[own["price"] == price]
        venues, inverse = np.unique(best["venue"], return_inverse=True)
        shown = np.zeros(len(venues), dtype=np.int64)
        np.add.at(shown, inverse, best["size"])
        record[name] = price
        record[f"{name}_size"] = shown.sum()
        record[f"{name}_venue"] = venues[int(shown.argmax())]
        record["present"] |= np.uint16(bit)
    return record
