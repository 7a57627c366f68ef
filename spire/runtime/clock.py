"""The one source of time: wall clock, monotonic clock and timers over a reactor."""

import time
from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from typing_extensions import ParamSpec

from spire.values.time import Timestamp

P = ParamSpec("P")


class ReactorTime(Protocol):
    """The part of a reactor that a clock needs; `IReactorTime` as a static type."""

    def seconds(self) -> float:
        """Return the reactor's idea of now, in seconds."""

    def callLater(
        self,
        delay: float,
        callable: Callable[..., object],  # noqa: A002 (Twisted's name)
        *args: object,
        **kwargs: object,
    ) -> IDelayedCall:
        """Call `callable` after `delay` seconds."""


class Clock:
    """Time as everything that waits or stamps is given it.

    `wall` returns nanoseconds since 1970 UTC and may jump; `monotonic` returns seconds and never goes back. Deadlines
    and ages use the second, records the first.
    """

    def __init__(
        self,
        reactor: ReactorTime,
        wall: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reactor = reactor
        self._wall = wall
        self._monotonic = monotonic

    def now(self) -> Timestamp:
        """Return the server's UTC clock, in nanoseconds since 1970."""
        return Timestamp(self._wall())

    def monotonic(self) -> float:
        """Return seconds on a clock that only goes forward; comparable within this process alone."""
        return self._monotonic()

    def later(
        self, delay_seconds: float, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs
    ) -> IDelayedCall:
        """Call `function` after `delay_seconds`; the answer can be cancelled."""
        return self.reactor.callLater(max(0.0, delay_seconds), function, *args, **kwargs)

    def sleep(self, seconds: float) -> Deferred[None]:
        """Return a Deferred that fires after `seconds`; 0 yields to the reactor once. Cancelling stops the timer."""
        timer: IDelayedCall

        def cancel(_: Deferred[None]) -> None:
            timer.cancel()

        waiting: Deferred[None] = Deferred(cancel)
        timer = self.later(seconds, waiting.callback, None)
        return waiting
