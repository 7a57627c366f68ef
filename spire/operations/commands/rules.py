"""`spire-admin rule`: what Compliance refuses or reports."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import click
from attrs import frozen

from spire.client.platform import Spire
from spire.compliance.rules import Counting, describe
from spire.compliance.values import RuleDraft, RuleEntry
from spire.locator.values import Kind
from spire.operations.commands.accounts import (
    Names,
    group,
    id_among,
    number_of,
    reason_option,
    trading_account_id,
    trading_accounts,
)
from spire.operations.commands.output import Column, Output
from spire.operations.commands.parameters import NUMBER, QUANTITY, Whole
from spire.operations.commands.shell import logged_in
from spire.operations.commands.tickers import find_instrument, tickers_of
from spire.values.amounts import Quantity, format_amount
from spire.values.risk import RuleState
from spire.values.time import format_timestamp
from spire.wire.errors import Invalid, NotFound

SERVICE: Final = "compliance_service"

COLUMNS: Final = (
    Column("rule_id", "Rule", numeric=True),
    Column("on", "On", number="entry_id", what="entry"),
    Column("checks", "Checks"),
    Column("state", "State"),
    Column("version", "Version", numeric=True),
    Column("author", "By", number="author_id"),
    Column("updated", "Since (UTC)", is_time=True),
    Column("reason", "Reason"),
)


@frozen(kw_only=True)
class Checks:
    """What a rule is to check, as it was typed; None of all is as it was."""

    max_quantity: Quantity | None
    order_count: int | None
    per_account: bool
    restrict: str | None
    reject: bool

    @property
    def number(self) -> int:
        """How many of them were named."""
        return sum(
            (self.max_quantity is not None, self.order_count is not None, self.restrict is not None, self.reject)
        )


def check_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what a rule may check, and its state."""
    for option in (
        click.option("--reject", is_flag=True, help="Refuse every order."),
        click.option("--restrict", metavar="TICKER,...", help="Refuse orders in these instruments."),
        click.option("--per-account", is_flag=True, help="Count each trading account apart, not all together."),
        click.option("--order-count", type=NUMBER, help="At most so many live orders."),
        click.option("--max-quantity", type=QUANTITY, help="At most this quantity an order."),
    ):
        function = option(function)
    return function


