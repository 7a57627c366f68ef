"""The journal: facts that outlive a crash before anybody hears of them.

Append-only files of checksummed frames, split by UTC date and size. One group is in flight: what is appended meanwhile is
the next group, written with one write and one fdatasync. Positions are dense, begin at 1 and are never used again, also
after everything was trimmed. Reference: docs/database.md.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from spire.database.frames import FRAME_BYTES, MAX_PAYLOAD_BYTES, Frame
from spire.database.journal_files import (
    JournalCorrupt,
    JournalError,
    JournalFailed,
    JournalFiles,
    JournalFull,
    JournalIdentity,
    JournalInUse,
    JournalMismatch,
    JournalTrimmed,
)
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.values.environment import Environment

__all__ = [
    "Frame",
    "Journal",
    "JournalCorrupt",
    "JournalError",
    "JournalFailed",
    "JournalFull",
    "JournalInUse",
    "JournalMismatch",
    "JournalTrimmed",
]

R = TypeVar("R")

_Fact = tuple[bytes, bool, Deferred[int]]
"""A payload, whether it becomes durable only together with the next one, and who waits for it."""

FILE_BYTES = 64 * 1024 * 1024
GROUP_BYTES = 8 * 1024 * 1024
DELETE_AGAIN_SECONDS = 60.0
"""So long a file that could not be deleted is left alone."""


class RunInThread(Protocol):
    """Run a blocking function elsewhere and await its result; tests run it in place."""

    def __call__(self, function: Callable[..., R], /, *arguments: Any) -> Awaitable[R]:
        """Run `function(*arguments)`."""


class Journal:
    """One journal of one process.

    `open` before anything else; `position` is the last durable one. Appends that are answered are never lost; those that
    fail were never there.
    """

    _log = Logger()

    def __init__(
        self,
        directory: Path,
        name: str,
        *,
        environment: Environment,
        epoch: int,
        clock: Clock,
        metrics: Metrics,
        run_in_thread: RunInThread,
        file_bytes: int = FILE_BYTES,
    ) -> None:
        self.name = name
        self._files = JournalFiles(
            directory, JournalIdentity(name=name, environment=environment, epoch=epoch), file_bytes
        )
        self._clock = clock
        self._run_in_thread = run_in_thread
        self._waiting: list[_Fact] = []
        self._is_open = False
        self._group: list[_Fact] = []
        self._is_writing = False
        self._is_broken = False
        self._closed: Deferred[None] | None = None
        self._trimming = DeferredLock()
        self._delete_from = 0.0
        self._seconds = metrics.histogram("spire_journal_group_seconds", "Write and sync of one group.", ["journal"])
        self._frames = metrics.counter("spire_journal_frames", "Frames made durable.", ["journal"])
        self._bytes = metrics.counter("spire_journal_bytes", "Bytes made durable.", ["journal"])
        self._failures = metrics.counter("spire_journal_failures", "Groups that could not be written.", ["journal"])

    @property
    def position(self) -> int:
        """The last durable position; 0 in a new journal."""
        return self._files.last_position

    @property
    def first_position(self) -> int:
        """The first position that `read` can still give."""
        return self._files.first_position

    @property
    def waiting(self) -> int:
        """How many appends wait to become durable."""
        return len(self._waiting)

    def open(self) -> Iterator[Frame]:
        """Lock and check the files, repair a torn tail, and return every frame that is held, in order; also after `close`.

        Blocking. The journal takes appends once this has returned; the frames may be read at leisure, or not at all. Raises
        JournalCorrupt, JournalMismatch, JournalInUse, OSError.
        """
        self._files.open()
        self._is_open, self._is_broken, self._closed = True, False, None
        self._delete_from = self._clock.monotonic()
        return self.read(self.first_position - 1)

    def read(self, after: int, through: int | None = None) -> Iterator[Frame]:
        """Return the durable frames behind `after`, up to `through`; blocking. JournalTrimmed if they are gone."""
        return self._files.read(after, self.position if through is None else min(through, self.position))

    def append(self, payload: bytes) -> Deferred[int]:
        """Append one fact; fires with its position when it is durable, in the order of the appends.

        All appends of a group fire in one reactor turn. Fails with JournalFull (later appends may succeed) or JournalFailed;
        everything that was appended before the caller could know fails too, so that nothing overtakes a lost fact.
        """
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise _too_large(payload)
        self._require_open()
        durable: Deferred[int] = Deferred()
        self._waiting.append((payload, False, durable))
        self._begin()
        return durable

    def append_many(self, payloads: Sequence[bytes]) -> list[Deferred[int]]:
        """Append several facts in one group, however large: after a failure or a crash all of them are there, or none."""
        for payload in payloads:
            if len(payload) > MAX_PAYLOAD_BYTES:
                raise _too_large(payload)
        self._require_open()
        appended: list[Deferred[int]] = [Deferred() for _ in payloads]
        last = len(payloads) - 1
        self._waiting += [
            (payload, place < last, durable)
            for place, (payload, durable) in enumerate(zip(payloads, appended, strict=True))
        ]
        self._begin()
        return appended

    def trim(self, position: int) -> Deferred[None]:
        """Delete the files that hold nothing behind `position`; the last file always stays. Fires when it is done.

        One deletion is under way at a time. What could not be deleted (OSError) is tried again by a trim a minute later,
        before anything behind it; until then trims delete nothing.
        """
        self._files.forget(position)
        return Deferred.fromCoroutine(self._delete())

    async def _delete(self) -> None:
        async with self._trimming:
            now = self._clock.monotonic()
            if self._is_open and self._files.has_forgotten and now >= self._delete_from:
                self._delete_from = now + DELETE_AGAIN_SECONDS
                await self._run_in_thread(self._files.delete)
                self._delete_from = now

    async def close(self) -> None:
        """Take no more, wait for what was appended and for what is being deleted, close the files."""
        if not self._is_open:
            return
        if self._closed is None:
            self._closed = Deferred()
            if not self._is_writing:
                self._closed.callback(None)
        await self._closed
        async with self._trimming:
            self._is_open = False
            self._files.close()

    def _require_open(self) -> None:
        if not self._is_open or self._is_broken or self._closed is not None:
            raise JournalFailed("the journal is not open")

    def _begin(self) -> None:
        if not self._is_writing and self._waiting:
            self._is_writing = True
            Deferred.fromCoroutine(self._write_groups()).addErrback(self._broken)

    async def _write_groups(self) -> None:
        while self._waiting:
            group = self._group = self._next_group()
            began = self._clock.monotonic()
            try:
                written = await self._run_in_thread(
                    self._files.write, [(payload, more) for payload, more, _ in group], self._clock.now()
                )
            except JournalError as error:
                self._failed(group, error)
                continue
            last = self._files.commit(*written)
            self._seconds.labels(journal=self.name).observe(self._clock.monotonic() - began)
            self._frames.labels(journal=self.name).inc(len(group))
            self._bytes.labels(journal=self.name).inc(sum(len(payload) for payload, _, _ in group))
            for position, (_, _, durable) in enumerate(group, last - len(group) + 1):
                durable.callback(position)
        self._group = []
        self._ended()

    def _ended(self) -> None:
        self._is_writing = False
        if self._closed is not None and not self._closed.called:
            self._closed.callback(None)

    def _next_group(self) -> list[_Fact]:
        size = whole = 0
        for count, (payload, more, _) in enumerate(self._waiting, 1):
            size += len(payload) + FRAME_BYTES
            if whole and size > GROUP_BYTES:
                break
            if not more:
                whole = count
        group, self._waiting = self._waiting[:whole], self._waiting[whole:]
        return group

    def _failed(self, group: list[_Fact], error: JournalError) -> None:
        """Fail a group and everything that waits behind it, in order."""
        lost = [durable for _, _, durable in group + self._waiting if not durable.called]
        self._waiting = []
        self._failures.labels(journal=self.name).inc()
        self._log.error(
            "the journal {name} lost {count} appends: {error}", name=self.name, count=len(lost), error=error
        )
        for durable in lost:
            durable.errback(Failure(error))

    def _broken(self, failure: Failure) -> None:
        """Something that nobody foresaw happened to the writing: say so, and fail what waits."""
        self._log.failure("the journal {name} is broken", failure=failure, name=self.name)
        self._is_broken = True
        self._failed(self._group, JournalFailed("the journal is broken: see the log"))
        self._ended()


def _too_large(payload: bytes) -> ValueError:
    return ValueError(f"a frame holds at most {MAX_PAYLOAD_BYTES} bytes, not {len(payload)}")
