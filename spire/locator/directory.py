"""The directory as a graph: names, ancestry, rights and roles (sans-I/O).

Rights flow down the ancestry of their *target*: a grant on a directory reaches everything beneath it, through any parent.
Standing in a directory gives the *holder* of an account nothing, except that roles come from membership of the well-known
directories (docs/service-locator.md).
"""

from collections.abc import Iterable, Iterator, Mapping

from spire.locator.registry import REGISTER
from spire.locator.values import ROOT_ID, AccountKind, Entry, Kind, Right
from spire.wire.errors import Forbidden, NotFound
from spire.wire.identity import Identity

ADMINISTRATOR = "administrator"
RISK_OFFICER = "risk_officer"
AUDITOR = "auditor"
OPERATOR = "operator"
SERVICE = "service"
MANAGER = "manager"
TRADER = "trader"

LOGIN_FOR = "login.for"
"""The capability of an account that logs others in and acts for them; without it their sessions hold no longer."""

TRADING_GROUPS = "trading_groups"
GROUP_ACCOUNTS = "accounts"
ROLE_DIRECTORIES: Mapping[str, str] = {
    "administrators": ADMINISTRATOR,
    "risk_officers": RISK_OFFICER,
    "auditors": AUDITOR,
    "operators": OPERATOR,
    "services": SERVICE,
}
"""Directories beneath the root whose members hold a role."""

GROUP_ROLE_DIRECTORIES: Mapping[str, str] = {"managers": MANAGER, "traders": TRADER}
"""Directories beneath `trading_groups/<group>` whose members hold a role."""


