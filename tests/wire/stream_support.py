"""A room with topics and history, and a client session that subscribes to it over a network in memory."""

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from twisted.protocols import amp
from zope.interface import implementer

from spire.series.compilation import record_filter
from spire.series.responders import SeriesResponders
from spire.values.environment import Environment
from spire.wire.addresses import FixedAddresses
from spire.wire.client_session import ClientSession
from spire.wire.errors import Forbidden, NotFound, SpireError
from spire.wire.guard import Responders
from spire.wire.interfaces import IAvatars
from spire.wire.limits import Limits
from spire.wire.publisher import Publisher, Topic
from spire.wire.records import Packed
from spire.wire.server_session import Session
from spire.wire.stream_responders import StreamResponders
from spire.wire.ticket_credentials import TicketCredentials
from spire.wire.topics import HistoryChunk, IHistory, ITopics, StreamListener
from tests.wire.support import ADDRESS, INSTANCE, SERVICE, WireTestCase

TICK = np.dtype([("sequence", "<u8"), ("price", "<i8"), ("present", "<u2"), ("name", "S6")])
PACKED = Packed(TICK)

Ticks = NDArray[np.void]


@frozen(kw_only=True)
class Limit:
    """A row of a state topic."""

    amount: int
    note: str = ""


@frozen(kw_only=True)
class Activity:
    """A row of a log topic."""

    sequence: int
    text: str = ""


def ticks(first: int, last: int) -> Ticks:
    """Return the records first..last; the price is ten times the sequence."""
    records = np.zeros(last - first + 1, TICK)
    records["sequence"] = np.arange(first, last + 1)
    records["price"] = records["sequence"] * 10
    return records


class Recorder(StreamListener[Any]):
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.sequences: list[int] = []
        self.batches: list[int] = []

    def reset(self, epoch: int, after: int) -> None:
        """Note it."""
        self.calls.append(("reset", epoch, after))

    def update(self, records: Any) -> None:
        """Note the sequences."""
        sequences = [int(row["sequence"]) if isinstance(records, np.ndarray) else row.sequence for row in records]
        self.sequences += sequences
        self.batches.append(len(sequences))
        if not self.calls or self.calls[-1] != "update":
            self.calls.append("update")

    def ready(self) -> None:
        """Note it."""
        self.calls.append("ready")

    def lost(self, error: SpireError) -> None:
        """Note the code."""
        self.calls.append(("lost", error.coded))


@implementer(IHistory)
class History:
    """All records of all topics from `kept_after` on, in chunks that take a while."""

    def __init__(self, clock: Any, chunk: int = 1_000) -> None:
        self.clock = clock
        self.chunk = chunk
        self.kept_after = 0
        self.delay_seconds = 0.0
        self.error: Exception | None = None
        self.loads: list[tuple[str, int, int]] = []

    async def earliest(self, topic: str) -> int:
        """Return what the test has set."""
        return self.kept_after

    async def load(self, topic: str, after: int, through: int) -> AsyncIterator[HistoryChunk]:
        """Yield ticks."""
        self.loads.append((topic, after, through))
        after = max(after, self.kept_after)
        while after < through:
            await self.clock.sleep(self.delay_seconds)
            if self.error is not None:
                raise self.error
            end = min(after + self.chunk, through)
            yield HistoryChunk(
                payload=PACKED.encode(ticks(after + 1, end)), count=end - after, after=after, through=end
            )
            after = end


@implementer(IAvatars, ITopics)
class StreamRoom:
    """Topics of one publisher, and whatever series the test gives it."""

    def __init__(self, test: "StreamTestCase") -> None:
        self.test = test
        self.publisher = test.make_publisher()
        self.series: Any = None
        self.streams: list[StreamResponders] = []
        self.loads: list[SeriesResponders] = []
        self.forbidden: set[str] = set()
        self.slow: set[str] = set()

    def anonymous(self, session: Session) -> amp.CommandLocator:
        """Return nothing."""
        return amp.CommandLocator()

    def avatar(self, session: Session) -> Responders:
        """Return the shared responders."""
        clock, tasks = self.test.clock, self.test.tasks
        self.streams.append(StreamResponders(session, self, clock=clock, tasks=tasks))
        self.loads.append(SeriesResponders(session, self.series, clock=clock, tasks=tasks))
        return Responders(self.streams[-1], self.loads[-1])

    def closed(self, session: Session) -> None:
        """Keep nothing."""

    async def open_topic(self, session: Session, name: str) -> Topic:
        """Return the topic."""
        if name in self.forbidden:
            raise Forbidden("Not yours.")
        if name in self.slow:
            await self.test.clock.sleep(1)
        topic = self.publisher.find(name)
        if topic is None:
            raise NotFound(f"There is no topic {name}.")
        return topic


