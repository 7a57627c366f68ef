"""Every server, the feed and the database are killed one after another under one load: nothing is lost or doubled."""

from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

import numpy as np
from twisted.internet.defer import Deferred, gatherResults

from spire.client.platform import Spire
from spire.compliance.rules import describe
from spire.compliance.values import RuleDraft
from spire.execution.values import Activity, OrderRequest
from spire.marketdata.values import RecordType, topic_of
from spire.series.query import Query
from spire.uid.client import MARK
from spire.values.orders import ExecType, OrderType, Side, Status, TimeInForce
from spire.values.risk import RuleState
from spire.wire.errors import Refused
from tests.system.case import SystemTestCase
from tests.system.desk import Violations
from tests.system.load import FAR, LOT, Ledger, pause, persist, until
from tests.system.loaded import DAY, FEED, SYMBOL, TICKER, Counted, LoadedTestCase
from tests.system.stored import facts_of, repeated
from tests.system.waiting import until as holds

KILLED = (*SystemTestCase.servers, FEED, "database")
RECOVERY_SECONDS = 10.0
AT_ONCE_SECONDS = 2.0
LONGEST_SECONDS = 30.0
"""How long a recovery is measured before the test gives up."""
HONEST_REFUSALS = {
    "STORE_DOWN", "NOT_ROUTED", "QUOTE_STALE", "QUOTE_MISSING", "QUOTE_CROSSED", "SHORT_REQUIRED", "RISK_UNSUPERVISED",
}  # fmt: skip


