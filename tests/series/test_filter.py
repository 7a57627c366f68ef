"""Filters mean the same as a mask, as a predicate and in SQL: one test class for all three."""

from typing import Any

import msgspec
import numpy as np
from attrs import frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.series.compilation import (
    Attributes,
    Column,
    Kind,
    record_filter,
    to_numpy,
    to_predicate,
    to_sql,
)
from spire.series.filter import (
    DEEPEST,
    And,
    Compare,
    Filter,
    In,
    Not,
    Operator,
    Or,
    check,
    parse_filter,
)
from spire.testing.database import DatabaseTestCase
from spire.wire.errors import Invalid
from spire.wire.records import Packed, Rows


@frozen(kw_only=True)
class Print:
    """A record in memory."""

    sequence: int
    price: int | None = None
    name: str | None = None


PRINTS = (
    Print(sequence=1, price=10, name="a"),
    Print(sequence=2, price=20, name="A"),
    Print(sequence=3, name="b"),
    Print(sequence=4, price=-5),
    Print(sequence=5, price=0, name="a "),
    Print(sequence=6),
    Print(sequence=7, price=2**62, name="abc"),
)
KINDS = {"sequence": Kind.NUMBER, "price": Kind.NUMBER, "name": Kind.TEXT}
ATTRIBUTES = Attributes.of(Print, KINDS)
LAYOUT = np.dtype([("sequence", "<u8"), ("present", "<u2"), ("price", "<i8"), ("name", "S6")])
OPTIONAL = {"price": 1, "name": 2}


def packed() -> Any:
    """Return the records as an array."""
    records = np.zeros(len(PRINTS), LAYOUT)
    for record, one in zip(records, PRINTS, strict=True):
        record["sequence"] = one.sequence
        record["present"] = (one.price is not None) + 2 * (one.name is not None)
        record["price"] = one.price or 0
        record["name"] = (one.name or "").encode()
    return records


COMPARISONS = st.one_of(
    st.builds(Compare, st.just("price"), st.sampled_from(Operator), st.sampled_from([-5, 0, 10, 15, 2**62])),
    st.builds(Compare, st.just("name"), st.sampled_from(Operator), st.sampled_from(["", "a", "A", "a ", "ab", "b"])),
    st.builds(
        Compare, st.sampled_from(["price", "name"]), st.sampled_from([Operator.EQUAL, Operator.UNEQUAL]), st.none()
    ),
    st.builds(In, st.just("sequence"), st.lists(st.integers(0, 8), max_size=4).map(tuple)),
    st.builds(In, st.just("name"), st.lists(st.sampled_from(["a", "b", "c"]), max_size=3).map(tuple)),
)
EXPRESSIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=8,
)


