"""Opening a business day (docs/risk.md)."""

import datetime
import json
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import evolve, frozen
from twisted.logger import Logger

from spire.execution.values import Halt
from spire.risk.acting import Acting
from spire.risk.baselines import Baselines
from spire.risk.facts import Facts
from spire.risk.kept import Baseline, Opened
from spire.risk.ledgers import Ledgers
from spire.risk.profit import Book
from spire.risk.supervision import Supervision, Watched
from spire.risk.turns import PATIENCE_SECONDS, STEP_SECONDS, Turns
from spire.risk.upstream import MarketWatch
from spire.risk.values import ALREADY_OPEN, KEPT, OPENED, BaselineKind, OpenedAccount
from spire.runtime.clock import Clock
from spire.service.audit import AuditTrail
from spire.values.audit import AuditEvent
from spire.values.orders import Channel
from spire.values.risk import RiskMode
from spire.wire.errors import Conflict, Invalid, SpireError, Unavailable
from spire.wire.server_session import Session

AT_ONCE: Final = 50
"""Accounts whose records are written in one transaction."""


@frozen(kw_only=True)
class Step:
    """What opening a day does with one account."""

    watched: Watched
    opened: Opened
    baseline: Baseline | None

    def is_news(self, known: Opened | None) -> bool:
        """Return whether there is more to record than that an account is open, where `known` is on record."""
        return self.baseline is not None or (self.opened.outcome != ALREADY_OPEN and self.opened != known)


