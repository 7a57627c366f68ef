"""What both stores of Order Execution promise."""

from attrs import evolve

from spire.compliance.values import Violation
from spire.database.ordered_writer import WriterRow
from spire.execution.interfaces import IExecutionStore
from spire.execution.orders import Orders
from spire.execution.values import (
    FIRM,
    LONGEST_TEXT,
    MOST_TAGS,
    Activity,
    Halt,
    HeldHalts,
    OrderQuery,
    OrderScope,
    Refusal,
    Written,
)
from spire.values.amounts import INT64_MAX, Money, Quantity
from spire.values.audit import AuditEvent, AuditQuery
from spire.values.codes import Currency
from spire.values.environment import Environment
from spire.values.orders import Channel, ExecType, Liquidity, Side
from spire.values.report import Fee
from spire.values.risk import HaltAction, HaltMode, HaltScope, RuleState
from spire.values.submission import DecisionSnapshot
from spire.values.time import Timestamp
from tests.execution.examples import ACCOUNT, BAC, Teller, tell_of_the_firm
from tests.values.examples import dollars, make_posting, make_submission, shares

AUDIT = AuditEvent(
    event_id="0f" * 16,
    time=Timestamp(75),
    environment=Environment.DEMO,
    actor=5,
    actor_name="officer",
    on_behalf_of=6,
    session="s-1",
    channel=Channel.PORTAL,
    source="127.0.0.1:5",
    client_version="1.0",
    action="halt.set",
    entity="halt:1",
    entity_version=2,
    before="{}",
    after="\u00e9" * 4000,
    reason="why",
    outcome="FORBIDDEN",
    text="because",
    approval_id="a",
    correlation_id="c",
)
VIOLATION = Violation(
    sequence=0,
    epoch=0,
    time=Timestamp(76),
    environment=Environment.DEMO,
    trading_account_id=ACCOUNT,
    order_id=1,
    client_order_id="a-1",
    entered_by=3,
    instrument_id=BAC,
    side=Side.SELL,
    quantity=shares(100),
    rule_id=8,
    rule_version=3,
    entry_id=2,
    schema="max_quantity",
    state=RuleState.PASSIVE,
    text="too much",
    limit="50",
    observed="100",
)


