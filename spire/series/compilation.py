"""Filters compiled: to a mask over packed records, to parameterised SQL, to a predicate over values."""

import operator
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import numpy as np
from attrs import field, fields_dict, frozen, has
from numpy.typing import NDArray

from spire.series.filter import (
    And,
    Compare,
    Constant,
    Filter,
    In,
    Not,
    Operator,
    Or,
    check,
    parse_filter,
    unknown_field,
    wrong_constant,
)
from spire.wire.errors import Invalid, Unsupported
from spire.wire.log_topic import Keep
from spire.wire.records import Codec, Packed, Rows

Mask = NDArray[np.bool_]
Masker = Callable[[NDArray[np.void]], Mask]
Predicate = Callable[[object], bool]

_COMPARISONS: Final[Mapping[Operator, Callable[[Any, Any], Any]]] = {
    Operator.EQUAL: operator.eq,
    Operator.UNEQUAL: operator.ne,
    Operator.LESS: operator.lt,
    Operator.LESS_OR_EQUAL: operator.le,
    Operator.GREATER: operator.gt,
    Operator.GREATER_OR_EQUAL: operator.ge,
}


class Kind(StrEnum):
    """What a field holds, and so which constants it compares with."""

    NUMBER = "whole numbers"
    TEXT = "text"
    TRUTH = "true and false"


def _matches(kind: Kind, value: Constant) -> bool:
    if kind is Kind.TRUTH:
        return isinstance(value, bool)
    if kind is Kind.NUMBER:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, str)


def _checked(name: str, kind: Kind, values: Sequence[Constant]) -> None:
    for value in values:
        if not _matches(kind, value):
            raise wrong_constant(name, kind.value)


# Packed records


def to_numpy(expression: Filter, dtype: np.dtype[Any], optional: Mapping[str, int] | None = None) -> Masker:
    """Return a function from records of `dtype` to the mask of those that pass.

    `optional` gives, by field, the bit of the field `present` that is set where a record has it; a text field (S)
    compares with ASCII text. Raises Invalid for an unknown field or a constant of another kind.
    """
    check(expression)
    return _numpy(expression, dtype, optional or {})


def _numpy(expression: Filter, dtype: np.dtype[Any], optional: Mapping[str, int]) -> Masker:
    if isinstance(expression, And | Or):
        operands = [_numpy(operand, dtype, optional) for operand in expression.operands]
        holds = isinstance(expression, And)
        combine = np.logical_and if holds else np.logical_or

        def combined(records: NDArray[np.void]) -> Mask:
            mask = np.full(len(records), holds)
            for operand in operands:
                combine(mask, operand(records), out=mask)
            return mask

        return combined
    if isinstance(expression, Not):
        inner = _numpy(expression.operand, dtype, optional)
        return lambda records: ~inner(records)
    name = expression.field
    if dtype.names is None or name not in dtype.names:
        raise unknown_field(name)
    bit = optional.get(name, 0)
    if isinstance(expression, Compare) and expression.value is None:
        wanted = expression.operator is Operator.UNEQUAL
        return lambda records: _present(records, bit) == wanted
    kind = _kind_of_dtype(dtype[name])
    if isinstance(expression, In):
        _checked(name, kind, expression.values)
        constants = [_numpy_constant(value) for value in expression.values]

        def contained(records: NDArray[np.void]) -> Mask:
            mask = np.zeros(len(records), np.bool_)
            for constant in constants:
                mask |= records[name] == constant
            return mask & _present(records, bit)

        return contained
    _checked(name, kind, (expression.value,))
    compare = _COMPARISONS[expression.operator]
    constant = _numpy_constant(expression.value)

    def compared(records: NDArray[np.void]) -> Mask:
        mask: Mask = compare(records[name], constant)
        return mask & _present(records, bit) if bit else mask

    return compared


def _present(records: NDArray[np.void], bit: int) -> Mask:
    if not bit:
        return np.ones(len(records), np.bool_)
    present: Mask = (records["present"] & bit) != 0
    return present


def _numpy_constant(value: Constant) -> Any:
    if isinstance(value, str):
        # Text in packed records is ASCII; what cannot be is kept comparable, and equals nothing.
        return value.encode("utf-8", "surrogatepass")
    return value


def _kind_of_dtype(dtype: np.dtype[Any]) -> Kind:
    if dtype.kind in "iu":
        return Kind.NUMBER
    if dtype.kind == "b":
        return Kind.TRUTH
    if dtype.kind == "S":
        return Kind.TEXT
    raise Unsupported(f"A field of numpy's kind {dtype.kind} cannot be filtered by.")


# Stores of rows


@frozen(kw_only=True)
class Column:
    """Where a field stands in a table: an SQL expression without parameters, and what it holds."""

    sql: str
    kind: Kind


def to_sql(expression: Filter, columns: Mapping[str, Column]) -> tuple[str, tuple[Any, ...]]:
    """Return the condition, with `%s` for each parameter, and the parameters.

    NULL means absent. Text compares by its UTF-8 bytes, whatever the collation. Raises Invalid for an unknown field or
    a constant of another kind.
    """
    check(expression)
    parameters: list[Any] = []
    return _sql(expression, columns, parameters), tuple(parameters)