def state_option(default: str | None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option of a rule's state."""
    return click.option(
        "--state",
        type=click.Choice(list(RuleState.__members__), case_sensitive=False),
        default=default,
        show_default=default is not None,
        help="ACTIVE refuses, PASSIVE reports only, DISABLED does nothing.",
    )


@click.group()
def rule() -> None:
    """Add, change and show rules on trading groups and trading accounts."""


@rule.command()
@click.option("--on", "target", required=True, metavar="GROUP_OR_ACCOUNT", help="Where it stands; inherited below.")
@check_options
@state_option("ACTIVE")
@reason_option
@logged_in
async def add(spire: Spire, output: Output, /, target: str, state: str, reason: str, **typed: Any) -> None:
    """Put a rule on a trading group or a trading account (or / for the whole firm).

    For example: spire-admin rule add --on arbitrage --max-quantity 500 --reason "small orders only"

    A group and an account of one name are told apart as group:NAME and account:NAME.
    """
    checks = Checks(**typed)
    if checks.number != 1:
        raise click.UsageError("Name one of --max-quantity, --order-count, --restrict and --reject.")
    entry_id = await carrier(spire, target)
    schema, parameters = await _drafted(spire, checks)
    await spire.ready(SERVICE)
    draft = RuleDraft(entry_id=entry_id, schema=schema, parameters=parameters, state=RuleState[state.upper()])
    await _tell(spire, output, [await spire.compliance.add_rule(draft, reason)])


@rule.command()
@click.argument("rule_id", type=Whole(min=1), metavar="RULE_ID")
@check_options
@state_option(None)
@reason_option
@click.option("--expected-version", type=Whole(min=1), help="Refuse if another version holds.")
@logged_in
async def change(
    spire: Spire,
    output: Output,
    /,
    rule_id: int,
    state: str | None,
    reason: str,
    expected_version: int | None,
    **typed: Any,
) -> None:
    """Change what the rule RULE_ID checks, or its state; what is not named stays as it is.

    For example: spire-admin rule change 12 --state passive --reason "only look for a week"
    """
    checks = Checks(**typed)
    if checks.number > 1 or (not checks.number and state is None):
        raise click.UsageError(
            "Name --state, or one of --max-quantity, --order-count, --restrict and --reject, or both."
        )
    await spire.ready(SERVICE)
    known = (await _history(spire, rule_id))[-1]
    schema, parameters = await _drafted(spire, checks) if checks.number else (known.schema, known.parameters)
    draft = RuleDraft(
        entry_id=known.entry_id,
        schema=schema,
        parameters=parameters,
        state=known.state if state is None else RuleState[state.upper()],
    )
    version = known.version if expected_version is None else expected_version
    await _tell(
        spire,
        output,
        [await spire.compliance.change_rule(rule_id, draft, expected_version=version, reason=reason)],
    )


@rule.command("list")
@click.option("--on", "target", metavar="GROUP_OR_ACCOUNT", help="Those that bind there, inherited ones included.")
@logged_in
async def list_rules(spire: Spire, output: Output, target: str | None) -> None:
    """List the rules of the firm, or those that bind a trading group or a trading account.

    For example: spire-admin rule list --on ann
    """
    entry_id = None if target is None else await carrier(spire, target)
    await spire.ready(SERVICE)
    if entry_id is not None:
        found = list(await spire.compliance.rules_of(entry_id))
    else:
        view = spire.compliance.rules()
        await view.when_ready()
        found = sorted(view.rows.values(), key=lambda entry: entry.rule_id)
        view.close()
    await _tell(spire, output, found, empty="There is no rule.")


@rule.command()
@click.argument("rule_id", type=Whole(min=1), metavar="RULE_ID")
@logged_in
async def history(spire: Spire, output: Output, rule_id: int) -> None:
    """Show every version of the rule RULE_ID, oldest first.

    For example: spire-admin rule history 12
    """
    await spire.ready(SERVICE)
    await _tell(spire, output, await _history(spire, rule_id))


async def _history(spire: Spire, rule_id: int) -> list[RuleEntry]:
    found = list(await spire.compliance.rule_history(rule_id))
    if not found:
        raise NotFound(f"There is no rule {rule_id}. See: spire-admin rule list", rule_id=rule_id)
    return found


async def carrier(spire: Spire, target: str) -> int:
    """Return the directory entry that is called so: a trading group, a trading account, or a path."""
    if not target:
        raise click.UsageError("--on names nothing: write a trading group, a trading account, or / for the firm.")
    kind, colon, name = target.partition(":")
    if colon and kind == "group":
        return (await group(spire, name)).entry_id
    if colon and kind == "account":
        return await trading_account_id(spire, name)
    if "/" in target:
        entry = await spire.directory.find(target)
        if entry.kind is Kind.ACCOUNT:
            raise Invalid(f"{target} is an account that logs in: rules stand on trading accounts and directories.")
        return entry.entry_id
    found: list[tuple[str, int]] = []
    with suppress(NotFound):
        found.append(("group", (await group(spire, target)).entry_id))
    known = await trading_accounts(spire)
    number = number_of(target)
    if target in known.values() or number in known or (number is not None and not found):
        found.append(("account", id_among(target, known)))
    if len(found) > 1:
        raise Invalid(f"{target} is a trading group and a trading account: write group:{target} or account:{target}.")
    if not found:
        raise NotFound(f"There is no trading group and no trading account {target} that you may see.", name=target)
    return found[0][1]


async def _drafted(spire: Spire, checks: Checks) -> tuple[str, str]:
    """Return the schema and parameters of what was typed; whether they make sense is the server's to say."""
    if checks.per_account and checks.order_count is None:
        raise click.UsageError("--per-account belongs to --order-count.")
    if checks.max_quantity is not None:
        return "max_quantity", describe({"quantity": format_amount(checks.max_quantity)})
    if checks.order_count is not None:
        counted = Counting.PER_ACCOUNT if checks.per_account else Counting.TOGETHER
        return "order_count_limit", describe({"count": str(checks.order_count), "counted": counted.name})
    if checks.restrict is not None:
        definitions = await spire.definitions_ready()
        tickers = [word for word in checks.restrict.split(",") if word]
        numbers = [str(find_instrument(definitions, ticker).instrument_id) for ticker in tickers]
        return "restricted_instruments", describe({"instrument_ids": numbers})
    return "reject_submissions", describe({})


async def _tell(spire: Spire, output: Output, rules: list[RuleEntry], empty: str = "Nothing to show.") -> None:
    names, ticker = Names(spire), await tickers_of(spire)
    rows = [
        {
            "rule_id": str(entry.rule_id),
            "on": await names.of(entry.entry_id),
            "entry_id": str(entry.entry_id),
            "schema": entry.schema,
            "parameters": entry.parameters,
            "checks": words_of(entry, ticker),
            "state": entry.state.name,
            "version": str(entry.version),
            "author": await names.of(entry.author),
            "author_id": str(entry.author),
            "updated": format_timestamp(entry.updated),
            "reason": entry.reason,
        }
        for entry in rules
    ]
    output.table(COLUMNS, rows, empty=empty)


def words_of(entry: RuleEntry, ticker: Callable[[int], str]) -> str:
    """Return what a rule checks in words; as it is stored where this release does not know it."""
    try:
        parameters: dict[str, Any] = json.loads(entry.parameters)
        match entry.schema:
            case "max_quantity":
                return f"at most {parameters['quantity']} an order"
            case "order_count_limit":
                whose = "an account" if parameters["counted"] == Counting.PER_ACCOUNT.name else "together"
                return f"at most {parameters['count']} live orders {whose}"
            case "restricted_instruments":
                return f"no orders in {', '.join(ticker(int(number)) for number in parameters['instrument_ids'])}"
            case "reject_submissions":
                return "no orders"
    except (ValueError, KeyError, TypeError):
        pass
    return f"{entry.schema} {entry.parameters}"
