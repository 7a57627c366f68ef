"""Segments and records: bytes and back."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.wire.records import Packed, RecordError, Rows
from spire.wire.segments import BOX_LIMIT, PAYLOAD_LIMIT, SegmentError, join, parse, segment
from tests.wire.stream_support import PACKED, TICK, Activity, ticks

SEQUENCES = st.integers(0, 2**63 - 1)


class SegmentTests(SynchronousTestCase):
    """A box is read as it was joined."""

    @settings(max_examples=50)
    @given(
        st.lists(
            st.tuples(st.integers(0, 2**32 - 1), SEQUENCES, SEQUENCES, st.integers(0, 1_000), st.binary(max_size=200)),
            max_size=20,
        )
    )
    def test_joined_segments_are_read_back(self, values: list[tuple[int, int, int, int, bytes]]) -> None:
        """Heads and payloads survive the box."""
        box = join([segment(*value, flags=3, time=5) for value in values])
        heads, offset = parse(box)
        read = []
        for stream, length, records, flags, after, through, time, _ in heads:
            read.append((stream, after, through, records, box[offset : offset + length]))
            offset += length
            self.assertEqual((flags, time), (3, 5))
        self.assertEqual(read, values)
        self.assertEqual(offset, len(box))

    @settings(max_examples=100)
    @given(st.binary(max_size=200))
    def test_garbage_is_refused(self, data: bytes) -> None:
        """Bytes that are no box raise SegmentError and nothing else."""
        try:
            heads, offset = parse(data)
        except SegmentError:
            return
        self.assertEqual(len(list(heads)) * 48 + 4, offset)

    def test_the_largest_segment_fills_a_box(self) -> None:
        """A payload up to the limit fits, one byte more does not."""
        self.assertEqual(len(join([segment(1, 0, 1, 1, b"x" * PAYLOAD_LIMIT)])), BOX_LIMIT)
        with self.assertRaises(ValueError):
            segment(1, 0, 1, 1, b"x" * (PAYLOAD_LIMIT + 1))

    def test_a_replacement_has_the_newest_records_and_both_ranges(self) -> None:
        """A segment without a record leaves those that wait."""
        unsent = segment(1, 2, 5, 1, b"x", time=7)
        newer = segment(1, 5, 6, 1, b"y", time=8).replacing(unsent)
        empty = segment(1, 5, 6, 0, b"", time=8).replacing(unsent)
        self.assertEqual((newer.after, newer.through, newer.records, newer.payload, newer.time), (2, 6, 1, b"y", 8))
        self.assertEqual((empty.after, empty.through, empty.records, empty.payload, empty.time), (2, 6, 1, b"x", 7))
        self.assertEqual(next(iter(parse(join([empty]))[0]))[2:6], (1, 0, 2, 6))


class PackedTests(SynchronousTestCase):
    """Packed records."""

    @settings(max_examples=30)
    @given(st.integers(1, 300), st.integers(TICK.itemsize, 2_000))
    def test_pieces_hold_all_records_within_the_limit(self, count: int, limit: int) -> None:
        """A payload cut anywhere is the same records."""
        payload = PACKED.encode(ticks(1, count))
        pieces = PACKED.split(payload, limit)
        self.assertEqual(b"".join(piece.payload for piece in pieces), payload)
        self.assertEqual(sum(piece.records for piece in pieces), count)
        self.assertTrue(all(len(piece.payload) <= limit for piece in pieces))
        self.assertEqual(pieces[-1].through, count)

    def test_records_beyond_a_sequence(self) -> None:
        """`after` keeps what is greater."""
        self.assertEqual(PACKED.after(ticks(1, 5), 3)["sequence"].tolist(), [4, 5])
        self.assertEqual(len(PACKED.after(ticks(1, 5), 9)), 0)

    def test_what_does_not_add_up_is_refused(self) -> None:
        """Length and count must agree; a layout must begin with its sequence."""
        with self.assertRaises(RecordError):
            PACKED.decode(b"x" * 30, 1, 0, 30)
        with self.assertRaises(RecordError):
            PACKED.encode(np.zeros(1, np.dtype([("sequence", "<u8")])))
        with self.assertRaises(ValueError):
            Packed(np.dtype([("price", "<i8")]))

    def test_what_is_decoded_cannot_be_changed(self) -> None:
        """Listeners share the memory."""
        records = PACKED.decode(ticks(1, 2).tobytes(), 2, 0, 2 * TICK.itemsize)
        with self.assertRaises(ValueError):
            records["price"][0] = 1

    def test_the_last_record_alone(self) -> None:
        """Conflation keeps the last."""
        self.assertEqual(PACKED.last(ticks(1, 5).tobytes()), ticks(5, 5).tobytes())


ROWS: Rows[Activity] = Rows(Activity)
ACTIVITIES = st.lists(st.text(max_size=40), min_size=1, max_size=20).map(
    lambda texts: tuple(Activity(sequence=number, text=text) for number, text in enumerate(texts, 1))
)


class RowsTests(SynchronousTestCase):
    """Rows of values."""

    @settings(max_examples=50)
    @given(ACTIVITIES)
    def test_rows_are_read_back(self, rows: tuple[Activity, ...]) -> None:
        """Encode, decode, last and split agree."""
        payload = ROWS.encode(rows)
        self.assertEqual(ROWS.decode(payload, len(rows), 0, len(payload)), rows)
        last = ROWS.last(payload)
        self.assertEqual(ROWS.decode(last, 1, 0, len(last)), rows[-1:])
        pieces = ROWS.split(payload, 300)
        self.assertEqual(b"".join(piece.payload for piece in pieces), payload)
        self.assertEqual(pieces[-1].through, len(rows))
        self.assertEqual(ROWS.after(rows, 2), rows[2:])

    @settings(max_examples=100)
    @given(st.binary(max_size=60), st.integers(0, 3))
    def test_garbage_is_refused(self, data: bytes, count: int) -> None:
        """Bytes that are no rows raise RecordError and nothing else."""
        try:
            rows = ROWS.decode(data, count, 0, len(data))
        except RecordError:
            return
        self.assertEqual(len(rows), count)

    def test_a_row_beyond_the_limit_is_refused(self) -> None:
        """A row that fits no segment is the room's mistake."""
        with self.assertRaises(RecordError):
            ROWS.split(ROWS.encode([Activity(sequence=1, text="x" * 500)]), 300)
