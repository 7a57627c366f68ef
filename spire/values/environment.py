"""What a deployment is for, and what its feeds carry (docs/values.md)."""

from enum import IntEnum


class Environment(IntEnum):
    """What a deployment is for; a mismatch refuses start or connection."""

    PRODUCTION = 1
    PAPER = 2
    REPLAY = 3
    DEMO = 4


class FeedKind(IntEnum):
    """Where a feed session's records come from."""

    LIVE = 1
    SIMULATED = 2
    REPLAY = 3


def allows_feed(environment: Environment, kind: FeedKind) -> bool:
    """Return whether a deployment takes feeds of a kind: PRODUCTION takes LIVE ones only."""
    return environment is not Environment.PRODUCTION or kind is FeedKind.LIVE
