"""A recorded day made ready to replay: files found, instruments and venues looked up, everything in replay order."""

from collections.abc import Iterable, Sequence
from datetime import date, time
from pathlib import Path

from attrs import frozen

from spire.definitions.client import DefinitionsClient
from spire.definitions.instruments import Instrument
from spire.feeds.lean import MARKET_ZONE, FeedFileError, TickFile, find_files, read_file
from spire.feeds.merge import Timeline
from spire.marketdata.values import Records, RecordType, ServedMarket
from spire.service.parts import RunInThread
from spire.values.time import Timestamp, at_local, parse_timestamp
from spire.wire.errors import NotFound


@frozen(kw_only=True)
class RecordedDay:
    """A day's records in replay order, and the markets that they belong to."""

    timeline: Timeline
    trade_date: date
    symbols: tuple[str, ...]
    serves: tuple[ServedMarket, ...]


async def load_day(
    path: Path,
    definitions: DefinitionsClient,
    run_in_thread: RunInThread,
    *,
    trade_date: date | None = None,
    symbols: Iterable[str] = (),
    listing_venue: str | None = None,
) -> RecordedDay:
    """Read one recorded day below a folder.

    `listing_venue` (a MIC) is needed only where a symbol is listed twice. Raises FeedFileError for files that are missing or
    malformed, NotFound for a symbol that Definitions does not know (its text says how to add the instrument).
    """
    files = find_files(path, trade_date=trade_date, symbols=symbols)
    await definitions.when_ready()
    exchanges = {letter: venue.number for venue in definitions.venues for letter in venue.tape_letters}
    parts: list[tuple[RecordType, Records]] = []
    serves: dict[ServedMarket, None] = {}
    for file in files:
        instrument = find_instrument(definitions.instruments.all(), file.symbol, file.trade_date, listing_venue)
        venue = definitions.venues.by_mic(instrument.listing_venue).number
        records = await run_in_thread(_read, file, instrument.instrument_id, venue, exchanges)
        parts.append((file.record_type, records))
        serves[ServedMarket(venue=venue, record_type=file.record_type)] = None
    timeline = await run_in_thread(Timeline, parts)
    return RecordedDay(
        timeline=timeline,
        trade_date=files[0].trade_date,
        symbols=tuple(dict.fromkeys(file.symbol for file in files)),
        serves=tuple(serves),
    )


def find_instrument(instruments: Sequence[Instrument], symbol: str, on: date, listing_venue: str | None) -> Instrument:
    """Return the one instrument that has a symbol.

    NotFound: there is none. FeedFileError: there are several, and no listing venue was named.
    """
    found = [
        each
        for each in instruments
        if each.ticker.symbol == symbol and (listing_venue is None or each.listing_venue == listing_venue)
    ]
    if not found:
        ticker = f"{symbol}.{listing_venue or 'VENUE'}"
        raise NotFound(
            f"No instrument has the symbol {symbol}: an administrator adds it with AddInstrument ({ticker}), then replay again.",
            symbol=symbol,
            date=on.isoformat(),
        )
    if len(found) > 1:
        listed = ", ".join(str(each.ticker) for each in found)
        raise FeedFileError(f"{symbol} is listed more than once ({listed}): name the listing venue")
    return found[0]


def _read(file: TickFile, instrument: int, listing_venue: int, exchanges: dict[str, int]) -> Records:
    return read_file(file, instrument=instrument, listing_venue=listing_venue, exchanges=exchanges)


def parse_moment(text: str, trade_date: date) -> Timestamp:
    """Return a market time written as ISO 8601 with zone, or as a time of day (09:45, 09:45:30.5) of the recorded market.

    ValueError: neither.
    """
    try:
        return parse_timestamp(text)
    except ValueError:
        try:
            of_day = time.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{text!r} is no market time: write 09:45, 09:45:30 or 2013-10-08T13:45:00Z") from None
    return at_local(trade_date, of_day, MARKET_ZONE)
