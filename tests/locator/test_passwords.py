"""Password policy, hashing, and waiting after failures."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from spire.locator.passwords import BackOff, HashCost, PasswordHashes, PasswordPolicy
from spire.locator.values import FailureCount
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.errors import Invalid, Overloaded

CHEAP = HashCost(iterations=1, memory_kib=64, lanes=1)
GOOD = "correct horse battery"


def in_place(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
    """Run at once, as a thread that is never busy."""
    return succeed(function(*arguments))


class Threads:
    """Threads that finish when told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = []

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        waiting: Deferred[Any] = Deferred()
        self.calls.append((waiting, function, arguments))
        return waiting

    def finish(self) -> None:
        """Finish the oldest call."""
        waiting, function, arguments = self.calls.pop(0)
        waiting.callback(function(*arguments))


class PolicyTests(SynchronousTestCase):
    """New passwords are hard to guess."""

    def refused(self, password: str) -> str:
        """Return why a password is refused."""
        return self.assertRaises(Invalid, PasswordPolicy().check, password, "tess").message

    def test_a_long_phrase_is_good(self) -> None:
        """Twelve characters and some variety suffice."""
        self.assertIsNone(PasswordPolicy().check(GOOD, "tess"))

    def test_eleven_characters_are_too_few(self) -> None:
        """The least length is twelve."""
        self.assertIn("12", self.refused("abcdefghijk"))

    def test_a_password_without_end_is_refused(self) -> None:
        """Nobody makes the server hash a book."""
        self.assertIn("1024", self.refused("abcde" * 300))

    def test_repetition_is_refused(self) -> None:
        """Four different characters are not enough."""
        self.assertIn("different", self.refused("abcdabcdabcdabcd"))

    def test_the_accounts_name_is_refused(self) -> None:
        """Whatever its case."""
        self.assertIn("name", self.refused("my-TESS-is-best"))

    def test_control_characters_are_refused(self) -> None:
        """They cannot be typed again."""
        self.assertIn("control", self.refused("correct horse\n battery"))


class HashTests(SynchronousTestCase):
    """Hashes are argon2id, compared at the same cost for everybody."""

    def test_the_hash_is_argon2id_with_its_parameters(self) -> None:
        """The stored text says how it was made."""
        made = self.successResultOf(Deferred.fromCoroutine(PasswordHashes(in_place, cost=CHEAP).make(GOOD)))
        self.assertTrue(made.startswith("$argon2id$v=19$m=64,t=1,p=1$"), made)

    def test_only_the_right_password_matches(self) -> None:
        """One character makes the difference."""
        hashes = PasswordHashes(in_place, cost=CHEAP)
        made = self.successResultOf(Deferred.fromCoroutine(hashes.make(GOOD)))
        right = self.successResultOf(Deferred.fromCoroutine(hashes.matches(made, GOOD)))
        wrong = self.successResultOf(Deferred.fromCoroutine(hashes.matches(made, GOOD + " ")))
        self.assertEqual((right, wrong), (True, False))

    def test_an_unknown_account_costs_a_hash_and_never_matches(self) -> None:
        """Time does not tell whether an account exists."""
        threads = Threads()
        hashes = PasswordHashes(threads, cost=CHEAP)
        answers = []
        for password in (GOOD, "nobody has this password"):
            waiting = Deferred.fromCoroutine(hashes.matches(None, password))
            while threads.calls:
                self.assertNoResult(waiting)
                threads.finish()
            answers.append(self.successResultOf(waiting))
        self.assertEqual(answers, [False, False])

    def test_an_endless_password_matches_nothing(self) -> None:
        """Not even a hash that somehow was made of it."""
        hashes = PasswordHashes(in_place, cost=CHEAP)
        endless = "x" * 2000
        made = self.successResultOf(Deferred.fromCoroutine(hashes.make(endless)))
        self.assertFalse(self.successResultOf(Deferred.fromCoroutine(hashes.matches(made, endless))))

    def test_a_damaged_hash_matches_nothing(self) -> None:
        """It is a failed login, not a fault."""
        hashes = PasswordHashes(in_place, cost=CHEAP)
        self.assertFalse(self.successResultOf(Deferred.fromCoroutine(hashes.matches("$argon2id$oops", GOOD))))

    def test_other_parameters_make_a_hash_outdated(self) -> None:
        """A costlier setting renews hashes at the next login."""
        made = self.successResultOf(Deferred.fromCoroutine(PasswordHashes(in_place, cost=CHEAP).make(GOOD)))
        dearer = PasswordHashes(in_place, cost=HashCost(iterations=2, memory_kib=64, lanes=1))
        self.assertTrue(dearer.is_outdated(made))
        self.assertFalse(PasswordHashes(in_place, cost=CHEAP).is_outdated(made))

    def test_few_hashes_run_at_a_time_and_few_wait(self) -> None:
        """A storm of logins neither starves the machine nor grows without bound."""
        threads = Threads()
        hashes = PasswordHashes(threads, cost=CHEAP, concurrency=2, waiting=1)
        calls = [Deferred.fromCoroutine(hashes.make(GOOD)) for _ in range(4)]
        self.assertEqual(len(threads.calls), 2)
        self.failureResultOf(calls[3], Overloaded)
        threads.finish()
        self.successResultOf(calls[0])
        self.assertEqual(len(threads.calls), 2)
        threads.finish()
        threads.finish()
        self.successResultOf(calls[2])


class BackOffTests(SynchronousTestCase):
    """Each failure beyond the free ones doubles the wait."""

    def wait(self, failures: int, seconds_ago: float = 0.0) -> float:
        """Return the wait after so many failures, the last of them some seconds ago."""
        now = Timestamp(10_000 * NANOSECONDS)
        last = Timestamp(now - int(seconds_ago * NANOSECONDS))
        count = FailureCount(subject="account:tess", failures=failures, last_failed=last)
        return BackOff(free=3).wait_seconds(count, now)

    def test_nobody_waits_without_failures(self) -> None:
        """A first attempt is free."""
        self.assertEqual(BackOff(free=3).wait_seconds(None, Timestamp(0)), 0.0)

    def test_the_wait_doubles_to_a_ceiling(self) -> None:
        """Two are free, then 1, 2, 4 ... 60 seconds."""
        self.assertEqual([self.wait(n) for n in (2, 3, 4, 5, 8, 9, 10, 1000)], [0, 1, 2, 4, 32, 60, 60, 60])

    def test_time_passes(self) -> None:
        """What has passed since the last failure counts."""
        self.assertEqual([self.wait(5, seconds_ago=3), self.wait(5, seconds_ago=4)], [1.0, 0.0])

    def test_old_failures_are_forgotten(self) -> None:
        """A quarter of an hour later nobody waits."""
        self.assertEqual(self.wait(1000, seconds_ago=900), 0.0)