class FilterContract:
    """What a filter means, however it is compiled."""

    assertEqual: Any  # noqa: N815 (trial's)
    assertRaises: Any  # noqa: N815 (trial's)

    def matching(self, expression: Filter) -> list[int]:
        """Return the sequences that pass."""
        raise NotImplementedError

    def assert_matches(self, expression: Filter, *sequences: int) -> None:
        """Check which records pass."""
        self.assertEqual(self.matching(expression), list(sequences))

    def test_numbers_compare(self) -> None:
        """All six comparisons."""
        self.assert_matches(Compare("price", Operator.EQUAL, 10), 1)
        self.assert_matches(Compare("price", Operator.UNEQUAL, 10), 2, 4, 5, 7)
        self.assert_matches(Compare("price", Operator.LESS, 10), 4, 5)
        self.assert_matches(Compare("price", Operator.LESS_OR_EQUAL, 10), 1, 4, 5)
        self.assert_matches(Compare("price", Operator.GREATER, 10), 2, 7)
        self.assert_matches(Compare("price", Operator.GREATER_OR_EQUAL, 10), 1, 2, 7)

    def test_text_compares_by_code_point(self) -> None:
        """Case and trailing spaces count."""
        self.assert_matches(Compare("name", Operator.EQUAL, "a"), 1)
        self.assert_matches(Compare("name", Operator.LESS, "a"), 2)
        self.assert_matches(Compare("name", Operator.GREATER, "a"), 3, 5, 7)

    def test_absent_compares_with_nothing(self) -> None:
        """A comparison with what is absent is false, its negation true."""
        self.assert_matches(Not(Compare("price", Operator.EQUAL, 10)), 2, 3, 4, 5, 6, 7)
        self.assert_matches(Not(Compare("price", Operator.UNEQUAL, 10)), 1, 3, 6)

    def test_absence_can_be_asked_for(self) -> None:
        """None as the constant asks whether the field is there."""
        self.assert_matches(Compare("price", Operator.EQUAL, None), 3, 6)
        self.assert_matches(Compare("name", Operator.UNEQUAL, None), 1, 2, 3, 5, 7)

    def test_membership(self) -> None:
        """One of several constants; of none, nothing."""
        self.assert_matches(In("price", (10, -5, 99)), 1, 4)
        self.assert_matches(In("name", ("a", "b")), 1, 3)
        self.assert_matches(In("name", ()))

    def test_combinations(self) -> None:
        """And, or, not, and what they mean with no operands."""
        low = Compare("price", Operator.LESS, 15)
        named = Compare("name", Operator.UNEQUAL, None)
        self.assert_matches(And((low, named)), 1, 5)
        self.assert_matches(Or((Not(named), Compare("sequence", Operator.EQUAL, 2))), 2, 4, 6)
        self.assert_matches(And(()), 1, 2, 3, 4, 5, 6, 7)
        self.assert_matches(Or(()))

    def test_constants_beyond_the_field_compare_too(self) -> None:
        """A number that the field could not hold is simply greater, or less."""
        self.assert_matches(Compare("price", Operator.LESS, 2**63 - 1), 1, 2, 4, 5, 7)
        self.assert_matches(Compare("sequence", Operator.GREATER, -1), 1, 2, 3, 4, 5, 6, 7)
        self.assert_matches(Compare("name", Operator.LESS, "ä"), 1, 2, 3, 5, 7)

    def test_unknown_fields_and_wrong_constants_are_refused(self) -> None:
        """Before anything is read."""
        for wrong in (
            Compare("volume", Operator.EQUAL, 1),
            Compare("price", Operator.EQUAL, "10"),
            Compare("price", Operator.EQUAL, True),
            Compare("name", Operator.EQUAL, 1),
            In("price", ("10",)),
            Compare("price", Operator.LESS, None),
        ):
            with self.assertRaises(Invalid):
                self.matching(wrong)

    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.differing_executors])
    @given(EXPRESSIONS)
    def test_any_expression_means_what_it_says(self, expression: Filter) -> None:
        """Compared with an evaluation written for the test."""
        self.assertEqual(self.matching(expression), [one.sequence for one in PRINTS if holds(expression, one)])


def holds(expression: Filter, one: Print) -> bool:
    """Evaluate an expression plainly."""
    if isinstance(expression, And):
        return all(holds(operand, one) for operand in expression.operands)
    if isinstance(expression, Or):
        return any(holds(operand, one) for operand in expression.operands)
    if isinstance(expression, Not):
        return not holds(expression.operand, one)
    value = getattr(one, expression.field)
    if isinstance(expression, In):
        return value is not None and value in expression.values
    if expression.value is None:
        return (value is None) == (expression.operator is Operator.EQUAL)
    if value is None:
        return False
    order = (value > expression.value) - (value < expression.value)
    wanted = {"=": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}
    return wanted[expression.operator.value]


class NumpyFilterTests(FilterContract, SynchronousTestCase):
    """As a mask over packed records."""

    def matching(self, expression: Filter) -> list[int]:
        """Mask the array."""
        records = packed()
        found: list[int] = records[to_numpy(expression, LAYOUT, OPTIONAL)(records)]["sequence"].tolist()
        return found


