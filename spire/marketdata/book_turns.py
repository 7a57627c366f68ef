"""Who reads a book, and who waits for his turn: a server keeps only so many books of a session."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredLock

from spire.marketdata.snapshots import BOOKS_KEPT
from spire.runtime.clock import Clock
from spire.runtime.turnstile import Turnstile
from spire.wire.errors import Unavailable


class BookTurns:
    """BOOKS_KEPT books are read at once, and those of one instrument one after the other: their pages would mix.

    Nobody waits for longer than `wait_seconds`, and whoever is cancelled waits no more.
    """

    def __init__(self, clock: Clock, wait_seconds: float) -> None:
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._places = Turnstile(BOOKS_KEPT)
        self._locks: dict[int, DeferredLock] = {}

    @asynccontextmanager
    async def turn(self, instrument: int) -> AsyncIterator[None]:
        """Wait for the instrument, then for a place. Raises Unavailable where that takes too long."""
        deadline = self._clock.monotonic() + self._wait_seconds
        lock = self._locks.setdefault(instrument, DeferredLock())
        await self._wait(lock.acquire(), deadline)
        try:
            await self._wait(self._places.take(), deadline)
            try:
                yield
            finally:
                self._places.release()
        finally:
            lock.release()
            if not lock.locked and self._locks.get(instrument) is lock:
                del self._locks[instrument]

    async def _wait(self, turn: Deferred[Any], deadline: float) -> None:
        timer = self._clock.later(deadline - self._clock.monotonic(), turn.cancel)
        try:
            await turn
        except CancelledError:
            if timer.active():
                raise
            raise Unavailable("Too many books are read at once; try again in a few seconds.") from None
        finally:
            if timer.active():
                timer.cancel()
