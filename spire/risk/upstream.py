"""What Risk follows of the market: quotes and prints of the instruments that somebody holds or works."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from attrs import define, evolve
from twisted.logger import Logger

from spire.definitions.client import DefinitionsClient
from spire.definitions.instruments import Instrument, InstrumentStatus
from spire.definitions.schedule import NotCovered
from spire.definitions.values import SessionKind
from spire.marketdata.client import MarketDataClient
from spire.marketdata.values import (
    COUNTS_ALL,
    COUNTS_LAST,
    FeedSessionState,
    Present,
    Records,
    RecordType,
    Schedule,
    market_key,
    topic_of,
)
from spire.risk.marks import NOTHING, Marks, Prices, Trust, marks_of, quote_of, why_not
from spire.risk.states import Tradable
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.series.filter import In
from spire.series.query import LimitFrom, Query
from spire.values.amounts import Price
from spire.values.codes import Venue
from spire.values.environment import FeedKind
from spire.values.time import Timestamp
from spire.wire.channels import LogSubscription
from spire.wire.errors import NotFound, SpireError
from spire.wire.topics import Policy, StreamListener

RETRY_SECONDS: Final = 1.0

COUNTING: Final = tuple(bits for bits in range(COUNTS_ALL + 1) if bits & COUNTS_LAST)
"""The values of `eligibility` of prints that count as last."""

Tell = Callable[[int, Marks], object]


UNSEEN: Final = Prices()


@define(eq=False)
class Watched:
    """One instrument: what was seen of it, what may be believed, and the streams that say so."""

    instrument: Instrument
    prices: Prices = UNSEEN
    trust: Trust = NOTHING
    streams: tuple[LogSubscription[Records], ...] = ()
    is_opening: bool = False

    @property
    def is_followed(self) -> bool:
        """Return whether both streams are there, or on their way."""
        return self.is_opening or (bool(self.streams) and not any(stream.closed for stream in self.streams))


class MarketWatch:
    """Follows instruments from the first need on, and tells their marks as they change; `tell` gets (instrument, marks)."""

    _log = Logger()

    def __init__(
        self, *, client: MarketDataClient, definitions: DefinitionsClient, tell: Tell, clock: Clock, tasks: Tasks
    ) -> None:
        self.markets = client.markets()
        self._client = client
        self._definitions = definitions
        self._tell = tell
        self._clock = clock
        self._tasks = tasks
        self._watched: dict[int, Watched] = {}
        self._unknown: set[int] = set()
        self._moved: set[int] = set()
        self._is_closed = False

    @property
    def is_ready(self) -> bool:
        """Return whether market data can be asked now."""
        return self._client.session.is_ready

    @property
    def is_caught_up(self) -> bool:
        """Return whether what is to be followed is here."""
        return not self._unknown and not any(watched.is_opening for watched in self._watched.values())

    def follow(self, instrument_id: int) -> None:
        """Begin to follow an instrument, and keep trying; one that Definitions does not know yet is looked for again."""
        watched = self._watched.get(instrument_id)
        if watched is None:
            instrument = self._definitions.instruments.get(instrument_id)
            if instrument is None:
                self._unknown.add(instrument_id)
                return
            self._unknown.discard(instrument_id)
            watched = self._watched[instrument_id] = Watched(instrument)
            watched.trust = self._trust(instrument.listing_venue)
        if not watched.is_followed and not self._is_closed:
            watched.is_opening = True
            self._tasks.spawn("follow an instrument", self._open(instrument_id, watched))

    def check(self) -> None:
        """Look at all markets anew, and follow again what ended; call several times a second."""
        for number in tuple(self._unknown):
            self.follow(number)
        self.settle()
        trusts: dict[Venue, Trust] = {}
        for number, watched in self._watched.items():
            venue = watched.instrument.listing_venue
            trust = trusts.get(venue)
            if trust is None:
                trust = trusts[venue] = self._trust(venue)
            if trust != watched.trust:
                watched.trust = trust
                self._say(number, watched)
            if not watched.is_followed:
                self.follow(number)

    def settle(self) -> None:
        """Tell the marks of instruments that moved: once, however many quotes there were."""
        moved, self._moved = self._moved, set()
        for number in moved:
            self._say(number, self._watched[number])

    def tradable(self, instrument_id: int) -> Tradable | None:
        """Return how an instrument can be traded now; None for one that is not known."""
        instrument = self._definitions.instruments.get(instrument_id)
        if instrument is None:
            return None
        watched = self._watched.get(instrument_id)
        prices, trust = (UNSEEN, NOTHING) if watched is None else (watched.prices, watched.trust)
        quote = quote_of(prices, trust)
        reason = "" if quote is not None else why_not(prices, trust)
        if instrument.status is not InstrumentStatus.ACTIVE:
            quote, reason = None, f"it is {instrument.status.name}"
        return Tradable(
            name=str(instrument.ticker),
            increment=instrument.order_increment,
            ticks=self._definitions.tick_tables.get(instrument.tick_table),
            quote=quote,
            why_not=reason,
        )

    def no_mark(self, instruments: Sequence[int]) -> str:
        """Return for a person that some instruments, at least one, have no mark."""
        instrument = self._definitions.instruments.get(instruments[0])
        name = f"instrument {instruments[0]}" if instrument is None else str(instrument.ticker)
        return f"no mark of {name}" + (f" and {len(instruments) - 1} more" if len(instruments) > 1 else "")

    def ticker(self, instrument_id: int) -> str:
        """Return an instrument's newest ticker."""
        return str(self._definitions.instruments.by_id(instrument_id).ticker)

    def close(self) -> None:
        """Follow nothing any more."""
        self._is_closed = True
        for watched in self._watched.values():
            for stream in watched.streams:
                stream.close()

    # Following

    async def _open(self, number: int, watched: Watched) -> None:
        try:
            while not self._is_closed:
                try:
                    await self._begin(number, watched)
                except SpireError as error:
                    self._log.warn(
                        "no market data of {ticker} yet: {error}",
                        ticker=str(watched.instrument.ticker),
                        error=str(error),
                    )
                    await self._clock.sleep(RETRY_SECONDS)
                else:
                    return
        finally:
            watched.is_opening = False

    async def _begin(self, number: int, watched: Watched) -> None:
        """Take the snapshot, the last print that counts, and go on behind both."""
        snapshot = await self._client.snapshot(number, with_book=False)
        prices = _quoted(evolve(UNSEEN, last_quote=watched.prices.last_quote), snapshot.bbo)
        trade = _counting(snapshot.trade)
        if not len(trade) and len(snapshot.trade):
            query = Query(
                topic=topic_of(RecordType.TRADE, number),
                end_sequence=snapshot.trade_through,
                limit=1,
                limit_from=LimitFrom.TAIL,
                filter=In("eligibility", COUNTING),
            )
            trade = (await self._client.load(query)).records
        watched.prices = _printed(prices, trade)
        if prices.last_quote is None:
            self._believe(watched, Trust(quotes=prices.quote_session, is_open=True))
        for stream in watched.streams:
            stream.close()
        watched.streams = (
            self._client.subscribe(
                RecordType.BBO,
                number,
                _Quotes(self, number, watched),
                after=snapshot.bbo_through,
                epoch=snapshot.epoch,
                policy=Policy.CONFLATE,
            ),
            self._client.subscribe(
                RecordType.TRADE,
                number,
                _Prints(self, number, watched),
                after=snapshot.trade_through,
                epoch=snapshot.epoch,
            ),
        )
        self._say(number, watched)

    def quoted(self, number: int, watched: Watched, records: Records) -> None:
        """Take the next quotes of an instrument."""
        watched.prices = _quoted(watched.prices, records)
        self._moved.add(number)

    def printed(self, number: int, watched: Watched, records: Records) -> None:
        """Take the next prints of an instrument."""
        prices = _printed(watched.prices, _counting(records))
        if prices is not watched.prices:
            watched.prices = prices
            self._moved.add(number)

    def lost(self, watched: Watched, error: SpireError) -> None:
        """Know that records are missing, or that there are no more."""
        self._log.warn(
            "market data of {ticker} was lost: {error}", ticker=str(watched.instrument.ticker), error=str(error)
        )

    def _say(self, number: int, watched: Watched) -> None:
        self._believe(watched, watched.trust)
        self._tell(number, marks_of(watched.prices, watched.trust))

    # Believing

    def _believe(self, watched: Watched, trust: Trust) -> None:
        """Keep a quote that may be traded upon, if it is of the session itself: what follows the close can come before its news does."""
        believed = watched.prices.believed(trust)
        if believed is not watched.prices and self._was_open(watched.instrument.listing_venue, believed):
            watched.prices = believed

    def _was_open(self, venue: Venue, prices: Prices) -> bool:
        """Return whether the regular session traded when a quote was made."""
        rows = self.markets.view.rows.values()
        if any(row.feed_session == prices.quote_session and row.schedule is Schedule.ALWAYS_OPEN for row in rows):
            return True
        return self._is_regular(venue, prices.quote_time)

    def _trust(self, venue: Venue) -> Trust:
        """Return what may be believed of a listing venue's market now."""
        if not self._client.session.is_ready:
            return NOTHING
        try:
            number = self._definitions.venues.by_mic(venue).number
        except NotFound:
            return NOTHING
        quotes = self._state(number, RecordType.BBO)
        prints = self._state(number, RecordType.TRADE)
        return Trust(
            quotes=self._fresh(number, quotes),
            prints=self._fresh(number, prints),
            is_open=self._is_open(venue, number, quotes or prints),
        )

    def _state(self, venue: int, record_type: RecordType) -> FeedSessionState | None:
        return self.markets.view.rows.get(market_key(venue, record_type))

    def _fresh(self, venue: int, state: FeedSessionState | None) -> int | None:
        if state is None or self.markets.is_stale(venue, state.record_type):
            return None
        return state.feed_session

    def _is_open(self, venue: Venue, number: int, state: FeedSessionState | None) -> bool:
        if state is None:
            return False
        if state.schedule is Schedule.ALWAYS_OPEN:
            return True
        moment = self._market_time(number, state)
        return moment is not None and self._is_regular(venue, moment)

    def _is_regular(self, venue: Venue, moment: Timestamp) -> bool:
        try:
            session = self._definitions.schedules.calendar_of(venue).session_at(moment)
        except (NotCovered, NotFound):
            return False
        return session is not None and session.kind is SessionKind.REGULAR

    def _market_time(self, number: int, state: FeedSessionState) -> Timestamp | None:
        """Return the market time of the current session; records alone move that of a replay and of one that ended."""
        if state.kind is not FeedKind.REPLAY and not state.ended:
            return self.markets.market_time(number)
        rows = self.markets.view.rows.values()
        times = [row.market_time for row in rows if row.feed_session == state.feed_session and row.market_time]
        return max(times) if times else None


