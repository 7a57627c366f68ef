"""Timestamps as integer nanoseconds since 1970 UTC, and a zone's local days (docs/values.md)."""

import datetime
import re
from functools import lru_cache
from typing import Final, NewType
from zoneinfo import ZoneInfo

Timestamp = NewType("Timestamp", int)
"""Nanoseconds since 1970-01-01T00:00:00Z."""

NANOSECONDS: Final = 10**9
"""Nanoseconds in a second."""

DAY_NANOSECONDS: Final = 86_400 * NANOSECONDS
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND: Final = datetime.timedelta(microseconds=1)
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})", re.ASCII)


def timestamp_of(moment: datetime.datetime) -> Timestamp:
    """Return an aware datetime as a timestamp.

    ValueError: the datetime has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no zone")
    return Timestamp((moment - _EPOCH) // _MICROSECOND * 1000)


def to_datetime(timestamp: Timestamp, zone: str = "UTC") -> datetime.datetime:
    """Return the aware datetime of a timestamp in a zone, cut to microseconds."""
    moment = _EPOCH + datetime.timedelta(microseconds=timestamp // 1000)
    return moment if zone == "UTC" else moment.astimezone(_zone(zone))


def parse_timestamp(text: str) -> Timestamp:
    """Return an ISO 8601 date and time with zone (Z or an offset) and at most nine decimals as a timestamp.

    ValueError: another form, or no such moment.
    """
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time: write it as 2013-10-08T13:30:00.25Z")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    moment = datetime.datetime(
        int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=datetime.UTC
    )
    seconds = (moment - _EPOCH) // datetime.timedelta(seconds=1)
    if offset != "Z":
        hours, minutes = int(offset[1:3]), int(offset[4:6])
        if hours > 23 or minutes > 59:
            raise ValueError(f"{text!r} has no such offset")
        seconds += (hours * 3600 + minutes * 60) * (1 if offset[0] == "-" else -1)
    return Timestamp(seconds * NANOSECONDS + int((fraction or "").ljust(9, "0")))


def format_timestamp(timestamp: Timestamp) -> str:
    """Return a timestamp as ISO 8601 in UTC with nine decimals: the inverse of `parse_timestamp`."""
    seconds, rest = divmod(timestamp, NANOSECONDS)
    moment = _EPOCH + datetime.timedelta(seconds=seconds)
    return (
        f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z" if moment.year >= 1000 else f"{moment.isoformat()[:19]}.{rest:09d}Z"
    )


def local_date(timestamp: Timestamp, zone: str) -> datetime.date:
    """Return the date that a zone's calendar shows at a moment."""
    return to_datetime(timestamp, zone).date()


def local_midnight(date: datetime.date, zone: str) -> Timestamp:
    """Return the first moment of a date in a zone; days there may have 23 or 25 hours."""
    return at_local(date, 0, zone)


def at_local(date: datetime.date, time_of_day: int | datetime.time, zone: str) -> Timestamp:
    """Return the moment when a zone's clocks show a time of day on a date.

    `time_of_day` is nanoseconds on the clock's face since midnight (24 h and more run into the next date) or a time. Where the
    clock shows it twice the first is meant, where it skips it the moment of the skip's offset before.
    """
    if isinstance(time_of_day, datetime.time):
        time_of_day = (
            (time_of_day.hour * 60 + time_of_day.minute) * 60 + time_of_day.second
        ) * NANOSECONDS + time_of_day.microsecond * 1000
    microseconds, rest = divmod(time_of_day, 1000)
    face = datetime.datetime(date.year, date.month, date.day) + datetime.timedelta(  # noqa: DTZ001 - the zone follows
        microseconds=microseconds
    )
    return Timestamp(timestamp_of(face.replace(tzinfo=_zone(zone))) + rest)


def parse_zone(text: str) -> str:
    """Return the name of a time zone as it stands, checked; ValueError when there is none of that name."""
    try:
        _zone(text)
    except (OSError, ValueError) as error:
        raise ValueError(f"{text!r} is no time zone") from error
    except KeyError as error:  # ZoneInfoNotFoundError
        raise ValueError(f"{text!r} is no time zone") from error
    return text


@lru_cache(maxsize=128)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
