"""What making candles of prints costs, beside one pass over the same prints with Python's own numbers.

    python -m benchmarks.candles [--rounds 5] [--prints 65536] [--pin]

A portion of history is 65,536 prints, which Charting makes into candles in one reactor turn (`aggregate`) and merges into the
candles that it has so far (`CandleSeries.apply`). Intervals of a minute (few candles) and of a millisecond (one candle a print, the
most that can be asked for). Both ways take turns in each round, and must agree in every candle.
"""

from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import numpy as np

from benchmarks.bench import Run, describe, median, options, table
from spire.charting.candles import CandleSeries, aggregate
from spire.charting.values import Eligibility, candle_notional
from spire.marketdata.values import TRADE
from spire.values.time import NANOSECONDS, parse_timestamp

ZONE = "America/New_York"
OPEN = parse_timestamp("2013-10-08T13:30:00Z")
APART = 5_000_000
"""Nanoseconds between two prints."""
INTERVALS = {"a minute": 60 * NANOSECONDS, "a millisecond": NANOSECONDS // 1000}

Row = tuple[int, int, int, int, int, int, int]


def make_prints(count: int) -> Any:
    """Return prints of one instrument, 5 ms apart."""
    prints = np.zeros(count, dtype=TRADE)
    places = np.arange(count)
    prints["sequence"], prints["instrument"] = places + 1, 7
    prints["source_time"] = OPEN + places * APART
    prints["price"], prints["size"] = 14_000_000 + places % 97 * 10_000, 100_000_000 + places % 13 * 1_000_000
    return prints


def spire(prints: Any, interval: int) -> list[Row]:
    """Return candles as Charting makes them."""
    series = CandleSeries()
    series.apply(aggregate(prints, interval, ZONE, Eligibility.ALL))
    candles = series.all()
    names = ("start", "open", "high", "low", "close", "volume")
    columns = [candles[name].tolist() for name in names]
    return list(zip(*columns, [candle_notional(each) for each in candles], strict=True))


def plain(prints: Any, interval: int) -> list[Row]:
    """Return candles of one pass, without time zones, late prints or eligibility."""
    found: dict[int, list[int]] = {}
    columns = (prints[name].tolist() for name in ("source_time", "price", "size"))
    for time, price, size in zip(*columns, strict=True):
        start = time - time % interval
        candle = found.get(start)
        if candle is None:
            found[start] = [start, price, price, price, price, size, price * size]
            continue
        candle[2], candle[3], candle[4] = max(candle[2], price), min(candle[3], price), price
        candle[5] += size
        candle[6] += price * size
    return [tuple(candle) for candle in found.values()]  # type: ignore[misc]


def timed(make: Callable[[Any, int], Any], prints: Any, interval: int) -> Run:
    """Return what one portion costs, by print."""
    began, cpu = perf_counter(), process_time()
    make(prints, interval)
    return Run(rate=len(prints) / (perf_counter() - began), cpu_us=(process_time() - cpu) / len(prints) * 1e6)


def made(prints: Any, interval: int) -> None:
    """Make the candles, and leave them as they are."""
    CandleSeries().apply(aggregate(prints, interval, ZONE, Eligibility.ALL))


def begin() -> None:
    """Measure and print."""
    parser = options(__doc__ or "")
    parser.add_argument("--prints", type=int, default=65_536)
    arguments = parser.parse_args()
    print(describe(arguments.pin))
    prints = make_prints(arguments.prints)
    for title, interval in INTERVALS.items():
        if spire(prints, interval) != plain(prints, interval):
            raise RuntimeError("the candles differ")
        ways = {"Spire": made, "a plain pass": plain}
        runs: dict[str, list[Run]] = {name: [] for name in ways}
        for turn in range(arguments.rounds + 1):
            for name, make in ways.items():
                run = timed(make, prints, interval)
                if turn:
                    runs[name].append(run)
        results = {name: median(each) for name, each in runs.items()}
        print(table(f"candles of {title}", results, "a plain pass", "prints/s"))


if __name__ == "__main__":
    begin()
