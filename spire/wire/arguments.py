"""Typed arguments of commands, and the msgpack coders that wire, journals, topics and rows share."""

from functools import cache
from typing import Any, TypeVar

import msgspec
from twisted.protocols import amp

from spire.wire.errors import Invalid

T = TypeVar("T")

# AMP's own limit of one value.
LONGEST_VALUE = 0xFFFF

_INT64 = 1 << 63
_encoder = msgspec.msgpack.Encoder(order="deterministic")
_unordered = msgspec.msgpack.Encoder()


def encode(value: object) -> bytes:
    """Return `value` as msgpack; equal values give equal bytes, but for maps whose keys are no text.

    Those (an order's tags) keep the order in which they were filled. Integers end at 64 bits. Raises TypeError or OverflowError
    for what has no msgpack form.
    """
    try:
        return _encoder.encode(value)
    except TypeError:  # msgspec sorts text keys only
        return _unordered.encode(value)


@cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)


def decode(kind: type[T], data: bytes) -> T:
    """Return the value of `kind` in `data`, validated.

    Unknown fields are ignored, absent ones take their default. Raises Invalid with the path of what does not fit.
    """
    hashable: Any = kind
    try:
        return _decoder(hashable).decode(data)  # type: ignore[no-any-return] # the decoder was made for `kind`
    except RecursionError:
        raise Invalid("The value is nested too deeply.", path="$") from None
    except msgspec.DecodeError as error:
        text, _, path = str(error).partition(" - at `")
        raise Invalid(text, path=path.rstrip("`") or "$") from None


class Argument(amp.Argument):
    """An argument of a command: bytes of one AMP value to a Python value and back.

    `fromString` raises ValueError or Invalid where the bytes do not parse, `toString` TypeError or ValueError where the
    value has no form on the wire. An `optional` argument may be absent, which reads as None.
    """

    optional: bool

    def __init__(self, *, optional: bool = False) -> None:
        self.optional = optional


class Integer(Argument):
    """A whole number as decimal text, between `minimum` and `maximum` (a signed 64-bit integer by default)."""

    def __init__(self, *, minimum: int = -_INT64, maximum: int = _INT64 - 1, optional: bool = False) -> None:
        super().__init__(optional=optional)
        self._minimum = minimum
        self._maximum = maximum

    def fromString(self, inString: bytes) -> int:  # noqa: N803 (Twisted's name)
        """Return the number; raises ValueError for anything but plain digits within the bounds."""
        digits = inString[1:] if inString[:1] == b"-" else inString
        if not digits.isdigit() or len(digits) > 40:
            raise ValueError("a whole number is expected")
        return self._bounded(int(inString))

    def toString(self, inObject: int) -> bytes:  # noqa: N803 (Twisted's name)
        """Return decimal digits; raises TypeError for anything but an int, ValueError beyond the bounds."""
        if not isinstance(inObject, int) or isinstance(inObject, bool):
            raise TypeError("a whole number is expected")
        return b"%d" % self._bounded(inObject)

    def _bounded(self, number: int) -> int:
        if not self._minimum <= number <= self._maximum:
            raise ValueError(f"a number from {self._minimum} to {self._maximum} is expected")
        return number


class Text(Argument):
    """Text as UTF-8, of at most `longest` bytes."""

    def __init__(self, *, longest: int = LONGEST_VALUE, optional: bool = False) -> None:
        super().__init__(optional=optional)
        self._longest = longest

    def fromString(self, inString: bytes) -> str:  # noqa: N803 (Twisted's name)
        """Return the text; raises ValueError where it is not UTF-8 or too long."""
        if len(inString) > self._longest:
            raise ValueError(f"at most {self._longest} bytes are expected")
        try:
            return inString.decode()
        except UnicodeDecodeError:
            raise ValueError("text in UTF-8 is expected") from None

    def toString(self, inObject: str) -> bytes:  # noqa: N803 (Twisted's name)
        """Return UTF-8; raises TypeError for anything but a str, ValueError where it is too long."""
        if not isinstance(inObject, str):
            raise TypeError("text is expected")
        encoded = inObject.encode()
        if len(encoded) > self._longest:
            raise ValueError(f"at most {self._longest} bytes are expected")
        return encoded


class Bytes(Argument):
    """Bytes as they are."""

    def fromString(self, inString: bytes) -> bytes:  # noqa: N803 (Twisted's name)
        """Return the bytes."""
        return inString

    def toString(self, inObject: bytes) -> bytes:  # noqa: N803 (Twisted's name)
        """Return the bytes; raises TypeError for anything else."""
        if not isinstance(inObject, bytes):
            raise TypeError("bytes are expected")
        return inObject


class Boolean(Argument):
    """Truth, as AMP writes it."""

    def fromString(self, inString: bytes) -> bool:  # noqa: N803 (Twisted's name)
        """Return the truth value; raises ValueError for anything but True and False."""
        if inString == b"True":
            return True
        if inString == b"False":
            return False
        raise ValueError("True or False is expected")

    def toString(self, inObject: bool) -> bytes:  # noqa: N803 (Twisted's name)
        """Return the word; raises TypeError for anything but a bool."""
        if not isinstance(inObject, bool):
            raise TypeError("True or False is expected")
        return b"True" if inObject else b"False"


class Typed(Argument):
    """A value of any type that msgspec knows (frozen attrs, enums, tuples of them), as msgpack, validated on decode.

    `Typed(tuple[Row, ...])` is a list. The whole value must fit in one AMP value.
    """

    def __init__(self, kind: Any, *, optional: bool = False) -> None:
        super().__init__(optional=optional)
        self._kind = kind
        _decoder(kind)  # an impossible type fails where the command is declared, not at its first call

    def fromString(self, inString: bytes) -> Any:  # noqa: N803 (Twisted's name)
        """Return the value; raises Invalid with the path of what does not fit."""
        return decode(self._kind, inString)

    def toString(self, inObject: object) -> bytes:  # noqa: N803 (Twisted's name)
        """Return msgpack; raises TypeError or OverflowError for what has no such form."""
        return encode(inObject)
