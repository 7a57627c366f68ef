"""What Risk does about one trading account at a moment: a level-triggered state machine (sans-I/O; docs/risk.md).

It looks at how things stand, never at what it did before, so that a restart, a refused cancel or an order that slipped in changes nothing:
the next look finds what is still to be done. What it must remember between two looks (since when the day's loss has been beyond
the limit) comes in and goes out.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from attrs import field, frozen

from spire.accounting.opening import opens
from spire.accounting.position import Position
from spire.definitions.values import TickTable
from spire.risk.flatten import FlattenOrder, closing_limit, closing_quantity, closing_side
from spire.values.amounts import ZERO_QUANTITY, Money, Price, Quantity, format_amount
from spire.values.orders import Side
from spire.values.risk import RiskMode
from spire.values.time import NANOSECONDS, Timestamp

HOLD_SECONDS: Final = 3.0
"""How long a day's loss must be beyond the limit, on fresh marks, before it counts."""


@frozen(kw_only=True)
class Bounds:
    """The limits of an account as far as Risk reads them; `net_loss` in the account's own currency."""

    net_loss: Money
    transition_seconds: int
    allowed_state: RiskMode


@frozen(kw_only=True)
class Standing:
    """The risk state that holds, written at `since`: of an account without one ACTIVE, at version 0."""

    mode: RiskMode = RiskMode.ACTIVE
    version: int = 0
    expiry: Timestamp | None = None
    since: Timestamp | None = None

    def is_disabled(self, now: Timestamp) -> bool:
        """Return whether all that an account may do is to be closed, also where nobody has written it yet."""
        is_over = self.expiry is not None and now >= self.expiry
        return self.mode is RiskMode.DISABLED or (self.mode is RiskMode.CLOSE_ORDERS and is_over)


@frozen(kw_only=True)
class Announced:
    """A halt of Risk's own, with the version of the risk state that is to follow it."""

    version: int
    reason: str


@frozen(kw_only=True)
class Loss:
    """What an account made today: `closed` is realised less fees, `day` what fresh marks prove of the whole; None where a rate is missing."""

    closed: Money | None
    day: Money | None


@frozen(kw_only=True)
class LiveOrder:
    """A live order; `is_ours` is one of the Risk Server."""

    order_id: int
    instrument_id: int
    side: Side
    leaves: Quantity
    is_ours: bool = False
    is_cancel_pending: bool = False


@frozen(kw_only=True)
class Tradable:
    """How an instrument can be traded now: its quote, or why there is none that may be traded upon."""

    name: str
    increment: Quantity
    ticks: TickTable | None
    quote: tuple[Price, Price] | None
    why_not: str = ""


@frozen(kw_only=True)
class Situation:
    """Everything that is looked at. `orders` is None while they are not known; `now` is wall time, `monotonic` seconds.

    `is_let_go`: a business day that was opened ends the state that holds, whose time does not run out any more.
    """

    now: Timestamp
    monotonic: float
    bounds: Bounds | None
    standing: Standing
    loss: Loss
    announced: Announced | None = None
    is_let_go: bool = False
    orders: tuple[LiveOrder, ...] | None = None
    positions: Mapping[int, Position] = field(factory=dict)
    markets: Mapping[int, Tradable] = field(factory=dict)


@frozen(kw_only=True)
class Move:
    """Write a risk state; `halts_first` says to set a NO_OPENING halt that announces it before."""

    mode: RiskMode
    reason: str
    expiry: Timestamp | None = None
    halts_first: bool = False


@frozen(kw_only=True)
class Course:
    """What is to be done now, and `beyond_since` for the next look.

    `pending` says, by instrument, why a position of a DISABLED account cannot be closed now.
    """

    move: Move | None = None
    cancels: tuple[int, ...] = ()
    orders: tuple[FlattenOrder, ...] = ()
    pending: tuple[str, ...] = ()
    beyond_since: float | None = None
    wants_orders: bool = False


def course(situation: Situation, beyond_since: float | None) -> Course:
    """Return what is to be done about an account."""
    beyond_since, breach = _breach(situation, beyond_since)
    move = _move(situation, breach)
    if move is not None:
        return Course(move=move, beyond_since=beyond_since)
    mode = situation.standing.mode
    if mode is RiskMode.ACTIVE:
        return Course(beyond_since=beyond_since)
    if situation.orders is None:
        return Course(beyond_since=beyond_since, wants_orders=True)
    if mode is RiskMode.CLOSE_ORDERS:
        return Course(
            cancels=tuple(opening_orders(situation.orders, situation.positions)),
            beyond_since=beyond_since,
            wants_orders=True,
        )
    orders, pending = _flatten(situation, situation.orders)
    return Course(
        cancels=tuple(each.order_id for each in situation.orders if not each.is_ours and not each.is_cancel_pending),
        orders=orders,
        pending=pending,
        beyond_since=beyond_since,
        wants_orders=True,
    )


