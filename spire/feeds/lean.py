"""LEAN tick files: one zip a day, symbol and kind, read into packed records (docs/feeds.md).

A trade file's rows are time, price, size, exchange, sale condition, suspicious. A quote file's rows come in pairs of equal time, the
bid row and then the ask row: a pair is one change of the national best bid and offer, and each row's exchange letter names the venue
that holds that side. Times are milliseconds since midnight in the market's zone, prices ten-thousandths of a dollar.
"""

import re
import zipfile
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from spire.feeds.columns import Columns, MalformedTextError
from spire.marketdata.values import BBO, TRADE, BboKind, Present, Records, RecordType
from spire.values.time import local_midnight

MARKET_ZONE: Final = "America/New_York"
FACILITY_LETTER: Final = "D"

_PRICE_SCALE: Final = np.int64(100)
_SIZE_SCALE: Final = np.int64(1_000_000)
_MILLISECOND_PLACES: Final = 6
_NAME: Final = re.compile(r"^(?P<day>\d{8})_(?P<kind>trade|quote)\.zip$")


class FeedFileError(ValueError):
    """A file or folder cannot be replayed; the message says which and what to do."""


@frozen(kw_only=True)
class TickFile:
    """One file of a day: a symbol's trades or its quotes."""

    path: Path
    symbol: str
    trade_date: date
    record_type: RecordType


def find_files(
    path: Path, *, trade_date: date | None = None, symbols: Iterable[str] = (), record_types: Iterable[RecordType] = ()
) -> list[TickFile]:
    """Return the tick files of one day below a folder, sorted by symbol, quotes before trades.

    FeedFileError: there is none, or there are several days and none was chosen.
    """
    wanted = {symbol.upper() for symbol in symbols}
    types = frozenset(record_types) or frozenset(RecordType)
    found = [file for file in _walk(path) if (not wanted or file.symbol in wanted) and file.record_type in types]
    days = sorted({file.trade_date for file in found})
    if trade_date is not None:
        found = [file for file in found if file.trade_date == trade_date]
    elif len(days) > 1:
        raise FeedFileError(f"{path} holds several days ({', '.join(map(str, days))}): name one with --date")
    missing = wanted - {file.symbol for file in found}
    if not found or missing:
        what = f" of {', '.join(sorted(missing))}" if missing else ""
        when = f" for {trade_date}" if trade_date else ""
        raise FeedFileError(
            f"{path} holds no tick files{what}{when} (SYMBOL/YYYYMMDD_trade.zip, SYMBOL/YYYYMMDD_quote.zip)"
        )
    return sorted(found, key=lambda file: (file.symbol, file.record_type is RecordType.TRADE))


def _walk(path: Path) -> list[TickFile]:
    if path.is_file():
        candidates = [path]
    elif path.is_dir():
        root = path / "tick" if (path / "tick").is_dir() else path
        candidates = [*root.glob("*.zip"), *root.glob("*/*.zip")]
    else:
        raise FeedFileError(f"{path} does not exist")
    files = []
    for candidate in candidates:
        match = _NAME.match(candidate.name)
        if match is None:
            continue
        day = match["day"]
        files.append(
            TickFile(
                path=candidate,
                symbol=candidate.resolve().parent.name.upper(),
                trade_date=date(int(day[:4]), int(day[4:6]), int(day[6:])),
                record_type=RecordType.TRADE if match["kind"] == "trade" else RecordType.BBO,
            )
        )
    return files


