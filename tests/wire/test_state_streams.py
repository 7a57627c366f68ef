"""A state topic from publisher to view: snapshot in parts, changes, conflation, resume, instances."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.wire.errors import Forbidden, Invalid, Unavailable
from spire.wire.segments import PAYLOAD_LIMIT
from spire.wire.state_topic import REMOVALS_KEPT, StateTopic
from tests.wire.stream_support import Limit, StreamTestCase


class StateTestCase(StreamTestCase):
    """A state topic of limits."""

    def setUp(self) -> None:
        """Make the topic."""
        super().setUp()
        self.topic = self.publisher.state("limits", Limit, instance_id="one")

    def look(self) -> Any:
        """Open a view, and wait for the answer."""
        view = self.subscriptions.state("limits", Limit)
        self.settle()
        return view

    def assert_same(self, view: Any) -> None:
        """Check that the view holds what the topic holds."""
        self.assertEqual(dict(view.rows), dict(self.topic.rows))
        self.assertEqual(view.version, self.topic.version)


class SnapshotTests(StateTestCase):
    """A view begins with everything."""

    def test_rows_arrive_with_version_and_epoch(self) -> None:
        """A view shows the rows, the version that they are and the instance that counts it."""
        self.topic.put("a", Limit(amount=1))
        self.topic.put("b", Limit(amount=2, note="x"))
        view = self.look()
        self.assertEqual(dict(view.rows), {"a": Limit(amount=1), "b": Limit(amount=2, note="x")})
        self.assertEqual((view.version, view.epoch, view.is_ready, view.is_live), (2, "one", True, True))
        self.assertEqual(view.age_seconds, 0.0)

    def test_an_empty_topic_is_ready_too(self) -> None:
        """No rows is an answer."""
        view = self.subscriptions.state("limits", Limit)
        waiting = self.defer(view.when_ready())
        self.assertNoResult(waiting)
        self.settle()
        self.successResultOf(waiting)
        self.assertEqual((dict(view.rows), view.is_ready), ({}, True))

    def test_a_snapshot_larger_than_a_box_comes_in_parts(self) -> None:
        """The view is not ready before the last part, and then has all rows."""
        for number in range(2_000):
            self.topic.put(str(number), Limit(amount=number, note="n" * 200))
        self.slow_down()
        view = self.subscriptions.state("limits", Limit)
        sizes = []
        while not view.is_ready and len(sizes) < 200:
            self.step()
            sizes.append(len(view.rows))
        self.assertGreater(len(sizes), 5)
        self.assertEqual(set(sizes), {0, 2_000})
        self.assert_same(view)

    def test_changes_during_a_long_snapshot_are_in_it(self) -> None:
        """A view becomes ready with a state that the server had, however much changed on the way."""
        for number in range(3_000):
            self.topic.put(str(number), Limit(amount=number, note="n" * 200))
        self.slow_down()
        view = self.subscriptions.state("limits", Limit)
        changes = steps = 0
        while not view.is_ready and steps < 400:
            self.step()
            steps += 1
            if self.topic.readers and changes < 5:
                changes += 1
                self.topic.put(str(changes * 7), Limit(amount=-changes))
                self.topic.remove(str(changes * 11 + 1))
                self.topic.put(f"new {changes}", Limit(amount=changes))
        self.assertEqual(changes, 5)
        self.clock.advance(1)
        self.assert_same(view)

    def test_a_row_that_fits_no_segment_is_refused(self) -> None:
        """The room that puts it learns of it; the topic stays as it was."""
        with self.assertRaises(Invalid):
            self.topic.put("a", Limit(amount=1, note="n" * PAYLOAD_LIMIT))
        self.assertEqual((dict(self.topic.rows), self.topic.version), ({}, 0))

    def defer(self, awaitable: Any) -> Any:
        """Start a coroutine."""
        from twisted.internet.defer import Deferred

        return Deferred.fromCoroutine(awaitable)


class ChangeTests(StateTestCase):
    """A view follows."""

    def test_changes_are_told_by_key_once_all_are_in_place(self) -> None:
        """An observer gets key, old and new row, and finds the map complete."""
        self.topic.put("a", Limit(amount=1))
        view = self.look()
        seen: list[Any] = []
        view.observe(lambda key, old, new: seen.append((key, old, new, sorted(view.rows))))
        self.topic.put("a", Limit(amount=2))
        self.topic.put("b", Limit(amount=3))
        self.settle()
        self.topic.remove("a")
        self.settle()
        self.assertEqual(
            seen,
            [
                ("a", Limit(amount=1), Limit(amount=2), ["a", "b"]),
                ("b", None, Limit(amount=3), ["a", "b"]),
                ("a", Limit(amount=2), None, ["b"]),
            ],
        )

    def test_an_equal_row_is_no_change(self) -> None:
        """Putting the same row again moves no version."""
        self.topic.put("a", Limit(amount=1))
        self.topic.put("a", Limit(amount=1))
        self.assertEqual(self.topic.version, 1)

    def test_replace_changes_what_differs(self) -> None:
        """Only the differences are counted and sent."""
        self.topic.replace({"a": Limit(amount=1), "b": Limit(amount=2)})
        view = self.look()
        self.topic.replace({"b": Limit(amount=2), "c": Limit(amount=3)})
        self.settle()
        self.assertEqual(self.topic.version, 4)
        self.assert_same(view)

    def test_an_observer_that_was_stopped_or_fails_keeps_nothing_from_others(self) -> None:
        """One fails, one was stopped, the third is told."""
        view = self.look()
        seen: list[str] = []
        stop = view.observe(lambda *_: seen.append("stopped"))
        view.observe(lambda *_: 1 / 0)
        view.observe(lambda key, *_: seen.append(key))
        stop()
        self.topic.put("a", Limit(amount=1))
        self.settle()
        self.assertEqual(seen, ["a"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_version_observer_is_called_once_a_change(self) -> None:
        """However many rows change together, it is one call."""
        view = self.look()
        seen: list[int] = []
        view.observe_version(lambda: seen.append(view.version))
        self.topic.put("a", Limit(amount=1))
        self.topic.put("b", Limit(amount=1))
        self.settle()
        self.assertEqual(seen, [2])

    def test_two_views_share_one_subscription(self) -> None:
        """A second view is ready at once; closing one leaves the other alive."""
        self.topic.put("a", Limit(amount=1))
        first = self.look()
        second = self.subscriptions.state("limits", Limit)
        self.assertTrue(second.is_ready)
        first.close()
        self.topic.put("a", Limit(amount=2))
        self.settle()
        self.assertEqual(second.rows["a"], Limit(amount=2))
        self.assertEqual(self.streams.streams[-1].open_streams, 1)
        second.close()
        self.settle()
        self.assertEqual(self.topic.readers, set())

    def test_a_slow_reader_gets_each_key_once(self) -> None:
        """What changed many times during a pause arrives once, as it is by then."""
        view = self.look()
        seen: list[Any] = []
        view.observe(lambda key, _, new: seen.append((key, new)))
        outbound = self.streams.streams[-1].outbound
        outbound.writable(False)
        for amount in range(1, 50):
            self.topic.put("a", Limit(amount=amount))
            self.settle()
        self.topic.put("b", Limit(amount=1))
        self.topic.remove("b")
        self.settle()
        outbound.writable(True)
        self.settle()
        self.assertEqual(seen, [("a", Limit(amount=49))])
        self.assert_same(view)

    def test_removals_forgotten_while_a_reader_catches_up_force_a_snapshot(self) -> None:
        """A reader that was paused in the middle of many removals is not left with rows that are gone."""
        self.topic.replace({f"{number:0200}": Limit(amount=number) for number in range(REMOVALS_KEPT)})
        view = self.look()
        (reader,) = self.topic.readers
        (link,) = self.network.connections()
        link.server.hold()
        self.topic.replace({})
        self.settle()
        self.topic.put("last", Limit(amount=1))
        self.settle()
        self.begin_slowly(link, reader)
        link.server.hold()
        self.topic.remove("last")
        self.step()
        self.assertGreater(self.topic.floor, reader.position)
        link.server.release()
        self.clock.advance(5)
        self.assert_same(view)

    def test_what_has_all_changed_again_is_no_hole(self) -> None:
        """A reader that is slow is spared what no longer holds, and need not ask for it."""
        view = self.look()
        (reader,) = self.topic.readers
        (link,) = self.network.connections()
        link.server.hold()
        for amount in (1, 2):
            self.put_many(amount)
            self.settle()
        self.begin_slowly(link, reader)
        self.put_many(3)
        self.clock.advance(5)
        self.assert_same(view)
        self.assertEqual(self.metrics.value("spire_streams_recovered_total", reason="hole"), 0)

    def begin_slowly(self, link: Any, reader: Any) -> None:
        """Let a reader that was held back begin its way through what changed, and stay in the middle of it."""
        self.slow_down()
        link.server.release()
        for _ in range(100):
            if reader._walk is None:
                self.step()

    def put_many(self, amount: int) -> None:
        """Change many rows in one turn."""
        for number in range(3_000):
            self.topic.put(str(number), Limit(amount=amount, note="n" * 300))

    def test_rows_that_go_all_at_once_are_forgotten_once(self) -> None:
        """What is remembered of them is looked through when they have been sent, not at each of them."""
        self.topic.replace({str(number): Limit(amount=number) for number in range(3 * REMOVALS_KEPT)})
        view = self.look()
        forgets = []
        forget = StateTopic._forget_removals

        def counted(topic: StateTopic[Limit]) -> None:
            forgets.append(topic.version)
            forget(topic)

        self.patch(StateTopic, "_forget_removals", counted)
        self.topic.replace({})
        self.settle()
        self.assert_same(view)
        self.assertEqual(forgets, [self.topic.version])
        self.assertLess(len(self.topic.changes_since(self.topic.floor)), REMOVALS_KEPT)

    def test_a_change_larger_than_a_box_is_seen_whole(self) -> None:
        """Many rows put in one turn are seen together or not at all."""
        view = self.look()
        sizes: list[int] = []
        view.observe_version(lambda: sizes.append(len(view.rows)))
        self.topic.replace({str(number): Limit(amount=number, note="n" * 300) for number in range(1_000)})
        self.settle()
        self.assertEqual(sizes, [1_000])


class ReconnectTests(StateTestCase):
    """Rows hold while the connection is away, and are made right when it is back."""

    def test_the_same_instance_sends_what_changed(self) -> None:
        """After a reconnect only differences are told."""
        self.topic.replace({str(number): Limit(amount=number) for number in range(10)})
        view = self.look()
        seen: list[str] = []
        view.observe(lambda key, *_: seen.append(key))
        self.lose_connection()
        self.topic.put("3", Limit(amount=-3))
        self.topic.remove("4")
        self.reconnect()
        self.assertEqual(sorted(seen), ["3", "4"])
        self.assert_same(view)

    def test_another_instance_sends_a_fresh_snapshot(self) -> None:
        """A restarted server counts anew; observers hear of differences alone."""
        self.topic.replace({"a": Limit(amount=1), "b": Limit(amount=2), "c": Limit(amount=3)})
        view = self.look()
        seen: list[Any] = []
        view.observe(lambda key, old, new: seen.append((key, old, new)))
        self.restart_server("instance-2")
        self.topic = self.publisher.state("limits", Limit, instance_id="two")
        self.topic.replace({"a": Limit(amount=1), "b": Limit(amount=20)})
        self.reconnect()
        self.assertEqual(sorted(seen), [("b", Limit(amount=2), Limit(amount=20)), ("c", Limit(amount=3), None)])
        self.assertEqual(view.epoch, "two")
        self.assert_same(view)

    def test_rows_hold_and_age_while_the_connection_is_away(self) -> None:
        """The last rows stay, with an age that grows."""
        self.topic.put("a", Limit(amount=1))
        view = self.look()
        self.lose_connection()
        self.clock.advance(7)
        self.assertEqual(dict(view.rows), {"a": Limit(amount=1)})
        self.assertEqual((view.is_ready, view.is_live), (True, False))
        self.assertAlmostEqual(view.age_seconds, 7.0, places=3)
        self.reconnect()
        self.assertEqual((view.is_live, view.age_seconds), (True, 0.0))

    def test_an_age_counts_from_the_last_time_that_the_rows_were_live(self) -> None:
        """A reconnect after which nothing had changed ends the age too."""
        self.topic.put("a", Limit(amount=1))
        view = self.look()
        self.lose_connection()
        self.reconnect()
        self.assertTrue(view.is_live)
        self.clock.advance(100)
        self.lose_connection()
        self.clock.advance(7)
        self.assertAlmostEqual(view.age_seconds, 7.0, places=3)

    def test_a_break_in_the_middle_of_a_snapshot_begins_it_again(self) -> None:
        """Parts of a snapshot that was cut off are forgotten."""
        for number in range(2_000):
            self.topic.put(str(number), Limit(amount=number, note="n" * 200))
        self.slow_down()
        view = self.subscriptions.state("limits", Limit)
        channel = self.subscriptions._channels[("limits", None, 2)]
        for _ in range(200):
            if not channel._held:
                self.step()
        self.assertTrue(channel._held)
        self.lose_connection()
        self.assertFalse(view.is_ready)
        self.topic.remove("5")
        self.reconnect()
        self.assert_same(view)

    def test_a_break_before_the_snapshot_of_another_instance_begins_it_again(self) -> None:
        """The new instance's epoch goes with its rows: the old rows' version is never asked for under it."""
        view = self.await_another_instance(versions=3)
        self.lose_connection()
        self.reconnect()
        self.assert_same(view)
        self.assertEqual((view.epoch, view.is_live), ("two", True))

    def test_rows_of_another_instance_are_not_live_before_its_snapshot(self) -> None:
        """What the old instance had is not what the new one has, however high its version was."""
        view = self.await_another_instance(versions=3_000)
        self.clock.advance(0.01)
        self.assertEqual((view.epoch, view.version, view.is_live), ("one", 3_000, False))
        self.assertGreater(view.age_seconds, 0.0)
        self.clock.advance(5)
        self.assertEqual((view.epoch, view.is_live, view.age_seconds), ("two", True, 0.0))

    def await_another_instance(self, versions: int) -> Any:
        """Return a view that has rows of one instance, and the answer of another whose snapshot takes long."""
        for amount in range(versions):
            self.topic.put(f"old {amount % 3}", Limit(amount=amount))
        view = self.look()
        self.restart_server("instance-2")
        self.topic = self.publisher.state("limits", Limit, instance_id="two")
        for number in range(2_000):
            self.topic.put(str(number), Limit(amount=number, note="n" * 200))
        self.network.faults.refuse.clear()
        self.slow_down()
        channel = self.subscriptions._channels[("limits", None, 2)]
        for _ in range(20_000):
            if channel.stream is None:
                self.step()
        self.assertIsNotNone(channel.stream)
        return view

    def test_removals_beyond_memory_force_a_snapshot(self) -> None:
        """Who was away while too many keys were removed gets all rows again."""
        self.topic.put("stays", Limit(amount=1))
        self.topic.put("goes", Limit(amount=2))
        view = self.look()
        self.lose_connection()
        self.topic.remove("goes")
        for number in range(REMOVALS_KEPT + 10):
            self.topic.put(str(number), Limit(amount=number))
        self.settle()
        for number in range(REMOVALS_KEPT + 10):
            self.topic.remove(str(number))
            if number % 1_000 == 0:
                self.settle(2)
        self.settle()
        self.assertGreater(self.topic.floor, view.version)
        self.reconnect()
        self.assert_same(view)

    def test_a_refused_view_says_why(self) -> None:
        """Whoever waits for a forbidden topic is told so."""
        from twisted.internet.defer import Deferred

        self.streams.forbidden.add("limits")
        view = self.subscriptions.state("limits", Limit)
        waiting = Deferred.fromCoroutine(view.when_ready())
        self.settle()
        self.failureResultOf(waiting, Forbidden)
        assert view.error is not None
        self.assertEqual(view.error.coded, "FORBIDDEN")
        self.failureResultOf(Deferred.fromCoroutine(view.when_ready()), Forbidden)

    def test_whoever_waits_for_a_view_that_is_closed_learns_it(self) -> None:
        """Closing a view fails those who wait for it."""
        from twisted.internet.defer import Deferred

        self.lose_connection()
        view = self.subscriptions.state("limits", Limit)
        waiting = Deferred.fromCoroutine(view.when_ready())
        view.close()
        self.failureResultOf(waiting, Unavailable)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["put", "remove", "flush", "pause", "resume", "drop", "replace"]),
        st.integers(0, 5),
        st.integers(0, 3),
    ),
    max_size=40,
)


class AnyOrderTests(SynchronousTestCase):
    """Whatever happens in whatever order, the view ends up as the topic."""

    @settings(max_examples=40)
    @given(CHANGES)
    def test_a_view_converges(self, changes: list[tuple[str, int, int]]) -> None:
        """Changes, pauses, broken connections: at the end the view is what the topic is."""
        room = StateTestCase()
        room.setUp()
        view = room.look()
        room.slow_down()
        held = dict(view.rows)
        view.observe(lambda key, _, new: held.pop(key, None) if new is None else held.update({key: new}))
        for what, key, amount in changes:
            if what == "put":
                room.topic.put(str(key), Limit(amount=amount, note="n" * 20_000))
            elif what == "remove":
                room.topic.remove(str(key))
            elif what == "replace":
                room.topic.replace({str(number): Limit(amount=amount) for number in range(key)})
            elif what == "flush":
                room.step()
            elif what == "drop":
                room.network.drop()
            elif room.client is not None and room.client.is_ready:
                room.streams.streams[-1].outbound.writable(what == "resume")
        room.clock.advance(30)
        if not room.streams.streams[-1].outbound.closed:
            room.streams.streams[-1].outbound.writable(True)
        room.clock.advance(5)
        room.assert_same(view)
        self.assertEqual(held, dict(view.rows))
