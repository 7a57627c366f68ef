"""From boxes to the Definitions Server's methods and back."""

from typing import Any

from twisted.protocols.amp import CommandLocator

from spire.definitions.commands import AddInstrument, FindInstruments, LoadDataset
from spire.definitions.instruments import InstrumentDraft
from spire.definitions.server import DefinitionsService
from spire.wire.server_session import Session


class DefinitionsResponders(CommandLocator):
    """What everybody who is logged in may call."""

    def __init__(self, session: Session, service: DefinitionsService) -> None:
        self._session = session
        self._service = service

    @LoadDataset.responder
    async def load_dataset(self, dataset: str, after: str | None = None) -> dict[str, Any]:
        """Answer a page of a dataset."""
        version, rows, last = await self._service.load_dataset(self._session, dataset, after)
        return {"version": version, "rows": rows, "last": last}

    @FindInstruments.responder
    async def find_instruments(self, text: str, after: int, limit: int) -> dict[str, Any]:
        """Answer a page of instruments."""
        instruments, next_after = await self._service.find_instruments(self._session, text, after, limit)
        return {"instruments": instruments, "next_after": next_after}

    @AddInstrument.responder
    async def add_instrument(self, draft: InstrumentDraft) -> dict[str, Any]:
        """Add an instrument."""
        return {"instrument": await self._service.add_instrument(self._session, draft)}
