"""Filters are data: a small closed tree of comparisons, compiled to numpy, to SQL or to a predicate.

All three mean the same. A comparison with a field that is absent is false, also `!=`; `not` turns false into true, so that `not (a = 1)`
holds where `a` is absent. Whether a field is absent is asked with the constant None. Text compares by code point, case matters.
"""

from enum import StrEnum
from typing import Final

import msgspec

Constant = bool | int | str | bytes | None

DEEPEST: Final = 16
"""Levels of And, Or and Not."""
MOST_NODES: Final = 256
"""Nodes and constants of one filter."""


class Operator(StrEnum):
    """How a field compares with a constant; order needs numbers, text or bytes."""

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
    values: tuple[bool | int | str | bytes, ...]


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
