"""From boxes to the Uid Server's methods and back."""

from typing import Any

from twisted.protocols.amp import CommandLocator

from spire.uid.commands import ReserveBlock
from spire.uid.server import UidService
from spire.wire.server_session import Session


class UidResponders(CommandLocator):
    """What whoever holds `uid.reserve` may call."""

    def __init__(self, session: Session, service: UidService) -> None:
        super().__init__()
        self._session = session
        self._service = service

    @ReserveBlock.responder
    async def reserve_block(self, size: int) -> dict[str, Any]:
        """Reserve a block."""
        return {"first": await self._service.reserve_block(self._session, size)}
