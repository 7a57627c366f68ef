"""Administration for every other process: live views of what it owns, its calls, and who may see which market data."""

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from twisted.internet.interfaces import IDelayedCall

from spire.administration.commands import (
    ChangeRoles,
    CreateAccount,
    CreateGroup,
    CreateTrader,
    GrantEntitlement,
    ListEntitlements,
    ListGroups,
    LoadIdentity,
    LoadLimitHistory,
    LoadLimits,
    LoadRiskHistory,
    OpenBusinessDay,
    RecordUsage,
    RevokeEntitlement,
    SetLimits,
    SetRiskState,
    StoreIdentity,
)
from spire.administration.entitlements import Entitlements
from spire.administration.values import (
    BUSINESS_DAYS,
    ENTITLEMENTS,
    IDENTITIES,
    LIMITS,
    RISK_STATES,
    BusinessDay,
    EntitlementGrant,
    GrantTerms,
    Identity,
    Limits,
    LimitTerms,
    Profile,
    RiskState,
    Trader,
    TradingGroup,
    Usage,
    own_topic,
)
from spire.locator.values import TradingAccountTerms
from spire.marketdata.values import RecordType
from spire.runtime.clock import Clock
from spire.values.codes import Venue
from spire.values.risk import RiskMode
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.client_session import ClientSession
from spire.wire.state_view import StateView

CALL_SECONDS = 30.0
"""How long a call may take: making a trader hashes a password behind others."""

LONGEST_WAIT_SECONDS = 3_600.0


@frozen(kw_only=True)
class Standing:
    """The limits and the risk state of a trading account; None where they were never set."""

    limits: Limits | None
    state: RiskState | None


class AdministrationClient:
    """Typed access to the Administration Server; `session` is started and stopped by its owner.

    A change raises what the server refuses with: FORBIDDEN, NOT_FOUND, INVALID, CONFLICT; after UNAVAILABLE it may have
    been made: read again before it is repeated.
    """

    def __init__(self, session: ClientSession) -> None:
        self.session = session

    # Views; the whole ones are for servers, administrators, risk officers and auditors, identities for administrators and auditors.

    def limits(self, trading_account_id: int | None = None) -> StateView[Limits]:
        """Return all limits by trading account id, live, or those of one account."""
        return self._view(LIMITS, Limits, trading_account_id)

    def risk_states(self, trading_account_id: int | None = None) -> StateView[RiskState]:
        """Return all risk states by trading account id, live, or that of one account."""
        return self._view(RISK_STATES, RiskState, trading_account_id)

    def entitlements(self, account_id: int | None = None) -> StateView[EntitlementGrant]:
        """Return all grants that are not revoked by grant id, live, or those of one account."""
        return self._view(ENTITLEMENTS, EntitlementGrant, account_id)

    def identities(self) -> StateView[Identity]:
        """Return all identities by account id, live."""
        return self._view(IDENTITIES, Identity, None)

    def business_days(self) -> StateView[BusinessDay]:
        """Return the business days by date, live; the greatest is the current one."""
        return self._view(BUSINESS_DAYS, BusinessDay, None)

    def _view(self, topic: str, row_type: Any, entry_id: int | None) -> StateView[Any]:
        name = topic if entry_id is None else own_topic(topic, entry_id)
        return self.session.subscriptions.state(name, row_type)

    # Groups and accounts

    async def create_group(self, name: str) -> TradingGroup:
        """Make a trading group."""
        group: TradingGroup = (await self._call(CreateGroup, name=name))["group"]
        return group

    async def groups(self) -> tuple[TradingGroup, ...]:
        """Return the trading groups that the caller may see, by id."""
        return tuple(await self._pages(ListGroups, "groups"))

    async def create_trader(self, group_id: int, name: str, password: str, terms: TradingAccountTerms) -> Trader:
        """Make a trader with a trading account of the same name."""
        answer = await self._call(CreateTrader, group_id=group_id, name=name, password=password, terms=terms)
        trader: Trader = answer["trader"]
        return trader

    async def create_account(self, name: str, password: str, role: str) -> int:
        """Make a person's account in a role (`risk_officer`, `manager:<group>` ...) and return its id."""
        return int((await self._call(CreateAccount, name=name, password=password, role=role))["account_id"])

    async def change_roles(
        self, account_id: int, *, add: Sequence[str] = (), remove: Sequence[str] = (), reason: str
    ) -> None:
        """Move an account between the role directories."""
        await self._call(ChangeRoles, account_id=account_id, add=tuple(add), remove=tuple(remove), reason=reason)

    async def store_identity(self, account_id: int, profile: Profile, expected_version: int) -> Identity:
        """Write an account's profile against the version that was read (0: none)."""
        answer = await self._call(
            StoreIdentity, account_id=account_id, profile=profile, expected_version=expected_version
        )
        identity: Identity = answer["identity"]
        return identity

    async def identity(self, account_id: int) -> Identity | None:
        """Return an account's profile, None where none was written."""
        identity: Identity | None = (await self._call(LoadIdentity, account_id=account_id)).get("identity")
        return identity

    # Limits and risk states

    async def set_limits(
        self, trading_account_id: int, terms: LimitTerms, *, expected_version: int, reason: str
    ) -> Limits:
        """Set the limits of a trading account against the version that was read (0: never set)."""
        answer = await self._call(
            SetLimits,
            trading_account_id=trading_account_id,
            terms=terms,
            expected_version=expected_version,
            reason=reason,
        )
        limits: Limits = answer["limits"]
        return limits

    async def standing(self, trading_account_id: int) -> Standing:
        """Return the limits and the risk state of a trading account."""
        answer = await self._call(LoadLimits, trading_account_id=trading_account_id)
        return Standing(limits=answer.get("limits"), state=answer.get("state"))

    async def limit_history(self, trading_account_id: int) -> tuple[Limits, ...]:
        """Return every version of a trading account's limits, oldest first."""
        return tuple(await self._pages(LoadLimitHistory, "limits", trading_account_id=trading_account_id))

    async def set_risk_state(
        self,
        trading_account_id: int,
        mode: RiskMode,
        *,
        expected_version: int,
        reason: str,
        expiry: Timestamp | None = None,
        on_behalf_of: int | None = None,
    ) -> RiskState:
        """Write the risk state of a trading account; the Risk Server's call."""
        answer = await self._call(
            SetRiskState,
            trading_account_id=trading_account_id,
            mode=mode,
            expected_version=expected_version,
            reason=reason,
            expiry=expiry,
            on_behalf_of=on_behalf_of,
        )
        state: RiskState = answer["state"]
        return state

    async def risk_history(self, trading_account_id: int) -> tuple[RiskState, ...]:
        """Return every version of a trading account's risk state, oldest first."""
        return tuple(await self._pages(LoadRiskHistory, "states", trading_account_id=trading_account_id))

    # Entitlements

    async def grant(self, terms: GrantTerms, reason: str) -> EntitlementGrant:
        """Entitle an account to market data."""
        grant: EntitlementGrant = (await self._call(GrantEntitlement, terms=terms, reason=reason))["grant"]
        return grant

    async def revoke(self, grant_id: int, reason: str) -> EntitlementGrant:
        """Revoke a grant, with immediate effect."""
        grant: EntitlementGrant = (await self._call(RevokeEntitlement, grant_id=grant_id, reason=reason))["grant"]
        return grant

    async def grants_of(self, account_id: int) -> tuple[EntitlementGrant, ...]:
        """Return every grant that an account ever had, by id."""
        return tuple(await self._pages(ListEntitlements, "grants", account_id=account_id))

    async def record_usage(self, usage: Sequence[Usage]) -> None:
        """Record who used market data of what; a service's call, and safe to repeat."""
        await self._call(RecordUsage, usage=tuple(usage))

    # Days

    async def open_business_day(self, business_date: str) -> BusinessDay:
        """Open a business date; the current one again changes nothing."""
        day: BusinessDay = (await self._call(OpenBusinessDay, business_date=business_date))["day"]
        return day

    async def _call(self, command: Any, **arguments: Any) -> dict[str, Any]:
        given = {name: value for name, value in arguments.items() if value is not None}
        return await self.session.call(command, timeout_seconds=CALL_SECONDS, **given)

    async def _pages(self, command: Any, what: str, **arguments: Any) -> list[Any]:
        found: list[Any] = []
        after: int | None = 0
        while after is not None:
            answer = await self._call(command, after=after, **arguments)
            found += answer[what]
            after = answer.get("next_after")
        return found


