"""`spire login`, `logout` and `status`."""

import sys
from pathlib import Path

import click

from spire.client.platform import Spire
from spire.operations.commands.output import Column, Output
from spire.operations.commands.shell import FAILED, Shell, pass_shell
from spire.wire.errors import Forbidden, SpireError

SERVICES = (
    "service_locator",
    "uid_service",
    "definitions_service",
    "administration_service",
    "market_data_service",
    "market_data_feed_service",
    "market_data_relay_service",
    "charting_service",
    "compliance_service",
    "order_execution_service",
    "risk_service",
)
ANSWERS = "up"
REGISTERED = "registered"
"""Of a service that only feeds may connect to."""

CLOSED = "up, not for you"
"""Of a service that refuses this account."""

UP = frozenset((ANSWERS, REGISTERED, CLOSED))


@click.command()
@click.argument("account")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Read the password from this file.",
)
@pass_shell
def login(shell: Shell, account: str, password_file: Path | None) -> None:
    """Log in as ACCOUNT and stay logged in.

    The login lasts until logout, or 12 hours without use. It is kept in a file that only you can read (SPIRE_LOGIN names
    another one), the password nowhere: it is asked for, or read from a file, never taken from the command line.
    """
    deployment = shell.deployment
    password = _ask() if password_file is None else _read(password_file)

    async def body(spire: Spire) -> None:
        shell.keep(spire)
        shell.output.line(
            {"account": spire.account, "environment": deployment.environment.name},
            f"Logged in as {spire.account} ({deployment.environment.name}).",
        )

    shell.run_as(lambda reactor: Spire.login(reactor, deployment, account, password), body)


def _ask() -> str:
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask for the password at: name a file with --password-file.")
    password: str = click.prompt("Password", hide_input=True, err=True)
    return password


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} cannot be read: {error}") from error


@click.command()
@pass_shell
def logout(shell: Shell) -> None:
    """End the login, here and at the Service Locator.

    Where the Locator cannot be reached, the login is forgotten here and ends there after 12 hours without use.
    """

    async def body(spire: Spire) -> None:
        await spire.logout()
        shell.output.line({"account": spire.account}, f"{spire.account} is logged out.")

    try:
        shell.run(body)
    finally:
        shell.forget()


@click.command()
@pass_shell
def status(shell: Shell) -> None:
    """Show each service, where it runs, and whether it answers.

    The exit status is 0 only if all are up.
    """

    async def body(spire: Spire) -> None:
        if not await show_status(spire, shell.output):
            shell.status = FAILED

    shell.run(body)


async def show_status(spire: Spire, output: Output) -> bool:
    """Show all services, and return whether all are up."""
    rows: list[dict[str, str | None]] = []
    for service in SERVICES:
        if service == "service_locator":
            addresses = ", ".join(spire.deployment.locator.addresses)
            rows.append({"service": service, "addresses": addresses, "state": ANSWERS})
            continue
        providers = await spire.directory.locate(service)
        if not providers:
            rows.append({"service": service, "addresses": None, "state": "not registered"})
        for provider in providers:
            addresses = ", ".join(provider.addresses)
            rows.append({"service": service, "addresses": addresses, "state": await _state(spire, service)})
    output.table(
        [Column("service", "Service"), Column("addresses", "Addresses"), Column("state", "State")],
        rows,
        title=f"{spire.deployment.environment.name}, logged in as {spire.account}",
    )
    return all(row["state"] in UP for row in rows)


async def _state(spire: Spire, service: str) -> str:
    if service == "market_data_feed_service":
        return REGISTERED
    try:
        await spire.ready(service, 3.0)
    except Forbidden:
        return CLOSED
    except SpireError as error:
        return f"registered, {error.coded}"
    return ANSWERS
