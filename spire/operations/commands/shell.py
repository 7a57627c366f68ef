"""What every subcommand of `spire` needs: the instance, the login, the output, and a reactor to run in."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import update_wrapper
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)
from twisted.python.failure import Failure

from spire.client.cached_login import NoLogin, forget, login_file, read, save
from spire.client.deployment import Deployment, NoDeployment, find_deployment, home_of
from spire.client.platform import Spire
from spire.operations.commands.interrupts import Interrupts, awaited
from spire.operations.commands.output import Output
from spire.operations.pipe import CLOSED_PIPE, leave_pipe
from spire.service.configuration import ConfigurationError
from spire.wire.client_session import ClientSession
from spire.wire.errors import CredentialsRefused, Invalid, NotAuthenticated, NotFound, SpireError

P = ParamSpec("P")

FAILED: Final = 1
INTERRUPTED: Final = 130


class Shell:
    """One invocation of `spire`: where it is, who is logged in, and how it speaks.

    `status` is the exit status of a command that was carried out; what is refused leaves with 1.
    """

    def __init__(self, *, environ: Mapping[str, str], home: Path | None, output: Output) -> None:
        self.home = home_of(environ, Path.cwd()) if home is None else home
        self.output = output
        self.status = 0
        self.login_file = login_file(environ, self.home)

    @property
    def deployment(self) -> Deployment:
        """The deployment; NotFound where there is none, Invalid where its file cannot be used."""
        try:
            return find_deployment(self.home)
        except NoDeployment as error:
            raise NotFound(str(error)) from error
        except ConfigurationError as error:
            raise Invalid(str(error)) from error

    def keep(self, spire: Spire) -> None:
        """Stay logged in as the account of `spire`."""
        try:
            save(self.login_file, spire.cached_login)
        except OSError as error:
            raise Invalid(
                f"The login cannot be kept at {self.login_file} ({error.strerror}): name another file with SPIRE_LOGIN."
            ) from error

    def forget(self) -> None:
        """Stay logged in no longer."""
        forget(self.login_file)

    def run(self, body: Callable[[Spire], Awaitable[None]]) -> None:
        """Run `body` as the kept login, then leave with its exit status."""
        deployment = self.deployment
        try:
            login = read(self.login_file)
        except NoLogin as error:
            raise NotAuthenticated(str(error)) from error
        self.run_as(lambda reactor: Spire.resume(reactor, deployment, login), body)

    def run_as(self, make: Callable[[Any], Spire], body: Callable[[Spire], Awaitable[None]]) -> None:
        """Run `body` with the account that `make` logs in, then leave with the exit status."""

        async def main(reactor: Any) -> None:
            interrupts = Interrupts(reactor)
            raise SystemExit(await interrupts.run(self._work(make(reactor), body, interrupts)))

        faults = FilteringLogObserver(textFileLogObserver(sys.stderr), [LogLevelFilterPredicate(LogLevel.critical)])
        globalLogBeginner.beginLoggingTo([faults], redirectStandardIO=False, discardBuffer=True)
        react(lambda reactor: Deferred.fromCoroutine(main(reactor)))

    async def _work(self, spire: Spire, body: Callable[[Spire], Awaitable[None]], interrupts: Interrupts) -> int:
        spire.on_slow = self._tell_slow
        try:
            async with spire:
                await while_logged_in(spire, body(spire))
        except SpireError as error:
            if not interrupts.number:
                self.output.error(error)
            return FAILED
        except click.ClickException as error:
            self.output.misuse(error)
            return error.exit_code
        except BrokenPipeError:
            leave_pipe()
            return CLOSED_PIPE
        return self.status

    def _tell_slow(self, session: ClientSession) -> None:
        reason = f": {session.reason.rstrip('.')}" if session.reason else ""
        self.output.note(f"Waiting for {session.service}{reason} ...")


async def while_logged_in(spire: Spire, work: Awaitable[None]) -> None:
    """Do `work`, and end it with CredentialsRefused when the login ends elsewhere: it would wait for ever."""
    running = Deferred.fromCoroutine(awaited(work))
    refusals: list[CredentialsRefused] = []

    def refuse(failure: Failure) -> None:
        if isinstance(failure.value, CredentialsRefused):
            refusals.append(failure.value)
            running.cancel()

    def changed(is_ready: bool) -> None:
        if not is_ready and not running.called:
            Deferred.fromCoroutine(spire.link.when_ready()).addErrback(refuse)

    spire.link.on_state(changed)
    try:
        await running
    except CancelledError:
        if refusals:
            raise refusals[0] from None
        raise


pass_shell = click.make_pass_decorator(Shell)


def logged_in(body: Callable[Concatenate[Spire, Output, P], Awaitable[None]]) -> Callable[P, None]:
    """Make a click callback of a coroutine function that takes the platform and the output before its options."""

    @pass_shell
    def command(shell: Shell, /, *arguments: P.args, **options: P.kwargs) -> None:
        async def run(spire: Spire) -> None:
            await body(spire, shell.output, *arguments, **options)

        shell.run(run)

    return update_wrapper(command, body)
