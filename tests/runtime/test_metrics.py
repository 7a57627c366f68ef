"""Metrics of one process."""

from twisted.trial.unittest import SynchronousTestCase

from spire.runtime.metrics import Metrics


class MetricsTests(SynchronousTestCase):
    """Metrics are made once and exposed as text."""

    def test_the_same_name_is_the_same_metric(self) -> None:
        """Two parts of a process may count into one counter."""
        metrics = Metrics()
        metrics.counter("spire_calls", "Calls.", ["command"]).labels(command="Hello").inc()
        metrics.counter("spire_calls", "Calls.", ["command"]).labels(command="Hello").inc()
        self.assertEqual(metrics.value("spire_calls_total", command="Hello"), 2.0)

    def test_a_name_keeps_its_kind(self) -> None:
        """A counter cannot be asked for as a gauge."""
        metrics = Metrics()
        metrics.counter("spire_calls", "Calls.")
        with self.assertRaises(ValueError):
            metrics.gauge("spire_calls", "Calls.")

    def test_two_processes_in_one_test_do_not_share(self) -> None:
        """Each object has its own registry."""
        Metrics().gauge("spire_depth", "Depth.").set(4)
        self.assertEqual(Metrics().value("spire_depth"), 0.0)

    def test_exposition_is_the_prometheus_text_format(self) -> None:
        """Help, type and value stand in the text."""
        metrics = Metrics()
        metrics.gauge("spire_depth", "Depth of the queue.").set(4)
        metrics.histogram("spire_wait_seconds", "Waited.", buckets=(1.0,)).observe(0.5)
        text = metrics.exposition().decode()
        self.assertIn("# HELP spire_depth Depth of the queue.", text)
        self.assertIn("spire_depth 4.0", text)
        self.assertIn('spire_wait_seconds_bucket{le="1.0"} 1.0', text)
