"""The high-water mark: the end of the last block that this server gave out, in a file outside the database.

A database that is restored from a backup forgets blocks; this file does not. Blocking, for a thread.
"""

import os
import zlib
from pathlib import Path


class HighWaterDamaged(Exception):  # noqa: N818 - named for what happened
    """The file does not hold a mark; an operator must say what it was."""


class HighWaterFile:
    """A file with one number and its checksum, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> int:
        """Return the mark, 0 where there is no file; HighWaterDamaged, OSError."""
        try:
            text = self.path.read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return 0
        number, _, checksum = text.strip().partition(" ")
        if not number.isdigit() or checksum != _checksum(number):
            raise HighWaterDamaged(
                f"{self.path} does not hold a high-water mark: remove it only if the database was never restored"
            )
        return int(number)

    def store(self, mark: int) -> None:
        """Make the mark durable; OSError, and the former mark stays."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.path.with_name(self.path.name + ".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            text = f"{mark} {_checksum(str(mark))}\n".encode()
            if os.write(descriptor, text) != len(text):
                raise OSError(f"{new} could be written in part only")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        new.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _checksum(number: str) -> str:
    return f"{zlib.crc32(number.encode()):08x}"
