"""Gives records their sequences: dense per index, ascending, never twice (sans-I/O)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

Integers = NDArray[np.integer[Any]]


@frozen(kw_only=True)
class Run:
    """The records of one index in a sorted batch: `first` is the sequence of the one at `begin`, `end` is exclusive."""

    index: int
    begin: int
    end: int
    first: int

    @property
    def through(self) -> int:
        """The sequence of the last one."""
        return self.first + self.end - self.begin - 1


class Sequencer:
    """The last sequence given out, per index; an index that was never seen begins at 1."""

    def __init__(self, last: Mapping[int, int] | None = None) -> None:
        self._last: dict[int, int] = dict(last or {})

    def last(self, index: int) -> int:
        """Return the last sequence of `index`, 0 where none was given out."""
        return self._last.get(index, 0)

    def all_last(self) -> Mapping[int, int]:
        """Return a copy of the last sequences by index."""
        return dict(self._last)

    def assign(self, index: int, count: int = 1) -> int:
        """Give out `count` sequences of `index` and return the first. Raises ValueError for less than one."""
        if count < 1:
            raise ValueError("at least one sequence must be asked for")
        first = self._last.get(index, 0) + 1
        self._last[index] = first + count - 1
        return first

    def observe(self, index: int, through: int) -> None:
        """Know that `index` has reached `through`, as when a journal is replayed; never goes back."""
        if through > self._last.get(index, 0):
            self._last[index] = through

    def assign_batch(self, indexes: Integers) -> tuple[NDArray[np.intp], NDArray[np.uint64], tuple[Run, ...]]:
        """Give each record of a batch its sequence, by the index it belongs to.

        Returns the stable order that sorts the batch by index, the sequences of the records in that order, and the run
        of each index. `records[order]` with these sequences is what is journaled and published.
        """
        order = np.argsort(indexes, kind="stable")
        ordered = indexes[order]
        if not len(ordered):
            return order, np.empty(0, np.uint64), ()
        begins = np.concatenate(([0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1))
        ends = np.append(begins[1:], len(ordered))
        last = self._last
        runs = []
        offsets = []
        for index, begin, end in zip(ordered[begins].tolist(), begins.tolist(), ends.tolist(), strict=True):
            before = last.get(index, 0)
            last[index] = before + end - begin
            runs.append(Run(index=index, begin=begin, end=end, first=before + 1))
            offsets.append(before + 1 - begin)
        sequences = np.arange(len(ordered), dtype=np.int64) + np.repeat(np.array(offsets, np.int64), ends - begins)
        return order, sequences.astype(np.uint64), tuple(runs)
