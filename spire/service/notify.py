"""Tells others of a server's readiness: a file for scripts, and systemd's notification socket."""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from twisted.logger import Logger

from spire.service.readiness import Readiness, State


class ReadyFile:
    """A file that exists while the server is ready or degraded; it holds the process id, so that a dead one shows."""

    def __init__(self, path: Path, readiness: Readiness) -> None:
        self.path = path
        self._readiness = readiness
        self._exists: bool | None = None

    def refresh(self) -> None:
        """Write or remove the file, as the readiness says now."""
        wanted = self._readiness.state in (State.READY, State.DEGRADED)
        if wanted == self._exists:
            return
        self._exists = wanted
        if not wanted:
            self.path.unlink(missing_ok=True)
            return
        draft = self.path.with_name(self.path.name + ".new")
        draft.write_text(json.dumps({"pid": os.getpid()}), encoding="utf-8")
        draft.replace(self.path)


class Systemd:
    """systemd's notification protocol: READY, STOPPING and a status line; nothing when systemd does not listen."""

    _log = Logger()

    def __init__(self, readiness: Readiness, environment: Mapping[str, str]) -> None:
        self._readiness = readiness
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._is_ready = False

    def refresh(self) -> None:
        """Send what the readiness says now."""
        if not self._address:
            return
        state = self._readiness.state
        reasons = "; ".join(self._readiness.reasons.values())
        lines = [f"STATUS={state}{': ' + reasons if reasons else ''}"]
        if state in (State.READY, State.DEGRADED) and not self._is_ready:
            self._is_ready = True
            lines.append("READY=1")
        if state is State.STOPPING:
            lines.append("STOPPING=1")
        self._send("\n".join(lines).encode())

    def _send(self, message: bytes) -> None:
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notification:
                notification.setblocking(False)
                notification.sendto(message, address)
        except OSError as error:
            self._log.warn("systemd does not hear us: {error}", error=error.__class__.__name__)
