"""The Administration Server: limits, risk states, entitlements, identities and business days, by session."""

import json
from collections.abc import Callable
from typing import Final

from attrs import evolve

from spire.administration import access, checks
from spire.administration.board import Board
from spire.administration.commits import Commits, Deed, read
from spire.administration.interfaces import IAdministrationStore, Page
from spire.administration.values import (
    BusinessDay,
    EntitlementGrant,
    GrantTerms,
    Identity,
    Limits,
    LimitTerms,
    Profile,
    RiskState,
    Usage,
)
from spire.definitions.client import DefinitionsClient
from spire.locator.directory import ADMINISTRATOR, OPERATOR, RISK_OFFICER, Directory
from spire.runtime.clock import Clock
from spire.values.audit import AuditQuery
from spire.values.environment import Environment
from spire.values.risk import RiskMode
from spire.values.time import Timestamp, local_date
from spire.wire.errors import NotFound
from spire.wire.server_session import Session

SET_RISK_STATE: Final = "risk.set_state"
MARKET_DATA_ALL: Final = "market_data.all"
OPEN_DAY: Final = "day.open"

PAGE: Final = 20
"""Rows of a page: with the longest reasons they fit an answer."""


class AdministrationService:
    """Owns what Administration owns; every method takes the session first.

    A change is checked, committed with its audit event, and then shown on the topics. What is refused is audited too.
    """

    def __init__(
        self,
        *,
        store: IAdministrationStore,
        board: Board,
        commits: Commits,
        directory: Directory,
        definitions: DefinitionsClient,
        next_id: Callable[[], int],
        firm_zone: str,
        environment: Environment,
        clock: Clock,
    ) -> None:
        self._store = store
        self._board = board
        self._commits = commits
        self._directory = directory
        self._definitions = definitions
        self._next_id = next_id
        self._firm_zone = firm_zone
        self._is_rehearsal = environment in (Environment.DEMO, Environment.REPLAY)
        self._may_go_ahead = frozenset({RISK_OFFICER, ADMINISTRATOR} if self._is_rehearsal else {RISK_OFFICER})
        self._clock = clock

    # Limits and risk states

    async def set_limits(
        self, session: Session, trading_account_id: int, terms: LimitTerms, expected_version: int, reason: str
    ) -> Limits:
        """Set the limits of a trading account; administrators and risk officers only."""
        deed = Deed(
            session=session,
            action="limits.set",
            entity=f"trading_account:{trading_account_id}",
            asked=terms,
            reason=reason,
        )

        def make(version: int) -> Limits:
            return Limits(
                trading_account_id=trading_account_id,
                terms=terms,
                version=version,
                reason=reason,
                actor=session.identity.account_id,
                effective_from=self._clock.now(),
            )

        async with self._commits.attempt(deed):
            access.require_role(self._directory, session.identity, ADMINISTRATOR, RISK_OFFICER)
            access.trading_account(self._directory, trading_account_id)
            checks.check_limits(terms, self._knows_currency)
            checks.check_reason(reason)
            return await self._commits.next_version(
                deed, lambda: self._board.limits_of(trading_account_id), expected_version, make
            )

    def standing(self, session: Session, trading_account_id: int) -> tuple[Limits | None, RiskState | None]:
        """Return limits and risk state of a trading account that the caller may see."""
        access.require_view(self._directory, session.identity, trading_account_id)
        return self._board.limits_of(trading_account_id), self._board.state_of(trading_account_id)

    async def limit_history(
        self, session: Session, trading_account_id: int, after: int
    ) -> tuple[tuple[Limits, ...], int | None]:
        """Return a page of the versions of a trading account's limits, and after which version the next begins."""
        access.require_view(self._directory, session.identity, trading_account_id)
        found = await read(self._store.limit_history(trading_account_id, after, PAGE))
        return found, found[-1].version if len(found) == PAGE else None

    async def set_risk_state(
        self,
        session: Session,
        trading_account_id: int,
        mode: RiskMode,
        expected_version: int,
        reason: str,
        expiry: Timestamp | None,
        on_behalf_of: int | None,
    ) -> RiskState:
        """Write the risk state of a trading account; who holds `risk.set_state` only."""
        deed = Deed(
            session=session,
            action="risk_state.set",
            entity=f"trading_account:{trading_account_id}",
            asked=mode.name,
            reason=reason,
            on_behalf_of=on_behalf_of,
        )

        def make(version: int) -> RiskState:
            return RiskState(
                trading_account_id=trading_account_id,
                mode=mode,
                version=version,
                reason=reason,
                actor=session.identity.account_id,
                on_behalf_of=on_behalf_of,
                since=self._clock.now(),
                expiry=expiry,
                business_date=self._business_date(),
            )

        async with self._commits.attempt(deed):
            access.require_capability(self._directory, session.identity, SET_RISK_STATE)
            access.trading_account(self._directory, trading_account_id)
            if on_behalf_of is not None:
                access.account(self._directory, on_behalf_of)
            checks.check_reason(reason)
            checks.check_expiry(expiry)
            return await self._commits.next_version(
                deed, lambda: self._board.state_of(trading_account_id), expected_version, make
            )

    async def risk_history(
        self, session: Session, trading_account_id: int, after: int
    ) -> tuple[tuple[RiskState, ...], int | None]:
        """Return a page of the versions of a trading account's risk state, and after which version the next begins."""
        access.require_view(self._directory, session.identity, trading_account_id)
        found = await read(self._store.risk_history(trading_account_id, after, PAGE))
        return found, found[-1].version if len(found) == PAGE else None

    # Entitlements

    async def grant(self, session: Session, terms: GrantTerms, reason: str) -> EntitlementGrant:
        """Entitle an account to market data; administrators only."""
        deed = Deed(
            session=session,
            action="entitlement.grant",
            entity=f"account:{terms.account_id}",
            asked=terms,
            reason=reason,
        )
        async with self._commits.attempt(deed):
            access.require_role(self._directory, session.identity, ADMINISTRATOR)
            access.account(self._directory, terms.account_id)
            now = self._clock.now()
            checks.check_reason(reason)
            begins = checks.check_grant(terms, self._knows_venue, now)
            grant = EntitlementGrant(
                grant_id=self._next_id(),
                terms=terms,
                effective_from=begins,
                effective_to=terms.effective_to,
                granted=now,
                granted_by=session.identity.account_id,
                reason=reason,
            )
            return await self._commits.grant(deed, grant)

    async def revoke(self, session: Session, grant_id: int, reason: str) -> EntitlementGrant:
        """Revoke a grant; administrators only. One that is revoked already stays as it is."""
        held = self._board.grant(grant_id)
        entity = f"grant:{grant_id}" if held is None else f"account:{held.terms.account_id}"
        asked = json.dumps({"grant_id": str(grant_id)})
        deed = Deed(session=session, action="entitlement.revoke", entity=entity, asked=asked, reason=reason)
        async with self._commits.attempt(deed):
            access.require_role(self._directory, session.identity, ADMINISTRATOR)
            checks.check_reason(reason)
            former = await read(self._store.grant(grant_id))
            if former is None:
                raise NotFound(f"There is no grant {grant_id}.", grant_id=grant_id)
            if former.revoked is not None:
                return former
            revoked = evolve(
                former,
                revoked=self._clock.now(),
                revoked_by=session.identity.account_id,
                revoke_reason=reason,
            )
            deed = evolve(deed, entity=f"account:{former.terms.account_id}")
            done = await self._commits.revoke(deed, former, revoked)
            return done or await read(self._store.grant(grant_id)) or former

    async def grants_of(
        self, session: Session, account_id: int, after: int
    ) -> tuple[tuple[EntitlementGrant, ...], int | None]:
        """Return a page of an account's grants, and after which id the next begins."""
        access.require_own(self._directory, session.identity, account_id, ADMINISTRATOR)
        found = await read(self._store.grants_of(account_id, after, PAGE))
        return found, found[-1].grant_id if len(found) == PAGE else None

    async def record_usage(self, session: Session, usage: tuple[Usage, ...]) -> None:
        """Record who used market data of what; who holds `market_data.all` only. What is recorded already stays."""
        deed = Deed(session=session, action="usage.record", entity="usage")
        async with self._commits.attempt(deed):
            access.require_capability(self._directory, session.identity, MARKET_DATA_ALL)
            checks.check_usage(usage, self._knows_venue)
            await read(self._store.record_usage(usage))

    # Identities

    async def store_identity(
        self, session: Session, account_id: int, profile: Profile, expected_version: int
    ) -> Identity:
        """Write the profile of an account; administrators only."""
        deed = Deed(session=session, action="identity.store", entity=f"account:{account_id}", asked=profile)

        def make(version: int) -> Identity:
            return Identity(
                account_id=account_id,
                profile=profile,
                version=version,
                actor=session.identity.account_id,
                updated=self._clock.now(),
            )

        async with self._commits.attempt(deed):
            access.require_role(self._directory, session.identity, ADMINISTRATOR)
            access.account(self._directory, account_id)
            checks.check_profile(profile, lambda code: self._definitions.countries.get(code) is not None)
            return await self._commits.next_version(
                deed, lambda: self._board.identity_of(account_id), expected_version, make
            )

    def identity(self, session: Session, account_id: int) -> Identity | None:
        """Return the profile of an account, to whoever it is, administrators and auditors; None where none was written."""
        access.require_own(self._directory, session.identity, account_id, *access.SEES_IDENTITIES)
        return self._board.identity_of(account_id)

    # Days

    async def open_business_day(self, session: Session, business_date: str) -> BusinessDay:
        """Open a business date, which closes the one before; the current one again changes nothing."""
        deed = Deed(session=session, action="day.open", entity=f"business_day:{business_date}")
        async with self._commits.attempt(deed):
            identity = session.identity
            is_script = access.holds_capability(self._directory, identity, OPEN_DAY)
            if not is_script:
                access.require_role(self._directory, identity, ADMINISTRATOR, RISK_OFFICER, OPERATOR)
            day = BusinessDay(
                business_date=checks.check_day(
                    business_date,
                    local_date(self._clock.now(), self._firm_zone),
                    may_go_ahead=access.holds_role(self._directory, identity, self._may_go_ahead)
                    or (self._is_rehearsal and is_script),
                ),
                opened=self._clock.now(),
                opened_by=session.identity.account_id,
            )
            return await self._commits.open_day(deed, day)

    # Audit

    async def read_audit(self, query: AuditQuery) -> Page:
        """Return a page of the audit log. Raises StoreDown."""
        return await self._store.audit(query)

    # Small things

    def _business_date(self) -> str:
        day = self._board.current_day
        return local_date(self._clock.now(), self._firm_zone).isoformat() if day is None else day.business_date

    def _knows_currency(self, code: str) -> bool:
        return self._definitions.currencies.get(code) is not None

    def _knows_venue(self, code: str) -> bool:
        return self._definitions.venues.get(code) is not None
