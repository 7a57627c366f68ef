"""The platform in one process: every room as its tap puts it together, on memory stores, one network and one clock."""

import random
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from spire.administration.bootstrap import setup_administration
from spire.administration.memory import MemoryAdministrationStore
from spire.locator.bootstrap import setup_directory
from spire.locator.client import Link
from spire.locator.credentials import Password
from spire.locator.directory import Directory
from spire.locator.memory import MemoryLocatorStore
from spire.locator.passwords import HashCost, PasswordHashes
from spire.operations.instance import Instance
from spire.operations.prepare import administration_setup, directory_setup
from spire.operations.servers import kind_of
from spire.operations.settings import InstanceSettings
from spire.runtime.chance import Chance
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.service.configuration import load
from spire.service.container import SpireService
from spire.service.parts import Parts
from spire.testing.clock import OPENING, ManualClock
from spire.testing.network import MemoryNetwork
from spire.uid.block import LAST_ID
from spire.values.time import Timestamp
from spire.wire.client_session import ClientSession

R = TypeVar("R")

TURN_SECONDS = 0.01
# The weakest hash that argon2id knows: tests log in often, and guard nothing.
CHEAP = HashCost(iterations=1, memory_kib=64, lanes=1)


class Platform:
    """Rooms by name ("uid", "market-data"), made from the same configuration files as a real instance at `home`.

    Nothing happens by itself: time passes in `run`, `advance` and `start`. A room that is stopped and started again has
    lost what its memory store held, but for the Locator and Administration, whose stores are kept.
    """

    def __init__(self, home: Path, *, start: Timestamp = OPENING, seed: int = 1) -> None:
        self.clock = ManualClock(start)
        self.network = MemoryNetwork(self.clock)
        self.instance = Instance(home)
        self.instance.make_files(InstanceSettings())
        self.rooms: dict[str, SpireService] = {}
        self._random = random.Random(seed)  # noqa: S311 - tests repeat
        self._directory_store = MemoryLocatorStore()
        self.administration_store = MemoryAdministrationStore()
        self._given_out = 0

    def parts(self) -> Parts:
        """Return the parts of one more room or client; it counts and runs its tasks apart from the others."""
        metrics = Metrics()
        return Parts(
            clock=self.clock,
            tasks=Tasks(self.clock, metrics),
            metrics=metrics,
            connector=self.network,
            listener=self.network,
            run_in_thread=run_in_place,
            random_bytes=self._random.randbytes,
            open_database=lambda _: None,
        )

    def link(self, account: str, password: str | None = None) -> Link:
        """Return a new link of an account to the Locator, logged in; its password is the instance's unless given.

        Whoever asked stops it.
        """
        parts = self.parts()
        link = Link(
            Password(account=account, password=self.instance.password(account) if password is None else password),
            addresses=(f"{self.instance.settings.host}:{self.instance.settings.port('service_locator')}",),
            connector=parts.connector,
            environment=self.instance.settings.environment,
            clock=parts.clock,
            tasks=parts.tasks,
            metrics=parts.metrics,
            random_bytes=parts.random_bytes,
        )
        link.start()
        self.run(link.when_ready())
        return link

    def session(self, service: str, link: Link, *, chance: Chance | None = None) -> ClientSession:
        """Return a new session of a link's account with a service, which may not be there yet; whoever asked stops it."""
        parts = self.parts()
        session = ClientSession(
            service,
            addresses=link,
            connector=parts.connector,
            credentials=link.credentials,
            environment=self.instance.settings.environment,
            clock=parts.clock,
            tasks=parts.tasks,
            metrics=parts.metrics,
            chance=chance or link.chance,
        )
        session.start()
        return session

    def configuration(self, name: str) -> Any:
        """Return the configuration of a room, from its file in the instance; passwords are hashed at no cost."""
        tap = import_module(kind_of(name).module)
        configuration = load(self.instance.layout.configuration(name), tap.Options.configuration_type)
        if name == "service-locator":
            own = evolve(
                configuration.service_locator,
                hash_iterations=CHEAP.iterations,
                hash_memory_kib=CHEAP.memory_kib,
                hash_lanes=CHEAP.lanes,
            )
            configuration = evolve(configuration, service_locator=own)
        return configuration

    def start(self, *names: str, seconds: float = 60.0) -> None:
        """Make and start rooms in this order; raises what a start raised, or TimeoutError."""
        for name in names:
            tap = import_module(kind_of(name).module)
            options: dict[str, Any] = {}
            if name == "service-locator":
                options["store"] = self._directory_store
                self.run(self._set_up_directory())
            elif name == "administration":
                options["store"] = self.administration_store
                self.run(self._set_up_administration())
            room: SpireService = tap.make_room(self.configuration(name), self.parts(), **options)
            self.rooms[name] = room
            self.run(room.start(), seconds)

    def stop(self, *names: str, seconds: float = 60.0) -> None:
        """Stop these rooms, or all, the last started first."""
        for name in reversed(names or tuple(self.rooms)):
            self.run(self.rooms.pop(name).stop(), seconds)

    def run(self, work: Awaitable[R], seconds: float = 60.0) -> R:
        """Let time pass until `work` is done, and return its result; TimeoutError after `seconds` of the clock."""
        done: Deferred[R] = Deferred.fromCoroutine(_awaited(work))
        outcome: list[Any] = []
        done.addBoth(outcome.append)
        deadline = self.clock.monotonic() + seconds
        while not outcome:
            if self.clock.monotonic() >= deadline:
                done.addErrback(lambda _: None)
                raise TimeoutError(f"nothing came of it within {seconds} s: {self.states()}")
            self.clock.advance(TURN_SECONDS)
        if isinstance(outcome[0], Failure):
            outcome[0].raiseException()
        result: R = outcome[0]
        return result

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def states(self) -> dict[str, str]:
        """Return how each room is, with its reasons."""
        return {
            name: "; ".join((str(room.readiness.state), *room.readiness.reasons.values()))
            for name, room in self.rooms.items()
        }

    async def _set_up_directory(self) -> None:
        hashes = PasswordHashes(run_in_place, cost=CHEAP)
        setup = directory_setup(self.instance.layout, self.instance.settings)
        await setup_directory(
            self._directory_store,
            hashes,
            setup,
            environment=self.instance.settings.environment,
            now=self.clock.now(),
            random_bytes=self._random.randbytes,
        )

    async def _set_up_administration(self) -> None:
        stored = await self._directory_store.load_directory()
        await setup_administration(
            self.administration_store,
            administration_setup(Directory(stored.entries), self.instance.settings),
            environment=self.instance.settings.environment,
            now=self.clock.now(),
            random_bytes=self._random.randbytes,
            next_id=self._last_id,
        )

    async def _last_id(self) -> int:
        """Return an identifier from the other end than the Uid Server's, whose memory store forgets."""
        self._given_out += 1
        return LAST_ID - self._given_out


def run_in_place(function: Callable[..., R], /, *arguments: Any) -> Deferred[R]:
    """Stand in for a thread: run at once, in this turn."""
    return maybeDeferred(function, *arguments)


async def _awaited(work: Awaitable[R]) -> R:
    return await work
