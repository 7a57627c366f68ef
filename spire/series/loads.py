"""History for a client: a query's records, whole or chunk by chunk, across a lost connection where it may."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, Protocol, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from spire.runtime.clock import Clock
from spire.series.commands import CancelLoad, Load
from spire.series.query import Interruption, Query, remainder, validate
from spire.wire.back_off import TO_SERVICES
from spire.wire.channels import Payload
from spire.wire.errors import Internal, Invalid, SpireError, Unavailable
from spire.wire.records import Codec, RecordError
from spire.wire.segments import SegmentFlags
from spire.wire.subscriptions import Subscriptions

R = TypeVar("R")

STALL_SECONDS: Final = 60.0
"""A load that brings nothing for so long is given up."""
RECOVER_SECONDS: Final = 60.0
"""A query that recovers ends with Unavailable when it has made no progress for so long."""


Alive = Callable[[int, int], object]
"""Called with the epoch, and where the topic stood, when a load shows that it goes on."""


def _ignore(_epoch: int, _through: int) -> None:
    pass


class Connected(Protocol):
    """The part of a `ClientSession` that loads need."""

    subscriptions: Subscriptions

    def call(
        self, command: Any, /, *, timeout_seconds: float = ..., wait_seconds: float = ..., **arguments: Any
    ) -> Awaitable[dict[str, Any]]:
        """Call a command of the service."""

    def when_ready(self, timeout_seconds: float | None = None) -> Awaitable[None]:
        """Wait for the session."""


@frozen(kw_only=True)
class Loaded(Generic[R]):
    """All records of a query, oldest first, and where its topic stood: subscribe after `through` in `epoch` to go on."""

    records: R
    epoch: int
    through: int


class Attempt(Generic[R]):
    """One Load over one connection: its chunks go to `take`, its end fires `done`; an Invalid of `take` ends it.

    A chunk without records says how far the server has looked: `looked` hears it.
    """

    _log = Logger()

    def __init__(
        self, codec: Codec[R], take: Callable[[R, int], object], looked: Callable[[int], object], clock: Clock
    ) -> None:
        self.done: Deferred[None] = Deferred()
        self._codec = codec
        self._take = take
        self._looked = looked
        self._clock = clock
        self._last_heard = clock.monotonic()
        self._timer = clock.later(STALL_SECONDS, self._look)

    def receive(self, through: int, records: int, flags: int, payload: Payload) -> None:
        """Take a chunk."""
        self._last_heard = self._clock.monotonic()
        if records and not self.done.called:
            try:
                self._take(self._codec.decode(payload[0], records, payload[1], payload[2]), through)
            except Invalid as refusal:
                self.ended(refusal)
            except RecordError as problem:
                self.ended(Internal(f"The server sent what cannot be read: {problem}"))
            except Exception:  # noqa: BLE001 (the taker's fault must not end other streams of the connection)
                self._log.failure("what took a load's records failed: the load ends")
                self.ended(Internal("What took the records failed; the log says why."))
        if flags & SegmentFlags.END and not self.done.called:
            self.done.callback(None)
        elif not records and not self.done.called:
            self._looked(through)

    def ended(self, error: SpireError) -> None:
        """Fail."""
        if not self.done.called:
            self.done.errback(error)

    def close(self) -> None:
        """Take no more time."""
        if self._timer.active():
            self._timer.cancel()

    def _look(self) -> None:
        left = self._last_heard + STALL_SECONDS - self._clock.monotonic()
        if left <= 0:
            self.ended(Unavailable(f"The load brought nothing for {STALL_SECONDS:.0f} s."))
        else:
            self._timer = self._clock.later(left, self._look)


class Recovery(Generic[R]):
    """A query on its way to its end, over as many connections as it takes.

    `began(epoch, after)` is called before the first record, and again where another epoch makes everything received
    void; `take(records)` gets the records in order, each once, and may raise Invalid to have no more of them. `through` is
    where the topic stood when the server answered last. `alive(epoch, through)` is called when the server has answered, and
    whenever it shows that it goes on.
    """

    def __init__(
        self,
        session: Connected,
        query: Query,
        codec: Codec[R],
        *,
        began: Callable[[int, int], object],
        take: Callable[[R], object],
        alive: Alive = _ignore,
    ) -> None:
        self.through = 0
        self._session = session
        self._query = validate(query)
        self._codec = codec
        self._began = began
        self._take = take
        self._alive = alive
        self._epoch: int | None = None
        self._received = 0
        self._last = 0
        self._failures = 0
        self._progress = session.subscriptions.clock.monotonic()

    async def run(self) -> tuple[int, int]:
        """Return (epoch, through) when all has been taken. Raises what the server refused with, or Unavailable."""
        while True:
            rest = remainder(self._query, self._last, self._received)
            if rest is None:
                assert self._epoch is not None
                return self._epoch, self.through
            try:
                epoch = await self._attempt(rest)
            except Unavailable as error:
                if self._query.policy is Interruption.BREAK:
                    raise
                await self._pause(error)
                continue
            if epoch == self._epoch:
                return epoch, self.through
            self._epoch = None
            self._received = self._last = 0

    async def _pause(self, error: Unavailable) -> None:
        """Wait for the session, longer after each failure. Raises the error where it has lasted too long."""
        subscriptions = self._session.subscriptions
        clock = subscriptions.clock
        left = self._progress + RECOVER_SECONDS - clock.monotonic()
        if left <= 0:
            raise error
        self._failures += 1
        await clock.sleep(min(left, TO_SERVICES.delay(self._failures, subscriptions.chance)))
        await self._session.when_ready(left)

    async def _attempt(self, query: Query) -> int:
        """Load once and return the epoch; where it is not the one so far, nothing is taken and it alone tells."""
        subscriptions = self._session.subscriptions
        attempt = Attempt(self._codec, self._received_some, self._looked, subscriptions.clock)
        number = subscriptions.open_load(attempt)
        finished = False
        try:
            answer = await self._session.call(Load, number=number, query=query)
            epoch: int = answer["epoch"]
            self.through = answer["through"]
            if self._epoch is None:
                self._epoch = epoch
                self._began(epoch, (self._query.start_sequence or 1) - 1)
            elif epoch != self._epoch:
                return epoch
            self._alive(epoch, self.through)
            await attempt.done
            finished = True
            return epoch
        finally:
            subscriptions.close_load(number)
            attempt.close()
            if not finished:
                subscriptions.tasks.spawn("cancel load", self._cancel(number))

    async def _cancel(self, number: int) -> None:
        try:
            await self._session.call(CancelLoad, number=number)
        except SpireError:
            return  # the connection has gone, and the load with it

    def _received_some(self, records: R, through: int) -> None:
        self._received += self._codec.size(records)
        self._take(records)
        self._looked(through)

    def _looked(self, through: int) -> None:
        if through > self._last:
            self._failures = 0
            self._progress = self._session.subscriptions.clock.monotonic()
            self._last = through
        if self._epoch is not None:
            self._alive(self._epoch, self.through)


async def load(session: Connected, query: Query, codec: Codec[R], *, alive: Alive = _ignore) -> Loaded[R]:
    """Return the records that `query` asks for.

    Under RECOVER a lost connection is waited for and the rest asked for; under BREAK, or when that takes too long, it
    raises Unavailable. Raises what the server refuses the query with: an error is never an empty answer. For `alive` see
    `Recovery`.
    """
    parts: list[R] = []
    recovery = Recovery(
        session, query, codec, began=lambda _epoch, _after: parts.clear(), take=parts.append, alive=alive
    )
    epoch, through = await recovery.run()
    return Loaded(records=codec.join(parts), epoch=epoch, through=through)