class StreamTestCase(WireTestCase):
    """A client session that is ready, on a room with a publisher."""

    limits = Limits(subscriptions=1_000)
    ring_seconds = 60.0
    ring_budget_bytes = 64 * 1024 * 1024

    def setUp(self) -> None:
        """Start server and client."""
        self.client: ClientSession | None = None
        super().setUp()
        self.history = History(self.clock)
        self.client = self.make_client()
        self.client.start()
        self.settle()
        self.assertTrue(self.client.is_ready)

    def make_publisher(self) -> Publisher:
        """Make the publisher of a server."""
        return Publisher(
            clock=self.clock,
            tasks=self.tasks,
            metrics=self.metrics,
            ring_seconds=self.ring_seconds,
            ring_budget_bytes=self.ring_budget_bytes,
            compile_filter=record_filter({"price": 1}),
        )

    def make_room(self) -> StreamRoom:
        """Make the room of a server."""
        return StreamRoom(self)

    def serve(self, instance_id: str, address: str = ADDRESS) -> Any:
        """Start a server with topics."""
        self.streams = self.make_room()
        self.avatars = self.streams  # type: ignore[assignment] # the room is its own realm here
        return super().serve(instance_id, address)

    def make_client(self) -> ClientSession:
        """Make a client session."""
        return ClientSession(
            SERVICE,
            addresses=FixedAddresses(SERVICE, [ADDRESS], Environment.DEMO),
            connector=self.network,
            credentials=TicketCredentials(self.tickets, self.tasks),
            environment=Environment.DEMO,
            clock=self.clock,
            tasks=self.tasks,
            metrics=self.metrics,
            chance=lambda: 0.0,
        )

    @property
    def subscriptions(self) -> Any:
        """The client's streams."""
        assert self.client is not None
        return self.client.subscriptions

    @property
    def publisher(self) -> Publisher:
        """The server's topics."""
        return self.streams.publisher

    def settle(self, turns: int = 60) -> None:
        """Let everything that is due happen."""
        self.clock.pump(turns)

    def slow_down(self) -> None:
        """Let every piece that travels, and every chunk of history, take 10 ms."""
        self.network.faults.delay_seconds = 0.01
        self.history.delay_seconds = 0.01

    def step(self) -> None:
        """Let 5 ms pass."""
        self.clock.advance(0.005)

    def log_topic(self, name: str = "trade/1", *, epoch: int = 1, through: int = 0, history: bool = False) -> Any:
        """Make a log topic of ticks."""
        return self.publisher.log(
            name, epoch=epoch, through=through, codec=PACKED, history=self.history if history else None
        )

    def publish(self, topic: Any, first: int, last: int) -> None:
        """Publish ticks and flush."""
        topic.publish(PACKED.encode(ticks(first, last)), last - first + 1, last)
        self.settle()

    def listen(self, topic: str = "trade/1", **options: Any) -> Recorder:
        """Subscribe, and wait for the answer."""
        recorder = Recorder()
        recorder.subscription = self.subscriptions.log(topic, recorder, codec=PACKED, **options)  # type: ignore[attr-defined]
        self.settle()
        return recorder

    def lose_connection(self) -> None:
        """Break the connection, and do not let the client come back yet."""
        self.network.faults.refuse.add(ADDRESS)
        self.network.drop()
        self.settle()

    def reconnect(self) -> None:
        """Let the client come back."""
        self.network.faults.refuse.clear()
        self.clock.advance(60)
        self.settle()
        assert self.client is not None
        self.assertTrue(self.client.is_ready, self.client.reason)

    def restart_server(self, instance_id: str = INSTANCE) -> None:
        """Replace the server by a new one, with no topics yet."""
        self.port.stopListening()
        self.lose_connection()
        self.factory = self.serve(instance_id)
