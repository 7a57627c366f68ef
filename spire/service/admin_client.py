"""Asks the admin endpoint of a process: blocking, for scripts and checks, which have no reactor."""

import json
import socket
from pathlib import Path

from spire.service.paths import socket_path
from spire.wire.errors import Unavailable, error_of


def ask(path: Path, verb: str, *, timeout_seconds: float = 5.0, **arguments: object) -> object:
    """Return what `verb` answers; Unavailable if nobody answers in time, else the SpireError that the process gave."""
    request = json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_seconds)
            connection.connect(str(socket_path(path)))
            connection.sendall(request)
            with connection.makefile("rb") as stream:
                line = stream.readline()
    except OSError as error:
        raise Unavailable(f"nobody answers at {path}: {error.__class__.__name__}") from error
    if not line:
        raise Unavailable(f"the process at {path} closed the connection without an answer")
    answer = json.loads(line)
    if not answer["ok"]:
        raise error_of(answer["code"], answer["message"])
    return answer["result"]
