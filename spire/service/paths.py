"""Where the sockets and marks of a process stand, and how they stay private."""

import hashlib
import os
import stat
from pathlib import Path

LONGEST_SOCKET_PATH = 100


def admin_path(run_directory: Path, name: str) -> Path:
    """Return where the admin socket of the process `name` stands."""
    return run_directory / f"{name}.admin"


def ready_path(run_directory: Path, name: str) -> Path:
    """Return where the readiness file of the process `name` stands."""
    return run_directory / f"{name}.ready"


def socket_path(wanted: Path) -> Path:
    """Return where the socket `wanted` is bound: there, or under a short private name when the path is too long.

    A unix socket's path ends at 108 bytes. Both sides compute the same name, from the absolute path.
    """
    absolute = wanted.absolute()
    if len(os.fsencode(absolute)) <= LONGEST_SOCKET_PATH:
        return absolute
    digest = hashlib.sha256(os.fsencode(absolute)).hexdigest()[:20]
    return Path(f"/tmp/spire-{os.getuid()}") / digest  # noqa: S108 - of mode 700 and ours, or `private_directory` refuses


def private_directory(directory: Path) -> None:
    """Make `directory` with mode 700, or check that it is ours and of that mode; PermissionError otherwise."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    if not is_ours or stat.S_IMODE(status.st_mode) & 0o077:
        raise PermissionError(f"{directory} must be a directory of ours with mode 700")
