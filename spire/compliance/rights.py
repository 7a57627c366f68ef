"""Who may write rules, read them, and see violations (sans-I/O): rights as the live directory has them."""

from typing import Final

from spire.execution.access import may_view
from spire.locator.directory import ADMINISTRATOR, AUDITOR, RISK_OFFICER, Directory, is_server
from spire.locator.values import ROOT_ID, Entry, Kind, Right
from spire.wire.errors import Forbidden, Invalid, NotFound
from spire.wire.identity import Identity

SEES_ALL: Final = frozenset({ADMINISTRATOR, RISK_OFFICER, AUDITOR})
"""Roles that read every rule and see every violation."""

READS: Final = (Right.READ, Right.VIEW, Right.TRADE, Right.MANAGE)
"""Each of these rights on an entry lets its holder read the rules that bind there."""


def has_role(directory: Directory, identity: Identity, roles: frozenset[str]) -> bool:
    """Whether whoever is logged in has one of these roles, in his ticket and in the directory as it is now."""
    return bool(roles & identity.roles & directory.roles(identity.account_id))


def may_follow_rules(directory: Directory, identity: Identity) -> bool:
    """Whether one may follow the topic of all rules: who reads them all, and the platform's servers."""
    return has_role(directory, identity, SEES_ALL) or is_server(directory, identity)


def require_administrator(directory: Directory, identity: Identity) -> None:
    """Let administrators pass; else Forbidden."""
    if not has_role(directory, identity, frozenset({ADMINISTRATOR})):
        raise Forbidden("Only an administrator writes rules.", role=ADMINISTRATOR)


def carrier(directory: Directory, entry_id: int, argument: str) -> Entry:
    """Return the directory or trading account that a rule stands on; NotFound, Invalid for an account."""
    entry = directory.get(entry_id)
    if entry is None:
        raise NotFound(f"No directory entry has the id {entry_id}.", argument=argument, entry_id=entry_id)
    if entry.kind is Kind.ACCOUNT:
        raise Invalid(
            f"{entry.name} is an account: rules and violations belong to directories and trading accounts.",
            argument=argument,
        )
    return entry


def may_read_rules(directory: Directory, identity: Identity, entry_id: int) -> bool:
    """Whether one may read the rules that bind at an entry."""
    if has_role(directory, identity, SEES_ALL):
        return True
    return any(directory.holds(identity.account_id, right, entry_id) for right in READS)


def require_read_rules(directory: Directory, identity: Identity, entry_id: int) -> None:
    """Let pass whoever may read the rules that bind at an entry; else Forbidden."""
    if not may_read_rules(directory, identity, entry_id):
        raise Forbidden("READ, VIEW, TRADE or MANAGE on the rule's entry is needed; ask an administrator for it.")


def trading_accounts_seen(directory: Directory, identity: Identity, entry_id: int) -> tuple[int, ...] | None:
    """Return the trading accounts at or beneath an entry whose violations one may see, by id; None for every one there is.

    NotFound and Invalid as `carrier`; Forbidden where there is none, unless one may see whatever will stand there.
    """
    entry = carrier(directory, entry_id, "query.entry_id")
    sees_all = has_role(directory, identity, SEES_ALL)
    if sees_all and entry_id == ROOT_ID:
        return None
    found = [each for each in _beneath(directory, entry) if may_view(directory, identity, each)]
    if not found and not may_view(directory, identity, entry_id):
        raise Forbidden(
            f"VIEW, TRADE or MANAGE on a trading account in {entry.name} is needed; ask an administrator for it.",
            right="VIEW",
        )
    return tuple(sorted(found))


def _beneath(directory: Directory, entry: Entry) -> set[int]:
    """Return the trading accounts at or beneath an entry."""
    found: set[int] = set()
    seen: set[int] = set()
    waiting = [entry]
    while waiting:
        here = waiting.pop()
        if here.entry_id in seen:
            continue
        seen.add(here.entry_id)
        if here.kind is Kind.TRADING_ACCOUNT:
            found.add(here.entry_id)
        waiting.extend(directory.children(here.entry_id))
    return found
