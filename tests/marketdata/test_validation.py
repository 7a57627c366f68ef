"""Tests of what a batch must satisfy."""

from datetime import date

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from spire.marketdata.market_time import MarketTime, is_stale
from spire.marketdata.validation import (
    GREATEST_PRICE,
    GREATEST_SIZE,
    InvalidRecordError,
    Universe,
    UnknownInstrumentError,
    check_batch,
    latest_time,
)
from spire.marketdata.values import Present, Records, RecordType, Schedule
from spire.values.environment import FeedKind
from spire.values.orders import BookSide
from tests.marketdata.records import VENUE, quotes, row, trades

UNIVERSE = Universe([(1, VENUE), (2, VENUE), (70_000, 11)], [VENUE, 11])


class ValidationTests(SynchronousTestCase):
    """One bad record refuses the batch, and the message says which."""

    def refused(self, kind: RecordType, records: Records) -> str:
        """Return why a batch is refused."""
        error = self.assertRaises(InvalidRecordError, check_batch, kind, records, UNIVERSE, frozenset([VENUE]))
        return str(error)

    def test_good_batches_pass(self) -> None:
        """Of each type."""
        for kind, records in (
            (RecordType.TRADE, trades([1, 2])),
            (RecordType.BBO, quotes([2])),
            (RecordType.BOOK, row(1, BookSide.ASK, 5, 0)),
        ):
            check_batch(kind, records, UNIVERSE, frozenset([VENUE]))

    def test_an_unknown_instrument_is_an_error_of_its_own(self) -> None:
        """It may be known a moment later."""
        records = trades([1, 9])
        self.assertRaises(UnknownInstrumentError, check_batch, RecordType.TRADE, records, UNIVERSE, frozenset([VENUE]))

    def test_a_market_that_the_session_does_not_serve_is_refused(self) -> None:
        """The listing venue counts."""
        self.assertIn("record 1: instrument is not listed", self.refused(RecordType.TRADE, trades([1, 70_000])))

    def test_prices_and_sizes_of_prints_are_positive(self) -> None:
        """Neither zero nor negative."""
        records = trades([1, 1])
        records["price"][1] = 0
        self.assertIn("record 1: price", self.refused(RecordType.TRADE, records))
        records = trades([1])
        records["size"] = -1
        self.assertIn("size", self.refused(RecordType.TRADE, records))

    def test_a_time_days_beyond_the_trade_date_is_refused(self) -> None:
        """It would move the venue's market time for good, and end every DAY order."""
        latest = latest_time(date(2013, 10, 8), Schedule.NORMAL)
        records = trades([1, 1])
        records["source_time"] = (latest, latest + 1)
        served = frozenset([VENUE])
        error = self.assertRaises(
            InvalidRecordError, check_batch, RecordType.TRADE, records, UNIVERSE, served, latest=latest
        )
        self.assertIn("record 1: source_time", str(error))
        check_batch(RecordType.TRADE, records[:1], UNIVERSE, served, latest=latest)

    def test_a_market_that_is_always_open_has_no_last_day(self) -> None:
        """Its session runs on for weeks."""
        records = trades([1])
        records["source_time"] = latest_time(date(2013, 10, 8), Schedule.NORMAL) * 2
        latest = latest_time(date(2013, 10, 8), Schedule.ALWAYS_OPEN)
        check_batch(RecordType.TRADE, records, UNIVERSE, frozenset([VENUE]), latest=latest)

    def test_absurd_prices_and_sizes_are_refused(self) -> None:
        """Their sums would not fit 64 bits: a fill at such a price could neither be sent nor stored."""
        for kind, records, fields in (
            (RecordType.TRADE, trades([1, 1]), {"price": GREATEST_PRICE, "size": GREATEST_SIZE}),
            (RecordType.BBO, quotes([1, 1]), dict.fromkeys(("bid", "ask"), GREATEST_PRICE)),
            (RecordType.BBO, quotes([1, 1]), dict.fromkeys(("bid_size", "ask_size"), GREATEST_SIZE)),
            (RecordType.BOOK, row(1, BookSide.BID, 5, 5), {"price": GREATEST_PRICE, "size": GREATEST_SIZE}),
        ):
            for name, greatest in fields.items():
                records[name][-1] = greatest
                check_batch(kind, records, UNIVERSE, frozenset([VENUE]))
                for beyond in (greatest + 1, 2**63 - 1):
                    damaged = records.copy()
                    damaged[name][-1] = beyond
                    self.assertIn(f"record {len(records) - 1}: {name} must be at most", self.refused(kind, damaged))

    def test_an_unknown_venue_is_refused(self) -> None:
        """Of a print and of a quoted side."""
        records = trades([1])
        records["venue"] = 99
        self.assertIn("venue", self.refused(RecordType.TRADE, records))
        records = quotes([1])
        records["ask_venue"] = 99
        self.assertIn("ask_venue", self.refused(RecordType.BBO, records))

    def test_an_absent_side_holds_nothing(self) -> None:
        """No magic numbers."""
        records = quotes([1])
        records["present"] = Present.ASK
        self.assertIn("bid must be", self.refused(RecordType.BBO, records))
        records["bid"] = records["bid_size"] = 0
        check_batch(RecordType.BBO, records, UNIVERSE, frozenset([VENUE]))

    def test_bits_of_another_type_are_refused(self) -> None:
        """A later release may use them."""
        records = trades([1])
        records["present"] = Present.BID
        self.assertIn("present", self.refused(RecordType.TRADE, records))

    def test_a_time_before_1970_is_refused(self) -> None:
        """Garbage is not stored."""
        records = trades([1])
        records["source_time"] = -1
        self.assertIn("source_time", self.refused(RecordType.TRADE, records))

    def test_a_book_row_has_a_side(self) -> None:
        """BID or ASK."""
        records = row(1, BookSide.BID, 5, 5)
        records["side"] = 3
        self.assertIn("side", self.refused(RecordType.BOOK, records))

    def test_a_crossed_quote_is_accepted(self) -> None:
        """It happens; who trades on it decides."""
        records = quotes([1])
        records["bid"] = records["ask"] + 1
        check_batch(RecordType.BBO, records, UNIVERSE, frozenset([VENUE]))

    def test_listing_venues_are_looked_up_for_many(self) -> None:
        """0 where unknown, also beyond the last."""
        found = UNIVERSE.listing_venues(np.array([70_000, 1, 3, 2**32 - 1], dtype=np.uint32))
        self.assertEqual(found.tolist(), [11, VENUE, 0, 0])


class MarketTimeTests(SynchronousTestCase):
    """Market time goes on by records, and by the clock where the market is now."""

    def test_a_replay_moves_by_records_alone(self) -> None:
        """However long nothing comes."""
        time = MarketTime(FeedKind.REPLAY)
        time.saw(100, 1.0)
        self.assertEqual(time.at(50.0), 100)

    def test_a_live_market_goes_on_by_itself(self) -> None:
        """At the pace of the monotonic clock."""
        time = MarketTime(FeedKind.LIVE)
        self.assertEqual(time.at(5.0), 0)
        time.saw(100, 1.0)
        self.assertEqual(time.at(3.0), 100 + 2 * 10**9)

    def test_a_late_record_never_turns_it_back(self) -> None:
        """Sequence order is not time order."""
        time = MarketTime(FeedKind.REPLAY)
        self.assertTrue(time.saw(100, 1.0))
        self.assertFalse(time.saw(90, 2.0))
        self.assertEqual(time.at(2.0), 100)

    def test_silence_of_more_than_five_seconds_is_stale(self) -> None:
        """A feed that was never heard is stale too."""
        self.assertEqual([is_stale(10.0, 15.0), is_stale(10.0, 15.1), is_stale(None, 0.0)], [False, True, True])
