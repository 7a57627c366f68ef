"""The process's pulse shows when the reactor was held up, and how long collections took."""

import gc

from twisted.trial.unittest import SynchronousTestCase

from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.service.vitals import Vitals
from spire.testing.clock import SteppedReactor


class VitalsTests(SynchronousTestCase):
    """Measured on a reactor that the test moves, and that can be late."""

    def setUp(self) -> None:
        self.late = 0.0
        self.reactor = SteppedReactor()
        self.metrics = Metrics()
        clock = Clock(self.reactor, monotonic=lambda: self.reactor.seconds() + self.late)
        self.vitals = Vitals(clock, self.metrics)
        self.vitals.start()
        self.addCleanup(self.vitals.stop)

    def test_a_timer_in_time_has_no_lag(self) -> None:
        """Ten beats a second."""
        self.reactor.advance(1.05)
        self.assertEqual(self.metrics.value("spire_reactor_lag_seconds_count"), 10)
        self.assertAlmostEqual(self.metrics.value("spire_reactor_lag_seconds_sum"), 0.0)

    def test_a_late_timer_is_counted_with_its_lag(self) -> None:
        """Something held the reactor for half a second."""
        self.late = 0.5
        self.reactor.advance(0.15)
        self.assertAlmostEqual(self.metrics.value("spire_reactor_lag_seconds_sum"), 0.5)

    def test_a_collection_is_counted_at_the_next_beat(self) -> None:
        """Not inside the collection, which may hold the metrics' own lock."""
        gc.collect()
        self.assertEqual(self.metrics.value("spire_gc_pause_seconds_count", generation="2"), 0)
        self.reactor.advance(0.15)
        self.assertGreaterEqual(self.metrics.value("spire_gc_pause_seconds_count", generation="2"), 1)

    def test_memory_and_cpu_are_among_the_metrics(self) -> None:
        """Under Prometheus's own names."""
        self.assertIn(b"process_resident_memory_bytes", self.metrics.exposition())

    def test_nothing_is_left_behind(self) -> None:
        """No timer, no hook in the collector."""
        self.vitals.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertNotIn(self.vitals._collected, gc.callbacks)
