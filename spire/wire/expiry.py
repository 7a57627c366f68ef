"""When a session ends with its ticket, and when it is borne beyond that."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall

from spire.runtime.clock import Clock
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.limits import Limits

CHECK_SECONDS = 5.0


class Expiry:
    """Calls `expired` once, when a ticket has run out and its owner could have renewed it.

    While `can_renew` says that no Locator can be reached the ticket is borne, for `renewal_grace_seconds` at most;
    after such an outage its owner has `renewal_slack_seconds` to renew it.
    """

    def __init__(
        self,
        clock: Clock,
        limits: Limits,
        can_renew: Callable[[], bool],
        expires: Timestamp,
        expired: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._can_renew = can_renew
        self._expires = expires
        self._expired = expired
        self._was_away = False
        self._renewable_since: float | None = None
        left_seconds = (expires - clock.now()) / NANOSECONDS
        self._timer: IDelayedCall = clock.later(left_seconds, self._check)

    def cancel(self) -> None:
        """Never call `expired`."""
        if self._timer.active():
            self._timer.cancel()

    def _check(self) -> None:
        if self._is_borne():
            self._timer = self._clock.later(CHECK_SECONDS, self._check)
        else:
            self._expired()

    def _is_borne(self) -> bool:
        over_seconds = (self._clock.now() - self._expires) / NANOSECONDS
        if over_seconds >= self._limits.renewal_grace_seconds:
            return False
        if not self._can_renew():
            self._was_away = True
            self._renewable_since = None
            return True
        if not self._was_away:
            return False
        now = self._clock.monotonic()
        if self._renewable_since is None:
            self._renewable_since = now
        return now - self._renewable_since < self._limits.renewal_slack_seconds
