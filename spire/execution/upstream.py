"""What Order Execution follows of the market: quotes without conflation, feed sessions, schedules."""

import datetime
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import numpy as np
from attrs import define, frozen
from numpy.typing import NDArray
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from spire.definitions.client import DefinitionsClient
from spire.definitions.instruments import Instrument
from spire.definitions.schedule import Calendar, NotCovered, names
from spire.execution import decide
from spire.execution.matching import NO_SESSIONS, Quote
from spire.execution.values import TakenSize
from spire.marketdata.client import MarketDataClient
from spire.marketdata.values import FeedSessionState, Present, Records, RecordType, Schedule
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.values.amounts import Price, Quantity
from spire.values.environment import FeedKind
from spire.values.orders import BookSide, Side, TradingSession
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.channels import LogSubscription
from spire.wire.errors import NotFound, SpireError
from spire.wire.topics import StreamListener

PREPARE_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 1.0
ALL_SESSIONS: Final = frozenset(TradingSession)


@frozen(kw_only=True)
class Hours:
    """Which trading sessions are open at a moment, and of which trade date."""

    trade_date: str
    open_sessions: frozenset[TradingSession]


class QuoteListener(Protocol):
    """Who is told of quotes: a driver."""

    def quoted(self, instrument: Instrument, quotes: "Shown") -> None:
        """Take the next quotes of an instrument."""

    def caught_up(self, instrument: Instrument, quote: Quote | None, taken: dict[Side, Quantity]) -> None:
        """Begin at a quote, of which so much was taken already by fills of an earlier run."""


@define
class Shown:
    """A stretch of quotes as they came; single quotes are made where somebody rests on them."""

    records: Records

    def __len__(self) -> int:
        return len(self.records)

    def last(self) -> Quote:
        """Return the newest quote."""
        return quote_of(self.records[-1])

    def each(self) -> list[Quote]:
        """Return all quotes in order."""
        return [quote_of(record) for record in self.records]

    def changed(self, before: Quote | None) -> tuple[bool, bool]:
        """Return whether the bid, and whether the ask, changed anywhere since the quote before."""
        if before is None:
            return True, True
        bid, ask = (bool(np.any(_changes(self.records, side, before))) for side in (BookSide.BID, BookSide.ASK))
        return bid, ask


def _changes(records: Records, side: BookSide, before: Quote | None) -> NDArray[np.bool_]:
    """Return where a side's price or displayed size differs from the record before it; the first from the quote `before`."""
    name, bit = ("bid", Present.BID) if side is BookSide.BID else ("ask", Present.ASK)
    there = (records["present"] & np.uint16(bit)) != 0
    prices = np.where(there, records[name], -1)
    sizes = np.where(there, records[f"{name}_size"], 0)
    changed = np.empty(len(records), bool)
    changed[1:] = (prices[1:] != prices[:-1]) | (sizes[1:] != sizes[:-1])
    if before is None:
        changed[0] = True
    else:
        price, size = (before.bid, before.bid_size) if side is BookSide.BID else (before.ask, before.ask_size)
        changed[0] = prices[0] != (-1 if price is None else price) or sizes[0] != size
    return changed


def quote_of(record: Any) -> Quote:
    """Return a packed BBO as a quote."""
    present = int(record["present"])
    has_bid, has_ask = bool(present & Present.BID), bool(present & Present.ASK)
    return Quote(
        sequence=int(record["sequence"]),
        bid=Price(int(record["bid"])) if has_bid else None,
        bid_size=Quantity(int(record["bid_size"]) if has_bid else 0),
        ask=Price(int(record["ask"])) if has_ask else None,
        ask_size=Quantity(int(record["ask_size"]) if has_ask else 0),
        time=Timestamp(int(record["source_time"])),
    )


