"""Reading `etc/definitions/*.toml`: strict, cross-checked, refused with file, line and key."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attrs import frozen

from spire.definitions.instruments import InstrumentDraft
from spire.definitions.values import (
    CountryEntry,
    CurrencyEntry,
    Destination,
    EligibilityRule,
    ExchangeRate,
    Schedule,
    TickTable,
    VenueEntry,
)
from spire.service.configuration import ConfigurationError, load
from spire.service.toml_lines import line_of, lines_of_keys
from spire.values.environment import Environment

T = TypeVar("T")

COUNTRIES = "countries.toml"
CURRENCIES = "currencies.toml"
VENUES = "venues.toml"
DESTINATIONS = "destinations.toml"
SCHEDULES = "schedules.toml"
TICKS = "ticks.toml"
RATES = "rates.toml"
ELIGIBILITY = "eligibility.toml"
INSTRUMENTS = "instruments.toml"


@frozen(kw_only=True)
class Datasets:
    """Everything that the files say, checked against each other."""

    countries: tuple[CountryEntry, ...]
    currencies: tuple[CurrencyEntry, ...]
    venues: tuple[VenueEntry, ...]
    retired_venue_numbers: tuple[int, ...]
    destinations: tuple[Destination, ...]
    schedules: tuple[Schedule, ...]
    tick_tables: tuple[TickTable, ...]
    rates: tuple[ExchangeRate, ...]
    eligibility: tuple[EligibilityRule, ...]
    instruments: tuple[InstrumentDraft, ...]


@frozen(kw_only=True)
class _Countries:
    country: tuple[CountryEntry, ...]


@frozen(kw_only=True)
class _Currencies:
    currency: tuple[CurrencyEntry, ...]


@frozen(kw_only=True)
class _Venues:
    retired_numbers: tuple[int, ...]
    venue: tuple[VenueEntry, ...]


@frozen(kw_only=True)
class _DestinationTable:
    name: str
    description: str
    driver: str
    venues: tuple[str, ...]
    preferred_for: tuple[str, ...] = ()


@frozen(kw_only=True)
class _Destinations:
    destination: tuple[_DestinationTable, ...]


@frozen(kw_only=True)
class _Schedules:
    schedule: tuple[Schedule, ...]


@frozen(kw_only=True)
class _Ticks:
    tick_table: tuple[TickTable, ...]


@frozen(kw_only=True)
class _Rates:
    rate: tuple[ExchangeRate, ...] = ()


@frozen(kw_only=True)
class _Condition:
    bit: int
    name: str


@frozen(kw_only=True)
class _RuleTable:
    name: str
    not_open: tuple[str, ...]
    not_high_low: tuple[str, ...]
    not_last: tuple[str, ...]
    not_volume: tuple[str, ...]


@frozen(kw_only=True)
class _Eligibility:
    condition: tuple[_Condition, ...]
    rule: tuple[_RuleTable, ...]


@frozen(kw_only=True)
class _Instruments:
    instrument: tuple[InstrumentDraft, ...] = ()


def default_directory() -> Path:
    """Return where the definitions are: in the installed package, else in the checkout around it."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "etc" / "definitions"
    return installed if installed.is_dir() else package.parent / "etc" / "definitions"


def load_datasets(directory: Path, environment: Environment) -> Datasets:
    """Read and check all definition files; ConfigurationError names file, line and key of the first fault.

    PRODUCTION goes without the indicative rates: a missing rate refuses opening orders, an invented one would not.
    """
    countries = load(directory / COUNTRIES, _Countries).country
    currencies = load(directory / CURRENCIES, _Currencies).currency
    schedules = load(directory / SCHEDULES, _Schedules).schedule
    ticks = load(directory / TICKS, _Ticks).tick_table
    venues = load(directory / VENUES, _Venues)
    destinations = load(directory / DESTINATIONS, _Destinations).destination
    rates = load(directory / RATES, _Rates).rate
    eligibility = load(directory / ELIGIBILITY, _Eligibility)
    instruments = load(directory / INSTRUMENTS, _Instruments).instrument

    country_file = _File(directory / COUNTRIES, "country")
    country_codes = country_file.unique(countries, "code", lambda row: row.code)
    country_file.unique(countries, "alpha3", lambda row: row.alpha3)
    country_file.unique(countries, "numeric", lambda row: row.numeric)
    currency_file = _File(directory / CURRENCIES, "currency")
    currency_codes = currency_file.unique(currencies, "code", lambda row: row.code)
    currency_file.unique(currencies, "numeric", lambda row: row.numeric)
    schedule_names = _File(directory / SCHEDULES, "schedule").unique(schedules, "name", lambda row: row.name)
    tick_names = _File(directory / TICKS, "tick_table").unique(ticks, "name", lambda row: row.name)

    venue_file = _File(directory / VENUES, "venue")
    mics = venue_file.unique(venues.venue, "mic", lambda row: row.mic)
    venue_file.unique(venues.venue, "number", lambda row: row.number, taken=venues.retired_numbers)
    letters: set[str] = set()
    for index, venue in enumerate(venues.venue):
        venue_file.known(index, "country", venue.country, country_codes)
        venue_file.known(index, "currency", venue.currency, currency_codes)
        venue_file.known(index, "schedule", venue.schedule, schedule_names)
        for letter in venue.tape_letters:
            if letter in letters:
                venue_file.refuse(index, "tape_letters", f"letter {letter} belongs to another venue too")
            letters.add(letter)

    return Datasets(
        countries=countries,
        currencies=currencies,
        venues=venues.venue,
        retired_venue_numbers=venues.retired_numbers,
        destinations=_destinations(directory, destinations, venues.venue),
        schedules=schedules,
        tick_tables=ticks,
        rates=_checked_rates(directory, rates, currency_codes, environment),
        eligibility=_rules(directory, eligibility),
        instruments=_checked_instruments(directory, instruments, mics, currency_codes, tick_names),
    )


