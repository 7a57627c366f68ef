"""The Locator's room put together in memory, and links to it, for the locator's tests."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from spire.database.errors import StoreDown
from spire.locator.bootstrap import SERVICE_ACCOUNTS, DirectorySetup, NewTrader, setup_directory
from spire.locator.client import Link, LocatorLink
from spire.locator.configuration import LocatorConfiguration, LocatorServiceSection
from spire.locator.credentials import CachedLogin, Password
from spire.locator.memory import MemoryLocatorStore
from spire.locator.passwords import PasswordHashes
from spire.locator.tap import make_room
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.service.container import SpireService
from spire.service.parts import Parts
from spire.service.secrets import Secret, TextFile
from spire.service.sections import DatabaseSection, LocatorSection, RunSection, ServerSection
from spire.testing.clock import ManualClock
from spire.testing.network import MemoryNetwork
from spire.values.environment import Environment
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.errors import Unavailable
from spire.wire.interfaces import ICredentials
from tests.locator.test_passwords import CHEAP, in_place

ADDRESS = "locator:20000"
NOWHERE = Path("nowhere")
SECRETS = {name: f"secret of {name}" for name in SERVICE_ACCOUNTS}
ADMINISTRATOR = Password(account="administrator", password="administrator's password")
TRADER = Password(account="demo", password="demo trader's password")

SETUP = DirectorySetup(
    administrator=ADMINISTRATOR.account,
    administrator_password=ADMINISTRATOR.password,
    service_secrets=SECRETS,
    traders=(
        NewTrader(name=TRADER.account, password=TRADER.password, capabilities=("market_data.all",)),
        NewTrader(name="other", password="other trader's password"),
    ),
)


class Randomness:
    """Bytes that never repeat and are the same in each run."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(8, "big").rjust(size, b"\x5a")[-size:]


@implementer(ICredentials)
class _Keeper:
    """Credentials that hand the connection over and log nobody in."""

    def __init__(self) -> None:
        self.met: Deferred[tuple[Any, Any]] = Deferred()
        self.done: Deferred[None] = Deferred()

    async def authenticate(self, connection: Any, hello: Any) -> None:
        """Give the connection away, and wait until it is no longer needed."""
        self.met.callback((connection, hello))
        await self.done
        raise Unavailable("nobody logs in here")


