"""The files of one journal: opened, repaired, appended to, cut back, read and deleted; blocking, for a thread."""

import errno
import fcntl
import mmap
import os
import re
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define, field, frozen
from twisted.logger import Logger

from spire.database.frames import (
    HEADER_BYTES,
    VERSION,
    FileHeader,
    Frame,
    decode_frame,
    decode_header,
    encode_frame,
    encode_header,
    scan,
)
from spire.values.environment import Environment
from spire.values.time import Timestamp, to_datetime

# Errors that mean "no room": quota, size limit of the process, full disk.
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


class JournalError(Exception):
    """The journal cannot do it; the message says why."""


class JournalFull(JournalError):  # noqa: N818 - named for what happened
    """There was no room: the file was cut back to its last whole group, and later appends may succeed."""


class JournalFailed(JournalError):  # noqa: N818 - named for what happened
    """The disk failed in a way that leaves unknown what it holds: nothing is appended until the journal is opened again."""


class JournalCorrupt(JournalError):  # noqa: N818 - named for what happened
    """A file is damaged before its end, or missing: facts that were acknowledged are lost."""


class JournalMismatch(JournalError):  # noqa: N818 - named for what happened
    """The journal belongs to another environment or epoch."""


class JournalInUse(JournalError):  # noqa: N818 - named for what happened
    """Another process writes this journal."""


class JournalTrimmed(JournalError):  # noqa: N818 - named for what happened
    """The positions asked for were trimmed away; the store holds their content."""


@frozen(kw_only=True)
class JournalIdentity:
    """Whose journal it is; another one is refused."""

    name: str
    environment: Environment
    epoch: int


@define(kw_only=True)
class JournalFile:
    """One file: where it is, its version, what it holds, and the offsets of its durable frames."""

    path: Path
    first_position: int
    day: str
    version: int = VERSION
    end: int
    offsets: "array[int]" = field(factory=lambda: array("Q"))

    @property
    def last_position(self) -> int:
        """The position of the last frame; one before the first where there is none."""
        return self.first_position + len(self.offsets) - 1


