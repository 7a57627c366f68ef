"""The bytes of a journal file: a header, then checksummed frames (sans-I/O).

A frame carries the offset at which its group began: everything before that offset was on the disk before the group was
written. So a bad frame with nothing but frames of its own group behind it is a torn write, never acknowledged; a bad frame
with a later group behind it is damage.

Facts that are there together or not at all are a lot: every frame of it but the last says that more follows.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence

from attrs import frozen

from spire.values.environment import Environment
from spire.values.time import Timestamp

VERSION = 2
"""Since 2 a frame may say that its lot goes on, which a reader of 1 takes for damage: it must refuse the file instead."""
READABLE = (1, 2)
MAGIC = b"SPIREJNL"
_HEADER = struct.Struct("<8sHHIQQq20xI")  # magic, version, environment, reserved, epoch, first position, time, crc
HEADER_BYTES = _HEADER.size

FRAME_MAGIC = b"\xabJF\x01"
_FRAME = struct.Struct("<4sIIIQq")  # magic, crc, length of the payload, group offset, position, time
FRAME_BYTES = _FRAME.size
_CHECKED = struct.Struct("<IIQq")

MAX_PAYLOAD_BYTES = 32 * 1024 * 1024
_MORE = 1 << 31  # beside the length: the next frame belongs to the same lot


@frozen(kw_only=True)
class FileHeader:
    """What a journal file says of itself: its version, whose it is, and the position of its first frame."""

    version: int = VERSION
    environment: Environment
    epoch: int
    first_position: int
    time: Timestamp


@frozen(kw_only=True)
class Frame:
    """One fact of the journal, at its position (dense, from 1), with the time at which it was written."""

    position: int
    time: Timestamp
    payload: bytes


@frozen(kw_only=True)
class Scan:
    """What a file's bytes hold: the offsets of its good frames, without a lot that is not whole, and where they end.

    `damage` is the offset of a frame that was durable once and is not readable now; None for a torn or a whole tail.
    """

    offsets: Sequence[int]
    end: int
    damage: int | None = None


def encode_header(header: FileHeader) -> bytes:
    """Return the first bytes of a file."""
    plain = _HEADER.pack(
        MAGIC, header.version, header.environment, 0, header.epoch, header.first_position, header.time, 0
    )
    return plain[:-4] + struct.pack("<I", zlib.crc32(plain[:-4]))


def decode_header(data: bytes | memoryview) -> FileHeader:
    """Read the first bytes of a file; ValueError if they are none, or of another version."""
    if len(data) < HEADER_BYTES:
        raise ValueError("the header is cut off")
    magic, version, environment, _, epoch, first, time, checksum = _HEADER.unpack(data[:HEADER_BYTES])
    if magic != MAGIC or checksum != zlib.crc32(data[: HEADER_BYTES - 4]):
        raise ValueError("the header is damaged")
    if version not in READABLE:
        raise ValueError(f"the file has version {version}, this release reads {VERSION} at most")
    return FileHeader(
        version=version,
        environment=Environment(environment),
        epoch=epoch,
        first_position=first,
        time=Timestamp(time),
    )


def encode_frame(payload: bytes, *, position: int, time: Timestamp, group: int, more: bool = False) -> bytes:
    """Return one frame; `group` is the offset in the file at which its group begins, `more` that its lot goes on."""
    length = len(payload) | (_MORE if more else 0)
    checked = _CHECKED.pack(length, group, position, time)
    checksum = zlib.crc32(payload, zlib.crc32(checked))
    return _FRAME.pack(FRAME_MAGIC, checksum, length, group, position, time) + payload


@frozen(kw_only=True)
class Found:
    """A good frame, the offset of its group, where it ends, and whether its lot goes on behind it."""

    frame: Frame
    group: int
    end: int
    more: bool


def decode_frame(data: bytes | memoryview, offset: int) -> Found | None:
    """Read the frame at `offset`; None if there is no good frame there."""
    start = offset + FRAME_BYTES
    if start > len(data):
        return None
    magic, checksum, coded, group, position, time = _FRAME.unpack_from(data, offset)
    length = coded & ~_MORE
    if magic != FRAME_MAGIC or length > MAX_PAYLOAD_BYTES or start + length > len(data) or group > offset:
        return None
    payload = bytes(data[start : start + length])
    if zlib.crc32(payload, zlib.crc32(_CHECKED.pack(coded, group, position, time))) != checksum:
        return None
    frame = Frame(position=position, time=Timestamp(time), payload=payload)
    return Found(frame=frame, group=group, end=start + length, more=bool(coded & _MORE))


def scan(data: bytes | memoryview, first_position: int) -> Scan:
    """Find the good frames of a file, whose first must have `first_position`."""
    offsets: list[int] = []
    offset = HEADER_BYTES
    whole = 0
    while (found := decode_frame(data, offset)) is not None and found.frame.position == first_position + len(offsets):
        offsets.append(offset)
        offset = found.end
        if not found.more:
            whole = len(offsets)
    if any(group > offset for group in _groups_behind(data, offset)):
        return Scan(offsets=offsets, end=offset, damage=offset)
    return Scan(offsets=offsets[:whole], end=offset if whole == len(offsets) else offsets[whole])


def _groups_behind(data: bytes | memoryview, offset: int) -> Iterator[int]:
    """Yield the group offsets of the good frames that stand somewhere behind a bad one."""
    rest = bytes(data[offset:])
    place = rest.find(FRAME_MAGIC, 1)
    while place >= 0:
        found = decode_frame(data, offset + place)
        if found is not None:
            yield found.group
        place = rest.find(FRAME_MAGIC, place + 1)
