"""What Charting needs of market data; `upstream.py` takes it from the platform, tests from memory."""

from collections.abc import Awaitable, Callable

from attrs import frozen
from zope.interface import Interface

from spire.marketdata.values import Records
from spire.series.query import Interruption
from spire.values.time import Timestamp
from spire.wire.errors import SpireError


@frozen(kw_only=True)
class TradeRange:
    """Which trades of one instrument: market time in start..end, sequence at most `through`, one feed session.

    Both ends are included; None is no bound, and for `feed_session` the primary ones. Under RECOVER an upstream that is
    away is waited for; who has a caller waiting says BREAK.
    """

    instrument_id: int
    start: Timestamp | None = None
    end: Timestamp | None = None
    through: int | None = None
    feed_session: int | None = None
    policy: Interruption = Interruption.RECOVER


class ITradeFollower(Interface):
    """What happens to the trades of one instrument, live."""

    def begin(epoch: int, after: int) -> None:
        """Trades after `after` in `epoch` follow; what came before no longer continues."""

    def more(trades: Records) -> None:
        """Take further trades, in sequence order, never empty."""

    def lost(error: SpireError) -> None:
        """Know that the trades have ended."""


class ITrades(Interface):
    """Trades of the past and as they come."""

    def load(
        wanted: TradeRange, restart: Callable[[], None], take: Callable[[Records], None]
    ) -> Awaitable[tuple[int, int]]:
        """Hand trades of the past to `take`, in sequence order, and return (epoch, last visible sequence).

        `restart` makes what was taken so far void. Raises SpireError, and what `take` raises of it: it may refuse more
        with Invalid, which ends the load.
        """

    def follow(instrument_id: int, after: int | None, follower: ITradeFollower) -> Callable[[], None]:
        """Follow an instrument after a sequence (None: from now on); the function that is returned ends it."""

    def is_replayed(instrument_id: int) -> bool:
        """Return whether the instrument's current feed session replays a recorded day."""
