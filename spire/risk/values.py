"""What the Risk Server tells: positions with their marks, the profit of a day, start-of-day records (docs/risk.md)."""

from enum import IntEnum
from typing import Final

from attrs import frozen

from spire.values.amounts import Money, Price, Quantity
from spire.values.codes import Currency
from spire.values.risk import RiskMode
from spire.values.time import Timestamp

PORTFOLIOS: Final = "portfolios"
"""State topic of all portfolios by trading account id: for servers, administrators, risk officers and auditors.
`portfolio/<trading account>` holds one, `positions/<trading account>` its positions by instrument id, for whoever may see it: the
latter only while he may see the best bid and offer of all that is held."""

OPENED: Final = "OPENED"
ALREADY_OPEN: Final = "ALREADY_OPEN"
KEPT: Final = "KEPT"


class MarkSource(IntEnum):
    """Where a mark comes from, the best first."""

    BBO = 1
    TRADE = 2
    """The last eligible print: there is no fresh, uncrossed BBO, or the regular session is closed."""
    CLOSE = 3
    """The mark of the start of day."""


@frozen(kw_only=True)
class MarkedPosition:
    """A position of a trading account, and what it is worth; a row of `positions/<trading account>`.

    Amounts are in the instrument's currency. `mark` is None where nothing says what it is worth; `unrealised` is then None.
    `is_fresh` says whether the mark may trip a limit. Whoever is not entitled to the best bid and offer of the listing venue gets neither
    `mark` nor `mark_source` nor `unrealised` (None).
    """

    instrument_id: int
    currency: Currency
    quantity: Quantity
    cost: Money
    realised: Money
    fees: Money
    mark: Price | None
    mark_source: MarkSource | None
    is_fresh: bool
    unrealised: Money | None


@frozen(kw_only=True)
class Portfolio:
    """Where a trading account stands today, in its own currency; a row of `portfolios`.

    `day_profit` is realised today + unrealised now - unrealised at the start of day - fees of today. `unmarked` are held instruments
    without a mark, the first hundred of them, `unconverted` the currencies without a rate: where one moves the day nobody can watch the account (`is_blind`).
    `flatten_pending` says why positions of a DISABLED account cannot be closed now: the first few causes.
    """

    trading_account_id: int
    currency: Currency
    business_date: str
    mode: RiskMode
    state_version: int
    expiry: Timestamp | None = None
    realised: Money
    unrealised: Money
    fees: Money
    day_realised: Money
    day_fees: Money
    day_profit: Money
    net_loss: Money | None = None
    unmarked: tuple[int, ...] = ()
    unconverted: tuple[str, ...] = ()
    is_fresh: bool = True
    is_blind: bool = False
    flatten_pending: str | None = None
    updated: Timestamp


class BaselineKind(IntEnum):
    """Why a baseline was taken."""

    START_OF_DAY = 1
    RELEASE = 2
    """A risk officer released the account and forgave what it had lost."""


@frozen(kw_only=True)
class OpenedAccount:
    """What opening a business day did with a trading account: `outcome` is OPENED, ALREADY_OPEN or KEPT, with a reason.

    KEPT accounts stay in the state in which they were: a person must release them. They have their start-of-day record, but for those
    that have no mark: theirs is taken as soon as there is one, and until then nobody watches them. A halt that a person set stays, and is
    named with any outcome.
    """

    trading_account_id: int
    outcome: str
    mode: RiskMode
    reason: str = ""
