"""AMP boxes from bytes and back (sans-I/O), with the size of a box bounded while it is parsed."""

from struct import Struct

Box = dict[bytes, bytes]

length_prefix = Struct(">H").pack

END = b"\0\0"
LONGEST_KEY = 0xFF
_NO_BOXES: list[Box] = []


class BoxError(ValueError):
    """The bytes are no AMP, or a box is larger than allowed; nothing after it can be read."""


class BoxParser:
    """Boxes out of a stream that arrives in pieces.

    `largest_box` is in bytes on the wire. A box that would exceed it is a fault as soon as a length says so, before
    its bytes are held.
    """

    def __init__(self, largest_box: int) -> None:
        self.fault: BoxError | None = None
        self._largest = largest_box
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._needed = 2
        self._box: Box = {}
        self._size = 0
        self._key: bytes | None = None

    def feed(self, data: bytes) -> list[Box]:
        """Return the boxes that `data` completes, in order; `fault` is set where the stream cannot go on after them."""
        if self.fault is not None:
            return _NO_BOXES
        if self._pending_size:
            self._pending.append(data)
            self._pending_size += len(data)
            if self._pending_size < self._needed:
                return _NO_BOXES
            data = b"".join(self._pending)
            self._pending.clear()
            self._pending_size = 0
        boxes: list[Box] = []
        box, key, size = self._box, self._key, self._size
        position, end = 0, len(data)
        needed = 2
        while end - position >= 2:
            length = data[position] << 8 | data[position + 1]
            start = position + 2
            if length == 0 and key is None:
                if not box:
                    self._stop("An empty box arrived.")
                    return boxes
                boxes.append(box)
                box, size, position = {}, 0, start
                continue
            if key is None and length > LONGEST_KEY:
                self._stop("What arrived is no AMP: a key is longer than 255 bytes.")
                return boxes
            stop = start + length
            if size + 2 + length > self._largest:
                self._stop(f"A box is larger than {self._largest} bytes.")
                return boxes
            if stop > end:
                needed = 2 + length
                break
            size += 2 + length
            if key is None:
                key = data[start:stop]
            else:
                box[key] = data[start:stop]
                key = None
            position = stop
        self._box, self._key, self._size = box, key, size
        if position < end:
            self._needed = needed
            self._pending.append(data[position:] if position else data)
            self._pending_size = end - position
        return boxes

    def _stop(self, text: str) -> None:
        self.fault = BoxError(text)
        self._box = {}
        self._key = None


def key_header(key: bytes) -> bytes:
    """Return a key as it stands in a box; raises ValueError for one that AMP cannot carry."""
    if not 0 < len(key) <= LONGEST_KEY:
        raise ValueError(f"a key has 1 to {LONGEST_KEY} bytes, {key!r} does not")
    return length_prefix(len(key)) + key


def serialise(box: Box) -> bytes:
    """Return `box` as bytes, in its own order of keys."""
    parts: list[bytes] = []
    for key, value in box.items():
        parts += (key_header(key), length_prefix(len(value)), value)
    parts.append(END)
    return b"".join(parts)
