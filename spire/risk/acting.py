"""What Risk does to the world: sets halts, writes risk states, cancels orders, closes positions."""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger

from spire.administration.client import AdministrationClient
from spire.administration.values import RiskState
from spire.execution.client import OrderExecutionClient
from spire.execution.values import HaltRequest, OrderRequest, OrderScope, OrderView
from spire.risk.facts import Facts
from spire.risk.flatten import FlattenOrder
from spire.risk.states import LiveOrder, Move
from spire.runtime.metrics import Metrics
from spire.values.orders import Channel, OrderType, TimeInForce
from spire.values.risk import HaltMode, HaltScope, RiskMode
from spire.values.status import Flag
from spire.values.time import Timestamp
from spire.wire.errors import Conflict, SpireError

ORIGIN = "risk"
FAILED: Final = "The Risk Server is at fault here, its log says why"


class Acting:
    """The calls of the Risk Server; none of them raises because of an order that has ended meanwhile.

    `ticker` answers an instrument's ticker.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        facts: Facts,
        administration: AdministrationClient,
        orders: OrderExecutionClient,
        ticker: Callable[[int], str],
        metrics: Metrics,
    ) -> None:
        self._facts = facts
        self._administration = administration
        self._orders = orders
        self._ticker = ticker
        self._states = metrics.counter("spire_risk_states", "Risk states written, by mode.", ["mode"])
        self._flattening = metrics.counter(
            "spire_risk_flatten_orders", "Orders that closed positions, by outcome.", ["outcome"]
        )

    async def live_orders(self, account_id: int) -> tuple[LiveOrder, ...]:
        """Return the live orders of an account, as Order Execution has them now. Raises SpireError."""
        views = await self._orders.orders(account_id, scope=OrderScope.LIVE)
        return tuple(_live(view) for view in views)

    async def halt_first(self, account_id: int, move: Move, version: int) -> None:
        """Set the halt that announces a state, unless it is in force. Where it cannot be set the state alone has to do."""
        announced = self._facts.announced(account_id)
        if announced is not None and announced.version == version:
            return
        request = HaltRequest(
            scope=HaltScope.TRADING_ACCOUNT,
            scope_id=account_id,
            mode=HaltMode.NO_OPENING,
            reason=move.reason,
            announces=version,
        )
        try:
            await self._orders.set_halt(request)
        except SpireError as error:
            self._log.critical(
                "{name} is not halted, its risk state is written all the same: {error}",
                name=self._facts.name(account_id),
                error=str(error),
            )

    async def write(
        self,
        account_id: int,
        mode: RiskMode,
        reason: str,
        *,
        version: int,
        expiry: Timestamp | None = None,
        on_behalf_of: int | None = None,
    ) -> RiskState:
        """Write a risk state in place of `version`. Raises Conflict where another one holds, Unavailable."""
        try:
            state = await self._administration.set_risk_state(
                account_id,
                mode,
                expected_version=version,
                reason=reason[:1000],
                expiry=expiry,
                on_behalf_of=on_behalf_of,
            )
        except Conflict:
            self._facts.forget(account_id)
            raise
        self._facts.wrote(state)
        self._states.labels(mode=mode.name).inc()
        await self._drop_halts(account_id, state.version)
        return state

    async def cancel(self, account_id: int, order_ids: Iterable[int]) -> None:
        """Cancel orders, all at once; the next look finds those that still live."""
        await self._at_once(account_id, [self._cancel(account_id, order_id) for order_id in order_ids])

    async def close_all(self, account_id: int, orders: Iterable[FlattenOrder]) -> tuple[str, ...]:
        """Send the orders that close positions, all at once; return why some were refused."""
        found = await self._at_once(account_id, [self._close(account_id, order) for order in orders])
        return tuple(each for each in found if each is not None)

    async def _at_once(
        self, account_id: int, calls: Iterable[Coroutine[Deferred[Any], Any, str | None]]
    ) -> list[str | None]:
        """Return what each call came to; one that is slow or at fault keeps no other from being made."""
        started = [Deferred.fromCoroutine(call) for call in calls]
        found: list[str | None] = []
        results: list[tuple[bool, Any]] = await DeferredList(started, consumeErrors=True)
        for is_done, result in results:
            if is_done:
                found.append(result)
            elif isinstance(result.value, CancelledError):
                result.raiseException()
            else:
                self._log.failure("an order of {name} failed", result, name=self._facts.name(account_id))
                found.append(f"{FAILED}: {result.type.__name__}")
        return found

    async def _close(self, account_id: int, order: FlattenOrder) -> str | None:
        """Send an order that closes a position; return why it was refused, if it was."""
        ticker = self._ticker(order.instrument_id)
        request = OrderRequest(
            client_order_id="",
            trading_account_id=account_id,
            ticker=ticker,
            side=order.side,
            type=OrderType.LIMIT,
            quantity=order.quantity,
            limit_price=order.limit_price,
            time_in_force=TimeInForce.IOC,
            origin=ORIGIN,
        )
        try:
            await self._orders.submit(request)
        except SpireError as error:
            self._flattening.labels(outcome=error.coded).inc()
            return f"{ticker}: {error}"
        self._flattening.labels(outcome="accepted").inc()
        return None

    async def _cancel(self, account_id: int, order_id: int) -> None:
        try:
            await self._orders.cancel(order_id)
        except SpireError as error:
            self._log.info(
                "order {order} of {name} is not cancelled: {error}",
                order=order_id,
                name=self._facts.name(account_id),
                error=str(error),
            )

    async def _drop_halts(self, account_id: int, version: int) -> None:
        """Release halts of ours that announce what will not come: Administration stands behind what it once was."""
        for halt in self._facts.own_halts(account_id):
            if halt.announces is not None and halt.announces > version:
                try:
                    await self._orders.release_halt(halt.halt_id, f"risk state {version} is in force")
                except SpireError as error:
                    self._log.warn("halt {halt} is not released: {error}", halt=halt.halt_id, error=str(error))


def _live(view: OrderView) -> LiveOrder:
    submission = view.submission
    return LiveOrder(
        order_id=submission.order_id,
        instrument_id=submission.instrument_id,
        side=submission.side,
        leaves=view.leaves,
        is_ours=submission.channel is Channel.RISK,
        is_cancel_pending=bool(Flag(view.flags) & Flag.PENDING_CANCEL),
    )
