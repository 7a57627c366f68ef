"""How the records of a topic stand in bytes: packed numpy arrays, or rows of attrs values."""

from collections.abc import Iterable, Sequence
from struct import Struct, error
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

R = TypeVar("R")
Row = TypeVar("Row")

_LENGTH = Struct("<I")


class RecordError(ValueError):
    """Bytes that are not records of the layout that reads them, or a record that is larger than a segment may be."""


class Piece(NamedTuple):
    """A part of a payload: the number of its `records`, the last of which has the sequence `through`."""

    payload: bytes
    records: int
    through: int


class Codec(Protocol[R]):
    """Turns records into a payload and back; `R` is what a listener is handed.

    Records stand in ascending order of their sequences.
    """

    def encode(self, records: R) -> bytes:
        """Return the payload of `records`."""

    def decode(self, data: bytes, count: int, offset: int, length: int) -> R:
        """Return the `count` records in `length` bytes of `data` from `offset`. Raises RecordError."""

    def after(self, records: R, sequence: int) -> R:
        """Return the records whose sequence is greater than `sequence`."""

    def size(self, records: R) -> int:
        """Return how many records there are."""

    def join(self, parts: Sequence[R]) -> R:
        """Return all records of `parts`, in order."""

    def last(self, payload: bytes) -> bytes:
        """Return the payload of the last record alone; `payload` is not empty."""

    def split(self, payload: bytes, limit: int) -> list[Piece]:
        """Cut `payload` into pieces of at most `limit` bytes. Raises RecordError where one record is larger."""


class Packed:
    """Records in a numpy structured array, whose first field is `sequence` (u8); the bytes are the payload.

    What is decoded is read only and shares memory with what arrived.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        if not dtype.names or dtype.names[0] != "sequence" or dtype["sequence"] != np.dtype("<u8"):
            raise ValueError("a packed layout begins with a field `sequence` of type <u8")
        self.dtype = dtype
        self._itemsize = dtype.itemsize

    def encode(self, records: NDArray[np.void]) -> bytes:
        """Return the bytes of `records`, which must have this layout."""
        if records.dtype != self.dtype:
            raise RecordError("the array has another layout than its topic")
        return records.tobytes()

    def decode(self, data: bytes, count: int, offset: int, length: int) -> NDArray[np.void]:
        """Return a read-only array over `data`."""
        if count * self._itemsize != length:
            raise RecordError(f"{length} bytes do not hold {count} records of {self._itemsize} bytes")
        if not count:
            return np.empty(0, self.dtype)
        return np.frombuffer(data, self.dtype, count, offset)

    def after(self, records: NDArray[np.void], sequence: int) -> NDArray[np.void]:
        """Return the records beyond `sequence`, a view."""
        first = int(np.searchsorted(records["sequence"], np.uint64(sequence), side="right"))
        return records[first:]

    def size(self, records: NDArray[np.void]) -> int:
        """Return the length of the array."""
        return len(records)

    def join(self, parts: Sequence[NDArray[np.void]]) -> NDArray[np.void]:
        """Return one array with the records of all `parts`.

        Their bytes are joined: numpy would work out a common layout, which costs more than the records do.
        """
        if len(parts) == 1:
            return parts[0]
        return np.frombuffer(b"".join([np.ascontiguousarray(part).data for part in parts]), self.dtype)

    def last(self, payload: bytes) -> bytes:
        """Return the bytes of the last record."""
        return payload[-self._itemsize :]

    def split(self, payload: bytes, limit: int) -> list[Piece]:
        """Cut between records."""
        step = limit // self._itemsize * self._itemsize
        if step == 0:
            raise RecordError(f"a record of {self._itemsize} bytes exceeds {limit} bytes")
        if len(payload) % self._itemsize:
            raise RecordError(f"{len(payload)} bytes are no whole number of records of {self._itemsize} bytes")
        sequences = np.frombuffer(payload, self.dtype)["sequence"]
        pieces = []
        for begin in range(0, len(payload), step):
            part = payload[begin : begin + step]
            end = (begin + len(part)) // self._itemsize
            pieces.append(Piece(part, len(part) // self._itemsize, int(sequences[end - 1])))
        return pieces


class Rows(Generic[Row]):
    """Records as attrs values with an attribute `sequence`: a msgpack map each, with its length before it."""

    def __init__(self, row_type: type[Row]) -> None:
        self.row_type = row_type
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[Row] = msgspec.msgpack.Decoder(row_type)

    def encode(self, records: Iterable[Row]) -> bytes:
        """Return the rows one after the other."""
        parts = []
        for row in records:
            encoded = self._encoder.encode(row)
            parts.append(_LENGTH.pack(len(encoded)))
            parts.append(encoded)
        return b"".join(parts)

    def decode(self, data: bytes, count: int, offset: int, length: int) -> tuple[Row, ...]:
        """Return the rows, validated."""
        try:
            rows = tuple(self._decoder.decode(row) for row in _slices(data, offset, length))
        except (msgspec.MsgspecError, RecursionError) as problem:
            raise RecordError(f"a row does not parse: {problem}") from problem
        if len(rows) != count:
            raise RecordError(f"{len(rows)} rows where {count} were announced")
        return rows

    def count(self, payload: bytes) -> int:
        """Return how many rows stand in a payload. Raises RecordError."""
        return sum(1 for _ in _slices(payload, 0, len(payload)))

    def after(self, records: tuple[Row, ...], sequence: int) -> tuple[Row, ...]:
        """Return the rows beyond `sequence`."""
        return tuple(row for row in records if sequence_of(row) > sequence)

    def size(self, records: tuple[Row, ...]) -> int:
        """Return the number of rows."""
        return len(records)

    def join(self, parts: Sequence[tuple[Row, ...]]) -> tuple[Row, ...]:
        """Return one tuple with all rows."""
        return tuple(row for part in parts for row in part)

    def last(self, payload: bytes) -> bytes:
        """Return the last row with its length."""
        last = list(_slices(payload, 0, len(payload)))[-1]
        return _LENGTH.pack(len(last)) + bytes(last)

    def split(self, payload: bytes, limit: int) -> list[Piece]:
        """Cut between rows."""
        pieces: list[Piece] = []
        gathered: list[bytes] = []
        size = count = through = 0
        for row in _slices(payload, 0, len(payload)):
            length = len(row) + _LENGTH.size
            if length > limit:
                raise RecordError(f"a row of {length} bytes exceeds {limit} bytes")
            if size + length > limit:
                pieces.append(Piece(b"".join(gathered), count, through))
                gathered, size, count = [], 0, 0
            gathered.append(_LENGTH.pack(len(row)) + bytes(row))
            size += length
            count += 1
            through = sequence_of(self._decoder.decode(row))
        if gathered:
            pieces.append(Piece(b"".join(gathered), count, through))
        return pieces


def sequence_of(row: object) -> int:
    """Return the sequence of a row of a log topic."""
    sequence: int = row.sequence  # type: ignore[attr-defined]  # what a row of a log must have
    return sequence


def _slices(data: bytes, offset: int, length: int) -> Iterable[memoryview]:
    """Yield each length-prefixed part of `length` bytes from `offset`. Raises RecordError where they do not add up."""
    view = memoryview(data)
    end = offset + length
    while offset < end:
        try:
            (size,) = _LENGTH.unpack_from(view, offset)
        except error as problem:
            raise RecordError("a row's length is cut short") from problem
        offset += _LENGTH.size
        if offset + size > end:
            raise RecordError("a row is cut short")
        yield view[offset : offset + size]
        offset += size
