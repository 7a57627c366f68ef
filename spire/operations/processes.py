"""Starts processes as children of their own session, knows them again by process id, awaits, checks and stops them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from attrs import field, frozen

from spire.operations.layout import CHECKOUT, Layout
from spire.operations.lock import locked
from spire.operations.servers import OFFSET_STEP, ServerKind
from spire.operations.settings import read_settings
from spire.service.admin_client import ask
from spire.wire.errors import SpireError

POLL_SECONDS = 0.05
READY_SECONDS = 60.0
STOP_SECONDS = 20.0
KILL_SECONDS = 10.0
# What twistd prints of itself before a usage error, and how it names a port that another process has.
TWISTD_PREFIX = re.compile(r"-c(?: --?\S+)*: ")
PORT_IN_USE = re.compile(r"CannotListenError: Couldn't listen on (\S+):(\d+): .*in use")
OTHER_OFFSET = (
    "does another instance run (./check.sh)? Instances run side by side if each is set up with a --port-offset "
    f"at least {OFFSET_STEP} from that of every other"
)
TWISTD = "from twisted.scripts.twistd import run; run()"


class OperationError(Exception):
    """Something an operator asked for did not happen; the message says why and where to look."""


class Condition(StrEnum):
    """How a process is, as `check` finds it."""

    READY = "ready"
    DEGRADED = "degraded"
    STARTING = "starting"
    STOPPING = "stopping"
    HUNG = "hung"
    DEAD = "dead"
    STOPPED = "stopped"


# Those of this very process: a child that ended stays in the table of processes until its parent looks.
_CHILDREN: dict[int, "subprocess.Popen[bytes]"] = {}
_CONDITIONS = {str(condition): condition for condition in Condition}


@frozen(kw_only=True)
class ProcessState:
    """One process as `check` found it; DEAD is a process that was started and ended without being stopped."""

    name: str
    condition: Condition
    pid: int | None = None
    uptime_seconds: float | None = None
    reasons: Mapping[str, str] = field(factory=dict)

    @property
    def is_up(self) -> bool:
        """Whether it can be used."""
        return self.condition in (Condition.READY, Condition.DEGRADED)


class ServerProcess:
    """One process of an instance, running or not; every call looks at the truth, so that several scripts may use it."""

    def __init__(self, layout: Layout, kind: ServerKind, sleep: Callable[[float], None] = time.sleep) -> None:
        self.kind = kind
        self.name = kind.name
        self._layout = layout
        self._sleep = sleep

    @property
    def pid(self) -> int | None:
        """The id of the process if it runs; the id of another process that took its number is not taken for it."""
        recorded = self._recorded()
        if recorded is None or _birth(recorded[0]) != recorded[1]:
            return None
        return recorded[0]

    @property
    def command(self) -> list[str]:
        """The command line; it names no secret."""
        configuration = str(self._layout.configuration(self.name))
        return [sys.executable, "-c", TWISTD, "--nodaemon", "--pidfile=", self.kind.tap, "--config", configuration]

    def run(self) -> int:
        """Run in the foreground until it ends; return its exit status."""
        return subprocess.call(self.command, env=_environment(), cwd=self._layout.home)

    def start(self) -> None:
        """Start in the background, unless it runs already; `await_ready` says what became of it."""
        with locked(self._layout.start_lock):
            if self.pid is None:
                self._start()

    def _start(self) -> None:
        self._layout.ready(self.name).unlink(missing_ok=True)
        self._layout.logs.mkdir(parents=True, exist_ok=True)
        with self._layout.output(self.name).open("ab") as output:
            child = subprocess.Popen(
                self.command,
                env=_environment(),
                cwd=self._layout.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _CHILDREN[child.pid] = child
        self._record(child.pid)

    def await_ready(self, timeout_seconds: float = READY_SECONDS) -> None:
        """Wait until it is ready; OperationError says why it is not."""
        deadline = time.monotonic() + timeout_seconds
        while not self.is_ready:
            if self.pid is None:
                raise OperationError(f"{self.name} did not start: {self._last_words()}")
            if time.monotonic() >= deadline:
                state = self.state()
                reasons = "; ".join(state.reasons.values()) or "it does not say why"
                raise OperationError(f"{self.name} is {state.condition} after {timeout_seconds:.0f} s: {reasons}")
            self._sleep(POLL_SECONDS)

    @property
    def is_ready(self) -> bool:
        """Whether the running process has said that it is ready."""
        try:
            ready = json.loads(self._layout.ready(self.name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        pid = self.pid
        return pid is not None and ready.get("pid") == pid

    def stop(self, timeout_seconds: float = STOP_SECONDS) -> bool:
        """Ask it to stop and wait; kill it at the deadline. Return whether it stopped by itself."""
        return self._end(signal.SIGTERM, timeout_seconds) or not self.kill()

    def kill(self) -> bool:
        """Kill it at once and wait until it is gone; return whether there was one."""
        was_running = self.pid is not None
        if was_running and not self._end(signal.SIGKILL, KILL_SECONDS):
            raise OperationError(f"{self.name} (process {self.pid}) does not end, not even when killed")
        self._layout.pid(self.name).unlink(missing_ok=True)
        return was_running

    def state(self) -> ProcessState:
        """Return how it is now."""
        recorded, pid = self._recorded(), self.pid
        if pid is None:
            condition = Condition.STOPPED if recorded is None else Condition.DEAD
            reasons = {} if recorded is None else {"process": self._last_words()}
            return ProcessState(name=self.name, condition=condition, reasons=reasons)
        try:
            status: Any = ask(self._layout.admin(self.name), "status", timeout_seconds=2.0)
        except SpireError as error:
            # A process that has just begun has no admin endpoint yet.
            condition = Condition.HUNG if self.is_ready else Condition.STARTING
            return ProcessState(name=self.name, condition=condition, pid=pid, reasons={"admin": error.message})
        return ProcessState(
            name=self.name,
            condition=_CONDITIONS.get(status["state"], Condition.DEAD),
            pid=pid,
            uptime_seconds=status["uptime_seconds"],
            reasons=status["reasons"] or ({"step": f"at step {status['step']}"} if status["step"] else {}),
        )

    def _end(self, how: signal.Signals, timeout_seconds: float) -> bool:
        pid = self.pid
        if pid is not None:
            os.kill(pid, how)
        deadline = time.monotonic() + timeout_seconds
        while self.pid is not None:
            if time.monotonic() >= deadline:
                return False
            self._sleep(POLL_SECONDS)
        child = _CHILDREN.pop(pid or 0, None)
        if child is not None:
            child.wait()
        self._layout.pid(self.name).unlink(missing_ok=True)
        return True

    def _record(self, pid: int) -> None:
        record = {"pid": pid, "birth": _birth(pid), "started": datetime.now(UTC).isoformat()}
        text = json.dumps(record)
        self._layout.pid(self.name).write_text(text, encoding="utf-8")

    def _recorded(self) -> tuple[int, str] | None:
        try:
            record = json.loads(self._layout.pid(self.name).read_text(encoding="utf-8"))
            pid, birth = record["pid"], record["birth"]
        except (OSError, ValueError, KeyError):
            return None
        child = _CHILDREN.get(pid)
        if child is not None and child.poll() is not None:
            del _CHILDREN[pid]
        return pid, birth

    def _started(self) -> str:
        try:
            return str(json.loads(self._layout.pid(self.name).read_text(encoding="utf-8"))["started"])
        except (OSError, ValueError, KeyError):
            return ""

    def _service_at(self, port: int) -> str:
        """Return which of its services a port is for; all of them where its configuration was edited."""
        offset = read_settings(self._layout.settings).port_offset
        here = [service for service, base in self.kind.ports.items() if base + offset == port]
        return " or ".join(here or self.kind.services)

    def _last_words(self) -> str:
        """Return the last failure that its log tells of since its start, or else what it printed last."""
        for line in reversed(_tail(self._layout.log(self.name))):
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record.get("time", "") < self._started():
                break
            if record.get("failure"):
                return explained(str(record["failure"]).strip().splitlines()[-1], self._service_at)
        words = _tail(self._layout.output(self.name))
        return explained(words[-1], self._service_at) if words else f"see {self._layout.log(self.name)}"


def explained(words: str, service_at: Callable[[int], str]) -> str:
    """Return the last words of a process as an operator needs them: without twistd's options, a port in use with advice."""
    in_use = PORT_IN_USE.search(words)
    if in_use is None:
        return TWISTD_PREFIX.sub("", words, count=1) if TWISTD_PREFIX.match(words) else words
    host, port = in_use.groups()
    return f"port {port} of {host} ({service_at(int(port))}) is in use: {OTHER_OFFSET}"


def _birth(pid: int) -> str | None:
    """Return when a live process began, in ticks since boot; None for one that does not run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _environment() -> dict[str, str]:
    """Return the environment of a server: ours, with the checkout on the path where Spire runs from one."""
    paths = [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def _tail(path: Path, size: int = 16_384) -> list[str]:
    try:
        with path.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - size))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()]
