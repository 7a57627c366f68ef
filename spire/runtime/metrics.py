"""Counters, gauges and histograms of one process, in a registry of their own."""

from collections.abc import Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase

M = TypeVar("M", bound=MetricWrapperBase)

# Seconds. From a call answered in memory to one that waited for a time-out.
SECONDS_BUCKETS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip


class Metrics:
    """The metrics of one process; asking twice for a name gives the same metric.

    Names follow Prometheus: `spire_<floor>_<what>_<unit>`, counters without `_total` (the exposition adds it).
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._metrics: dict[str, MetricWrapperBase] = {}

    def counter(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Counter:
        """Return the counter `name`, made at the first call. Raises ValueError where `name` is another kind."""
        return self._get(Counter, name) or self._keep(
            name, Counter(name, help_text, labelnames=labels, registry=self.registry)
        )

    def gauge(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Gauge:
        """Return the gauge `name`, made at the first call. Raises ValueError where `name` is another kind."""
        return self._get(Gauge, name) or self._keep(
            name, Gauge(name, help_text, labelnames=labels, registry=self.registry)
        )

    def histogram(
        self, name: str, help_text: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS_BUCKETS
    ) -> Histogram:
        """Return the histogram `name`, made at the first call. Raises ValueError where `name` is another kind."""
        return self._get(Histogram, name) or self._keep(
            name, Histogram(name, help_text, labelnames=labels, registry=self.registry, buckets=tuple(buckets))
        )

    def exposition(self) -> bytes:
        """Return every metric in the Prometheus text format."""
        return generate_latest(self.registry)

    def value(self, name: str, **labels: str) -> float:
        """Return one sample by its exposed name (`..._total`, `..._count`); 0 where nothing was counted yet."""
        return self.registry.get_sample_value(name, labels) or 0.0

    def _get(self, kind: type[M], name: str) -> M | None:
        known = self._metrics.get(name)
        if known is not None and not isinstance(known, kind):
            raise ValueError(f"{name} is a {type(known).__name__}, not a {kind.__name__}")
        return known

    def _keep(self, name: str, metric: M) -> M:
        self._metrics[name] = metric
        return metric
