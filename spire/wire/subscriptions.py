"""All streams of one client session: opened together, resumed after a reconnect, recovered where something is missing."""

from itertools import islice
from typing import Final, Protocol, TypeVar, cast

from twisted.logger import Logger
from twisted.protocols import amp
from twisted.python.failure import Failure
from zope.interface import implementer

from spire.runtime.chance import Chance
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.wire.arguments import encode
from spire.wire.back_off import TO_SERVICES
from spire.wire.channels import GAP, Channel, Key, LogChannel, LogSubscription, Payload
from spire.wire.errors import Conflict, Internal, SpireError, Unavailable, error_of
from spire.wire.interfaces import IConnection, IRestorable
from spire.wire.records import Codec
from spire.wire.segments import SegmentError, parse
from spire.wire.state_view import StateChannel, StateView
from spire.wire.stream_commands import (
    FIRST_LOAD,
    REQUESTS_PER_CALL,
    Segments,
    StreamEnded,
    Subscribe,
    TopicAnswer,
    TopicRequest,
    Unsubscribe,
)
from spire.wire.topics import Mode, Policy, StreamListener

R = TypeVar("R")
Row = TypeVar("Row")

SUBSCRIBE_SECONDS: Final = 30.0

PAGE_BYTES: Final = 40_000
"""Bytes of the requests of one Subscribe, encoded; filters may be long, and one value of AMP ends at 65,535."""

AT_ONCE: Final = frozenset({"SLOW_READER", "RESTARTED", GAP})
"""Codes of ended streams that are asked for again at once, the first time."""

LATER: Final = frozenset({"UNAVAILABLE", "OVERLOADED", "INTERNAL"})
"""Codes that are asked for again after a while; any other ends the subscription."""


class LoadSink(Protocol):
    """What takes the chunks of a load (`spire.series.loads`)."""

    def receive(self, through: int, records: int, flags: int, payload: Payload) -> None:
        """Take a chunk."""

    def ended(self, error: SpireError) -> None:
        """Know that no more comes, for `error`."""


