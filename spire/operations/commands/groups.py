"""`spire-admin group` and `trader`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from spire.administration.values import TradingGroup
from spire.client.platform import Spire
from spire.locator.values import TradingAccountTerms, TradingAccountType
from spire.operations.commands.accounts import group as find_group
from spire.operations.commands.output import Column, Output
from spire.operations.commands.passwords import new_password, password_options
from spire.operations.commands.shell import logged_in
from spire.values.orders import Capacity
from spire.wire.errors import NotFound

SERVICE: Final = "administration_service"

GROUP_COLUMNS: Final = (Column("group", "Group"), Column("group_id", "Number", numeric=True))
MEMBER_COLUMNS: Final = (
    Column("member", "Member"),
    Column("place", "In"),
    Column("entry_id", "Number", numeric=True),
    Column("disabled", "Disabled"),
)
TRADER_COLUMNS: Final = (
    Column("trader", "Trader"),
    Column("group", "Group"),
    Column("account_id", "Account", numeric=True),
    Column("trading_account_id", "Trading account", numeric=True),
    Column("password", "Password"),
)


@click.group()
def group() -> None:
    """Make and show trading groups."""


@group.command()
@click.argument("name")
@logged_in
async def create(spire: Spire, output: Output, name: str) -> None:
    """Make the trading group NAME with its managers, traders and accounts.

    For example: spire-admin group create arbitrage
    """
    await spire.ready(SERVICE)
    output.table(GROUP_COLUMNS, [group_row(await spire.administration.create_group(name))])


@group.command("list")
@logged_in
async def list_groups(spire: Spire, output: Output) -> None:
    """List the trading groups that you see.

    For example: spire-admin group list
    """
    await spire.ready(SERVICE)
    rows = [group_row(found) for found in await spire.administration.groups()]
    output.table(GROUP_COLUMNS, rows, empty="You see no trading group.")


@group.command()
@click.argument("name")
@logged_in
async def show(spire: Spire, output: Output, name: str) -> None:
    """Show who and what belongs to the trading group NAME.

    For example: spire-admin group show arbitrage
    """
    found = await find_group(spire, name)
    rows = [
        {
            "member": member.name,
            "place": place.name,
            "entry_id": str(member.entry_id),
            "disabled": "disabled" if member.disabled else None,
        }
        for place in await spire.directory.children(found.entry_id)
        for member in await spire.directory.children(place.entry_id)
    ]
    output.table(MEMBER_COLUMNS, rows, empty=f"Nobody belongs to {name}.")


def group_row(group: TradingGroup) -> dict[str, Any]:
    """Return one line of groups."""
    return {"group": group.name, "group_id": str(group.group_id)}


@click.group()
def trader() -> None:
    """Make traders, and open trading accounts for them."""


def account_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the trading group, and the fields of a trading account."""
    for option in (
        click.option("--firm-designated-id", help="The id of the trading account in reports. [default: NAME]"),
        click.option(
            "--capacity",
            type=click.Choice(list(Capacity.__members__), case_sensitive=False),
            default="PRINCIPAL",
            show_default=True,
            help="Capacity of orders that do not name one.",
        ),
        click.option(
            "--type",
            "account_type",
            type=click.Choice(list(TradingAccountType.__members__), case_sensitive=False),
            default="PROPRIETARY",
            show_default=True,
            help="Whose business the trading account books.",
        ),
        click.option("--currency", default="USD", show_default=True, help="Base currency of the trading account."),
        click.option("--group", "group_name", required=True, help="The trading group."),
    ):
        function = option(function)
    return function


@trader.command("create")
@click.argument("name")
@account_options
@password_options
@logged_in
async def create_trader(
    spire: Spire, output: Output, /, name: str, password_file: Path | None, password_to: Path | None, **account: Any
) -> None:
    """Make the trader NAME in a trading group, with a trading account of the same name.

    For example: spire-admin trader create ann --group arbitrage --password-to ann.password

    He may trade nothing before the account has limits (limits set), and sees no market before he is entitled (entitle).
    """
    await spire.ready(SERVICE)
    found = await _group(spire, account["group_name"])
    async with new_password(name, password_file, password_to) as password:
        made = await spire.administration.create_trader(found.group_id, name, password.text, _terms(name, **account))
    row = {
        "trader": name,
        "group": found.name,
        "account_id": str(made.account_id),
        "trading_account_id": str(made.trading_account_id),
        "password": password.shown,
    }
    output.table(TRADER_COLUMNS if password.shown else TRADER_COLUMNS[:-1], [row])


@trader.command("open")
@click.argument("name")
@account_options
@logged_in
async def open_account(spire: Spire, output: Output, /, name: str, **account: Any) -> None:
    """Open a trading account for the trader NAME of a group in which he has none: one who came from another group.

    For example: spire-admin trader open ann --group futures
    """
    await spire.ready(SERVICE)
    found = await _group(spire, account["group_name"])
    members = {one.name: one.entry_id for one in await spire.directory.children(found.traders_id)}
    if name not in members:
        raise NotFound(
            f"{name} is no trader of {found.name}: spire-admin account roles {name} --add trader:{found.name}",
            account=name,
        )
    terms = _terms(name, **account)
    number = await spire.directory.make_trading_account(name, found.accounts_id, terms, members[name])
    row = {
        "trader": name,
        "group": found.name,
        "account_id": str(members[name]),
        "trading_account_id": str(number),
    }
    output.table(TRADER_COLUMNS[:-1], [row])


async def _group(spire: Spire, name: str) -> TradingGroup:
    """Return the trading group of a name. Raises NotFound, which says how one is made."""
    for one in await spire.administration.groups():
        if one.name == name:
            return one
    raise NotFound(f"There is no trading group {name}: spire-admin group create {name}", group=name)


def _terms(
    name: str, *, group_name: str, currency: str, account_type: str, capacity: str, firm_designated_id: str | None
) -> TradingAccountTerms:
    """Return the fields of a trading account as they were given."""
    del group_name
    return TradingAccountTerms(
        type=TradingAccountType[account_type.upper()],
        firm_designated_id=firm_designated_id or name[:40],
        base_currency=currency,
        default_capacity=Capacity[capacity.upper()],
    )
