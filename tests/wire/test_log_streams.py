"""A log topic from publisher to listener: live, resumed, out of history, across gaps, epochs and refusals."""

from typing import Any

import msgspec
from attrs import frozen

from spire.series.filter import Compare, In, Operator
from spire.series.query import filter_bytes
from spire.wire.arguments import LONGEST_VALUE, decode, encode
from spire.wire.errors import Invalid, Refused, Unavailable
from spire.wire.log_topic import LogTopic
from spire.wire.readers import HISTORIES_AT_ONCE
from spire.wire.records import Rows
from spire.wire.segments import PAYLOAD_LIMIT
from spire.wire.stream_commands import LONGEST_TOPIC, REQUESTS_PER_CALL, refusal
from spire.wire.topics import HistoryChunk, Mode, Policy
from tests.wire.stream_support import PACKED, Activity, Recorder, StreamTestCase, ticks


@frozen(kw_only=True)
class OlderAnswer:
    """What a client of the release before requires of an answer."""

    topic: str
    mode: Mode


class LiveTests(StreamTestCase):
    """What is published arrives, in order, once."""

    def test_a_listener_begins_where_the_topic_stands(self) -> None:
        """Without a place of its own a listener is reset to now and gets what follows."""
        topic = self.log_topic(through=40)
        recorder = self.listen()
        self.publish(topic, 41, 43)
        self.assertEqual(recorder.calls, [("reset", 1, 40), "ready", "update"])
        self.assertEqual(recorder.sequences, [41, 42, 43])

    def test_one_flush_is_one_segment(self) -> None:
        """Everything published in one turn reaches the listener together."""
        topic = self.log_topic()
        recorder = self.listen()
        for sequence in range(1, 6):
            topic.publish(ticks(sequence, sequence).tobytes(), 1, sequence)
        self.settle()
        self.assertEqual(recorder.batches, [5])

    def test_a_flush_beyond_a_box_is_cut_between_records(self) -> None:
        """A batch larger than a box arrives whole, in several segments."""
        topic = self.log_topic()
        recorder = self.listen()
        self.publish(topic, 1, 10_000)
        self.assertEqual(recorder.sequences, list(range(1, 10_001)))
        self.assertGreater(len(recorder.batches), 1)

    def test_a_record_that_fits_no_segment_is_refused(self) -> None:
        """Who publishes it learns of it; the topic stays as it was, and goes on."""
        rows = Rows(Activity)
        topic = self.publisher.log("activity/1", epoch=1, through=0, codec=rows)
        recorder = Recorder()
        self.subscriptions.log("activity/1", recorder, codec=rows)
        self.settle()
        large = rows.encode([Activity(sequence=1), Activity(sequence=2, text="x" * PAYLOAD_LIMIT)])
        self.assertRaises(Invalid, topic.publish, large, 2, 2)
        self.assertEqual(topic.through, 0)
        topic.publish(rows.encode([Activity(sequence=1)]), 1, 1)
        self.settle()
        self.assertEqual(recorder.sequences, [1])

    def test_five_hundred_topics_share_boxes(self) -> None:
        """The segments of many topics travel in few boxes."""
        topics = [self.log_topic(f"trade/{number}") for number in range(500)]
        recorders = [self.listen_only(f"trade/{number}") for number in range(500)]
        self.settle(100)
        outbound = self.streams.streams[-1].outbound
        boxes: list[int] = []
        write = outbound._connection.write_box
        outbound._connection.write_box = lambda box: (boxes.append(len(box)), write(box))  # type: ignore[method-assign, func-returns-value]
        self.publisher.publish_many((topic, ticks(1, 2).tobytes(), 2, 2) for topic in topics)
        self.settle()
        self.assertEqual([recorder.sequences for recorder in recorders], [[1, 2]] * 500)
        self.assertEqual(len(boxes), 1)

    def listen_only(self, topic: str) -> Recorder:
        """Subscribe, and wait for nothing."""
        recorder = Recorder()
        self.subscriptions.log(topic, recorder, codec=self.publisher.find(topic).codec)  # type: ignore[union-attr]
        return recorder

    def test_two_listeners_of_one_topic_share_the_stream(self) -> None:
        """A second listener with an earlier place gets what it misses, and the first gets nothing twice."""
        topic = self.log_topic()
        first = self.listen()
        self.publish(topic, 1, 3)
        second = self.listen(after=1)
        self.publish(topic, 4, 4)
        self.assertEqual(first.sequences, [1, 2, 3, 4])
        self.assertEqual(second.sequences, [2, 3, 4])
        self.assertEqual(self.streams.streams[-1].open_streams, 1)

    def test_a_listener_that_begins_before_the_others_gets_all_from_there(self) -> None:
        """What the ring holds before the places of those who listen already is no gap."""
        topic = self.log_topic()
        first = self.listen()
        self.publish(topic, 1, 50)
        second = self.listen(begin=20)
        self.publish(topic, 51, 51)
        self.assertEqual(second.calls, [("reset", 1, 20), "update", "ready", "update"])
        self.assertEqual(second.sequences, list(range(21, 52)))
        self.assertEqual(first.sequences, list(range(1, 52)))

    def test_a_listener_of_another_epoch_begins_where_it_wants_to(self) -> None:
        """Its place means nothing in this one, its beginning does."""
        topic = self.log_topic(epoch=2)
        self.listen()
        self.publish(topic, 1, 50)
        other = self.listen(after=40, epoch=1, begin=10)
        self.assertEqual(other.calls[0], ("reset", 2, 10))
        self.assertEqual(other.sequences, list(range(11, 51)))

    def test_a_filter_leaves_records_out_and_covers_the_range(self) -> None:
        """A filtered listener stands where the topic stands, whatever it was sent."""
        topic = self.log_topic()
        expression = msgspec.msgpack.encode(Compare("sequence", Operator.GREATER, 2))
        recorder = self.listen(filter_bytes=expression)
        self.publish(topic, 1, 4)
        self.publish(topic, 5, 5)
        self.assertEqual(recorder.sequences, [3, 4, 5])

    def test_a_filter_that_names_no_field_is_refused(self) -> None:
        """The subscription ends with INVALID."""
        self.log_topic()
        recorder = self.listen(filter_bytes=msgspec.msgpack.encode(Compare("volume", Operator.GREATER, 2)))
        self.assertEqual(recorder.calls, [("lost", "INVALID")])

    def test_rows_travel_as_values(self) -> None:
        """A topic of rows hands out the values that were published."""
        rows: Rows[Activity] = Rows(Activity)
        topic = self.publisher.log("activity/1", epoch=1, through=0, codec=rows)
        seen: list[Any] = []
        recorder = Recorder()
        recorder.update = seen.append  # type: ignore[method-assign]
        self.subscriptions.log("activity/1", recorder, codec=rows)
        self.settle()
        values = (Activity(sequence=1, text="one"), Activity(sequence=2))
        topic.publish(rows.encode(values), 2, 2)
        self.settle()
        self.assertEqual(seen, [values])

    def test_nothing_comes_after_close(self) -> None:
        """A closed subscription is silent, and the server has forgotten it."""
        topic = self.log_topic()
        recorder = self.listen()
        recorder.subscription.close()  # type: ignore[attr-defined]
        self.settle()
        self.publish(topic, 1, 1)
        self.assertEqual(recorder.sequences, [])
        self.assertEqual(topic.readers, set())
        self.assertEqual(self.streams.streams[-1].open_streams, 0)

    def test_a_listener_that_raises_loses_its_subscription_alone(self) -> None:
        """The fault of one listener is told to it and costs no other listener anything."""
        topic = self.log_topic()
        broken, sound = Recorder(), self.listen()
        broken.update = lambda _: 1 / 0  # type: ignore[assignment, method-assign]
        self.subscriptions.log("trade/1", broken, codec=topic.codec)
        self.settle()
        self.publish(topic, 1, 2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(broken.calls[-1], ("lost", "INTERNAL"))
        self.publish(topic, 3, 3)
        self.assertEqual(sound.sequences, [1, 2, 3])


class ResumeTests(StreamTestCase):
    """After an interruption a listener gets what it missed, or is told that it cannot."""

    ring_seconds = 30.0

    def test_a_reconnect_brings_what_was_missed(self) -> None:
        """What was published meanwhile comes out of the ring; there is no second reset."""
        topic = self.log_topic()
        recorder = self.listen()
        self.publish(topic, 1, 2)
        self.lose_connection()
        self.publish(topic, 3, 5)
        self.network.faults.refuse.clear()
        self.clock.advance(2)
        self.settle()
        self.publish(topic, 6, 6)
        self.assertEqual(recorder.sequences, [1, 2, 3, 4, 5, 6])
        self.assertEqual(recorder.calls.count(("reset", 1, 0)), 1)
        self.assertEqual(self.history.loads, [])

    def test_what_the_ring_has_let_go_of_is_read_from_history(self) -> None:
        """A resume older than the ring reads history, then joins live without a hole or a repeat."""
        topic = self.log_topic(history=True)
        recorder = self.listen()
        self.publish(topic, 1, 2)
        self.lose_connection()
        self.publish(topic, 3, 5_000)
        self.clock.advance(120)
        self.publish(topic, 5_001, 5_002)
        self.reconnect()
        self.publish(topic, 5_003, 5_003)
        self.assertEqual(recorder.sequences, list(range(1, 5_004)))
        self.assertEqual(self.history.loads[0], ("trade/1", 2, 5_002))

    def test_records_published_while_history_is_read_follow_it(self) -> None:
        """The hand-over from history to live is without a hole however long the reading takes."""
        topic = self.log_topic(history=True, through=20_000)
        self.slow_down()
        recorder = Recorder()
        self.subscriptions.log("trade/1", recorder, codec=topic.codec, after=0)
        received = set()
        for sequence in range(20_001, 20_201):
            topic.publish(ticks(sequence, sequence).tobytes(), 1, sequence)
            self.step()
            received.add(len(recorder.sequences))
        self.clock.advance(1)
        self.assertGreater(len(received), 10)
        self.assertEqual(recorder.sequences, list(range(1, 20_201)))
        self.assertEqual(recorder.calls[-1], "update")
        self.assertIn("ready", recorder.calls)

    def test_the_readers_of_a_connection_take_turns_at_history(self) -> None:
        """However many topics are asked for, so many are read at a time, in the order in which they were asked for."""
        self.history.delay_seconds = 0.01
        recorders = [self.listen_from_history(number) for number in range(3 * HISTORIES_AT_ONCE)]
        self.settle()
        read = [topic for topic, _, _ in self.history.loads]
        self.assertEqual(read, [f"trade/{number}" for number in range(HISTORIES_AT_ONCE)])
        self.clock.advance(1)
        self.assertEqual({tuple(recorder.sequences) for recorder in recorders}, {tuple(range(1, 1_501))})

    def test_who_goes_while_it_waits_for_its_turn_at_history_reads_none(self) -> None:
        """One that is closed leaves the queue, and the next one's turn comes; so it is with a connection that is lost."""
        self.history.delay_seconds = 1.0
        recorders = [self.listen_from_history(number) for number in range(3 * HISTORIES_AT_ONCE)]
        self.settle()
        for recorder in recorders[HISTORIES_AT_ONCE:-1]:
            recorder.subscription.close()  # type: ignore[attr-defined]
        self.clock.advance(5)
        self.assertEqual(len(self.history.loads), HISTORIES_AT_ONCE + 1)
        self.assertEqual(recorders[-1].sequences, list(range(1, 1_501)))
        for number in range(100, 100 + 2 * HISTORIES_AT_ONCE):
            self.listen_from_history(number)
        self.settle()
        before = len(self.history.loads)
        self.lose_connection()
        self.clock.advance(5)
        self.assertEqual((len(self.history.loads), self.tasks.running.count("stream catch-up")), (before, 0))

    def listen_from_history(self, number: int) -> Recorder:
        """Ask for all of a topic whose records are stored, and do not wait."""
        recorder = Recorder()
        topic = self.log_topic(f"trade/{number}", through=1_500, history=True)
        recorder.subscription = self.subscriptions.log(topic.name, recorder, codec=PACKED, after=0)  # type: ignore[attr-defined]
        return recorder

    def test_what_is_kept_nowhere_is_a_gap(self) -> None:
        """The listener is told of the hole, then begins behind it."""
        topic = self.log_topic(history=True, through=100)
        self.history.kept_after = 50
        recorder = self.listen(after=10, epoch=1)
        self.publish(topic, 101, 101)
        self.assertEqual(recorder.calls, [("lost", "GAP"), ("reset", 1, 50), "update", "ready", "update"])
        self.assertEqual(recorder.sequences, list(range(51, 102)))

    def test_without_history_the_ring_is_all_there_is(self) -> None:
        """A topic without history answers a resume beyond its ring with a gap."""
        topic = self.log_topic()
        self.publish(topic, 1, 5)
        self.clock.advance(120)
        recorder = self.listen(after=2, epoch=1)
        self.assertEqual(recorder.calls, [("lost", "GAP"), ("reset", 1, 5), "ready"])

    def test_another_epoch_begins_anew(self) -> None:
        """A listener of an earlier numbering is reset to where the new one stands."""
        topic = self.log_topic()
        recorder = self.listen()
        self.publish(topic, 1, 5)
        self.restart_server()
        topic = self.log_topic(epoch=2, through=3)
        self.reconnect()
        self.publish(topic, 4, 4)
        self.assertEqual(recorder.calls[-3:], [("reset", 2, 3), "ready", "update"])
        self.assertEqual(recorder.sequences, [1, 2, 3, 4, 5, 4])

    def test_who_wants_everything_gets_everything_of_another_epoch(self) -> None:
        """A listener from sequence 0 on begins at 0 in the new numbering too."""
        self.log_topic(through=5, history=True)
        recorder = self.listen(after=0)
        self.restart_server()
        self.log_topic(epoch=2, through=3, history=True)
        self.reconnect()
        self.assertEqual(recorder.sequences, [1, 2, 3, 4, 5, 1, 2, 3])
        self.assertIn(("reset", 2, 0), recorder.calls)

    def test_long_filters_are_spread_over_calls(self) -> None:
        """Subscriptions whose filters do not fit one call together are all opened again."""
        topics = [self.log_topic(f"trade/{number}") for number in range(REQUESTS_PER_CALL)]
        wanted = filter_bytes(In("sequence", tuple(range(1_000, 1_150))))
        self.assertGreater(len(wanted) * len(topics), LONGEST_VALUE)
        recorders = [self.listen(topic.name, filter_bytes=wanted) for topic in topics]
        self.lose_connection()
        self.reconnect()
        self.assertEqual({tuple(recorder.calls) for recorder in recorders}, {(("reset", 1, 0), "ready", "ready")})

    def test_a_filter_that_fits_no_call_ends_its_subscription_alone(self) -> None:
        """What can never be asked for is refused; what was wanted with it is opened."""
        self.log_topic()
        too_long, other = Recorder(), Recorder()
        self.subscriptions.log("trade/1", too_long, codec=PACKED, filter_bytes=bytes(LONGEST_VALUE))
        self.subscriptions.log("trade/1", other, codec=PACKED)
        self.settle()
        self.assertEqual(too_long.calls, [("lost", "INVALID")])
        self.assertEqual(other.calls, [("reset", 1, 0), "ready"])

    def test_a_restarted_topic_is_asked_for_again(self) -> None:
        """A topic that begins anew under the same server resets its listeners."""
        topic = self.log_topic()
        recorder = self.listen()
        self.publish(topic, 1, 2)
        topic.restart(epoch=2, through=7)
        self.settle()
        self.publish(topic, 8, 8)
        self.assertEqual(recorder.calls[-3:], [("reset", 2, 7), "ready", "update"])

    def test_a_topic_that_restarts_before_the_answer_is_not_silent(self) -> None:
        """An end that comes between the answer and the start of a stream reaches the client after its answer."""
        topic, _ = self.log_topic(through=3), self.log_topic("trade/2")
        self.streams.slow.add("trade/2")
        recorder, other = Recorder(), Recorder()
        self.subscriptions.log("trade/1", recorder, codec=topic.codec)
        self.subscriptions.log("trade/2", other, codec=topic.codec)
        self.settle()
        self.assertEqual((len(topic.readers), recorder.calls), (1, []))
        topic.restart(epoch=2, through=7)
        self.clock.advance(5)
        self.publish(topic, 8, 8)
        self.assertEqual(recorder.calls, [("reset", 1, 3), "ready", ("reset", 2, 7), "ready", "update"])
        self.assertEqual(recorder.sequences, [8])

    def test_failing_history_is_asked_again_later(self) -> None:
        """A store that is away delays the stream; nothing is lost."""
        self.log_topic(history=True, through=5)
        self.history.error = Unavailable("The store is away.")
        recorder = self.listen(after=0)
        self.assertEqual(recorder.sequences, [])
        self.history.error = None
        self.clock.advance(5)
        self.settle()
        self.assertEqual(recorder.sequences, [1, 2, 3, 4, 5])

    def test_a_fault_while_history_is_read_is_not_silence(self) -> None:
        """A fault of the server ends the stream with INTERNAL, and the client asks again."""
        self.log_topic(history=True, through=5)
        self.history.error = ZeroDivisionError()
        recorder = self.listen(after=0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.history.error = None
        self.clock.advance(5)
        self.settle()
        self.assertEqual(recorder.sequences, [1, 2, 3, 4, 5])

    def test_a_subscription_that_does_not_resume_ends(self) -> None:
        """Without resume the first interruption is the end."""
        self.log_topic()
        recorder = self.listen(resume=False)
        self.lose_connection()
        self.assertEqual(recorder.calls[-1], ("lost", "UNAVAILABLE"))
        self.reconnect()
        self.assertEqual(self.streams.streams[-1].open_streams, 0)

    def test_the_client_may_be_ahead_of_another_relay(self) -> None:
        """A server that is a little behind sends nothing twice."""
        topic = self.log_topic(through=5)
        recorder = self.listen(after=7, epoch=1)
        self.publish(topic, 6, 9)
        self.assertEqual(recorder.sequences, [8, 9])


class RefusalTests(StreamTestCase):
    """A topic that may not be had is refused with a code; the others are not affected."""

    def test_each_topic_is_answered_for_itself(self) -> None:
        """One that is forbidden, one that is unknown and one that exists, in one call."""
        topic = self.log_topic("trade/1")
        self.log_topic("trade/2")
        self.streams.forbidden.add("trade/2")
        recorders = [Recorder() for _ in range(3)]
        for number, recorder in enumerate(recorders, 1):
            self.subscriptions.log(f"trade/{number}", recorder, codec=topic.codec)
        self.settle()
        self.publish(topic, 1, 1)
        self.assertEqual(recorders[0].sequences, [1])
        self.assertEqual(recorders[1].calls, [("lost", "FORBIDDEN")])
        self.assertEqual(recorders[2].calls, [("lost", "NOT_FOUND")])

    def test_a_topic_that_fails_to_open_keeps_nothing_from_the_others(self) -> None:
        """A fault is logged and costs its own topic a while."""
        topics = [self.log_topic(f"trade/{number}") for number in (1, 2)]
        find = self.publisher.find

        def failing(name: str) -> Any:
            if name == "trade/1":
                raise ZeroDivisionError
            return find(name)

        fault = self.patch(self.publisher, "find", failing)
        recorders = [Recorder(), Recorder()]
        for topic, recorder in zip(topics, recorders, strict=True):
            self.subscriptions.log(topic.name, recorder, codec=PACKED)
        self.settle()
        self.assertEqual([recorder.calls for recorder in recorders], [[], [("reset", 1, 0), "ready"]])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        fault.restore()
        self.clock.advance(5)
        self.assertEqual(recorders[0].calls, [("reset", 1, 0), "ready"])

    def test_a_topic_that_fails_to_begin_keeps_nothing_from_the_others(self) -> None:
        """What fails once the answer has gone ends that stream, which is asked for again."""
        topics = [self.log_topic(f"trade/{number}") for number in (1, 2)]
        for topic in topics:
            self.publish(topic, 1, 2)

        def failing(topic: Any, position: int) -> list[Any]:
            if topic.name == "trade/1":
                raise ZeroDivisionError
            return []

        fault = self.patch(LogTopic, "since", failing)
        recorders = [Recorder(), Recorder()]
        for topic, recorder in zip(topics, recorders, strict=True):
            self.subscriptions.log(topic.name, recorder, codec=PACKED)
        self.settle()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        fault.restore()
        self.clock.advance(5)
        for topic in topics:
            self.publish(topic, 3, 3)
        self.assertEqual([recorder.sequences for recorder in recorders], [[3], [3]])

    def test_a_full_call_of_long_refusals_is_answered(self) -> None:
        """Many unknown topics with long names are refused one by one, and the one that exists is opened."""
        topic = self.log_topic()
        found = Recorder()
        self.subscriptions.log(topic.name, found, codec=PACKED)
        names = [f"{number:0{LONGEST_TOPIC}}" for number in range(REQUESTS_PER_CALL - 1)]
        unknown = [Recorder() for _ in names]
        for name, recorder in zip(names, unknown, strict=True):
            self.subscriptions.log(name, recorder, codec=PACKED)
        self.settle()
        self.publish(topic, 1, 1)
        self.assertEqual(found.sequences, [1])
        self.assertEqual({tuple(recorder.calls) for recorder in unknown}, {(("lost", "NOT_FOUND"),)})

    def test_the_longest_answers_of_a_call_fit_one_value(self) -> None:
        """A message of whatever length is cut between characters."""
        answer = refusal(Refused("C" * 100, "x" + "\N{EURO SIGN}" * 1_000))
        self.assertEqual(answer.message, "x" + "\N{EURO SIGN}" * 66)
        self.assertLess(len(encode((answer,) * REQUESTS_PER_CALL)), LONGEST_VALUE)

    def test_an_answer_has_the_field_that_clients_of_the_release_before_require(self) -> None:
        """They read nothing of it, and would refuse the whole value without."""
        read = decode(tuple[OlderAnswer, ...], encode((refusal(Refused("NOT_FOUND", "None.")),)))
        self.assertEqual(read, (OlderAnswer(topic="", mode=Mode.REFUSED),))

    def test_a_right_that_is_withdrawn_ends_the_stream(self) -> None:
        """The server ends the stream with FORBIDDEN and the client does not come again."""
        topic = self.log_topic()
        recorder = self.listen()
        topic.end("FORBIDDEN", "Withdrawn.")
        self.settle()
        self.publish(topic, 1, 1)
        self.assertEqual(recorder.calls[-1], ("lost", "FORBIDDEN"))
        self.assertEqual(recorder.sequences, [])

    def test_a_topic_that_is_dropped_is_not_found(self) -> None:
        """Listeners of a dropped topic learn that it is gone, and its ring is released."""
        topic = self.log_topic()
        recorder = self.listen()
        self.publish(topic, 1, 100)
        self.publisher.drop("trade/1")
        self.settle()
        self.assertEqual(recorder.calls[-1], ("lost", "NOT_FOUND"))
        self.assertEqual(self.publisher.ring_bytes, 0)

    def test_everything_is_released_with_the_session(self) -> None:
        """A lost connection leaves no reader on any topic."""
        topic = self.log_topic()
        state = self.publisher.state("limits", Activity, instance_id="i")
        self.listen()
        self.subscriptions.state("limits", Activity)
        self.settle()
        self.assertEqual((len(topic.readers), len(state.readers)), (1, 1))
        self.lose_connection()
        self.assertEqual((len(topic.readers), len(state.readers)), (0, 0))
        self.assertEqual(self.streams.streams[-1].open_streams, 0)


class CapTests(StreamTestCase):
    """A session may hold so many subscriptions."""

    from spire.wire.limits import Limits

    limits = Limits(subscriptions=2)

    def test_one_too_many_waits_for_a_place(self) -> None:
        """Beyond the cap the server answers OVERLOADED, and the client asks again until there is a place."""
        topics = [self.log_topic(f"trade/{number}") for number in range(3)]
        recorders = [self.listen(f"trade/{number}") for number in range(3)]
        self.publish(topics[2], 1, 1)
        self.assertEqual(recorders[2].calls, [])
        recorders[0].subscription.close()  # type: ignore[attr-defined]
        self.clock.advance(60)
        self.settle()
        self.publish(topics[2], 2, 2)
        self.assertEqual(recorders[2].sequences, [2])

    def test_a_topic_that_takes_long_to_open_holds_a_place(self) -> None:
        """Topics of one call are opened at the same time, and all of them count."""
        for number in range(1, 6):
            self.streams.slow.add(self.log_topic(f"trade/{number}").name)
            self.subscriptions.log(f"trade/{number}", Recorder(), codec=PACKED)
        self.settle()
        self.clock.advance(1.1)
        self.settle()
        self.assertEqual(self.streams.streams[0].open_streams, self.limits.subscriptions)


class ConflateTests(StreamTestCase):
    """A conflating listener gets the latest, and knows that it missed nothing but what was replaced."""

    def test_of_one_flush_only_the_last_record_comes(self) -> None:
        """The range of the segment is still covered, so that the next one fits."""
        topic = self.log_topic()
        recorder = self.listen(policy=Policy.CONFLATE)
        self.publish(topic, 1, 10)
        self.publish(topic, 11, 20)
        self.assertEqual(recorder.sequences, [10, 20])
        self.assertEqual([call for call in recorder.calls if call[0] == "lost"], [])

    def test_lossless_and_conflating_listeners_do_not_disturb_each_other(self) -> None:
        """The same topic with two policies is two streams."""
        topic = self.log_topic()
        everything = self.listen()
        latest = self.listen(policy=Policy.CONFLATE)
        self.publish(topic, 1, 10)
        self.assertEqual(everything.sequences, list(range(1, 11)))
        self.assertEqual(latest.sequences, [10])

    def test_what_a_filter_leaves_out_does_not_take_the_place_of_what_it_keeps(self) -> None:
        """The latest record that matches waits for its flush, however many follow that do not."""
        topic = self.log_topic()
        keep = self.listen()
        for sequence in range(1, 5):
            self.publish(topic, sequence, sequence)
        expression = msgspec.msgpack.encode(Compare("sequence", Operator.LESS, 3))
        recorder = self.listen(after=0, policy=Policy.CONFLATE, filter_bytes=expression)
        self.publish(topic, 5, 5)
        self.assertEqual((recorder.sequences[-1], keep.sequences[-1]), (2, 5))

    def test_a_resume_brings_the_latest_alone(self) -> None:
        """After a reconnect one record stands for all that was missed, also when the ring is empty."""
        topic = self.log_topic()
        recorder = self.listen(policy=Policy.CONFLATE)
        self.publish(topic, 1, 10)
        self.lose_connection()
        self.publish(topic, 11, 20)
        self.publish(topic, 21, 30)
        self.clock.advance(300)
        self.reconnect()
        self.publish(topic, 31, 32)
        self.assertEqual(recorder.sequences, [10, 30, 32])

    def test_a_resume_that_memory_cannot_answer_reads_the_last_record_alone(self) -> None:
        """Not all that was missed: only the latest is wanted, and the range is covered."""
        topic = self.log_topic(through=50_000, history=True)
        recorder = self.listen(after=10, epoch=1, policy=Policy.CONFLATE)
        self.publish(topic, 50_001, 50_001)
        self.assertEqual(recorder.sequences, [50_000, 50_001])
        self.assertEqual(self.history.loads, [("trade/1", 49_999, 50_000)])
        self.assertEqual(recorder.calls, [("reset", 1, 10), "update", "ready", "update"])

    def test_where_the_last_sequence_holds_no_record_all_of_it_is_read(self) -> None:
        """Ranges may be covered by fewer records than sequences."""
        self.log_topic(through=5_000, history=True)
        original = self.history.load

        async def load(topic: str, after: int, through: int) -> Any:
            async for chunk in original(topic, after, min(through, 4_990)):
                yield chunk
            yield HistoryChunk(payload=b"", count=0, after=max(after, 4_990), through=through)

        self.patch(self.history, "load", load)
        recorder = self.listen(after=10, epoch=1, policy=Policy.CONFLATE)
        self.assertEqual(recorder.sequences[-1], 4_990)
        self.assertEqual(recorder.calls, [("reset", 1, 10), "update", "ready"])

    def test_while_the_connection_is_full_only_the_latest_waits(self) -> None:
        """Everything published during a pause comes down to one record per topic."""
        topic = self.log_topic()
        recorder = self.listen(policy=Policy.CONFLATE)
        outbound = self.streams.streams[-1].outbound
        outbound.writable(False)
        for sequence in range(1, 6):
            self.publish(topic, sequence, sequence)
        self.assertEqual(recorder.sequences, [])
        outbound.writable(True)
        self.settle()
        self.assertEqual(recorder.sequences, [5])
