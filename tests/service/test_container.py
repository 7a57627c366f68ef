"""Children start one by one, stop in reverse, and a start is all or nothing."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.service.container import Child, SpireService
from spire.service.readiness import Readiness, State
from spire.testing.clock import ManualClock


class SpireServiceTests(SynchronousTestCase):
    """A container with a clock that the test moves."""

    def setUp(self) -> None:
        self.clock = ManualClock()
        self.readiness = Readiness()
        self.service = SpireService("room", clock=self.clock, readiness=self.readiness)
        self.events: list[str] = []

    def child(self, name: str, *, starts: Deferred[None] | None = None, stops: Deferred[None] | None = None) -> None:
        """Add a child that notes what is asked of it."""

        def start() -> Deferred[None] | None:
            self.events.append(f"start {name}")
            return starts

        def stop() -> Deferred[None] | None:
            self.events.append(f"stop {name}")
            return stops

        self.service.add(Child(name=name, start=start, stop=stop, stop_seconds=5.0))

    def test_a_child_starts_when_the_one_before_has(self) -> None:
        """The second waits for the first's Deferred."""
        first: Deferred[None] = Deferred()
        self.child("database", starts=first)
        self.child("port")
        starting = Deferred.fromCoroutine(self.service.start())
        self.assertEqual(self.events, ["start database"])
        first.callback(None)
        self.successResultOf(starting)
        self.assertEqual(self.events, ["start database", "start port"])

    def test_it_is_ready_only_when_all_have_started(self) -> None:
        """Until then it says which step it is at."""
        first: Deferred[None] = Deferred()
        self.child("database", starts=first)
        starting = Deferred.fromCoroutine(self.service.start())
        self.assertEqual((self.readiness.state, self.readiness.step), (State.STARTING, "database"))
        first.callback(None)
        self.successResultOf(starting)
        self.assertEqual(self.readiness.state, State.READY)

    def test_children_stop_in_reverse_each_after_the_other(self) -> None:
        """The database outlives what flushes into it."""
        flushed: Deferred[None] = Deferred()
        self.child("database")
        self.child("writer", stops=flushed)
        self.successResultOf(Deferred.fromCoroutine(self.service.start()))
        self.events.clear()
        stopping = Deferred.fromCoroutine(self.service.stop())
        self.assertEqual(self.events, ["stop writer"])
        flushed.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(self.events, ["stop writer", "stop database"])

    def test_a_child_that_does_not_stop_is_left_behind_at_its_deadline(self) -> None:
        """The next one still gets its turn, and the log says so."""
        self.child("database")
        self.child("writer", stops=Deferred())
        self.successResultOf(Deferred.fromCoroutine(self.service.start()))
        stopping = Deferred.fromCoroutine(self.service.stop())
        self.clock.advance(5.0)
        self.successResultOf(stopping)
        self.assertEqual(self.events[-1], "stop database")
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_a_failed_start_stops_what_had_started_and_is_raised(self) -> None:
        """It is never ready, and it says which child failed."""
        failing: Deferred[None] = Deferred()
        self.child("database")
        self.child("schema", starts=failing)
        self.child("port")
        starting = Deferred.fromCoroutine(self.service.start())
        failing.errback(RuntimeError("another version"))
        self.failureResultOf(starting, RuntimeError)
        self.assertEqual(self.events, ["start database", "start schema", "stop schema", "stop database"])
        self.assertEqual((self.readiness.state, self.readiness.step), (State.FAILED, "schema"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_a_stop_during_the_start_cancels_it(self) -> None:
        """What waits for an upstream does not keep the process alive."""
        self.child("database")
        self.child("upstream", starts=Deferred())
        self.child("port")
        starting = Deferred.fromCoroutine(self.service.start())
        self.successResultOf(Deferred.fromCoroutine(self.service.stop()))
        self.failureResultOf(starting)
        self.assertEqual(self.events, ["start database", "start upstream", "stop upstream", "stop database"])
        self.assertEqual(self.readiness.state, State.STOPPING)

    def test_a_child_cannot_join_after_the_start(self) -> None:
        """The order is settled before anything runs."""
        self.child("database")
        self.successResultOf(Deferred.fromCoroutine(self.service.start()))
        self.assertRaises(RuntimeError, self.child, "late")


class ReadinessTests(SynchronousTestCase):
    """Ready is latched; reasons come and go."""

    def test_a_reason_after_ready_makes_it_degraded(self) -> None:
        """Taken back, it is ready again."""
        readiness = Readiness()
        readiness.set_ready()
        readiness.because("locator", "the Locator is away")
        self.assertEqual((readiness.state, readiness.reasons), (State.DEGRADED, {"locator": "the Locator is away"}))
        readiness.clear("locator")
        self.assertEqual(readiness.state, State.READY)

    def test_a_reason_is_told_and_taken_back_by_one_call(self) -> None:
        """None takes it back, also where there was none."""
        readiness = Readiness()
        readiness.tell("store", None)
        readiness.tell("store", "refuses a batch")
        self.assertEqual(readiness.reasons, {"store": "refuses a batch"})
        readiness.tell("store", None)
        self.assertEqual(readiness.reasons, {})

    def test_a_reason_before_ready_leaves_it_starting(self) -> None:
        """It explains why it takes so long."""
        readiness = Readiness()
        readiness.because("database", "cannot be reached")
        self.assertEqual(readiness.state, State.STARTING)

    def test_observers_hear_of_changes_only(self) -> None:
        """The same reason again is no news."""
        readiness = Readiness()
        heard: list[State] = []
        readiness.observe(lambda: heard.append(readiness.state))
        readiness.set_ready()
        readiness.because("a", "b")
        readiness.because("a", "b")
        readiness.clear("never given")
        self.assertEqual(heard, [State.READY, State.DEGRADED])
