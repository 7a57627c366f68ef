"""What may be set (sans-I/O): each function raises Invalid with the argument that cannot stand, or returns it."""

import datetime
from collections.abc import Callable
from typing import Final

from attrs import asdict

from spire.administration.values import GrantMode, GrantTerms, LimitTerms, Profile, Usage
from spire.locator.directory import RISK_OFFICER
from spire.values.codes import Venue
from spire.values.time import Timestamp
from spire.wire.errors import Forbidden, Invalid, Unsupported

LARGEST: Final = 2**63 - 1
LONGEST_TRANSITION_SECONDS: Final = 86_400
LONGEST_PRODUCT: Final = 100
MOST_USAGE: Final = 500
"""Rows of usage in one call."""

MOST_DAYS_AHEAD: Final = 7

PROFILE_LIMITS: Final = {"e_mail": 320, "address": 1_000, "country": 2, "notes": 4_000}
PROFILE_LIMIT: Final = 200

Knows = Callable[[str], bool]
"""Whether Definitions has a code."""


def check_reason(reason: str) -> str:
    """Return a reason that says something."""
    if not reason.strip():
        raise Invalid("A reason is needed: it is what the record will say.", argument="reason")
    return reason


def check_limits(terms: LimitTerms, knows_currency: Knows) -> LimitTerms:
    """Return limits that can be set."""
    for name, amount in (("buying_power", terms.buying_power), ("net_loss", terms.net_loss)):
        if not 0 <= amount <= LARGEST:
            raise Invalid(f"{name} is an amount of 0 or more, in 64 bits.", argument=f"terms.{name}")
    if not 0 <= terms.transition_seconds <= LONGEST_TRANSITION_SECONDS:
        raise Invalid(
            f"transition_seconds lies between 0 and {LONGEST_TRANSITION_SECONDS}.", argument="terms.transition_seconds"
        )
    if not knows_currency(terms.currency):
        raise Invalid(f"There is no currency {terms.currency}.", argument="terms.currency")
    return terms


def check_grant(terms: GrantTerms, knows_venue: Knows, now: Timestamp) -> Timestamp:
    """Return when a grant with these terms begins. Raises Unsupported for data with a delay."""
    if not 0 < len(terms.product) <= LONGEST_PRODUCT:
        raise Invalid(f"A product has 1 to {LONGEST_PRODUCT} characters.", argument="terms.product")
    for name, venue in (("listing_venue", terms.listing_venue), ("source_venue", terms.source_venue)):
        if venue is not None:
            _check_venue(venue, knows_venue, f"terms.{name}")
    if terms.mode is GrantMode.DELAYED:
        raise Unsupported("Market data with a delay is not served by this release.", argument="terms.mode")
    for name, time in (("effective_from", terms.effective_from), ("effective_to", terms.effective_to)):
        if time is not None and not 0 <= time <= LARGEST:
            raise Invalid(f"{name} is no time.", argument=f"terms.{name}")
    begins = now if terms.effective_from is None else terms.effective_from
    if terms.effective_to is not None and terms.effective_to <= begins:
        raise Invalid("A grant ends after it begins.", argument="terms.effective_to")
    return begins


def check_profile(profile: Profile, knows_country: Knows) -> Profile:
    """Return a profile that can be stored."""
    for name, text in asdict(profile).items():
        longest = PROFILE_LIMITS.get(name, PROFILE_LIMIT)
        if len(text) > longest:
            raise Invalid(f"{name} has at most {longest} characters.", argument=f"profile.{name}")
    if profile.country and not knows_country(profile.country):
        raise Invalid(f"There is no country {profile.country}.", argument="profile.country")
    return profile


def check_expiry(expiry: Timestamp | None) -> Timestamp | None:
    """Return a time that can be stored."""
    if expiry is not None and not 0 <= expiry <= LARGEST:
        raise Invalid("expiry is no time.", argument="expiry")
    return expiry


def check_date(text: str, argument: str = "business_date") -> str:
    """Return an ISO date, such as 2013-10-08."""
    try:
        if datetime.date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise Invalid(f"{text!r} is no date; write it as 2013-10-08.", argument=argument)


def check_day(text: str, today: datetime.date, *, may_go_ahead: bool) -> str:
    """Return a business date that can be opened, `today` being the firm's date.

    A date that has not come begins the profit of all accounts anew: only who `may_go_ahead` opens it, and not further ahead
    than a week of holidays, because no earlier date is ever opened again. Raises Forbidden, Invalid.
    """
    ahead = (datetime.date.fromisoformat(check_date(text)) - today).days
    if ahead > MOST_DAYS_AHEAD:
        raise Invalid(
            f"Today is {today}; at most {MOST_DAYS_AHEAD} days ahead can be opened.", argument="business_date"
        )
    if ahead > 0 and not may_go_ahead:
        raise Forbidden(f"Today is {today}; only a risk officer opens a date that has not come.", role=RISK_OFFICER)
    return text


def check_usage(usage: tuple[Usage, ...], knows_venue: Knows) -> tuple[Usage, ...]:
    """Return usage that can be recorded."""
    if len(usage) > MOST_USAGE:
        raise Invalid(f"At most {MOST_USAGE} rows are recorded at once.", argument="usage")
    for each in usage:
        check_date(each.date, "usage.date")
        _check_venue(each.listing_venue, knows_venue, "usage.listing_venue")
        if not 0 < each.account_id <= LARGEST:
            raise Invalid("account_id is no id.", argument="usage.account_id")
    return usage


def _check_venue(venue: Venue, knows_venue: Knows, argument: str) -> None:
    if not knows_venue(venue):
        raise Invalid(f"There is no venue {venue}.", argument=argument)
