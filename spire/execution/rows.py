"""Rows of the database for frozen values: one column a field, worked out from the annotations once (sans-I/O)."""

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Generic, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs

from spire.values.conversion import from_plain, to_plain
from spire.values.submission import DecisionSnapshot
from spire.values.tickers import Ticker, parse_ticker

T = TypeVar("T")
Convert = Callable[[Any], Any]


PLACE = ("epoch", "activity_sequence", "activity_time")
"""Columns of the place that an event has in its activity."""


class Columns(Generic[T]):
    """The columns of a frozen type: names in the order of its fields, a row from a value, a value from a row.

    Enumerations are numbers, tickers text, lists and maps JSON; a `DecisionSnapshot` spreads into columns `decision_...`.
    """

    def __init__(self, kind: type[T], *, prefix: str = "", skip: frozenset[str] = frozenset()) -> None:
        self._kind = kind
        hints = get_type_hints(kind)
        self._plain: list[tuple[str, Convert, Convert]] = []
        self._nested: dict[str, Columns[Any]] = {}
        for each in attrs.fields(cast("Any", kind)):
            if each.name in skip:
                continue
            if hints[each.name] is DecisionSnapshot:
                self._nested[each.name] = Columns(DecisionSnapshot, prefix=f"{each.name}_")
            else:
                self._plain.append((each.name, *_converters(hints[each.name])))
        self.names: tuple[str, ...] = (
            *(f"{prefix}{_COLUMN.get(name, name)}" for name, _, _ in self._plain),
            *(column for nested in self._nested.values() for column in nested.names),
        )

    def row(self, value: T) -> tuple[Any, ...]:
        """Return the row of a value."""
        plain = [None if (found := getattr(value, name)) is None else out(found) for name, out, _ in self._plain]
        for name, nested in self._nested.items():
            plain += nested.row(getattr(value, name))
        return tuple(plain)

    def value(self, row: Sequence[Any], **others: Any) -> T:
        """Return the value of a row; `others` are the fields that have no column."""
        fields = {
            name: None if found is None else back(found)
            for (name, _, back), found in zip(self._plain, row, strict=False)
        }
        at = len(self._plain)
        for name, nested in self._nested.items():
            fields[name] = nested.value(row[at : at + len(nested.names)])
            at += len(nested.names)
        return self._kind(**fields, **others)


_COLUMN = {
    "sequence": "report_sequence",
    "limit": "limit_value",
    "text": "text_value",
    "type": "order_type",
    "schema": "rule_schema",
    "before": "before_value",
    "after": "after_value",
}
"""Fields whose names are words of SQL, or of another meaning in the same table."""


def insert(table: str, columns: Sequence[str], *, update: Sequence[str] = (), ignore: bool = False) -> str:
    """Return the INSERT of a row; `update` names the columns that a row with the same key takes over."""
    verb = "INSERT IGNORE INTO" if ignore else "INSERT INTO"
    places = ", ".join(["%s"] * len(columns))
    text = f"{verb} {table} ({', '.join(columns)}) VALUES ({places})"
    if update:
        changes = ", ".join(f"{column} = VALUES({column})" for column in update)
        text += f" ON DUPLICATE KEY UPDATE {changes}"
    return text


def select(table: str, columns: Sequence[str], rest: str) -> str:
    """Return the SELECT of columns of a table (with its alias, if it has one)."""
    return f"SELECT {', '.join(columns)} FROM {table} {rest}"  # noqa: S608 - names of this room's own tables


def _converters(hint: Any) -> tuple[Convert, Convert]:
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (part for part in get_args(hint) if part is not NoneType)
    kind = getattr(hint, "__supertype__", hint)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return int, kind
    if kind is bool:
        return int, bool
    if kind is Ticker:
        return str, parse_ticker
    if kind in (int, str, Decimal):
        return _same, _same
    item = get_args(kind)
    if get_origin(kind) is tuple:
        return (
            lambda values: _json([to_plain(value) for value in values]),
            lambda text: tuple(from_plain(item[0], value) for value in json.loads(text)),
        )
    if get_origin(kind) is dict:
        return _json, lambda text: {int(number): value for number, value in json.loads(text).items()}
    raise TypeError(f"{hint} has no column")


def _same(value: Any) -> Any:
    return value


def _json(value: Any) -> str:
    """Return JSON with letters as they are: escaped they would take up to three times their bytes of a column."""
    return json.dumps(value, ensure_ascii=False)
