"""The one way to the store: named transactions in threads, repeated by error code, with bounds and metrics.

Reference: docs/database.md.
"""

import random
import sys
import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, TypeVar, TypeVarTuple

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from spire.database.address import DatabaseAddress
from spire.database.connector import Connector, ConnectTimeouts, Login, StoreConnection
from spire.database.errors import CommitUnknown, StoreBusy, StoreClosed, StoreDown, StoreError, StoreTimeout
from spire.database.job import Job
from spire.database.pool import Pool, StorePool
from spire.database.transaction import Callback, Transaction, translated
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics

R = TypeVar("R")
A = TypeVarTuple("A")

# What a function returned, and what it wants called after the commit.
Outcome = tuple[Any, list[Callback]]

# A thread that reads many rows starves the reactor's for up to half a second with Python's 5 ms.
SWITCH_INTERVAL_SECONDS = 0.0005

# A server that answers but cannot write: read-only, or a cluster node that is not in step.
_CANNOT_WRITE = frozenset((1047, 1290, 1836))


class DatabaseState(Enum):
    """The life of a `Database`; it is opened once."""

    NEW = "new"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"


@frozen(kw_only=True)
class DatabaseLimits:
    """Bounds and patience; seconds, except for the counts."""

    connections: int = 4
    waiting: int = 1000
    wait_seconds: float = 5.0
    repeats: int = 5
    repeat_seconds: float = 0.01
    idle_seconds: float = 5.0
    beat_seconds: float = 5.0
    probe_seconds: float = 0.5
    slow_seconds: float = 0.25
    drain_seconds: float = 5.0


