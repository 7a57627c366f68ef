"""Positions and the profit of a day of many trading accounts, kept up to date change by change (sans-I/O; docs/risk.md).

Each account keeps exact sums by currency; a posting or a mark moves them by what it changed, and only for the accounts that hold the
instrument. Figures in an account's own currency are worked out when somebody asks for them.
"""

from collections.abc import Callable, Iterable, Sequence

from attrs import define, evolve, field, frozen

from spire.accounting.position import Position, apply_posting, unrealised
from spire.definitions.rates import Conversion
from spire.risk.marks import UNKNOWN, Mark, Marks
from spire.risk.origin import BaselinePosition, BaselineTotal, Origin
from spire.risk.values import MarkedPosition, MarkSource
from spire.values.amounts import Money, Price, Rounding
from spire.values.codes import Currency
from spire.values.posting import Posting

Convert = Callable[[Currency, Currency], Conversion | None]


@frozen(kw_only=True)
class Figures:
    """Where an account stands in its own currency; fields as in `spire.risk.values.Portfolio`.

    `day_proven` is the day's profit as fresh marks prove it: a position without one counts what its mark says it gained since the
    start of day, but never what it lost. `day_closing` is the day's profit at the closing marks. `unconverted_today` are those of
    the currencies without a rate that move the day: what was made long ago in one that is flat does not.
    """

    currency: Currency
    realised: Money
    unrealised: Money
    fees: Money
    day_realised: Money
    day_fees: Money
    day_profit: Money
    day_proven: Money
    day_closing: Money
    unmarked: tuple[int, ...]
    unconverted: tuple[str, ...]
    unconverted_today: tuple[str, ...]
    is_fresh: bool

    @property
    def day_closed(self) -> Money:
        """Return realised today less fees of today: what marks do not move."""
        return Money(self.day_realised - self.day_fees)


@define(eq=False)
class Holding:
    """What one account has of one instrument, and what `sums` hold of it.

    `carried` is what of the baseline's unrealised profit belongs to what is still held: the rest was realised with what was sold.
    """

    position: Position
    sums: "Sums"
    baseline: BaselinePosition | None = None
    mark: Mark | None = None
    unrealised: int = 0
    baseline_unrealised: int = 0
    carried: int = 0


@define(eq=False)
class Sums:
    """Sums over the holdings of one currency; those of the baseline are what they were when the day began."""

    realised: int = 0
    fees: int = 0
    unrealised: int = 0
    baseline_realised: int = 0
    baseline_fees: int = 0
    baseline_unrealised: int = 0


@define(eq=False)
class AccountBook:
    """One trading account: holdings by instrument, sums by currency, held instruments that lack a mark or a fresh one."""

    currency: Currency
    holdings: dict[int, Holding] = field(factory=dict)
    sums: dict[Currency, Sums] = field(factory=dict)
    unmarked: set[int] = field(factory=set)
    not_fresh: set[int] = field(factory=set)

    @property
    def is_flat(self) -> bool:
        """Return whether nothing is held."""
        return not any(holding.position.quantity for holding in self.holdings.values())

    def held(self) -> dict[int, Position]:
        """Return the positions that are not flat, by instrument."""
        return {number: each.position for number, each in self.holdings.items() if each.position.quantity}


