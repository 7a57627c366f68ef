"""Passwords that are generated."""

import secrets
from collections.abc import Callable
from typing import Final

RANDOM_BYTES: Final = 24


def generate_password(account: str, random_text: Callable[[int], str] = secrets.token_urlsafe) -> str:
    """Return a new password of an account, which its policy takes: never one that holds the account's name by chance."""
    while True:
        password = random_text(RANDOM_BYTES)
        if account.casefold() not in password.casefold():
            return password