class Database:
    """Runs functions in transactions on a pool of connections.

    While no server answers, calls fail at once with StoreDown, a probe looks every half second, and `on_state` tells.
    """

    _log = Logger()

    def __init__(
        self,
        connector: Connector,
        *,
        clock: Clock,
        metrics: Metrics,
        limits: DatabaseLimits | None = None,
        make_pool: Callable[[Connector, object, int], Pool] = StorePool,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._connector = connector
        self._clock = clock
        self._limits = DatabaseLimits() if limits is None else limits
        self._make_pool = make_pool
        self._sleep = sleep
        self._jitter = jitter
        self._pool: Pool | None = None
        self._jobs: set[Job] = set()
        self._idle: Deferred[None] | None = None
        self._unreachable: StoreDown | None = None
        self._is_aborting = False
        self._probe_timer: IDelayedCall | None = None
        self._beat_timer: IDelayedCall | None = None
        self._last_begun = 0.0
        self._observers: list[Callable[[bool], object]] = []
        self.state = DatabaseState.NEW
        self._seconds = metrics.histogram("spire_database_run_seconds", "Time in a transaction.", ["transaction"])
        self._wait_seconds = metrics.histogram("spire_database_wait_seconds", "Time waited for a connection.")
        self._retries = metrics.counter("spire_database_retries", "Transactions run again.", ["transaction"])
        self._failures = metrics.counter(
            "spire_database_failures", "Transactions that failed.", ["transaction", "error"]
        )
        self._gauge = metrics.gauge("spire_database_calls", "Calls that wait or run now.")
        self._up = metrics.gauge("spire_database_up", "1 while the store can be reached.")

    @property
    def is_up(self) -> bool:
        """Whether the store was reached when it was last tried."""
        return self.state is DatabaseState.OPEN and self._unreachable is None

    def on_state(self, callback: Callable[[bool], object]) -> None:
        """Call back with whether the store can be reached, at every change."""
        self._observers.append(callback)

    async def start(self) -> None:
        """Open; a store that is away is no error. StoreFault where it refuses the login or has no such schema."""
        if self.state is not DatabaseState.NEW:
            raise StoreClosed(f"the database is {self.state.value}; it is opened once")
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        self._pool = self._make_pool(self._connector, self._clock.reactor, self._limits.connections)
        self._pool.start()
        self.state = DatabaseState.OPEN
        self._up.set(1)
        self._beat_timer = self._clock.later(self._limits.beat_seconds, self._beat)
        try:
            await self._submit(self._probe_job())
        except StoreDown as error:
            self._log.warn("the store is away: {error}", error=error)

    async def run(self, name: str, function: Callable[[Transaction, *A], R], *arguments: *A) -> R:
        """Run `function(transaction, *arguments)` in a thread and commit; return what it returned.

        The function may run several times. Raises StoreDown and its kinds when the store cannot do it now (quickly, when
        it is known to be away), CommitUnknown when it may have been done, the other StoreErrors of its statements, and
        whatever else the function raises. `name` names it in metrics and logs.
        """
        if self.state is not DatabaseState.OPEN:
            raise StoreClosed(f"the database is {self.state.value}")
        if self._unreachable is not None:
            raise StoreDown(str(self._unreachable))
        if len(self._jobs) >= self._limits.waiting:
            raise StoreBusy(f"{len(self._jobs)} calls wait for the store already")
        result: R = await self._submit(Job(name, function, arguments, self._clock.monotonic()))
        return result

    async def stop(self) -> None:
        """Refuse new calls, let those under way end within the drain time, cut off the rest, close."""
        if self._pool is None or self.state is DatabaseState.CLOSED:
            self.state = DatabaseState.CLOSED
            return
        self.state = DatabaseState.DRAINING
        for timer in (self._probe_timer, self._beat_timer):
            if timer is not None and timer.active():
                timer.cancel()
        await self._drained(self._limits.drain_seconds)
        if self._jobs:
            self._log.warn("{count} calls of the store are cut off", count=len(self._jobs))
            self._is_aborting = True
            for connection in tuple(self._pool.connections.values()):
                connection.abort()
            await self._drained(self._limits.drain_seconds)
        self._pool.close()
        self.state = DatabaseState.CLOSED

    async def _submit(self, job: Job) -> Any:
        """Give a job to the pool and await its outcome, or its turn to begin until the wait is over."""
        assert self._pool is not None
        self._jobs.add(job)
        self._last_begun = job.added
        self._gauge.inc()
        outcome: Deferred[Any] = Deferred(lambda _: job.give_up())
        timer = self._clock.later(self._limits.wait_seconds, self._give_up, job, outcome)

        def end(result: Any) -> None:
            self._jobs.discard(job)
            self._gauge.dec()
            if timer.active():
                timer.cancel()
            if self._idle is not None and not self._jobs and not self._idle.called:
                self._idle.callback(None)
            if not outcome.called:
                outcome.callback(result)

        self._pool.run(self._in_thread, job).addBoth(end)
        try:
            result, callbacks = await outcome
        except StoreError as error:
            self._failures.labels(transaction=job.name, error=type(error).__name__).inc()
            self._look_at_reachability(job)
            raise
        self._look_at_reachability(job)
        for callback, arguments in callbacks:
            try:
                callback(*arguments)
            except Exception:  # noqa: BLE001 - it is committed: the caller must hear so, and the other callbacks too
                self._log.failure("a callback after the commit of {name} failed", failure=Failure(), name=job.name)
        return result

    def _give_up(self, job: Job, outcome: Deferred[Any]) -> None:
        if job.take() and not outcome.called:
            outcome.errback(StoreBusy(f"{job.name} waited {self._limits.wait_seconds} s for a connection"))

    async def _drained(self, seconds: float) -> None:
        """Wait until no job is left, or for `seconds`."""
        if not self._jobs:
            return
        idle: Deferred[None] = Deferred()
        self._idle = idle
        timer = self._clock.later(seconds, idle.callback, None)
        await idle
        self._idle = None
        if timer.active():
            timer.cancel()

    # Reachability, on the reactor thread; `_unreachable` is also set and read by the worker threads.

    def _look_at_reachability(self, job: Job) -> None:
        is_down = self._unreachable is not None
        was_down = self._probe_timer is not None
        if is_down and not was_down:
            self._log.error("the store cannot be reached: {error}", error=self._unreachable)
            self._tell(is_up=False)
        if is_down and (not was_down or job.is_probe) and self.state is DatabaseState.OPEN:
            # After a time-out the server may only have been slow: look at once.
            is_slow = isinstance(self._unreachable, StoreTimeout) and not job.is_probe
            self._probe_timer = self._clock.later(0 if is_slow else self._limits.probe_seconds, self._probe)
        if not is_down and was_down:
            self._probe_timer = None
            self._log.info("the store can be reached again")
            self._tell(is_up=True)

    def _tell(self, *, is_up: bool) -> None:
        self._up.set(int(is_up))
        for callback in tuple(self._observers):
            callback(is_up)

    def _probe_job(self) -> Job:
        job = Job("probe", _probe, (), self._clock.monotonic())
        job.is_probe = True
        return job

    def _beat(self) -> None:
        """Look after the server while nobody else does, so that its loss is known before it is needed."""
        self._beat_timer = self._clock.later(self._limits.beat_seconds, self._beat)
        is_idle = self._clock.monotonic() - self._last_begun >= self._limits.beat_seconds
        if is_idle and not self._jobs and self._unreachable is None:
            self._probe()

    def _probe(self) -> None:
        if self.state is DatabaseState.OPEN:
            Deferred.fromCoroutine(self._submit(self._probe_job())).addErrback(self._probe_failed)

    def _probe_failed(self, failure: Failure) -> None:
        if failure.check(StoreDown) is None:
            self._log.failure("the store answers, but not to us", failure=failure)

    # In a worker thread.

    def _in_thread(self, job: Job) -> Outcome:
        if not job.take():
            raise StoreBusy(f"{job.name} was given up before it began")
        if self._unreachable is not None and not job.is_probe:
            raise StoreDown(str(self._unreachable))
        began = self._clock.monotonic()
        self._wait_seconds.observe(began - job.added)
        try:
            return self._until_done(job)
        finally:
            took = self._clock.monotonic() - began
            self._seconds.labels(transaction=job.name).observe(took)
            if took >= self._limits.slow_seconds:
                self._log.warn(
                    "{name} took {took:.3f} s in the store, with {retries} retries",
                    name=job.name,
                    took=took,
                    retries=job.retries,
                )

    def _until_done(self, job: Job) -> Outcome:
        assert self._pool is not None
        may_reconnect = True
        repeats = 0
        while True:
            connection = self._live_connection(self._pool)
            try:
                outcome = self._attempt(connection, job)
            except CommitUnknown:
                self._pool.disconnect(connection)
                raise
            except StoreBusy:
                if not connection.rollback():
                    self._pool.disconnect(connection)
                if repeats == self._limits.repeats:
                    raise
                repeats += 1
                self._sleep(self._limits.repeat_seconds * 2**repeats * (0.5 + self._jitter()))
            except StoreTimeout as error:
                if not connection.is_open:  # our patience ended, not the server's: perhaps it hangs
                    self._unreachable = error
                self._pool.disconnect(connection)
                raise
            except StoreDown as error:
                self._pool.disconnect(connection)
                if error.code in _CANNOT_WRITE:
                    self._connector.avoid(connection.address)
                if not may_reconnect:
                    raise
                may_reconnect = False
            except BaseException:
                if not connection.rollback():
                    self._pool.disconnect(connection)
                raise
            else:
                self._unreachable = None  # only an answer proves that the server is there
                return outcome
            job.retries += 1
            self._retries.labels(transaction=job.name).inc()

    def _attempt(self, connection: StoreConnection, job: Job) -> Outcome:
        with translated():
            cursor = connection.raw.cursor()
        transaction = Transaction(cursor)
        result = job.function(transaction, *job.arguments)
        try:
            with translated():
                cursor.close()
                connection.raw.commit()
        except StoreDown as error:
            if transaction.has_written and not isinstance(error, StoreBusy):
                raise CommitUnknown(f"the connection was lost during commit: {error}", error.code) from error
            raise
        connection.last_used = self._clock.monotonic()
        return result, transaction.callbacks

    def _live_connection(self, pool: Pool) -> StoreConnection:
        """Return a connection that was alive a moment ago, opened again if need be; StoreDown if none can be had."""
        if self._is_aborting:
            raise StoreClosed("the database is closing")
        try:
            connection = pool.connect()
            is_stale = self._clock.monotonic() - connection.last_used >= self._limits.idle_seconds
            if not connection.is_open or (is_stale and not connection.answers()):
                pool.disconnect(connection)
                connection = pool.connect()
        except StoreDown as error:
            self._unreachable = error
            raise
        return connection


def _probe(transaction: Transaction) -> None:
    transaction.fetch_one("SELECT 1")


def make_database(
    addresses: Sequence[str],
    *,
    user: str,
    password: str,
    schema: str,
    clock: Clock,
    metrics: Metrics,
    limits: DatabaseLimits | None = None,
    timeouts: ConnectTimeouts | None = None,
) -> Database:
    """Make the database of one process; ValueError for an address that is none."""
    connector = Connector(
        [DatabaseAddress.parse(address) for address in addresses],
        Login(user=user, password=password, schema=schema),
        monotonic=clock.monotonic,
        timeouts=timeouts,
    )
    return Database(connector, clock=clock, metrics=metrics, limits=limits)
