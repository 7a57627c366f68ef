"""Feed sessions: who serves which market, and up to which position (sans-I/O; DOMAIN section 4).

A feed numbers its records from 1; a batch is a contiguous range of positions. Batches are told apart by (feed session, position)
alone, never by content. A (listing venue, type) is served by one feed session at a time: a second one is a conflict while the feed
of the first is connected, else it ends the first.
"""

from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import Final

from attrs import evolve, frozen

from spire.marketdata.values import Schedule, ServedMarket
from spire.values.environment import Environment, FeedKind
from spire.values.time import Timestamp
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound

LONGEST_NAME: Final = 100
"""Characters of a feed session's name."""


@frozen(kw_only=True)
class FeedSession:
    """One feed session: `position` is the last that was accepted, `trade_date` an ISO date."""

    feed_session_id: int
    name: str
    account_id: int
    account: str
    kind: FeedKind
    trade_date: str
    schedule: Schedule
    environment: Environment
    serves: tuple[ServedMarket, ...]
    opened: Timestamp
    ended: Timestamp | None = None
    position: int = 0


@frozen(kw_only=True)
class Opening:
    """What a feed asks for; an unfinished session of that name is resumed."""

    name: str
    account_id: int
    account: str
    kind: FeedKind
    trade_date: str
    schedule: Schedule
    environment: Environment
    serves: tuple[ServedMarket, ...]


@frozen(kw_only=True)
class OpeningPlan:
    """What opening would do: the session, whether it is new, and the disconnected sessions that it ends."""

    session: FeedSession
    is_new: bool
    ends: tuple[int, ...] = ()


class Place(Enum):
    """Where a batch stands against what was accepted."""

    NEXT = auto()
    REPEATED = auto()


