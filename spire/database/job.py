"""One call of the database on its way through reactor and thread."""

from collections.abc import Callable
from threading import Lock
from typing import Any


class Job:
    """One call of `run`: begun by a thread, or given up by the reactor, whichever comes first."""

    def __init__(self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...], added: float) -> None:
        self.name = name
        self.function = function
        self.arguments = arguments
        self.added = added
        self.is_probe = False
        self.retries = 0
        self._lock = Lock()
        self._is_taken = False

    def take(self) -> bool:
        """Say True to the first who asks."""
        with self._lock:
            is_first = not self._is_taken
            self._is_taken = True
        return is_first

    def give_up(self) -> None:
        """Keep it from being begun, if no thread has begun it."""
        self.take()
