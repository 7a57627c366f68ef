"""Numbered SQL steps that make a room's tables, each statement recorded when it was run.

MySQL commits at every statement that changes a table, so a step cannot be undone as a whole: the record says `running`
before a statement and `done` after it, and a statement found `running` is run again, where "it exists already" is good.
Applied by `spire.operations` under a lease row; servers only `check`. Each room also gets the tables `<room>_lease` and
`<room>_writers` (ordered writers).
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files

from attrs import frozen

from spire.database import lease as leases
from spire.database.database import Database
from spire.database.errors import SchemaMismatch, StoreFault
from spire.database.transaction import Transaction

LEASE_SECONDS = 120

BOOKKEEPING = (
    """
    CREATE TABLE IF NOT EXISTS {room}_migrations (
        step INT NOT NULL,
        statement INT NOT NULL,
        name VARCHAR(100) NOT NULL,
        digest CHAR(64) NOT NULL,
        state VARCHAR(10) NOT NULL,
        changed DATETIME(6) NOT NULL,
        PRIMARY KEY (step, statement)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
    """,
    """
    CREATE TABLE IF NOT EXISTS {room}_lease (
        name VARCHAR(100) NOT NULL PRIMARY KEY,
        holder VARCHAR(200) NOT NULL,
        token BIGINT NOT NULL,
        expires DATETIME(6) NOT NULL
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
    """,
    """
    CREATE TABLE IF NOT EXISTS {room}_writers (
        name VARCHAR(100) NOT NULL PRIMARY KEY,
        token BIGINT NOT NULL,
        batch BIGINT NOT NULL,
        position BIGINT NOT NULL
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
    """,
)
LOAD = "SELECT step, statement, name, digest, state FROM {room}_migrations ORDER BY step, statement"
STATE = "SELECT state FROM {room}_migrations WHERE step = %s AND statement = %s"
MARK = """
INSERT INTO {room}_migrations (step, statement, name, digest, state, changed)
VALUES (%s, %s, %s, %s, %s, UTC_TIMESTAMP(6))
ON DUPLICATE KEY UPDATE state = VALUES(state), changed = VALUES(changed)
"""

# Table, column or key exists already; column or key to drop is gone already; no such database or table.
_DONE_ALREADY = frozenset((1050, 1060, 1061, 1091))
_NOTHING_THERE = frozenset((1049, 1146))

_FILE_NAME = re.compile(r"(\d{3})_([a-z0-9_]+)\.sql")
_TABLE = re.compile(
    r"\b(?:CREATE TABLE(?: IF NOT EXISTS)?|ALTER TABLE|DROP TABLE(?: IF EXISTS)?|INSERT(?: IGNORE)? INTO)\s+`?(\w+)",
    re.IGNORECASE,
)
# A statement ends at a semicolon outside quotes and comments.
_PIECE = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|;|[^'\"`;/-]+|.", re.DOTALL)


@frozen(kw_only=True)
class Step:
    """One numbered file: its statements, in order."""

    number: int
    name: str
    statements: tuple[str, ...]

    @property
    def digests(self) -> tuple[str, ...]:
        """A digest of each statement; a statement that was applied may not be edited."""
        return tuple(hashlib.sha256(" ".join(text.split()).encode()).hexdigest() for text in self.statements)


def split_statements(text: str) -> tuple[str, ...]:
    """Split SQL text at its semicolons; comments go."""
    statements = [""]
    for piece in _PIECE.findall(text):
        if piece == ";":
            statements.append("")
        elif not piece.startswith(("--", "/*")):
            statements[-1] += piece
    return tuple(statement.strip() for statement in statements if statement.strip())


def load_steps(package: str, room: str) -> list[Step]:
    """Read `schema/NNN_name.sql` of a room's package, in order.

    ValueError for a number that is missing or stands twice, and for a table whose name does not begin with `<room>_`.
    """
    steps = []
    for entry in sorted((files(package) / "schema").iterdir(), key=lambda entry: entry.name):
        match = _FILE_NAME.fullmatch(entry.name)
        if match is None:
            continue
        statements = split_statements(entry.read_text(encoding="utf-8"))
        for table in _TABLE.findall("\n".join(statements)):
            if not table.startswith(f"{room}_"):
                raise ValueError(f"{package}: {entry.name} touches {table}; the tables of {room} begin with {room}_")
        steps.append(Step(number=int(match.group(1)), name=match.group(2), statements=statements))
    if [step.number for step in steps] != list(range(1, len(steps) + 1)):
        raise ValueError(f"{package}: the steps must be numbered 001, 002 ... without a hole")
    return steps


async def migrate(database: Database, room: str, steps: Sequence[Step], holder: str) -> int:
    """Bring the room's tables up to these steps; return how many statements were run.

    `holder` says who does it (host and process). Raises LeaseHeld while somebody else is at it, and SchemaMismatch where
    what was applied is not what these steps say.
    """
    _check_room(room)
    for statement in BOOKKEEPING:
        await database.run(f"{room}.migrations.prepare", _execute, statement.format(room=room))
    lease = await database.run(f"{room}.lease.take", leases.take, room, "migrations", holder, LEASE_SECONDS)
    count = 0
    try:
        applied = await database.run(f"{room}.migrations.load", _load, room)
        _compare(room, steps, applied, may_lack=True)
        for step in steps:
            for index, (statement, digest) in enumerate(zip(step.statements, step.digests, strict=True)):
                state = applied.get((step.number, index), ("", "", ""))[2]
                if state != "done":
                    mark = (step.number, index, step.name, digest)
                    await database.run(f"{room}.lease.renew", leases.renew, lease, LEASE_SECONDS)
                    await database.run(f"{room}.migrations.apply", _apply, room, mark, statement)
                    count += 1
    finally:
        await database.run(f"{room}.lease.release", leases.release, lease)
    return count


async def check(database: Database, room: str, steps: Sequence[Step]) -> None:
    """Raise SchemaMismatch, which says what to do, unless exactly these steps were applied."""
    _check_room(room)
    try:
        applied = await database.run(f"{room}.migrations.check", _load, room)
    except StoreFault as error:
        if error.code not in _NOTHING_THERE:
            raise
        raise SchemaMismatch(f"the tables of {room} are not there: set up the schema first") from error
    _compare(room, steps, applied, may_lack=False)


Applied = dict[tuple[int, int], tuple[str, str, str]]


def _compare(room: str, steps: Iterable[Step], applied: Applied, *, may_lack: bool) -> None:
    left = dict(applied)
    for step in steps:
        for index, digest in enumerate(step.digests):
            row = left.pop((step.number, index), None)
            if row is None or row[2] != "done":
                if not may_lack:
                    raise SchemaMismatch(
                        f"{room}: step {step.number:03} {step.name} is not applied: upgrade the schema before the servers"
                    )
            elif row[1] != digest:
                raise SchemaMismatch(f"{room}: step {step.number:03} {step.name} was applied with another content")
    if left:
        number = min(left)[0]
        raise SchemaMismatch(f"{room}: step {number:03} was applied by a newer release: upgrade the servers")


def _check_room(room: str) -> None:
    # It becomes part of table names.
    if re.fullmatch(r"[a-z_]+", room) is None:
        raise ValueError(f"{room!r} is no room")


def _execute(transaction: Transaction, statement: str) -> None:
    transaction.execute(statement)


def _load(transaction: Transaction, room: str) -> Applied:
    rows = transaction.fetch(LOAD.format(room=room))
    return {(step, statement): (name, digest, state) for step, statement, name, digest, state in rows}


def _apply(transaction: Transaction, room: str, mark: tuple[int, int, str, str], statement: str) -> None:
    row = transaction.fetch_one(STATE.format(room=room), mark[:2])
    is_in_doubt = row is not None
    transaction.execute(MARK.format(room=room), (*mark, "running"))
    transaction.execute("COMMIT")
    try:
        transaction.execute(statement)
    except StoreFault as error:
        if not is_in_doubt or error.code not in _DONE_ALREADY:
            raise
    transaction.execute(MARK.format(room=room), (*mark, "done"))
