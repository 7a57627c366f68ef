"""Many positions from one ledger, and the profit of a day (docs/accounting.md)."""

from collections.abc import Iterable, Mapping

from attrs import evolve, field, frozen

from spire.accounting.position import Position, apply_posting, unrealised
from spire.values.amounts import Money, Price
from spire.values.posting import Posting


@frozen(kw_only=True)
class Portfolio:
    """The positions of one trading account by instrument_id; sums of the postings applied so far."""

    positions: Mapping[int, Position] = field(factory=dict)

    def position(self, instrument_id: int) -> Position | None:
        """Return the position in an instrument; None when the ledger never named it."""
        return self.positions.get(instrument_id)


def apply_postings(portfolio: Portfolio, postings: Iterable[Posting]) -> Portfolio:
    """Return the portfolio after further entries of its ledger, in the ledger's order."""
    positions = dict(portfolio.positions)
    for posting in postings:
        position = positions.get(posting.instrument_id)
        if position is None:
            position = Position(currency=posting.currency)
        positions[posting.instrument_id] = apply_posting(position, posting)
    return evolve(portfolio, positions=positions)


@frozen(kw_only=True)
class Profit:
    """Profit at a set of marks, all in one currency; `unmarked` are held instruments that had no mark."""

    realised: Money
    unrealised: Money
    fees: Money
    unmarked: tuple[int, ...] = ()

    @property
    def total(self) -> Money:
        """Return realised + unrealised - fees."""
        return Money(self.realised + self.unrealised - self.fees)


def profit(portfolio: Portfolio, marks: Mapping[int, Price]) -> Profit:
    """Return the profit of a portfolio whose positions share one currency.

    A held instrument without a mark counts its cost as its value and is named in `unmarked`. ValueError: several currencies.
    """
    currencies = sorted({position.currency for position in portfolio.positions.values()})
    if len(currencies) > 1:
        raise ValueError(f"a sum over {' and '.join(currencies)} needs exchange rates")
    held = {number: position for number, position in portfolio.positions.items() if position.quantity}
    return Profit(
        realised=Money(sum(position.realised for position in portfolio.positions.values())),
        unrealised=Money(sum(unrealised(held[number], marks[number]) for number in held if number in marks)),
        fees=Money(sum(position.fees for position in portfolio.positions.values())),
        unmarked=tuple(sorted(number for number in held if number not in marks)),
    )


def day_profit(today: Profit, start_of_day: Profit) -> Money:
    """Return realised today + unrealised now - unrealised at the start-of-day mark - fees of today."""
    return Money(today.total - start_of_day.total)


def mark(quantity: int, bid: Price | None, ask: Price | None) -> Price | None:
    """Return the side of the best bid and offer at which a position could be closed: bid when long, ask when short.

    None when flat, when a side is absent or when the quote is crossed: the caller falls back on the last trade or the close.
    """
    if not quantity or bid is None or ask is None or bid > ask:
        return None
    return bid if quantity > 0 else ask
