"""The Compliance Server: rules on directory entries, live, and what became of orders that broke them."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from attrs import evolve
from twisted.internet.defer import DeferredLock
from twisted.logger import Logger
from zope.interface import implementer

from spire.compliance import rights
from spire.compliance.interfaces import AuditPage, IComplianceStore
from spire.compliance.rules import RestrictedInstruments, RuleError, canonical, read_rule
from spire.compliance.values import RULES, RuleDraft, RuleEntry, Violation, ViolationQuery, parse_violations_topic
from spire.compliance.violations import ViolationLog
from spire.database.errors import CommitUnknown, StoreDown
from spire.execution.access import require_view
from spire.locator.directory import Directory
from spire.runtime.clock import Clock
from spire.service.audit import AuditTrail
from spire.values.audit import AuditEvent, AuditQuery
from spire.wire.arguments import encode
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from spire.wire.publisher import Publisher, Topic
from spire.wire.server_session import Session
from spire.wire.state_topic import StateTopic
from spire.wire.topics import ITopics

Row = TypeVar("Row", RuleEntry, Violation)

PAGE_BYTES: Final = 50_000
"""Bytes of one page of answers; the rest follows on the next call."""

LONGEST_PAGE: Final = 200


@implementer(ITopics)
class ComplianceService:
    """The application service; every method takes the session first.

    `rule_id` gives out ids that nobody else gets (Unavailable without one), `is_instrument` says whether Definitions
    knows an instrument. Each change, and each refused attempt at one, is in the audit log.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        directory: Directory,
        store: IComplianceStore,
        publisher: Publisher,
        violations: ViolationLog,
        trail: AuditTrail,
        rule_id: Callable[[], int],
        is_instrument: Callable[[int], bool],
        clock: Clock,
        instance_id: str,
    ) -> None:
        self._directory = directory
        self._store = store
        self._violations = violations
        self._trail = trail
        self._rule_id = rule_id
        self._is_instrument = is_instrument
        self._clock = clock
        self._lock = DeferredLock()
        self._rules: StateTopic[RuleEntry] = publisher.state(RULES, RuleEntry, instance_id=instance_id)
        self._readers: dict[Session, set[str]] = {}

    async def start(self) -> None:
        """Read every rule and serve it. Raises StoreDown while the database is away; may be tried again."""
        await self._read_rules()
        await self._violations.start()

    async def refresh(self) -> None:
        """Take over what another server on the same tables wrote, or what we did not hear to be committed."""
        try:
            if await self._store.rules_version() != sum(rule.version for rule in self._rules.rows.values()):
                await self._read_rules()
        except StoreDown as error:
            self._log.debug("rules are not refreshed: {error}", error=error)

    # Rules

    async def add_rule(self, session: Session, draft: RuleDraft, reason: str) -> RuleEntry:
        """Put a rule on a directory entry; it is live once it is stored. Raises Forbidden, NotFound, Invalid, Unavailable."""
        async with self._trail.attempt(
            session, "rule.add", f"entry:{draft.entry_id}", self._store.audit, asked=draft, reason=reason
        ):
            rights.require_administrator(self._directory, session.identity)
            rights.carrier(self._directory, draft.entry_id, "draft.entry_id")
            draft = self._checked(draft, reason)
            rule = self._made(session, draft, reason, rule_id=self._rule_id(), version=1)
            event = self._event(session, "rule.add", rule, None)
            async with self._writing():
                await self._store.add_rule(rule, event)
                self._take(rule)
        return rule

    async def change_rule(
        self, session: Session, rule_id: int, draft: RuleDraft, expected_version: int, reason: str
    ) -> RuleEntry:
        """Write another version of a rule; its entry stays. Raises what `add_rule` raises, and Conflict."""
        async with self._trail.attempt(
            session, "rule.change", f"rule:{rule_id}", self._store.audit, asked=draft, reason=reason
        ):
            rights.require_administrator(self._directory, session.identity)
            async with self._writing():
                held = await self._stored(rule_id)
                if held.version != expected_version:
                    raise Conflict(
                        f"Rule {rule_id} is at version {held.version}, not {expected_version}: read it again.",
                        version=held.version,
                    )
                if draft.entry_id != held.entry_id:
                    raise Invalid(
                        f"A rule stays on its entry, {held.entry_id}: disable it and add another elsewhere.",
                        argument="draft.entry_id",
                    )
                draft = self._checked(draft, reason)
                rule = self._made(session, draft, reason, rule_id=rule_id, version=held.version + 1)
                await self._store.change_rule(rule, self._event(session, "rule.change", rule, held))
                self._take(rule)
        return rule

    def list_rules(self, session: Session, entry_id: int, after: int) -> tuple[tuple[RuleEntry, ...], int | None]:
        """Return a page of the rules on an entry and above it, by id. Raises NotFound, Forbidden."""
        rights.carrier(self._directory, entry_id, "entry_id")
        rights.require_read_rules(self._directory, session.identity, entry_id)
        above = self._directory.ancestry(entry_id)
        found = [rule for rule in self._rules.rows.values() if rule.entry_id in above and rule.rule_id > after]
        found.sort(key=lambda rule: rule.rule_id)
        page = _fitting(found)
        return page, page[-1].rule_id if len(page) < len(found) else None

    async def rule_history(
        self, session: Session, rule_id: int, after: int
    ) -> tuple[tuple[RuleEntry, ...], int | None]:
        """Return a page of a rule's versions, oldest first. Raises NotFound, Forbidden, Unavailable."""
        known = self._rules.rows.get(str(rule_id))
        if known is None:
            raise NotFound(f"There is no rule {rule_id}.", rule_id=rule_id)
        rights.require_read_rules(self._directory, session.identity, known.entry_id)
        try:
            found = await self._store.rule_versions(rule_id, after, LONGEST_PAGE)
        except StoreDown as error:
            raise Unavailable("The history of rules cannot be read now, the database is away: try again.") from error
        page = _fitting(found)
        is_whole = len(page) == len(found) < LONGEST_PAGE
        return page, None if is_whole else page[-1].version

    # Violations

    async def query_violations(self, session: Session, query: ViolationQuery) -> tuple[tuple[Violation, ...], bool]:
        """Return a page of violations, newest first, and whether more follow. Raises NotFound, Forbidden, Invalid, Unavailable."""
        seen = rights.trading_accounts_seen(self._directory, session.identity, query.entry_id)
        if query.since is not None and query.until is not None and query.since > query.until:
            raise Invalid("The range of time ends before it begins.", argument="query.until")
        limit = max(1, min(query.limit, LONGEST_PAGE))
        try:
            found = await self._store.find_violations(evolve(query, limit=limit + 1), seen)
        except StoreDown as error:
            raise Unavailable("Violations cannot be read now, the database is away: try again later.") from error
        page = _fitting(found[:limit])
        return page, len(page) < len(found)

    # Topics and the audit log

    async def open_topic(self, session: Session, name: str) -> Topic:
        """Return the topic of rules, or a trading account's of violations. Raises NotFound, Forbidden."""
        self._require_topic(session, name)
        if session not in self._readers:
            self._readers[session] = set()
            session.on_close(lambda: self._readers.pop(session, None))
        self._readers[session].add(name)
        return self._rules if name == RULES else self._violations.topic(parse_violations_topic(name))

    def rights_changed(self) -> None:
        """Close the sessions that follow what they may not see any more: a right that is withdrawn ends at once."""
        for session, names in tuple(self._readers.items()):
            try:
                for name in names:
                    self._require_topic(session, name)
            except (Forbidden, NotFound):
                session.close(Forbidden("A right to follow rules or violations was withdrawn; log in again."))

    async def audit_events(self, query: AuditQuery) -> AuditPage:
        """Return a page of the audit log."""
        return await self._store.audit_events(query)

    def _require_topic(self, session: Session, name: str) -> None:
        if name == RULES:
            if not rights.may_follow_rules(self._directory, session.identity):
                raise Forbidden("Servers, administrators, risk officers and auditors follow the rules.")
            return
        try:
            number = parse_violations_topic(name)
        except ValueError as error:
            raise NotFound(str(error), topic=name) from None
        require_view(self._directory, session.identity, number)

    # Small things

    def _checked(self, draft: RuleDraft, reason: str) -> RuleDraft:
        """Return a draft with its parameters in their canonical form. Raises Invalid with the argument that is wrong."""
        if not reason.strip():
            raise Invalid("Say why: a change of rules has a reason.", argument="reason")
        try:
            rule = read_rule(draft.schema, draft.parameters)
        except RuleError as error:
            text = str(error)
            raise Invalid(text, argument=f"draft.{text.partition(':')[0]}") from None
        if isinstance(rule, RestrictedInstruments):
            unknown = [number for number in rule.instrument_ids if not self._is_instrument(number)]
            if unknown:
                raise Invalid(
                    f"parameters: instrument_ids: Definitions knows no instrument {unknown[0]}.",
                    argument="draft.parameters",
                    instrument_id=unknown[0],
                )
        return evolve(draft, parameters=canonical(draft.parameters))

    def _made(self, session: Session, draft: RuleDraft, reason: str, *, rule_id: int, version: int) -> RuleEntry:
        return RuleEntry(
            rule_id=rule_id,
            entry_id=draft.entry_id,
            schema=draft.schema,
            parameters=draft.parameters,
            state=draft.state,
            version=version,
            author=session.identity.account_id,
            reason=reason,
            updated=self._clock.now(),
        )

    def _event(self, session: Session, action: str, rule: RuleEntry, before: RuleEntry | None) -> AuditEvent:
        return self._trail.event(
            session,
            action,
            f"rule:{rule.rule_id}",
            version=rule.version,
            before=before,
            after=rule,
            reason=rule.reason,
        )

    async def _stored(self, rule_id: int) -> RuleEntry:
        """Return a rule as the store has it: another server may have changed it."""
        held = await self._store.rule(rule_id)
        if held is None:
            raise NotFound(f"There is no rule {rule_id}.", rule_id=rule_id)
        return held

    def _take(self, rule: RuleEntry) -> None:
        """Serve a version that is stored, unless a newer one is served already."""
        known = self._rules.rows.get(str(rule.rule_id))
        if known is None or known.version < rule.version:
            self._rules.put(str(rule.rule_id), rule)

    async def _read_rules(self) -> None:
        async with self._alone():
            self._rules.replace({str(rule.rule_id): rule for rule in await self._store.rules()})

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """Hold the lock of changes, and say what to do where the store is away."""
        try:
            async with self._alone():
                yield
        except CommitUnknown as error:
            raise Unavailable(
                "The database was lost during the change: it may have been made. Read the rules, then go on.",
                in_doubt="yes",
            ) from error
        except StoreDown as error:
            raise Unavailable("The database is away and nothing was changed: try again later.") from error

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        await self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()


def _fitting(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return as many rows from the first on as fit an answer; at least one of them."""
    page: list[Row] = []
    size = 0
    for row in rows:
        size += len(encode(row))
        if page and size > PAGE_BYTES:
            break
        page.append(row)
    return tuple(page)
