"""Boxes out of a stream of bytes."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.protocols.amp import AmpBox
from twisted.trial.unittest import SynchronousTestCase

from spire.wire.boxes import BoxParser, key_header, serialise

KEYS = st.binary(min_size=1, max_size=20)
VALUES = st.one_of(st.binary(max_size=50), st.binary(min_size=250, max_size=2_000))
BOXES = st.lists(st.dictionaries(KEYS, VALUES, min_size=1, max_size=5), max_size=5)


class BoxParserTests(SynchronousTestCase):
    """A stream of bytes is cut into boxes, whatever its pieces."""

    @settings(max_examples=150)
    @given(boxes=BOXES, cuts=st.lists(st.integers(min_value=1, max_value=700), max_size=30))
    def test_boxes_survive_any_cut(self, boxes: list[dict[bytes, bytes]], cuts: list[int]) -> None:
        """Pieces of any length give the boxes that were sent, in order."""
        stream = b"".join(serialise(box) for box in boxes)
        parser = BoxParser(1 << 20)
        received = []
        for cut in [*cuts, len(stream)]:
            received += parser.feed(stream[:cut])
            stream = stream[cut:]
        received += parser.feed(stream)
        self.assertEqual((received, parser.fault), (boxes, None))

    @settings(max_examples=50)
    @given(boxes=BOXES)
    def test_it_reads_what_twisted_writes(self, boxes: list[dict[bytes, bytes]]) -> None:
        """Plain AMP and this parser speak the same."""
        stream = b"".join(AmpBox(box).serialize() for box in boxes)
        self.assertEqual(BoxParser(1 << 20).feed(stream), boxes)

    @settings(max_examples=150)
    @given(noise=st.binary(max_size=600), cut=st.integers(min_value=0, max_value=600))
    def test_noise_never_raises(self, noise: bytes, cut: int) -> None:
        """Garbage gives boxes or a fault, no exception."""
        parser = BoxParser(400)
        boxes = parser.feed(noise[:cut]) + parser.feed(noise[cut:])
        self.assertTrue(all(len(serialise(box)) <= 402 for box in boxes))

    def test_an_http_request_is_a_fault_at_its_first_bytes(self) -> None:
        """A key longer than 255 bytes cannot be AMP."""
        parser = BoxParser(1 << 20)
        self.assertEqual(parser.feed(b"GET / HTTP/1.1\r\n\r\n"), [])
        self.assertIn("no AMP", str(parser.fault))

    def test_an_oversized_box_is_a_fault_before_its_bytes_are_held(self) -> None:
        """The length alone is enough to refuse the value."""
        parser = BoxParser(1_000)
        self.assertEqual(parser.feed(key_header(b"data") + b"\xff\xff"), [])
        self.assertIn("larger than 1000", str(parser.fault))

    def test_many_small_values_together_are_oversized_too(self) -> None:
        """The cap is on the box, not on one value."""
        parser = BoxParser(1_000)
        for number in range(30):
            parser.feed(key_header(b"%d" % number) + b"\x00\x32" + b"x" * 50)
        self.assertIn("larger than 1000", str(parser.fault))

    def test_the_boxes_before_a_fault_are_delivered(self) -> None:
        """What arrived whole counts, what follows the fault does not."""
        parser = BoxParser(1_000)
        good = serialise({b"a": b"1"})
        self.assertEqual(parser.feed(good + b"\xff\xff" + good), [{b"a": b"1"}])
        self.assertEqual(parser.feed(good), [])

    def test_an_empty_box_is_a_fault(self) -> None:
        """A box without keys says nothing."""
        parser = BoxParser(1_000)
        parser.feed(b"\0\0")
        self.assertIn("empty", str(parser.fault))

    def test_a_box_of_exactly_the_cap_passes(self) -> None:
        """The cap counts keys and values with their lengths."""
        box = serialise({b"a": b"x" * 95})
        self.assertEqual(len(BoxParser(100).feed(box)), 1)
        parser = BoxParser(99)
        self.assertEqual((parser.feed(box), parser.fault is None), ([], False))

    def test_a_key_beyond_amp_cannot_be_written(self) -> None:
        """Keys have 1 to 255 bytes."""
        with self.assertRaises(ValueError):
            key_header(b"k" * 256)
