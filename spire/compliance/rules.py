"""What rules can say, and how an order is held against them (sans-I/O; docs/compliance.md).

A schema is a frozen class of its parameters. A rule is read once (`read_rule`), and asked with everything that it needs as
arguments; what it answers says which limit was broken and what was observed.
"""

import json
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, Final, Protocol

from attrs import Attribute, field, frozen

from spire.compliance.values import RuleEntry
from spire.values.amounts import INT64_MAX, Quantity, format_amount
from spire.values.conversion import from_plain
from spire.values.risk import RuleState
from spire.values.tickers import Ticker

MOST_INSTRUMENTS: Final = 1_000
MOST_ORDERS: Final = 1_000_000
LONGEST_PARAMETERS: Final = 32_000
"""Bytes of the JSON of a rule's parameters: a rule must fit one segment of a topic."""


class Counting(IntEnum):
    """Whose live orders a limit on their number counts."""

    TOGETHER = 1
    """Those of all trading accounts beneath the entry that carries the rule."""
    PER_ACCOUNT = 2
    """Those of the order's own trading account."""


class Circumstances(Protocol):
    """What a rule may ask of the order and of what is live at this moment."""

    instrument_id: int
    ticker: Ticker
    quantity: Quantity

    def live_orders(self, entry_id: int | None) -> int:
        """Return how many orders are live beneath a directory entry; None: of the order's trading account."""


@frozen(kw_only=True)
class Broken:
    """That a rule is broken, and how."""

    text: str
    limit: str | None = None
    observed: str | None = None


@frozen(kw_only=True)
class RejectSubmissions:
    """Refuses every order."""

    def check(self, order: Circumstances, entry_id: int) -> Broken | None:  # noqa: ARG002 - every schema's signature
        """Return that it is broken."""
        return Broken(text="Orders are not accepted here.")


def _check_count(rule: object, attribute: "Attribute[int]", value: int) -> None:  # noqa: ARG001 (a validator)
    if not 0 <= value <= MOST_ORDERS:
        raise ValueError(f"count must be from 0 to {MOST_ORDERS}, and not {value}")


def _check_quantity(rule: object, attribute: "Attribute[Quantity]", value: Quantity) -> None:  # noqa: ARG001 (a validator)
    if not 0 < value <= INT64_MAX:
        bound = f"above 0 and at most {format_amount(INT64_MAX)}"
        raise ValueError(f"quantity must be {bound}, and not {format_amount(value)}")


def _check_instruments(rule: object, attribute: "Attribute[tuple[int, ...]]", value: tuple[int, ...]) -> None:  # noqa: ARG001 (a validator)
    if not 1 <= len(value) <= MOST_INSTRUMENTS:
        raise ValueError(
            f"instrument_ids: name at least one instrument and at most {MOST_INSTRUMENTS}, and not {len(value)}"
        )


@frozen(kw_only=True)
class OrderCountLimit:
    """Refuses an order that would make more than `count` live ones; `counted` says whose."""

    count: int = field(validator=_check_count)
    counted: Counting

    def check(self, order: Circumstances, entry_id: int) -> Broken | None:
        """Return how it is broken, if it is."""
        live = order.live_orders(entry_id if self.counted is Counting.TOGETHER else None) + 1
        if live <= self.count:
            return None
        return Broken(text="There would be too many live orders.", limit=str(self.count), observed=str(live))


@frozen(kw_only=True)
class MaxQuantity:
    """Refuses an order of more than `quantity`."""

    quantity: Quantity = field(validator=_check_quantity)

    def check(self, order: Circumstances, entry_id: int) -> Broken | None:  # noqa: ARG002 - every schema's signature
        """Return how it is broken, if it is."""
        if order.quantity <= self.quantity:
            return None
        return Broken(
            text="The order's quantity is too great.",
            limit=format_amount(self.quantity),
            observed=format_amount(order.quantity),
        )


@frozen(kw_only=True)
class RestrictedInstruments:
    """Refuses orders in the instruments named."""

    instrument_ids: tuple[int, ...] = field(validator=_check_instruments)

    def check(self, order: Circumstances, entry_id: int) -> Broken | None:  # noqa: ARG002 - every schema's signature
        """Return how it is broken, if it is."""
        if order.instrument_id not in self.instrument_ids:
            return None
        return Broken(text="The instrument is restricted.", observed=str(order.ticker))


