"""The recorded days as plain Python reads them: the system test's own view, independent of the platform's parsers."""

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "us-equities-2013"
VENUES = {
    "A": "XASE", "B": "XBOS", "C": "XCIS", "D": "FINR", "J": "EDGA", "K": "EDGX", "M": "XCHI", "N": "XNYS",
    "P": "ARCX", "Q": "XNAS", "T": "XNAS", "W": "XCBO", "X": "XPHL", "Y": "BATY", "Z": "BATS",
}  # fmt: skip
MICRO_PER_TICK = 100  # file prices are ten-thousandths of a dollar, the platform's are millionths


class Trade(NamedTuple):
    """One print: nanoseconds since 1970, price and size at 10**6, MIC, condition bits."""

    time: int
    price: int
    size: int
    venue: str
    conditions: int


class Quote(NamedTuple):
    """One change of the best bid and offer; a side that is absent has None for price, size and venue."""

    time: int
    bid: int | None
    bid_size: int | None
    bid_venue: str | None
    ask: int | None
    ask_size: int | None
    ask_venue: str | None


class QuoteBar(NamedTuple):
    """The close of one minute of quotes, by the minute's start."""

    start: int
    bid: int
    bid_size: int
    ask: int
    ask_size: int


def available() -> bool:
    """Tell whether the recorded days lie beside the checkout."""
    return (DATA / "tick" / "bac" / "20131008_trade.zip").exists()


def _rows(folder: str, symbol: str, day: date, kind: str) -> Iterator[list[str]]:
    with (
        zipfile.ZipFile(DATA / folder / symbol.lower() / f"{day:%Y%m%d}_{kind}.zip") as archive,
        archive.open(archive.namelist()[0]) as raw,
    ):
        yield from csv.reader(io.TextIOWrapper(raw, "ascii"))


def _midnight(day: date) -> int:
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("America/New_York"))
    return int(local.timestamp()) * 10**9


def trades(symbol: str, day: date) -> list[Trade]:
    """Return every print of the day in file order."""
    midnight = _midnight(day)
    return [
        Trade(
            midnight + int(Decimal(row[0]) * 10**6),
            int(row[1]) * MICRO_PER_TICK,
            int(row[2]) * 10**6,
            VENUES[row[3]],
            int(row[4], 16),
        )
        for row in _rows("tick", symbol, day, "trade")
    ]


def quotes(symbol: str, day: date) -> list[Quote]:
    """Return every change of the best bid and offer in file order: two rows of equal time are one change."""
    midnight = _midnight(day)
    changes: list[Quote] = []
    bid: tuple[str, list[str]] | None = None
    for row in _rows("tick", symbol, day, "quote"):
        time = midnight + int(Decimal(row[0]) * 10**6)
        if int(row[1]) or int(row[2]):
            bid = (row[0], row)
            continue
        ask = (int(row[3]) * MICRO_PER_TICK, int(row[4]) * 10**6, VENUES[row[5]])
        if bid is not None and bid[0] == row[0]:
            pair = bid[1]
            changes.append(
                Quote(time, int(pair[1]) * MICRO_PER_TICK, int(pair[2]) * 10**6, VENUES[pair[5]], *ask),
            )
        else:
            changes.append(Quote(time, None, None, None, *ask))
        bid = None
    return changes


def quote_bars(symbol: str, day: date) -> list[QuoteBar]:
    """Return the closes of the day's minute quote bars."""
    midnight = _midnight(day)
    return [
        QuoteBar(
            midnight + int(row[0]) * 10**6,
            int(row[4]) * MICRO_PER_TICK,
            int(row[5]) * 10**6,
            int(row[9]) * MICRO_PER_TICK,
            int(row[10]) * 10**6,
        )
        for row in _rows("minute", symbol, day, "quote")
    ]