class Directory:
    """The live graph of accounts, trading accounts and directories, by id.

    Changing it goes entry by entry, so that a follower of the topic `directory` applies rows as they come; rows may come
    before their parents do.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: dict[int, Entry] = {}
        self._children: dict[int, set[int]] = {}
        self._accounts: dict[str, int] = {}
        self.replace(entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __contains__(self, entry_id: object) -> bool:
        return entry_id in self._entries

    def replace(self, entries: Iterable[Entry]) -> None:
        """Forget everything and take these entries instead."""
        self._entries.clear()
        self._children.clear()
        self._accounts.clear()
        for entry in entries:
            self.put(entry)

    def put(self, entry: Entry) -> None:
        """Write an entry whole, in place of the one with its id."""
        self.remove(entry.entry_id)
        self._entries[entry.entry_id] = entry
        for parent in entry.parents:
            self._children.setdefault(parent, set()).add(entry.entry_id)
        if entry.kind is Kind.ACCOUNT:
            self._accounts[entry.name.casefold()] = entry.entry_id

    def remove(self, entry_id: int) -> None:
        """Forget an entry; one that is not there is no error."""
        entry = self._entries.pop(entry_id, None)
        if entry is None:
            return
        for parent in entry.parents:
            siblings = self._children[parent]
            siblings.discard(entry_id)
            if not siblings:
                del self._children[parent]
        if entry.kind is Kind.ACCOUNT and self._accounts.get(entry.name.casefold()) == entry_id:
            del self._accounts[entry.name.casefold()]

    def get(self, entry_id: int) -> Entry | None:
        """Return the entry with this id, or None."""
        return self._entries.get(entry_id)

    def entry(self, entry_id: int) -> Entry:
        """Return the entry with this id, or raise NotFound."""
        entry = self._entries.get(entry_id)
        if entry is None:
            raise NotFound(f"No directory entry has the id {entry_id}.", entry_id=entry_id)
        return entry

    def account(self, name: str) -> Entry | None:
        """Return the account of this name, whatever its case, or None."""
        entry_id = self._accounts.get(name.casefold())
        return None if entry_id is None else self._entries[entry_id]

    def children(self, entry_id: int) -> list[Entry]:
        """Return what stands directly beneath an entry, by name."""
        found = [self._entries[child] for child in self._children.get(entry_id, ())]
        return sorted(found, key=lambda entry: (entry.name, entry.entry_id))

    def child(self, parent_id: int, name: str) -> Entry | None:
        """Return the entry of this name directly beneath a directory, or None."""
        for child_id in self._children.get(parent_id, ()):
            if self._entries[child_id].name == name:
                return self._entries[child_id]
        return None

    def find(self, path: str) -> Entry | None:
        """Return the entry at a path such as `trading_groups/demo/accounts`, or None; `` and `/` are the root.

        A first slash may stand or not; an empty step inside the path finds nothing.
        """
        steps = path.removeprefix("/")
        here = self._entries.get(ROOT_ID)
        if not steps:
            return here
        for step in steps.split("/"):
            if here is None or not step:
                return None
            here = self.child(here.entry_id, step)
        return here

    def paths(self, entry_id: int) -> list[str]:
        """Return every path from the root to an entry, sorted; the root's is `/`."""
        if entry_id == ROOT_ID:
            return ["/"]
        found: list[str] = []
        waiting: list[tuple[int, tuple[str, ...], frozenset[int]]] = [(entry_id, (), frozenset())]
        while waiting:
            here, below, seen = waiting.pop()
            if here == ROOT_ID:
                found.append("/" + "/".join(below))
            entry = self._entries.get(here)
            if entry is None or here in seen:
                continue
            waiting.extend((parent, (entry.name, *below), seen | {here}) for parent in entry.parents)
        return sorted(found)

    def ancestry(self, entry_id: int) -> set[int]:
        """Return an entry's own id and the ids of everything above it."""
        seen: set[int] = set()
        waiting = [entry_id]
        while waiting:
            here = waiting.pop()
            if here in seen:
                continue
            seen.add(here)
            entry = self._entries.get(here)
            if entry is not None:
                waiting.extend(entry.parents)
        return seen

    def lineage(self, entry_id: int) -> tuple[int, ...]:
        """Return everything above an entry and the entry itself, each after all that stands above it, the root first."""
        order: list[int] = []  # each behind all that stands above it
        seen: set[int] = set()
        waiting = [(entry_id, False)]
        while waiting:
            here, is_done = waiting.pop()
            entry = self._entries.get(here)
            if is_done:
                order.append(here)
            elif entry is not None and here not in seen:
                seen.add(here)
                waiting.append((here, True))
                waiting.extend((parent, False) for parent in entry.parents)
        depths = dict.fromkeys(order, 0)
        for here in reversed(order):
            for parent in self._entries[here].parents:
                if parent in depths:
                    depths[parent] = max(depths[parent], depths[here] + 1)
        return tuple(sorted(depths, key=lambda above: (-depths[above], above)))

    def holds(self, account_id: int, right: Right, target_id: int) -> bool:
        """Whether an account holds every one of the wanted rights on an entry, by one grant on it or above it.

        Rights of several grants do not add up. An account may always READ itself. A disabled or unknown account holds
        nothing, and nothing is held on an unknown entry.
        """
        source = self._entries.get(account_id)
        if source is None or source.disabled or source.kind is not Kind.ACCOUNT or target_id not in self._entries:
            return False
        if account_id == target_id and right == Right.READ:
            return True
        for above in self.ancestry(target_id):
            entry = self._entries.get(above)
            if entry is not None and any(
                grant.account_id == account_id and grant.rights & right == right for grant in entry.grants
            ):
                return True
        return False

    def granted(self, account_id: int, entry_id: int) -> Right:
        """Return the rights that are granted to an account on an entry itself; those of entries above do not count."""
        entry = self._entries.get(entry_id)
        grants = () if entry is None else entry.grants
        return next((Right(grant.rights) for grant in grants if grant.account_id == account_id), Right.NONE)

    def require(self, account_id: int, right: Right, target_id: int) -> Entry:
        """Return the entry if the account holds the right on it.

        Raises NotFound for an entry that is not there, Forbidden with the right's name otherwise.
        """
        entry = self.entry(target_id)
        if not self.holds(account_id, right, target_id):
            raise Forbidden(
                f"{right.name} on {entry.name} is needed; ask an administrator for it.",
                right=str(right.name),
                entry_id=target_id,
            )
        return entry

    def roles(self, account_id: int) -> frozenset[str]:
        """Return the roles that an account holds by standing directly in the well-known directories.

        A service is never anything but a service, and a person never one, wherever they stand.
        """
        account = self._entries.get(account_id)
        if account is None or account.disabled or account.kind is not Kind.ACCOUNT:
            return frozenset()
        found = {self._role_of(parent) for parent in account.parents} - {None}
        return frozenset(role for role in found if role and required_account_kind(role) is account.account_kind)

    def capabilities(self, account_id: int) -> frozenset[str]:
        """Return the capabilities of an account; a disabled or unknown one has none."""
        account = self._entries.get(account_id)
        return frozenset() if account is None or account.disabled else frozenset(account.capabilities)

    def members(self, role: str) -> list[Entry]:
        """Return the enabled accounts that hold a role, by id."""
        return [entry for _, entry in sorted(self._entries.items()) if role in self.roles(entry.entry_id)]

    def trading_accounts(self, account_id: int, right: Right) -> list[Entry]:
        """Return the trading accounts on which an account holds a right, by id."""
        return [
            entry
            for _, entry in sorted(self._entries.items())
            if entry.kind is Kind.TRADING_ACCOUNT and self.holds(account_id, right, entry.entry_id)
        ]

    def groups_of(self, entry_id: int) -> list[Entry]:
        """Return the trading groups in which an entry stands (as trading account, trader or manager), by id."""
        groups = self.child(ROOT_ID, TRADING_GROUPS)
        if groups is None:
            return []
        above = self.ancestry(entry_id) - {entry_id}
        return [self._entries[group] for group in sorted(self._children.get(groups.entry_id, set()) & above)]

    def roles_given_by(self, directory_id: int) -> frozenset[str]:
        """Return the roles that standing directly in a directory gives."""
        role = self._role_of(directory_id)
        return frozenset() if role is None else frozenset((role,))

    def is_well_known(self, entry_id: int) -> bool:
        """Whether others find an entry by its place and name: the root, role directories, a trading group's `accounts`."""
        if entry_id == ROOT_ID or self._role_of(entry_id) is not None:
            return True
        groups = self.child(ROOT_ID, TRADING_GROUPS)
        if groups is None:
            return False
        entry = self._entries.get(entry_id)
        return groups.entry_id == entry_id or (
            entry is not None
            and entry.name == GROUP_ACCOUNTS
            and any(
                groups.entry_id in self.entry(parent).parents for parent in entry.parents if parent in self._entries
            )
        )

    def _role_of(self, directory_id: int) -> str | None:
        """Return the role that standing in a directory gives."""
        directory = self._entries.get(directory_id)
        if directory is None or directory.kind is not Kind.DIRECTORY:
            return None
        if ROOT_ID in directory.parents:
            return ROLE_DIRECTORIES.get(directory.name)
        role = GROUP_ROLE_DIRECTORIES.get(directory.name)
        groups = self.child(ROOT_ID, TRADING_GROUPS)
        if role is None or groups is None:
            return None
        for parent in directory.parents:
            group = self._entries.get(parent)
            if group is not None and groups.entry_id in group.parents:
                return role
        return None


