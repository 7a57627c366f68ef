"""Refused attempts: which of them are recorded one by one."""

from twisted.trial.unittest import SynchronousTestCase

from spire.service.audit import REFUSALS_AT_ONCE, RefusalBudget, as_json

TESS, OTTO = 5, 6


class RefusalBudgetTests(SynchronousTestCase):
    """Nobody fills an audit log by asking for what he may not have, and nobody hides in it."""

    def setUp(self) -> None:
        self.budget = RefusalBudget()

    def spend(self) -> None:
        """Let Tess be refused until nothing is left."""
        for _ in range(REFUSALS_AT_ONCE):
            self.assertEqual(self.budget.admit(TESS, 0.0), 0)

    def test_the_first_are_recorded(self) -> None:
        """Each by itself; beyond that they are counted."""
        self.spend()
        self.assertIsNone(self.budget.admit(TESS, 0.0))

    def test_the_next_one_recorded_tells_how_many_were_counted(self) -> None:
        """After a second there is room for one."""
        self.spend()
        for _ in range(7):
            self.assertIsNone(self.budget.admit(TESS, 0.5))
        self.assertEqual(self.budget.admit(TESS, 1.0), 7)
        self.assertIsNone(self.budget.admit(TESS, 1.5))
        self.assertEqual(self.budget.admit(TESS, 2.0), 1)

    def test_accounts_do_not_share(self) -> None:
        """One who is refused all the time hides nobody else."""
        self.spend()
        self.assertIsNone(self.budget.admit(TESS, 0.0))
        self.assertEqual(self.budget.admit(OTTO, 0.0), 0)

    def test_a_rest_fills_it_again_and_no_more(self) -> None:
        """An hour later it is as at the beginning."""
        self.spend()
        for _ in range(REFUSALS_AT_ONCE):
            self.assertEqual(self.budget.admit(TESS, 3600.0), 0)
        self.assertIsNone(self.budget.admit(TESS, 3600.0))


class ValueTests(SynchronousTestCase):
    """What stands before and after."""

    def test_a_long_value_is_cut_and_says_so(self) -> None:
        """A row has an end."""
        self.assertEqual(as_json("x" * 50, longest=10), "x" * 10 + " ... cut")

    def test_nothing_stays_nothing(self) -> None:
        """There was nothing before."""
        self.assertIsNone(as_json(None))
