"""A clock that moves only when the test says so."""

from bisect import insort
from collections.abc import Callable

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock as TwistedClock

from spire.runtime.clock import Clock
from spire.values.time import NANOSECONDS, Timestamp

# 8 October 2013, 13:30 UTC: the opening bell in New York on the recorded day that the platform's tests replay.
OPENING = Timestamp(1_381_239_000 * NANOSECONDS)


class SteppedReactor(TwistedClock):
    """Twisted's test clock, with every timer called at its own time.

    Twisted's `advance` jumps to the end and then calls what is due, so that timers made on the way count from the
    end; a heartbeat of 5 s would be sent once in 25 s instead of five times. A new timer is put in its place, behind those of the same
    time, where Twisted's clock sorts them all: with the timers of ten rooms that took a tenth of a test.
    """

    def callLater(
        self,
        delay: float,
        callable: Callable[..., object],  # noqa: A002 (Twisted's name)
        *args: object,
        **kw: object,
    ) -> IDelayedCall:
        """Call `callable` once the clock has moved on by `delay` seconds."""
        call = DelayedCall(
            self.rightNow + delay, callable, args, kw, self.calls.remove, lambda _: self._sortCalls(), self.seconds
        )
        insort(self.calls, call, key=DelayedCall.getTime)
        return call

    def advance(self, amount: float) -> None:
        """Move on by `amount` seconds and call each timer, also those made on the way, when its time has come."""
        end = self.rightNow + amount
        while self.calls and self.calls[0].getTime() <= end:
            call = self.calls.pop(0)
            self.rightNow = max(self.rightNow, call.getTime())
            call.called = 1
            call.func(*call.args, **call.kw)
        self.rightNow = max(self.rightNow, end)


class ManualClock(Clock):
    """A clock whose wall time, monotonic time and timers all advance together, by hand."""

    reactor: SteppedReactor

    def __init__(self, start: Timestamp = OPENING) -> None:
        self._start = start
        reactor = SteppedReactor()
        super().__init__(reactor, wall=self._wall_time, monotonic=reactor.seconds)

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`; everything due on the way runs at its own time."""
        self.reactor.advance(seconds)

    def pump(self, turns: int = 1) -> None:
        """Run what is due now, and what that makes due, `turns` times."""
        for _ in range(turns):
            self.reactor.advance(0)

    def _wall_time(self) -> int:
        return self._start + round(self.reactor.rightNow * NANOSECONDS)
