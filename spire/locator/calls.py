"""The Service Locator's commands as typed calls, for administrators, tools and tests."""

from collections.abc import Sequence

from spire.locator import commands
from spire.locator.values import AccountKind, AccountTimes, Entry, EntryRights, Right, TradingAccountTerms
from spire.values.audit import Origin
from spire.wire.client_session import ClientSession
from spire.wire.identity import Provider

WAIT_SECONDS = 5.0
HASH_SECONDS = 30.0
"""How long a call may take that hashes a password behind others."""


class LocatorClient:
    """Typed calls over a session with the Service Locator.

    Each waits up to 5 s for the session to be ready and raises what the Locator answers: FORBIDDEN, NOT_FOUND, INVALID,
    CONFLICT, or UNAVAILABLE while it or its database is away.
    """

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def locate(self, service: str) -> tuple[Provider, ...]:
        """Return the providers of a service, best first."""
        answer = await self._session.call(commands.Locate, wait_seconds=WAIT_SECONDS, service=service)
        providers: tuple[Provider, ...] = answer["providers"]
        return providers

    async def find(self, path: str) -> Entry:
        """Return the entry at a path such as `trading_groups/demo/accounts/demo`."""
        entry: Entry = (await self._session.call(commands.FindEntry, wait_seconds=WAIT_SECONDS, path=path))["entry"]
        return entry

    async def load(self, entry_id: int) -> tuple[Entry, tuple[str, ...], AccountTimes | None]:
        """Return an entry with its paths and, for an account, its times."""
        answer = await self._session.call(commands.LoadEntry, wait_seconds=WAIT_SECONDS, entry_id=entry_id)
        return answer["entry"], answer["paths"], answer["times"]

    async def children(self, parent_id: int) -> list[Entry]:
        """Return all that stands directly beneath an entry, by name."""
        found: list[Entry] = []
        more = True
        while more:
            answer = await self._session.call(
                commands.ListEntries,
                wait_seconds=WAIT_SECONDS,
                parent_id=parent_id,
                after=found[-1].name if found else None,
            )
            found.extend(answer["entries"])
            more = answer["more"]
        return found

    async def trading_accounts(self) -> list[Entry]:
        """Return the trading accounts on which the caller holds VIEW, TRADE or MANAGE, by id."""
        found: list[Entry] = []
        more = True
        while more:
            after = found[-1].entry_id if found else None
            answer = await self._session.call(commands.ListTradingAccounts, wait_seconds=WAIT_SECONDS, after=after)
            found.extend(answer["entries"])
            more = answer["more"]
        return found

    async def make_account(self, name: str, parent_id: int, kind: AccountKind, password: str) -> int:
        """Make an account and return its id."""
        answer = await self._session.call(
            commands.MakeAccount,
            wait_seconds=WAIT_SECONDS,
            timeout_seconds=HASH_SECONDS,
            name=name,
            parent_id=parent_id,
            kind=kind,
            password=password,
        )
        return int(answer["entry_id"])

    async def make_trading_account(
        self, name: str, parent_id: int, terms: TradingAccountTerms, trader_id: int | None = None
    ) -> int:
        """Make a trading account, for a trader to VIEW and TRADE, and return its id."""
        answer = await self._session.call(
            commands.MakeTradingAccount,
            wait_seconds=WAIT_SECONDS,
            name=name,
            parent_id=parent_id,
            terms=terms,
            trader_id=trader_id,
        )
        return int(answer["entry_id"])

    async def make_directory(self, name: str, parent_id: int) -> int:
        """Make a directory and return its id."""
        answer = await self._session.call(
            commands.MakeDirectory, wait_seconds=WAIT_SECONDS, name=name, parent_id=parent_id
        )
        return int(answer["entry_id"])

    async def associate(self, entry_id: int, parent_id: int) -> None:
        """Let an entry stand in one more directory."""
        await self._session.call(commands.Associate, wait_seconds=WAIT_SECONDS, entry_id=entry_id, parent_id=parent_id)

    async def detach(self, entry_id: int, parent_id: int) -> None:
        """Take an entry out of a directory."""
        await self._session.call(commands.Detach, wait_seconds=WAIT_SECONDS, entry_id=entry_id, parent_id=parent_id)

    async def rename(self, entry_id: int, name: str) -> None:
        """Give an entry another name."""
        await self._session.call(commands.Rename, wait_seconds=WAIT_SECONDS, entry_id=entry_id, name=name)

    async def remove(self, entry_id: int) -> None:
        """Remove an empty directory."""
        await self._session.call(commands.Remove, wait_seconds=WAIT_SECONDS, entry_id=entry_id)

    async def grant(self, account_id: int, entry_id: int, rights: Right) -> None:
        """Set the rights of an account on an entry."""
        await self._session.call(
            commands.Grant, wait_seconds=WAIT_SECONDS, account_id=account_id, entry_id=entry_id, rights=int(rights)
        )

    async def set_capabilities(self, account_id: int, capabilities: tuple[str, ...]) -> None:
        """Set the capabilities of an account."""
        await self._session.call(
            commands.SetCapabilities, wait_seconds=WAIT_SECONDS, account_id=account_id, capabilities=capabilities
        )

    async def set_terms(self, entry_id: int, terms: TradingAccountTerms) -> None:
        """Write the fields of a trading account."""
        await self._session.call(commands.SetTerms, wait_seconds=WAIT_SECONDS, entry_id=entry_id, terms=terms)

    async def disable(self, entry_id: int, *, disabled: bool = True) -> None:
        """Disable an account or trading account, or enable it again."""
        await self._session.call(commands.Disable, wait_seconds=WAIT_SECONDS, entry_id=entry_id, disabled=disabled)

    async def change_password(self, account_id: int, new_password: str, old_password: str | None = None) -> None:
        """Set a password; one's own needs the old one."""
        await self._session.call(
            commands.ChangePassword,
            wait_seconds=WAIT_SECONDS,
            timeout_seconds=HASH_SECONDS,
            account_id=account_id,
            old_password=old_password,
            new_password=new_password,
        )

    async def make_group(
        self, name: str, *, on_behalf_of: int | None = None, origin: Origin | None = None
    ) -> tuple[int, int, int, int]:
        """Make a trading group; return the ids of it, and of its managers, traders and accounts."""
        answer = await self._session.call(
            commands.MakeGroup, wait_seconds=WAIT_SECONDS, name=name, on_behalf_of=on_behalf_of, origin=origin
        )
        return answer["group_id"], answer["managers_id"], answer["traders_id"], answer["accounts_id"]

    async def make_person(
        self,
        name: str,
        password: str,
        parents: Sequence[int],
        *,
        grants: Sequence[EntryRights] = (),
        book: tuple[int, TradingAccountTerms] | None = None,
        on_behalf_of: int | None = None,
        origin: Origin | None = None,
    ) -> tuple[int, int | None]:
        """Make a person's account in directories, with rights on entries, and return its id.

        `book` is a group's `accounts` and the terms of a trading account of the same name there, whose id is returned too.
        """
        accounts_id, terms = (None, None) if book is None else book
        answer = await self._session.call(
            commands.MakePerson,
            wait_seconds=WAIT_SECONDS,
            timeout_seconds=HASH_SECONDS,
            name=name,
            password=password,
            parents=tuple(parents),
            grants=tuple(grants),
            accounts_id=accounts_id,
            terms=terms,
            on_behalf_of=on_behalf_of,
            origin=origin,
        )
        return answer["account_id"], answer["trading_account_id"]

    async def move_account(
        self,
        account_id: int,
        *,
        add: Sequence[int] = (),
        remove: Sequence[int] = (),
        grants: Sequence[EntryRights] = (),
        reason: str = "",
        on_behalf_of: int | None = None,
        origin: Origin | None = None,
    ) -> None:
        """Let an account enter and leave directories and hold rights on entries, all of it or nothing."""
        await self._session.call(
            commands.MoveAccount,
            wait_seconds=WAIT_SECONDS,
            account_id=account_id,
            add=tuple(add),
            remove=tuple(remove),
            grants=tuple(grants),
            reason=reason,
            on_behalf_of=on_behalf_of,
            origin=origin,
        )

    async def rotate_signing_key(self) -> str:
        """Put a new signing key in force and return its id; takes some seconds."""
        answer = await self._session.call(
            commands.RotateSigningKey, wait_seconds=WAIT_SECONDS, timeout_seconds=HASH_SECONDS
        )
        return str(answer["key_id"])
