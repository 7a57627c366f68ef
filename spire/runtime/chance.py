"""Fractions that spread load: seeded once from the random bytes that a process was given, so that tests repeat."""

import random
from collections.abc import Callable

RandomBytes = Callable[[int], bytes]
"""Return so many random bytes."""

Chance = Callable[[], float]
"""Return a fraction of at least 0 and less than 1. No secret: who sees some can tell the next."""


def random_source(random_bytes: RandomBytes) -> random.Random:
    """Return a source of chance of its own."""
    return random.Random(int.from_bytes(random_bytes(8), "big"))  # noqa: S311 (spreads load)
