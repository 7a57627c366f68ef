"""`spire risk`: where trading accounts stand by the Risk Server, and their release."""

from collections.abc import Callable
from typing import Any, Final

import click

from spire.client.platform import Spire
from spire.operations.commands.accounts import (
    Names,
    account_argument,
    reason_option,
    trading_account_id,
)
from spire.operations.commands.following import follow_rows
from spire.operations.commands.output import Column, Output, named, short_time
from spire.operations.commands.parameters import amount_or_none, time_or_none
from spire.operations.commands.shell import logged_in
from spire.operations.commands.states import COLUMNS as STATE_COLUMNS
from spire.operations.commands.states import state_fields
from spire.operations.commands.tickers import tickers_of
from spire.risk.values import MarkedPosition, Portfolio
from spire.values.amounts import format_amount
from spire.values.risk import RiskMode
from spire.values.time import format_timestamp
from spire.wire.errors import Forbidden, NotFound, Unavailable

SERVICE: Final = "risk_service"
ADMINISTRATION: Final = "administration_service"

PORTFOLIO_COLUMNS: Final = (
    Column("account", "Account", number="trading_account_id"),
    Column("mode", "Mode"),
    Column("day_profit", "Day P/L", numeric=True),
    Column("day_realised", "Day realised", numeric=True),
    Column("day_fees", "Day fees", numeric=True),
    Column("net_loss", "Loss limit", numeric=True),
    Column("currency", "Currency"),
    Column("expiry", "Disabled at (UTC)", is_time=True),
    Column("business_date", "Date"),
    Column("realised", "Total realised", numeric=True),
    Column("unrealised", "Unrealised now", numeric=True),
    Column("fees", "Total fees", numeric=True),
    Column("note", "Note"),
)
POSITION_COLUMNS: Final = (
    Column("ticker", "Ticker"),
    Column("quantity", "Quantity", numeric=True),
    Column("cost", "Cost", numeric=True),
    Column("mark", "Mark", numeric=True),
    Column("mark_source", "Source"),
    Column("realised", "Total realised", numeric=True),
    Column("unrealised", "Unrealised now", numeric=True),
    Column("fees", "Total fees", numeric=True),
    Column("currency", "Currency"),
)

account_option = click.option("--account", help="This trading account only, with its positions.")
follow_option = click.option("--follow", is_flag=True, help="Go on with each change until Ctrl-C.")


@click.group(invoke_without_command=True)
@account_option
@follow_option
@click.pass_context
def risk(context: click.Context, account: str | None, follow: bool) -> None:
    """Show where trading accounts stand by the Risk Server; release one that it has stopped.

    For example: spire risk --account demo_trader --follow
    """
    if context.invoked_subcommand is None:
        context.invoke(show, account=account, follow=follow)
    elif account is not None or follow:
        raise click.UsageError(f"Write --account and --follow behind {context.invoked_subcommand}.")


@risk.command()
@account_option
@follow_option
@logged_in
async def show(spire: Spire, output: Output, account: str | None, follow: bool) -> None:
    """Show mode, profit of the day, loss limit and expiry; of a single account its positions with their marks too.

    For example: spire risk show --account demo_trader

    Of an account that was stopped, and of a single one, the risk state is shown too: by whom, since when, and why.
    """
    names = Names(spire)
    only = None if account is None else await trading_account_id(spire, account, output.note)
    ticker = await tickers_of(spire)
    await spire.ready(SERVICE)
    if only is None:
        portfolios = await spire.risk.visible()
        only = portfolios[0].trading_account_id if len(portfolios) == 1 else None
    if only is None:
        rows = [await portfolio_row(portfolio, names, ticker) for portfolio in portfolios]
        stopped = [row for row in rows if row["mode"] != RiskMode.ACTIVE.name]
        told = await _tell_why(spire, output, stopped, names)
        output.table(PORTFOLIO_COLUMNS, rows, empty="The Risk Server shows you no trading account.")
        if told and not output.as_json:
            output.table(STATE_COLUMNS, stopped)
        followed = [portfolio.trading_account_id for portfolio in portfolios]
    else:
        await _show_one(spire, output, only, names, ticker)
        followed = [only]
    if not follow:
        return

    states = {number: spire.administration.risk_states(number) for number in followed}

    def write(portfolio: Portfolio) -> None:
        row = _row(portfolio, names.known[portfolio.trading_account_id], ticker)
        state = states[portfolio.trading_account_id].rows.get(str(portfolio.trading_account_id))
        is_that = state is not None and state.version == portfolio.state_version
        row["state_reason"] = state.reason if state is not None and is_that else None
        output.line(row, portfolio_text(row, format_timestamp(portfolio.updated)))

    views = [spire.risk.portfolio(number) for number in followed]
    try:
        await follow_rows(spire, output, spire.risk.session, views, write)
    finally:
        for view in states.values():
            view.close()


