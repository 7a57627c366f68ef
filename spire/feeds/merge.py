"""The order of a replayed day: by time, at equal times quotes before trades, each in file order (sans-I/O).

The same files always give the same order, so that a record's position in a feed session means the same after a restart.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from spire.marketdata.values import Records, RecordType

_RANK: Final = {RecordType.BBO: 0, RecordType.BOOK: 1, RecordType.TRADE: 2}


@frozen(kw_only=True)
class Slice:
    """A contiguous range of a timeline: `first` is the position of its first record, counted from 1."""

    first: int
    count: int
    records: dict[RecordType, Records]

    @property
    def last(self) -> int:
        """Return the position of the last record."""
        return self.first + self.count - 1


class Timeline:
    """All records of a day in replay order, cut at any position."""

    def __init__(self, parts: Sequence[tuple[RecordType, Records]]) -> None:
        """Take each file's records in file order; `parts` itself is in the order that breaks remaining ties."""
        kinds = [np.full(len(records), int(kind), dtype=np.uint8) for kind, records in parts]
        ranks = [np.full(len(records), _RANK[kind], dtype=np.uint8) for kind, records in parts]
        times = [records["source_time"] for _, records in parts]
        time = np.concatenate(times) if times else np.zeros(0, dtype=np.int64)
        rank = np.concatenate(ranks) if ranks else np.zeros(0, dtype=np.uint8)
        order = np.lexsort((rank, time))
        self._kind: NDArray[np.uint8] = (np.concatenate(kinds) if kinds else np.zeros(0, dtype=np.uint8))[order]
        self._time: NDArray[np.int64] = np.ascontiguousarray(time[order])
        self._records: dict[RecordType, Records] = {}
        self._before: dict[RecordType, NDArray[np.int64]] = {}
        for kind in RecordType:
            own = [records for part_kind, records in parts if part_kind is kind]
            if not own:
                continue
            everything = np.concatenate(own)
            own_order = np.argsort(everything["source_time"], kind="stable")
            self._records[kind] = everything[own_order]
            self._before[kind] = np.concatenate(([0], np.cumsum(self._kind == int(kind), dtype=np.int64)))

    def __len__(self) -> int:
        return len(self._kind)

    @property
    def record_types(self) -> tuple[RecordType, ...]:
        """Return the types that the timeline holds."""
        return tuple(self._records)

    def time_at(self, position: int) -> int:
        """Return the event time of the record at a position, counted from 1."""
        return int(self._time[position - 1])

    def through(self, time: int) -> int:
        """Return the position of the last record at or before a time, 0 if there is none."""
        return int(np.searchsorted(self._time, time, side="right"))

    def cut(self, first: int, count: int) -> Slice:
        """Return up to `count` records from position `first` on."""
        start = first - 1
        stop = min(start + count, len(self))
        records = {}
        for kind, everything in self._records.items():
            before = self._before[kind]
            part = everything[before[start] : before[stop]]
            if len(part):
                records[kind] = part
        return Slice(first=first, count=max(0, stop - start), records=records)
