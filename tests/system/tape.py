"""The recorded days as plain Python reads them: the system test's own view, independent of the platform's parsers."""

import csv
import io
import random
import sys
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
KNOWN_EXCEPTIONS = {"IBM": 1}
"""Minutes whose recorded bar closes elsewhere (the data's own README)."""
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


class Tape:
    """The recorded days below a folder, or generated ones of the same form."""

    def __init__(self, root: Path, *, is_recorded: bool) -> None:
        self.root = root
        self.is_recorded = is_recorded

    @property
    def ticks(self) -> Path:
        """The folder that `spire replay` reads."""
        return self.root / "tick"

    def known_exceptions(self, symbol: str) -> int:
        """Return how many minutes' bars do not close where the quotes do."""
        return KNOWN_EXCEPTIONS.get(symbol, 0) if self.is_recorded else 0

    def trades(self, symbol: str, day: date) -> list[Trade]:
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
            for row in self._rows("tick", symbol, day, "trade")
        ]

    def quotes(self, symbol: str, day: date) -> list[Quote]:
        """Return every change of the best bid and offer in file order: two rows of equal time are one change."""
        midnight = _midnight(day)
        changes: list[Quote] = []
        bid: tuple[str, list[str]] | None = None
        for row in self._rows("tick", symbol, day, "quote"):
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

    def quote_bars(self, symbol: str, day: date) -> list[QuoteBar]:
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
            for row in self._rows("minute", symbol, day, "quote")
        ]

    def _rows(self, folder: str, symbol: str, day: date, kind: str) -> Iterator[list[str]]:
        with (
            zipfile.ZipFile(self.root / folder / symbol.lower() / f"{day:%Y%m%d}_{kind}.zip") as archive,
            archive.open(archive.namelist()[0]) as raw,
        ):
            yield from csv.reader(io.TextIOWrapper(raw, "ascii"))


def open_tape(folder: Path) -> Tape:
    """Return the recorded days beside the checkout; where they are absent, say so and generate days below `folder`."""
    if (DATA / "tick" / "bac" / "20131008_trade.zip").exists():
        return Tape(DATA, is_recorded=True)
    sys.stderr.write("\nNo recorded days at ../shared/data/us-equities-2013: generated ticks, seed 20131008.\n")
    root = folder / "generated"
    for day in (date(2013, 10, 7), date(2013, 10, 8)):
        for symbol, price in (("BAC", 138_000), ("IBM", 1_817_000)):
            _generate(root, symbol, day, price)
    return Tape(root, is_recorded=False)


def _generate(root: Path, symbol: str, day: date, price: int) -> None:
    """Write ticks of a random walk, and its minute quote bars, in the form of the recorded files; the seed is fixed."""
    source = random.Random(f"20131008 {symbol} {day}")
    quotes: list[str] = []
    prints: list[str] = []
    closes: dict[int, tuple[int, int, int, int]] = {}
    letters = "".join(sorted(VENUES.keys() - {"D"}))
    time = 4 * 3_600_000
    while time < 20 * 3_600_000:
        time += source.randrange(1, 12_000)
        price += 100 * source.choice((-1, 0, 0, 0, 1))
        bid, ask = price, price + 100 * source.randrange(1, 4)
        bid_size, ask_size = 100 * source.randrange(1, 60), 100 * source.randrange(1, 60)
        quotes.append(f"{time},{bid},{bid_size},0,0,{source.choice(letters)},1,0")
        quotes.append(f"{time},0,0,{ask},{ask_size},{source.choice(letters)},1,0")
        closes[time // 60_000 * 60_000] = (bid, bid_size, ask, ask_size)
        for _ in range(source.randrange(3)):
            size, letter = 100 * source.randrange(1, 9), source.choice(sorted(VENUES))
            prints.append(f"{time},{source.choice((bid, ask))},{size},{letter},{source.choice(('1', '20', '2000'))},0")
    bars = [f"{start},{b},{b},{b},{b},{bs},{a},{a},{a},{a},{s}" for start, (b, bs, a, s) in sorted(closes.items())]
    for folder, kind, lines in (("tick", "quote", quotes), ("tick", "trade", prints), ("minute", "quote", bars)):
        file = root / folder / symbol.lower() / f"{day:%Y%m%d}_{kind}.zip"
        file.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            name = f"{day:%Y%m%d}_{symbol.lower()}_{kind.title()}_Tick.csv"
            archive.writestr(name, "\n".join(lines) + "\n")


def _midnight(day: date) -> int:
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("America/New_York"))
    return int(local.timestamp()) * 10**9
