"""Opening a business day, and releasing an account on the same day (docs/risk.md)."""

import datetime
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from attrs import evolve, frozen
from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from spire.database.errors import NotUnique, StoreDown
from spire.execution.values import Halt
from spire.risk.acting import Acting
from spire.risk.baselines import Baselines
from spire.risk.facts import Facts
from spire.risk.interfaces import IRiskStore
from spire.risk.kept import Baseline, Opened
from spire.risk.ledgers import Ledgers
from spire.risk.profit import Book
from spire.risk.states import Loss, is_beyond
from spire.risk.supervision import Supervision, Watched
from spire.risk.upstream import MarketWatch
from spire.risk.values import ALREADY_OPEN, KEPT, OPENED, BaselineKind, OpenedAccount
from spire.runtime.clock import Clock
from spire.service.audit import AuditTrail
from spire.values.amounts import ZERO_MONEY, Money, format_amount
from spire.values.audit import AuditEvent
from spire.values.orders import Channel
from spire.values.risk import RiskMode
from spire.wire.errors import Conflict, Invalid, NotFound, SpireError, Unavailable
from spire.wire.server_session import Session

PATIENCE_SECONDS: Final = 5.0
"""How long to wait for the business day to arrive from Administration, and for what is being done about an account."""

STEP_SECONDS: Final = 0.05
AT_ONCE: Final = 50
"""Accounts whose records are written in one transaction."""


@frozen(kw_only=True)
class Step:
    """What opening a day does with one account."""

    watched: Watched
    opened: Opened
    baseline: Baseline | None


