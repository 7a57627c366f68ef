"""The counter in memory: the twin of the one in MySQL."""

from zope.interface import implementer

from spire.database.errors import TooLong
from spire.uid.block import FIRST_ID, LAST_ID, Block
from spire.uid.interfaces import IUidStore


class MemoryCounter:
    """What several stores share, as servers share a schema."""

    def __init__(self) -> None:
        self.next_id = FIRST_ID


@implementer(IUidStore)
class MemoryUidStore:
    """Reserves from a counter in memory."""

    def __init__(self, counter: MemoryCounter | None = None) -> None:
        self._counter = MemoryCounter() if counter is None else counter

    async def next_id(self) -> int:
        """Return the lowest identifier that was never reserved."""
        return self._counter.next_id

    async def reserve(self, size: int, at_least: int) -> Block:
        """Reserve a block; TooLong when there are no more identifiers."""
        block = Block(max(self._counter.next_id, at_least), size)
        if block.end > LAST_ID:
            raise TooLong("there are no more identifiers")
        self._counter.next_id = block.end
        return block
