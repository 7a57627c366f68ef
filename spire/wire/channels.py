"""One stream as a client follows it, across connections: what to ask for, and what an answer and a segment mean."""

from abc import ABC, abstractmethod
from typing import Any, Final, Generic, Protocol, TypeVar

from twisted.logger import Logger

from spire.wire.errors import Internal, Refused, SpireError, Unavailable
from spire.wire.records import Codec, RecordError
from spire.wire.stream_commands import TopicAnswer, TopicRequest
from spire.wire.topics import Policy, StreamListener

R = TypeVar("R")

GAP: Final = "GAP"
"""The code of records that are kept nowhere any more."""

Key = tuple[str, bytes | None, Policy]

Payload = tuple[bytes, int, int]
"""Where a segment's records stand: a box, the offset in it, the length."""


class Channel(ABC):
    """What one connection subscribes to once, for all in this process who listen.

    `stream` is the server's number for it while it is open; `failures` counts the attempts since it last brought
    something.
    """

    def __init__(self, key: Key) -> None:
        self.key = key
        self.stream: int | None = None
        self.failures = 0

    @property
    def topic(self) -> str:
        """The name of the topic."""
        return self.key[0]

    @property
    @abstractmethod
    def idle(self) -> bool:
        """Whether nobody listens any more."""

    @abstractmethod
    def request(self) -> TopicRequest:
        """Return what to ask the server for."""

    @abstractmethod
    def answered(self, answer: TopicAnswer) -> None:
        """Take the answer to the request; segments follow."""

    @abstractmethod
    def receive(self, after: int, through: int, records: int, flags: int, payload: Payload) -> bool:
        """Take a segment, field by field because it is called so often; False where something is missing before it."""

    @abstractmethod
    def interrupted(self) -> None:
        """Know that the stream is not open any more; it will be asked for again."""

    @abstractmethod
    def refused(self, error: SpireError) -> None:
        """Know that it has ended for good."""


class Owner(Protocol):
    """What channels need of the client's subscriptions."""

    def abandon(self, channel: Channel) -> None:
        """Close the stream: nobody listens any more."""

    def end(self, channel: Channel, error: SpireError) -> None:
        """Close the stream for good, for `error`."""


class LogSubscription(Generic[R]):
    """A listener's place in a log topic.

    `through` is the last sequence that it has received, or None before the server's first answer; `epoch` is the
    numbering that this belongs to.
    """

    _log = Logger()

    def __init__(
        self,
        channel: "LogChannel",
        listener: StreamListener[R],
        *,
        after: int | None,
        epoch: int | None,
        begin: int | None,
        resume: bool = True,
    ) -> None:
        self._channel = channel
        self._listener = listener
        self._update = listener.update
        self.after = after
        self.through: int | None = None
        self.epoch = epoch
        self.begin = begin
        self.resume = resume
        self.begun = False
        self.closed = False
        self.target: int | None = None

    @property
    def topic(self) -> str:
        """The name of the topic."""
        return self._channel.topic

    @property
    def is_live(self) -> bool:
        """Whether the stream is open and has brought all that the server had when it was opened."""
        return self.begun and not self.closed and self._channel.stream is not None and self.target is None

    def close(self) -> None:
        """Listen no more; nothing is called after it."""
        if not self.closed:
            self.closed = True
            self._channel.leave(self)

    # From the channel

    @property
    def place(self) -> int | None:
        """Behind which sequence to go on, or to begin."""
        return self.after if self.through is None else self.through

    def settle(self, answer: TopicAnswer) -> None:
        """Go on where the listener stands if the answer allows it, otherwise begin again and say so."""
        epoch = answer.epoch
        assert isinstance(epoch, int)
        same = self.epoch is None or self.epoch == epoch
        wanted = self.place if same else None
        if wanted is None:
            wanted = self.begin
        if wanted is None:
            wanted = answer.through
        start = max(wanted, answer.after)
        goes_on = self.begun and same and start == self.through
        self.epoch, self.through = epoch, start
        self.target = answer.through
        if start > wanted:
            message = f"{self.topic} is not kept from {wanted} on; it begins again after {start}."
            self._tell_lost(Refused(GAP, message, after=wanted, through=start))
        if not goes_on:
            self.begun = True
            self._call(self._listener.reset, epoch, start)
        self.arrive()

    def deliver(self, records: R) -> None:
        """Hand over records; as `_call`, spelled out because it is called so often."""
        if self.closed:
            return
        try:
            self._update(records)
        except Exception:  # noqa: BLE001 (as in `_call`)
            self._failed()

    def arrive(self) -> None:
        """Say so when all that the server had has been received."""
        if self.target is not None and not self.closed and self.through is not None and self.through >= self.target:
            self.target = None
            self._call(self._listener.ready)

    def fail(self, error: SpireError) -> None:
        """End with `error`."""
        self.closed = True
        self._tell_lost(error)

    def _call(self, function: Any, *arguments: Any) -> None:
        """Call the listener; one that raises has missed something and is ended."""
        if self.closed:
            return
        try:
            function(*arguments)
        except Exception:  # noqa: BLE001 (the listener's fault must not end the others' streams)
            self._failed()

    def _failed(self) -> None:
        self._log.failure("a listener of {topic} failed: its subscription ends", topic=self.topic)
        self.close()
        self._tell_lost(Internal(f"The listener of {self.topic} failed; the log says why."))

    def _tell_lost(self, error: SpireError) -> None:
        try:
            self._listener.lost(error)
        except Exception:  # noqa: BLE001 (as above)
            self._log.failure("a listener of {topic} failed to be told of its loss", topic=self.topic)


