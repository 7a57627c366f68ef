"""Filters are data: a small closed tree of comparisons, compiled to numpy, to SQL or to a predicate.

All three mean the same. A comparison with a field that is absent is false, also `!=`; `not` turns false into true, so that `not (a = 1)`
holds where `a` is absent. Whether a field is absent is asked with the constant None. Text compares by code point, case matters.
"""

from enum import StrEnum
from typing import Any, Final

import msgspec

from spire.wire.errors import Invalid

Constant = bool | int | str | None

DEEPEST: Final = 16
"""Levels of And, Or and Not."""
MOST_NODES: Final = 256
"""Nodes and constants of one filter."""


class Operator(StrEnum):
    """How a field compares with a constant; order needs numbers or text."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="


class Compare(msgspec.Struct, frozen=True, tag="compare"):
    """`field operator value`; with None as value only = (absent) and != (present) make sense."""

    field: str
    operator: Operator
    value: Constant


class In(msgspec.Struct, frozen=True, tag="in"):
    """`field` is one of `values`."""

    field: str
    values: tuple[bool | int | str, ...]


class And(msgspec.Struct, frozen=True, tag="and"):
    """All of `operands` hold; with none it holds."""

    operands: tuple["Compare | In | And | Or | Not", ...]


class Or(msgspec.Struct, frozen=True, tag="or"):
    """One of `operands` holds; with none it does not."""

    operands: tuple["Compare | In | And | Or | Not", ...]


class Not(msgspec.Struct, frozen=True, tag="not"):
    """`operand` does not hold."""

    operand: "Compare | In | And | Or | Not"


Filter = Compare | In | And | Or | Not


def parse_filter(data: bytes) -> Filter:
    """Return the filter in `data`, as a subscription carries it. Raises Invalid."""
    try:
        expression: Filter = _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError) as problem:
        raise Invalid(f"The filter does not parse: {problem}", argument="filter") from problem
    return expression


def check(expression: Filter) -> None:
    """Raise Invalid where `expression` is too deep, too large, or compares what has no order."""
    _check(expression, 1, [0])


def _check(expression: Filter, depth: int, nodes: list[int]) -> None:
    if depth > DEEPEST:
        raise Invalid(f"A filter has at most {DEEPEST} levels.", argument="filter")
    nodes[0] += len(expression.values) if isinstance(expression, In) else 1
    if nodes[0] > MOST_NODES:
        raise Invalid(f"A filter has at most {MOST_NODES} comparisons and constants.", argument="filter")
    if isinstance(expression, And | Or):
        for operand in expression.operands:
            _check(operand, depth + 1, nodes)
    elif isinstance(expression, Not):
        _check(expression.operand, depth + 1, nodes)
    elif isinstance(expression, Compare):
        ordered = expression.operator not in (Operator.EQUAL, Operator.UNEQUAL)
        if ordered and (expression.value is None or isinstance(expression.value, bool)):
            raise Invalid(f"{expression.field}: None, true and false have no order.", argument="filter")


def unknown_field(name: str) -> Invalid:
    """Return the error for a field that records do not have."""
    return Invalid(f"There is no field {name} to filter by.", argument="filter", field=name)


def wrong_constant(name: str, kind: str) -> Invalid:
    """Return the error for a constant of another kind than its field."""
    return Invalid(f"The field {name} compares with {kind} only.", argument="filter", field=name)


_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Filter)
