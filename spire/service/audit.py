"""Audit events of a server: made from the session that acts, written by the room's store, read back by auditors."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from attrs import define, evolve, frozen
from twisted.logger import Logger
from twisted.protocols.amp import CommandLocator

from spire.database.errors import StoreDown, StoreError
from spire.runtime.clock import Clock
from spire.values.audit import DONE, AuditEvent, AuditQuery, Origin
from spire.values.conversion import to_plain
from spire.values.environment import Environment
from spire.values.orders import Channel
from spire.values.time import Timestamp
from spire.wire.arguments import Integer, Typed, encode
from spire.wire.client_session import ClientSession
from spire.wire.commands import Command
from spire.wire.errors import Forbidden, SpireError, Unavailable
from spire.wire.server_session import Session

AUDIT_READERS: Final = frozenset({"auditor", "administrator"})
"""Roles that read audit logs."""

SETUP: Final = "setup"
"""The actor of what set-up writes, which is no account, and its reason."""

PAGE_BYTES: Final = 50_000
LONGEST_VALUE: Final = 16_000
"""Characters of `before` and `after`; a longer one is cut and says so."""

LONGEST_ASKED: Final = 2_000
"""Characters of what was asked for in an attempt that was refused."""

REFUSALS_AT_ONCE: Final = 20
REFUSALS_A_SECOND: Final = 1.0
"""Refused attempts of one account that are recorded one by one; beyond that they are counted, and the next one tells how many."""

Page = tuple[tuple[AuditEvent, ...], int | None]


class QueryAudit(Command):
    """Return a page of this server's audit log, newest first; auditors and administrators only.

    `next_before` is the query's `before` of the next page, absent with the last one.
    """

    arguments = [(b"query", Typed(AuditQuery))]
    response = [(b"events", Typed(tuple[AuditEvent, ...])), (b"next_before", Integer(minimum=1, optional=True))]


@define(eq=False)
class _Spent:
    """What an account has left of its refusals, as of a monotonic time, and how many were only counted since the last one."""

    left: float
    time: float
    counted: int = 0


class RefusalBudget:
    """Which refused attempts are recorded one by one: nobody fills a store by asking for what he may not have (sans-I/O)."""

    def __init__(self) -> None:
        self._spent: dict[int, _Spent] = {}

    def admit(self, account_id: int, now: float) -> int | None:
        """Return how many attempts were only counted before this one, which is recorded; None: this one is only counted."""
        spent = self._spent.get(account_id)
        if spent is None:
            spent = self._spent[account_id] = _Spent(left=float(REFUSALS_AT_ONCE), time=now)
        spent.left = min(float(REFUSALS_AT_ONCE), spent.left + (now - spent.time) * REFUSALS_A_SECOND)
        spent.time = now
        if spent.left < 1.0:
            spent.counted += 1
            return None
        spent.left -= 1.0
        counted, spent.counted = spent.counted, 0
        return counted


class AuditTrail:
    """Makes the audit events of one server."""

    _log = Logger()

    def __init__(self, *, environment: Environment, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._environment = environment
        self._clock = clock
        self._random_bytes = random_bytes
        self._budget = RefusalBudget()

    def event(
        self,
        session: Session,
        action: str,
        entity: str,
        *,
        version: int | None = None,
        before: object = None,
        after: object = None,
        reason: str | None = None,
        on_behalf_of: int | None = None,
        origin: Origin | None = None,
    ) -> AuditEvent:
        """Return the event of what a session does; `before` and `after` are values of ours, or None.

        `origin` is from where the one acts on whose behalf it is done; without it, it is the session's own.
        """
        identity = session.identity
        origin = origin_of(session) if origin is None else origin
        return AuditEvent(
            event_id=self._random_bytes(16).hex(),
            time=self._clock.now(),
            environment=self._environment,
            actor=identity.account_id,
            actor_name=identity.account,
            on_behalf_of=on_behalf_of,
            session=origin.session,
            channel=origin.channel,
            source=origin.source,
            client_version=origin.client_version,
            action=action,
            entity=entity,
            entity_version=version,
            before=as_json(before),
            after=as_json(after),
            reason=reason,
            outcome=DONE,
            correlation_id=session.correlation_id,
        )

    def local(
        self,
        action: str,
        entity: str,
        *,
        before: object = None,
        after: object = None,
        reason: str | None = None,
    ) -> AuditEvent:
        """Return the event of what an operator does on the server's own host, without a login."""
        return AuditEvent(
            event_id=self._random_bytes(16).hex(),
            time=self._clock.now(),
            environment=self._environment,
            actor=None,
            actor_name="operator",
            session="",
            channel=Channel.OPERATOR,
            source="admin socket",
            action=action,
            entity=entity,
            before=as_json(before),
            after=as_json(after),
            reason=reason,
        )

    @asynccontextmanager
    async def attempt(
        self,
        session: Session,
        action: str,
        entity: str,
        record: Callable[[AuditEvent], Awaitable[None]],
        *,
        asked: object = None,
        reason: str | None = None,
        on_behalf_of: int | None = None,
        origin: Origin | None = None,
    ) -> AsyncIterator[None]:
        """Record an attempt that is refused inside the block, and let the refusal pass on.

        A server that is away or at fault has refused nothing. `record` may fail with a StoreError, which is logged: what
        was refused stays refused. Of an account that is refused all the time most attempts are only counted
        (`RefusalBudget`).
        """
        try:
            yield
        except SpireError as error:
            if not isinstance(error, Unavailable) and error.coded != "INTERNAL":
                before = self._budget.admit(session.identity.account_id, self._clock.monotonic())
                if before is not None:
                    asked = as_json(asked, longest=LONGEST_ASKED)
                    event = self.event(
                        session,
                        action,
                        entity,
                        after=asked,
                        reason=reason,
                        on_behalf_of=on_behalf_of,
                        origin=origin,
                    )
                    await self._record(evolve(event, outcome=error.coded, text=_counted(error.message, before)), record)
            raise

    async def _record(self, event: AuditEvent, record: Callable[[AuditEvent], Awaitable[None]]) -> None:
        try:
            await record(event)
        except StoreError as problem:
            self._log.warn("a refused {action} is not recorded: {error}", action=event.action, error=str(problem))


