"""Records that the tests of this room are made of."""

from collections.abc import Sequence

from spire.marketdata.acceptance import BatchRequest, OpenRequest
from spire.marketdata.feed_session import FeedSession, Opening
from spire.marketdata.values import BboKind, Present, Records, RecordType, Schedule, ServedMarket, empty
from spire.values.environment import Environment, FeedKind
from spire.values.orders import BookSide
from spire.values.time import Timestamp

VENUE = 10
INSTRUMENTS = (1, 2, 3)


def trades(instruments: Sequence[int], *, start_time: int = 1000) -> Records:
    """Return prints, one a nanosecond, at prices that tell them apart."""
    records = empty(RecordType.TRADE, len(instruments))
    records["instrument"] = instruments
    records["venue"] = VENUE
    records["source_time"] = range(start_time, start_time + len(instruments))
    records["price"] = range(start_time * 10, start_time * 10 + len(instruments))
    records["size"] = 100_000_000
    return records


def quotes(instruments: Sequence[int], *, start_time: int = 1000) -> Records:
    """Return best bids and offers, one a nanosecond."""
    records = empty(RecordType.BBO, len(instruments))
    records["instrument"] = instruments
    records["venue"] = records["bid_venue"] = records["ask_venue"] = VENUE
    records["source_time"] = range(start_time, start_time + len(instruments))
    records["kind"] = BboKind.NATIONAL
    records["present"] = Present.BID | Present.ASK
    records["bid"] = range(start_time, start_time + len(instruments))
    records["ask"] = records["bid"] + 10
    records["bid_size"] = records["ask_size"] = 100_000_000
    return records


def row(
    instrument: int, side: BookSide, price: int, size: int, *, participant: bytes = b"MM", venue: int = VENUE
) -> Records:
    """Return one book row."""
    records = empty(RecordType.BOOK, 1)
    records["instrument"] = instrument
    records["venue"] = venue
    records["side"] = side
    records["price"] = price
    records["size"] = size
    records["participant"] = participant
    records["source_time"] = 1000
    return records


def opening(name: str = "feed", **changes: object) -> Opening:
    """Return what a feed of the test's market asks for."""
    terms: dict[str, object] = {
        "name": name,
        "account_id": 5,
        "account": "replay_feed",
        "kind": FeedKind.REPLAY,
        "trade_date": "2013-10-08",
        "schedule": Schedule.NORMAL,
        "environment": Environment.DEMO,
        "serves": tuple(ServedMarket(venue=VENUE, record_type=kind) for kind in RecordType),
    }
    return Opening(**{**terms, **changes})  # type: ignore[arg-type] # a test's shorthand


def session(number: int, **changes: object) -> FeedSession:
    """Return a feed session of the test's market."""
    asked = opening(f"feed {number}")
    terms: dict[str, object] = {
        "feed_session_id": number,
        "name": asked.name,
        "account_id": asked.account_id,
        "account": asked.account,
        "kind": asked.kind,
        "trade_date": asked.trade_date,
        "schedule": asked.schedule,
        "environment": asked.environment,
        "serves": asked.serves,
        "opened": Timestamp(number),
    }
    return FeedSession(**{**terms, **changes})  # type: ignore[arg-type] # a test's shorthand


def open_request(
    name: str = "feed", *, connection: str = "a", keeps_book: bool = False, **changes: object
) -> OpenRequest:
    """Return a feed's opening on a connection."""
    return OpenRequest(opening=opening(name, **changes), connection=connection, keeps_book=keeps_book)


def batch(feed_session: int, first: int, *, connection: str = "a", **records: Records) -> BatchRequest:
    """Return a batch of `trades`, `bbos` and `books`."""
    names = {"trades": RecordType.TRADE, "bbos": RecordType.BBO, "books": RecordType.BOOK}
    given = {names[name]: part for name, part in records.items()}
    return BatchRequest(
        feed_session=feed_session,
        connection=connection,
        first=first,
        count=sum(len(part) for part in given.values()),
        records=given,
    )
