"""Commands to boxes and back, compiled once for each command class."""

from collections.abc import Callable, Mapping
from functools import cache
from keyword import iskeyword
from typing import Any

from attrs import frozen
from twisted.protocols import amp

from spire.wire.arguments import LONGEST_VALUE, decode, encode
from spire.wire.boxes import END, Box, key_header, length_prefix
from spire.wire.errors import Invalid, SpireError, error_of

ASK = b"_ask"
ANSWER = b"_answer"
ERROR = b"_error"
ERROR_CODE = b"_error_code"
ERROR_TEXT = b"_error_description"
ERROR_DETAILS = b"_error_details"
COMMAND = b"_command"
CORRELATION = b"correlation_id"

LONGEST_TEXT = 2_000
LONGEST_DETAILS = 16_000

_ASK = key_header(ASK)
_ANSWER = key_header(ANSWER)
_COMMAND = key_header(COMMAND)
_CORRELATION = key_header(CORRELATION)

# A failing `fromString` raises these; everything else there is a fault of ours.
_UNREADABLE = (ValueError, TypeError, KeyError, LookupError, ArithmeticError)


@frozen
class _Field:
    """One argument or one value of an answer."""

    name: str
    key: bytes
    header: bytes
    optional: bool
    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]


class Codec:
    """What one command looks like on the wire."""

    def __init__(self, command: type[amp.Command]) -> None:
        self.command = command
        self.name = command.commandName
        self.text = command.__name__
        self.answers = bool(command.requiresAnswer)
        self._request_start = _COMMAND + length_prefix(len(self.name)) + self.name
        self._arguments = _fields(command.arguments)
        self._response = _fields(command.response)

    def request(self, tag: bytes | None, arguments: Mapping[str, object], correlation: bytes = b"") -> bytes:
        """Return a call as one box; without `tag` it is one-way.

        Raises Invalid where an argument has no form on the wire, TypeError where one is missing or unknown.
        """
        parts = [self._request_start]
        if tag is not None:
            parts += (_ASK, length_prefix(len(tag)), tag)
        if correlation:
            parts += (_CORRELATION, length_prefix(len(correlation)), correlation)
        self._write(self._arguments, arguments, parts)
        return b"".join(parts)

    def arguments(self, box: Box) -> dict[str, Any]:
        """Return the arguments of a call; raises Invalid that names the one that is absent or does not parse."""
        return _read(self._arguments, box)

    def answer(self, tag: bytes, values: Mapping[str, object]) -> bytes:
        """Return an answer as one box. Raises Invalid or TypeError where the values do not fit the command."""
        parts = [_ANSWER, length_prefix(len(tag)), tag]
        self._write(self._response, values, parts)
        return b"".join(parts)

    def values(self, box: Box) -> dict[str, Any]:
        """Return the values of an answer; raises Invalid that names the one that is absent or does not parse."""
        return _read(self._response, box)

    def _write(self, fields: tuple[_Field, ...], values: Mapping[str, object], parts: list[bytes]) -> None:
        found = 0
        for field in fields:
            value = values.get(field.name)
            if value is None:
                if not field.optional:
                    raise TypeError(f"{self.text}: {field.name} is missing")
                found += field.name in values
                continue
            found += 1
            try:
                data = field.write(value)
            except (ValueError, TypeError, OverflowError) as error:
                raise Invalid(f"{field.name} cannot be sent: {error}.", argument=field.name) from error
            if len(data) > LONGEST_VALUE:
                raise Invalid(
                    f"{field.name} takes {len(data)} bytes; at most {LONGEST_VALUE} can be sent.", argument=field.name
                )
            parts += (field.header, length_prefix(len(data)), data)
        if found != len(values):
            unknown = set(values) - {field.name for field in fields}
            raise TypeError(f"{self.text} has no {', '.join(sorted(unknown))}")
        parts.append(END)


@cache
def codec_of(command: type[amp.Command]) -> Codec:
    """Return the codec of a command class."""
    return Codec(command)


def encode_push(command: type[amp.Command], **arguments: object) -> bytes:
    """Return a one-way command as a box that may be written to any number of connections."""
    return codec_of(command).request(None, arguments)


def error_box(tag: bytes, error: SpireError) -> bytes:
    """Return a refusal as one box: code, text and, beside what plain AMP knows, the details."""
    parts: list[bytes] = []
    values = [(ERROR, tag), (ERROR_CODE, error.coded.encode()), (ERROR_TEXT, error.message[:LONGEST_TEXT].encode())]
    if error.details:
        details = encode(error.details)
        if len(details) <= LONGEST_DETAILS:
            values.append((ERROR_DETAILS, details))
    for key, value in values:
        parts += (key_header(key), length_prefix(len(value)), value)
    parts.append(END)
    return b"".join(parts)


def error_in(box: Box) -> SpireError:
    """Return the refusal that an error box carries; a box of a plain AMP peer gives its code and text."""
    code = box.get(ERROR_CODE, b"INTERNAL").decode("utf-8", "replace")
    text = box.get(ERROR_TEXT, b"").decode("utf-8", "replace")
    details: dict[str, str] = {}
    if ERROR_DETAILS in box:
        try:
            details = decode(dict[str, str], box[ERROR_DETAILS])
        except Invalid:
            details = {}
    return error_of("INTERNAL" if code == "UNKNOWN" else code, text, details)


def _read(fields: tuple[_Field, ...], box: Box) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in fields:
        data = box.get(field.key)
        if data is None:
            if not field.optional:
                raise Invalid(f"{field.name} is missing.", argument=field.name)
            values[field.name] = None
            continue
        try:
            values[field.name] = field.read(data)
        except Invalid as error:
            path = error.details.get("path", "$")
            raise Invalid(f"{field.name}: {error.message}.", argument=field.name, path=path) from error
        except _UNREADABLE as error:
            raise Invalid(f"{field.name}: {error}.", argument=field.name) from error
    return values


def _fields(declared: list[tuple[bytes, Any]]) -> tuple[_Field, ...]:
    fields = []
    for key, argument in declared:
        name = key.decode().replace("-", "_")
        if iskeyword(name) or key.startswith(b"_") or key == CORRELATION:
            raise ValueError(f"{name} cannot name an argument")
        kind = type(argument)
        if kind.fromBox is not amp.Argument.fromBox or kind.toBox is not amp.Argument.toBox:
            raise ValueError(f"{name}: an argument that reads or writes other keys of the box is not supported")
        fields.append(_Field(name, key, key_header(key), bool(argument.optional), _reader(argument), _writer(argument)))
    return tuple(fields)


def _reader(argument: Any) -> Callable[[bytes], Any]:
    if type(argument).fromStringProto is amp.Argument.fromStringProto:
        return argument.fromString  # type: ignore[no-any-return] # amp is untyped here
    return lambda data: argument.fromStringProto(data, None)


def _writer(argument: Any) -> Callable[[Any], bytes]:
    if type(argument).toStringProto is amp.Argument.toStringProto:
        return argument.toString  # type: ignore[no-any-return] # amp is untyped here
    return lambda value: argument.toStringProto(value, None)
