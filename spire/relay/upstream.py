"""One topic of Market Data as the relay has it: one subscription upstream, republished as it comes, for all readers."""

from collections.abc import AsyncIterator, Callable
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from spire.marketdata.codecs import CODECS
from spire.marketdata.values import Records, parse_topic
from spire.relay.history import UpstreamHistory
from spire.runtime.clock import Clock
from spire.runtime.waiters import Waiters
from spire.wire.channels import GAP, LogSubscription
from spire.wire.client_session import ClientSession
from spire.wire.errors import Forbidden, NotAuthenticated, SpireError, Unavailable
from spire.wire.log_topic import LogTopic
from spire.wire.publisher import Publisher
from spire.wire.topics import HistoryChunk, IHistory, StreamListener

OPEN_SECONDS: Final = 10.0
"""How long Market Data may take to open a topic."""


@implementer(IHistory)
class RelayedTopic(StreamListener[Records]):
    """Follows a topic upstream, lossless and whole, from `start` on, and publishes it under the same name.

    Epoch and sequences are Market Data's. The topic opens where Market Data stands; what lies before it, and before its
    ring, comes out of Market Data's history. `ended` is called where Market Data ends the stream for good, or did not
    open it in time; readers then come again and learn why.
    """

    _log = Logger()

    def __init__(
        self,
        name: str,
        *,
        session: ClientSession,
        history: UpstreamHistory,
        publisher: Publisher,
        clock: Clock,
        ended: Callable[["RelayedTopic"], object],
    ) -> None:
        self.name = name
        self.last_used = clock.monotonic()
        self.topic: LogTopic | None = None
        self._session = session
        self._history = history
        self._publisher = publisher
        self._clock = clock
        self._ended = ended
        self._codec = CODECS[parse_topic(name)[0]]
        self._subscription: LogSubscription[Records] | None = None
        self._waiting: Waiters[LogTopic] = Waiters()
        self._timer: IDelayedCall | None = None
        self._kept_after = 0
        self._has_gap = False

    @property
    def is_used(self) -> bool:
        """Whether somebody reads it, or waits for it."""
        return bool(self._waiting) or (self.topic is not None and bool(self.topic.readers))

    def start(self) -> None:
        """Subscribe."""
        self._subscription = self._session.subscriptions.log(self.name, self, codec=self._codec)
        self._timer = self._clock.later(OPEN_SECONDS, self._late)

    def when_open(self) -> Deferred[LogTopic]:
        """Fire with the topic once Market Data has said where it stands; fails with why it does not."""
        self.last_used = self._clock.monotonic()
        return succeed(self.topic) if self.topic is not None else self._waiting.join()

    def close(self, error: SpireError | None = None) -> None:
        """Follow no more, and forget the topic; whoever waits for it, or reads it, hears the error."""
        self._stop_timer()
        if self._subscription is not None:
            self._subscription.close()
        error = error or Unavailable("The relay stops.")
        self._waiting.fail(error)
        if self.topic is not None:
            self.topic.end(error.coded, error.message)
            self._publisher.drop(self.name)

    def give_up_opening(self, error: SpireError) -> None:
        """Close it where it is not open yet: nobody shall wait for an upstream that is away."""
        if self.topic is None:
            self.close(error)
            self._ended(self)

    # From upstream

    def reset(self, epoch: int, after: int) -> None:
        """Open the topic, or begin it anew in another epoch or behind a hole; its readers then ask again."""
        self._stop_timer()
        if self._has_gap:
            self._has_gap = False
            self._kept_after = after
        elif self.topic is not None and epoch != self.topic.epoch:
            self._kept_after = 0
        if self.topic is None:
            self.topic = self._publisher.log(self.name, epoch=epoch, through=after, codec=self._codec, history=self)
        else:
            self._log.warn(
                "{topic} begins anew in epoch {epoch} after {after}", topic=self.name, epoch=epoch, after=after
            )
            self.topic.restart(epoch=epoch, through=after)
        self._waiting.succeed(self.topic)

    def update(self, records: Records) -> None:
        """Publish the next records, with the range that Market Data said they cover."""
        assert self.topic is not None
        assert self._subscription is not None
        through = self._subscription.through
        assert through is not None
        self.topic.publish(records.tobytes(), len(records), through)

    def lost(self, error: SpireError) -> None:
        """Know of a hole, behind which a reset follows; or of the end of the stream."""
        if error.coded == GAP:
            self._has_gap = True
            return
        if isinstance(error, Forbidden | NotAuthenticated):
            error = Unavailable(f"The relay may not read Market Data: {error.message}")
        self._log.warn("{topic} has ended upstream: {error}", topic=self.name, error=str(error))
        self.close(error)
        self._ended(self)

    # For readers that resume (IHistory)

    async def earliest(self, topic: str) -> int:  # noqa: ARG002 (of the interface)
        """Return the sequence behind which Market Data keeps everything."""
        return self._kept_after

    def load(self, topic: str, after: int, through: int) -> AsyncIterator[HistoryChunk]:
        """Yield every record of a range out of Market Data's history."""
        assert self.topic is not None
        return self._history.stretch(topic, self.topic.epoch, after, through)

    def _late(self) -> None:
        self.give_up_opening(Unavailable(f"Market Data did not open {self.name} in time; ask again later."))

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
