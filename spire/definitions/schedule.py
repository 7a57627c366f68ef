"""Which session a moment belongs to, and which trade date (sans-I/O).

Every session names its trade date; between sessions there is none. Days outside a schedule's coverage raise NotCovered:
nobody trades on a guess.
"""

import datetime
from bisect import bisect_right
from collections.abc import Callable

from attrs import frozen

from spire.definitions.values import Schedule, SessionKind, Weekday
from spire.values.orders import TradingSession
from spire.values.time import NANOSECONDS, Timestamp, at_local, local_date

LONGEST_BREAK_DAYS = 14
"""How many days `next_session` looks ahead: longer than any break of a market that is still open."""

_NAMED: dict[TradingSession, tuple[SessionKind, ...]] = {
    TradingSession.REGULAR: (SessionKind.REGULAR,),
    TradingSession.EXTENDED: (SessionKind.PRE_MARKET, SessionKind.REGULAR, SessionKind.POST_MARKET),
    TradingSession.OVERNIGHT: (SessionKind.OVERNIGHT,),
}


class NotCovered(ValueError):  # noqa: N818 - it names what happened
    """A trade date lies outside what a schedule knows."""


@frozen(kw_only=True)
class Session:
    """One session of one trade date: [start, end) in nanoseconds since 1970 UTC."""

    trade_date: datetime.date
    kind: SessionKind
    start: Timestamp
    end: Timestamp


def sessions(schedule: Schedule, trade_date: datetime.date) -> tuple[Session, ...]:
    """Return the sessions of a trade date in order, none for a day without trading; NotCovered beyond the coverage."""
    if not schedule.covered_from <= trade_date <= schedule.covered_to:
        raise NotCovered(
            f"schedule {schedule.name} knows {schedule.covered_from} to {schedule.covered_to}, not {trade_date}: "
            "extend etc/definitions/schedules.toml"
        )
    if any(day.date == trade_date for day in schedule.holiday):
        return ()
    times = next((day.sessions for day in schedule.short_day if day.date == trade_date), None)
    if times is None:
        if Weekday(trade_date.isoweekday()) not in schedule.weekdays:
            return ()
        times = schedule.sessions
    zone = schedule.time_zone

    def moment(day: int, seconds: int) -> Timestamp:
        return at_local(trade_date + datetime.timedelta(days=day), seconds * NANOSECONDS, zone)

    return tuple(
        Session(
            trade_date=trade_date,
            kind=each.kind,
            start=moment(each.opens_day, each.opens),
            end=moment(each.closes_day, each.closes),
        )
        for each in times
    )


def session_at(schedule: Schedule, moment: Timestamp) -> Session | None:
    """Return the session that `moment` falls in, or None between sessions."""
    return Calendar(schedule).session_at(moment)


def next_session(schedule: Schedule, moment: Timestamp, kinds: tuple[SessionKind, ...] = ()) -> Session | None:
    """Return the first session, of `kinds` where given, that starts after `moment`; None if none does soon."""
    return Calendar(schedule).next_session(moment, kinds)


def order_window(
    schedule: Schedule, trade_date: datetime.date, trading_session: TradingSession
) -> tuple[Timestamp, Timestamp] | None:
    """Return when a DAY order of `trading_session` may work on a trade date, [start, end); None where it has none."""
    return Calendar(schedule).order_window(trade_date, trading_session)


def names(trading_session: TradingSession, kind: SessionKind) -> bool:
    """Whether an order of `trading_session` works in sessions of this kind."""
    return kind in _NAMED[trading_session]


class Calendar:
    """A schedule that remembers the days it has worked out; the answers are those of this module's functions."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self._days: dict[datetime.date, tuple[Session, ...]] = {}
        self._starts: list[Timestamp] = []
        self._current: Session | None = None
        self._has_eve_sessions = any(
            each.opens_day < 0
            for times in (schedule.sessions, *(day.sessions for day in schedule.short_day))
            for each in times
        )

    def sessions(self, trade_date: datetime.date) -> tuple[Session, ...]:
        """Return the sessions of a trade date in order; NotCovered beyond the coverage."""
        found = self._days.get(trade_date)
        if found is None:
            found = self._days[trade_date] = sessions(self.schedule, trade_date)
        return found

    def session_at(self, moment: Timestamp) -> Session | None:
        """Return the session that `moment` falls in, or None between sessions; NotCovered beyond the coverage."""
        current = self._current
        if current is not None and current.start <= moment < current.end:
            return current
        today = local_date(moment, self.schedule.time_zone)
        found = self._within(today, moment)
        if found is None and self._has_eve_sessions and today < self.schedule.covered_to:
            found = self._within(today + datetime.timedelta(days=1), moment)
        if found is not None:
            self._current = found
        return found

    def next_session(self, moment: Timestamp, kinds: tuple[SessionKind, ...] = ()) -> Session | None:
        """Return the first session, of `kinds` where given, that starts after `moment`; None within two weeks."""
        today = local_date(moment, self.schedule.time_zone)
        last = min(today + datetime.timedelta(days=LONGEST_BREAK_DAYS), self.schedule.covered_to)
        day = max(today, self.schedule.covered_from)
        while day <= last:
            for session in self.sessions(day):
                if session.start > moment and (not kinds or session.kind in kinds):
                    return session
            day += datetime.timedelta(days=1)
        return None

    def order_window(
        self, trade_date: datetime.date, trading_session: TradingSession
    ) -> tuple[Timestamp, Timestamp] | None:
        """Return when a DAY order of `trading_session` may work on a trade date, [start, end); None where it has none."""
        named = [session for session in self.sessions(trade_date) if names(trading_session, session.kind)]
        return (named[0].start, named[-1].end) if named else None

    def trade_date_at(self, moment: Timestamp) -> datetime.date | None:
        """Return the trade date of the session at `moment`, else of the next one to start; None if none does soon."""
        session = self.session_at(moment) or self.next_session(moment)
        return None if session is None else session.trade_date

    def _within(self, trade_date: datetime.date, moment: Timestamp) -> Session | None:
        day = self.sessions(trade_date)
        start_of: Callable[[Session], Timestamp] = lambda session: session.start  # noqa: E731 - bisect's key
        index = bisect_right(day, moment, key=start_of) - 1
        return day[index] if index >= 0 and moment < day[index].end else None
