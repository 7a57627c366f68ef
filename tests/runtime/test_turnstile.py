"""So many at a time, in the order in which they came."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.runtime.turnstile import Turnstile


class TurnstileTests(SynchronousTestCase):
    """Two have a turn, two wait."""

    def setUp(self) -> None:
        """Let four come."""
        self.turns = Turnstile(2)
        self.first, self.second, self.third, self.fourth = (self.turns.take() for _ in range(4))

    def go(self, *waiting: Deferred[None]) -> None:
        """Wait no more."""
        for one in waiting:
            one.cancel()
            self.failureResultOf(one, CancelledError)

    def test_only_so_many_have_a_turn(self) -> None:
        """The others wait."""
        self.successResultOf(self.first)
        self.successResultOf(self.second)
        self.assertNoResult(self.third)
        self.assertEqual(len(self.turns), 2)

    def test_the_first_that_waits_is_the_next(self) -> None:
        """One turn that ends is one that begins."""
        self.turns.release()
        self.successResultOf(self.third)
        self.assertNoResult(self.fourth)

    def test_who_was_cancelled_has_no_turn(self) -> None:
        """The next has it."""
        self.go(self.third)
        self.turns.release()
        self.successResultOf(self.fourth)

    def test_a_turn_that_nobody_waits_for_is_kept(self) -> None:
        """Whoever comes later has it at once."""
        self.go(self.third, self.fourth)
        self.turns.release()
        self.successResultOf(self.turns.take())

    def test_thousands_are_done_as_soon_as_their_turn_comes(self) -> None:
        """They follow each other, however many they are."""
        done = []

        def at_once(_: object, number: int) -> None:
            done.append(number)
            self.turns.release()

        waiting: list[Deferred[None]] = []
        for number in range(5_000):
            waiting.append(self.turns.take())
            waiting[-1].addCallback(at_once, number)
        self.go(self.third, self.fourth)
        self.turns.release()
        self.assertEqual(done, list(range(5_000)))
