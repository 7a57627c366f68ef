"""Who may submit, see and cancel orders (sans-I/O): rights on trading accounts as the live directory has them."""

from typing import Final

from spire.execution.values import FIRM, HALTS, parse_activity_topic
from spire.locator.directory import Directory, is_server, view_needed
from spire.locator.values import Entry, Kind, Right
from spire.values.submission import Submission
from spire.wire.errors import Forbidden, NotFound
from spire.wire.identity import Identity

SEES_ALL: Final = frozenset({"administrator", "risk_officer", "auditor"})
"""Roles that see every trading account."""

RISK_OFFICER: Final = "risk_officer"
VERIFY: Final = "orders.verify"
SET_RISK_STATE: Final = "risk.set_state"


def trading_account(directory: Directory, trading_account_id: int) -> Entry:
    """Return a trading account; NotFound for anything else."""
    entry = directory.get(trading_account_id)
    if entry is None or entry.kind is not Kind.TRADING_ACCOUNT:
        raise NotFound(f"There is no trading account {trading_account_id}.", trading_account_id=trading_account_id)
    return entry


def has_role(directory: Directory, identity: Identity, roles: frozenset[str]) -> bool:
    """Return whether whoever is logged in holds one of the roles, by his ticket and at this moment."""
    return bool(roles & identity.roles & directory.roles(identity.account_id))


def has_capability(directory: Directory, identity: Identity, *capabilities: str) -> bool:
    """Return whether a service holds one of the capabilities, by its ticket and at this moment."""
    held = [each for each in capabilities if identity.holds(each)]
    return bool(held) and not directory.capabilities(identity.account_id).isdisjoint(held)


def is_risk(directory: Directory, identity: Identity) -> bool:
    """Return whether the Risk Server is logged in."""
    return has_capability(directory, identity, SET_RISK_STATE)


def may_trade(directory: Directory, account_id: int, trading_account_id: int) -> bool:
    """Return whether an account holds TRADE or MANAGE on a trading account."""
    return directory.holds(account_id, Right.TRADE, trading_account_id) or directory.holds(
        account_id, Right.MANAGE, trading_account_id
    )


def may_view(directory: Directory, identity: Identity, trading_account_id: int) -> bool:
    """Return whether whoever is logged in may see the orders of a trading account."""
    if may_trade(directory, identity.account_id, trading_account_id):
        return True
    if directory.holds(identity.account_id, Right.VIEW, trading_account_id):
        return True
    return sees_all(directory, identity)


def sees_all(directory: Directory, identity: Identity) -> bool:
    """Return whether whoever is logged in may see every trading account, and the events of the whole firm."""
    return has_role(directory, identity, SEES_ALL) or has_capability(directory, identity, VERIFY, SET_RISK_STATE)


def require_topic(directory: Directory, identity: Identity, name: str) -> int | None:
    """Return the trading account of a topic that one may read, None for that of the halts; NotFound, Forbidden."""
    if name == HALTS:
        if not has_role(directory, identity, SEES_ALL) and not is_server(directory, identity):
            raise Forbidden("Halts are for servers, risk officers, administrators and auditors.", topic=name)
        return None
    try:
        number = parse_activity_topic(name)
    except ValueError as error:
        raise NotFound(str(error), topic=name) from None
    if number != FIRM:
        require_view(directory, identity, number)
    elif not sees_all(directory, identity):
        raise Forbidden(
            "The events of the firm are for risk officers, administrators, auditors and services that verify.",
            topic=name,
        )
    return number


def require_trade(directory: Directory, identity: Identity, trading_account_id: int) -> Entry:
    """Return a trading account that one may submit orders for; NotFound, Forbidden. The Risk Server may for all of them."""
    entry = trading_account(directory, trading_account_id)
    if is_risk(directory, identity):
        return entry
    if not may_trade(directory, identity.account_id, trading_account_id):
        seen = may_view(directory, identity, trading_account_id)
        name = entry.name if seen else f"trading account {trading_account_id}"
        raise Forbidden(f"TRADE or MANAGE on {name} is needed; ask an administrator for it.", right="TRADE")
    if entry.disabled:
        raise Forbidden(f"The trading account {entry.name} is disabled.")
    return entry


def require_view(directory: Directory, identity: Identity, trading_account_id: int) -> Entry:
    """Return a trading account whose orders one may see; NotFound, Forbidden."""
    entry = trading_account(directory, trading_account_id)
    if not may_view(directory, identity, trading_account_id):
        raise view_needed(trading_account_id)
    return entry


def require_cancel(directory: Directory, identity: Identity, submission: Submission) -> None:
    """Let pass whoever submitted the order, holders of TRADE or MANAGE, a risk officer, the Risk Server; else Forbidden."""
    if identity.account_id in (submission.entered_by, submission.on_behalf_of):
        return
    if may_trade(directory, identity.account_id, submission.trading_account_id):
        return
    if has_role(directory, identity, frozenset({RISK_OFFICER})) or is_risk(directory, identity):
        return
    raise Forbidden("Only who submitted the order, who may trade the account, or Risk may cancel it.", right="TRADE")
