"""Limits and risk states: `spire limits`, and `spire-admin limits set|show|history`."""

from typing import Any, Final

import click

from spire.administration.values import Limits, LimitTerms
from spire.client.platform import Spire
from spire.operations.commands.accounts import (
    Names,
    account_argument,
    reason_option,
    trading_account_id,
    trading_accounts,
)
from spire.operations.commands.output import Column, Output, named
from spire.operations.commands.parameters import MONEY, NUMBER, Whole, time_or_none
from spire.operations.commands.shell import logged_in
from spire.operations.commands.states import COLUMNS as STATE_COLUMNS
from spire.operations.commands.states import state_fields
from spire.values.amounts import Money, format_amount
from spire.values.codes import Currency
from spire.values.risk import RiskMode
from spire.values.time import format_timestamp
from spire.wire.errors import Forbidden, NotFound, SpireError

SERVICE: Final = "administration_service"
UNSEEN_CURRENCY: Final = Currency("USD")
"""What is sent for a trading account that the caller may not see: the server refuses it in any currency."""

COLUMNS: Final = (
    Column("account", "Account", number="trading_account_id"),
    Column("buying_power", "Buying power", numeric=True),
    Column("net_loss", "Loss limit", numeric=True),
    Column("currency", "Currency"),
    Column("transition_seconds", "Transition s", numeric=True),
    Column("allowed_state", "Allowed"),
    Column("version", "Version", numeric=True),
    Column("actor", "By", number="actor_id"),
    Column("effective_from", "From (UTC)", is_time=True),
    Column("reason", "Reason"),
)
LIMITS_OF: Final = "Limits"
STATES_OF: Final = "Risk states"
NEVER_SET: Final = "Limits were never set, so that no position may be opened"


@click.command("limits")
@click.argument("account", required=False, metavar="[ACCOUNT]")
@click.option(
    "--history", "with_history", is_flag=True, help="Every version of the limits of ACCOUNT and of its risk state."
)
@logged_in
async def show_limits(spire: Spire, output: Output, account: str | None, with_history: bool) -> None:
    """Show limits and risk state of ACCOUNT, or of every trading account that you see: version, by whom and why.

    For example: spire limits demo_trader --history
    """
    if with_history:
        if account is None:
            raise click.UsageError("--history needs an ACCOUNT.")
        await tell_history(spire, output, account)
    else:
        await tell_limits(spire, output, account)


@click.group()
def limits() -> None:
    """Set and show the limits of trading accounts."""


@limits.command("set")
@account_argument
@click.option("--currency", help="The currency of the amounts. [default: as it was, else the trading account's]")
@click.option("--buying-power", type=MONEY, help="What it may tie up; 0 is nothing. [default: as it was]")
@click.option(
    "--net-loss", type=MONEY, help="The loss of a day at which Risk stops it; 0 stops it at once. [default: as it was]"
)
@click.option("--transition-seconds", type=NUMBER, help="From CLOSE_ORDERS to DISABLED. [default: as it was, else 300]")
@click.option(
    "--allowed-state",
    type=click.Choice(list(RiskMode.__members__), case_sensitive=False),
    help="The most that it may do on any day. [default: as it was, else ACTIVE]",
)
@reason_option
@click.option("--expected-version", type=Whole(min=0), help="Refuse if another version holds (0: never set).")
@logged_in
async def set_limits(
    spire: Spire,
    output: Output,
    account: str,
    currency: str | None,
    buying_power: Money | None,
    net_loss: Money | None,
    transition_seconds: int | None,
    allowed_state: str | None,
    reason: str,
    expected_version: int | None,
) -> None:
    """Set the limits of the trading account ACCOUNT, at once.

    For example: spire-admin limits set demo_trader --buying-power 2000000 --net-loss 50000 --reason "a good year"

    What is not named stays as it is. Without --expected-version it is the version that was read a moment before: if
    somebody else changes the limits meanwhile, it ends with CONFLICT and nothing is changed.
    """
    number = await trading_account_id(spire, account)
    await spire.ready(SERVICE)
    former, refusal = await _former(spire, number)  # after a refusal the change is sent with what was given
    known = None if former is None else former.terms
    if known is None and refusal is None and None in (buying_power, net_loss):
        raise click.UsageError("The limits were never set: name --buying-power and --net-loss.")
    terms = LimitTerms(
        currency=Currency(currency) if currency else await _currency(spire, number, known),
        buying_power=_chosen(buying_power, known and known.buying_power, Money(0)),
        net_loss=_chosen(net_loss, known and known.net_loss, Money(0)),
        transition_seconds=_chosen(transition_seconds, known and known.transition_seconds, 300),
        allowed_state=_chosen(
            RiskMode[allowed_state.upper()] if allowed_state else None, known and known.allowed_state, RiskMode.ACTIVE
        ),
    )
    version = expected_version if expected_version is not None else 0 if former is None else former.version
    made = await spire.administration.set_limits(number, terms, expected_version=version, reason=reason)
    output.table(COLUMNS, [await limits_row(made, Names(spire))])
    if not terms.net_loss:
        output.note(f"A loss limit of 0 stops {account} at once, before it has lost anything.")


