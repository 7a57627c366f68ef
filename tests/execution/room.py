"""Order Execution among the rooms that it needs, in one process: real taps, memory stores, one clock, a feed in the test's hand."""

import json
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.administration.values import RiskState
from spire.compliance.values import RuleDraft, RuleEntry
from spire.database.journal import JournalFull
from spire.execution import tap
from spire.execution.client import OrderExecutionClient
from spire.execution.values import (
    FIRM,
    HaltRequest,
    OrderRequest,
    OrderView,
    TradingAccountView,
)
from spire.feeds.client import FeedClient
from spire.marketdata.commands import FeedTerms
from spire.marketdata.values import BboKind, Present, Records, RecordType, Schedule, ServedMarket, empty
from spire.runtime.tasks import Tasks
from spire.service.parts import Parts
from spire.values.environment import Environment, FeedKind
from spire.values.orders import OrderType, Side
from spire.values.risk import HaltMode, HaltScope, RiskMode, RuleState
from spire.values.time import NANOSECONDS, Timestamp, parse_timestamp
from spire.wire.errors import SpireError
from tests.execution.followers import Follower, FragileStore
from tests.execution.rooms import LIMITS, SERVICE, rooms
from tests.marketdata.room import ProcessClock
from tests.values.examples import dollars, shares

__all__ = ["FOUR", "NINE_THIRTY", "SERVICE", "ExecutionRoomTestCase", "Follower"]
BAC = 1
XNYS = 8
NINE_THIRTY = parse_timestamp("2013-10-08T13:30:00Z")
FOUR = parse_timestamp("2013-10-08T20:00:00Z")


