"""TOML values of the definition files that have no parser elsewhere (sans-I/O)."""

import datetime
import re
from decimal import Decimal

from spire.values.time import Timestamp, timestamp_of

RATE_SCALE = 10**9

_TIME_OF_DAY = re.compile(r"(\d{2}):(\d{2})", re.ASCII)
_RATE = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)


def parse_date(value: object) -> datetime.date:
    """Return a TOML local date; ValueError otherwise."""
    if type(value) is not datetime.date:
        raise ValueError(f"must be a date such as 2013-10-08, is {value!r}")
    return value


def parse_instant(value: object) -> Timestamp:
    """Return a TOML date and time with offset, in nanoseconds since 1970 UTC; ValueError otherwise."""
    if not isinstance(value, datetime.datetime) or value.tzinfo is None:
        raise ValueError(f"must be a time with offset such as 2013-10-08T12:00:00Z, is {value!r}")
    return timestamp_of(value)


def parse_time_of_day(value: object) -> int:
    """Return `HH:MM`, 00:00 to 24:00, in seconds since midnight on the clock's face; ValueError otherwise."""
    match = _TIME_OF_DAY.fullmatch(value) if isinstance(value, str) else None
    seconds = (int(match.group(1)) * 60 + int(match.group(2))) * 60 if match else -1
    if match is None or int(match.group(2)) > 59 or seconds > 86_400:
        raise ValueError(f"must be HH:MM from 00:00 to 24:00, is {value!r}")
    return seconds


def parse_rate(value: object) -> int:
    """Return an exchange rate, a decimal string of at most nine places, scaled by 10**9; ValueError otherwise."""
    if not isinstance(value, str) or not _RATE.fullmatch(value):
        raise ValueError(f'must be a decimal string such as "1.3576", is {value!r}')
    return int(Decimal(value) * RATE_SCALE)
