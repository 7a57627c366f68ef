"""The guard around every table of responders: nothing that a peer sends, and no fault of ours, ends a connection.

Plain AMP drops the connection on one undeclared exception, one argument that does not parse, one answer that is too
long, one failing push (docs/wire.md). Here each of these costs one coded error and a log record.
"""

from collections.abc import Callable
from functools import partial
from inspect import iscoroutine
from time import perf_counter
from types import MethodType
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter, Histogram
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.protocols.amp import IResponderLocator
from twisted.python.failure import Failure
from zope.interface import implementer

from spire.runtime.log_context import fields as log_fields
from spire.runtime.metrics import Metrics
from spire.wire.boxes import Box
from spire.wire.codec import ASK, COMMAND, CORRELATION, Codec, codec_of, error_box
from spire.wire.errors import Internal, Invalid, NotAuthenticated, NotFound, Overloaded, SpireError

if TYPE_CHECKING:
    from spire.wire.connection import Connection

LONGEST_CORRELATION = 128
INTERNAL = Internal("The server failed to carry out the command; its log says why.")
UNKNOWN_LABEL = "unknown"

Declared = tuple[type[amp.Command], Callable[..., Any]]


@implementer(IResponderLocator)
class Responders:
    """Several locators as one; of two responders to a command the later locator's counts.

    It serves rooms that put a table together from their own responders and shared ones (streams, series).
    """

    def __init__(self, *locators: IResponderLocator) -> None:
        self.declared: dict[bytes, Declared] = {}
        for locator in locators:
            self.declared.update(responders_of(locator))

    def locateResponder(self, name: bytes) -> Callable[[Box], Deferred[Box]] | None:
        """Return AMP's own responder for `name`, as a plain AMP connection would use it."""
        found = self.declared.get(name)
        if found is None:
            return None
        command, function = found
        return amp.CommandLocator()._wrapWithSerialization(function, command)  # type: ignore[no-any-return]


def responders_of(locator: IResponderLocator) -> dict[bytes, Declared]:
    """Return the commands that `locator` answers, by wire name, each with its bound function.

    Raises TypeError for a locator whose table cannot be read.
    """
    if isinstance(locator, Responders):
        return locator.declared
    if isinstance(locator, amp.CommandLocator):
        # Twisted offers no public way to list a locator's commands; tests/wire/test_twisted.py pins this one.
        table: dict[bytes, Declared] = locator._commandDispatch  # type: ignore[attr-defined]
        return {name: (command, MethodType(function, locator)) for name, (command, function) in table.items()}
    raise TypeError(f"{locator!r} is no CommandLocator")


class Meters:
    """Counts and times of one command."""

    def __init__(self, command: str, calls: Counter, seconds: Histogram) -> None:
        self.succeeded = calls.labels(command=command, outcome="succeeded").inc
        self.declared = calls.labels(command=command, outcome="declared").inc
        self.internal = calls.labels(command=command, outcome="internal").inc
        self.cancelled = calls.labels(command=command, outcome="cancelled").inc
        self.overloaded = calls.labels(command=command, outcome="overloaded").inc
        self.observe = seconds.labels(command=command).observe


class Entry:
    """One command of a compiled table."""

    __slots__ = ("cancel_on_close", "codec", "function", "login", "meters")

    def __init__(self, codec: Codec, function: Callable[..., Any], meters: Meters) -> None:
        self.codec = codec
        self.function = function
        self.meters = meters
        self.login = bool(getattr(codec.command, "login", False))
        self.cancel_on_close = bool(getattr(codec.command, "cancel_on_close", False))


Table = dict[bytes, Entry]


