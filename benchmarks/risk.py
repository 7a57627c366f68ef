"""Risk updates a second: quotes carried into the figures of 500 trading accounts with 20 positions each, and judged.

    python -m benchmarks.risk [--rounds 5] [--pin]

One process, nothing on the wire: after each batch of quotes `MarketWatch` tells the marks of the instruments that moved, and every account
that changed is worked out and looked at, as `Supervision` does. Each of 500 instruments is held by 20 accounts; a quote moves one instrument by a
tick. An update is one quote that has reached the figures of everybody who holds the instrument. A batch of 1 judges after each
quote, one of 500 is what a busy market brings between two looks (0.25 s). The peer works the profit of all positions out from
nothing after each batch, as a plain implementation would; at the end both must agree to the last millionth.
"""

import os
import random
from argparse import Namespace
from functools import partial
from typing import Any, Final

from benchmarks.bench import Meter, Run, describe, main, options, pin, rounds, table
from spire.accounting.portfolio import Portfolio, apply_postings, profit
from spire.definitions.rates import Conversion
from spire.risk.marks import Marks, Prices, Trust, marks_of
from spire.risk.profit import Book
from spire.risk.states import Bounds, Loss, Situation, Standing, course
from spire.values.amounts import SCALE, Money, Price, Quantity
from spire.values.codes import Currency
from spire.values.environment import Environment
from spire.values.orders import PostingKind
from spire.values.posting import Posting
from spire.values.risk import RiskMode
from spire.values.time import Timestamp

ACCOUNTS: Final = 500
POSITIONS: Final = 20
INSTRUMENTS: Final = 500
TICK: Final = SCALE // 100
BUSY: Final = 500
USD: Final = Currency("USD")
TRUSTED: Final = Trust(quotes=1, prints=1, is_open=True)
BOUNDS: Final = Bounds(net_loss=Money(10**15), transition_seconds=60, allowed_state=RiskMode.ACTIVE)
SAME: Final = Conversion(numerator=1, denominator=1, rate_ids=())


def convert(base: Currency, counter: Currency) -> Conversion:
    """Return that nothing is to be converted."""
    return SAME


class Firm:
    """The same accounts for both: a book that follows, and portfolios that are worked out."""

    def __init__(self) -> None:
        self.random = random.Random(20131008)
        self.book = Book()
        self.portfolios: dict[int, Portfolio] = {}
        self.prices = dict.fromkeys(range(1, INSTRUMENTS + 1), 50 * SCALE)
        for account in range(1, ACCOUNTS + 1):
            self.book.open(account, USD)
            postings = [self._posting(account, (account + step) % INSTRUMENTS + 1) for step in range(POSITIONS)]
            self.portfolios[account] = apply_postings(Portfolio(), postings)
            for posting in postings:
                self.book.post(account, posting)
        for number in self.prices:
            self.book.mark(number, self.marks(number))

    def _posting(self, account: int, instrument: int) -> Posting:
        quantity = self.random.choice((-1, 1)) * self.random.randrange(100, 1_000) * SCALE
        return Posting(
            posting_id=account * 1_000 + instrument,
            environment=Environment.DEMO,
            trading_account_id=account,
            instrument_id=instrument,
            currency=USD,
            quantity=Quantity(quantity),
            amount=Money(-quantity * 50),
            kind=PostingKind.TRADE,
            time=Timestamp(0),
            trade_date="2013-10-08",
            business_date="2013-10-08",
        )

    def marks(self, number: int) -> Marks:
        """Return the marks that an instrument's quote gives."""
        bid = Price(self.prices[number])
        return marks_of(Prices(bid=bid, ask=Price(bid + TICK), quote_session=1), TRUSTED)

    def move(self) -> int:
        """Let the quote of one instrument move by a tick, and return which."""
        number = self.random.randrange(1, INSTRUMENTS + 1)
        self.prices[number] += self.random.choice((-TICK, TICK)) if self.prices[number] > 10 * SCALE else TICK
        return number


def judge(closed: Money, day: Money) -> None:
    """Look at an account as the Risk Server does."""
    situation = Situation(
        now=Timestamp(0),
        monotonic=0.0,
        bounds=BOUNDS,
        standing=Standing(),
        loss=Loss(closed=closed, day=day),
    )
    course(situation, None)


def follow(firm: Firm, batch: int) -> None:
    """Take a batch of quotes, then work out and judge who changed."""
    book = firm.book
    for number in {firm.move() for _ in range(batch)}:
        book.mark(number, firm.marks(number))
    for account in book.dirty:
        figures = book.figures(account, convert)
        judge(figures.day_closed, figures.day_proven)
    book.dirty.clear()


def recompute(firm: Firm, batch: int) -> None:
    """Take a batch of quotes, then work out and judge everybody from nothing."""
    for _ in range(batch):
        firm.move()
    for portfolio in firm.portfolios.values():
        marks = {
            number: Price(firm.prices[number] + (0 if position.quantity > 0 else TICK))
            for number, position in portfolio.positions.items()
        }
        today = profit(portfolio, marks)
        judge(Money(today.realised - today.fees), today.total)


async def run(firm: Firm, work: Any, batch: int, batches: int) -> Run:
    """Time batches."""
    meter = Meter([os.getpid()])
    meter.start()
    for _ in range(batches):
        work(firm, batch)
    return meter.stop(batch * batches)


def check(firm: Firm) -> None:
    """Bring every mark up to date and compare both ways of counting."""
    for number in firm.prices:
        firm.book.mark(number, firm.marks(number))
    for account, portfolio in firm.portfolios.items():
        marks = {
            number: Price(firm.prices[number] + (0 if position.quantity > 0 else TICK))
            for number, position in portfolio.positions.items()
        }
        if firm.book.figures(account, convert).day_profit != profit(portfolio, marks).total:
            raise SystemExit(f"account {account}: both ways of counting differ")


async def measure(arguments: Namespace, _: Any) -> None:
    """Run both in turns, after each quote and after many."""
    pin(0 if arguments.pin else None)
    print(describe(arguments.pin))
    firm = Firm()
    for batch, followed, recomputed in ((1, 20_000, 20), (BUSY, 40, 10)):
        names = (f"Spire, judged after {batch}", f"everything from nothing after {batch}")
        variants = {
            names[0]: partial(run, firm, follow, batch, followed),
            names[1]: partial(run, firm, recompute, batch, recomputed),
        }
        title = f"{ACCOUNTS} accounts with {POSITIONS} positions each"
        print(table(title, await rounds(arguments.rounds, variants), names[1], "updates/s"))
        check(firm)


if __name__ == "__main__":
    main(partial(measure, options(__doc__ or "").parse_args()))
