"""How reports move an order: the table of legal status transitions (docs/values.md).

Rules that the table alone does not show: a fill is always booked, also after the order ended (flagged) and beyond its quantity
(flagged); a bust lowers what was filled and never reopens an order nor gives its quantity back to work; DONE_FOR_DAY ends an
order unless it is good till cancelled or till a date.
"""

from collections.abc import Callable
from enum import IntFlag
from typing import Final

from attrs import evolve, frozen

from spire.values.amounts import ZERO_NOTIONAL, ZERO_PRICE, ZERO_QUANTITY, Notional, Price, Quantity, notional
from spire.values.orders import ExecType, Status, TimeInForce
from spire.values.report import Report
from spire.values.submission import Submission


class TransitionError(ValueError):
    """A report says what cannot follow from where its order stands."""


class Flag(IntFlag):
    """What is true of an order beside its status; the numbers stand in reports."""

    PENDING_CANCEL = 1
    PENDING_REPLACE = 2
    IN_DOUBT = 4
    FILLED_AFTER_END = 8
    OVERFILLED = 16
    BUSTED = 32


NO_FLAGS: Final = Flag(0)
PENDING: Final = Flag.PENDING_CANCEL | Flag.PENDING_REPLACE

_ENDED: Final = frozenset((Status.FILLED, Status.CANCELED, Status.EXPIRED, Status.REJECTED))
_LASTING: Final = frozenset((TimeInForce.GTC, TimeInForce.GTD))
_ALL: Final = frozenset(Status)
_LIVE: Final = _ALL - _ENDED

LEGAL: Final[dict[ExecType, dict[Status, frozenset[Status]]]] = {
    ExecType.NEW: {
        Status.PENDING_NEW: frozenset((Status.NEW,)),
        Status.NEW: frozenset((Status.NEW,)),
        Status.PARTIALLY_FILLED: frozenset((Status.PARTIALLY_FILLED,)),
        Status.DONE_FOR_DAY: frozenset((Status.NEW, Status.PARTIALLY_FILLED)),
        Status.FILLED: frozenset((Status.FILLED,)),
        Status.CANCELED: frozenset((Status.CANCELED,)),
        Status.EXPIRED: frozenset((Status.EXPIRED,)),
    },
    ExecType.TRADE: {status: frozenset((Status.PARTIALLY_FILLED, Status.FILLED)) for status in _LIVE}
    | {status: frozenset((status,)) for status in _ENDED},
    ExecType.CANCELED: {status: frozenset((Status.CANCELED,)) for status in _LIVE},
    ExecType.EXPIRED: {status: frozenset((Status.EXPIRED,)) for status in _LIVE},
    ExecType.REJECTED: {status: frozenset((Status.REJECTED,)) for status in (Status.PENDING_NEW, Status.NEW)},
    ExecType.DONE_FOR_DAY: {status: frozenset((Status.DONE_FOR_DAY,)) for status in _LIVE - {Status.PENDING_NEW}},
    ExecType.REPLACED: {
        Status.PENDING_NEW: frozenset((Status.NEW,)),
        Status.NEW: frozenset((Status.NEW,)),
        Status.PARTIALLY_FILLED: frozenset((Status.PARTIALLY_FILLED, Status.FILLED)),
        Status.DONE_FOR_DAY: frozenset((Status.NEW, Status.PARTIALLY_FILLED, Status.FILLED)),
    },
    ExecType.RESTATED: {status: frozenset((status, Status.CANCELED)) for status in _LIVE - {Status.PENDING_NEW}},
    ExecType.CANCEL_REJECTED: {status: frozenset((status,)) for status in _ALL},
    ExecType.REPLACE_REJECTED: {status: frozenset((status,)) for status in _ALL},
    ExecType.STATUS: {status: frozenset((status,)) for status in _ALL},
    ExecType.TRADE_CANCEL: {status: frozenset((status,)) for status in _ALL - {Status.PENDING_NEW, Status.NEW}},
    ExecType.TRADE_CORRECT: {status: frozenset((status,)) for status in _ALL - {Status.PENDING_NEW, Status.NEW}}
    | {Status.PARTIALLY_FILLED: frozenset((Status.PARTIALLY_FILLED, Status.FILLED))},
}
"""For each kind of report: from which status it may come, and to which it may lead."""

_AFTER_THE_DAY: Final = frozenset((Status.DONE_FOR_DAY,))
_STILL_SAID_AFTER_THE_DAY: Final = frozenset(
    (
        ExecType.TRADE,
        ExecType.TRADE_CANCEL,
        ExecType.TRADE_CORRECT,
        ExecType.CANCEL_REJECTED,
        ExecType.REPLACE_REJECTED,
        ExecType.STATUS,
    )
)


