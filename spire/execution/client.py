"""Order Execution for every other process: submit, cancel, query, and follow what happens on a trading account."""

from collections.abc import Callable
from os import urandom
from typing import Final

from attrs import evolve

from spire.execution.commands import (
    CancelOrder,
    ListTradingAccounts,
    QueryOrders,
    ReleaseHalt,
    SetHalt,
    SubmitOrder,
    Supervise,
)
from spire.execution.values import (
    HALTS,
    Activity,
    Halt,
    HaltOutcome,
    HaltRequest,
    OrderQuery,
    OrderRequest,
    OrderScope,
    OrderView,
    TradingAccountView,
    activity_topic,
)
from spire.wire.channels import LogSubscription
from spire.wire.client_session import ClientSession
from spire.wire.errors import NotFound
from spire.wire.records import Rows
from spire.wire.state_view import StateView
from spire.wire.topics import StreamListener

CALL_SECONDS: Final = 10.0
PAGE: Final = 200

_CODEC: Final = Rows(Activity)


class OrderExecutionClient:
    """Typed access to Order Execution; `session` is started and stopped by its owner.

    `random_bytes(n)` makes client order ids where a request has none.
    """

    def __init__(self, session: ClientSession, *, random_bytes: Callable[[int], bytes] = urandom) -> None:
        self.session = session
        self._random_bytes = random_bytes

    def client_order_id(self) -> str:
        """Return a client order id that nobody used."""
        return self._random_bytes(12).hex()

    async def submit(
        self, request: OrderRequest, *, timeout_seconds: float = CALL_SECONDS, wait_seconds: float = 0.0
    ) -> OrderView:
        """Submit an order and return it as acknowledged; an empty `client_order_id` is filled in.

        Raises Forbidden, NotFound, Invalid, Conflict, Unsupported, or Refused with the code of the rule that it broke (SHORT_REQUIRED,
        BUYING_POWER, OFF_TICK, QUOTE_STALE, STORE_DOWN ...) and details `rule`, `limit`, `observed`. After Unavailable submit the same
        request again: the same client order id is never two orders.
        """
        if not request.client_order_id:
            request = evolve(request, client_order_id=self.client_order_id())
        answer = await self.session.call(
            SubmitOrder, timeout_seconds=timeout_seconds, wait_seconds=wait_seconds, request=request
        )
        view: OrderView = answer["order"]
        return view

    async def cancel(self, order_id: int, *, timeout_seconds: float = CALL_SECONDS) -> OrderView:
        """Cancel an order and return it; NotFound, Forbidden, Conflict for one that has ended."""
        answer = await self.session.call(CancelOrder, timeout_seconds=timeout_seconds, order_id=order_id)
        view: OrderView = answer["order"]
        return view

    async def orders(
        self,
        trading_account_id: int,
        *,
        scope: OrderScope = OrderScope.ALL,
        client_order_id: str | None = None,
        order_id: int | None = None,
    ) -> tuple[OrderView, ...]:
        """Return the orders of a trading account by id, all pages."""
        query = OrderQuery(
            trading_account_id=trading_account_id,
            scope=scope,
            client_order_id=client_order_id,
            order_id=order_id,
            limit=PAGE,
        )
        found: list[OrderView] = []
        while True:
            answer = await self.session.call(QueryOrders, timeout_seconds=CALL_SECONDS, query=query)
            found += answer["orders"]
            after = answer.get("next_after")
            if after is None:
                return tuple(found)
            query = evolve(query, after_order_id=after)

    async def order(self, trading_account_id: int, order_id: int) -> OrderView:
        """Return one order; NotFound when the trading account has no such order."""
        found = await self.orders(trading_account_id, order_id=order_id)
        if not found:
            raise NotFound(f"Trading account {trading_account_id} has no order {order_id}.", order_id=order_id)
        return found[0]

    async def trading_accounts(self) -> tuple[TradingAccountView, ...]:
        """Return the trading accounts that the caller may see, by id."""
        found: list[TradingAccountView] = []
        after: int | None = 0
        while after is not None:
            answer = await self.session.call(ListTradingAccounts, timeout_seconds=CALL_SECONDS, after=after)
            found += answer["accounts"]
            after = answer.get("next_after")
        return tuple(found)

    async def trading_account(self, name: str) -> TradingAccountView:
        """Return the trading account of a name; NotFound when the caller sees none of that name."""
        for account in await self.trading_accounts():
            if account.name == name:
                return account
        raise NotFound(f"There is no trading account {name} that you may see.", name=name)

    async def set_halt(self, request: HaltRequest, *, timeout_seconds: float = CALL_SECONDS) -> HaltOutcome:
        """Stop orders of a scope. Raises Forbidden, NotFound, Invalid, Unsupported; after Unavailable it may hold already."""
        answer = await self.session.call(SetHalt, timeout_seconds=timeout_seconds, request=request)
        outcome: HaltOutcome = answer["outcome"]
        return outcome

    async def release_halt(self, halt_id: int, reason: str, *, timeout_seconds: float = CALL_SECONDS) -> Halt:
        """End a halt that somebody else set. Raises Forbidden, NotFound, Conflict, Unavailable."""
        answer = await self.session.call(ReleaseHalt, timeout_seconds=timeout_seconds, halt_id=halt_id, reason=reason)
        halt: Halt = answer["halt"]
        return halt

    def halts(self) -> StateView[Halt]:
        """Return the halts in force, live: for servers, risk officers, administrators and auditors."""
        return self.session.subscriptions.state(HALTS, Halt)

    async def supervise(self, blind: tuple[int, ...] = (), *, through: int, timeout_seconds: float = 2.0) -> None:
        """Tell that Risk watches trading accounts up to an id, but for those it cannot see; the Risk Server's call."""
        await self.session.call(Supervise, timeout_seconds=timeout_seconds, blind=blind, through=through)

    def follow(
        self,
        trading_account_id: int,
        listener: StreamListener[tuple[Activity, ...]],
        *,
        after: int | None = 0,
        epoch: int | None = None,
        begin: int | None = None,
    ) -> LogSubscription[tuple[Activity, ...]]:
        """Follow the activity of a trading account: from its beginning, behind `after`, or with None from now on.

        In another epoch than `epoch` it begins behind `begin`; without one from then on, unless `after` is 0.
        """
        return self.session.subscriptions.log(
            activity_topic(trading_account_id), listener, codec=_CODEC, after=after, epoch=epoch, begin=begin
        )
