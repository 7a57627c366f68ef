"""`halt`, of `spire` and of `spire-admin`: the kill switch."""

from typing import Any, Final

import click

from spire.client.platform import Spire
from spire.execution.values import Halt, HaltRequest
from spire.operations.commands.accounts import (
    Names,
    reason_option,
    trading_account_id,
)
from spire.operations.commands.output import Column, Output, counted
from spire.operations.commands.parameters import Whole, number_or_none, time_or_none
from spire.operations.commands.shell import logged_in
from spire.values.risk import HaltAction, HaltMode, HaltScope
from spire.values.time import format_timestamp
from spire.wire.errors import Invalid, NotFound

SERVICE: Final = "order_execution_service"
HALT_SECONDS: Final = 15.0
"""A halt waits for the answers to its cancels."""

COLUMNS: Final = (
    Column("halt_id", "Halt", numeric=True),
    Column("scope", "Scope"),
    Column("account", "Account", number="trading_account_id"),
    Column("mode", "Mode"),
    Column("set_by", "By", number="set_by_id"),
    Column("set_at", "Since (UTC)", is_time=True),
    Column("reason", "Reason"),
)
RELEASED_COLUMNS: Final = (
    *COLUMNS,
    Column("released", "Released (UTC)", is_time=True),
    Column("released_by", "Released by", number="released_by_id"),
    Column("release_reason", "Why"),
)
OPERATOR: Final = "operator"
"""Who sets a halt at the server's own socket."""


@click.group()
def halt() -> None:
    """Stop orders of the whole firm or of a trading account, and let them pass again; for risk officers."""


@halt.command("list")
@logged_in
async def list_halts(spire: Spire, output: Output) -> None:
    """List the halts in force.

    For example: spire halt list
    """
    await spire.ready(SERVICE)
    view = spire.orders.halts()
    await view.when_ready()
    names = Names(spire)
    rows = [await halt_row(view.rows[key], names) for key in sorted(view.rows, key=int)]
    view.close()
    output.table(COLUMNS, rows, empty="No halt is in force.")


@halt.command("set")
@click.option("--firm", is_flag=True, help="Stop orders of the whole firm.")
@click.option("--account", help="Stop orders of this trading account.")
@click.option("--no-new", is_flag=True, help="Stop every new order. [default: those that open positions]")
@click.option("--cancel-all", is_flag=True, help="Cancel the live orders too.")
@reason_option
@logged_in
async def set_halt(
    spire: Spire, output: Output, firm: bool, account: str | None, no_new: bool, cancel_all: bool, reason: str
) -> None:
    """Stop orders at once, until somebody else releases the halt. Cancels always pass.

    For example: spire halt set --firm --no-new --cancel-all --reason "prices cannot be right"
    """
    if firm == (account is not None):
        raise click.UsageError("Name either --firm or --account.")
    await spire.ready(SERVICE)
    request = HaltRequest(
        scope=HaltScope.FIRM if account is None else HaltScope.TRADING_ACCOUNT,
        scope_id=0 if account is None else await trading_account_id(spire, account),
        mode=HaltMode.NO_NEW if no_new else HaltMode.NO_OPENING,
        actions=HaltAction.CANCEL_ALL if cancel_all else HaltAction.NONE,
        reason=reason,
    )
    outcome = await spire.orders.set_halt(request, timeout_seconds=HALT_SECONDS)
    row = await halt_row(outcome.halt, Names(spire))
    if output.as_json:
        row["confirmed"] = [str(order_id) for order_id in outcome.confirmed]
        row["unconfirmed"] = [str(order_id) for order_id in outcome.unconfirmed]
    output.table(COLUMNS, [row])
    if outcome.halt.reason != reason:
        output.note(
            f"You set halt {outcome.halt.halt_id} before, and it is in force already: it keeps its reason. "
            "What you write now stands in the audit log only."
        )
    if cancel_all:
        output.note(f"{counted(len(outcome.confirmed), 'order is', 'orders are')} cancelled.")
    if outcome.unconfirmed:
        listed = ", ".join(map(str, outcome.unconfirmed))
        cancels = counted(len(outcome.unconfirmed), "cancel is", "cancels are")
        output.note(f"{cancels} not confirmed yet: {listed}. See: spire order list")


@halt.command("release")
@click.argument("halt_id", type=Whole(min=1), required=False, metavar="[HALT_ID]")
@click.option("--firm", is_flag=True, help="The halt of the whole firm.")
@click.option("--account", help="The halt of this trading account.")
@reason_option
@logged_in
async def release(
    spire: Spire, output: Output, halt_id: int | None, firm: bool, account: str | None, reason: str
) -> None:
    """End the halt HALT_ID, or the one of the firm or of an account, which somebody else has set.

    For example: spire halt release --firm --reason "prices are right again"
    """
    if (halt_id is not None) + firm + (account is not None) != 1:
        raise click.UsageError("Name either a HALT_ID, --firm or --account.")
    await spire.ready(SERVICE)
    if halt_id is None:
        scope = HaltScope.FIRM if account is None else HaltScope.TRADING_ACCOUNT
        halt_id = await _in_force(spire, scope, 0 if account is None else await trading_account_id(spire, account))
    ended = await spire.orders.release_halt(halt_id, reason)
    output.table(RELEASED_COLUMNS, [await halt_row(ended, Names(spire))])


async def _in_force(spire: Spire, scope: HaltScope, scope_id: int) -> int:
    """Return the halt of a scope that is in force; NotFound, and Invalid where there are several."""
    view = spire.orders.halts()
    await view.when_ready()
    found = sorted(halt.halt_id for halt in view.rows.values() if (halt.scope, halt.scope_id) == (scope, scope_id))
    view.close()
    if not found:
        raise NotFound("No such halt is in force. See: spire halt list")
    if len(found) > 1:
        raise Invalid(f"Several such halts are in force: name one of them, {', '.join(map(str, found))}.")
    return found[0]


async def halt_row(halt: Halt, names: Names) -> dict[str, Any]:
    """Return one line of halts."""
    return {
        "halt_id": str(halt.halt_id),
        "scope": halt.scope.name,
        "account": await names.of(halt.scope_id or None),
        "trading_account_id": number_or_none(halt.scope_id or None),
        "mode": halt.mode.name,
        "actions": None if not halt.actions else halt.actions.name,
        "set_by": OPERATOR if halt.set_by is None else await names.of(halt.set_by),
        "set_by_id": number_or_none(halt.set_by),
        "set_at": format_timestamp(halt.set_at),
        "reason": halt.reason,
        "released": time_or_none(halt.released),
        "released_by": await names.of(halt.released_by),
        "released_by_id": number_or_none(halt.released_by),
        "release_reason": halt.release_reason,
    }
