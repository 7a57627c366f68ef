"""Whose turn it is with an account: one day or release at a time, and nobody else touches its state meanwhile."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from spire.database.errors import CommitUnknown, NotUnique, StoreDown, StoreError, TooLong
from spire.risk.acting import Acting
from spire.risk.facts import Facts
from spire.risk.interfaces import IRiskStore
from spire.risk.kept import Baseline, Opened
from spire.risk.supervision import Supervision, Watched
from spire.runtime.clock import Clock
from spire.values.audit import AuditEvent
from spire.wire.errors import Unavailable

PATIENCE_SECONDS: Final = 5.0
"""How long to wait for what is being done about an account."""

STEP_SECONDS: Final = 0.05


class Turns:
    """Takes accounts out of supervision for a while, and does with them what days and releases have in common."""

    _log = Logger()

    def __init__(
        self, *, facts: Facts, supervision: Supervision, acting: Acting, store: IRiskStore, clock: Clock
    ) -> None:
        self._facts = facts
        self._supervision = supervision
        self._acting = acting
        self._store = store
        self._clock = clock
        self._lock = DeferredLock()
        self._untold: list[AuditEvent] = []
        self._refused: set[str] = set()

    @property
    def is_taken(self) -> bool:
        """Return whether somebody has his turn."""
        return bool(self._lock.locked)

    def is_allowed(self, account_id: int) -> bool:
        """Return whether an account has its allowed state, for good."""
        standing = self._facts.standing(account_id)
        return standing.mode is self._facts.allowed(account_id) and standing.expiry is None

    async def allow(self, watched: Watched, reason: str, on_behalf_of: int | None = None) -> None:
        """Write the allowed state, unless it holds already."""
        account_id = watched.account_id
        if self.is_allowed(account_id):
            return
        allowed, standing = self._facts.allowed(account_id), self._facts.standing(account_id)
        state = await self._acting.write(
            account_id, allowed, reason, version=standing.version, on_behalf_of=on_behalf_of
        )
        watched.beyond_since = None
        self._supervision.record(watched, standing, state)

    async def record(
        self, baselines: Sequence[Baseline], opened: Sequence[Opened], audit: Sequence[AuditEvent]
    ) -> None:
        """Write in one transaction what there is to write; Unavailable."""
        if not (baselines or opened or audit):
            return
        try:
            await self._store.record(baselines, opened, audit)
        except StoreDown as error:
            doubt = {"in_doubt": "yes"} if isinstance(error, CommitUnknown) else {}
            raise Unavailable("The database is away; ask again when it is back, which is safe.", **doubt) from error
        except StoreError as error:
            self._log.critical("the database does not take a record: {error}", error=str(error))
            raise Unavailable("The database does not take the record: the log of the Risk Server says why.") from error

    def tell_later(self, event: AuditEvent) -> None:
        """Have an event written as soon as the store takes it."""
        self._untold.append(event)

    async def tell(self) -> None:
        """Write the events that the store has not taken; call each second."""
        for event in tuple(self._untold):
            try:
                await self._store.record((), (), (event,))
            except NotUnique:
                self._log.info("an audit event is there already: the answer to its commit was lost")
            except TooLong as error:
                self._log.critical("{event} can never be written: {error}", event=event, error=str(error))
            except StoreDown:
                return
            except StoreError as error:
                if event.event_id not in self._refused:
                    self._log.critical("{event} is not written yet: {error}", event=event, error=str(error))
                self._refused.add(event.event_id)
                continue
            self._untold.remove(event)
            self._refused.discard(event.event_id)

    async def hold(self, watched: Watched) -> None:
        """Keep everybody else from touching an account. Raises Unavailable where that takes too long."""
        deadline = self._clock.monotonic() + PATIENCE_SECONDS
        while watched.is_busy:
            if self._clock.monotonic() >= deadline:
                raise Unavailable("Something is being done about it just now; try again.")
            await self._clock.sleep(STEP_SECONDS)
        watched.is_busy = True

    def let_go(self, watched: Watched) -> None:
        """Give an account back, and look at it."""
        watched.is_busy = False
        self._supervision.look(watched.account_id)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Wait until nobody else has his turn, and have it."""
        await self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()
