"""Rules and violations as they travel and are stored (docs/compliance.md)."""

from typing import Final

from attrs import frozen

from spire.values.environment import Environment
from spire.values.orders import Side
from spire.values.risk import RuleState
from spire.values.time import Timestamp

RULES: Final = "rules"
"""State topic of all rules by rule id: for servers, administrators, risk officers and auditors."""

VIOLATIONS: Final = "violations"
"""Log topics `violations/<trading account>` of the Compliance Server, for whoever may see the trading account.

Their sequences are those of Order Execution's `activity/0`, so they are not dense: segments say which range they cover.
"""


@frozen(kw_only=True)
class RuleEntry:
    """A rule on a directory entry (a directory or a trading account), as of `version` (from 1); a row of the topic `rules`.

    `schema` names what it checks, `parameters` is the JSON of that schema's own values (`spire.compliance.rules`): a server
    that does not know or cannot read it refuses what it would have checked. `author` wrote this version.
    """

    rule_id: int
    entry_id: int
    schema: str
    parameters: str
    state: RuleState
    version: int
    author: int
    reason: str
    updated: Timestamp


@frozen(kw_only=True)
class RuleDraft:
    """What is asked for when a rule is added or changed; fields as in `RuleEntry`."""

    entry_id: int
    schema: str
    parameters: str
    state: RuleState = RuleState.ACTIVE


@frozen(kw_only=True)
class Violation:
    """That an order broke a rule: refused for it (`state` ACTIVE), or only reported (PASSIVE).

    `sequence` and `epoch` are its place in Order Execution's `activity/0`, one violation an event. `limit` and `observed` are
    as in a refusal.
    """

    sequence: int
    epoch: int
    time: Timestamp
    environment: Environment
    trading_account_id: int
    order_id: int
    client_order_id: str
    entered_by: int
    instrument_id: int
    side: Side
    quantity: int
    rule_id: int
    rule_version: int
    entry_id: int
    schema: str
    state: RuleState
    text: str
    limit: str | None = None
    observed: str | None = None


@frozen(kw_only=True)
class ViolationQuery:
    """Violations of one trading account, or of all beneath a directory (`entry_id`), newest first, at most `limit`.

    `before` is (epoch, sequence) of the last one of the page before; `since` and `until` are times, both included.
    """

    entry_id: int
    rule_id: int | None = None
    since: Timestamp | None = None
    until: Timestamp | None = None
    before: tuple[int, int] | None = None
    limit: int = 50


def violations_topic(trading_account_id: int) -> str:
    """Return the name of a trading account's topic of violations."""
    return f"{VIOLATIONS}/{trading_account_id}"


def parse_violations_topic(name: str) -> int:
    """Return the trading account of a topic's name; ValueError for any other name."""
    head, _, tail = name.partition("/")
    if head != VIOLATIONS or not (tail.isascii() and tail.isdigit()) or str(int(tail)) != tail:
        raise ValueError(f"{name!r} is no topic of violations: write violations/ and the trading account's id")
    return int(tail)
