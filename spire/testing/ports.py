"""Ports for an instance of a test: below those that the system gives to outgoing connections, apart from other processes' own."""

import os
import socket
from itertools import chain
from typing import Final

from spire.operations.servers import OFFSET_STEP, PROCESSES

_END: Final = 32_768
"""From here on Linux gives ports to outgoing connections: a server that is killed could find its own taken."""

_SPACING: Final = 100
"""The ports of servers are multiples of this, those of several relays follow each other."""

_CLASSES: Final = 25


def free_port_offset() -> int:
    """Return a port offset at which every port of an instance is free. OSError: there is none.

    Parallel tests, whose process ids are neighbours, get ports that never meet.
    """
    ports = [port for kind in PROCESSES.values() for port in kind.ports.values()]
    last = _END - max(ports)
    own = OFFSET_STEP + os.getpid() % _CLASSES * (_SPACING // _CLASSES)
    for offset in chain(range(own, last, _SPACING), range(OFFSET_STEP, last)):
        if all(_is_free(port + offset) for port in ports):
            return offset
    raise OSError("no port offset is free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
