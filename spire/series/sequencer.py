"""Gives records their sequences: dense per index, ascending, never twice (sans-I/O)."""

from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer[Any]]


class Runs(NamedTuple):
    """A batch in the order of its indexes, one run of records for each index.

    `order` sorts the batch (stable), `sequences` belong to the records in that order; run n is `begins[n]` up to, not
    including, `ends[n]`, of index `indexes[n]`, and its last record has the sequence `throughs[n]`.
    """

    order: NDArray[np.intp]
    sequences: NDArray[np.uint64]
    indexes: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    throughs: NDArray[np.int64]

    def rows(self) -> Iterator[tuple[int, int, int, int]]:
        """Return (index, begin, end, through) of each run."""
        return zip(self.indexes.tolist(), self.begins.tolist(), self.ends.tolist(), self.throughs.tolist(), strict=True)


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

    def assign_batch(self, indexes: Integers) -> Runs:
        """Give each record of a batch its sequence, by the index it belongs to.

        `records[runs.order]` with `runs.sequences` is what is journaled and published. No Python runs per record, and
        next to none per index.
        """
        order = np.argsort(indexes, kind="stable")
        ordered = indexes[order].astype(np.int64)
        changes = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
        begins = np.concatenate(([0], changes)).astype(np.int64)[: len(ordered)]
        ends = np.append(begins[1:], len(ordered))[: len(begins)]
        distinct = ordered[begins]
        keys = distinct.tolist()
        befores = np.fromiter(map(self._last.get, keys, repeat(0)), np.int64, len(keys))
        throughs = befores + ends - begins
        self._last.update(zip(keys, throughs.tolist(), strict=True))
        sequences = np.arange(1, len(ordered) + 1, dtype=np.int64) + np.repeat(befores - begins, ends - begins)
        return Runs(order, sequences.astype(np.uint64), distinct, begins, ends, throughs)

    def take_back(self, runs: Runs) -> None:
        """Undo `assign_batch`: the records were accepted nowhere, and nobody has seen their sequences.

        Raises ValueError where later ones have been given out since: that would make a hole.
        """
        keys, throughs = runs.indexes.tolist(), runs.throughs.tolist()
        if any(self._last.get(key) != through for key, through in zip(keys, throughs, strict=True)):
            raise ValueError("later sequences have been given out")
        self._last.update(zip(keys, (runs.throughs - runs.ends + runs.begins).tolist(), strict=True))
