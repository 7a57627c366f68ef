"""Trades become candlesticks."""

from datetime import date
from time import process_time
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.charting.candles import LONGEST_STRETCH, NEAR, CandleSeries, aggregate, bucket_bounds, merge, stretches
from spire.charting.sums import sums_of_halves, sums_of_products
from spire.charting.values import CANDLE, DAY, PRICED, Eligibility, candle_notional, candle_vwap
from spire.marketdata.values import COUNTS_HIGH_LOW, COUNTS_LAST, COUNTS_OPEN, COUNTS_VOLUME, TRADE
from spire.values.time import NANOSECONDS, local_midnight

ZONE = "America/New_York"
MINUTE = 60 * NANOSECONDS
OPEN = local_midnight(date(2013, 10, 8), ZONE) + 34_200 * NANOSECONDS
EVERYTHING = COUNTS_OPEN | COUNTS_HIGH_LOW | COUNTS_LAST | COUNTS_VOLUME


def trades(*rows: tuple[int, int, int], eligibility: int = EVERYTHING, first: int = 1) -> Any:
    """Pack (nanoseconds after the open, price, size) rows with dense sequences."""
    records = np.zeros(len(rows), dtype=TRADE)
    records["sequence"] = np.arange(first, first + len(rows))
    records["instrument"] = 7
    records["eligibility"] = eligibility
    for record, (time, price, size) in zip(records, rows, strict=True):
        record["source_time"], record["price"], record["size"] = OPEN + time, price, size
    return records


