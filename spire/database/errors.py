"""What can go wrong with the store, told apart by the server's error code and never by the driver's class."""
# ruff: noqa: N818 - they are named for what happened, as everything that a caller may meet in this house

import re
from enum import Enum

from pymysql.constants import CR, ER


class StoreError(Exception):
    """The store refused or could not do it; `code` is the server's number, 0 where there is none."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class StoreDown(StoreError):
    """The store cannot do it now; the same call may work later."""


class StoreBusy(StoreDown):
    """Too many calls wait, or transactions kept colliding; nothing was written."""


class StoreTimeout(StoreDown):
    """The store did not answer in time; the connection was given up and nothing was committed."""


class StoreClosed(StoreDown):
    """The database of this process is not open: not started yet, or stopping."""


class CommitUnknown(StoreDown):
    """The connection was lost while a change was being committed: it may be in the store, or not.

    Only a caller that can recognise its own change may run it again.
    """


class NotUnique(StoreError):
    """A row with the same key is there already; `key` is the name of the index."""

    def __init__(self, message: str, code: int = 0, key: str = "") -> None:
        super().__init__(message, code)
        self.key = key


class MissingReference(StoreError):
    """A row that this one refers to is not there, or a row is still referred to."""


class TooLong(StoreError):
    """A value does not fit its column."""


class StoreFault(StoreError):
    """A fault of ours or of the set-up: wrong SQL, unknown table, wrong password."""


class SchemaMismatch(StoreError):
    """The tables are not those that this release needs."""


class Verdict(Enum):
    """What to do about an error."""

    REPEAT = "repeat"
    RECONNECT = "reconnect"
    TIMEOUT = "timeout"
    UNIQUE = "unique"
    REFERENCE = "reference"
    TOO_LONG = "too long"
    FAULT = "fault"


# Where PyMySQL has no name for a code: 1020 changed row under snapshot isolation, 3572 lock not available without
# waiting; 1047 and 1180 are Galera's "not ready" and "conflict at commit".
_VERDICTS: dict[int, Verdict] = {
    **dict.fromkeys(
        (ER.LOCK_DEADLOCK, ER.LOCK_WAIT_TIMEOUT, ER.CHECKREAD, ER.ERROR_DURING_COMMIT, 3572), Verdict.REPEAT
    ),
    **dict.fromkeys(
        (
            0,  # InterfaceError(0, ''): used after the socket broke
            CR.CR_CONNECTION_ERROR,
            CR.CR_CONN_HOST_ERROR,
            CR.CR_UNKNOWN_HOST,
            CR.CR_SERVER_GONE_ERROR,
            CR.CR_SERVER_HANDSHAKE_ERR,
            CR.CR_SERVER_LOST,
            CR.CR_SERVER_LOST_EXTENDED,
            ER.CON_COUNT_ERROR,
            ER.UNKNOWN_COM_ERROR,
            ER.SERVER_SHUTDOWN,
            ER.NORMAL_SHUTDOWN,
            ER.TOO_MANY_USER_CONNECTIONS,
            ER.HOST_IS_BLOCKED,
            ER.NEW_ABORTING_CONNECTION,
            ER.NET_READ_ERROR_FROM_PIPE,
            ER.NET_FCNTL_ERROR,
            ER.NET_PACKETS_OUT_OF_ORDER,
            ER.NET_UNCOMPRESS_ERROR,
            ER.NET_READ_ERROR,
            ER.NET_READ_INTERRUPTED,
            ER.NET_ERROR_ON_WRITE,
            ER.NET_WRITE_INTERRUPTED,
            ER.OPTION_PREVENTS_STATEMENT,  # a server that became read-only: another of the list may write
            1836,  # read-only mode
            1927,  # connection killed
            4031,  # disconnected for idleness
        ),
        Verdict.RECONNECT,
    ),
    **dict.fromkeys((ER.QUERY_INTERRUPTED, 1969, 3024), Verdict.TIMEOUT),
    **dict.fromkeys((ER.DUP_ENTRY, ER.DUP_UNIQUE, ER.DUP_KEY, 1586), Verdict.UNIQUE),
    **dict.fromkeys(
        (ER.NO_REFERENCED_ROW, ER.NO_REFERENCED_ROW_2, ER.ROW_IS_REFERENCED, ER.ROW_IS_REFERENCED_2), Verdict.REFERENCE
    ),
    **dict.fromkeys((ER.DATA_TOO_LONG, ER.WARN_DATA_OUT_OF_RANGE, ER.NET_PACKET_TOO_LARGE, 1690), Verdict.TOO_LONG),
}

_DUPLICATE_KEY = re.compile(r"for key '([^']*)'")


def code_of(error: BaseException) -> int:
    """Return the server's or the client library's error number; 0 for an error without one."""
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) else 0


def verdict_of(error: BaseException) -> Verdict:
    """Say what to do about an error of the driver; sockets that fail on their own count as lost connections."""
    code = code_of(error)
    if code == CR.CR_SERVER_LOST and "timed out" in str(error):
        return Verdict.TIMEOUT
    if isinstance(error, TimeoutError):
        return Verdict.TIMEOUT
    if isinstance(error, OSError):
        return Verdict.RECONNECT
    if code == 0 and type(error).__name__ != "InterfaceError":
        return Verdict.FAULT
    return _VERDICTS.get(code, Verdict.FAULT)


def store_error(error: BaseException) -> StoreError:
    """Translate an error of the driver, whose text may stand in logs (it never holds a password)."""
    code = code_of(error)
    text = str(error.args[1]) if len(error.args) > 1 else str(error) or type(error).__name__
    verdict = verdict_of(error)
    if verdict is Verdict.UNIQUE:
        found = _DUPLICATE_KEY.search(text)
        # MySQL 8 names the table too: `table.key`.
        return NotUnique(text, code, key=found.group(1).rpartition(".")[2] if found is not None else "")
    kinds: dict[Verdict, type[StoreError]] = {
        Verdict.REPEAT: StoreBusy,
        Verdict.RECONNECT: StoreDown,
        Verdict.TIMEOUT: StoreTimeout,
        Verdict.REFERENCE: MissingReference,
        Verdict.TOO_LONG: TooLong,
        Verdict.FAULT: StoreFault,
    }
    return kinds[verdict](text, code)
