"""A reader of results who has gone (`head`) ends a command quietly."""

import os
import sys
from typing import Final

CLOSED_PIPE: Final = 141
"""The exit status then, as a shell tells it of a program that SIGPIPE ended."""


def leave_pipe() -> None:
    """Give up standard output, whose reader has gone, so that nothing is flushed into it at the end."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
