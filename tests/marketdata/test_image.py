"""What only the journal holds yet."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.marketdata import image
from spire.marketdata.image import Resident
from spire.marketdata.sequencing import Sequences
from spire.marketdata.values import Records, RecordType, joined
from tests.marketdata.records import quotes, trades


class ResidentTests(SynchronousTestCase):
    """Records are found by index until the store has them."""

    def setUp(self) -> None:
        """Begin with nothing."""
        self.resident = Resident()
        self.sequences = Sequences()

    def add(self, position: int, record_type: RecordType, records: Records) -> Records:
        """Keep records as an image does."""
        grouped, _ = self.sequences.assign(record_type, records)
        self.resident.add(position, record_type, grouped)
        return grouped

    @settings(max_examples=50)
    @given(
        st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=6), max_size=10),
        st.integers(0, 11),
        st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=6), max_size=3),
    )
    def test_an_index_has_its_records_behind_what_was_trimmed(
        self, frames: list[list[int]], trimmed: int, later: list[list[int]]
    ) -> None:
        """In sequence, whatever was added before and after."""
        self.setUp()
        added = [self.add(position, RecordType.TRADE, trades(each)) for position, each in enumerate(frames, 1)]
        self.resident.trim(trimmed)
        left = added[trimmed:]
        left += [
            self.add(position, RecordType.TRADE, trades(each)) for position, each in enumerate(later, len(frames) + 1)
        ]
        for instrument in range(1, 6):
            found = joined(RecordType.TRADE, self.resident.parts((RecordType.TRADE, instrument)))
            expected = joined(RecordType.TRADE, [part[part["instrument"] == instrument] for part in left])
            self.assertEqual(found.tobytes(), expected.tobytes())
            self.assertEqual(self.resident.parts((RecordType.BBO, instrument)), [])
        self.assertEqual(self.resident.record_count, sum(len(part) for part in left))

    def test_the_frames_of_other_indexes_are_not_looked_at(self) -> None:
        """There are many while the store is away, and every load asks in the reactor's thread."""
        for position in range(1, 51):
            self.add(position, RecordType.TRADE, trades([2]))
            self.add(position, RecordType.BBO, quotes([1]))
        self.add(51, RecordType.TRADE, trades([1, 2]))
        looked: list[int] = []
        search = np.searchsorted

        class Counting:
            """Numpy, but for one function."""

            def __getattr__(self, name: str) -> object:
                return getattr(np, name)

            def searchsorted(self, *arguments: object, **options: object) -> object:
                """Count."""
                looked.append(1)
                return search(*arguments, **options)  # type: ignore[call-overload]

        self.patch(image, "np", Counting())
        (part,) = self.resident.parts((RecordType.TRADE, 1))
        self.assertEqual((part["sequence"].tolist(), len(looked)), ([1], 2))
