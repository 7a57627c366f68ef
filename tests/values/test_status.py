"""Reports move orders along the table of legal transitions, and fills are always booked."""

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.values.amounts import Quantity, notional
from spire.values.orders import ExecType, Status, TimeInForce
from spire.values.status import Change, Flag, OrderState, TransitionError, advance, apply, legal_outcomes, submitted
from tests.values.examples import dollars, make_report, make_submission, shares

ORDER = submitted(make_submission())
NEW = advance(ORDER, Change(exec_type=ExecType.NEW))
CANCELED = advance(NEW, Change(exec_type=ExecType.CANCELED))


def fill(count: int, price: float = 14) -> Change:
    """Return a fill."""
    return Change(exec_type=ExecType.TRADE, quantity=shares(count), price=dollars(price))


def bust(count: int, price: float = 14) -> Change:
    """Return a fill taken back."""
    return Change(exec_type=ExecType.TRADE_CANCEL, quantity=shares(count), price=dollars(price))


class LifeTests(SynchronousTestCase):
    """The ordinary life of an order."""

    def test_an_order_without_report_is_pending(self) -> None:
        """Nothing said means PENDING_NEW with all of it open."""
        self.assertEqual((ORDER.status, ORDER.leaves, ORDER.sequence), (Status.PENDING_NEW, shares(100), 0))

    def test_an_acknowledgement_makes_it_new(self) -> None:
        """NEW follows PENDING_NEW."""
        self.assertEqual((NEW.status, NEW.sequence), (Status.NEW, 1))

    def test_a_part_fills_partially(self) -> None:
        """A fill of 40 leaves 60."""
        after = advance(NEW, fill(40))
        self.assertEqual(
            (after.status, after.cumulative, after.leaves), (Status.PARTIALLY_FILLED, shares(40), shares(60))
        )

    def test_the_rest_fills_wholly(self) -> None:
        """The last fill ends the order with its exact notional."""
        after = advance(advance(NEW, fill(40, 14)), fill(60, 13.99))
        expected = notional(dollars(14), shares(40)) + notional(dollars(13.99), shares(60))
        self.assertEqual((after.status, after.leaves, after.notional), (Status.FILLED, 0, expected))

    def test_a_fill_may_come_before_the_acknowledgement(self) -> None:
        """A late NEW does not undo a fill."""
        after = advance(advance(ORDER, fill(40)), Change(exec_type=ExecType.NEW))
        self.assertEqual(after.status, Status.PARTIALLY_FILLED)

    def test_a_cancelled_order_has_nothing_left(self) -> None:
        """CANCELED leaves nothing and clears what was pending."""
        after = advance(evolve(NEW, flags=Flag.PENDING_CANCEL), Change(exec_type=ExecType.CANCELED))
        self.assertEqual((after.status, after.leaves, after.flags, after.is_live), (Status.CANCELED, 0, Flag(0), False))

    def test_a_refused_cancel_leaves_the_order_working(self) -> None:
        """CANCEL_REJECTED clears the flag and nothing else."""
        after = advance(evolve(NEW, flags=Flag.PENDING_CANCEL), Change(exec_type=ExecType.CANCEL_REJECTED))
        self.assertEqual((after.status, after.leaves, after.flags), (Status.NEW, shares(100), Flag(0)))

    def test_a_replacement_changes_quantity_and_version(self) -> None:
        """REPLACED to 150 after 40 leaves 110 as version 2."""
        change = Change(exec_type=ExecType.REPLACED, order_quantity=shares(150), version=2)
        after = advance(advance(NEW, fill(40)), change)
        self.assertEqual((after.quantity, after.leaves, after.version), (shares(150), shares(110), 2))

    def test_a_replacement_down_to_what_filled_ends_the_order(self) -> None:
        """Nothing left to work is FILLED."""
        after = advance(advance(NEW, fill(40)), Change(exec_type=ExecType.REPLACED, order_quantity=shares(40)))
        self.assertEqual(after.status, Status.FILLED)