@frozen(kw_only=True)
class OrderState:
    """Where one order stands after its reports so far; `sequence` is the last report's, 0 before the first.

    `leaves` is what may still fill; a bust does not raise it. Quantities are scaled by 10**6, `notional` by 10**12.
    """

    order_id: int
    version: int = 1
    sequence: int = 0
    status: Status = Status.PENDING_NEW
    time_in_force: TimeInForce
    quantity: Quantity
    cumulative: Quantity = ZERO_QUANTITY
    leaves: Quantity
    notional: Notional = ZERO_NOTIONAL
    flags: Flag = NO_FLAGS

    @property
    def is_live(self) -> bool:
        """Return whether the order may still fill at its destination."""
        return not is_terminal(self.status, self.time_in_force)


@frozen(kw_only=True)
class Change:
    """What a report does to its order: the part of it that `advance` reads."""

    exec_type: ExecType
    quantity: Quantity = ZERO_QUANTITY
    price: Price = ZERO_PRICE
    replaced_quantity: Quantity = ZERO_QUANTITY
    replaced_price: Price = ZERO_PRICE
    order_quantity: Quantity | None = None
    version: int | None = None


def is_terminal(status: Status, time_in_force: TimeInForce) -> bool:
    """Return whether an order of this status has ended."""
    return status in _ENDED or (status is Status.DONE_FOR_DAY and time_in_force not in _LASTING)


def submitted(submission: Submission) -> OrderState:
    """Return the state of an order without a report: PENDING_NEW."""
    return OrderState(
        order_id=submission.order_id,
        time_in_force=submission.time_in_force,
        quantity=submission.quantity,
        leaves=submission.quantity,
    )


def change_of(report: Report) -> Change:
    """Return what a report does to its order."""
    return Change(
        exec_type=report.exec_type,
        quantity=report.last_quantity or Quantity(0),
        price=report.last_price or Price(0),
        replaced_quantity=report.replaced_quantity or Quantity(0),
        replaced_price=report.replaced_price or Price(0),
        order_quantity=report.order_quantity,
        version=report.version,
    )


def apply(state: OrderState, report: Report) -> OrderState:
    """Return where an order stands after its next report.

    TransitionError: the report is not the order's next one, may not follow, or states another outcome.
    """
    if report.order_id != state.order_id or report.sequence != state.sequence + 1:
        raise TransitionError(
            f"report {report.sequence} of order {report.order_id} does not follow {state.sequence} of {state.order_id}"
        )
    after = advance(state, change_of(report))
    if (after.status, after.cumulative, after.leaves, after.notional) != (
        report.status,
        report.cumulative,
        report.leaves,
        report.notional,
    ):
        raise TransitionError(f"report {report.report_id} states another outcome than follows from its order")
    return after


def advance(state: OrderState, change: Change) -> OrderState:
    """Return where an order stands after a change, one report further.

    TransitionError: the change may not follow from the order's status, or has no quantity where it needs one.
    """
    legal = legal_outcomes(state, change.exec_type)
    if not legal:
        raise TransitionError(f"{change.exec_type.name} cannot follow {state.status.name}")
    after = _EFFECTS[change.exec_type](state, change)
    if after.status not in legal:
        raise TransitionError(
            f"{change.exec_type.name} cannot take an order from {state.status.name} to {after.status.name}"
        )
    version = state.version if change.version is None else change.version
    return evolve(after, sequence=state.sequence + 1, version=version)


def legal_outcomes(state: OrderState, exec_type: ExecType) -> frozenset[Status]:
    """Return the statuses to which a kind of report may take an order; none when it may not come at all."""
    if state.status is Status.DONE_FOR_DAY and not state.is_live:
        return _AFTER_THE_DAY if exec_type in _STILL_SAID_AFTER_THE_DAY else frozenset()
    return LEGAL[exec_type].get(state.status, frozenset())


def _working(state: OrderState) -> Status:
    return Status.PARTIALLY_FILLED if state.cumulative else Status.NEW


def _acknowledged(state: OrderState, _change: Change) -> OrderState:
    flags = state.flags & ~Flag.IN_DOUBT
    if state.status in (Status.PENDING_NEW, Status.DONE_FOR_DAY):
        return evolve(state, status=_working(state), flags=flags)
    return evolve(state, flags=flags)


