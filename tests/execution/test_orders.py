"""Orders, positions and client order ids follow from the activity alone."""

from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.accounting.portfolio import Portfolio, apply_postings
from spire.execution.content import digest_of
from spire.execution.orders import Orders
from spire.execution.values import AccountHead, Activity, Execution, Refusal, Written
from spire.values.amounts import whole
from spire.values.codes import Currency
from spire.values.orders import ExecType, PostingKind, Side, Status
from spire.values.status import TransitionError
from spire.wire.arguments import decode, encode
from tests.execution.examples import ACCOUNT, BAC, Teller
from tests.values.examples import dollars, make_submission, shares

USD = Currency("USD")
BUY = make_submission()
SELL = make_submission(order_id=2, client_order_id="a-2", side=Side.SELL, limit_price=dollars(15))


class FoldTests(SynchronousTestCase):
    """What events do."""

    def setUp(self) -> None:
        """Submit a purchase of 100 at 14."""
        self.orders = Orders(epoch=1)
        self.teller = Teller(self.orders)
        self.teller.submitted(BUY)
        self.account = self.orders.account(ACCOUNT)

    def test_a_submission_reserves_buying_power(self) -> None:
        """100 at 14 use 1,400."""
        self.assertEqual(self.account.used, {USD: whole(1400)})

    def test_a_fill_moves_quantity_to_the_position(self) -> None:
        """The position counts with its cost, the rest of the order with its limit."""
        self.teller.filled(1, 40, 13.5)
        self.assertEqual(self.account.held(BAC), shares(40))
        self.assertEqual(self.account.used, {USD: whole(60 * 14 + 540)})

    def test_a_cancel_releases_the_rest(self) -> None:
        """Nothing is left to reserve."""
        self.teller.said(ExecType.CANCELED, 1)
        self.assertEqual((self.account.used, list(self.orders.live)), ({}, []))

    def test_a_refused_order_reserves_nothing(self) -> None:
        """Submission and rejection come as one."""
        self.teller.refused(SELL, Refusal(code="SHORT_REQUIRED", text="no", limit="0", observed="100"))
        order = self.teller.order(2)
        self.assertEqual((order.state.status, order.reason, order.limit), (Status.REJECTED, "SHORT_REQUIRED", "0"))
        self.assertEqual(self.account.used, {USD: whole(1400)})

    def test_a_reducing_order_uses_nothing(self) -> None:
        """A sell of what is held is free."""
        self.teller.filled(1, 100, 14)
        self.teller.submitted(SELL)
        self.assertEqual(self.account.used, {USD: whole(1400)})
        self.assertEqual(self.account.use(BAC).sells.quantity, shares(100))

    def test_a_client_order_id_is_used_once_submitted(self) -> None:
        """It stands for its order and its content."""
        used = self.orders.used_id(ACCOUNT, "a-1")
        assert used is not None
        self.assertEqual((used.order_id, used.digest), (1, digest_of(BUY)))

    def test_other_content_has_another_digest(self) -> None:
        """One more share is another order."""
        self.assertNotEqual(digest_of(evolve(BUY, quantity=shares(101))), digest_of(BUY))

    def test_the_same_content_entered_later_is_the_same_order(self) -> None:
        """Time and ids do not count."""
        self.assertEqual(digest_of(evolve(BUY, order_id=9, received=BUY.accepted)), digest_of(BUY))

    def test_a_gap_in_the_activity_is_noticed(self) -> None:
        """Sequences are dense."""
        with self.assertRaises(ValueError):
            self.orders.fold(
                Activity(sequence=3, epoch=1, time=BUY.accepted, trading_account_id=ACCOUNT, submission=SELL)
            )

    def test_an_illegal_report_changes_nothing(self) -> None:
        """The order and the sequence stay."""
        with self.assertRaises(TransitionError):
            self.teller.said(ExecType.TRADE_CANCEL, 1, quantity=shares(1), price=dollars(14))
        self.assertEqual((self.account.sequence, self.teller.order(1).state.status), (1, Status.PENDING_NEW))

    def test_a_withdrawn_submission_leaves_no_trace(self) -> None:
        """What could not be made durable never was."""
        event = self.teller.submitted(SELL)
        self.orders.withdraw(event)
        self.assertEqual((self.orders.find(2), self.orders.used_id(ACCOUNT, "a-2")), (None, None))
        self.assertEqual(self.account.used, {USD: whole(1400)})

    def test_a_fill_is_posted_to_the_ledger(self) -> None:
        """Report and posting are one event."""
        posting = self.teller.filled(1, 40, 13.5).posting
        assert posting is not None
        self.assertEqual((posting.quantity, posting.amount), (shares(40), -whole(540)))

    def test_a_bust_reverses_the_posting(self) -> None:
        """The ledger keeps both, the position neither."""
        fill = self.teller.filled(1, 40, 13.5)
        assert fill.report is not None
        assert fill.posting is not None
        bust = self.teller.said(
            ExecType.TRADE_CANCEL, 1, quantity=shares(40), price=dollars(13.5), exec_ref_id=fill.report.exec_id
        )
        assert bust.posting is not None
        self.assertEqual((bust.posting.kind, bust.posting.reverses), (PostingKind.BUST, fill.posting.posting_id))
        self.assertEqual((self.account.held(BAC), self.account.positions[BAC].cost), (0, 0))

    def test_a_correction_posts_the_difference(self) -> None:
        """40 at 13.50 corrected to 30 at 13.60 gives back 10 and costs what is right."""
        fill = self.teller.filled(1, 40, 13.5)
        assert fill.report is not None
        self.teller.said(
            ExecType.TRADE_CORRECT,
            1,
            quantity=shares(30),
            price=dollars(13.6),
            replaced_quantity=shares(40),
            replaced_price=dollars(13.5),
            exec_ref_id=fill.report.exec_id,
        )
        position = self.account.positions[BAC]
        self.assertEqual((position.quantity, position.realised - position.cost), (shares(30), -whole(408)))

    def test_the_last_fill_tells_what_is_taken(self) -> None:
        """A restart goes on from there."""
        self.teller.filled(1, 40, 13.5, quote_sequence=5, quote_taken=shares(90))
        taken = self.orders.taken(BAC, Side.BUY)
        assert taken is not None
        self.assertEqual((taken.quote_sequence, taken.taken), (5, shares(90)))

    def test_an_ended_order_can_be_forgotten(self) -> None:
        """A live one cannot."""
        self.orders.forget(1)
        self.assertIsNotNone(self.orders.find(1))
        self.teller.said(ExecType.CANCELED, 1)
        self.orders.forget(1)
        self.assertIsNone(self.orders.find(1))

    def test_old_client_order_ids_are_forgotten(self) -> None:
        """After five business dates an id may be used again."""
        self.assertEqual(self.orders.forget_ids_before("2013-10-08"), 0)
        self.assertEqual(self.orders.forget_ids_before("2013-10-09"), 1)


