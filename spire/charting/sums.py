"""Exact sums beyond 64 bits, for whole arrays at once, as pairs of high and low halves (sans-I/O).

`heads` are the places where groups of rows begin, ascending, the first one 0; a group ends where the next begins.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Unsigned = NDArray[np.uint64]

_LIMB_BITS: Final = 16
_LIMBS: Final = 4
"""Four products of 16-bit limbs stand at one place, so that sums over 2**30 rows stay within 64 bits."""
_HALF_BITS: Final = 32


def sums_of_products(left: NDArray[Any], right: NDArray[Any], heads: Places) -> tuple[Unsigned, Unsigned]:
    """Return the high and low 64 bits of the sum of left x right of each group.

    The factors are 64-bit integers, none below 0; a group has at most 2**30 rows.
    """
    sums = [np.zeros(len(heads), dtype=np.uint64) for _ in range(2 * _LIMBS - 1)]
    others = _limbs(right)
    for place, limb in _limbs(left):
        for other_place, other in others:
            sums[place + other_place] += np.add.reduceat(limb * other, heads)
    return _total(tuple((place * _LIMB_BITS, part) for place, part in enumerate(sums)))


def sums_of_halves(high: Unsigned, low: Unsigned, heads: Places) -> tuple[Unsigned, Unsigned]:
    """Return the high and low 64 bits of the sum of each group of numbers that are given by their halves."""
    return _total(
        (
            (0, np.add.reduceat(low & np.uint64(2**_HALF_BITS - 1), heads)),
            (_HALF_BITS, np.add.reduceat(low >> np.uint64(_HALF_BITS), heads)),
            (64, np.add.reduceat(high, heads)),
        )
    )


def _limbs(values: NDArray[Any]) -> list[tuple[int, Unsigned]]:
    """Return the limbs of numbers by their place, without those that are 0 in every number."""
    unsigned = values.astype(np.uint64)
    mask = np.uint64(2**_LIMB_BITS - 1)
    limbs = ((place, unsigned >> np.uint64(place * _LIMB_BITS) & mask) for place in range(_LIMBS))
    return [(place, limb) for place, limb in limbs if limb.any()]


def _total(sums: Sequence[tuple[int, Unsigned]]) -> tuple[Unsigned, Unsigned]:
    """Return the halves of the sums of 64-bit numbers that are shifted to the left by so many bits each."""
    high = low = np.zeros(len(sums[0][1]), dtype=np.uint64)
    for shift, part in sums:
        if shift >= 64:
            high = high + (part << np.uint64(shift - 64))
            continue
        shifted = part << np.uint64(shift)
        low = low + shifted
        high = high + (low < shifted)
        if shift:
            high = high + (part >> np.uint64(64 - shift))
    return high, low