class LiveEntitlements:
    """Everybody's grants as a server follows them, and a word to whoever must know that some began or ended.

    Grants hold as last received while Administration is away; their own beginnings and ends are kept by the clock.
    """

    def __init__(self, client: AdministrationClient, clock: Clock) -> None:
        self.view = client.entitlements()
        self._clock = clock
        self._entitlements = Entitlements()
        self._observers: list[Callable[[], object]] = []
        self._timer: IDelayedCall | None = None
        self.view.observe(self._changed)
        self.view.observe_version(self._told)

    def allows(self, account_id: int, venue: Venue, record_type: RecordType) -> bool:
        """Return whether an account may see market data of a listing venue and type now."""
        return self._entitlements.allows(account_id, venue, record_type, self._clock.now())

    def on_change(self, callback: Callable[[], object]) -> None:
        """Call back after each change of what anybody may see, by a person or by the clock."""
        self._observers.append(callback)

    async def when_ready(self) -> None:
        """Wait for the first snapshot."""
        await self.view.when_ready()

    def close(self) -> None:
        """Follow no more."""
        self.view.close()
        self._quiet()

    def _changed(self, _: str, old: EntitlementGrant | None, new: EntitlementGrant | None) -> None:
        if old is not None:
            self._entitlements.remove(old)
        if new is not None:
            self._entitlements.put(new)

    def _told(self) -> None:
        self._quiet()
        now = self._clock.now()
        due = self._entitlements.next_change(now)
        if due is not None:
            seconds = min((due - now) / NANOSECONDS, LONGEST_WAIT_SECONDS)
            self._timer = self._clock.later(seconds, self._told)
        for callback in tuple(self._observers):
            callback()

    def _quiet(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
