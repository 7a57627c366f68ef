"""Trading groups, people and roles: checked and authorised here, carried out by the Service Locator, whole or not at all."""

from collections.abc import Callable, Iterable
from typing import Final

from attrs import frozen

from spire.administration import access, checks
from spire.administration.commits import Commits, Deed
from spire.administration.values import Trader, TradingGroup
from spire.definitions.client import DefinitionsClient
from spire.locator.calls import LocatorClient
from spire.locator.directory import (
    ADMINISTRATOR,
    AUDITOR,
    GROUP_ACCOUNTS,
    MANAGER,
    OPERATOR,
    RISK_OFFICER,
    TRADER,
    TRADING_GROUPS,
    Directory,
)
from spire.locator.people import MOST_STEPS
from spire.locator.values import (
    ADMINISTRATOR_RIGHTS,
    ALL_RIGHTS,
    ROOT_ID,
    AccountKind,
    Entry,
    EntryRights,
    Kind,
    Right,
    TradingAccountTerms,
)
from spire.runtime.clock import Clock
from spire.service.audit import origin_of
from spire.values.codes import Currency
from spire.wire.errors import Conflict, Invalid, NotFound
from spire.wire.server_session import Session

ROLE_PLACES: Final = {
    ADMINISTRATOR: "administrators",
    RISK_OFFICER: "risk_officers",
    AUDITOR: "auditors",
    OPERATOR: "operators",
}
"""Where who holds a role of the firm stands; a group's managers and traders stand in the group."""

GROUP_ROLE_PLACES: Final = {MANAGER: "managers", TRADER: "traders"}

MANAGER_RIGHTS: Final = Right.READ | Right.VIEW | Right.MANAGE
TRADER_RIGHTS: Final = Right.VIEW | Right.TRADE
"""What a trader holds on a trading account."""

PAGE: Final = 100
KNOWN_SECONDS: Final = 5.0
STEP_SECONDS: Final = 0.01


@frozen(kw_only=True)
class Place:
    """A role: the directory that gives it, and the rights on an entry that come and go with it.

    Those of a trader are on trading accounts in his group's `accounts`, which `accounts_id` names.
    """

    role: str
    directory_id: int
    entry_id: int | None = None
    rights: Right = Right.NONE
    accounts_id: int | None = None


def given(entry_id: int, rights: Right) -> EntryRights:
    """Return rights on an entry beside those that are held on it."""
    return EntryRights(entry_id=entry_id, rights=int(rights), kept=int(ALL_RIGHTS))


def taken(entry_id: int, rights: Right) -> EntryRights:
    """Return what is held on an entry without these rights."""
    return EntryRights(entry_id=entry_id, rights=0, kept=int(ALL_RIGHTS & ~rights))


