"""How datasets become rows of state topics: their types, keys and order (sans-I/O)."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from spire.definitions.files import Datasets
from spire.definitions.instruments import Instrument
from spire.definitions.values import (
    CountryEntry,
    CurrencyEntry,
    Dataset,
    Destination,
    EligibilityRule,
    ExchangeRate,
    Schedule,
    TickTable,
    VenueEntry,
)

DATASET_TOPIC: Final = "dataset"
"""The state topic of dataset versions."""

ROW_TYPES: Final[Mapping[Dataset, type[Any]]] = {
    Dataset.COUNTRIES: CountryEntry,
    Dataset.CURRENCIES: CurrencyEntry,
    Dataset.VENUES: VenueEntry,
    Dataset.DESTINATIONS: Destination,
    Dataset.SCHEDULES: Schedule,
    Dataset.TICK_TABLES: TickTable,
    Dataset.RATES: ExchangeRate,
    Dataset.ELIGIBILITY: EligibilityRule,
    Dataset.INSTRUMENTS: Instrument,
}


def rows_of(datasets: Datasets, dataset: Dataset) -> dict[str, Any]:
    """Return the rows of a dataset that comes from files, by key; instruments come from the store."""
    found: dict[Dataset, dict[str, Any]] = {
        Dataset.COUNTRIES: {str(row.code): row for row in datasets.countries},
        Dataset.CURRENCIES: {str(row.code): row for row in datasets.currencies},
        Dataset.VENUES: {str(row.mic): row for row in datasets.venues},
        Dataset.DESTINATIONS: {row.name: row for row in datasets.destinations},
        Dataset.SCHEDULES: {row.name: row for row in datasets.schedules},
        Dataset.TICK_TABLES: {row.name: row for row in datasets.tick_tables},
        Dataset.RATES: {row.rate_id: row for row in datasets.rates},
        Dataset.ELIGIBILITY: {row.name: row for row in datasets.eligibility},
    }
    return found[dataset]


def key_order(dataset: Dataset) -> Callable[[str], Any]:
    """Return how keys of a dataset are ordered: instruments by number, all else by text. ValueError for no key."""
    return int if dataset is Dataset.INSTRUMENTS else str
