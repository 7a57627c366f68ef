"""Where an account's day counts from, as a record of it is kept (docs/risk.md). Amounts are scaled by 10**6."""

from attrs import frozen

from spire.accounting.position import Position, unrealised
from spire.values.amounts import ZERO_MONEY, Money, Price, Quantity
from spire.values.codes import Currency


@frozen(kw_only=True)
class BaselinePosition:
    """What was held when a day began, and its mark, None where it had none."""

    instrument_id: int
    currency: Currency
    quantity: Quantity
    cost: Money
    mark: Price | None

    @property
    def unrealised(self) -> Money:
        """Return what closing it at the mark would have realised; a position without mark counted its cost."""
        if self.mark is None:
            return ZERO_MONEY
        held = Position(currency=self.currency, quantity=self.quantity, cost=self.cost)
        return unrealised(held, self.mark)


@frozen(kw_only=True)
class BaselineTotal:
    """What all instruments of a currency had realised and cost in fees when a day began, those long flat included."""

    currency: Currency
    realised: Money
    fees: Money


@frozen(kw_only=True)
class Origin:
    """Where an account's day counts from: totals by currency, and what was held by instrument."""

    totals: tuple[BaselineTotal, ...] = ()
    positions: tuple[BaselinePosition, ...] = ()
