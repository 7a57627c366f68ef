"""Trading schedules: sessions, trade dates, holidays, short days, changes of the clock."""

import datetime

from twisted.trial.unittest import SynchronousTestCase

from spire.definitions.files import default_directory, load_datasets
from spire.definitions.schedule import (
    Calendar,
    NotCovered,
    names,
    next_session,
    order_window,
    session_at,
    sessions,
)
from spire.definitions.values import Schedule, SessionKind, SessionTimes, Weekday
from spire.values.environment import Environment
from spire.values.orders import TradingSession
from spire.values.time import Timestamp, parse_timestamp

SCHEDULES = {each.name: each for each in load_datasets(default_directory(), Environment.DEMO).schedules}
US = SCHEDULES["US_EQUITIES"]
ALWAYS = SCHEDULES["ALWAYS_OPEN"]
DAY = datetime.date(2013, 10, 8)


def day(year: int, month: int, day_of_month: int) -> tuple[str, ...]:
    """Return the sessions of a US trade date as text."""
    return tuple(
        f"{each.kind.name} {(each.end - each.start) // 60_000_000_000}"
        for each in sessions(US, datetime.date(year, month, day_of_month))
    )


def with_overnight() -> Schedule:
    """Return a schedule whose overnight session begins on the eve of its trade date."""
    return Schedule(
        name="OVERNIGHT",
        time_zone="America/New_York",
        covered_from=datetime.date(2025, 1, 1),
        covered_to=datetime.date(2025, 12, 31),
        weekdays=(Weekday.MONDAY, Weekday.TUESDAY),
        sessions=(
            SessionTimes(kind=SessionKind.OVERNIGHT, opens=20 * 3600, closes=4 * 3600, opens_day=-1),
            SessionTimes(kind=SessionKind.REGULAR, opens=9 * 3600, closes=16 * 3600),
        ),
    )


class UsEquitiesTests(SynchronousTestCase):
    """The US schedule that ships."""

    def test_an_ordinary_day_has_three_sessions(self) -> None:
        """8 October 2013 trades from 04:00 to 20:00 in New York, in three parts."""
        found = sessions(US, DAY)
        self.assertEqual([each.kind for each in found], [SessionKind(1), SessionKind(2), SessionKind(3)])
        self.assertEqual(found[0].start, parse_timestamp("2013-10-08T08:00:00Z"))
        self.assertEqual(found[1].start, parse_timestamp("2013-10-08T13:30:00Z"))
        self.assertEqual(found[1].end, parse_timestamp("2013-10-08T20:00:00Z"))
        self.assertEqual(found[2].end, parse_timestamp("2013-10-09T00:00:00Z"))

    def test_winter_moves_the_open_in_utc(self) -> None:
        """After the clocks go back, 09:30 in New York is 14:30 UTC."""
        self.assertEqual(sessions(US, datetime.date(2013, 11, 4))[1].start, parse_timestamp("2013-11-04T14:30:00Z"))

    def test_a_weekend_has_no_session(self) -> None:
        """Saturday and Sunday are closed."""
        self.assertEqual(day(2013, 10, 5) + day(2013, 10, 6), ())

    def test_a_holiday_has_no_session(self) -> None:
        """Thanksgiving 2013 is closed."""
        self.assertEqual(day(2013, 11, 28), ())

    def test_a_holiday_on_saturday_closes_the_friday(self) -> None:
        """Independence Day 2026 falls on a Saturday: Friday the 3rd is closed."""
        self.assertEqual(day(2026, 7, 3), ())

    def test_new_year_on_saturday_closes_no_friday(self) -> None:
        """The last business day of 2027 trades, although New Year's Day 2028 is a Saturday."""
        self.assertEqual(day(2027, 12, 31), ("PRE_MARKET 330", "REGULAR 390", "POST_MARKET 240"))

    def test_a_short_day_closes_at_one(self) -> None:
        """The day after Thanksgiving 2025 has a regular session of 3.5 hours and a post-market to 17:00."""
        self.assertEqual(day(2025, 11, 28), ("PRE_MARKET 330", "REGULAR 210", "POST_MARKET 240"))

    def test_the_mourning_of_january_2025_is_closed(self) -> None:
        """9 January 2025 is closed by proclamation."""
        self.assertEqual(day(2025, 1, 9), ())

    def test_years_have_the_known_number_of_trade_dates(self) -> None:
        """2013 had 252 trade dates, 2025 had 250, 2026 has 251."""
        counts = []
        for year in (2013, 2025, 2026):
            dates = (datetime.date(year, 1, 1) + datetime.timedelta(days=n) for n in range(365))
            counts.append(sum(1 for date in dates if sessions(US, date)))
        self.assertEqual(counts, [252, 250, 251])

    def test_beyond_the_coverage_is_an_error(self) -> None:
        """A day that the list does not reach is neither open nor closed."""
        error = self.assertRaises(NotCovered, sessions, US, datetime.date(2029, 1, 2))
        self.assertIn("schedules.toml", str(error))