def view_needed(trading_account_id: int) -> Forbidden:
    """Return the refusal of somebody who may not see a trading account; its name is not his to know."""
    return Forbidden(
        f"VIEW on trading account {trading_account_id} is needed; ask an administrator for it.", right="VIEW"
    )


def required_account_kind(role: str) -> AccountKind:
    """Return which kind of account may hold a role: services never hold a person's."""
    return AccountKind.SERVICE if role == SERVICE else AccountKind.PERSON


def is_server(directory: Directory, identity: Identity) -> bool:
    """Whether whoever is logged in is a server of the platform, by his ticket and at this moment: it may register a service.

    Feeds and scripts have accounts of services too, but register none: what only servers need is not for them.
    """
    held = identity.capabilities & directory.capabilities(identity.account_id)
    return SERVICE in identity.roles & directory.roles(identity.account_id) and any(
        capability.startswith(REGISTER) for capability in held
    )


def may_no_longer_log_in(directory: Directory, account_id: int, delegate_id: int | None) -> bool:
    """Whether an account is disabled, or the delegate that logged it in is, or may log nobody in any more.

    One that this directory does not know (yet) may: its ticket was signed.
    """
    account = directory.get(account_id)
    if account is not None and account.disabled:
        return True
    return delegate_id is not None and delegate_id in directory and LOGIN_FOR not in directory.capabilities(delegate_id)


def has_lost_rights(directory: Directory, identity: Identity) -> bool:
    """Whether a logged-in identity names a role or capability that its account no longer has, or may no longer log in.

    An account that this directory does not know (yet) has lost nothing: its ticket was signed.
    """
    if identity.account_id not in directory:
        return False
    return (
        may_no_longer_log_in(directory, identity.account_id, identity.delegate_id)
        or not identity.roles <= directory.roles(identity.account_id)
        or not identity.capabilities <= directory.capabilities(identity.account_id)
    )
