"""The `spire` command: what people type."""

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import click

from spire.operations.commands import market, orders, replay, session
from spire.operations.commands.ending import JSON, Command
from spire.operations.commands.output import Output
from spire.operations.commands.shell import Shell

DISTRIBUTION: Final = "spire-platform"


def show_version(context: click.Context, option: click.Parameter, is_asked: bool) -> None:  # noqa: ARG001 (click's)
    """Print the version of the installed distribution and leave."""
    if not is_asked or context.resilient_parsing:
        return
    try:
        click.echo(f"spire {version(DISTRIBUTION)}")
    except PackageNotFoundError:
        click.echo("spire, from a checkout that is not installed")
    context.exit()


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="The instance whose etc/client.toml says where the platform is (else SPIRE_HOME, else ./var).",
)
@click.option(JSON, "as_json", is_flag=True, help="Write JSON, one object a line; errors too. May stand anywhere.")
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=show_version, help="Show the version."
)
@click.pass_context
def main(context: click.Context, home: Path | None, as_json: bool) -> None:
    """Trade, chart and replay on a Spire platform.

    Begin with: spire login ACCOUNT

    Results go to standard output, everything else to standard error. The exit status is 0 when it is done, 1 when it
    was refused or could not be reached, 2 for a wrong command line, 130 after Ctrl-C.
    """
    make_shell = Shell if context.obj is None else context.obj
    context.obj = make_shell(environ=dict(os.environ), home=home, output=Output(as_json=as_json))


for command in (
    session.login,
    session.logout,
    session.status,
    market.quotes,
    market.trades,
    market.chart,
    orders.order,
    orders.positions,
    replay.replay,
):
    main.add_command(command)