class BucketTests(SynchronousTestCase):
    """Buckets are those of the listing venue's local day."""

    def test_a_minute_bucket_holds_its_first_nanosecond_and_not_its_last(self) -> None:
        """A bucket is half open."""
        starts, ends = bucket_bounds(np.array([OPEN, OPEN + MINUTE - 1, OPEN + MINUTE]), MINUTE, ZONE)
        self.assertEqual(starts.tolist(), [OPEN, OPEN, OPEN + MINUTE])
        self.assertEqual(ends.tolist(), [OPEN + MINUTE, OPEN + MINUTE, OPEN + 2 * MINUTE])

    def test_a_day_of_25_hours_is_one_daily_bucket(self) -> None:
        """A calendar day ends when the next local day starts."""
        midnight = local_midnight(date(2013, 11, 3), ZONE)
        starts, ends = bucket_bounds(np.array([midnight + 24 * 3600 * NANOSECONDS]), DAY, ZONE)
        self.assertEqual(int(starts[0]), midnight)
        self.assertEqual(int(ends[0] - starts[0]), 25 * 3600 * NANOSECONDS)

    def test_the_last_bucket_of_a_day_ends_with_the_day(self) -> None:
        """Seven hours do not divide a day: the fourth bucket is short."""
        midnight = local_midnight(date(2013, 10, 8), ZONE)
        starts, ends = bucket_bounds(np.array([midnight + 23 * 3600 * NANOSECONDS]), 7 * 3600 * NANOSECONDS, ZONE)
        self.assertEqual(int(starts[0]), midnight + 21 * 3600 * NANOSECONDS)
        self.assertEqual(int(ends[0]), midnight + DAY)

    def test_an_interval_above_a_day_must_be_whole_days(self) -> None:
        """36 hours have no place in a calendar."""
        self.assertRaises(ValueError, bucket_bounds, np.array([OPEN]), DAY * 3 // 2, ZONE)


class AggregateTests(SynchronousTestCase):
    """Each bucket has open, high, low, close, volume, count and VWAP."""

    def test_a_bucket_tells_its_prices_volume_and_vwap(self) -> None:
        """The plain case."""
        (candle,) = aggregate(
            trades((0, 10_000_000, 100), (1, 12_000_000, 300), (2, 9_000_000, 100), (3, 11_000_000, 100)),
            MINUTE,
            ZONE,
            Eligibility.ALL,
        )
        self.assertEqual(
            [int(candle[name]) for name in ("open", "high", "low", "close", "volume", "count", "sequence")],
            [10_000_000, 12_000_000, 9_000_000, 11_000_000, 600, 4, 4],
        )
        self.assertEqual(candle_vwap(candle), 11_000_000)

    def test_a_late_print_opens_its_bucket_by_market_time(self) -> None:
        """Sequence order is not time order."""
        (candle,) = aggregate(trades((5, 10, 1), (1, 20, 1), (9, 30, 1)), MINUTE, ZONE, Eligibility.ALL)
        self.assertEqual((int(candle["open"]), int(candle["close"])), (20, 30))

    def test_consolidated_takes_a_print_only_for_what_it_counts(self) -> None:
        """A volume-only print moves volume and no price."""
        rows = trades((0, 10, 1), (1, 99, 5))
        rows["eligibility"][1] = COUNTS_VOLUME
        (candle,) = aggregate(rows, MINUTE, ZONE, Eligibility.CONSOLIDATED)
        self.assertEqual([int(candle[n]) for n in ("high", "close", "volume", "count")], [10, 10, 6, 2])

    def test_a_bucket_of_volume_only_prints_has_no_price(self) -> None:
        """Absent is said, not made up."""
        (candle,) = aggregate(trades((0, 10, 4), eligibility=COUNTS_VOLUME), MINUTE, ZONE, Eligibility.CONSOLIDATED)
        self.assertEqual(int(candle["present"]) & PRICED, 0)
        self.assertEqual(int(candle["volume"]), 4)

    def test_prints_that_count_for_nothing_make_no_candle(self) -> None:
        """An ineligible print alone leaves no bucket behind."""
        self.assertEqual(len(aggregate(trades((0, 10, 4), eligibility=0), MINUTE, ZONE, Eligibility.CONSOLIDATED)), 0)

    def test_notional_beyond_64_bits_is_exact(self) -> None:
        """Price x quantity at 10**12 overflows 64 bits at 9.2 million."""
        price, size = 180_000_000_001, 900_000_000_003
        (candle,) = aggregate(trades((0, price, size), (1, price, size)), MINUTE, ZONE, Eligibility.ALL)
        self.assertEqual(candle_notional(candle), 2 * price * size)


FLAGS = st.integers(0, EVERYTHING)
PRINTS = st.lists(
    st.tuples(st.integers(0, 240), st.integers(1, 10**13), st.integers(1, 10**15), FLAGS), min_size=1, max_size=40
)
FIELDS = tuple(name for name in CANDLE.names or () if name not in ("notional_high", "notional_low"))


def packed(rows: list[tuple[int, int, int, int]]) -> Any:
    """Pack (seconds after the open, price, size, eligibility) rows."""
    records = trades(*((second * NANOSECONDS, price, size) for second, price, size, _ in rows))
    records["eligibility"] = [flags for *_, flags in rows]
    return records


def plain(candle: Any) -> dict[str, int]:
    """Return a candle as whole numbers by name."""
    return {name: int(candle[name]) for name in FIELDS} | {"notional": int(candle_notional(candle))}


def recalculated(records: Any, eligibility: Eligibility) -> list[dict[str, int]]:
    """Return the one-minute candles of prints, one print after the other, with Python's own numbers."""
    buckets: dict[int, list[Any]] = {}
    for record in sorted(records, key=lambda record: (int(record["source_time"]), int(record["sequence"]))):
        counts = EVERYTHING if eligibility is Eligibility.ALL else int(record["eligibility"])
        if counts & EVERYTHING:
            time, price, size = (int(record[name]) for name in ("source_time", "price", "size"))
            row = (time, price, size, counts, int(record["sequence"]))
            buckets.setdefault(time - time % MINUTE, []).append(row)
    return [recalculated_bucket(start, buckets[start], eligibility) for start in sorted(buckets)]


def recalculated_bucket(start: int, rows: list[Any], eligibility: Eligibility) -> dict[str, int]:
    """Return the candle of one bucket's (time, price, size, counts, sequence) rows, by time."""
    candle = dict.fromkeys(FIELDS, 0)
    candle |= {"instrument": 7, "eligibility": int(eligibility), "start": start, "end": start + MINUTE}
    candle["sequence"] = max(row[4] for row in rows)
    lasting = [row for row in rows if row[3] & COUNTS_LAST]
    if lasting:
        opening, closing = next((row for row in rows if row[3] & COUNTS_OPEN), lasting[0]), lasting[-1]
        prices = [row[1] for row in rows if row[3] & COUNTS_HIGH_LOW] or [row[1] for row in lasting]
        prices += [opening[1], closing[1]]
        candle |= {"present": PRICED, "high": max(prices), "low": min(prices)}
        candle |= {"open": opening[1], "open_time": opening[0], "close": closing[1], "close_time": closing[0]}
    sized = [row for row in rows if row[3] & COUNTS_VOLUME]
    candle |= {"volume": sum(row[2] for row in sized), "count": len(sized)}
    return candle | {"notional": sum(row[1] * row[2] for row in sized)}


def put_together(earlier: dict[str, int], later: dict[str, int]) -> dict[str, int]:
    """Return what two candles of one bucket are together, with Python's own numbers."""
    whole = dict(earlier)
    if later["present"] and not earlier["present"]:
        whole |= {name: later[name] for name in ("open", "open_time", "high", "low", "close", "close_time")}
    elif later["present"]:
        if later["open_time"] < earlier["open_time"]:
            whole |= {name: later[name] for name in ("open", "open_time")}
        if later["close_time"] >= earlier["close_time"]:
            whole |= {name: later[name] for name in ("close", "close_time")}
        whole |= {"high": max(earlier["high"], later["high"]), "low": min(earlier["low"], later["low"])}
    whole["present"] |= later["present"]
    whole["sequence"] = max(earlier["sequence"], later["sequence"])
    return whole | {name: earlier[name] + later[name] for name in ("volume", "count", "notional")}


class RecalculationTests(SynchronousTestCase):
    """Whole arrays at once give what one print after the other gives."""

    @settings(derandomize=True, max_examples=200, deadline=None)
    @given(PRINTS, st.sampled_from(Eligibility))
    def test_candles_are_those_of_a_plain_recalculation(
        self, rows: list[tuple[int, int, int, int]], eligibility: Eligibility
    ) -> None:
        """Whatever counts for what, in whatever order it comes."""
        records = packed(rows)
        candles = aggregate(records, MINUTE, ZONE, eligibility)
        self.assertEqual([plain(candle) for candle in candles], recalculated(records, eligibility))

    @settings(derandomize=True, max_examples=200, deadline=None)
    @given(st.lists(PRINTS, min_size=1, max_size=5))
    def test_candles_of_one_bucket_are_put_together(self, parts: list[list[tuple[int, int, int, int]]]) -> None:
        """Two at a time or all at once is the same, also where some of them saw no price."""
        candles = np.concatenate([aggregate(packed(part), MINUTE, ZONE, Eligibility.CONSOLIDATED) for part in parts])
        expected: dict[int, dict[str, int]] = {}
        for candle in candles:
            former = expected.get(int(candle["start"]))
            expected[int(candle["start"])] = plain(candle) if former is None else put_together(former, plain(candle))
        self.assertEqual([plain(candle) for candle in merge(candles)], [expected[start] for start in sorted(expected)])


WIDE = st.integers(0, 2**63 - 1)
HALF = st.integers(0, 2**64 - 1)


def wholes(halves: tuple[Any, Any]) -> list[int]:
    """Return numbers of 128 bits."""
    return [int(high) << 64 | int(low) for high, low in zip(*halves, strict=True)]


class SumTests(SynchronousTestCase):
    """Sums beyond 64 bits are exact: no silent wrap anywhere."""

    @settings(derandomize=True, max_examples=100, deadline=None)
    @given(st.lists(st.lists(st.tuples(WIDE, WIDE), min_size=1, max_size=4), min_size=1, max_size=5))
    def test_sums_of_products_are_those_of_python(self, groups: list[list[tuple[int, int]]]) -> None:
        """Over the whole range of 63 bits."""
        pairs = np.array([pair for group in groups for pair in group], dtype=np.int64)
        heads = np.cumsum([0, *map(len, groups)])[:-1]
        found = wholes(sums_of_products(pairs[:, 0], pairs[:, 1], heads))
        self.assertEqual(found, [sum(a * b for a, b in group) for group in groups])

    @settings(derandomize=True, max_examples=100, deadline=None)
    @given(st.lists(st.lists(st.tuples(HALF, HALF), min_size=1, max_size=4), min_size=1, max_size=5))
    def test_sums_of_halves_are_those_of_python(self, groups: list[list[tuple[int, int]]]) -> None:
        """In 128 bits, with every carry."""
        pairs = np.array([pair for group in groups for pair in group], dtype=np.uint64)
        heads = np.cumsum([0, *map(len, groups)])[:-1]
        found = wholes(sums_of_halves(pairs[:, 0], pairs[:, 1], heads))
        self.assertEqual(found, [sum((a << 64) + b for a, b in group) % 2**128 for group in groups])


class CandleSeriesTests(SynchronousTestCase):
    """New prints merge into the buckets that they touch."""

    @settings(derandomize=True, max_examples=60, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 300), st.integers(1, 50), st.integers(1, 9)), min_size=2, max_size=40),
        st.data(),
    )
    def test_merging_parts_equals_aggregating_the_whole(self, rows: list[tuple[int, int, int]], data: Any) -> None:
        """However the prints are cut into batches, the candles are those of all prints."""
        records = trades(*((second * NANOSECONDS, price, size) for second, price, size in rows))
        cut = data.draw(st.integers(0, len(rows)))
        series = CandleSeries()
        series.hold(aggregate(records[:cut], MINUTE, ZONE, Eligibility.ALL))
        updates = series.apply(aggregate(records[cut:], MINUTE, ZONE, Eligibility.ALL))
        whole = {int(c["start"]): c for c in aggregate(records, MINUTE, ZONE, Eligibility.ALL)}
        for update in updates:
            self.assertEqual(update, whole[int(update["start"])])

    def test_a_bucket_not_held_is_missing_until_history_gives_it(self) -> None:
        """A late print into an old bucket asks for that bucket first."""
        series = CandleSeries()
        candles = aggregate(trades((0, 10, 1), (2 * MINUTE, 11, 1)), MINUTE, ZONE, Eligibility.ALL)
        series.hold(candles[:1])
        self.assertEqual(series.missing(candles)["start"].tolist(), [OPEN + 2 * MINUTE])

    def test_a_portion_of_as_many_buckets_as_prints_takes_no_time(self) -> None:
        """Every client of the server waits for it: a candle after the other would take seconds."""
        records = trades(*((place * 5_000_000, 10, 1) for place in range(65_536)))
        series = CandleSeries()
        began = process_time()
        for _ in range(2):
            series.apply(aggregate(records, 1_000_000, ZONE, Eligibility.ALL))
        self.assertLess(process_time() - began, 1.0)
        self.assertEqual((len(series), set(series.all()["volume"].tolist())), (65_536, {2}))

    def test_the_latest_buckets_are_kept(self) -> None:
        """By their start, whenever they came; none is an answer too."""
        series = CandleSeries()
        candles = aggregate(trades(*((minute * MINUTE, 10, 1) for minute in range(4))), MINUTE, ZONE, Eligibility.ALL)
        series.hold(candles[2:])
        series.hold(candles[:2])
        series.keep_latest(3)
        self.assertEqual(series.all()["start"].tolist(), candles["start"][1:].tolist())
        series.keep_latest(0)
        self.assertEqual(len(series), 0)


class StretchTests(SynchronousTestCase):
    """Buckets that are asked for together."""

    def stretches(self, *places: int) -> list[tuple[int, int]]:
        """Return the stretches of buckets of a minute, in buckets."""
        candles = np.zeros(len(places), dtype=CANDLE)
        candles["start"] = [place * MINUTE for place in places]
        candles["end"] = candles["start"] + MINUTE
        return [(start // MINUTE, (end + 1) // MINUTE) for start, end in stretches(candles, MINUTE)]

    def test_neighbours_share_one(self) -> None:
        """Those that are further away do not."""
        self.assertEqual(self.stretches(), [])
        self.assertEqual(self.stretches(3, 4, 7), [(3, 8)])
        self.assertEqual(self.stretches(3, 4 + NEAR, 6 + 2 * NEAR), [(3, 5 + NEAR), (6 + 2 * NEAR, 7 + 2 * NEAR)])

    def test_none_is_too_long(self) -> None:
        """A query makes so many candles and no more."""
        found = self.stretches(*range(0, LONGEST_STRETCH + 200, 100))
        self.assertEqual(len(found), 2)
        self.assertLessEqual(max(end - begin for begin, end in found), LONGEST_STRETCH)
