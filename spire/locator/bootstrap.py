"""What must stand in the directory before the Service Locator's first start: set-up writes it through the store."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Protocol

from attrs import evolve, field, frozen

from spire.locator.changes import check_name
from spire.locator.directory import LOGIN_FOR, Directory
from spire.locator.interfaces import ILocatorStore
from spire.locator.registry import REGISTER
from spire.locator.values import (
    ADMINISTRATOR_RIGHTS,
    ROOT_ID,
    AccountKind,
    Change,
    DirectoryWrite,
    Entry,
    Grant,
    Kind,
    Right,
    TradingAccountTerms,
    TradingAccountType,
    entity_of,
)
from spire.service.audit import SetupTrail
from spire.values.audit import AuditEvent
from spire.values.environment import Environment
from spire.values.orders import Capacity
from spire.values.time import Timestamp
from spire.wire.errors import Conflict, Invalid

MARKET_DATA_ALL = "market_data.all"
MARKET_DATA_PUBLISH = "market_data.publish"
RESERVE_IDS = "uid.reserve"
SET_RISK_STATE = "risk.set_state"
VERIFY_ORDERS = "orders.verify"
OPEN_DAY = "day.open"

ROLE_PLACES = ("administrators", "risk_officers", "auditors", "operators", "services", "trading_groups")
GROUP_PLACES = ("managers", "traders", "accounts")


@frozen(kw_only=True)
class ServiceAccount:
    """A service's account: the services that it may register, its further capabilities, its rights on the root."""

    registers: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    rights: Right = Right.READ

    @property
    def all_capabilities(self) -> tuple[str, ...]:
        """Its capabilities, those to register included, sorted."""
        return tuple(sorted({*self.capabilities, *(f"{REGISTER}{service}" for service in self.registers)}))


FEED_ACCOUNT = ServiceAccount(capabilities=(MARKET_DATA_PUBLISH,), rights=Right.NONE)

SERVICE_ACCOUNTS: Mapping[str, ServiceAccount] = {
    "uid_service": ServiceAccount(registers=("uid_service",)),
    "definitions_service": ServiceAccount(registers=("definitions_service",)),
    "administration_service": ServiceAccount(
        registers=("administration_service",),
        capabilities=(RESERVE_IDS,),
        rights=Right.READ | Right.MOVE | Right.ADMINISTRATE,
    ),
    "market_data_service": ServiceAccount(
        registers=("market_data_service", "market_data_feed_service"), capabilities=(RESERVE_IDS,)
    ),
    "market_data_relay_service": ServiceAccount(
        registers=("market_data_relay_service",), capabilities=(MARKET_DATA_ALL,)
    ),
    "charting_service": ServiceAccount(registers=("charting_service",), capabilities=(MARKET_DATA_ALL,)),
    "compliance_service": ServiceAccount(registers=("compliance_service",), capabilities=(RESERVE_IDS, VERIFY_ORDERS)),
    "order_execution_service": ServiceAccount(
        registers=("order_execution_service",), capabilities=(MARKET_DATA_ALL, RESERVE_IDS)
    ),
    "risk_service": ServiceAccount(
        registers=("risk_service",), capabilities=(MARKET_DATA_ALL, RESERVE_IDS, SET_RISK_STATE, VERIFY_ORDERS)
    ),
    "web_portal_service": ServiceAccount(registers=("web_portal",), capabilities=(LOGIN_FOR,)),
    "operations_service": ServiceAccount(capabilities=(OPEN_DAY,), rights=Right.NONE),
    "market_data_feed": FEED_ACCOUNT,
    "simulation_feed": FEED_ACCOUNT,
    "replay_feed": FEED_ACCOUNT,
}
"""The accounts of the platform's own servers, of its scripts (`operations_service`) and of its feeds."""


@frozen(kw_only=True)
class NewTrader:
    """A person to put among a group's traders, with a trading account of the same name in `currency`.

    Without a currency there is no trading account: he only looks on.
    """

    name: str
    password: str = field(repr=False)
    currency: str | None = "USD"
    group: str = "demo"
    capabilities: tuple[str, ...] = ()


@frozen(kw_only=True)
class DirectorySetup:
    """Whom set-up puts into the directory: the first administrator, the services by account, traders."""

    administrator: str
    administrator_password: str = field(repr=False)
    service_secrets: Mapping[str, str] = field(repr=False)
    traders: tuple[NewTrader, ...] = ()
    groups: tuple[str, ...] = ("demo",)


class Hashes(Protocol):
    """What set-up needs of `spire.locator.passwords.PasswordHashes`."""

    def make(self, password: str) -> Awaitable[str]:
        """Return the hash of a password."""

    def matches(self, stored: str | None, password: str) -> Awaitable[bool]:
        """Whether a password is the one behind a hash."""


async def setup_directory(
    store: ILocatorStore,
    hashes: Hashes,
    setup: DirectorySetup,
    *,
    environment: Environment,
    now: Timestamp,
    random_bytes: Callable[[int], bytes],
) -> bool:
    """Write what is missing, in one transaction with its audit events; return whether anything was.

    It may be run again at any time: what stands stays as it is, people keep their passwords, and services get the
    secrets that their files hold now. Raises Conflict when a running Locator changes the directory meanwhile.
    """
    stored = await store.load_directory()
    draft = _Draft(stored.entries, stored.next_entry_id)
    _draw(draft, setup)
    passwords = await _passwords(store, hashes, draft, setup)
    if not draft.changed and not passwords:
        return False
    trail = SetupTrail(environment=environment, now=now, random_bytes=random_bytes)
    write = DirectoryWrite(
        change_id=random_bytes(16).hex(),
        change=Change(put=tuple(draft.directory.entry(entry_id) for entry_id in sorted(draft.changed))),
        next_entry_id=draft.next_id,
        now=now,
        passwords=tuple(passwords),
        audit=tuple(_events(trail, Directory(stored.entries), draft, passwords, stored.version + 1)),
    )
    if not await store.write_directory(write, stored.version):
        raise Conflict("Somebody else changed the directory at the same time; run the set-up again.")
    return True


