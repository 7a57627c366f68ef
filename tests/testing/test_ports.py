"""Ports of test instances."""

import socket
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from spire.operations.servers import OFFSET_STEP, PROCESSES
from spire.testing.ports import free_port_offset

PORTS = [port for kind in PROCESSES.values() for port in kind.ports.values()]


class PortOffsetTests(SynchronousTestCase):
    """Every port of an instance is free, and stays so."""

    def test_a_port_in_use_is_left_out(self) -> None:
        """The next offset of the process is taken."""
        first = free_port_offset()
        with socket.create_server(("127.0.0.1", min(PORTS) + first)):
            self.assertGreater(free_port_offset(), first)

    def test_no_port_is_one_that_outgoing_connections_get(self) -> None:
        """Nor one of an instance without an offset."""
        offset = free_port_offset()
        self.assertLess(max(PORTS) + offset, 32_768)
        self.assertGreaterEqual(offset, OFFSET_STEP)

    def test_neighbours_share_no_port(self) -> None:
        """Whatever offset each of them takes."""
        classes = []
        for number in range(1_000, 1_025):
            with patch("os.getpid", return_value=number):
                offset = free_port_offset()
            classes.append({(port + offset) % 100 for port in PORTS})
        self.assertEqual(sum(map(len, classes)), len(set().union(*classes)))
