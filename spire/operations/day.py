"""Opens the firm's business day: `bin/reset_risk_states.py`, and `start.sh` once the servers are ready (docs/operations.md)."""

import os
import tomllib
from collections.abc import Callable
from datetime import date as calendar_date
from pathlib import Path
from typing import Any, Final

import click

from spire.administration.values import current_day
from spire.client.platform import Spire
from spire.locator.values import DIRECTORY, Entry
from spire.operations.commands.accounts import Names
from spire.operations.commands.ending import JSON, Script
from spire.operations.commands.output import Column, Output
from spire.operations.commands.patience import patiently
from spire.operations.commands.shell import Shell
from spire.operations.layout import Layout
from spire.operations.servers import OPERATIONS_ACCOUNT
from spire.risk.values import OpenedAccount
from spire.service.secrets import read_secret
from spire.values.time import Timestamp, local_date, parse_zone
from spire.wire.errors import Conflict, Invalid, SpireError, Unavailable

WAIT_SECONDS: Final = 60.0
"""How long the servers are waited for."""

FOLLOW_SECONDS: Final = 15.0
"""How long Risk may take to learn that Administration has opened the day."""

NAMES_SECONDS: Final = 5.0
FIRM_ZONE: Final = "America/New_York"
OUTCOMES: Final = {"KEPT": "kept", "OPENED": "opened", "ALREADY_OPEN": "untouched"}
"""How the outcomes are told, what needs a person first."""

KEPT_ADVICE: Final = (
    "Risk completes accounts without a mark by itself. A risk officer releases the other KEPT ones: "
    "spire risk release ACCOUNT --reason TEXT"
)
DATE_HELP: Final = "The business date, as 2013-10-07. [default: today in the firm's zone, or a later one that is open]"

COLUMNS: Final = (
    Column("account", "Account", number="trading_account_id"),
    Column("outcome", "Outcome"),
    Column("mode", "Mode"),
    Column("reason", "Reason"),
)


@click.command(cls=Script, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="The instance (else SPIRE_HOME, else ./var); this needs its secrets.",
)
@click.option("--date", help=DATE_HELP)
@click.option(JSON, "as_json", is_flag=True, help="Write JSON, one object a line; errors too. May stand anywhere.")
@click.pass_context
def main(context: click.Context, home: Path | None, date: str | None, as_json: bool) -> None:
    """Open the firm's business day: each trading account gets its start-of-day record and its allowed risk state.

    For example: bin/reset_risk_states.py --date 2013-10-07

    It may be run again: an account that was opened on this date is not touched. One that is DISABLED with
    positions or live orders, or that has no mark yet, is KEPT as it is, with the reason. The exit status is 0 when the
    day is open, also with accounts that were KEPT.
    """
    make_shell: Callable[..., Shell] = Shell if context.obj is None else context.obj
    shell = make_shell(environ=dict(os.environ), home=home, output=Output(as_json=as_json))
    wanted = None if date is None else checked_date(date)
    layout = Layout(shell.home.absolute())
    deployment, zone, secret = shell.deployment, firm_zone(layout), _secret(layout)

    def make(reactor: Any) -> Spire:
        spire = Spire.login(reactor, deployment, OPERATIONS_ACCOUNT, secret)
        spire.connect_seconds = WAIT_SECONDS
        return spire

    async def body(spire: Spire) -> None:
        business_date = await date_to_open(spire, shell.output, zone) if wanted is None else wanted
        accounts = await open_day(spire, business_date)
        await show_opened(shell.output, business_date, accounts, await _directory_names(spire))

    shell.run_as(make, body)


def checked_date(date: str) -> str:
    """Return an ISO date as it stands; a BadParameter says what is wrong with it."""
    try:
        if calendar_date.fromisoformat(date).isoformat() == date:
            return date
    except ValueError:
        pass
    raise click.BadParameter(f"{date!r} is no date: write 2013-10-07", param_hint="--date")


def _secret(layout: Layout) -> str:
    try:
        return read_secret(layout.secret(OPERATIONS_ACCOUNT)).text
    except (OSError, ValueError) as error:
        raise Invalid(f"The secret of {OPERATIONS_ACCOUNT} cannot be read: {error}. Run: bin/manage setup") from error


