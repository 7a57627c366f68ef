"""The activity of every trading account, booked as it comes: positions that are kept, and gone on with after a restart."""

from collections.abc import Callable, Iterable
from typing import Final

from attrs import define, field
from twisted.logger import Logger, LogLevel

from spire.execution.client import OrderExecutionClient
from spire.execution.values import Activity, activity_topic
from spire.risk.kept import KeptPosition, Place, RiskEvent, Saved
from spire.risk.profit import Book
from spire.wire.channels import LogSubscription
from spire.wire.errors import NotFound, SpireError
from spire.wire.records import Rows
from spire.wire.topics import StreamListener

_CODEC: Final = Rows(Activity)
_GAP: Final = "GAP"


@define(eq=False)
class Unsaved:
    """What was not written yet."""

    places: set[int] = field(factory=set)
    positions: set[tuple[int, int]] = field(factory=set)
    anew: set[int] = field(factory=set)
    events: list[RiskEvent] = field(factory=list)


class Ledger(StreamListener[tuple[Activity, ...]]):
    """One account's activity from its place on.

    `is_caught_up` once all that Order Execution had has been booked; `problem` says why the positions are not what they should be.
    """

    _log = Logger()

    def __init__(self, ledgers: "Ledgers", account_id: int, place: Place | None) -> None:
        self.account_id = account_id
        self.epoch = None if place is None else place.epoch
        self.sequence = 0 if place is None else place.sequence
        self.is_caught_up = False
        self.problem: str | None = None
        self._is_anew = False
        self.subscription: LogSubscription[tuple[Activity, ...]] | None = None
        self._ledgers = ledgers

    @property
    def is_live(self) -> bool:
        """Return whether the positions are those of now."""
        return (
            self.is_caught_up and self.problem is None and self.subscription is not None and self.subscription.is_live
        )

    def reset(self, epoch: int, after: int) -> None:
        """Begin: go on where we stand, or anew in another epoch."""
        if (epoch, after) == (self.epoch, self.sequence):
            return
        if self.epoch is not None and after == 0:
            self._log.warn(
                "the activity of {account} begins anew in epoch {epoch}", account=self.account_id, epoch=epoch
            )
        self.epoch, self.sequence = epoch, after
        self.is_caught_up = False
        self._is_anew = True
        self.problem = None if after == 0 else f"its activity up to {after} is kept nowhere"
        self._ledgers.begin(self)

    def update(self, records: tuple[Activity, ...]) -> None:
        """Book what happened."""
        self._ledgers.booked(self, records)

    def ready(self) -> None:
        """Know that the present is reached."""
        if self._is_anew:
            self._is_anew = False
            self._ledgers.caught_up(self.account_id)
        self.is_caught_up = True
        self._ledgers.changed(self.account_id)

    def lost(self, error: SpireError) -> None:
        """Know that events are missing, or that there are no more; what ended is followed again."""
        if error.coded != _GAP:
            # Order Execution may hear of a new account a moment later than this server does.
            level = LogLevel.info if isinstance(error, NotFound) else LogLevel.warn
            self._log.emit(level, "activity of {account} was lost: {error}", account=self.account_id, error=str(error))
            self.subscription = None


