"""Those who take turns at something that only so many may do at a time."""

from collections import OrderedDict

from twisted.internet.defer import Deferred


class Turnstile:
    """At most `limit` have a turn at the same time; the others wait, first come first served.

    Thousands may be done as soon as their turn comes: turns are given one after the other, never one from within another.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: OrderedDict[Deferred[None], None] = OrderedDict()
        self._is_giving = False

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def take(self) -> Deferred[None]:
        """Return a Deferred that fires with a turn, which must be released; until then it may be cancelled."""
        waiter: Deferred[None] = Deferred(self._waiting.pop)
        self._waiting[waiter] = None
        self._give()
        return waiter

    def release(self) -> None:
        """End a turn; the next in the queue has it."""
        self._free += 1
        self._give()

    def _give(self) -> None:
        if self._is_giving:
            return
        self._is_giving = True
        try:
            while self._free and self._waiting:
                self._free -= 1
                waiter, _ = self._waiting.popitem(last=False)
                waiter.callback(None)
        finally:
            self._is_giving = False
