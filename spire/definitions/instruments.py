"""The instrument master: identities, effective-dated aliases and terms (sans-I/O).

An instrument id is given out once, from 1 and below 2**32, and never again; a ticker is an alias that an instrument has
from one date to another, so that renames, listing moves and the reuse of a symbol keep history right.
"""

import datetime
from collections.abc import Iterable, Iterator
from enum import IntEnum

from attrs import frozen

from spire.definitions.parsing import parse_date
from spire.service.configuration import setting
from spire.values.amounts import Quantity, parse_quantity
from spire.values.codes import Currency, Venue, parse_currency, parse_venue
from spire.values.tickers import Ticker, parse_ticker
from spire.wire.errors import Conflict, Invalid, NotFound

GREATEST_INSTRUMENT_ID = 2**32 - 1
LONGEST_NAME = 200
LONGEST_PAGE = 100


class InstrumentType(IntEnum):
    """What kind of instrument it is."""

    EQUITY = 1
    FUND = 2
    RECEIPT = 3
    RIGHT = 4
    WARRANT = 5


class InstrumentStatus(IntEnum):
    """Whether it may be traded: SUSPENDED for now not, DELISTED never again."""

    ACTIVE = 1
    SUSPENDED = 2
    DELISTED = 3


def check_isin(isin: str) -> str:
    """Return an ISIN as it stands; ValueError unless form and check digit (ISO 6166) are right."""
    letters_and_digits = isin.isascii() and isin.isalnum() and isin == isin.upper()
    if len(isin) != 12 or not letters_and_digits or not isin[:2].isalpha() or not isin[-1].isdigit():
        raise ValueError(f"{isin!r} is no ISIN: two letters, nine letters or digits, one check digit")
    digits = "".join(str(int(character, 36)) for character in isin)
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    if total % 10:
        raise ValueError(f"the check digit of ISIN {isin} is wrong")
    return isin


@frozen(kw_only=True)
class Terms:
    """What holds of an instrument on the dates from `effective_from` up to, not including, `effective_to`.

    Orders are multiples of `order_increment`; the round lot is information. Both are quantities scaled by 10**6.
    """

    effective_from: datetime.date
    effective_to: datetime.date | None = None
    type: InstrumentType
    listing_venue: Venue
    currency: Currency
    tick_table: str
    order_increment: Quantity
    round_lot: Quantity
    isin: str | None = None
    status: InstrumentStatus = InstrumentStatus.ACTIVE


@frozen(kw_only=True)
class Alias:
    """A ticker that an instrument has from `effective_from` up to, not including, `effective_to`."""

    ticker: Ticker
    effective_from: datetime.date
    effective_to: datetime.date | None = None

    def holds_on(self, date: datetime.date) -> bool:
        """Whether the alias is in force on a date."""
        return self.effective_from <= date and (self.effective_to is None or date < self.effective_to)

    def overlaps(self, other: "Alias") -> bool:
        """Whether both are in force on some date."""
        return (other.effective_to is None or self.effective_from < other.effective_to) and (
            self.effective_to is None or other.effective_from < self.effective_to
        )


@frozen(kw_only=True)
class Instrument:
    """One instrument: its id, and its aliases and terms in the order of their dates, never empty.

    The properties give what is newest; `ticker_on` and `terms_on` what held on a date.
    """

    instrument_id: int
    name: str
    aliases: tuple[Alias, ...]
    terms: tuple[Terms, ...]

    @property
    def ticker(self) -> Ticker:
        """The newest ticker."""
        return self.aliases[-1].ticker

    @property
    def type(self) -> InstrumentType:
        """The kind of instrument."""
        return self.terms[-1].type

    @property
    def listing_venue(self) -> Venue:
        """The venue that lists it, whose schedule counts."""
        return self.terms[-1].listing_venue

    @property
    def currency(self) -> Currency:
        """The currency that it trades in."""
        return self.terms[-1].currency

    @property
    def tick_table(self) -> str:
        """The name of the tick table of its orders."""
        return self.terms[-1].tick_table

    @property
    def order_increment(self) -> Quantity:
        """Orders are multiples of this quantity."""
        return self.terms[-1].order_increment

    @property
    def round_lot(self) -> Quantity:
        """The customary lot; it binds nobody."""
        return self.terms[-1].round_lot

    @property
    def isin(self) -> str | None:
        """The ISIN, where known."""
        return self.terms[-1].isin

    @property
    def status(self) -> InstrumentStatus:
        """Whether it may be traded."""
        return self.terms[-1].status

    def ticker_on(self, date: datetime.date) -> Ticker | None:
        """Return the ticker in force on a date, if any."""
        return next((alias.ticker for alias in reversed(self.aliases) if alias.holds_on(date)), None)

    def terms_on(self, date: datetime.date) -> Terms | None:
        """Return the terms in force on a date, if any."""
        return next(
            (
                terms
                for terms in reversed(self.terms)
                if terms.effective_from <= date and (terms.effective_to is None or date < terms.effective_to)
            ),
            None,
        )


