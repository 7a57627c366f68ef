"""Time: sleeping, timers, and the clock of the tests."""

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock as TwistedClock
from twisted.trial.unittest import SynchronousTestCase

from spire.runtime.clock import Clock
from spire.testing.clock import OPENING, ManualClock


class ClockTests(SynchronousTestCase):
    """A clock keeps wall time and monotonic time apart."""

    def test_wall_time_may_jump_while_monotonic_time_does_not(self) -> None:
        """The two sources are asked separately."""
        wall = iter([5_000, 3_000])
        clock = Clock(TwistedClock(), wall=lambda: next(wall), monotonic=lambda: 7.5)
        self.assertEqual([clock.now(), clock.now(), clock.monotonic()], [5_000, 3_000, 7.5])

    def test_sleep_ends_at_its_time(self) -> None:
        """A sleeper wakes when the time has passed, not before."""
        clock = ManualClock()
        asleep = clock.sleep(2.0)
        clock.advance(1.9)
        self.assertNoResult(asleep)
        clock.advance(0.1)
        self.assertIsNone(self.successResultOf(asleep))

    def test_cancelled_sleep_leaves_no_timer(self) -> None:
        """Cancelling a sleep takes its timer away."""
        clock = ManualClock()
        asleep = clock.sleep(2.0)
        asleep.cancel()
        self.failureResultOf(asleep, CancelledError)
        self.assertEqual(clock.reactor.getDelayedCalls(), [])

    def test_negative_delay_means_at_once(self) -> None:
        """A deadline that has passed already is due in the next turn."""
        clock = ManualClock()
        asleep = clock.sleep(-1.0)
        clock.pump()
        self.assertIsNone(self.successResultOf(asleep))


class ManualClockTests(SynchronousTestCase):
    """The clock of the tests calls each timer at its own time."""

    def test_timers_made_on_the_way_run_at_their_own_time(self) -> None:
        """A timer that renews itself every 5 s runs five times in 25 s."""
        clock = ManualClock()
        seen: list[float] = []

        def beat() -> None:
            seen.append(clock.monotonic())
            clock.later(5.0, beat)

        clock.later(5.0, beat)
        clock.advance(25.0)
        self.assertEqual(seen, [5.0, 10.0, 15.0, 20.0, 25.0])

    def test_wall_time_moves_with_it(self) -> None:
        """The wall clock starts at the opening bell and moves in nanoseconds."""
        clock = ManualClock()
        clock.advance(1.25)
        self.assertEqual(clock.now(), OPENING + 1_250_000_000)

    def test_pump_runs_one_turn_at_least(self) -> None:
        """What is due now runs without time passing."""
        clock = ManualClock()
        seen: list[float] = []
        clock.later(0.0, seen.append, 1.0)
        clock.pump()
        self.assertEqual((seen, clock.monotonic()), ([1.0], 0.0))