async def _former(spire: Spire, number: int) -> tuple[Limits | None, SpireError | None]:
    """Return the limits as they are, or why they are not told: the change is then refused by the server, which records it."""
    try:
        return (await spire.administration.standing(number)).limits, None
    except (Forbidden, NotFound) as error:
        return None, error


def _chosen(given: Any, known: Any, default: Any) -> Any:
    return given if given is not None else known if known is not None else default


async def _currency(spire: Spire, number: int, known: LimitTerms | None) -> Currency:
    """Return the currency of the limits as they were, else that of the trading account."""
    if known is not None:
        return known.currency
    try:
        entry, _, _ = await spire.directory.load(number)
    except (Forbidden, NotFound):
        return UNSEEN_CURRENCY
    if entry.terms is None:
        raise click.UsageError("Name --currency: the trading account does not say one.")
    return Currency(entry.terms.base_currency)


@limits.command("show")
@click.argument("account", required=False, metavar="[ACCOUNT]")
@logged_in
async def show(spire: Spire, output: Output, account: str | None) -> None:
    """Show limits and risk state of ACCOUNT, or of every trading account that you see.

    For example: spire-admin limits show demo_trader
    """
    await tell_limits(spire, output, account)


@limits.command("history")
@account_argument
@logged_in
async def history(spire: Spire, output: Output, account: str) -> None:
    """Show every version of the limits of ACCOUNT and of its risk state, oldest first.

    For example: spire-admin limits history demo_trader
    """
    await tell_history(spire, output, account)


async def tell_limits(spire: Spire, output: Output, account: str | None) -> None:
    """Show the limits and the risk state of one trading account, or of all that the caller sees."""
    known: dict[int, str] = {}
    if account is None:
        known = await trading_accounts(spire, output.note)
    meant = sorted(known) if account is None else [await trading_account_id(spire, account, output.note)]
    await spire.ready(SERVICE)
    names = Names(spire, known)
    rows = []
    for number in meant:
        standing = await spire.administration.standing(number)
        row: dict[str, Any] = {"account": await names.of(number), "trading_account_id": str(number), "version": "0"}
        if standing.limits is not None:
            row = await limits_row(standing.limits, names)
        rows.append(row | await state_fields(standing.state, names))
    if output.as_json:
        output.table(COLUMNS, rows)
        return
    never_set = [str(named(row["account"], row["trading_account_id"])) for row in rows if row["version"] == "0"]
    limited = [row for row in rows if row["version"] != "0"]
    if limited:
        output.table(COLUMNS, limited, title=LIMITS_OF)
    if never_set:
        output.note(f"{NEVER_SET}: {', '.join(never_set)}.")
    output.table(STATE_COLUMNS, rows, title=STATES_OF, empty="You see no trading account.")


async def tell_history(spire: Spire, output: Output, account: str) -> None:
    """Show every version of a trading account's limits, then of its risk state."""
    number = await trading_account_id(spire, account, output.note)
    await spire.ready(SERVICE)
    names = Names(spire)
    limits = [await limits_row(version, names) for version in await spire.administration.limit_history(number)]
    states = [
        {"account": await names.of(number), "trading_account_id": str(number)} | await state_fields(state, names)
        for state in await spire.administration.risk_history(number)
    ]
    output.table(COLUMNS, limits, title=LIMITS_OF, empty=f"{NEVER_SET}.")
    output.table(STATE_COLUMNS, states, title=STATES_OF, empty="The risk state was never anything but ACTIVE.")


async def limits_row(limits: Limits, names: Names) -> dict[str, Any]:
    """Return one version of limits as a line."""
    return {
        "account": await names.of(limits.trading_account_id),
        "trading_account_id": str(limits.trading_account_id),
        "buying_power": format_amount(limits.terms.buying_power),
        "net_loss": format_amount(limits.terms.net_loss),
        "currency": limits.terms.currency,
        "transition_seconds": limits.terms.transition_seconds,
        "allowed_state": limits.terms.allowed_state.name,
        "version": str(limits.version),
        "actor": await names.of(limits.actor),
        "actor_id": str(limits.actor),
        "effective_from": format_timestamp(limits.effective_from),
        "effective_to": time_or_none(limits.effective_to),
        "reason": limits.reason,
    }
