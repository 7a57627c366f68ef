"""What stands before the subcommands of `spire` and of `spire-admin`: the instance, the form of the output, the version."""

import os
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import click

from spire.operations.commands.ending import JSON, Command
from spire.operations.commands.output import Output
from spire.operations.commands.shell import Shell

DISTRIBUTION: Final = "spire-platform"


def make_front(name: str, words: str, commands: Iterable[click.Command]) -> click.Group:
    """Return the command `name` with its subcommands; `words` is its help.

    `obj` of its context may be what makes the shell, in place of `Shell`: tests run without a reactor.
    """

    def front(context: click.Context, home: Path | None, as_json: bool) -> None:
        make_shell: Callable[..., Shell] = Shell if context.obj is None else context.obj
        context.obj = make_shell(environ=dict(os.environ), home=home, output=Output(as_json=as_json))

    def show_version(context: click.Context, option: click.Parameter, is_asked: bool) -> None:  # noqa: ARG001 (click's)
        if not is_asked or context.resilient_parsing:
            return
        try:
            click.echo(f"{name} {version(DISTRIBUTION)}")
        except PackageNotFoundError:
            click.echo(f"{name}, from a checkout that is not installed")
        context.exit()

    options = (
        click.option(
            "--home",
            type=click.Path(path_type=Path, file_okay=False),
            help="The instance whose etc/client.toml says where the platform is (else SPIRE_HOME, else ./var).",
        ),
        click.option(
            JSON, "as_json", is_flag=True, help="Write JSON, one object a line; errors too. May stand anywhere."
        ),
        click.option(
            "--version",
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=show_version,
            help="Show the version.",
        ),
    )
    settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
    body = click.pass_context(front)
    for option in reversed(options):
        body = option(body)
    group = click.command(name, cls=Command, context_settings=settings, help=words)(body)
    for command in commands:
        group.add_command(command)
    return group
