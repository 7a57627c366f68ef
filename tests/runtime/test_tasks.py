"""Background work."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.runtime.log_context import current_log_context
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.testing.clock import ManualClock


class SpawnTests(SynchronousTestCase):
    """Work that nobody awaits is named, counted and never lost."""

    def setUp(self) -> None:
        """Make tasks over a manual clock."""
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.tasks = Tasks(self.clock, self.metrics)

    def test_running_work_is_listed_until_it_ends(self) -> None:
        """The name stands in `running` exactly as long as the work runs."""

        async def work() -> None:
            await self.clock.sleep(1.0)

        ended = self.tasks.spawn("settle", work())
        self.assertEqual(self.tasks.running, ("settle",))
        self.clock.advance(1.0)
        self.successResultOf(ended)
        self.assertEqual(self.tasks.running, ())

    def test_failure_is_logged_and_counted_and_the_deferred_succeeds(self) -> None:
        """A failing task costs a log record, not its caller."""

        async def work() -> None:
            raise ValueError("no such venue")

        ended = self.tasks.spawn("settle", work())
        self.assertIsNone(self.successResultOf(ended))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.metrics.value("spire_tasks_failed_total", task="settle"), 1.0)

    def test_cancelling_ends_the_work_silently(self) -> None:
        """Cancelling raises CancelledError in the work; that is no failure."""
        seen: list[str] = []

        async def work() -> None:
            try:
                await self.clock.sleep(10.0)
            except CancelledError:
                seen.append("cancelled")
                raise

        ended = self.tasks.spawn("settle", work())
        ended.cancel()
        self.assertIsNone(self.successResultOf(ended))
        self.assertEqual(seen, ["cancelled"])
        self.assertEqual(self.metrics.value("spire_tasks_failed_total", task="settle"), 0.0)

    def test_the_task_name_is_in_the_log_context(self) -> None:
        """What the work logs says which task it was."""
        seen: list[object] = []

        async def work() -> None:
            await self.clock.sleep(1.0)
            seen.append(current_log_context().get("task"))

        self.tasks.spawn("settle", work())
        self.clock.advance(1.0)
        self.assertEqual((seen, current_log_context().get("task")), (["settle"], None))


class EveryTests(SynchronousTestCase):
    """Repeated work survives its failures and never overlaps with itself."""

    def setUp(self) -> None:
        """Make tasks over a manual clock."""
        self.clock = ManualClock()
        self.tasks = Tasks(self.clock)

    def test_it_runs_each_interval_until_stopped(self) -> None:
        """First after one interval, last before the stop."""
        seen: list[float] = []
        stop = self.tasks.every("beat", 5.0, lambda: seen.append(self.clock.monotonic()))
        self.clock.advance(12.0)
        stop()
        self.clock.advance(20.0)
        self.assertEqual(seen, [5.0, 10.0])

    def test_a_failure_doubles_the_interval_and_a_success_restores_it(self) -> None:
        """One failing run is followed by one at twice the interval, then by the usual ones."""
        seen: list[float] = []

        def beat() -> None:
            seen.append(self.clock.monotonic())
            if len(seen) == 1:
                raise ValueError("once")

        self.tasks.every("beat", 5.0, beat)
        self.clock.advance(25.0)
        self.assertEqual(seen, [5.0, 15.0, 20.0, 25.0])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_a_slow_coroutine_never_overlaps_with_itself(self) -> None:
        """The interval counts from the end of the run before."""
        seen: list[float] = []

        async def beat() -> None:
            seen.append(self.clock.monotonic())
            await self.clock.sleep(7.0)

        self.tasks.every("beat", 5.0, beat)
        self.clock.advance(30.0)
        self.assertEqual(seen, [5.0, 17.0, 29.0])

    def test_a_failing_coroutine_is_called_again(self) -> None:
        """A coroutine's failure is logged and does not end the repetition."""
        seen: list[float] = []

        async def beat() -> None:
            seen.append(self.clock.monotonic())
            raise ValueError("always")

        self.tasks.every("beat", 5.0, beat)
        self.clock.advance(16.0)
        self.assertEqual(seen, [5.0, 15.0])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)


class DrainTests(SynchronousTestCase):
    """At stop, work may end by itself until the deadline."""

    def setUp(self) -> None:
        """Make tasks over a manual clock."""
        self.clock = ManualClock()
        self.tasks = Tasks(self.clock)

    def test_drain_ends_when_the_work_has_ended(self) -> None:
        """No longer than needed, and no timer is left."""

        async def work() -> None:
            await self.clock.sleep(1.0)

        self.tasks.spawn("settle", work())
        self.tasks.every("beat", 5.0, lambda: None)
        drained = Deferred.fromCoroutine(self.tasks.drain(5.0))
        self.assertNoResult(drained)
        self.clock.advance(1.0)
        self.assertIsNone(self.successResultOf(drained))
        self.assertEqual(self.clock.reactor.getDelayedCalls(), [])

    def test_drain_cancels_what_runs_beyond_the_deadline(self) -> None:
        """Work that hangs is cancelled."""

        async def work() -> None:
            await Deferred()

        ended = self.tasks.spawn("settle", work())
        drained = Deferred.fromCoroutine(self.tasks.drain(5.0))
        self.clock.advance(5.0)
        self.assertIsNone(self.successResultOf(drained))
        self.assertIsNone(self.successResultOf(ended))

    def test_drain_of_nothing_ends_at_once(self) -> None:
        """An idle process stops without waiting."""
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(self.tasks.drain(5.0))))
        self.assertEqual(self.clock.reactor.getDelayedCalls(), [])
