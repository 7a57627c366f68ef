"""What Charting needs of market data; `upstream.py` takes it from the platform, tests from memory."""

from collections.abc import AsyncIterator, Awaitable, Callable

from attrs import frozen
from zope.interface import Interface

from spire.marketdata.values import Records
from spire.values.time import Timestamp
from spire.wire.errors import SpireError


@frozen(kw_only=True)
class TradeRange:
    """Which trades of one instrument: market time in start..end, sequence at most `through`, one feed session.

    Both ends are included; None is no bound, and for `feed_session` the primary ones.
    """

    instrument_id: int
    start: Timestamp | None = None
    end: Timestamp | None = None
    through: int | None = None
    feed_session: int | None = None


@frozen(kw_only=True)
class TradeHistory:
    """The answer to a range: packed TRADE records in sequence order, and where the instrument's trades stood."""

    epoch: int
    through: int
    chunks: AsyncIterator[Records]


class ITradeFollower(Interface):
    """What happens to the trades of one instrument, live."""

    def begin(epoch: int, after: int) -> None:
        """Trades after `after` in `epoch` follow; what came before no longer continues."""

    def more(trades: Records, through: int) -> None:
        """Take further trades, in sequence order; everything up to `through` is covered."""

    def lost(error: SpireError) -> None:
        """Know that the trades have ended."""


class ITrades(Interface):
    """Trades of the past and as they come."""

    def load(wanted: TradeRange) -> Awaitable[TradeHistory]:
        """Return trades of the past. Raises SpireError."""

    def follow(instrument_id: int, after: int | None, follower: ITradeFollower) -> Callable[[], None]:
        """Follow an instrument after a sequence (None: from now on); the function that is returned ends it."""

    def is_replayed(instrument_id: int) -> bool:
        """Return whether the instrument's current feed session replays a recorded day."""
