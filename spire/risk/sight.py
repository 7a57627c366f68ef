"""Whose marks somebody may see (sans-I/O): a mark tells the live quote of its listing venue (docs/risk.md)."""

from attrs import evolve

from spire.locator.directory import Directory
from spire.marketdata.values import RecordType
from spire.relay.rights import Rights
from spire.risk import access
from spire.risk.values import MarkedPosition
from spire.wire.errors import NotFound
from spire.wire.identity import Identity


class Sight:
    """Answers for an identity, by the live directory and the grants in force."""

    def __init__(self, *, directory: Directory, rights: Rights) -> None:
        self._directory = directory
        self._rights = rights

    def sees(self, identity: Identity, instrument_id: int) -> bool:
        """Return whether an identity may see the best bid and offer of an instrument; of an unknown one it may not."""
        if access.sees_all(self._directory, identity):
            return True
        try:
            return self._rights.refusal(identity, instrument_id, RecordType.BBO) is None
        except NotFound:
            return False

    def seen(self, identity: Identity, position: MarkedPosition) -> MarkedPosition:
        """Return a position as an identity may see it: without what its mark says, where that is not for him."""
        if position.mark is None or self.sees(identity, position.instrument_id):
            return position
        return evolve(position, mark=None, mark_source=None, unrealised=None)
