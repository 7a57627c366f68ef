"""A trader against a replayed day: every fill, position and profit is worked out a second time from the file."""

import json
import random
from datetime import date
from typing import Any

from attrs import evolve

from spire.accounting.portfolio import Portfolio
from spire.client.platform import Spire
from spire.client.positions import ActivityLedger
from spire.execution.values import OrderRequest, OrderScope, OrderView
from spire.marketdata.values import RecordType, topic_of
from spire.series.query import LimitFrom, Query
from spire.values.amounts import Money, Price, Quantity, whole
from spire.values.orders import ExecType, OrderType, Side, Status, TimeInForce, TradingSession
from spire.values.time import Timestamp, at_local
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, Refused, SpireError, Unsupported
from tests.system import tape
from tests.system.case import SystemTestCase
from tests.system.fill_rule import FillRule
from tests.system.stepped import Stepped, open_replay
from tests.system.waiting import until

FIRST_DAY = date(2013, 10, 8)
DAY = date(2013, 10, 7)
ZONE = "America/New_York"
CENT = 10_000
SHARE = 1_000_000
SEED = 7_10_2013


def new_york(hour: int, minute: int, second: int = 0) -> Timestamp:
    """Return a time of 7 October 2013."""
    return at_local(DAY, ((hour * 60 + minute) * 60 + second) * 10**9, ZONE)


WINDOWS = {
    TradingSession.REGULAR: (new_york(9, 30), new_york(16, 0)),
    TradingSession.EXTENDED: (new_york(4, 0), new_york(20, 0)),
}


