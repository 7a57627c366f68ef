"""What may be asked about the directory, within the rights of whoever asks."""

from spire.locator.commits import store_errors
from spire.locator.directory import AUDITOR, RISK_OFFICER
from spire.locator.interfaces import ILocatorStore
from spire.locator.live import LiveLocator
from spire.locator.values import AccountTimes, Entry, Kind, Right
from spire.wire.arguments import encode
from spire.wire.errors import NotFound
from spire.wire.server_session import Session

SEES_ALL = frozenset({RISK_OFFICER, AUDITOR})

PAGE_BYTES = 48_000
"""Entries of one answer, encoded; a single entry is always given."""


class Queries:
    """Answers who is where. An entry that the caller may not READ is not there for him.

    VIEW, TRADE or MANAGE on a trading account lets it be seen too. Risk officers and auditors see every entry: records name them
    by number.
    """

    def __init__(self, live: LiveLocator, store: ILocatorStore) -> None:
        self._live = live
        self._store = store

    def find_entry(self, session: Session, path: str) -> Entry:
        """Return the entry at a path, if the caller may see it."""
        entry = self._live.directory.find(path)
        if entry is None or not self._may_see(session, entry):
            raise NotFound(f"There is nothing at {path} that you may read.", path=path)
        return entry

    async def load_entry(self, session: Session, entry_id: int) -> tuple[Entry, tuple[str, ...], AccountTimes | None]:
        """Return an entry with its paths and an account's times."""
        entry = self._live.directory.get(entry_id)
        if entry is None or not self._may_see(session, entry):
            raise NotFound(f"There is no entry {entry_id} that you may read.", entry_id=entry_id)
        times = None
        if entry.kind is Kind.ACCOUNT:
            with store_errors():
                times = await self._store.account_times(entry_id)
        return entry, tuple(self._live.directory.paths(entry_id)), times

    def list_entries(self, session: Session, parent_id: int, after: str | None) -> tuple[tuple[Entry, ...], bool]:
        """Return a page of what stands beneath an entry."""
        children = self._live.directory.children(parent_id)
        return _page([e for e in children if (after is None or e.name > after) and self._may_see(session, e)])

    def list_trading_accounts(self, session: Session, after: int | None) -> tuple[tuple[Entry, ...], bool]:
        """Return a page of the trading accounts on which the caller holds VIEW, TRADE or MANAGE."""
        account_id = session.identity.account_id
        found = {
            entry.entry_id: entry
            for right in (Right.VIEW, Right.TRADE, Right.MANAGE)
            for entry in self._live.directory.trading_accounts(account_id, right)
        }
        return _page([entry for entry_id, entry in sorted(found.items()) if entry_id > (after or 0)])

    def _may_see(self, session: Session, entry: Entry) -> bool:
        identity = session.identity
        if SEES_ALL & identity.roles & self._live.directory.roles(identity.account_id):
            return True
        rights = [Right.READ]
        if entry.kind is Kind.TRADING_ACCOUNT:
            rights += [Right.VIEW, Right.TRADE, Right.MANAGE]
        return any(self._live.directory.holds(identity.account_id, right, entry.entry_id) for right in rights)


def _page(entries: list[Entry]) -> tuple[tuple[Entry, ...], bool]:
    """Return as many entries as fit an answer, and whether some are left."""
    size = 0
    for count, entry in enumerate(entries):
        size += len(encode(entry))
        if size > PAGE_BYTES and count:
            return tuple(entries[:count]), True
    return tuple(entries), False