def is_beyond(loss: Money | None, bounds: Bounds) -> bool:
    """Return whether a loss has reached the limit; 0 is a limit, too."""
    return loss is not None and loss <= -bounds.net_loss


def opening_orders(orders: Iterable[LiveOrder], positions: Mapping[int, Position]) -> list[int]:
    """Return the live orders that open risk, the earliest being the first to be counted as closing."""
    kept: dict[int, int] = {}
    found = []
    for order in sorted(orders, key=lambda each: each.order_id):
        position = positions.get(order.instrument_id)
        held = ZERO_QUANTITY if position is None else position.quantity
        pending = kept.get(order.instrument_id, 0)
        if opens(held, order.side, order.leaves, Quantity(pending)):
            if not order.is_cancel_pending:
                found.append(order.order_id)
        else:
            kept[order.instrument_id] = pending + order.leaves
    return found


def _breach(situation: Situation, beyond_since: float | None) -> tuple[float | None, str | None]:
    """Return since when the day's loss is beyond the limit, and what the breach is, if there is one."""
    bounds, loss = situation.bounds, situation.loss
    if bounds is None:
        return None, None
    if is_beyond(loss.closed, bounds):
        assert loss.closed is not None
        return None, _told("realised today less fees", loss.closed, bounds)
    if not is_beyond(loss.day, bounds):
        return None, None
    assert loss.day is not None
    if beyond_since is None:
        beyond_since = situation.monotonic
    if situation.monotonic - beyond_since < HOLD_SECONDS:
        return beyond_since, None
    return beyond_since, _told(f"the day's profit on fresh marks, for {HOLD_SECONDS:g} s,", loss.day, bounds)


def _told(what: str, observed: Money, bounds: Bounds) -> str:
    return f"{what} is {format_amount(observed)}, the limit {format_amount(Money(-bounds.net_loss))}"


def _move(situation: Situation, breach: str | None) -> Move | None:
    """Return the risk state to write, if another one than that which holds."""
    standing, bounds = situation.standing, situation.bounds
    is_active = standing.mode is RiskMode.ACTIVE
    allowed = RiskMode.ACTIVE if bounds is None else bounds.allowed_state
    if standing.mode is RiskMode.DISABLED:
        return None
    if allowed is RiskMode.DISABLED:
        return Move(mode=RiskMode.DISABLED, reason="the limits allow no more", halts_first=is_active)
    if standing.is_disabled(situation.now) and not situation.is_let_go:
        return Move(mode=RiskMode.DISABLED, reason="the time to close orders is over")
    if breach is not None and bounds is not None and (is_active or standing.expiry is None):
        return Move(
            mode=RiskMode.CLOSE_ORDERS,
            reason=breach,
            expiry=_expiry(situation.now, bounds),
            halts_first=is_active,
        )
    if not is_active:
        return None
    if allowed is RiskMode.CLOSE_ORDERS:
        return Move(mode=RiskMode.CLOSE_ORDERS, reason="the limits allow no more", halts_first=True)
    announced = situation.announced
    if announced is not None and announced.version > standing.version and bounds is not None:
        return Move(
            mode=RiskMode.CLOSE_ORDERS,
            reason=announced.reason,
            expiry=_expiry(situation.now, bounds),
            halts_first=announced.version != standing.version + 1,
        )
    return None


def _expiry(now: Timestamp, bounds: Bounds) -> Timestamp:
    return Timestamp(now + bounds.transition_seconds * NANOSECONDS)


def _flatten(situation: Situation, orders: tuple[LiveOrder, ...]) -> tuple[tuple[FlattenOrder, ...], tuple[str, ...]]:
    """Return the next order of each position that can be closed, and why the others cannot."""
    found: list[FlattenOrder] = []
    pending: list[str] = []
    for number, position in sorted(situation.positions.items()):
        if not position.quantity:
            continue
        market = situation.markets.get(number)
        if market is None:
            pending.append(f"instrument {number}: it is not known")
            continue
        side = closing_side(position.quantity)
        working = [each for each in orders if each.instrument_id == number and each.side.direction == side.direction]
        if any(each.is_ours for each in working):
            continue
        leaves = Quantity(sum(each.leaves for each in working))
        quantity = closing_quantity(position.quantity, leaves, market.increment)
        if not quantity:
            reason = "orders that were cancelled still work" if leaves else "less than an order may name is left"
            pending.append(f"{market.name}: {reason}")
        elif market.quote is None:
            pending.append(f"{market.name}: {market.why_not}")
        elif market.ticks is None:
            pending.append(f"{market.name}: its tick table is not known")
        else:
            limit = closing_limit(side, *market.quote, market.ticks)
            found.append(FlattenOrder(instrument_id=number, side=side, quantity=quantity, limit_price=limit))
    return tuple(found), tuple(pending)
