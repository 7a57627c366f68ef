"""What `--follow` does: write what comes until Ctrl-C, and tell when the server goes away and is back."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

from twisted.internet.defer import Deferred, DeferredList, FirstError

from spire.client.platform import Spire
from spire.operations.commands.output import Output
from spire.wire.client_session import ClientSession
from spire.wire.errors import SpireError
from spire.wire.state_view import StateView
from spire.wire.topics import StreamListener

R = TypeVar("R", bound=Iterable[Any])

LOOK_SECONDS: Final = 1.0
"""How often it is looked whether a view was ended by its server."""


class Printer(StreamListener[R], Generic[R]):
    """Writes each record that comes, until the stream ends; `ended` then fails with why, or with BrokenPipeError."""

    def __init__(self, write: Callable[[Any], None]) -> None:
        self.ended: Deferred[None] = Deferred()
        self._write = write

    def update(self, records: R) -> None:
        """Write records, as long as there is somebody who reads them."""
        if self.ended.called:
            return
        try:
            for record in records:
                self._write(record)
        except BrokenPipeError as error:
            self.ended.errback(error)

    def lost(self, error: SpireError) -> None:
        """Tell of a hole by ending: a line that is missing would look like no line."""
        if not self.ended.called:
            self.ended.errback(error)


async def follow_to_end(output: Output, session: ClientSession, printers: Sequence[Printer[Any]]) -> None:
    """Go on until one of the streams ends, and raise why; tells when the server goes away and when it is back."""
    with_word = _Word(output, session)
    try:
        await DeferredList([printer.ended for printer in printers], fireOnOneErrback=True, consumeErrors=True)
    except FirstError as error:
        error.subFailure.raiseException()
    finally:
        with_word.is_over = True


async def follow_rows(
    spire: Spire, output: Output, session: ClientSession, views: Sequence[StateView[Any]], write: Callable[[Any], None]
) -> None:
    """Write each row of the views that changes, until one of them is ended, and raise why."""
    failures: list[BrokenPipeError] = []

    def changed(_: str, old: Any, new: Any) -> None:  # noqa: ARG001 (of an observer)
        if new is None or failures:
            return
        try:
            write(new)
        except BrokenPipeError as error:
            failures.append(error)

    with_word = _Word(output, session)
    for view in views:
        view.observe(changed)
    try:
        while not failures:
            ended = [view.error for view in views if view.error is not None]
            if ended:
                raise ended[0]
            await spire.clock.sleep(LOOK_SECONDS)
        raise failures[0]
    finally:
        with_word.is_over = True
        for view in views:
            view.close()


class _Word:
    """Tells when a service goes away and when it is back, until it is over."""

    def __init__(self, output: Output, session: ClientSession) -> None:
        self.is_over = False
        self._output = output
        self._service = session.service
        session.on_state(self._tell)

    def _tell(self, is_ready: bool) -> None:
        if self.is_over:
            return
        service = self._service
        self._output.note(f"{service} is back." if is_ready else f"{service} is away; this goes on when it is back.")
