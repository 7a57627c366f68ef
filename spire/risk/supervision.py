"""Watching every trading account: what it made, whether that is too little, and what is done about it until it is done."""

from collections.abc import Callable, Iterable
from typing import Final

from attrs import define, field
from twisted.logger import Logger

from spire.administration.values import RiskState
from spire.locator.values import Entry
from spire.risk.acting import Acting
from spire.risk.facts import Bound, Facts
from spire.risk.kept import RiskEvent
from spire.risk.ledgers import Ledgers
from spire.risk.profit import Book, Figures
from spire.risk.states import Course, LiveOrder, Loss, Move, Situation, Standing, Tradable, course, opening_orders
from spire.risk.upstream import MarketWatch
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.values.codes import Currency
from spire.values.risk import RiskMode
from spire.wire.errors import SpireError, Unavailable

GRACE_SECONDS: Final = 2.0
"""How long a position may be without a mark before its account is blind: a mark that was asked for comes."""


@define(eq=False)
class Watched:
    """One account. `is_busy` while something is done about it: then nobody else touches its state.

    `quiet_at` is the place in its activity at which it was found to have neither orders nor positions.
    """

    account_id: int
    figures: Figures
    bound: Bound = field(factory=Bound)
    beyond_since: float | None = None
    unmarked_since: float | None = None
    is_busy: bool = False
    quiet_at: int | None = None
    pending: tuple[str, ...] = ()
    told: frozenset[str] = frozenset()

    @property
    def lacks_rate(self) -> str | None:
        """Return a currency without whose rate nobody can say what the account loses today, or what it may; None without one."""
        return next(iter(self.figures.unconverted_today), self.bound.unconverted)


