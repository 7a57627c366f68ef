"""Journals on real files, with writing in the calling thread or when the test says so."""

import resource
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase

from spire.database.journal import (
    Frame,
    Journal,
)
from spire.runtime.metrics import Metrics
from spire.testing.clock import ManualClock
from spire.values.environment import Environment

R = TypeVar("R")


class Threads:
    """Runs in place, or when the test says so."""

    def __init__(self) -> None:
        self.is_held = False
        self.held: list[Callable[[], None]] = []
        self.file_limit: int | None = None

    def __call__(self, function: Callable[..., R], /, *arguments: Any) -> Awaitable[R]:
        if not self.is_held:
            return execute(self._run, function, *arguments)
        result: Deferred[R] = Deferred()

        def run() -> None:
            execute(self._run, function, *arguments).addBoth(result.callback)

        self.held.append(run)
        return result

    def _run(self, function: Callable[..., R], *arguments: Any) -> R:
        """Run with a limit on the size of files, as a full disk would have it; trial's own log must not meet it."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        if self.file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.file_limit, hard))
        try:
            return function(*arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def step(self) -> None:
        """Run the oldest function that is held."""
        self.held.pop(0)()


class JournalCase(SynchronousTestCase):
    """Journals in a directory of the test's own."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.clock = ManualClock()
        self.threads = Threads()
        self.metrics = Metrics()

    def make(self, *, epoch: int = 1, environment: Environment = Environment.DEMO, file_bytes: int = 4096) -> Journal:
        """Make a journal that is not open yet."""
        return Journal(
            self.directory,
            "facts",
            environment=environment,
            epoch=epoch,
            clock=self.clock,
            metrics=self.metrics,
            run_in_thread=self.threads,
            file_bytes=file_bytes,
        )

    def opened(self, **options: Any) -> tuple[Journal, list[Frame]]:
        """Make and open a journal, and return what it held."""
        journal = self.make(**options)
        frames = list(journal.open())
        self.addCleanup(lambda: self.close(journal))
        return journal, frames

    def close(self, journal: Journal) -> None:
        """Close a journal."""
        self.successResultOf(Deferred.fromCoroutine(journal.close()))

    def crash(self, journal: Journal) -> None:
        """Let go of a journal as a killed process would."""
        journal._files.close()

    @property
    def paths(self) -> list[Path]:
        """The journal's files, oldest first."""
        return sorted(self.directory.glob("*.journal"), key=lambda path: path.name[-28:])
