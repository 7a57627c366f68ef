"""Definitions for every other process: live views that follow the server's topics, and its calls."""

import datetime
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from spire.definitions.commands import AddInstrument, FindInstruments, LoadDataset
from spire.definitions.instruments import LONGEST_PAGE, Instrument, InstrumentDraft, InstrumentMaster
from spire.definitions.rates import Conversion, find_conversion
from spire.definitions.rows import DATASET_TOPIC, ROW_TYPES
from spire.definitions.schedule import Calendar
from spire.definitions.values import (
    CountryEntry,
    CurrencyEntry,
    Dataset,
    DatasetVersion,
    Destination,
    EligibilityRule,
    ExchangeRate,
    Schedule,
    TickTable,
    VenueEntry,
)
from spire.values.codes import Currency, Venue
from spire.values.tickers import Ticker
from spire.wire.arguments import decode
from spire.wire.client_session import ClientSession
from spire.wire.errors import NotFound, Unavailable
from spire.wire.state_view import StateView

Row = TypeVar("Row")

CALL_SECONDS = 10


class DefinitionsClient:
    """Everything that Definitions serves, as last received; it subscribes when it is made.

    The views answer from memory and never wait: before the first snapshot they raise Unavailable, and while the server
    is away they answer what they had. `session` is the client session with `definitions_service`, started by its owner.
    """

    def __init__(self, session: ClientSession) -> None:
        self._session = session
        views: dict[Dataset, StateView[Any]] = {
            dataset: session.subscriptions.state(dataset.topic, ROW_TYPES[dataset]) for dataset in Dataset
        }
        self._views = views
        self._versions: StateView[DatasetVersion] = session.subscriptions.state(DATASET_TOPIC, DatasetVersion)
        self.countries: Table[CountryEntry] = Table(views[Dataset.COUNTRIES], "country")
        self.currencies: Table[CurrencyEntry] = Table(views[Dataset.CURRENCIES], "currency")
        self.destinations = Destinations(views[Dataset.DESTINATIONS])
        self.eligibility: Table[EligibilityRule] = Table(views[Dataset.ELIGIBILITY], "eligibility rule")
        self.tick_tables: Table[TickTable] = Table(views[Dataset.TICK_TABLES], "tick table")
        self.venues = Venues(views[Dataset.VENUES])
        self.schedules = Schedules(views[Dataset.SCHEDULES], self.venues)
        self.rates = Rates(views[Dataset.RATES])
        self.instruments = Instruments(views[Dataset.INSTRUMENTS])

    @property
    def is_ready(self) -> bool:
        """Whether every dataset has been received, ever; without the server the views hold what they had."""
        return self._versions.is_ready and all(view.is_ready for view in self._views.values())

    @property
    def is_live(self) -> bool:
        """Whether every dataset is followed now."""
        return self._versions.is_live and all(view.is_live for view in self._views.values())

    @property
    def versions(self) -> Mapping[str, DatasetVersion]:
        """The version of each dataset, by the name of its topic."""
        return self._versions.rows

    async def when_ready(self) -> None:
        """Wait until every dataset is here."""
        for view in self._views.values():
            await view.when_ready()
        await self._versions.when_ready()

    def close(self) -> None:
        """Follow no longer; the views keep what they have."""
        for view in (*self._views.values(), self._versions):
            view.close()

    async def add_instrument(self, draft: InstrumentDraft) -> Instrument:
        """Add an instrument (administrators only) and answer it with its id; adding the same again is safe.

        Raises Forbidden, Conflict for a ticker that is taken, Invalid, Unavailable.
        """
        answer = await self._session.call(AddInstrument, timeout_seconds=CALL_SECONDS, draft=draft)
        instrument: Instrument = answer["instrument"]
        return instrument

    async def find_instruments(self, text: str, limit: int = LONGEST_PAGE) -> tuple[Instrument, ...]:
        """Return up to `limit` instruments whose ticker or name holds `text`, by id, as the server knows them now."""
        found: list[Instrument] = []
        after: int | None = 0
        while after is not None and len(found) < limit:
            answer = await self._session.call(
                FindInstruments,
                timeout_seconds=CALL_SECONDS,
                text=text,
                after=after,
                limit=min(LONGEST_PAGE, limit - len(found)),
            )
            found += answer["instruments"]
            after = answer.get("next_after")
        return tuple(found)

    async def load_dataset(self, dataset: Dataset) -> tuple[int, tuple[Any, ...]]:
        """Return a dataset's version and all its rows by key, read anew if the dataset changes meanwhile."""
        rows: list[Any] = []
        version: int | None = None
        after: str | None = None
        while True:
            answer = await self._session.call(
                LoadDataset, timeout_seconds=CALL_SECONDS, dataset=dataset.topic, after=after
            )
            if version not in (None, answer["version"]):
                rows, version, after = [], None, None
                continue
            version = answer["version"]
            row_type: Any = ROW_TYPES[dataset]
            rows += decode(list[row_type], answer["rows"])
            after = answer.get("last")
            if after is None:
                return int(answer["version"]), tuple(rows)


