"""The plain form that JSON and TOML carry: enumeration names, amounts as decimal strings, integers as strings (docs/values.md).

One converter, driven by annotations, so that no room writes its own.
"""

import datetime
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum, IntFlag
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs

from spire.values.amounts import Money, Notional, Price, Quantity, decimal_of, format_amount, notional_of, parse_amount
from spire.values.tickers import Ticker, parse_ticker
from spire.values.time import Timestamp, format_timestamp, parse_timestamp

T = TypeVar("T")

_AMOUNTS: Final[dict[Any, str]] = {Money: "money", Price: "price", Quantity: "quantity"}


class PlainFormError(ValueError):
    """A plain value does not fit its type; the message begins with the path to it."""


def to_plain(value: object) -> Any:
    """Return the plain form of an attrs object: dicts, lists, strings, booleans and None only."""
    return _out(type(value), value)


def from_plain(kind: type[T], data: object) -> T:
    """Return the object of a type that a plain form stands for.

    Whole numbers may come as numbers or strings. PlainFormError: a field is unknown, missing or of another form; the message has its path.
    """
    return cast("T", _in(kind, data, ""))


@lru_cache(maxsize=512)
def _fields(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in attrs.fields(kind) if field.init}


def _optional(kind: Any) -> Any:
    """Return the type beside None, or None when the annotation is not optional."""
    if get_origin(kind) not in (Union, UnionType):
        return None
    others = [part for part in get_args(kind) if part is not NoneType]
    if len(others) != 1:
        raise TypeError(f"{kind} has no plain form: only X | None has")
    return others[0]


def _out(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    inner = _optional(kind)
    if inner is not None:
        return _out(inner, value)
    if kind in _AMOUNTS:
        return format_amount(value)
    if kind is Notional:
        return f"{decimal_of(value):f}"
    if kind is Timestamp:
        return format_timestamp(value)
    kind = getattr(kind, "__supertype__", kind)
    origin = get_origin(kind)
    if origin in (tuple, list, frozenset):
        item = get_args(kind)[0]
        items = sorted(value) if origin is frozenset else value
        return [_out(item, each) for each in items]
    if origin in (dict, Mapping):
        key, item = get_args(kind)
        return {str(_out(key, name)): _out(item, each) for name, each in value.items()}
    if isinstance(value, Ticker):
        return str(value)
    if isinstance(value, IntFlag):
        return [flag.name for flag in type(value) if flag in value]
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if attrs.has(type(value)):
        found: Any = type(value)
        return {name: _out(hint, getattr(value, name)) for name, hint in _fields(found).items()}
    raise TypeError(f"{type(value).__name__} has no plain form")


def _in(kind: Any, data: Any, path: str) -> Any:
    inner = _optional(kind)
    if inner is not None:
        return None if data is None else _in(inner, data, path)
    origin = get_origin(kind)
    if origin in (tuple, list, frozenset):
        if not isinstance(data, list):
            raise PlainFormError(f"{path or 'value'} must be a list")
        item = get_args(kind)[0]
        return origin(_in(item, each, f"{path}[{place}]") for place, each in enumerate(data))
    if origin in (dict, Mapping):
        if not isinstance(data, Mapping):
            raise PlainFormError(f"{path or 'value'} must be a table")
        key, item = get_args(kind)
        return {_in(key, name, path): _in(item, each, f"{path}.{name}") for name, each in data.items()}
    if kind is not Ticker and isinstance(kind, type) and attrs.has(kind):
        return _object(kind, data, path)
    try:
        return _scalar(kind, data)
    except PlainFormError:
        raise
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise PlainFormError(f"{path or 'value'}: {error}") from error


def _object(kind: type, data: Any, path: str) -> Any:
    if not isinstance(data, Mapping):
        raise PlainFormError(f"{path or 'value'} must be a table")
    fields = _fields(kind)
    unknown = sorted(set(data) - set(fields))
    if unknown:
        raise PlainFormError(f"{_join(path, unknown[0])} is unknown")
    arguments = {name: _in(fields[name], each, _join(path, name)) for name, each in data.items()}
    try:
        return kind(**arguments)
    except TypeError as error:
        missing = [each.name for each in attrs.fields(kind) if each.init and each.default is attrs.NOTHING]
        absent = [name for name in missing if name not in arguments]
        raise PlainFormError(
            f"{_join(path, absent[0])} is missing" if absent else f"{path or 'value'}: {error}"
        ) from error
    except PlainFormError:
        raise
    except ValueError as error:
        raise PlainFormError(f"{path or 'value'}: {error}") from error


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _scalar(kind: Any, data: Any) -> Any:
    if kind in _AMOUNTS:
        return parse_amount(_text(data), _AMOUNTS[kind])
    if kind is Notional:
        return notional_of(Decimal(_text(data)))
    if kind is Timestamp:
        return parse_timestamp(_text(data))
    if kind is Ticker:
        return parse_ticker(_text(data))
    kind = getattr(kind, "__supertype__", kind)
    if issubclass(kind, IntFlag):
        if not isinstance(data, list):
            raise ValueError("must be a list of names")
        flags = kind(0)
        for name in data:
            flags |= _member(kind, name)
        return flags
    if issubclass(kind, Enum):
        return _member(kind, data)
    if kind is bool:
        if not isinstance(data, bool):
            raise ValueError("must be true or false")
        return data
    if kind is int:
        if isinstance(data, bool) or not isinstance(data, int | str):
            raise ValueError("must be a whole number")
        if isinstance(data, str) and not data.removeprefix("-").isdecimal():
            raise ValueError(f"{data!r} is no whole number")
        return int(data)
    if kind is str:
        return _text(data)
    if kind is Decimal:
        return Decimal(_text(data))
    if kind is datetime.date:
        return datetime.date.fromisoformat(_text(data))
    raise TypeError(f"{kind} has no plain form")


def _member(kind: type[Enum], name: object) -> Any:
    if not isinstance(name, str) or name not in kind.__members__:
        raise ValueError(f"{name!r} is none of {', '.join(kind.__members__)}")
    return kind[name]


def _text(data: object) -> str:
    if not isinstance(data, str):
        raise ValueError("must be a string")
    return data
