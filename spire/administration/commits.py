"""How a change is committed with its audit event and shown, one at a time, also beside other servers of the schema."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Final, TypeVar

from attrs import frozen
from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from spire.administration.board import Board
from spire.administration.interfaces import Change, IAdministrationStore
from spire.administration.values import BusinessDay, EntitlementGrant, Identity, Limits, RiskState
from spire.database.errors import StoreDown
from spire.service.audit import AuditTrail
from spire.values.audit import AuditEvent
from spire.wire.errors import Conflict, Unavailable
from spire.wire.server_session import Session

Answer = TypeVar("Answer")
Row = TypeVar("Row", Limits, RiskState, Identity)

DAY_ATTEMPTS: Final = 3


@frozen(kw_only=True)
class Deed:
    """What a session does, as the audit log will say: `entity` is changed by `action`, for `reason`."""

    session: Session
    action: str
    entity: str
    asked: object = None
    reason: str | None = None
    on_behalf_of: int | None = None


class Commits:
    """Writes changes that follow what is stored, and keeps the board in step with the store.

    A change becomes visible after its commit and before its answer. Where the answer to a commit was lost, or another
    server was faster, the store is read again.
    """

    _log = Logger()

    def __init__(self, *, store: IAdministrationStore, board: Board, trail: AuditTrail) -> None:
        self._store = store
        self._board = board
        self._trail = trail
        self._revision: int | None = None
        self._lock = DeferredLock()

    async def start(self) -> None:
        """Show what the store holds; may be tried again. Raises StoreDown."""
        async with self._alone():
            await self._catch_up()

    async def refresh(self) -> None:
        """Take over what another server changed, or what was committed although its answer was lost."""
        try:
            async with self._alone():
                await self._catch_up()
        except StoreDown as error:
            self._log.debug("nothing is refreshed: {error}", error=str(error))

    def attempt(self, deed: Deed) -> AbstractAsyncContextManager[None]:
        """Record the deed where it is refused inside the block."""
        return self._trail.attempt(
            deed.session,
            deed.action,
            deed.entity,
            self._store.record,
            asked=deed.asked,
            reason=deed.reason,
            on_behalf_of=deed.on_behalf_of,
        )

    async def next_version(
        self, deed: Deed, held: Callable[[], Row | None], expected_version: int, make: Callable[[int], Row]
    ) -> Row:
        """Commit and show the row that `make` makes of the next version, if the expected one is in force.

        Raises Conflict with the version that is, Unavailable.
        """
        async with self._alone():
            if version_of(held()) != expected_version:
                with store_errors():
                    await self._catch_up()
            former = held()
            if version_of(former) == expected_version:
                made = make(expected_version + 1)
                if await self._write(deed, made, version=made.version, before=former):
                    return made
            raise Conflict(
                f"Version {version_of(held())} is in force, not {expected_version}: read it, and decide again.",
                version=version_of(held()),
            )

    async def grant(self, deed: Deed, grant: EntitlementGrant) -> EntitlementGrant:
        """Commit and show a new grant."""
        async with self._alone():
            if not await self._write(deed, grant):
                raise Conflict(f"There is a grant {grant.grant_id} already.", grant_id=grant.grant_id)
            return grant

    async def revoke(self, deed: Deed, former: EntitlementGrant, revoked: EntitlementGrant) -> EntitlementGrant | None:
        """Commit and show a revocation; None where it is revoked already."""
        async with self._alone():
            return revoked if await self._write(deed, revoked, before=former) else None

    async def open_day(self, deed: Deed, day: BusinessDay) -> BusinessDay:
        """Commit and show a business day; the current one again changes nothing. Raises Conflict for an earlier date."""
        async with self._alone():
            for _ in range(DAY_ATTEMPTS):
                current = self._board.current_day
                if current is not None and current.business_date == day.business_date:
                    return current
                if current is not None and current.business_date > day.business_date:
                    raise Conflict(
                        f"{current.business_date} is open; an earlier date is not opened again.",
                        business_date=current.business_date,
                    )
                if await self._write(deed, day, before=current):
                    return day
            raise Conflict("Another server opens business days at the same time; try again.")

    async def _write(self, deed: Deed, change: Change, *, version: int | None = None, before: object = None) -> bool:
        """Commit a change and show it; False, with the board brought up to date, where it does not follow."""
        event: AuditEvent = self._trail.event(
            deed.session,
            deed.action,
            deed.entity,
            version=version,
            before=before,
            after=change,
            reason=deed.reason,
            on_behalf_of=deed.on_behalf_of,
        )
        with store_errors():
            revision = await self._store.write(change, event)
            if revision is None:
                await self._catch_up()
                return False
        self._board.show(change)
        if self._revision is not None and revision == self._revision + 1:
            self._revision = revision
        return True

    async def _catch_up(self) -> None:
        if self._revision is None or await self._store.revision() != self._revision:
            stored = await self._store.load()
            self._board.take(stored)
            self._revision = stored.revision

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        await self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()


def version_of(row: Limits | RiskState | Identity | None) -> int:
    """Return the version of a row; 0 where it was never set."""
    return 0 if row is None else row.version


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn a store that is away into UNAVAILABLE."""
    try:
        yield
    except StoreDown as error:
        raise Unavailable(
            "Administration cannot reach its database; read again in a few seconds whether it was done.",
            in_doubt="yes",
        ) from error


async def read(work: Awaitable[Answer]) -> Answer:
    """Return what the store answers. Raises Unavailable."""
    try:
        return await work
    except StoreDown as error:
        raise Unavailable("Administration cannot read its database now; try again in a few seconds.") from error
