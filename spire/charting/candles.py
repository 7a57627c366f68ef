"""Trades to candlesticks: buckets of local time, exact sums, and merging of later prints (sans-I/O)."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spire.charting.values import CANDLE, DAY, PRICED, Candles, Eligibility
from spire.marketdata.values import COUNTS_HIGH_LOW, COUNTS_LAST, COUNTS_OPEN, COUNTS_VOLUME
from spire.values.time import Timestamp, local_date, local_midnight

_EVERYTHING: Final = COUNTS_OPEN | COUNTS_HIGH_LOW | COUNTS_LAST | COUNTS_VOLUME
_LIMB_BITS: Final = 21
_LIMB_MASK: Final = (1 << _LIMB_BITS) - 1
_SUM_CHUNK: Final = 1 << 18
"""Three products of 21-bit limbs add up to less than 2**44, so this many rows stay within 64 bits."""

Int64s = NDArray[np.int64]


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
    times = trades["source_time"].astype(np.int64)
    order = np.argsort(times, kind="stable")
    trades, times = trades[order], times[order]
    starts, ends = bucket_bounds(times, interval, zone)
    flags = (
        np.full(len(trades), _EVERYTHING, dtype=np.uint16)
        if eligibility is Eligibility.ALL
        else trades["eligibility"].astype(np.uint16)
    )
    counted = (flags & _EVERYTHING) != 0
    trades, times, starts, ends, flags = (part[counted] for part in (trades, times, starts, ends, flags))
    if not len(trades):
        return np.zeros(0, dtype=CANDLE)
    heads = np.flatnonzero(np.r_[True, starts[1:] != starts[:-1]])
    tails = np.r_[heads[1:], len(starts)]
    candles = np.zeros(len(heads), dtype=CANDLE)
    candles["instrument"] = trades["instrument"][0]
    candles["eligibility"] = eligibility
    candles["start"], candles["end"] = starts[heads], ends[heads]
    candles["sequence"] = np.maximum.reduceat(trades["sequence"], heads)
    for row, head, tail in zip(candles, heads.tolist(), tails.tolist(), strict=True):
        _fill(row, trades[head:tail], times[head:tail], flags[head:tail])
    return candles


def _fill(row: Any, trades: NDArray[Any], times: Int64s, flags: NDArray[np.uint16]) -> None:
    prices = trades["price"]
    opening = np.flatnonzero(flags & COUNTS_OPEN)
    lasting = np.flatnonzero(flags & COUNTS_LAST)
    extreme = prices[(flags & COUNTS_HIGH_LOW) != 0]
    if len(lasting):
        first = opening[0] if len(opening) else lasting[0]
        row["open"], row["open_time"] = prices[first], times[first]
        row["close"], row["close_time"] = prices[lasting[-1]], times[lasting[-1]]
        span = extreme if len(extreme) else prices[lasting]
        row["high"] = max(int(span.max()), int(row["open"]), int(row["close"]))
        row["low"] = min(int(span.min()), int(row["open"]), int(row["close"]))
        row["present"] = PRICED
    voluminous = (flags & COUNTS_VOLUME) != 0
    sizes = trades["size"][voluminous]
    row["volume"] = sizes.sum()
    row["count"] = len(sizes)
    _store_notional(row, exact_dot(prices[voluminous], sizes))


def exact_dot(left: NDArray[Any], right: NDArray[Any]) -> int:
    """Return the exact sum of products of two arrays of non-negative 64-bit integers."""
    total = 0
    for begin in range(0, len(left), _SUM_CHUNK):
        a = left[begin : begin + _SUM_CHUNK].astype(np.uint64)
        b = right[begin : begin + _SUM_CHUNK].astype(np.uint64)
        for i in range(4):
            limb = (a >> np.uint64(i * _LIMB_BITS)) & np.uint64(_LIMB_MASK)
            if not limb.any():
                continue
            for j in range(4):
                other = (b >> np.uint64(j * _LIMB_BITS)) & np.uint64(_LIMB_MASK)
                total += int((limb * other).sum()) << ((i + j) * _LIMB_BITS)
    return total


def _store_notional(row: Any, notional: int) -> None:
    row["notional_high"], row["notional_low"] = notional >> 64, notional & (2**64 - 1)


def merge(earlier: Any, later: Any) -> Any:
    """Return one candle of the prints of two candles of the same bucket; `later` holds the later sequences."""
    merged = earlier.copy()
    merged["sequence"] = max(int(earlier["sequence"]), int(later["sequence"]))
    if later["present"] & PRICED:
        if not earlier["present"] & PRICED:
            for name in ("open", "open_time", "high", "low", "close", "close_time"):
                merged[name] = later[name]
        else:
            if later["open_time"] < earlier["open_time"]:
                merged["open"], merged["open_time"] = later["open"], later["open_time"]
            if later["close_time"] >= earlier["close_time"]:
                merged["close"], merged["close_time"] = later["close"], later["close_time"]
            merged["high"] = max(int(earlier["high"]), int(later["high"]))
            merged["low"] = min(int(earlier["low"]), int(later["low"]))
        merged["present"] |= PRICED
    merged["volume"] = int(earlier["volume"]) + int(later["volume"])
    merged["count"] = int(earlier["count"]) + int(later["count"])
    _store_notional(merged, _notional(earlier) + _notional(later))
    return merged


def _notional(row: Any) -> int:
    return (int(row["notional_high"]) << 64) | int(row["notional_low"])


class CandleSeries:
    """The candles of one instrument and interval that were touched, kept by the start of their bucket."""

    def __init__(self) -> None:
        self._candles: dict[int, Any] = {}

    def missing(self, starts: Iterable[int]) -> list[int]:
        """Return those bucket starts that are not held yet, in order."""
        return sorted(set(starts) - self._candles.keys())

    def hold(self, candles: Candles) -> None:
        """Take complete candles from history as the state of their buckets."""
        for candle in candles:
            self._candles[int(candle["start"])] = candle.copy()

    def apply(self, candles: Candles) -> Candles:
        """Merge the candles of new prints into their buckets and return the buckets' new state, oldest first."""
        updated = np.zeros(len(candles), dtype=CANDLE)
        for index, candle in enumerate(candles):
            start = int(candle["start"])
            held = self._candles.get(start)
            updated[index] = candle if held is None else merge(held, candle)
            self._candles[start] = updated[index].copy()
        return updated

    def all(self) -> Candles:
        """Return every candle that is held, oldest first."""
        candles = np.zeros(len(self._candles), dtype=CANDLE)
        for index, start in enumerate(sorted(self._candles)):
            candles[index] = self._candles[start]
        return candles

    def keep_latest(self, count: int) -> None:
        """Drop all but the `count` latest buckets."""
        for start in sorted(self._candles)[: max(0, len(self._candles) - count)]:
            del self._candles[start]
