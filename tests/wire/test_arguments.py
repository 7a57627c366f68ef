"""Typed arguments and the shared coders."""

from decimal import Decimal

from attrs import field, frozen
from attrs.validators import gt
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.values.orders import Side
from spire.wire.arguments import Boolean, Bytes, Integer, Text, Typed, decode, encode
from spire.wire.errors import Invalid


@frozen(kw_only=True)
class Leg:
    """A part of an order."""

    side: Side
    quantity: int = field(validator=gt(0))
    tags: dict[str, str] = field(factory=dict)
    ratio: Decimal | None = None


@frozen(kw_only=True)
class Spread:
    """An order in parts."""

    legs: tuple[Leg, ...]


class CoderTests(SynchronousTestCase):
    """Values go through msgpack and come back validated."""

    @settings(max_examples=100)
    @given(
        quantities=st.lists(st.integers(min_value=1, max_value=2**63 - 1), max_size=5),
        tags=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    )
    def test_values_come_back(self, quantities: list[int], tags: dict[str, str]) -> None:
        """Nested frozen attrs, enumerations, maps and big integers survive."""
        spread = Spread(legs=tuple(Leg(side=Side.BUY, quantity=n, tags=tags) for n in quantities))
        self.assertEqual(decode(Spread, encode(spread)), spread)

    def test_equal_values_give_equal_bytes(self) -> None:
        """The order in which a map was filled does not show."""
        one = Leg(side=Side.BUY, quantity=1, tags={"a": "1", "b": "2"})
        two = Leg(side=Side.BUY, quantity=1, tags={"b": "2", "a": "1"})
        self.assertEqual(encode(one), encode(two))

    def test_maps_by_number_survive(self) -> None:
        """Keys need not be text: an order's tags have numbers."""
        tags = {58: "note", 1: "account"}
        self.assertEqual(decode(dict[int, str], encode(tags)), tags)

    def test_what_has_no_form_is_refused(self) -> None:
        """Neither way of encoding makes something of an object that it does not know."""
        self.assertRaises(TypeError, encode, object())

    def test_unknown_fields_are_ignored_and_absent_ones_default(self) -> None:
        """Releases one apart understand each other."""
        newer = encode({"side": 1, "quantity": 5, "urgency": "high"})
        self.assertEqual(decode(Leg, newer), Leg(side=Side.BUY, quantity=5))

    def test_an_unknown_enumerator_is_invalid(self) -> None:
        """A side that nobody knows is not a default."""
        with self.assertRaises(Invalid) as caught:
            decode(Spread, encode({"legs": [{"side": 99, "quantity": 5}]}))
        self.assertEqual(caught.exception.details["path"], "$.legs[0].side")

    def test_validators_run_on_decode(self) -> None:
        """A negative quantity is refused where it arrives."""
        with self.assertRaises(Invalid) as caught:
            decode(Spread, encode({"legs": [{"side": 1, "quantity": -5}]}))
        self.assertEqual(caught.exception.details["path"], "$.legs[0]")

    def test_truncated_bytes_are_invalid(self) -> None:
        """Half a value is no value."""
        with self.assertRaises(Invalid):
            decode(Leg, encode(Leg(side=Side.BUY, quantity=1))[:-1])

    def test_trailing_bytes_are_invalid(self) -> None:
        """One value and a half is no value either."""
        with self.assertRaises(Invalid):
            decode(Leg, encode(Leg(side=Side.BUY, quantity=1)) + b"\x01")

    def test_deep_nesting_is_invalid(self) -> None:
        """An attack on the decoder's stack is an invalid argument."""
        with self.assertRaises(Invalid):
            decode(object, b"\x91" * 50_000 + b"\x01")

    @settings(max_examples=100)
    @given(noise=st.binary(max_size=60))
    def test_noise_is_invalid_or_a_value(self, noise: bytes) -> None:
        """Whatever arrives, nothing but Invalid is raised."""
        try:
            value = decode(Leg, noise)
        except Invalid:
            return
        self.assertIsInstance(value, Leg)


class ArgumentTests(SynchronousTestCase):
    """Each argument reads what it writes and refuses the rest."""

    @settings(max_examples=60)
    @given(number=st.integers(min_value=-(2**63), max_value=2**63 - 1))
    def test_integers_come_back(self, number: int) -> None:
        """All of the signed 64 bits."""
        argument = Integer()
        self.assertEqual(argument.fromString(argument.toString(number)), number)

    def test_integers_are_plain_digits(self) -> None:
        """No blanks, underscores, plus signs, foreign digits, fractions or emptiness."""
        argument = Integer()
        for text in (b"", b"-", b" 1", b"1_000", b"+1", b"1.0", b"0x1", b"--1", "\uff11".encode(), b"9" * 5_000):
            self.assertRaises(ValueError, argument.fromString, text)

    def test_integers_end_at_their_bounds(self) -> None:
        """Beyond the bounds neither end takes them."""
        argument = Integer(minimum=1, maximum=10)
        self.assertRaises(ValueError, argument.fromString, b"0")
        self.assertRaises(ValueError, argument.toString, 11)

    def test_true_is_no_integer(self) -> None:
        """A bool is a mistake, not a 1."""
        self.assertRaises(TypeError, Integer().toString, True)

    def test_text_is_utf8_of_a_bounded_length(self) -> None:
        """Broken UTF-8 and too much of it are refused."""
        argument = Text(longest=4)
        self.assertEqual(argument.fromString("é!".encode()), "é!")
        self.assertRaises(ValueError, argument.fromString, b"\xff")
        self.assertRaises(ValueError, argument.fromString, b"12345")
        self.assertRaises(ValueError, argument.toString, "12345")
        self.assertRaises(TypeError, argument.toString, b"1")

    def test_booleans_are_words(self) -> None:
        """True and False, nothing like them."""
        argument = Boolean()
        self.assertEqual([argument.fromString(argument.toString(value)) for value in (True, False)], [True, False])
        self.assertRaises(ValueError, argument.fromString, b"true")
        self.assertRaises(TypeError, argument.toString, 1)

    def test_bytes_are_bytes(self) -> None:
        """Text must be encoded by whoever sends it."""
        self.assertEqual(Bytes().toString(b"\0"), b"\0")
        self.assertRaises(TypeError, Bytes().toString, "text")

    def test_an_impossible_type_fails_where_it_is_declared(self) -> None:
        """Not at the first call."""

        class Opaque:
            x: "Missing"  # noqa: F821 (the point of the test)

        self.assertRaises(NameError, Typed, frozen(Opaque))
