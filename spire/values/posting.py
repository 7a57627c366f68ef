"""Entries of the posting ledger, of which positions and profit are the sums (docs/values.md)."""

from attrs import frozen

from spire.values.amounts import Money, Price, Quantity
from spire.values.codes import Currency
from spire.values.environment import Environment
from spire.values.orders import PostingKind
from spire.values.time import Timestamp


@frozen(kw_only=True)
class Posting:
    """One append-only entry of the ledger.

    `quantity` is signed: what the position gained. `amount` is signed cash: what the trading account received (a purchase is
    negative). `reverses` names the posting that a bust or correction takes back. `price` and `report_id` are those of the report
    that caused it, if one did.
    """

    posting_id: int
    environment: Environment
    trading_account_id: int
    instrument_id: int
    currency: Currency
    quantity: Quantity
    amount: Money
    kind: PostingKind
    price: Price | None = None
    order_id: int | None = None
    report_id: int | None = None
    exec_id: str | None = None
    time: Timestamp
    trade_date: str
    settlement_date: str | None = None
    business_date: str
    actor: int | None = None
    reason: str | None = None
    reverses: int | None = None
