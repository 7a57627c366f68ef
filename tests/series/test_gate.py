"""What a session may read is asked at every call, and again whenever it may have changed."""

from typing import Any

from attrs import evolve

from spire.series.gate import Gate
from spire.series.interfaces import Series
from spire.series.query import Query
from spire.wire.errors import Forbidden, SpireError
from spire.wire.guard import Responders
from spire.wire.server_session import Session
from spire.wire.topics import HistoryChunk
from tests.series.test_loads import SeriesTestCase
from tests.wire.stream_support import Limit, StreamRoom


class GatedRoom(StreamRoom):
    """The room of the other tests behind a gate, which the test shuts topic by topic."""

    def __init__(self, test: Any) -> None:
        super().__init__(test)
        self.shut: set[str] = set()
        self.gate: Gate | None = None

    def avatar(self, session: Session) -> Responders:
        """Return the table that the gate makes."""
        if self.gate is None:
            clock, tasks = self.test.clock, self.test.tasks
            self.gate = Gate(topics=self, series=self.series, refusal=self.refusal, clock=clock, tasks=tasks)
        return self.gate.table(session)

    def refusal(self, session: Session, name: str) -> SpireError | None:
        """Refuse what is shut; it is told as an answer or raised."""
        if name == "raised" and name in self.shut:
            raise Forbidden("Not yours, and raised.")
        return Forbidden(f"{session.identity.account} may not read {name}.") if name in self.shut else None


class Chunks:
    """Nothing to read, and something to let go of."""

    def __init__(self) -> None:
        self.is_closed = False

    def __aiter__(self) -> "Chunks":
        return self

    async def __anext__(self) -> HistoryChunk:
        """End."""
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Let go."""
        self.is_closed = True


class GateTests(SeriesTestCase):
    """Streams and loads through a gate."""

    def make_room(self) -> GatedRoom:
        """Make a room that stands behind a gate."""
        self.gated = GatedRoom(self)
        return self.gated

    def shut(self, *names: str) -> None:
        """Withdraw topics, and have what is open checked."""
        self.gated.shut.update(names)
        assert self.gated.gate is not None
        self.gated.gate.check()
        self.settle()

    def test_what_is_refused_is_neither_streamed_nor_loaded(self) -> None:
        """Each with the refusal's code, never an empty answer."""
        self.log_topic(through=10)
        self.gated.shut.add("trade/1")
        recorder = self.listen()
        self.assertEqual(recorder.calls, [("lost", "FORBIDDEN")])
        self.assertIn("trade/1", self.refused(Query(topic="trade/1"), Forbidden).message)
        self.assertEqual(self.series.queries, [])

    def test_a_stream_ends_when_it_is_refused_and_others_go_on(self) -> None:
        """At once, without a record more."""
        first, second = self.log_topic("trade/1"), self.log_topic("trade/2")
        ended, open_ = self.listen("trade/1"), self.listen("trade/2")
        self.shut("trade/1")
        self.publish(first, 1, 3)
        self.publish(second, 1, 3)
        self.assertEqual((ended.sequences, ended.calls[-1]), ([], ("lost", "FORBIDDEN")))
        self.assertEqual(open_.sequences, [1, 2, 3])

    def test_a_state_topic_ends_too(self) -> None:
        """Its rows stay as last received."""
        self.publisher.state("limits", Limit, instance_id="one").put("a", Limit(amount=1))
        view = self.subscriptions.state("limits", Limit)
        self.settle()
        self.shut("limits")
        self.assertIsInstance(view.error, Forbidden)
        self.assertEqual(dict(view.rows), {"a": Limit(amount=1)})

    def test_a_topic_that_is_open_may_be_opened_again_once_it_is_let_through(self) -> None:
        """A right that is given works at once."""
        topic = self.log_topic()
        self.listen()
        self.shut("trade/1")
        self.gated.shut.clear()
        again = self.listen()
        self.publish(topic, 1, 2)
        self.assertEqual(again.sequences, [1, 2])

    def test_a_load_under_way_stops_with_the_refusal(self) -> None:
        """The client hears it between two chunks."""
        self.log_topic(through=100_000)
        asked = self.ask(Query(topic="trade/1"))
        self.clock.advance(0.05)
        self.shut("trade/1")
        self.clock.advance(1)
        self.failureResultOf(asked, Forbidden)
        self.assertEqual(self.tasks.running, ())

    def assert_refused_while_prepared(self, slow: Any) -> None:
        """Ask for a load that takes its time, and lose the right to it meanwhile."""
        self.patch(self.series, "load", slow)
        asked = self.ask(Query(topic="trade/1"))
        self.clock.advance(0.5)
        self.shut("trade/1")
        self.clock.advance(2)
        self.failureResultOf(asked, Forbidden)

    def test_a_load_that_was_being_prepared_is_refused_as_a_whole(self) -> None:
        """What waited is checked again before it is answered."""
        self.log_topic(through=10)
        original = self.series.load

        async def slow(session: Session, query: Query) -> Any:
            await self.clock.sleep(1)
            return await original(session, query)

        self.assert_refused_while_prepared(slow)

    def test_what_was_prepared_and_is_refused_lets_go_of_what_it_holds(self) -> None:
        """Its chunks may hold a place among those who read."""
        self.log_topic(through=10)
        original, chunks = self.series.load, Chunks()

        async def slow(session: Session, query: Query) -> Series:
            series = await original(session, query)
            await self.clock.sleep(1)
            return evolve(series, chunks=chunks)

        self.assert_refused_while_prepared(slow)
        self.assertTrue(chunks.is_closed)

    def test_a_topic_that_was_being_opened_is_refused(self) -> None:
        """The right went while the room waited."""
        self.log_topic()
        self.gated.slow.add("trade/1")
        recorder = self.listen()
        self.clock.advance(0.5)
        self.shut("trade/1")
        self.clock.advance(2)
        self.assertEqual(recorder.calls, [("lost", "FORBIDDEN")])

    def test_a_refusal_that_is_raised_ends_a_stream_as_well(self) -> None:
        """A check goes through all that is open, whatever it meets."""
        self.log_topic("raised")
        self.log_topic("trade/1")
        first, second = self.listen("raised"), self.listen("trade/1")
        self.shut("raised", "trade/1")
        self.assertEqual((first.calls[-1], second.calls[-1]), (("lost", "FORBIDDEN"), ("lost", "FORBIDDEN")))

    def test_a_session_that_has_gone_is_not_asked_about(self) -> None:
        """Nothing of it is kept."""
        self.log_topic()
        self.listen()
        self.lose_connection()
        assert self.gated.gate is not None
        self.assertEqual(len(self.gated.gate._tables), 0)

    def test_history_is_let_through(self) -> None:
        """The gate changes nothing of it."""
        self.log_topic(through=12_000)
        self.assertEqual(len(self.loaded(Query(topic="trade/1")).records), 12_000)