async def _show_one(spire: Spire, output: Output, number: int, names: Names, ticker: Callable[[int], str]) -> None:
    portfolio, positions = await spire.risk.load(number)
    row = await portfolio_row(portfolio, names, ticker)
    lines = [position_row(position, ticker) for position in positions]
    told = await _tell_why(spire, output, [row], names)
    if output.as_json:
        output.line(row | {"positions": lines})
        return
    output.table(PORTFOLIO_COLUMNS, [row])
    if told and row["state_version"] != "0":
        output.table(STATE_COLUMNS, [row])
    output.table(POSITION_COLUMNS, lines, empty="No positions.")


async def _tell_why(spire: Spire, output: Output, rows: list[dict[str, Any]], names: Names) -> bool:
    """Put the risk state as Administration has it into the rows; return whether it could be asked."""
    try:
        if rows:
            await spire.ready(ADMINISTRATION)
        for row in rows:
            standing = await spire.administration.standing(int(row["trading_account_id"]))
            row |= await state_fields(standing.state, names)
    except (Unavailable, Forbidden, NotFound) as error:
        output.note(f"Why accounts are stopped is not told now: {error.message}")
        return False
    return bool(rows)


@risk.command()
@account_argument
@reason_option
@click.option("--new-baseline", is_flag=True, help="What it has lost so far today counts no more.")
@logged_in
async def release(spire: Spire, output: Output, account: str, reason: str, new_baseline: bool) -> None:
    """Give ACCOUNT, which Risk has stopped, its allowed state back on the same day; for risk officers.

    For example: spire risk release demo_trader --reason "hedged elsewhere" --new-baseline

    Without --new-baseline its limits must have been raised before: it would be stopped again at once.
    """
    number = await trading_account_id(spire, account)
    await spire.ready(SERVICE)
    portfolio = await spire.risk.release(number, reason, new_baseline=new_baseline)
    output.table(PORTFOLIO_COLUMNS, [await portfolio_row(portfolio, Names(spire), await tickers_of(spire))])


async def portfolio_row(portfolio: Portfolio, names: Names, ticker: Callable[[int], str]) -> dict[str, Any]:
    """Return one line of accounts."""
    return _row(portfolio, await names.of(portfolio.trading_account_id), ticker)


def _row(portfolio: Portfolio, name: str | None, ticker: Callable[[int], str]) -> dict[str, Any]:
    return {
        "account": name,
        "trading_account_id": str(portfolio.trading_account_id),
        "mode": portfolio.mode.name,
        "day_profit": format_amount(portfolio.day_profit),
        "net_loss": amount_or_none(portfolio.net_loss),
        "currency": portfolio.currency,
        "expiry": time_or_none(portfolio.expiry),
        "realised": format_amount(portfolio.realised),
        "unrealised": format_amount(portfolio.unrealised),
        "fees": format_amount(portfolio.fees),
        "day_realised": format_amount(portfolio.day_realised),
        "day_fees": format_amount(portfolio.day_fees),
        "business_date": portfolio.business_date,
        "note": _note(portfolio, ticker),
    }


def _note(portfolio: Portfolio, ticker: Callable[[int], str]) -> str | None:
    """Return what a person must know beside the figures."""
    words = []
    if portfolio.is_blind:
        words.append("not watched")
    if portfolio.unconverted:
        words.append(f"no rate for {', '.join(portfolio.unconverted)}")
    if portfolio.unmarked:
        words.append(f"no mark for {', '.join(map(ticker, portfolio.unmarked))}")
    if not portfolio.is_fresh:
        words.append("marks are not fresh")
    if portfolio.flatten_pending is not None:
        words.append(f"cannot be closed now: {portfolio.flatten_pending}")
    return "; ".join(words) or None


def portfolio_text(row: dict[str, Any], updated: str) -> str:
    """Return an account as it goes by."""
    limit = "no loss limit" if row["net_loss"] is None else f"loss limit {row['net_loss']}"
    told = [row["note"], row["state_reason"] if row["mode"] != RiskMode.ACTIVE.name else None]
    note = "".join(f"  {words}" for words in told if words)
    profit = f"{row['day_profit']} {row['currency']}"
    return f"{short_time(updated):<23}  {named(row['account'], row['trading_account_id']):<16}  {row['mode']:<12}  {profit:>16}  {limit}{note}"


def position_row(position: MarkedPosition, ticker: Callable[[int], str]) -> dict[str, Any]:
    """Return one line of positions."""
    return {
        "ticker": ticker(position.instrument_id),
        "quantity": format_amount(position.quantity),
        "cost": format_amount(position.cost),
        "mark": amount_or_none(position.mark),
        "mark_source": None if position.mark_source is None else position.mark_source.name,
        "fresh": position.is_fresh,
        "realised": format_amount(position.realised),
        "unrealised": amount_or_none(position.unrealised),
        "fees": format_amount(position.fees),
        "currency": position.currency,
    }
