"""How a change of the directory is checked, committed and published, also beside other Locators of the schema."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twisted.internet.defer import DeferredLock

from spire.database.errors import NotUnique, StoreDown
from spire.locator.directory import Directory
from spire.locator.interfaces import HashChanged, ILocatorStore
from spire.locator.live import LiveLocator
from spire.locator.values import Change, DirectoryWrite
from spire.runtime.clock import Clock
from spire.values.audit import AuditEvent
from spire.wire.errors import Conflict, Unavailable

ATTEMPTS = 5

Plan = Callable[[Directory, int], Change]
"""What a command does to the directory, given the next free entry id; raises what forbids it."""

Events = Callable[[Change, int], tuple[AuditEvent, ...]]
"""The audit events of a change that makes a version of the directory, asked before it is made."""


class DirectoryCommits:
    """Commits changes one at a time: checked against memory, written if no other Locator was faster, then published.

    Where another was, its changes are read and the change is checked again.
    """

    def __init__(
        self, *, live: LiveLocator, store: ILocatorStore, clock: Clock, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._live = live
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes
        self._lock = DeferredLock()

    async def commit(
        self,
        plan: Plan,
        events: Events,
        *,
        password: tuple[int | None, str] | None = None,
        former_hash: tuple[int, str] | None = None,
        ended: int | None = None,
        reason: str = "",
        kept: str | None = None,
    ) -> Change:
        """Carry out a plan and return its change.

        `events` go into the audit log with it. `password` is an account id (None: the entry that the plan makes) with its
        new hash, `former_hash` an account with the hash that it must still have. The login sessions of the account `ended`
        end for `reason`, but for the session `kept`. Raises what the plan raises, Conflict and Unavailable.
        """
        await self._lock.acquire()
        try:
            for _ in range(ATTEMPTS):
                change = plan(self._live.directory, self._live.next_entry_id)
                if change.is_empty and password is None:
                    return change
                write = self._write(change, events, password, former_hash, ended, reason, kept)
                with store_errors():
                    if await self._store.write_directory(write, self._live.version):
                        self._publish(write)
                        return change
                    self._live.take_directory(await self._store.load_directory())
            raise Conflict("Others change the directory all the time; try again.")
        finally:
            self._lock.release()

    async def take_if_changed(self) -> None:
        """Read the directory again if another Locator changed it."""
        await self._lock.acquire()
        try:
            if await self._store.directory_version() != self._live.version:
                self._live.take_directory(await self._store.load_directory())
        finally:
            self._lock.release()

    def _write(
        self,
        change: Change,
        events: Events,
        password: tuple[int | None, str] | None,
        former_hash: tuple[int, str] | None,
        ended: int | None,
        reason: str,
        kept: str | None,
    ) -> DirectoryWrite:
        return DirectoryWrite(
            change_id=self._random_bytes(16).hex(),
            change=change,
            next_entry_id=max([self._live.next_entry_id, *(entry.entry_id + 1 for entry in change.put)]),
            now=self._clock.now(),
            passwords=() if password is None else ((password[0] or change.put[0].entry_id, password[1]),),
            former_hash=former_hash,
            audit=events(change, self._live.version + 1),
            ended_accounts=() if ended is None else (ended,),
            end_reason=reason,
            kept_session=kept,
        )

    def _publish(self, write: DirectoryWrite) -> None:
        for account_id in write.ended_accounts:
            self._live.end_account(account_id, write.now, write.end_reason, write.kept_session)
        self._live.apply(write.change, write.next_entry_id)


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn a store that is away into UNAVAILABLE, a key that is taken and a password that was changed into CONFLICT."""
    try:
        yield
    except StoreDown as error:
        raise Unavailable("The Service Locator cannot reach its database; try again in a few seconds.") from error
    except NotUnique as error:
        raise Conflict("Something with this name is there already.", key=error.key) from error
    except HashChanged as error:
        raise Conflict("The password was changed meanwhile; try again with the one in force.") from error
