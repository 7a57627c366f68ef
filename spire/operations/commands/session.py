"""`spire login`, `logout` and `status`."""

from pathlib import Path

import click

from spire.client.platform import Spire
from spire.operations.commands.output import Column, Output
from spire.operations.commands.shell import Shell, logged_in, pass_shell
from spire.wire.errors import SpireError

SERVICES = (
    "service_locator",
    "uid_service",
    "definitions_service",
    "market_data_service",
    "market_data_feed_service",
    "charting_service",
    "order_execution_service",
)


@click.command()
@click.argument("account")
@click.option("--password-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Read it there.")
@pass_shell
def login(shell: Shell, account: str, password_file: Path | None) -> None:
    """Log in as ACCOUNT and stay logged in.

    The login lasts until logout, or 12 hours without use. The password is asked for, never taken from the command line.
    """
    deployment = shell.deployment
    if password_file is None:
        password = click.prompt("Password", hide_input=True, err=True)
    else:
        password = password_file.read_text(encoding="utf-8").strip()

    async def body(spire: Spire) -> None:
        shell.keep(spire)
        shell.output.line(
            {"account": spire.account, "environment": deployment.environment.name},
            f"Logged in as {spire.account} ({deployment.environment.name}).",
        )

    shell.run_as(lambda reactor: Spire.login(reactor, deployment, account, password), body)


@click.command()
@pass_shell
def logout(shell: Shell) -> None:
    """End the login everywhere."""

    async def body(spire: Spire) -> None:
        await spire.logout()
        shell.output.note(f"{spire.account} is logged out.")

    try:
        shell.run(body)
    finally:
        shell.forget()


@click.command()
@logged_in
async def status(spire: Spire, output: Output) -> None:
    """Show each service, where it runs, and whether it answers."""
    rows: list[dict[str, str | None]] = []
    for service in SERVICES:
        if service == "service_locator":
            addresses = ", ".join(spire.deployment.locator.addresses)
            rows.append({"service": service, "addresses": addresses, "state": "up"})
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


async def _state(spire: Spire, service: str) -> str:
    if service == "market_data_feed_service":
        return "registered"
    try:
        await spire.ready(service, 3.0)
    except SpireError as error:
        return f"registered, {error.coded}"
    return "up"
