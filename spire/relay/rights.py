"""Who may see which market data now: the capability to see all of it, or a grant for the listing venue and type.

Sans-I/O; the Relay and Charting ask it for every call, and again whenever rights may have changed.
"""

from collections.abc import Callable
from typing import Final

from spire.locator.directory import SERVICE, Directory
from spire.marketdata.values import RecordType
from spire.values.codes import Venue
from spire.wire.errors import Forbidden
from spire.wire.identity import Identity

READ_ALL: Final = "market_data.all"
"""The capability to see every venue and type; a person needs grants instead."""


class Rights:
    """Answers for an identity, by the live directory and the grants in force.

    `allows(account, listing venue, type)` evaluates the grants; `venue_of(instrument)` answers an instrument's listing
    venue and raises NotFound; `note(account, listing venue, type)` hears of each person who sees something. An account
    that somebody acts for is that account.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        allows: Callable[[int, Venue, RecordType], bool],
        venue_of: Callable[[int], Venue],
        note: Callable[[int, Venue, RecordType], object],
    ) -> None:
        self._directory = directory
        self._allows = allows
        self._venue_of = venue_of
        self._note = note

    def refusal(self, identity: Identity, instrument: int, record_type: RecordType) -> Forbidden | None:
        """Return why an identity may not see a type of an instrument, or None where it may. Raises NotFound."""
        venue = self._venue_of(instrument)
        if not self._may_see(identity, venue, record_type):
            return Forbidden(
                f"{identity.account} is not entitled to {record_type.name} of {venue}; an administrator can grant it.",
                venue=venue,
                type=record_type.name,
            )
        if SERVICE not in identity.roles:
            self._note(identity.account_id, venue, record_type)
        return None

    def visible(self, identity: Identity, instrument: int, record_types: tuple[RecordType, ...]) -> set[RecordType]:
        """Return which of some types of an instrument an identity may see.

        Raises NotFound, and Forbidden where it may see none of them.
        """
        refusals = {kind: self.refusal(identity, instrument, kind) for kind in record_types}
        found = {kind for kind, refused in refusals.items() if refused is None}
        if not found:
            names = " or ".join(kind.name for kind in record_types)
            venue = self._venue_of(instrument)
            raise Forbidden(
                f"{identity.account} is not entitled to {names} of {venue}; an administrator can grant it.",
                venue=venue,
                type=",".join(kind.name for kind in record_types),
            )
        return found

    def _may_see(self, identity: Identity, venue: Venue, record_type: RecordType) -> bool:
        if identity.holds(READ_ALL) and self._still_holds(identity.account_id):
            return True
        return self._allows(identity.account_id, venue, record_type)

    def _still_holds(self, account_id: int) -> bool:
        """Ask the live directory too; an account that it does not know yet has lost nothing."""
        return account_id not in self._directory or READ_ALL in self._directory.capabilities(account_id)
