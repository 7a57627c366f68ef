"""Dense sequences per (type, instrument) for whole batches, with a way back when the journal refuses them (sans-I/O).

Batches are handled for all instruments at once: with hundreds of instruments a batch holds one or two records of each, and a
loop over instruments would cost more than the records do.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spire.marketdata.values import Records, RecordType
from spire.series.sequencer import Runs as Assigned
from spire.series.sequencer import Sequencer

Places = NDArray[np.intp]
Counts = NDArray[np.uint64]

_FIRST_SIZE: Final = 64


class Run(NamedTuple):
    """Records of one instrument with consecutive sequences."""

    instrument: int
    first: int
    last: int
    records: Records


class Runs(NamedTuple):
    """Where each instrument's records begin and end in an array that is grouped by instrument, and its last sequence."""

    instruments: NDArray[np.uint32]
    begins: Places
    ends: Places
    lasts: Counts

    def rows(self) -> Iterator[tuple[int, int, int, int]]:
        """Return (instrument, begin, end, last sequence) of each."""
        return zip(
            self.instruments.tolist(), self.begins.tolist(), self.ends.tolist(), self.lasts.tolist(), strict=True
        )


def runs_of(records: Records) -> Runs:
    """Return the runs of records that are grouped by instrument and in sequence order."""
    instruments = np.ascontiguousarray(records["instrument"])
    begins, ends = _edges(instruments)
    return Runs(instruments[begins], begins, ends, records["sequence"][ends - 1])


def runs(records: Records) -> Iterator[Run]:
    """Return the runs one by one, for whoever needs each instrument's records."""
    for instrument, begin, end, last in runs_of(records).rows():
        yield Run(instrument, last - (end - begin) + 1, last, records[begin:end])


def _edges(instruments: NDArray[np.uint32]) -> tuple[Places, Places]:
    if not len(instruments):
        nothing = np.zeros(0, dtype=np.intp)
        return nothing, nothing
    changes = np.flatnonzero(instruments[1:] != instruments[:-1]) + 1
    return np.concatenate(([0], changes)), np.append(changes, len(instruments))


class Slots:
    """A place in arrays for each instrument, given out when it is first seen and never changed."""

    def __init__(self) -> None:
        self._by_instrument: dict[int, int] = {}
        self._known = np.zeros(0, dtype=np.uint32)
        self._slots = np.zeros(0, dtype=np.intp)

    def __len__(self) -> int:
        return len(self._by_instrument)

    @property
    def instruments(self) -> tuple[int, ...]:
        """The instruments in the order of their slots."""
        return tuple(self._by_instrument)

    def find(self, instrument: int) -> int | None:
        """Return the slot of an instrument that was seen."""
        return self._by_instrument.get(instrument)

    def of(self, instruments: NDArray[np.uint32]) -> Places:
        """Return the slot of each instrument."""
        if len(self._known):
            index = np.searchsorted(self._known, instruments)
            index[index == len(self._known)] = 0
            if (self._known[index] == instruments).all():
                return self._slots[index]
        for instrument in instruments.tolist():
            self._by_instrument.setdefault(instrument, len(self._by_instrument))
        known = np.fromiter(self._by_instrument, dtype=np.uint32, count=len(self._by_instrument))
        self._slots = np.argsort(known)
        self._known = known[self._slots]
        return self._slots[np.searchsorted(self._known, instruments)]


def grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    """Return an array that holds `size` elements at least, the new ones zero."""
    if size <= len(array):
        return array
    bigger = np.zeros(max(_FIRST_SIZE, size, 2 * len(array)), dtype=array.dtype)
    bigger[: len(array)] = array
    return bigger


class Sequences:
    """The last sequence given out per type and instrument."""

    def __init__(self) -> None:
        self._sequencers = {kind: Sequencer() for kind in RecordType}

    def last(self, record_type: RecordType, instrument: int) -> int:
        """Return the last sequence of an instrument, 0 before the first."""
        return self._sequencers[record_type].last(instrument)

    def observe(self, record_type: RecordType, instrument: int, last: int) -> None:
        """Take what history says; never goes back."""
        self._sequencers[record_type].observe(instrument, last)

    def assign(self, record_type: RecordType, records: Records) -> tuple[Records, Assigned]:
        """Return the records grouped by instrument with their sequences, and what `take_back` needs."""
        assigned = self._sequencers[record_type].assign_batch(records["instrument"])
        grouped = records[assigned.order]
        grouped["sequence"] = assigned.sequences
        return grouped, assigned

    def take_back(self, record_type: RecordType, assigned: Assigned) -> None:
        """Undo an assignment that never became visible; the latest first."""
        self._sequencers[record_type].take_back(assigned)
