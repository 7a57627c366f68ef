"""The command line of an instance: `python -m spire.operations.manage`, behind `start.sh`, `bin/<server>` and their like."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from attrs import asdict

from spire.database.private import PrivateServerError
from spire.operations.instance import DATABASE, Instance, NewPassword
from spire.operations.layout import CHECKOUT, Layout, default_home
from spire.operations.pipe import CLOSED_PIPE, leave_pipe
from spire.operations.processes import READY_SECONDS, STOP_SECONDS, OperationError, ProcessState
from spire.operations.servers import FEEDS, MOST_RELAYS, OFFSET_STEP, kind_of
from spire.operations.settings import InstanceSettings
from spire.service.configuration import ConfigurationError
from spire.values.environment import Environment

NEXT_STEPS = """\
Spire runs, with a generated market. What to type next:

{export}  bin/spire login {trader} --password-file {password_file}
  bin/spire quotes ACME.DEMO --follow
  bin/spire order submit buy 100 ACME.DEMO
  bin/spire positions
  bin/spire risk

  bin/spire-admin login {administrator} --password-file {administrator_file}
  bin/spire-admin limits show
  bin/spire-admin audit --last 10

  ./check.sh shows its servers, ./stop.sh stops them, ./start.sh starts them again.
"""


SCRIPT = "spire.operations.manage.script"
"""Under which name a context keeps the script that was typed."""


class _Target:
    """The instance, and the one server that `bin/<server>` is about."""

    def __init__(self, home: Path, only: str | None) -> None:
        self.instance = Instance(home)
        self.only = only

    def names(self, given: tuple[str, ...]) -> list[str] | None:
        """Return the processes meant; None for all."""
        return list(given) or (None if self.only is None else [self.only])

    def name(self, given: tuple[str, ...]) -> str:
        """Return the one process meant."""
        names = self.names(given)
        if names is None or len(names) != 1:
            raise click.UsageError("name one server")
        return names[0]


def _reporting(function: Callable[..., None]) -> Callable[..., None]:
    @wraps(function)
    def reported(*arguments: Any, **options: Any) -> None:
        try:
            function(*arguments, **options)
        except BrokenPipeError:
            leave_pipe()
            sys.exit(CLOSED_PIPE)
        except (OperationError, ConfigurationError, PrivateServerError, OSError, ValueError) as error:
            click.echo(str(error), err=True)
            sys.exit(1)

    return reported


NAMES = click.argument("names", nargs=-1)
port_offset_option = click.option(
    "--port-offset",
    type=int,
    help="Added to every port, so that instances live side by side: 0, "
    f"{OFFSET_STEP}, {2 * OFFSET_STEP} ..., each at least {OFFSET_STEP} from that of every other.",
)
relays_option = click.option(
    "--relays", type=click.IntRange(1, MOST_RELAYS), help="How many market data relays (1 unless given)."
)


class _Scripts(click.Group):
    """Its commands are called as they were typed: by the script in front of them, where there is one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command with the name that its usage shows."""
        name, command, rest = super().resolve_command(ctx, args)
        return ctx.meta.get(SCRIPT, name), command, rest


def _typed_script(context: click.Context, option: click.Parameter, script: str | None) -> None:  # noqa: ARG001 (click's)
    if script is not None:
        context.meta[SCRIPT], context.info_name = script, None


def _typed_server(context: click.Context, option: click.Parameter, only: str | None) -> str | None:  # noqa: ARG001 (click's)
    if only is not None:
        context.info_name = f"bin/{only}"
    return only


@click.group(cls=_Scripts, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home", type=click.Path(path_type=Path), default=default_home, help="The instance (SPIRE_HOME, or ./var)."
)
@click.option(
    "--only", hidden=True, is_eager=True, callback=_typed_server, help="The server that the command is about."
)
@click.option(
    "--script",
    hidden=True,
    is_eager=True,
    expose_value=False,
    callback=_typed_script,
    help="The script that was typed, which is one command.",
)
@click.pass_context
def main(context: click.Context, home: Path, only: str | None) -> None:
    """Set up, start, check and stop an instance of Spire."""
    context.obj = _Target(home, only)


def _set_up(target: _Target, settings: InstanceSettings | None) -> list[NewPassword]:
    target.instance.require_ports(settings)
    made = target.instance.set_up(settings)
    for person in made:
        click.echo(f"password of {person.name}: {person.password}   (kept in {person.file})")
    return made


def _settings(
    instance: Instance,
    *,
    environment: str | None = None,
    port_offset: int | None = None,
    host: str | None = None,
    feeds: tuple[str, ...] = (),
    relays: int | None = None,
) -> InstanceSettings:
    known = instance.settings if instance.layout.settings.exists() else InstanceSettings()
    return InstanceSettings(
        environment=known.environment if environment is None else Environment[environment],
        host=known.host if host is None else host,
        port_offset=known.port_offset if port_offset is None else port_offset,
        feeds=feeds or known.feeds,
        relays=known.relays if relays is None else relays,
        administrator=known.administrator,
        trader=known.trader,
        market_data_account=known.market_data_account,
        currency=known.currency,
        schema=known.schema,
    )


@main.command()
@click.option(
    "--environment",
    type=click.Choice([environment.name for environment in Environment], case_sensitive=False),
    help="What the instance is for (DEMO unless named; PRODUCTION is refused).",
)
@port_offset_option
@click.option("--host", help="The address that servers bind and advertise.")
@click.option(
    "--feed",
    "feeds",
    multiple=True,
    type=click.Choice([kind.name for kind in FEEDS]),
    help="A feed that starts with the servers; may be given several times.",
)
@relays_option
@click.pass_obj
@_reporting
def setup(
    target: _Target,
    environment: str | None,
    port_offset: int | None,
    host: str | None,
    feeds: tuple[str, ...],
    relays: int | None,
) -> None:
    """Make what is missing: configuration, certificates, secrets, database, tables, first accounts."""
    settings = _settings(
        target.instance, environment=environment, port_offset=port_offset, host=host, feeds=feeds, relays=relays
    )
    _set_up(target, settings)
    click.echo(f"{target.instance.home} is set up")


@main.command()
@port_offset_option
@relays_option
@click.pass_obj
@_reporting
def quickstart(target: _Target, port_offset: int | None, relays: int | None) -> None:
    """Set up an instance with a generated market, start it, and say what to type next.

    It stands in the folder that SPIRE_HOME names, else in var/ of the checkout.
    """
    instance = target.instance
    click.echo("setting up")
    _set_up(target, _settings(instance, port_offset=port_offset, feeds=("simulation-feed",), relays=relays))
    _start_all(target, READY_SECONDS)
    settings = instance.settings
    password_file = instance.layout.secret(settings.trader)
    is_usual = instance.home == Layout(CHECKOUT / "var").home
    export = "" if is_usual else f"  export SPIRE_HOME={instance.home}\n"
    steps = NEXT_STEPS.format(
        export=export,
        trader=settings.trader,
        password_file=password_file,
        administrator=settings.administrator,
        administrator_file=instance.layout.secret(settings.administrator),
    )
    click.echo("\n" + steps)


def _start_all(target: _Target, timeout_seconds: float, *, opens_day: bool = True) -> None:
    """Start all servers, open the business day, then the feeds.

    Between the two, because a day begins with the marks that the last one left: the first quote of the new day finds
    every trading account opened. A day that could not be opened is told at the end, and keeps nothing from starting.
    """
    instance, failure = target.instance, None
    names = instance.ordered(None)
    feeds = [name for name in names if not kind_of(name).ports]
    _start(target, [name for name in names if name not in feeds], timeout_seconds)
    if opens_day:
        try:
            click.echo(instance.open_day(), nl=False)
        except OperationError as error:
            failure = error
    _start(target, feeds, timeout_seconds)
    if failure is not None:
        raise OperationError(f"{failure}\nall else runs; open it with bin/reset_risk_states.py")


def _start(target: _Target, names: list[str], timeout_seconds: float) -> None:
    instance = target.instance
    instance.start_database()
    if DATABASE in names:
        click.echo(f"{DATABASE} is ready")
    for name in instance.ordered([name for name in names if name != DATABASE]):
        if sys.stdout.isatty():
            click.echo(f"{name} ...\r", nl=False)  # what comes of it, good or bad, is written over this
        instance.start([name], timeout_seconds)
        click.echo(f"{name} is ready")


@main.command()
@NAMES
@click.option("--timeout", "timeout_seconds", type=float, default=READY_SECONDS, help="Seconds for each to be ready.")
@click.option("--no-reset", is_flag=True, help="Do not open the business day (bin/reset_risk_states.py does).")
@click.pass_obj
@_reporting
def start(target: _Target, names: tuple[str, ...], timeout_seconds: float, no_reset: bool) -> None:
    """Start all, or these, in order; each must be ready before the next.

    With all, the business day is opened once the servers are ready and before the feeds start.
    """
    named = target.names(names)
    if named is None:
        _start_all(target, timeout_seconds, opens_day=not no_reset)
    else:
        _start(target, named, timeout_seconds)


@main.command()
@NAMES
@click.option("--timeout", "timeout_seconds", type=float, default=STOP_SECONDS, help="Seconds before one is killed.")
@click.pass_obj
@_reporting
def stop(target: _Target, names: tuple[str, ...], timeout_seconds: float) -> None:
    """Stop all, or these, gracefully, in reverse order."""
    ended = []

    def tell(name: str, was_killed: bool) -> None:
        ended.append(name)
        if was_killed:
            click.echo(f"{name} did not stop within {timeout_seconds:.0f} s and was killed", err=True)
        else:
            click.echo(f"{name} is stopped")

    named = target.names(names)
    killed = target.instance.stop(named, timeout_seconds, tell)
    for name in named or []:
        if name not in ended:
            click.echo(f"{name} does not run")
    if named is None and not ended:
        click.echo(f"nothing runs of {target.instance.home}")
    sys.exit(1 if killed else 0)


@main.command()
@NAMES
@click.pass_obj
@_reporting
def restart(target: _Target, names: tuple[str, ...]) -> None:
    """Stop one server, or the database, and start it again."""
    name = target.name(names)
    target.instance.restart(name)
    click.echo(f"{name} is ready")


@main.command()
@NAMES
@click.pass_obj
@_reporting
def run(target: _Target, names: tuple[str, ...]) -> None:
    """Run one server in the foreground."""
    target.instance.start_database()
    sys.exit(target.instance.process(target.name(names)).run())


@main.command()
@NAMES
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
@_reporting
def check(target: _Target, names: tuple[str, ...], as_json: bool) -> None:
    """Say how all, or these, are; the exit status is 0 only if all are up."""
    states = target.instance.check(target.names(names))
    if as_json:
        click.echo(json.dumps([asdict(state) | {"is_up": state.is_up} for state in states], indent=2))
    else:
        for state in states:
            click.echo(_line(state))
    sys.exit(0 if states and all(state.is_up for state in states) else 1)


def _line(state: ProcessState) -> str:
    parts = [f"{state.name:<19} {state.condition:<9}"]
    if state.pid is not None:
        parts.append(f"process {state.pid}")
    if state.uptime_seconds is not None:
        parts.append(f"up {state.uptime_seconds:.0f} s")
    return "  ".join((*parts, *state.reasons.values())).rstrip()


@main.command()
@NAMES
@click.pass_obj
@_reporting
def kill(target: _Target, names: tuple[str, ...]) -> None:
    """Kill one server, or the database, at once; for tests of what happens then."""
    name = target.name(names)
    if not target.instance.kill(name):
        raise OperationError(
            f"{name} does not run" + ("" if name == DATABASE else f": see {target.instance.layout.log(name)}")
        )
    click.echo(f"{name} is killed")


if __name__ == "__main__":
    main(prog_name="bin/manage")
