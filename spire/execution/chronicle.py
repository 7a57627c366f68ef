"""From a decided event to a visible one: journal first, then the topic, then the ordered writer.

Events become visible in the order in which they were appended; those that are appended together are one frame of the journal, and hold
together through a crash. When the journal cannot take them, submissions and releases of halts are undone (nobody has heard of them);
what was said about orders, halts that were set and audit events wait, are numbered again and tried until the journal takes them.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from spire.database.errors import StoreDown
from spire.database.journal import Journal, JournalError
from spire.database.ordered_writer import OrderedWriter
from spire.execution.disclosure import activity_without_market
from spire.execution.interfaces import IExecutionStore
from spire.execution.orders import Orders
from spire.execution.values import Activity, Batch, Halt, Written, activity_topic, is_ended, parse_activity_topic
from spire.runtime.clock import Clock
from spire.wire.errors import Unavailable
from spire.wire.log_topic import LogTopic
from spire.wire.publisher import Publisher
from spire.wire.records import Rows
from spire.wire.segments import PAYLOAD_LIMIT
from spire.wire.topics import HistoryChunk, IHistory

CODEC: Final = Rows(Activity)
RETRY_SECONDS: Final = 1.0
MOST_IN_A_BATCH: Final = 500
PAGE: Final = 200

Callback = Callable[[], object]


@define(eq=False)
class Entry:
    """Events that hold together on their way; `durable`, `committed` and `lost` are called at most once each.

    `frame` is what the journal keeps, `shown` each event as its topic shows it: without market data (`disclosure`).
    `waiting` are those who want to know when they are durable.
    """

    written: tuple[Written, ...]
    frame: bytes
    shown: tuple[bytes, ...]
    durable: Callback | None = None
    committed: Callback | None = None
    lost: Callback | None = None
    waiting: list["Deferred[None]"] = field(factory=list)

    @property
    def may_be_undone(self) -> bool:
        """Whether it is a submission or the release of a halt, which nobody has heard of yet."""
        return any(
            item.activity.submission is not None
            or (item.activity.halt is not None and item.activity.halt.released is not None)
            for item in self.written
        )


@define(eq=False)
class Tail:
    """The visible events of one account that the store does not hold yet, and how far it does."""

    committed: int
    events: deque[tuple[int, bytes]] = field(factory=deque)


@implementer(IHistory)
class Chronicle:
    """Takes events to journal, topic and writer, and reads them back."""

    _log = Logger()

    def __init__(
        self,
        *,
        journal: Journal,
        writer: OrderedWriter[Batch],
        orders: Orders,
        store: IExecutionStore,
        publisher: Publisher,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._writer = writer
        self._orders = orders
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._pending: deque[Entry] = deque()
        self._topics: dict[int, LogTopic] = {}
        self._tails: dict[int, Tail] = {}
        self._unstored: list[tuple[int, Entry]] = []
        self._storing: IDelayedCall | None = None
        self.is_stalled = False
        self.on_stalled: Callable[[bool], object] = lambda _: None
        self.on_halt: Callable[[Halt], object] = lambda _: None
        self._is_closed = False

    @property
    def pending(self) -> int:
        """How many events are not durable yet."""
        return len(self._pending)

    def restore(self, trading_account_id: int, sequence: int) -> None:
        """Know how far the store holds an account's events."""
        self._tails[trading_account_id] = Tail(committed=sequence)

    def replay(self, position: int, events: Sequence[Activity]) -> None:
        """Fold events that the journal holds already, in one frame, and take them to the writer."""
        self._visible(position, self.fold(*events))

    def fold(self, *events: Activity) -> Entry:
        """Fold events that hold together: each the next of its account, all or none of them.

        ValueError: one has no form in bytes or does not follow; nothing has changed then, so that there is never a hole.
        """
        frame, shown = _encoded(events)
        return Entry(written=tuple([self._orders.fold(event) for event in events]), frame=frame, shown=shown)

    def append(
        self,
        entry: Entry,
        *,
        durable: Callback | None = None,
        committed: Callback | None = None,
        lost: Callback | None = None,
    ) -> None:
        """Take events that have been folded on their way, all or none of them.

        `durable` is called in the turn in which they become visible, `committed` when the store holds them, `lost` when a
        submission could not be made durable and was undone.
        """
        if self._is_closed:
            order_id = entry.written[-1].activity.order_id
            self._log.warn("an event of order {order_id} came after the stop", order_id=order_id)
            return
        entry.durable, entry.committed, entry.lost = durable, committed, lost
        self._pending.append(entry)
        if not self.is_stalled:
            self._write(entry)

    def close(self) -> None:
        """Take no more: what happens from here on did not, and the next start goes on from what is durable."""
        self.store()
        self._is_closed = True

    async def settled(self) -> None:
        """Wait until everything that was appended so far is durable; raises Unavailable where the journal takes nothing."""
        if self.is_stalled:
            raise _stalled()
        if self._pending:
            waiting: Deferred[None] = Deferred()
            self._pending[-1].waiting.append(waiting)
            await waiting

    def topic(self, trading_account_id: int) -> LogTopic:
        """Return the topic of an account's activity."""
        topic = self._topics.get(trading_account_id)
        if topic is None:
            topic = self._topics[trading_account_id] = self._publisher.log(
                activity_topic(trading_account_id),
                epoch=self._orders.epoch,
                through=self._visible_through(trading_account_id),
                codec=CODEC,
                history=self,
            )
        return topic

    # Reading back

    async def earliest(self, topic: str) -> int:  # noqa: ARG002 - everything is kept
        """Return 0: no event is ever dropped."""
        return 0

    async def load(self, topic: str, after: int, through: int) -> AsyncIterator[HistoryChunk]:
        """Yield an account's events: from the store as far as it holds them, then from memory."""
        account = parse_activity_topic(topic)
        tail = self._tail(account)
        committed = min(through, tail.committed)
        waiting = [event for event in tail.events if after < event[0] <= through]
        while after < committed:
            try:
                events = await self._store.activity(account, self._orders.epoch, after, committed, PAGE)
            except StoreDown as error:
                raise Unavailable("The history of activity cannot be read now; try again later.") from error
            if not events:
                break
            last = events[-1].sequence
            payload = CODEC.encode(map(activity_without_market, events))
            yield HistoryChunk(payload=payload, count=len(events), after=after, through=last)
            after = last
        if waiting:
            payload = b"".join(encoded for _, encoded in waiting)
            yield HistoryChunk(payload=payload, count=len(waiting), after=after, through=waiting[-1][0])

    # On the way

    def _write(self, entry: Entry) -> None:
        try:
            durable = self._journal.append(entry.frame)
        except JournalError as error:
            self._fail(Failure(error), entry)
            return
        durable.addCallbacks(self._durable, self._fail, callbackArgs=(entry,), errbackArgs=(entry,))
        durable.addErrback(self._broken)

    def _durable(self, position: int, entry: Entry) -> None:
        first = self._pending.popleft()
        assert first is entry
        self._visible(position, entry)
        if entry.durable is not None:
            entry.durable()
        for waiting in entry.waiting:
            waiting.callback(None)

    def _visible(self, position: int, entry: Entry) -> None:
        for written, payload in zip(entry.written, entry.shown, strict=True):
            activity = written.activity
            tail = self._tail(activity.trading_account_id)
            topic = self.topic(activity.trading_account_id)
            tail.events.append((activity.sequence, payload))
            topic.publish(payload, 1, activity.sequence)
            if activity.halt is not None:
                self.on_halt(activity.halt)
        self._unstored.append((position, entry))
        if self._storing is None:
            self._storing = self._clock.later(0, self.store)

    def store(self) -> None:
        """Give the writer in one batch what became durable in one turn: each commit costs a disk's turn."""
        if self._storing is not None and self._storing.active():
            self._storing.cancel()
        self._storing = None
        unstored, self._unstored = self._unstored, []
        for begin in range(0, len(unstored), MOST_IN_A_BATCH):
            part = unstored[begin : begin + MOST_IN_A_BATCH]
            entries = [entry for _, entry in part]
            written = tuple(item for entry in entries for item in entry.written)
            stored = self._writer.add(written, position=part[-1][0])
            stored.addCallbacks(self._stored, lambda _: None, callbackArgs=(entries,))
            stored.addErrback(self._broken)

    def _stored(self, _: None, entries: Sequence[Entry]) -> None:
        for entry in entries:
            try:
                self._committed(entry)
            except Exception:  # noqa: BLE001 - one order's fault must not keep the others from their drivers
                self._broken(Failure())

    def _committed(self, entry: Entry) -> None:
        for written in entry.written:
            activity = written.activity
            tail = self._tail(activity.trading_account_id)
            tail.committed = activity.sequence
            while tail.events and tail.events[0][0] <= activity.sequence:
                tail.events.popleft()
        if entry.committed is not None:
            entry.committed()
        for written in entry.written:
            if written.order is not None and is_ended(written.order):
                self._orders.forget_stored(written.order)

    def _broken(self, failure: Failure) -> None:
        self._log.failure("an event could not be carried on", failure=failure)

    # When the journal fails

    def _fail(self, failure: Failure, _entry: Entry) -> None:
        """Stop writing; all that was under way fails in this turn, and is sorted out in the next."""
        failure.trap(JournalError)
        if not self.is_stalled:
            self.is_stalled = True
            self.on_stalled(True)
            self._log.critical("the journal takes nothing: {error}", error=str(failure.value))
            self._clock.later(0, self._sort_out)

    def _sort_out(self) -> None:
        """Undo what nobody has heard of, number the rest again, and try it after a while."""
        pending = tuple(self._pending)
        events = [item.activity for entry in pending for item in entry.written]
        undone = {event.order_id for event in events if event.submission is not None}
        lost: list[Entry] = []
        kept: list[Entry] = []
        for entry in pending:
            goes = entry.may_be_undone or any(item.activity.order_id in undone for item in entry.written)
            (lost if goes else kept).append(entry)
        self._pending = deque(kept)
        for entry in reversed(lost):
            for item in entry.written:
                self._orders.withdraw(item.activity)
        for number in {event.trading_account_id for event in events}:
            self._orders.account(number).sequence = self._visible_through(number)
        for entry in kept:
            entry.written = tuple(map(self._numbered, entry.written))
            entry.frame, entry.shown = _encoded([item.activity for item in entry.written])
        for entry in lost:
            if entry.lost is not None:
                entry.lost()
        for entry in pending:
            waiting, entry.waiting = entry.waiting, []
            for each in waiting:
                each.errback(_stalled())
        self._clock.later(RETRY_SECONDS, self._try_again)

    def _numbered(self, written: Written) -> Written:
        """Return what an event writes as the next one of its account."""
        event, position = written.activity, written.position
        account = self._orders.account(event.trading_account_id)
        account.sequence += 1
        violation = event.violation
        return evolve(
            written,
            activity=evolve(
                event,
                sequence=account.sequence,
                violation=None if violation is None else evolve(violation, sequence=account.sequence),
            ),
            position=None if position is None else evolve(position, sequence=account.sequence),
        )

    def _try_again(self) -> None:
        if self._is_closed:
            return
        self.is_stalled = False
        for entry in tuple(self._pending):
            if self.is_stalled:
                return
            self._write(entry)
        self.on_stalled(False)

    def _visible_through(self, trading_account_id: int) -> int:
        tail = self._tail(trading_account_id)
        return tail.events[-1][0] if tail.events else tail.committed

    def _tail(self, trading_account_id: int) -> Tail:
        tail = self._tails.get(trading_account_id)
        if tail is None:
            tail = self._tails[trading_account_id] = Tail(committed=0)
        return tail


def _encoded(events: Sequence[Activity]) -> tuple[bytes, tuple[bytes, ...]]:
    """Return the journal's frame of events, and each as its topic shows it. ValueError: one has no such form."""
    kept: list[bytes] = []
    shown: list[bytes] = []
    try:
        for event in events:
            public = activity_without_market(event)
            kept.append(CODEC.encode((event,)))
            shown.append(kept[-1] if public is event else CODEC.encode((public,)))
    except OverflowError as error:
        raise ValueError(str(error)) from error
    longest = max(map(len, shown), default=0)
    if longest > PAYLOAD_LIMIT:
        raise ValueError(f"an event takes {longest} bytes; its topic holds {PAYLOAD_LIMIT}")
    return b"".join(kept), tuple(shown)


def _stalled() -> Unavailable:
    return Unavailable("The journal cannot be written; it is tried again each second.")
