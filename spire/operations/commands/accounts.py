"""Accounts, trading accounts and groups as people name them, and their names for what servers number."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import click
from attrs import frozen

from spire.client.platform import Spire
from spire.locator.values import Entry, Kind
from spire.wire.errors import Forbidden, Invalid, NotFound, Unavailable

GROUPS: Final = "trading_groups"
GROUP_PLACES: Final = ("accounts", "traders", "managers")
ROLE_PLACES: Final = ("administrators", "risk_officers", "auditors", "operators", "services")
ORDERS: Final = "order_execution_service"
MOST_NAMED: Final = 10
GREATEST_ID: Final = 2**63 - 1
SETUP: Final = "setup"
"""Who made what stands there from the first set-up on; it has the number 0."""

account_argument = click.argument("account", metavar="ACCOUNT")
reason_option = click.option("--reason", required=True, help="Why; it is kept with the change.")


async def trading_accounts(spire: Spire, tell: Callable[[str], object] = lambda _: None) -> dict[int, str]:
    """Return the names of the trading accounts that the caller may see, by id.

    Order Execution shows officers and auditors all of them; while it is away there are those that the directory shows,
    and `tell` is told so.
    """
    found = {entry.entry_id: entry.name for entry in await spire.directory.trading_accounts()}
    try:
        await spire.ready(ORDERS)
        found |= {view.trading_account_id: view.name for view in await spire.orders.trading_accounts()}
    except (Unavailable, Forbidden) as error:
        if not found:
            raise
        tell(f"Trading accounts on which you hold no right of your own are not known now: {error.message}")
    return found


async def trading_account_id(spire: Spire, name: str, tell: Callable[[str], object] = lambda _: None) -> int:
    """Return the id of the trading account that is called so, or else a number as it is: the server says whether it is one.

    Raises NotFound for a name, and Invalid where two groups have one of that name or it is the number of another.
    """
    return id_among(name, await trading_accounts(spire, tell))


def id_among(name: str, accounts: Mapping[int, str]) -> int:
    """Return the id of the one of these trading accounts that is called so, or else a number as it is, as above."""
    found = [number for number, known in accounts.items() if known == name]
    if len(found) > 1:
        raise Invalid(f"Several trading accounts are called {name}: name its number, {_listed(map(str, found))}.")
    number = number_of(name)
    if found and number is not None and number in accounts and number != found[0]:
        raise _either(name, found[0], accounts[number])
    if found:
        return found[0]
    if number is not None:
        return number
    error = NotFound(f"There is no trading account {name} that you may see.", account=name)
    if accounts:
        error.details["known"] = _listed(sorted(accounts.values()))
    raise error


def number_of(text: str) -> int | None:
    """Return the number that a text is, if an entry could have it."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0
    return number if 0 < number <= GREATEST_ID else None


def _either(text: str, named: int, numbered: str) -> Invalid:
    """Return the refusal of a text that is the name of one entry and the number of another."""
    return Invalid(
        f"{text} is the name of number {named} and the number of {numbered}: write {named} or {numbered}, or rename one.",
        account=text,
    )


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = ["..."] if len(names) > MOST_NAMED else []
    return ", ".join([*names[:MOST_NAMED], *more])


async def group(spire: Spire, name: str) -> Entry:
    """Return a trading group's directory; NotFound."""
    if "/" in name:
        raise NotFound(f"There is no trading group {name}.", group=name)
    return await spire.directory.find(f"{GROUPS}/{name}")


@frozen
class Principal:
    """An account of a person or a service; `name` is None where the caller may not read it."""

    entry_id: int
    name: str | None

    @property
    def typed(self) -> str:
        """What a person types for it: its name, else its number."""
        return str(self.entry_id) if self.name is None else self.name


async def principal(spire: Spire, name: str) -> Principal:
    """Return the account of a person or service by name, wherever it stands, or else by number; NotFound for a name.

    Everybody finds himself; only whoever may read the directory finds others by name: administrators. A number is taken as
    it is: the server that is asked then says whether it is an account, so that what was tried stands in its audit log. What
    is the name of one account and the number of another is Invalid.
    """
    found = await _named(spire, name)
    number = number_of(name)
    if found is not None:
        other = None if number in (None, found.entry_id) else await _numbered(spire, number)
        if other is not None:
            raise _either(name, found.entry_id, other.name)
        return found
    if number is None:
        raise NotFound(f"There is no account {name} that you may see.", account=name)
    return Principal(number, await Names(spire).of(number))


async def _named(spire: Spire, name: str) -> Principal | None:
    """Return the account that is called so, None where the caller sees none."""
    if name == spire.account:
        return Principal(spire.account_id, name)
    for place in [*ROLE_PLACES, *await _group_places(spire)]:
        try:
            entry = await spire.directory.find(f"{place}/{name}")
        except NotFound:
            continue
        return Principal(entry.entry_id, entry.name)
    return None


async def _numbered(spire: Spire, number: int) -> Entry | None:
    """Return the account that has this number, None where the caller sees none."""
    try:
        entry, _, _ = await spire.directory.load(number)
    except NotFound:
        return None
    return entry if entry.kind is Kind.ACCOUNT else None


async def _group_places(spire: Spire) -> list[str]:
    try:
        groups = await spire.directory.children((await spire.directory.find(GROUPS)).entry_id)
    except NotFound:
        return []
    return [f"{GROUPS}/{entry.name}/{place}" for entry in groups for place in ("traders", "managers")]


class Names:
    """The names of directory entries by id, each asked for once; None where the caller may not see it.

    They are the Locator's to tell: nobody waits for another server that has nothing else to say. Once it is away, it is
    asked no more.
    """

    def __init__(self, spire: Spire, known: Mapping[int, str] | None = None) -> None:
        self._directory = spire.directory
        self._is_away = False
        self.known: dict[int, str | None] = {0: SETUP, spire.account_id: spire.account, **(known or {})}

    async def of(self, entry_id: int | None) -> str | None:
        """Return the name of an entry, None for none."""
        if entry_id is None:
            return None
        if entry_id not in self.known:
            self.known[entry_id] = None if self._is_away else await self._load(entry_id)
        return self.known[entry_id]

    async def _load(self, entry_id: int) -> str | None:
        try:
            entry, _, _ = await self._directory.load(entry_id)
        except (NotFound, Forbidden):
            return None
        except Unavailable:
            self._is_away = True
            return None
        return entry.name
