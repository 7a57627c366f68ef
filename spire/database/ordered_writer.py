"""One ordered writer: facts go to the store in their order, one batch in flight, each exactly once.

The first statement of a batch is a conditional update of the writer's row (name, fencing token, batch number n-1 to n).
Where it touches no row, the row tells whether the batch is there already (a commit whose answer was lost) or somebody else
has taken over. So a batch may be run again after any loss. Reference: docs/database.md.
"""

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from attrs import evolve, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from spire.database.database import Database
from spire.database.errors import StoreDown, StoreError, StoreFault
from spire.database.transaction import Transaction
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks

I = TypeVar("I")  # noqa: E741 - an item
I_contra = TypeVar("I_contra", contravariant=True)

MAX_BATCH = 1000
FIRST_RETRY_SECONDS = 0.05
LAST_RETRY_SECONDS = 2.0
STUCK_RETRY_SECONDS = 5.0

MAKE_ROW = "INSERT IGNORE INTO {table} (name, token, batch, position) VALUES (%s, 0, 0, 0)"
TAKE_OVER = "UPDATE {table} SET token = token + 1 WHERE name = %s"
LOAD = "SELECT token, batch, position FROM {table} WHERE name = %s"
ADVANCE = """
UPDATE {table} SET batch = %s, position = %s
WHERE name = %s AND token = %s AND batch = %s
"""


class Fenced(StoreError):  # noqa: N818 - named for what happened
    """Another process has taken this writer over: this one must stop."""


class WriterStopped(StoreError):  # noqa: N818 - named for what happened
    """The writer stopped before this was in the store."""


@frozen(kw_only=True)
class WriterRow:
    """What the store holds of a writer: whose it is, the last batch, the journal position of its last item."""

    token: int
    batch: int
    position: int


class WriterStore(Protocol[I_contra]):
    """Where an `OrderedWriter` puts its batches: MySQL, or memory."""

    async def take_over(self) -> WriterRow:
        """Make the writer's row if need be, raise its token by one and return it."""

    async def commit(self, row: WriterRow, items: Sequence[I_contra]) -> None:
        """Write a batch and move the row from `row.batch - 1` to `row`, or find that this was done before.

        Raises Fenced, and the errors of the store.
        """


class SqlWriterStore(Generic[I]):
    """A writer's row in the table `<room>_writers`; `write(transaction, items)` puts a batch into the room's tables.

    `write` runs in a worker thread, perhaps more than once.
    """

    def __init__(
        self, database: Database, room: str, name: str, write: Callable[[Transaction, Sequence[I]], object]
    ) -> None:
        self._database = database
        self._table = f"{room}_writers"
        self._name = name
        self._write = write
        self._label = f"{room}.writer.{name}"

    async def take_over(self) -> WriterRow:
        """Raise the token in the writer's row; whoever had it is fenced."""
        return await self._database.run(f"{self._label}.take_over", _take_over, self._table, self._name)

    async def commit(self, row: WriterRow, items: Sequence[I]) -> None:
        """Write one batch in one transaction, unless the row says that it is there."""
        await self._database.run(self._label, self._commit, row, items)

    def _commit(self, transaction: Transaction, row: WriterRow, items: Sequence[I]) -> None:
        change = (row.batch, row.position, self._name, row.token, row.batch - 1)
        if transaction.execute(ADVANCE.format(table=self._table), change) == 1:
            self._write(transaction, items)
            return
        found = transaction.fetch_one(LOAD.format(table=self._table), (self._name,))
        check_committed(
            self._name, row, None if found is None else WriterRow(token=found[0], batch=found[1], position=found[2])
        )


def _take_over(transaction: Transaction, table: str, name: str) -> WriterRow:
    transaction.execute(MAKE_ROW.format(table=table), (name,))
    transaction.execute(TAKE_OVER.format(table=table), (name,))
    row = transaction.fetch_one(LOAD.format(table=table), (name,))
    assert row is not None
    return WriterRow(token=row[0], batch=row[1], position=row[2])


class MemoryWriters:
    """The rows of any number of writers in memory; outlives a writer as the database does."""

    def __init__(self) -> None:
        self.rows: dict[str, WriterRow] = {}


