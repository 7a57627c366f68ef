"""Candlesticks: their packed layout, and the name of a series of them."""

from enum import IntEnum
from typing import Any, Final

import numpy as np
from attrs import field, frozen
from attrs.validators import ge, le
from numpy.typing import NDArray

from spire.values.amounts import Notional, Price, Rounding, divide
from spire.values.time import NANOSECONDS

DAY: Final = 86_400 * NANOSECONDS
SHORTEST_INTERVAL: Final = NANOSECONDS // 1000
LONGEST_INTERVAL: Final = 366 * DAY

PRICED: Final = 1
"""`present` bit: the candle saw a print that counts for a price; without it open, high, low and close are absent."""

CANDLE: Final = np.dtype(
    [
        ("sequence", "<u8"),
        ("instrument", "<u4"),
        ("present", "<u2"),
        ("eligibility", "<u2"),
        ("start", "<i8"),
        ("end", "<i8"),
        ("open", "<i8"),
        ("high", "<i8"),
        ("low", "<i8"),
        ("close", "<i8"),
        ("open_time", "<i8"),
        ("close_time", "<i8"),
        ("volume", "<i8"),
        ("count", "<u8"),
        ("notional_high", "<u8"),
        ("notional_low", "<u8"),
    ]
)
"""One candle of one instrument over [start, end).

`sequence` is that of the last trade it includes. Prices and volume are scaled by 10**6; notional is price x quantity at
10**12 in two 64-bit halves, because a busy minute exceeds one. `count` is the number of prints that count for volume.
"""

Candles = NDArray[Any]


class Eligibility(IntEnum):
    """Which prints a candle takes (docs/charting.md)."""

    ALL = 1
    CONSOLIDATED = 2


@frozen(kw_only=True)
class CandleTopic:
    """One series of candles: an instrument, an interval in nanoseconds, and which prints count.

    Its name on the wire is `candles/<instrument>/<interval>/<eligibility>`. Its sequences are those of the trades: a
    candle carries the sequence of the last trade that it includes, and a change of a candle is published as the whole
    candle, known by its `start`. `parse` raises ValueError, which names what is wrong.
    """

    instrument_id: int = field(validator=[ge(1), le(2**32 - 1)])
    interval: int = field(validator=[ge(SHORTEST_INTERVAL), le(LONGEST_INTERVAL)])
    eligibility: Eligibility = Eligibility.ALL

    def __attrs_post_init__(self) -> None:
        if self.interval > DAY and self.interval % DAY:
            raise ValueError("an interval above a day must be whole days")

    def __str__(self) -> str:
        return f"candles/{self.instrument_id}/{self.interval}/{self.eligibility.name}"

    @classmethod
    def parse(cls, name: str) -> "CandleTopic":
        """Return the series that `name` stands for."""
        parts = name.split("/")
        if len(parts) != 4 or parts[0] != "candles" or not (parts[1].isdecimal() and parts[2].isdecimal()):
            raise ValueError(f"{name!r} is not candles/<instrument>/<interval>/<eligibility>")
        if parts[3] not in Eligibility.__members__:
            raise ValueError(f"{parts[3]!r} is no eligibility; take one of {', '.join(Eligibility.__members__)}")
        topic = cls(instrument_id=int(parts[1]), interval=int(parts[2]), eligibility=Eligibility[parts[3]])
        if str(topic) != name:
            raise ValueError(f"{name!r} is written {topic}")
        return topic


def candle_notional(candle: Any) -> Notional:
    """Return the sum of price x quantity of a candle at 10**12, exact."""
    return Notional((int(candle["notional_high"]) << 64) | int(candle["notional_low"]))


def candle_vwap(candle: Any) -> Price | None:
    """Return the volume-weighted average price, half-even at 10**-6; None where nothing counted for volume."""
    volume = int(candle["volume"])
    return Price(divide(candle_notional(candle), volume, Rounding.HALF_EVEN)) if volume else None