class Supervision:
    """Looks at accounts as they change and each second, and has done what is to be done.

    `awaits_record` answers whether the record from which an account's day counts lacks marks: then nobody can say what it lost.
    `lets_go` answers whether a business day ends a state, which could not be written yet.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        facts: Facts,
        book: Book,
        ledgers: Ledgers,
        market: MarketWatch,
        acting: Acting,
        clock: Clock,
        tasks: Tasks,
        metrics: Metrics,
    ) -> None:
        self.accounts: dict[int, Watched] = {}
        self.changed: set[int] = set()
        self.awaits_record: Callable[[int], bool] = lambda _: False
        self.lets_go: Callable[[int, Standing], bool] = lambda *_: False
        self._facts = facts
        self._book = book
        self._ledgers = ledgers
        self._market = market
        self._acting = acting
        self._clock = clock
        self._tasks = tasks
        self._is_running = False
        self._were_blind: set[int] = set()
        self._looks = metrics.counter("spire_risk_looks", "How often an account was looked at.")
        self._pending = metrics.gauge("spire_risk_flatten_pending", "Accounts whose positions cannot be closed now.")
        self._watched = metrics.gauge("spire_risk_accounts", "Trading accounts that are watched.")
        self._blind = metrics.gauge("spire_risk_blind", "Trading accounts that cannot be watched now.")

    # Accounts

    def start(self) -> None:
        """Begin to act."""
        self._is_running = True

    def stop(self) -> None:
        """Act no more; what is under way goes on to its end."""
        self._is_running = False

    def open_books(self, account_ids: Iterable[int]) -> None:
        """Make the books of accounts whose positions were kept."""
        entries = self._facts.trading_accounts()
        for account_id in account_ids:
            self._book.open(account_id, _currency(entries[account_id]))

    def follow_directory(self, rebase: Callable[[int], None]) -> None:
        """Watch the trading accounts that the directory has, and no others.

        `rebase` lets a book that is new here count from its baseline.
        """
        entries = self._facts.trading_accounts()
        for account_id, entry in entries.items():
            self._book.open(account_id, _currency(entry))
            if account_id not in self.accounts:
                rebase(account_id)
                self.accounts[account_id] = Watched(account_id, self._book.figures(account_id, self._facts.convert))
                self._ledgers.open(account_id)
        for account_id in [number for number in self.accounts if number not in entries]:
            del self.accounts[account_id]
            self._ledgers.drop(account_id)
            self._book.drop(account_id)
            self.changed.add(account_id)
        self._watched.set(len(self.accounts))

    def through(self) -> int:
        """Return the greatest id of the accounts that are watched.

        Accounts come with the directory alone: while it is not live none comes, and nothing newer is claimed.
        """
        return max(self.accounts, default=0)

    def blind(self) -> tuple[int, ...]:
        """Return the accounts that cannot be watched now."""
        found = tuple(number for number in sorted(self.accounts) if self.is_blind(number))
        self.changed.update(set(found) ^ self._were_blind)
        self._were_blind = set(found)
        self._blind.set(len(found))
        return found

    def is_blind(self, account_id: int) -> bool:
        """Return whether nobody could say now what an account loses."""
        watched, ledger = self.accounts[account_id], self._ledgers.get(account_id)
        if ledger is None or not ledger.is_live:
            return True
        if watched.lacks_rate is not None:
            return True
        if self.awaits_record(account_id):
            return True
        since = watched.unmarked_since
        if since is not None and self._clock.monotonic() - since >= GRACE_SECONDS:
            return True
        return not self._market.is_ready and not self._book.accounts[account_id].is_flat

    # Looking

    def check(self) -> None:
        """Look at what changed, and at losses that are about to have lasted too long; call several times a second."""
        if self._facts.rates_changed():
            self._book.dirty.update(self.accounts)
        lasting = {number for number, each in self.accounts.items() if each.beyond_since is not None}
        for account_id in sorted(self._book.dirty | lasting):
            self._look_apart(account_id, asks=False)

    def check_all(self) -> None:
        """Look at every account; call each second."""
        for account_id in tuple(self.accounts):
            self._look_apart(account_id, asks=True)
        self._pending.set(sum(1 for each in self.accounts.values() if each.pending))

    def _look_apart(self, account_id: int, *, asks: bool) -> None:
        """Look at one account; what goes wrong with it keeps no other from being looked at."""
        try:
            self.look(account_id, asks=asks)
        except Exception:  # noqa: BLE001 (whatever it is, it is of this account, and is logged)
            self._log.failure("{name} could not be looked at", name=self._facts.name(account_id))

    def look(self, account_id: int, *, asks: bool = False) -> None:
        """Look at one account, and begin what is to be done; `asks` says to ask for live orders where they matter."""
        watched = self.accounts.get(account_id)
        if watched is None:
            self._book.dirty.discard(account_id)
            return
        ledger = self._ledgers.get(account_id)
        self.count(watched)
        if not self._is_running or watched.is_busy or ledger is None or not ledger.is_caught_up:
            return
        self._looks.inc()
        found = course(self._situation(watched, None), watched.beyond_since)
        watched.beyond_since = found.beyond_since
        if not found.wants_orders:
            self._tell_pending(watched, ())
            watched.quiet_at = None
        if found.move is not None or (asks and found.wants_orders and watched.quiet_at != ledger.sequence):
            watched.is_busy = True
            self._tasks.spawn(f"risk of {self._facts.name(account_id)}", self._act(watched))

    def count(self, watched: Watched) -> None:
        """Bring an account's figures up to date."""
        account_id = watched.account_id
        bound = self._facts.bound(account_id, self._book.accounts[account_id].currency)
        if account_id in self._book.dirty or bound != watched.bound:
            self._book.dirty.discard(account_id)
            watched.figures, watched.bound = self._book.figures(account_id, self._facts.convert), bound
            self.changed.add(account_id)
        if not watched.figures.unmarked:
            watched.unmarked_since = None
        elif watched.unmarked_since is None:
            watched.unmarked_since = self._clock.monotonic()

    def loss(self, watched: Watched) -> Loss:
        """Return what an account made today, as far as it may count: what it has realised, where the day's record lacks marks."""
        if watched.lacks_rate is not None:
            return Loss(closed=None, day=None)
        is_known = not self.awaits_record(watched.account_id)
        return Loss(closed=watched.figures.day_closed, day=watched.figures.day_proven if is_known else None)

    def _situation(self, watched: Watched, orders: tuple[LiveOrder, ...] | None) -> Situation:
        account_id = watched.account_id
        positions = self._book.accounts[account_id].held() if orders is not None else {}
        standing = self._facts.standing(account_id)
        return Situation(
            now=self._clock.now(),
            monotonic=self._clock.monotonic(),
            bounds=watched.bound.bounds,
            standing=standing,
            loss=self.loss(watched),
            announced=self._facts.announced(account_id),
            is_let_go=self.lets_go(account_id, standing),
            orders=orders,
            positions=positions,
            markets=self._markets(account_id, positions),
        )

    def _markets(self, account_id: int, instruments: Iterable[int]) -> dict[int, Tradable]:
        found = {}
        stopped = self._facts.stopped(account_id)
        for number in instruments:
            tradable = self._market.tradable(number)
            if tradable is not None:
                found[number] = tradable if stopped is None else _stopped(tradable, stopped)
        return found

    # Acting

    async def _act(self, watched: Watched) -> None:
        """Do what is to be done about an account; what fails is found again at the next look."""
        try:
            await self._do(watched)
        except SpireError as error:
            self._log.warn("{name}: {error}", name=self._facts.name(watched.account_id), error=str(error))
        finally:
            watched.is_busy = False
            self.changed.add(watched.account_id)

    async def _do(self, watched: Watched) -> None:
        account_id = watched.account_id
        found = course(self._situation(watched, None), watched.beyond_since)
        if found.move is not None:
            try:
                await self._move(watched, found.move)
            except Unavailable:
                await self._cancel_opening(account_id)
                raise
        ledger = self._ledgers.get(account_id)
        if ledger is None or self._facts.standing(account_id).mode is RiskMode.ACTIVE:
            return
        place = ledger.sequence
        orders = await self._acting.live_orders(account_id)
        found = course(self._situation(watched, orders), watched.beyond_since)
        if found.move is not None:
            return
        await self._acting.cancel(account_id, found.cancels)
        await self._flatten(watched, found)
        is_quiet = not orders and self._book.accounts[account_id].is_flat
        watched.quiet_at = place if is_quiet and ledger.sequence == place else None

    async def _cancel_opening(self, account_id: int) -> None:
        """Cancel what opens risk while the state that says so cannot be written."""
        orders = await self._acting.live_orders(account_id)
        await self._acting.cancel(account_id, opening_orders(orders, self._book.accounts[account_id].held()))

    async def _move(self, watched: Watched, move: Move) -> None:
        """Halt where that comes first, then write the state."""
        account_id = watched.account_id
        standing = self._facts.standing(account_id)
        if move.halts_first:
            await self._acting.halt_first(account_id, move, standing.version + 1)
        state = await self._acting.write(
            account_id, move.mode, move.reason, version=standing.version, expiry=move.expiry
        )
        watched.beyond_since = None
        self.record(watched, standing, state)
        self._log.critical(
            "{name} is {mode}: {reason}", name=self._facts.name(account_id), mode=move.mode.name, reason=move.reason
        )

    def record(self, watched: Watched, before: Standing, state: RiskState) -> None:
        """Keep a state that was written with the figures that it was written upon."""
        figures, bounds = watched.figures, watched.bound.bounds
        self._ledgers.wrote(
            RiskEvent(
                trading_account_id=watched.account_id,
                version=state.version,
                time=state.since,
                business_date=self._facts.business_date(),
                before=before.mode,
                after=state.mode,
                reason=state.reason,
                expiry=state.expiry,
                currency=figures.currency,
                day_realised=figures.day_realised,
                day_fees=figures.day_fees,
                day_profit=figures.day_profit,
                net_loss=None if bounds is None else bounds.net_loss,
            )
        )
        self.changed.add(watched.account_id)

    async def _flatten(self, watched: Watched, found: Course) -> None:
        """Send the orders that close positions, and tell what cannot be closed now."""
        refused = await self._acting.close_all(watched.account_id, found.orders)
        self._tell_pending(watched, (*found.pending, *refused))

    def _tell_pending(self, watched: Watched, pending: tuple[str, ...]) -> None:
        """Keep why positions cannot be closed, and alarm once for each cause."""
        if pending == watched.pending:
            return
        for cause in pending:
            if cause not in watched.told:
                self._log.critical(
                    "FLATTEN_PENDING: {name}: {cause}", name=self._facts.name(watched.account_id), cause=cause
                )
        watched.pending = pending
        watched.told = watched.told | frozenset(pending) if pending else frozenset()
        self.changed.add(watched.account_id)


def _currency(entry: Entry) -> Currency:
    return Currency("USD" if entry.terms is None else entry.terms.base_currency)


def _stopped(tradable: Tradable, reason: str) -> Tradable:
    return Tradable(name=tradable.name, increment=tradable.increment, ticks=tradable.ticks, quote=None, why_not=reason)