class MemoryWriterStore(Generic[I]):
    """The twin of `SqlWriterStore`; `write(items)` puts a batch into the room's memory store."""

    def __init__(self, writers: MemoryWriters, name: str, write: Callable[[Sequence[I]], object]) -> None:
        self._rows = writers.rows
        self._name = name
        self._write = write

    async def take_over(self) -> WriterRow:
        """Raise the token in the writer's row; whoever had it is fenced."""
        row = self._rows.get(self._name, WriterRow(token=0, batch=0, position=0))
        self._rows[self._name] = evolve(row, token=row.token + 1)
        return self._rows[self._name]

    async def commit(self, row: WriterRow, items: Sequence[I]) -> None:
        """Write one batch, unless the row says that it is there."""
        found = self._rows.get(self._name)
        if found is not None and (found.token, found.batch) == (row.token, row.batch - 1):
            self._write(items)
            self._rows[self._name] = row
            return
        check_committed(self._name, row, found)


def check_committed(name: str, row: WriterRow, found: WriterRow | None) -> None:
    """Decide what it means that a batch could not move its row: nothing (it is there), Fenced or StoreFault."""
    if found is None or found.token != row.token:
        raise Fenced(f"the writer {name} was taken over by another process")
    if found.batch != row.batch:
        raise StoreFault(f"the writer {name} is at batch {found.batch}, batch {row.batch} makes no sense")


@frozen(kw_only=True)
class _Waiting(Generic[I]):
    item: I
    position: int
    committed: Deferred[None]