class Guard:
    """Runs the responders of all connections of one server or client.

    The outcome of each command is counted as succeeded, declared (a SpireError), internal (a fault of ours), cancelled
    or overloaded, and its time from arrival to answer is observed.
    """

    _log = Logger()

    def __init__(self, metrics: Metrics, side: str) -> None:
        self._calls = metrics.counter(
            f"spire_wire_{side}_commands", "Commands received, by outcome.", ["command", "outcome"]
        )
        self._seconds = metrics.histogram(
            f"spire_wire_{side}_command_seconds", "From a command's arrival to its answer.", ["command"]
        )
        self._unknown = self._calls.labels(command=UNKNOWN_LABEL, outcome="unknown").inc
        self._meters: dict[str, Meters] = {}

    def compile(self, *locators: IResponderLocator) -> Table:
        """Return the table of all commands that the locators answer; the later locator wins."""
        table: Table = {}
        for locator in locators:
            for name, (command, function) in responders_of(locator).items():
                codec = codec_of(command)
                table[name] = Entry(codec, function, self._meters_of(codec.text))
        return table

    def _meters_of(self, command: str) -> Meters:
        meters = self._meters.get(command)
        if meters is None:
            meters = self._meters[command] = Meters(command, self._calls, self._seconds)
        return meters

    def run(self, connection: "Connection", box: Box) -> None:
        """Carry out the command in `box` and answer it; never raises."""
        tag = box.get(ASK)
        entry = connection.table.get(box[COMMAND])
        if entry is None:
            self._unknown()
            if tag is not None:
                connection.write_box(error_box(tag, connection.unknown(_printable(box[COMMAND]))))
            return
        if len(connection.running) >= connection.outstanding_limit:
            entry.meters.overloaded()
            if tag is not None:
                text = f"More than {connection.outstanding_limit} calls are outstanding on this connection."
                connection.write_box(error_box(tag, Overloaded(text)))
            return
        started = perf_counter()
        correlation = _printable(box.get(CORRELATION, b""))
        token = log_fields.set(
            {"session": connection.label, "command": entry.codec.text, "correlation_id": correlation}
        )
        try:
            result = entry.function(**entry.codec.arguments(box))
            if iscoroutine(result):
                result = Deferred.fromCoroutine(result)
        except Exception:  # noqa: BLE001 (whatever a responder raises is answered; nothing is awaited here)
            self._failed(connection, entry, tag, started, correlation, Failure())
            return
        finally:
            log_fields.reset(token)
        if isinstance(result, Deferred):
            self._wait(connection, entry, tag, started, correlation, result)
        else:
            self._succeeded(connection, entry, tag, started, correlation, result)

    def _wait(
        self,
        connection: "Connection",
        entry: Entry,
        tag: bytes | None,
        started: float,
        correlation: str,
        result: Deferred[Any],
    ) -> None:
        connection.running[result] = entry.cancel_on_close

        def ended(value: Any) -> None:
            connection.running.pop(result, None)
            if isinstance(value, Failure):
                self._failed(connection, entry, tag, started, correlation, value)
            else:
                self._succeeded(connection, entry, tag, started, correlation, value)

        result.addBoth(ended)

    def _succeeded(
        self, connection: "Connection", entry: Entry, tag: bytes | None, started: float, correlation: str, value: Any
    ) -> None:
        meters = entry.meters
        if tag is not None:
            try:
                answer = entry.codec.answer(tag, value if value is not None else {})
                if len(answer) > connection.largest_box:
                    raise Invalid(f"the answer takes {len(answer)} bytes; a box ends at {connection.largest_box}")
            except (Invalid, TypeError, AttributeError):
                self._internal(connection, entry, tag, correlation, None)
                return
            connection.write_box(answer)
        meters.succeeded()
        meters.observe(perf_counter() - started)

    def _failed(
        self,
        connection: "Connection",
        entry: Entry,
        tag: bytes | None,
        started: float,
        correlation: str,
        failure: Failure,
    ) -> None:
        error = failure.value
        if isinstance(error, SpireError) and not isinstance(error, Internal):
            entry.meters.declared()
            entry.meters.observe(perf_counter() - started)
            if tag is None:
                self._log.warn(
                    "{session}: push {command} failed: {error}",
                    session=connection.label,
                    command=entry.codec.text,
                    correlation_id=correlation,
                    error=str(error),
                )
                return
            if entry.login and isinstance(error, NotAuthenticated):
                connection.login_failed(partial(connection.write_box, error_box(tag, error)))
                return
            connection.write_box(error_box(tag, error))
        elif isinstance(error, CancelledError) and not connection.is_open:
            entry.meters.cancelled()
        else:
            self._internal(connection, entry, tag, correlation, failure)

    def _internal(
        self, connection: "Connection", entry: Entry, tag: bytes | None, correlation: str, failure: Failure | None
    ) -> None:
        """Log `failure`, or the exception being handled, and answer without a word of it."""
        entry.meters.internal()
        self._log.failure(
            "{session}: {command} failed",
            failure=failure,
            session=connection.label,
            command=entry.codec.text,
            correlation_id=correlation,
        )
        if tag is not None:
            connection.write_box(error_box(tag, INTERNAL))


def no_such_command(name: str) -> SpireError:
    """Return the answer to a command that the table does not hold."""
    return NotFound(f"There is no command {name} here.", command=name)


def login_first(name: str) -> SpireError:
    """Return the answer to a command that the table of a session which is not logged in does not hold."""
    return NotAuthenticated(f"Log in before {name}.", command=name)


def _printable(name: bytes) -> str:
    return name[:LONGEST_CORRELATION].decode("ascii", "backslashreplace")
