"""The records from which each account's day counts: those that are in force, and the next ones (docs/risk.md)."""

from spire.risk.facts import Facts
from spire.risk.kept import Baseline, Opened
from spire.risk.profit import Book
from spire.risk.supervision import Watched
from spire.risk.values import BaselineKind
from spire.runtime.clock import Clock


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
        """Return whether an account's day has begun without a record from which it counts."""
        opened = self.opened.get(account_id)
        return opened is not None and opened.awaits_record

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

    def take(self, baseline: Baseline) -> None:
        """Let an account's day count from a record that is durable."""
        self._last[baseline.trading_account_id] = baseline
        self._book.rebase(baseline.trading_account_id, baseline.origin)
