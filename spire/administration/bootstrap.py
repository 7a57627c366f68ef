"""What set-up writes into Administration, so that the first trader can trade: limits and a grant where there are none."""

from collections.abc import Awaitable, Callable
from typing import Final

from attrs import frozen

from spire.administration.interfaces import Change, IAdministrationStore
from spire.administration.values import EntitlementGrant, GrantTerms, Limits, LimitTerms
from spire.service.audit import SETUP, SetupTrail
from spire.values.amounts import Money, whole
from spire.values.codes import Currency
from spire.values.environment import Environment
from spire.values.time import Timestamp
from spire.wire.errors import Conflict

NOBODY: Final = 0
"""The actor in rows: no account."""

PRODUCT: Final = "demo"
BUYING_POWER: Final = Money(whole(1_000_000))
NET_LOSS: Final = Money(whole(100_000))
TRANSITION_SECONDS: Final = 300


@frozen(kw_only=True)
class AdministrationSetup:
    """Which trading accounts get limits in `currency`, and which accounts a grant of every venue, if they have none."""

    trading_accounts: tuple[int, ...] = ()
    accounts: tuple[int, ...] = ()
    currency: Currency


async def setup_administration(
    store: IAdministrationStore,
    setup: AdministrationSetup,
    *,
    environment: Environment,
    now: Timestamp,
    random_bytes: Callable[[int], bytes],
    next_id: Callable[[], Awaitable[int]],
) -> bool:
    """Write what is missing, each with its audit event; return whether anything was.

    It may be run again at any time: what was ever set stays as it is, and an account whose grants were revoked gets none.
    `next_id` reserves the id of a grant. Raises Conflict where a running server writes the same meanwhile, StoreDown.
    """
    trail = SetupTrail(environment=environment, now=now, random_bytes=random_bytes)
    stored = await store.load()
    has_limits = {limits.trading_account_id for limits in stored.limits}

    async def write(change: Change, action: str, entity: str, version: int | None = None) -> None:
        event = trail.event(action, entity, version=version, after=change)
        if await store.write(change, event) is None:
            raise Conflict(f"Somebody else set {entity} at the same time; run the set-up again.")

    changed = False
    for number in sorted({*setup.trading_accounts} - has_limits):
        await write(_limits(number, setup.currency, now), "limits.set", f"trading_account:{number}", 1)
        changed = True
    for number in sorted({*setup.accounts}):
        if not await store.grants_of(number, 0, 1):
            await write(_grant(await next_id(), number, now), "entitlement.grant", f"account:{number}")
            changed = True
    return changed


def _limits(trading_account_id: int, currency: Currency, now: Timestamp) -> Limits:
    return Limits(
        trading_account_id=trading_account_id,
        terms=LimitTerms(
            currency=currency,
            buying_power=BUYING_POWER,
            net_loss=NET_LOSS,
            transition_seconds=TRANSITION_SECONDS,
        ),
        version=1,
        reason=SETUP,
        actor=NOBODY,
        effective_from=now,
    )


def _grant(grant_id: int, account_id: int, now: Timestamp) -> EntitlementGrant:
    return EntitlementGrant(
        grant_id=grant_id,
        terms=GrantTerms(account_id=account_id, product=PRODUCT, listing_venue=None),
        effective_from=now,
        effective_to=None,
        granted=now,
        granted_by=NOBODY,
        reason=SETUP,
    )
