"""Trades to candlesticks: buckets of local time, exact sums, and merging of later prints (sans-I/O)."""

from datetime import timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spire.charting.sums import Places, sums_of_halves, sums_of_products
from spire.charting.values import CANDLE, DAY, PRICED, Candles, Eligibility
from spire.marketdata.values import COUNTS_HIGH_LOW, COUNTS_LAST, COUNTS_OPEN, COUNTS_VOLUME
from spire.values.time import Timestamp, local_date, local_midnight

_EVERYTHING: Final = COUNTS_OPEN | COUNTS_HIGH_LOW | COUNTS_LAST | COUNTS_VOLUME
_LEAST: Final = -(2**63)
_GREATEST: Final = 2**63 - 1

NEAR: Final = 256
LONGEST_STRETCH: Final = 65_536
"""Buckets between two that are asked for together, and in what is asked for at once."""

Int64s = NDArray[np.int64]
Mask = NDArray[np.bool_]


def bucket_bounds(times: Int64s, interval: int, zone: str) -> tuple[Int64s, Int64s]:
    """Return the start and end of the bucket of each time, all in nanoseconds since 1970 UTC.

    An interval below a day divides each local day of `zone` from its midnight, and the day's last bucket ends with the
    day (days of 23 and 25 hours exist); one of n whole days groups n calendar days, counted from 1970-01-01. Raises
    ValueError for another interval.
    """
    if interval > DAY and interval % DAY:
        raise ValueError("an interval above a day must be whole days")
    if not len(times):
        return times.copy(), times.copy()
    days = max(1, interval // DAY)
    first = local_date(Timestamp(int(times.min())), zone)
    last = local_date(Timestamp(int(times.max())), zone)
    first -= timedelta(days=(first.toordinal() - _EPOCH_ORDINAL) % days)
    midnights = []
    day = first
    while day <= last:
        midnights.append(local_midnight(day, zone))
        day += timedelta(days=days)
    midnights.append(local_midnight(day, zone))
    edges = np.array(midnights, dtype=np.int64)
    which = np.searchsorted(edges, times, side="right") - 1
    starts, ends = edges[which], edges[which + 1]
    if interval < DAY:
        starts = starts + (times - starts) // interval * interval
        ends = np.minimum(starts + interval, ends)
    return starts, ends


_EPOCH_ORDINAL: Final = 719_163  # date(1970, 1, 1).toordinal()


def aggregate(trades: NDArray[Any], interval: int, zone: str, eligibility: Eligibility) -> Candles:
    """Return the candles of `trades` (packed TRADE records of one instrument, in sequence order), oldest first.

    Open and close are the first and last print in market time, ties by sequence. CONSOLIDATED lets each print count
    for what its eligibility bits name; ALL lets every print count for everything.
    """
    flags = (
        np.full(len(trades), _EVERYTHING, dtype=np.uint16)
        if eligibility is Eligibility.ALL
        else trades["eligibility"] & np.uint16(_EVERYTHING)
    )
    counted = np.flatnonzero(flags)
    if not len(counted):
        return np.zeros(0, dtype=CANDLE)
    order = counted.take(np.argsort(trades["source_time"][counted], kind="stable"))
    trades, flags = trades.take(order), flags.take(order)
    times = trades["source_time"].astype(np.int64)
    starts, ends = bucket_bounds(times, interval, zone)
    heads = _heads(starts)
    candles = np.zeros(len(heads), dtype=CANDLE)
    candles["instrument"] = trades["instrument"][0]
    candles["eligibility"] = eligibility
    candles["start"], candles["end"] = starts[heads], ends[heads]
    candles["sequence"] = np.maximum.reduceat(trades["sequence"], heads)
    _price(candles, heads, trades["price"], times, flags)
    sizes = np.where(flags & COUNTS_VOLUME, trades["size"], 0)
    candles["volume"] = np.add.reduceat(sizes, heads)
    candles["count"] = np.add.reduceat((flags & COUNTS_VOLUME != 0).astype(np.uint64), heads)
    candles["notional_high"], candles["notional_low"] = sums_of_products(trades["price"], sizes, heads)
    return candles


def _price(candles: Candles, heads: Places, prices: Int64s, times: Int64s, flags: NDArray[np.uint16]) -> None:
    """Fill in the prices of those candles that saw a print which counts for the last price."""
    lasting = flags & COUNTS_LAST != 0
    opening, first, last = _first(flags & COUNTS_OPEN != 0, heads), _first(lasting, heads), _last(lasting, heads)
    opening = np.where(opening < len(prices), opening, first)
    ranging = flags & COUNTS_HIGH_LOW != 0
    is_ranged = np.logical_or.reduceat(ranging, heads)
    high = np.where(is_ranged, _highest(prices, ranging, heads), _highest(prices, lasting, heads))
    low = np.where(is_ranged, _lowest(prices, ranging, heads), _lowest(prices, lasting, heads))
    priced = last >= 0
    opening, last = opening[priced], last[priced]
    candles["present"][priced] = PRICED
    candles["open"][priced], candles["open_time"][priced] = prices[opening], times[opening]
    candles["close"][priced], candles["close_time"][priced] = prices[last], times[last]
    candles["high"][priced] = np.maximum(high[priced], np.maximum(prices[opening], prices[last]))
    candles["low"][priced] = np.minimum(low[priced], np.minimum(prices[opening], prices[last]))


def merge(candles: Candles) -> Candles:
    """Return one candle for each bucket, oldest first, of any number of them of the same series.

    Of two candles of one bucket the one that stands behind the other holds the later sequences.
    """
    candles = candles.take(np.argsort(candles["start"], kind="stable"))
    heads = _heads(candles["start"])
    if len(heads) == len(candles):
        return candles
    merged = candles.take(heads)
    merged["sequence"] = np.maximum.reduceat(candles["sequence"], heads)
    merged["present"] = np.bitwise_or.reduceat(candles["present"], heads)
    priced = candles["present"] & PRICED != 0
    opened = _lowest(candles["open_time"], priced, heads)
    closed = _highest(candles["close_time"], priced, heads)
    sizes = np.diff(heads, append=len(candles))
    first = _first(priced & (candles["open_time"] == np.repeat(opened, sizes)), heads)
    last = _last(priced & (candles["close_time"] == np.repeat(closed, sizes)), heads)
    known = last >= 0
    for names, places in ((("open", "open_time"), first[known]), (("close", "close_time"), last[known])):
        for name in names:
            merged[name][known] = candles[name][places]
    merged["high"][known] = _highest(candles["high"], priced, heads)[known]
    merged["low"][known] = _lowest(candles["low"], priced, heads)[known]
    merged["volume"] = np.add.reduceat(candles["volume"], heads)
    merged["count"] = np.add.reduceat(candles["count"], heads)
    merged["notional_high"], merged["notional_low"] = sums_of_halves(
        candles["notional_high"], candles["notional_low"], heads
    )
    return merged


def stretches(candles: Candles, interval: int) -> list[tuple[Timestamp, Timestamp]]:
    """Return the few stretches of market time, both ends included, in which these buckets lie, oldest first.

    Buckets that are close to each other share one; none is long enough to hold more than LONGEST_STRETCH buckets.
    """
    found: list[tuple[int, int]] = []
    for start, end in zip(candles["start"].tolist(), (candles["end"] - 1).tolist(), strict=True):
        if found and start - found[-1][1] <= NEAR * interval + 1 and end - found[-1][0] < LONGEST_STRETCH * interval:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return [(Timestamp(start), Timestamp(end)) for start, end in found]


def _heads(starts: Int64s) -> Places:
    """Return where each bucket begins in rows that are sorted by it."""
    return np.flatnonzero(np.diff(starts, prepend=starts[:1] - 1))


def _first(which: Mask, heads: Places) -> Places:
    """Return the place of the first row of each bucket that is chosen; behind all rows where there is none."""
    return np.minimum.reduceat(np.where(which, np.arange(len(which)), len(which)), heads)


def _last(which: Mask, heads: Places) -> Places:
    """Return the place of the last row of each bucket that is chosen; -1 where there is none."""
    return np.maximum.reduceat(np.where(which, np.arange(len(which)), -1), heads)


def _highest(values: Int64s, which: Mask, heads: Places) -> Int64s:
    """Return the greatest value of each bucket among the rows that are chosen."""
    return np.maximum.reduceat(np.where(which, values, _LEAST), heads)


def _lowest(values: Int64s, which: Mask, heads: Places) -> Int64s:
    """Return the least value of each bucket among the rows that are chosen."""
    return np.minimum.reduceat(np.where(which, values, _GREATEST), heads)


class CandleSeries:
    """The candles of one instrument and interval that were touched, one a bucket, oldest first."""

    def __init__(self) -> None:
        self._candles: Candles = np.zeros(0, dtype=CANDLE)

    def __len__(self) -> int:
        return len(self._candles)

    def missing(self, candles: Candles) -> Candles:
        """Return those candles whose buckets are not held yet."""
        _, is_held = self._places(candles)
        return candles.compress(~is_held)

    def hold(self, candles: Candles) -> None:
        """Take whole candles, oldest first and no two of one bucket, as the state of their buckets."""
        places, is_held = self._places(candles)
        others = np.ones(len(self._candles), dtype=bool)
        others[places[is_held]] = False
        first = int(places[0]) if len(places) else len(self._candles)
        behind = _joined(self._candles[first:].compress(others[first:]), candles)
        behind = behind.take(np.argsort(behind["start"], kind="stable"))
        self._candles = _joined(self._candles[:first], behind)

    def apply(self, candles: Candles) -> Candles:
        """Merge the candles of new prints, as `aggregate` makes them, and return their buckets' new state, oldest first."""
        places, is_held = self._places(candles)
        updated = merge(_joined(self._candles.take(places[is_held]), candles))
        self.hold(updated)
        return updated

    def all(self) -> Candles:
        """Return every candle that is held, oldest first."""
        return self._candles

    def keep_latest(self, count: int) -> bool:
        """Drop all but the `count` latest buckets; return whether there were more."""
        excess = max(0, len(self._candles) - count)
        self._candles = self._candles[excess:]
        return excess > 0

    def _places(self, candles: Candles) -> tuple[Places, Mask]:
        """Return where each candle's bucket stands, or would stand, and whether it is held."""
        starts = np.append(self._candles["start"], _GREATEST)
        places = np.searchsorted(starts, candles["start"])
        return places, starts[places] == candles["start"]


def _joined(first: Candles, second: Candles) -> Candles:
    """Return two arrays as one: as plain bytes, which numpy copies ten times faster than field by field."""
    raw = np.dtype((np.void, CANDLE.itemsize))
    return np.concatenate([first.view(raw), second.view(raw)]).view(CANDLE)
