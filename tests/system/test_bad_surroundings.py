"""What real servers do when what they stand on is missing: no database at the start, no room under the journal."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from spire.client.platform import Spire
from spire.execution.values import OrderRequest, OrderView
from spire.marketdata.commands import FeedTerms, OpenFeedSession, PublishBatch
from spire.marketdata.values import Records, RecordType, Schedule, ServedMarket, empty, topic_of
from spire.operations.processes import Condition
from spire.series.query import Query
from spire.values.amounts import Price, Quantity
from spire.values.environment import FeedKind
from spire.values.orders import OrderType, Side, Status
from spire.wire.errors import Conflict, Refused
from tests.system.load import Ledger, pause, persist, until
from tests.system.shared import SharedInstanceTestCase
from tests.system.stored import Stored, facts_of

STORING = (
    "service-locator", "uid", "definitions", "administration", "market-data", "compliance", "order-execution", "risk",
)  # fmt: skip
FEED_SERVICE = "market_data_feed_service"
SLACK = 65_536
"""By how much a journal must exceed the log before the test bounds the size of files."""
BATCH = 300
LOT = Quantity(100 * 10**6)


class DatabaseTests(SharedInstanceTestCase):
    """No database at the start."""

    async def test_servers_wait_for_their_database_and_say_so(self) -> None:
        """Not ready, with the reason in `check`; ready without further ado once it is there."""
        self.restarts.update(STORING)
        for name in STORING:
            await self.in_thread(self.instance.kill, name)
        await self.in_thread(self.instance.database.stop)
        try:
            for name in STORING:
                self.instance.process(name).start()
            for name in STORING:
                await self.until_it_waits(name, "database")
            self.assertEqual([name for name in STORING if self.instance.process(name).is_ready], [])
        finally:
            await self.in_thread(self.instance.start)
        trader = await self.client("demo_trader")
        await trader.ready("order_execution_service", 30.0)
        self.assertEqual((await trader.orders.trading_account("demo_trader")).name, "demo_trader")

    async def until_it_waits(self, name: str, reason: str) -> None:
        """Wait until a server tells that it is starting, and what it waits for."""
        for _ in range(300):
            state = await self.in_thread(self.instance.process(name).state)
            if state.condition is Condition.STARTING and reason in state.reasons:
                return
            await pause(0.1)
        self.fail(f"{name} is {state.condition}: {dict(state.reasons)}")


class FullDiskTests(SharedInstanceTestCase):
    """No room under a journal.

    The system refuses to let the server's files grow (RLIMIT_FSIZE): of them all only the journal is so large.
    """

    async def test_batches_are_refused_until_there_is_room_and_none_is_lost(self) -> None:
        """JOURNAL_FULL; what was accepted before is there, also after a restart, and the same batch is taken later."""
        feed, reader = await self.client("replay_feed"), await self.client("demo_market_data")
        session = await feed.ready(FEED_SERVICE)
        definitions = await reader.definitions_ready()
        self.instrument = definitions.instruments.by_ticker("BAC.XNYS").instrument_id
        self.venue = definitions.venues.by_mic("XNYS").number
        opened = await session.call(OpenFeedSession, terms=self.terms(), keeps_book=True)
        number, first = opened["feed_session"], 1
        while not self.is_largest("market-data"):
            await session.call(PublishBatch, **self.batch(number, first))
            first += BATCH
        with self.full("market-data"):
            refused = await self.refused(session.call(PublishBatch, **self.batch(number, first)), Refused)
            self.assertEqual(refused.coded, "JOURNAL_FULL")
            await reader.ready(reader.deployment.market_data_service)
            await self.check_trades(reader, first - 1)
            self.assertTrue(session.is_ready)
        answer = await self.persist_batch(feed, number, first)
        self.assertEqual(answer["position"], first + BATCH - 1)
        await self.check_trades(reader, first + BATCH - 1)
        self.restarts.add("market-data")
        await self.in_thread(self.instance.kill, "market-data")
        await self.in_thread(self.instance.start, ["market-data"])
        await reader.ready(reader.deployment.market_data_service, 30.0)
        await self.check_trades(reader, first + BATCH - 1)

    async def test_orders_are_refused_until_there_is_room_and_none_is_lost(self) -> None:
        """STORE_DOWN, nothing recorded; the same client order id is taken later; all books agree, also after a restart."""
        trader = await self.client("demo_trader")
        await trader.ready("order_execution_service")
        self.account = (await trader.orders.trading_account("demo_trader")).trading_account_id
        ledger = Ledger(trader, self.account)
        await ledger.when_ready()
        resting = await self.until_open(trader)
        while not self.is_largest("order-execution"):
            await trader.orders.submit(self.order(trader))
        refused_request = self.order(trader)
        with self.full("order-execution"):
            refused = await self.refused(trader.orders.submit(refused_request), Refused)
            self.assertEqual(refused.coded, "STORE_DOWN")
            self.assertNotIn(refused_request.client_order_id, _client_order_ids(ledger))
        taken = await self.submit_again(trader, refused_request)
        self.assertEqual(taken.submission.client_order_id, refused_request.client_order_id)
        await self.cancel(trader, resting.order_id)
        await until(lambda: ledger.statuses().get(resting.order_id) is Status.CANCELED, 5.0, "the cancel is seen")
        self.assertEqual(len(_client_order_ids(ledger)), len(set(_client_order_ids(ledger))))
        self.restarts.add("order-execution")
        await self.in_thread(self.instance.kill, "order-execution")
        await self.in_thread(self.instance.start, ["order-execution"])
        await trader.ready("order_execution_service", 30.0)
        afresh = Ledger(await self.client("demo_trader"), self.account)
        await afresh.when_ready()
        await until(lambda: len(ledger.events) >= len(afresh.events), 5.0, "the live one is there too")
        self.assertEqual(afresh.events, ledger.events)
        stored = Stored(self.instance.database, self.instance.settings.schema, self.account)
        while await self.in_thread(stored.reached) < ledger.events[-1].sequence:
            await pause(0.1)
        self.assertEqual(await self.in_thread(stored.facts), facts_of(ledger.events))

    # The disk

    def journal(self, name: str) -> Path:
        """Return the file that a journal grows in."""
        return max((self.instance.layout.journals / name).glob("*.journal"))

    def is_largest(self, name: str) -> bool:
        """Return whether a server's journal is clearly larger than its log."""
        log = self.instance.layout.log(name).stat().st_size
        return self.journal(name).stat().st_size > log + SLACK

    @contextmanager
    def full(self, name: str) -> Iterator[None]:
        """Leave a server's journal room for a few bytes more, less than any group takes."""
        pid = self.instance.process(name).pid
        assert pid is not None
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (self.journal(name).stat().st_size + 40, before[1]))
        try:
            yield
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)

    # Market data

    def terms(self) -> FeedTerms:
        """Return the terms of a feed session for trades of the New York Stock Exchange."""
        return FeedTerms(
            name="a full disk",
            kind=FeedKind.REPLAY,
            trade_date="2013-10-07",
            schedule=Schedule.NORMAL,
            environment=self.environment,
            serves=(ServedMarket(venue=self.venue, record_type=RecordType.TRADE),),
        )

    def trades(self, first: int) -> Records:
        """Return the trades at these positions, each with a price and time of its own."""
        records = empty(RecordType.TRADE, BATCH)
        positions = np.arange(first, first + BATCH)
        records["instrument"], records["venue"] = self.instrument, self.venue
        records["source_time"] = 1_381_152_600 * 10**9 + positions
        records["price"], records["size"] = positions * 10**4, LOT
        return records

    def batch(self, feed_session: int, first: int) -> dict[str, Any]:
        """Return the arguments that publish the trades from `first` on."""
        return {
            "feed_session": feed_session,
            "first": first,
            "count": BATCH,
            "trades": self.trades(first).tobytes(),
        }

    async def persist_batch(self, feed: Spire, feed_session: int, first: int) -> dict[str, Any]:
        """Publish until there is room again."""
        session = feed.session(FEED_SERVICE)
        for _ in range(100):
            try:
                return await session.call(PublishBatch, **self.batch(feed_session, first))
            except Refused as error:
                self.assertEqual(error.coded, "JOURNAL_FULL")
                await pause(0.1)
        raise AssertionError("the journal stays full")

    async def check_trades(self, reader: Spire, count: int) -> None:
        """Check that history holds exactly the trades up to `count`."""
        query = Query(topic=topic_of(RecordType.TRADE, self.instrument))
        found = (await persist(lambda: reader.market_data.load(query))).records
        np.testing.assert_array_equal(found["sequence"], np.arange(1, count + 1))
        np.testing.assert_array_equal(found["price"], np.arange(1, count + 1) * 10**4)

    # Orders

    def order(self, trader: Spire) -> OrderRequest:
        """Return an order that rests far below the generated market."""
        return OrderRequest(
            client_order_id=trader.orders.client_order_id(),
            trading_account_id=self.account,
            ticker="ACME.DEMO",
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=Quantity(10**6),
            limit_price=Price(10**6),
        )

    async def until_open(self, trader: Spire) -> OrderView:
        """Return an order that rests, once the generated market can be traded."""
        for _ in range(200):
            try:
                return await trader.orders.submit(self.order(trader))
            except Refused as error:
                self.assertIn(error.coded, ("QUOTE_STALE", "QUOTE_MISSING"))
                await pause(0.1)
        raise AssertionError("there is no market")

    async def submit_again(self, trader: Spire, request: OrderRequest) -> OrderView:
        """Submit until there is room again."""
        for _ in range(100):
            try:
                return await trader.orders.submit(request)
            except Refused as error:
                self.assertEqual(error.coded, "STORE_DOWN")
                await pause(0.1)
        raise AssertionError("the journal stays full")

    async def cancel(self, trader: Spire, order_id: int) -> None:
        """Cancel an order that rests."""
        try:
            view = await persist(lambda: trader.orders.cancel(order_id))
        except Conflict as error:
            self.assertEqual(error.details["status"], "CANCELED")
        else:
            self.assertEqual(view.status, Status.CANCELED)


def _client_order_ids(ledger: Ledger) -> list[str]:
    return [event.submission.client_order_id for event in ledger.events if event.submission is not None]
