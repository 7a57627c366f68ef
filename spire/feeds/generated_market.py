"""A market made of random numbers: books, best bids and offers, and trades of a few or many instruments (sans-I/O).

The same seed and the same calls give the same records. Each instrument has a book of a few levels a side, one participant a level;
the best bid and offer is the book's first level; trades print at it.
"""

from typing import Final

import numpy as np
from attrs import field, frozen
from attrs.validators import ge, gt
from numpy.typing import NDArray

from spire.marketdata.values import BBO, BOOK, TRADE, BboKind, Present, Records, RecordType
from spire.values.orders import BookSide

_SIZE_UNIT: Final = 1_000_000
_SIDES: Final = np.array([BookSide.BID, BookSide.ASK], dtype=np.uint16)


@frozen(kw_only=True)
class MarketShape:
    """What the market looks like: levels a side, the tick and the prices to begin between (scaled by 10**6), the round lot."""

    levels: int = field(default=5, validator=gt(0))
    tick: int = field(default=10_000, validator=gt(0))
    least_price: int = field(default=20_000_000, validator=gt(0))
    greatest_price: int = field(default=200_000_000, validator=gt(0))
    widest_half_spread_ticks: int = field(default=3, validator=gt(0))
    lot: int = field(default=100, validator=gt(0))
    greatest_lots: int = field(default=20, validator=ge(1))


class GeneratedMarket:
    """The state of all instruments; each call moves some of them on and returns the records that say so."""

    def __init__(self, instruments: list[int], venue: int, *, seed: int, shape: MarketShape | None = None) -> None:
        if not instruments:
            raise ValueError("a market needs at least one instrument")
        self._shape = shape = shape or MarketShape()
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._instruments = np.array(instruments, dtype=np.uint32)
        self._venue = venue
        count = len(instruments)
        self._middle = self._random.integers(
            shape.least_price // shape.tick, shape.greatest_price // shape.tick, count, dtype=np.int64, endpoint=True
        )
        self._half_spread = self._random.integers(
            1, shape.widest_half_spread_ticks, count, dtype=np.int64, endpoint=True
        )
        self._prices = np.zeros((count, 2, shape.levels), dtype=np.int64)
        self._sizes = np.zeros((count, 2, shape.levels), dtype=np.int64)
        self._participants = np.array([b"MAKER%d" % (level + 1) for level in range(shape.levels)], dtype="S8")
        self._place(np.arange(count))
        self._trades = 0

    def __len__(self) -> int:
        return len(self._instruments)

    def books(self, now: int) -> dict[RecordType, Records]:
        """Return every row of every book, and every best bid and offer: what a feed says first."""
        everything = np.arange(len(self._instruments))
        return {
            RecordType.BBO: self._bbos(everything, now),
            RecordType.BOOK: self._rows(everything, self._prices, self._sizes, now),
        }

    def quotes(self, count: int, now: int) -> dict[RecordType, Records]:
        """Move up to `count` different instruments by at most a tick; return their new best quotes and changed book rows."""
        picked = np.sort(self._random.choice(len(self), size=min(count, len(self)), replace=False))
        before = self._prices[picked].copy()
        floor = self._shape.levels + self._half_spread[picked] + 1
        moved = self._middle[picked] + self._random.integers(-1, 1, len(picked), endpoint=True)
        self._middle[picked] = np.maximum(floor, moved)
        self._place(picked)
        gone = before != self._prices[picked]
        removals = self._rows(picked, before, np.zeros_like(before), now)[gone.reshape(-1)]
        rows = self._rows(picked, self._prices[picked], self._sizes[picked], now)
        return {RecordType.BBO: self._bbos(picked, now), RecordType.BOOK: np.concatenate([removals, rows])}

    def trades(self, count: int, now: int) -> Records:
        """Return `count` prints at the best bids and offers."""
        picked = self._random.integers(0, len(self), count)
        side = self._random.integers(0, 1, count, endpoint=True)
        shown = self._sizes[picked, side, 0] // (self._shape.lot * _SIZE_UNIT)
        lots = 1 + (self._random.random(count) * shown).astype(np.int64)
        records = np.zeros(count, dtype=TRADE)
        records["instrument"] = self._instruments[picked]
        records["venue"] = self._venue
        records["source_time"] = now
        records["trade_id"] = np.arange(self._trades + 1, self._trades + count + 1, dtype=np.uint64)
        records["price"] = self._prices[picked, side, 0]
        records["size"] = np.minimum(lots, np.maximum(shown, 1)) * self._shape.lot * _SIZE_UNIT
        records["present"] = Present.TRADE_ID
        self._trades += count
        return records

    def _place(self, picked: NDArray[np.intp]) -> None:
        shape = self._shape
        levels = np.arange(shape.levels)
        middle, half = self._middle[picked, None], self._half_spread[picked, None]
        self._prices[picked, 0] = (middle - half - levels) * shape.tick
        self._prices[picked, 1] = (middle + half + levels) * shape.tick
        lots = self._random.integers(1, shape.greatest_lots, (len(picked), 2, shape.levels), endpoint=True)
        self._sizes[picked] = lots * shape.lot * _SIZE_UNIT

    def _bbos(self, picked: NDArray[np.intp], now: int) -> Records:
        records = np.zeros(len(picked), dtype=BBO)
        records["instrument"] = self._instruments[picked]
        records["venue"] = records["bid_venue"] = records["ask_venue"] = self._venue
        records["source_time"] = now
        records["kind"] = BboKind.COMPUTED
        records["present"] = Present.BID | Present.ASK
        for side, name in enumerate(("bid", "ask")):
            records[name] = self._prices[picked, side, 0]
            records[f"{name}_size"] = self._sizes[picked, side, 0]
        return records

    def _rows(self, picked: NDArray[np.intp], prices: NDArray[np.int64], sizes: NDArray[np.int64], now: int) -> Records:
        levels = self._shape.levels
        records = np.zeros(len(picked) * 2 * levels, dtype=BOOK)
        records["instrument"] = np.repeat(self._instruments[picked], 2 * levels)
        records["venue"] = self._venue
        records["source_time"] = now
        records["price"] = prices.reshape(-1)
        records["size"] = sizes.reshape(-1)
        records["side"] = np.tile(np.repeat(_SIDES, levels), len(picked))
        records["participant"] = np.tile(self._participants, 2 * len(picked))
        return records
