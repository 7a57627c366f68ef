"""Trades become candlesticks."""

from datetime import date
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.charting.candles import CandleSeries, aggregate, bucket_bounds, exact_dot
from spire.charting.values import DAY, PRICED, Eligibility, candle_notional, candle_vwap
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


class ExactDotTests(SynchronousTestCase):
    """Sums of products are exact over the whole range of 63 bits."""

    @settings(derandomize=True, max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1)), max_size=20))
    def test_it_equals_python_integers(self, pairs: list[tuple[int, int]]) -> None:
        """No silent wrap anywhere."""
        left = np.array([a for a, _ in pairs], dtype=np.int64)
        right = np.array([b for _, b in pairs], dtype=np.int64)
        self.assertEqual(exact_dot(left, right), sum(a * b for a, b in pairs))


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
        self.assertEqual(series.missing(candles["start"].tolist()), [OPEN + 2 * MINUTE])
