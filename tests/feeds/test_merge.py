"""Tests of the replay order."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.feeds.merge import Timeline
from spire.marketdata.values import Records, RecordType, empty

TIMES = st.lists(st.integers(0, 5), max_size=12).map(sorted)


def part(kind: RecordType, instrument: int, times: list[int]) -> tuple[RecordType, Records]:
    """Return one file's records, numbered in file order."""
    records = empty(kind, len(times))
    records["instrument"] = instrument
    records["source_time"] = times
    records["source_sequence"] = np.arange(1, len(times) + 1)
    return kind, records


def order(timeline: Timeline, step: int) -> list[tuple[int, RecordType, int, int]]:
    """Return (time, type, instrument, place in the file) of every record, cut in steps of one size."""
    found = []
    first = 1
    while first <= len(timeline):
        piece = timeline.cut(first, step)
        rows = [
            (int(record["source_time"]), kind, int(record["instrument"]), int(record["source_sequence"]))
            for kind, records in piece.records.items()
            for record in records
        ]
        found += sorted(rows, key=lambda row: (row[0], row[1] is RecordType.TRADE, row[2], row[3]))
        first = piece.last + 1
    return found


class TimelineTests(SynchronousTestCase):
    """A day's order is by time, quotes before trades, each in file order."""

    @settings(max_examples=100)
    @given(TIMES, TIMES, TIMES, TIMES)
    def test_the_order_is_that_of_a_stable_sort(self, a: list[int], b: list[int], c: list[int], d: list[int]) -> None:
        """One record at a time gives exactly the order of a plain sort by (time, quotes first)."""
        timeline = Timeline(
            [
                part(RecordType.BBO, 1, a),
                part(RecordType.TRADE, 1, b),
                part(RecordType.BBO, 2, c),
                part(RecordType.TRADE, 2, d),
            ]
        )
        rows = [
            (time, kind, instrument, place)
            for kind, instrument, times in (
                (RecordType.BBO, 1, a),
                (RecordType.TRADE, 1, b),
                (RecordType.BBO, 2, c),
                (RecordType.TRADE, 2, d),
            )
            for place, time in enumerate(times, 1)
        ]
        expected = sorted(rows, key=lambda row: (row[0], row[1] is RecordType.TRADE))
        self.assertEqual(order(timeline, 1), expected)

    @settings(max_examples=100)
    @given(TIMES, TIMES, st.integers(1, 7))
    def test_cuts_of_any_size_hold_the_same_records(self, a: list[int], b: list[int], step: int) -> None:
        """Positions mean the same however batches are cut."""
        timeline = Timeline([part(RecordType.BBO, 1, a), part(RecordType.TRADE, 1, b)])
        self.assertEqual(order(timeline, step), order(timeline, 1))

    def test_through_is_the_last_position_at_or_before_a_time(self) -> None:
        """Records of that very time are within."""
        timeline = Timeline([part(RecordType.BBO, 1, [1, 2, 2, 4])])
        self.assertEqual([timeline.through(time) for time in (0, 1, 2, 3, 9)], [0, 1, 3, 3, 4])

    def test_a_day_without_records_has_none(self) -> None:
        """An empty cut is empty."""
        timeline = Timeline([])
        self.assertEqual((len(timeline), timeline.cut(1, 10).count), (0, 0))
