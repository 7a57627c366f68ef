"""Streams through a relay: one upstream subscription however many readers, and none of them misses anything."""

from typing import Any
from unittest.mock import patch

from twisted.internet.defer import CancelledError, Deferred

from spire.marketdata.codecs import CODECS
from spire.marketdata.values import RecordType
from spire.relay import pages
from spire.series.filter import Compare, Operator
from spire.series.query import Query, filter_bytes
from spire.service.readiness import State
from spire.wire.errors import NotFound, Unavailable
from spire.wire.stream_responders import StreamResponders
from spire.wire.topics import Policy
from tests.marketdata.records import quotes, trades
from tests.relay.room import (
    BAC,
    IBM,
    RELAY,
    RELAY_ADDRESS,
    SEES_ALL,
    Recorder,
    RelayRoomTestCase,
    joined,
)

TRADES = CODECS[RecordType.TRADE]


class FanOutTests(RelayRoomTestCase):
    """Many readers, one subscription upstream."""

    def test_all_readers_get_what_a_feed_publishes(self) -> None:
        """In Market Data's epoch and sequences, byte for byte."""
        direct = self.follow(self.client(service="market_data_service"))
        readers = [self.follow(self.client()) for _ in range(3)]
        feed = self.feed()
        self.prints(feed, 1_200)
        self.assertEqual(direct.sequences, list(range(1, 1_201)))
        self.assertEqual([joined(reader) for reader in readers], [joined(direct)] * 3)
        self.assertEqual([reader.resets for reader in readers], [[(1, 0)]] * 3)

    def test_one_subscription_upstream_serves_them_all(self) -> None:
        """One for each topic that somebody reads, whatever filter and policy he reads it with."""
        clients = [self.client() for _ in range(4)]
        for client in clients:
            self.follow(client)
        self.follow(clients[0], RecordType.BBO, policy=Policy.CONFLATE)
        self.follow(clients[1], RecordType.BBO)
        self.assertEqual(self.upstream_readers(), {"feed_sessions": 1, "trade/1": 1, "bbo/1": 1})

    def test_a_topic_lingers_after_its_last_reader_and_is_found_again(self) -> None:
        """Within the minute the same upstream subscription serves who comes back."""
        client = self.client()
        first = self.follow(client)
        relayed = self.relay._relayed["trade/1"]
        first.subscription.close()  # type: ignore[attr-defined]
        self.platform.advance(50.0)
        self.assertEqual(self.upstream_readers()["trade/1"], 1)
        self.follow(client)
        self.platform.advance(50.0)
        self.assertIs(self.relay._relayed["trade/1"], relayed)
        self.assertEqual(self.upstream_readers()["trade/1"], 1)

    def test_a_topic_that_nobody_reads_any_more_is_closed_upstream(self) -> None:
        """And opened again by the next reader."""
        client, feed = self.client(), self.feed()
        self.follow(client).subscription.close()  # type: ignore[attr-defined]
        self.platform.advance(70.0)
        self.assertNotIn("trade/1", self.upstream_readers())
        self.assertEqual(self.relay.followed, ())
        again = self.follow(client)
        self.prints(feed, 2)
        self.assertEqual(again.sequences, [1, 2])

    def opening(self) -> list[Deferred[Any]]:
        """Have three wait for a topic, of whom the first takes the second away when he is told."""
        session: Any = None
        waiting = [Deferred.fromCoroutine(self.relay.open_topic(session, "trade/1")) for _ in range(3)]

        def take_away(result: Any) -> Any:
            waiting[1].cancel()
            return result

        waiting[0].addBoth(take_away)
        return waiting

    def test_who_is_told_of_a_topic_may_take_another_away(self) -> None:
        """The rest are told too."""
        first, second, third = self.opening()
        self.platform.advance(1.0)
        self.failureResultOf(second, CancelledError)
        self.assertIs(self.successResultOf(first), self.successResultOf(third))

    def test_who_is_told_that_there_is_no_topic_may_take_another_away(self) -> None:
        """The rest hear it too."""
        first, second, third = self.opening()
        self.relay.close()
        self.failureResultOf(second, CancelledError)
        self.assertIs(self.failureResultOf(first, Unavailable).value, self.failureResultOf(third, Unavailable).value)

    def test_a_reader_whose_session_went_holds_nothing(self) -> None:
        """A session's end is the end of its readers."""
        session = self.session(RELAY, SEES_ALL)
        session.subscriptions.log("trade/1", Recorder(), codec=TRADES)
        self.platform.advance(0.3)
        self.run_(session.stop())
        self.platform.advance(70.0)
        self.assertEqual(self.relay.followed, ())

    def test_many_topics_are_opened_at_the_same_time(self) -> None:
        """Not one round trip after the other: a client's call holds up to 150 topics."""
        client = self.client()
        self.network.faults.delay_seconds = 0.05
        recorders = [Recorder() for _ in range(12)]
        for number, recorder in enumerate(recorders):
            client.subscribe(tuple(RecordType)[number % 3], 1 + number // 3, recorder)
        self.platform.advance(0.5)
        self.assertEqual([len(recorder.resets) for recorder in recorders], [1] * 12)

    def test_a_filter_is_the_readers_own(self) -> None:
        """The relay takes everything and leaves out for each what he does not want; the range stays covered."""
        session = self.client().session
        wanted = filter_bytes(Compare(field="price", operator=Operator.GREATER, value=12))
        some, everything = Recorder(), Recorder()
        for recorder, expression in ((some, wanted), (everything, None)):
            session.subscriptions.log("trade/1", recorder, codec=TRADES, filter_bytes=expression)
        self.platform.advance(0.3)
        feed = self.feed()
        self.publish(feed, trades=trades([BAC] * 5, start_time=1))
        self.assertEqual(everything.sequences, [1, 2, 3, 4, 5])
        self.assertEqual(some.sequences, [4, 5])

    def test_a_conflating_reader_gets_the_latest_and_disturbs_no_other(self) -> None:
        """While its connection is full only the last quote waits; the lossless one misses nothing."""
        slow, fast = self.client(), self.client()
        conflated = self.follow(slow, RecordType.BBO, policy=Policy.CONFLATE)
        lossless = self.follow(fast, RecordType.BBO)
        feed = self.feed()
        self.publish(feed, bbos=quotes([BAC], start_time=1))
        link = self.network.connections(RELAY)[0]
        link.server.hold()
        for turn in range(12):
            self.publish(feed, bbos=quotes([BAC] * 500, start_time=2 + 1_000 * turn))
        link.server.release()
        self.platform.advance(1.0)
        self.assertEqual(lossless.sequences, list(range(1, 6_002)))
        self.assertEqual(conflated.sequences[-1], 6_001)
        self.assertLess(len(conflated.sequences), 6_001)
        self.assertEqual(conflated.errors + lossless.errors, [])


class ResumeTests(RelayRoomTestCase):
    """Readers that lag, break off or come from elsewhere."""

    def test_a_reader_that_is_too_slow_is_cut_and_resumes_without_a_hole(self) -> None:
        """Its connection took nothing for ten seconds; being cut is never loss."""
        cuts: list[str] = []
        original = StreamResponders._cut

        def cut(responders: StreamResponders, streams: frozenset[int], reason: str) -> None:
            cuts.append(reason)
            original(responders, streams, reason)

        self.patch(StreamResponders, "_cut", cut)
        recorder = self.follow(self.client())
        feed = self.feed()
        self.prints(feed, 10)
        (link,) = self.network.connections(RELAY)
        link.server.hold()
        self.prints(feed, 3_000, start=10)
        self.platform.advance(15.0)
        link.server.release()
        self.platform.advance(5.0)
        self.assertEqual(recorder.sequences, list(range(1, 3_011)))
        self.assertEqual((cuts, len(recorder.resets), recorder.errors), (["time"], 1, []))

    def test_a_reader_that_was_away_gets_what_it_missed_out_of_the_ring(self) -> None:
        """No question goes upstream."""
        recorder = self.follow(self.client())
        feed = self.feed()
        self.prints(feed, 5)
        self.network.faults.refuse.add(RELAY_ADDRESS)
        self.network.drop(RELAY)
        self.prints(feed, 1_000, start=5)
        self.network.faults.refuse.clear()
        with patch.object(self.market_data.archive, "load", side_effect=AssertionError("asked upstream")):
            self.platform.advance(20.0)
        self.assertEqual(recorder.sequences, list(range(1, 1_006)))

    def test_who_wants_everything_of_a_topic_that_was_not_followed_gets_it_from_upstream(self) -> None:
        """Page by page, of whatever feed session, then live."""
        feed = self.feed("one")
        self.prints(feed, 700)
        self.run_(feed.end())
        replay = self.feed("two")
        self.prints(replay, 300, start=700)
        with patch.object(pages, "PAGE", 64):
            recorder = self.follow(self.client(), after=0)
            self.platform.advance(1.0)
        self.prints(replay, 5, start=1_000)
        self.assertEqual(recorder.sequences, list(range(1, 1_006)))
        self.assertEqual(recorder.errors, [])

    def test_a_reader_may_be_ahead_of_the_relay(self) -> None:
        """It comes from another relay, or with a snapshot, and gets each record once when the relay has it."""
        feed = self.feed()
        early = self.follow(self.client())
        self.prints(feed, 5)
        to_market_data = list(self.network.connections("market_data_service"))
        for link in to_market_data:
            link.server.hold()
        self.prints(feed, 3, start=5)
        ahead = self.follow(self.client(), after=7, epoch=1)
        self.assertEqual((early.sequences[-1], ahead.resets), (5, [(1, 7)]))
        for link in to_market_data:
            link.server.release()
        self.prints(feed, 2, start=8)
        self.assertEqual(ahead.sequences, [8, 9, 10])
        self.assertEqual(early.sequences, list(range(1, 11)))

    def test_a_snapshot_and_a_subscription_behind_it_are_one_story(self) -> None:
        """Nothing between them is lost or doubled."""
        client, feed = self.client(), self.feed()
        self.prints(feed, 5)
        snapshot = self.run_(client.snapshot(BAC))
        self.prints(feed, 3, start=5)
        recorder = self.follow(client, after=snapshot.trade_through, epoch=snapshot.epoch)
        self.prints(feed, 2, start=8)
        self.assertEqual((snapshot.trade_through, recorder.sequences), (5, [6, 7, 8, 9, 10]))

    def test_a_follower_gets_past_and_future_once(self) -> None:
        """A load, then the stream behind it, both through the relay."""
        feed, recorder = self.feed(), Recorder()
        self.prints(feed, 20)
        self.client().follow(Query(topic="trade/1", limit=10), recorder)
        self.platform.advance(1.0)
        self.prints(feed, 10, start=20)
        self.assertEqual(recorder.sequences, list(range(11, 31)))

    def test_what_many_readers_missed_is_read_upstream_once(self) -> None:
        """As when another relay has died: they all come for nearly the same."""
        feed = self.feed()
        self.prints(feed, 1_500)
        clients = [self.client() for _ in range(5)]
        asked: list[Query] = []
        original = self.market_data.archive.load

        async def counted(session: Any, query: Query) -> Any:
            asked.append(query)
            return await original(session, query)

        with patch.object(self.market_data.archive, "load", counted):
            recorders = [self.follow(client, after=1_100 + place, epoch=1) for place, client in enumerate(clients)]
        self.prints(feed, 5, start=1_500)
        self.assertEqual([(query.start_sequence, query.end_sequence) for query in asked], [(1_025, 1_500)])
        expected = [list(range(1_101 + place, 1_506)) for place in range(5)]
        self.assertEqual([recorder.sequences for recorder in recorders], expected)

    def test_a_conflating_reader_from_elsewhere_gets_the_latest_alone(self) -> None:
        """Not all the history that it missed, which may be millions of quotes."""
        feed = self.feed()
        for turn in range(4):
            self.publish(feed, bbos=quotes([BAC] * 500, start_time=1 + 1_000 * turn))
        recorder = self.follow(self.client(), RecordType.BBO, after=3, epoch=1, policy=Policy.CONFLATE)
        self.publish(feed, bbos=quotes([BAC], start_time=5_000))
        self.assertEqual(recorder.sequences, [2_000, 2_001])


class SmallRingTests(RelayRoomTestCase):
    """A ring that holds next to nothing."""

    relay_settings = "linger_seconds = 60.0\nring_bytes = 4000"

    def test_what_the_ring_has_let_go_of_is_read_upstream(self) -> None:
        """A reader that was away resumes where it stood."""
        recorder = self.follow(self.client())
        feed = self.feed()
        self.prints(feed, 5)
        self.network.faults.refuse.add(RELAY_ADDRESS)
        self.network.drop(RELAY)
        self.prints(feed, 2_000, start=5)
        self.network.faults.refuse.clear()
        self.platform.advance(20.0)
        self.prints(feed, 5, start=2_005)
        self.assertEqual(recorder.sequences, list(range(1, 2_011)))
        self.assertEqual((len(recorder.resets), recorder.errors), (1, []))


class UpstreamTests(RelayRoomTestCase):
    """Market Data goes and comes back."""

    def state(self) -> State:
        """Return how the relay says it is."""
        return self.platform.rooms["market-data-relay"].readiness.state

    def test_a_broken_connection_leaves_no_hole(self) -> None:
        """Readers notice nothing but the pause; the relay says what it misses."""
        recorder = self.follow(self.client())
        feed = self.feed()
        self.prints(feed, 5)
        self.lose_market_data()
        self.prints(feed, 600, start=5)
        self.assertEqual((self.state(), recorder.sequences), (State.DEGRADED, [1, 2, 3, 4, 5]))
        self.find_market_data()
        self.prints(feed, 5, start=605)
        self.assertEqual(self.state(), State.READY)
        self.assertEqual(recorder.sequences, list(range(1, 611)))
        self.assertEqual((len(recorder.resets), recorder.errors), (1, []))

    def test_a_restarted_market_data_server_leaves_no_hole(self) -> None:
        """It goes on in its epoch, from store and journal."""
        recorder = self.follow(self.client())
        feed = self.feed()
        self.prints(feed, 50)
        self.restart_market_data()
        self.prints(feed, 50, start=50)
        self.platform.advance(5.0)
        self.assertEqual(recorder.sequences, list(range(1, 101)))
        self.assertEqual((len(recorder.resets), recorder.errors), (1, []))

    def test_another_epoch_resets_every_reader(self) -> None:
        """What it had does not continue; it begins with what comes."""
        reader, whole = self.follow(self.client()), self.follow(self.client(), after=0)
        feed = self.feed()
        self.prints(feed, 5)
        self.begin_another_epoch()
        again = self.feed("again")
        self.prints(again, 3)
        self.assertEqual([recorder.resets[-1] for recorder in (reader, whole)], [(2, 0), (2, 0)])
        self.assertEqual(whole.sequences, [1, 2, 3, 4, 5, 1, 2, 3])
        self.assertEqual(reader.sequences, [1, 2, 3, 4, 5, 1, 2, 3])
        self.assertEqual(reader.errors + whole.errors, [])

    def test_a_topic_that_is_asked_for_while_market_data_is_away_opens_when_it_is_back(self) -> None:
        """The relay answers UNAVAILABLE at once, and the client asks again by itself."""
        client, feed = self.client(), self.feed()
        self.lose_market_data()
        recorder = self.follow(client)
        self.assertEqual((recorder.resets, recorder.errors, self.relay.followed), ([], [], ()))
        self.find_market_data()
        self.prints(feed, 3)
        self.assertEqual(recorder.sequences, [1, 2, 3])

    def test_nobody_waits_for_a_market_data_server_that_is_lost_while_it_opens_a_topic(self) -> None:
        """The client's other topics are answered without it."""
        client = self.client()
        self.follow(client, RecordType.BBO)
        for link in self.network.connections("market_data_service"):
            link.hang()
        recorder = self.follow(client)
        self.assertEqual(self.relay.followed, ("bbo/1", "trade/1"))
        self.lose_market_data()
        self.assertEqual((self.relay.followed, recorder.errors), (("bbo/1",), []))

    def test_a_market_data_server_that_does_not_answer_is_given_ten_seconds(self) -> None:
        """Then the topic is asked for anew."""
        client = self.client()
        for link in self.network.connections("market_data_service"):
            link.hang()
        recorder = self.follow(client)
        self.platform.advance(10.0)
        self.assertEqual((self.relay.followed, recorder.errors), ((), []))

    def test_a_topic_that_market_data_does_not_know_is_not_found(self) -> None:
        """Its refusal reaches the reader with its code."""
        client = self.client()
        with patch.object(self.market_data, "open_topic", side_effect=NotFound("There is no such instrument.")):
            recorder = self.follow(client)
        self.assertEqual([error.coded for error in recorder.errors], ["NOT_FOUND"])
        self.assertEqual(self.relay.followed, ())

    def test_a_name_that_is_no_topic_is_not_found(self) -> None:
        """Nor is an instrument that Definitions does not know."""
        client = self.client()
        unknown, impossible, nonsense = Recorder(), Recorder(), Recorder()
        client.subscribe(RecordType.TRADE, 4_000_000, unknown)
        client.subscribe(RecordType.TRADE, 5_000_000_000, impossible)
        client.session.subscriptions.log("trade/x", nonsense, codec=TRADES)
        self.platform.advance(0.5)
        self.assertEqual([recorder.errors[0].coded for recorder in (unknown, impossible, nonsense)], 3 * ["NOT_FOUND"])

    def test_other_instruments_are_other_topics(self) -> None:
        """Each with its own sequences."""
        client, feed = self.client(), self.feed()
        bac, ibm = self.follow(client), Recorder()
        client.subscribe(RecordType.TRADE, IBM, ibm)
        self.platform.advance(0.3)
        self.publish(feed, trades=trades([BAC, IBM, BAC], start_time=1))
        self.assertEqual((bac.sequences, ibm.sequences), ([1, 2], [1]))


class TwoRelaysTests(RelayRoomTestCase):
    """Any relay will do."""

    def test_when_one_dies_its_clients_go_on_with_the_other(self) -> None:
        """Without a hole, with the past that they missed, and without hearing of it."""
        second = self.start_second_relay()
        self.platform.advance(6.0)
        clients = [self.client() for _ in range(4)]
        recorders = [self.follow(client) for client in clients]
        feed = self.feed()
        self.prints(feed, 20)
        on_first = [link for link in self.network.connections(RELAY) if link.address == RELAY_ADDRESS]
        self.assertGreater(len(on_first), 0)
        self.network.faults.refuse.add(RELAY_ADDRESS)
        for link in on_first:
            link.drop()
        self.prints(feed, 700, start=20)
        self.platform.advance(20.0)
        self.prints(feed, 5, start=720)
        self.assertEqual([recorder.sequences for recorder in recorders], [list(range(1, 726))] * 4)
        self.assertEqual([len(recorder.resets) for recorder in recorders], [1] * 4)
        self.assertEqual([recorder.errors for recorder in recorders], [[]] * 4)
        self.assertEqual(second.readiness.state, State.READY)

    def test_each_tells_the_locator_how_many_it_serves(self) -> None:
        """New clients take the one with fewer."""
        for _ in range(3):
            self.client()
        self.start_second_relay()
        self.platform.advance(12.0)
        later = self.client()
        providers = self.run_(self.link(SEES_ALL).addresses(RELAY))
        self.platform.advance(12.0)
        self.assertEqual({provider.addresses[0]: provider.load for provider in providers}[RELAY_ADDRESS], 3)
        at_second = [link for link in self.network.connections(RELAY) if link.address != RELAY_ADDRESS]
        self.assertEqual((later.session.is_ready, len(at_second)), (True, 1))
