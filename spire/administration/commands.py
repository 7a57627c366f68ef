"""The commands of the Administration Server. Each change is audited, also where it is refused."""

from typing import Final

from spire.administration.values import (
    BusinessDay,
    EntitlementGrant,
    GrantTerms,
    Identity,
    Limits,
    LimitTerms,
    Profile,
    RiskState,
    Trader,
    TradingGroup,
    Usage,
)
from spire.locator.values import TradingAccountTerms
from spire.values.risk import RiskMode
from spire.values.time import Timestamp
from spire.wire.arguments import Integer, Text, Typed
from spire.wire.commands import Command

_ID: Final = Integer(minimum=1)
_NAME: Final = Text(longest=400)
_PASSWORD: Final = Text(longest=4096)
_REASON: Final = Text(longest=1000)
_VERSION: Final = Integer(minimum=0)
_DATE: Final = Text(longest=10)


class CreateGroup(Command):
    """Make a trading group with its directories `managers`, `traders` and `accounts`; administrators only.

    Made whole or not at all. Raises FORBIDDEN, INVALID, CONFLICT where there is one of that name, UNAVAILABLE.
    """

    arguments = [(b"name", _NAME)]
    response = [(b"group", Typed(TradingGroup))]


class ListGroups(Command):
    """Return a page of the trading groups that the caller may see, by id, after `after`."""

    arguments = [(b"after", Integer(minimum=0))]
    response = [(b"groups", Typed(tuple[TradingGroup, ...])), (b"next_after", Integer(minimum=0, optional=True))]


class CreateTrader(Command):
    """Make a trader in a group, with a trading account of the same name that he may VIEW and TRADE; administrators only.

    Made whole or not at all. Raises FORBIDDEN, NOT_FOUND, INVALID (an unknown currency, a weak password), CONFLICT.
    """

    arguments = [
        (b"group_id", _ID),
        (b"name", _NAME),
        (b"password", _PASSWORD),
        (b"terms", Typed(TradingAccountTerms)),
    ]
    response = [(b"trader", Typed(Trader))]


class CreateAccount(Command):
    """Make a person's account in a role; administrators only.

    `role` is administrator, risk_officer, auditor, operator, `manager:<group>` or `trader:<group>` (a trader without a
    trading account of his own). A manager holds READ, VIEW and MANAGE on his group.
    """

    arguments = [(b"name", _NAME), (b"password", _PASSWORD), (b"role", _NAME)]
    response = [(b"account_id", _ID)]


class ChangeRoles(Command):
    """Move an account between the role directories: all of it or nothing; administrators only.

    `add` and `remove` hold roles as in CreateAccount. Whoever becomes a trader of a group may VIEW and TRADE the trading account
    of his name there, if the group has one; whoever is one no more, none of its trading accounts. Raises FORBIDDEN, NOT_FOUND,
    INVALID (no reason), CONFLICT (the last administrator, no role left, more than 50 directories and rights to change).
    """

    arguments = [
        (b"account_id", _ID),
        (b"add", Typed(tuple[str, ...])),
        (b"remove", Typed(tuple[str, ...])),
        (b"reason", _REASON),
    ]
    response = []


class StoreIdentity(Command):
    """Write the profile of an account, against the version that was read (0: none yet); administrators only."""

    arguments = [(b"account_id", _ID), (b"profile", Typed(Profile)), (b"expected_version", _VERSION)]
    response = [(b"identity", Typed(Identity))]


class LoadIdentity(Command):
    """Return the profile of an account: one's own, or any for administrators; absent where none was written."""

    arguments = [(b"account_id", _ID)]
    response = [(b"identity", Typed(Identity, optional=True))]


class SetLimits(Command):
    """Set the limits of a trading account, against the version that was read (0: never set).

    Administrators and risk officers only. Raises FORBIDDEN, NOT_FOUND, INVALID with the argument (an unknown currency, a
    negative amount), CONFLICT with the version that holds, UNAVAILABLE.
    """

    arguments = [
        (b"trading_account_id", _ID),
        (b"terms", Typed(LimitTerms)),
        (b"expected_version", _VERSION),
        (b"reason", _REASON),
    ]
    response = [(b"limits", Typed(Limits))]


class LoadLimits(Command):
    """Return the limits and the risk state of a trading account that the caller may see, absent where never set."""

    arguments = [(b"trading_account_id", _ID)]
    response = [(b"limits", Typed(Limits, optional=True)), (b"state", Typed(RiskState, optional=True))]


class LoadLimitHistory(Command):
    """Return a page of the versions of a trading account's limits, oldest first, after version `after`."""

    arguments = [(b"trading_account_id", _ID), (b"after", _VERSION)]
    response = [(b"limits", Typed(tuple[Limits, ...])), (b"next_after", Integer(minimum=0, optional=True))]


class SetRiskState(Command):
    """Write the risk state of a trading account, against the version that was read (0: never set).

    Needs the capability `risk.set_state`: only the Risk Server does. Raises FORBIDDEN, NOT_FOUND, CONFLICT with the
    version that holds.
    """

    arguments = [
        (b"trading_account_id", _ID),
        (b"mode", Typed(RiskMode)),
        (b"expected_version", _VERSION),
        (b"reason", _REASON),
        (b"expiry", Typed(Timestamp, optional=True)),
        (b"on_behalf_of", Integer(minimum=1, optional=True)),
    ]
    response = [(b"state", Typed(RiskState))]


class LoadRiskHistory(Command):
    """Return a page of the versions of a trading account's risk state, oldest first, after version `after`."""

    arguments = [(b"trading_account_id", _ID), (b"after", _VERSION)]
    response = [(b"states", Typed(tuple[RiskState, ...])), (b"next_after", Integer(minimum=0, optional=True))]


class GrantEntitlement(Command):
    """Entitle an account to market data, at once or from `effective_from`; administrators only.

    Raises FORBIDDEN, NOT_FOUND (the account), INVALID (an unknown venue, an end before the beginning), UNSUPPORTED.
    """

    arguments = [(b"terms", Typed(GrantTerms)), (b"reason", _REASON)]
    response = [(b"grant", Typed(EntitlementGrant))]


class RevokeEntitlement(Command):
    """Revoke a grant, with immediate effect everywhere; administrators only. Revoking it again changes nothing."""

    arguments = [(b"grant_id", _ID), (b"reason", _REASON)]
    response = [(b"grant", Typed(EntitlementGrant))]


class ListEntitlements(Command):
    """Return a page of an account's grants by id, those revoked included: one's own, or anybody's for administrators."""

    arguments = [(b"account_id", _ID), (b"after", Integer(minimum=0))]
    response = [(b"grants", Typed(tuple[EntitlementGrant, ...])), (b"next_after", Integer(minimum=0, optional=True))]


class RecordUsage(Command):
    """Record who used market data of what, once a day each; services that hold `market_data.all` only."""

    arguments = [(b"usage", Typed(tuple[Usage, ...]))]
    response = []


class OpenBusinessDay(Command):
    """Open a business date (ISO), which closes the one before; opening the current one again changes nothing.

    Administrators, risk officers, operators, and who holds the capability `day.open`. Raises FORBIDDEN, INVALID,
    CONFLICT for a date before the current one.
    """

    arguments = [(b"business_date", _DATE)]
    response = [(b"day", Typed(BusinessDay))]
