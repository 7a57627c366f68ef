"""The counter in MySQL: one row, locked for as long as a reservation takes."""

from zope.interface import implementer

from spire.database.database import Database
from spire.database.errors import CommitUnknown, TooLong
from spire.database.transaction import Transaction
from spire.uid.block import FIRST_ID, LAST_ID, Block
from spire.uid.interfaces import IUidStore

MAKE = "INSERT IGNORE INTO uid_counter (id, next_id) VALUES (1, %s)"
LOAD = "SELECT next_id FROM uid_counter WHERE id = 1"
LOCK = "SELECT next_id FROM uid_counter WHERE id = 1 FOR UPDATE"
ADVANCE = "UPDATE uid_counter SET next_id = %s WHERE id = 1"


@implementer(IUidStore)
class UidStore:
    """Reserves from the schema's counter; the row's lock keeps servers apart."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def next_id(self) -> int:
        """Return the lowest identifier that was never reserved."""
        return await self._database.run("uid.next_id", _next_id)

    async def reserve(self, size: int, at_least: int) -> Block:
        """Reserve a block; after a commit without an answer another one, as a block that is lost does no harm."""
        try:
            return await self._database.run("uid.reserve", _reserve, size, at_least)
        except CommitUnknown:
            return await self._database.run("uid.reserve", _reserve, size, at_least)


def _next_id(transaction: Transaction) -> int:
    row = transaction.fetch_one(LOAD)
    return FIRST_ID if row is None else int(row[0])


def _reserve(transaction: Transaction, size: int, at_least: int) -> Block:
    row = transaction.fetch_one(LOCK)
    if row is None:
        transaction.execute(MAKE, (FIRST_ID,))
        row = transaction.fetch_one(LOCK)
    assert row is not None
    block = Block(max(int(row[0]), at_least), size)
    if block.end > LAST_ID:
        raise TooLong("there are no more identifiers")
    transaction.execute(ADVANCE, (block.end,))
    return block