def _filled(state: OrderState, change: Change) -> OrderState:
    if change.quantity <= 0:
        raise TransitionError(f"a fill of {change.quantity} is none")
    flags = state.flags & ~Flag.IN_DOUBT
    status = state.status
    leaves = Quantity(max(0, state.leaves - change.quantity))
    if state.is_live:
        status = Status.PARTIALLY_FILLED if leaves else Status.FILLED
        if leaves == 0:
            flags &= ~PENDING
        if change.quantity > state.leaves:
            flags |= Flag.OVERFILLED
    elif status is Status.FILLED:
        flags |= Flag.OVERFILLED
    else:
        flags |= Flag.FILLED_AFTER_END
        if state.cumulative + change.quantity > state.quantity:
            flags |= Flag.OVERFILLED
    return evolve(
        state,
        status=status,
        cumulative=Quantity(state.cumulative + change.quantity),
        leaves=leaves,
        notional=Notional(state.notional + notional(change.price, change.quantity)),
        flags=flags,
    )


def _busted(state: OrderState, change: Change) -> OrderState:
    if not 0 < change.quantity <= state.cumulative:
        raise TransitionError(f"a bust of {change.quantity} does not fit a filled quantity of {state.cumulative}")
    return evolve(
        state,
        cumulative=Quantity(state.cumulative - change.quantity),
        notional=Notional(state.notional - notional(change.price, change.quantity)),
        flags=state.flags | Flag.BUSTED,
    )


def _corrected(state: OrderState, change: Change) -> OrderState:
    cumulative = Quantity(state.cumulative - change.replaced_quantity + change.quantity)
    if change.quantity <= 0 or not 0 < change.replaced_quantity <= state.cumulative:
        raise TransitionError("a correction needs the fill that it replaces and the one in its place")
    more = max(0, change.quantity - change.replaced_quantity)
    leaves = Quantity(max(0, state.leaves - more))
    flags = state.flags | Flag.OVERFILLED if more > state.leaves else state.flags
    status = Status.FILLED if state.status is Status.PARTIALLY_FILLED and leaves == 0 else state.status
    return evolve(
        state,
        status=status,
        cumulative=cumulative,
        leaves=leaves,
        notional=Notional(
            state.notional
            - notional(change.replaced_price, change.replaced_quantity)
            + notional(change.price, change.quantity)
        ),
        flags=flags,
    )


def _ended(status: Status) -> "_Effect":
    def end(state: OrderState, _change: Change) -> OrderState:
        return evolve(state, status=status, leaves=Quantity(0), flags=state.flags & ~(PENDING | Flag.IN_DOUBT))

    return end


def _done_for_day(state: OrderState, _change: Change) -> OrderState:
    leaves = state.leaves if state.time_in_force in _LASTING else Quantity(0)
    return evolve(state, status=Status.DONE_FOR_DAY, leaves=leaves)


def _resized(state: OrderState, change: Change) -> tuple[Quantity, Quantity]:
    quantity = state.quantity if change.order_quantity is None else change.order_quantity
    return quantity, Quantity(max(0, state.leaves + quantity - state.quantity))


def _replaced(state: OrderState, change: Change) -> OrderState:
    quantity, leaves = _resized(state, change)
    status = _working(state) if leaves else Status.FILLED
    flags = state.flags & ~(Flag.PENDING_REPLACE | Flag.IN_DOUBT)
    return evolve(state, quantity=quantity, leaves=leaves, status=status, flags=flags)


def _restated(state: OrderState, change: Change) -> OrderState:
    quantity, leaves = _resized(state, change)
    return evolve(state, quantity=quantity, leaves=leaves, status=state.status if leaves else Status.CANCELED)


def _cancel_refused(state: OrderState, _change: Change) -> OrderState:
    return evolve(state, flags=state.flags & ~Flag.PENDING_CANCEL)


def _replace_refused(state: OrderState, _change: Change) -> OrderState:
    return evolve(state, flags=state.flags & ~Flag.PENDING_REPLACE)


def _confirmed(state: OrderState, _change: Change) -> OrderState:
    return evolve(state, flags=state.flags & ~Flag.IN_DOUBT)


_Effect = Callable[[OrderState, Change], OrderState]

_EFFECTS: Final[dict[ExecType, _Effect]] = {
    ExecType.NEW: _acknowledged,
    ExecType.TRADE: _filled,
    ExecType.CANCELED: _ended(Status.CANCELED),
    ExecType.REPLACED: _replaced,
    ExecType.REJECTED: _ended(Status.REJECTED),
    ExecType.EXPIRED: _ended(Status.EXPIRED),
    ExecType.CANCEL_REJECTED: _cancel_refused,
    ExecType.REPLACE_REJECTED: _replace_refused,
    ExecType.TRADE_CANCEL: _busted,
    ExecType.TRADE_CORRECT: _corrected,
    ExecType.RESTATED: _restated,
    ExecType.DONE_FOR_DAY: _done_for_day,
    ExecType.STATUS: _confirmed,
}