class ExecutionStoreContract:
    """The contract; a subclass sets `store`."""

    store: IExecutionStore

    async def _commit(self, written: list[Written]) -> None:
        """Write a batch as the ordered writer does."""
        store = self.store.writer()
        row = await store.take_over()
        await store.commit(
            WriterRow(token=row.token, batch=row.batch + 1, position=row.position + len(written)), [tuple(written)]
        )

    async def _tell(self) -> list[Activity]:
        """Write a purchase that fills and ends, a refused sale, and a purchase that lives."""
        teller = Teller(Orders(epoch=1))
        written: list[Written] = []
        full = make_submission(
            tags={58: "note", 10_001: "x"},
            decision=DecisionSnapshot(
                quote_sequence=3, bid=dollars(13.99), ask=dollars(14), reserved_price=dollars(14)
            ),
            origin="desk",
        )
        events = [teller.submitted(full)]
        written.append(teller.written)
        for step in (
            lambda: teller.said(ExecType.NEW, 1, venue_order_id="v1"),
            lambda: teller.filled(
                1, 60, 13.999999, quote_sequence=3, quote_taken=shares(60), liquidity=Liquidity.REMOVED, market="XNYS"
            ),
            lambda: teller.filled(1, 40, 14, quote_sequence=4, quote_taken=shares(40)),
            lambda: teller.refused(
                make_submission(order_id=2, client_order_id="a-2", side=Side.SELL),
                Refusal(code="SHORT_REQUIRED", text="no", rule="short_required", limit="0", observed="100"),
            ),
            lambda: teller.submitted(make_submission(order_id=3, client_order_id="a-3", business_date="2013-10-09")),
        ):
            events.append(step())
            written.append(teller.written)
        await self._commit(written)
        return events

    async def test_activity_comes_back_as_it_was(self) -> None:
        """Every field of every fact survives, in order."""
        events = await self._tell()
        self.assertEqual(await self.store.activity(ACCOUNT, 1, 0, 100, 100), tuple(events))

    async def test_the_longest_texts_fit(self) -> None:
        """What an order may carry at most, in letters of four bytes, has room."""
        text = "\U0001f600" * LONGEST_TEXT
        longest = make_submission(
            tags={INT64_MAX - place: text for place in range(MOST_TAGS)},
            origin=text,
            locate_id=text,
            parent_order_id=INT64_MAX,
            strategy_id=INT64_MAX,
            entered=Timestamp(INT64_MAX),
        )
        teller = Teller(Orders(epoch=1))
        event = teller.submitted(longest)
        await self._commit([teller.written])
        self.assertEqual(await self.store.activity(ACCOUNT, 1, 0, 100, 100), (event,))

    async def test_activity_is_read_in_pages(self) -> None:
        """A page begins behind one sequence and ends at another, or at its limit."""
        events = await self._tell()
        self.assertEqual(await self.store.activity(ACCOUNT, 1, 2, 5, 2), tuple(events[2:4]))

    async def test_activity_of_another_epoch_is_another(self) -> None:
        """Epochs do not mix."""
        await self._tell()
        self.assertEqual(await self.store.activity(ACCOUNT, 2, 0, 100, 100), ())

    async def test_fees_and_posting_details_come_back(self) -> None:
        """Lists survive, and postings without order."""
        teller = Teller(Orders(epoch=1))
        teller.submitted(make_submission())
        first = teller.written
        order = teller.order(1)
        event = teller.said(ExecType.NEW, 1)
        assert event.report is not None
        fees = (Fee(kind="EXCHANGE", amount=Money(-30), currency=Currency("USD")),)
        event = evolve(event, report=evolve(event.report, fees=fees, tags={9: "y"}), posting=make_posting(5, -7))
        await self._commit([first, Written(activity=event, order=order.view)])
        self.assertEqual(await self.store.activity(ACCOUNT, 1, 1, 9, 9), (event,))

    async def test_heads_tell_how_far_activity_goes(self) -> None:
        """The last sequence of each account."""
        events = await self._tell()
        (head,) = await self.store.heads()
        self.assertEqual((head.trading_account_id, head.epoch, head.sequence), (ACCOUNT, 1, len(events)))

    async def test_positions_are_those_of_the_ledger(self) -> None:
        """Quantity and cost after the last posting."""
        await self._tell()
        (held,) = await self.store.positions()
        self.assertEqual((held.position.quantity, held.position.cost), (shares(100), 1_399_999_940))

    async def test_only_live_orders_are_restored(self) -> None:
        """Ended ones are history."""
        await self._tell()
        self.assertEqual([view.order_id for view in await self.store.live_orders()], [3])

    async def test_used_ids_come_back_by_date(self) -> None:
        """What was used since a business date, refused orders included."""
        await self._tell()
        found = await self.store.used_ids("2013-10-08")
        self.assertEqual([used.client_order_id for used in found], ["a-1", "a-2", "a-3"])
        self.assertEqual([used.order_id for used in await self.store.used_ids("2013-10-09")], [3])

    async def test_a_repeated_id_fails_no_batch(self) -> None:
        """The first stays, the order is written all the same."""
        await self._tell()
        orders = Orders(epoch=1)
        orders.account(ACCOUNT).sequence = 6
        teller = Teller(orders)
        teller.submitted(make_submission(order_id=9))
        await self._commit([teller.written])
        found = await self.store.used_ids("2013-10-08")
        self.assertEqual([used.order_id for used in found], [1, 2, 3])
        self.assertIsNotNone(await self.store.order(9))

    async def test_the_last_fill_tells_what_was_taken(self) -> None:
        """By the quote, per side."""
        await self._tell()
        (taken,) = await self.store.taken(BAC)
        self.assertEqual((taken.side, taken.quote_sequence, taken.taken), (Side.BUY, 4, Quantity(shares(40))))

    async def test_orders_are_found_by_account_in_pages(self) -> None:
        """By id, after an id, at most so many."""
        await self._tell()
        first = await self.store.orders(OrderQuery(trading_account_id=ACCOUNT, limit=2))
        rest = await self.store.orders(OrderQuery(trading_account_id=ACCOUNT, after_order_id=first[-1].order_id))
        self.assertEqual([view.order_id for view in first + rest], [1, 2, 3])

    async def test_orders_are_found_by_client_order_id(self) -> None:
        """One id, one order."""
        await self._tell()
        found = await self.store.orders(OrderQuery(trading_account_id=ACCOUNT, client_order_id="a-2"))
        self.assertEqual([(view.order_id, view.reason, view.limit) for view in found], [(2, "SHORT_REQUIRED", "0")])

    async def test_live_orders_are_found_by_scope(self) -> None:
        """Ended ones are left out."""
        await self._tell()
        found = await self.store.orders(OrderQuery(trading_account_id=ACCOUNT, scope=OrderScope.LIVE))
        self.assertEqual([view.order_id for view in found], [3])

    async def test_another_account_has_no_orders(self) -> None:
        """Accounts do not mix."""
        await self._tell()
        self.assertEqual(await self.store.orders(OrderQuery(trading_account_id=8)), ())

    async def test_an_unknown_order_is_none(self) -> None:
        """Not an error."""
        self.assertIsNone(await self.store.order(404))

    async def _tell_of_the_firm(self) -> list[Activity]:
        """Write a halt, its audit event, its release, a violation and a second halt."""
        orders = Orders(epoch=1)
        halt = Halt(
            halt_id=1,
            scope=HaltScope.FIRM,
            scope_id=0,
            mode=HaltMode.NO_NEW,
            actions=HaltAction.CANCEL_ALL,
            reason="\U0001f600" * 1000,
            set_by=5,
            set_at=Timestamp(70),
        )
        second = evolve(halt, halt_id=2, scope=HaltScope.TRADING_ACCOUNT, scope_id=ACCOUNT, set_by=None, announces=4)
        released = evolve(halt, released=Timestamp(80), released_by=6, release_reason="over")
        facts = (halt, AUDIT, released, VIOLATION, second)
        written = [tell_of_the_firm(orders, 100 + place, fact) for place, fact in enumerate(facts)]
        await self._commit(written)
        return [item.activity for item in written]

    async def test_events_of_the_firm_come_back_as_they_were(self) -> None:
        """A halt as it was set too, after it was released; in pages, and by epoch."""
        events = await self._tell_of_the_firm()
        self.assertEqual(await self.store.activity(FIRM, 1, 0, 100, 100), tuple(events))
        self.assertEqual(await self.store.activity(FIRM, 1, 1, 4, 2), tuple(events[1:3]))
        self.assertEqual(await self.store.activity(FIRM, 2, 0, 100, 100), ())

    async def test_the_head_of_the_firm_is_told(self) -> None:
        """Beside those of trading accounts."""
        await self._tell_of_the_firm()
        (head,) = await self.store.heads()
        self.assertEqual((head.trading_account_id, head.sequence), (FIRM, 5))

    async def test_halts_in_force_come_back(self) -> None:
        """Whole, without those that were released, and the last id with them."""
        events = await self._tell_of_the_firm()
        self.assertEqual(await self.store.halts(), HeldHalts(in_force=(events[4].halt,), last_id=2))

    async def test_without_halts_there_are_none(self) -> None:
        """No id was given out."""
        self.assertEqual(await self.store.halts(), HeldHalts())

    async def test_the_audit_log_is_read_back(self) -> None:
        """Every field, by entity; nobody else did anything."""
        await self._tell_of_the_firm()
        self.assertEqual(await self.store.audit(AuditQuery(entity="halt:1")), ((AUDIT,), None))
        self.assertEqual(await self.store.audit(AuditQuery(actor=404)), ((), None))

    async def test_a_violation_and_its_refusal_are_written_together(self) -> None:
        """As one batch: the trader's activity does not show the violation."""
        orders = Orders(epoch=1)
        teller = Teller(orders)
        violation = tell_of_the_firm(orders, 5, VIOLATION)
        event = teller.refused(make_submission(), Refusal(code="COMPLIANCE", text="no", rule="max_quantity/8"))
        await self._commit([violation, teller.written])
        self.assertEqual(await self.store.activity(ACCOUNT, 1, 0, 9, 9), (event,))
        self.assertEqual(await self.store.activity(FIRM, 1, 0, 9, 9), (violation.activity,))

    async def test_the_rates_of_a_decision_come_back(self) -> None:
        """By their names."""
        teller = Teller(Orders(epoch=1))
        decision = DecisionSnapshot(exchange_rate_id="EURUSD, " * 31 + "EURCAD", limits_version=4, rules_version=3)
        event = teller.submitted(make_submission(decision=decision))
        await self._commit([teller.written])
        self.assertEqual(await self.store.activity(ACCOUNT, 1, 0, 9, 9), (event,))
