"""Market time and staleness of one feed session's markets (sans-I/O; DOMAIN sections 1 and 4)."""

from typing import Final

from spire.values.environment import FeedKind
from spire.values.time import NANOSECONDS, Timestamp

STALE_SECONDS: Final = 5.0
"""A market is stale when its feed session sent neither batch nor heartbeat for so long on the receive clock."""


class MarketTime:
    """The latest event time seen, advanced by the monotonic clock for LIVE and SIMULATED, by records alone for REPLAY."""

    def __init__(self, kind: FeedKind) -> None:
        self._kind = kind
        self._latest = 0
        self._seen_at = 0.0

    @property
    def latest(self) -> Timestamp:
        """The latest event time seen, 0 before the first."""
        return Timestamp(self._latest)

    def saw(self, event_time: int, monotonic: float) -> bool:
        """Take a record's event time; True if market time went on by it. A late record never turns it back."""
        if event_time <= self.at(monotonic):
            return False
        self._latest, self._seen_at = event_time, monotonic
        return True

    def at(self, monotonic: float) -> Timestamp:
        """Return market time at a reading of the monotonic clock."""
        if self._kind is FeedKind.REPLAY or self._latest == 0:
            return Timestamp(self._latest)
        return Timestamp(self._latest + round(max(0.0, monotonic - self._seen_at) * NANOSECONDS))


def is_stale(heard_at: float | None, monotonic: float) -> bool:
    """Return whether a feed session that was last heard at `heard_at` (monotonic seconds) is stale."""
    return heard_at is None or monotonic - heard_at > STALE_SECONDS
