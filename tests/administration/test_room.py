"""How the Administration Server starts, and what it does without its neighbours."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from spire.database.errors import StoreDown
from spire.service.readiness import State
from spire.testing.platform import Platform
from tests.administration.room import RoomTestCase, limit_terms


class StartTests(SynchronousTestCase):
    """It waits for what it needs, and says for what."""

    def setUp(self) -> None:
        self.platform = Platform(Path(self.mktemp()).absolute())
        self.addCleanup(self.platform.stop)

    def reasons(self) -> str:
        """Return why Administration is not ready."""
        return " ".join(self.platform.rooms["administration"].readiness.reasons)

    def test_it_starts_without_its_upstreams_and_waits(self) -> None:
        """Uid and Definitions come later; then it becomes ready by itself."""
        self.platform.start("service-locator")
        self.assertRaises(TimeoutError, self.platform.start, "administration", seconds=5.0)
        self.assertIn("uid_service", self.reasons())
        self.platform.start("uid", "definitions")
        self.platform.advance(10.0)
        self.assertEqual(self.platform.rooms["administration"].readiness.state, State.READY)

    def test_it_starts_without_its_database_and_waits(self) -> None:
        """Each second it tries again."""
        self.platform.start("service-locator", "uid", "definitions")
        store = self.platform.administration_store

        async def away() -> None:
            raise StoreDown("the database is away")

        self.patch(self.platform, "_set_up_administration", _nothing)
        away_now = self.patch(store, "load", away)
        self.assertRaises(TimeoutError, self.platform.start, "administration", seconds=5.0)
        self.assertIn("administration", self.reasons())
        away_now.restore()
        self.platform.advance(3.0)
        self.assertEqual(self.platform.rooms["administration"].readiness.state, State.READY)


class NeighbourTests(RoomTestCase):
    """What still works when a neighbour is away."""

    def state(self) -> State:
        """Return how Administration is."""
        return self.platform.rooms["administration"].readiness.state

    def test_without_definitions_limits_are_set_by_what_was_received(self) -> None:
        """Degraded, with the reason."""
        book, client = self.book.entry_id, self.client()
        self.platform.stop("definitions")
        self.platform.advance(1.0)
        self.assertEqual(self.state(), State.DEGRADED)
        limits = self.run_it(client.set_limits(book, limit_terms(), expected_version=0, reason="now"))
        self.assertEqual(limits.version, 1)
        self.platform.start("definitions")
        self.platform.advance(10.0)
        self.assertEqual(self.state(), State.READY)

    def test_without_the_locator_limits_are_set_with_the_directory_as_it_was(self) -> None:
        """Rights hold as last received."""
        book, client = self.book.entry_id, self.client()
        self.platform.stop("service-locator")
        self.platform.advance(1.0)
        self.assertEqual(self.state(), State.DEGRADED)
        limits = self.run_it(client.set_limits(book, limit_terms(), expected_version=0, reason="now"))
        self.assertEqual(limits.version, 1)
        self.platform.start("service-locator")


async def _nothing() -> None:
    """Set nothing up: the store is away."""
