"""Reading a range of one index: stored blocks first, then what only the journal and memory hold yet."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from spire.marketdata.interfaces import BlockRange, IMarketDataStore
from spire.marketdata.values import Records

Mask = Callable[[NDArray[Any]], NDArray[np.bool_]]


@frozen(kw_only=True)
class Wanted:
    """A range, what of it passes (`mask`), and how many records at most, counted from one end."""

    range: BlockRange
    mask: Mask | None = None
    limit: int | None = None
    from_tail: bool = False


def select(records: Records, wanted: BlockRange, mask: Mask | None = None) -> Records:
    """Return the records of an array that lie in a range and pass the mask."""
    if not len(records):
        return records
    first = int(np.searchsorted(records["sequence"], np.uint64(wanted.after), side="right"))
    last = int(np.searchsorted(records["sequence"], np.uint64(max(0, wanted.through)), side="right"))
    part: Records = records[first:last]
    keep: NDArray[np.bool_] | None = None
    if wanted.start_time is not None:
        keep = part["source_time"] >= wanted.start_time
    if wanted.end_time is not None:
        before = part["source_time"] <= wanted.end_time
        keep = before if keep is None else keep & before
    if wanted.feed_session is not None:
        own = part["feed_session"] == wanted.feed_session
        keep = own if keep is None else keep & own
    elif wanted.without:
        left_out = np.fromiter(wanted.without, dtype=np.uint32, count=len(wanted.without))
        others = ~np.isin(part["feed_session"], left_out)
        keep = others if keep is None else keep & others
    if mask is not None and len(part):
        passes = mask(part)
        keep = passes if keep is None else keep & passes
    return part if keep is None else part[keep]


@frozen(kw_only=True)
class Part:
    """Records that pass, perhaps none, and the last sequence of the range that was looked at for them."""

    records: Records
    reached: int


async def read_forwards(store: IMarketDataStore, resident: Sequence[Records], wanted: Wanted) -> AsyncIterator[Part]:
    """Yield the records of a range in sequence order, up to the limit counted from its start, and pages without any.

    `resident` must have been taken when the range's `through` was: what is trimmed since then stands in the store.
    """
    left = wanted.limit
    boundary = _first_resident(resident, wanted.range)
    stored = evolve(wanted.range, through=min(wanted.range.through, boundary - 1))
    while stored.after < stored.through and (left is None or left > 0):
        page = await store.read(stored, backwards=False)
        part = select(page.records, wanted.range, wanted.mask)[:left]
        if len(part):
            left = None if left is None else left - len(part)
            yield Part(records=part, reached=int(part["sequence"][-1]))
        elif page.reached is not None:
            # A block may reach beyond the range: the writer has merged it with what was resident when the range was taken.
            yield Part(records=part, reached=min(page.reached, stored.through))
        if page.reached is None:
            break
        stored = evolve(stored, after=page.reached)
    for records in resident:
        if left is not None and left <= 0:
            return
        part = select(records, wanted.range, wanted.mask)[:left]
        if len(part):
            left = None if left is None else left - len(part)
            yield Part(records=part, reached=int(part["sequence"][-1]))


async def read_backwards(
    store: IMarketDataStore, resident: Sequence[Records], wanted: Wanted
) -> AsyncIterator[Records]:
    """Yield the last records of a range, `wanted.limit` at most, the last part first: one a page, perhaps empty."""
    left = wanted.limit if wanted.limit is not None else wanted.range.through
    for records in reversed(resident):
        part = select(records, wanted.range, wanted.mask)
        part = part[max(0, len(part) - left) :]
        if len(part):
            left -= len(part)
            yield part
        if left <= 0:
            return
    boundary = _first_resident(resident, wanted.range)
    stored = evolve(wanted.range, through=min(wanted.range.through, boundary - 1))
    while stored.after < stored.through and left > 0:
        page = await store.read(stored, backwards=True)
        part = select(page.records, wanted.range, wanted.mask)
        part = part[max(0, len(part) - left) :]
        left -= len(part)
        yield part
        if page.reached is None:
            break
        stored = evolve(stored, through=page.reached - 1)


def _first_resident(resident: Sequence[Records], wanted: BlockRange) -> int:
    return int(resident[0]["sequence"][0]) if resident else wanted.through + 1
