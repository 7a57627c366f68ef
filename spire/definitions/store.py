"""The Definitions store in MySQL."""

import datetime
from collections.abc import Sequence
from typing import Any

from zope.interface import implementer

from spire.database.database import Database
from spire.database.transaction import Transaction
from spire.definitions.instruments import (
    Alias,
    Instrument,
    InstrumentDraft,
    InstrumentStatus,
    InstrumentType,
    Terms,
)
from spire.definitions.interfaces import Content, IDefinitionsStore
from spire.definitions.memory import check_alias, check_claim, checked_id, next_version
from spire.definitions.values import DatasetVersion
from spire.values.amounts import Quantity
from spire.values.codes import Currency, Venue
from spire.values.tickers import Ticker
from spire.values.time import Timestamp

PAGE = 1000

LOCK_COUNTER = """
    INSERT INTO definitions_counters (name, value)
    VALUES ('instrument_id', 0)
    ON DUPLICATE KEY UPDATE value = value
"""
READ_COUNTER = "SELECT value FROM definitions_counters WHERE name = 'instrument_id'"
SET_COUNTER = "UPDATE definitions_counters SET value = %s WHERE name = 'instrument_id'"

SELECT_VENUE_NUMBERS = "SELECT venue_number, mic FROM definitions_venue_numbers"
INSERT_VENUE_NUMBER = "INSERT INTO definitions_venue_numbers (venue_number, mic) VALUES (%s, %s)"

SELECT_VERSION = """
    SELECT version, digest, row_count, loaded
    FROM definitions_dataset_versions
    WHERE dataset = %s
    ORDER BY version DESC
    LIMIT 1
"""
INSERT_VERSION = """
    INSERT INTO definitions_dataset_versions (dataset, version, digest, row_count, loaded)
    VALUES (%s, %s, %s, %s, %s)
"""

SELECT_INSTRUMENTS = """
    SELECT instrument_id, name
    FROM definitions_instruments
    WHERE instrument_id > %s
    ORDER BY instrument_id
    LIMIT %s
"""
SELECT_ALIASES = """
    SELECT instrument_id, symbol, venue, effective_from, effective_to
    FROM definitions_instrument_aliases
    WHERE instrument_id BETWEEN %s AND %s
    ORDER BY instrument_id, effective_from
"""
SELECT_TERMS = """
    SELECT instrument_id, effective_from, effective_to, instrument_type, listing_venue, currency, tick_table,
           order_increment, round_lot, isin, status
    FROM definitions_instrument_terms
    WHERE instrument_id BETWEEN %s AND %s
    ORDER BY instrument_id, effective_from
"""
SELECT_ALIASES_OF_TICKER = """
    SELECT instrument_id, symbol, venue, effective_from, effective_to
    FROM definitions_instrument_aliases
    WHERE symbol = %s AND venue = %s
"""

INSERT_INSTRUMENT = """
    INSERT INTO definitions_instruments (instrument_id, name, added, added_by)
    VALUES (%s, %s, %s, %s)
"""
INSERT_ALIAS = """
    INSERT INTO definitions_instrument_aliases (instrument_id, symbol, venue, effective_from, effective_to)
    VALUES (%s, %s, %s, %s, %s)
"""
INSERT_TERMS = """
    INSERT INTO definitions_instrument_terms (instrument_id, effective_from, effective_to, instrument_type,
        listing_venue, currency, tick_table, order_increment, round_lot, isin, status)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


@implementer(IDefinitionsStore)
class DefinitionsStore:
    """Keeps the instrument master, dataset versions and venue numbers in MySQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim_venue_numbers(self, numbers: Sequence[tuple[int, Venue]]) -> None:
        """Record which venue each number belongs to."""
        await self._database.run("definitions.claim_venue_numbers", _claim, tuple(numbers))

    async def record(self, contents: Sequence[Content], now: Timestamp) -> tuple[DatasetVersion, ...]:
        """Return the version of each content."""
        return await self._database.run("definitions.record", _record, tuple(contents), now)

    async def instruments_version(self) -> int:
        """Return the last instrument id given out."""
        return await self._database.run("definitions.instruments_version", _version)

    async def instruments(self, after_id: int = 0) -> tuple[Instrument, ...]:
        """Return all instruments above an id, read in pages."""
        found: list[Instrument] = []
        while True:
            page = await self._database.run("definitions.instruments", _page, after_id, PAGE)
            found += page
            if len(page) < PAGE:
                return tuple(found)
            after_id = page[-1].instrument_id

    async def add(self, drafts: Sequence[InstrumentDraft], actor: str, now: Timestamp) -> tuple[Instrument, ...]:
        """Add instruments, all or none."""
        return await self._database.run("definitions.add", _add, tuple(drafts), actor, now)


