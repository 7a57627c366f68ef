"""A portfolio is the sum of its ledger, and profit follows from marks."""

from twisted.trial.unittest import SynchronousTestCase

from spire.accounting.portfolio import Portfolio, apply_postings, day_profit, mark, profit
from spire.values.amounts import whole
from spire.values.codes import Currency
from spire.values.orders import PostingKind
from tests.values.examples import dollars, make_posting, shares

LEDGER = (
    make_posting(shares(100), -whole(1400)),
    make_posting(shares(-50), whole(750)),
    make_posting(0, -whole(1), kind=PostingKind.FEE),
    make_posting(shares(10), -whole(1800), instrument_id=43),
)
PORTFOLIO = apply_postings(Portfolio(), LEDGER)


class PortfolioTests(SynchronousTestCase):
    """Positions come from postings, one per instrument."""

    def test_each_instrument_has_its_position(self) -> None:
        """Postings of two instruments do not mix."""
        self.assertEqual(
            {number: position.quantity for number, position in PORTFOLIO.positions.items()},
            {42: shares(50), 43: shares(10)},
        )

    def test_an_instrument_that_never_traded_has_none(self) -> None:
        """Absent is None."""
        self.assertIsNone(PORTFOLIO.position(44))

    def test_order_of_batches_does_not_matter_to_the_sum(self) -> None:
        """Two batches give what one gives."""
        self.assertEqual(apply_postings(apply_postings(Portfolio(), LEDGER[:2]), LEDGER[2:]), PORTFOLIO)


class ProfitTests(SynchronousTestCase):
    """Realised, unrealised and fees."""

    def test_profit_adds_its_parts(self) -> None:
        """50 realised, 12.50 and -20 unrealised, 1 of fees."""
        result = profit(PORTFOLIO, {42: dollars(14.25), 43: dollars(178)})
        self.assertEqual((result.realised, result.unrealised), (whole(50), 12_500_000 - whole(20)))
        self.assertEqual(result.total, 41_500_000)

    def test_a_missing_mark_is_named(self) -> None:
        """What could not be marked is not silently zero."""
        self.assertEqual(profit(PORTFOLIO, {42: dollars(14)}).unmarked, (43,))

    def test_several_currencies_are_refused(self) -> None:
        """A sum over currencies needs rates."""
        mixed = apply_postings(PORTFOLIO, (make_posting(shares(1), -1, instrument_id=9, currency=Currency("JPY")),))
        with self.assertRaises(ValueError):
            profit(mixed, {})

    def test_day_profit_is_what_changed_since_the_start(self) -> None:
        """Yesterday's unrealised profit is not today's."""
        start = profit(PORTFOLIO, {42: dollars(14), 43: dollars(180)})
        now = profit(PORTFOLIO, {42: dollars(14.5), 43: dollars(181)})
        self.assertEqual(day_profit(now, start), whole(35))


class MarkTests(SynchronousTestCase):
    """A position is marked where it could be closed."""

    def test_a_long_position_is_marked_at_the_bid(self) -> None:
        """Long sells to the bid."""
        self.assertEqual(mark(shares(1), dollars(10), dollars(11)), dollars(10))

    def test_a_short_position_is_marked_at_the_ask(self) -> None:
        """Short buys at the ask."""
        self.assertEqual(mark(shares(-1), dollars(10), dollars(11)), dollars(11))

    def test_a_crossed_quote_marks_nothing(self) -> None:
        """A bid above the ask is no market."""
        self.assertIsNone(mark(shares(1), dollars(11), dollars(10)))

    def test_a_one_sided_quote_marks_nothing(self) -> None:
        """Both sides must be there."""
        self.assertIsNone(mark(shares(1), dollars(11), None))