class Table(Generic[Row]):
    """Rows of one dataset by key; Unavailable before the first snapshot, NotFound for an unknown key."""

    def __init__(self, view: StateView[Row], what: str) -> None:
        self._view = view
        self._what = what
        self._has_snapshot = False

    def __getitem__(self, key: str) -> Row:
        found = self.get(key)
        if found is None:
            raise NotFound(f"There is no {self._what} {key}.", key=key)
        return found

    def __iter__(self) -> Iterator[Row]:
        return iter(tuple(self._rows().values()))

    def __len__(self) -> int:
        return len(self._rows())

    def get(self, key: str) -> Row | None:
        """Return the row of a key, if there is one."""
        return self._rows().get(key)

    def _rows(self) -> Mapping[str, Row]:
        if not self._has_snapshot:
            if not self._view.rows and not self._view.is_ready:
                raise Unavailable(f"No {self._what} has been received from Definitions yet.")
            self._has_snapshot = True
        return self._view.rows


class Venues(Table[VenueEntry]):
    """Venues by MIC, by platform-wide number and by letter of the US consolidated tape."""

    def __init__(self, view: StateView[VenueEntry]) -> None:
        super().__init__(view, "venue")
        self._by_number: dict[int, VenueEntry] = {}
        self._by_letter: dict[str, VenueEntry] = {}
        view.observe(self._changed)
        self._index()

    def by_mic(self, mic: Venue | str) -> VenueEntry:
        """Return the venue of a MIC; NotFound for an unknown one."""
        return self[mic]

    def by_number(self, number: int) -> VenueEntry:
        """Return the venue of a number in packed records; NotFound for an unknown one."""
        self._rows()
        found = self._by_number.get(number)
        if found is None:
            raise NotFound(f"There is no venue with number {number}.", number=number)
        return found

    def by_letter(self, letter: str) -> VenueEntry:
        """Return the venue of a tape letter; NotFound for an unknown one."""
        self._rows()
        found = self._by_letter.get(letter)
        if found is None:
            raise NotFound(f"No venue has the tape letter {letter!r}.", letter=letter)
        return found

    def _changed(self, key: str, old: VenueEntry | None, new: VenueEntry | None) -> None:  # noqa: ARG002 - an observer's signature
        self._index()

    def _index(self) -> None:
        venues = self._view.rows.values()
        self._by_number = {venue.number: venue for venue in venues}
        self._by_letter = {letter: venue for venue in venues for letter in venue.tape_letters}


class Schedules(Table[Schedule]):
    """Trading schedules by name, each as a calendar that remembers the days it worked out."""

    def __init__(self, view: StateView[Schedule], venues: Venues) -> None:
        super().__init__(view, "schedule")
        self._venues = venues
        self._calendars: dict[str, Calendar] = {}
        view.observe(self._changed)

    def calendar(self, name: str) -> Calendar:
        """Return the calendar of a schedule; NotFound for an unknown name."""
        found = self._calendars.get(name)
        if found is None:
            found = self._calendars[name] = Calendar(self[name])
        return found

    def calendar_of(self, venue: Venue | str) -> Calendar:
        """Return the calendar that a venue follows; NotFound for an unknown venue."""
        return self.calendar(self._venues[venue].schedule)

    def _changed(self, key: str, old: Schedule | None, new: Schedule | None) -> None:  # noqa: ARG002 - an observer's signature
        self._calendars.pop(key, None)


class Destinations(Table[Destination]):
    """Destinations by name, and the preferred one of a listing venue."""

    def __init__(self, view: StateView[Destination]) -> None:
        super().__init__(view, "destination")

    def preferred_for(self, listing_venue: Venue | str) -> Destination | None:
        """Return where an order goes that names no destination; None where no destination takes the venue first."""
        return next((each for each in self if listing_venue in each.preferred_for), None)


class Rates(Table[ExchangeRate]):
    """Exchange rates, and the way from one currency to another."""

    def __init__(self, view: StateView[ExchangeRate]) -> None:
        super().__init__(view, "exchange rate")

    def conversion(self, base: Currency, counter: Currency) -> Conversion | None:
        """Return how to convert `base` into `counter`, None where no rate says so (never 1 by default)."""
        return find_conversion(self, base, counter)


class Instruments:
    """The instrument master, by id and by ticker."""

    def __init__(self, view: StateView[Instrument]) -> None:
        self._view = view
        self._master = InstrumentMaster(view.rows.values())
        view.observe(self._changed)

    def by_id(self, instrument_id: int) -> Instrument:
        """Return the instrument of an id; NotFound for an unknown one."""
        return self._known().by_id(instrument_id)

    def by_ticker(self, ticker: Ticker | str, on: datetime.date | None = None) -> Instrument:
        """Return the instrument that has a ticker (on a date, else the newest); NotFound says how one is added."""
        return self._known().by_ticker(ticker, on)

    def get(self, instrument_id: int) -> Instrument | None:
        """Return the instrument of an id, if known."""
        return self._known().get(instrument_id)

    def all(self) -> tuple[Instrument, ...]:
        """Return all instruments by id."""
        return tuple(self._known())

    def _known(self) -> InstrumentMaster:
        if not len(self._master) and not self._view.is_ready:
            raise Unavailable("No instrument has been received from Definitions yet.")
        return self._master

    def _changed(self, key: str, old: Instrument | None, new: Instrument | None) -> None:  # noqa: ARG002 - an observer's signature
        if new is None:
            self._master.remove(int(key))
        else:
            self._master.put(new)
