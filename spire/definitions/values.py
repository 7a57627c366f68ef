"""What the Definitions Server serves: countries, currencies, venues, destinations, schedules, ticks, rates, eligibility.

Each type is a row of a state topic and a table of `etc/definitions/*.toml` at once; instruments stand in `instruments.py`.
"""

import datetime
from enum import IntEnum
from itertools import pairwise

from attrs import frozen

from spire.definitions.parsing import parse_date, parse_instant, parse_rate, parse_time_of_day
from spire.service.configuration import setting
from spire.values.amounts import Price, parse_price
from spire.values.codes import Country, Currency, Venue, parse_country, parse_currency, parse_venue
from spire.values.time import Timestamp, parse_zone

GREATEST_VENUE_NUMBER = 2**16 - 1


class Dataset(IntEnum):
    """The datasets, each a state topic of the same name in lower case."""

    COUNTRIES = 1
    CURRENCIES = 2
    VENUES = 3
    DESTINATIONS = 4
    SCHEDULES = 5
    TICK_TABLES = 6
    RATES = 7
    ELIGIBILITY = 8
    INSTRUMENTS = 9

    @property
    def topic(self) -> str:
        """The name of the dataset's state topic."""
        return self.name.lower()


@frozen(kw_only=True)
class DatasetVersion:
    """Which content of a dataset is served: a row of the state topic `dataset`, keyed by the dataset's topic.

    `version` counts the contents that the database has seen, from 1; `digest` is the SHA-256 of the content.
    """

    dataset: str
    version: int
    digest: str
    rows: int
    loaded: Timestamp


@frozen(kw_only=True)
class CountryEntry:
    """A country by ISO 3166-1."""

    code: Country = setting(parse=parse_country)
    alpha3: str
    numeric: int
    name: str


@frozen(kw_only=True)
class CurrencyEntry:
    """A currency by ISO 4217; `minor_units` is the number of decimal places of its accounts."""

    code: Currency = setting(parse=parse_currency)
    numeric: int
    minor_units: int
    name: str
    sign: str

    def __attrs_post_init__(self) -> None:
        """Refuse minor units that amounts of six decimals cannot hold."""
        if not 0 <= self.minor_units <= 6:
            raise ValueError(f"minor_units of {self.code} is {self.minor_units}, must be 0 to 6")


class VenueKind(IntEnum):
    """What a venue does: trade, report prints made elsewhere, or stand in for a market."""

    EXCHANGE = 1
    REPORTING_FACILITY = 2
    DEMONSTRATION = 3


@frozen(kw_only=True)
class VenueEntry:
    """A venue, its platform-wide number in packed records, and its place in the US consolidated tape.

    `schedule` names the trading schedule, `currency` is what its listings usually have (the instrument's own counts).
    """

    number: int
    mic: Venue = setting(parse=parse_venue)
    name: str
    kind: VenueKind
    country: Country = setting(parse=parse_country)
    currency: Currency = setting(parse=parse_currency)
    time_zone: str = setting(parse=parse_zone)
    schedule: str
    tape_letters: tuple[str, ...] = ()
    has_quotes: bool = True
    takes_orders: bool = True

    def __attrs_post_init__(self) -> None:
        """Refuse numbers that do not fit u2, letters that are none, and a facility that would take orders."""
        if not 1 <= self.number <= GREATEST_VENUE_NUMBER:
            raise ValueError(f"number of {self.mic} is {self.number}, must be 1 to {GREATEST_VENUE_NUMBER}")
        for letter in self.tape_letters:
            if len(letter) != 1 or not "A" <= letter <= "Z":
                raise ValueError(f"tape letter {letter!r} of {self.mic} is not one capital")
        if self.kind is VenueKind.REPORTING_FACILITY and (self.has_quotes or self.takes_orders):
            raise ValueError(f"{self.mic} is a reporting facility: it has neither quotes nor takes orders")


@frozen(kw_only=True)
class Destination:
    """Where orders can be sent: a driver and the listing venues whose instruments it takes."""

    name: str
    description: str
    driver: str
    venues: tuple[Venue, ...]
    preferred_for: tuple[Venue, ...] = ()

    def __attrs_post_init__(self) -> None:
        """Refuse a preference for a venue that the destination does not take."""
        strangers = [venue for venue in self.preferred_for if venue not in self.venues]
        if strangers:
            raise ValueError(f"{self.name} is preferred for {strangers[0]}, which is none of its venues")


class Weekday(IntEnum):
    """Days of the week, numbered as ISO 8601 does."""

    MONDAY = 1
    TUESDAY = 2
    WEDNESDAY = 3
    THURSDAY = 4
    FRIDAY = 5
    SATURDAY = 6
    SUNDAY = 7


class SessionKind(IntEnum):
    """The part of a trading day that a session is."""

    PRE_MARKET = 1
    REGULAR = 2
    POST_MARKET = 3
    OVERNIGHT = 4


