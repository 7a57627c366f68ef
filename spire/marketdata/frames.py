"""What a journal frame of Market Data holds, as bytes (sans-I/O).

A frame is one fact: a feed session opened, ended, a batch accepted, or book rows removed because their feed went. Sequenced records
follow the header as they are published.
"""

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import msgspec
from attrs import field, frozen

from spire.marketdata.feed_session import FeedSession
from spire.marketdata.values import LAYOUT_VERSION, Records, RecordType, unpack
from spire.values.time import Timestamp

_LENGTH: Final = struct.Struct("<I")


class FrameKind(IntEnum):
    """Which fact a frame holds."""

    OPENED = 1
    BATCH = 2
    REMOVED = 3
    ENDED = 4


@frozen(kw_only=True)
class Frame:
    """One fact: records per type are grouped by instrument, in sequence order.

    `first` and `count` are a batch's positions, 0 elsewhere; `opened` stands in OPENED alone.
    """

    kind: FrameKind
    feed_session: int
    time: Timestamp
    first: int = 0
    count: int = 0
    opened: FeedSession | None = None
    records: dict[RecordType, Records] = field(factory=dict)

    @property
    def record_count(self) -> int:
        """Return how many records the frame holds."""
        return sum(len(records) for records in self.records.values())


@frozen(kw_only=True)
class _Header:
    kind: FrameKind
    version: int
    feed_session: int
    time: Timestamp
    first: int
    count: int
    opened: FeedSession | None
    parts: list[tuple[RecordType, int]]


class UnreadableFrameError(ValueError):
    """A frame's bytes are not what this release writes."""


def encode_frames(frames: Sequence[Frame]) -> bytes:
    """Return what the journal holds at one position: a group of frames that become durable together or not at all."""
    encoded = [_encode_frame(frame) for frame in frames]
    return b"".join(part for frame in encoded for part in (_LENGTH.pack(len(frame)), frame))


def decode_frames(payload: bytes) -> list[Frame]:
    """Return the frames of one position.

    UnreadableFrameError: the bytes are cut, of another layout version, or no frames.
    """
    frames = []
    offset = 0
    while offset < len(payload):
        if offset + _LENGTH.size > len(payload):
            raise UnreadableFrameError("a frame's length is cut")
        (length,) = _LENGTH.unpack_from(payload, offset)
        offset += _LENGTH.size
        frames.append(_decode_frame(payload[offset : offset + length]))
        offset += length
    return frames


def _encode_frame(frame: Frame) -> bytes:
    """Return a frame's bytes."""
    header = msgspec.msgpack.encode(
        _Header(
            kind=frame.kind,
            version=LAYOUT_VERSION,
            feed_session=frame.feed_session,
            time=frame.time,
            first=frame.first,
            count=frame.count,
            opened=frame.opened,
            parts=[(kind, records.nbytes) for kind, records in frame.records.items()],
        )
    )
    return b"".join([_LENGTH.pack(len(header)), header, *(records.tobytes() for records in frame.records.values())])


_DECODER: Final = msgspec.msgpack.Decoder(_Header)


def _decode_frame(payload: bytes) -> Frame:
    try:
        (length,) = _LENGTH.unpack_from(payload)
        header = _DECODER.decode(payload[_LENGTH.size : _LENGTH.size + length])
    except (struct.error, msgspec.DecodeError) as error:
        raise UnreadableFrameError(f"no market data frame: {error}") from error
    if header.version != LAYOUT_VERSION:
        raise UnreadableFrameError(f"layout version {header.version} is not {LAYOUT_VERSION}, which this release reads")
    offset = _LENGTH.size + length
    records = {}
    for kind, size in header.parts:
        part = payload[offset : offset + size]
        if len(part) != size:
            raise UnreadableFrameError("the frame's records are cut")
        records[kind] = unpack(kind, part)
        offset += size
    return Frame(
        kind=header.kind,
        feed_session=header.feed_session,
        time=header.time,
        first=header.first,
        count=header.count,
        opened=header.opened,
        records=records,
    )
