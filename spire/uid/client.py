"""A source of identifiers: thousands in hand, more fetched in the background."""

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.runtime.waiters import Waiters
from spire.uid.block import Block, Hand
from spire.uid.commands import ReserveBlock
from spire.wire.client_session import ClientSession
from spire.wire.errors import SpireError, Unavailable

# Whoever uses identifiers has at least so many, except while he outlives the Uid Server or its database.
ENOUGH = 10_000
# Fetching begins below this mark, with so much to spare that no use of them brings the hand down to ENOUGH before the
# answer is there.
MARK = 20_000
BLOCK_SIZE = 20_000
FIRST_RETRY_SECONDS = 0.25
LAST_RETRY_SECONDS = 5.0


class UidSource:
    """Gives out identifiers at once, from blocks that it reserves ahead over `session`.

    Identifiers in hand outlive the Uid Server, its database and the network; those in hand when the process ends are lost,
    which is no harm.
    """

    _log = Logger()

    def __init__(
        self,
        session: ClientSession,
        *,
        clock: Clock,
        tasks: Tasks,
        metrics: Metrics,
        mark: int = MARK,
        block_size: int = BLOCK_SIZE,
    ) -> None:
        self._session = session
        self._clock = clock
        self._tasks = tasks
        self._mark = mark
        self._block_size = block_size
        self._hand = Hand()
        self._is_running = False
        self._refilling: Deferred[None] | None = None
        self._pause: Deferred[None] | None = None
        self._waiting: Waiters[None] = Waiters()
        self._gauge = metrics.gauge("spire_uid_in_hand", "Identifiers in hand.")
        session.on_state(self._session_changed)

    @property
    def in_hand(self) -> int:
        """How many identifiers can be given out without the Uid Server."""
        return self._hand.count

    @property
    def is_ready(self) -> bool:
        """Whether enough are in hand to outlive the Uid Server for a while."""
        return self._hand.count >= ENOUGH

    def start(self) -> None:
        """Begin to fetch; returns at once."""
        self._is_running = True
        self._refill()

    async def stop(self) -> None:
        """Fetch no more."""
        self._is_running = False
        if self._refilling is not None:
            self._refilling.cancel()
        self._waiting.fail(Unavailable("the source of identifiers stopped"))

    async def when_ready(self) -> None:
        """Wait until enough are in hand; Unavailable if it is stopped meanwhile."""
        if not self.is_ready:
            await self._waiting.join()

    def next(self) -> int:
        """Return an identifier that nobody else gets; Unavailable when none is in hand."""
        taken = self._hand.take()
        if self._hand.count < self._mark and self._refilling is None:
            self._refill()
        if taken is None:
            raise Unavailable("no identifiers are in hand, and the Uid Server cannot be reached")
        return taken

    def _refill(self) -> None:
        if self._is_running and self._refilling is None:
            self._refilling = running = self._tasks.spawn("uid.refill", self._fetch())
            running.addCallback(self._refilled)

    def _refilled(self, _: None) -> None:
        self._refilling = None
        self._pause = None

    async def _fetch(self) -> None:
        """Reserve blocks until the mark is reached, however long that takes."""
        delay = FIRST_RETRY_SECONDS
        while self._hand.count < self._mark:
            try:
                answer = await self._session.call(ReserveBlock, size=self._block_size)
            except SpireError as error:
                if self._session.is_ready:
                    self._log.warn("no identifiers could be reserved: {error}", error=error)
                await self._rest(delay)
                delay = min(LAST_RETRY_SECONDS, delay * 2)
                continue
            delay = FIRST_RETRY_SECONDS
            self._hand.add(Block(answer["first"], self._block_size))
            self._gauge.set(self._hand.count)
            if self.is_ready:
                self._waiting.succeed(None)

    async def _rest(self, seconds: float) -> None:
        """Wait, unless the session becomes ready before."""
        pause: Deferred[None] = Deferred()
        self._pause = pause
        timer = self._clock.later(seconds, self._wake)
        try:
            await pause
        finally:
            if timer.active():
                timer.cancel()

    def _session_changed(self, is_ready: bool) -> None:
        if is_ready:
            self._wake()

    def _wake(self) -> None:
        if self._pause is not None and not self._pause.called:
            self._pause.callback(None)