class _Quotes(StreamListener[Records]):
    """Hands quotes to the watch; a hole or another epoch leaves no quote that could be trusted."""

    def __init__(self, watch: MarketWatch, number: int, watched: Watched) -> None:
        self._watch = watch
        self._number = number
        self._watched = watched
        self._epoch: int | None = None

    def reset(self, epoch: int, after: int) -> None:  # noqa: ARG002 (of the listener)
        """Begin, or begin again."""
        if self._epoch is not None and self._epoch != epoch:
            self._watched.prices = evolve(self._watched.prices, bid=None, ask=None, quote_session=0)
        self._epoch = epoch

    def update(self, records: Records) -> None:
        """Take the next quotes."""
        self._watch.quoted(self._number, self._watched, records)

    def lost(self, error: SpireError) -> None:
        """Pass it on."""
        self._watch.lost(self._watched, error)


class _Prints(StreamListener[Records]):
    """Hands prints to the watch."""

    def __init__(self, watch: MarketWatch, number: int, watched: Watched) -> None:
        self._watch = watch
        self._number = number
        self._watched = watched

    def update(self, records: Records) -> None:
        """Take the next prints."""
        self._watch.printed(self._number, self._watched, records)

    def lost(self, error: SpireError) -> None:
        """Pass it on."""
        self._watch.lost(self._watched, error)


def _quoted(prices: Prices, records: Records) -> Prices:
    if not len(records):
        return prices
    record = records[-1]
    present = int(record["present"])
    return prices.quoted(
        Price(int(record["bid"])) if present & Present.BID else None,
        Price(int(record["ask"])) if present & Present.ASK else None,
        int(record["feed_session"]),
        Timestamp(int(record["source_time"])),
    )


def _printed(prices: Prices, records: Records) -> Prices:
    if not len(records):
        return prices
    record = records[-1]
    return prices.printed(Price(int(record["price"])), int(record["feed_session"]))


def _counting(records: Records) -> Records:
    """Return the prints that count as last."""
    counting: Records = records[(records["eligibility"] & np.uint16(COUNTS_LAST)) != 0]
    return counting
