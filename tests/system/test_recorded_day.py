"""A recorded day goes in at a feed and comes out whole: live, from history, and as candles."""

from collections import defaultdict
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from spire.charting.values import CandleTopic, Eligibility, candle_vwap
from spire.client.platform import Spire
from spire.marketdata.values import Present, Records, RecordType, topic_of
from spire.series.query import Query
from spire.wire.errors import SpireError
from spire.wire.topics import StreamListener
from tests.system import tape
from tests.system.case import SystemTestCase

DAY = date(2013, 10, 8)
SYMBOLS = ("BAC", "IBM")
MINUTE = 60 * 10**9


class Collector(StreamListener[Records]):
    """Keeps everything that a lossless stream brings, in order."""

    def __init__(self) -> None:
        self.parts: list[Records] = []
        self.resets: list[int] = []
        self.errors: list[SpireError] = []
        self.began: Deferred[None] = Deferred()

    def reset(self, epoch: int, after: int) -> None:
        """Note where it begins."""
        self.resets.append(after)
        if not self.began.called:
            self.began.callback(None)

    def update(self, records: Records) -> None:
        """Keep records."""
        self.parts.append(records)

    def lost(self, error: SpireError) -> None:
        """Note a loss."""
        self.errors.append(error)

    @property
    def count(self) -> int:
        """How many records came."""
        return sum(map(len, self.parts))

    @property
    def records(self) -> Records:
        """All of them."""
        return np.concatenate(self.parts)


