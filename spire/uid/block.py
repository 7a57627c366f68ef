"""Blocks of identifiers, and the hand from which a client gives them out (sans-I/O)."""

from collections import deque

from attrs import frozen

SMALLEST_BLOCK = 1
LARGEST_BLOCK = 1_000_000
FIRST_ID = 1
# MySQL's BIGINT, and what 64-bit fields on the wire and in packed records hold.
LAST_ID = 2**63 - 1

# A counter that lies behind the high-water mark was restored from a backup. Another server may have reserved beyond our
# own mark since, so the next identifier is taken from well behind it.
RESTORE_MARGIN = 1_000_000_000


@frozen
class Block:
    """The identifiers from `first` to `first + size - 1`."""

    first: int
    size: int

    @property
    def end(self) -> int:
        """The first identifier behind the block."""
        return self.first + self.size


def first_after(next_id: int, high_water: int) -> int:
    """Return the lowest identifier that may be given out, by the store's counter and the mark outside of it.

    `high_water` is the end of the last block that this server gave out; 0 where nobody knows.
    """
    return next_id if next_id >= high_water else high_water + RESTORE_MARGIN


class Hand:
    """Identifiers that were reserved and not yet given out, in the order of their blocks."""

    def __init__(self) -> None:
        self._blocks: deque[Block] = deque()
        self._next = 0
        self._end = 0
        self.count = 0

    def add(self, block: Block) -> None:
        """Put a reserved block behind the others."""
        self._blocks.append(block)
        self.count += block.size

    def take(self) -> int | None:
        """Return the next identifier, never the same twice; None where none is left."""
        if self._next == self._end:
            if not self._blocks:
                return None
            block = self._blocks.popleft()
            self._next, self._end = block.first, block.end
        taken = self._next
        self._next += 1
        self.count -= 1
        return taken
