"""From a feed's request to what everybody sees: queue, journal, then image, publication and answer in one reactor turn."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from spire.database.journal import Journal, JournalError, JournalFull
from spire.database.ordered_writer import Fenced, OrderedWriter, WriterStopped
from spire.marketdata.acceptance import Acceptance, BatchRequest, Group, Opened, Outcome, Request
from spire.marketdata.frames import Frame, encode_frames
from spire.marketdata.image import Image, Publication
from spire.marketdata.interfaces import Stored
from spire.runtime.clock import Clock
from spire.wire.errors import Refused, SpireError

STORE_RECORDS: Final = 131_072
"""Records that are handed to the writer at once."""

BUSY_RECORDS: Final = 256
BUSY_SECONDS: Final = 0.05
GATHER_RECORDS: Final = 4096
GATHER_SECONDS: Final = 0.005
"""For a while after a group of `BUSY_RECORDS`, the next one begins at `GATHER_RECORDS` or after `GATHER_SECONDS`: with hundreds of
instruments most of a group's cost is the same however many records it has."""

Portion = tuple[Stored, ...]
"""What the writer takes at once."""

Visible = Callable[[Frame, Sequence[Publication]], None]


class Storing:
    """Hands frames to the ordered writer in portions, so that blocks are not smaller than they must be.

    A portion closes at `STORE_RECORDS` or after `seconds`. `stored` is called with the journal position that the store holds.
    """

    def __init__(
        self, writer: OrderedWriter[Portion], clock: Clock, seconds: float, stored: Callable[[int], None]
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._seconds = seconds
        self._stored = stored
        self._items: list[Stored] = []
        self._records = 0
        self._position = 0
        self._timer: IDelayedCall | None = None

    def add(self, position: int, items: Sequence[Stored]) -> None:
        """Take the frames of a journal position, in order."""
        self._items += items
        self._records += sum(item.frame.record_count for item in items)
        self._position = position
        if self._records >= STORE_RECORDS:
            self.close_portion()
        elif self._timer is None:
            self._timer = self._clock.later(self._seconds, self.close_portion)

    def close_portion(self) -> None:
        """Hand over what is gathered."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if not self._items:
            return
        items, self._items, self._records = tuple(self._items), [], 0
        self._writer.add(items, position=self._position).addCallbacks(
            self._committed, _not_stored, callbackArgs=(self._position,)
        )

    async def flushed(self) -> None:
        """Wait until the store holds everything that was added."""
        self.close_portion()
        await self._writer.flushed()

    def _committed(self, _: object, position: int) -> None:
        self._stored(position)


def _not_stored(failure: Failure) -> None:
    """Let go of what the writer ended before: the journal still has it, and whoever starts next stores it."""
    failure.trap(Fenced, WriterStopped)


class Pipeline:
    """Takes requests in order and answers each when its group is durable and visible.

    One group is at the journal at a time; meanwhile requests gather, and go together. A group that the journal refuses leaves no
    trace: its requests are refused with JOURNAL_FULL or JOURNAL_FAILED, and the feeds send again.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        acceptance: Acceptance,
        image: Image,
        journal: Journal,
        storing: Storing,
        clock: Clock,
        visible: Visible,
        trouble: Callable[[str | None], object] = lambda _: None,
    ) -> None:
        self.acceptance = acceptance
        self.image = image
        self._journal = journal
        self._storing = storing
        self._clock = clock
        self._trouble = trouble
        self._is_in_trouble = False
        self._visible = visible
        self._pending: deque[Request] = deque()
        self._answers: deque[Deferred[Opened | int]] = deque()
        self._pending_records = 0
        self._is_writing = False
        self._busy_until = float("-inf")
        self._gathering: IDelayedCall | None = None
        self._is_gathered = False
        self._ready: deque[tuple[Group, list[Deferred[Opened | int]], list[tuple[Frame, list[Publication]]]]] = deque()
        self._is_showing = False
        self._idle: list[Deferred[None]] = []

    @property
    def backlog(self) -> int:
        """Return how many records wait for the journal or for the store."""
        return self._pending_records + self.image.resident.record_count

    def submit(self, request: Request) -> Deferred[Opened | int]:
        """Queue a request; the answer fails with the SpireError that refuses it."""
        answer: Deferred[Opened | int] = Deferred()
        self._pending.append(request)
        self._answers.append(answer)
        if isinstance(request, BatchRequest):
            self._pending_records += request.count
        self._advance()
        return answer

    def stored(self, frames: Sequence[Frame]) -> list[Stored]:
        """Return frames as the store takes them."""
        sessions = self.acceptance.sessions
        return [Stored(frame=frame, trade_date=sessions.get(frame.feed_session).trade_date) for frame in frames]

    async def idle(self) -> None:
        """Wait until every request is answered."""
        while self._pending or self._is_writing or self._ready:
            waiting: Deferred[None] = Deferred()
            self._idle.append(waiting)
            await waiting

    def _advance(self) -> None:
        while self._pending and not self._is_writing and not self._gathers():
            group = self.acceptance.take(self._pending, self._clock.now())
            answers = [self._answers.popleft() for _ in group.outcomes]
            self._pending_records = sum(left.count for left in self._pending if isinstance(left, BatchRequest))
            if not group.frames:
                self._ready.append((group, answers, []))
                self._show()
                continue
            self._is_writing = True
            try:
                *others, last = self._journal.append_many([encode_frames(frames) for frames in group.entries])
            except Exception:  # noqa: BLE001 (nothing may stop the intake for good; it is logged and told)
                self._give_back(Failure(), group, answers)
                continue
            for other in others:
                other.addErrback(lambda _: None)  # the last one fails with them
            last.addCallbacks(self._durable, self._refused, callbackArgs=(group, answers), errbackArgs=(group, answers))

    def _gathers(self) -> bool:
        """Return whether to wait for more: a flood is cheaper in few groups, a trickle is never held up."""
        if self._pending_records >= GATHER_RECORDS:
            return False
        if self._gathering is None:
            if self._is_gathered or self._clock.monotonic() >= self._busy_until:
                return False
            self._gathering = self._clock.later(GATHER_SECONDS, self._gathered)
        return True

    def _gathered(self) -> None:
        self._gathering = None
        self._is_gathered = True
        self._advance()
        self._is_gathered = False

    def _durable(self, last: int, group: Group, answers: list[Deferred[Opened | int]]) -> None:
        self._is_writing = False
        if self._is_in_trouble:
            self._is_in_trouble = False
            self._trouble(None)
        entries = group.entries
        shown = []
        for position, frames in enumerate(entries, last - len(entries) + 1):
            shown += [(frame, self.image.apply(position, frame)) for frame in frames]
            self._storing.add(position, self.stored(frames))
        self._ready.append((group, answers, shown))
        self._advance()  # the disk works on the next group while this one is published
        self._show()

    def _show(self) -> None:
        if self._is_showing:
            return
        self._is_showing = True
        while self._ready:
            group, answers, shown = self._ready.popleft()
            for frame, publications in shown:
                self._visible(frame, publications)
            for answer, outcome in zip(answers, group.outcomes, strict=True):
                _answer(answer, outcome)
            if sum(frame.count for frame in group.frames) >= BUSY_RECORDS:
                self._busy_until = self._clock.monotonic() + BUSY_SECONDS
        self._is_showing = False
        self._rest()

    def _refused(self, failure: Failure, group: Group, answers: list[Deferred[Opened | int]]) -> None:
        failure.trap(JournalError)
        self._give_back(failure, group, answers)
        self._advance()

    def _give_back(self, failure: Failure, group: Group, answers: list[Deferred[Opened | int]]) -> None:
        """Take back what a group assigned, and refuse its requests."""
        self._is_writing = False
        self._log.error("the journal refused {count} frames: {error}", count=len(group.frames), error=failure.value)
        self.acceptance.abandon(group)
        self._is_in_trouble = True
        self._trouble(f"the journal takes nothing: {failure.value}")
        code = "JOURNAL_FULL" if failure.check(JournalFull) else "JOURNAL_FAILED"
        error = Refused(code, "The server's journal takes nothing now; nothing was accepted, send it again later.")
        self._show()
        for answer in answers:
            answer.errback(error)
        self._rest()

    def _rest(self) -> None:
        if not (self._pending or self._is_writing or self._ready):
            idle, self._idle = self._idle, []
            for waiting in idle:
                waiting.callback(None)


def _answer(answer: Deferred[Opened | int], outcome: Outcome) -> None:
    if isinstance(outcome, SpireError):
        answer.errback(outcome)
    else:
        answer.callback(outcome)