def firm_zone(layout: Layout) -> str:
    """Return the time zone of the firm's day, as Administration of this instance has it. Raises Invalid.

    Administration decides which dates have come: opening one must count days as it does.
    """
    file = layout.configuration("administration")
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        return parse_zone(document.get("administration", {}).get("firm_zone", FIRM_ZONE))
    except (OSError, ValueError) as error:
        raise Invalid(f"The firm's zone cannot be read in {file}: {error}") from error


def firm_date(now: Timestamp, zone: str) -> str:
    """Return the date in the firm's zone."""
    return local_date(now, zone).isoformat()


async def date_to_open(spire: Spire, output: Output, zone: str) -> str:
    """Return the date in the firm's zone, or the current business date where that is later already, and say so.

    Nobody goes back by starting servers: a later date was opened by a person. Raises Unavailable.
    """
    today = firm_date(spire.clock.now(), zone)
    await spire.ready("administration_service", spire.connect_seconds)
    view = spire.administration.business_days()
    timer = spire.clock.later(spire.connect_seconds, view.close)
    try:
        await view.when_ready()
        current = current_day(view.rows)
    finally:
        view.close()
        if timer.active():
            timer.cancel()
    if current is None or current.business_date <= today:
        return today
    output.note(f"Today is {today} in {zone}, but business date {current.business_date} is open already: it goes on.")
    return current.business_date


async def open_day(spire: Spire, business_date: str) -> tuple[OpenedAccount, ...]:
    """Open a business date at Administration, then for all trading accounts at Risk; safe to repeat.

    Both are waited for before anything is changed. Raises Conflict for a date before the current one, Forbidden,
    Invalid, Unavailable.
    """
    clock = spire.clock
    deadline = clock.monotonic() + spire.connect_seconds
    for service in ("administration_service", "risk_service"):
        await spire.ready(service, max(1.0, deadline - clock.monotonic()))
    await patiently(lambda: spire.administration.open_business_day(business_date), clock, {Unavailable: deadline})
    # Risk follows Administration's topic, and refuses a date that has not reached it yet.
    followed = clock.monotonic() + FOLLOW_SECONDS
    return await patiently(
        lambda: spire.risk.open_day(business_date),
        clock,
        {Unavailable: max(deadline, followed), Conflict: followed},
    )


async def show_opened(output: Output, business_date: str, accounts: tuple[OpenedAccount, ...], names: Names) -> None:
    """Tell what was opened, untouched and kept."""
    counts = {outcome: sum(account.outcome == outcome for account in accounts) for outcome in OUTCOMES}
    told = ", ".join(f"{number} {OUTCOMES[outcome]}" for outcome, number in counts.items() if number)
    output.line(
        {"business_date": business_date} | {OUTCOMES[outcome]: number for outcome, number in counts.items()},
        f"Business date {business_date} is open: {told or 'there is no trading account'}.",
    )
    rows = [
        {
            "account": await names.of(account.trading_account_id),
            "trading_account_id": str(account.trading_account_id),
            "outcome": account.outcome,
            "mode": account.mode.name,
            "reason": account.reason or None,
        }
        for account in sorted(accounts, key=lambda each: (list(OUTCOMES).index(each.outcome), each.trading_account_id))
    ]
    if accounts:
        output.table(COLUMNS, rows)
    if counts["KEPT"]:
        output.note(KEPT_ADVICE)


async def _directory_names(spire: Spire) -> Names:
    """Return the names of all entries: services follow the directory, and `operations_service` may read no single one."""
    view = spire.link.session.subscriptions.state(DIRECTORY, Entry)
    timer = spire.clock.later(NAMES_SECONDS, view.close)
    try:
        await view.when_ready()
        return Names(spire, {entry.entry_id: entry.name for entry in view.rows.values()})
    except SpireError:
        return Names(spire)
    finally:
        view.close()
        if timer.active():
            timer.cancel()


if __name__ == "__main__":
    main()
