"""Parameters that several subcommands share: amounts, intervals, times."""

import re
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import click

from spire.charting.values import DAY, LONGEST_INTERVAL
from spire.values.amounts import format_amount, parse_money, parse_price, parse_quantity
from spire.values.time import NANOSECONDS, Timestamp, format_timestamp, parse_timestamp, timestamp_of

UNITS: Final = {
    "s": NANOSECONDS,
    "m": 60 * NANOSECONDS,
    "h": 3600 * NANOSECONDS,
    "d": 86_400 * NANOSECONDS,
}
_WHOLE: Final = re.compile(r"-?[0-9]{1,40}")
_INTERVAL: Final = re.compile(r"([0-9]{1,9})([smhd])")


def parse_interval(text: str) -> int:
    """Return the nanoseconds of `30s`, `1m`, `4h` or `1d`; raises ValueError otherwise."""
    match = _INTERVAL.fullmatch(text)
    if match is None or not int(match[1]):
        raise ValueError(f"{text!r} is no interval: write 30s, 1m, 4h or 1d")
    interval = int(match[1]) * UNITS[match[2]]
    if interval > LONGEST_INTERVAL or (interval > DAY and interval % DAY):
        raise ValueError(f"{text!r} is no interval: above a day write whole days, at most {LONGEST_INTERVAL // DAY}d")
    return interval


def parse_moment(text: str, zone: str) -> Timestamp:
    """Return the time of `2013-10-08T13:30:00Z`, or of `2013-10-08`, `2013-10-08T09:30` local to `zone`."""
    if text.endswith("Z"):
        return parse_timestamp(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: write 2013-10-08, 2013-10-08T09:30 or 2013-10-08T13:30:00Z") from None
    return timestamp_of(moment if moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo(zone)))


def parse_order_id(text: str) -> int:
    """Return an order's id; raises ValueError for anything but a positive whole number."""
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 2**63:
        raise ValueError(f"{text!r} is no order id: write the number that `spire order list --all` shows")
    return int(text)


def parse_whole(text: str) -> int:
    """Return a whole number; raises ValueError for anything else."""
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


class Whole(click.IntRange):
    """A whole number within bounds."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or fail with what is wrong with it."""
        return super().convert(NUMBER.convert(value, param, ctx), param, ctx)


class _Parsed(click.ParamType[Any]):
    """A parameter that a function of the values floor parses."""

    def __init__(self, name: str, parse: Any) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the parsed value, or fail with what is wrong with it."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


NUMBER: Final[click.ParamType[Any]] = _Parsed("number", parse_whole)
PRICE: Final[click.ParamType[Any]] = _Parsed("price", parse_price)
QUANTITY: Final[click.ParamType[Any]] = _Parsed("quantity", parse_quantity)
MONEY: Final[click.ParamType[Any]] = _Parsed("money", parse_money)
MOMENT: Final[click.ParamType[Any]] = _Parsed("time", lambda text: parse_moment(text, "UTC"))
INTERVAL: Final[click.ParamType[Any]] = _Parsed("interval", parse_interval)


ORDER_ID: Final[click.ParamType[Any]] = _Parsed("order_id", parse_order_id)


def time_range(start: str | None, end: str | None, zone: str) -> tuple[Timestamp | None, Timestamp | None]:
    """Return what --from and --to name as first and last nanosecond; a BadParameter says what is wrong."""
    first, behind = _moment_or_none(start, zone, "--from"), _moment_or_none(end, zone, "--to")
    if behind is None:
        return first, None
    if first is not None and behind <= first:
        raise click.BadParameter(f"{end} is not after {start}", param_hint="--to")
    return first, Timestamp(behind - 1)


def _moment_or_none(text: str | None, zone: str, name: str) -> Timestamp | None:
    if text is None:
        return None
    try:
        return parse_moment(text, zone)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=name) from error


def amount_or_none(value: int | None) -> str | None:
    """Return an amount as text, None for none."""
    return None if value is None else format_amount(value)


def number_or_none(value: int | None) -> str | None:
    """Return a whole number, as of an account, as text, None for none."""
    return None if value is None else str(value)


def time_or_none(value: Timestamp | None) -> str | None:
    """Return a time as text, None for none."""
    return None if value is None else format_timestamp(value)
