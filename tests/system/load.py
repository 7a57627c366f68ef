"""One continuous load on an instance: a trader who never rests, whoever draws ids, and what both were promised."""

from collections import deque
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from spire.client.platform import Spire
from spire.client.positions import ActivityLedger
from spire.execution.values import Activity, OrderRequest, OrderView
from spire.uid.client import UidSource
from spire.values.amounts import Price, Quantity
from spire.values.orders import ExecType, OrderType, Side, Status, TimeInForce
from spire.wire.errors import Conflict, Refused, Unavailable

R = TypeVar("R")

LOT = Quantity(100 * 10**6)
FAR = 200_000
"""How far from the best bid an order rests that shall not fill: 20 cents."""
CENT = 10_000
SERVICE_SECONDS = 5.0
"""How long a call may go unanswered before the trader asks again."""


async def pause(seconds: float = 0.02) -> None:
    """Let the reactor run for a moment."""
    from twisted.internet import reactor

    await deferLater(reactor, seconds)


async def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until a condition holds; AssertionError with `what` after so many seconds."""
    from twisted.internet import reactor

    deadline = reactor.seconds() + seconds
    while not condition():
        if reactor.seconds() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        await pause()


async def persist(ask: Callable[[], Awaitable[R]]) -> R:
    """Return the answer to a call that may be repeated, however often nobody answers."""
    while True:
        try:
            return await ask()
        except Unavailable:
            await pause(0.1)


class Ledger(ActivityLedger):
    """A trading account's activity, as one who was there from the start saw it."""

    def __init__(self, client: Spire, trading_account_id: int) -> None:
        self.resets: list[int] = []
        super().__init__(client.orders, trading_account_id)

    def reset(self, epoch: int, after: int) -> None:
        """Note each beginning."""
        self.resets.append(after)
        super().reset(epoch, after)

    def of_order(self, order_id: int) -> list[Activity]:
        """Return what happened to an order."""
        return [event for event in self.events if event.order_id == order_id]

    def executions(self, order_id: int) -> list[ExecType]:
        """Return the kinds of an order's reports."""
        return [event.report.exec_type for event in self.of_order(order_id) if event.report is not None]

    def statuses(self) -> dict[int, Status]:
        """Return how every order stands after its last report."""
        return {event.report.order_id: event.report.status for event in self.events if event.report is not None}


@define(eq=False)
class Trader:
    """Submits and cancels small orders in one ticker without a break, and keeps what it was told.

    `best` answers the best bid and ask now (None: no two-sided quote), `held` what may be sold. `acknowledged` maps client order
    ids to order ids, `refused` to the code; each attempt ends in one of both. `canceled` are orders whose cancel was confirmed.
    """

    client: Spire
    trading_account_id: int
    ticker: str
    best: Callable[[], tuple[int, int] | None]
    held: Callable[[], int]
    random: Random = field(factory=lambda: Random("a trader"))
    acknowledged: dict[str, int] = field(factory=dict)
    refused: dict[str, str] = field(factory=dict)
    canceled: set[int] = field(factory=set)
    repeats: int = 0
    _resting: deque[int] = field(factory=deque)
    _loops: list[Deferred[None]] = field(factory=list)
    _is_running: bool = False

    def start(self, loops: int = 3) -> None:
        """Begin, with so many orders under way at a time."""
        self._is_running = True
        self._loops = [Deferred.fromCoroutine(self._trade(number)) for number in range(loops)]

    async def stop(self) -> None:
        """Finish what is under way, and cancel what rests; raises what went wrong."""
        self._is_running = False
        loops, self._loops = self._loops, []
        for loop in loops:
            await loop
        while self._resting:
            await self.cancel(self._resting.popleft())

    def abandon(self) -> None:
        """Leave everything as it is: the test has failed, and nobody may answer any more."""
        for loop in self._loops:
            loop.addErrback(lambda failure: failure.trap(CancelledError))
            loop.cancel()

    async def submit(self, request: OrderRequest) -> OrderView | None:
        """Submit until there is an answer, always under the same client order id; None if it was refused."""
        name = request.client_order_id

        async def ask() -> OrderView:
            try:
                return await self.client.orders.submit(request, timeout_seconds=SERVICE_SECONDS)
            except Unavailable:
                self.repeats += 1
                raise

        try:
            view = await persist(ask)
        except Refused as error:
            self.refused[name] = error.coded
            return None
        self.acknowledged[name] = view.order_id
        return view

    async def cancel(self, order_id: int) -> None:
        """Cancel until there is an answer; an order that has ended already is left alone."""
        try:
            view = await persist(lambda: self.client.orders.cancel(order_id, timeout_seconds=SERVICE_SECONDS))
        except Conflict:
            return
        if view.status is Status.CANCELED:
            self.canceled.add(order_id)

    def order(self, side: Side, kind: OrderType, limit: int | None, how: TimeInForce) -> OrderRequest:
        """Return one lot."""
        return OrderRequest(
            client_order_id=self.client.orders.client_order_id(),
            trading_account_id=self.trading_account_id,
            ticker=self.ticker,
            side=side,
            type=kind,
            quantity=LOT,
            limit_price=None if limit is None else Price(limit // CENT * CENT),
            time_in_force=how,
        )

    async def _trade(self, number: int) -> None:
        """Submit one order after the other; every other one rests, and is cancelled some orders later."""
        while self._is_running:
            quote = self.best()
            if quote is not None:
                view = await self.submit(self._next(*quote))
                if view is not None and view.submission.time_in_force is TimeInForce.DAY:
                    self._resting.append(view.order_id)
            if len(self._resting) > 5:
                await self.cancel(self._resting.popleft())
            await pause(0.05)

    def _next(self, bid: int, ask: int) -> OrderRequest:
        choice = self.random.randrange(6)
        if self.held() > LOT and choice < 3:
            if choice:
                return self.order(Side.SELL, OrderType.MARKET, None, TimeInForce.DAY)
            return self.order(Side.SELL, OrderType.LIMIT, bid, TimeInForce.IOC)
        if choice == 3:
            return self.order(Side.BUY, OrderType.MARKET, None, TimeInForce.DAY)
        if choice == 4:
            return self.order(Side.BUY, OrderType.LIMIT, ask, TimeInForce.IOC)
        return self.order(Side.BUY, OrderType.LIMIT, bid - self.random.choice((0, FAR)), TimeInForce.DAY)


@define(eq=False)
class Numberer:
    """Draws ids without a break; `drawn` are all of them, `dry` is how often none was in hand."""

    source: UidSource
    drawn: list[int] = field(factory=list)
    dry: int = 0
    _loop: Deferred[None] | None = None
    _is_running: bool = False

    def start(self) -> None:
        """Begin."""
        self._is_running = True
        self._loop = Deferred.fromCoroutine(self._draw())

    async def stop(self) -> None:
        """Draw no more."""
        self._is_running = False
        if self._loop is not None:
            await self._loop
        await self.source.stop()

    def take(self, count: int) -> None:
        """Draw so many at once."""
        try:
            self.drawn += [self.source.next() for _ in range(count)]
        except Unavailable:
            self.dry += 1

    async def _draw(self) -> None:
        while self._is_running:
            self.take(20)
            await pause()
