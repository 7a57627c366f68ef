"""Setting and releasing halts: in force in the turn of the call, answered when the journal holds it, with its audit event."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Protocol

from attrs import evolve
from twisted.logger import Logger

from spire.execution import access
from spire.execution.chronicle import Chronicle
from spire.execution.firm import firm_events
from spire.execution.halts import LONGEST_REASON, Actor, check_release, check_request
from spire.execution.inputs import Inputs
from spire.execution.orders import Order, Orders
from spire.execution.submitting import Submitting
from spire.execution.values import MOST_LISTED, Halt, HaltOutcome, HaltRequest
from spire.locator.directory import Directory
from spire.runtime.clock import Clock
from spire.service.audit import AuditTrail
from spire.values.audit import AuditEvent
from spire.values.conversion import from_plain, to_plain
from spire.values.orders import Channel
from spire.values.risk import HaltAction, HaltScope
from spire.wire.errors import Forbidden, Invalid, SpireError, Unavailable
from spire.wire.server_session import Session
from spire.wire.state_topic import StateTopic

SET: Final = "halt.set"
RELEASE: Final = "halt.release"
SUPERVISE: Final = "risk.supervise"
IN_FORCE: Final = "The halt was in force already, and keeps its first reason; what it asks for was done again."
LONGEST_ID: Final = 20
OFFICERS: Final = frozenset({access.RISK_OFFICER})


class MakeEvent(Protocol):
    """Makes the audit event of a halt's change."""

    def __call__(
        self, action: str, entity: str, *, before: object = None, after: object = None, reason: str | None = None
    ) -> AuditEvent:
        """Return the event."""


