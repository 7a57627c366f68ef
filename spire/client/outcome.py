"""Waiting for what becomes of an order."""

from typing import Final

from twisted.internet.defer import Deferred

from spire.execution.client import OrderExecutionClient
from spire.execution.values import Activity, OrderView
from spire.runtime.clock import Clock
from spire.values.orders import OrderType, Status, TimeInForce
from spire.values.status import is_terminal
from spire.wire.errors import SpireError, Unavailable
from spire.wire.topics import StreamListener

RESTING_SECONDS: Final = 0.25
"""An order that may rest in the market is taken to rest when nothing follows its acceptance for so long."""


async def settled(
    orders: OrderExecutionClient, order: OrderView, *, clock: Clock, timeout_seconds: float = 2.0
) -> OrderView:
    """Return the order once its fate is known: it has ended, or it rests in the market, or the time is over.

    A market, IOC or FOK order is awaited until it has ended. Where it cannot be asked for now, it is returned as it was
    last known: it was accepted all the same.
    """
    if _is_over(order):
        return order
    watch = _Watch(order.order_id)
    subscription = orders.follow(order.submission.trading_account_id, watch, after=None)
    timer = clock.later(timeout_seconds, watch.give_up)
    resting = None
    try:
        while await watch.changed():
            try:
                order = await orders.order(order.submission.trading_account_id, order.order_id)
            except Unavailable:
                break
            if _is_over(order):
                break
            if order.status is not Status.PENDING_NEW and _may_rest(order) and resting is None:
                resting = clock.later(RESTING_SECONDS, watch.give_up)
    finally:
        for call in (timer, resting):
            if call is not None and call.active():
                call.cancel()
        subscription.close()
    return order


def _is_over(order: OrderView) -> bool:
    return is_terminal(order.status, order.submission.time_in_force)


def _may_rest(order: OrderView) -> bool:
    submission = order.submission
    return submission.type is not OrderType.MARKET and submission.time_in_force not in (
        TimeInForce.IOC,
        TimeInForce.FOK,
    )


class _Watch(StreamListener[tuple[Activity, ...]]):
    """Knows whether something may have happened to an order since it was last asked."""

    def __init__(self, order_id: int) -> None:
        self._order_id = order_id
        self._has_changed = False
        self._is_over = False
        self._waiting: Deferred[None] | None = None

    async def changed(self) -> bool:
        """Return True when something may have happened, False when nothing more is waited for."""
        if not self._has_changed and not self._is_over:
            self._waiting = Deferred()
            await self._waiting
        changed, self._has_changed = self._has_changed, False
        return changed

    def give_up(self) -> None:
        """Wait no longer."""
        self._is_over = True
        self._wake()

    def reset(self, epoch: int, after: int) -> None:  # noqa: ARG002 (of the listener)
        """Look: what happened before is not told."""
        self._has_changed = True
        self._wake()

    def update(self, records: tuple[Activity, ...]) -> None:
        """Look when something is told of the order."""
        if any(event.order_id == self._order_id for event in records):
            self._has_changed = True
            self._wake()

    def lost(self, error: SpireError) -> None:
        """Give up; behind a hole a reset follows."""
        if error.coded != "GAP":
            self.give_up()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)
