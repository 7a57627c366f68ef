"""Releasing an account on the same day (docs/risk.md)."""

from attrs import evolve, frozen
from twisted.logger import Logger

from spire.database.errors import StoreDown, StoreError
from spire.risk.baselines import Baselines
from spire.risk.facts import Facts
from spire.risk.interfaces import IRiskStore
from spire.risk.kept import Baseline
from spire.risk.ledgers import Ledgers
from spire.risk.profit import Book
from spire.risk.states import Loss, Standing, is_beyond
from spire.risk.supervision import Supervision, Watched
from spire.risk.turns import Turns
from spire.risk.upstream import MarketWatch
from spire.risk.values import BaselineKind
from spire.service.audit import AuditTrail
from spire.values.amounts import ZERO_MONEY, Money, format_amount
from spire.values.audit import AuditEvent
from spire.values.risk import RiskMode
from spire.wire.errors import Conflict, Invalid, NotFound, Unavailable
from spire.wire.server_session import Session


@frozen(kw_only=True)
class Released:
    """What a release left: the state that was written, and the baseline from which the day counts now, if a new one."""

    standing: Standing
    baseline: Baseline | None


class Releases:
    """Releases accounts: first the state is written, then, in one transaction, the new baseline and what was done.

    Between the two nobody else touches the account. Where the second fails what was lost still counts, and stops it again. Where it is
    not known whether it failed, the store is asked as soon as it answers (`settle`): what is on record counts, as after a restart.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        facts: Facts,
        book: Book,
        ledgers: Ledgers,
        market: MarketWatch,
        supervision: Supervision,
        baselines: Baselines,
        store: IRiskStore,
        trail: AuditTrail,
        turns: Turns,
    ) -> None:
        self._facts = facts
        self._book = book
        self._ledgers = ledgers
        self._market = market
        self._supervision = supervision
        self._baselines = baselines
        self._store = store
        self._trail = trail
        self._turns = turns
        self._in_doubt: dict[int, Baseline] = {}

    async def release(self, session: Session, account_id: int, reason: str, *, new_baseline: bool) -> None:
        """Give an account back its allowed state. Raises Invalid, NotFound, Conflict, Unavailable."""
        if not reason.strip():
            raise Invalid("reason: say why the account is released", argument="reason")
        watched = self._supervision.accounts.get(account_id)
        if watched is None:
            raise NotFound(f"There is no trading account {account_id}.", trading_account_id=account_id)
        async with self._turns.alone():
            await self._turns.hold(watched)
            try:
                await self._let_go(session, watched, reason, new_baseline=new_baseline)
            finally:
                self._turns.let_go(watched)

    async def _let_go(self, session: Session, watched: Watched, reason: str, *, new_baseline: bool) -> None:
        account_id = watched.account_id
        standing = self._facts.standing(account_id)
        allowed = self._facts.allowed(account_id)
        if standing.mode is RiskMode.ACTIVE:
            raise Conflict(f"{self._facts.name(account_id)} is ACTIVE.", mode=standing.mode.name)
        if self._turns.is_allowed(account_id):
            raise Conflict(f"Its limits allow no more than {allowed.name}: change them first.", mode=allowed.name)
        ledger = self._ledgers.get(account_id)
        if ledger is None or not ledger.is_live:
            raise Unavailable("Its activity is not followed now; try again later.")
        self._check_loss(watched, new_baseline=new_baseline)
        unclosable = self._book.unclosable(account_id) if new_baseline else ()
        if unclosable:
            raise Unavailable(
                f"There is {self._market.no_mark(unclosable)}, so no new baseline can be taken: try again later."
            )
        await self._check_store(account_id)
        await self._turns.allow(watched, reason, session.identity.account_id)
        baseline = None
        if new_baseline:
            baseline = self._baselines.next(watched, BaselineKind.RELEASE, self._facts.business_date())
        event = self._trail.event(
            session,
            "account.release",
            f"trading_account:{account_id}",
            version=self._facts.standing(account_id).version,
            before=standing,
            after=Released(standing=self._facts.standing(account_id), baseline=baseline),
            reason=reason,
        )
        try:
            await self._turns.record(() if baseline is None else (baseline,), (), (event,))
        except Unavailable as error:
            text = "The risk state was written, but no record of the release"
            if "in_doubt" in error.details:
                if baseline is not None:
                    self._in_doubt[account_id] = baseline
                text = "The risk state was written, and it is not known whether the release is on record"
            text += ": what was lost still counts." if new_baseline else "."
            self._turns.tell_later(self._again(session, event, error, text))
            raise Unavailable(f"{text} {error.message}", in_doubt="yes") from error
        if baseline is not None:
            self._baselines.take(baseline)
        self._log.warn("{name} was released: {reason}", name=self._facts.name(account_id), reason=reason)

    async def settle(self) -> None:
        """Take over the baselines that turn out to be on record; call each second."""
        for account_id in tuple(self._in_doubt):
            async with self._turns.alone():
                await self._settle(account_id)

    async def _settle(self, account_id: int) -> None:
        baseline = self._in_doubt[account_id]
        try:
            found = await self._store.baselines(account_id, baseline.number - 1, 1)
        except StoreError as error:
            self._log.info("a release is still in doubt: {error}", error=str(error))
            return
        del self._in_doubt[account_id]
        if found == (baseline,) and self._baselines.is_next(baseline):
            self._baselines.take(baseline)
            self._supervision.look(account_id)
            self._log.warn("the release of {name} is on record", name=self._facts.name(account_id))

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
        if watched.lacks_rate is not None and not new_baseline:
            raise Unavailable(
                f"There is no exchange rate for {watched.lacks_rate}, so nobody can say what it lost: begin a new baseline, "
                "or try again when there is one."
            )
        bounds = watched.bound.bounds
        if bounds is None:
            return
        loss = Loss(closed=ZERO_MONEY, day=ZERO_MONEY) if new_baseline else self._supervision.loss(watched)
        for observed in (loss.closed, loss.day):
            if is_beyond(observed, bounds):
                assert observed is not None
                advice = "raise the limit" if new_baseline else "raise the limit, or begin a new baseline"
                raise Conflict(
                    f"What it lost is still beyond its limit: {advice}.",
                    reason="STILL_BREACHED",
                    limit=format_amount(Money(-bounds.net_loss)),
                    observed=format_amount(observed),
                )
