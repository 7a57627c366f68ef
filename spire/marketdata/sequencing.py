"""Dense sequences per (type, instrument) for whole batches, with a way back when the journal refuses them (sans-I/O)."""

from collections.abc import Iterator, Mapping

import numpy as np
from attrs import frozen

from spire.marketdata.values import Records, RecordType
from spire.series.sequencer import Sequencer


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
        self._sequencers = {kind: Sequencer() for kind in RecordType}

    def last(self, record_type: RecordType, instrument: int) -> int:
        """Return the last sequence of an instrument, 0 before the first."""
        return self._sequencers[record_type].last(instrument)

    def advance(self, record_type: RecordType, instrument: int, last: int) -> None:
        """Take what history says; never goes back."""
        self._sequencers[record_type].observe(instrument, last)

    def assign(self, record_type: RecordType, records: Records) -> tuple[Records, dict[int, int]]:
        """Return the records grouped by instrument with their sequences, and what `restore` needs to take them back."""
        order, sequences, given = self._sequencers[record_type].assign_batch(records["instrument"])
        grouped = records[order]
        grouped["sequence"] = sequences
        return grouped, {run.index: run.first - 1 for run in given}

    def restore(self, record_type: RecordType, before: Mapping[int, int]) -> None:
        """Take back an assignment that never became visible."""
        last = self._sequencers[record_type].all_last()
        self._sequencers[record_type] = Sequencer({**last, **before})
