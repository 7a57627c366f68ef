"""Positions and the profit of a day, kept up to date change by change, against the same worked out from nothing."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.accounting.portfolio import Portfolio, apply_postings, day_profit, profit
from spire.accounting.position import Position
from spire.definitions.rates import Conversion
from spire.risk.marks import UNKNOWN, Mark, Marks
from spire.risk.origin import BaselinePosition, Origin
from spire.risk.profit import Book, Figures
from spire.risk.values import MarkSource
from spire.values.amounts import Money, Price, Rounding
from spire.values.codes import Currency
from spire.values.orders import PostingKind
from spire.values.posting import Posting
from tests.values.examples import dollars, make_posting, shares

USD, CAD, JPY = Currency("USD"), Currency("CAD"), Currency("JPY")
ADA, BEN = 7, 8
BAC, IBM = 42, 43


def convert(base: Currency, counter: Currency) -> Conversion | None:
    """Return a rate of 3/4 from Canadian to US dollars, and no other."""
    if base == counter:
        return Conversion(numerator=1, denominator=1, rate_ids=())
    return Conversion(numerator=3, denominator=4, rate_ids=("x",)) if (base, counter) == (CAD, USD) else None


def traded(quantity: int, price: float, instrument: int = BAC, currency: Currency = USD) -> Posting:
    """Return the posting of a trade."""
    amount = -quantity * round(price * 10**6)
    return make_posting(shares(quantity), amount, instrument_id=instrument, currency=currency)


def fee(amount: float, instrument: int = BAC) -> Posting:
    """Return the posting of a fee."""
    return make_posting(0, -dollars(amount), instrument_id=instrument, kind=PostingKind.FEE)


def at(price: float, *, is_fresh: bool = True) -> Marks:
    """Return the same mark for both sides."""
    mark = Mark(dollars(price), MarkSource.BBO, is_fresh)
    return Marks(mark, mark)


class BookTestCase(SynchronousTestCase):
    """A book with two accounts."""

    def setUp(self) -> None:
        """Open them."""
        self.book = Book()
        self.book.open(ADA, USD)
        self.book.open(BEN, USD)

    def post(self, *postings: Posting, account: int = ADA) -> None:
        """Book entries of a ledger."""
        for posting in postings:
            self.book.post(account, posting)

    def figures(self, account: int = ADA) -> Figures:
        """Return where an account stands."""
        return self.book.figures(account, convert)


class FiguresTests(BookTestCase):
    """What an account made, in its own currency."""

    def test_a_position_gains_with_its_mark(self) -> None:
        """100 bought at 14 are worth 50 more at 14.50."""
        self.post(traded(100, 14))
        self.book.mark(BAC, at(14.5))
        self.assertEqual(self.figures().unrealised, dollars(50))
        self.assertEqual(self.figures().day_profit, dollars(50))

    def test_what_is_closed_is_realised_and_fees_are_taken_off(self) -> None:
        """40 sold at 15 bring 40; the fee of 1 does not make them less."""
        self.post(traded(100, 14), traded(-40, 15), fee(1))
        self.book.mark(BAC, at(14))
        figures = self.figures()
        self.assertEqual((figures.day_realised, figures.day_fees), (dollars(40), dollars(1)))
        self.assertEqual((figures.day_closed, figures.day_profit), (dollars(39), dollars(39)))

    def test_a_held_instrument_without_mark_is_named(self) -> None:
        """It counts for nothing and keeps the figures from being fresh."""
        self.post(traded(100, 14))
        figures = self.figures()
        self.assertEqual((figures.unmarked, figures.is_fresh, figures.unrealised), ((BAC,), False, 0))

    def test_a_mark_that_is_not_fresh_makes_figures_that_are_not(self) -> None:
        """It counts, but may not trip."""
        self.post(traded(100, 14))
        self.book.mark(BAC, at(13, is_fresh=False))
        figures = self.figures()
        self.assertEqual((figures.unrealised, figures.is_fresh, figures.unmarked), (-dollars(100), False, ()))

    def test_a_flat_account_is_fresh_whatever_the_marks_are(self) -> None:
        """What is realised does not move any more."""
        self.post(traded(100, 14), traded(-100, 13))
        self.book.mark(BAC, UNKNOWN)
        figures = self.figures()
        self.assertEqual((figures.is_fresh, figures.day_profit), (True, -dollars(100)))

    def test_other_currencies_are_converted(self) -> None:
        """100 Canadian dollars are 75 here."""
        self.post(traded(100, 14, IBM, CAD))
        self.book.mark(IBM, at(15))
        self.assertEqual(self.figures().day_profit, dollars(75))

    def test_a_missing_rate_never_counts_as_zero(self) -> None:
        """The currency is named."""
        self.post(traded(100, 14, IBM, JPY))
        self.book.mark(IBM, at(15))
        self.assertEqual(self.figures().unconverted, ("JPY",))

    def test_a_missing_rate_of_a_currency_that_is_long_flat_hides_nothing_of_today(self) -> None:
        """What was made in it once is no part of the day, until something moves there."""
        self.post(traded(100, 14, IBM, JPY), traded(-100, 15, IBM, JPY))
        self.book.rebase(ADA, self.book.origin(ADA))
        self.post(traded(100, 14), traded(-100, 13))
        figures = self.figures()
        self.assertEqual((figures.unconverted, figures.unconverted_today), (("JPY",), ()))
        self.assertEqual(figures.day_closed, -dollars(100))
        self.post(traded(100, 14, IBM, JPY))
        self.book.mark(IBM, at(15))
        self.assertEqual(self.figures().unconverted_today, ("JPY",))

    def test_a_posting_in_another_currency_changes_nothing(self) -> None:
        """It is refused."""
        self.post(traded(100, 14))
        with self.assertRaises(ValueError):
            self.post(traded(100, 14, BAC, CAD))
        self.assertEqual(self.book.accounts[ADA].held()[BAC].quantity, shares(100))

    def test_only_who_holds_an_instrument_is_touched_by_its_mark(self) -> None:
        """Accounts are not gone through."""
        self.post(traded(100, 14))
        self.post(traded(100, 14, IBM), account=BEN)
        self.book.dirty.clear()
        self.book.mark(BAC, at(15))
        self.assertEqual(self.book.dirty, {ADA})

    def test_the_same_mark_again_touches_nobody(self) -> None:
        """A quote whose prices stand still is no change."""
        self.post(traded(100, 14))
        self.book.mark(BAC, at(15))
        self.book.dirty.clear()
        self.book.mark(BAC, at(15))
        self.assertEqual(self.book.dirty, set())

    def test_a_ledger_that_begins_anew_leaves_nothing_behind(self) -> None:
        """Sums go with the positions."""
        self.post(traded(100, 14), traded(-40, 15), fee(1))
        self.book.mark(BAC, at(14))
        self.book.clear(ADA)
        figures = self.figures()
        self.assertEqual((figures.realised, figures.fees, figures.unrealised), (0, 0, 0))
        self.assertTrue(self.book.accounts[ADA].is_flat)


class ProvenTests(BookTestCase):
    """What fresh marks prove of a day: a position without one hides no loss of the others, and adds none."""

    def setUp(self) -> None:
        """Hold both instruments, of which BAC has a fresh mark and has lost 100."""
        super().setUp()
        self.post(traded(100, 14), traded(100, 20, IBM))
        self.book.mark(BAC, at(13))

    def test_a_position_without_fresh_mark_does_not_hide_what_another_loses(self) -> None:
        """One stale instrument is no way around the limit."""
        self.book.mark(IBM, at(20, is_fresh=False))
        figures = self.figures()
        self.assertEqual((figures.day_proven, figures.is_fresh), (-dollars(100), False))

    def test_what_a_stale_mark_loses_does_not_count(self) -> None:
        """The plain figure has it, the proven one has not."""
        self.book.mark(IBM, at(15, is_fresh=False))
        self.assertEqual((self.figures().day_proven, self.figures().day_profit), (-dollars(100), -dollars(600)))

    def test_what_a_stale_mark_gains_counts(self) -> None:
        """In doubt for the account."""
        self.book.mark(IBM, at(20.5, is_fresh=False))
        self.assertEqual(self.figures().day_proven, -dollars(50))

    def test_a_position_without_any_mark_counts_for_nothing(self) -> None:
        """Neither gain nor loss."""
        self.assertEqual((self.figures().day_proven, self.figures().unmarked), (-dollars(100), (IBM,)))

    def test_a_gain_is_one_since_the_start_of_the_day(self) -> None:
        """What was made the day before offsets nothing today."""
        self.book.mark(IBM, at(30))
        self.book.rebase(ADA, self.book.origin(ADA))
        self.book.mark(BAC, at(12))
        self.book.mark(IBM, at(29, is_fresh=False))
        self.assertEqual(self.figures().day_proven, -dollars(100))

    def test_what_was_carried_on_shares_sold_since_counts_once(self) -> None:
        """It was realised with them: it hides no loss, and what is left loses nothing by it either."""
        self.book.mark(IBM, at(30))
        self.book.rebase(ADA, self.book.origin(ADA))
        self.post(traded(-50, 30, IBM))
        self.book.mark(IBM, at(30, is_fresh=False))
        self.book.mark(BAC, at(12))
        self.assertEqual(self.figures().day_proven, -dollars(100))
        self.book.mark(IBM, at(25, is_fresh=False))
        figures = self.figures()
        self.assertEqual((figures.day_proven, figures.day_profit), (-dollars(100), -dollars(350)))
        self.post(traded(-50, 25, IBM), traded(50, 25, IBM))
        self.assertEqual(self.figures().day_proven, -dollars(350))

    def test_what_is_realised_on_a_stale_instrument_counts_whole(self) -> None:
        """Trades are facts."""
        self.book.mark(IBM, at(15, is_fresh=False))
        self.post(traded(-50, 15, IBM))
        self.assertEqual(self.figures().day_proven, -dollars(350))

    def test_with_fresh_marks_alone_both_figures_are_one(self) -> None:
        """Nothing is in doubt."""
        self.book.mark(IBM, at(15))
        self.assertEqual((self.figures().day_proven, self.figures().day_profit), (-dollars(600), -dollars(600)))


class ClosingTests(BookTestCase):
    """A day closes at the last mark that there was, however old it is."""

    def closing(self) -> Price | None:
        """Return the closing mark of BAC."""
        (row,) = self.book.origin(ADA).positions
        return row.mark

    def test_without_a_print_the_last_quote_that_could_be_traded_upon_closes_the_day(self) -> None:
        """A long position at its bid, a short one at its ask; the day that ends counts it, and the next begins at nothing."""
        self.book.mark(BAC, Marks(last_quote=(dollars(15), dollars(16))))
        self.post(traded(100, 14))
        self.assertEqual((self.closing(), self.figures().day_closing), (dollars(15), dollars(100)))
        self.book.rebase(ADA, self.book.origin(ADA))
        self.assertEqual(self.figures().day_profit, 0)
        self.book.mark(BAC, at(14.9))
        self.assertEqual(self.figures().day_profit, -dollars(10))
        self.post(traded(-100, 14, IBM), account=BEN)
        self.book.mark(IBM, Marks(last_quote=(dollars(15), dollars(16))))
        self.assertEqual(self.book.origin(BEN).positions[0].mark, dollars(16))

    def test_the_last_print_comes_before_the_last_quote(self) -> None:
        """It is the mark already, and the official close."""
        last = Mark(dollars(14.5), MarkSource.TRADE, False)
        self.book.mark(BAC, Marks(last, last, (dollars(15), dollars(16))))
        self.post(traded(100, 14))
        self.assertEqual(self.closing(), dollars(14.5))

    def test_without_either_the_mark_of_the_morning_stays(self) -> None:
        """Also over several days."""
        self.post(traded(100, 14))
        self.book.mark(BAC, at(15))
        self.book.rebase(ADA, self.book.origin(ADA))
        self.book.mark(BAC, UNKNOWN)
        self.book.rebase(ADA, self.book.origin(ADA))
        self.assertEqual((self.closing(), self.book.unclosable(ADA)), (dollars(15), ()))

    def test_what_never_had_a_mark_is_named(self) -> None:
        """Nothing is made up; what is flat needs none."""
        self.post(traded(100, 14), traded(100, 14, IBM), traded(-100, 14, IBM))
        self.assertEqual(self.book.unclosable(ADA), (BAC,))


class BaselineTests(BookTestCase):
    """A day counts from its baseline."""

    def test_the_day_begins_at_nothing(self) -> None:
        """What was made before is not made today."""
        self.post(traded(100, 14), traded(-40, 15), fee(1))
        self.book.mark(BAC, at(14.5))
        self.book.rebase(ADA, self.book.origin(ADA))
        figures = self.figures()
        self.assertEqual((figures.day_realised, figures.day_fees, figures.day_profit), (0, 0, 0))
        self.assertEqual(figures.realised, dollars(40))

    def test_a_position_that_was_carried_counts_from_its_mark(self) -> None:
        """Closed 10 below the mark of the morning it loses, although it made money since it was bought."""
        self.post(traded(100, 14))
        self.book.mark(BAC, at(15))
        self.book.rebase(ADA, self.book.origin(ADA))
        self.post(traded(-100, 14.9))
        figures = self.figures()
        self.assertEqual((figures.day_realised, figures.day_profit), (dollars(90), -dollars(10)))

    def test_an_instrument_without_quotes_is_worth_its_mark_of_the_morning(self) -> None:
        """The last of all sources, and not fresh."""
        self.post(traded(100, 14))
        self.book.mark(BAC, at(15))
        self.book.rebase(ADA, self.book.origin(ADA))
        self.book.mark(BAC, UNKNOWN)
        (position,) = self.book.positions(ADA)
        self.assertEqual((position.mark, position.mark_source), (dollars(15), MarkSource.CLOSE))
        self.assertFalse(self.figures().is_fresh)

    def test_an_instrument_that_is_flat_leaves_its_profit_in_the_totals_alone(self) -> None:
        """However many were ever traded, a day's record has a row for what is held; what is traded again counts of today."""
        self.post(traded(100, 14), traded(-100, 13), fee(2), traded(50, 20, IBM), traded(-50, 20, 44, CAD))
        origin = self.book.origin(ADA)
        self.assertEqual([row.instrument_id for row in origin.positions], [IBM, 44])
        totals = [(total.currency, total.realised, total.fees) for total in origin.totals]
        self.assertEqual(totals, [(USD, -dollars(100), dollars(2))])
        self.book.rebase(ADA, origin)
        self.assertEqual((self.figures().day_realised, self.figures().day_fees), (0, 0))
        self.post(traded(100, 14), traded(-100, 15), fee(1))
        self.assertEqual((self.figures().day_realised, self.figures().day_fees), (dollars(100), dollars(1)))
        self.assertEqual((self.figures().realised, self.figures().fees), (0, dollars(3)))

    def test_positions_that_are_booked_from_nothing_carry_what_the_baseline_has_of_them(self) -> None:
        """An account that came back: its day began with a loss, which is none of today however stale the marks are."""
        self.post(traded(100, 14))
        self.book.mark(BAC, at(13))
        origin = self.book.origin(ADA)
        self.book.drop(ADA)
        self.book.open(ADA, USD)
        self.book.mark(BAC, UNKNOWN)
        self.book.rebase(ADA, origin)
        self.post(traded(100, 14), traded(10, 20, IBM), traded(-10, 10, IBM))
        self.book.carry(ADA)
        self.assertEqual((self.figures().day_profit, self.figures().day_proven), (-dollars(100), -dollars(100)))

    def test_a_second_baseline_replaces_the_first(self) -> None:
        """Nothing of the first stays in the sums."""
        self.post(traded(100, 14))
        self.book.mark(BAC, at(15))
        self.book.rebase(ADA, self.book.origin(ADA))
        self.book.mark(BAC, at(13))
        self.book.rebase(ADA, self.book.origin(ADA))
        self.assertEqual(self.figures().day_profit, 0)

    def test_a_baseline_position_without_mark_counted_its_cost(self) -> None:
        """So a mark that comes later counts whole."""
        self.post(traded(100, 14))
        self.book.rebase(ADA, self.book.origin(ADA))
        self.book.mark(BAC, at(15))
        self.assertEqual(self.figures().day_profit, dollars(100))

    def test_a_baseline_of_an_instrument_that_was_not_seen_yet_waits_for_it(self) -> None:
        """After a restart baselines come first, positions behind them."""
        row = BaselinePosition(
            instrument_id=BAC,
            currency=USD,
            quantity=shares(100),
            cost=Money(dollars(1400)),
            mark=dollars(15),
        )
        self.book.rebase(ADA, Origin(positions=(row,)))
        self.book.put(ADA, BAC, Position(currency=USD, quantity=shares(100), cost=Money(dollars(1400))))
        self.book.mark(BAC, at(16))
        self.assertEqual(self.figures().day_profit, dollars(100))


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("trade"),
            st.sampled_from((ADA, BEN)),
            st.sampled_from((BAC, IBM)),
            st.integers(min_value=-500, max_value=500),
            st.integers(min_value=1, max_value=50_000_000),
        ),
        st.tuples(
            st.just("mark"),
            st.just(ADA),
            st.sampled_from((BAC, IBM)),
            st.just(0),
            st.integers(min_value=1, max_value=50_000_000),
        ),
        st.tuples(st.just("day"), st.sampled_from((ADA, BEN)), st.just(BAC), st.just(0), st.just(0)),
    ),
    max_size=30,
)