@frozen(kw_only=True)
class SessionTimes:
    """A session of each trade date: seconds on the local clock's face; `opens_day` -1 is the calendar day before."""

    kind: SessionKind
    opens: int = setting(parse=parse_time_of_day)
    closes: int = setting(parse=parse_time_of_day)
    opens_day: int = 0
    closes_day: int = 0

    def __attrs_post_init__(self) -> None:
        """Refuse a session that ends before it begins, or begins more than a day early."""
        if self.opens_day not in (-1, 0) or self.closes_day not in (-1, 0):
            raise ValueError("opens_day and closes_day are 0, or -1 for the calendar day before the trade date")
        if self.opens + self.opens_day * 86_400 >= self.closes + self.closes_day * 86_400:
            raise ValueError(f"the {self.kind.name} session closes before it opens")


@frozen(kw_only=True)
class Holiday:
    """A trade date without any session."""

    date: datetime.date = setting(parse=parse_date)
    name: str


@frozen(kw_only=True)
class ShortDay:
    """A trade date with sessions of its own."""

    date: datetime.date = setting(parse=parse_date)
    name: str
    sessions: tuple[SessionTimes, ...]

    def __attrs_post_init__(self) -> None:
        """Refuse sessions that overlap."""
        _in_order(self.sessions)


@frozen(kw_only=True)
class Schedule:
    """When a venue trades: sessions of its weekdays, holidays without any, short days with their own.

    What it says holds for trade dates from `covered_from` to `covered_to`, both included; beyond them nothing is known.
    """

    name: str
    time_zone: str = setting(parse=parse_zone)
    covered_from: datetime.date = setting(parse=parse_date)
    covered_to: datetime.date = setting(parse=parse_date)
    weekdays: tuple[Weekday, ...]
    sessions: tuple[SessionTimes, ...]
    holiday: tuple[Holiday, ...] = ()
    short_day: tuple[ShortDay, ...] = ()

    def __attrs_post_init__(self) -> None:
        """Refuse sessions that overlap, and days that are named twice or lie outside the coverage."""
        _in_order(self.sessions)
        seen: set[datetime.date] = set()
        for date in (*(day.date for day in self.holiday), *(day.date for day in self.short_day)):
            if date in seen:
                raise ValueError(f"{date} is named twice")
            if not self.covered_from <= date <= self.covered_to:
                raise ValueError(f"{date} lies outside {self.covered_from} to {self.covered_to}")
            seen.add(date)


def _in_order(sessions: tuple[SessionTimes, ...]) -> None:
    for earlier, later in pairwise(sessions):
        if earlier.closes + earlier.closes_day * 86_400 > later.opens + later.opens_day * 86_400:
            raise ValueError(f"the {later.kind.name} session opens before {earlier.kind.name} closes")


@frozen(kw_only=True)
class TickStep:
    """From `from_price` up to the next step's, prices of orders are multiples of `tick`; both scaled by 10**6."""

    from_price: Price = setting(parse=parse_price)
    tick: Price = setting(parse=parse_price)


@frozen(kw_only=True)
class TickTable:
    """The least price steps of orders, by price, ascending from 0."""

    name: str
    steps: tuple[TickStep, ...]

    def __attrs_post_init__(self) -> None:
        """Refuse a table that does not begin at 0, does not ascend, or whose step is off its own tick."""
        if not self.steps or self.steps[0].from_price != 0:
            raise ValueError(f"tick table {self.name} must begin at price 0")
        for step in self.steps:
            if step.tick <= 0 or step.from_price % step.tick:
                raise ValueError(f"tick table {self.name}: a tick must be above 0 and divide its from_price")
        prices = [step.from_price for step in self.steps]
        if sorted(set(prices)) != prices:
            raise ValueError(f"tick table {self.name}: from_price must ascend")


@frozen(kw_only=True)
class ExchangeRate:
    """One unit of `base` is worth `rate` / 10**9 units of `counter` since `as_of`."""

    rate_id: str
    base: Currency = setting(parse=parse_currency)
    counter: Currency = setting(parse=parse_currency)
    rate: int = setting(parse=parse_rate)
    as_of: Timestamp = setting(parse=parse_instant)
    source: str
    indicative: bool = False

    def __attrs_post_init__(self) -> None:
        """Refuse a rate of a currency to itself, and one that is not above 0."""
        if self.base == self.counter:
            raise ValueError(f"{self.base} needs no rate to itself")
        if self.rate <= 0:
            raise ValueError(f"the rate of {self.base}/{self.counter} must be above 0")


@frozen(kw_only=True)
class EligibilityRule:
    """Bit sets of sale conditions: a print with any bit of a set does not count for what the set is named for."""

    name: str
    not_open: int
    not_high_low: int
    not_last: int
    not_volume: int
