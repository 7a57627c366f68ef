"""What a session may call of Order Execution: boxes to calls and back."""

from typing import Any

from twisted.protocols.amp import CommandLocator

from spire.execution.commands import (
    CancelOrder,
    ListTradingAccounts,
    QueryOrders,
    ReleaseHalt,
    SetHalt,
    SubmitOrder,
    Supervise,
)
from spire.execution.halting import Halting
from spire.execution.server import OrderExecution
from spire.execution.values import HaltRequest, OrderQuery, OrderRequest
from spire.wire.server_session import Session


class OrderResponders(CommandLocator):
    """The commands of whoever is logged in; rights on trading accounts decide about each call."""

    def __init__(self, session: Session, service: OrderExecution) -> None:
        super().__init__()
        self._session = session
        self._service = service

    @SubmitOrder.responder
    async def submit(self, request: OrderRequest) -> dict[str, Any]:
        """Submit an order."""
        return {"order": await self._service.submit(self._session, request)}

    @CancelOrder.responder
    async def cancel(self, order_id: int) -> dict[str, Any]:
        """Cancel an order."""
        return {"order": await self._service.cancel(self._session, order_id)}

    @QueryOrders.responder
    async def query(self, query: OrderQuery) -> dict[str, Any]:
        """Return a page of orders."""
        orders, next_after = await self._service.query(self._session, query)
        return {"orders": orders} if next_after is None else {"orders": orders, "next_after": next_after}

    @ListTradingAccounts.responder
    def trading_accounts(self, after: int) -> dict[str, Any]:
        """Return a page of trading accounts."""
        accounts, next_after = self._service.trading_accounts(self._session, after)
        return {"accounts": accounts} if next_after is None else {"accounts": accounts, "next_after": next_after}


class HaltResponders(CommandLocator):
    """Halts and the Risk Server's sign of life; roles and capabilities decide about each call."""

    def __init__(self, session: Session, halting: Halting) -> None:
        super().__init__()
        self._session = session
        self._halting = halting

    @SetHalt.responder
    async def set_halt(self, request: HaltRequest) -> dict[str, Any]:
        """Set a halt."""
        return {"outcome": await self._halting.set(self._session, request)}

    @ReleaseHalt.responder
    async def release_halt(self, halt_id: int, reason: str) -> dict[str, Any]:
        """Release a halt."""
        return {"halt": await self._halting.release(self._session, halt_id, reason)}

    @Supervise.responder
    async def supervise(self, blind: tuple[int, ...], through: int) -> dict[str, Any]:
        """Take a sign of life."""
        await self._halting.supervise(self._session, blind, through)
        return {}
