"""What a person sees of a running replay, and the keys with which he drives it."""

import os
import sys
import termios
import tty
from datetime import date
from types import TracebackType
from typing import Any, Final, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from spire.feeds.replay import Progress as ReplayProgress
from spire.feeds.replay import ReplayFeed
from spire.operations.commands.output import Output
from spire.runtime.tasks import Tasks
from spire.values.time import to_datetime

MANY: Final = 1_000
ZONE: Final = "America/New_York"


class Display:
    """A progress bar for a person; nothing for a program."""

    def __init__(self, output: Output, trade_date: date) -> None:
        self._bar: Progress | None = None
        if not output.as_json and output.errors.is_terminal:
            self._bar = Progress(
                TextColumn(trade_date.isoformat()),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[state]}"),
                console=output.errors,
            )
            self._task = self._bar.add_task("replay", total=None, state="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, progress: ReplayProgress) -> None:
        """Show where the replay stands."""
        if self._bar is not None:
            self._bar.update(self._task, total=progress.total, completed=progress.accepted, state=state_of(progress))


def state_of(progress: ReplayProgress) -> str:
    """Return a replay's state in a few words."""
    time = "" if progress.market_time is None else f"{to_datetime(progress.market_time, ZONE):%H:%M:%S} New York, "
    if progress.is_ended:
        return f"{time}ended"
    if not progress.is_connected:
        return f"{time}waits for the server"
    if progress.is_paused:
        return f"{time}paused"
    return f"{time}as fast as possible" if progress.speed is None else f"{time}{progress.speed:g} x"


@implementer(IReadDescriptor)
class Keys:
    """Single keys from the terminal, where standard input is one; `done` fires when the replay ends or a person leaves."""

    def __init__(self, reactor: Any, feed: ReplayFeed, tasks: Tasks, descriptor: int | None = None) -> None:
        self.done: Deferred[None] = Deferred()
        self._reactor = reactor
        self._feed = feed
        self._tasks = tasks
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        self._before: list[Any] | None = None

    @property
    def has_terminal(self) -> bool:
        """Whether there is a terminal to press keys on."""
        return os.isatty(self._descriptor)

    def __enter__(self) -> Self:
        if self.has_terminal:
            self._before = termios.tcgetattr(self._descriptor)
            tty.setcbreak(self._descriptor)
            self._reactor.addReader(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            self._reactor.removeReader(self)
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def watch(self, progress: ReplayProgress) -> None:
        """Leave a replay that has paused and has nothing under way, where no key could ever let it go on."""
        if progress.is_paused and progress.accepted == progress.sent and not self.has_terminal:
            self.finished(None)

    def finished(self, result: object) -> object:
        """Know that the replay is over; what it ended with is passed on."""
        if not self.done.called:
            self.done.callback(None)
        return result

    def press(self, key: str) -> None:
        """Do what a key stands for; an unknown one does nothing."""
        progress = self._feed.progress
        if key == " ":
            (self._feed.resume if progress.is_paused else self._feed.pause)()
        elif key == "s":
            self._tasks.spawn("step", self._feed.step(1))
        elif key == "m":
            self._tasks.spawn("step", self._feed.step(MANY))
        elif key in "+-":
            factor = 2.0 if key == "+" else 0.5
            self._feed.set_speed((progress.speed or 1.0) * factor)
        elif key == "0":
            self._feed.set_speed(None)
        elif key == "q":
            self.finished(None)

    # IReadDescriptor

    def fileno(self) -> int:
        """Return the terminal."""
        return self._descriptor

    def doRead(self) -> None:  # noqa: N802 (Twisted's name)
        """Take the keys that were pressed."""
        for key in os.read(self._descriptor, 64).decode("ascii", "ignore"):
            self.press(key)

    def connectionLost(self, reason: Failure) -> None:
        """Leave when the terminal goes."""
        self.finished(reason)

    def logPrefix(self) -> str:  # noqa: N802 (Twisted's name)
        """Return what Twisted calls this reader."""
        return "keys"