def _draw(draft: "_Draft", setup: DirectorySetup) -> None:
    """Add to a draft of the directory what the set-up asks for and is not there."""
    root = draft.place("*", None)
    places = {name: draft.place(name, root) for name in ROLE_PLACES}
    for group in sorted({*setup.groups, *(trader.group for trader in setup.traders)}):
        group_id = draft.place(check_name(group), places["trading_groups"])
        for name in GROUP_PLACES:
            places[f"{group}/{name}"] = draft.place(name, group_id)
    administrator = draft.account(setup.administrator, places["administrators"], AccountKind.PERSON, ())
    draft.grant(administrator, root, ADMINISTRATOR_RIGHTS)
    for name in sorted(setup.service_secrets):
        service = SERVICE_ACCOUNTS.get(name)
        if service is None:
            raise Invalid(f"{name} is no service of the platform; make its account with a command.", argument=name)
        account = draft.account(name, places["services"], AccountKind.SERVICE, service.all_capabilities)
        draft.grant(account, root, service.rights)
    for trader in setup.traders:
        account = draft.account(trader.name, places[f"{trader.group}/traders"], AccountKind.PERSON, trader.capabilities)
        if trader.currency is not None:
            place = places[f"{trader.group}/accounts"]
            draft.grant(account, draft.trading_account(trader.name, place, trader.currency), Right.VIEW | Right.TRADE)


def _events(
    trail: SetupTrail, known: Directory, draft: "_Draft", passwords: list[tuple[int, str]], version: int
) -> Iterator[AuditEvent]:
    """Yield an event for each entry that changes, and for each password of an account that was there."""
    for entry in (draft.directory.entry(entry_id) for entry_id in sorted(draft.changed)):
        yield trail.event(
            "directory.set_up", entity_of(entry), version=version, before=known.get(entry.entry_id), after=entry
        )
    for account_id, _ in passwords:
        if account_id not in draft.changed:
            yield trail.event("password.set_up", f"account:{account_id}", version=version)


async def _passwords(
    store: ILocatorStore, hashes: Hashes, draft: "_Draft", setup: DirectorySetup
) -> list[tuple[int, str]]:
    """Return the new password hashes, by account id."""
    people = {setup.administrator: setup.administrator_password} | {t.name: t.password for t in setup.traders}
    made = []
    for name, password in (*people.items(), *setup.service_secrets.items()):
        account = draft.directory.account(name)
        if account is None:
            raise Conflict(f"There is no account {name}.")
        known = await store.credential(account.entry_id)
        if known is not None and (name in people or await hashes.matches(known.password_hash, password)):
            continue
        made.append((account.entry_id, await hashes.make(password)))
    return made


class _Draft:
    """A directory in the making: what is there is kept, what is missing is added."""

    def __init__(self, entries: tuple[Entry, ...], next_id: int) -> None:
        self.directory = Directory(entries)
        self.next_id = next_id
        self.changed: set[int] = set()

    def place(self, name: str, parent: int | None) -> int:
        """Return the id of a directory beneath a parent (None: the root itself)."""
        known = self.directory.get(ROOT_ID) if parent is None else self.directory.child(parent, name)
        if known is not None:
            return known.entry_id
        parents = () if parent is None else (parent,)
        return self._put(Entry(entry_id=self._take_id(), kind=Kind.DIRECTORY, name=name, parents=parents))

    def account(self, name: str, parent: int, kind: AccountKind, capabilities: tuple[str, ...]) -> int:
        """Return the id of an account, made in a directory if there is none; it gains the capabilities."""
        known = self.directory.account(name)
        if known is None:
            known = Entry(
                entry_id=self._take_id(),
                kind=Kind.ACCOUNT,
                name=check_name(name),
                parents=(parent,),
                account_kind=kind,
            )
            self._put(known)
        if known.account_kind is not kind:
            raise Conflict(f"The account {name} is there already, but of another kind.")
        return self._put(evolve(known, capabilities=tuple(sorted({*known.capabilities, *capabilities}))))

    def trading_account(self, name: str, parent: int, currency: str) -> int:
        """Return the id of a trading account, made if there is none."""
        known = self.directory.child(parent, name)
        if known is not None:
            return known.entry_id
        terms = TradingAccountTerms(
            type=TradingAccountType.PROPRIETARY,
            firm_designated_id=name[:40],
            base_currency=currency,
            default_capacity=Capacity.PRINCIPAL,
        )
        entry_id = self._take_id()
        return self._put(Entry(entry_id=entry_id, kind=Kind.TRADING_ACCOUNT, name=name, parents=(parent,), terms=terms))

    def grant(self, account_id: int, entry_id: int, rights: Right) -> None:
        """Let an account hold at least these rights on an entry."""
        entry = self.directory.entry(entry_id)
        held = {grant.account_id: grant.rights for grant in entry.grants}
        rights_now = held.get(account_id, 0) | int(rights)
        if rights_now:
            held[account_id] = rights_now
        grants = tuple(Grant(account_id=key, rights=value) for key, value in sorted(held.items()))
        self._put(evolve(entry, grants=grants))

    def _take_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    def _put(self, entry: Entry) -> int:
        if self.directory.get(entry.entry_id) != entry:
            self.directory.put(entry)
            self.changed.add(entry.entry_id)
        return entry.entry_id
