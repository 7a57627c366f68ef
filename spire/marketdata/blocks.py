"""Stored blocks: runs of one instrument's records, compressed column by column (sans-I/O)."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final

import numpy as np
import zstandard
from attrs import frozen

from spire.marketdata.sequencing import runs
from spire.marketdata.values import LAYOUT_VERSION, LAYOUTS, Records, RecordType

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


def pack(record_type: RecordType, parts: Iterable[Records]) -> list[Block]:
    """Return the blocks of accepted records, given in order of acceptance, each part grouped by instrument.

    A block's sequences are consecutive, and of one feed session.
    """
    own: dict[int, list[Records]] = {}
    for part in parts:
        for run in runs(part):
            own.setdefault(run.instrument, []).append(run.records)
    blocks = []
    for instrument, pieces in own.items():
        records = np.concatenate(pieces)
        breaks = (np.diff(records["sequence"]) != 1) | (np.diff(records["feed_session"].astype(np.int64)) != 0)
        edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(records)]
        for start, end in pairwise(edges):
            blocks += [
                _block(record_type, instrument, records[first : min(first + BLOCK_RECORDS, end)])
                for first in range(start, end, BLOCK_RECORDS)
            ]
    return blocks


def merge(earlier: Block, later: Block) -> Block:
    """Return one block of two that follow each other in one feed session."""
    return _block(earlier.record_type, earlier.instrument, np.concatenate([unpack_block(earlier), unpack_block(later)]))


def _block(record_type: RecordType, instrument: int, records: Records) -> Block:
    times = records["source_time"]
    return Block(
        instrument=instrument,
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