def _restored(written: list[Written]) -> Orders:
    """Return what a server knows that was started on what the store holds."""
    orders = Orders(epoch=1)
    views = {item.order.order_id: item.order for item in written if item.order is not None}
    positions = {item.position.instrument_id: item.position for item in written if item.position is not None}
    orders.restore_head(AccountHead(trading_account_id=ACCOUNT, epoch=1, sequence=len(written)))
    for held in positions.values():
        orders.restore_position(held)
    for view in views.values():
        if view.state().is_live:
            orders.restore_order(view)
    return orders


def _facts(orders: Orders) -> Any:
    account = orders.account(ACCOUNT)
    return (
        account.sequence,
        account.used,
        account.live,
        dict(account.positions),
        sorted((order.view for order in orders.live), key=lambda view: view.order_id),
    )


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["submit", "fill", "cancel", "new"]),
        st.integers(1, 6),
        st.booleans(),
        st.integers(1, 90),
        st.integers(1, 30),
    ),
    max_size=20,
)


class PropertyTests(SynchronousTestCase):
    """For every history."""

    @given(STEPS)
    @settings(max_examples=80)
    def test_replay_and_restore_give_the_state_that_was(self, steps: list[tuple[str, int, bool, int, int]]) -> None:
        """The journal replayed from nothing, and the store's rows, both equal the live state; the ledger sums agree."""
        orders = Orders(epoch=1)
        teller = Teller(orders)
        events: list[Activity] = []
        written: list[Written] = []
        for kind, order_id, buys, count, price in steps:
            try:
                if kind == "submit" and orders.find(order_id) is None:
                    event = teller.submitted(
                        make_submission(
                            order_id=order_id,
                            client_order_id=f"c{order_id}",
                            side=Side.BUY if buys else Side.SELL,
                            quantity=shares(count),
                            limit_price=dollars(price),
                        )
                    )
                elif kind == "submit" or orders.find(order_id) is None:
                    continue
                elif kind == "fill":
                    event = teller.filled(order_id, count, price)
                else:
                    event = teller.said(ExecType.CANCELED if kind == "cancel" else ExecType.NEW, order_id)
            except TransitionError:
                continue
            events.append(decode(Activity, encode(event)))
            written.append(teller.written)
        replayed = Orders(epoch=1)
        for event in events:
            replayed.fold(event)
        self.assertEqual(_facts(replayed), _facts(orders))
        self.assertEqual(_facts(_restored(written)), _facts(orders))
        ledger = apply_postings(Portfolio(), [event.posting for event in events if event.posting is not None])
        self.assertEqual(dict(ledger.positions), orders.account(ACCOUNT).positions)


class ExecutionTests(SynchronousTestCase):
    """What drivers may say."""

    def test_an_execution_without_id_gets_the_reports(self) -> None:
        """The platform's own id is unique."""
        orders = Orders(epoch=1)
        teller = Teller(orders)
        teller.submitted(BUY)
        report = teller.said(ExecType.NEW, 1).report
        assert report is not None
        self.assertEqual(report.exec_id, str(report.report_id))

    def test_values_cross_the_wire(self) -> None:
        """An execution survives msgpack."""
        execution = Execution(order_id=1, exec_type=ExecType.TRADE, quantity=shares(1), price=dollars(1))
        self.assertEqual(decode(Execution, encode(execution)), execution)
