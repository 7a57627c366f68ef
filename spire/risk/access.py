"""Who may see, open and release trading accounts (sans-I/O): roles and rights as ticket and live directory both have them."""

from typing import Final

from spire.execution import access
from spire.locator.directory import ADMINISTRATOR, AUDITOR, OPERATOR, RISK_OFFICER, Directory, is_server, view_needed
from spire.wire.errors import Forbidden
from spire.wire.identity import Identity

OPEN_DAY: Final = "day.open"
SEES_ALL: Final = frozenset({ADMINISTRATOR, RISK_OFFICER, AUDITOR})
OPENS_DAYS: Final = frozenset({ADMINISTRATOR, RISK_OFFICER, OPERATOR})


def roles(directory: Directory, identity: Identity) -> frozenset[str]:
    """Return the roles that hold now: a right that was withdrawn ends before the ticket does."""
    return identity.roles & directory.roles(identity.account_id)


def sees_all(directory: Directory, identity: Identity) -> bool:
    """Return whether whoever is logged in sees every trading account."""
    return bool(SEES_ALL & roles(directory, identity)) or is_server(directory, identity)


def may_view(directory: Directory, identity: Identity, trading_account_id: int) -> bool:
    """Return whether whoever is logged in may see a trading account."""
    return sees_all(directory, identity) or access.may_view(directory, identity, trading_account_id)


def require_view(directory: Directory, identity: Identity, trading_account_id: int) -> None:
    """Let pass who may see a trading account. Raises NotFound, Forbidden."""
    access.trading_account(directory, trading_account_id)
    if not may_view(directory, identity, trading_account_id):
        raise view_needed(trading_account_id)


def require_all(directory: Directory, identity: Identity) -> None:
    """Let pass who sees every trading account; Forbidden."""
    if not sees_all(directory, identity):
        raise Forbidden("All portfolios are for servers, administrators, risk officers and auditors.")


def require_open(directory: Directory, identity: Identity) -> None:
    """Let pass who may open a business day; Forbidden."""
    has_capability = identity.holds(OPEN_DAY) and OPEN_DAY in directory.capabilities(identity.account_id)
    if not has_capability and not OPENS_DAYS & roles(directory, identity):
        raise Forbidden("An administrator, a risk officer or an operator opens the business day.", capability=OPEN_DAY)


def require_release(directory: Directory, identity: Identity) -> None:
    """Let pass a risk officer; Forbidden."""
    if RISK_OFFICER not in roles(directory, identity):
        raise Forbidden("Only a risk officer releases a trading account.", role=RISK_OFFICER)
