"""What a topic is to the room that has it, and to whoever listens to it."""

from collections.abc import AsyncIterator
from enum import IntEnum
from typing import TYPE_CHECKING, Generic, TypeVar

from attrs import frozen
from zope.interface import Interface

from spire.wire.errors import SpireError

if TYPE_CHECKING:
    from spire.wire.publisher import Topic
    from spire.wire.server_session import Session

R = TypeVar("R")


class Policy(IntEnum):
    """What happens to what a slow reader has not taken yet."""

    LOSSLESS = 1
    """It waits, bounded in bytes and time; beyond that the subscription is cut and the client resumes."""
    CONFLATE = 2
    """Only the latest is kept, per topic of records and per key of rows; the range stays covered."""


class Mode(IntEnum):
    """How the server answered a request for one topic."""

    RESUMED = 1
    """Segments follow from where the client asked, out of memory."""
    HISTORY = 2
    """The same, read from stored history first."""
    SNAPSHOT = 3
    """A beginning: a snapshot of rows follows, or records from now on."""
    GAP = 4
    """What lies between the sequence asked for and the answer's `after` is kept nowhere."""
    REFUSED = 5
    """The answer's code says why; nothing follows."""


@frozen(kw_only=True)
class HistoryChunk:
    """A stretch of stored records: `payload` holds all `count` records of `after`..`through`."""

    payload: bytes
    count: int
    after: int
    through: int


class IHistory(Interface):
    """Where the records of log topics stand once the ring has let them go."""

    async def earliest(topic: str) -> int:  # noqa: N805 (a zope interface)
        """Return the sequence after which all records of `topic` are kept; 0 where none was ever dropped."""

    def load(topic: str, after: int, through: int) -> AsyncIterator[HistoryChunk]:  # noqa: N805 (a zope interface)
        """Yield the records of `topic` in `after`..`through`, in order, in chunks that leave no hole between them."""


class ITopics(Interface):
    """What a room lets sessions subscribe to."""

    async def open_topic(session: "Session", name: str) -> "Topic":  # noqa: N805 (a zope interface)
        """Return the topic `name` for `session`, made where need be.

        Raises NotFound where there is no such topic, Forbidden where the session may not read it.
        """


class StreamListener(Generic[R]):
    """What a client does with a log topic; override what you need.

    The calls come in the order `reset`, any number of `update`, `ready` once caught up. After a reconnect `update` goes
    on where it stopped; only another epoch or a hole that cannot be filled brings a new `reset`. A listener that raises
    has its subscription ended with INTERNAL.
    """

    def reset(self, epoch: int, after: int) -> None:
        """Begin: `update` brings what follows `after` in `epoch`; what was received before no longer continues."""

    def update(self, records: R) -> None:
        """Take the next records, never empty, in order, each once."""

    def ready(self) -> None:
        """Know that what the server had when it was asked has been received."""

    def lost(self, error: SpireError) -> None:
        """Know that records are missing (code GAP: a `reset` follows) or that the subscription has ended (any other)."""