class Halting:
    """The kill switch, the Risk Server's sign of life, and what both leave in the audit log.

    Every method takes the session first; those ending in `_here` are an operator's on the server's own host, without login.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        directory: Directory,
        orders: Orders,
        chronicle: Chronicle,
        submitting: Submitting,
        inputs: Inputs,
        trail: AuditTrail,
        topic: StateTopic[Halt],
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._orders = orders
        self._chronicle = chronicle
        self._submitting = submitting
        self._inputs = inputs
        self._trail = trail
        self._topic = topic
        self._clock = clock
        self._is_open = False
        self._stop_observing: Callable[[], None] = lambda: None
        chronicle.on_halt = self._told

    def open(self) -> None:
        """Take halts from here on: everything that was in force is in force again."""
        self._is_open = True
        self._stop_observing = self._inputs.risk_states.observe_version(self.end_announced)
        self.end_announced()

    def close(self) -> None:
        """Take no more."""
        self._is_open = False
        self._stop_observing()

    # From a session

    async def set(self, session: Session, request: HaltRequest) -> HaltOutcome:
        """Stop orders of a scope at once; answered when that is durable.

        Raises Forbidden, NotFound, Invalid, Unsupported; Unavailable while the journal takes nothing: the halt holds all the same.
        """
        asked = evolve(request, reason=request.reason[:LONGEST_REASON])
        place = _entity(request)
        async with self._trail.attempt(session, SET, place, self._record, asked=asked, reason=asked.reason):
            actor = self._actor(session)
            self._check(request, actor)
        return await self._set(request, actor, self._of(session))

    async def release(self, session: Session, halt_id: int, reason: str) -> Halt:
        """End a halt that somebody else set; answered when that is durable.

        Raises Forbidden, NotFound, Invalid, Conflict for one that has ended; Unavailable while the journal takes nothing.
        """
        asked, place = json.dumps({"halt_id": str(halt_id)}), self._place(halt_id)
        async with self._trail.attempt(session, RELEASE, place, self._record, asked=asked, reason=reason):
            actor = self._actor(session)
            halt = self._orders.halts.find(halt_id)
            check_release(halt, reason, actor)
        return await self._release(halt, reason, actor.account_id, self._of(session))

    async def supervise(self, session: Session, blind: tuple[int, ...], through: int) -> None:
        """Take the Risk Server's sign of life. Raises Forbidden."""
        async with self._trail.attempt(session, SUPERVISE, "firm:0", self._record):
            if not access.is_risk(self._directory, session.identity):
                raise Forbidden("Only the Risk Server supervises.", capability=access.SET_RISK_STATE)
        self._inputs.heard_of_risk(frozenset(blind), through)

    # On the host

    async def set_here(
        self,
        scope: str = "FIRM",
        scope_id: int | str = 0,
        mode: str = "NO_OPENING",
        reason: str = "",
        cancel_all: bool = False,
    ) -> object:
        """Set a halt for an operator on this host."""
        plain = {
            "scope": scope,
            "scope_id": str(scope_id),
            "mode": mode,
            "reason": reason,
            "cancel_all": cancel_all,
        }
        actor = Actor(account_id=None)
        async with self._attempt_here(SET, _asked_entity(scope, scope_id), asked=plain):
            request = _read_request(plain)
            self._check(request, actor)
        return to_plain(await self._set(request, actor, self._trail.local))

    async def release_here(self, halt_id: int | str, reason: str = "") -> object:
        """Release a halt that was set on this host."""
        asked = {"halt_id": halt_id, "reason": reason}
        async with self._attempt_here(RELEASE, self._place(halt_id), asked=asked):
            halt = self._orders.halts.find(_read_id(halt_id))
            check_release(halt, reason, Actor(account_id=None))
        return to_plain(await self._release(halt, reason, None, self._trail.local))

    def list_here(self) -> object:
        """Return the halts in force."""
        return [to_plain(halt) for halt in self._orders.halts.in_force]

    # By itself

    def end_announced(self) -> None:
        """End the halts of Risk whose announced risk state is in force; tried again where the journal takes nothing."""
        if self._is_open and not self._chronicle.is_stalled:
            for halt in self._orders.halts.announced(self._inputs.state_version):
                reason = f"Version {self._inputs.state_version(halt.scope_id)} of the risk state is in force."
                self._append_release(halt, reason, halt.set_by, self._by_itself)

    # What they share

    def _actor(self, session: Session) -> Actor:
        identity = session.identity
        if access.is_risk(self._directory, identity):
            return Actor(account_id=identity.account_id, is_risk=True)
        if access.has_role(self._directory, identity, OFFICERS):
            return Actor(account_id=identity.account_id)
        raise Forbidden("Only a risk officer sets and releases halts.", role=access.RISK_OFFICER)

    def _check(self, request: HaltRequest, actor: Actor) -> None:
        check_request(request, actor)
        if request.scope is HaltScope.TRADING_ACCOUNT:
            access.trading_account(self._directory, request.scope_id)

    def _place(self, halt_id: object) -> str:
        """Return the entity under which a release is audited: what the halt stops, or the halt where none is in force."""
        try:
            number = _read_id(halt_id)
        except Invalid:
            return "halt:0"
        found = next((halt for halt in self._orders.halts.in_force if halt.halt_id == number), None)
        return f"halt:{str(number)[:LONGEST_ID]}" if found is None else _entity(found)

    async def _set(self, request: HaltRequest, actor: Actor, make_event: MakeEvent) -> HaltOutcome:
        halts = self._orders.halts
        before = halts.same(request, actor)
        if before is None:
            halt = Halt(
                halt_id=halts.last_id + 1,
                scope=request.scope,
                scope_id=request.scope_id,
                mode=request.mode,
                actions=request.actions,
                reason=request.reason,
                set_by=actor.account_id,
                set_at=self._clock.now(),
                announces=request.announces,
            )
        else:
            halt = evolve(
                before,
                actions=before.actions | request.actions,
                announces=max(filter(None, (before.announces, request.announces)), default=None),
            )
        event = make_event(SET, _entity(halt), before=before, after=halt, reason=request.reason)
        if halt == before:
            self._take(evolve(event, text=IN_FORCE))
        else:
            self._take(halt, event)
            self._log.warn("halt {number} is in force: {halt}", number=halt.halt_id, halt=to_plain(halt))
        cancelled = self._cancel_all(halt, actor) if request.actions & HaltAction.CANCEL_ALL else []
        await self._chronicle.settled()
        unconfirmed = [order.submission.order_id for order in cancelled if order.state.is_live]
        confirmed = [order.submission.order_id for order in cancelled if not order.state.is_live]
        return HaltOutcome(
            halt=halt,
            confirmed=tuple(confirmed[: max(0, MOST_LISTED - len(unconfirmed))]),
            unconfirmed=tuple(unconfirmed[:MOST_LISTED]),
        )

    def _cancel_all(self, halt: Halt, actor: Actor) -> list[Order]:
        is_firm = halt.scope is HaltScope.FIRM
        orders = self._orders.live if is_firm else self._orders.of_account(halt.scope_id).values()
        live = [order for order in orders if order.state.is_live]
        for order in live:
            self._submitting.cancel(order, actor.account_id)
        return live

    async def _release(self, halt: Halt, reason: str, by: int | None, make_event: MakeEvent) -> Halt:
        if self._chronicle.is_stalled:
            raise Unavailable("The journal cannot be written: the halt holds; try again later.")
        released = self._append_release(halt, reason, by, make_event)
        await self._chronicle.settled()
        return released

    def _append_release(self, halt: Halt, reason: str, by: int | None, make_event: MakeEvent) -> Halt:
        released = evolve(halt, released=self._clock.now(), released_by=by, release_reason=reason)
        self._take(released, make_event(RELEASE, _entity(halt), before=halt, after=released, reason=reason))
        self._log.warn("halt {number} has ended: {reason}", number=halt.halt_id, reason=reason)
        return released

    def _take(self, *contents: Halt | AuditEvent) -> None:
        """Take a change of a halt and its audit event on their way: neither is there without the other."""
        events = firm_events(self._orders, self._clock.now(), *contents)
        self._chronicle.append(self._chronicle.fold(*events))

    async def _record(self, event: AuditEvent) -> None:
        """Take a refused attempt to the audit log; while the journal takes nothing it waits there."""
        self._take(event)
        try:
            await self._chronicle.settled()
        except Unavailable as error:
            self._log.warn("a refused {action} waits for the journal: {error}", action=event.action, error=str(error))

    @asynccontextmanager
    async def _attempt_here(self, action: str, entity: str, *, asked: object) -> AsyncIterator[None]:
        """Record an attempt on this host that is refused inside the block, and let the refusal pass on."""
        if not self._is_open:
            raise Unavailable("The server has not started, or is about to stop: it takes no orders now.")
        try:
            yield
        except SpireError as error:
            event = self._trail.local(action, entity, after=json.dumps(asked, ensure_ascii=False))
            await self._record(evolve(event, outcome=error.coded, text=error.message))
            raise

    def _of(self, session: Session) -> MakeEvent:
        def make(
            action: str, entity: str, *, before: object = None, after: object = None, reason: str | None = None
        ) -> AuditEvent:
            return self._trail.event(session, action, entity, before=before, after=after, reason=reason)

        return make

    def _by_itself(
        self, action: str, entity: str, *, before: object = None, after: object = None, reason: str | None = None
    ) -> AuditEvent:
        event = self._trail.local(action, entity, before=before, after=after, reason=reason)
        return evolve(event, actor_name="order execution", channel=Channel.RISK, source=self._inputs.risk_states.topic)

    def _told(self, halt: Halt) -> None:
        """Tell those who follow, once a change of a halt is durable."""
        if halt.released is None:
            self._topic.put(str(halt.halt_id), halt)
        else:
            self._topic.remove(str(halt.halt_id))


