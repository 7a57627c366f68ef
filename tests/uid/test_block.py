"""Blocks, the hand, and the rule for a counter behind its mark."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.uid.block import RESTORE_MARGIN, Block, Hand, first_after


class HandTests(SynchronousTestCase):
    """Identifiers leave the hand in order, each once."""

    def test_an_empty_hand_has_nothing(self) -> None:
        """None, not an error: the caller knows what it means."""
        self.assertIsNone(Hand().take())

    @given(
        sizes=st.lists(st.integers(min_value=1, max_value=20), max_size=6),
        gaps=st.lists(st.integers(min_value=0, max_value=5), min_size=6, max_size=6),
    )
    @settings(max_examples=60)
    def test_every_identifier_of_every_block_comes_once_in_order(self, sizes: list[int], gaps: list[int]) -> None:
        """Whatever the blocks and the holes between them."""
        hand, expected, first = Hand(), [], 1
        for size, gap in zip(sizes, gaps, strict=False):
            hand.add(Block(first, size))
            expected += range(first, first + size)
            first += size + gap
        self.assertEqual(hand.count, len(expected))
        taken = [hand.take() for _ in expected]
        self.assertEqual(taken, expected)
        self.assertEqual((hand.take(), hand.count), (None, 0))


class FirstAfterTests(SynchronousTestCase):
    """Where a server begins."""

    def test_a_counter_at_or_beyond_the_mark_holds(self) -> None:
        """Others may have reserved since, or a block was lost between store and mark."""
        self.assertEqual(first_after(100, 100), 100)
        self.assertEqual(first_after(250, 100), 250)
        self.assertEqual(first_after(1, 0), 1)

    def test_a_counter_behind_the_mark_was_restored(self) -> None:
        """It goes on well behind the mark, since another server's blocks may lie there."""
        self.assertEqual(first_after(99, 100), 100 + RESTORE_MARGIN)
