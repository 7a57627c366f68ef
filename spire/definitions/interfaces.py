"""What the Definitions Server asks of its store; MySQL and memory implement it."""

from collections.abc import Awaitable, Sequence

from attrs import frozen
from zope.interface import Interface

from spire.definitions.instruments import Instrument, InstrumentDraft
from spire.definitions.values import DatasetVersion
from spire.values.codes import Venue
from spire.values.time import Timestamp


@frozen(kw_only=True)
class Content:
    """What a dataset holds now, to be recorded: its topic, the digest of its rows and their number."""

    dataset: str
    digest: str
    rows: int


class IDefinitionsStore(Interface):
    """Instrument master, dataset versions and venue numbers. Any method raises StoreDown while the database is away."""

    def claim_venue_numbers(numbers: Sequence[tuple[int, Venue]]) -> Awaitable[None]:
        """Record which venue each number belongs to; Conflict, and nothing recorded, when one ever meant another."""

    def record(contents: Sequence[Content], now: Timestamp) -> Awaitable[tuple[DatasetVersion, ...]]:
        """Return the version of each content, which is the next one where the content differs from the latest."""

    def instruments_version() -> Awaitable[int]:
        """Return the last instrument id given out, by whichever server; 0 at first."""

    def instruments(after_id: int = 0) -> Awaitable[tuple[Instrument, ...]]:
        """Return all instruments with ids above `after_id`, by id."""

    def add(drafts: Sequence[InstrumentDraft], actor: str, now: Timestamp) -> Awaitable[tuple[Instrument, ...]]:
        """Add instruments, all or none, with the next ids; Conflict when one's ticker is taken on some date."""