Rule = RejectSubmissions | OrderCountLimit | MaxQuantity | RestrictedInstruments

SCHEMAS: Final[Mapping[str, type[Rule]]] = {
    "reject_submissions": RejectSubmissions,
    "order_count_limit": OrderCountLimit,
    "max_quantity": MaxQuantity,
    "restricted_instruments": RestrictedInstruments,
}
"""The schemas that this release knows, by name."""


class RuleError(ValueError):
    """A rule that cannot be read: its schema is unknown, or a parameter is wrong."""


def read_rule(schema: str, parameters: str) -> Rule:
    """Return the rule that a schema's name and parameters (JSON) stand for. Raises RuleError with what is wrong."""
    kind = SCHEMAS.get(schema)
    if kind is None:
        raise RuleError(f"schema: there is no rule {schema[:40]!r}; there are {', '.join(SCHEMAS)}")
    if len(parameters.encode()) > LONGEST_PARAMETERS:
        raise RuleError(f"parameters: at most {LONGEST_PARAMETERS} bytes")
    try:
        plain = json.loads(parameters)
    except (ValueError, RecursionError):
        raise RuleError("parameters: no JSON object") from None
    try:
        return from_plain(kind, plain)
    except ValueError as error:
        # What was sent stands in the text: it may be long, or no text that UTF-8 can carry.
        text = str(error).encode(errors="backslashreplace").decode().removeprefix("value: ")
        raise RuleError(f"parameters: {text[:300]}") from None


@frozen(kw_only=True)
class Breach:
    """A rule that an order broke: `entry` is its version in force, `broken` says how."""

    entry: RuleEntry
    broken: Broken

    @property
    def refuses(self) -> bool:
        """Whether the order is refused for it."""
        return self.entry.state is RuleState.ACTIVE

    @property
    def name(self) -> str:
        """Return the rule's name in refusals: its schema and id."""
        return f"{self.entry.schema[:40]}/{self.entry.rule_id}"


class RuleBook:
    """The rules in force, read once, by the directory entry that carries them.

    `version` counts the changes that were ever made to rules: each is one more version of one rule, and none is deleted.
    """

    def __init__(self, entries: Iterable[RuleEntry] = ()) -> None:
        self.version = 0
        self._rules: dict[int, dict[int, tuple[RuleEntry, Rule | None]]] = {}
        for entry in entries:
            self.put(entry)

    def put(self, entry: RuleEntry) -> None:
        """Take over a rule's newest version; one that cannot be read is kept, and breaks for every order."""
        rule: Rule | None
        try:
            rule = read_rule(entry.schema, entry.parameters)
        except RuleError:
            rule = None
        self.remove(entry)
        self._rules.setdefault(entry.entry_id, {})[entry.rule_id] = (entry, rule)
        self.version += entry.version

    def remove(self, entry: RuleEntry) -> None:
        """Forget a rule, whatever version of it is there."""
        known = self._rules.get(entry.entry_id, {}).pop(entry.rule_id, None)
        if known is not None:
            self.version -= known[0].version

    def on(self, entry_id: int) -> tuple[RuleEntry, ...]:
        """Return the rules that an entry carries, by id."""
        rules = self._rules.get(entry_id, {})
        return tuple(rules[number][0] for number in sorted(rules))

    def check(self, lineage: Iterable[int], order: Circumstances) -> tuple[Breach, ...]:
        """Return what an order breaks, from the root of the directory down to its trading account, by rule id on each.

        It ends with the first rule that refuses; those before it only report.
        """
        found: list[Breach] = []
        for entry_id in lineage:
            rules = self._rules.get(entry_id)
            if not rules:
                continue
            for number in sorted(rules):
                entry, rule = rules[number]
                if entry.state is RuleState.DISABLED:
                    continue
                broken = _UNREADABLE if rule is None else rule.check(order, entry_id)
                if broken is not None:
                    found.append(Breach(entry=entry, broken=broken))
                    if entry.state is RuleState.ACTIVE:
                        return tuple(found)
        return tuple(found)


_UNREADABLE: Final = Broken(text="A rule cannot be read by this server, which refuses what it would have checked.")


def describe(parameters: Mapping[str, Any]) -> str:
    """Return parameters as the JSON text that an entry carries: keys sorted, no blanks."""
    return json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical(parameters: str) -> str:
    """Return the text of parameters that `read_rule` has read as `describe` writes it."""
    return describe(json.loads(parameters))
