"""The Definitions store in memory: the twin of `store.py`, for tests and for servers without a database."""

from collections.abc import Sequence

from zope.interface import implementer

from spire.definitions.instruments import GREATEST_INSTRUMENT_ID, Alias, Instrument, InstrumentDraft
from spire.definitions.interfaces import Content, IDefinitionsStore
from spire.definitions.values import DatasetVersion
from spire.values.codes import Venue
from spire.values.time import Timestamp
from spire.wire.errors import Conflict


@implementer(IDefinitionsStore)
class MemoryDefinitionsStore:
    """Keeps everything in this process."""

    def __init__(self) -> None:
        self._numbers: dict[int, Venue] = {}
        self._versions: dict[str, DatasetVersion] = {}
        self._instruments: dict[int, Instrument] = {}

    async def claim_venue_numbers(self, numbers: Sequence[tuple[int, Venue]]) -> None:
        """Record which venue each number belongs to."""
        known = dict(self._numbers)
        for number, mic in numbers:
            check_claim(number, mic, known)
            known[number] = mic
        self._numbers = known

    async def record(self, contents: Sequence[Content], now: Timestamp) -> tuple[DatasetVersion, ...]:
        """Return the version of each content."""
        for content in contents:
            self._versions[content.dataset] = next_version(self._versions.get(content.dataset), content, now)
        return tuple(self._versions[content.dataset] for content in contents)

    async def instruments_version(self) -> int:
        """Return the number of instruments."""
        return len(self._instruments)

    async def instruments(self, after_id: int = 0) -> tuple[Instrument, ...]:
        """Return all instruments above an id."""
        return tuple(each for each in self._instruments.values() if each.instrument_id > after_id)

    async def add(self, drafts: Sequence[InstrumentDraft], actor: str, now: Timestamp) -> tuple[Instrument, ...]:  # noqa: ARG002 - MySQL keeps who and when
        """Add instruments, all or none."""
        added: list[Instrument] = []
        for draft in drafts:
            held = [
                (alias, each.instrument_id)
                for each in (*self._instruments.values(), *added)
                for alias in each.aliases
                if alias.ticker == draft.ticker
            ]
            check_alias(draft, held)
            added.append(draft.instrument(checked_id(len(self._instruments) + len(added) + 1)))
        self._instruments.update({each.instrument_id: each for each in added})
        return tuple(added)


def check_claim(number: int, mic: Venue, known: dict[int, Venue]) -> None:
    """Raise Conflict unless this number and venue belong to each other, or both are new."""
    holder = known.get(number)
    others = [each for each, venue in known.items() if venue == mic and each != number]
    if (holder is not None and holder != mic) or others:
        meaning = f"number {number} is {holder}" if holder is not None else f"{mic} is number {others[0]}"
        raise Conflict(f"Venue {mic} cannot be number {number}: {meaning}, and stored records say so.", mic=mic)


def next_version(latest: DatasetVersion | None, content: Content, now: Timestamp) -> DatasetVersion:
    """Return the latest version where the content is the same, else the next one."""
    if latest is not None and latest.digest == content.digest:
        return latest
    return DatasetVersion(
        dataset=content.dataset,
        version=1 if latest is None else latest.version + 1,
        digest=content.digest,
        rows=content.rows,
        loaded=now,
    )


def check_alias(draft: InstrumentDraft, held: Sequence[tuple[Alias, int]]) -> None:
    """Raise Conflict when the draft's ticker belongs to an instrument on some date from the draft's on."""
    wanted = Alias(ticker=draft.ticker, effective_from=draft.effective_from)
    for alias, instrument_id in held:
        if alias.overlaps(wanted):
            raise Conflict(
                f"{draft.ticker} is instrument {instrument_id} since {alias.effective_from}.",
                instrument_id=instrument_id,
            )


def checked_id(instrument_id: int) -> int:
    """Return an id that packed records can carry; Conflict when all are used."""
    if instrument_id > GREATEST_INSTRUMENT_ID:
        raise Conflict("All instrument ids are given out.")
    return instrument_id