class SessionAtTests(SynchronousTestCase):
    """Which session a moment belongs to."""

    def test_a_session_includes_its_start(self) -> None:
        """09:30:00 sharp is the regular session."""
        found = session_at(US, parse_timestamp("2013-10-08T13:30:00Z"))
        assert found is not None
        self.assertEqual((found.kind, found.trade_date), (SessionKind.REGULAR, DAY))

    def test_a_session_ends_before_its_end(self) -> None:
        """16:00:00 sharp belongs to the post-market."""
        found = session_at(US, parse_timestamp("2013-10-08T20:00:00Z"))
        assert found is not None
        self.assertEqual(found.kind, SessionKind.POST_MARKET)

    def test_the_night_belongs_to_no_session(self) -> None:
        """Between 20:00 and 04:00 there is no session."""
        self.assertIsNone(session_at(US, parse_timestamp("2013-10-09T00:00:00Z")))
        self.assertIsNone(session_at(US, Timestamp(parse_timestamp("2013-10-08T08:00:00Z") - 1)))

    def test_the_next_session_skips_the_weekend(self) -> None:
        """After Friday's regular close, the next regular session is Monday's."""
        found = next_session(US, parse_timestamp("2013-10-04T20:00:00Z"), (SessionKind.REGULAR,))
        assert found is not None
        self.assertEqual(found.trade_date, datetime.date(2013, 10, 7))

    def test_there_is_no_next_session_beyond_the_coverage(self) -> None:
        """After the last covered session there is none to name."""
        self.assertIsNone(next_session(US, parse_timestamp("2028-12-31T12:00:00Z")))

    def test_an_overnight_session_names_the_next_trade_date(self) -> None:
        """Sunday evening trades for Monday."""
        found = session_at(with_overnight(), parse_timestamp("2025-06-02T01:00:00Z"))
        assert found is not None
        self.assertEqual((found.kind, found.trade_date), (SessionKind.OVERNIGHT, datetime.date(2025, 6, 2)))

    def test_the_trade_date_between_sessions_is_the_next_one(self) -> None:
        """Late on Friday the trade date to come is Monday's."""
        calendar = Calendar(US)
        self.assertEqual(calendar.trade_date_at(parse_timestamp("2013-10-05T01:00:00Z")), datetime.date(2013, 10, 7))

    def test_a_calendar_answers_alike_in_any_order(self) -> None:
        """What a calendar remembers never changes its answer."""
        calendar = Calendar(US)
        moments = [Timestamp(parse_timestamp("2013-10-04T00:00:00Z") + n * 3_600_000_000_000) for n in range(120)]
        forward = [calendar.session_at(moment) for moment in moments]
        backward = [calendar.session_at(moment) for moment in reversed(moments)]
        self.assertEqual(forward, backward[::-1])
        self.assertEqual(forward, [session_at(US, moment) for moment in moments])


class OrderWindowTests(SynchronousTestCase):
    """When an order may work."""

    def test_a_regular_order_works_in_the_regular_session(self) -> None:
        """REGULAR begins at 09:30 and ends at 16:00."""
        self.assertEqual(
            order_window(US, DAY, TradingSession.REGULAR),
            (parse_timestamp("2013-10-08T13:30:00Z"), parse_timestamp("2013-10-08T20:00:00Z")),
        )

    def test_an_extended_order_works_all_day(self) -> None:
        """EXTENDED begins at 04:00 and ends at 20:00."""
        self.assertEqual(
            order_window(US, DAY, TradingSession.EXTENDED),
            (parse_timestamp("2013-10-08T08:00:00Z"), parse_timestamp("2013-10-09T00:00:00Z")),
        )

    def test_no_window_where_the_session_does_not_exist(self) -> None:
        """US equities have no overnight session here, and nothing on a holiday."""
        self.assertIsNone(order_window(US, DAY, TradingSession.OVERNIGHT))
        self.assertIsNone(order_window(US, datetime.date(2013, 12, 25), TradingSession.EXTENDED))

    def test_extended_names_three_kinds_of_session(self) -> None:
        """EXTENDED works before, during and after the regular session, not overnight."""
        named = [kind for kind in SessionKind if names(TradingSession.EXTENDED, kind)]
        self.assertEqual(named, [SessionKind.PRE_MARKET, SessionKind.REGULAR, SessionKind.POST_MARKET])


class AlwaysOpenTests(SynchronousTestCase):
    """The schedule that never closes."""

    def test_every_moment_has_a_regular_session(self) -> None:
        """Midnight on a Sunday is the regular session of that Sunday."""
        found = session_at(ALWAYS, parse_timestamp("2026-02-01T00:00:00Z"))
        assert found is not None
        self.assertEqual((found.kind, found.trade_date), (SessionKind.REGULAR, datetime.date(2026, 2, 1)))
        self.assertEqual(found.end - found.start, 86_400_000_000_000)


class ScheduleTests(SynchronousTestCase):
    """What a schedule may say."""

    def test_overlapping_sessions_are_refused(self) -> None:
        """A session may not open before the one before it closes."""
        times = SessionTimes(kind=SessionKind.REGULAR, opens=9 * 3600, closes=16 * 3600)
        with self.assertRaisesRegex(ValueError, "opens before"):
            Schedule(
                name="X",
                time_zone="UTC",
                covered_from=DAY,
                covered_to=DAY,
                weekdays=(Weekday.MONDAY,),
                sessions=(times, times),
            )
