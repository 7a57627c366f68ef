"""The Uid Server: blocks of identifiers, each given out once in the life of the platform."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from spire.database.errors import StoreDown, TooLong
from spire.runtime.metrics import Metrics
from spire.uid.block import LARGEST_BLOCK, SMALLEST_BLOCK, Block, first_after
from spire.uid.commands import RESERVE
from spire.uid.high_water import HighWaterFile
from spire.uid.interfaces import IUidStore
from spire.wire.errors import Invalid, Unavailable
from spire.wire.server_session import Session

R = TypeVar("R")


class RunInThread(Protocol):
    """Run a blocking function elsewhere and await its result."""

    def __call__(self, function: Callable[..., R], /, *arguments: Any) -> Awaitable[R]:
        """Run `function(*arguments)`."""


class UidService:
    """Reserves blocks, one at a time: in the store first, then in the high-water mark, then in the answer."""

    _log = Logger()

    def __init__(
        self, store: IUidStore, high_water: HighWaterFile, *, run_in_thread: RunInThread, metrics: Metrics
    ) -> None:
        self._store = store
        self._high_water = high_water
        self._run_in_thread = run_in_thread
        self._one_at_a_time = DeferredLock()
        self._at_least = 0
        self._blocks = metrics.counter("spire_uid_blocks", "Blocks given out.")
        self._identifiers = metrics.counter("spire_uid_identifiers", "Identifiers given out in blocks.")
        self._next = metrics.gauge("spire_uid_next", "The end of the last block given out.")

    async def start(self) -> None:
        """Look at counter and mark, and skip past the mark where the counter lies behind it.

        Raises StoreDown, HighWaterDamaged, OSError.
        """
        mark = await self._run_in_thread(self._high_water.load)
        next_id = await self._store.next_id()
        self._at_least = first_after(next_id, mark)
        if self._at_least > next_id:
            self._log.warn(
                "the counter is at {next_id}, behind the high-water mark {mark}: the database was restored; "
                "identifiers go on from {at_least}",
                next_id=next_id,
                mark=mark,
                at_least=self._at_least,
            )

    async def reserve_block(self, session: Session, size: int) -> int:
        """Return the first of `size` new identifiers.

        Raises Forbidden without the capability, Invalid for a size out of range, Unavailable while the store or the mark
        cannot be written; identifiers may be lost then, none is given out twice.
        """
        session.require(RESERVE)
        if not SMALLEST_BLOCK <= size <= LARGEST_BLOCK:
            raise Invalid(f"a block has {SMALLEST_BLOCK} to {LARGEST_BLOCK} identifiers, not {size}", argument="size")
        async with self._one_at_a_time:
            try:
                block = await self._store.reserve(size, self._at_least)
                await self._mark(block)
            except StoreDown as error:
                raise Unavailable(f"the store of identifiers is away: {error}") from error
            except TooLong as error:
                raise Unavailable("there are no more identifiers") from error
        self._blocks.inc()
        self._identifiers.inc(size)
        self._next.set(block.end)
        return block.first

    async def _mark(self, block: Block) -> None:
        try:
            await self._run_in_thread(self._high_water.store, block.end)
        except OSError as error:
            self._log.error("the high-water mark cannot be written: {error}", error=error)
            raise Unavailable("the high-water mark cannot be written") from error
