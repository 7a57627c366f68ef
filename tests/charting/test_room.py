"""Charting over a network in memory: what its clients see."""

from typing import Any

from spire.charting import live, server
from spire.charting.codecs import CODEC
from spire.charting.interfaces import TradeRange
from spire.charting.upstream import MarketDataTrades
from spire.charting.values import DAY, CandleTopic, Eligibility
from spire.series.commands import Load
from spire.series.filter import Compare, Operator
from spire.series.loads import load
from spire.series.query import EARLIEST_TIME, LATEST_TIME, LimitFrom, Query
from spire.values.environment import FeedKind
from spire.values.time import Timestamp
from spire.wire.errors import Invalid, NotFound, Unsupported
from spire.wire.stream_commands import FIRST_LOAD
from tests.charting.room import (
    BAC,
    IBM,
    MINUTE,
    OPEN,
    ChartingRoomTestCase,
    Watcher,
    minutes,
    shape,
    state_of,
)


class LoadTests(ChartingRoomTestCase):
    """Candles of the past."""

    def test_candles_hold_the_prints_of_their_minutes(self) -> None:
        """Oldest first; a minute without a print has none."""
        self.prints((0, 14.00, 100), (0.5, 14.05, 200), (0.9, 14.02, 50), (2, 14.10, 10))
        self.assertEqual(
            self.load(minutes()), [(14.00, 14.05, 14.00, 14.02, 350, 3), (14.10, 14.10, 14.10, 14.10, 10, 1)]
        )

    def test_a_candle_that_a_range_touches_is_whole(self) -> None:
        """Also where the range begins or ends within it; both ends count."""
        self.prints((0.1, 14.00, 1), (1.1, 14.10, 2), (1.9, 14.20, 4), (2.1, 14.30, 8))
        middle = Timestamp(OPEN + MINUTE + MINUTE // 2)
        self.assertEqual(self.load(minutes(), middle, middle), [(14.10, 14.20, 14.10, 14.20, 6, 2)])
        self.assertEqual(len(self.load(minutes(), Timestamp(OPEN + MINUTE), Timestamp(OPEN + 2 * MINUTE))), 2)

    def test_a_limit_counts_candles_from_either_end(self) -> None:
        """The latest, unless the head is asked for."""
        self.prints(*((minute, 14 + minute / 100, 1) for minute in range(5)))
        self.assertEqual([row[0] for row in self.load(minutes(), limit=2)], [14.03, 14.04])
        head = Query(topic=str(minutes()), limit=2, limit_from=LimitFrom.HEAD)
        found = self.run_(load(self.charting.session, head, CODEC)).records
        self.assertEqual([shape(candle)[0] for candle in found], [14.00, 14.01])

    def test_one_instruments_prints_are_not_anothers(self) -> None:
        """A series is of one instrument."""
        self.prints((0, 14.00, 1))
        self.prints((0, 182.00, 1), instrument=IBM)
        self.assertEqual([row[0] for row in self.load(minutes(IBM))], [182.00])

    def test_without_a_print_there_is_no_candle(self) -> None:
        """An empty answer is an answer."""
        self.assertEqual(self.load(minutes()), [])

    def test_a_replayed_session_is_asked_for_by_number(self) -> None:
        """Its prints are no part of the primary series."""
        self.prints((0, 14.00, 1))
        self.run_(self.feed.end())
        replay = self.open_feed("again", FeedKind.REPLAY)
        self.prints((0, 13.00, 7), feed=replay)
        sessions = {row[0]: row[4] for number in (1, 2) for row in self.load(minutes(), feed_session=number)}
        self.assertEqual(sessions, {14.00: 1, 13.00: 7})


class LiveTests(ChartingRoomTestCase):
    """Candles as they change."""

    def test_a_follower_gets_the_past_and_then_each_change_whole(self) -> None:
        """The candle of a change replaces the one of the same start."""
        self.prints((0, 14.00, 100))
        watcher = Watcher()
        self.charting.follow(minutes(), watcher)
        self.platform.advance(1.0)
        self.prints((0.5, 14.05, 10), (1, 14.04, 20))
        self.prints((1.5, 14.00, 5))
        latest = watcher.latest()
        self.assertEqual(shape(latest[0]), (14.00, 14.05, 14.00, 14.05, 110, 2))
        self.assertEqual(shape(latest[1]), (14.04, 14.04, 14.00, 14.00, 25, 2))
        self.assertEqual(state_of(self.run_(self.charting.candles(minutes())).records), self.state(watcher))
        self.assertEqual(watcher.errors, [])

    def test_a_late_print_changes_its_old_candle(self) -> None:
        """Also one that was over before anybody followed: it is made whole from history first."""
        self.prints((0, 14.00, 100), (0.9, 14.01, 100), (5, 14.50, 1))
        watcher = Watcher()
        self.charting.session.subscriptions.log(str(minutes()), watcher, codec=CODEC)
        self.platform.advance(1.0)
        self.prints((0.5, 13.90, 30))
        (changed,) = watcher.candles
        self.assertEqual(shape(changed), (14.00, 14.01, 13.90, 14.01, 230, 3))
        self.assertEqual(int(changed["sequence"]), 4)

    def test_new_candles_ask_history_once(self) -> None:
        """At the first print; later only a late one does, and prints that were late together do it together."""
        self.prints((0, 14.00, 100))
        watcher = Watcher()
        self.charting.session.subscriptions.log(str(minutes()), watcher, codec=CODEC)
        self.platform.advance(1.0)
        loads: list[TradeRange] = []
        load_trades = MarketDataTrades.load

        def noted(trades: MarketDataTrades, wanted: TradeRange, restart: Any, take: Any) -> Any:
            loads.append(wanted)
            return load_trades(trades, wanted, restart, take)

        self.patch(MarketDataTrades, "load", noted)
        for minute in range(100, 105):
            self.prints((minute, 14.00, 1), (minute + 0.5, 14.10, 2))
        self.assertEqual([(wanted.start, wanted.end) for wanted in loads], [(OPEN + 100 * MINUTE, None)])
        self.prints((0.5, 13.90, 1), (3, 13.80, 1), (105, 14.20, 1))
        self.assertEqual((loads[-1].start, loads[-1].end), (OPEN, OPEN + 4 * MINUTE - 1))
        self.assertEqual(len(loads), 2)
        self.assertEqual(shape(watcher.latest()[0]), (14.00, 14.00, 13.90, 13.90, 101, 2))
        self.assertEqual(state_of(self.run_(self.charting.candles(minutes())).records), self.state(watcher))

    def test_a_first_print_that_is_very_late_ends_nothing(self) -> None:
        """Where more candles lie behind it than one query may make its own is asked for alone."""
        self.prints(*((minute, 14.00, 1) for minute in range(10)))
        self.patch(live, "MOST_CANDLES", 5)
        watcher = Watcher()
        self.charting.session.subscriptions.log(str(minutes()), watcher, codec=CODEC)
        self.platform.advance(1.0)
        self.prints((1.5, 13.90, 1))
        self.prints((9.5, 14.10, 1))
        self.assertEqual(
            [shape(candle)[:4] for candle in watcher.candles],
            [(14.00, 14.00, 13.90, 13.90), (14.00, 14.10, 14.00, 14.10)],
        )
        self.assertEqual(watcher.errors, [])

    def test_two_intervals_of_one_instrument_are_two_series(self) -> None:
        """Each with its own candles of the same prints."""
        one, five = Watcher(), Watcher()
        self.charting.follow(minutes(), one)
        self.charting.follow(minutes(interval=5 * MINUTE), five)
        self.platform.advance(1.0)
        self.prints((0, 14.00, 1), (1, 14.01, 1), (4, 14.02, 1))
        self.assertEqual((len(one.latest()), len(five.latest())), (3, 1))
        self.assertEqual(shape(five.latest()[0]), (14.00, 14.02, 14.00, 14.02, 3, 3))

    def test_one_series_more_than_are_followed_waits_its_turn(self) -> None:
        """The first one, which was being opened at that moment, is opened and goes on."""
        self.patch(server, "MOST_LIVE_SERIES", 1)
        one, two = Watcher(), Watcher()
        streams = self.charting.session.subscriptions
        first = streams.log(str(minutes()), one, codec=CODEC)
        streams.log(str(minutes(interval=2 * MINUTE)), two, codec=CODEC)
        self.platform.advance(30.0)
        self.prints((0, 14.00, 1))
        self.assertEqual((len(one.candles), len(two.candles)), (1, 0))
        first.close()
        self.platform.advance(60.0)
        self.prints((1, 14.00, 1))
        self.assertEqual((len(one.candles), len(two.candles)), (1, 1))

    def test_a_replayed_sessions_prints_do_not_touch_the_candles_before_it(self) -> None:
        """The live series goes on with the replay alone."""
        self.prints((0, 14.00, 100))
        self.run_(self.feed.end())
        replay = self.open_feed("again", FeedKind.REPLAY)
        watcher = Watcher()
        self.charting.session.subscriptions.log(str(minutes()), watcher, codec=CODEC)
        self.platform.advance(1.0)
        self.prints((0.5, 13.00, 7), feed=replay)
        self.assertEqual([shape(candle) for candle in watcher.candles], [(13.00, 13.00, 13.00, 13.00, 7, 1)])

    def state(self, watcher: Watcher) -> dict[int, bytes]:
        """Return what a watcher knows, by the start of the candle."""
        return {int(candle["start"]): candle.tobytes() for candle in watcher.latest().values()}


class ResumeTests(ChartingRoomTestCase):
    """The ring is small: what is older comes out of history."""

    ring_bytes = 2_000

    def test_a_resume_older_than_the_ring_brings_every_change_since(self) -> None:
        """Made again from stored trades, and then live."""
        first = Watcher()
        self.charting.session.subscriptions.log(str(minutes()), first, codec=CODEC)
        self.platform.advance(1.0)
        for minute in range(40):
            self.prints((minute, 14 + minute / 100, 1), (minute + 0.5, 14.00, 2))
        ((epoch, _),) = first.resets
        late = Watcher()
        self.client("demo_trader").session.subscriptions.log(str(minutes()), late, codec=CODEC, after=21, epoch=epoch)
        self.platform.advance(1.0)
        self.prints((40, 14.40, 1))
        self.assertEqual(late.resets, [(epoch, 21)])
        self.assertEqual(sorted(late.latest()), list(range(10, 41)))
        whole = first.latest()
        self.assertEqual(
            {minute: candle.tobytes() for minute, candle in late.latest().items()},
            {minute: whole[minute].tobytes() for minute in range(10, 41)},
        )
        self.assertEqual(late.errors, [])


class RefusalTests(ChartingRoomTestCase):
    """What is refused, and how."""

    def test_a_name_that_is_no_series_is_invalid(self) -> None:
        """The text says how one reads."""
        for name in (
            "candles/1/60",
            "candles/x/60000000000/ALL",
            "candles/1/0/ALL",
            "candles/1/60000000000/SOME",
            "trade/1",
        ):
            error = self.refusal(load(self.charting.session, Query(topic=name), CODEC), Invalid)
            self.assertEqual(error.details["argument"], "topic", name)

    def test_a_subscription_to_a_bad_name_ends_with_invalid(self) -> None:
        """Its listener hears why."""
        watcher = Watcher()
        self.charting.session.subscriptions.log("candles/1/7/SOME", watcher, codec=CODEC)
        self.platform.advance(1.0)
        self.assertEqual([error.coded for error in watcher.errors], ["INVALID"])

    def test_an_unknown_instrument_is_not_found(self) -> None:
        """To load and to follow."""
        self.refusal(self.charting.candles(minutes(4_000_000)), NotFound)
        watcher = Watcher()
        self.charting.session.subscriptions.log(str(minutes(4_000_000)), watcher, codec=CODEC)
        self.platform.advance(1.0)
        self.assertEqual([error.coded for error in watcher.errors], ["NOT_FOUND"])

    def test_a_filter_and_an_end_by_sequence_are_unsupported(self) -> None:
        """Candles are made, not stored."""
        cheap = Compare(field="close", operator=Operator.LESS, value=14_000_000)
        for query in (Query(topic=str(minutes()), filter=cheap), Query(topic=str(minutes()), end_sequence=3)):
            self.refusal(load(self.charting.session, query, CODEC), Unsupported)

    def test_more_candles_than_one_query_may_make_are_invalid(self) -> None:
        """The text says what to ask for instead, and the server goes on."""
        self.patch(live, "MOST_CANDLES", 3)
        self.patch(live, "PORTION", 1)
        self.prints(*((minute, 14.00, 1) for minute in range(4)))
        error = self.refusal(self.charting.candles(minutes()), Invalid)
        self.assertEqual(error.details["argument"], "query")
        self.assertIn("more than 3 candles", error.message)
        self.assertEqual(len(self.load(minutes(), Timestamp(OPEN), Timestamp(OPEN + 2 * MINUTE))), 3)

    def test_a_time_that_stands_in_no_calendar_is_invalid(self) -> None:
        """Also to a client that does not look before it asks."""
        for time in (-(2**63), -1, 2**63 - 1, 2**63):
            for wrong in (
                Query(topic=str(minutes()), start_time=Timestamp(time)),
                Query(topic=str(minutes()), end_time=Timestamp(time)),
            ):
                self.refusal(self.charting.session.call(Load, number=FIRST_LOAD + 99, query=wrong), Invalid)

    def test_the_whole_time_that_may_be_asked_for_is_answered(self) -> None:
        """Its first and last bucket begin before it and end behind it."""
        self.prints((0, 14.00, 1))
        for days in (1, 366):
            topic = minutes(interval=days * DAY)
            self.assertEqual([row[0] for row in self.load(topic, EARLIEST_TIME, LATEST_TIME)], [14.00])
            self.assertEqual(self.load(topic, LATEST_TIME, LATEST_TIME), [])

    def test_the_server_stays_up_after_all_of_it(self) -> None:
        """The next question is answered."""
        self.refusal(self.charting.candles(minutes(4_000_000)), NotFound)
        self.prints((0, 14.00, 1))
        self.assertEqual(
            len(self.load(CandleTopic(instrument_id=BAC, interval=MINUTE, eligibility=Eligibility.CONSOLIDATED))), 1
        )