class Book:
    """All trading accounts; `dirty` are those that changed since it was last emptied."""

    def __init__(self) -> None:
        self.accounts: dict[int, AccountBook] = {}
        self.dirty: set[int] = set()
        self._holders: dict[int, dict[int, Holding]] = {}
        self._marks: dict[int, Marks] = {}

    # Changing

    def open(self, account_id: int, currency: Currency) -> AccountBook:
        """Return an account's book, made if there is none; its currency may change."""
        book = self.accounts.get(account_id)
        if book is None:
            book = self.accounts[account_id] = AccountBook(currency)
            self.dirty.add(account_id)
        elif book.currency != currency:
            book.currency = currency
            self.dirty.add(account_id)
        return book

    def drop(self, account_id: int) -> None:
        """Forget an account."""
        self.clear(account_id)
        self.accounts.pop(account_id, None)
        self.dirty.discard(account_id)

    def clear(self, account_id: int) -> None:
        """Forget an account's positions, but not its baseline: its ledger begins anew."""
        book = self.accounts.get(account_id)
        if book is None:
            return
        for number, holding in tuple(book.holdings.items()):
            self._move(account_id, book, number, holding, Position(currency=holding.position.currency))
        self.dirty.add(account_id)

    def put(self, account_id: int, instrument_id: int, position: Position) -> None:
        """Take over a position as it was kept."""
        book = self.accounts[account_id]
        self._move(account_id, book, instrument_id, self._holding(book, instrument_id, position.currency), position)

    def post(self, account_id: int, posting: Posting) -> None:
        """Book an entry of an account's ledger. ValueError: it is in another currency than the position."""
        book = self.accounts[account_id]
        holding = self._holding(book, posting.instrument_id, posting.currency)
        self._move(account_id, book, posting.instrument_id, holding, apply_posting(holding.position, posting))

    def mark(self, instrument_id: int, marks: Marks) -> None:
        """Take an instrument's marks over; only who holds it is touched."""
        if self._marks.get(instrument_id, UNKNOWN) == marks:
            return
        self._marks[instrument_id] = marks
        holders = self._holders.get(instrument_id)
        if holders is None:
            return
        for account_id, holding in holders.items():
            mark = marks.long if holding.position.quantity > 0 else marks.short
            known = holding.mark
            if mark is None or known is None or mark.is_fresh is not known.is_fresh:
                self._remark(account_id, self.accounts[account_id], instrument_id, holding)
                continue
            value = unrealised(holding.position, mark.price)
            holding.sums.unrealised += value - holding.unrealised
            holding.unrealised, holding.mark = value, mark
        self.dirty.update(holders)

    def rebase(self, account_id: int, origin: Origin) -> None:
        """Let the day count from an origin."""
        book = self.accounts[account_id]
        for sums in book.sums.values():
            sums.baseline_realised = sums.baseline_fees = 0
        for total in origin.totals:
            sums = book.sums.setdefault(total.currency, Sums())
            sums.baseline_realised, sums.baseline_fees = total.realised, total.fees
        for number, holding in book.holdings.items():
            self._rebase(holding, None)
            self._remark(account_id, book, number, holding)
        for row in origin.positions:
            holding = self._holding(book, row.instrument_id, row.currency)
            self._rebase(holding, row)
            self._remark(account_id, book, row.instrument_id, holding)
        self.dirty.add(account_id)

    def carry(self, account_id: int) -> None:
        """Work out anew what positions carry of the baseline: they were booked from nothing, past the day's beginning."""
        for holding in self.accounts[account_id].holdings.values():
            holding.carried = _carried(holding.baseline, holding.position)
        self.dirty.add(account_id)

    # Looking

    def figures(self, account_id: int, convert: Convert) -> Figures:
        """Return where an account stands in its own currency; each currency's sum is converted once, rounded half-even."""
        book = self.accounts[account_id]
        totals: Sequence[int] = (0,) * 8
        unconverted: list[str] = []
        unconverted_today: list[str] = []
        doubts, closes = self._not_fresh(book)
        for currency, sums in book.sums.items():
            parts = _parts(sums, doubts.get(currency, 0), closes.get(currency, 0))
            if currency != book.currency:
                if not any(parts):
                    continue
                conversion = convert(currency, book.currency)
                if conversion is None:
                    unconverted.append(str(currency))
                    if sums.unrealised or any(parts[3:]):
                        unconverted_today.append(str(currency))
                    continue
                parts = tuple(conversion.convert(Money(part), Rounding.HALF_EVEN) for part in parts)
            totals = parts if len(book.sums) == 1 else [sum(pair) for pair in zip(totals, parts, strict=True)]
        return Figures(
            currency=book.currency,
            realised=Money(totals[0]),
            unrealised=Money(totals[1]),
            fees=Money(totals[2]),
            day_realised=Money(totals[3]),
            day_fees=Money(totals[4]),
            day_profit=Money(totals[5]),
            day_proven=Money(totals[6]),
            day_closing=Money(totals[7]),
            unmarked=tuple(sorted(book.unmarked)),
            unconverted=tuple(sorted(unconverted)),
            unconverted_today=tuple(sorted(unconverted_today)),
            is_fresh=not book.not_fresh,
        )

    def origin(self, account_id: int) -> Origin:
        """Return the account as it stands, for a day to count from: positions at their closing marks."""
        book = self.accounts[account_id]
        return Origin(
            totals=tuple(
                BaselineTotal(currency=currency, realised=Money(sums.realised), fees=Money(sums.fees))
                for currency, sums in sorted(book.sums.items())
                if sums.realised or sums.fees
            ),
            positions=tuple(
                BaselinePosition(
                    instrument_id=number,
                    currency=holding.position.currency,
                    quantity=holding.position.quantity,
                    cost=holding.position.cost,
                    mark=self._closing(number, holding),
                )
                for number, holding in sorted(book.holdings.items())
                if holding.position.quantity
            ),
        )

    def closed(self, row: BaselinePosition) -> BaselinePosition:
        """Return a position of an origin with its closing mark: where it had none, what is known by now, if anything is."""
        if row.mark is not None:
            return row
        return evolve(row, mark=_closing(self._marks.get(row.instrument_id, UNKNOWN), row.quantity))

    def unclosable(self, account_id: int) -> tuple[int, ...]:
        """Return the held instruments that have no closing mark: nothing ever said what they are worth."""
        book = self.accounts[account_id]
        return tuple(number for number in sorted(book.unmarked) if self._closing(number, book.holdings[number]) is None)

    def off_market(self, account_id: int) -> bool:
        """Return whether something is held whose mark is not of the market, or that has none."""
        book = self.accounts[account_id]
        return any(_is_off_market(book.holdings[number].mark) for number in book.not_fresh)

    def positions(self, account_id: int) -> tuple[MarkedPosition, ...]:
        """Return an account's positions with their marks, by instrument."""
        return tuple(_marked(number, holding) for number, holding in sorted(self.accounts[account_id].holdings.items()))

    def instruments(self) -> Iterable[int]:
        """Return the instruments that somebody holds."""
        return tuple(self._holders)

    def _closing(self, instrument_id: int, holding: Holding) -> Price | None:
        """Return what a position is worth at the end of a day, however old that is.

        Its mark of the market, else the side of the last quote that could be traded upon, else its mark of the start of day.
        """
        price = _closing(self._marks.get(instrument_id, UNKNOWN), holding.position.quantity)
        if price is None and holding.mark is not None:
            price = holding.mark.price
        return price

    def _not_fresh(self, book: AccountBook) -> tuple[dict[Currency, int], dict[Currency, int]]:
        """Return what the day's profit gains, by currency, where losses without a fresh mark do not count, and at closing marks."""
        doubts: dict[Currency, int] = {}
        closes: dict[Currency, int] = {}
        for number in book.not_fresh:
            holding = book.holdings[number]
            currency = holding.position.currency
            doubts[currency] = doubts.get(currency, 0) + max(0, holding.carried - holding.unrealised)
            closing = self._closing(number, holding)
            if closing is not None:
                gain = unrealised(holding.position, closing) - holding.unrealised
                closes[currency] = closes.get(currency, 0) + gain
        return doubts, closes

    # Keeping the sums

    def _holding(self, book: AccountBook, instrument_id: int, currency: Currency) -> Holding:
        holding = book.holdings.get(instrument_id)
        if holding is None:
            sums = book.sums.setdefault(currency, Sums())
            holding = book.holdings[instrument_id] = Holding(Position(currency=currency), sums)
        return holding

    def _move(
        self, account_id: int, book: AccountBook, instrument_id: int, holding: Holding, position: Position
    ) -> None:
        before = holding.position
        sums = holding.sums
        sums.realised += position.realised - before.realised
        sums.fees += position.fees - before.fees
        holding.carried = _kept(holding.carried, before.quantity, position.quantity)
        holding.position = position
        holders = self._holders.setdefault(instrument_id, {})
        if position.quantity:
            holders[account_id] = holding
        else:
            holders.pop(account_id, None)
            if not holders:
                del self._holders[instrument_id]
        self._remark(account_id, book, instrument_id, holding)
        self.dirty.add(account_id)

    def _remark(self, account_id: int, book: AccountBook, instrument_id: int, holding: Holding) -> None:
        position = holding.position
        mark = self._marks.get(instrument_id, UNKNOWN).of(position.quantity)
        if mark is None and position.quantity and holding.baseline is not None and holding.baseline.mark is not None:
            mark = Mark(holding.baseline.mark, MarkSource.CLOSE, False)
        value = 0 if mark is None else unrealised(position, mark.price)
        if value != holding.unrealised or mark != holding.mark:
            self.dirty.add(account_id)
            holding.sums.unrealised += value - holding.unrealised
            holding.unrealised, holding.mark = value, mark
        is_held = position.quantity != 0
        _tell(book.unmarked, instrument_id, is_held and mark is None)
        _tell(book.not_fresh, instrument_id, is_held and (mark is None or not mark.is_fresh))

    def _rebase(self, holding: Holding, row: BaselinePosition | None) -> None:
        sums = holding.sums
        sums.baseline_unrealised -= holding.baseline_unrealised
        holding.baseline = row
        holding.baseline_unrealised = 0 if row is None else row.unrealised
        holding.carried = _carried(row, holding.position)
        sums.baseline_unrealised += holding.baseline_unrealised