class Groups:
    """Carries out what administrators decide about groups and people; every method takes the session first.

    The Locator makes each change in one commit, and its audit log names the administrator and his session; what is refused
    here is in ours. A change is answered once it has arrived in this server's live directory.
    """

    def __init__(
        self,
        *,
        locator: LocatorClient,
        directory: Directory,
        definitions: DefinitionsClient,
        commits: Commits,
        clock: Clock,
    ) -> None:
        self._locator = locator
        self._directory = directory
        self._definitions = definitions
        self._commits = commits
        self._clock = clock

    async def create_group(self, session: Session, name: str) -> TradingGroup:
        """Make a trading group; administrators only."""
        deed = Deed(session=session, action="group.create", entity=f"directory:{name}")
        async with self._commits.attempt(deed):
            access.require_role(self._directory, session.identity, ADMINISTRATOR)
        ids = await self._locator.make_group(name, on_behalf_of=session.identity.account_id, origin=origin_of(session))
        await self._until(lambda: all(number in self._directory for number in ids))
        group_id, managers_id, traders_id, accounts_id = ids
        return TradingGroup(
            group_id=group_id, name=name, managers_id=managers_id, traders_id=traders_id, accounts_id=accounts_id
        )

    def list_groups(self, session: Session, after: int) -> tuple[tuple[TradingGroup, ...], int | None]:
        """Return a page of the trading groups that the caller may see, by id, and after which the next begins."""
        identity = session.identity
        sees_all = access.sees_all(self._directory, identity)
        own = {group.entry_id for group in self._directory.groups_of(identity.account_id)}
        found: list[TradingGroup] = []
        for entry in sorted(self._entries(), key=lambda group: group.entry_id):
            number = entry.entry_id
            if number <= after or not (
                sees_all or number in own or self._directory.holds(identity.account_id, Right.READ, number)
            ):
                continue
            if len(found) == PAGE:
                return tuple(found), found[-1].group_id
            group = self._group(entry)
            if group is not None:
                found.append(group)
        return tuple(found), None

    async def create_trader(
        self, session: Session, group_id: int, name: str, password: str, terms: TradingAccountTerms
    ) -> Trader:
        """Make a trader with a trading account of the same name; administrators only."""
        deed = Deed(session=session, action="trader.create", entity=f"account:{name}", asked=terms)
        async with self._commits.attempt(deed):
            access.require_role(self._directory, session.identity, ADMINISTRATOR)
            group = self._require_group(group_id)
            self._check_terms(terms)
        account_id, trading_account_id = await self._locator.make_person(
            name,
            password,
            (group.traders_id,),
            book=(group.accounts_id, terms),
            on_behalf_of=session.identity.account_id,
            origin=origin_of(session),
        )
        assert trading_account_id is not None  # the Locator makes both or none
        await self._until(lambda: account_id in self._directory and trading_account_id in self._directory)
        return Trader(account_id=account_id, trading_account_id=trading_account_id)

    async def create_account(self, session: Session, name: str, password: str, role: str) -> int:
        """Make a person's account in a role; administrators only."""
        deed = Deed(session=session, action="account.create", entity=f"account:{name}", asked=role)
        async with self._commits.attempt(deed):
            access.require_role(self._directory, session.identity, ADMINISTRATOR)
            place = self._place(role, "role")
        account_id, _ = await self._locator.make_person(
            name,
            password,
            (place.directory_id,),
            grants=() if place.entry_id is None else (given(place.entry_id, place.rights),),
            on_behalf_of=session.identity.account_id,
            origin=origin_of(session),
        )
        await self._until(lambda: account_id in self._directory)
        return account_id

    async def change_roles(
        self, session: Session, account_id: int, add: tuple[str, ...], remove: tuple[str, ...], reason: str
    ) -> None:
        """Move an account between the role directories, with the rights that come and go; administrators only."""
        asked = " ".join((*(f"+{role}" for role in add), *(f"-{role}" for role in remove)))
        deed = Deed(session=session, action="roles.change", entity=f"account:{account_id}", asked=asked, reason=reason)
        async with self._commits.attempt(deed):
            access.require_role(self._directory, session.identity, ADMINISTRATOR)
            account = access.account(self._directory, account_id)
            if account.account_kind is not AccountKind.PERSON:
                raise Conflict(f"{account.name} is a service; services hold capabilities, not roles.")
            checks.check_reason(reason)
            gained = {place.directory_id: place for place in (self._place(role, "add") for role in add)}
            lost = {place.directory_id: place for place in (self._place(role, "remove") for role in remove)}
            if gained.keys() & lost.keys():
                raise Invalid("A role is added or removed, not both.", argument="remove")
            for number, place in lost.items():
                if number not in account.parents:
                    raise Conflict(f"{account.name} is no {place.role}.", role=place.role)
            rights = self._lost_rights(account, lost.values()) | self._gained_rights(account, gained.values())
            steps = len(gained) + len(lost) + len(rights)
            if steps > MOST_STEPS:
                raise Conflict(
                    f"{steps} directories and rights would change, at most {MOST_STEPS} do at once: change fewer roles, "
                    f"or take from {account.name} rights on some trading accounts first.",
                    most=MOST_STEPS,
                )
        await self._locator.move_account(
            account_id,
            add=tuple(gained),
            remove=tuple(lost),
            grants=tuple(rights.values()),
            reason=reason,
            on_behalf_of=session.identity.account_id,
            origin=origin_of(session),
        )

        def has_moved() -> bool:
            parents = set(self._directory.entry(account_id).parents)
            has_rights = all(self._shows(account_id, each) for each in rights.values())
            return gained.keys() <= parents and not lost.keys() & parents and has_rights

        await self._until(has_moved)

    # Small things

    def _entries(self) -> Iterable[Entry]:
        groups = self._directory.child(ROOT_ID, TRADING_GROUPS)
        children = () if groups is None else self._directory.children(groups.entry_id)
        return (entry for entry in children if entry.kind is Kind.DIRECTORY)

    def _group(self, entry: Entry) -> TradingGroup | None:
        """Return a group with its directories; None for a directory that lacks one of them."""
        places = [self._directory.child(entry.entry_id, name) for name in (*GROUP_ROLE_PLACES.values(), GROUP_ACCOUNTS)]
        managers, traders, accounts = places
        if managers is None or traders is None or accounts is None:
            return None
        return TradingGroup(
            group_id=entry.entry_id,
            name=entry.name,
            managers_id=managers.entry_id,
            traders_id=traders.entry_id,
            accounts_id=accounts.entry_id,
        )

    def _gained_rights(self, account: Entry, places: Iterable[Place]) -> dict[int, EntryRights]:
        """Return the rights that come with roles, by entry: a trader's on the trading account of his name, if there is one."""
        gained: dict[int, EntryRights] = {}
        for place in places:
            number = place.entry_id
            if place.accounts_id is not None:
                book = self._directory.child(place.accounts_id, account.name)
                number = None if book is None or book.kind is not Kind.TRADING_ACCOUNT else book.entry_id
            if number is not None:
                gained[number] = given(number, place.rights)
        return gained

    def _lost_rights(self, account: Entry, places: Iterable[Place]) -> dict[int, EntryRights]:
        """Return the rights that go with roles, by entry: a trader's on every trading account of the group that he has them on."""
        lost: dict[int, EntryRights] = {}
        for place in places:
            numbers = [] if place.entry_id is None else [place.entry_id]
            if place.accounts_id is not None:
                numbers = [
                    book.entry_id
                    for book in self._directory.children(place.accounts_id)
                    if book.kind is Kind.TRADING_ACCOUNT
                    and self._directory.granted(account.entry_id, book.entry_id) & place.rights
                ]
            lost |= {number: taken(number, place.rights) for number in numbers}
        return lost

    def _shows(self, account_id: int, wanted: EntryRights) -> bool:
        """Return whether an account holds the wanted rights on an entry, and beside them only what it was to keep."""
        held = int(self._directory.granted(account_id, wanted.entry_id))
        return held == wanted.rights | held & wanted.kept

    def _require_group(self, group_id: int) -> TradingGroup:
        for entry in self._entries():
            if entry.entry_id == group_id:
                group = self._group(entry)
                if group is not None:
                    return group
        raise NotFound(f"There is no trading group {group_id}.", group_id=group_id)

    def _place(self, role: str, argument: str) -> Place:
        """Return what a role stands for: `administrator`, `manager:<group>` ..."""
        kind, colon, name = role.partition(":")
        if not colon and kind in ROLE_PLACES:
            directory = self._directory.child(ROOT_ID, ROLE_PLACES[kind])
            if directory is None:
                raise NotFound(f"There is no directory {ROLE_PLACES[kind]}; run the set-up.")
            if kind == ADMINISTRATOR:
                return Place(role=role, directory_id=directory.entry_id, entry_id=ROOT_ID, rights=ADMINISTRATOR_RIGHTS)
            return Place(role=role, directory_id=directory.entry_id)
        if colon and kind in GROUP_ROLE_PLACES:
            group = next((found for found in map(self._group, self._entries()) if found and found.name == name), None)
            if group is None:
                raise NotFound(f"There is no trading group {name}.", group=name)
            if kind == TRADER:
                return Place(
                    role=role, directory_id=group.traders_id, rights=TRADER_RIGHTS, accounts_id=group.accounts_id
                )
            return Place(role=role, directory_id=group.managers_id, entry_id=group.group_id, rights=MANAGER_RIGHTS)
        known = ", ".join((*ROLE_PLACES, *(f"{each}:<group>" for each in GROUP_ROLE_PLACES)))
        raise Invalid(f"There is no role {role}; there are {known}.", argument=argument)

    def _check_terms(self, terms: TradingAccountTerms) -> None:
        if self._definitions.currencies.get(Currency(terms.base_currency)) is None:
            raise Invalid(f"There is no currency {terms.base_currency}.", argument="terms.base_currency")
        if not 0 < len(terms.firm_designated_id) <= 40:
            raise Invalid("A firm designated id has 1 to 40 characters.", argument="terms.firm_designated_id")
        if terms.client_identifier is not None and not (
            len(terms.client_identifier) == 20
            and terms.client_identifier.isascii()
            and terms.client_identifier.isalnum()
        ):
            raise Invalid("A client identifier is an LEI, of 20 characters.", argument="terms.client_identifier")
        if terms.aggregation_unit is not None and len(terms.aggregation_unit) > 100:
            raise Invalid("An aggregation unit has at most 100 characters.", argument="terms.aggregation_unit")

    async def _until(self, is_known: Callable[[], bool]) -> None:
        """Wait until the live directory shows a change, so that the next call may build on it; not for ever."""
        deadline = self._clock.monotonic() + KNOWN_SECONDS
        while not is_known() and self._clock.monotonic() < deadline:
            await self._clock.sleep(STEP_SECONDS)
