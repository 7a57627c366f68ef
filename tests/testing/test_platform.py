"""The platform in one process: real rooms, real wire, no socket and no real time."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from spire.service.readiness import State
from spire.testing.platform import Platform
from spire.wire.errors import CredentialsRefused

SERVERS = (
    "service-locator", "uid", "definitions", "administration", "market-data", "market-data-relay", "charting",
)  # fmt: skip


class PlatformTests(SynchronousTestCase):
    """Rooms find each other through the Locator."""

    def setUp(self) -> None:
        self.platform = Platform(Path(self.mktemp()).absolute())

    def tearDown(self) -> None:
        self.platform.stop()

    def state(self, name: str) -> State:
        """Return how a room is."""
        return self.platform.rooms[name].readiness.state

    def test_servers_start_in_order_and_are_ready(self) -> None:
        """Each as its tap puts it together."""
        self.platform.start(*SERVERS)
        self.assertEqual({self.state(name) for name in SERVERS}, {State.READY})

    def test_a_server_waits_for_its_upstream_and_says_so(self) -> None:
        """It does not give up, and becomes ready by itself."""
        self.platform.start("service-locator", "definitions")
        self.platform.stop("definitions")
        self.assertRaises(TimeoutError, self.platform.start, "market-data", seconds=20.0)
        self.assertIn("definitions_service", self.platform.rooms["market-data"].readiness.reasons)
        self.platform.start("definitions")
        self.platform.advance(10.0)
        self.assertEqual(self.state("market-data"), State.READY)

    def test_a_lost_locator_degrades_and_comes_back(self) -> None:
        """Ready is latched; the reason goes with the loss."""
        self.platform.start("service-locator", "uid")
        self.platform.stop("service-locator")
        self.platform.advance(1.0)
        self.assertEqual(self.state("uid"), State.DEGRADED)
        self.platform.start("service-locator")
        self.platform.advance(10.0)
        self.assertEqual(self.state("uid"), State.READY)

    def test_refused_credentials_end_the_start(self) -> None:
        """Waiting would not help."""
        self.platform.start("service-locator")
        file = self.platform.instance.layout.secret("uid_service")
        file.write_text("not the password\n")
        self.assertRaises(CredentialsRefused, self.platform.start, "uid")
        self.assertEqual(self.state("uid"), State.FAILED)
        self.flushLoggedErrors(CredentialsRefused)
