"""Scripts and systemd learn of a server's readiness."""

import json
import os
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from spire.service.notify import ReadyFile, Systemd
from spire.service.readiness import Readiness, State


class ReadyFileTests(SynchronousTestCase):
    """The file exists while the server can be used."""

    def setUp(self) -> None:
        self.readiness = Readiness()
        self.path = Path(self.mktemp())
        self.readiness.observe(ReadyFile(self.path, self.readiness).refresh)

    def test_it_appears_when_the_server_is_ready(self) -> None:
        """It holds the process id."""
        self.readiness.set_ready()
        self.assertEqual(json.loads(self.path.read_text()), {"pid": os.getpid()})

    def test_it_stays_while_the_server_is_degraded(self) -> None:
        """Ready is latched."""
        self.readiness.set_ready()
        self.readiness.because("locator", "away")
        self.assertTrue(self.path.exists())

    def test_it_goes_when_the_server_stops(self) -> None:
        """Before anything else does."""
        self.readiness.set_ready()
        self.readiness.set_stopping()
        self.assertFalse(self.path.exists())

    def test_one_left_by_a_killed_process_goes_at_the_start(self) -> None:
        """It would lie."""
        self.path.write_text("{}")
        self.readiness.starting("database")
        self.assertFalse(self.path.exists())


class SystemdTests(SynchronousTestCase):
    """Notifications over a datagram socket."""

    def setUp(self) -> None:
        self.readiness = Readiness()
        # An abstract name: a trial directory's path can be longer than a socket's may.
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        name = f"spire-notify-{os.getpid()}-{id(self)}"
        self.socket.bind("\0" + name)
        self.socket.setblocking(False)
        self.readiness.observe(Systemd(self.readiness, {"NOTIFY_SOCKET": "@" + name}).refresh)

    def heard(self) -> list[bytes]:
        """All that was sent."""
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096))
            except BlockingIOError:
                return messages

    def test_ready_is_said_once(self) -> None:
        """A reason that goes later is only a status."""
        self.readiness.set_ready()
        self.readiness.because("locator", "the Locator is away")
        self.readiness.clear("locator")
        self.assertEqual(
            self.heard(),
            [b"STATUS=ready\nREADY=1", b"STATUS=degraded: the Locator is away", b"STATUS=ready"],
        )

    def test_stopping_is_said(self) -> None:
        """Systemd waits for the drain."""
        self.readiness.set_stopping()
        self.assertEqual(self.heard(), [b"STATUS=stopping\nSTOPPING=1"])

    def test_without_systemd_nothing_is_sent(self) -> None:
        """No socket is named in the environment."""
        systemd = Systemd(self.readiness, {})
        systemd.refresh()
        self.assertEqual(self.heard(), [])

    def test_a_dead_socket_is_only_a_warning(self) -> None:
        """The server starts all the same."""
        self.readiness.observe(Systemd(self.readiness, {"NOTIFY_SOCKET": "/nonexistent/notify"}).refresh)
        self.readiness.set_ready()
        self.assertEqual(self.readiness.state, State.READY)
