"""What every subcommand of `spire` needs: the instance, the login, the output, and a reactor to run in."""

import sys
from collections.abc import Awaitable, Callable
from functools import update_wrapper
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import click
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from spire.client.cached_login import NoLogin, forget, login_file, read, save
from spire.client.deployment import Deployment, NoDeployment, find_deployment, home_of
from spire.client.platform import Spire
from spire.operations.commands.output import Output
from spire.service.configuration import ConfigurationError
from spire.wire.errors import SpireError

P = ParamSpec("P")

FAILED = 1


class Shell:
    """One invocation of `spire`: where it is, who is logged in, and how it speaks."""

    def __init__(self, *, environ: dict[str, str], home: Path | None, as_json: bool) -> None:
        self.home = home_of(environ, Path.cwd()) if home is None else home
        self.output = Output(as_json=as_json)
        self._login_file = login_file(environ, self.home)

    @property
    def deployment(self) -> Deployment:
        """The deployment; a ClickException says what to do where there is none."""
        try:
            return find_deployment(self.home)
        except (NoDeployment, ConfigurationError) as error:
            raise click.ClickException(str(error)) from error

    def keep(self, spire: Spire) -> None:
        """Stay logged in as the account of `spire`."""
        save(self._login_file, spire.cached_login)

    def forget(self) -> None:
        """Stay logged in no longer."""
        forget(self._login_file)

    def run(self, body: Callable[[Spire], Awaitable[None]]) -> None:
        """Run `body` as the kept login, then leave with its exit status."""
        deployment = self.deployment
        try:
            login = read(self._login_file)
        except NoLogin as error:
            raise click.ClickException(str(error)) from error
        self.run_as(lambda reactor: Spire.resume(reactor, deployment, login), body)

    def run_as(self, make: Callable[[Any], Spire], body: Callable[[Spire], Awaitable[None]]) -> None:
        """Run `body` with the account that `make` logs in, then leave with exit status 0, or 1 after a refusal."""

        async def main(reactor: Any) -> None:
            try:
                async with make(reactor) as spire:
                    await body(spire)
            except SpireError as error:
                self.output.error(error)
                raise SystemExit(FAILED) from None

        faults = FilteringLogObserver(textFileLogObserver(sys.stderr), [LogLevelFilterPredicate(LogLevel.critical)])
        globalLogBeginner.beginLoggingTo([faults], redirectStandardIO=False, discardBuffer=True)
        react(lambda reactor: Deferred.fromCoroutine(main(reactor)))


pass_shell = click.make_pass_decorator(Shell)


def logged_in(body: Callable[Concatenate[Spire, Output, P], Awaitable[None]]) -> Callable[P, None]:
    """Make a click callback of a coroutine function that takes the platform and the output before its options."""

    @pass_shell
    def command(shell: Shell, /, *arguments: P.args, **options: P.kwargs) -> None:
        async def run(spire: Spire) -> None:
            await body(spire, shell.output, *arguments, **options)

        shell.run(run)

    return update_wrapper(command, body)