@frozen(kw_only=True)
class SetupTrail:
    """Makes the audit events of what set-up writes at a time."""

    environment: Environment
    now: Timestamp
    random_bytes: Callable[[int], bytes]

    def event(
        self, action: str, entity: str, *, version: int | None = None, before: object = None, after: object = None
    ) -> AuditEvent:
        """Return the event of a row that set-up writes."""
        return AuditEvent(
            event_id=self.random_bytes(16).hex(),
            time=self.now,
            environment=self.environment,
            actor=None,
            actor_name=SETUP,
            session="",
            channel=Channel.OPERATOR,
            source=SETUP,
            action=action,
            entity=entity,
            entity_version=version,
            before=as_json(before),
            after=as_json(after),
            reason=SETUP,
        )


def origin_of(session: Session) -> Origin:
    """Return from where a session acts."""
    return Origin(
        session=session.id, channel=session.channel, source=session.peer, client_version=session.client_version
    )


def as_json(value: object, *, longest: int = LONGEST_VALUE) -> str | None:
    """Return a value of ours as JSON text, cut where it is longer than so many characters; None stays None."""
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(to_plain(value), ensure_ascii=False)
    return text if len(text) <= longest else text[:longest] + " ... cut"


def _counted(message: str, before: int) -> str:
    return message if not before else f"{message} ({before} refused attempts before this one were only counted.)"


class AuditResponders(CommandLocator):
    """Reading an audit log; `roles_now` answers the roles that an account has at this moment."""

    def __init__(
        self,
        session: Session,
        read: Callable[[AuditQuery], Awaitable[Page]],
        roles_now: Callable[[int], frozenset[str]],
    ) -> None:
        super().__init__()
        self._session = session
        self._read = read
        self._roles_now = roles_now

    @QueryAudit.responder
    async def query(self, query: AuditQuery) -> dict[str, Any]:
        """Return a page that fits one answer."""
        identity = self._session.identity
        if not AUDIT_READERS & identity.roles & self._roles_now(identity.account_id):
            raise Forbidden("Only an auditor or an administrator reads the audit log.", role="auditor")
        try:
            events, after = await self._read(query)
            while len(events) > 1 and len(encode(events)) > PAGE_BYTES:
                query = evolve(query, limit=len(events) // 2)
                events, after = await self._read(query)
        except StoreDown as error:
            raise Unavailable("The audit log cannot be read now: the database is away.") from error
        return {"events": events} if after is None else {"events": events, "next_before": after}


async def audit_events(session: ClientSession, query: AuditQuery) -> Page:
    """Return a page of a server's audit log, and the `before` of the next one. Raises Forbidden, Unavailable."""
    answer = await session.call(QueryAudit, query=query)
    return answer["events"], answer.get("next_before")