def _claim(transaction: Transaction, numbers: tuple[tuple[int, Venue], ...]) -> None:
    transaction.execute(LOCK_COUNTER)
    known = {int(number): Venue(mic) for number, mic in transaction.fetch(SELECT_VENUE_NUMBERS)}
    for number, mic in numbers:
        check_claim(number, mic, known)
        if number not in known:
            transaction.execute(INSERT_VENUE_NUMBER, (number, mic))
            known[number] = mic


def _record(transaction: Transaction, contents: tuple[Content, ...], now: Timestamp) -> tuple[DatasetVersion, ...]:
    transaction.execute(LOCK_COUNTER)
    answer = []
    for content in contents:
        row = transaction.fetch_one(SELECT_VERSION, (content.dataset,))
        latest = None if row is None else _dataset_version(content.dataset, row)
        version = next_version(latest, content, now)
        if version is not latest:
            transaction.execute(
                INSERT_VERSION, (version.dataset, version.version, version.digest, version.rows, version.loaded)
            )
        answer.append(version)
    return tuple(answer)


def _version(transaction: Transaction) -> int:
    row = transaction.fetch_one(READ_COUNTER)
    return 0 if row is None else int(row[0])


def _page(transaction: Transaction, after_id: int, limit: int) -> list[Instrument]:
    heads = transaction.fetch(SELECT_INSTRUMENTS, (after_id, limit))
    if not heads:
        return []
    bounds = (heads[0][0], heads[-1][0])
    aliases: dict[int, list[Alias]] = {}
    for row in transaction.fetch(SELECT_ALIASES, bounds):
        aliases.setdefault(row[0], []).append(_alias(row))
    terms: dict[int, list[Terms]] = {}
    for row in transaction.fetch(SELECT_TERMS, bounds):
        terms.setdefault(row[0], []).append(_terms(row))
    return [
        Instrument(instrument_id=key, name=name, aliases=tuple(aliases[key]), terms=tuple(terms[key]))
        for key, name in heads
    ]


def _add(
    transaction: Transaction, drafts: tuple[InstrumentDraft, ...], actor: str, now: Timestamp
) -> tuple[Instrument, ...]:
    transaction.execute(LOCK_COUNTER)
    last = _version(transaction)
    added = []
    for draft in drafts:
        held = transaction.fetch(SELECT_ALIASES_OF_TICKER, (draft.ticker.symbol, draft.ticker.venue))
        check_alias(draft, [(_alias(row), row[0]) for row in held])
        last = checked_id(last + 1)
        instrument = draft.instrument(last)
        transaction.execute(INSERT_INSTRUMENT, (last, instrument.name, now, actor))
        for alias in instrument.aliases:
            ticker = alias.ticker
            transaction.execute(
                INSERT_ALIAS, (last, ticker.symbol, ticker.venue, alias.effective_from, alias.effective_to)
            )
        for terms in instrument.terms:
            transaction.execute(INSERT_TERMS, (last, *_terms_row(terms)))
        added.append(instrument)
    if added:
        transaction.execute(SET_COUNTER, (last,))
    return tuple(added)


def _dataset_version(dataset: str, row: tuple[Any, ...]) -> DatasetVersion:
    version, digest, rows, loaded = row
    return DatasetVersion(dataset=dataset, version=version, digest=digest, rows=rows, loaded=Timestamp(loaded))


def _alias(row: tuple[Any, ...]) -> Alias:
    _, symbol, venue, effective_from, effective_to = row
    return Alias(ticker=Ticker(symbol, Venue(venue)), effective_from=effective_from, effective_to=effective_to)


def _terms(row: tuple[Any, ...]) -> Terms:
    _, since, until, kind, listing_venue, currency, tick_table, increment, lot, isin, status = row
    return Terms(
        effective_from=since,
        effective_to=until,
        type=InstrumentType(kind),
        listing_venue=Venue(listing_venue),
        currency=Currency(currency),
        tick_table=tick_table,
        order_increment=Quantity(increment),
        round_lot=Quantity(lot),
        isin=isin,
        status=InstrumentStatus(status),
    )


def _terms_row(terms: Terms) -> tuple[datetime.date | int | str | None, ...]:
    return (
        terms.effective_from,
        terms.effective_to,
        int(terms.type),
        terms.listing_venue,
        terms.currency,
        terms.tick_table,
        terms.order_increment,
        terms.round_lot,
        terms.isin,
        int(terms.status),
    )
