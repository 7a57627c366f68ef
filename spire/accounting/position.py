"""Average cost: what a position cost, and what closing it realised (docs/accounting.md)."""

from attrs import evolve, frozen

from spire.values.amounts import ZERO_MONEY, ZERO_QUANTITY, Money, Price, Quantity, Rounding, divide, value_of
from spire.values.codes import Currency
from spire.values.orders import PostingKind
from spire.values.posting import Posting


@frozen(kw_only=True)
class Position:
    """What a trading account holds of one instrument.

    `quantity` is negative when short. `cost` is a total with the quantity's sign: what a long position was paid, minus what a
    short one brought in; a flat position costs nothing. `realised` is the profit of what was closed, without `fees`. At all
    times realised - cost equals the cash that the trades moved.
    """

    currency: Currency
    quantity: Quantity = ZERO_QUANTITY
    cost: Money = ZERO_MONEY
    realised: Money = ZERO_MONEY
    fees: Money = ZERO_MONEY

    @property
    def average_price(self) -> Price | None:
        """Return the cost of one unit, rounded half-even; None when flat."""
        if not self.quantity:
            return None
        return Price(divide(self.cost * 10**6, self.quantity, Rounding.HALF_EVEN))


def apply_trade(position: Position, quantity: Quantity, price: Price) -> Position:
    """Return the position after a trade of a signed quantity at a price."""
    return apply_amount(position, quantity, Money(-value_of(price, quantity)))


def apply_amount(position: Position, quantity: Quantity, amount: Money) -> Position:
    """Return the position after a signed quantity moved against a signed amount of cash (negative: paid).

    A reduction takes cost x reduced / held, rounded half-even; crossing through zero closes, then opens with the rest.
    """
    held = position.quantity
    if quantity == 0:
        return evolve(position, realised=Money(position.realised + amount))
    if held == 0 or (held > 0) == (quantity > 0):
        return evolve(position, quantity=Quantity(held + quantity), cost=Money(position.cost - amount))
    if abs(quantity) > abs(held):
        closing = Money(divide(amount * abs(held), abs(quantity), Rounding.HALF_EVEN))
        closed = apply_amount(position, Quantity(-held), closing)
        return apply_amount(closed, Quantity(quantity + held), Money(amount - closing))
    part = Money(divide(position.cost * abs(quantity), abs(held), Rounding.HALF_EVEN))
    return evolve(
        position,
        quantity=Quantity(held + quantity),
        cost=Money(position.cost - part),
        realised=Money(position.realised + amount - part),
    )


def apply_posting(position: Position, posting: Posting) -> Position:
    """Return the position after an entry of the ledger; a FEE adds to the fees, everything else moves quantity and cash.

    ValueError: the posting is in another currency.
    """
    if posting.currency != position.currency:
        raise ValueError(f"posting {posting.posting_id} is in {posting.currency}, the position in {position.currency}")
    if posting.kind is PostingKind.FEE:
        return evolve(position, fees=Money(position.fees - posting.amount))
    return apply_amount(position, posting.quantity, posting.amount)


def unrealised(position: Position, mark: Price) -> Money:
    """Return what closing the position at a mark would realise."""
    return Money(value_of(mark, position.quantity) - position.cost)
