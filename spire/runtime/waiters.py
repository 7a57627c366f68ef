"""Those who wait for one thing that happens, or fails, for all of them at once."""

from typing import Generic, TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")


class Waiters(Generic[T]):
    """Deferreds that wait for the same.

    What one of them goes on to do may cancel others, or make new ones: whoever was cancelled is told nothing more, and
    whoever comes while others are told waits for the next time.
    """

    def __init__(self) -> None:
        self._waiting: list[Deferred[T]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self) -> Deferred[T]:
        """Return a Deferred that waits; it may be cancelled at any time."""
        waiter: Deferred[T] = Deferred(self._cancelled)
        self._waiting.append(waiter)
        return waiter

    def succeed(self, result: T) -> None:
        """Tell all who wait now that it has happened."""
        for waiter in self._taken():
            if not waiter.called:
                waiter.callback(result)

    def fail(self, error: Exception) -> None:
        """Tell all who wait now why it will not happen."""
        for waiter in self._taken():
            if not waiter.called:
                waiter.errback(error)

    def leave(self, waiter: Deferred[T]) -> bool:
        """Have one wait no more, who may then be told something else; return whether it still waited."""
        is_here = waiter in self._waiting
        if is_here:
            self._waiting.remove(waiter)
        return is_here

    def _cancelled(self, waiter: Deferred[T]) -> None:
        self.leave(waiter)

    def _taken(self) -> list[Deferred[T]]:
        waiting, self._waiting = self._waiting, []
        return waiting