class JournalFiles:
    """The files of one journal in a directory, locked against a second writer.

    `write` is called by one thread at a time. Reading sees only what `commit` made known.
    """

    _log = Logger()

    def __init__(self, directory: Path, identity: JournalIdentity, file_bytes: int) -> None:
        self._directory = directory
        self._identity = identity
        self._file_bytes = file_bytes
        self._pattern = re.compile(rf"{re.escape(identity.name)}-(\d{{8}})-(\d{{20}})\.journal")
        self._lock: int | None = None
        self._fd: int | None = None
        self._is_failed = False
        self.files: list[JournalFile] = []
        self._forgotten: list[Path] = []

    @property
    def first_position(self) -> int:
        """The first position that is still held, or would be the next."""
        return self.files[0].first_position if self.files else 1

    @property
    def last_position(self) -> int:
        """The last durable position; 0 in a new journal."""
        return self.files[-1].last_position if self.files else 0

    # Opening.

    def open(self) -> None:
        """Lock, look at every file, cut off a torn tail; raises what is wrong with the journal.

        What is whole may never have been synced: the process died behind the write. It counts from now on, so the disk must
        have it first.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        self.files = []
        self._forgotten = []
        self._is_failed = False
        try:
            names = sorted(self._names(), key=lambda pair: pair[1])
            for index, (path, first, day) in enumerate(names):
                self._open_file(path, first, day, is_last=index == len(names) - 1)
            if self.files:
                self._fd = os.open(self.files[-1].path, os.O_WRONLY)
                os.fdatasync(self._fd)
            _sync_directory(self._directory)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files and let go of the lock."""
        for descriptor in (self._fd, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._fd = self._lock = None

    def _take_lock(self) -> None:
        path = self._directory / f"{self._identity.name}.lock"
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise JournalInUse(f"another process writes the journal {self._identity.name}") from None

    def _names(self) -> Iterator[tuple[Path, int, str]]:
        for path in self._directory.iterdir():
            match = self._pattern.fullmatch(path.name)
            if match is not None:
                yield path, int(match.group(2)), match.group(1)

    def _open_file(self, path: Path, first: int, day: str, *, is_last: bool) -> None:
        if self.files and first != self.last_position + 1:
            raise JournalCorrupt(f"{path.name} begins at {first}, but the file before it ends at {self.last_position}")
        with path.open("r+b") as file:
            size = os.fstat(file.fileno()).st_size
            if is_last and size < HEADER_BYTES:
                # The process died while it made the file: nothing was ever in it.
                self._write_header(file.fileno(), first, Timestamp(0))
                size = HEADER_BYTES
            with _view(file.fileno(), size) as data:
                header = self._check_header(path, first, data)
                found = scan(data, first)
            end, version = found.end, header.version
            if found.damage is not None or (not is_last and end < size):
                raise JournalCorrupt(
                    f"{path.name} is damaged at byte {end}, behind position {first + len(found.offsets) - 1}: "
                    "restore it, or begin a new epoch"
                )
            if end < size:
                self._log.warn(
                    "{path}: the last write was torn; {count} bytes that nobody was told of are cut off",
                    path=path.name,
                    count=size - end,
                )
                os.ftruncate(file.fileno(), end)
                os.fsync(file.fileno())
            if is_last and not found.offsets and version != VERSION:
                # The next file would begin at the same position as this one, so this one takes the next group.
                self._write_header(file.fileno(), first, header.time)
                version = VERSION
        offsets = array("Q", found.offsets)
        self.files.append(
            JournalFile(path=path, first_position=first, day=day, version=version, end=end, offsets=offsets)
        )

    def _check_header(self, path: Path, first: int, data: memoryview) -> FileHeader:
        try:
            header = decode_header(data)
        except ValueError as error:
            raise JournalCorrupt(f"{path.name}: {error}") from error
        if header.first_position != first:
            raise JournalCorrupt(f"{path.name} says that it begins at {header.first_position}")
        mine = self._identity
        if (header.environment, header.epoch) != (mine.environment, mine.epoch):
            raise JournalMismatch(
                f"{path.name} belongs to {header.environment.name}, epoch {header.epoch}; "
                f"this server is {mine.environment.name}, epoch {mine.epoch}"
            )
        return header

    def _write_header(self, descriptor: int, first: int, now: Timestamp) -> None:
        mine = self._identity
        header = FileHeader(environment=mine.environment, epoch=mine.epoch, first_position=first, time=now)
        _write_at(descriptor, encode_header(header), 0)
        os.fsync(descriptor)

    # Appending, in the journal's thread.

    def write(self, facts: list[tuple[bytes, bool]], now: Timestamp) -> tuple[JournalFile, list[int], int]:
        """Append a group and wait until the disk has it; the answer is what `commit` takes.

        Each payload comes with whether its lot goes on with the next. After a crash in between, a prefix of the group may be
        there: of a lot all or nothing.
        Raises JournalFull with the file cut back, or JournalFailed.
        """
        if self._is_failed:
            raise JournalFailed("the journal failed before: the server must be started again")
        size = sum(len(payload) for payload, _ in facts)
        file = self._file_for(size, now)
        assert self._fd is not None
        position, offset = file.last_position + 1, file.end
        frames: list[bytes] = []
        offsets: list[int] = []
        for at, (payload, more) in enumerate(facts, position):
            frames.append(encode_frame(payload, position=at, time=now, group=file.end, more=more))
            offsets.append(offset)
            offset += len(frames[-1])
        try:
            _write_at(self._fd, b"".join(frames), file.end)
            os.fdatasync(self._fd)
        except OSError as error:
            self._cut_back(self._fd, file.end, error)
        return file, offsets, offset

    def commit(self, file: JournalFile, offsets: list[int], end: int) -> int:
        """Make a written group known to readers, in the reactor's thread; return its last position."""
        file.offsets.extend(offsets)
        file.end = end
        return file.last_position

    def _file_for(self, size: int, now: Timestamp) -> JournalFile:
        """Return the file that takes the next group: the last one, or a new one for a new day, or behind a full or old file."""
        day = to_datetime(now).strftime("%Y%m%d")
        if self.files:
            last = self.files[-1]
            is_full = last.offsets and last.end + size > self._file_bytes
            if not is_full and last.version == VERSION and (last.day == day or not last.offsets):
                return last
        first = self.last_position + 1
        path = self._directory / f"{self._identity.name}-{day}-{first:020}.journal"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._write_header(descriptor, first, now)
                _sync_directory(self._directory)
            except OSError:
                os.close(descriptor)
                with suppress(OSError):
                    path.unlink()
                raise
        except OSError as error:
            raise _no_room(error) from error
        if self._fd is not None:
            os.close(self._fd)
        self._fd = descriptor
        self.files.append(JournalFile(path=path, first_position=first, day=day, end=HEADER_BYTES))
        return self.files[-1]

    def _cut_back(self, descriptor: int, end: int, error: OSError) -> None:
        """Take an unfinished group off the file and raise what happened."""
        try:
            os.ftruncate(descriptor, end)
            os.fdatasync(descriptor)
        except OSError:
            self._is_failed = True
        failure = _no_room(error)
        if self._is_failed or not isinstance(failure, JournalFull):
            # After a failed sync nobody knows what the disk holds, and asking again would only seem to work.
            self._is_failed = True
            raise JournalFailed(f"the disk under the journal failed: {error}") from error
        raise failure from error

    # Reading and trimming.

    def read(self, after: int, through: int) -> Iterator[Frame]:
        """Yield the frames behind `after`, up to `through`; JournalTrimmed if some of them are not held any more."""
        if after + 1 < self.first_position:
            raise JournalTrimmed(f"the journal begins at {self.first_position}, {after + 1} was asked for")
        return self._frames(after, through)

    def _frames(self, after: int, through: int) -> Iterator[Frame]:
        for file in tuple(self.files):
            if file.last_position <= after or file.first_position > through:
                continue
            try:
                stream = file.path.open("rb")
            except FileNotFoundError:
                raise JournalTrimmed(f"{file.path.name} was trimmed while it was read") from None
            with stream, _view(stream.fileno(), file.end) as data:
                first = max(after, file.first_position - 1) + 1
                for position in range(first, min(through, file.last_position) + 1):
                    found = decode_frame(data, file.offsets[position - file.first_position])
                    if found is None or found.frame.position != position:
                        raise JournalCorrupt(f"{file.path.name}: position {position} cannot be read any more")
                    yield found.frame

    @property
    def has_forgotten(self) -> bool:
        """Whether there are files to delete."""
        return bool(self._forgotten)

    def forget(self, position: int) -> None:
        """Forget the files that hold nothing behind `position`, but the last: they may be deleted."""
        while len(self.files) > 1 and self.files[0].last_position <= position:
            self._forgotten.append(self.files.pop(0).path)

    def delete(self) -> None:
        """Delete the files that were forgotten, oldest first, so that what a crash leaves has no hole.

        One that cannot be deleted stays the first to be tried the next time. One thread at a time.
        """
        while self._forgotten:
            self._forgotten[0].unlink(missing_ok=True)
            del self._forgotten[0]
        _sync_directory(self._directory)


def _no_room(error: OSError) -> JournalError:
    if error.errno in _FULL:
        return JournalFull(f"no room for the journal: {error.strerror}")
    return JournalFailed(f"the disk under the journal failed: {error}")


@contextmanager
def _view(descriptor: int, size: int) -> Iterator[memoryview]:
    """Show the first `size` bytes of a file without reading them all."""
    with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
        yield view


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of `data`: a write near a limit takes a part without an error, and only the next one fails."""
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, offset)
        view = view[count:]
        offset += count


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
