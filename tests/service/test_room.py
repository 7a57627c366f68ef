"""The assembly that servers share, around rooms that do nothing else."""

from pathlib import Path

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.protocols.amp import CommandLocator, IResponderLocator
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from spire.database.errors import StoreDown
from spire.locator.client import LocatorLink
from spire.service.readiness import State
from spire.service.room import ServerRoom
from spire.testing.platform import Platform
from spire.wire.errors import Forbidden
from spire.wire.interfaces import IAvatars
from spire.wire.server_session import Session


@implementer(IAvatars)
class Nothing:
    """Avatars that may call nothing."""

    def anonymous(self, session: Session) -> IResponderLocator:
        """Return an empty table."""
        return CommandLocator()

    def avatar(self, session: Session) -> IResponderLocator:
        """Return an empty table."""
        return CommandLocator()

    def closed(self, session: Session) -> None:
        """Forget nothing."""


class ServerRoomTests(SynchronousTestCase):
    """A room with the Uid Server's account, beside a real Locator in memory."""

    def setUp(self) -> None:
        self.platform = Platform(Path(self.mktemp()).absolute())
        self.platform.start("service-locator")
        self.configuration = self.platform.configuration("uid")
        self.parts = self.platform.parts()
        self.locator = LocatorLink(self.configuration.locator, self.parts, self.configuration.environment)
        self.room = ServerRoom(self.configuration, self.parts, locator=self.locator)
        self.addCleanup(self.platform.stop)
        self.addCleanup(lambda: self.platform.run(self.room.service.stop()))

    def providers(self, service: str) -> list[str]:
        """Return where the Locator says that a service is."""
        found = self.platform.run(self.locator.addresses(service))
        return [address for provider in found for address in provider.addresses]

    def test_the_order_of_the_calls_is_the_order_of_the_start(self) -> None:
        """Background work is drained after the room's own steps have stopped."""
        self.room.database(self.configuration.database, package="spire.uid", prefix="uid")
        self.room.link()
        self.room.add("state", lambda: None)
        self.room.listen("uid_service", self.configuration.server, Nothing())
        service = self.room.finish()
        names = [child.name for child in service.children]
        self.assertEqual(names, ["tasks", "service_locator", "state", "port of uid_service", "registration"])

    def test_it_registers_last_and_withdraws_first(self) -> None:
        """Nobody is sent to a server that does not answer."""
        seen: list[object] = []

        async def look() -> None:
            await self.parts.clock.sleep(0.5)  # news of a change travels
            seen.append(await self.locator.addresses("uid_service"))

        self.room.link()
        self.room.add("state", look, look)
        self.room.listen("uid_service", self.configuration.server, Nothing())
        service = self.room.finish()
        self.platform.run(service.start())
        self.platform.advance(1.0)
        self.assertEqual(self.providers("uid_service"), ["127.0.0.1:20900"])
        self.platform.run(service.stop())
        self.assertEqual(seen, [[], []])

    def test_a_step_is_tried_again_while_the_store_is_away(self) -> None:
        """Each second, with the reason in sight."""
        attempts: list[float] = []

        def load() -> None:
            attempts.append(self.platform.clock.monotonic())
            if len(attempts) < 3:
                raise StoreDown("the store is away")

        self.room.add("state", load, retry_on=(StoreDown,))
        starting = Deferred.fromCoroutine(self.room.service.start())
        self.assertEqual(self.room.readiness.reasons, {"state": "the store is away"})
        self.platform.advance(2.0)
        self.successResultOf(starting)
        self.assertEqual(len(attempts), 3)
        self.assertEqual((self.room.readiness.state, self.room.readiness.reasons), (State.READY, {}))

    def test_any_other_error_ends_the_start(self) -> None:
        """Trying again would not help."""

        def load() -> None:
            raise ValueError("broken")

        self.room.add("state", load, retry_on=(StoreDown,))
        self.failureResultOf(Deferred.fromCoroutine(self.room.service.start()), ValueError)
        self.assertEqual(self.room.readiness.state, State.FAILED)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_a_service_that_is_not_its_own_cannot_be_registered(self) -> None:
        """The Locator refuses, and the start ends."""
        self.room.link()
        self.room.listen("charting_service", self.configuration.server, Nothing())
        service = self.room.finish()
        self.assertRaises(Forbidden, self.platform.run, service.start())
        self.flushLoggedErrors(Forbidden)

    def test_a_drained_server_takes_no_new_connection(self) -> None:
        """It is withdrawn, its port is closed, and it says that it is drained."""
        self.room.link()
        self.room.listen("uid_service", self.configuration.server, Nothing())
        service = self.room.finish()
        self.platform.run(service.start())
        drained = self.platform.run(service.verbs.run("drain", {}))
        self.platform.advance(1.0)
        self.assertEqual(drained, {"sessions": 0})
        self.assertEqual(self.providers("uid_service"), [])
        self.assertEqual(self.room.readiness.state, State.DEGRADED)

    def test_an_upstream_that_is_not_awaited_does_not_hold_up_the_start(self) -> None:
        """The server becomes ready, degraded until the upstream is there, with the reason."""
        self.room.link()
        self.room.upstream("definitions_service", awaited=False)
        service = self.room.finish()
        self.platform.run(service.start(), seconds=5.0)
        self.assertEqual(self.room.readiness.state, State.DEGRADED)
        self.assertIn("definitions_service: ", self.room.readiness.reasons["definitions_service"])
        self.platform.start("definitions")
        self.platform.advance(1.0)
        self.assertEqual((self.room.readiness.state, self.room.readiness.reasons), (State.READY, {}))

    def test_an_awaited_upstream_holds_up_the_start(self) -> None:
        """The start waits for it beside one that it does not wait for."""
        self.room.link()
        self.room.upstream("definitions_service")
        self.room.upstream("market_data_service", awaited=False)
        service = self.room.finish()
        starting = Deferred.fromCoroutine(service.start())
        self.platform.advance(5.0)
        self.assertNoResult(starting)
        self.platform.start("definitions")
        self.platform.advance(1.0)
        self.successResultOf(starting)
        self.assertEqual(list(self.room.readiness.reasons), ["market_data_service"])

    def test_a_room_without_link_says_what_is_missing(self) -> None:
        """A tap that asks for an upstream needs the Locator."""
        room = ServerRoom(self.configuration, self.parts)
        failure = self.failureResultOf(maybeDeferred(room.upstream, "definitions_service"), ValueError)
        self.assertIn("no link to the Locator", failure.getErrorMessage())