class OrderedWriter(Generic[I]):
    """Takes items in order and fires their Deferreds, in order, when they are in the store.

    While the store is away everything waits and is tried again; `delay_seconds` says for how long. A batch that the store
    refuses, or that cannot be written for any other reason, stops the writer from going on, loudly, until it is taken:
    facts are neither dropped nor reordered.
    """

    _log = Logger()

    def __init__(
        self,
        name: str,
        store: WriterStore[I],
        *,
        clock: Clock,
        tasks: Tasks,
        metrics: Metrics,
        max_batch: int = MAX_BATCH,
    ) -> None:
        self.name = name
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._max_batch = max_batch
        self._row: WriterRow | None = None
        self._waiting: list[_Waiting[I]] = []
        self._is_writing = False
        self._end: StoreError | None = None
        self._behind_since: float | None = None
        self._pause: Deferred[None] | None = None
        self._on_fenced: list[Callable[[], object]] = []
        self._on_refused: list[Callable[[str | None], object]] = []
        self._is_refused = False
        self._batches = metrics.counter("spire_writer_batches", "Batches committed.", ["writer"])
        self._items = metrics.counter("spire_writer_items", "Items committed.", ["writer"])
        self._retries = metrics.counter("spire_writer_retries", "Batches run again.", ["writer"])
        self._backlog = metrics.gauge("spire_writer_backlog", "Items that wait for the store.", ["writer"])

    @property
    def position(self) -> int:
        """The journal position up to which the store holds everything."""
        return 0 if self._row is None else self._row.position

    @property
    def backlog(self) -> int:
        """How many items are not in the store yet."""
        return len(self._waiting)

    @property
    def is_fenced(self) -> bool:
        """Whether another process has taken over."""
        return isinstance(self._end, Fenced)

    @property
    def delay_seconds(self) -> float:
        """For how long the store has not taken the batch in flight; 0 while nothing waits for it."""
        return 0.0 if self._behind_since is None else self._clock.monotonic() - self._behind_since

    def on_fenced(self, callback: Callable[[], object]) -> None:
        """Call back once, when another process has taken over: stop acting at once."""
        self._on_fenced.append(callback)

    def on_refused(self, callback: Callable[[str | None], object]) -> None:
        """Call back with the reason when a batch is refused or fails, and with None when the store has it after all."""
        self._on_refused.append(callback)

    async def start(self) -> WriterRow:
        """Take the writer over, however long the store is away, and return its row: whoever had it is fenced."""
        delay = FIRST_RETRY_SECONDS
        while self._row is None:
            try:
                self._row = await self._store.take_over()
            except StoreDown as error:  # also CommitUnknown: a token too many does no harm
                self._log.warn("the writer {name} waits for the store: {error}", name=self.name, error=error)
                await self._clock.sleep(delay)
                delay = min(LAST_RETRY_SECONDS, delay * 2)
        return self._row

    def add(self, item: I, *, position: int) -> Deferred[None]:
        """Add one item; fires when it is in the store. `position` is its place in the journal, never going back.

        Fails with Fenced or WriterStopped.
        """
        if self._row is None:
            raise WriterStopped(f"the writer {self.name} was not started")
        committed: Deferred[None] = Deferred()
        if self._end is not None:
            committed.errback(Failure(self._end))
            return committed
        if position < (self._waiting[-1].position if self._waiting else self._row.position):
            raise ValueError(f"position {position} is behind what the writer {self.name} has")
        self._waiting.append(_Waiting(item=item, position=position, committed=committed))
        self._backlog.labels(writer=self.name).set(len(self._waiting))
        if not self._is_writing:
            self._is_writing = True
            self._tasks.spawn(f"writer {self.name}", self._write_batches(self._row))
        return committed

    async def flushed(self) -> None:
        """Wait until everything that was added so far is in the store; raises Fenced or WriterStopped."""
        if self._waiting:
            last = self._waiting[-1].committed
            waiting: Deferred[None] = Deferred()

            def pass_on(result: Failure | None) -> Failure | None:
                if isinstance(result, Failure):
                    waiting.errback(result)
                else:
                    waiting.callback(None)
                return result

            last.addBoth(pass_on)
            await waiting

    def stop(self) -> None:
        """Take no more; what is not in the store fails with WriterStopped (a journal still has it)."""
        self._finish(WriterStopped(f"the writer {self.name} stopped"))

    async def _write_batches(self, row: WriterRow) -> None:
        while self._waiting and self._end is None:
            batch = self._waiting[: self._max_batch]
            row = evolve(row, batch=row.batch + 1, position=batch[-1].position)
            self._behind_since = self._clock.monotonic()
            if not await self._write(row, [waiting.item for waiting in batch]):
                break
            self._row = row
            self._behind_since = None
            self._waiting = self._waiting[len(batch) :]
            self._batches.labels(writer=self.name).inc()
            self._items.labels(writer=self.name).inc(len(batch))
            self._backlog.labels(writer=self.name).set(len(self._waiting))
            for waiting in batch:
                waiting.committed.callback(None)
        self._is_writing = False

    async def _write(self, row: WriterRow, items: Sequence[I]) -> bool:
        """Write one batch until it is in the store; False if the writer ended meanwhile."""
        delay = FIRST_RETRY_SECONDS
        while self._end is None:
            try:
                await self._store.commit(row, items)
            except Fenced as error:
                self._finish(error)
            except StoreDown as error:
                self._log.warn("the writer {name} tries again: {error}", name=self.name, error=error)
                await self._rest(delay)
                delay = min(LAST_RETRY_SECONDS, delay * 2)
            except StoreError as error:
                self._log.critical(
                    "the store refuses batch {batch} of the writer {name}, which goes no further: {error}",
                    batch=row.batch,
                    name=self.name,
                    error=error,
                )
                self._tell_refused(f"the store refuses what {self.name} writes, which waits: {error}")
                await self._rest(STUCK_RETRY_SECONDS)
            except CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 (a fault of what writes must not end the writing in silence)
                self._log.failure(
                    "batch {batch} of the writer {name} cannot be written, and nothing behind it",
                    batch=row.batch,
                    name=self.name,
                )
                self._tell_refused(f"what {self.name} writes fails and waits: {type(error).__name__}: {error}")
                await self._rest(STUCK_RETRY_SECONDS)
            else:
                if self._is_refused:
                    self._tell_refused(None)
                return self._end is None
            self._retries.labels(writer=self.name).inc()
        return False

    def _tell_refused(self, reason: str | None) -> None:
        self._is_refused = reason is not None
        for callback in tuple(self._on_refused):
            callback(reason)

    async def _rest(self, seconds: float) -> None:
        self._pause = self._clock.sleep(seconds)
        await self._pause

    def _finish(self, error: StoreError) -> None:
        if self._end is not None:
            return
        self._end = error
        waiting, self._waiting = self._waiting, []
        self._behind_since = None
        if self._pause is not None:
            self._pause.cancel()
        self._backlog.labels(writer=self.name).set(0)
        for each in waiting:
            each.committed.errback(Failure(error))
        if isinstance(error, Fenced):
            self._log.critical("{error}", error=error)
            for callback in tuple(self._on_fenced):
                callback()