class Days:
    """Opens days and releases accounts, one at a time; an account is touched by nobody else meanwhile."""

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
        store: IRiskStore,
        trail: AuditTrail,
        clock: Clock,
    ) -> None:
        self._facts = facts
        self._book = book
        self._ledgers = ledgers
        self._market = market
        self._supervision = supervision
        self._acting = acting
        self._baselines = baselines
        self._store = store
        self._trail = trail
        self._clock = clock
        self._lock = DeferredLock()
        self._was_opened = False
        self._untold: list[AuditEvent] = []
        self._results: dict[str, dict[int, OpenedAccount]] = {}

    # Opening

    async def open(self, session: Session, business_date: str) -> None:
        """Open a business date for every account that was not opened on it. Raises Invalid, Conflict, Unavailable."""
        await self._check_date(business_date)
        async with self._alone():
            results = self._results.setdefault(business_date, {})
            troubles: list[str] = []
            ids = sorted(self._supervision.accounts)
            changed = 0
            self._was_opened = any(each.business_date == business_date for each in self._baselines.opened.values())
            for start in range(0, len(ids), AT_ONCE):
                changed += await self._open_some(
                    session, business_date, ids[start : start + AT_ONCE], results, troubles
                )
            if changed:
                counts = {outcome: self._count(results, outcome) for outcome in (OPENED, KEPT, ALREADY_OPEN)}
                event = self._trail.event(
                    session, "day.open", f"business_day:{business_date}", after=json.dumps(counts)
                )
                await self._record((), (), (event,))
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
                found.append(self._result(opened, KEPT if opened.outcome == KEPT else ALREADY_OPEN))
        return found

    async def complete(self) -> None:
        """Do what could not be done: take the records of accounts that had no mark, once they have one; call each second."""
        business_date = self._facts.business_date()
        waiting = [
            each.trading_account_id
            for each in tuple(self._baselines.opened.values())
            if each.awaits_record and each.business_date == business_date and self._can_close(each.trading_account_id)
        ]
        if waiting and not self._lock.locked:
            troubles: list[str] = []
            async with self._alone():
                try:
                    results = self._results.setdefault(business_date, {})
                    await self._open_some(None, business_date, waiting, results, troubles)
                except Unavailable as error:
                    troubles.append(error.message)
            if troubles:
                self._log.warn("records are not complete: {trouble}", trouble=troubles[0])
        await self._tell()

    async def _tell(self) -> None:
        """Write the events that a store that was away has not taken."""
        while self._untold:
            try:
                await self._store.record((), (), self._untold[:1])
            except NotUnique:
                self._log.info("an audit event is there already: the answer to its commit was lost")
            except StoreDown:
                return
            del self._untold[0]

    def _can_close(self, account_id: int) -> bool:
        return account_id in self._supervision.accounts and not self._book.unclosable(account_id)

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
                    results[account_id] = self._result(opened, KEPT if opened.outcome == KEPT else ALREADY_OPEN)
                    continue
                try:
                    await self._hold(watched)
                    held.append(watched)
                    steps.append(await self._step(watched, opened, business_date))
                except SpireError as error:
                    troubles.append(f"{self._facts.name(account_id)}: {error.message}")
            fresh = [step for step in steps if step.baseline is not None or step.opened.awaits_record]
            await self._record(
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
        finally:
            for watched in held:
                self._release(watched)
        return len(steps)

    async def _step(self, watched: Watched, opened: Opened | None, business_date: str) -> Step:
        """Return what is to be done with one account. Raises Unavailable where that cannot be known now."""
        account_id = watched.account_id
        if opened is not None and opened.business_date == business_date and not opened.awaits_record:
            return Step(watched=watched, opened=opened, baseline=None)
        if opened is None and self._was_opened:
            return Step(watched=watched, opened=_since(account_id, business_date), baseline=None)
        ledger = self._ledgers.get(account_id)
        if ledger is None or not ledger.is_caught_up:
            raise Unavailable("its activity is not followed yet")
        self._market.settle()
        if self._book.off_market(account_id) and not self._market.is_caught_up:
            raise Unavailable("its positions have no marks yet")
        unclosable = self._book.unclosable(account_id)
        if unclosable:
            return Step(watched=watched, opened=self._awaiting(account_id, business_date, unclosable), baseline=None)
        kept = await self._why_kept(watched)
        return Step(
            watched=watched,
            opened=Opened(
                trading_account_id=account_id,
                business_date=business_date,
                outcome=OPENED if kept is None else KEPT,
                reason=kept or "",
                is_complete=kept is not None or self._is_allowed(account_id),
            ),
            baseline=self._baselines.next(watched, BaselineKind.START_OF_DAY, business_date),
        )

    def _awaiting(self, account_id: int, business_date: str, unclosable: Sequence[int]) -> Opened:
        return Opened(
            trading_account_id=account_id,
            business_date=business_date,
            outcome=KEPT,
            reason=self._no_mark(unclosable),
            is_complete=False,
        )

    def _no_mark(self, unclosable: Sequence[int]) -> str:
        others = f" and {len(unclosable) - 1} more" if len(unclosable) > 1 else ""
        return f"no mark of {self._market.name(unclosable[0])}{others}"

    async def _why_kept(self, watched: Watched) -> str | None:
        """Return why a person must release an account, if one must."""
        account_id = watched.account_id
        halts = self._facts.persons_halts(account_id)
        if halts:
            return _told(halts[0])
        if self._facts.standing(account_id).mode is not RiskMode.DISABLED:
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
                await self._allow(step.watched, f"business day {business_date} was opened")
            except SpireError as error:
                troubles.append(f"{self._facts.name(account_id)}: {error.message}")
                return
            opened = evolve(opened, is_complete=True)
            await self._record((), (opened,), ())
            self._baselines.opened[account_id] = opened
        results[account_id] = self._result(opened, opened.outcome)

    async def _take_note(self, steps: Sequence[Step]) -> None:
        """Take note of accounts that were made since the day was opened: they are open, and what they lost today counts."""
        new = [step.opened for step in steps if step.opened.outcome == ALREADY_OPEN]
        await self._record((), new, ())
        self._baselines.opened.update({each.trading_account_id: each for each in new})

    def _is_allowed(self, account_id: int) -> bool:
        """Return whether an account has its allowed state, for good."""
        standing = self._facts.standing(account_id)
        return standing.mode is self._facts.allowed(account_id) and standing.expiry is None

    async def _allow(self, watched: Watched, reason: str, on_behalf_of: int | None = None) -> None:
        """Write the allowed state, unless it holds already."""
        account_id = watched.account_id
        if self._is_allowed(account_id):
            return
        allowed, standing = self._facts.allowed(account_id), self._facts.standing(account_id)
        state = await self._acting.write(
            account_id, allowed, reason, version=standing.version, on_behalf_of=on_behalf_of
        )
        watched.beyond_since = None
        self._supervision.record(watched, standing, state)

    def _opened_event(self, session: Session | None, step: Step) -> AuditEvent:
        """Return the event of a record; without a session this server takes it by itself."""
        action, entity = "account.open_day", f"trading_account:{step.watched.account_id}"
        before, after = self._baselines.opened.get(step.watched.account_id), step.opened
        if session is not None:
            return self._trail.event(session, action, entity, before=before, after=after)
        event = self._trail.local(action, entity, before=before, after=after, reason="there is a mark now")
        return evolve(event, actor_name="risk", channel=Channel.RISK, source="the Risk Server itself")

    def _result(self, opened: Opened, outcome: str) -> OpenedAccount:
        account_id = opened.trading_account_id
        mode = self._facts.standing(account_id).mode
        return OpenedAccount(trading_account_id=account_id, outcome=outcome, mode=mode, reason=opened.reason)

    def _count(self, results: dict[int, OpenedAccount], outcome: str) -> int:
        return sum(1 for each in results.values() if each.outcome == outcome)

    # Releasing

    async def release(self, session: Session, account_id: int, reason: str, *, new_baseline: bool) -> None:
        """Give an account back its allowed state. Raises Invalid, NotFound, Conflict, Unavailable."""
        if not reason.strip():
            raise Invalid("reason: say why the account is released", argument="reason")
        watched = self._supervision.accounts.get(account_id)
        if watched is None:
            raise NotFound(f"There is no trading account {account_id}.", trading_account_id=account_id)
        async with self._alone():
            await self._hold(watched)
            try:
                await self._let_go(session, watched, reason, new_baseline=new_baseline)
            finally:
                self._release(watched)

    async def _let_go(self, session: Session, watched: Watched, reason: str, *, new_baseline: bool) -> None:
        account_id = watched.account_id
        standing = self._facts.standing(account_id)
        allowed = self._facts.allowed(account_id)
        if standing.mode is RiskMode.ACTIVE:
            raise Conflict(f"{self._facts.name(account_id)} is ACTIVE.", mode=standing.mode.name)
        if self._is_allowed(account_id):
            raise Conflict(f"Its limits allow no more than {allowed.name}: change them first.", mode=allowed.name)
        ledger = self._ledgers.get(account_id)
        if ledger is None or not ledger.is_live:
            raise Unavailable("Its activity is not followed now; try again later.")
        self._check_loss(watched, new_baseline=new_baseline)
        unclosable = self._book.unclosable(account_id) if new_baseline else ()
        if unclosable:
            raise Unavailable(
                f"There is {self._no_mark(unclosable)}, so no new baseline can be taken: try again later."
            )
        await self._check_store(account_id)
        await self._allow(watched, reason, session.identity.account_id)
        baseline = None
        if new_baseline:
            baseline = self._baselines.next(watched, BaselineKind.RELEASE, self._facts.business_date())
        event = self._trail.event(
            session,
            "account.release",
            f"trading_account:{account_id}",
            version=self._facts.standing(account_id).version,
            before=standing,
            after=baseline,
            reason=reason,
        )
        try:
            await self._record(() if baseline is None else (baseline,), (), (event,))
        except Unavailable as error:
            text = "The risk state was written, but no record of the release"
            text += ": what was lost still counts." if new_baseline else "."
            self._untold.append(self._again(session, event, error, text))
            raise Unavailable(
                f"{text} The database is away: release the account again when it is back.", in_doubt="yes"
            ) from error
        if baseline is not None:
            self._baselines.take(baseline)
        self._log.warn("{name} was released: {reason}", name=self._facts.name(account_id), reason=reason)

    def _again(self, session: Session, event: AuditEvent, error: Unavailable, text: str) -> AuditEvent:
        """Return what an event has become that could not be written: it is written when the database is back."""
        fresh = self._trail.event(session, event.action, event.entity)
        return evolve(event, event_id=fresh.event_id, after=None, outcome=error.coded, text=text)

    async def _check_store(self, account_id: int) -> None:
        """See that the store is there before anything is written elsewhere; Unavailable."""
        try:
            await self._store.baselines(account_id, 0, 1)
        except StoreDown as error:
            raise Unavailable("The database is away and nothing was changed; ask again when it is back.") from error

    def _check_loss(self, watched: Watched, *, new_baseline: bool) -> None:
        """Refuse a release that would be undone at once."""
        self._supervision.count(watched)
        bounds = watched.bound.bounds
        if bounds is None:
            return
        loss = Loss(closed=ZERO_MONEY, day=ZERO_MONEY) if new_baseline else self._supervision.loss(watched)
        for observed in (loss.closed, loss.day):
            if is_beyond(observed, bounds):
                assert observed is not None
                raise Conflict(
                    "What it lost is still beyond its limit: raise the limit, or begin a new baseline.",
                    reason="STILL_BREACHED",
                    limit=format_amount(Money(-bounds.net_loss)),
                    observed=format_amount(observed),
                )

    # Small things

    async def _record(
        self, baselines: Sequence[Baseline], opened: Sequence[Opened], audit: Sequence[AuditEvent]
    ) -> None:
        if not (baselines or opened or audit):
            return
        try:
            await self._store.record(baselines, opened, audit)
        except StoreDown as error:
            raise Unavailable("The database is away; ask again when it is back, which is safe.") from error

    async def _hold(self, watched: Watched) -> None:
        """Keep everybody else from touching an account. Raises Unavailable where that takes too long."""
        deadline = self._clock.monotonic() + PATIENCE_SECONDS
        while watched.is_busy:
            if self._clock.monotonic() >= deadline:
                raise Unavailable("Something is being done about it just now; try again.")
            await self._clock.sleep(STEP_SECONDS)
        watched.is_busy = True

    def _release(self, watched: Watched) -> None:
        watched.is_busy = False
        self._supervision.look(watched.account_id)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        await self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()


def _since(account_id: int, business_date: str) -> Opened:
    return Opened(
        trading_account_id=account_id,
        business_date=business_date,
        outcome=ALREADY_OPEN,
        reason="it was made since the day was opened",
        is_complete=True,
    )


def _told(halt: Halt) -> str:
    return f"halt {halt.halt_id} of scope {halt.scope.name} is in force: {halt.reason}"[:500]
