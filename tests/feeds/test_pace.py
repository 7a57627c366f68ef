"""Tests of how far a replay may have come."""

from twisted.trial.unittest import SynchronousTestCase

from spire.feeds.merge import Timeline
from spire.feeds.pace import Pace
from spire.marketdata.values import RecordType, empty

SECOND = 10**9


def timeline(*seconds: int) -> Timeline:
    """Return a day of quotes at these seconds."""
    records = empty(RecordType.BBO, len(seconds))
    records["source_time"] = [second * SECOND for second in seconds]
    return Timeline([(RecordType.BBO, records)])


class PaceTests(SynchronousTestCase):
    """Speed, pause, steps and until."""

    def test_as_fast_as_possible_allows_everything(self) -> None:
        """No clock holds it back."""
        pace = Pace(timeline(1, 2, 3), speed=None, is_paused=False, until=None)
        self.assertEqual(pace.allowed(0, 0.0), 3)

    def test_a_speed_follows_the_clock(self) -> None:
        """At twice the market's pace, two seconds of records a second."""
        pace = Pace(timeline(10, 11, 12, 14), speed=2.0, is_paused=False, until=None)
        self.assertEqual(pace.allowed(0, 100.0), 1)
        self.assertEqual(pace.allowed(1, 100.5), 2)
        self.assertEqual(pace.allowed(2, 101.0), 3)
        self.assertEqual(pace.wait_seconds(3, 101.0), 1.0)

    def test_a_pause_costs_no_records(self) -> None:
        """The clock begins anew at the next record after a pause."""
        pace = Pace(timeline(10, 11, 12), speed=1.0, is_paused=False, until=None)
        pace.allowed(0, 0.0)
        pace.pause()
        self.assertEqual(pace.allowed(1, 50.0), 1)
        pace.resume()
        self.assertEqual(pace.allowed(1, 60.0), 2)
        self.assertEqual(pace.allowed(2, 60.5), 2)

    def test_steps_add_up_while_paused(self) -> None:
        """Two steps asked for at once are both granted."""
        pace = Pace(timeline(1, 2, 3, 4), speed=None, is_paused=True, until=None)
        self.assertEqual(pace.allowed(0, 0.0), 0)
        self.assertEqual(pace.step(1, 0), 1)
        self.assertEqual(pace.step(2, 0), 3)
        self.assertEqual(pace.allowed(0, 0.0), 3)
        self.assertTrue(pace.is_paused)

    def test_until_pauses_behind_the_last_record_of_its_time(self) -> None:
        """Records at that very time are sent; resuming goes on to the end."""
        pace = Pace(timeline(1, 2, 2, 3), speed=None, is_paused=False, until=2 * SECOND)
        self.assertEqual(pace.allowed(0, 0.0), 3)
        self.assertEqual(pace.allowed(3, 0.0), 3)
        self.assertTrue(pace.is_paused)
        pace.resume()
        self.assertEqual(pace.allowed(3, 0.0), 4)

    def test_until_a_time_that_is_over_stays_paused(self) -> None:
        """Nothing is sent twice or backwards."""
        pace = Pace(timeline(1, 2), speed=None, is_paused=False, until=None)
        pace.run_until(1 * SECOND, sent=2)
        self.assertTrue(pace.is_paused)

    def test_a_speed_of_nothing_is_refused(self) -> None:
        """Zero is a pause, not a speed."""
        pace = Pace(timeline(1), speed=None, is_paused=False, until=None)
        self.assertRaises(ValueError, pace.set_speed, 0.0)