def _entity(halt: HaltRequest | Halt) -> str:
    """Return the entity under which all that befalls a halt is audited: what it stops."""
    return f"{halt.scope.name.lower()}:{halt.scope_id}"


def _asked_entity(scope: object, scope_id: object) -> str:
    """Return the entity of what an operator asks for; `halt:0` where that names nothing that could be halted."""
    kind, number = str(scope), str(scope_id)
    is_number = number.isascii() and number.isdigit() and len(number) < LONGEST_ID
    return f"{kind.lower()}:{number}" if kind in HaltScope.__members__ and is_number else "halt:0"


def _read_request(plain: Mapping[str, object]) -> HaltRequest:
    """Return what an operator asks for; what stands in his JSON may be anything."""
    cancel_all = plain["cancel_all"]
    if not isinstance(cancel_all, bool):
        raise Invalid("cancel_all must be true or false.", argument="cancel_all")
    asked = {name: value for name, value in plain.items() if name != "cancel_all"}
    try:
        return from_plain(HaltRequest, asked | {"actions": ["CANCEL_ALL"] if cancel_all else []})
    except ValueError as error:
        raise Invalid(str(error)) from None


def _read_id(halt_id: object) -> int:
    """Return the id that an operator names, as a number or as the text that `halts` shows."""
    if isinstance(halt_id, str) and halt_id.isascii() and halt_id.isdigit() and len(halt_id) < LONGEST_ID:
        return int(halt_id)
    if isinstance(halt_id, int) and not isinstance(halt_id, bool):
        return halt_id
    raise Invalid("halt_id must be a whole number.", argument="halt_id")
