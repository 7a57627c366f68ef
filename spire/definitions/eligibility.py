"""What a print counts for, by its sale conditions (sans-I/O)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spire.definitions.values import EligibilityRule
from spire.marketdata.values import COUNTS_HIGH_LOW, COUNTS_LAST, COUNTS_OPEN, COUNTS_VOLUME


def eligibility_of(rule: EligibilityRule, conditions: int) -> int:
    """Return the COUNTS bits of a print with these sale conditions."""
    return (
        (0 if conditions & rule.not_open else COUNTS_OPEN)
        | (0 if conditions & rule.not_high_low else COUNTS_HIGH_LOW)
        | (0 if conditions & rule.not_last else COUNTS_LAST)
        | (0 if conditions & rule.not_volume else COUNTS_VOLUME)
    )


def eligibility_array(rule: EligibilityRule, conditions: NDArray[Any]) -> NDArray[np.uint16]:
    """Return the COUNTS bits of each print of an array of 64-bit conditions."""
    bits = conditions.astype(np.uint64, copy=False)
    answer = np.zeros(bits.shape, dtype=np.uint16)
    for excluded, counts in (
        (rule.not_open, COUNTS_OPEN),
        (rule.not_high_low, COUNTS_HIGH_LOW),
        (rule.not_last, COUNTS_LAST),
        (rule.not_volume, COUNTS_VOLUME),
    ):
        answer |= np.where(bits & np.uint64(excluded), np.uint16(0), np.uint16(counts))
    return answer
