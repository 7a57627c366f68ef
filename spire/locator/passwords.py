"""Passwords: the policy, argon2id hashing off the reactor's thread, and how long to wait after failures."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from attrs import frozen
from twisted.internet.defer import DeferredSemaphore

from spire.locator.values import FailureCount
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.errors import Invalid, Overloaded

_Result = TypeVar("_Result")
RunInThread = Callable[..., Awaitable[_Result]]

LONGEST_PASSWORD = 1024
"""Characters; a longer one is refused before it costs anything."""


@frozen(kw_only=True)
class PasswordPolicy:
    """What a new password must be like."""

    minimum_length: int = 12
    minimum_distinct: int = 5

    def check(self, password: str, account: str) -> None:
        """Raise Invalid, saying what to change, for a password that is too easy to guess."""
        if not self.minimum_length <= len(password) <= LONGEST_PASSWORD:
            raise Invalid(
                f"A password has {self.minimum_length} to {LONGEST_PASSWORD} characters.", argument="password"
            )
        if len(set(password)) < self.minimum_distinct:
            raise Invalid(f"A password has at least {self.minimum_distinct} different characters.", argument="password")
        if account.casefold() in password.casefold():
            raise Invalid("A password does not hold the account's name.", argument="password")
        if any(ord(character) < 32 for character in password):
            raise Invalid("A password has no control characters.", argument="password")


@frozen(kw_only=True)
class HashCost:
    """What one hash costs; the defaults are RFC 9106's second recommended option, with less parallelism."""

    iterations: int = 3
    memory_kib: int = 65536
    lanes: int = 2


class PasswordHashes:
    """Makes and compares argon2id hashes in threads, at most `concurrency` at a time and `waiting` in line.

    Every comparison costs the same whether the account exists or not. The parameters stand in the hash, so that older
    ones go on working and are replaced at the next login.
    """

    def __init__(
        self, run_in_thread: RunInThread[object], *, cost: HashCost, concurrency: int = 2, waiting: int = 64
    ) -> None:
        self._hasher = PasswordHasher(
            time_cost=cost.iterations, memory_cost=cost.memory_kib, parallelism=cost.lanes, type=Type.ID
        )
        self._run_in_thread = run_in_thread
        self._turns = DeferredSemaphore(concurrency)
        self._waiting = waiting
        self._nobody: str | None = None

    async def make(self, password: str) -> str:
        """Return the hash of a password, with its parameters and a random salt."""
        return str(await self._in_turn(self._hasher.hash, password))

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether a password is the one behind a stored hash; None stands for an unknown account, and is never matched.

        Raises Overloaded when too many logins wait already.
        """
        if self._nobody is None:
            self._nobody = await self.make("nobody has this password")
        if len(password) > LONGEST_PASSWORD:
            password = ""
        matched = bool(await self._in_turn(self._verify, self._nobody if stored is None else stored, password))
        return matched and stored is not None and password != ""

    def is_outdated(self, stored: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False

    async def _in_turn(self, function: Callable[..., object], *arguments: object) -> object:
        if len(self._turns.waiting) >= self._waiting:
            raise Overloaded("Too many logins at once; try again in a few seconds.")
        await self._turns.acquire()
        try:
            return await self._run_in_thread(function, *arguments)
        finally:
            self._turns.release()


@frozen(kw_only=True)
class BackOff:
    """How long the next attempt must wait: doubling from `first_seconds` once `free` failures in a row are used up."""

    free: int
    first_seconds: float = 1.0
    longest_seconds: float = 60.0
    forgotten_seconds: float = 900.0

    def wait_seconds(self, count: FailureCount | None, now: Timestamp) -> float:
        """Return the seconds until another attempt is allowed; 0 means now."""
        if count is None or count.failures < self.free:
            return 0.0
        passed = (now - count.last_failed) / NANOSECONDS
        if passed >= self.forgotten_seconds:
            return 0.0
        grown = self.first_seconds * 2.0 ** min(count.failures - self.free, 30)
        return max(0.0, min(grown, self.longest_seconds) - passed)


ACCOUNT_BACK_OFF = BackOff(free=5)
PEER_BACK_OFF = BackOff(free=20, longest_seconds=30.0)
