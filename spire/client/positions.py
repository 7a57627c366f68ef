"""Positions of a trading account, worked out by its user from the activity that he follows."""

from twisted.internet.defer import Deferred

from spire.accounting.portfolio import Portfolio, apply_postings
from spire.execution.client import OrderExecutionClient
from spire.execution.values import Activity
from spire.runtime.waiters import Waiters
from spire.wire.errors import SpireError, Unavailable
from spire.wire.topics import StreamListener


class ActivityLedger(StreamListener[tuple[Activity, ...]]):
    """A trading account's activity from its beginning, and the positions that its postings sum up to, live.

    The sums are those of `spire.accounting`. Another epoch of the activity begins it anew.
    """

    def __init__(self, orders: OrderExecutionClient, trading_account_id: int) -> None:
        self.events: list[Activity] = []
        self.portfolio = Portfolio()
        self._clock = orders.session.subscriptions.clock
        self._error: SpireError | None = None
        self._is_ready = False
        self._waiting: Waiters[None] = Waiters()
        self._subscription = orders.follow(trading_account_id, self)

    async def when_ready(self, timeout_seconds: float | None = None) -> None:
        """Wait until all activity so far is here.

        Raises the SpireError that ended it, or Unavailable after `timeout_seconds`: a server that cannot read history
        now is asked again for as long as one waits.
        """
        if self._error is not None:
            raise self._error
        if self._is_ready:
            return
        waiter = self._waiting.join()
        timer = None if timeout_seconds is None else self._clock.later(timeout_seconds, self._too_late, waiter)
        try:
            await waiter
        finally:
            if timer is not None and timer.active():
                timer.cancel()

    def _too_late(self, waiter: Deferred[None]) -> None:
        if self._waiting.leave(waiter):
            waiter.errback(Unavailable("The account's activity cannot be read now; try again later."))

    def close(self) -> None:
        """Follow no longer."""
        self._subscription.close()

    def reset(self, epoch: int, after: int) -> None:  # noqa: ARG002 (of the listener)
        """Begin anew."""
        self.events.clear()
        self.portfolio = Portfolio()

    def update(self, records: tuple[Activity, ...]) -> None:
        """Book what happened."""
        self.events.extend(records)
        postings = [event.posting for event in records if event.posting is not None]
        if postings:
            self.portfolio = apply_postings(self.portfolio, postings)

    def ready(self) -> None:
        """Know that it has caught up."""
        self._is_ready = True
        self._waiting.succeed(None)

    def lost(self, error: SpireError) -> None:
        """Fail those who wait; a hole begins it anew by itself."""
        if error.coded == "GAP":
            return
        self._error = error
        self._waiting.fail(error)
