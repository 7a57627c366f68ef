"""Compliance for every other process: rules live, violations of the past and as they happen, and its calls."""

from typing import Any, Final

from attrs import evolve

from spire.compliance.commands import AddRule, ChangeRule, ListRules, LoadRuleHistory, QueryViolations
from spire.compliance.values import (
    RULES,
    RuleDraft,
    RuleEntry,
    Violation,
    ViolationQuery,
    violations_topic,
)
from spire.wire.channels import LogSubscription
from spire.wire.client_session import ClientSession
from spire.wire.records import Rows
from spire.wire.state_view import StateView
from spire.wire.topics import StreamListener

CALL_SECONDS: Final = 10.0
VIOLATION_CODEC: Final = Rows(Violation)


class ComplianceClient:
    """Typed access to the Compliance Server; `session` is started and stopped by its owner."""

    def __init__(self, session: ClientSession) -> None:
        self.session = session

    def rules(self) -> StateView[RuleEntry]:
        """Return all rules by rule id, live: for servers, administrators, risk officers and auditors."""
        return self.session.subscriptions.state(RULES, RuleEntry)

    async def add_rule(self, draft: RuleDraft, reason: str) -> RuleEntry:
        """Put a rule on a directory entry. Raises Forbidden, NotFound, Invalid, Unavailable (then read again first)."""
        rule: RuleEntry = (await self._call(AddRule, draft=draft, reason=reason))["rule"]
        return rule

    async def change_rule(self, rule_id: int, draft: RuleDraft, *, expected_version: int, reason: str) -> RuleEntry:
        """Write another version of a rule. Raises also Conflict with the version that holds."""
        answer = await self._call(
            ChangeRule, rule_id=rule_id, draft=draft, expected_version=expected_version, reason=reason
        )
        rule: RuleEntry = answer["rule"]
        return rule

    async def rules_of(self, entry_id: int) -> tuple[RuleEntry, ...]:
        """Return the rules on an entry and above it, by id."""
        return tuple(await self._pages(ListRules, entry_id=entry_id))

    async def rule_history(self, rule_id: int) -> tuple[RuleEntry, ...]:
        """Return every version of a rule, oldest first."""
        return tuple(await self._pages(LoadRuleHistory, rule_id=rule_id))

    async def violations(self, query: ViolationQuery) -> tuple[tuple[Violation, ...], ViolationQuery | None]:
        """Return a page of violations, newest first, and the query of the next page, None behind the last one."""
        answer = await self._call(QueryViolations, query=query)
        found: tuple[Violation, ...] = answer["violations"]
        if not answer["more"]:
            return found, None
        return found, evolve(query, before=(found[-1].epoch, found[-1].sequence))

    def follow_violations(
        self,
        trading_account_id: int,
        listener: StreamListener[tuple[Violation, ...]],
        *,
        after: int | None = None,
        epoch: int | None = None,
    ) -> LogSubscription[tuple[Violation, ...]]:
        """Follow the violations of a trading account: from now on, or behind `after` (0: from the beginning).

        Behind `after` it also brings everything of a later epoch than `epoch`.
        """
        return self.session.subscriptions.log(
            violations_topic(trading_account_id),
            listener,
            codec=VIOLATION_CODEC,
            after=after,
            epoch=epoch,
            begin=None if after is None else 0,
        )

    async def _call(self, command: Any, **arguments: Any) -> dict[str, Any]:
        return await self.session.call(command, timeout_seconds=CALL_SECONDS, **arguments)

    async def _pages(self, command: Any, **arguments: Any) -> list[RuleEntry]:
        found: list[RuleEntry] = []
        after: int | None = 0
        while after is not None:
            answer = await self._call(command, after=after, **arguments)
            found += answer["rules"]
            after = answer.get("next_after")
        return found
