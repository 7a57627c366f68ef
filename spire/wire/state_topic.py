"""A topic of rows by key: every change has a version, and whoever asks gets the rows changed since his own."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Generic, Protocol, TypeVar

from attrs import define

from spire.wire.arguments import encode
from spire.wire.errors import Invalid
from spire.wire.outbound import OutboundStream
from spire.wire.segments import PAYLOAD_LIMIT, Segment, SegmentFlags, segment

Row = TypeVar("Row")

ARRAY_HEAD_SIZE: Final = 5
CHANGE_LIMIT: Final = PAYLOAD_LIMIT - ARRAY_HEAD_SIZE
"""Bytes that one row with its key may take, encoded."""

REMOVALS_KEPT: Final = 10_000
"""Removed keys that are remembered for those who resume; where more are, at a flush, half as many stay."""


class StateBoard(Protocol):
    """What a state topic needs of its publisher."""

    def dirty(self, topic: "StateTopic[object]") -> None:
        """Know that `topic` has something to flush."""


class StateReading(Protocol):
    """A subscription to a state topic."""

    outbound: OutboundStream

    def changed(self, segments: Sequence[Segment], after: int) -> bool:
        """Take the change behind version `after`, encoded for all; True where the connection must be flushed."""

    def end(self, code: str, message: str) -> None:
        """Leave the topic and tell the client."""


@define(eq=False)
class Entry:
    """The last change of a key: its row, or None where it was removed, and both as they go over the wire."""

    key: str
    row: object
    removed: bool
    version: int
    encoded: bytes


class StateTopic(Generic[Row]):
    """The rows of one subject by key, with a version that counts changes.

    `instance_id` is the epoch: a restarted server counts from 0 again, and its clients take a fresh snapshot. Every
    change between two flushes goes out together.
    """

    def __init__(self, board: StateBoard, name: str, row_type: type[Row], *, instance_id: str, stream: int) -> None:
        self._board = board
        self.name = name
        self.row_type = row_type
        self.epoch = instance_id
        self.stream = stream
        self.version = 0
        self.readers: set[StateReading] = set()
        self._rows: dict[str, Row] = {}
        self._entries: dict[str, Entry] = {}  # in the order of their versions
        self._removals = 0
        self._floor = 0
        self._flushed = 0

    @property
    def rows(self) -> Mapping[str, Row]:
        """The rows as they are now, a live view."""
        return MappingProxyType(self._rows)

    @property
    def floor(self) -> int:
        """The version after which every change, removals too, is remembered."""
        return self._floor

    def put(self, key: str, row: Row) -> None:
        """Set the row of `key`; an equal row is no change. Raises Invalid where it does not fit a segment."""
        if key in self._rows and self._rows[key] == row:
            return
        encoded = encode((key, row))
        if len(encoded) > CHANGE_LIMIT:
            raise Invalid(f"The row {key} of {self.name} takes {len(encoded)} bytes; {CHANGE_LIMIT} fit.", key=key)
        self._rows[key] = row
        self._change(Entry(key, row, False, self.version + 1, encoded))

    def remove(self, key: str) -> None:
        """Take the row of `key` away; without one nothing happens."""
        if self._rows.pop(key, None) is None:
            return
        self._change(Entry(key, None, True, self.version + 1, encode((key, None))))
        self._removals += 1

    def replace(self, rows: Mapping[str, Row]) -> None:
        """Make `rows` all there is; only what differs is a change."""
        for key in [key for key in self._rows if key not in rows]:
            self.remove(key)
        for key, row in rows.items():
            self.put(key, row)

    def restart(self, *, instance_id: str) -> None:
        """Begin anew with no rows under another epoch: every subscriber is sent to ask again."""
        self.epoch = instance_id
        self.version = self._flushed = self._floor = self._removals = 0
        self._rows.clear()
        self._entries.clear()
        self.end("RESTARTED", "The topic begins anew.")

    def recover(self) -> None:
        """Have every subscriber ask for what a flush failed to send."""
        self.end("RESTARTED", "The topic is asked for again.")

    def end(self, code: str, message: str) -> None:
        """End every subscription."""
        for reader in tuple(self.readers):
            reader.end(code, message)

    def changes_since(self, version: int, *, removals: bool = True) -> list[Entry]:
        """Return the keys changed after `version`, in the order of their last change."""
        found = []
        for entry in reversed(self._entries.values()):
            if entry.version <= version:
                break
            if removals or not entry.removed:
                found.append(entry)
        found.reverse()
        return found

    def holds(self, entry: Entry) -> bool:
        """Return whether `entry` is still the last change of its key."""
        return self._entries.get(entry.key) is entry

    def flush(self, time: int, touched: set[OutboundStream]) -> None:
        """Encode what changed since the last flush once, and offer it to every subscription."""
        after, self._flushed = self._flushed, self.version
        if self.readers and after < self.version:
            self._offer(after, time, touched)
        if self._removals > max(REMOVALS_KEPT, len(self._rows)):
            self._forget_removals()

    def _offer(self, after: int, time: int, touched: set[OutboundStream]) -> None:
        segments = parts(self.stream, after, self.version, self.changes_since(after), time=time)
        for reader in tuple(self.readers):
            if reader.changed(segments, after):
                touched.add(reader.outbound)

    def _change(self, entry: Entry) -> None:
        known = self._entries.pop(entry.key, None)
        if known is not None and known.removed:
            self._removals -= 1
        self._entries[entry.key] = entry
        self.version = entry.version
        self._board.dirty(self)  # type: ignore[arg-type] # the board does not look at rows

    def _forget_removals(self) -> None:
        """Keep the latest of the removed keys: half as many as may be kept, so that this comes seldom."""
        kept = max(REMOVALS_KEPT, len(self._rows)) // 2
        removed = [entry for entry in self._entries.values() if entry.removed]
        for entry in removed[: len(removed) - kept]:
            del self._entries[entry.key]
            self._floor = entry.version
        self._removals = kept


def parts(
    stream: int, after: int, through: int, entries: Iterable[Entry], *, flags: int = 0, time: int = 0
) -> list[Segment]:
    """Return the segments of `entries` between two versions, in as many parts as they need.

    All but the last carry MORE: what stands between is not a state that the server had.
    """
    made = []
    gathered: list[bytes] = []
    size = 0
    last = after
    for entry in entries:
        if gathered and size + len(entry.encoded) > CHANGE_LIMIT:
            made.append(
                segment(
                    stream, after, last, len(gathered), payload_of(gathered), flags=flags | SegmentFlags.MORE, time=time
                )
            )
            gathered, size, after = [], 0, last
        gathered.append(entry.encoded)
        size += len(entry.encoded)
        last = entry.version
    made.append(segment(stream, after, through, len(gathered), payload_of(gathered), flags=flags, time=time))
    return made


def payload_of(changes: Sequence[bytes]) -> bytes:
    """Return encoded changes as one msgpack array."""
    return b"".join((b"\xdd", len(changes).to_bytes(4, "big"), *changes))
