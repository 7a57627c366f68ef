"""Passwords of accounts that are made: read from a file, or generated and told once. None is ever on a command line."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click

from spire.operations.passwords import generate_password
from spire.wire.errors import SpireError, Unavailable


def password_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--password-file` and `--password-to`."""
    function = click.option(
        "--password-to",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Generate a password, and write it to this new file of mode 600.",
    )(function)
    return click.option(
        "--password-file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Read the password from this file. [default: generate one and show it once]",
    )(function)


@asynccontextmanager
async def new_password(
    account: str, password_file: Path | None, password_to: Path | None
) -> AsyncIterator["NewPassword"]:
    """Return the password of an account that is made in the block; the file goes again when that is refused."""
    if password_file is not None and password_to is not None:
        raise click.UsageError("--password-file and --password-to exclude each other.")
    if password_file is not None:
        yield NewPassword(_read(password_file), None)
        return
    password = generate_password(account)
    if password_to is None:
        yield NewPassword(password, password)
        return
    _write(password_to, password)
    try:
        yield NewPassword(password, None)
    except Unavailable:
        raise  # the account may have been made
    except SpireError:
        _remove(password_to)
        raise


class NewPassword:
    """A password; `shown` is set where nobody has it but whoever reads the result."""

    def __init__(self, text: str, shown: str | None) -> None:
        self.text = text
        self.shown = shown


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} cannot be read: {error}") from error
    if not text:
        raise click.UsageError(f"{path} holds no password.")
    return text


def _write(path: Path, password: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.UsageError(f"{path} cannot be made: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(password + "\n")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
