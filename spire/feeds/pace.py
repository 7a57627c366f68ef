"""How far a replay may have come at a moment: speed, pause, steps, and the time it shall stop at (sans-I/O)."""

from spire.feeds.merge import Timeline
from spire.values.time import NANOSECONDS

IDLE_SECONDS = 0.02
"""How often a replay at a speed looks at the clock at most."""


class Pace:
    """The position that a replay may send up to.

    `speed` is a factor of market time, None is as fast as possible. A step grants positions while paused; reaching `until` (market
    time) pauses.
    """

    def __init__(self, timeline: Timeline, *, speed: float | None, is_paused: bool, until: int | None) -> None:
        self._timeline = timeline
        self._speed = _checked(speed)
        self._is_paused = is_paused
        self._until: int | None = None
        self._granted = 0
        self._anchor: tuple[float, int] | None = None
        if until is not None:
            self.run_until(until, sent=0)
            self._is_paused = is_paused

    @property
    def speed(self) -> float | None:
        """The speed factor, None for as fast as possible."""
        return self._speed

    @property
    def is_paused(self) -> bool:
        """Whether nothing is sent but by steps."""
        return self._is_paused

    @property
    def until(self) -> int | None:
        """The market time at which it will pause."""
        return self._until

    def set_speed(self, speed: float | None) -> None:
        """Go on at another speed. ValueError: it is not above 0."""
        self._speed = _checked(speed)
        self._anchor = None

    def pause(self) -> None:
        """Send nothing more."""
        self._is_paused = True
        self._granted = 0
        self._anchor = None

    def resume(self) -> None:
        """Go on."""
        self._is_paused = False
        self._granted = 0
        self._anchor = None

    def step(self, count: int, sent: int) -> int:
        """Pause and grant `count` more records; return the position that the step ends at. ValueError: less than one."""
        if count < 1:
            raise ValueError("a step is at least one record")
        self._granted = min(len(self._timeline), max(self._granted, sent) + count)
        self._is_paused = True
        self._anchor = None
        return self._granted

    def run_until(self, market_time: int | None, sent: int) -> None:
        """Go on, and pause when the last record at or before `market_time` is sent; None takes that back."""
        self._until = market_time
        self.resume()
        if market_time is not None and self._timeline.through(market_time) <= sent:
            self._reached()

    def allowed(self, sent: int, monotonic: float) -> int:
        """Return the position that may be sent up to now."""
        if self._is_paused:
            return max(self._granted, sent)
        limit = len(self._timeline)
        if self._until is not None:
            limit = self._timeline.through(self._until)
            if sent >= limit:
                self._reached()
                return sent
        if self._speed is None or sent >= limit:
            return limit
        if self._anchor is None:
            self._anchor = (monotonic, self._timeline.time_at(sent + 1))
        began, market_began = self._anchor
        reached = market_began + round((monotonic - began) * self._speed * NANOSECONDS)
        return max(sent, min(limit, self._timeline.through(reached)))

    def wait_seconds(self, sent: int, monotonic: float) -> float | None:
        """Return how long nothing will be allowed; None until somebody asks for something else."""
        if self._is_paused or self._speed is None or self._anchor is None or sent >= len(self._timeline):
            return None
        began, market_began = self._anchor
        due = began + (self._timeline.time_at(sent + 1) - market_began) / NANOSECONDS / self._speed
        return max(IDLE_SECONDS, due - monotonic)

    def _reached(self) -> None:
        self._until = None
        self.pause()


def _checked(speed: float | None) -> float | None:
    if speed is not None and not speed > 0:
        raise ValueError("the speed is a factor above 0")
    return speed
