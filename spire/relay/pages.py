"""Pages of history that many readers miss at the same time: read upstream once, for whoever else comes for them.

When a relay dies, or a flood cuts its readers, all of them ask for nearly the same stretch of the same topics.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import numpy as np
from attrs import frozen

from spire.marketdata.values import Records
from spire.runtime.waiters import Waiters

PAGE: Final = 65_536
"""Records that are read at once, and so in memory for one reader of history."""

GRAIN: Final = 1_024
"""Pages begin at multiples of it, so that readers who stand close to each other share them."""

BUDGET: Final = 64 * 1024 * 1024
"""Bytes of pages that are kept for others."""

Key = tuple[str, int, int]
"""A topic, its epoch, and the sequence that a page begins behind."""


@frozen(kw_only=True)
class Page:
    """All records of a topic in `after`..`through`."""

    after: int
    through: int
    records: Records

    def part(self, after: int, through: int) -> Records:
        """Return the records of a part of the range."""
        sequences = self.records["sequence"]
        first, last = np.searchsorted(sequences, np.array((after, through), np.uint64), side="right")
        found: Records = self.records[int(first) : int(last)]
        return found


class SharedPages:
    """The pages that were read last, within a budget of bytes, and those that are being read.

    `read(topic, epoch, after, through)` reads a range; records of an epoch never change. Its error is the reader's whose
    turn it was; the others then read for themselves.
    """

    def __init__(self, read: Callable[[str, int, int, int], Awaitable[Records]], *, budget: int = BUDGET) -> None:
        self.size = 0
        self._read = read
        self._budget = budget
        self._held: OrderedDict[Key, Page] = OrderedDict()
        self._reading: dict[Key, Waiters[None]] = {}

    async def page(self, topic: str, epoch: int, position: int, through: int) -> Page:
        """Return a page that holds what follows `position`, which is less than `through`; it may begin before and end behind."""
        key = (topic, epoch, position - position % min(GRAIN, PAGE))
        while True:
            held = self._held.get(key)
            if held is not None and held.through > position:
                self._held.move_to_end(key)
                return held
            waiting = self._reading.get(key)
            if waiting is None:
                return await self._fill(key, through)
            await waiting.join()

    async def _fill(self, key: Key, through: int) -> Page:
        topic, epoch, after = key
        end = min(after + PAGE, through)
        waiting = self._reading[key] = Waiters()
        try:
            page = Page(after=after, through=end, records=await self._read(topic, epoch, after, end))
            self._hold(key, page)
            return page
        finally:
            del self._reading[key]
            waiting.succeed(None)

    def _hold(self, key: Key, page: Page) -> None:
        former = self._held.pop(key, None)
        self.size += page.records.nbytes - (0 if former is None else former.records.nbytes)
        self._held[key] = page
        while self.size > self._budget:
            _, oldest = self._held.popitem(last=False)
            self.size -= oldest.records.nbytes