def read_text(path: Path) -> bytes:
    """Return the one text file inside a zip.

    FeedFileError: it is no zip, or holds not exactly one file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(names) != 1:
                raise FeedFileError(f"{path} holds {len(names)} files instead of one")
            return archive.read(names[0])
    except (zipfile.BadZipFile, OSError) as error:
        raise FeedFileError(f"{path} cannot be read: {error}") from error


def read_file(file: TickFile, *, instrument: int, listing_venue: int, exchanges: Mapping[str, int]) -> Records:
    """Return a file's records in file order; `exchanges` gives the venue number of each exchange letter.

    FeedFileError: the file is malformed, or names an exchange letter that `exchanges` does not know.
    """
    text = read_text(file.path)
    midnight = local_midnight(file.trade_date, MARKET_ZONE)
    try:
        if file.record_type is RecordType.TRADE:
            return trades(text, midnight=midnight, instrument=instrument, exchanges=exchanges)
        return quotes(text, midnight=midnight, instrument=instrument, listing_venue=listing_venue, exchanges=exchanges)
    except MalformedTextError as error:
        raise FeedFileError(f"{file.path}: {error}") from error


def trades(text: bytes, *, midnight: int, instrument: int, exchanges: Mapping[str, int]) -> Records:
    """Return the records of a trade file's text; `midnight` is the day's start in nanoseconds since 1970 UTC."""
    columns = Columns(text, 6)
    letters = columns.letters(3)
    records = np.zeros(len(columns), dtype=TRADE)
    records["instrument"] = instrument
    records["venue"] = _venue_numbers(letters, exchanges)
    records["source_time"] = columns.decimals(0, _MILLISECOND_PLACES) + midnight
    records["price"] = columns.integers(1) * _PRICE_SCALE
    records["size"] = columns.integers(2) * _SIZE_SCALE
    records["conditions"] = columns.hexadecimal(4)
    off_exchange = letters == ord(FACILITY_LETTER)
    records["facility"] = np.where(off_exchange, records["venue"], 0)
    records["source_sequence"] = np.arange(1, len(columns) + 1, dtype=np.uint64)
    records["present"] = Present.SOURCE_SEQUENCE | np.where(off_exchange, np.uint16(Present.FACILITY), np.uint16(0))
    return records


def quotes(text: bytes, *, midnight: int, instrument: int, listing_venue: int, exchanges: Mapping[str, int]) -> Records:
    """Return the changes of the best bid and offer in a quote file's text: one for each pair, and one for each lone row."""
    columns = Columns(text, 8)
    time = columns.decimals(0, _MILLISECOND_PLACES)
    bid, bid_size, ask, ask_size = (columns.integers(column) for column in (1, 2, 3, 4))
    is_bid, is_ask = (ask == 0) & (ask_size == 0), (bid == 0) & (bid_size == 0)
    unclear = np.flatnonzero(is_bid == is_ask)
    if unclear.size:
        raise MalformedTextError(f"line {int(unclear[0]) + 1} must hold a bid or an offer, not both or neither")
    paired = np.zeros(len(columns), dtype=bool)
    paired[:-1] = is_bid[:-1] & is_ask[1:] & (time[:-1] == time[1:])
    second = np.zeros(len(columns), dtype=bool)
    second[1:] = paired[:-1]
    first_rows = np.flatnonzero(~second)
    bid_rows = first_rows
    ask_rows = np.where(paired[first_rows], first_rows + 1, first_rows)
    numbers, conditions = _venue_numbers(columns.letters(5), exchanges), columns.hexadecimal(6)
    has_bid, has_ask = is_bid[bid_rows], is_ask[ask_rows]
    records = np.zeros(len(first_rows), dtype=BBO)
    records["instrument"] = instrument
    records["venue"] = listing_venue
    records["source_time"] = time[first_rows] + midnight
    records["kind"] = BboKind.NATIONAL
    records["source_sequence"] = np.arange(1, len(first_rows) + 1, dtype=np.uint64)
    records["present"] = (
        np.uint16(Present.SOURCE_SEQUENCE)
        | np.where(has_bid, np.uint16(Present.BID), np.uint16(0))
        | np.where(has_ask, np.uint16(Present.ASK), np.uint16(0))
    )
    records["bid"] = bid[bid_rows] * _PRICE_SCALE
    records["bid_size"] = bid_size[bid_rows] * _SIZE_SCALE
    records["ask"] = ask[ask_rows] * _PRICE_SCALE
    records["ask_size"] = ask_size[ask_rows] * _SIZE_SCALE
    records["bid_venue"] = np.where(has_bid, numbers[bid_rows], 0)
    records["ask_venue"] = np.where(has_ask, numbers[ask_rows], 0)
    records["bid_conditions"] = np.where(has_bid, conditions[bid_rows], 0)
    records["ask_conditions"] = np.where(has_ask, conditions[ask_rows], 0)
    return records


def _venue_numbers(letters: NDArray[np.uint8], exchanges: Mapping[str, int]) -> NDArray[np.uint16]:
    table = np.zeros(256, dtype=np.uint16)
    for letter, number in exchanges.items():
        table[ord(letter)] = number
    numbers = table[letters]
    unknown = np.flatnonzero(numbers == 0)
    if unknown.size:
        letter = chr(int(letters[unknown[0]]))
        raise MalformedTextError(
            f"line {int(unknown[0]) + 1} names exchange {letter!r}, which no venue of the platform has"
        )
    return numbers
