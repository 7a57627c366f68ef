"""An order reduces only when it and all pending ones stay within the position."""

from twisted.trial.unittest import SynchronousTestCase

from spire.accounting.opening import needs_short, opens
from spire.values.amounts import ZERO_QUANTITY
from spire.values.orders import Side
from tests.values.examples import shares

NONE = ZERO_QUANTITY


class OpeningTests(SynchronousTestCase):
    """Which orders add risk."""

    def test_every_order_opens_from_flat(self) -> None:
        """Nothing held, nothing to reduce."""
        self.assertTrue(opens(NONE, Side.BUY, shares(1), NONE))

    def test_buying_more_opens(self) -> None:
        """A long position grows."""
        self.assertTrue(opens(shares(100), Side.BUY, shares(1), NONE))

    def test_selling_what_is_held_reduces(self) -> None:
        """All of a long position may go."""
        self.assertFalse(opens(shares(100), Side.SELL, shares(100), NONE))

    def test_two_sells_cannot_over_close(self) -> None:
        """A pending sell counts."""
        self.assertTrue(opens(shares(100), Side.SELL, shares(60), shares(50)))

    def test_buying_back_a_short_reduces(self) -> None:
        """A short position shrinks by buying."""
        self.assertFalse(opens(shares(-100), Side.BUY, shares(40), shares(60)))

    def test_an_order_that_is_partly_covered_opens(self) -> None:
        """Crossing through zero adds risk."""
        self.assertTrue(opens(shares(-100), Side.BUY, shares(101), NONE))


class ShortTests(SynchronousTestCase):
    """A plain sell never goes short silently."""

    def test_a_sell_within_the_position_is_long(self) -> None:
        """What is held may be sold."""
        self.assertFalse(needs_short(shares(100), Side.SELL, shares(40), shares(60)))

    def test_a_sell_beyond_it_must_be_marked(self) -> None:
        """One share more is short."""
        self.assertTrue(needs_short(shares(100), Side.SELL, shares(41), shares(60)))

    def test_a_marked_short_needs_nothing_more(self) -> None:
        """SELL_SHORT says what it is."""
        self.assertFalse(needs_short(NONE, Side.SELL_SHORT, shares(1), NONE))

    def test_selling_out_of_a_short_position_must_be_marked(self) -> None:
        """A negative position covers nothing."""
        self.assertTrue(needs_short(shares(-10), Side.SELL, shares(1), NONE))
