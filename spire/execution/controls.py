"""What people and servers have set for a trading account, and what of it stops an order (sans-I/O).

Halts and risk states are one rule (`permits`); compliance rules are Compliance's own (`spire.compliance.rules`).
"""

from collections.abc import Callable, Mapping
from typing import Final

from attrs import define, field, frozen

from spire.administration.values import Limits, RiskState
from spire.compliance.rules import Breach, RuleBook
from spire.definitions.rates import Conversion
from spire.execution.values import Halt, Refusal
from spire.values.amounts import Quantity
from spire.values.codes import Currency
from spire.values.risk import HaltMode, RiskMode
from spire.values.tickers import Ticker

HEARTBEAT_SECONDS: Final = 5.0
"""A Risk Server that was not heard of for longer does not supervise."""


@frozen(kw_only=True)
class Controls:
    """What a decision must heed beside market and position, as last received.

    `by_risk`: the Risk Server sends the order. `halts` are those in force whose scope holds the trading account; `lineage` are the
    entries above it, and itself, that carry rules, the root first, and `count_live` answers the live orders beneath one of them (None:
    the account's own).
    `conversions` lead from other currencies into that of the limits, None where no rate says how. `unsupervised` says why Risk does not
    watch the account; None where it does.
    """

    by_risk: bool = False
    halts: tuple[Halt, ...] = ()
    limits: Limits | None = None
    state: RiskState | None = None
    unsupervised: str | None = None
    rules: RuleBook = field(factory=RuleBook)
    lineage: tuple[int, ...] = ()
    count_live: Callable[[int | None], int] = lambda _: 0
    conversions: Mapping[Currency, Conversion | None] = field(factory=dict)


@define
class Asked:
    """What compliance rules may ask of an order."""

    instrument_id: int
    ticker: Ticker
    quantity: Quantity
    live_orders: Callable[[int | None], int]


def permits(mode: HaltMode, *, is_opening: bool, passes_risk: bool) -> bool:
    """Return whether an order may be submitted under NO_OPENING or NO_NEW.

    NO_OPENING lets pass what reduces. NO_NEW lets nothing pass, unless it `passes_risk`: then what reduces.
    """
    return not is_opening and (mode is HaltMode.NO_OPENING or passes_risk)


def stopped_by_halt(controls: Controls, *, is_opening: bool) -> Refusal | None:
    """Refuse an order that a halt stops. A person's NO_NEW stops Risk's orders too."""
    for halt in controls.halts:
        if not permits(halt.mode, is_opening=is_opening, passes_risk=False):
            return refusal_of(halt)
    return None


def refusal_of(halt: Halt) -> Refusal:
    """Return how a halt refuses an order."""
    return Refusal(
        code="HALTED",
        text=f"Orders are halted ({halt.scope.name}): {halt.reason}"[:1000],
        rule=f"halt/{halt.halt_id}",
        observed=halt.mode.name,
    )


def forbidden_by_state(
    limits: Limits | None, state: RiskState | None, *, is_opening: bool, by_risk: bool = False
) -> Refusal | None:
    """Refuse an order that the risk state, or the state that the limits allow at most, stops.

    CLOSE_ORDERS is NO_OPENING, DISABLED is NO_NEW but for what Risk reduces.
    """
    mode = RiskMode.ACTIVE if state is None else state.mode
    allowed = RiskMode.ACTIVE if limits is None else limits.terms.allowed_state
    strictest = max(mode, allowed)
    if strictest is RiskMode.ACTIVE:
        return None
    stop = HaltMode.NO_OPENING if strictest is RiskMode.CLOSE_ORDERS else HaltMode.NO_NEW
    if permits(stop, is_opening=is_opening, passes_risk=by_risk):
        return None
    return Refusal(
        code="RISK_STATE",
        text=f"The trading account is {strictest.name}: {_allowed(stop)}.",
        rule="risk_state" if mode is strictest else "allowed_state",
        observed=strictest.name,
    )


def stopped_by_state(controls: Controls, *, is_opening: bool) -> Refusal | None:
    """Refuse what risk state or limits forbid, and what opens unsupervised."""
    refusal = forbidden_by_state(controls.limits, controls.state, is_opening=is_opening, by_risk=controls.by_risk)
    if refusal is not None:
        return refusal
    if is_opening and controls.unsupervised is not None:
        return Refusal(
            code="RISK_UNSUPERVISED",
            text="The Risk Server does not watch the trading account now; an order may only reduce.",
            rule="risk_heartbeat",
            limit=f"{HEARTBEAT_SECONDS:g}",
            observed=controls.unsupervised,
        )
    return None


def _allowed(stop: HaltMode) -> str:
    return "an order may only reduce" if stop is HaltMode.NO_OPENING else "it takes no orders"


def check_rules(
    controls: Controls, instrument_id: int, ticker: Ticker, quantity: Quantity
) -> tuple[Refusal | None, tuple[Breach, ...]]:
    """Return the refusal of the first rule that refuses, and all rules that were broken up to it; Risk is exempt."""
    if controls.by_risk or not controls.lineage:
        return None, ()
    asked = Asked(instrument_id, ticker, quantity, controls.count_live)
    breaches = controls.rules.check(controls.lineage, asked)
    if not breaches or not breaches[-1].refuses:
        return None, breaches
    last = breaches[-1]
    refusal = Refusal(
        code="COMPLIANCE",
        text=last.broken.text,
        rule=last.name,
        limit=last.broken.limit,
        observed=last.broken.observed,
    )
    return refusal, breaches


@define
class Supervision:
    """When the Risk Server was last heard of, and what it watches; moments are monotonic seconds.

    `through` is the greatest trading account id that it knows, `blind` are those up to it that it cannot watch.
    """

    heard: float | None = None
    blind: frozenset[int] = frozenset()
    through: int = 0

    def hear(self, now: float, blind: frozenset[int], through: int) -> None:
        """Take a heartbeat."""
        self.heard, self.blind, self.through = now, blind, through

    def age(self, now: float) -> float | None:
        """Return the seconds since the last heartbeat; None before the first."""
        return None if self.heard is None else now - self.heard

    def silent_for(self, now: float) -> str | None:
        """Return for how long Risk has been silent, if that is too long."""
        if self.heard is None:
            return "never heard of"
        age = now - self.heard
        return f"{age:.1f}" if age > HEARTBEAT_SECONDS else None

    def trouble(self, trading_account_id: int, now: float) -> str | None:
        """Return why a trading account is not supervised; None where it is."""
        silent = self.silent_for(now)
        if silent is not None:
            return silent
        if trading_account_id > self.through:
            return "unknown to Risk"
        return "blind" if trading_account_id in self.blind else None
