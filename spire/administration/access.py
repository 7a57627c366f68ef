"""Who may read and change what (sans-I/O): roles, capabilities and rights as ticket and live directory both have them."""

from typing import Final

from spire.locator.directory import ADMINISTRATOR, AUDITOR, RISK_OFFICER, Directory, is_server, view_needed
from spire.locator.values import Entry, Kind, Right
from spire.wire.errors import Forbidden, NotFound
from spire.wire.identity import Identity

SEES_ALL: Final = frozenset({ADMINISTRATOR, RISK_OFFICER, AUDITOR})
"""Roles that follow whole topics, as the platform's servers do."""

SEES_IDENTITIES: Final = frozenset({ADMINISTRATOR, AUDITOR})
"""Roles that see who people are: no server needs to know."""


def holds_role(directory: Directory, identity: Identity, roles: frozenset[str]) -> bool:
    """Return whether whoever is logged in holds one of these roles now."""
    return bool(roles & identity.roles & directory.roles(identity.account_id))


def holds_capability(directory: Directory, identity: Identity, capability: str) -> bool:
    """Return whether whoever is logged in holds a capability now."""
    return identity.holds(capability) and capability in directory.capabilities(identity.account_id)


def require_role(directory: Directory, identity: Identity, *roles: str) -> None:
    """Raise Forbidden unless whoever is logged in holds one of these roles now."""
    if not holds_role(directory, identity, frozenset(roles)):
        needed = " or ".join(role.replace("_", " ") for role in roles)
        raise Forbidden(f"Only an {needed} may do that.", role=roles[0])


def require_capability(directory: Directory, identity: Identity, capability: str) -> None:
    """Raise Forbidden unless whoever is logged in holds a capability now."""
    if not holds_capability(directory, identity, capability):
        raise Forbidden(f"{identity.account} lacks the capability {capability}.", capability=capability)


def trading_account(directory: Directory, trading_account_id: int) -> Entry:
    """Return a trading account; NotFound for anything else."""
    entry = directory.get(trading_account_id)
    if entry is None or entry.kind is not Kind.TRADING_ACCOUNT:
        raise NotFound(f"There is no trading account {trading_account_id}.", trading_account_id=trading_account_id)
    return entry


def account(directory: Directory, account_id: int) -> Entry:
    """Return an account; NotFound for anything else."""
    entry = directory.get(account_id)
    if entry is None or entry.kind is not Kind.ACCOUNT:
        raise NotFound(f"There is no account {account_id}.", account_id=account_id)
    return entry


def sees_all(directory: Directory, identity: Identity) -> bool:
    """Return whether whoever is logged in sees limits, risk states and entitlements of everybody."""
    return holds_role(directory, identity, SEES_ALL) or is_server(directory, identity)


def may_view(directory: Directory, identity: Identity, trading_account_id: int) -> bool:
    """Return whether whoever is logged in may see limits and risk state of a trading account."""
    if sees_all(directory, identity):
        return True
    return any(
        directory.holds(identity.account_id, right, trading_account_id)
        for right in (Right.VIEW, Right.TRADE, Right.MANAGE)
    )


def require_view(directory: Directory, identity: Identity, trading_account_id: int) -> Entry:
    """Return a trading account whose limits one may see; NotFound, Forbidden."""
    entry = trading_account(directory, trading_account_id)
    if not may_view(directory, identity, trading_account_id):
        raise view_needed(trading_account_id)
    return entry


def require_own(directory: Directory, identity: Identity, account_id: int, *roles: str) -> None:
    """Let pass who asks about himself or holds one of these roles; Forbidden otherwise, NotFound for no account."""
    account(directory, account_id)
    if identity.account_id != account_id:
        require_role(directory, identity, *roles)
