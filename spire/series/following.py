"""A live query: history, then the stream behind it. One hand-over, and the same after a reconnect."""

from typing import Generic, TypeVar

from twisted.internet.defer import Deferred

from spire.series.loads import Connected, Recovery
from spire.series.query import Interruption, Query, filter_bytes, is_live, validate
from spire.wire.channels import GAP, LogSubscription
from spire.wire.errors import Internal, Invalid, SpireError
from spire.wire.records import Codec
from spire.wire.topics import Policy, StreamListener

R = TypeVar("R")


class Following(StreamListener[R], Generic[R]):
    """A query that goes on: its listener gets the records of the past, then those that come, each once, in order.

    The listener hears `reset` before the first record, and again only where another epoch, or a hole that nothing can
    fill, makes it begin anew; `ready` when the past has been received; `lost` as any listener of a log.
    """

    def __init__(
        self, session: Connected, query: Query, listener: StreamListener[R], codec: Codec[R], policy: Policy
    ) -> None:
        self._session = session
        self._query = query
        self._listener = listener
        self._codec = codec
        self._policy = policy
        self._subscription: LogSubscription[R] | None = None
        self._loading: Deferred[None] | None = None
        self._joined: tuple[int, int] | None = None
        self._holed = False
        self.closed = False
        self._load()

    @property
    def through(self) -> int | None:
        """The last sequence received live; None while the past is being loaded."""
        return None if self._subscription is None else self._subscription.through

    @property
    def epoch(self) -> int | None:
        """The numbering of the sequences; None while the past is being loaded."""
        return None if self._subscription is None else self._subscription.epoch

    @property
    def is_live(self) -> bool:
        """Whether the stream is open and has brought all that there was."""
        return self._subscription is not None and self._subscription.is_live

    def close(self) -> None:
        """Follow no more; nothing is called after it."""
        self.closed = True
        loading, self._loading = self._loading, None
        if loading is not None:
            loading.cancel()
        if self._subscription is not None:
            self._subscription.close()

    # From the stream

    def reset(self, epoch: int, after: int) -> None:
        """Join what was loaded; in another epoch, load again; behind a hole, begin there."""
        joined, self._joined = self._joined, None
        if joined == (epoch, after):
            return
        if self._holed:
            self._holed = False
            self._listener.reset(epoch, after)
            return
        if self._subscription is not None:
            self._subscription.close()
        self._load()

    def update(self, records: R) -> None:
        """Pass records on."""
        self._listener.update(records)

    def ready(self) -> None:
        """Pass on that it has caught up."""
        self._listener.ready()

    def lost(self, error: SpireError) -> None:
        """Pass on what is lost."""
        self._joined = None
        if error.coded == GAP:
            self._holed = True
        else:
            self.closed = True
        self._listener.lost(error)

    # The past

    def _load(self) -> None:
        self._subscription = None
        self._loading = self._session.subscriptions.tasks.spawn(f"follow {self._query.topic}", self._run())

    async def _run(self) -> None:
        recovery = Recovery(
            self._session, self._query, self._codec, began=self._listener.reset, take=self._listener.update
        )
        error: SpireError | None = Internal("What takes the records failed; the log says why.")
        try:
            epoch, through = await recovery.run()
            error = None
        except SpireError as refused:
            error = refused
        finally:
            if error is not None and not self.closed:
                self.closed = True
                self._listener.lost(error)
        if self.closed:
            return
        self._loading = None
        self._joined = (epoch, through)
        self._subscription = self._session.subscriptions.log(
            self._query.topic,
            self,
            codec=self._codec,
            after=through,
            epoch=epoch,
            policy=self._policy,
            filter_bytes=filter_bytes(self._query.filter),
            resume=self._query.policy is Interruption.RECOVER,
        )


def follow(
    session: Connected,
    query: Query,
    listener: StreamListener[R],
    codec: Codec[R],
    *,
    policy: Policy = Policy.LOSSLESS,
) -> Following[R]:
    """Load what `query` asks for, then follow its topic from there.

    Raises Invalid where the query has an end, a HEAD limit, or names a feed session: nothing can follow those.
    """
    validate(query)
    if not is_live(query) or query.feed_session is not None:
        raise Invalid("A query that is followed has no end, no HEAD limit and no feed session.", argument="query")
    return Following(session, query, listener, codec, policy)
