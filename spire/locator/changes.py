"""What may be done to the directory: each function checks one command and returns the `Change` it makes (sans-I/O).

They raise Forbidden (a right is missing), NotFound (an entry is), Invalid (a value cannot stand) or Conflict (the directory
as it is does not allow it), and change nothing themselves. A change that is already so is an empty `Change`.
"""

import unicodedata
from collections.abc import Iterable

from attrs import evolve

from spire.locator.directory import (
    ADMINISTRATOR,
    GROUP_ACCOUNTS,
    TRADING_GROUPS,
    Directory,
    required_account_kind,
)
from spire.locator.values import (
    ALL_RIGHTS,
    NAME_LIMIT,
    ROOT_ID,
    AccountKind,
    Change,
    Entry,
    Grant,
    Kind,
    Right,
    TradingAccountTerms,
)
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound

CAPABILITY_LIMIT = 100
"""Characters in the name of a capability; an account has as many at most."""

GRANT_LIMIT = 1_000
"""Grants on one entry: an entry travels whole in one message."""


def check_name(name: str) -> str:
    """Return a name that may stand in the directory, or raise Invalid.

    1 to 100 printable characters without blanks or '/', in Unicode's composed form (NFC), neither `.`, `..` nor `*`.
    """
    if not name or len(name) > NAME_LIMIT:
        raise Invalid(f"A name has 1 to {NAME_LIMIT} characters.", argument="name")
    if "/" in name or any(character.isspace() or not character.isprintable() for character in name):
        raise Invalid("A name has no blanks, no '/' and no control characters.", argument="name")
    if name in {".", "..", "*"} or unicodedata.normalize("NFC", name) != name:
        raise Invalid("This name cannot stand in a path; choose another.", argument="name")
    return name


def make_directory(directory: Directory, actor: int, entry_id: int, name: str, parent_id: int) -> Change:
    """Make a directory beneath another; needs ADMINISTRATE on the parent."""
    entry = Entry(entry_id=entry_id, kind=Kind.DIRECTORY, name=check_name(name), parents=(parent_id,))
    _check_new(directory, actor, entry, parent_id)
    return Change(put=(entry,))


def make_account(
    directory: Directory, actor: int, entry_id: int, name: str, parent_id: int, kind: AccountKind
) -> Change:
    """Make an account in a directory; needs ADMINISTRATE on it; account names are unique, whatever their case."""
    entry = Entry(entry_id=entry_id, kind=Kind.ACCOUNT, name=check_name(name), parents=(parent_id,), account_kind=kind)
    _check_new(directory, actor, entry, parent_id)
    return Change(put=(entry,))


def make_trading_account(
    directory: Directory,
    actor: int,
    entry_id: int,
    name: str,
    parent_id: int,
    terms: TradingAccountTerms,
    trader: int | None = None,
) -> Change:
    """Make a trading account, and give its trader VIEW and TRADE on it.

    Needs ADMINISTRATE on the parent, which is a trading group's `accounts`; and on the trader's account too.
    """
    entry = Entry(
        entry_id=entry_id, kind=Kind.TRADING_ACCOUNT, name=check_name(name), parents=(parent_id,), terms=terms
    )
    _check_new(directory, actor, entry, parent_id)
    if trader is not None:
        _account(directory.require(actor, Right.ADMINISTRATE, trader))
        entry = evolve(entry, grants=(Grant(account_id=trader, rights=int(Right.VIEW | Right.TRADE)),))
    return Change(put=(entry,))


def associate(directory: Directory, actor: int, entry_id: int, parent_id: int) -> Change:
    """Let an entry stand in one more directory.

    Needs MOVE on the parent and ADMINISTRATE on the entry: whoever pulls an entry under a directory over which he holds
    rights gains these rights over it, so they must be his to give. A cycle is refused.
    """
    parent = directory.require(actor, Right.MOVE, parent_id)
    entry = directory.require(actor, Right.ADMINISTRATE, entry_id)
    if parent_id in entry.parents:
        return Change()
    if entry_id in directory.ancestry(parent_id):
        raise Conflict(f"{entry.name} stands above {parent.name}; a directory cannot stand beneath itself.")
    _check_place(directory, entry, parent)
    return Change(put=(evolve(entry, parents=tuple(sorted({*entry.parents, parent_id}))),))


