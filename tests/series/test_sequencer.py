"""Sequences: dense per index, never twice."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.series.sequencer import Sequencer

BATCHES = st.lists(st.lists(st.integers(1, 5), max_size=30), max_size=6)


class SequencerTests(SynchronousTestCase):
    """One by one and by the batch it is the same."""

    @settings(max_examples=100, derandomize=True)
    @given(BATCHES)
    def test_a_batch_gets_what_its_records_would_get_one_by_one(self, batches: list[list[int]]) -> None:
        """Order within an index is the order of arrival, and no number is left out or repeated."""
        vector, single = Sequencer(), Sequencer()
        for batch in batches:
            runs = vector.assign_batch(np.array(batch, np.uint32))
            expected = [single.assign(index) for index in batch]
            given_out = np.empty(len(batch), np.uint64)
            given_out[runs.order] = runs.sequences
            self.assertEqual(given_out.tolist(), expected)
            for index, begin, end, through in runs.rows():
                self.assertEqual({batch[place] for place in runs.order[begin:end]}, {index})
                first = through - (end - begin) + 1
                self.assertEqual(runs.sequences[begin:end].tolist(), list(range(first, through + 1)))
        self.assertEqual(vector.all_last(), single.all_last())

    def test_it_goes_on_from_what_was_stored(self) -> None:
        """A restarted sequencer never gives a number again."""
        sequencer = Sequencer({7: 41})
        sequencer.observe(7, 50)
        sequencer.observe(7, 45)
        self.assertEqual(sequencer.assign(7, 3), 51)
        self.assertEqual((sequencer.last(7), sequencer.last(8)), (53, 0))

    def test_what_was_accepted_nowhere_is_given_out_again(self) -> None:
        """A batch that the journal refused leaves no hole."""
        sequencer = Sequencer({1: 5})
        before = dict(sequencer.all_last())
        runs = sequencer.assign_batch(np.array([1, 2, 1], np.uint32))
        sequencer.take_back(runs)
        self.assertEqual({index: last for index, last in sequencer.all_last().items() if last}, before)
        self.assertEqual(sequencer.assign(1), 6)

    def test_what_others_follow_is_not_taken_back(self) -> None:
        """Once later sequences exist the earlier ones stay."""
        sequencer = Sequencer()
        runs = sequencer.assign_batch(np.array([1], np.uint32))
        sequencer.assign(1)
        with self.assertRaises(ValueError):
            sequencer.take_back(runs)

    def test_at_least_one_is_asked_for(self) -> None:
        """Zero is a mistake of the caller."""
        with self.assertRaises(ValueError):
            Sequencer().assign(1, 0)
