"""What the Risk Server keeps in its store: rows as it reads and writes them (docs/risk.md)."""

from attrs import frozen

from spire.accounting.position import Position
from spire.risk.origin import Origin
from spire.risk.values import KEPT, BaselineKind
from spire.values.amounts import Money
from spire.values.codes import Currency
from spire.values.risk import RiskMode
from spire.values.time import Timestamp


@frozen(kw_only=True)
class Place:
    """How far an account's activity has been booked: everything up to `sequence` of `epoch`."""

    trading_account_id: int
    epoch: int
    sequence: int


@frozen(kw_only=True)
class KeptPosition:
    """A position as of its account's place."""

    trading_account_id: int
    instrument_id: int
    position: Position


@frozen(kw_only=True)
class Baseline:
    """A record of where an account stood, from which its day counts; `number` is dense per account from 1.

    A START_OF_DAY record belongs to the business date that it opens. `day_realised`, `day_fees` and `day_profit` are those of the day
    that it ended, in the account's currency.
    """

    trading_account_id: int
    number: int
    kind: BaselineKind
    business_date: str
    taken: Timestamp
    currency: Currency
    day_realised: Money
    day_fees: Money
    day_profit: Money
    origin: Origin


@frozen(kw_only=True)
class Opened:
    """The last business date that was opened for an account. `is_complete` once its risk state was written as well.

    A KEPT account has the reason why a person must release it, and is complete; the record of one that is not lacks marks, because
    nothing says what it holds is worth.
    """

    trading_account_id: int
    business_date: str
    outcome: str
    reason: str
    is_complete: bool

    @property
    def awaits_record(self) -> bool:
        """Return whether the day has begun with a record that lacks marks."""
        return self.outcome == KEPT and not self.is_complete


@frozen(kw_only=True)
class RiskEvent:
    """A risk state that was written, and the figures that it was written upon."""

    trading_account_id: int
    version: int
    time: Timestamp
    business_date: str
    before: RiskMode
    after: RiskMode
    reason: str
    expiry: Timestamp | None
    currency: Currency
    day_realised: Money
    day_fees: Money
    day_profit: Money
    net_loss: Money | None


@frozen(kw_only=True)
class Kept:
    """All that a server needs at its start: of the baselines the last of each account."""

    places: tuple[Place, ...] = ()
    positions: tuple[KeptPosition, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    opened: tuple[Opened, ...] = ()


@frozen(kw_only=True)
class Saved:
    """What changed since the last time: places with the positions that changed on the way there, and states that were written.

    `anew` are accounts whose ledger began anew: their former positions go.
    """

    places: tuple[Place, ...] = ()
    positions: tuple[KeptPosition, ...] = ()
    anew: tuple[int, ...] = ()
    events: tuple[RiskEvent, ...] = ()
