"""The process's own pulse as metrics: reactor lag, garbage collections, memory, CPU time, open files."""

import gc
import time
from collections import deque
from collections.abc import Callable

from prometheus_client import ProcessCollector

from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics

BEAT_SECONDS = 0.1


class Vitals:
    """Measures the process while it runs."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._lag = metrics.histogram("spire_reactor_lag_seconds", "How late a timer of 100 ms was called.")
        self._pauses = metrics.histogram("spire_gc_pause_seconds", "Time taken by garbage collections.", ["generation"])
        self._metrics = metrics
        self._due = 0.0
        self._collection_began = 0.0
        self._collections: deque[tuple[int, float]] = deque(maxlen=1_000)
        self._cancel: Callable[[], None] = _nothing

    def start(self) -> None:
        """Begin to measure."""
        ProcessCollector(registry=self._metrics.registry)
        gc.callbacks.append(self._collected)
        self._beat_later()

    def stop(self) -> None:
        """Measure no more."""
        self._cancel()
        self._cancel = _nothing
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)

    def _beat_later(self) -> None:
        self._due = self._clock.monotonic() + BEAT_SECONDS
        self._cancel = self._clock.later(BEAT_SECONDS, self._beat).cancel

    def _beat(self) -> None:
        self._lag.observe(max(0.0, self._clock.monotonic() - self._due))
        while self._collections:
            generation, seconds = self._collections.popleft()
            self._pauses.labels(generation).observe(seconds)
        self._beat_later()

    def _collected(self, phase: str, information: dict[str, int]) -> None:
        if phase == "start":
            self._collection_began = time.perf_counter()
        else:
            # Only noted here: a collection may begin inside the metrics' own locks.
            self._collections.append((information["generation"], time.perf_counter() - self._collection_began))


def _nothing() -> None:
    """Stand in for a timer's cancel while there is no timer."""