class FailuresTests(LoadedTestCase):
    """One run, one load, twelve kills, and a database that stays away."""

    async def test_whatever_is_killed_nothing_acknowledged_is_lost_or_doubled(self) -> None:
        """Clients come back within 10 s, cancels and fills go on without a database, and all books agree at the end."""
        await self.begin()
        await self.control()
        for name in KILLED:
            await self.kill_and_watch(name)
        await self.trader.stop()
        await self.feed("pause")
        await self.without_a_database()
        await self.with_the_journal_alone()
        await self.numberer.stop()
        await self.check_orders()
        await self.check_controls()
        await self.check_market_data()
        self.check_ids()

    async def control(self) -> None:
        """Put a passive rule on the account that each of its orders breaks, and follow the violations as its trader."""
        self.administrator = await self.client("administrator")
        await self.administrator.ready("compliance_service")
        parameters = describe({"quantity": "1"})
        draft = RuleDraft(
            entry_id=self.account_id, schema="max_quantity", parameters=parameters, state=RuleState.PASSIVE
        )
        self.rule = await self.administrator.compliance.add_rule(draft, "every order is seen")
        await self.people.ready("compliance_service")
        self.violations = Violations()
        self.people.compliance.follow_violations(self.account_id, self.violations, after=0)
        await until(lambda: bool(self.violations.found), LONGEST_SECONDS, "the first violation")

    # Kills

    async def kill_and_watch(self, name: str) -> None:
        """Kill one process, start it again, and time how long each client takes to be well again after that."""
        self.assertTrue(await self.in_thread(self.instance.kill, name), f"{name} did not run")
        if name == "database":
            await self.in_thread(self.instance.start_database)
        else:
            await self.in_thread(self.instance.start, [name])
        took = await self.recovery()
        slow = {what: seconds for what, seconds in took.items() if seconds > RECOVERY_SECONDS}
        self.assertEqual(slow, {}, f"after {name} was killed")

    async def recovery(self) -> dict[str, float]:
        """Return how many seconds pass until each kind of client does its work."""
        began = monotonic()
        checks: dict[str, Callable[[], Coroutine[Deferred[Any], Any, None]]] = {
            "login": self.can_log_in,
            "ids": self.can_refill,
            "definitions": self.can_define,
            "market data": self.can_see,
            "candles": self.can_chart,
            "orders": self.can_trade,
            "limits": self.can_read_limits,
            "violations": self.can_see_violations,
            "profit": self.can_see_profit,
        }

        async def timed(check: Callable[[], Coroutine[Deferred[Any], Any, None]]) -> float:
            await check()
            return monotonic() - began

        took = await gatherResults([Deferred.fromCoroutine(timed(check)) for check in checks.values()])
        return dict(zip(checks, took, strict=True))

    async def can_log_in(self) -> None:
        """Wait until everybody has a session with the Locator, and a newcomer can log in."""
        for client in (self.markets, self.people, self.service):
            await client.link.session.when_ready(LONGEST_SECONDS)
        newcomer = await persist(lambda: self.client("demo_trader"))
        self._clients.remove(newcomer)
        await newcomer.close()

    async def can_refill(self) -> None:
        """Use ids up to the mark, and wait for the next block."""
        source = self.numberer.source
        while source.in_hand >= MARK:
            self.numberer.take(100)
        await until(lambda: source.in_hand >= MARK, LONGEST_SECONDS, "more ids")

    async def can_define(self) -> None:
        """Wait until reference data is followed again."""
        await until(lambda: self.definitions.is_live, LONGEST_SECONDS, "definitions are followed")
        self.assertEqual(self.definitions.instruments.by_ticker(TICKER).instrument_id, self.number)

    async def can_see(self) -> None:
        """Wait for further trades and quotes."""
        for record_type, collector in tuple(self.live.items()):
            await more(collector, record_type.name)

    async def can_chart(self) -> None:
        """Ask for a candle, and wait for one that changes."""
        found = await persist(lambda: self.markets.charting.candles(self.candle_topic, limit=1))
        self.assertEqual(len(found.records), 1)
        await more(self.candles, "candles")

    async def can_trade(self) -> None:
        """Wait for an opening order to be acknowledged, and to be seen on the activity."""

        async def accepted() -> int:
            while True:
                quote = self.best()
                assert quote is not None
                request = self.trader.order(Side.BUY, OrderType.LIMIT, quote[0] - FAR, TimeInForce.DAY)
                view = await self.trader.submit(request)
                if view is not None:
                    return view.order_id

        order_id = await accepted()
        await until(lambda: ExecType.NEW in self.ledger.executions(order_id), LONGEST_SECONDS, "its report")
        await self.trader.cancel(order_id)

    async def can_read_limits(self) -> None:
        """Ask for the account's limits."""
        standing = await persist(lambda: self.people.administration.standing(self.account_id))
        self.assertIsNotNone(standing.limits)

    async def can_see_violations(self) -> None:
        """Wait for one more violation: the trader never rests."""
        before = len(self.violations.found)
        await until(lambda: len(self.violations.found) > before, LONGEST_SECONDS, "more violations")

    async def can_see_profit(self) -> None:
        """Wait until Risk watches the account."""
        while (await persist(lambda: self.people.risk.load(self.account_id)))[0].is_blind:
            await pause(0.1)

    # Without a database

    async def without_a_database(self) -> None:
        """Check that a cancel works within 1 s, an opening order gets STORE_DOWN, a fill counts at once and is stored later."""
        await self.settle_feed()
        quote = self.best()
        assert quote is not None
        limit, steps = self.next_better_ask(quote[1])
        resting = await self.resting(quote[0] - FAR)
        filling = await self.resting(limit)
        await self.in_thread(self.instance.database.stop)
        began = monotonic()
        canceled = await self.people.orders.cancel(resting)
        self.assertLess(monotonic() - began, 1.0)
        self.assertEqual(canceled.status, Status.CANCELED)
        self.trader.canceled.add(resting)
        await self.check_store_down(quote[0] - FAR)
        held = self.held()
        await self.feed("step", count=steps)
        await until(lambda: self.held() == held + LOT, AT_ONCE_SECONDS, "the fill is in the position")
        self.assertEqual(self.ledger.executions(filling), [ExecType.NEW, ExecType.TRADE])
        await self.in_thread(self.instance.start_database)
        await self.until_stored()
        fills = [row for row in (await self.in_thread(self.stored.facts)).reports if row[3] == filling]
        self.assertEqual([ExecType(row[5]) for row in fills], [ExecType.NEW, ExecType.TRADE])

    async def with_the_journal_alone(self) -> None:
        """Check that a cancel that only the journal knows outlives Order Execution too."""
        quote = self.best()
        assert quote is not None
        resting = await self.resting(quote[0] - FAR)
        await self.in_thread(self.instance.kill, "database")
        await self.trader.cancel(resting)
        self.assertIn(resting, self.trader.canceled)
        await self.in_thread(self.instance.kill, "order-execution")
        await self.in_thread(self.instance.start, ["order-execution"])
        await self.people.ready("order_execution_service", RECOVERY_SECONDS)
        self.assertEqual(self.ledger.executions(resting), [ExecType.NEW, ExecType.CANCELED])

    async def resting(self, limit: int) -> int:
        """Return an order that is acknowledged, rests, and is stored."""
        view = await self.trader.submit(self.trader.order(Side.BUY, OrderType.LIMIT, limit, TimeInForce.DAY))
        assert view is not None
        number = view.order_id
        await until(lambda: self.ledger.executions(number) == [ExecType.NEW], RECOVERY_SECONDS, "it rests")
        return number

    async def check_store_down(self, limit: int) -> None:
        """Submit an opening order that MySQL cannot take."""
        request = self.trader.order(Side.BUY, OrderType.LIMIT, limit, TimeInForce.DAY)
        began = monotonic()
        refused = await self.assertFailure(self.submit(request), Refused)
        self.assertEqual(refused.coded, "STORE_DOWN")
        self.assertLess(monotonic() - began, 3.0)
        self.trader.refused[request.client_order_id] = refused.coded

    def submit(self, request: OrderRequest) -> Deferred[Any]:
        """Submit once."""
        return Deferred.fromCoroutine(self.people.orders.submit(request))

    def next_better_ask(self, ask: int) -> tuple[int, int]:
        """Return the next lower offer that the tape brings, and how many records to step in order to have it."""
        quotes, trades = self.tape.quotes(SYMBOL, DAY), self.tape.trades(SYMBOL, DAY)
        shown, printed = self.live[RecordType.BBO].received, self.live[RecordType.TRADE].received
        better = next(
            index
            for index, quote in enumerate(quotes)
            if index >= shown
            and quote.ask is not None
            and quote.bid is not None
            and quote.bid <= quote.ask < ask // 10_000 * 10_000
            and (quote.ask_size or 0) >= LOT
            and quote.ask % 10_000 == 0
        )
        time = quotes[better].time
        between = sum(1 for trade in trades[printed:] if trade.time <= time)
        same = sum(1 for quote in quotes[better:] if quote.time == time)
        limit = quotes[better].ask
        assert limit is not None
        return limit, better - shown + same + between

    # Nothing lost, nothing doubled

    async def check_orders(self) -> None:
        """Check that a client that was there, one that comes now and MySQL tell the same, promises included."""
        await self.until_stored()
        events = list(self.ledger.events)
        self.assertEqual(self.ledger.resets, [0], "the activity went on through all of it")
        self.assertEqual([event.sequence for event in events], list(range(1, len(events) + 1)))
        late = await self.client("demo_trader")
        await late.ready("order_execution_service")
        afresh = Ledger(late, self.account_id)
        await afresh.when_ready()
        self.assertEqual(afresh.events, events)
        facts = await self.in_thread(self.stored.facts)
        self.assertEqual(facts, facts_of(events))
        self.check_promises(events)
        await self.check_history(late, events)
        await self.check_positions(events)

    def check_promises(self, events: list[Activity]) -> None:
        """Check that what was acknowledged is there once, and what was refused never traded."""
        submissions = [event.submission for event in events if event.submission is not None]
        self.assertEqual(repeated([each.client_order_id for each in submissions]), [])
        found = {each.client_order_id: each.order_id for each in submissions}
        promised = self.trader.acknowledged
        self.assertEqual({name: found.get(name) for name in promised}, promised)
        self.assertEqual(set(found), set(promised) | set(self.trader.refused))
        self.assertLessEqual(set(self.trader.refused.values()), HONEST_REFUSALS)
        self.assertGreater(len(promised), 100)
        ended = self.ledger.statuses()
        self.assertEqual({ended[number] for number in self.trader.canceled}, {Status.CANCELED})
        refused = [found[name] for name in self.trader.refused]
        self.assertEqual({ended[number] for number in refused} - {Status.REJECTED}, set())

    async def check_history(self, client: Spire, events: list[Activity]) -> None:
        """Check that order history and MySQL hold every order once, as its reports leave it, the reports dense."""
        reports = defaultdict(list)
        for event in events:
            if event.report is not None:
                reports[event.report.order_id].append(event.report)
        for number, each in reports.items():
            self.assertEqual([report.sequence for report in each], list(range(1, len(each) + 1)), number)
        last = sorted(
            (n, each[-1].status, each[-1].cumulative, each[-1].leaves, len(each)) for n, each in reports.items()
        )
        history = await client.orders.orders(self.account_id)
        self.assertEqual([(v.order_id, v.status, v.cumulative, v.leaves, v.reports) for v in history], last)
        self.assertEqual(await self.in_thread(self.stored.orders), last)

    async def check_positions(self, events: list[Activity]) -> None:
        """Check that the postings sum up to the position, everywhere."""
        postings = [event.posting for event in events if event.posting is not None]
        fills = [event.report for event in events if event.report is not None and event.report.last_quantity]
        self.assertEqual([each.report_id for each in postings], [each.report_id for each in fills])
        position = self.ledger.portfolio.positions[self.number]
        self.assertEqual(position.quantity, sum(each.quantity for each in postings))
        self.assertEqual(position.realised - position.cost, sum(each.amount for each in postings))
        row = (self.number, position.quantity, position.cost, position.realised, position.fees)
        self.assertEqual(await self.in_thread(self.stored.positions), [row])

    async def check_controls(self) -> None:
        """Check that each violation reached everybody once, in order, and that Risk counts as the ledger does."""
        reported = await self.in_thread(self.stored.violations, "execution")
        wanted = {number for number in self.trader.acknowledged.values() if number > self.violations.found[0].order_id}
        self.assertLessEqual(wanted, {row[2] for row in reported})
        self.assertEqual(repeated([row[2] for row in reported]), [])
        await until(lambda: len(self.violations.found) >= len(reported), LONGEST_SECONDS, "every violation")
        found = [(each.epoch, each.sequence, each.order_id) for each in self.violations.found]
        self.assertEqual(found, reported)
        self.assertEqual(await self.in_thread(self.stored.violations, "compliance"), reported)
        position = self.ledger.portfolio.positions[self.number]
        held = (position.quantity, position.cost, position.realised, position.fees)

        async def counted() -> bool:
            _, positions = await self.people.risk.load(self.account_id)
            return [(p.quantity, p.cost, p.realised, p.fees) for p in positions] == [held]

        await holds(counted, seconds=LONGEST_SECONDS)

    async def check_market_data(self) -> None:
        """Check that live and stored trades and quotes are those of the tape up to where the feed stands."""
        position = await self.settle_feed()
        live = {record_type: collector.records for record_type, collector in self.live.items()}
        self.assertEqual(sum(map(len, live.values())), position)
        for record_type, records in live.items():
            collector = self.live[record_type]
            self.assertEqual((collector.resets, collector.errors), ([0], []))
            np.testing.assert_array_equal(records["sequence"], np.arange(1, len(records) + 1))
            history = await self.markets.market_data.load(Query(topic=topic_of(record_type, self.number)))
            self.assertEqual(history.records.tobytes(), records.tobytes())
        trades = live[RecordType.TRADE]
        printed = self.tape.trades(SYMBOL, DAY)[: len(trades)]
        columns = ("source_time", "price", "size", "conditions")
        self.assertEqual(trades[list(columns)].tolist(), [(t.time, t.price, t.size, t.conditions) for t in printed])
        quotes = live[RecordType.BBO]
        shown = self.tape.quotes(SYMBOL, DAY)[: len(quotes)]
        sides = ("source_time", "bid", "bid_size", "ask", "ask_size")
        self.assertEqual(
            quotes[list(sides)].tolist(),
            [(q.time, q.bid or 0, q.bid_size or 0, q.ask or 0, q.ask_size or 0) for q in shown],
        )

    def check_ids(self) -> None:
        """Check that no id was given out twice, to whomever, and that they never ran dry."""
        self.assertEqual(self.numberer.dry, 0)
        used = Counter(self.numberer.drawn)
        for event in self.ledger.events:
            if event.submission is not None:
                used[event.submission.order_id] += 1
            if event.report is not None:
                used[event.report.report_id] += 1
            if event.posting is not None:
                used[event.posting.posting_id] += 1
        self.assertEqual([number for number, times in used.items() if times > 1], [])


async def more(collector: Counted, what: str) -> None:
    """Wait for further records."""
    before = collector.received
    await until(lambda: collector.received > before, LONGEST_SECONDS, f"more {what}")
