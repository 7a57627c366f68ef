"""Queries: what makes sense, and what is left of one after an interruption."""

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.series.query import LimitFrom, Query, is_live, remainder, validate
from spire.values.time import Timestamp, parse_timestamp
from spire.wire.arguments import decode, encode
from spire.wire.errors import Invalid


def answer(records: list[int], query: Query) -> list[int]:
    """Return what `query` asks for of `records`."""
    inside = [
        one
        for one in records
        if (query.start_sequence is None or one >= query.start_sequence)
        and (query.end_sequence is None or one <= query.end_sequence)
    ]
    if query.limit is None:
        return inside
    return inside[: query.limit] if query.limit_from is LimitFrom.HEAD else inside[-query.limit :]


QUERIES = st.builds(
    lambda start, length, limit, limit_from: Query(
        topic="t",
        start_sequence=start,
        end_sequence=None if length is None else (start or 0) + length,
        limit=limit,
        limit_from=limit_from,
    ),
    st.none() | st.integers(0, 30),
    st.none() | st.integers(0, 30),
    st.none() | st.integers(1, 30),
    st.sampled_from(LimitFrom),
)


class RemainderTests(SynchronousTestCase):
    """An interrupted query is asked for again where it stopped, never with its limit."""

    @settings(max_examples=200, derandomize=True)
    @given(QUERIES, st.integers(0, 40), st.integers(0, 40))
    def test_what_was_received_and_the_rest_are_the_whole(self, query: Query, records: int, received: int) -> None:
        """However far a query got, its remainder completes it."""
        everything = list(range(1, records + 1))
        whole = answer(everything, query)
        first = whole[:received]
        rest = remainder(query, first[-1] if first else 0, len(first))
        self.assertEqual(first + ([] if rest is None else answer(everything, rest)), whole)

    def test_a_tail_recovers_everything_that_came_since(self) -> None:
        """Records beyond the first answer are not lost to the old limit."""
        rest = remainder(Query(topic="t", limit=2), 10, 1)
        assert rest is not None
        self.assertEqual((rest.start_sequence, rest.limit), (11, None))


class ValidityTests(SynchronousTestCase):
    """A query that makes no sense is refused."""

    def test_reversed_ranges_are_refused(self) -> None:
        """By sequence and by time."""
        for query in (
            Query(topic="t", start_sequence=2, end_sequence=1),
            Query(topic="t", start_time=Timestamp(2), end_time=Timestamp(1)),
        ):
            with self.assertRaises(Invalid):
                validate(query)

    def test_numbers_of_more_than_63_bits_are_refused(self) -> None:
        """And those below 0; the argument is named."""
        query = Query(topic="t")
        for wrong in (-1, 2**63):
            self.refused(evolve(query, start_sequence=wrong))
            self.refused(evolve(query, end_sequence=wrong))
            self.refused(evolve(query, feed_session=wrong))
            self.refused(evolve(query, limit=wrong))
        greatest = 2**63 - 1
        query = evolve(query, start_sequence=0, end_sequence=greatest, feed_session=greatest, limit=greatest)
        self.assertIs(validate(query), query)

    def test_times_are_from_1970_to_before_2200(self) -> None:
        """What is beyond has no place in the calendars of a service."""
        query = Query(topic="t")
        behind = parse_timestamp("2200-01-01T00:00:00Z")
        for wrong in (-(2**63), -1, behind, 2**63 - 1, 2**63):
            self.refused(evolve(query, start_time=Timestamp(wrong)))
            self.refused(evolve(query, end_time=Timestamp(wrong)))
        query = evolve(query, start_time=Timestamp(0), end_time=Timestamp(behind - 1))
        self.assertIs(validate(query), query)

    def refused(self, query: Query) -> None:
        """Check that a query makes no sense."""
        error = self.assertRaises(Invalid, validate, query)
        self.assertEqual(error.details["argument"], "query")

    def test_a_limit_is_at_least_one(self) -> None:
        """Nothing is asked for by not asking."""
        with self.assertRaises(Invalid):
            validate(Query(topic="t", limit=0))

    def test_only_an_open_end_is_live(self) -> None:
        """A HEAD limit leaves a hole before what comes, an end leaves nothing to come."""
        self.assertTrue(is_live(Query(topic="t", limit=5)))
        self.assertFalse(is_live(Query(topic="t", limit=5, limit_from=LimitFrom.HEAD)))
        self.assertFalse(is_live(Query(topic="t", end_sequence=5)))
        self.assertFalse(is_live(Query(topic="t", end_time=Timestamp(5))))

    @settings(max_examples=50, derandomize=True)
    @given(QUERIES)
    def test_a_query_survives_the_wire(self, query: Query) -> None:
        """Encoded and decoded it is the same."""
        self.assertEqual(decode(Query, encode(query)), query)
