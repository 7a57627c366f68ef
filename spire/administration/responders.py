"""From boxes to the Administration Server's methods and back."""

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import frozen
from twisted.protocols.amp import CommandLocator, IResponderLocator
from zope.interface import implementer

from spire.administration import commands
from spire.administration.groups import Groups
from spire.administration.interfaces import Page
from spire.administration.server import AdministrationService
from spire.administration.values import GrantTerms, LimitTerms, Profile, Usage
from spire.locator.values import TradingAccountTerms
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.service.audit import AuditResponders
from spire.values.audit import AuditQuery
from spire.values.risk import RiskMode
from spire.values.time import Timestamp
from spire.wire.guard import Responders
from spire.wire.interfaces import IAvatars
from spire.wire.server_session import Session
from spire.wire.stream_responders import StreamResponders
from spire.wire.topics import ITopics

Answer = dict[str, Any]


class AdministrationResponders(CommandLocator):
    """Limits, risk states, entitlements, identities, days; what each needs, the service asks."""

    def __init__(self, session: Session, service: AdministrationService) -> None:
        super().__init__()
        self._session = session
        self._service = service

    @commands.SetLimits.responder
    async def set_limits(
        self, trading_account_id: int, terms: LimitTerms, expected_version: int, reason: str
    ) -> Answer:
        """Set limits."""
        return {
            "limits": await self._service.set_limits(self._session, trading_account_id, terms, expected_version, reason)
        }

    @commands.LoadLimits.responder
    def load_limits(self, trading_account_id: int) -> Answer:
        """Answer limits and risk state."""
        limits, state = self._service.standing(self._session, trading_account_id)
        return {"limits": limits, "state": state}

    @commands.LoadLimitHistory.responder
    async def load_limit_history(self, trading_account_id: int, after: int) -> Answer:
        """Answer a page of versions."""
        limits, next_after = await self._service.limit_history(self._session, trading_account_id, after)
        return {"limits": limits, "next_after": next_after}

    @commands.SetRiskState.responder
    async def set_risk_state(
        self,
        trading_account_id: int,
        mode: RiskMode,
        expected_version: int,
        reason: str,
        expiry: Timestamp | None,
        on_behalf_of: int | None,
    ) -> Answer:
        """Write a risk state."""
        state = await self._service.set_risk_state(
            self._session, trading_account_id, mode, expected_version, reason, expiry, on_behalf_of
        )
        return {"state": state}

    @commands.LoadRiskHistory.responder
    async def load_risk_history(self, trading_account_id: int, after: int) -> Answer:
        """Answer a page of versions."""
        states, next_after = await self._service.risk_history(self._session, trading_account_id, after)
        return {"states": states, "next_after": next_after}

    @commands.GrantEntitlement.responder
    async def grant(self, terms: GrantTerms, reason: str) -> Answer:
        """Make a grant."""
        return {"grant": await self._service.grant(self._session, terms, reason)}

    @commands.RevokeEntitlement.responder
    async def revoke(self, grant_id: int, reason: str) -> Answer:
        """Revoke a grant."""
        return {"grant": await self._service.revoke(self._session, grant_id, reason)}

    @commands.ListEntitlements.responder
    async def list_entitlements(self, account_id: int, after: int) -> Answer:
        """Answer a page of an account's grants."""
        grants, next_after = await self._service.grants_of(self._session, account_id, after)
        return {"grants": grants, "next_after": next_after}

    @commands.RecordUsage.responder
    async def record_usage(self, usage: tuple[Usage, ...]) -> Answer:
        """Record usage."""
        await self._service.record_usage(self._session, usage)
        return {}

    @commands.StoreIdentity.responder
    async def store_identity(self, account_id: int, profile: Profile, expected_version: int) -> Answer:
        """Write a profile."""
        return {"identity": await self._service.store_identity(self._session, account_id, profile, expected_version)}

    @commands.LoadIdentity.responder
    def load_identity(self, account_id: int) -> Answer:
        """Answer a profile."""
        return {"identity": self._service.identity(self._session, account_id)}

    @commands.OpenBusinessDay.responder
    async def open_business_day(self, business_date: str) -> Answer:
        """Open a business date."""
        return {"day": await self._service.open_business_day(self._session, business_date)}


class GroupResponders(CommandLocator):
    """Groups, people and their roles: administrators, but for the list."""

    def __init__(self, session: Session, groups: Groups) -> None:
        super().__init__()
        self._session = session
        self._groups = groups

    @commands.CreateGroup.responder
    async def create_group(self, name: str) -> Answer:
        """Make a trading group."""
        return {"group": await self._groups.create_group(self._session, name)}

    @commands.ListGroups.responder
    def list_groups(self, after: int) -> Answer:
        """Answer a page of groups."""
        groups, next_after = self._groups.list_groups(self._session, after)
        return {"groups": groups, "next_after": next_after}

    @commands.CreateTrader.responder
    async def create_trader(self, group_id: int, name: str, password: str, terms: TradingAccountTerms) -> Answer:
        """Make a trader."""
        return {"trader": await self._groups.create_trader(self._session, group_id, name, password, terms)}

    @commands.CreateAccount.responder
    async def create_account(self, name: str, password: str, role: str) -> Answer:
        """Make a person's account."""
        return {"account_id": await self._groups.create_account(self._session, name, password, role)}

    @commands.ChangeRoles.responder
    async def change_roles(self, account_id: int, add: tuple[str, ...], remove: tuple[str, ...], reason: str) -> Answer:
        """Change roles."""
        await self._groups.change_roles(self._session, account_id, add, remove, reason)
        return {}


@frozen(kw_only=True)
class Served:
    """What every session is served."""

    service: AdministrationService
    groups: Groups
    topics: ITopics
    read_audit: Callable[[AuditQuery], Awaitable[Page]]
    roles_now: Callable[[int], frozenset[str]]


@implementer(IAvatars)
class AdministrationAvatars:
    """Who is logged in may call everything; each call asks for what it needs."""

    def __init__(self, served: Served, *, clock: Clock, tasks: Tasks) -> None:
        self._served = served
        self._clock = clock
        self._tasks = tasks

    def anonymous(self, session: Session) -> IResponderLocator:  # noqa: ARG002 - nobody may call anything before login
        """Return nothing to call."""
        return CommandLocator()

    def avatar(self, session: Session) -> IResponderLocator:
        """Return commands, streams and the audit log."""
        served = self._served
        return Responders(
            AdministrationResponders(session, served.service),
            GroupResponders(session, served.groups),
            AuditResponders(session, served.read_audit, served.roles_now),
            StreamResponders(session, served.topics, clock=self._clock, tasks=self._tasks),
        )

    def closed(self, session: Session) -> None:
        """Forget nothing: streams release themselves."""