class LocatorTestCase(SynchronousTestCase):
    """A test with a Locator that runs in memory, on one clock."""

    def setUp(self) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.tasks = Tasks(self.clock, self.metrics)
        self.network = MemoryNetwork(self.clock)
        self.random_bytes = Randomness()
        self.store = MemoryLocatorStore()
        self.directory = Path(tempfile.mkdtemp(prefix="spire-locator-"))
        self.addCleanup(self.remove_files)
        hashes = PasswordHashes(in_place, cost=CHEAP)
        self.wait(
            setup_directory(
                self.store,
                hashes,
                SETUP,
                environment=Environment.DEMO,
                now=self.clock.now(),
                random_bytes=self.random_bytes,
            )
        )
        self.room = self.start_locator()
        self.links: list[Link] = []

    def remove_files(self) -> None:
        """Remove the signing key."""
        for file in self.directory.iterdir():
            file.unlink()
        self.directory.rmdir()

    def parts(self) -> Parts:
        """Return parts in memory."""
        return Parts(
            clock=self.clock,
            tasks=self.tasks,
            metrics=self.metrics,
            connector=self.network,
            listener=self.network,
            run_in_thread=in_place,  # type: ignore[arg-type] # one type instead of any
            random_bytes=self.random_bytes,
            open_database=lambda _: None,
        )

    def start_locator(self, address: str = ADDRESS) -> SpireService:
        """Start a Locator on the store."""
        configuration = LocatorConfiguration(
            environment=Environment.DEMO,
            run=RunSection(directory=NOWHERE),
            server=ServerSection(
                name="service_locator",
                interface=address,
                advertise=(address,),
                certificate=TextFile(NOWHERE, ""),
                key=Secret(NOWHERE, ""),
            ),
            database=DatabaseSection(addresses=("nowhere:1",), user="", password_file=Secret(NOWHERE, "")),
            service_locator=LocatorServiceSection(
                signing_key_file=self.directory / "signing_key",
                hash_memory_kib=CHEAP.memory_kib,
                hash_iterations=CHEAP.iterations,
                hash_lanes=CHEAP.lanes,
            ),
        )
        room = make_room(configuration, self.parts(), store=self.store)
        self.wait(room.start())
        return room

    def kill_locator(self) -> None:
        """Let the Locator vanish, as a killed process does: no goodbye, nothing saved."""
        for address, port in list(self.network._ports.items()):
            if port.service == "service_locator":
                del self.network._ports[address]
        self.network.drop("service_locator")
        self.pump()

    def wait(self, work: Awaitable[Any], seconds: float = 30.0) -> Any:
        """Let time pass until the work is done, and return its result."""
        done: Deferred[Any] = Deferred.fromCoroutine(self._awaited(work))
        for _ in range(200):
            if done.called:
                break
            self.clock.pump()
        step = 0.05
        for _ in range(int(seconds / step)):
            if done.called:
                break
            self.clock.advance(step)
        return self.successResultOf(done)

    def error(self, kind: type[Exception], work: Awaitable[Any], seconds: float = 30.0) -> Any:
        """Let time pass until the work fails as expected, and return the error."""
        caught: list[Exception] = []

        async def attempt() -> None:
            try:
                await work
            except kind as error:
                caught.append(error)

        self.wait(attempt(), seconds)
        self.assertEqual([type(error) for error in caught], [kind])
        return caught[0]

    def pump(self, seconds: float = 0.0) -> None:
        """Let everything happen that is due, and then so much time pass."""
        for _ in range(100):
            self.clock.pump()
        self.clock.advance(seconds)
        for _ in range(100):
            self.clock.pump()

    def jump(self, seconds: float) -> None:
        """Let the wall clock jump ahead: everybody is so much older, and no timer ran meanwhile."""
        self.clock._start = Timestamp(self.clock._start + int(seconds * NANOSECONDS))

    def break_store(self, method: str) -> Callable[[], None]:
        """Let a method of the store find the database away; the answer repairs it."""

        async def away(*_: object) -> None:
            raise StoreDown("the database is away")

        setattr(self.store, method, away)
        return lambda: delattr(self.store, method)

    def hold_the_next_login(self) -> Deferred[None]:
        """Let the next login, whose password matches, wait before it is put on record; every hash is to be renewed."""
        open_session, held = self.store.open_session, Deferred[None]()

        async def late(*arguments: Any) -> bool:
            self.store.open_session = open_session  # type: ignore[method-assign]
            await held
            return await open_session(*arguments)

        self.patch(self.store, "open_session", late)
        self.patch(PasswordHashes, "is_outdated", lambda *_: True)
        return held

    @asynccontextmanager
    async def anonymous(self) -> AsyncIterator[Any]:
        """Open a connection to the Locator that has said hello (`self.hello`) and is not logged in."""
        keeper = _Keeper()
        link = Link(
            TRADER,
            addresses=(ADDRESS,),
            connector=self.network,
            environment=Environment.DEMO,
            clock=self.clock,
            tasks=self.tasks,
            metrics=self.metrics,
            random_bytes=self.random_bytes,
        )
        session = link._session((ADDRESS,), keeper)
        session.start()
        connection, self.hello = await keeper.met
        try:
            yield connection
        finally:
            keeper.done.callback(None)
            await session.stop()

    def link(self, how: Password | CachedLogin, addresses: tuple[str, ...] = (ADDRESS,), *, ready: bool = True) -> Link:
        """Return a person's link."""
        link = Link(
            how,
            addresses=addresses,
            connector=self.network,
            environment=Environment.DEMO,
            clock=self.clock,
            tasks=self.tasks,
            metrics=self.metrics,
            random_bytes=self.random_bytes,
        )
        return self._started(link, ready)

    def service_link(self, account: str, addresses: tuple[str, ...] = (ADDRESS,), *, ready: bool = True) -> LocatorLink:
        """Return a server's link."""
        section = LocatorSection(
            addresses=addresses,
            authority=TextFile(NOWHERE, ""),
            account=account,
            secret_file=Secret(NOWHERE, SECRETS[account]),
        )
        return self._started(LocatorLink(section, self.parts(), Environment.DEMO), ready)

    def _started(self, link: Any, ready: bool) -> Any:
        self.links.append(link)
        link.start()
        if ready:
            self.wait(link.when_ready(20.0))
        return link

    @staticmethod
    async def _awaited(work: Awaitable[Any]) -> Any:
        return await work
