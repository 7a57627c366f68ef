"""What people type as amounts, intervals and times."""

import click
from twisted.trial.unittest import SynchronousTestCase

from spire.operations.commands.parameters import parse_interval, parse_moment, parse_order_id, time_range
from spire.values.time import NANOSECONDS, parse_timestamp

NEW_YORK = "America/New_York"


class IntervalTests(SynchronousTestCase):
    """A number and a unit."""

    def test_each_unit_is_understood(self) -> None:
        """Seconds, minutes, hours and days."""
        lengths = [parse_interval(text) // NANOSECONDS for text in ("30s", "5m", "4h", "1d")]
        self.assertEqual(lengths, [30, 300, 14_400, 86_400])

    def test_anything_else_is_told_how_to_write_one(self) -> None:
        """Also nothing, and a length of nothing."""
        for text in ("", "m", "1", "0m", "-1m", "1.5m", "1w", "1m ", "\u0661m", "1m\n"):
            with self.assertRaisesRegex(ValueError, "write 30s, 1m, 4h or 1d", msg=repr(text)):
                parse_interval(text)

    def test_beyond_a_day_only_whole_days_divide_a_calendar(self) -> None:
        """Up to a year."""
        self.assertEqual(parse_interval("366d"), 366 * parse_interval("1d"))
        for text in ("36h", "1441m", "367d", "999999999d"):
            with self.assertRaisesRegex(ValueError, "whole days, at most 366d", msg=text):
                parse_interval(text)


class MomentTests(SynchronousTestCase):
    """Times are local to the market unless they say otherwise."""

    def test_a_day_begins_at_its_local_midnight(self) -> None:
        """In summer New York is four hours behind UTC."""
        self.assertEqual(parse_moment("2013-10-08", NEW_YORK), parse_timestamp("2013-10-08T04:00:00Z"))

    def test_a_time_without_a_zone_is_local(self) -> None:
        """The opening of the market, in winter."""
        self.assertEqual(parse_moment("2013-12-02T09:30", NEW_YORK), parse_timestamp("2013-12-02T14:30:00Z"))

    def test_a_time_with_a_zone_says_it_itself(self) -> None:
        """UTC, to the nanosecond, or an offset."""
        self.assertEqual(parse_moment("2013-10-08T13:30:00.000000001Z", NEW_YORK) % NANOSECONDS, 1)
        self.assertEqual(parse_moment("2013-10-08T15:30:00+02:00", NEW_YORK), parse_timestamp("2013-10-08T13:30:00Z"))

    def test_what_is_no_time_is_told_how_to_write_one(self) -> None:
        """A year alone is none."""
        for text in ("", "2013", "yesterday", "2013-13-01", "2013-10-08T25:00"):
            with self.assertRaises(ValueError, msg=repr(text)):
                parse_moment(text, NEW_YORK)


class RangeTests(SynchronousTestCase):
    """From a time, until before another."""

    def test_a_range_ends_a_nanosecond_before_its_end(self) -> None:
        """So that two ranges that follow each other share nothing."""
        first, last = time_range("2013-10-08", "2013-10-09", NEW_YORK)
        self.assertEqual(first, parse_timestamp("2013-10-08T04:00:00Z"))
        self.assertEqual(last, parse_timestamp("2013-10-09T03:59:59.999999999Z"))

    def test_an_end_that_is_left_out_is_no_bound(self) -> None:
        """Neither is a beginning."""
        self.assertEqual(time_range(None, None, NEW_YORK), (None, None))

    def test_a_range_that_ends_before_it_begins_is_refused(self) -> None:
        """Naming the option."""
        for end in ("2013-10-07", "2013-10-08"):
            with self.assertRaises(click.BadParameter, msg=end) as raised:
                time_range("2013-10-08", end, NEW_YORK)
            self.assertEqual(raised.exception.param_hint, "--to")


class OrderIdTests(SynchronousTestCase):
    """Positive whole numbers."""

    def test_a_number_is_an_order_id(self) -> None:
        """As the list of orders shows it."""
        self.assertEqual(parse_order_id("40011"), 40011)

    def test_anything_else_is_told_where_to_find_one(self) -> None:
        """Zero, signs, letters, and numbers that no id can have."""
        for text in ("", "0", "-1", "+1", "x", "1.0", "9" * 20, "\u0661"):
            with self.assertRaisesRegex(ValueError, "spire order list", msg=repr(text)):
                parse_order_id(text)
