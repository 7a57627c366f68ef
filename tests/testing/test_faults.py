"""The fault kit."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.testing.clock import ManualClock
from spire.testing.faults import Faulty


class Store:
    """Something with async methods."""

    kind = "store"

    def __init__(self) -> None:
        self.rows: list[int] = []

    async def put(self, row: int) -> int:
        """Keep a row."""
        self.rows.append(row)
        return len(self.rows)

    def count(self) -> int:
        """Count them."""
        return len(self.rows)


class FaultyTests(SynchronousTestCase):
    """Chosen calls go wrong, the rest passes."""

    def setUp(self) -> None:
        """Stand before a store."""
        self.clock = ManualClock()
        self.store = Store()
        self.faulty = Faulty(self.store, self.clock)

    def put(self, row: int) -> Deferred[int]:
        """Put through the faults."""
        return Deferred.fromCoroutine(self.faulty.put(row))

    def test_without_a_plan_everything_passes(self) -> None:
        """Methods and attributes."""
        self.assertEqual(self.successResultOf(self.put(5)), 1)
        self.assertEqual((self.faulty.count(), self.faulty.kind, self.faulty.calls), (1, "store", ["put", "count"]))

    def test_it_breaks_n_times(self) -> None:
        """And works then."""
        self.faulty.fail("put", ValueError("broken"), times=2)
        self.failureResultOf(self.put(1), ValueError)
        self.failureResultOf(self.put(2), ValueError)
        self.successResultOf(self.put(3))
        self.assertEqual(self.store.rows, [3])

    def test_a_lost_answer_has_had_its_effect(self) -> None:
        """The caller does not know."""
        self.faulty.fail_after("put", ValueError("lost"))
        self.failureResultOf(self.put(1), ValueError)
        self.assertEqual(self.store.rows, [1])

    def test_a_hanging_call_waits_for_its_release(self) -> None:
        """In the order of the calls."""
        self.faulty.hang("put")
        hanging = self.put(1)
        self.successResultOf(self.put(2))
        self.assertNoResult(hanging)
        self.assertEqual(self.faulty.release(), 1)
        self.assertEqual((self.successResultOf(hanging), self.store.rows), (2, [2, 1]))

    def test_a_hanging_call_can_be_cancelled(self) -> None:
        """It never reaches the object."""
        self.faulty.hang("put")
        hanging = self.put(1)
        hanging.cancel()
        self.failureResultOf(hanging)
        self.assertEqual((self.faulty.release(), self.store.rows), (0, []))

    def test_a_delayed_call_comes_late(self) -> None:
        """By the clock."""
        self.faulty.delay("put", 2.0)
        late = self.put(1)
        self.clock.advance(1.9)
        self.assertNoResult(late)
        self.clock.advance(0.2)
        self.successResultOf(late)

    def test_a_duplicated_call_comes_twice(self) -> None:
        """As after a retry whose first answer was lost."""
        self.faulty.duplicate("put")
        self.assertEqual((self.successResultOf(self.put(1)), self.store.rows), (2, [1, 1]))

    def test_a_sync_method_can_fail_and_nothing_else(self) -> None:
        """It cannot wait."""
        self.faulty.fail("count", ValueError("broken"))
        self.assertRaises(ValueError, self.faulty.count)
        self.faulty.delay("count", 1.0)
        self.assertRaises(TypeError, self.faulty.count)
