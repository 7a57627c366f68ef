"""Groups, people and their moves between directories: several changes that are made whole or not at all (sans-I/O).

Each function checks every step by the rules of `changes` and returns the one `Change` that all steps make.
"""

from collections.abc import Iterable

from attrs import frozen

from spire.locator import changes
from spire.locator.directory import GROUP_ACCOUNTS, GROUP_ROLE_DIRECTORIES, TRADING_GROUPS, Directory
from spire.locator.values import (
    ROOT_ID,
    AccountKind,
    Change,
    EntryRights,
    Kind,
    Right,
    TradingAccountTerms,
)
from spire.wire.errors import Conflict, Invalid, NotFound

GROUP_PLACES = (*GROUP_ROLE_DIRECTORIES, GROUP_ACCOUNTS)
"""The directories of a trading group, in the order in which they are made."""

MOST_STEPS = 50
"""Directories and grants of one command."""


@frozen(kw_only=True)
class NewPerson:
    """A person to make: the directories that he stands in, his rights, and his trading account in a group's `accounts`."""

    name: str
    parents: tuple[int, ...]
    grants: tuple[EntryRights, ...] = ()
    accounts_id: int | None = None
    terms: TradingAccountTerms | None = None


@frozen(kw_only=True)
class Move:
    """What becomes of an account: directories that it enters and leaves, and the rights that it then holds on entries."""

    account_id: int
    add: tuple[int, ...] = ()
    remove: tuple[int, ...] = ()
    grants: tuple[EntryRights, ...] = ()


def make_group(directory: Directory, actor: int, entry_id: int, name: str) -> Change:
    """Make a trading group with its directories; needs ADMINISTRATE on `trading_groups`."""
    groups = directory.child(ROOT_ID, TRADING_GROUPS)
    if groups is None:
        raise NotFound(f"There is no directory {TRADING_GROUPS}; run the set-up.")
    steps = _Steps(directory)
    steps.take(changes.make_directory(steps.directory, actor, entry_id, name, groups.entry_id))
    for number, place in enumerate(GROUP_PLACES, entry_id + 1):
        steps.take(changes.make_directory(steps.directory, actor, number, place, entry_id))
    return steps.change


def make_person(directory: Directory, actor: int, entry_id: int, person: NewPerson) -> Change:
    """Make a person's account, and his trading account, if he gets one, behind it; the account stands first in the change.

    Needs ADMINISTRATE on everything named, and MOVE on the directories after the first.
    """
    if not person.parents:
        raise Invalid("An account stands in a directory at least.", argument="parents")
    if (person.accounts_id is None) != (person.terms is None):
        raise Invalid("A trading account has both a place and terms.", argument="terms")
    _few((*person.parents, *person.grants))
    steps = _Steps(directory)
    first, *others = person.parents
    steps.take(changes.make_account(steps.directory, actor, entry_id, person.name, first, AccountKind.PERSON))
    for parent in others:
        steps.take(changes.associate(steps.directory, actor, entry_id, parent))
    if person.accounts_id is not None and person.terms is not None:
        steps.take(
            changes.make_trading_account(
                steps.directory, actor, entry_id + 1, person.name, person.accounts_id, person.terms, entry_id
            )
        )
    steps.grant(actor, entry_id, person.grants)
    return steps.change


def move_account(directory: Directory, actor: int, move: Move) -> Change:
    """Let an account enter and leave directories and change its rights; each step needs what it needs by itself.

    It enters before it leaves, so that it never stands nowhere. Leaving a directory in which it does not stand is CONFLICT:
    whoever asks sees another directory than there is.
    """
    account = directory.entry(move.account_id)
    if account.kind is not Kind.ACCOUNT:
        raise NotFound(f"{account.name} is not an account.", entry_id=account.entry_id)
    _few((*move.add, *move.remove, *move.grants))
    both = set(move.add) & set(move.remove)
    if both:
        raise Invalid("A directory is entered or left, not both.", argument="remove", entry_id=min(both))
    steps = _Steps(directory)
    for parent in move.add:
        steps.take(changes.associate(steps.directory, actor, move.account_id, parent))
    for parent in move.remove:
        if parent not in account.parents:
            raise Conflict(f"{account.name} does not stand in {directory.entry(parent).name}.", entry_id=parent)
        steps.take(changes.detach(steps.directory, actor, move.account_id, parent))
    steps.grant(actor, move.account_id, move.grants)
    return steps.change


class _Steps:
    """A directory on which changes are tried one after another, and what they come to."""

    def __init__(self, directory: Directory) -> None:
        self.directory = Directory(directory)
        self._put: dict[int, None] = {}

    def take(self, change: Change) -> None:
        """Carry a change out on the trial directory."""
        for entry in change.put:
            self.directory.put(entry)
            self._put[entry.entry_id] = None

    def grant(self, actor: int, account_id: int, grants: Iterable[EntryRights]) -> None:
        """Set the rights of an account on entries."""
        for wanted in grants:
            rights = Right(wanted.rights) | self.directory.granted(account_id, wanted.entry_id) & Right(wanted.kept)
            self.take(changes.grant(self.directory, actor, account_id, wanted.entry_id, rights))

    @property
    def change(self) -> Change:
        """What all changes come to, in the order in which entries were first touched."""
        return Change(put=tuple(self.directory.entry(entry_id) for entry_id in self._put))


def _few(steps: tuple[object, ...]) -> None:
    if len(steps) > MOST_STEPS:
        raise Invalid(f"At most {MOST_STEPS} directories and grants are changed at once.", argument="grants")
