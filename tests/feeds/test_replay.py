"""Replays into a Market Data Server in memory, with kills and controls."""

from datetime import date

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from spire.feeds.merge import Timeline
from spire.feeds.replay import Progress, ReplayFeed
from spire.feeds.replay_source import parse_moment
from spire.marketdata.values import Records, RecordType, topic_of
from spire.series.query import Query
from spire.values.environment import FeedKind
from spire.values.time import NANOSECONDS, Timestamp, parse_timestamp
from spire.wire.errors import Conflict
from tests.marketdata.records import VENUE, quotes, trades
from tests.marketdata.room import FEED_SERVICE, Recorder, RoomTestCase

BEGIN = 1_381_239_000 * NANOSECONDS


def timeline(count: int = 2000) -> Timeline:
    """Return a quote and a trade a second, in two instruments."""
    seconds = BEGIN + np.arange(count) * NANOSECONDS
    parts: list[tuple[RecordType, Records]] = []
    for instrument in (1, 2):
        for kind, records in (
            (RecordType.BBO, quotes([instrument] * count)),
            (RecordType.TRADE, trades([instrument] * count)),
        ):
            records["source_time"] = seconds
            parts.append((kind, records))
    return Timeline(parts)


class ReplayTestCase(RoomTestCase):
    """A replay and a server."""

    def replay(self, day: Timeline, name: str = "replay", **options: object) -> ReplayFeed:
        """Return a replay on a connection of its own."""
        feed = ReplayFeed(
            self.connect(FEED_SERVICE, "market_data.publish"),
            day,
            self.terms(name),
            clock=self.clock,
            tasks=self.tasks,
            **options,  # type: ignore[arg-type] # the test's own
        )
        self.addCleanup(lambda: self.result(feed.stop()))
        return feed

    def history(self, kind: RecordType, instrument: int) -> Records:
        """Return what the server has."""
        found: Records = self.result(self.client().load(Query(topic=topic_of(kind, instrument)))).records
        return found


class WholeDayTests(ReplayTestCase):
    """As fast as possible, to the end."""

    def test_everything_arrives_once_and_in_order_and_the_session_ends(self) -> None:
        """At a live subscriber and in history alike."""
        recorder = Recorder()
        self.client().subscribe(RecordType.TRADE, 2, recorder, after=0)
        feed = self.replay(timeline())
        self.assertEqual(self.result(feed.start()), 0)
        self.clock.advance(5)
        self.successResultOf(feed.done)
        self.assertEqual(recorder.sequences, list(range(1, 2001)))
        self.assertEqual(len(self.history(RecordType.BBO, 1)), 2000)
        self.assertTrue(feed.progress.is_ended)
        self.assertIsNotNone(self.server.intake.sessions.get(1).ended)

    def test_a_server_killed_again_and_again_loses_and_doubles_nothing(self) -> None:
        """Wherever the kill falls."""
        recorder = Recorder()
        self.client().subscribe(RecordType.TRADE, 1, recorder, after=0)
        feed = self.replay(timeline(), speed=500.0)
        self.result(feed.start())
        for turn in range(4):
            self.clock.advance(0.13 + 0.01 * turn)
            self.crash()
            self.serve()
            self.clock.advance(2)
        self.clock.advance(60)
        self.successResultOf(feed.done)
        times = [int(time) for part in recorder.parts for time in part["source_time"]]
        self.assertEqual(times, [BEGIN + second * NANOSECONDS for second in range(2000)])
        self.assertEqual(recorder.sequences, list(range(1, 2001)))
        self.assertEqual(self.history(RecordType.TRADE, 1)["source_time"].tolist(), times)

    def test_a_killed_replay_goes_on_under_its_name(self) -> None:
        """With the same files the positions mean the same."""
        first = self.replay(timeline(), speed=100.0)
        self.result(first.start())
        self.clock.advance(5)
        sent = first.progress.accepted
        self.assertTrue(0 < sent < 8000)
        self.result(first.stop())
        self.network.drop(FEED_SERVICE)
        second = self.replay(timeline())
        self.assertEqual(self.result(second.start()), sent)
        self.clock.advance(5)
        self.successResultOf(second.done)
        self.assertEqual(self.history(RecordType.TRADE, 2)["sequence"].tolist(), list(range(1, 2001)))
        self.assertEqual(len(self.server.intake.sessions.sessions), 1)

    def test_a_refusal_fails_done(self) -> None:
        """Another connected feed serves the market."""
        self.feed("other", kind=FeedKind.SIMULATED)
        feed = self.replay(timeline())
        self.refusal(feed.start(), Conflict)

    def test_progress_is_told(self) -> None:
        """Sent, accepted, market time."""
        told: list[Progress] = []
        feed = self.replay(timeline(10), on_progress=told.append)
        self.result(feed.start())
        self.clock.advance(2)
        self.assertEqual((told[-1].accepted, told[-1].total, told[-1].is_ended), (40, 40, True))
        self.assertEqual(told[-1].market_time, BEGIN + 9 * NANOSECONDS)


