"""The responders of Subscribe and Unsubscribe for one session, which hold its subscriptions and release them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.protocols import amp

from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.runtime.turnstile import Turnstile
from spire.wire.errors import Internal, Invalid, Overloaded, SpireError
from spire.wire.log_topic import LogTopic
from spire.wire.outbound import OutboundStream
from spire.wire.publisher import Topic
from spire.wire.readers import HISTORIES_AT_ONCE, LogReader, Reader, StateReader
from spire.wire.segments import MAXIMUM_SEQUENCE
from spire.wire.state_topic import StateTopic
from spire.wire.stream_commands import (
    LONGEST_TOPIC,
    REQUESTS_PER_CALL,
    Subscribe,
    TopicAnswer,
    TopicRequest,
    Unsubscribe,
    refusal,
)
from spire.wire.topics import ITopics, Mode, Policy

if TYPE_CHECKING:
    from spire.wire.server_session import Session

CUT = "SLOW_READER"
"""The code of a stream whose reader fell too far behind; its client resumes."""

FAILED = Internal("The server failed to open the topic; its log says why.")


class StreamResponders(amp.CommandLocator):
    """What a session may do with the topics of a room; merged into its table.

    All subscriptions of the session end with it. A topic that is asked for again begins anew.
    """

    _log = Logger()

    def __init__(self, session: "Session", topics: ITopics, *, clock: Clock, tasks: Tasks) -> None:
        super().__init__()
        self._session = session
        self._topics = topics
        self._clock = clock
        self._tasks = tasks
        self._turns = Turnstile(HISTORIES_AT_ONCE)
        self._outbound: OutboundStream | None = None
        self._readers: dict[int, Reader] = {}
        self._opening = 0
        self._closed = False
        session.on_close(self.close)

    @property
    def open_streams(self) -> int:
        """How many subscriptions the session holds."""
        return len(self._readers)

    @property
    def outbound(self) -> OutboundStream:
        """The session's stream of segments, which is there once it is logged in."""
        if self._outbound is None:
            self._outbound = self._session.outbound
            self._outbound.on_cut(self._cut)
        return self._outbound

    @Subscribe.responder
    async def subscribe(self, requests: tuple[TopicRequest, ...]) -> dict[str, object]:
        """Open or resume each topic asked for, all at once; what is missed is sent once the answer has gone."""
        if len(requests) > REQUESTS_PER_CALL:
            raise Invalid(f"At most {REQUESTS_PER_CALL} topics may be asked for at once.", argument="requests")
        opened: list[Reader] = []
        opening = [Deferred.fromCoroutine(self._open(request, opened)) for request in requests]
        found = await DeferredList(opening, consumeErrors=True)
        self._clock.later(0, self._start, opened)
        return {"answers": tuple([self._answer(request, one) for request, one in zip(requests, found, strict=True)])}

    @Unsubscribe.responder
    def unsubscribe(self, streams: tuple[int, ...]) -> dict[str, object]:
        """Close streams; those that are not open are ignored."""
        for stream in streams:
            reader = self._readers.get(stream)
            if reader is not None:
                reader.close()
        return {}

    def end_where(self, refusal: Callable[[str], SpireError | None]) -> None:
        """End the subscriptions to whose topics, by name, `refusal` answers an error; their client hears it."""
        for reader in tuple(self._readers.values()):
            error = refusal(reader.name)
            if error is not None:
                reader.end(error.coded, error.message)

    def close(self) -> None:
        """Release every subscription: the session has ended."""
        self._closed = True
        for reader in tuple(self._readers.values()):
            reader.close()

    async def _open(self, request: TopicRequest, opened: list[Reader]) -> TopicAnswer:
        try:
            self._check(request)
            self._opening += 1
            try:
                topic = await self._topics.open_topic(self._session, request.topic)
                answer, reader = await self._read(topic, request)
            finally:
                self._opening -= 1
        except SpireError as error:
            return refusal(error)
        if self._closed:
            reader.close()
        else:
            former = self._readers.get(reader.stream)
            if former is not None:
                former.close()
            self._readers[reader.stream] = reader
            opened.append(reader)
        return answer

    async def _read(self, topic: Topic, request: TopicRequest) -> tuple[TopicAnswer, Reader]:
        if isinstance(topic, StateTopic):
            return self._read_state(topic, request)
        return await self._read_log(topic, request)

    def _answer(self, request: TopicRequest, outcome: tuple[bool, Any]) -> TopicAnswer:
        """Return what opening a topic came to; a fault is that topic's alone, and the log says more of it."""
        succeeded, result = outcome
        if succeeded:
            answer: TopicAnswer = result
            return answer
        self._log.failure("{topic} could not be opened", failure=result, topic=request.topic)
        return refusal(FAILED)

    def _check(self, request: TopicRequest) -> None:
        if not 0 < len(request.topic.encode()) <= LONGEST_TOPIC:
            raise Invalid(f"The name of a topic has 1 to {LONGEST_TOPIC} bytes.", argument="requests")
        for sequence in (request.after, request.begin):
            if sequence is not None and not 0 <= sequence <= MAXIMUM_SEQUENCE:
                raise Invalid("A sequence is not below 0.", argument="requests")
        limit = self._session.subscription_limit
        if len(self._readers) + self._opening >= limit:
            raise Overloaded(f"A session may hold {limit} subscriptions.")

    def _read_state(self, topic: StateTopic[object], request: TopicRequest) -> tuple[TopicAnswer, StateReader]:
        if request.filter is not None:
            raise Invalid("A state topic has no filters.", argument="requests")
        after = request.after
        resumed = after is not None and request.epoch == topic.epoch and topic.floor <= after <= topic.version
        position = after if after is not None and resumed else 0
        reader = StateReader(topic, self.outbound, position, self._forget, snapshot=not resumed)
        answer = TopicAnswer(
            mode=Mode.RESUMED if resumed else Mode.SNAPSHOT,
            stream=topic.stream,
            epoch=topic.epoch,
            after=position,
            through=topic.version,
        )
        return answer, reader

    async def _read_log(self, topic: LogTopic, request: TopicRequest) -> tuple[TopicAnswer, LogReader]:
        position, mode = await _place(topic, request)
        view = topic.view(request.filter, request.policy)
        reader = LogReader(topic, view, self.outbound, position, self._tasks, self._turns, self._forget)
        answer = TopicAnswer(
            mode=mode,
            stream=view.stream,
            epoch=topic.epoch,
            after=position,
            through=topic.through,
        )
        return answer, reader

    def _start(self, readers: list[Reader]) -> None:
        for reader in readers:
            try:
                reader.start()
            except Exception:  # noqa: BLE001 (one topic's fault must not keep the others from their records)
                self._log.failure("a stream of {topic} could not begin", topic=reader.name)
                reader.end(FAILED.code, FAILED.message)
        self.outbound.flush()

    def _forget(self, reader: Reader) -> None:
        if self._readers.get(reader.stream) is reader:
            del self._readers[reader.stream]

    def _cut(self, streams: frozenset[int], reason: str) -> None:
        for stream in streams:
            reader = self._readers.get(stream)
            if reader is not None:
                reader.end(CUT, f"More was waiting than this connection takes ({reason}).")


async def _place(topic: LogTopic, request: TopicRequest) -> tuple[int, Mode]:
    """Return where a reader begins, and what that is to the client."""
    same = request.epoch is None or request.epoch == topic.epoch
    wanted = request.after if same and request.after is not None else request.begin
    if wanted is None:
        return topic.through, Mode.SNAPSHOT
    fresh = not same or request.after is None
    if wanted >= topic.ring_after:
        return wanted, Mode.SNAPSHOT if fresh else Mode.RESUMED
    if request.policy is Policy.CONFLATE and request.filter is None and topic.latest(wanted) is not None:
        return wanted, Mode.SNAPSHOT if fresh else Mode.RESUMED
    earliest = topic.ring_after
    if topic.history is not None:
        earliest = min(earliest, await topic.history.earliest(topic.name))
    if wanted < earliest:
        return earliest, Mode.GAP
    return wanted, Mode.SNAPSHOT if fresh else Mode.HISTORY