class PredicateFilterTests(FilterContract, SynchronousTestCase):
    """As a predicate over values."""

    def matching(self, expression: Filter) -> list[int]:
        """Ask for each value."""
        predicate = to_predicate(expression, ATTRIBUTES)
        return [one.sequence for one in PRINTS if predicate(one)]


class SqlFilterTests(FilterContract, DatabaseTestCase):
    """As a condition in a real server, on a column whose collation ignores case."""

    columns = {name: Column(sql=f"f.{name}", kind=kind) for name, kind in KINDS.items()}

    async def prepare(self) -> None:
        """Make the table."""
        self.schema.execute(
            "CREATE TABLE IF NOT EXISTS series_filter (sequence BIGINT PRIMARY KEY, price BIGINT NULL,"
            " name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NULL)"
        )
        for one in PRINTS:
            self.schema.execute("REPLACE INTO series_filter VALUES (%s, %s, %s)", (one.sequence, one.price, one.name))

    def matching(self, expression: Filter) -> list[int]:
        """Select."""
        condition, parameters = to_sql(expression, self.columns)
        rows = self.schema.execute(
            f"SELECT sequence FROM series_filter f WHERE {condition} ORDER BY sequence", parameters
        )
        return [row[0] for row in rows]


class BoundTests(SynchronousTestCase):
    """A filter is small, whoever sends it."""

    def test_too_deep_is_refused(self) -> None:
        """Levels are counted."""
        expression: Filter = Compare("price", Operator.EQUAL, 1)
        for _ in range(DEEPEST):
            expression = Not(expression)
        with self.assertRaises(Invalid):
            check(expression)

    def test_too_large_is_refused(self) -> None:
        """Constants are counted."""
        with self.assertRaises(Invalid):
            check(In("price", tuple(range(1_000))))

    def test_a_bomb_is_refused(self) -> None:
        """Thousands of levels end in INVALID, not in a crash."""
        for levels in (100, 5_000, 100_000):
            bomb = b"\x82\xa4type\xa3not\xa7operand" * levels + b"\xc0"
            with self.assertRaises(Invalid):
                check(parse_filter(bomb))

    @settings(max_examples=100, derandomize=True)
    @given(EXPRESSIONS)
    def test_a_filter_survives_the_wire(self, expression: Filter) -> None:
        """Encoded and parsed it is the same."""
        self.assertEqual(parse_filter(msgspec.msgpack.encode(expression)), expression)

    @settings(max_examples=100, derandomize=True)
    @given(st.binary(max_size=60))
    def test_garbage_is_refused(self, data: bytes) -> None:
        """Bytes that are no filter raise Invalid and nothing else."""
        with self.assertRaises(Invalid):
            parse_filter(data)


class RecordFilterTests(SynchronousTestCase):
    """What publishers filter payloads with."""

    def test_payloads_keep_what_passes(self) -> None:
        """Packed records and rows alike."""
        compile_filter = record_filter(OPTIONAL, {Print: ATTRIBUTES})
        expression = msgspec.msgpack.encode(Compare("price", Operator.GREATER, 0))
        packed_codec, rows_codec = Packed(LAYOUT), Rows(Print)
        payload, count = compile_filter(expression, packed_codec)(packed().tobytes(), len(PRINTS))
        self.assertEqual(packed_codec.decode(payload, count, 0, len(payload))["sequence"].tolist(), [1, 2, 7])
        payload, count = compile_filter(expression, rows_codec)(rows_codec.encode(PRINTS), len(PRINTS))
        self.assertEqual([one.sequence for one in rows_codec.decode(payload, count, 0, len(payload))], [1, 2, 7])

    def test_rows_without_a_table_of_attributes_have_no_filters(self) -> None:
        """A room says what its rows may be filtered by."""
        with self.assertRaises(Invalid):
            record_filter()(msgspec.msgpack.encode(Compare("price", Operator.GREATER, 0)), Rows(Print))