class LogChannel(Channel):
    """A log topic with a filter and a policy: every segment is decoded once for all subscriptions."""

    def __init__(self, key: Key, codec: Codec[Any], owner: Owner) -> None:
        super().__init__(key)
        self.codec = codec
        self.epoch: int | None = None
        self._decode = codec.decode
        self._owner = owner
        self._subscriptions: tuple[LogSubscription[Any], ...] = ()

    @property
    def idle(self) -> bool:
        """Whether nobody listens any more."""
        return not self._subscriptions

    def join(self, subscription: LogSubscription[Any]) -> None:
        """Let one more listen."""
        self._subscriptions = (*self._subscriptions, subscription)

    def leave(self, subscription: LogSubscription[Any]) -> None:
        """Let one listen no more; with the last one the stream is closed."""
        self._subscriptions = tuple(one for one in self._subscriptions if one is not subscription)
        if not self._subscriptions:
            self._owner.abandon(self)

    def request(self) -> TopicRequest:
        """Ask for everything after the least place of all subscriptions; those without one begin where they want to."""
        epoch = self.epoch
        if epoch is None:
            epoch = next((one.epoch for one in self._subscriptions if one.epoch is not None), None)
        places: list[int] = []
        beginnings: list[int] = []
        for one in self._subscriptions:
            if one.place is not None and (one.epoch is None or one.epoch == epoch):
                places.append(one.place)
            elif one.begin is not None:
                beginnings.append(one.begin)
        begins = [one.begin for one in self._subscriptions if one.begin is not None]
        topic, expression, policy = self.key
        return TopicRequest(
            topic=topic,
            epoch=epoch,
            after=min(places + beginnings) if places else None,
            begin=min(begins, default=None),
            policy=policy,
            filter=expression,
        )

    def answered(self, answer: TopicAnswer) -> None:
        """Place every subscription."""
        assert isinstance(answer.epoch, int)
        self.epoch = answer.epoch
        for one in self._subscriptions:
            one.settle(answer)

    def receive(self, after: int, through: int, records: int, flags: int, payload: Payload) -> bool:  # noqa: ARG002
        """Give each subscription what it has not got yet."""
        decoded = None
        for one in self._subscriptions:
            place = one.through
            if place is None or through <= place:
                continue
            if after > place:
                return False
            one.through = through
            if records:
                if decoded is None:
                    try:
                        decoded = self._decode(payload[0], records, payload[1], payload[2])
                    except RecordError as problem:
                        self._owner.end(self, Internal(f"{self.topic} sent what cannot be read: {problem}"))
                        return True
                if after == place:
                    one.deliver(decoded)
                else:
                    mine = self.codec.after(decoded, place)
                    if self.codec.size(mine):
                        one.deliver(mine)
            if one.target is not None:
                one.arrive()
        self.failures = 0
        return True

    def interrupted(self) -> None:
        """End the subscriptions that do not resume; the others know their places."""
        for one in self._subscriptions:
            if not one.resume:
                one.close()
                one.fail(Unavailable(f"The stream of {self.topic} was interrupted."))

    def refused(self, error: SpireError) -> None:
        """End all subscriptions."""
        subscriptions, self._subscriptions = self._subscriptions, ()
        for one in subscriptions:
            one.fail(error)
