"""The commands of Market Data: what feeds call on their port, and what clients call beside series and streams."""

from typing import Final

from attrs import frozen

from spire.marketdata.values import LAYOUT_VERSION, Schedule, ServedMarket
from spire.values.environment import Environment, FeedKind
from spire.wire.arguments import Boolean, Bytes, Integer, Text, Typed
from spire.wire.commands import Command

BATCH_BYTES: Final = 60_000
"""Bytes of one type's records in a batch; all types of a batch together must fit a box."""

LARGEST_TAIL: Final = 65_536
"""Records of a TAIL at most, here and at a relay: it is in memory as a whole before its first record can go."""

_POSITION: Final = Integer(minimum=0)
_IDENTITY: Final = Integer(minimum=1, maximum=2**32 - 1)


@frozen(kw_only=True)
class FeedTerms:
    """What a feed session is: the terms of an unfinished one cannot change. `trade_date` is an ISO date."""

    name: str
    kind: FeedKind
    trade_date: str
    schedule: Schedule
    environment: Environment
    serves: tuple[ServedMarket, ...]
    layout_version: int = LAYOUT_VERSION


class OpenFeedSession(Command):
    """Open a feed session, or go on with the unfinished one of that name, from the position that is answered.

    `resumes` asks for that very session: CONFLICT if it ended meanwhile. With `keeps_book` false the server first removes what is left
    of the session's book. `removed_book` says that no row is left, by this call or because the feed was away: send the book again.
    `backlog_limit` is the backlog at which the feed should wait.
    """

    arguments = [
        (b"terms", Typed(FeedTerms)),
        (b"keeps_book", Boolean()),
        (b"resumes", Integer(minimum=1, maximum=2**32 - 1, optional=True)),
    ]
    response = [
        (b"feed_session", _IDENTITY),
        (b"position", _POSITION),
        (b"removed_book", Boolean()),
        (b"backlog_limit", Integer(minimum=1)),
    ]


class PublishBatch(Command):
    """Publish the records at `first` and the positions after it, packed per type; answered when they are durable and visible.

    A batch that was accepted before is answered again and changes nothing. `backlog` counts records that are not yet stored.
    """

    arguments = [
        (b"feed_session", _IDENTITY),
        (b"first", Integer(minimum=1)),
        (b"count", Integer(minimum=1)),
        (b"trades", Bytes(optional=True)),
        (b"bbos", Bytes(optional=True)),
        (b"books", Bytes(optional=True)),
    ]
    response = [(b"position", _POSITION), (b"backlog", Integer(minimum=0))]


class FeedHeartbeat(Command):
    """Say that the feed is alive; each second."""

    arguments = [(b"feed_session", _IDENTITY)]
    response = [(b"position", _POSITION), (b"backlog", Integer(minimum=0))]


class CloseFeedSession(Command):
    """End a feed session at the end of its data: its book rows are removed, and its name is free."""

    arguments = [(b"feed_session", _IDENTITY)]
    response = [(b"position", _POSITION)]


class TakeSnapshot(Command):
    """Return what is current: packed records, with the sequences of the three topics that they belong to.

    The book comes in pages of at most `BATCH_BYTES` from row `book_offset` on; `book_rows` is how many rows there are. What stands
    behind the first page is of the same moment, also while the book moves: the server keeps it for the session until the last page
    is read or another book of several pages begins. Then `book_through` differs from the first page's, and the reader begins again.
    `without_book` asks for trade and BBO alone: the book has 0 rows then, and its sequence is 0.
    """

    arguments = [
        (b"instrument", _IDENTITY),
        (b"book_offset", Integer(minimum=0)),
        (b"without_book", Boolean(optional=True)),
    ]
    response = [
        (b"epoch", Integer(minimum=0)),
        (b"trade", Bytes()),
        (b"bbo", Bytes()),
        (b"book", Bytes()),
        (b"book_rows", Integer(minimum=0)),
        (b"trade_through", _POSITION),
        (b"bbo_through", _POSITION),
        (b"book_through", _POSITION),
    ]


class FindLastRecords(Command):
    """Return the last trade and BBO of an instrument on a trade date (ISO); either may be empty."""

    arguments = [(b"instrument", _IDENTITY), (b"trade_date", Text(longest=10))]
    response = [(b"trade", Bytes()), (b"bbo", Bytes())]