def _destinations(
    directory: Path, tables: Sequence[_DestinationTable], venues: Iterable[VenueEntry]
) -> tuple[Destination, ...]:
    file = _File(directory / DESTINATIONS, "destination")
    file.unique(tables, "name", lambda row: row.name)
    trading = {str(venue.mic): venue.mic for venue in venues if venue.takes_orders}
    preferred: set[str] = set()
    answer = []
    for index, table in enumerate(tables):
        for key, codes in (("venues", table.venues), ("preferred_for", table.preferred_for)):
            for code in codes:
                file.known(index, key, code, trading, "a venue that takes orders")
        for code in table.preferred_for:
            if code in preferred:
                file.refuse(index, "preferred_for", f"{code} has another preferred destination")
            if code not in table.venues:
                file.refuse(index, "preferred_for", f"{code} is none of its venues")
            preferred.add(code)
        answer.append(
            Destination(
                name=table.name,
                description=table.description,
                driver=table.driver,
                venues=tuple(trading[code] for code in table.venues),
                preferred_for=tuple(trading[code] for code in table.preferred_for),
            )
        )
    return tuple(answer)


def _checked_rates(
    directory: Path, rates: tuple[ExchangeRate, ...], currencies: set[Any], environment: Environment
) -> tuple[ExchangeRate, ...]:
    file = _File(directory / RATES, "rate")
    file.unique(rates, "rate_id", lambda row: row.rate_id)
    file.unique(rates, "counter", lambda row: frozenset((row.base, row.counter)))
    for index, rate in enumerate(rates):
        file.known(index, "base", rate.base, currencies)
        file.known(index, "counter", rate.counter, currencies)
    return tuple(rate for rate in rates if not (rate.indicative and environment is Environment.PRODUCTION))


def _rules(directory: Path, eligibility: _Eligibility) -> tuple[EligibilityRule, ...]:
    conditions = _File(directory / ELIGIBILITY, "condition")
    conditions.unique(eligibility.condition, "name", lambda row: row.name)
    conditions.unique(eligibility.condition, "bit", lambda row: row.bit)
    for index, condition in enumerate(eligibility.condition):
        if not 0 <= condition.bit <= 63:
            conditions.refuse(index, "bit", f"is {condition.bit}, must be 0 to 63")
    bits = {condition.name: 1 << condition.bit for condition in eligibility.condition}
    file = _File(directory / ELIGIBILITY, "rule")
    file.unique(eligibility.rule, "name", lambda row: row.name)

    def mask(index: int, key: str, names: tuple[str, ...]) -> int:
        for name in names:
            file.known(index, key, name, bits, "a condition of this file")
        return sum({bits[name] for name in names})

    return tuple(
        EligibilityRule(
            name=rule.name,
            not_open=mask(index, "not_open", rule.not_open),
            not_high_low=mask(index, "not_high_low", rule.not_high_low),
            not_last=mask(index, "not_last", rule.not_last),
            not_volume=mask(index, "not_volume", rule.not_volume),
        )
        for index, rule in enumerate(eligibility.rule)
    )


def _checked_instruments(
    directory: Path,
    instruments: tuple[InstrumentDraft, ...],
    mics: set[Any],
    currencies: set[Any],
    ticks: set[Any],
) -> tuple[InstrumentDraft, ...]:
    file = _File(directory / INSTRUMENTS, "instrument")
    file.unique(instruments, "ticker", lambda row: row.ticker)
    for index, draft in enumerate(instruments):
        file.known(index, "ticker", draft.ticker.venue, mics)
        file.known(index, "listing_venue", draft.listing_venue, mics)
        file.known(index, "currency", draft.currency, currencies)
        file.known(index, "tick_table", draft.tick_table, ticks)
    return instruments


class _File:
    """One file's array of tables, and where to point when a row of it is refused."""

    def __init__(self, path: Path, table: str) -> None:
        self._path = path
        self._table = table

    def unique(self, rows: Sequence[T], key: str, value_of: Callable[[T], Any], taken: Iterable[Any] = ()) -> set[Any]:
        """Return the values of all rows; refuse the second row with the same value, or one that is `taken`."""
        seen: set[Any] = set(taken)
        for index, row in enumerate(rows):
            value = value_of(row)
            if value in seen:
                self.refuse(index, key, "stands twice, or was retired")
            seen.add(value)
        return seen

    def known(
        self, index: int, key: str, value: object, known: Iterable[object], what: str = "a row of its own file"
    ) -> None:
        """Refuse a reference to something that does not exist."""
        if value not in known:
            self.refuse(index, key, f"{value} is not {what}")

    def refuse(self, index: int, key: str, reason: str) -> None:
        """Raise ConfigurationError at the key of a row."""
        lines = lines_of_keys(self._path.read_text(encoding="utf-8"))
        line = line_of((self._table, index, key), lines)
        raise ConfigurationError(f"{self._path}:{line}: {self._table}.{index}.{key}: {reason}")