class TradingTests(SystemTestCase):
    """One trader, one stepped replay of BAC, and a second opinion on everything."""

    async def test_fills_positions_and_profit_are_those_of_the_file(self) -> None:
        """Orders fill against the quotes that the rule names, at its prices and sizes, and the ledger sums up."""
        await self.open_market()
        await self.trade_before_the_open()
        await self.trade_by_hand()
        await self.trade_at_random(rounds=25)
        await self.check_fills()
        await self.check_ledger()
        await self.check_refusals()
        await self.check_cancels()
        await self.check_repeats()
        await self.check_ledger()

    # The market

    async def open_market(self) -> None:
        """Begin one feed session of 8 October and leave it; then step through 7 October in a second one."""
        self.tape = await self.in_thread(tape.open_tape, self._folder)
        self.quotes = self.tape.quotes("BAC", DAY)
        self.trader = await self.client("demo_trader")
        definitions = await self.trader.definitions_ready()
        self.bac = definitions.instruments.by_ticker("BAC.XNYS").instrument_id
        earlier = await self.client("replay_feed")
        first = await self.replay(earlier, FIRST_DAY)
        await first.step(3_000)
        await first.stop()
        await earlier.close()
        await self.trader.ready(self.trader.deployment.market_data_service)
        self.before = (await self.trader.market_data.snapshot(self.bac)).bbo_through
        self.assertGreater(self.before, 0)
        self.feed = await self.replay(await self.client("replay_feed"), DAY)
        self.addCleanup(lambda: self.as_deferred(self.feed.stop()))
        self.shown = 0
        self.rule = FillRule()
        await self.trader.ready("order_execution_service")
        self.account = await self.trader.orders.trading_account("demo_trader")
        await self.raise_limits()
        self.probes: set[int] = set()

    async def advance(self, *, to: Timestamp | None = None, records: int = 0) -> None:
        """Send more of the day, show the rule the same quotes, and wait until Order Execution has seen the last one."""
        if to is not None:
            await self.feed.run_to(to)
        else:
            await self.feed.step(records)
        seen = (await self.trader.market_data.snapshot(self.bac)).bbo_through - self.before
        for index in range(self.shown, seen):
            self.rule.quote(index, self.quotes[index])
        self.shown = seen
        await until(self.execution_has_seen, seconds=20)

    async def execution_has_seen(self) -> bool:
        """Ask with an order that nothing can fill which quote a decision is made on."""
        view = await self.trader.orders.submit(
            self.request(Side.BUY, 1, limit=CENT, tif=TimeInForce.IOC, session=TradingSession.EXTENDED)
        )
        self.probes.add(view.order_id)
        return view.submission.decision.quote_sequence == self.before + self.shown

    async def raise_limits(self) -> None:
        """Give the account the buying power for everything that is displayed, and let it lose."""
        administrator = await self.client("administrator")
        await administrator.ready("administration_service")
        number = self.account.trading_account_id
        standing = await administrator.administration.standing(number)
        assert standing.limits is not None
        terms = evolve(standing.limits.terms, buying_power=Money(whole(100_000_000)), net_loss=Money(whole(10_000_000)))
        await administrator.administration.set_limits(
            number, terms, expected_version=standing.limits.version, reason="the test trades all that is displayed"
        )

    async def replay(self, client: Spire, day: date) -> Stepped:
        """Open a paused replay of BAC."""
        return await open_replay(client, self.tape.ticks, day, self.in_thread, symbols=("BAC",))

    # Orders

    def request(
        self,
        side: Side,
        shares: int,
        *,
        limit: int | None = None,
        tif: TimeInForce = TimeInForce.DAY,
        session: TradingSession = TradingSession.REGULAR,
        ticker: str = "BAC.XNYS",
        client_order_id: str = "",
        **more: Any,
    ) -> OrderRequest:
        """Return an order of so many shares at a limit in millionths."""
        return OrderRequest(
            client_order_id=client_order_id,
            trading_account_id=self.account.trading_account_id,
            ticker=ticker,
            side=side,
            type=OrderType.MARKET if limit is None else OrderType.LIMIT,
            quantity=Quantity(whole(shares)),
            limit_price=None if limit is None else Price(limit),
            time_in_force=tif,
            trading_session=session,
            **more,
        )

    async def order(
        self,
        side: Side,
        shares: int,
        *,
        limit: int | None = None,
        tif: TimeInForce = TimeInForce.DAY,
        session: TradingSession = TradingSession.REGULAR,
    ) -> OrderView:
        """Submit an order, and bring the same to the rule."""
        view = await self.trader.orders.submit(self.request(side, shares, limit=limit, tif=tif, session=session))
        self.assertEqual(view.submission.decision.quote_sequence, self.before + self.shown)
        self.rule.submit(
            str(view.order_id),
            buys=side is Side.BUY,
            size=shares * SHARE,
            limit=limit,
            time_in_force=tif.name,
            session=WINDOWS[session],
        )
        return view

    def can_sell(self) -> int:
        """Return how many shares are held beyond what is pending to be sold, by the rule's own account."""
        return (held(self.rule, self.buys) - self.rule.leaves(buys=False)) // SHARE

    @property
    def buys(self) -> dict[str, bool]:
        """Which of the orders so far buy, by name."""
        return {view.name: view.is_buy for view in self.known}

    async def trade_before_the_open(self) -> None:
        """Orders name their session: one for the regular session waits for it, one for the extended does not."""
        self.known: list[Known] = []
        await self.advance(to=new_york(8, 30))
        ask = self.ask()
        await self.buy(300, session=TradingSession.EXTENDED)
        await self.buy(200, limit=ask + 5 * CENT)
        await self.buy(400, limit=ask - 2 * CENT, session=TradingSession.EXTENDED)
        await self.advance(to=new_york(9, 31))

    async def trade_by_hand(self) -> None:
        """Take more than is displayed, rest on both sides, and try IOC and FOK at the displayed size and beyond."""
        shown = self.rule.left(buys=True) // SHARE
        await self.buy(shown + 700)
        await self.buy(500, limit=self.bid())
        await self.buy(500, limit=self.bid() - CENT)
        await self.advance(records=40)
        await self.sell(200)
        await self.sell(300, limit=self.ask())
        await self.sell(100, limit=self.ask() + CENT)
        await self.advance(records=40)
        left = self.rule.left(buys=True) // SHARE
        await self.buy(left + 100, limit=self.ask(), tif=TimeInForce.FOK)
        await self.buy(max(1, left // 2), limit=self.ask(), tif=TimeInForce.FOK)
        await self.buy(left + 100, limit=self.ask(), tif=TimeInForce.IOC)
        await self.advance(records=400)

    async def trade_at_random(self, rounds: int) -> None:
        """Submit some forty seeded orders of every kind, a few cancels, and the market in between."""
        source = random.Random(SEED)
        for _ in range(rounds):
            for _ in range(source.randrange(1, 3)):
                await self.random_order(source)
            if source.random() < 0.3:
                await self.cancel_one(source)
            await self.advance(records=source.choice((1, 5, 60, 500)))

    async def random_order(self, source: random.Random) -> None:
        """Submit one order that the account may submit."""
        tif = source.choice((TimeInForce.DAY, TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK))
        shares = source.randrange(1, 15) * 100
        sellable = self.can_sell()
        offset = source.choice((-2, -1, 0, 0, 1))
        if source.random() < 0.5 and sellable > 0:
            limit = None if source.random() < 0.3 else self.ask() - offset * CENT
            await self.sell(min(shares, sellable), limit=limit, tif=tif)
        else:
            limit = None if source.random() < 0.3 else self.bid() + offset * CENT
            await self.buy(shares, limit=limit, tif=tif)

    async def cancel_one(self, source: random.Random) -> None:
        """Cancel an order that rests, at the venue and in the rule."""
        resting = [known for known in self.known if self.rule.is_resting(known.name)]
        if resting:
            chosen = source.choice(resting)
            await self.trader.orders.cancel(int(chosen.name))
            self.rule.cancel(chosen.name)

    async def buy(self, shares: int, **terms: Any) -> OrderView:
        """Buy, and remember it."""
        view = await self.order(Side.BUY, shares, **terms)
        self.known.append(Known(str(view.order_id), is_buy=True))
        return view

    async def sell(self, shares: int, **terms: Any) -> OrderView:
        """Sell, and remember it."""
        view = await self.order(Side.SELL, shares, **terms)
        self.known.append(Known(str(view.order_id), is_buy=False))
        return view

    def bid(self) -> int:
        """Return the best bid."""
        price = self.rule.shown.bid
        assert price is not None
        return price

    def ask(self) -> int:
        """Return the best offer."""
        price = self.rule.shown.ask
        assert price is not None
        return price

    # The second opinion

    async def ledger(self) -> ActivityLedger:
        """Return the trading account's whole activity."""
        ledger = ActivityLedger(self.trader.orders, self.account.trading_account_id)
        await ledger.when_ready()
        ledger.close()
        return ledger

    async def check_fills(self) -> None:
        """Each order was filled by the quotes that the rule names, at its prices and sizes, in its order."""
        await until(self.all_is_reported, seconds=20)
        ledger = await self.ledger()
        reports = [event.report for event in ledger.events if event.report is not None]
        found = [
            (report.order_id, report.quote_sequence, report.last_price, report.last_quantity)
            for report in reports
            if report.exec_type is ExecType.TRADE
        ]
        wanted = [(int(fill.order), self.before + fill.quote + 1, fill.price, fill.size) for fill in self.rule.fills]
        self.assertGreater(len(wanted), 20)
        self.assertEqual(found, wanted)
        self.assertEqual([event.sequence for event in ledger.events], list(range(1, len(ledger.events) + 1)))
        canceled = {str(r.order_id) for r in reports if r.exec_type is ExecType.CANCELED} - set(map(str, self.probes))
        self.assertEqual(canceled, self.rule.canceled)
        bbos = await self.trader.market_data.load(
            Query(topic=topic_of(RecordType.BBO, self.bac), limit=1, limit_from=LimitFrom.TAIL)
        )
        self.assertEqual(int(bbos.records["sequence"][0]), self.before + self.shown)

    async def all_is_reported(self) -> bool:
        """Whether Order Execution has reported everything that the rule expects."""
        views = await self.trader.orders.orders(self.account.trading_account_id)
        filled = {str(view.order_id): int(view.cumulative) for view in views}
        return all(filled.get(known.name) == self.rule.filled(known.name) for known in self.known)

    async def check_ledger(self) -> None:
        """Positions, realised and unrealised profit equal the file's fills to the last micro-unit, in the command too."""
        ledger = await self.ledger()
        quantity, cost, realised = average_cost(
            [(fill.price, fill.size if self.buys[fill.order] else -fill.size) for fill in self.rule.fills]
        )
        position = position_of(ledger.portfolio, self.bac)
        self.assertEqual((position.quantity, position.cost, position.realised), (quantity, cost, realised))
        mark = self.bid() if quantity > 0 else None
        wanted = None if mark is None else mark * quantity // SHARE - cost
        await self.spire("login", "demo_trader", "--password-file", str(self.instance.layout.secret("demo_trader")))
        (row,) = [json.loads(line) for line in (await self.spire("--json", "positions")).splitlines()]
        self.assertEqual(micros(row["quantity"]), quantity)
        self.assertEqual(micros(row["cost"]), cost)
        self.assertEqual(micros(row["realised"]), realised)
        self.assertEqual(None if row["unrealised"] is None else micros(row["unrealised"]), wanted)

    # What is refused

    async def check_refusals(self) -> None:
        """Each order that may not be is refused with its code and what broke the rule."""
        trader = self.trader
        beyond = await self.refused(Refused, trader, self.request(Side.BUY, 9_000_000, limit=self.bid()))
        self.assertEqual(beyond.coded, "BUYING_POWER")
        self.assertTrue(beyond.details["limit"] and beyond.details["observed"], beyond.details)
        off_tick = await self.refused(Refused, trader, self.request(Side.BUY, 100, limit=self.bid() + CENT // 2))
        self.assertEqual((off_tick.coded, off_tick.details["limit"]), ("OFF_TICK", "0.01"))
        short = await self.refused(Refused, trader, self.request(Side.SELL, self.can_sell() + 1, limit=self.ask()))
        self.assertEqual(short.coded, "SHORT_REQUIRED")
        await self.refused(NotFound, trader, self.request(Side.BUY, 100, ticker="NOPE.XNYS"))
        stranger = await self.client("demo_market_data")
        await stranger.ready("order_execution_service")
        await self.refused(Forbidden, stranger, self.request(Side.BUY, 100, limit=self.bid()))
        await self.refused(Invalid, trader, self.request(Side.BUY, -100, limit=self.bid()))
        await self.refused(Unsupported, trader, self.request(Side.SELL_SHORT, 100, limit=self.ask()))
        await self.refused(Unsupported, trader, self.request(Side.BUY, 100, limit=self.bid(), tif=TimeInForce.GTC))

    async def refused(self, kind: type[SpireError], client: Spire, request: OrderRequest) -> SpireError:
        """Submit, expect a refusal and return it."""
        error: SpireError = await self.assertFailure(self.as_deferred(client.orders.submit(request)), kind)
        return error

    async def check_cancels(self) -> None:
        """Check that a resting order is cancelled by its owner; a stranger's cancel changes nothing."""
        view = await self.trader.orders.submit(self.request(Side.BUY, 100, limit=self.bid() - 50 * CENT))
        stranger = await self.client("demo_market_data")
        await stranger.ready("order_execution_service")
        await self.assertFailure(self.as_deferred(stranger.orders.cancel(view.order_id)), Forbidden)
        live = await self.trader.orders.orders(self.account.trading_account_id, scope=OrderScope.LIVE)
        self.assertIn(view.order_id, [each.order_id for each in live])
        await self.trader.orders.cancel(view.order_id)

        async def is_canceled() -> bool:
            order = await self.trader.orders.order(self.account.trading_account_id, view.order_id)
            return order.status is Status.CANCELED

        await until(is_canceled, seconds=5)

    async def check_repeats(self) -> None:
        """Check that the same client order id is the same order; with other content it is a conflict."""
        limit = self.bid() - 50 * CENT
        first = await self.trader.orders.submit(self.request(Side.BUY, 100, limit=limit, client_order_id="once"))
        again = await self.trader.orders.submit(self.request(Side.BUY, 100, limit=limit, client_order_id="once"))
        self.assertEqual(again.order_id, first.order_id)
        found = await self.trader.orders.orders(self.account.trading_account_id, client_order_id="once")
        self.assertEqual([view.order_id for view in found], [first.order_id])
        other = self.request(Side.BUY, 200, limit=limit, client_order_id="once")
        await self.assertFailure(self.as_deferred(self.trader.orders.submit(other)), Conflict)
        await self.trader.orders.cancel(first.order_id)


class Known:
    """An order that the rule knows."""

    def __init__(self, name: str, *, is_buy: bool) -> None:
        self.name = name
        self.is_buy = is_buy


def held(rule: FillRule, buys: dict[str, bool]) -> int:
    """Return the position that the rule's fills lead to."""
    return sum(fill.size if buys[fill.order] else -fill.size for fill in rule.fills)


def average_cost(fills: list[tuple[int, int]]) -> tuple[int, int, int]:
    """Return (quantity, cost, realised) of signed fills that never go short, in millionths.

    A sale takes cost x sold / held, half to even; what remains stays.
    """
    quantity = cost = realised = 0
    for price, size in fills:
        amount = price * size // SHARE
        if size > 0:
            cost += amount
        else:
            numerator, denominator = cost * -size, quantity
            taken, rest = divmod(numerator, denominator)
            taken += rest * 2 > denominator or (rest * 2 == denominator and taken % 2 == 1)
            cost -= taken
            realised += -amount - taken
        quantity += size
    return quantity, cost, realised


def position_of(portfolio: Portfolio, instrument_id: int) -> Any:
    """Return the position, which must exist."""
    position = portfolio.position(instrument_id)
    assert position is not None
    return position


def micros(text: str) -> int:
    """Return a decimal string in millionths."""
    sign = -1 if text.startswith("-") else 1
    units, _, fraction = text.lstrip("-").partition(".")
    return sign * (int(units) * 10**6 + int(fraction.ljust(6, "0") or "0"))
