"""From boxes to the Compliance Server's methods and back."""

from collections.abc import Callable
from typing import Any

from twisted.protocols.amp import CommandLocator, IResponderLocator
from zope.interface import implementer

from spire.compliance.commands import AddRule, ChangeRule, ListRules, LoadRuleHistory, QueryViolations
from spire.compliance.server import ComplianceService
from spire.compliance.values import RuleDraft, RuleEntry, ViolationQuery
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.service.audit import AuditResponders
from spire.wire.guard import Responders
from spire.wire.interfaces import IAvatars
from spire.wire.server_session import Session
from spire.wire.stream_responders import StreamResponders


class ComplianceResponders(CommandLocator):
    """The commands of whoever is logged in; the live directory decides about each call."""

    def __init__(self, session: Session, service: ComplianceService) -> None:
        super().__init__()
        self._session = session
        self._service = service

    @AddRule.responder
    async def add_rule(self, draft: RuleDraft, reason: str) -> dict[str, Any]:
        """Put a rule on an entry."""
        return {"rule": await self._service.add_rule(self._session, draft, reason)}

    @ChangeRule.responder
    async def change_rule(self, rule_id: int, draft: RuleDraft, expected_version: int, reason: str) -> dict[str, Any]:
        """Write another version of a rule."""
        return {"rule": await self._service.change_rule(self._session, rule_id, draft, expected_version, reason)}

    @ListRules.responder
    def list_rules(self, entry_id: int, after: int) -> dict[str, Any]:
        """Answer a page of the rules that bind at an entry."""
        return _page(*self._service.list_rules(self._session, entry_id, after))

    @LoadRuleHistory.responder
    async def rule_history(self, rule_id: int, after: int) -> dict[str, Any]:
        """Answer a page of a rule's versions."""
        return _page(*await self._service.rule_history(self._session, rule_id, after))

    @QueryViolations.responder
    async def query_violations(self, query: ViolationQuery) -> dict[str, Any]:
        """Answer a page of violations."""
        violations, more = await self._service.query_violations(self._session, query)
        return {"violations": violations, "more": more}


def _page(rules: tuple[RuleEntry, ...], next_after: int | None) -> dict[str, Any]:
    return {"rules": rules} if next_after is None else {"rules": rules, "next_after": next_after}


@implementer(IAvatars)
class ComplianceAvatars:
    """Nothing before login; rules, violations, the audit log and streams after it, each call by its rights."""

    def __init__(
        self,
        service: ComplianceService,
        *,
        roles_now: Callable[[int], frozenset[str]],
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._service = service
        self._roles_now = roles_now
        self._clock = clock
        self._tasks = tasks

    def anonymous(self, session: Session) -> IResponderLocator:  # noqa: ARG002 - the interface names it
        """Return nothing to call."""
        return CommandLocator()

    def avatar(self, session: Session) -> IResponderLocator:
        """Return commands, the audit log and streams."""
        return Responders(
            ComplianceResponders(session, self._service),
            AuditResponders(session, self._service.audit_events, self._roles_now),
            StreamResponders(session, self._service, clock=self._clock, tasks=self._tasks),
        )

    def closed(self, session: Session) -> None:
        """Forget nothing: what a session holds is released with it."""