class FeedSessions:
    """Every feed session, the unfinished ones by name, and the current one of each market."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._sessions: dict[int, FeedSession] = {}
        self._unfinished: dict[str, int] = {}
        self._current: dict[ServedMarket, int] = {}

    @property
    def sessions(self) -> Mapping[int, FeedSession]:
        """Return all sessions by id."""
        return self._sessions

    @property
    def current(self) -> Mapping[ServedMarket, int]:
        """Return the session that serves each market, or served it last."""
        return self._current

    @property
    def unfinished(self) -> tuple[FeedSession, ...]:
        """Return the sessions that did not end."""
        return tuple(self._sessions[number] for number in sorted(self._unfinished.values()))

    def get(self, feed_session_id: int) -> FeedSession:
        """Return a session. NotFound: no such session."""
        session = self._sessions.get(feed_session_id)
        if session is None:
            raise NotFound(f"there is no feed session {feed_session_id}")
        return session

    def plan(self, opening: Opening, connected: Iterable[int], now: Timestamp) -> OpeningPlan:
        """Return what an opening would do; nothing changes yet.

        Invalid: another environment, no name or too long a one, nothing served, or an unfinished session of that name with other terms. Forbidden: a REPLAY or
        SIMULATED feed in PRODUCTION. Conflict: the name is another account's, or another connected feed serves one of the markets.
        """
        if opening.environment is not self._environment:
            raise Invalid(
                f"the feed is of {opening.environment.name}, this server of {self._environment.name}",
                environment=self._environment.name,
            )
        if self._environment is Environment.PRODUCTION and opening.kind is not FeedKind.LIVE:
            raise Forbidden(f"PRODUCTION refuses {opening.kind.name} feeds")
        if not opening.serves or not 0 < len(opening.name) <= LONGEST_NAME:
            raise Invalid(
                f"a feed session needs a name of at most {LONGEST_NAME} characters and at least one (listing venue, type) to serve"
            )
        number = self._unfinished.get(opening.name)
        if number is not None:
            return OpeningPlan(session=self._resumed(self._sessions[number], opening), is_new=False)
        alive = frozenset(connected)
        ends: set[int] = set()
        for market in opening.serves:
            holder = self._sessions.get(self._current.get(market, 0))
            if holder is None or holder.ended is not None:
                continue
            if holder.feed_session_id in alive:
                raise Conflict(
                    f"feed session {holder.name!r} serves {market.record_type.name} of venue {market.venue} and is connected",
                    feed_session=holder.feed_session_id,
                )
            ends.add(holder.feed_session_id)
        session = FeedSession(
            feed_session_id=max(self._sessions, default=0) + 1,
            name=opening.name,
            account_id=opening.account_id,
            account=opening.account,
            kind=opening.kind,
            trade_date=opening.trade_date,
            schedule=opening.schedule,
            environment=opening.environment,
            serves=opening.serves,
            opened=now,
        )
        return OpeningPlan(session=session, is_new=True, ends=tuple(sorted(ends)))

    def _resumed(self, session: FeedSession, opening: Opening) -> FeedSession:
        if session.account_id != opening.account_id:
            raise Conflict(f"feed session {session.name!r} is another account's", feed_session=session.feed_session_id)
        asked = (opening.kind, opening.trade_date, opening.schedule, frozenset(opening.serves))
        if asked != (session.kind, session.trade_date, session.schedule, frozenset(session.serves)):
            raise Invalid(
                f"feed session {session.name!r} is unfinished and has other terms: end it, or open one with another name",
                feed_session=session.feed_session_id,
            )
        return session

    def place(self, feed_session_id: int, first: int, count: int) -> Place:
        """Return whether a batch is the next one or a repeat.

        Invalid: no positions, a gap, or a batch that begins before and ends after what was accepted. Conflict: the session ended.
        """
        session = self.get(feed_session_id)
        if session.ended is not None:
            raise Conflict(f"feed session {session.name!r} ended", feed_session=feed_session_id)
        if first < 1 or count < 1:
            raise Invalid("a batch holds at least one record, and positions count from 1")
        if first + count - 1 <= session.position:
            return Place.REPEATED
        if first != session.position + 1:
            raise Invalid(
                f"position {session.position + 1} comes next in feed session {session.name!r}, not {first}",
                position=session.position,
            )
        return Place.NEXT

    def put(self, session: FeedSession) -> None:
        """Take a session as opened, or as the store holds it."""
        known = self._sessions.get(session.feed_session_id)
        self._sessions[session.feed_session_id] = session
        if session.ended is None:
            self._unfinished[session.name] = session.feed_session_id
        elif self._unfinished.get(session.name) == session.feed_session_id:
            del self._unfinished[session.name]
        if known is None:
            for market in session.serves:
                if self._current.get(market, 0) < session.feed_session_id:
                    self._current[market] = session.feed_session_id

    def forget(self, feed_session_id: int) -> None:
        """Take back an opening that never became durable."""
        session = self._sessions.pop(feed_session_id, None)
        if session is None:
            return
        if self._unfinished.get(session.name) == feed_session_id:
            del self._unfinished[session.name]
        for market in session.serves:
            if self._current.get(market) == feed_session_id:
                del self._current[market]
                for other in sorted(self._sessions):
                    if market in self._sessions[other].serves:
                        self._current[market] = other

    def move(self, feed_session_id: int, position: int) -> None:
        """Set the last accepted position."""
        self._sessions[feed_session_id] = evolve(self._sessions[feed_session_id], position=position)

    def end(self, feed_session_id: int, when: Timestamp | None) -> None:
        """Set when a session ended; None takes an end back."""
        self.put(evolve(self._sessions[feed_session_id], ended=when))

    def secondary(self, market: ServedMarket) -> frozenset[int]:
        """Return the sessions of a market that history leaves out unless it is asked for them by number.

        Primary of a trade date are all LIVE and SIMULATED sessions, or else the first REPLAY.
        """
        primary_replay: dict[str, int] = {}
        real_days = {
            session.trade_date
            for session in self._sessions.values()
            if session.kind is not FeedKind.REPLAY and market in session.serves
        }
        left_out = set()
        for number in sorted(self._sessions):
            session = self._sessions[number]
            if session.kind is not FeedKind.REPLAY or market not in session.serves:
                continue
            first = primary_replay.setdefault(session.trade_date, number)
            if session.trade_date in real_days or first != number:
                left_out.add(number)
        return frozenset(left_out)
