"""Configuration of the feeds."""

import datetime
from pathlib import Path

from attrs import Factory, field, frozen
from attrs.validators import gt

from spire.feeds.simulation import Rates
from spire.service.configuration import setting
from spire.service.sections import LocatorSection, ProcessConfiguration


def parse_date(value: object) -> datetime.date:
    """Return a TOML date, or an ISO date in text; ValueError otherwise."""
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value
    if isinstance(value, str):
        return datetime.date.fromisoformat(value)
    raise ValueError(f"must be a date, is {value!r}")


def parse_number(value: object) -> float:
    """Return a whole or decimal TOML number; ValueError otherwise."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"must be a number, is {value!r}")


@frozen(kw_only=True)
class ReplaySection:
    """What to replay and how.

    `path` holds LEAN tick zips (`tick/SYMBOL/YYYYMMDD_trade.zip`); `date` is needed where it holds several days, `listing_venue` (a
    MIC) where a symbol is listed twice. `speed` is a factor of market time, absent as fast as possible. `until` is a market time (09:45
    or ISO) at which it pauses. `name` is the feed session's; absent it is made of date and symbols.
    """

    path: Path
    date: datetime.date | None = setting(parse=parse_date, default=None)
    symbols: tuple[str, ...] = ()
    listing_venue: str | None = None
    speed: float | None = setting(parse=parse_number, default=None)
    until: str | None = None
    paused: bool = False
    name: str | None = None


@frozen(kw_only=True)
class ReplayConfiguration(ProcessConfiguration):
    """The replay feed's whole configuration file."""

    locator: LocatorSection
    replay: ReplaySection


@frozen(kw_only=True)
class SimulationSection:
    """The generated market: all active instruments of the listing venue `venue` (a MIC), from a seed, at rates a second."""

    venue: str = "DEMO"
    seed: int = 1
    levels: int = field(default=5, validator=gt(0))
    quotes: float = setting(parse=parse_number, default=20.0)
    trades: float = setting(parse=parse_number, default=5.0)

    @property
    def rates(self) -> Rates:
        """The rates; ValueError for a negative one."""
        return Rates(quotes=self.quotes, trades=self.trades)

    def __attrs_post_init__(self) -> None:
        """Refuse negative rates."""
        _ = self.rates


@frozen(kw_only=True)
class SimulationConfiguration(ProcessConfiguration):
    """The simulation feed's whole configuration file."""

    locator: LocatorSection
    simulation: SimulationSection = Factory(SimulationSection)
