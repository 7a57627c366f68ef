"""From boxes to the Relay's methods and back."""

from typing import Any

from twisted.protocols.amp import CommandLocator, IResponderLocator
from zope.interface import implementer

from spire.marketdata.commands import FindLastRecords, TakeSnapshot
from spire.marketdata.snapshots import SnapshotPages
from spire.relay.server import RelayServer
from spire.series.gate import Gate
from spire.wire.guard import Responders
from spire.wire.interfaces import IAvatars
from spire.wire.server_session import Session


class RelayResponders(CommandLocator):
    """What a client may call beside series and streams."""

    def __init__(self, session: Session, server: RelayServer) -> None:
        self._session = session
        self._server = server
        self._pages = SnapshotPages()
        session.on_close(self._pages.drop)

    @TakeSnapshot.responder
    async def take_snapshot(self, instrument: int, book_offset: int, without_book: bool = False) -> dict[str, Any]:
        """Answer what is current of an instrument, or the next page of what was."""
        kept = self._pages.kept(instrument, book_offset)
        snapshot = await self._server.snapshot(self._session, instrument, kept, with_book=not without_book)
        return self._pages.answer(instrument, snapshot, book_offset if snapshot.book_through else 0)

    @FindLastRecords.responder
    async def find_last_records(self, instrument: int, trade_date: str) -> dict[str, Any]:
        """Answer the last records of a trade date."""
        return await self._server.last_records(self._session, instrument, trade_date)


@implementer(IAvatars)
class RelayAvatars:
    """Market data for everybody who is logged in; what of it he may see is asked at every call."""

    def __init__(self, server: RelayServer, gate: Gate) -> None:
        self._server = server
        self._gate = gate

    def anonymous(self, session: Session) -> IResponderLocator:  # noqa: ARG002 (nobody may anything before login)
        """Return an empty table."""
        return CommandLocator()

    def avatar(self, session: Session) -> IResponderLocator:
        """Return history, streams and snapshots."""
        return Responders(self._gate.table(session), RelayResponders(session, self._server))

    def closed(self, session: Session) -> None:
        """Keep nothing: streams and loads release themselves."""