class Ledgers:
    """All accounts' activity; `works` is told of each instrument that an order names, `changed` of each account that moved."""

    _log = Logger()

    def __init__(
        self,
        *,
        orders: OrderExecutionClient,
        book: Book,
        works: Callable[[int], object],
    ) -> None:
        self.changed: Callable[[int], object] = lambda _: None
        self._orders = orders
        self._book = book
        self._works = works
        self._ledgers: dict[int, Ledger] = {}
        self._places: dict[int, Place] = {}
        self._unsaved = Unsaved()

    def restore(self, places: Iterable[Place]) -> None:
        """Know the places at which accounts go on; an account that leaves and comes back begins anew."""
        self._places = {place.trading_account_id: place for place in places}

    def get(self, account_id: int) -> Ledger | None:
        """Return an account's ledger."""
        return self._ledgers.get(account_id)

    def all(self) -> Iterable[Ledger]:
        """Return all ledgers."""
        return self._ledgers.values()

    def open(self, account_id: int) -> None:
        """Follow an account's activity behind its place; its book is there already, with the positions as of there."""
        self._ledgers[account_id] = Ledger(self, account_id, self._places.pop(account_id, None))
        self._follow(self._ledgers[account_id])

    def drop(self, account_id: int) -> None:
        """Follow an account no more."""
        ledger = self._ledgers.pop(account_id, None)
        if ledger is not None and ledger.subscription is not None:
            ledger.subscription.close()

    def check(self) -> None:
        """Follow again what ended; call each second."""
        for ledger in self._ledgers.values():
            if ledger.subscription is None or ledger.subscription.closed:
                self._follow(ledger)

    def close(self) -> None:
        """Follow nothing any more; what was booked can still be saved."""
        for ledger in self._ledgers.values():
            if ledger.subscription is not None:
                ledger.subscription.close()

    def _follow(self, ledger: Ledger) -> None:
        ledger.subscription = self._orders.session.subscriptions.log(
            activity_topic(ledger.account_id),
            ledger,
            codec=_CODEC,
            after=ledger.sequence,
            epoch=ledger.epoch,
            begin=0,
        )

    # From the ledgers

    def begin(self, ledger: Ledger) -> None:
        """Forget an account's positions: its ledger begins anew."""
        self._book.clear(ledger.account_id)
        self._unsaved.anew.add(ledger.account_id)
        self._unsaved.places.add(ledger.account_id)
        self._unsaved.positions = {each for each in self._unsaved.positions if each[0] != ledger.account_id}
        self.changed(ledger.account_id)

    def caught_up(self, account_id: int) -> None:
        """Let what an account holds carry on what the day's record has of it: it was worked out from nothing."""
        self._book.carry(account_id)

    def booked(self, ledger: Ledger, records: tuple[Activity, ...]) -> None:
        """Book events of an account, and tell."""
        account_id = ledger.account_id
        for event in records:
            if event.submission is not None:
                self._works(event.submission.instrument_id)
            if event.posting is not None:
                self._works(event.posting.instrument_id)
                try:
                    self._book.post(account_id, event.posting)
                except ValueError as error:
                    ledger.problem = f"a posting cannot be booked: {error}"
                    self._log.critical("{account}: {problem}", account=account_id, problem=ledger.problem)
                self._unsaved.positions.add((account_id, event.posting.instrument_id))
        ledger.sequence = records[-1].sequence
        self._unsaved.places.add(account_id)
        self.changed(account_id)

    # Saving

    def wrote(self, event: RiskEvent) -> None:
        """Have a risk state that was written kept with its figures."""
        self._unsaved.events.append(event)

    def take_unsaved(self) -> tuple[Saved, Unsaved] | None:
        """Return what is to be written, as of this turn, and what gives it back; None where nothing is."""
        unsaved = self._unsaved
        if not (unsaved.places or unsaved.positions or unsaved.anew or unsaved.events):
            return None
        self._unsaved = Unsaved()
        places = []
        for account_id in sorted(unsaved.places):
            ledger = self._ledgers.get(account_id)
            if ledger is not None and ledger.epoch is not None:
                places.append(Place(trading_account_id=account_id, epoch=ledger.epoch, sequence=ledger.sequence))
        positions = []
        for account_id, instrument_id in sorted(unsaved.positions):
            book = self._book.accounts.get(account_id)
            if book is not None and instrument_id in book.holdings:
                positions.append(
                    KeptPosition(
                        trading_account_id=account_id,
                        instrument_id=instrument_id,
                        position=book.holdings[instrument_id].position,
                    )
                )
        saved = Saved(
            places=tuple(places),
            positions=tuple(positions),
            anew=tuple(sorted(unsaved.anew)),
            events=tuple(unsaved.events),
        )
        return saved, unsaved

    def give_back(self, unsaved: Unsaved) -> None:
        """Take back what could not be written: it goes with the next."""
        self._unsaved.places |= unsaved.places
        self._unsaved.positions |= {each for each in unsaved.positions if each[0] not in self._unsaved.anew}
        self._unsaved.anew |= unsaved.anew
        self._unsaved.events[:0] = unsaved.events
