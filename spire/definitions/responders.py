"""From boxes to the Definitions Server's methods and back."""

from typing import Any

from twisted.protocols.amp import CommandLocator, IResponderLocator
from zope.interface import implementer

from spire.definitions.commands import AddInstrument, FindInstruments, LoadDataset
from spire.definitions.instruments import InstrumentDraft
from spire.definitions.server import DefinitionsService
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.wire.guard import Responders
from spire.wire.interfaces import IAvatars
from spire.wire.server_session import Session
from spire.wire.stream_responders import StreamResponders


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


@implementer(IAvatars)
class DefinitionsAvatars:
    """Who is logged in may read everything; adding instruments asks for more."""

    def __init__(self, service: DefinitionsService, *, clock: Clock, tasks: Tasks) -> None:
        self._service = service
        self._clock = clock
        self._tasks = tasks

    def anonymous(self, session: Session) -> IResponderLocator:  # noqa: ARG002 - nobody may call anything before login
        """Return nothing to call."""
        return CommandLocator()

    def avatar(self, session: Session) -> IResponderLocator:
        """Return commands and streams."""
        streams = StreamResponders(session, self._service, clock=self._clock, tasks=self._tasks)
        return Responders(DefinitionsResponders(session, self._service), streams)

    def closed(self, session: Session) -> None:
        """Forget nothing: streams release themselves."""
