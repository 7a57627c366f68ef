"""What happened to an order: execution reports (docs/values.md)."""

from decimal import Decimal

from attrs import field, frozen

from spire.values.amounts import Money, Notional, Price, Quantity, notional_of
from spire.values.codes import Currency
from spire.values.environment import Environment
from spire.values.orders import Capacity, ExecType, Liquidity, ReportSource, Side, Status
from spire.values.time import Timestamp


@frozen(kw_only=True)
class Fee:
    """One charge that a report carries; a negative amount is a rebate."""

    kind: str
    amount: Money
    currency: Currency


@frozen(kw_only=True)
class Report:
    """One execution report; `sequence` is dense within the order and begins at 1.

    `status`, `cumulative`, `leaves`, `cumulative_notional` and `flags` (bits of `spire.values.status.Flag`) say how the order
    stands after it. `last_quantity` and `last_price` are those of a fill; on TRADE_CANCEL those of the fill that it takes back;
    on TRADE_CORRECT the corrected ones, and `replaced_quantity` and `replaced_price` what they were. `order_quantity` is set
    where the order's quantity changes (REPLACED, RESTATED). `quote_sequence` is the quote that a simulated fill came from, `quote_taken`
    what has been taken of that side since it changed, this fill included.
    `cumulative_notional` is exact, in units of currency. (destination, trade_date, exec_id) is unique.
    """

    report_id: int
    order_id: int
    version: int = 1
    sequence: int
    environment: Environment
    trading_account_id: int
    instrument_id: int
    side: Side
    exec_type: ExecType
    status: Status
    exec_id: str
    exec_ref_id: str | None = None
    destination: str
    venue_order_id: str | None = None
    last_quantity: Quantity | None = None
    last_price: Price | None = None
    last_market: str | None = None
    replaced_quantity: Quantity | None = None
    replaced_price: Price | None = None
    order_quantity: Quantity | None = None
    quote_sequence: int | None = None
    quote_taken: Quantity | None = None
    liquidity: Liquidity | None = None
    capacity: Capacity | None = None
    cumulative: Quantity
    leaves: Quantity
    cumulative_notional: Decimal
    flags: int = 0
    venue_time: Timestamp | None = None
    receive_time: Timestamp
    record_time: Timestamp
    market_time: Timestamp | None = None
    trade_date: str
    settlement_date: str | None = None
    fees: tuple[Fee, ...] = ()
    reason: str | None = None
    rule: str | None = None
    limit: str | None = None
    observed: str | None = None
    text: str | None = None
    source: ReportSource
    actor: int | None = None
    tags: dict[int, str] = field(factory=dict)

    @property
    def notional(self) -> Notional:
        """Return the cumulative notional as an integer at 10**-12."""
        return notional_of(self.cumulative_notional)
