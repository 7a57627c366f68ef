"""Times are integer nanoseconds, and days belong to zones."""

import datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.values.time import (
    NANOSECONDS,
    Timestamp,
    at_local,
    format_timestamp,
    local_date,
    local_midnight,
    parse_timestamp,
    parse_zone,
    timestamp_of,
    to_datetime,
)

NEW_YORK = "America/New_York"
HOUR = 3600 * NANOSECONDS


class TextTests(SynchronousTestCase):
    """The text form is ISO 8601 with a zone."""

    def test_nanoseconds_are_kept(self) -> None:
        """Nine decimals are read."""
        self.assertEqual(parse_timestamp("1970-01-01T00:00:01.000000001Z"), NANOSECONDS + 1)

    def test_an_offset_is_taken_away(self) -> None:
        """Half past nine in New York's summer is half past one in UTC."""
        self.assertEqual(parse_timestamp("2013-10-08T09:30:00-04:00"), parse_timestamp("2013-10-08T13:30:00Z"))

    def test_a_time_without_zone_is_refused(self) -> None:
        """A bare local time is ambiguous."""
        with self.assertRaises(ValueError):
            parse_timestamp("2013-10-08T09:30:00")

    def test_an_impossible_date_is_refused(self) -> None:
        """There is no 30 February."""
        with self.assertRaises(ValueError):
            parse_timestamp("2013-02-30T00:00:00Z")

    @given(st.integers(-(62 * 10**18), 9 * 10**18))
    @settings(max_examples=60)
    def test_formatting_and_parsing_are_inverse(self, value: int) -> None:
        """Every timestamp survives its text form."""
        self.assertEqual(parse_timestamp(format_timestamp(Timestamp(value))), value)

    def test_a_datetime_without_zone_is_refused(self) -> None:
        """An unaware datetime is no moment."""
        with self.assertRaises(ValueError):
            timestamp_of(datetime.datetime(2013, 10, 8))  # noqa: DTZ001 - what is refused

    def test_datetimes_come_back(self) -> None:
        """A datetime of whole microseconds survives."""
        moment = datetime.datetime(2013, 10, 8, 13, 30, 0, 123456, tzinfo=datetime.UTC)
        self.assertEqual(to_datetime(timestamp_of(moment)), moment)


class LocalDayTests(SynchronousTestCase):
    """A zone's days begin at its own midnight and may be short or long."""

    def _length(self, date: datetime.date) -> float:
        return (local_midnight(date + datetime.timedelta(days=1), NEW_YORK) - local_midnight(date, NEW_YORK)) / HOUR

    def test_the_day_when_clocks_go_back_has_25_hours(self) -> None:
        """3 November 2013 in New York is long."""
        self.assertEqual(self._length(datetime.date(2013, 11, 3)), 25)

    def test_the_day_when_clocks_go_forward_has_23_hours(self) -> None:
        """10 March 2013 in New York is short."""
        self.assertEqual(self._length(datetime.date(2013, 3, 10)), 23)

    def test_the_last_nanosecond_belongs_to_its_day(self) -> None:
        """The date changes at midnight, not before."""
        midnight = local_midnight(datetime.date(2013, 10, 9), NEW_YORK)
        self.assertEqual(local_date(Timestamp(midnight - 1), NEW_YORK), datetime.date(2013, 10, 8))

    def test_a_time_on_the_clock_is_found(self) -> None:
        """Half past nine by the clock is 13:30 UTC in summer."""
        opening = at_local(datetime.date(2013, 10, 8), datetime.time(9, 30), NEW_YORK)
        self.assertEqual(opening, parse_timestamp("2013-10-08T13:30:00Z"))

    def test_a_time_beyond_24_hours_runs_into_the_next_date(self) -> None:
        """26:00 is two in the morning of the next date."""
        self.assertEqual(
            at_local(datetime.date(2013, 10, 8), 26 * HOUR, NEW_YORK), parse_timestamp("2013-10-09T06:00:00Z")
        )

    def test_an_unknown_zone_is_refused(self) -> None:
        """A typing error in a zone's name is found when it is read."""
        with self.assertRaises(ValueError):
            parse_zone("America/Nowhere")
