"""`spire`: what people type."""

import os
from pathlib import Path

import click

from spire.operations.commands import market, orders, replay, session
from spire.operations.commands.shell import Shell


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="The instance whose etc/client.toml says where the platform is (else SPIRE_HOME, else ./var).",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON, one object a line; errors as JSON too.")
@click.version_option(package_name="spire-platform", prog_name="spire")
@click.pass_context
def main(context: click.Context, home: Path | None, as_json: bool) -> None:
    """Trade, chart and replay on a Spire platform.

    Begin with: spire login ACCOUNT
    """
    context.obj = Shell(environ=dict(os.environ), home=home, as_json=as_json)


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
