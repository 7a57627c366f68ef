"""The records from which each account's day counts: those that are in force, and the next ones (docs/risk.md)."""

from attrs import evolve

from spire.risk.facts import Facts
from spire.risk.kept import Baseline, Opened
from spire.risk.profit import Book
from spire.risk.states import Standing
from spire.risk.supervision import Watched
from spire.risk.values import BaselineKind
from spire.runtime.clock import Clock
from spire.values.amounts import Money, Rounding
from spire.values.codes import Currency
from spire.values.time import Timestamp


class Baselines:
    """The last baseline of each account, and the last business date that was opened for it."""

    def __init__(self, *, book: Book, facts: Facts, clock: Clock) -> None:
        self.opened: dict[int, Opened] = {}
        self._last: dict[int, Baseline] = {}
        self._book = book
        self._facts = facts
        self._clock = clock

    def restore(self, baselines: tuple[Baseline, ...], opened: tuple[Opened, ...]) -> None:
        """Take over what was kept; books are rebased as they are opened."""
        self._last = {each.trading_account_id: each for each in baselines}
        self.opened = {each.trading_account_id: each for each in opened}

    def awaits_record(self, account_id: int) -> bool:
        """Return whether an account's day has begun with a record that lacks marks."""
        opened = self.opened.get(account_id)
        return opened is not None and opened.awaits_record

    def lets_go(self, account_id: int, standing: Standing) -> bool:
        """Return whether a day was opened that ends a state, and its allowed state could not be written yet.

        Then the time of that state does not run out any more.
        """
        opened, taken = self.opened.get(account_id), self.taken(account_id)
        if opened is None or opened.is_complete or taken is None or standing.since is None:
            return False
        return standing.since <= taken and not standing.is_disabled(taken)

    def rebase(self, account_id: int) -> None:
        """Let an account's book count from its last baseline, if it has one."""
        baseline = self._last.get(account_id)
        if baseline is not None:
            self._book.rebase(account_id, baseline.origin)

    def next(self, watched: Watched, kind: BaselineKind, business_date: str) -> Baseline:
        """Return the record of an account as it stands now."""
        account_id = watched.account_id
        last = self._last.get(account_id)
        figures = self._book.figures(account_id, self._facts.convert)
        return Baseline(
            trading_account_id=account_id,
            number=1 if last is None else last.number + 1,
            kind=kind,
            business_date=business_date,
            taken=self._clock.now(),
            currency=figures.currency,
            day_realised=figures.day_realised,
            day_fees=figures.day_fees,
            day_profit=figures.day_closing,
            origin=self._book.origin(account_id),
        )

    def closed(self, account_id: int, business_date: str) -> Baseline | None:
        """Return the record of a day with the closing marks that it lacked when it was taken; None where it lacks none.

        What they are worth is of the day that it ended.
        """
        record = self._last.get(account_id)
        if record is None or record.business_date != business_date:
            return None
        positions = tuple(map(self._book.closed, record.origin.positions))
        if positions == record.origin.positions:
            return None
        sums: dict[Currency, int] = {}
        for before, after in zip(record.origin.positions, positions, strict=True):
            if before != after:
                sums[after.currency] = sums.get(after.currency, 0) + after.unrealised
        gained = 0
        for currency, amount in sums.items():
            conversion = self._facts.convert(currency, record.currency)
            if conversion is not None:
                gained += conversion.convert(Money(amount), Rounding.HALF_EVEN)
        return evolve(
            record, origin=evolve(record.origin, positions=positions), day_profit=Money(record.day_profit + gained)
        )

    def taken(self, account_id: int) -> Timestamp | None:
        """Return when the record that is in force was taken."""
        record = self._last.get(account_id)
        return None if record is None else record.taken

    def is_next(self, baseline: Baseline) -> bool:
        """Return whether a record follows the one that is in force, and is of an account that is there."""
        record = self._last.get(baseline.trading_account_id)
        number = 0 if record is None else record.number
        return baseline.number == number + 1 and baseline.trading_account_id in self._book.accounts

    def take(self, baseline: Baseline) -> None:
        """Let an account's day count from a record that is durable."""
        self._last[baseline.trading_account_id] = baseline
        self._book.rebase(baseline.trading_account_id, baseline.origin)
