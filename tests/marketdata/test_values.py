"""Tests of layouts and topics."""

from twisted.trial.unittest import SynchronousTestCase

from spire.marketdata.values import (
    ALLOWED,
    LAYOUTS,
    OPTIONAL,
    Present,
    RecordType,
    bbo_of,
    empty,
    parse_topic,
    topic_of,
    trade_of,
    unpack,
)
from tests.marketdata.records import quotes, trades


class LayoutTests(SynchronousTestCase):
    """Packed records are what the wire, the journal and the blocks rely on."""

    def test_every_layout_begins_with_the_fields_that_all_share(self) -> None:
        """Sequence, instrument, venue and present stand first, without holes between fields."""
        for layout in LAYOUTS.values():
            self.assertEqual(layout.names[:4], ("sequence", "instrument", "venue", "present"))
            self.assertEqual(layout.itemsize, sum(layout[name].itemsize for name in layout.names))
            self.assertEqual(layout.itemsize % 8, 0)

    def test_the_sizes_of_version_one_never_change(self) -> None:
        """A change of layout needs a new version."""
        sizes = {kind: layout.itemsize for kind, layout in LAYOUTS.items()}
        self.assertEqual(sizes, {RecordType.TRADE: 88, RecordType.BBO: 112, RecordType.BOOK: 88})

    def test_optional_fields_use_the_bits_that_their_type_allows(self) -> None:
        """Filters and validation agree."""
        for kind, fields in OPTIONAL.items():
            self.assertEqual(ALLOWED[kind], Present(0).__class__(sum(set(map(int, fields.values())))))

    def test_cut_bytes_are_refused(self) -> None:
        """Half a record is none."""
        payload = empty(RecordType.TRADE, 2).tobytes()
        self.assertEqual(len(unpack(RecordType.TRADE, payload)), 2)
        self.assertRaises(ValueError, unpack, RecordType.TRADE, payload[:-1])


class ObjectTests(SynchronousTestCase):
    """Single objects for those who ask for them."""

    def test_absent_fields_are_none(self) -> None:
        """Never a magic number."""
        trade = trade_of(trades([1])[0])
        self.assertEqual((trade.price, trade.trade_id, trade.facility, trade.eligibility), (10_000, None, None, None))

    def test_a_side_that_nobody_quotes_is_none(self) -> None:
        """One-sided quotes are normal."""
        records = quotes([1])
        records["present"] = Present.ASK
        best = bbo_of(records[0])
        self.assertIsNone(best.bid)
        self.assertEqual(best.ask.price if best.ask else None, 1010)


class TopicTests(SynchronousTestCase):
    """Topic names go there and back."""

    def test_a_topic_names_type_and_instrument(self) -> None:
        """The name parses to what it was made of."""
        self.assertEqual(topic_of(RecordType.BBO, 12), "bbo/12")
        self.assertEqual(parse_topic("book/4294967295"), (RecordType.BOOK, 2**32 - 1))

    def test_other_names_are_refused(self) -> None:
        """No second spelling of a topic exists."""
        for name in ("bbo", "bbo/", "bbo/01", "bbo/-1", "bbo/x", "quote/1", "bbo/1/2", "bbo/\u0661"):
            self.assertRaises(ValueError, parse_topic, name)

    def test_a_number_that_no_instrument_can_have_is_refused(self) -> None:
        """Records hold an instrument in four bytes, and 0 is none."""
        for name in ("trade/0", "trade/4294967296", "trade/5000000000", "trade/" + "9" * 5_000):
            with self.assertRaisesRegex(ValueError, "is no market data topic"):
                parse_topic(name)
