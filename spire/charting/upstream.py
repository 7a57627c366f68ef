"""Trades from the platform's market data: what Charting makes its candles of."""

from collections.abc import Callable

from zope.interface import implementer

from spire.charting.interfaces import ITradeFollower, ITrades, TradeRange
from spire.definitions.client import DefinitionsClient
from spire.marketdata.client import MarketDataClient
from spire.marketdata.codecs import CODECS
from spire.marketdata.values import Records, RecordType, topic_of
from spire.series.loads import Recovery
from spire.series.query import EARLIEST_TIME, LATEST_TIME, Query
from spire.values.environment import FeedKind
from spire.wire.errors import NotFound, SpireError
from spire.wire.topics import StreamListener


@implementer(ITrades)
class MarketDataTrades:
    """The trades of the market data service that the configuration names."""

    def __init__(self, market_data: MarketDataClient, definitions: DefinitionsClient) -> None:
        self._market_data = market_data
        self._definitions = definitions
        self._markets = market_data.markets()

    def zone_of(self, instrument_id: int) -> str:
        """Return the time zone of an instrument's listing venue. Raises NotFound."""
        listing = self._definitions.instruments.by_id(instrument_id).listing_venue
        return self._definitions.venues.by_mic(listing).time_zone

    async def load(
        self, wanted: TradeRange, restart: Callable[[], None], take: Callable[[Records], None]
    ) -> tuple[int, int]:
        """Load trades over as many connections as it takes; a whole bucket may reach beyond what a query may ask for."""
        query = Query(
            topic=topic_of(RecordType.TRADE, wanted.instrument_id),
            start_time=None if wanted.start is None else max(wanted.start, EARLIEST_TIME),
            end_time=None if wanted.end is None else min(wanted.end, LATEST_TIME),
            end_sequence=wanted.through,
            feed_session=wanted.feed_session,
            policy=wanted.policy,
        )
        codec = CODECS[RecordType.TRADE]
        recovery = Recovery(self._market_data.session, query, codec, began=lambda _epoch, _after: restart(), take=take)
        return await recovery.run()

    def follow(self, instrument_id: int, after: int | None, follower: ITradeFollower) -> Callable[[], None]:
        """Subscribe to an instrument's trades, every one of them."""
        listener = _Trades(follower)
        return self._market_data.subscribe(RecordType.TRADE, instrument_id, listener, after=after).close

    def is_replayed(self, instrument_id: int) -> bool:
        """Ask the state of the listing venue's market."""
        listing = self._definitions.instruments.by_id(instrument_id).listing_venue
        try:
            state = self._markets.state(self._definitions.venues.by_mic(listing).number, RecordType.TRADE)
        except NotFound:
            return False
        return state.kind is FeedKind.REPLAY


class _Trades(StreamListener[Records]):
    """Hands a stream to its follower."""

    def __init__(self, follower: ITradeFollower) -> None:
        self._follower = follower

    def reset(self, epoch: int, after: int) -> None:
        """Begin."""
        self._follower.begin(epoch, after)

    def update(self, records: Records) -> None:
        """Pass records on."""
        self._follower.more(records)

    def lost(self, error: SpireError) -> None:
        """Pass on an end; behind a hole a reset follows, which begins the candles anew."""
        if error.coded != "GAP":
            self._follower.lost(error)
