"""What Risk tells of accounts: the rows of its topics, at most once a second an account and only where they changed."""

from collections.abc import Sequence
from typing import Any, Final

from attrs import evolve
from twisted.logger import Logger

from spire.risk.facts import Facts
from spire.risk.profit import Book
from spire.risk.supervision import Supervision, Watched
from spire.risk.values import PORTFOLIOS, MarkedPosition, Portfolio
from spire.runtime.clock import Clock
from spire.wire.publisher import Publisher
from spire.wire.state_topic import StateTopic

CAUSES_TOLD: Final = 4
CAUSE_LENGTH: Final = 200
"""Causes that a row names, and characters of each: a row has to fit, however many positions wait and whatever a halt's reason says."""

UNMARKED_TOLD: Final = 100


class Portfolios:
    """The topics `portfolios`, `portfolio/<trading account>` and `positions/<trading account>`.

    The topics of single accounts are made when somebody asks for them; positions are worked out while somebody reads.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        supervision: Supervision,
        book: Book,
        facts: Facts,
        publisher: Publisher,
        clock: Clock,
        instance_id: str,
    ) -> None:
        self.all: StateTopic[Portfolio] = publisher.state(PORTFOLIOS, Portfolio, instance_id=instance_id)
        self._supervision = supervision
        self._book = book
        self._facts = facts
        self._publisher = publisher
        self._clock = clock
        self._instance_id = instance_id
        self._single: dict[int, StateTopic[Portfolio]] = {}
        self._positions: dict[int, StateTopic[MarkedPosition]] = {}
        self._failing: set[int] = set()

    def row(self, account_id: int) -> Portfolio:
        """Return where an account stands now."""
        watched = self._supervision.accounts[account_id]
        return self._portfolio(watched)

    def positions(self, account_id: int) -> tuple[MarkedPosition, ...]:
        """Return an account's positions, and what it had of those that are flat, by instrument."""
        return self._book.positions(account_id)

    def portfolio_topic(self, account_id: int) -> StateTopic[Portfolio]:
        """Return the topic of one account."""
        topic = self._single.get(account_id)
        if topic is None:
            topic = self._single[account_id] = self._make(f"portfolio/{account_id}", Portfolio)
        self._put_single(topic, account_id)
        return topic

    def positions_topic(self, account_id: int) -> StateTopic[MarkedPosition]:
        """Return the topic of one account's positions, as they are now."""
        topic = self._positions.get(account_id)
        if topic is None:
            topic = self._positions[account_id] = self._make(f"positions/{account_id}", MarkedPosition)
        self._put_positions(topic, account_id)
        return topic

    def publish(self) -> None:
        """Put the rows of the accounts that changed; call each second. One that fails is tried again, and keeps no other back."""
        changed, self._supervision.changed = self._supervision.changed, set()
        for account_id in changed:
            try:
                self._publish(account_id)
            except Exception:  # noqa: BLE001 (whatever it is, it is of this account, and is logged)
                self._supervision.changed.add(account_id)
                if account_id not in self._failing:
                    self._log.failure("{name} could not be published", name=self._facts.name(account_id))
                self._failing.add(account_id)
            else:
                self._failing.discard(account_id)

    def _publish(self, account_id: int) -> None:
        if account_id not in self._supervision.accounts:
            self._drop(account_id)
            return
        row = self._portfolio(self._supervision.accounts[account_id])
        before = self.all.rows.get(str(account_id))
        if before is None or evolve(before, updated=row.updated) != row:
            self.all.put(str(account_id), row)
        single = self._single.get(account_id)
        if single is not None and single.readers:
            self._put_single(single, account_id)
        positions = self._positions.get(account_id)
        if positions is not None and positions.readers:
            self._put_positions(positions, account_id)

    def _make(self, name: str, row_type: type[Any]) -> StateTopic[Any]:
        return self._publisher.state(name, row_type, instance_id=self._instance_id)

    def _put_single(self, topic: StateTopic[Portfolio], account_id: int) -> None:
        row = self.row(account_id)
        before = topic.rows.get(str(account_id))
        if before is None or evolve(before, updated=row.updated) != row:
            topic.put(str(account_id), row)

    def _put_positions(self, topic: StateTopic[MarkedPosition], account_id: int) -> None:
        topic.replace({str(each.instrument_id): each for each in self._book.positions(account_id)})

    def _drop(self, account_id: int) -> None:
        self.all.remove(str(account_id))
        for topics in (self._single, self._positions):
            topic: StateTopic[Any] | None = topics.pop(account_id, None)
            if topic is not None:
                self._publisher.drop(topic.name)

    def _portfolio(self, watched: Watched) -> Portfolio:
        account_id, figures = watched.account_id, watched.figures
        standing = self._facts.standing(account_id)
        bounds, missing = watched.bound.bounds, watched.bound.unconverted
        unconverted = figures.unconverted if missing is None else tuple(sorted({*figures.unconverted, missing}))
        return Portfolio(
            trading_account_id=account_id,
            currency=figures.currency,
            business_date=self._facts.business_date(),
            mode=standing.mode,
            state_version=standing.version,
            expiry=standing.expiry,
            realised=figures.realised,
            unrealised=figures.unrealised,
            fees=figures.fees,
            day_realised=figures.day_realised,
            day_fees=figures.day_fees,
            day_profit=figures.day_profit,
            net_loss=None if bounds is None else bounds.net_loss,
            unmarked=figures.unmarked[:UNMARKED_TOLD],
            unconverted=unconverted,
            is_fresh=figures.is_fresh,
            is_blind=self._supervision.is_blind(account_id),
            flatten_pending=told(watched.pending),
            updated=self._clock.now(),
        )


def told(pending: Sequence[str]) -> str | None:
    """Return why positions cannot be closed, each cause once with the instrument that has it first; None where nothing waits.

    `pending` are texts of the form `instrument: cause`.
    """
    causes: dict[str, list[str]] = {}
    for text in pending:
        name, _, cause = text.partition(": ")
        causes.setdefault(cause, []).append(name)
    words = []
    for cause, names in tuple(causes.items())[:CAUSES_TOLD]:
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        cut = cause if len(cause) <= CAUSE_LENGTH else f"{cause[:CAUSE_LENGTH]} ..."
        words.append(f"{names[0]}{others}: {cut}")
    if len(causes) > CAUSES_TOLD:
        words.append(f"and {len(causes) - CAUSES_TOLD} more")
    return "; ".join(words) or None