def _parts(sums: Sums, doubt: int, closing: int) -> tuple[int, ...]:
    day_realised = sums.realised - sums.baseline_realised
    day_fees = sums.fees - sums.baseline_fees
    day_profit = day_realised + sums.unrealised - sums.baseline_unrealised - day_fees
    figures = (sums.realised, sums.unrealised, sums.fees, day_realised, day_fees, day_profit)
    return (*figures, day_profit + doubt, day_profit + closing)


def _carried(row: BaselinePosition | None, position: Position) -> int:
    return 0 if row is None else _kept(row.unrealised, row.quantity, position.quantity)


def _kept(amount: int, before: int, after: int) -> int:
    """Return what of an amount that a position carried belongs to what is left of it: nothing once it was flat or turned."""
    if before * after <= 0:
        return 0
    return amount if abs(after) >= abs(before) else amount * after // before


def _closing(marks: Marks, quantity: int) -> Price | None:
    mark = marks.of(quantity)
    if mark is not None:
        return mark.price
    if marks.last_quote is None or not quantity:
        return None
    bid, ask = marks.last_quote
    return bid if quantity > 0 else ask


def _is_off_market(mark: Mark | None) -> bool:
    return mark is None or mark.source is MarkSource.CLOSE


def _tell(members: set[int], member: int, is_in: bool) -> None:
    if is_in:
        members.add(member)
    else:
        members.discard(member)


def _marked(instrument_id: int, holding: Holding) -> MarkedPosition:
    position, mark = holding.position, holding.mark
    return MarkedPosition(
        instrument_id=instrument_id,
        currency=position.currency,
        quantity=position.quantity,
        cost=position.cost,
        realised=position.realised,
        fees=position.fees,
        mark=None if mark is None else mark.price,
        mark_source=None if mark is None else mark.source,
        is_fresh=mark is not None and mark.is_fresh,
        unrealised=None if mark is None else Money(holding.unrealised),
    )
