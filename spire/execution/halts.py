"""The halts in force, and who may set and release which (sans-I/O)."""

from collections.abc import Callable, Iterable

from attrs import evolve, frozen

from spire.execution.values import FIRM, Halt, HaltRequest
from spire.values.amounts import INT64_MAX
from spire.values.risk import HaltAction, HaltMode, HaltScope
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, Unsupported

LONGEST_REASON = 1000
SCOPES = (HaltScope.FIRM, HaltScope.TRADING_ACCOUNT)


@frozen(kw_only=True)
class Actor:
    """Who sets or releases a halt: a risk officer, the Risk Server, or (no account) an operator on the server's host."""

    account_id: int | None
    is_risk: bool = False


class Halts:
    """The halts in force by scope. Halt ids are dense from 1 and never given out twice, so that a halt needs no other server."""

    def __init__(self) -> None:
        self.last_id = 0
        self._by_id: dict[int, Halt] = {}
        self._by_account: dict[int, dict[int, Halt]] = {}

    @property
    def in_force(self) -> tuple[Halt, ...]:
        """The halts in force, by id."""
        return tuple(self._by_id[number] for number in sorted(self._by_id))

    def restore(self, halts: Iterable[Halt], last_id: int) -> None:
        """Take over what the store holds: halts in force, and the last id that was given out."""
        for halt in halts:
            self.put(halt)
        self.last_id = max(self.last_id, last_id)

    def put(self, halt: Halt) -> None:
        """Take over a halt that was set, changed or released."""
        self.last_id = max(self.last_id, halt.halt_id)
        place = halt.scope_id if halt.scope is HaltScope.TRADING_ACCOUNT else FIRM
        there = self._by_account.setdefault(place, {})
        if halt.released is None:
            self._by_id[halt.halt_id] = there[halt.halt_id] = halt
            return
        self._by_id.pop(halt.halt_id, None)
        there.pop(halt.halt_id, None)
        if not there:
            del self._by_account[place]

    def reinstate(self, halt: Halt) -> None:
        """Take back a release that could not be made durable: the halt holds on."""
        self.put(evolve(halt, released=None, released_by=None, release_reason=None))

    def on(self, trading_account_id: int) -> tuple[Halt, ...]:
        """Return the halts whose scope holds a trading account: the firm's first."""
        if not self._by_id:
            return ()
        firm = self._by_account.get(FIRM, {})
        return (*firm.values(), *self._by_account.get(trading_account_id, {}).values())

    def find(self, halt_id: int) -> Halt:
        """Return a halt in force; NotFound for an id that was never given out, Conflict for one that has ended."""
        halt = self._by_id.get(halt_id)
        if halt is not None:
            return halt
        if 1 <= halt_id <= self.last_id:
            raise Conflict(f"Halt {halt_id} has ended.", halt_id=halt_id)
        raise NotFound(f"There is no halt {halt_id}.", halt_id=halt_id)

    def same(self, request: HaltRequest, actor: Actor) -> Halt | None:
        """Return the halt in force that an actor set with this scope and mode, if there is one."""
        for halt in self._by_id.values():
            if (halt.scope, halt.scope_id, halt.mode, halt.set_by) == (
                request.scope,
                request.scope_id,
                request.mode,
                actor.account_id,
            ):
                return halt
        return None

    def announced(self, version_of: Callable[[int], int]) -> tuple[Halt, ...]:
        """Return the halts whose announced risk state, or a later one, is in force; `version_of` a trading account says which."""
        return tuple(
            halt
            for halt in self._by_id.values()
            if halt.announces is not None and halt.announces <= version_of(halt.scope_id)
        )


def check_request(request: HaltRequest, actor: Actor) -> None:
    """Refuse a halt that makes no sense, or that this actor may not set; Unsupported, Invalid, Forbidden."""
    check_reason(request.reason)
    if request.scope not in SCOPES:
        raise Unsupported(f"Halts of scope {request.scope.name} are not supported; {_names()} are.", argument="scope")
    if request.actions & ~HaltAction.CANCEL_ALL:
        raise Unsupported("A halt can CANCEL_ALL; nothing else is supported.", argument="actions")
    if request.scope is HaltScope.FIRM and request.scope_id != FIRM:
        raise Invalid("A halt of the firm has scope_id 0.", argument="scope_id")
    if request.scope is HaltScope.TRADING_ACCOUNT and not 0 < request.scope_id <= INT64_MAX:
        raise Invalid("scope_id must be the id of a trading account.", argument="scope_id")
    if not actor.is_risk:
        if request.announces is not None:
            raise Invalid("Only the Risk Server announces a risk state.", argument="announces")
        return
    if request.scope is not HaltScope.TRADING_ACCOUNT or request.mode is not HaltMode.NO_OPENING:
        raise Forbidden("The Risk Server sets NO_OPENING on single trading accounts only.", argument="mode")
    if request.announces is None or not 0 < request.announces <= INT64_MAX:
        raise Invalid("Say which version of the risk state follows.", argument="announces")


def check_release(halt: Halt, reason: str, actor: Actor) -> None:
    """Refuse a release by the wrong one; Invalid, Forbidden.

    A person releases what somebody else set, the Risk Server its own, an operator on the host what was set there.
    """
    check_reason(reason)
    if actor.is_risk or actor.account_id is None:
        if halt.set_by != actor.account_id:
            raise Forbidden(f"Halt {halt.halt_id} must be released by a risk officer.", halt_id=halt.halt_id)
    elif halt.set_by == actor.account_id:
        raise Forbidden(f"You set halt {halt.halt_id}: another risk officer must release it.", halt_id=halt.halt_id)


def check_reason(reason: object) -> None:
    """Refuse a reason that is empty, too long, or nothing that UTF-8 can carry."""
    if not isinstance(reason, str) or not reason.strip() or len(reason) > LONGEST_REASON:
        raise Invalid(f"Give a reason of at most {LONGEST_REASON} characters.", argument="reason")
    try:
        reason.encode()
    except UnicodeEncodeError:
        raise Invalid("The reason holds half a surrogate pair, which is no character.", argument="reason") from None


def _names() -> str:
    return ", ".join(scope.name for scope in SCOPES)