@implementer(IRestorable)
class Subscriptions(amp.CommandLocator):
    """The streams of one client session.

    What is asked for while there is no connection is opened with the next. Streams to the same topic with the same
    filter and policy share one subscription.
    """

    _log = Logger()

    def __init__(self, *, clock: Clock, tasks: Tasks, metrics: Metrics, chance: Chance) -> None:
        super().__init__()
        self.clock = clock
        self.tasks = tasks
        self.chance = chance
        self._connection: IConnection | None = None
        self._channels: dict[Key, Channel] = {}
        self._streams: dict[int, Channel] = {}
        self._loads: dict[int, LoadSink] = {}
        self._last_load = FIRST_LOAD
        self._wanted: dict[Channel, None] = {}
        self._subscribing: IConnection | None = None
        self._scheduled = False
        self._recoveries = metrics.counter("spire_streams_recovered", "Streams asked for again.", ["reason"])

    # What applications use

    def log(
        self,
        topic: str,
        listener: StreamListener[R],
        *,
        codec: Codec[R],
        after: int | None = None,
        epoch: int | None = None,
        begin: int | None = None,
        policy: Policy = Policy.LOSSLESS,
        filter_bytes: bytes | None = None,
        resume: bool = True,
    ) -> LogSubscription[R]:
        """Follow the log `topic` from behind `after` of `epoch`, or without `after` from now on.

        In another epoch it begins behind `begin`, or from then on; `after` 0 makes that 0. `filter_bytes` is made by
        `spire.series.query.filter_bytes`. Without `resume` the first interruption ends it with Unavailable.
        """
        key = (topic, filter_bytes, policy)
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = LogChannel(key, codec, self)
        elif not isinstance(channel, LogChannel):
            raise Conflict(f"{topic} is followed as a state topic already.")
        if begin is None and after == 0:
            begin = 0
        subscription: LogSubscription[R] = LogSubscription(
            channel, listener, after=after, epoch=epoch, begin=begin, resume=resume
        )
        channel.join(subscription)
        self._want(channel)
        return subscription

    def state(self, topic: str, row_type: type[Row]) -> StateView[Row]:
        """Follow the rows of the state topic `topic`."""
        key = (topic, None, Policy.CONFLATE)
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = StateChannel(key, row_type, self.clock, self)
            self._want(channel)
        elif not isinstance(channel, StateChannel) or channel.row_type is not row_type:
            raise Conflict(f"{topic} is followed already, as another kind of topic.")
        view: StateView[Row] = StateView(channel)
        channel.views = (*channel.views, view)
        return view

    def open_load(self, sink: LoadSink) -> int:
        """Return the number of a new load, whose chunks go to `sink` until `close_load`."""
        self._last_load = FIRST_LOAD + (self._last_load - FIRST_LOAD + 1) % FIRST_LOAD
        self._loads[self._last_load] = sink
        return self._last_load

    def close_load(self, number: int) -> None:
        """Expect nothing more of a load."""
        self._loads.pop(number, None)

    # From the session (IRestorable)

    def responders(self) -> amp.CommandLocator:
        """Return the responders of the pushes."""
        return self

    async def restore(self, connection: IConnection) -> None:
        """Open every stream on a fresh connection. Raises Unavailable where it is lost meanwhile."""
        self._connection = connection
        self._wanted = dict.fromkeys(self._channels.values())
        await self._subscribe(connection)

    def disconnected(self, reason: Failure) -> None:  # noqa: ARG002 (it makes no difference)
        """Keep every place, and end the loads."""
        self._connection = None
        self._streams.clear()
        for channel in tuple(self._channels.values()):
            channel.stream = None
            channel.interrupted()
        loads, self._loads = self._loads, {}
        for sink in tuple(loads.values()):
            sink.ended(Unavailable("The connection was lost during the load."))

    def close(self) -> None:
        """End everything: the session has stopped for good."""
        for channel in tuple(self._channels.values()):
            self.end(channel, Unavailable("The session has been stopped."))

    # Pushes of the server

    @Segments.responder
    def segments(self, data: bytes) -> dict[str, object]:
        """Hand each segment to its stream; what belongs to none was closed meanwhile."""
        streams = self._streams
        end = len(data)
        try:
            heads, offset = parse(data)
        except SegmentError as problem:
            raise Internal(f"The server pushed a box of segments that cannot be read: {problem}") from problem
        for stream, length, records, flags, after, through, _, _ in heads:
            payload = (data, offset, length)
            offset += length
            if offset > end:
                raise Internal("The server pushed a box of segments whose lengths do not add up.")
            channel = streams.get(stream)
            if channel is not None:
                if not channel.receive(after, through, records, flags, payload):
                    self._again(channel, "hole", GAP)
            elif stream in self._loads:
                self._loads[stream].receive(through, records, flags, payload)
        return {}

    @StreamEnded.responder
    def stream_ended(self, stream: int, code: str, message: str) -> dict[str, object]:
        """Ask again, or end the subscription, as the code says."""
        sink = self._loads.pop(stream, None)
        if sink is not None:
            sink.ended(error_of(code, message))
        channel = self._streams.get(stream)
        if channel is not None:
            self._ended(channel, error_of(code, message))
        return {}

    # From the channels (Owner)

    def abandon(self, channel: Channel) -> None:
        """Close the stream of a channel that nobody needs."""
        self._forget(channel)
        stream, channel.stream = channel.stream, None
        if stream is not None and self._connection is not None:
            self.tasks.spawn("unsubscribe", self._unsubscribe(self._connection, stream))

    def end(self, channel: Channel, error: SpireError) -> None:
        """Close the stream of a channel for good and tell those who listen."""
        self.abandon(channel)
        channel.refused(error)

    # Asking

    def _want(self, channel: Channel) -> None:
        """Have `channel` asked for, with others, in the next turn; the next connection does it by itself."""
        if self._channels.get(channel.key) is not channel:
            return
        self._wanted[channel] = None
        if self._connection is not None and not self._scheduled:
            self._scheduled = True
            self.clock.later(0, self._ask)

    def _ask(self) -> None:
        self._scheduled = False
        connection = self._connection
        if connection is not None and self._wanted and self._subscribing is not connection:
            self.tasks.spawn("subscribe", self._subscribe(connection))

    async def _subscribe(self, connection: IConnection) -> None:
        """Ask for all that is wanted, page by page, while `connection` lasts."""
        self._subscribing = connection
        try:
            while self._wanted and self._connection is connection:
                page = self._next_page()
                if page:
                    await self._ask_for(connection, page)
        finally:
            if self._subscribing is connection:
                self._subscribing = None

    def _next_page(self) -> dict[Channel, TopicRequest]:
        """Take what fits one call off what is wanted; one request that is too long is a page of its own."""
        page: dict[Channel, TopicRequest] = {}
        size = 0
        for channel in tuple(islice(self._wanted, REQUESTS_PER_CALL)):
            if not channel.idle:
                request = channel.request()
                size += len(encode(request))
                if page and size > PAGE_BYTES:
                    break
                page[channel] = request
            del self._wanted[channel]
        return page

    async def _ask_for(self, connection: IConnection, page: dict[Channel, TopicRequest]) -> None:
        try:
            answer = await connection.ask(Subscribe, {"requests": tuple(page.values())}, SUBSCRIBE_SECONDS)
        except SpireError as error:
            if self._connection is not connection:
                raise
            for channel in page:
                self._ended(channel, error)
            return
        for channel, one in zip(page, cast("tuple[TopicAnswer, ...]", answer["answers"]), strict=False):
            self._answered(channel, one)

    def _answered(self, channel: Channel, answer: TopicAnswer) -> None:
        current = self._channels.get(channel.key)
        if answer.mode is Mode.REFUSED:
            if current is channel:
                self._ended(channel, error_of(answer.code, answer.message))
            return
        if current is not channel:
            # Abandoned meanwhile. A successor's own request makes the server begin anew, so only nobody's is closed.
            if current is None and self._connection is not None:
                self.tasks.spawn("unsubscribe", self._unsubscribe(self._connection, answer.stream))
            return
        if channel.stream is not None:
            self._streams.pop(channel.stream, None)
        channel.stream = answer.stream
        self._streams[answer.stream] = channel
        channel.answered(answer)

    def _ended(self, channel: Channel, error: SpireError) -> None:
        code = error.coded
        if code in AT_ONCE or code in LATER:
            self._again(channel, "ended", code)
        else:
            self._detach(channel)
            self._forget(channel)
            channel.refused(error)

    def _again(self, channel: Channel, reason: str, code: str) -> None:
        """Ask for a stream again, later each time that it brings nothing."""
        self._detach(channel)
        channel.interrupted()
        self._recoveries.labels(reason=reason).inc()
        self._log.info("{topic}: asked for again ({code})", topic=channel.topic, code=code)
        failures = channel.failures if code in AT_ONCE else channel.failures + 1
        channel.failures += 1
        if failures == 0:
            self._want(channel)
        else:
            self.clock.later(TO_SERVICES.delay(failures, self.chance), self._retry, channel)

    def _retry(self, channel: Channel) -> None:
        """Ask again, unless another connection has done so meanwhile."""
        if channel.stream is None:
            self._want(channel)

    def _detach(self, channel: Channel) -> None:
        if channel.stream is not None:
            self._streams.pop(channel.stream, None)
            channel.stream = None

    def _forget(self, channel: Channel) -> None:
        if self._channels.get(channel.key) is channel:
            del self._channels[channel.key]
        if channel.stream is not None:
            self._streams.pop(channel.stream, None)
        self._wanted.pop(channel, None)

    async def _unsubscribe(self, connection: IConnection, stream: int) -> None:
        try:
            await connection.ask(Unsubscribe, {"streams": (stream,)}, SUBSCRIBE_SECONDS)
        except SpireError as error:
            self._log.debug("stream {stream} was not closed: {error}", stream=stream, error=str(error))
