"""Everything that a room is given by the world: a tap makes the same room from real parts and from parts in memory."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from attrs import frozen

from spire.database.database import Database
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.service.sections import DatabaseSection
from spire.wire.interfaces import IConnector, IListener

R = TypeVar("R")


class RunInThread(Protocol):
    """Run a blocking function elsewhere and await its result; tests run it in place."""

    def __call__(self, function: Callable[..., R], /, *arguments: Any) -> Awaitable[R]:
        """Run `function(*arguments)`."""


@frozen(kw_only=True)
class Parts:
    """What a tap's `make_room(configuration, parts)` needs of the world.

    `open_database` answers None where the world has no database: the room then takes its memory stores.
    `random_bytes(n)` is the only source of randomness.
    """

    clock: Clock
    tasks: Tasks
    metrics: Metrics
    connector: IConnector
    listener: IListener
    run_in_thread: RunInThread
    random_bytes: Callable[[int], bytes]
    open_database: Callable[[DatabaseSection], Database | None]
