"""The question that every data service answers: which records of a topic."""

from enum import IntEnum
from typing import Final

import msgspec
from attrs import evolve, field, frozen

from spire.series.filter import Filter
from spire.values.time import Timestamp, parse_timestamp
from spire.wire.errors import Invalid
from spire.wire.segments import MAXIMUM_SEQUENCE

EARLIEST_TIME: Final = Timestamp(0)
LATEST_TIME: Final = Timestamp(parse_timestamp("2200-01-01T00:00:00Z") - 1)
"""The times of a query: a year more than that still fits 64 bits, and stands in the calendar of every zone."""


class LimitFrom(IntEnum):
    """Which end of the range a limit keeps; either way the oldest record comes first."""

    HEAD = 1
    TAIL = 2


class Interruption(IntEnum):
    """What a lost connection means to a query."""

    BREAK = 1
    """The query ends with UNAVAILABLE."""
    RECOVER = 2
    """Everything after the last record received is asked for again, whatever the limit was."""


@frozen(kw_only=True)
class Query:
    """Which records of `topic` are wanted.

    Ranges include both ends; times are market time, nanoseconds since 1970 UTC, and sequence order is not time order.
    `limit` keeps so many records of the range, after the filter. `feed_session` names one of several recordings of a
    day; None takes the primary ones. `options` belong to the service.
    """

    topic: str
    start_sequence: int | None = None
    end_sequence: int | None = None
    start_time: Timestamp | None = None
    end_time: Timestamp | None = None
    limit: int | None = None
    limit_from: LimitFrom = LimitFrom.TAIL
    filter: Filter | None = None
    policy: Interruption = Interruption.RECOVER
    feed_session: int | None = None
    options: dict[str, str] = field(factory=dict)


def validate(query: Query) -> Query:
    """Return `query` unless it makes no sense: raises Invalid for a reversed range, and for a number out of bounds."""
    for name in ("start_sequence", "end_sequence", "feed_session"):
        if not _is_within(getattr(query, name), 0, MAXIMUM_SEQUENCE):
            raise Invalid(f"The {name} of a query is 0 to {MAXIMUM_SEQUENCE}.", argument="query")
    for name in ("start_time", "end_time"):
        if not _is_within(getattr(query, name), EARLIEST_TIME, LATEST_TIME):
            raise Invalid(f"The {name} of a query is from 1970 on and before 2200, in nanoseconds.", argument="query")
    if not _is_within(query.limit, 1, MAXIMUM_SEQUENCE):
        raise Invalid(f"A limit is 1 to {MAXIMUM_SEQUENCE}.", argument="query")
    for name, start, end in (
        ("sequence", query.start_sequence, query.end_sequence),
        ("time", query.start_time, query.end_time),
    ):
        if start is not None and end is not None and start > end:
            raise Invalid(f"The range by {name} ends before it begins.", argument="query")
    return query


def _is_within(value: int | None, least: int, greatest: int) -> bool:
    return value is None or least <= value <= greatest


def remainder(query: Query, last: int, received: int) -> Query | None:
    """Return what to ask for after `received` records, when all up to `last` was looked at; None where nothing is left.

    Never the limit again: a TAIL's rest is everything after `last`, a HEAD's rest is what its limit leaves. A TAIL of which
    nothing was received begins anew: it is looked for from its end.
    """
    limit = query.limit
    if not received and (not last or (limit is not None and query.limit_from is LimitFrom.TAIL)):
        return query
    if limit is not None:
        if query.limit_from is LimitFrom.TAIL:
            limit = None
        elif received >= limit:
            return None
        else:
            limit -= received
    if query.end_sequence is not None and last >= query.end_sequence:
        return None
    return evolve(query, start_sequence=last + 1, limit=limit)


def is_live(query: Query) -> bool:
    """Return whether the query can go on with what comes: its range has no end and no HEAD limit leaves a hole."""
    return (
        query.end_sequence is None
        and query.end_time is None
        and not (query.limit is not None and query.limit_from is LimitFrom.HEAD)
    )


def filter_bytes(expression: Filter | None) -> bytes | None:
    """Return a filter as a subscription carries it."""
    return None if expression is None else msgspec.msgpack.encode(expression)
