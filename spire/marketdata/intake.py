"""What feeds may do: open a session, publish, say that they live, end; and what happens when one stays away."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Final

from twisted.logger import Logger

from spire.marketdata.acceptance import BatchRequest, EndRequest, Opened, OpenRequest, RemoveRequest
from spire.marketdata.commands import FeedTerms
from spire.marketdata.feed_session import FeedSession, FeedSessions, Opening
from spire.marketdata.markets import Markets
from spire.marketdata.pipeline import Pipeline
from spire.marketdata.validation import Universe, UnknownInstrumentError, check_batch, latest_time
from spire.marketdata.values import LAYOUT_VERSION, Records, RecordType, unpack
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.wire.errors import Conflict, Invalid, Overloaded, SpireError, Unavailable
from spire.wire.server_session import Session

PUBLISH: Final = "market_data.publish"
"""The capability that a feed's account needs."""

FIRST_DATE: Final = date(1970, 1, 2)
LAST_DATE: Final = date(2261, 12, 31)
"""What 64 bits of nanoseconds since 1970 reach, in any time zone."""


class FeedIntake:
    """The feed side of the server.

    `backlog_limit` is the number of unstored records at which feeds should wait; at twice that batches are refused. `grace_seconds`
    is how long a feed may be away before its book rows are removed.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        markets: Markets,
        make_universe: Callable[[], Universe],
        clock: Clock,
        tasks: Tasks,
        backlog_limit: int,
        grace_seconds: float,
    ) -> None:
        self._pipeline = pipeline
        self._markets = markets
        self._make_universe = make_universe
        self.universe = Universe((), ())
        self._clock = clock
        self._tasks = tasks
        self.backlog_limit = backlog_limit
        self._grace_seconds = grace_seconds
        self._served: dict[tuple[int, RecordType], frozenset[int]] = {}
        self._watched: set[str] = set()
        self._is_retired = False

    @property
    def sessions(self) -> FeedSessions:
        """Every feed session."""
        return self._pipeline.acceptance.sessions

    @property
    def backlog(self) -> int:
        """Return how many accepted or waiting records the store does not hold."""
        return self._pipeline.backlog

    async def open_feed_session(
        self, session: Session, terms: FeedTerms, *, keeps_book: bool, resumes: int | None = None
    ) -> Opened:
        """Open a feed session or go on with the unfinished one of that name.

        Raises Forbidden without the capability or for a replay in PRODUCTION, Invalid, Conflict, NotFound.
        """
        session.require(PUBLISH)
        self._refuse_if_retired()
        trade_date = _trade_date(terms.trade_date)
        for market in terms.serves:
            if not self.universe.is_venue(market.venue):
                raise Invalid(f"there is no venue {market.venue}", argument="terms.serves")
        if terms.layout_version != LAYOUT_VERSION:
            raise Invalid(f"records have layout version {LAYOUT_VERSION} here, not {terms.layout_version}")
        identity = session.identity
        opening = Opening(
            name=terms.name,
            account_id=identity.account_id,
            account=identity.account,
            kind=terms.kind,
            trade_date=trade_date,
            schedule=terms.schedule,
            environment=terms.environment,
            serves=terms.serves,
        )
        if session.id not in self._watched:
            self._watched.add(session.id)
            session.on_close(lambda: self._lost(session.id))
        request = OpenRequest(opening=opening, connection=session.id, keeps_book=keeps_book, resumes=resumes)
        opened = await self._pipeline.submit(request)
        assert isinstance(opened, Opened)
        number = opened.session.feed_session_id
        for kind in RecordType:
            venues = frozenset(market.venue for market in opened.session.serves if market.record_type is kind)
            self._served[number, kind] = venues
        if session.id not in self._watched:  # it went while its request waited
            self._lost(session.id)
        self._markets.hear(number)
        self._markets.session_changed(number)
        self._log.info(
            "{account} serves feed session {name} from {position}",
            account=identity.account,
            name=terms.name,
            position=opened.session.position,
        )
        return opened

    async def publish_batch(
        self, session: Session, feed_session: int, first: int, count: int, payloads: dict[RecordType, bytes]
    ) -> int:
        """Accept a batch; returns its last position when it is durable and visible.

        Raises Invalid for records that must not be accepted, Overloaded when feeds outrun the store, Conflict for a session that is
        not open on this connection, Refused with JOURNAL_FULL.
        """
        self._refuse_if_retired()
        if self._pipeline.backlog > 2 * self.backlog_limit:
            raise Overloaded(f"{self._pipeline.backlog} records wait for the store: send it again later")
        records = self._checked(feed_session, payloads)
        if sum(len(part) for part in records.values()) != count:
            raise Invalid(f"the batch does not hold {count} records", argument="count")
        if self._pipeline.acceptance.connection_of(feed_session) == session.id:
            self._markets.hear(feed_session)
        accepted = await self._pipeline.submit(
            BatchRequest(feed_session=feed_session, connection=session.id, first=first, count=count, records=records)
        )
        assert isinstance(accepted, int)
        return accepted

    def heartbeat(self, session: Session, feed_session: int) -> int:
        """Take a feed's sign of life; returns its accepted position. Raises Conflict when it is not open on this connection."""
        if self._pipeline.acceptance.connection_of(feed_session) != session.id:
            raise Conflict(f"feed session {feed_session} is not open on this connection")
        self._markets.hear(feed_session)
        return self._pipeline.acceptance.sessions.get(feed_session).position

    async def close_feed_session(self, session: Session, feed_session: int) -> int:
        """End a feed session at the end of its data; returns its last position."""
        request = EndRequest(feed_session=feed_session, connection=session.id)
        accepted = await self._pipeline.submit(request)
        assert isinstance(accepted, int)
        return accepted

    def retire(self) -> None:
        """Take nothing any more: another server owns the tables now."""
        self._is_retired = True

    def watch(self, feed_sessions: Iterable[FeedSession]) -> None:
        """Begin the grace period of sessions whose feeds are not here (after a start)."""
        for session in feed_sessions:
            self._clock.later(self._grace_seconds, self._grace_over, session.feed_session_id)

    def refresh(self) -> None:
        """Look at Definitions again."""
        self.universe = self._make_universe()

    def _checked(self, feed_session: int, payloads: dict[RecordType, bytes]) -> dict[RecordType, Records]:
        try:
            records = {kind: part for kind, payload in payloads.items() if len(part := unpack(kind, payload))}
            try:
                self._check(feed_session, records)
            except UnknownInstrumentError:
                self.refresh()
                self._check(feed_session, records)
        except UnknownInstrumentError as error:
            raise Unavailable(f"{error}: Definitions may not have told this server of it yet") from error
        except ValueError as error:
            raise Invalid(str(error)) from error
        return records

    def _check(self, feed_session: int, records: dict[RecordType, Records]) -> None:
        session = self.sessions.get(feed_session)
        latest = latest_time(date.fromisoformat(session.trade_date), session.schedule)
        for kind, part in records.items():
            served = self._served.get((feed_session, kind), frozenset())
            check_batch(kind, part, self.universe, served, latest=latest)

    def _refuse_if_retired(self) -> None:
        if self._is_retired:
            raise Unavailable("Another Market Data Server has taken over.")

    def _lost(self, connection: str) -> None:
        self._watched.discard(connection)
        for number in self._pipeline.acceptance.detach(connection):
            session = self._pipeline.acceptance.sessions.get(number)
            self._markets.session_changed(number)
            if session.ended is None:
                self._log.warn("feed session {name} lost its feed", name=session.name)
                self._clock.later(self._grace_seconds, self._grace_over, number)

    def _grace_over(self, feed_session: int) -> None:
        session = self._pipeline.acceptance.sessions.get(feed_session)
        if session.ended is None and self._pipeline.acceptance.connection_of(feed_session) is None:
            self._tasks.spawn("book removal", self._remove(feed_session))

    async def _remove(self, feed_session: int) -> None:
        try:
            await self._pipeline.submit(RemoveRequest(feed_session=feed_session))
        except SpireError as error:
            self._log.warn("book rows of feed session {number} stay: {error}", number=feed_session, error=str(error))
            self._clock.later(self._grace_seconds, self._grace_over, feed_session)


def _trade_date(text: str) -> str:
    """Return an ISO date that timestamps reach. Raises Invalid."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{text!r} is no date", argument="terms.trade_date") from None
    if not FIRST_DATE <= day <= LAST_DATE:
        raise Invalid(f"{text} is no trade date from {FIRST_DATE} to {LAST_DATE}", argument="terms.trade_date")
    return day.isoformat()