def _sql(expression: Filter, columns: Mapping[str, Column], parameters: list[Any]) -> str:
    if isinstance(expression, And | Or):
        holds = isinstance(expression, And)
        if not expression.operands:
            return "TRUE" if holds else "FALSE"
        inner = [_sql(operand, columns, parameters) for operand in expression.operands]
        return "(" + (" AND " if holds else " OR ").join(inner) + ")"
    if isinstance(expression, Not):
        return f"(NOT {_sql(expression.operand, columns, parameters)})"
    column = columns.get(expression.field)
    if column is None:
        raise unknown_field(expression.field)
    if isinstance(expression, Compare) and expression.value is None:
        return f"({column.sql} IS {'NOT ' if expression.operator is Operator.UNEQUAL else ''}NULL)"
    compared = f"CAST({column.sql} AS BINARY)" if column.kind is Kind.TEXT else column.sql
    if isinstance(expression, In):
        _checked(expression.field, column.kind, expression.values)
        if not expression.values:
            return "FALSE"
        parameters.extend(_sql_constant(value) for value in expression.values)
        marks = ", ".join(["%s"] * len(expression.values))
        return f"({column.sql} IS NOT NULL AND {compared} IN ({marks}))"
    _checked(expression.field, column.kind, (expression.value,))
    parameters.append(_sql_constant(expression.value))
    sign = "<>" if expression.operator is Operator.UNEQUAL else expression.operator.value
    return f"({column.sql} IS NOT NULL AND {compared} {sign} %s)"


def _sql_constant(value: Constant) -> Any:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


# Values in memory


@frozen(kw_only=True)
class Attribute:
    """How a field is read from a value, and what it holds."""

    read: Callable[[Any], Constant]
    kind: Kind


@frozen(kw_only=True)
class Attributes:
    """The fields of a type of values by name."""

    by_name: Mapping[str, Attribute] = field()

    @classmethod
    def of(cls, row_type: type, kinds: Mapping[str, Kind]) -> "Attributes":
        """Return the attributes of an attrs class that `kinds` names; enumerations read as their numbers."""
        if not has(row_type):
            raise TypeError(f"{row_type.__name__} is no attrs class")
        known = fields_dict(row_type)
        unknown = [name for name in kinds if name not in known]
        if unknown:
            raise TypeError(f"{row_type.__name__} has no {', '.join(unknown)}")
        return cls(by_name={name: Attribute(read=operator.attrgetter(name), kind=kind) for name, kind in kinds.items()})


def to_predicate(expression: Filter, attributes: Attributes) -> Predicate:
    """Return a function that says whether a value passes. Raises Invalid as the others do."""
    check(expression)
    return _predicate(expression, attributes)


def _predicate(expression: Filter, attributes: Attributes) -> Predicate:
    if isinstance(expression, And):
        all_of = [_predicate(operand, attributes) for operand in expression.operands]
        return lambda value: all(operand(value) for operand in all_of)
    if isinstance(expression, Or):
        any_of = [_predicate(operand, attributes) for operand in expression.operands]
        return lambda value: any(operand(value) for operand in any_of)
    if isinstance(expression, Not):
        inner = _predicate(expression.operand, attributes)
        return lambda value: not inner(value)
    attribute = attributes.by_name.get(expression.field)
    if attribute is None:
        raise unknown_field(expression.field)
    read = attribute.read
    if isinstance(expression, Compare) and expression.value is None:
        wanted = expression.operator is Operator.UNEQUAL
        return lambda value: (read(value) is not None) is wanted
    if isinstance(expression, In):
        _checked(expression.field, attribute.kind, expression.values)
        values = frozenset(expression.values)
        return lambda value: (found := read(value)) is not None and found in values
    _checked(expression.field, attribute.kind, (expression.value,))
    compare = _COMPARISONS[expression.operator]
    constant = expression.value
    return lambda value: (found := read(value)) is not None and bool(compare(found, constant))


# Subscriptions


def record_filter(
    optional: Mapping[str, int] | None = None, attributes: Mapping[type, Attributes] | None = None
) -> Callable[[bytes, Codec[Any]], Keep]:
    """Return what a `Publisher` compiles the filters of subscriptions with.

    `optional` is the table of `to_numpy`; `attributes` gives, by type of row, what its topics may be filtered by.
    """
    by_type = attributes or {}

    def compile_filter(expression: bytes, codec: Codec[Any]) -> Keep:
        parsed = parse_filter(expression)
        if isinstance(codec, Packed):
            return _keep_packed(to_numpy(parsed, codec.dtype, optional), codec)
        if isinstance(codec, Rows) and codec.row_type in by_type:
            return _keep_rows(to_predicate(parsed, by_type[codec.row_type]), codec)
        raise Invalid("This topic has no filters.", argument="filter")

    return compile_filter


def _keep_packed(masker: Masker, codec: Packed) -> Keep:
    def keep(payload: bytes, count: int) -> tuple[bytes, int]:
        records = codec.decode(payload, count, 0, len(payload))
        mask = masker(records)
        kept = int(np.count_nonzero(mask))
        if kept == count:
            return payload, count
        return records[mask].tobytes(), kept

    return keep


def _keep_rows(predicate: Predicate, codec: Rows[Any]) -> Keep:
    def keep(payload: bytes, count: int) -> tuple[bytes, int]:
        rows = codec.decode(payload, count, 0, len(payload))
        kept = [row for row in rows if predicate(row)]
        if len(kept) == count:
            return payload, count
        return codec.encode(kept), len(kept)

    return keep
