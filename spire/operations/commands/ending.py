"""How a command line ends: an exit status without a traceback, and `--json` that may stand anywhere."""

import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from spire.operations.commands.output import Output
from spire.operations.commands.shell import FAILED, INTERRUPTED
from spire.operations.pipe import CLOSED_PIPE, leave_pipe
from spire.wire.errors import SpireError

JSON: Final = "--json"


class _Ending(click.Command):
    """Whatever happens is told as the output tells it."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: ARG002 (click's interface)
        **extra: Any,
    ) -> Any:
        """Run the command and exit: 0 done, 1 refused, 2 misused, 130 interrupted."""
        words = list(sys.argv[1:] if args is None else args)
        as_json = JSON in words
        if as_json:
            words = [JSON, *(word for word in words if word != JSON)]
        output = Output(as_json=as_json)
        try:
            status = super().main(words, prog_name, complete_var, standalone_mode=False, **extra)
        except click.ClickException as error:
            output.misuse(error)
            status = error.exit_code
        except SpireError as error:
            output.error(error)
            status = FAILED
        except (click.Abort, KeyboardInterrupt):
            status = INTERRUPTED
        except BrokenPipeError:
            leave_pipe()
            status = CLOSED_PIPE
        sys.exit(status)


class Command(_Ending, click.Group):
    """A group of subcommands that people type."""


class Script(_Ending):
    """A command of its own."""
