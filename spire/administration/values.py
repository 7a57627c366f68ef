"""What Administration owns: limits, risk states, entitlement grants, identities, business days (docs/administration.md)."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from attrs import frozen

from spire.marketdata.values import RecordType
from spire.values.amounts import Money
from spire.values.codes import Currency, Venue
from spire.values.risk import RiskMode
from spire.values.time import Timestamp

LIMITS: Final = "limits"
RISK_STATES: Final = "risk_states"
ENTITLEMENTS: Final = "entitlements"
IDENTITIES: Final = "identities"
BUSINESS_DAYS: Final = "business_days"
"""State topics. `limits` and `risk_states` are keyed by trading account id, `entitlements` by grant id, `identities` by account
id, `business_days` by date. Whole ones are for servers, administrators, risk officers and auditors,
`identities` for administrators and auditors; `limits/<trading account>`
and `risk_states/<trading account>` hold one row for whoever may see the account, `entitlements/<account>` an account's own
grants. `business_days` is for everybody."""


@frozen(kw_only=True)
class LimitTerms:
    """What is set when limits are set.

    `buying_power` and `net_loss` are amounts of `currency`, 0 or more; `transition_seconds` is how long a trading account
    stays in CLOSE_ORDERS before it is DISABLED; `allowed_state` is the most that it may do on any day.
    """

    currency: Currency
    buying_power: Money
    net_loss: Money
    transition_seconds: int
    allowed_state: RiskMode = RiskMode.ACTIVE


@frozen(kw_only=True)
class Limits:
    """The limits of a trading account, as of `version` (from 1); a row of the topic `limits`.

    Kept versions have `effective_to`; the one in force has None.
    """

    trading_account_id: int
    terms: LimitTerms
    version: int
    reason: str
    actor: int
    effective_from: Timestamp
    effective_to: Timestamp | None = None


@frozen(kw_only=True)
class RiskState:
    """The risk state of a trading account, as of `version` (from 1); a row of the topic `risk_states`.

    An account without a row is ACTIVE, at version 0. `expiry` is when CLOSE_ORDERS becomes DISABLED. `actor` wrote it (the
    Risk Server), `on_behalf_of` is the risk officer who released it, if one did.
    """

    trading_account_id: int
    mode: RiskMode
    version: int
    reason: str
    actor: int
    on_behalf_of: int | None = None
    since: Timestamp
    expiry: Timestamp | None = None
    business_date: str


class GrantMode(IntEnum):
    """How market data may be used."""

    REAL_TIME = 1
    DELAYED = 2
    """Recorded in contracts; not served by this release, and refused as UNSUPPORTED."""
    NON_DISPLAY = 3


class SubscriberStatus(IntEnum):
    """What the subscriber is to the exchanges."""

    NON_PROFESSIONAL = 1
    PROFESSIONAL = 2


@frozen(kw_only=True)
class GrantTerms:
    """What an entitlement grant says: market data of a listing venue and type for one account.

    `listing_venue` and `record_type` of None are every one. Evaluated are listing venue, type and time; `product`,
    `source_venue` and `subscriber` are recorded for the exchanges' reports. `effective_from` of None is at once.
    """

    account_id: int
    product: str
    listing_venue: Venue | None
    source_venue: Venue | None = None
    record_type: RecordType | None = None
    mode: GrantMode = GrantMode.REAL_TIME
    subscriber: SubscriberStatus = SubscriberStatus.PROFESSIONAL
    effective_from: Timestamp | None = None
    effective_to: Timestamp | None = None


@frozen(kw_only=True)
class EntitlementGrant:
    """A grant as it was made, and, once it was revoked, by whom; a row of the topic `entitlements` until it is revoked.

    It counts from `effective_from` until before `effective_to`.
    """

    grant_id: int
    terms: GrantTerms
    effective_from: Timestamp
    effective_to: Timestamp | None
    granted: Timestamp
    granted_by: int
    reason: str
    revoked: Timestamp | None = None
    revoked_by: int | None = None
    revoke_reason: str | None = None


@frozen(kw_only=True)
class Usage:
    """That an account used market data of a listing venue and type on a day (ISO date, UTC)."""

    date: str
    account_id: int
    listing_venue: Venue
    record_type: RecordType


@frozen(kw_only=True)
class Profile:
    """Who a person is, as far as the firm writes it down; empty is unknown."""

    first_name: str = ""
    last_name: str = ""
    e_mail: str = ""
    telephone: str = ""
    address: str = ""
    city: str = ""
    province: str = ""
    country: str = ""
    notes: str = ""


@frozen(kw_only=True)
class Identity:
    """The profile of an account, as of `version` (from 1); a row of the topic `identities`."""

    account_id: int
    profile: Profile
    version: int
    actor: int
    updated: Timestamp


@frozen(kw_only=True)
class BusinessDay:
    """A business date of the firm that was opened; the greatest one is the current one, the others are closed."""

    business_date: str
    opened: Timestamp
    opened_by: int
    closed: Timestamp | None = None


@frozen(kw_only=True)
class TradingGroup:
    """A trading group: its directories."""

    group_id: int
    name: str
    managers_id: int
    traders_id: int
    accounts_id: int


@frozen(kw_only=True)
class Trader:
    """A trader as he was made: his account, and the trading account of the same name."""

    account_id: int
    trading_account_id: int


def current_day(days: Mapping[str, BusinessDay]) -> BusinessDay | None:
    """Return the current business day out of the rows of `business_days`; None before the first was opened."""
    return days[max(days)] if days else None


def own_topic(topic: str, entry_id: int) -> str:
    """Return the name of the topic that holds one account's rows of a topic."""
    return f"{topic}/{entry_id}"
