"""Ctrl-C and termination, while a command runs in a reactor."""

import signal
from collections.abc import Awaitable
from types import FrameType
from typing import Any, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred

R = TypeVar("R")

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
BY_SIGNAL: Final = 128
"""A shell's exit status of what a signal ended, less the signal's number."""


class Interrupts:
    """Lets a person end a command in order: the first signal cancels its work, a second one ends the process.

    `number` is the signal that came, 0 before it.
    """

    def __init__(self, reactor: Any) -> None:
        self.number = 0
        self._reactor = reactor
        self._work: Deferred[int] | None = None
        # The reactor installs its own when it starts, which would stop it in the middle of the work.
        reactor.callWhenRunning(self._install)

    async def run(self, work: Awaitable[int]) -> int:
        """Return the exit status that `work` returns, or the one that a signal makes."""
        self._work = Deferred.fromCoroutine(awaited(work))
        if self.number:
            self._work.cancel()
        try:
            status = await self._work
        except CancelledError:
            status = 0
        return BY_SIGNAL + self.number if self.number else status

    def _install(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._take)

    def _take(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 (of a signal handler)
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self.number = number
        self._reactor.callFromThread(self._cancel)

    def _cancel(self) -> None:
        if self._work is not None:
            self._work.cancel()


async def awaited(work: Awaitable[R]) -> R:
    """Make a coroutine of anything that can be awaited."""
    return await work
