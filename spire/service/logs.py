"""Logs as JSON lines, with the fields of the work that wrote them (session, command, task)."""

import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
)
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from zope.interface import implementer

from spire.runtime.log_context import current_log_context

LONGEST_TEXT = 1_000
LONGEST_TRACE = 8_000
ROTATE_BYTES = 16_000_000
FILES_KEPT = 8


@implementer(ILogObserver)
class JsonLog:
    """Writes each event as one line of JSON: time, level, process, source, text, context, and a failure's traceback."""

    def __init__(self, process: str, write: Callable[[str], object]) -> None:
        self._process = process
        self._write = write

    def __call__(self, event: LogEvent) -> None:
        """Write one event."""
        self._write(format_line(self._process, event, current_log_context()))


def format_line(process: str, event: LogEvent, context: Mapping[str, object]) -> str:
    """Return `event` as one line of JSON that ends in a line end; long texts are cut."""
    level = event.get("log_level")
    record: dict[str, object] = {
        "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="microseconds"),
        "level": level.name if level is not None else "info",
        "process": process,
        "source": event.get("log_namespace", "-"),
        "text": formatEvent(event)[:LONGEST_TEXT],
    }
    for name, value in context.items():
        record.setdefault(name, value if isinstance(value, int) else str(value)[:LONGEST_TEXT])
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        record["failure"] = failure.getTraceback()[-LONGEST_TRACE:]
    return json.dumps(record, ensure_ascii=False, default=str) + "\n"


class Levels:
    """The level below which nothing is logged: for all, or for a dotted source (`spire.wire`)."""

    def __init__(self, level: str) -> None:
        self._predicate = LogLevelFilterPredicate(defaultLogLevel=LogLevel.levelWithName(level))

    def set(self, level: str, source: str = "") -> None:
        """Change the level of `source`, or of all; ValueError for an unknown level."""
        if level not in (constant.name for constant in LogLevel.iterconstants()):
            raise ValueError(f"no level {level}")
        self._predicate.setLogLevelForNamespace(source, LogLevel.levelWithName(level))

    def filter(self, observer: ILogObserver) -> ILogObserver:
        """Return an observer that passes on to `observer` what the level lets through."""
        return FilteringLogObserver(observer, [self._predicate])


class LogOutput:
    """Where lines go: standard output, or a file that is rotated by size."""

    def __init__(self, path: Path | None) -> None:
        self._file: Any = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = LogFile(path.name, str(path.parent), rotateLength=ROTATE_BYTES, maxRotatedFiles=FILES_KEPT)

    def write(self, line: str) -> None:
        """Write one line, at once."""
        if self._file is not None:
            self._file.write(line)
        else:
            sys.stdout.write(line)
            sys.stdout.flush()

    def close(self) -> None:
        """Close the file; standard output stays open."""
        if self._file is not None:
            self._file.close()