class Followed(StreamListener[Records]):
    """The quotes of one instrument, from the first need on."""

    _log = Logger()

    def __init__(self, instrument: Instrument, clock: Clock, tell: QuoteListener) -> None:
        self.instrument = instrument
        self.quote: Quote | None = None
        self.feed_session = 0
        self.epoch: int | None = None
        self.received = 0.0
        self.subscription: LogSubscription[Records] | None = None
        self.is_caught_up = False
        self._clock = clock
        self._tell = tell
        self.opened: Deferred[None] = Deferred()
        self._remembered: tuple[TakenSize, ...] = ()
        self._taken: dict[Side, Quantity] = {}

    @property
    def is_live(self) -> bool:
        """Whether the stream is open and nothing that the server has is missing."""
        return self.is_caught_up and self.subscription is not None and self.subscription.is_live

    def begin(self, quotes: Records, taken: tuple[TakenSize, ...]) -> None:
        """Begin with the current quote; what earlier fills took of a side is known once their quote has come by again."""
        self._remembered = taken
        if len(quotes):
            self._take(quotes[-1:])

    def reset(self, epoch: int, after: int) -> None:  # noqa: ARG002 - what follows tells by itself
        """Begin again in an epoch; a hole leaves no quote that could be trusted."""
        if self.epoch is not None and self.epoch != epoch:
            self.quote = None
        self.epoch = epoch

    def update(self, records: Records) -> None:
        """Take the next quotes."""
        if self.is_caught_up:
            self._take(records[-1:])
            self._tell.quoted(self.instrument, Shown(records))
            return
        self._pass_by(records)
        self._take(records[-1:])

    def ready(self) -> None:
        """Know that the present is reached: from here on quotes fill orders."""
        if not self.is_caught_up:
            self.is_caught_up = True
            self._tell.caught_up(self.instrument, self.quote, self._taken)
            self.opened.callback(None)

    def lost(self, error: SpireError) -> None:
        """Know that quotes are missing, or that there are no more."""
        self._log.warn("quotes of {ticker} were lost: {error}", ticker=str(self.instrument.ticker), error=str(error))
        if self.subscription is not None and self.subscription.closed:
            self.subscription = None
            if not self.opened.called:
                self.opened.errback(error)

    def _take(self, records: Records) -> None:
        record = records[-1]
        self.quote = quote_of(record)
        self.feed_session = int(record["feed_session"])
        self.received = self._clock.monotonic()

    def _pass_by(self, records: Records) -> None:
        """Follow what was taken from the quote of the last fill up to the present, all at once: it may be millions of quotes ago."""
        for side, against in ((Side.BUY, BookSide.ASK), (Side.SELL, BookSide.BID)):
            changes = np.flatnonzero(_changes(records, against, self.quote))
            last_change = int(changes[-1]) if len(changes) else -1
            if last_change >= 0:
                self._taken.pop(side, None)
            for taken in self._remembered:
                if taken.side is side:
                    place = int(np.searchsorted(records["sequence"], taken.quote_sequence))
                    if last_change <= place < len(records) and records["sequence"][place] == taken.quote_sequence:
                        self._taken[side] = taken.taken


