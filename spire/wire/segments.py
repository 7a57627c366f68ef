"""Segments: what a topic publishes at one flush, encoded once and joined into boxes for each subscriber (sans-I/O).

A box holds a count, a table of heads and the payloads, in this order, so that a client reads the table in one go:

    u4 number of segments | head x number | payload x number

A head is 48 bytes: stream u4, length u4, count u4, flags u4, after u8, through u8, time u8, spare u8, little-endian. `stream` is the
number that the server gave the topic in its answer to Subscribe; it is the same for all subscribers.
"""

from collections.abc import Iterable, Sequence
from enum import IntFlag
from struct import Struct, error
from typing import Final, NamedTuple

BOX_LIMIT: Final = 60_000
"""Bytes of joined segments in one AMP value; AMP itself ends at 65,535."""

_COUNT: Final = Struct("<I")
_HEAD: Final = Struct("<IIIIQQQQ")

HEAD_SIZE: Final = _HEAD.size
_pack = _HEAD.pack
_new = tuple.__new__
PAYLOAD_LIMIT: Final = BOX_LIMIT - _COUNT.size - HEAD_SIZE
"""Bytes of payload that one segment may hold."""

MAXIMUM_SEQUENCE: Final = 2**63 - 1
"""Sequences and versions fit a signed 64-bit column."""


class SegmentFlags(IntFlag):
    """What a segment is besides a plain update."""

    SNAPSHOT = 1
    """Part of a snapshot: what the client held before is void at its first part."""
    MORE = 2
    """More parts follow before the rows are a state that the server had."""
    END = 4
    """The last segment of a load."""


class Segment(NamedTuple):
    """One stretch of a topic: the number of `records` in `payload`, and the proof that nothing else lies in `after`..`through`.

    A NamedTuple because hundreds of thousands are made each second. `size` is what it takes in a box, `time` when it
    was published (ns since 1970 UTC), `head` its encoded head.
    """

    stream: int
    after: int
    through: int
    records: int
    flags: int
    time: int
    payload: bytes
    head: bytes
    size: int

    def replacing(self, unsent: "Segment") -> "Segment":
        """Return what goes out in place of `unsent`, which is of the same stream: the newest records, for the range of both."""
        newest = self if self.records else unsent
        return segment(
            self.stream, unsent.after, self.through, newest.records, newest.payload, flags=self.flags, time=newest.time
        )


def segment(
    stream: int, after: int, through: int, records: int, payload: bytes, *, flags: int = 0, time: int = 0
) -> Segment:
    """Make and encode a segment. Raises ValueError where the payload does not fit a box."""
    length = len(payload)
    if length > PAYLOAD_LIMIT:
        raise ValueError(f"a segment of {length} bytes does not fit a box")
    head = _pack(stream, length, records, flags, after, through, time, 0)
    return _new(Segment, (stream, after, through, records, flags, time, payload, head, length + HEAD_SIZE))


class SegmentError(ValueError):
    """A box of segments that does not parse."""


def join(segments: Sequence[Segment]) -> bytes:
    """Return the box of `segments`; together they take at most BOX_LIMIT bytes."""
    parts = [_COUNT.pack(len(segments))]
    parts += [one.head for one in segments]
    parts += [one.payload for one in segments]
    return b"".join(parts)


Head = tuple[int, int, int, int, int, int, int, int]
"""What stands in a head: stream, length, records, flags, after, through, time, spare."""


def parse(box: bytes) -> tuple[Iterable[Head], int]:
    """Return the heads of a box, and where the first payload begins; the others follow it without a space.

    Raises SegmentError where the table of heads is not whole; the lengths are the reader's to check.
    """
    try:
        (number,) = _COUNT.unpack_from(box)
    except error as problem:
        raise SegmentError("a box of segments without its count") from problem
    offset = _COUNT.size + number * HEAD_SIZE
    if offset > len(box):
        raise SegmentError("a box of segments is cut short")
    return _HEAD.iter_unpack(box[_COUNT.size : offset]), offset