class Days:
    """Opens days, one at a time; an account is touched by nobody else meanwhile."""

    _log = Logger()

    def __init__(
        self,
        *,
        facts: Facts,
        book: Book,
        ledgers: Ledgers,
        market: MarketWatch,
        supervision: Supervision,
        acting: Acting,
        baselines: Baselines,
        trail: AuditTrail,
        turns: Turns,
        clock: Clock,
    ) -> None:
        self._facts = facts
        self._book = book
        self._ledgers = ledgers
        self._market = market
        self._supervision = supervision
        self._acting = acting
        self._baselines = baselines
        self._trail = trail
        self._turns = turns
        self._clock = clock
        self._was_opened = False
        self._results: dict[str, dict[int, OpenedAccount]] = {}

    # Opening

    async def open(self, session: Session, business_date: str) -> None:
        """Open a business date for every account that was not opened on it. Raises Invalid, Conflict, Unavailable."""
        await self._check_date(business_date)
        async with self._turns.alone():
            results = self._results.setdefault(business_date, {})
            troubles: list[str] = []
            ids = sorted(self._supervision.accounts)
            changed = 0
            self._was_opened = any(each.business_date == business_date for each in self._baselines.opened.values())
            if not self._was_opened:
                await self._note_present(ids)
            for start in range(0, len(ids), AT_ONCE):
                changed += await self._open_some(
                    session, business_date, ids[start : start + AT_ONCE], results, troubles
                )
            if changed:
                counts = {outcome: self._count(results, outcome) for outcome in (OPENED, KEPT, ALREADY_OPEN)}
                event = self._trail.event(
                    session, "day.open", f"business_day:{business_date}", after=json.dumps(counts)
                )
                try:
                    await self._turns.record((), (), (event,))
                except Unavailable:
                    self._turns.tell_later(event)
            self._results = {business_date: results}
        if troubles:
            raise Unavailable(f"{len(troubles)} accounts are not open yet, open the day again: {troubles[0]}")

    def results(self, business_date: str) -> Sequence[OpenedAccount]:
        """Return what was done with each account, by id; after a restart what is known of it."""
        done = self._results.get(business_date, {})
        found = []
        for account_id in sorted(self._supervision.accounts):
            opened = self._baselines.opened.get(account_id)
            if account_id in done:
                found.append(evolve(done[account_id], mode=self._facts.standing(account_id).mode))
            elif opened is not None and opened.business_date == business_date:
                found.append(self._again(opened))
        return found

    async def complete(self) -> None:
        """Finish what the opening could not: records of accounts that had no mark, and allowed states; call each second."""
        business_date = self._facts.business_date()
        waiting = [
            each.trading_account_id
            for each in tuple(self._baselines.opened.values())
            if not each.is_complete
            and each.business_date == business_date
            and (not each.awaits_record or self._can_close(each.trading_account_id))
        ]
        if waiting and not self._turns.is_taken:
            troubles: list[str] = []
            async with self._turns.alone():
                try:
                    results = self._results.setdefault(business_date, {})
                    for start in range(0, len(waiting), AT_ONCE):
                        some = waiting[start : start + AT_ONCE]
                        await self._open_some(None, business_date, some, results, troubles)
                except Unavailable as error:
                    troubles.append(error.message)
            if troubles:
                self._log.warn("records are not complete: {trouble}", trouble=troubles[0])

    def _can_close(self, account_id: int) -> bool:
        return account_id in self._supervision.accounts and not self._book.unclosable(account_id)

    async def _note_present(self, ids: Iterable[int]) -> None:
        """Take note of accounts that were never opened, before the first is: whoever has no row later was made since."""
        new = [_never(number) for number in ids if number not in self._baselines.opened]
        await self._turns.record((), new, ())
        self._baselines.opened.update({each.trading_account_id: each for each in new})

    async def _check_date(self, business_date: str) -> None:
        """Wait a moment for a day that Administration has just opened."""
        try:
            if datetime.date.fromisoformat(business_date).isoformat() != business_date:
                raise ValueError
        except ValueError:
            raise Invalid("business_date: write a date as 2013-10-08", argument="business_date") from None
        deadline = self._clock.monotonic() + PATIENCE_SECONDS
        while business_date not in self._facts.days.rows and self._clock.monotonic() < deadline:
            await self._clock.sleep(STEP_SECONDS)
        current = self._facts.business_date()
        if business_date not in self._facts.days.rows or business_date != current:
            raise Conflict(
                f"The firm's current business date is {current}; open {business_date} at Administration first.",
                business_date=current,
            )

    async def _open_some(
        self,
        session: Session | None,
        business_date: str,
        ids: Iterable[int],
        results: dict[int, OpenedAccount],
        troubles: list[str],
    ) -> int:
        """Open some accounts; return how many were changed."""
        steps: list[Step] = []
        held: list[Watched] = []
        try:
            for account_id in ids:
                watched = self._supervision.accounts.get(account_id)
                if watched is None:
                    continue
                opened = self._baselines.opened.get(account_id)
                if opened is not None and opened.business_date == business_date and opened.is_complete:
                    results[account_id] = self._again(opened)
                    continue
                try:
                    await self._turns.hold(watched)
                    held.append(watched)
                    step = await self._step(watched, opened, business_date)
                    if opened is not None and step.opened == opened and opened.awaits_record:
                        results[account_id] = self._again(opened)
                    else:
                        steps.append(step)
                except SpireError as error:
                    troubles.append(f"{self._facts.name(account_id)}: {error.message}")
            fresh = [step for step in steps if step.is_news(self._baselines.opened.get(step.watched.account_id))]
            await self._turns.record(
                [step.baseline for step in fresh if step.baseline is not None],
                [step.opened for step in fresh],
                [self._opened_event(session, step) for step in fresh],
            )
            for step in fresh:
                if step.baseline is not None:
                    self._baselines.take(step.baseline)
                self._baselines.opened[step.watched.account_id] = step.opened
            await self._take_note(steps)
            for step in steps:
                await self._finish(step, business_date, results, troubles)
                held.remove(step.watched)
                self._turns.let_go(step.watched)
        finally:
            for watched in held:
                self._turns.let_go(watched)
        return len(steps)

    async def _step(self, watched: Watched, opened: Opened | None, business_date: str) -> Step:
        """Return what is to be done with one account. Raises Unavailable where that cannot be known now."""
        account_id = watched.account_id
        if opened is not None and opened.business_date == business_date:
            return self._later_step(watched, opened)
        if opened is None and self._was_opened:
            return Step(watched=watched, opened=_since(account_id, business_date), baseline=None)
        ledger = self._ledgers.get(account_id)
        if ledger is None or not ledger.is_caught_up:
            raise Unavailable("its activity is not followed yet")
        self._market.settle()
        if self._book.off_market(account_id) and not self._market.is_caught_up:
            raise Unavailable("its positions have no marks yet")
        kept = await self._why_kept(watched)
        unclosable = self._book.unclosable(account_id)
        missing = self._market.no_mark(unclosable) if unclosable else None
        return Step(
            watched=watched,
            opened=Opened(
                trading_account_id=account_id,
                business_date=business_date,
                outcome=OPENED if kept is None and missing is None else KEPT,
                reason="; ".join(filter(None, (kept, missing))),
                is_complete=missing is None and (kept is not None or self._turns.is_allowed(account_id)),
            ),
            baseline=self._baselines.next(watched, BaselineKind.START_OF_DAY, business_date),
        )

    def _later_step(self, watched: Watched, opened: Opened) -> Step:
        """Return what is left to do with an account whose day was opened: the marks of its record, its allowed state."""
        account_id = watched.account_id
        self._market.settle()
        if opened.awaits_record and self._book.unclosable(account_id):
            return Step(watched=watched, opened=opened, baseline=None)
        kept = self._why_kept_since(account_id, had_positions=opened.awaits_record)
        return Step(
            watched=watched,
            opened=evolve(
                opened,
                outcome=OPENED if kept is None else KEPT,
                reason=kept or "",
                is_complete=kept is not None or self._turns.is_allowed(account_id),
            ),
            baseline=self._baselines.closed(account_id, opened.business_date),
        )

    def _why_kept_since(self, account_id: int, *, had_positions: bool) -> str | None:
        """Return why a person must release an account whose day was opened, but not completely, if one must."""
        standing, taken = self._facts.standing(account_id), self._baselines.taken(account_id)
        if had_positions and (
            standing.mode is RiskMode.DISABLED or (taken is not None and standing.is_disabled(taken))
        ):
            return "it is DISABLED and had positions"
        was_stopped = standing.since is not None and taken is not None and standing.since > taken
        if was_stopped and not self._turns.is_allowed(account_id):
            return f"it was stopped after the day was opened: it is {standing.mode.name}"
        return None

    async def _why_kept(self, watched: Watched) -> str | None:
        """Return why a person must release an account, if one must. A halt that a person set stays by itself."""
        account_id = watched.account_id
        if not self._facts.standing(account_id).is_disabled(self._clock.now()):
            return None
        if not self._book.accounts[account_id].is_flat:
            return "it is DISABLED and has positions"
        if await self._acting.live_orders(account_id):
            return "it is DISABLED and has live orders"
        return None

    async def _finish(
        self, step: Step, business_date: str, results: dict[int, OpenedAccount], troubles: list[str]
    ) -> None:
        """Give an account its allowed state, and take note that it has it."""
        account_id, opened = step.watched.account_id, step.opened
        if not opened.is_complete and not opened.awaits_record:
            try:
                await self._turns.allow(step.watched, f"business day {business_date} was opened")
            except SpireError as error:
                troubles.append(f"{self._facts.name(account_id)}: {error.message}")
                return
            opened = evolve(opened, is_complete=True)
            await self._turns.record((), (opened,), ())
            self._baselines.opened[account_id] = opened
        results[account_id] = self._result(opened, opened.outcome)

    async def _take_note(self, steps: Sequence[Step]) -> None:
        """Take note of accounts that were made since the day was opened: they are open, and what they lost today counts."""
        new = [step.opened for step in steps if step.opened.outcome == ALREADY_OPEN]
        await self._turns.record((), new, ())
        self._baselines.opened.update({each.trading_account_id: each for each in new})

    def _opened_event(self, session: Session | None, step: Step) -> AuditEvent:
        """Return the event of a record; without a session this server takes it by itself."""
        action, entity = "account.open_day", f"trading_account:{step.watched.account_id}"
        before, after = self._baselines.opened.get(step.watched.account_id), step.opened
        if session is not None:
            return self._trail.event(session, action, entity, before=before, after=after)
        reason = after.reason or "there is a mark now"
        event = self._trail.local(action, entity, before=before, after=after, reason=reason)
        return evolve(event, actor_name="risk", channel=Channel.RISK, source="the Risk Server itself")

    def _result(self, opened: Opened, outcome: str) -> OpenedAccount:
        account_id = opened.trading_account_id
        halts = self._facts.persons_halts(account_id)
        reason = opened.reason or (_told(halts[0]) if halts else "")
        mode = self._facts.standing(account_id).mode
        return OpenedAccount(trading_account_id=account_id, outcome=outcome, mode=mode, reason=reason)

    def _again(self, opened: Opened) -> OpenedAccount:
        """Return what is told of an account that is open already: KEPT as long as a person must release something."""
        account_id = opened.trading_account_id
        if opened.outcome != KEPT:
            return self._result(opened, ALREADY_OPEN)
        if opened.is_complete and self._turns.is_allowed(account_id):
            return self._result(evolve(opened, reason="what kept it has been released"), ALREADY_OPEN)
        if opened.is_complete:
            return self._result(evolve(opened, reason=f"when the day was opened: {opened.reason}"), KEPT)
        return self._result(opened, KEPT)

    def _count(self, results: dict[int, OpenedAccount], outcome: str) -> int:
        return sum(1 for each in results.values() if each.outcome == outcome)


def _never(account_id: int) -> Opened:
    return Opened(
        trading_account_id=account_id, business_date="", outcome=ALREADY_OPEN, reason="never opened", is_complete=True
    )


def _since(account_id: int, business_date: str) -> Opened:
    return Opened(
        trading_account_id=account_id,
        business_date=business_date,
        outcome=ALREADY_OPEN,
        reason="it was made since the day was opened",
        is_complete=True,
    )


def _told(halt: Halt) -> str:
    return f"halt {halt.halt_id} of scope {halt.scope.name} stays in force: {halt.reason}"[:500]
