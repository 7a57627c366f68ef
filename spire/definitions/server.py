"""The Definitions Server: datasets from files, the instrument master from the store, served as state topics."""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.defer import DeferredLock
from twisted.logger import Logger
from zope.interface import implementer

from spire.database.errors import StoreDown
from spire.definitions.files import Datasets
from spire.definitions.instruments import Instrument, InstrumentDraft, InstrumentMaster
from spire.definitions.interfaces import Content, IDefinitionsStore
from spire.definitions.rows import DATASET_TOPIC, ROW_TYPES, key_order, rows_of
from spire.definitions.values import Dataset, DatasetVersion
from spire.runtime.clock import Clock
from spire.wire.arguments import encode
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from spire.wire.identity import Identity
from spire.wire.publisher import Publisher, Topic
from spire.wire.server_session import Session
from spire.wire.state_topic import StateTopic
from spire.wire.topics import ITopics

PAGE_BYTES = 48_000
SEED_ACTOR = "etc/definitions"


@implementer(ITopics)
class DefinitionsService:
    """Owns the served datasets. What it serves changes by AddInstrument, here or at another server on the same schema.

    `load` reads the definition files when the service starts; `is_administrator` says whether an identity may add instruments now.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        store: IDefinitionsStore,
        load: Callable[[], Datasets],
        publisher: Publisher,
        clock: Clock,
        instance_id: str,
        is_administrator: Callable[[Identity], bool],
    ) -> None:
        self._store = store
        self._load = load
        self._publisher = publisher
        self._clock = clock
        self._is_administrator = is_administrator
        self._master = InstrumentMaster()
        self._last_id = 0
        self._digest = hashlib.sha256()
        self._lock = DeferredLock()
        self._topics: dict[Dataset, StateTopic[Any]] = {
            dataset: publisher.state(dataset.topic, ROW_TYPES[dataset], instance_id=instance_id) for dataset in Dataset
        }
        self._versions: StateTopic[DatasetVersion] = publisher.state(
            DATASET_TOPIC, DatasetVersion, instance_id=instance_id
        )

    async def start(self) -> None:
        """Read the files, check the venue numbers, seed the instrument master, publish everything; may be tried again.

        Raises ConfigurationError for a file that is wrong, Conflict when a venue number changed its meaning, StoreDown
        while the database is away.
        """
        datasets = self._load()
        await self._store.claim_venue_numbers(tuple((venue.number, venue.mic) for venue in datasets.venues))
        contents = []
        for dataset in Dataset:
            if dataset is not Dataset.INSTRUMENTS:
                rows = rows_of(datasets, dataset)
                self._topics[dataset].replace(rows)
                contents.append(_content(dataset, rows))
        async with self._alone():
            await self._seed(datasets.instruments)
        for version in await self._store.record(contents, self._clock.now()):
            self._versions.put(version.dataset, version)

    async def refresh(self) -> None:
        """Take over instruments that another server added; nothing changes while the database is away."""
        try:
            if await self._store.instruments_version() > self._last_id:
                async with self._alone():
                    await self._read_new()
        except StoreDown as error:
            self._log.debug("instruments are not refreshed: {error}", error=error)

    async def load_dataset(self, session: Session, name: str, after: str | None) -> tuple[int, bytes, str | None]:  # noqa: ARG002 - whoever is logged in may read
        """Return the dataset's version, a page of its rows by key, and the page's last key unless it is the last."""
        dataset = next((each for each in Dataset if each.topic == name), None)
        if dataset is None:
            raise NotFound(f"There is no dataset {name}; there are {', '.join(each.topic for each in Dataset)}.")
        topic = self._topics[dataset]
        order = key_order(dataset)
        try:
            start = None if after is None else order(after)
        except ValueError:
            raise Invalid(f"{after!r} is no key of {name}.", argument="after") from None
        page: list[Any] = []
        size, last = 0, None
        for key in sorted(topic.rows, key=order):
            if start is not None and order(key) <= start:
                continue
            row = topic.rows[key]
            length = len(encode(row))
            if page and size + length > PAGE_BYTES:
                break
            page.append(row)
            size, last = size + length, key
        else:
            last = None
        version = self._versions.rows.get(name)
        return 0 if version is None else version.version, encode(page), last

    async def find_instruments(
        self,
        session: Session,  # noqa: ARG002 - whoever is logged in may read
        text: str,
        after: int,
        limit: int,
    ) -> tuple[tuple[Instrument, ...], int | None]:
        """Return a page of instruments whose ticker or name holds `text`, and where the next page begins."""
        return self._master.search(text, after, limit)

    async def add_instrument(self, session: Session, draft: InstrumentDraft) -> Instrument:
        """Add an instrument, or answer the same one that is there; administrators only."""
        identity = session.identity
        if not self._is_administrator(identity):
            raise Forbidden("Only an administrator adds instruments.")
        self._check(draft)
        async with self._alone():
            return await self._add(draft, identity.account)

    async def open_topic(self, session: Session, name: str) -> Topic:  # noqa: ARG002 - whoever is logged in may read
        """Return a dataset's topic, or the topic of dataset versions."""
        topic = self._publisher.find(name)
        if topic is None:
            raise NotFound(f"There is no topic {name}.", topic=name)
        return topic

    async def _seed(self, drafts: Sequence[InstrumentDraft]) -> None:
        while True:
            await self._read_new()
            new = [draft for draft in drafts if self._master.find(draft.ticker) is None]
            if not new:
                return
            try:
                added = await self._store.add(new, SEED_ACTOR, self._clock.now())
            except Conflict:
                self._log.info("another server adds instruments too; looking again")
                continue
            self._take(added)

    async def _add(self, draft: InstrumentDraft, actor: str) -> Instrument:
        try:
            await self._read_new()
            existing = self._master.accept(draft)
            if existing is not None:
                return existing
            (added,) = await self._store.add((draft,), actor, self._clock.now())
            self._take((added,))
        except StoreDown as error:
            self._log.warn("{ticker} is not added: {error}", ticker=str(draft.ticker), error=error)
            raise Unavailable("The database is away; add the instrument again later, which is safe.") from error
        self._log.info("{actor} added {ticker} as {id}", actor=actor, ticker=str(draft.ticker), id=added.instrument_id)
        return added

    async def _read_new(self) -> None:
        self._take(await self._store.instruments(self._last_id))

    def _take(self, instruments: tuple[Instrument, ...]) -> None:
        """Serve instruments that the store holds, in the order of their ids; the last id is the dataset's version."""
        topic = self._topics[Dataset.INSTRUMENTS]
        for instrument in instruments:
            self._master.put(instrument)
            topic.put(str(instrument.instrument_id), instrument)
            self._digest.update(encode(instrument))
            self._last_id = instrument.instrument_id
        known = self._versions.rows.get(topic.name)
        if known is None or known.version != self._last_id:
            version = DatasetVersion(
                dataset=topic.name,
                version=self._last_id,
                digest=self._digest.hexdigest(),
                rows=len(self._master),
                loaded=self._clock.now(),
            )
            self._versions.put(topic.name, version)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Hold the lock under which the instrument master changes."""
        await self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    def _check(self, draft: InstrumentDraft) -> None:
        for name, key, dataset in (
            ("ticker", str(draft.ticker.venue), Dataset.VENUES),
            ("listing_venue", str(draft.listing_venue), Dataset.VENUES),
            ("currency", str(draft.currency), Dataset.CURRENCIES),
            ("tick_table", draft.tick_table, Dataset.TICK_TABLES),
        ):
            if key not in self._topics[dataset].rows:
                raise Invalid(f"{name}: {key} is not in {dataset.topic}.", argument=f"draft.{name}")


def _content(dataset: Dataset, rows: Mapping[str, object]) -> Content:
    order = key_order(dataset)
    digest = hashlib.sha256(encode([rows[key] for key in sorted(rows, key=order)])).hexdigest()
    return Content(dataset=dataset.topic, digest=digest, rows=len(rows))
