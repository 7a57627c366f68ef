"""The Uid Server as its tap puts it together."""

from pathlib import Path

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from spire.locator.client import LocatorLink
from spire.service.readiness import State
from spire.service.sections import LocatorSection
from spire.testing.platform import Platform
from spire.uid.block import RESTORE_MARGIN
from spire.uid.client import UidSource
from spire.uid.commands import ReserveBlock
from spire.uid.high_water import HighWaterDamaged
from spire.uid.tap import SERVICE, Options
from spire.values.environment import Environment
from spire.wire.client_session import ClientSession
from spire.wire.errors import Forbidden


class RoomTests(SynchronousTestCase):
    """The room in one process with the Locator, on memory stores."""

    def setUp(self) -> None:
        self.platform = Platform(Path(self.mktemp()).absolute())
        self.addCleanup(self.platform.stop)
        self.platform.start("service-locator", "uid")

    def session(self, account: str) -> ClientSession:
        """Return a session with the Uid Server, of an account of this platform."""
        own = self.platform.configuration("uid").locator
        secret = type(own.secret_file)(
            path=self.platform.instance.layout.secret(account), text=self.platform.instance.password(account)
        )
        section = LocatorSection(addresses=own.addresses, authority=own.authority, account=account, secret_file=secret)
        self.parts = self.platform.parts()
        link = LocatorLink(section, self.parts, Environment.DEMO)
        link.start()
        self.platform.run(link.when_ready())
        session = ClientSession(
            SERVICE,
            addresses=link,
            connector=self.parts.connector,
            credentials=link.credentials,
            environment=Environment.DEMO,
            clock=self.parts.clock,
            tasks=self.parts.tasks,
            metrics=self.parts.metrics,
            chance=link.chance,
            account="uid_service",
        )
        session.start()
        self.platform.run(session.when_ready())
        self.addCleanup(lambda: self.platform.run(link.stop()))
        self.addCleanup(lambda: self.platform.run(session.stop()))
        return session

    def test_a_service_with_the_capability_has_identifiers(self) -> None:
        """Located, logged in by ticket, prefetched."""
        source = UidSource(
            self.session("order_execution_service"),
            clock=self.parts.clock,
            tasks=self.parts.tasks,
            metrics=self.parts.metrics,
        )
        source.start()
        self.platform.run(source.when_ready())
        self.assertEqual([source.next(), source.next()], [1, 2])
        self.platform.run(source.stop())

    def test_a_service_without_the_capability_has_none(self) -> None:
        """The Locator's ticket says what it may."""
        session = self.session("charting_service")
        with self.assertRaises(Forbidden):
            self.platform.run(session.call(ReserveBlock, size=10))

    def test_a_server_that_lost_its_counter_goes_on_behind_its_mark(self) -> None:
        """As after a restore: a memory store begins at 1 again."""
        session = self.session("order_execution_service")
        self.assertEqual(self.platform.run(session.call(ReserveBlock, size=10))["first"], 1)
        self.platform.stop("uid")
        self.platform.start("uid")
        self.assertIs(self.platform.rooms["uid"].readiness.state, State.READY)
        again = self.platform.run(session.call(ReserveBlock, size=10, wait_seconds=30))
        self.assertEqual(again["first"], 11 + RESTORE_MARGIN)

    def test_a_damaged_mark_ends_the_start(self) -> None:
        """Nobody may guess what was given out."""
        self.platform.stop("uid")
        self.platform.configuration("uid").high_water_file.write_text("12 deadbeef\n")
        with self.assertRaises(HighWaterDamaged):
            self.platform.start("uid")
        self.assertEqual(len(self.flushLoggedErrors(HighWaterDamaged)), 1)
        self.assertIs(self.platform.rooms["uid"].readiness.state, State.FAILED)

    def test_an_unknown_key_is_refused_with_file_line_and_key(self) -> None:
        """Before anything starts."""
        file = self.platform.instance.layout.configuration("uid")
        lines = file.read_text().splitlines()
        file.write_text("\n".join([*lines, "block_size = 5"]))
        error = self.assertRaises(UsageError, Options().parseOptions, ["--config", str(file)])
        self.assertIn(f"{file}:{len(lines) + 1}: uid.block_size: unknown key", str(error))
