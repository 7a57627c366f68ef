"""From boxes to the Market Data Server's methods and back: one table for feeds, one for clients."""

from typing import Any

from twisted.protocols.amp import CommandLocator, IResponderLocator
from zope.interface import implementer

from spire.marketdata.archive import READ_ALL
from spire.marketdata.commands import (
    CloseFeedSession,
    FeedHeartbeat,
    FeedTerms,
    FindLastRecords,
    OpenFeedSession,
    PublishBatch,
    TakeSnapshot,
)
from spire.marketdata.intake import PUBLISH, FeedIntake
from spire.marketdata.server import MarketDataServer
from spire.marketdata.snapshots import SnapshotPages
from spire.marketdata.values import RecordType
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.series.responders import SeriesResponders
from spire.wire.guard import Responders
from spire.wire.interfaces import IAvatars
from spire.wire.server_session import Session
from spire.wire.stream_responders import StreamResponders


class FeedResponders(CommandLocator):
    """What a feed may call."""

    def __init__(self, session: Session, intake: FeedIntake) -> None:
        self._session = session
        self._intake = intake

    @OpenFeedSession.responder
    async def open_feed_session(self, terms: FeedTerms, keeps_book: bool, resumes: int | None = None) -> dict[str, Any]:
        """Open or go on with a feed session."""
        opened = await self._intake.open_feed_session(self._session, terms, keeps_book=keeps_book, resumes=resumes)
        return {
            "feed_session": opened.session.feed_session_id,
            "position": opened.session.position,
            "removed_book": opened.removed_book,
            "backlog_limit": self._intake.backlog_limit,
        }

    @PublishBatch.responder
    async def publish_batch(
        self,
        feed_session: int,
        first: int,
        count: int,
        trades: bytes | None = None,
        bbos: bytes | None = None,
        books: bytes | None = None,
    ) -> dict[str, Any]:
        """Accept a batch."""
        given = {RecordType.TRADE: trades, RecordType.BBO: bbos, RecordType.BOOK: books}
        payloads = {kind: payload for kind, payload in given.items() if payload}
        position = await self._intake.publish_batch(self._session, feed_session, first, count, payloads)
        return {"position": position, "backlog": self._intake.backlog}

    @FeedHeartbeat.responder
    def heartbeat(self, feed_session: int) -> dict[str, Any]:
        """Take a sign of life."""
        position = self._intake.heartbeat(self._session, feed_session)
        return {"position": position, "backlog": self._intake.backlog}

    @CloseFeedSession.responder
    async def close_feed_session(self, feed_session: int) -> dict[str, Any]:
        """End a feed session."""
        return {"position": await self._intake.close_feed_session(self._session, feed_session)}


class ClientResponders(CommandLocator):
    """What a client may call beside series and streams."""

    def __init__(self, session: Session, server: MarketDataServer) -> None:
        self._session = session
        self._server = server
        self._pages = SnapshotPages()
        session.on_close(self._pages.drop)

    @TakeSnapshot.responder
    def take_snapshot(self, instrument: int, book_offset: int, without_book: bool = False) -> dict[str, Any]:
        """Answer what is current of an instrument, or the next page of what was."""
        self._session.require(READ_ALL)
        snapshot = self._pages.kept(instrument, book_offset)
        if snapshot is None:
            snapshot = self._server.snapshot(self._session, instrument, with_book=not without_book)
        return self._pages.answer(instrument, snapshot, book_offset)

    @FindLastRecords.responder
    async def find_last_records(self, instrument: int, trade_date: str) -> dict[str, Any]:
        """Answer the last records of a trade date."""
        trade, bbo = await self._server.archive.last_records(self._session, instrument, trade_date)
        return {"trade": trade.tobytes(), "bbo": bbo.tobytes()}


@implementer(IAvatars)
class FeedAvatars:
    """What the sessions of the feeds' port may call."""

    def __init__(self, server: MarketDataServer) -> None:
        self._server = server

    def anonymous(self, session: Session) -> IResponderLocator:  # noqa: ARG002 (nobody may anything before login)
        """Return an empty table."""
        return CommandLocator()

    def avatar(self, session: Session) -> IResponderLocator:
        """Return the feed's commands, for sessions that hold market_data.publish."""
        session.require(PUBLISH)
        return FeedResponders(session, self._server.intake)

    def closed(self, session: Session) -> None:
        """Keep nothing: the intake watches the session itself."""


@implementer(IAvatars)
class ClientAvatars:
    """What the sessions of the clients' port may call."""

    def __init__(self, server: MarketDataServer, *, clock: Clock, tasks: Tasks) -> None:
        self._server = server
        self._clock = clock
        self._tasks = tasks

    def anonymous(self, session: Session) -> IResponderLocator:  # noqa: ARG002 (nobody may anything before login)
        """Return an empty table."""
        return CommandLocator()

    def avatar(self, session: Session) -> IResponderLocator:
        """Return history, streams and snapshots, for sessions that hold market_data.all."""
        session.require(READ_ALL)
        return Responders(
            StreamResponders(session, self._server, clock=self._clock, tasks=self._tasks),
            SeriesResponders(session, self._server.archive, clock=self._clock, tasks=self._tasks),
            ClientResponders(session, self._server),
        )

    def closed(self, session: Session) -> None:
        """Keep nothing: streams and loads release themselves."""
