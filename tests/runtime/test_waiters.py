"""Many wait for one thing, and each of them may do anything when it happens."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.runtime.waiters import Waiters


class WaitersTests(SynchronousTestCase):
    """All are told, whatever one of them does."""

    def setUp(self) -> None:
        """Have three wait."""
        self.waiters: Waiters[int] = Waiters()
        self.first, self.second, self.third = (self.waiters.join() for _ in range(3))

    def test_all_are_told_once(self) -> None:
        """And nobody waits any more."""
        self.waiters.succeed(7)
        self.waiters.succeed(8)
        found = [self.successResultOf(one) for one in (self.first, self.second, self.third)]
        self.assertEqual((found, len(self.waiters)), ([7, 7, 7], 0))

    def test_all_hear_why_it_does_not_happen(self) -> None:
        """Each the same error."""
        self.waiters.fail(ValueError("no"))
        for one in (self.first, self.second, self.third):
            self.failureResultOf(one, ValueError)

    def test_who_was_cancelled_is_told_nothing(self) -> None:
        """The others are."""
        self.second.cancel()
        self.waiters.succeed(7)
        self.failureResultOf(self.second, CancelledError)
        self.assertEqual((self.successResultOf(self.first), self.successResultOf(self.third)), (7, 7))

    def test_one_that_is_told_may_cancel_another(self) -> None:
        """The rest are told all the same, of success and of failure."""

        def cancel(_: object) -> None:
            self.second.cancel()

        self.first.addBoth(cancel)
        self.waiters.succeed(7)
        self.failureResultOf(self.second, CancelledError)
        self.assertEqual(self.successResultOf(self.third), 7)
        self.setUp()
        self.first.addBoth(cancel)
        self.waiters.fail(ValueError("no"))
        self.failureResultOf(self.second, CancelledError)
        self.failureResultOf(self.third, ValueError)

    def test_one_may_leave_alone(self) -> None:
        """It is told what nobody else is; one that is not there any more has been told already."""
        self.assertTrue(self.waiters.leave(self.second))
        self.second.callback(5)
        self.assertFalse(self.waiters.leave(self.second))
        self.waiters.succeed(7)
        self.assertEqual((self.successResultOf(self.second), self.successResultOf(self.third)), (5, 7))

    def test_who_comes_while_others_are_told_waits_for_the_next_time(self) -> None:
        """It asks again for something else."""
        later: list[Deferred[int]] = []
        self.first.addCallback(lambda _: later.append(self.waiters.join()))
        self.waiters.succeed(7)
        self.assertNoResult(later[0])
        self.waiters.succeed(8)
        self.assertEqual(self.successResultOf(later[0]), 8)