class MarketUpstream:
    """Quotes of the instruments that somebody trades, and the state of their markets.

    `taken` answers what earlier fills took of an instrument's quote (it may ask the store).
    """

    _log = Logger()

    def __init__(
        self,
        *,
        client: MarketDataClient,
        definitions: DefinitionsClient,
        taken: Callable[[int], Awaitable[tuple[TakenSize, ...]]],
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._client = client
        self._definitions = definitions
        self._taken = taken
        self._clock = clock
        self._tasks = tasks
        self._followed: dict[int, Followed] = {}
        self._opening: dict[int, Deferred[None]] = {}
        self._without_store: set[int] = set()
        self.markets = client.markets()
        self.listener: QuoteListener | None = None

    # Following

    def is_prepared(self, instrument_id: int) -> bool:
        """Return whether the quotes of an instrument are followed, and all is here."""
        followed = self._followed.get(instrument_id)
        return followed is not None and followed.is_caught_up and followed.subscription is not None

    async def prepare(self, instrument: Instrument) -> None:
        """Follow the quotes of an instrument, and wait until they are here, at most 2 s: without them it is stale."""
        if self.is_prepared(instrument.instrument_id):
            return
        waiting: Deferred[None] = Deferred()
        timer = self._clock.later(PREPARE_SECONDS, waiting.callback, None)
        self.follow(instrument).addBoth(lambda _: None if waiting.called else waiting.callback(None))
        await waiting
        if timer.active():
            timer.cancel()

    def follow(self, instrument: Instrument) -> "Deferred[None]":
        """Begin to follow an instrument, and keep trying; fires when its quotes are here."""
        opening = self._opening.get(instrument.instrument_id)
        if opening is None:
            opening = self._opening[instrument.instrument_id] = Deferred()
            self._tasks.spawn("follow quotes", self._follow(instrument))
        waiting: Deferred[None] = Deferred()

        def pass_on(_: None) -> None:
            waiting.callback(None)

        opening.addCallback(pass_on)
        return waiting

    async def _follow(self, instrument: Instrument) -> None:
        assert self.listener is not None
        number = instrument.instrument_id
        while True:
            followed = Followed(instrument, self._clock, self.listener)
            try:
                await self._open(followed)
                await followed.opened
                break
            except SpireError as error:
                self._log.warn("no quotes of {ticker} yet: {error}", ticker=str(instrument.ticker), error=str(error))
            await self._clock.sleep(RETRY_SECONDS)
        opening = self._opening.pop(number)
        opening.callback(None)

    async def _open(self, followed: Followed) -> None:
        number = followed.instrument.instrument_id
        self._without_store.add(number)
        taken = await self._taken(number)
        self._without_store.discard(number)
        snapshot = await self._client.snapshot(number, with_book=False)
        past = [each for each in taken if each.quote_sequence <= snapshot.bbo_through]
        followed.epoch = snapshot.epoch
        after = snapshot.bbo_through
        if past:
            after = min(each.quote_sequence for each in past) - 1
            followed.begin(snapshot.bbo[:0], tuple(past))
        else:
            followed.begin(snapshot.bbo, ())
        self._followed[number] = followed
        followed.subscription = self._client.subscribe(
            RecordType.BBO, number, followed, after=after, epoch=snapshot.epoch
        )

    def check(self) -> None:
        """Follow again what ended; call each second."""
        for number, followed in tuple(self._followed.items()):
            if followed.subscription is None and number not in self._opening:
                self.follow(followed.instrument)

    # Looking

    def quote(self, instrument_id: int) -> Quote | None:
        """Return the newest quote of an instrument."""
        followed = self._followed.get(instrument_id)
        return None if followed is None else followed.quote

    def state(self, instrument: Instrument) -> FeedSessionState | None:
        """Return the current feed session of an instrument's quotes."""
        try:
            return self.markets.state(self._venue(instrument), RecordType.BBO)
        except NotFound:
            return None

    def is_stale(self, instrument: Instrument) -> bool:
        """Return whether the quote must not be traded upon: its feed is silent, gone or another, or ours is not here."""
        followed = self._followed.get(instrument.instrument_id)
        if followed is None or not followed.is_live or not self._client.session.is_ready:
            return True
        state = self.state(instrument)
        if state is None or state.feed_session != followed.feed_session:
            return True
        return self.markets.is_stale(self._venue(instrument), RecordType.BBO)

    def market_time(self, instrument: Instrument) -> Timestamp | None:
        """Return the venue's market time: that of the feed session of its quotes, or the newest quote's where that is later."""
        quote = self.quote(instrument.instrument_id)
        state = self.state(instrument)
        followed = self._followed.get(instrument.instrument_id)
        known = None if state is None else self._session_time(instrument, state)
        if quote is None or followed is None or state is None or state.feed_session != followed.feed_session:
            return known
        return quote.time if known is None else max(known, quote.time)

    def _session_time(self, instrument: Instrument, state: FeedSessionState) -> Timestamp | None:
        """Return the market time of the current session; records alone move that of a replay and of one that ended."""
        if state.kind is not FeedKind.REPLAY and not state.ended:
            return self.markets.market_time(self._venue(instrument))
        times = [
            row.market_time
            for row in self.markets.view.rows.values()
            if row.feed_session == state.feed_session and row.market_time
        ]
        return max(times) if times else None

    def hours(self, instrument: Instrument, moment: Timestamp) -> Hours | None:
        """Return what is open at a moment of market time; None where the schedule says nothing."""
        state = self.state(instrument)
        if state is not None and state.schedule is Schedule.ALWAYS_OPEN:
            return Hours(trade_date=state.trade_date, open_sessions=ALL_SESSIONS)
        try:
            session = self._calendar(instrument).session_at(moment)
        except (NotCovered, NotFound):
            return None
        if session is None:
            return Hours(trade_date="" if state is None else state.trade_date, open_sessions=NO_SESSIONS)
        open_sessions = frozenset(each for each in TradingSession if names(each, session.kind))
        return Hours(trade_date=session.trade_date.isoformat(), open_sessions=open_sessions)

    def window_end(
        self, instrument: Instrument, trade_date: str, trading_session: TradingSession
    ) -> tuple[bool, Timestamp | None]:
        """Return whether a session exists on a trade date, and when it ends in market time (None: never)."""
        state = self.state(instrument)
        if state is not None and state.schedule is Schedule.ALWAYS_OPEN:
            return True, None
        try:
            window = self._calendar(instrument).order_window(datetime.date.fromisoformat(trade_date), trading_session)
        except (NotCovered, NotFound):
            return False, None
        return (False, None) if window is None else (True, window[1])

    def market(self, instrument: Instrument, trading_session: TradingSession) -> decide.Market:
        """Return what a decision needs to know of an instrument's market now."""
        followed = self._followed.get(instrument.instrument_id)
        market_time = self.market_time(instrument)
        trade_date = self._trade_date(instrument, market_time)
        has_window, window_end = self.window_end(instrument, trade_date, trading_session)
        age = None
        if followed is not None and followed.quote is not None:
            age = round((self._clock.monotonic() - followed.received) * NANOSECONDS)
        return decide.Market(
            market_time=market_time,
            trade_date=trade_date,
            has_window=has_window,
            window_end=window_end,
            quote=None if followed is None else followed.quote,
            quote_epoch=None if followed is None else followed.epoch,
            age=age,
            is_stale=self.is_stale(instrument),
            waits_for_store=instrument.instrument_id in self._without_store,
        )

    def _trade_date(self, instrument: Instrument, market_time: Timestamp | None) -> str:
        state = self.state(instrument)
        if state is not None:
            return state.trade_date
        now = self._clock.now() if market_time is None else market_time
        try:
            date = self._calendar(instrument).trade_date_at(now)
        except (NotCovered, NotFound):
            date = None
        return "" if date is None else date.isoformat()

    def _calendar(self, instrument: Instrument) -> Calendar:
        return self._definitions.schedules.calendar_of(instrument.listing_venue)

    def _venue(self, instrument: Instrument) -> int:
        return self._definitions.venues.by_mic(instrument.listing_venue).number
