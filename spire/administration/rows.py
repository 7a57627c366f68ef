"""How rows of the tables `administration_*` become values and back."""

from typing import Any, Final

from spire.administration.values import (
    BusinessDay,
    EntitlementGrant,
    GrantMode,
    GrantTerms,
    Identity,
    Limits,
    LimitTerms,
    Profile,
    RiskState,
    SubscriberStatus,
    Usage,
)
from spire.marketdata.values import RecordType
from spire.values.amounts import Money
from spire.values.codes import Currency, Venue
from spire.values.risk import RiskMode
from spire.values.time import Timestamp

LIMITS: Final = """trading_account_id, version, currency, buying_power, net_loss, transition_seconds, allowed_state, reason,
    actor, effective_from, effective_to"""
STATE: Final = "trading_account_id, version, mode, reason, actor, on_behalf_of, since, expiry, business_date"
GRANT: Final = """grant_id, account_id, product, listing_venue, source_venue, record_type, mode, subscriber, asked_from, asked_to,
    effective_from, effective_to, granted, granted_by, reason, revoked, revoked_by, revoke_reason"""
PROFILE: Final = "first_name, last_name, e_mail, telephone, address, city, province, country, notes"
"""The columns, in the order of the rows."""


def limits_of(row: tuple[Any, ...]) -> Limits:
    """Return the limits in a row of `administration_limits` or of its history."""
    trading_account_id, version, currency, buying_power, net_loss, transition, allowed, reason, actor, since, until = (
        row
    )
    return Limits(
        trading_account_id=trading_account_id,
        terms=LimitTerms(
            currency=Currency(currency),
            buying_power=Money(buying_power),
            net_loss=Money(net_loss),
            transition_seconds=transition,
            allowed_state=RiskMode(allowed),
        ),
        version=version,
        reason=reason,
        actor=actor,
        effective_from=since,
        effective_to=until,
    )


def limits_row(limits: Limits) -> tuple[object, ...]:
    """Return limits as a row."""
    terms = limits.terms
    return (
        limits.trading_account_id,
        limits.version,
        terms.currency,
        terms.buying_power,
        terms.net_loss,
        terms.transition_seconds,
        int(terms.allowed_state),
        limits.reason,
        limits.actor,
        limits.effective_from,
        limits.effective_to,
    )


def state_of(row: tuple[Any, ...]) -> RiskState:
    """Return the risk state in a row."""
    trading_account_id, version, mode, reason, actor, on_behalf_of, since, expiry, business_date = row
    return RiskState(
        trading_account_id=trading_account_id,
        mode=RiskMode(mode),
        version=version,
        reason=reason,
        actor=actor,
        on_behalf_of=on_behalf_of,
        since=since,
        expiry=expiry,
        business_date=business_date,
    )


def state_row(state: RiskState) -> tuple[object, ...]:
    """Return a risk state as a row."""
    return (
        state.trading_account_id,
        state.version,
        int(state.mode),
        state.reason,
        state.actor,
        state.on_behalf_of,
        state.since,
        state.expiry,
        state.business_date,
    )


def grant_of(row: tuple[Any, ...]) -> EntitlementGrant:
    """Return the grant in a row."""
    grant_id, account_id, product, listing, source, kind, mode, subscriber, asked_from, asked_to = row[:10]
    since, until, granted, granted_by, reason, revoked, revoked_by, revoke_reason = row[10:]
    return EntitlementGrant(
        grant_id=grant_id,
        terms=GrantTerms(
            account_id=account_id,
            product=product,
            listing_venue=None if listing is None else Venue(listing),
            source_venue=None if source is None else Venue(source),
            record_type=None if kind is None else RecordType(kind),
            mode=GrantMode(mode),
            subscriber=SubscriberStatus(subscriber),
            effective_from=asked_from,
            effective_to=asked_to,
        ),
        effective_from=since,
        effective_to=until,
        granted=granted,
        granted_by=granted_by,
        reason=reason,
        revoked=revoked,
        revoked_by=revoked_by,
        revoke_reason=revoke_reason,
    )


def grant_row(grant: EntitlementGrant) -> tuple[object, ...]:
    """Return a grant as a row."""
    terms = grant.terms
    return (
        grant.grant_id,
        terms.account_id,
        terms.product,
        terms.listing_venue,
        terms.source_venue,
        None if terms.record_type is None else int(terms.record_type),
        int(terms.mode),
        int(terms.subscriber),
        terms.effective_from,
        terms.effective_to,
        grant.effective_from,
        grant.effective_to,
        grant.granted,
        grant.granted_by,
        grant.reason,
        grant.revoked,
        grant.revoked_by,
        grant.revoke_reason,
    )


def identity_of(row: tuple[Any, ...]) -> Identity:
    """Return the identity in a row."""
    return Identity(
        account_id=row[0], version=row[1], profile=_profile(row[2:-2]), actor=row[-2], updated=Timestamp(row[-1])
    )


def _profile(values: tuple[str, ...]) -> Profile:
    return Profile(**dict(zip(PROFILE.split(", "), values, strict=True)))


def day_of(row: tuple[Any, ...]) -> BusinessDay:
    """Return the business day in a row."""
    return BusinessDay(business_date=row[0], opened=row[1], opened_by=row[2], closed=row[3])


def usage_of(row: tuple[Any, ...]) -> Usage:
    """Return the usage in a row."""
    return Usage(date=row[0], account_id=row[1], listing_venue=Venue(row[2]), record_type=RecordType(row[3]))