def detach(directory: Directory, actor: int, entry_id: int, parent_id: int) -> Change:
    """Take an entry out of one of its directories; needs MOVE on that directory.

    Its last directory cannot be taken from it, nor the last enabled administrator from `administrators`.
    """
    parent = directory.require(actor, Right.MOVE, parent_id)
    entry = directory.entry(entry_id)
    if parent_id not in entry.parents:
        return Change()
    if len(entry.parents) == 1:
        advice = "associate it elsewhere first"
        if entry.kind is Kind.ACCOUNT:
            advice = "nobody is left without a role: give another one first, or in the same change"
        raise Conflict(f"{parent.name} is the only directory in which {entry.name} stands; {advice}.")
    if directory.is_well_known(entry_id):
        raise Conflict(f"{entry.name} is found by its place; it stays where it is.")
    changed = evolve(entry, parents=tuple(above for above in entry.parents if above != parent_id))
    _keep_an_administrator(directory, changed)
    return Change(put=(changed,))


def rename(directory: Directory, actor: int, entry_id: int, name: str) -> Change:
    """Give an entry another name; needs ADMINISTRATE on it."""
    entry = directory.require(actor, Right.ADMINISTRATE, entry_id)
    changed = evolve(entry, name=check_name(name))
    if changed == entry:
        return Change()
    if directory.is_well_known(entry_id):
        raise Conflict(f"{entry.name} is found by its name; it keeps it.")
    _check_account_name(directory, changed)
    for parent_id in entry.parents:
        _check_sibling(directory, changed, parent_id)
    return Change(put=(changed,))


def remove(directory: Directory, actor: int, entry_id: int) -> Change:
    """Remove an empty directory; needs ADMINISTRATE on it.

    Accounts and trading accounts are never removed, because orders and postings name them: they are disabled.
    """
    entry = directory.require(actor, Right.ADMINISTRATE, entry_id)
    if entry.kind is not Kind.DIRECTORY:
        raise Conflict(f"{entry.name} is named by records; disable it instead.")
    if (ROOT_ID in entry.parents and directory.is_well_known(entry_id)) or entry_id == ROOT_ID:
        raise Conflict(f"{entry.name} is found by its name; it stays.")
    if directory.children(entry_id):
        raise Conflict(f"{entry.name} is not empty; detach or remove what stands in it first.")
    return Change(removed=(entry_id,))


def grant(directory: Directory, actor: int, account_id: int, entry_id: int, rights: Right) -> Change:
    """Set the rights that an account holds on an entry, in place of what it held; needs ADMINISTRATE on both."""
    if int(rights) & ~int(ALL_RIGHTS):
        raise Invalid("These rights do not exist.", argument="rights", rights=int(rights))
    entry = directory.require(actor, Right.ADMINISTRATE, entry_id)
    _account(directory.require(actor, Right.ADMINISTRATE, account_id))
    others = [held for held in entry.grants if held.account_id != account_id]
    if rights:
        others.append(Grant(account_id=account_id, rights=int(rights)))
    if len(others) > GRANT_LIMIT:
        raise Conflict(f"{entry.name} carries {GRANT_LIMIT} grants already; grant on a directory above or beneath it.")
    changed = evolve(entry, grants=tuple(sorted(others, key=lambda held: held.account_id)))
    if entry_id == ROOT_ID and not _root_administrators(directory, changed):
        raise Conflict("Nobody would hold ADMINISTRATE on the root; grant it to somebody else first.")
    return Change() if changed == entry else Change(put=(changed,))


def set_capabilities(directory: Directory, actor: int, account_id: int, capabilities: Iterable[str]) -> Change:
    """Set the capabilities of a service, or of a person who needs one for tests and demonstrations.

    Needs the administrator role and ADMINISTRATE on the account.
    """
    if ADMINISTRATOR not in directory.roles(actor):
        raise Forbidden("Only an administrator gives capabilities.", role=ADMINISTRATOR)
    account = _account(directory.require(actor, Right.ADMINISTRATE, account_id))
    wanted = tuple(sorted(set(capabilities)))
    if len(wanted) > CAPABILITY_LIMIT:
        raise Invalid(f"An account has at most {CAPABILITY_LIMIT} capabilities.", argument="capabilities")
    for capability in wanted:
        if not 0 < len(capability) <= CAPABILITY_LIMIT or not all("!" <= letter <= "~" for letter in capability):
            raise Invalid(
                f"A capability has 1 to {CAPABILITY_LIMIT} printable ASCII characters and no blanks.",
                argument="capabilities",
            )
    changed = evolve(account, capabilities=wanted)
    return Change() if changed == account else Change(put=(changed,))


