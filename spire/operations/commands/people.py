"""`spire-admin account`: people, their roles, their profiles."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import attrs
import click

from spire.administration.values import Profile
from spire.client.platform import Spire
from spire.operations.commands.accounts import GROUPS, Principal, account_argument, principal
from spire.operations.commands.output import Column, Output
from spire.operations.commands.parameters import Whole, time_or_none
from spire.operations.commands.passwords import new_password, password_options
from spire.operations.commands.shell import logged_in

SERVICE: Final = "administration_service"

ROLES: Final = {
    "administrators": "administrator",
    "risk_officers": "risk_officer",
    "auditors": "auditor",
    "operators": "operator",
    "services": "service",
}
GROUP_ROLES: Final = {"managers": "manager", "traders": "trader"}
ROLE_HELP: Final = "administrator, risk_officer, auditor, operator, manager:GROUP or trader:GROUP"

MADE_COLUMNS: Final = (
    Column("account", "Account"),
    Column("account_id", "Number", numeric=True),
    Column("role", "Role"),
    Column("password", "Password"),
)
ACCOUNT_COLUMNS: Final = (
    Column("account", "Account"),
    Column("account_id", "Number", numeric=True),
    Column("roles", "Roles"),
    Column("disabled", "Disabled"),
    Column("registered", "Made (UTC)", is_time=True),
    Column("last_login", "Last login (UTC)", is_time=True),
)
FIELDS: Final = tuple(field.name for field in attrs.fields(Profile))
WORDS: Final = {"e_mail": "e-mail"}
"""What fields are called whose names are not their words."""


@click.group()
def account() -> None:
    """Make accounts of people, give and take roles, write who they are."""


@account.command()
@click.argument("name")
@click.option("--role", required=True, help=f"{ROLE_HELP}.")
@password_options
@logged_in
async def create(
    spire: Spire, output: Output, name: str, role: str, password_file: Path | None, password_to: Path | None
) -> None:
    """Make the account NAME of a person in a role.

    For example: spire-admin account create olga --role risk_officer --password-to olga.password
    """
    await spire.ready(SERVICE)
    async with new_password(name, password_file, password_to) as password:
        number = await spire.administration.create_account(name, password.text, role)
    row = {"account": name, "account_id": str(number), "role": role, "password": password.shown}
    output.table(MADE_COLUMNS if password.shown else MADE_COLUMNS[:-1], [row])


@account.command()
@account_argument
@logged_in
async def show(spire: Spire, output: Output, account: str) -> None:
    """Show ACCOUNT: its roles, whether it is disabled, when it logged in last.

    For example: spire-admin account show ann
    """
    await _show(spire, output, await principal(spire, account))


@account.command()
@account_argument
@click.option("--add", multiple=True, metavar="ROLE", help=f"Give this role: {ROLE_HELP}.")
@click.option("--remove", multiple=True, metavar="ROLE", help="Take this role.")
@click.option("--reason", required=True, help="Why; it is kept with the change.")
@logged_in
async def roles(
    spire: Spire, output: Output, account: str, add: tuple[str, ...], remove: tuple[str, ...], reason: str
) -> None:
    """Give and take roles of ACCOUNT, all of it or nothing, and show them.

    For example: spire-admin account roles ann --add manager:arbitrage --remove trader:arbitrage --reason promoted
    """
    found = await principal(spire, account)
    if add or remove:
        await spire.ready(SERVICE)
        await spire.administration.change_roles(found.entry_id, add=add, remove=remove, reason=reason)
    left = [role.partition(":")[2] for role in remove if role.startswith("trader:")]
    if left:
        output.note(
            f"Trading accounts of {found.typed} stay where they are: in group {', '.join(left)}, with its rules and manager. "
            f"{found.typed} trades there no more."
        )
    await _show(spire, output, found)


def profile_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each field of a profile."""
    for name in reversed(FIELDS):
        words = _words(name)
        function = click.option(f"--{name.replace('_', '-')}", name, help=f"The {words}; empty takes it away.")(
            function
        )
    return function


def _words(name: str) -> str:
    return WORDS.get(name, name.replace("_", " "))


@account.command()
@account_argument
@profile_options
@click.option("--expected-version", type=Whole(min=0), help="Refuse if another version holds (0: none).")
@logged_in
async def identity(
    spire: Spire, output: Output, /, account: str, expected_version: int | None, **fields: str | None
) -> None:
    """Show who ACCOUNT is, and write what is given; the rest stays as it is.

    For example: spire-admin account identity ann --first-name Ann --last-name Archer --country US
    """
    found = await principal(spire, account)
    await spire.ready(SERVICE)
    known = await spire.administration.identity(found.entry_id)
    given = {name: value for name, value in fields.items() if value is not None}
    if given:
        version = expected_version if expected_version is not None else 0 if known is None else known.version
        profile = attrs.evolve(Profile() if known is None else known.profile, **given)
        known = await spire.administration.store_identity(found.entry_id, profile, version)
    profile = Profile() if known is None else known.profile
    row: dict[str, str | None] = {"account": found.name, "account_id": str(found.entry_id)}
    row |= {name: getattr(profile, name) or None for name in FIELDS}
    row["version"] = "0" if known is None else str(known.version)
    written = [Column(name, _words(name).capitalize()) for name in (*FIELDS, "version")]
    output.table([Column("account", "Account", number="account_id"), *written], [row])


@account.command()
@account_argument
@logged_in
async def disable(spire: Spire, output: Output, account: str) -> None:
    """Let ACCOUNT log in no more; what it has open ends at once.

    For example: spire-admin account disable ann
    """
    await _disable(spire, output, account, disabled=True)


@account.command()
@account_argument
@logged_in
async def enable(spire: Spire, output: Output, account: str) -> None:
    """Let ACCOUNT, which was disabled, log in again.

    For example: spire-admin account enable ann
    """
    await _disable(spire, output, account, disabled=False)


async def _disable(spire: Spire, output: Output, account: str, *, disabled: bool) -> None:
    found = await principal(spire, account)
    await spire.directory.disable(found.entry_id, disabled=disabled)
    await _show(spire, output, found)


async def _show(spire: Spire, output: Output, account: Principal) -> None:
    entry, paths, times = await spire.directory.load(account.entry_id)
    row: dict[str, Any] = {
        "account": entry.name,
        "account_id": str(entry.entry_id),
        "roles": ", ".join(roles_of(paths)) or None,
        "disabled": "disabled" if entry.disabled else None,
        "registered": None if times is None else time_or_none(times.registered),
        "last_login": None if times is None else time_or_none(times.last_login),
    }
    output.table(ACCOUNT_COLUMNS, [row])


def roles_of(paths: Iterable[str]) -> list[str]:
    """Return the roles that an account has by its places, as `account roles` takes them."""
    found = []
    for path in paths:
        match path.strip("/").split("/")[:-1]:
            case [place] if place in ROLES:
                found.append(ROLES[place])
            case [groups, group, place] if groups == GROUPS and place in GROUP_ROLES:
                found.append(f"{GROUP_ROLES[place]}:{group}")
    return sorted(found)