class PropertyTests(SynchronousTestCase):
    """However postings, marks and days follow each other, the sums are those of a calculation from nothing."""

    @given(steps=STEPS)
    def test_the_sums_are_those_of_a_plain_recalculation(self, steps: list[Any]) -> None:
        """Realised, unrealised, fees and the profit of the day, to the last millionth."""
        book = Book()
        marks: dict[int, Price] = {BAC: dollars(10), IBM: dollars(20)}
        ledgers: dict[int, Portfolio] = {ADA: Portfolio(), BEN: Portfolio()}
        mornings = {account: profit(Portfolio(), {}) for account in ledgers}
        for account in ledgers:
            book.open(account, USD)
        for instrument, price in marks.items():
            book.mark(instrument, at(price / 10**6))
        for kind, account, instrument, quantity, price in steps:
            if kind == "trade":
                posting = make_posting(shares(quantity), -quantity * price, instrument_id=instrument)
                ledgers[account] = apply_postings(ledgers[account], (posting,))
                book.post(account, posting)
            elif kind == "mark":
                marks[instrument] = Price(price)
                mark = Mark(Price(price), MarkSource.BBO, True)
                book.mark(instrument, Marks(mark, mark))
            else:
                mornings[account] = profit(ledgers[account], marks)
                book.rebase(account, book.origin(account))
        for account, ledger in ledgers.items():
            today, figures = profit(ledger, marks), book.figures(account, convert)
            self.assertEqual(figures.realised, today.realised)
            self.assertEqual(figures.unrealised, today.unrealised)
            self.assertEqual(figures.day_profit, day_profit(today, mornings[account]))
            self.assertEqual((figures.day_proven, figures.day_closing), (figures.day_profit, figures.day_profit))

    @given(amount=st.integers(min_value=-(10**15), max_value=10**15))
    def test_each_currency_is_rounded_once(self, amount: int) -> None:
        """Half-even at a millionth, whatever the sum was made of."""
        book = Book()
        book.open(ADA, USD)
        book.post(ADA, make_posting(0, amount, currency=CAD))
        conversion = convert(CAD, USD)
        assert conversion is not None
        expected = conversion.convert(Money(amount), Rounding.HALF_EVEN)
        self.assertEqual(book.figures(ADA, convert).day_profit, expected)