def set_disabled(directory: Directory, actor: int, entry_id: int, disabled: bool) -> Change:
    """Disable or enable an account or a trading account; needs ADMINISTRATE on it; nobody disables himself."""
    entry = directory.require(actor, Right.ADMINISTRATE, entry_id)
    if entry.kind is Kind.DIRECTORY:
        raise Invalid("A directory cannot be disabled.", argument="entry_id")
    if entry.disabled == disabled:
        return Change()
    if actor == entry_id:
        raise Conflict("Nobody disables the account that he is logged in with.")
    changed = evolve(entry, disabled=disabled)
    _keep_an_administrator(directory, changed)
    return Change(put=(changed,))


def set_terms(directory: Directory, actor: int, entry_id: int, terms: TradingAccountTerms) -> Change:
    """Write the fields of a trading account; needs ADMINISTRATE on it."""
    entry = directory.require(actor, Right.ADMINISTRATE, entry_id)
    if entry.kind is not Kind.TRADING_ACCOUNT:
        raise Invalid(f"{entry.name} is not a trading account.", argument="entry_id")
    changed = evolve(entry, terms=terms)
    return Change() if changed == entry else Change(put=(changed,))


def check_password_change(directory: Directory, actor: int, account_id: int) -> bool:
    """Return whether the old password must be shown (one's own account), or raise Forbidden without ADMINISTRATE."""
    if actor == account_id:
        _account(directory.entry(account_id))
        return True
    _account(directory.require(actor, Right.ADMINISTRATE, account_id))
    return False


def _check_new(directory: Directory, actor: int, entry: Entry, parent_id: int) -> None:
    parent = directory.require(actor, Right.ADMINISTRATE, parent_id)
    _check_account_name(directory, entry)
    _check_place(directory, entry, parent)


def _check_account_name(directory: Directory, entry: Entry) -> None:
    if entry.kind is not Kind.ACCOUNT:
        return
    taken = directory.account(entry.name)
    if taken is not None and taken.entry_id != entry.entry_id:
        raise Conflict(f"There is an account {taken.name} already; account names are unique.", argument="name")


def _check_sibling(directory: Directory, entry: Entry, parent_id: int) -> None:
    sibling = directory.child(parent_id, entry.name)
    if sibling is not None and sibling.entry_id != entry.entry_id:
        raise Conflict(
            f"{directory.entry(parent_id).name} holds an entry {entry.name} already; names in a directory differ.",
            argument="name",
        )


def _check_place(directory: Directory, entry: Entry, parent: Entry) -> None:
    """Refuse a parent that cannot hold this entry."""
    if parent.kind is not Kind.DIRECTORY:
        raise Invalid(f"{parent.name} is not a directory.", argument="parent_id")
    _check_sibling(directory, entry, parent.entry_id)
    if entry.kind is Kind.TRADING_ACCOUNT and not _holds_trading_accounts(directory, parent):
        raise Invalid(f"A trading account stands in {TRADING_GROUPS}/<group>/{GROUP_ACCOUNTS}.", argument="parent_id")
    if entry.kind is Kind.ACCOUNT:
        for role in directory.roles_given_by(parent.entry_id):
            if entry.account_kind is not required_account_kind(role):
                raise Conflict(f"{entry.name} cannot be in {parent.name}: services and people hold different roles.")


def _holds_trading_accounts(directory: Directory, parent: Entry) -> bool:
    groups = directory.child(ROOT_ID, TRADING_GROUPS)
    return (
        groups is not None
        and parent.name == GROUP_ACCOUNTS
        and any(groups.entry_id in directory.entry(group).parents for group in parent.parents)
    )


def _account(entry: Entry) -> Entry:
    if entry.kind is not Kind.ACCOUNT:
        raise NotFound(f"{entry.name} is not an account.", entry_id=entry.entry_id)
    return entry


def _keep_an_administrator(directory: Directory, changed: Entry) -> None:
    """Refuse a change that would leave nobody in `administrators`."""
    administrators = {entry.entry_id for entry in directory.members(ADMINISTRATOR)}
    if changed.entry_id not in administrators or len(administrators) > 1:
        return
    place = directory.find("administrators")
    if changed.disabled or place is None or place.entry_id not in changed.parents:
        raise Conflict(f"{changed.name} is the last administrator; make another one first.")


def _root_administrators(directory: Directory, root: Entry) -> list[int]:
    """Return the enabled accounts that hold ADMINISTRATE by a root entry as given."""
    found = []
    for held in root.grants:
        account = directory.get(held.account_id)
        if account is not None and not account.disabled and held.rights & Right.ADMINISTRATE:
            found.append(held.account_id)
    return found