class ExecutionRoomTestCase(SynchronousTestCase):
    """Order Execution on a store and a journal of its own, a feed session of its own, and a trader."""

    feeds = 0

    def setUp(self) -> None:
        """Start the server, the feed and the trader's client, and show a quote."""
        self.rooms = rooms(self.mktemp())
        self.platform = self.rooms.platform
        self.clock = self.rooms.clock
        self.store = FragileStore()
        self.journal = Path(self.mktemp()).absolute()
        self.now = Timestamp(NINE_THIRTY + NANOSECONDS)
        self.feed = self.open_feed()
        self.show(14.00, 300, 14.02, 200)
        self._rules: dict[int, RuleEntry] = {}
        self.before_write: Any = lambda: None
        self.serve()
        self.is_supervised = True
        self.blind: tuple[int, ...] = ()
        self.through = 2**40
        self.risk = OrderExecutionClient(self.rooms.session(SERVICE, "risk_service"))
        self.addCleanup(lambda: self.platform.run(self.risk.session.stop()))
        self.platform.run(self.risk.session.when_ready())
        self.platform.run(self.risk.supervise(through=self.through))
        self.addCleanup(self.platform.parts().tasks.every("supervise", 1.0, self._supervise))
        self.client = self.trader("demo_trader")
        self.account: TradingAccountView = self.result(self.client.trading_account("demo_trader"))
        self.follower = Follower()
        self.client.follow(self.account.trading_account_id, self.follower)
        self.advance(0.1)
        self.numbers = 0

    async def _supervise(self) -> None:
        """Be the Risk Server's sign of life."""
        if self.is_supervised and self.risk.session.is_ready:
            with suppress(SpireError):
                await self.risk.supervise(self.blind, through=self.through)

    # The server

    def serve(self) -> None:
        """Start a server on what store and journal hold."""
        configuration = self.platform.configuration("order-execution")
        configuration = evolve(configuration, run=evolve(configuration.run, journal_directory=self.journal))
        self.process = ProcessClock(self.clock)
        parts = self.platform.parts()
        self.parts = Parts(
            clock=self.process,
            tasks=Tasks(self.process, parts.metrics),
            metrics=parts.metrics,
            connector=parts.connector,
            listener=parts.listener,
            run_in_thread=self.in_place,
            random_bytes=parts.random_bytes,
            open_database=parts.open_database,
        )
        self.room = tap.make_room(configuration, self.parts, store=self.store)
        self.platform.run(self.room.start())
        self.addCleanup(self.stop, self.room)

    def stop(self, room: Any) -> None:
        """Stop a server, unless it has crashed."""
        if room is self.room and not self.process.is_dead:
            self.platform.run(room.stop())

    def crash(self) -> None:
        """End the server as SIGKILL does: nothing is flushed, nobody is told."""
        self.platform.network.drop(SERVICE)
        self.platform.run(self._close())
        self.process.is_dead = True

    async def _close(self) -> None:
        """Free what the operating system would: the port, connections, the journal's lock."""
        children = {child.name: child for child in self.room.children}
        service = children["orders"].stop.__self__  # type: ignore[attr-defined] # the application service
        await _settled(children[f"port of {SERVICE}"].stop())
        await service._journal.close()
        await children["service_locator"].stop.__self__.session.stop()  # type: ignore[attr-defined] # no logout
        for upstream in (
            "uid_service",
            "definitions_service",
            "administration_service",
            "market_data_service",
            "compliance_service",
        ):
            await _settled(children[upstream].stop())

    async def in_place(self, function: Any, /, *arguments: Any) -> Any:
        """Do a thread's work at once, or what the test does instead."""
        self.before_write()
        return function(*arguments)

    def trader(self, account: str) -> OrderExecutionClient:
        """Return an account's client, ready."""
        session = self.rooms.session(SERVICE, account)
        self.addCleanup(lambda: self.platform.run(session.stop()))
        self.platform.run(session.when_ready())
        return OrderExecutionClient(session)

    # The market

    def open_feed(self, trade_date: str = "2013-10-08") -> FeedClient:
        """Open a feed session for the New York Stock Exchange; it ends the one before."""
        ExecutionRoomTestCase.feeds += 1
        session = self.rooms.session("market_data_feed_service", "replay_feed")
        self.platform.run(session.when_ready())
        parts = self.platform.parts()
        feed = FeedClient(
            session,
            FeedTerms(
                name=f"execution {ExecutionRoomTestCase.feeds}",
                kind=FeedKind.REPLAY,
                trade_date=trade_date,
                schedule=Schedule.NORMAL,
                environment=Environment.DEMO,
                serves=(ServedMarket(venue=XNYS, record_type=RecordType.BBO),),
            ),
            clock=parts.clock,
            tasks=parts.tasks,
        )
        self.platform.run(feed.start())
        self.is_ended = False

        def end() -> None:
            self.platform.run(feed.end() if feed is self.feed and not self.is_ended else feed.stop())
            self.platform.run(session.stop())

        self.addCleanup(end)
        return feed

    def show(self, bid: float | None, bid_size: int, ask: float | None, ask_size: int, *, seconds: float = 1.0) -> None:
        """Publish a quote, `seconds` of market time after the one before."""
        self.publish(self.quote(bid, bid_size, ask, ask_size, seconds=seconds))

    def quote(
        self, bid: float | None, bid_size: int, ask: float | None, ask_size: int, *, seconds: float = 1.0
    ) -> Records:
        """Return a quote, `seconds` of market time after the one before."""
        self.now = Timestamp(self.now + round(seconds * NANOSECONDS))
        record = empty(RecordType.BBO, 1)
        record["instrument"] = BAC
        record["venue"] = record["bid_venue"] = record["ask_venue"] = XNYS
        record["source_time"] = self.now
        record["kind"] = BboKind.NATIONAL
        for name, price, size, bit in (("bid", bid, bid_size, Present.BID), ("ask", ask, ask_size, Present.ASK)):
            if price is not None:
                record[name] = dollars(price)
                record[f"{name}_size"] = shares(size)
                record["present"] |= np.uint16(bit)
        return record

    def publish(self, *quotes: Records) -> None:
        """Publish quotes as one batch, and wait until they have arrived everywhere."""
        records = np.concatenate(quotes)
        self.platform.run(self.feed.publish({RecordType.BBO: records}, len(records)))
        self.platform.run(self.feed.flushed())
        self.advance(0.3)

    # Control

    def rule(
        self, place: str, schema: str, parameters: dict[str, Any], state: RuleState = RuleState.ACTIVE
    ) -> RuleEntry:
        """Put a rule on the entry at a path, until the test ends."""
        draft = RuleDraft(
            entry_id=self.rooms.path(place), schema=schema, parameters=json.dumps(parameters), state=state
        )
        rule: RuleEntry = self.result(self.rooms.compliance.add_rule(draft, "a test"))
        self._rules[rule.rule_id] = rule
        self.addCleanup(self.change_rule, rule, RuleState.DISABLED)
        self.advance(0.2)
        return rule

    def change_rule(self, rule: RuleEntry, state: RuleState) -> None:
        """Write another state of a rule."""
        known = self._rules[rule.rule_id]
        draft = RuleDraft(entry_id=rule.entry_id, schema=rule.schema, parameters=rule.parameters, state=state)
        self._rules[rule.rule_id] = self.result(
            self.rooms.compliance.change_rule(rule.rule_id, draft, expected_version=known.version, reason="a test")
        )
        self.advance(0.2)

    def no_room(self) -> None:
        """Write nothing: the disk is full."""
        raise JournalFull("no space left on device")

    def limits(self, **changes: Any) -> None:
        """Set other limits, until the test ends."""
        self.rooms.set_limits(evolve(LIMITS, **changes))
        self.addCleanup(self.rooms.set_limits, LIMITS)
        self.advance(0.2)

    def risk_state(self, mode: RiskMode) -> RiskState:
        """Write the account's risk state as Risk does, until the test ends."""
        state = self.rooms.set_risk_state(mode)
        self.addCleanup(self.rooms.set_risk_state, RiskMode.ACTIVE)
        self.advance(0.2)
        return state

    def everything_of_the_firm(self) -> "Follower":
        """Return all events of the firm, as a risk officer sees them who comes new."""
        follower = Follower()
        subscription = self.trader(self.rooms.officer("watching_officer")).follow(FIRM, follower, after=0)
        self.advance(0.5)
        subscription.close()
        return follower

    def halt(self, mode: HaltMode = HaltMode.NO_NEW, **changes: Any) -> HaltRequest:
        """Return the request of a halt of the firm."""
        fields: dict[str, Any] = {"scope": HaltScope.FIRM, "mode": mode, "reason": "something is wrong"}
        return HaltRequest(**(fields | changes))

    # Asking

    def request(self, side: Side, count: int, limit: float | None = None, **changes: Any) -> OrderRequest:
        """Return an order in BAC with a client order id of its own."""
        self.numbers += 1
        fields: dict[str, Any] = {
            "client_order_id": f"{self.id()[-40:]}-{self.numbers}",
            "trading_account_id": self.account.trading_account_id,
            "ticker": "BAC.XNYS",
            "side": side,
            "type": OrderType.MARKET if limit is None else OrderType.LIMIT,
            "quantity": shares(count),
            "limit_price": None if limit is None else dollars(limit),
        }
        return OrderRequest(**(fields | changes))

    def submit(self, side: Side, count: int, limit: float | None = None, **changes: Any) -> OrderView:
        """Submit an order that is taken, and let happen what follows."""
        view: OrderView = self.result(self.client.submit(self.request(side, count, limit, **changes)))
        self.advance(0.1)
        return view

    def refused(self, side: Side, count: int, limit: float | None = None, **changes: Any) -> SpireError:
        """Submit an order that is not taken."""
        error = self.refusal(self.client.submit(self.request(side, count, limit, **changes)))
        self.advance(0.1)
        return error

    def order(self, view: OrderView) -> OrderView:
        """Return an order as it stands now."""
        found: OrderView = self.result(self.client.order(self.account.trading_account_id, view.order_id))
        return found

    def result(self, work: Awaitable[Any]) -> Any:
        """Let time pass until a call is answered."""
        return self.platform.run(work)

    def refusal(self, work: Awaitable[Any]) -> SpireError:
        """Let time pass until a call is refused."""
        try:
            answer = self.platform.run(work)
        except SpireError as error:
            return error
        raise AssertionError(f"not refused: {answer}")

    def later(self, work: Any) -> "Deferred[Any]":
        """Begin a call without waiting for its answer."""
        return Deferred.fromCoroutine(work)

    def advance(self, seconds: float) -> None:
        """Let time pass in small steps."""
        for _ in range(round(seconds / 0.01)):
            self.platform.advance(0.01)


async def _settled(work: Any) -> None:
    if work is not None:
        await work
