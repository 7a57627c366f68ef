"""Who may see which market data now (sans-I/O): the grants of all accounts, asked with the time as an argument."""

from collections.abc import Iterable, Iterator

from spire.administration.values import EntitlementGrant
from spire.marketdata.values import RecordType
from spire.values.codes import Venue
from spire.values.time import Timestamp


class Entitlements:
    """The grants in force, by account; a revoked one is taken away."""

    def __init__(self, grants: Iterable[EntitlementGrant] = ()) -> None:
        self._grants: dict[int, dict[int, EntitlementGrant]] = {}
        for grant in grants:
            self.put(grant)

    def put(self, grant: EntitlementGrant) -> None:
        """Take a grant over; a revoked one is no more."""
        if grant.revoked is not None:
            self.remove(grant)
        else:
            self._grants.setdefault(grant.terms.account_id, {})[grant.grant_id] = grant

    def remove(self, grant: EntitlementGrant) -> None:
        """Forget a grant."""
        self._grants.get(grant.terms.account_id, {}).pop(grant.grant_id, None)

    def of(self, account_id: int) -> tuple[EntitlementGrant, ...]:
        """Return an account's grants, by id."""
        grants = self._grants.get(account_id, {})
        return tuple(grants[number] for number in sorted(grants))

    def allows(self, account_id: int, venue: Venue, record_type: RecordType, now: Timestamp) -> bool:
        """Return whether an account may see market data of a listing venue and type now."""
        return any(_covers(grant, venue, record_type) and _counts(grant, now) for grant in self._all(account_id))

    def next_change(self, now: Timestamp) -> Timestamp | None:
        """Return the next time at which a grant begins or ends by itself; None where none does."""
        times = [
            time
            for grants in self._grants.values()
            for grant in grants.values()
            for time in (grant.effective_from, grant.effective_to)
            if time is not None and time > now
        ]
        return min(times, default=None)

    def _all(self, account_id: int) -> Iterator[EntitlementGrant]:
        return iter(self._grants.get(account_id, {}).values())


def _covers(grant: EntitlementGrant, venue: Venue, record_type: RecordType) -> bool:
    terms = grant.terms
    return terms.listing_venue in (None, venue) and terms.record_type in (None, record_type)


def _counts(grant: EntitlementGrant, now: Timestamp) -> bool:
    return grant.effective_from <= now and (grant.effective_to is None or now < grant.effective_to)
