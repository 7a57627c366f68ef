"""Dense sequences per (type, instrument) for whole batches, with a way back when the journal refuses them (sans-I/O)."""

from collections.abc import Iterator, Mapping

import numpy as np
from attrs import frozen

from spire.marketdata.values import Records, RecordType


@frozen(kw_only=True)
class Run:
    """Records of one instrument with consecutive sequences."""

    instrument: int
    first: int
    last: int
    records: Records


def runs(records: Records) -> Iterator[Run]:
    """Return the runs of records that are grouped by instrument and in sequence order."""
    instruments = records["instrument"]
    if not len(records):
        return
    edges = np.flatnonzero(instruments[1:] != instruments[:-1]) + 1
    starts = [0, *edges.tolist()]
    ends = [*edges.tolist(), len(records)]
    firsts = records["sequence"][starts].tolist()
    for start, end, instrument, first in zip(starts, ends, instruments[starts].tolist(), firsts, strict=True):
        yield Run(instrument=instrument, first=first, last=first + end - start - 1, records=records[start:end])


class Sequences:
    """The last sequence given out per type and instrument."""

    def __init__(self) -> None:
        self._last: dict[RecordType, dict[int, int]] = {kind: {} for kind in RecordType}

    def last(self, record_type: RecordType, instrument: int) -> int:
        """Return the last sequence of an instrument, 0 before the first."""
        return self._last[record_type].get(instrument, 0)

    def all(self, record_type: RecordType) -> Mapping[int, int]:
        """Return every instrument's last sequence."""
        return self._last[record_type]

    def advance(self, record_type: RecordType, instrument: int, last: int) -> None:
        """Take what history says; never goes back."""
        known = self._last[record_type]
        known[instrument] = max(last, known.get(instrument, 0))

    def assign(self, record_type: RecordType, records: Records) -> tuple[Records, dict[int, int]]:
        """Return the records grouped by instrument with their sequences, and what `restore` needs to take them back."""
        order = np.argsort(records["instrument"], kind="stable")
        grouped = records[order]
        instruments = grouped["instrument"]
        edges = np.flatnonzero(instruments[1:] != instruments[:-1]) + 1
        starts = np.concatenate(([0], edges)).astype(np.int64)
        lengths = np.diff(np.append(starts, len(grouped)))
        known = self._last[record_type]
        before: dict[int, int] = {}
        bases = np.empty(len(starts), dtype=np.int64)
        for place, (instrument, length) in enumerate(zip(instruments[starts].tolist(), lengths.tolist(), strict=True)):
            last = known.get(instrument, 0)
            before[instrument] = last
            bases[place] = last + 1
            known[instrument] = last + length
        offsets = np.arange(len(grouped), dtype=np.int64) - np.repeat(starts, lengths)
        grouped["sequence"] = np.repeat(bases, lengths) + offsets
        return grouped, before

    def restore(self, record_type: RecordType, before: Mapping[int, int]) -> None:
        """Take back an assignment that never became visible."""
        for instrument, last in before.items():
            self._last[record_type][instrument] = last
