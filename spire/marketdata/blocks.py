"""Stored blocks: runs of one instrument's records, compressed column by column (sans-I/O)."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import zstandard
from attrs import frozen

from spire.marketdata.values import LAYOUT_VERSION, LAYOUTS, Records, RecordType, joined

BLOCK_RECORDS: Final = 32_768
"""Most records of a block; with the widest layout this is some 3.5 MB before compression."""
_LEVEL: Final = 1


@frozen(kw_only=True)
class Block:
    """A run of one instrument's records of one feed session; times are event times in nanoseconds since 1970 UTC."""

    instrument: int
    record_type: RecordType
    feed_session: int
    first_sequence: int
    last_sequence: int
    least_time: int
    greatest_time: int
    count: int
    layout_version: int
    payload: bytes


class UnreadableBlockError(ValueError):
    """A block's payload is damaged or of a layout that this release does not read."""


def compress(records: Records) -> bytes:
    """Return records as zstandard-compressed columns."""
    names = records.dtype.names or ()
    columns = b"".join([np.ascontiguousarray(records[name]).tobytes() for name in names])
    return zstandard.ZstdCompressor(level=_LEVEL).compress(columns)


def decompress(record_type: RecordType, count: int, payload: bytes) -> Records:
    """Return the records of a payload. UnreadableBlockError: it is damaged."""
    layout: np.dtype[Any] = LAYOUTS[record_type]
    size = count * layout.itemsize
    try:
        columns = zstandard.ZstdDecompressor().decompress(payload, max_output_size=size)
    except zstandard.ZstdError as error:
        raise UnreadableBlockError(f"a block of {count} {record_type.name} records cannot be read: {error}") from error
    if len(columns) != size:
        raise UnreadableBlockError(
            f"a block of {count} {record_type.name} records holds {len(columns)} bytes, not {size}"
        )
    records = np.empty(count, dtype=layout)
    offset = 0
    for name in layout.names or ():
        column = layout[name]
        records[name] = np.frombuffer(columns, dtype=column, count=count, offset=offset)
        offset += count * column.itemsize
    return records


def unpack_block(block: Block) -> Records:
    """Return a block's records. UnreadableBlockError: damage, or another layout version."""
    if block.layout_version != LAYOUT_VERSION:
        raise UnreadableBlockError(
            f"layout version {block.layout_version} is not {LAYOUT_VERSION}, which this release reads"
        )
    return decompress(block.record_type, block.count, block.payload)


def grouped(record_type: RecordType, parts: Sequence[Records]) -> Records:
    """Return accepted records of all parts, given in order of acceptance, by instrument and then in that order."""
    records = joined(record_type, parts)
    return records if len(parts) == 1 else records[np.argsort(records["instrument"], kind="stable")]


def stretches(records: Records) -> Iterator[tuple[int, int]]:
    """Return where grouped records begin and end that have consecutive sequences, one instrument and one feed session."""
    if not len(records):
        return iter(())
    breaks = (
        (np.diff(records["sequence"]) != 1)
        | (records["instrument"][1:] != records["instrument"][:-1])
        | (records["feed_session"][1:] != records["feed_session"][:-1])
    )
    return pairwise([0, *(np.flatnonzero(breaks) + 1).tolist(), len(records)])


def block_of(record_type: RecordType, records: Records) -> Block:
    """Return the block of records that are one stretch."""
    times = records["source_time"]
    return Block(
        instrument=int(records["instrument"][0]),
        record_type=record_type,
        feed_session=int(records["feed_session"][0]),
        first_sequence=int(records["sequence"][0]),
        last_sequence=int(records["sequence"][-1]),
        least_time=int(times.min()),
        greatest_time=int(times.max()),
        count=len(records),
        layout_version=LAYOUT_VERSION,
        payload=compress(records),
    )


def pack(record_type: RecordType, parts: Sequence[Records]) -> list[Block]:
    """Return the blocks of accepted records, given in order of acceptance, each part grouped by instrument."""
    records = grouped(record_type, parts)
    return [
        block_of(record_type, records[first : min(first + BLOCK_RECORDS, end)])
        for begin, end in stretches(records)
        for first in range(begin, end, BLOCK_RECORDS)
    ]