class RecordedDayTests(SystemTestCase):
    """The whole of a day, as fast as possible."""

    servers = (
        "service-locator", "uid", "definitions", "administration", "market-data", "market-data-relay", "charting",
    )  # fmt: skip

    async def test_a_recorded_day_comes_out_whole(self) -> None:
        """Every trade once, no hole in a sequence, live equals history, bars close where they should, candles agree."""
        self.tape = await self.in_thread(tape.open_tape, self._folder)
        client = await self.client("demo_market_data")
        definitions = await client.definitions_ready()
        numbers = {s: definitions.instruments.by_ticker(f"{s}.XNYS").instrument_id for s in SYMBOLS}
        live = await self.subscribe(client, numbers)
        said = await self.spire("--json", "replay", str(self.tape.ticks), "--date", DAY.isoformat())
        self.assertIn('"ended": true', said)
        quotes = {s: self.tape.quotes(s, DAY) for s in SYMBOLS}
        trades = {s: self.tape.trades(s, DAY) for s in SYMBOLS}
        for symbol, number in numbers.items():
            await self.until_count(live[RecordType.TRADE, number], len(trades[symbol]))
            await self.until_count(live[RecordType.BBO, number], len(quotes[symbol]))
        venues = {venue.number: venue.mic for venue in definitions.venues}
        for symbol, number in numbers.items():
            history = await self.history(client, RecordType.TRADE, number)
            self.check_trades(history, trades[symbol], venues)
            self.check_live(live[RecordType.TRADE, number], history)
            bbos = await self.history(client, RecordType.BBO, number)
            self.check_quotes(bbos, quotes[symbol], venues)
            self.check_live(live[RecordType.BBO, number], bbos)
            self.check_minute_closes(bbos, symbol)
            await self.check_candles(client, number, trades[symbol])

    async def subscribe(self, client: Spire, numbers: dict[str, int]) -> dict[tuple[RecordType, int], Collector]:
        """Follow everything from the start, losing nothing."""
        live: dict[tuple[RecordType, int], Collector] = defaultdict(Collector)
        await client.ready(client.deployment.market_data_service)
        for number in numbers.values():
            for record_type in (RecordType.TRADE, RecordType.BBO):
                client.market_data.subscribe(record_type, number, live[record_type, number])
        for collector in live.values():
            await collector.began
        return live

    async def until_count(self, collector: Collector, count: int) -> None:
        """Wait until a stream has brought so many records; the test's own deadline bounds it."""
        from twisted.internet import reactor

        while collector.count < count:
            await deferLater(reactor, 0.02)

    async def history(self, client: Spire, record_type: RecordType, number: int) -> Records:
        """Return everything that is stored of one type of one instrument."""
        return (await client.market_data.load(Query(topic=topic_of(record_type, number)))).records

    def check_dense(self, records: Records) -> None:
        """Check that the sequence begins at 1 and has no hole."""
        np.testing.assert_array_equal(records["sequence"], np.arange(1, len(records) + 1, dtype=np.uint64))

    def check_live(self, collector: Collector, history: Records) -> None:
        """Check that the live stream brought exactly what is stored, in the same order, without a break."""
        self.assertEqual(collector.errors, [])
        self.assertEqual(collector.resets, [0])
        self.assertEqual(collector.records.tobytes(), history.tobytes())

    def check_trades(self, records: Records, expected: list[tape.Trade], venues: dict[int, str]) -> None:
        """Check that every trade of the file is there exactly once, with its price, size, time, venue and condition."""
        self.check_dense(records)
        self.assertEqual(len(records), len(expected))
        for name, column in (("source_time", 0), ("price", 1), ("size", 2), ("conditions", 4)):
            np.testing.assert_array_equal(records[name], _column(expected, column, records[name].dtype))
        self.assertEqual([venues[number] for number in records["venue"].tolist()], [trade.venue for trade in expected])

    def check_quotes(self, records: Records, expected: list[tape.Quote], venues: dict[int, str]) -> None:
        """Check that every change of the file is there exactly once, both sides with their venues."""
        self.check_dense(records)
        self.assertEqual(len(records), len(expected))
        np.testing.assert_array_equal(records["source_time"], _column(expected, 0, np.dtype("<i8")))
        for side, price, size, venue in ((Present.BID, "bid", "bid_size", "bid_venue"),):
            self.check_side(records, expected, side, (price, size, venue), venues)
        self.check_side(records, expected, Present.ASK, ("ask", "ask_size", "ask_venue"), venues)

    def check_side(
        self,
        records: Records,
        expected: list[tape.Quote],
        side: Present,
        names: tuple[str, str, str],
        venues: dict[int, str],
    ) -> None:
        """Check one side of every change; an absent one is said to be absent."""
        for record, quote in zip(records.tolist(), expected, strict=True):
            named = dict(zip(records.dtype.names or (), record, strict=True))
            wanted = tuple(getattr(quote, name) for name in names)
            if not named["present"] & side:
                self.assertEqual(wanted, (None, None, None))
            else:
                price, size, venue = (named[name] for name in names)
                self.assertEqual((price, size, venues[venue]), wanted)

    def check_minute_closes(self, records: Records, symbol: str) -> None:
        """Check that the last best bid and offer of a minute is the close of the minute's quote bar."""
        last = {int(record["source_time"]) // MINUTE * MINUTE: record for record in records}
        differing = [
            bar.start
            for bar in self.tape.quote_bars(symbol, DAY)
            if bar.start not in last
            or tuple(int(last[bar.start][name]) for name in ("bid", "bid_size", "ask", "ask_size"))
            != (bar.bid, bar.bid_size, bar.ask, bar.ask_size)
        ]
        self.assertLessEqual(len(differing), self.tape.known_exceptions(symbol), differing)

    async def check_candles(self, client: Spire, number: int, trades: list[tape.Trade]) -> None:
        """Check that one-minute candles equal a plain aggregation of the file's trades."""
        topic = CandleTopic(instrument_id=number, interval=MINUTE, eligibility=Eligibility.ALL)
        candles = (await client.charting.candles(topic)).records
        minutes: dict[int, list[tape.Trade]] = defaultdict(list)
        for trade in trades:
            minutes[trade.time // MINUTE * MINUTE].append(trade)
        found = [
            (
                int(candle["start"]),
                *(int(candle[name]) for name in ("open", "high", "low", "close", "volume", "count")),
                candle_vwap(candle),
            )
            for candle in candles
        ]
        self.assertEqual(found, [(start, *plain_candle(minutes[start])) for start in sorted(minutes)])


def plain_candle(trades: list[tape.Trade]) -> tuple[int, ...]:
    """Return open, high, low, close, volume, count and VWAP (half-even) of trades in time order."""
    prices = [trade.price for trade in trades]
    volume = sum(trade.size for trade in trades)
    notional = sum(trade.price * trade.size for trade in trades)
    return (prices[0], max(prices), min(prices), prices[-1], volume, len(trades), round_half_even(notional, volume))


def round_half_even(numerator: int, denominator: int) -> int:
    """Divide non-negative whole numbers, a half to the even neighbour."""
    quotient, rest = divmod(numerator, denominator)
    return quotient + (rest * 2 > denominator or (rest * 2 == denominator and quotient % 2 == 1))


def _column(rows: list[Any], index: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.array([row[index] for row in rows], dtype=dtype)
