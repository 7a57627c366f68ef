"""Background work with a name: tracked, counted, logged when it fails, drained at stop."""

from collections.abc import Callable, Coroutine
from inspect import iscoroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from spire.runtime.clock import Clock
from spire.runtime.log_context import log_context
from spire.runtime.metrics import Metrics

# Coroutines that Deferred.fromCoroutine accepts yield Deferreds of anything.
Work = Coroutine[Deferred[Any], Any, Any]

RETRY_CEILING_SECONDS = 60.0


class Tasks:
    """The background work of one process.

    `spawn` is the only way to start work that nobody awaits. A failure is logged with the task's name and counted; it
    never reaches the caller.
    """

    _log = Logger()

    def __init__(self, clock: Clock, metrics: Metrics | None = None) -> None:
        self._clock = clock
        self._running: dict[Deferred[None], str] = {}
        self._loops: set[_Loop] = set()
        metrics = Metrics() if metrics is None else metrics
        self._gauge = metrics.gauge("spire_tasks_running", "Background tasks that run now.")
        self._failures = metrics.counter("spire_tasks_failed", "Background tasks that failed.", ["task"])

    @property
    def running(self) -> tuple[str, ...]:
        """The names of the tasks that run now, in the order of their start."""
        return tuple(self._running.values())

    def spawn(self, name: str, work: Work) -> Deferred[None]:
        """Run `work` in the background under `name`; the Deferred fires when it has ended and never fails.

        Cancelling the Deferred cancels the work.
        """
        with log_context(task=name):
            running: Deferred[Any] = Deferred.fromCoroutine(work)
        ended: Deferred[None] = Deferred(lambda _: running.cancel())
        self._running[ended] = name
        self._gauge.inc()

        def end(result: object) -> None:
            del self._running[ended]
            self._gauge.dec()
            if isinstance(result, Failure) and not isinstance(result.value, CancelledError):
                self._failed(name, result)
            if not ended.called:
                ended.callback(None)

        running.addBoth(end)
        return ended

    def every(self, name: str, seconds: float, function: Callable[[], object]) -> Callable[[], None]:
        """Call `function` every `seconds`, first after one interval; the answer stops it.

        `function` may be a coroutine function: the next interval begins when it has ended, so it never overlaps with
        itself. After a failure it goes on, at doubling intervals up to a minute (or the interval, if that is longer).
        """
        loop = _Loop(self, self._clock, name, seconds, function)
        self._loops.add(loop)
        return loop.stop

    async def drain(self, deadline_seconds: float) -> None:
        """Stop the repeated work, wait for the rest until the deadline, then cancel what still runs."""
        for loop in tuple(self._loops):
            loop.stop()
        finished: Deferred[None] = Deferred()
        timer = self._clock.later(deadline_seconds, finished.callback, None)
        waiting = set(self._running)

        def one_ended(_: None, which: Deferred[None]) -> None:
            waiting.discard(which)
            if not waiting and timer.active():
                timer.cancel()
                finished.callback(None)

        for ended in tuple(waiting):
            ended.addCallback(one_ended, ended)
        if not self._running and timer.active():
            timer.cancel()
            return
        await finished
        for ended, name in tuple(self._running.items()):
            self._log.warn("task {name} did not end within {seconds} s: cancelled", name=name, seconds=deadline_seconds)
            ended.cancel()

    def _failed(self, name: str, failure: Failure | None = None) -> None:
        """Count and log `failure`, or the exception that is being handled."""
        self._failures.labels(task=name).inc()
        self._log.failure("task {name} failed", failure=failure, name=name)

    def _forget(self, loop: "_Loop") -> None:
        self._loops.discard(loop)


class _Loop:
    """One function that is called again and again."""

    def __init__(self, tasks: Tasks, clock: Clock, name: str, seconds: float, function: Callable[[], object]) -> None:
        self._tasks = tasks
        self._clock = clock
        self._name = name
        self._seconds = seconds
        self._function = function
        self._failures = 0
        self._stopped = False
        self._timer: IDelayedCall | None = clock.later(seconds, self._turn)

    def stop(self) -> None:
        """Call the function no more; a run under way goes on to its end."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._tasks._forget(self)

    def _turn(self) -> None:
        self._timer = None
        try:
            with log_context(task=self._name):
                result = self._function()
        except Exception:  # noqa: BLE001 (whatever the function raises is logged, and it is called again)
            self._tasks._failed(self._name)
            self._rest(failed=True)
            return
        if iscoroutine(result):
            self._tasks.spawn(self._name, self._watch(result))
        else:
            self._rest(failed=False)

    async def _watch(self, work: Work) -> None:
        failed = True
        try:
            await work
            failed = False
        finally:
            self._rest(failed=failed)

    def _rest(self, *, failed: bool) -> None:
        self._failures = self._failures + 1 if failed else 0
        if self._stopped:
            return
        ceiling = max(RETRY_CEILING_SECONDS, self._seconds)
        delay = min(ceiling, self._seconds * 2.0 ** min(self._failures, 16))
        self._timer = self._clock.later(delay, self._turn)