class ExceptionTests(SynchronousTestCase):
    """What venues do that they should not is booked and flagged."""

    def test_a_fill_after_the_cancel_is_booked_and_flagged(self) -> None:
        """The order stays CANCELED, its quantity counts."""
        after = advance(CANCELED, fill(30))
        self.assertEqual((after.status, after.cumulative), (Status.CANCELED, shares(30)))
        self.assertEqual(after.flags, Flag.FILLED_AFTER_END)

    def test_a_fill_after_expiry_is_booked_and_flagged(self) -> None:
        """The order stays EXPIRED."""
        after = advance(advance(NEW, Change(exec_type=ExecType.EXPIRED)), fill(30))
        self.assertEqual((after.status, after.flags), (Status.EXPIRED, Flag.FILLED_AFTER_END))

    def test_an_overfill_is_booked_and_flagged(self) -> None:
        """A fill beyond what was left counts in full."""
        after = advance(NEW, fill(130))
        self.assertEqual((after.status, after.cumulative, after.leaves), (Status.FILLED, shares(130), 0))
        self.assertEqual(after.flags, Flag.OVERFILLED)

    def test_a_fill_of_a_filled_order_is_an_overfill(self) -> None:
        """FILLED stays FILLED, flagged."""
        after = advance(advance(NEW, fill(100)), fill(10))
        self.assertEqual((after.status, after.cumulative, after.flags), (Status.FILLED, shares(110), Flag.OVERFILLED))

    def test_a_bust_does_not_reopen_a_filled_order(self) -> None:
        """What is taken back is not worked again."""
        after = advance(advance(NEW, fill(100)), bust(100))
        self.assertEqual((after.status, after.cumulative, after.leaves, after.notional), (Status.FILLED, 0, 0, 0))

    def test_a_bust_gives_nothing_back_to_a_working_order(self) -> None:
        """The leaves stay as they were."""
        after = advance(advance(NEW, fill(40)), bust(40))
        self.assertEqual((after.leaves, after.cumulative, after.flags), (shares(60), 0, Flag.BUSTED))

    def test_a_bust_of_more_than_filled_is_refused(self) -> None:
        """There is no negative filled quantity."""
        with self.assertRaises(TransitionError):
            advance(advance(NEW, fill(40)), bust(41))

    def test_a_correction_replaces_a_fill(self) -> None:
        """40 at 14 becomes 40 at 13.5."""
        change = Change(
            exec_type=ExecType.TRADE_CORRECT,
            quantity=shares(40),
            price=dollars(13.5),
            replaced_quantity=shares(40),
            replaced_price=dollars(14),
        )
        after = advance(advance(NEW, fill(40)), change)
        self.assertEqual(after.notional, notional(dollars(13.5), shares(40)))

    def test_done_for_day_ends_a_day_order(self) -> None:
        """A DAY order has no tomorrow."""
        after = advance(NEW, Change(exec_type=ExecType.DONE_FOR_DAY))
        self.assertEqual((after.is_live, after.leaves), (False, 0))

    def test_done_for_day_rests_a_lasting_order(self) -> None:
        """A GTC order works again the next day."""
        lasting = evolve(NEW, time_in_force=TimeInForce.GTC)
        resting = advance(lasting, Change(exec_type=ExecType.DONE_FOR_DAY))
        again = advance(resting, Change(exec_type=ExecType.NEW))
        self.assertEqual((resting.is_live, again.status, again.leaves), (True, Status.NEW, shares(100)))

    def test_a_cancelled_order_cannot_be_cancelled_again(self) -> None:
        """CANCELED follows live statuses only."""
        with self.assertRaises(TransitionError):
            advance(CANCELED, Change(exec_type=ExecType.CANCELED))

    def test_a_partly_filled_order_cannot_be_rejected(self) -> None:
        """REJECTED would deny a fill."""
        with self.assertRaises(TransitionError):
            advance(advance(NEW, fill(1)), Change(exec_type=ExecType.REJECTED))


class ApplyTests(SynchronousTestCase):
    """A report must follow and state what follows."""

    def test_a_report_moves_its_order(self) -> None:
        """Applying a report gives the state that it states."""
        report = make_report(NEW, fill(40))
        self.assertEqual(apply(NEW, report), advance(NEW, fill(40)))

    def test_a_skipped_report_is_noticed(self) -> None:
        """A gap in the order's sequence is an error."""
        with self.assertRaises(TransitionError):
            apply(NEW, evolve(make_report(NEW, fill(40)), sequence=3))

    def test_a_report_of_another_outcome_is_noticed(self) -> None:
        """A report that miscounts is an error."""
        with self.assertRaises(TransitionError):
            apply(NEW, evolve(make_report(NEW, fill(40)), leaves=shares(61)))


def _holds(state: OrderState) -> bool:
    return state.leaves >= 0 and state.cumulative >= 0 and (state.is_live or state.leaves == 0)


class PropertyTests(SynchronousTestCase):
    """Whatever comes, the counts stay sound."""

    @given(st.lists(st.tuples(st.sampled_from(ExecType), st.integers(1, 70)), max_size=12))
    @settings(max_examples=150)
    def test_no_history_breaks_the_counts(self, history: list[tuple[ExecType, int]]) -> None:
        """Leaves never go negative, ended orders leave nothing, and ended statuses stay."""
        state = ORDER
        for exec_type, count in history:
            change = Change(
                exec_type=exec_type,
                quantity=shares(count),
                price=dollars(14),
                replaced_quantity=shares(count),
                replaced_price=dollars(13),
                order_quantity=Quantity(shares(count) + state.cumulative),
            )
            try:
                after = advance(state, change)
            except TransitionError:
                continue
            self.assertTrue(_holds(after), (state, change, after))
            if not state.is_live:
                self.assertEqual(after.status, state.status)
            self.assertIn(after.status, legal_outcomes(state, exec_type))
            state = after
