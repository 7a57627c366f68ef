"""A system test under load: a replay, followers of it, a trader and a consumer of ids, all at work."""

from collections import defaultdict
from datetime import date
from time import monotonic
from typing import Any

from twisted.internet.defer import Deferred

from spire.charting.values import CandleTopic
from spire.marketdata.values import Present, Records, RecordType
from spire.service.admin_client import ask
from spire.uid.client import UidSource
from tests.system import tape
from tests.system.case import SystemTestCase
from tests.system.load import Ledger, Numberer, Trader, pause, until
from tests.system.stored import Stored
from tests.system.test_recorded_day import Collector

DAY = date(2013, 10, 7)
SYMBOL = "BAC"
TICKER = f"{SYMBOL}.XNYS"
MINUTE = 60 * 10**9
SPEED = 30.0
FEED = "replay-feed"
SETTLED_SECONDS = 10.0
STORED_SECONDS = 30.0


class Counted(Collector):
    """Counts as it collects."""

    def __init__(self) -> None:
        super().__init__()
        self.received = 0

    def update(self, records: Records) -> None:
        """Keep records, and how many."""
        super().update(records)
        self.received += len(records)


class LoadedTestCase(SystemTestCase):
    """`begin` makes the load; the rest looks at it.

    `live` is what followers of trades and quotes received, `ledger` the activity of the trader's account.
    """

    async def begin(self) -> None:
        """Start the feed shortly after the opening, everybody's clients, and the load."""
        self.tape = await self.in_thread(tape.open_tape, self._folder)
        self.markets = await self.client("demo_market_data")
        self.people = await self.client("demo_trader")
        self.service = await self.client("order_execution_service")
        self.definitions = await self.markets.definitions_ready()
        self.number = self.definitions.instruments.by_ticker(TICKER).instrument_id
        await self.follow_market()
        await self.start_feed()
        await self.people.ready("order_execution_service")
        account = await self.people.orders.trading_account("demo_trader")
        self.account_id = account.trading_account_id
        self.stored = Stored(self.instance.database, self.instance.settings.schema, self.account_id)
        self.ledger = Ledger(self.people, self.account_id)
        await self.ledger.when_ready()
        self.trader = Trader(
            client=self.people,
            trading_account_id=self.account_id,
            ticker=TICKER,
            best=self.best,
            held=self.held,
        )
        source = UidSource(
            self.service.session("uid_service"),
            clock=self.service.clock,
            tasks=self.service.tasks,
            metrics=self.service.metrics,
        )
        source.start()
        await source.when_ready()
        self.numberer = Numberer(source)
        self.addCleanup(self.trader.abandon)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.numberer.stop()))
        self.numberer.start()
        self.trader.start()
        await until(lambda: len(self.trader.acknowledged) > 10, SETTLED_SECONDS, "the first orders")

    async def follow_market(self) -> None:
        """Follow trades and quotes, losing nothing, and candles."""
        self.live: dict[RecordType, Counted] = defaultdict(Counted)
        await self.markets.ready(self.markets.deployment.market_data_service)
        for record_type in (RecordType.TRADE, RecordType.BBO):
            self.markets.market_data.subscribe(record_type, self.number, self.live[record_type])
            await self.live[record_type].began
        await self.markets.ready("charting_service")
        self.candles = Counted()
        self.candle_topic = CandleTopic(instrument_id=self.number, interval=MINUTE)
        self.markets.charting.follow(self.candle_topic, self.candles)

    async def start_feed(self) -> None:
        """Replay the morning as fast as possible, then go on at a speed."""
        replay = {"path": self.tape.ticks, "date": DAY.isoformat(), "symbols": [SYMBOL]}
        self.instance.configure(FEED, "replay", **replay, until="09:35")
        await self.in_thread(self.instance.start, [FEED])
        while not (await self.feed("progress"))["paused"]:
            await pause(0.1)
        await self.feed("speed", factor=SPEED)
        await self.feed("resume")
        self.instance.configure(FEED, "replay", speed=SPEED, until=None)

    async def feed(self, verb: str, **arguments: object) -> dict[str, Any]:
        """Ask the feed's admin endpoint."""

        def asking() -> Any:
            return ask(self.instance.layout.admin(FEED), verb, timeout_seconds=20.0, **arguments)

        answer: dict[str, Any] = await self.in_thread(asking)
        return answer

    def best(self) -> tuple[int, int] | None:
        """Return the best bid and offer that the trader's screen shows."""
        parts = self.live[RecordType.BBO].parts
        if not parts:
            return None
        last = parts[-1][-1]
        if not last["present"] & Present.BID or not last["present"] & Present.ASK:
            return None
        return int(last["bid"]), int(last["ask"])

    def held(self) -> int:
        """Return the position."""
        position = self.ledger.portfolio.positions.get(self.number)
        return 0 if position is None else position.quantity

    async def settle_feed(self) -> int:
        """Wait until everything that the paused feed sent is here; return its position."""
        while True:
            progress = await self.feed("progress")
            if progress["sent"] == progress["accepted"]:
                break
            await pause(0.1)
        position = int(progress["accepted"])
        await until(
            lambda: sum(collector.received for collector in self.live.values()) >= position,
            SETTLED_SECONDS,
            f"{position} records live",
        )
        return position

    async def until_stored(self) -> None:
        """Wait until MySQL holds the whole activity."""
        deadline = monotonic() + STORED_SECONDS
        while await self.in_thread(self.stored.reached) < self.ledger.events[-1].sequence:
            self.assertLess(monotonic(), deadline, "the writer has not caught up")
            await pause(0.1)
