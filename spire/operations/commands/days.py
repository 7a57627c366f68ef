"""`spire-admin day`: the firm's business days."""

from typing import Any, Final

import click

from spire.administration.values import BusinessDay
from spire.client.platform import Spire
from spire.operations.commands.accounts import Names
from spire.operations.commands.output import Column, Output
from spire.operations.commands.parameters import Whole, time_or_none
from spire.operations.commands.shell import Shell, logged_in, pass_shell
from spire.operations.day import DATE_HELP, checked_date, date_to_open, firm_zone, open_day, show_opened
from spire.operations.layout import Layout
from spire.values.time import format_timestamp

SERVICE: Final = "administration_service"
MOST_DAYS: Final = 20

COLUMNS: Final = (
    Column("business_date", "Date"),
    Column("state", "State"),
    Column("opened", "Opened (UTC)", is_time=True),
    Column("opened_by", "By", number="opened_by_id"),
    Column("closed", "Closed (UTC)", is_time=True),
)


@click.group()
def day() -> None:
    """Open and show the firm's business days."""


@day.command("open")
@click.option("--date", help=DATE_HELP)
@pass_shell
def open_(shell: Shell, date: str | None) -> None:
    """Open a business day, as bin/reset_risk_states.py does; safe to repeat.

    For example: spire-admin day open --date 2013-10-07
    """
    wanted = None if date is None else checked_date(date)
    zone = "" if wanted is not None else firm_zone(Layout(shell.home.absolute()))

    async def body(spire: Spire) -> None:
        business_date = await date_to_open(spire, shell.output, zone) if wanted is None else wanted
        await show_opened(shell.output, business_date, await open_day(spire, business_date), Names(spire))

    shell.run(body)


@day.command()
@click.option("--last", "limit", type=Whole(min=1), default=MOST_DAYS, show_default=True, help="How many at most.")
@logged_in
async def show(spire: Spire, output: Output, limit: int) -> None:
    """Show the latest business days, the current one last.

    For example: spire-admin day show
    """
    await spire.ready(SERVICE)
    view = spire.administration.business_days()
    await view.when_ready()
    names = Names(spire)
    rows = [await day_row(view.rows[date], names) for date in sorted(view.rows)[-limit:]]
    view.close()
    output.table(COLUMNS, rows, empty="No business day was ever opened: bin/reset_risk_states.py opens one.")


async def day_row(day: BusinessDay, names: Names) -> dict[str, Any]:
    """Return one line of business days."""
    return {
        "business_date": day.business_date,
        "state": "open" if day.closed is None else "closed",
        "opened": format_timestamp(day.opened),
        "opened_by": await names.of(day.opened_by),
        "opened_by_id": str(day.opened_by),
        "closed": time_or_none(day.closed),
    }