@frozen(kw_only=True)
class InstrumentDraft:
    """An instrument to add: what `instruments.toml` and AddInstrument say of it; quantities are scaled by 10**6.

    ValueError for a name that is empty or too long, an increment or lot of 0 or less, a wrong ISIN.
    """

    ticker: Ticker = setting(parse=parse_ticker)
    name: str
    type: InstrumentType = InstrumentType.EQUITY
    listing_venue: Venue = setting(parse=parse_venue)
    currency: Currency = setting(parse=parse_currency)
    tick_table: str
    order_increment: Quantity = setting(parse=parse_quantity)
    round_lot: Quantity = setting(parse=parse_quantity)
    isin: str | None = None
    status: InstrumentStatus = InstrumentStatus.ACTIVE
    effective_from: datetime.date = setting(parse=parse_date)

    def __attrs_post_init__(self) -> None:
        """Check what can be checked without the other datasets."""
        if not self.name.strip() or len(self.name) > LONGEST_NAME:
            raise ValueError(f"the name of {self.ticker} must have 1 to {LONGEST_NAME} characters")
        if self.order_increment <= 0 or self.round_lot <= 0:
            raise ValueError(f"order_increment and round_lot of {self.ticker} must be above 0")
        if self.isin is not None:
            check_isin(self.isin)

    def instrument(self, instrument_id: int) -> Instrument:
        """Return the instrument that this draft becomes under an id."""
        return Instrument(
            instrument_id=instrument_id,
            name=self.name,
            aliases=(Alias(ticker=self.ticker, effective_from=self.effective_from),),
            terms=(
                Terms(
                    effective_from=self.effective_from,
                    type=self.type,
                    listing_venue=self.listing_venue,
                    currency=self.currency,
                    tick_table=self.tick_table,
                    order_increment=self.order_increment,
                    round_lot=self.round_lot,
                    isin=self.isin,
                    status=self.status,
                ),
            ),
        )


class InstrumentMaster:
    """All instruments, by id and by ticker on a date. It changes only by what the store has accepted."""

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        self._by_id: dict[int, Instrument] = {}
        self._by_ticker: dict[Ticker, list[tuple[Alias, int]]] = {}
        for instrument in instruments:
            self.put(instrument)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Instrument]:
        """Iterate in the order of ids."""
        return iter([self._by_id[instrument_id] for instrument_id in sorted(self._by_id)])

    def put(self, instrument: Instrument) -> None:
        """Take over an instrument, new or changed."""
        self.remove(instrument.instrument_id)
        self._by_id[instrument.instrument_id] = instrument
        for alias in instrument.aliases:
            self._by_ticker.setdefault(alias.ticker, []).append((alias, instrument.instrument_id))

    def remove(self, instrument_id: int) -> None:
        """Forget an instrument, if it is known: a follower's view does at a fresh snapshot, the master itself never."""
        instrument = self._by_id.pop(instrument_id, None)
        for alias in () if instrument is None else instrument.aliases:
            left = [entry for entry in self._by_ticker[alias.ticker] if entry[1] != instrument_id]
            if left:
                self._by_ticker[alias.ticker] = left
            else:
                self._by_ticker.pop(alias.ticker)

    def get(self, instrument_id: int) -> Instrument | None:
        """Return the instrument of an id, if known."""
        return self._by_id.get(instrument_id)

    def by_id(self, instrument_id: int) -> Instrument:
        """Return the instrument of an id; NotFound for an unknown one."""
        found = self._by_id.get(instrument_id)
        if found is None:
            raise NotFound(f"There is no instrument {instrument_id}.", instrument_id=instrument_id)
        return found

    def find(self, ticker: Ticker, on: datetime.date | None = None) -> Instrument | None:
        """Return the instrument that has a ticker on a date, or that had it last; None if there is none."""
        entries = self._by_ticker.get(ticker, [])
        if on is not None:
            entries = [entry for entry in entries if entry[0].holds_on(on)]
        if not entries:
            return None
        return self._by_id[max(entries, key=lambda entry: entry[0].effective_from)[1]]

    def by_ticker(self, ticker: Ticker | str, on: datetime.date | None = None) -> Instrument:
        """Return the instrument of a ticker, as `find`; NotFound says how one is added, Invalid what is no ticker."""
        if isinstance(ticker, str):
            try:
                ticker = parse_ticker(ticker)
            except ValueError as error:
                raise Invalid(str(error), argument="ticker") from None
        found = self.find(ticker, on)
        if found is None:
            when = "" if on is None else f" on {on}"
            raise NotFound(
                f"There is no instrument {ticker}{when}. An administrator adds it with AddInstrument: in Python "
                f'`await definitions.add_instrument(InstrumentDraft(ticker=parse_ticker("{ticker}"), ...))`.',
                ticker=str(ticker),
            )
        return found

    def accept(self, draft: InstrumentDraft) -> Instrument | None:
        """Return None for a draft that may be added, or the instrument that it repeats.

        Conflict when another instrument has the ticker on some date from the draft's on.
        """
        alias = Alias(ticker=draft.ticker, effective_from=draft.effective_from)
        for held, instrument_id in self._by_ticker.get(draft.ticker, []):
            existing = self._by_id[instrument_id]
            if existing == draft.instrument(instrument_id):
                return existing
            if held.overlaps(alias):
                raise Conflict(
                    f"{draft.ticker} is instrument {instrument_id}, {existing.name}, since {held.effective_from}.",
                    instrument_id=instrument_id,
                )
        return None

    def search(self, text: str, after: int, limit: int) -> tuple[tuple[Instrument, ...], int | None]:
        """Return up to `limit` instruments above id `after` whose ticker or name holds `text`, and where to go on.

        Case does not matter; an empty text finds all. The second value is None when there is no more.
        """
        wanted = text.casefold()
        found: list[Instrument] = []
        for instrument_id in sorted(self._by_id):
            if instrument_id <= after:
                continue
            instrument = self._by_id[instrument_id]
            names = (instrument.name, *(str(alias.ticker) for alias in instrument.aliases))
            if not any(wanted in name.casefold() for name in names):
                continue
            if len(found) == limit:
                return tuple(found), found[-1].instrument_id
            found.append(instrument)
        return tuple(found), None