class ControlTests(ReplayTestCase):
    """Pause, step, speed, until."""

    def test_steps_are_answered_when_they_are_accepted(self) -> None:
        """One record at a time, in the timeline's order."""
        feed = self.replay(timeline(), is_paused=True)
        self.result(feed.start())
        self.assertEqual(self.result(feed.step()).accepted, 1)
        self.assertEqual(self.result(feed.step(3)).accepted, 4)
        self.clock.advance(100)
        self.assertEqual(feed.progress.accepted, 4)
        self.assertEqual(len(self.history(RecordType.TRADE, 2)), 1)

    def test_until_pauses_with_the_session_open(self) -> None:
        """Market time stands there, and goes on when it is told to."""
        until = Timestamp(BEGIN + 100 * NANOSECONDS)
        feed = self.replay(timeline(), until=until)
        self.result(feed.start())
        markets = self.client().markets()
        self.clock.advance(30)
        self.assertEqual((feed.progress.accepted, feed.progress.is_paused), (404, True))
        self.assertEqual(markets.market_time(VENUE), until)
        self.assertFalse(markets.is_stale(VENUE))
        feed.run_until(Timestamp(until + NANOSECONDS))
        self.clock.advance(1)
        self.assertEqual(feed.progress.accepted, 408)
        feed.resume()
        self.clock.advance(5)
        self.successResultOf(feed.done)

    def test_a_speed_spreads_the_day_over_time(self) -> None:
        """Ten market seconds a second; faster when it is told to."""
        feed = self.replay(timeline(), speed=10.0)
        self.result(feed.start())
        self.clock.advance(9.6)
        self.assertIn(feed.progress.accepted, range(392, 413))
        feed.set_speed(None)
        self.clock.advance(5)
        self.successResultOf(feed.done)

    def test_a_pause_holds_and_a_resume_goes_on(self) -> None:
        """Nothing is skipped."""
        feed = self.replay(timeline(), speed=10.0)
        self.result(feed.start())
        self.clock.advance(2)
        feed.pause()
        self.clock.advance(1)
        held = feed.progress.sent
        self.clock.advance(60)
        self.assertEqual(feed.progress.sent, held)
        feed.resume()
        self.clock.advance(1)
        self.assertIn(feed.progress.sent - held, range(32, 53))


class MomentTests(SynchronousTestCase):
    """How a person writes a market time."""

    def test_a_time_of_day_is_the_recorded_markets(self) -> None:
        """New York, on the trade date."""
        self.assertEqual(parse_moment("09:30", date(2013, 10, 8)), parse_timestamp("2013-10-08T13:30:00Z"))

    def test_iso_with_a_zone_is_taken_as_it_is(self) -> None:
        """Any zone."""
        self.assertEqual(
            parse_moment("2013-10-08T13:30:00Z", date(2013, 10, 7)), parse_timestamp("2013-10-08T13:30:00Z")
        )

    def test_anything_else_is_refused(self) -> None:
        """The message shows how."""
        error = self.assertRaises(ValueError, parse_moment, "soon", date(2013, 10, 8))
        self.assertIn("09:45", str(error))
