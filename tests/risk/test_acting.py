"""Calls of the Risk Server that are made together."""

from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.risk.acting import Acting
from spire.runtime.metrics import Metrics


class Silence:
    """An Order Execution that never answers; it keeps what was asked."""

    def __init__(self) -> None:
        self.asked: dict[int, Deferred[None]] = {}

    async def cancel(self, order_id: int) -> None:
        """Wait for ever."""
        self.asked[order_id] = Deferred()
        await self.asked[order_id]


class TogetherTests(SynchronousTestCase):
    """Many calls at once."""

    def test_who_is_cancelled_meanwhile_goes_no_further(self) -> None:
        """A server that stops ends every call, and does nothing behind them."""
        orders = Silence()
        acting = Acting(
            facts=cast("Any", None),
            administration=cast("Any", None),
            orders=cast("Any", orders),
            ticker=str,
            metrics=Metrics(),
        )
        waiting = Deferred.fromCoroutine(acting.cancel(1, (7, 8)))
        self.assertEqual(list(orders.asked), [7, 8])
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual([each.called for each in orders.asked.values()], [True, True])
