"""Who used market data of what on which day: noted once, told to Administration in batches, kept while it is away.

Sans-I/O but for the call that it is given; the Relay and Charting each keep one.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta
from typing import Final

from spire.administration.values import Usage
from spire.marketdata.values import RecordType
from spire.values.codes import Venue
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.errors import Invalid, Overloaded, Unavailable

EPOCH: Final = date(1970, 1, 1)
DAY: Final = 86_400 * NANOSECONDS
FLUSH_SECONDS: Final = 30.0
BATCH: Final = 300
"""Uses told in one call: they fit one argument."""
MOST_WAITING: Final = 100_000
"""Uses kept while Administration is away; beyond it the oldest are forgotten, and counted in `dropped`."""


class DailyUsage:
    """The uses of the current day (UTC), and those that wait to be told. `record` is a call that is safe to repeat."""

    def __init__(self, record: Callable[[Sequence[Usage]], Awaitable[None]], now: Callable[[], Timestamp]) -> None:
        self.dropped = 0
        self._record = record
        self._now = now
        self._date = ""
        self._day = -1
        self._noted: set[tuple[int, Venue, RecordType]] = set()
        self._waiting: dict[Usage, None] = {}

    @property
    def waiting(self) -> tuple[Usage, ...]:
        """What has not been told yet, oldest first."""
        return tuple(self._waiting)

    def note(self, account_id: int, venue: Venue, record_type: RecordType) -> None:
        """Know that an account uses a type of a listing venue now; the first time on a day counts."""
        day = self._now() // DAY
        if day != self._day:
            self._day = day
            self._date = (EPOCH + timedelta(days=day)).isoformat()
            self._noted.clear()
        use = (account_id, venue, record_type)
        if use in self._noted:
            return
        self._noted.add(use)
        self._waiting[Usage(date=self._date, account_id=account_id, listing_venue=venue, record_type=record_type)] = (
            None
        )
        if len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
            self.dropped += 1

    async def flush(self) -> None:
        """Tell what waits; while Administration is away it goes on waiting.

        Raises what Administration refuses with otherwise: a batch that it calls INVALID is not told again.
        """
        while self._waiting:
            batch = tuple(self._waiting)[:BATCH]
            try:
                await self._record(batch)
            except (Unavailable, Overloaded):
                return
            except Invalid:
                self._told(batch)
                self.dropped += len(batch)
                raise
            self._told(batch)

    def _told(self, batch: Sequence[Usage]) -> None:
        for use in batch:
            self._waiting.pop(use, None)
