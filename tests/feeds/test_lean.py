"""Tests of reading LEAN tick files, on made-up lines and on the recorded days."""

import zipfile
from datetime import date
from pathlib import Path
from unittest import skipUnless

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from spire.feeds.columns import MalformedTextError
from spire.feeds.lean import FeedFileError, find_files, quotes, read_file, read_text, trades
from spire.marketdata.values import Present, Records, RecordType
from spire.values.time import local_midnight

LETTERS = {letter: number for number, letter in enumerate("ABCDJKMNPQTWXYZ", 1)}
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "us-equities-2013"


def read_quotes(text: bytes) -> Records:
    """Return the changes in a quote file's text."""
    return quotes(text, midnight=0, instrument=7, listing_venue=8, exchanges=LETTERS)


def read_trades(text: bytes) -> Records:
    """Return the prints in a trade file's text."""
    return trades(text, midnight=0, instrument=7, exchanges=LETTERS)


class QuoteTests(SynchronousTestCase):
    """Two rows of equal time are one change of the best bid and offer."""

    def test_a_pair_of_rows_is_one_change(self) -> None:
        """Each side keeps its own venue and conditions."""
        records = read_quotes(b"14400142,138000,1000,0,0,P,1,0\n14400142,0,0,139200,500,Q,800,0\n")
        self.assertEqual(len(records), 1)
        record = records[0]
        self.assertEqual((record["bid"], record["bid_size"]), (13_800_000, 1000_000_000))
        self.assertEqual((record["ask"], record["ask_size"]), (13_920_000, 500_000_000))
        self.assertEqual((record["bid_venue"], record["ask_venue"]), (LETTERS["P"], LETTERS["Q"]))
        self.assertEqual((record["bid_conditions"], record["ask_conditions"]), (1, 0x800))
        self.assertEqual(record["source_time"], 14_400_142_000_000)
        self.assertEqual(record["present"], Present.SOURCE_SEQUENCE | Present.BID | Present.ASK)

    def test_a_lone_offer_is_a_change_without_a_bid(self) -> None:
        """The file may open with one; the rows behind it still pair."""
        text = b"1,0,0,140200,500,Q,1,0\n2,138400,700,0,0,P,1,0\n2,0,0,139500,20000,P,1,0\n"
        records = read_quotes(text)
        self.assertEqual(len(records), 2)
        self.assertEqual(records["present"][0], Present.SOURCE_SEQUENCE | Present.ASK)
        self.assertEqual((records["bid"][0], records["bid_venue"][0], records["ask"][0]), (0, 0, 14_020_000))

    def test_rows_of_different_times_do_not_pair(self) -> None:
        """A bid without its offer stands alone."""
        records = read_quotes(b"1,138400,700,0,0,P,1,0\n2,0,0,139500,20000,P,1,0\n")
        self.assertEqual(len(records), 2)

    def test_two_pairs_of_one_time_stay_two_changes(self) -> None:
        """Pairing goes by order, not by time alone."""
        pair = b"1,138400,700,0,0,P,1,0\n1,0,0,139500,20000,P,1,0\n"
        self.assertEqual(read_quotes(pair + pair)["source_sequence"].tolist(), [1, 2])

    def test_a_row_with_both_sides_is_refused(self) -> None:
        """The message says which line."""
        error = self.assertRaises(MalformedTextError, read_quotes, b"1,138400,700,139500,100,P,1,0\n")
        self.assertIn("line 1", str(error))


class TradeTests(SynchronousTestCase):
    """A row is a print."""

    def test_a_print_keeps_every_column(self) -> None:
        """Price, size, venue and the condition bits."""
        record = read_trades(b"14400614.5,139400,500,P,20002020,0\n")[0]
        self.assertEqual((record["price"], record["size"]), (13_940_000, 500_000_000))
        self.assertEqual((record["conditions"], record["venue"]), (0x20002020, LETTERS["P"]))
        self.assertEqual(record["source_time"], 14_400_614_500_000)
        self.assertEqual(record["present"], Present.SOURCE_SEQUENCE)

    def test_an_off_exchange_print_names_its_facility(self) -> None:
        """Letter D is the reporting facility."""
        record = read_trades(b"1,139400,500,D,0,0\n")[0]
        self.assertEqual((record["facility"], record["venue"]), (LETTERS["D"], LETTERS["D"]))
        self.assertTrue(record["present"] & Present.FACILITY)

    def test_honest_repeats_are_kept(self) -> None:
        """Content never de-duplicates."""
        self.assertEqual(len(read_trades(b"1,139400,500,P,0,0\n" * 3)), 3)

    def test_an_unknown_exchange_is_named(self) -> None:
        """The message says which letter on which line."""
        error = self.assertRaises(MalformedTextError, read_trades, b"1,1,1,P,0,0\n1,1,1,V,0,0\n")
        self.assertIn("line 2 names exchange 'V'", str(error))


class FileTests(SynchronousTestCase):
    """Files are found by their names."""

    def setUp(self) -> None:
        """Make a folder with two symbols and two days."""
        self.folder = Path(self.mktemp())
        for symbol in ("bac", "ibm"):
            (self.folder / "tick" / symbol).mkdir(parents=True)
            for day in ("20131007", "20131008"):
                for kind in ("trade", "quote"):
                    with zipfile.ZipFile(self.folder / "tick" / symbol / f"{day}_{kind}.zip", "w") as archive:
                        archive.writestr("rows.csv", "1,139400,500,P,0,0\n" if kind == "trade" else "")

    def test_a_day_is_its_symbols_files_quotes_first(self) -> None:
        """The order is the same each time."""
        files = find_files(self.folder, trade_date=date(2013, 10, 8))
        self.assertEqual(
            [(file.symbol, file.record_type) for file in files],
            [("BAC", RecordType.BBO), ("BAC", RecordType.TRADE), ("IBM", RecordType.BBO), ("IBM", RecordType.TRADE)],
        )

    def test_several_days_ask_for_a_choice(self) -> None:
        """The message lists them."""
        error = self.assertRaises(FeedFileError, find_files, self.folder)
        self.assertIn("2013-10-07, 2013-10-08", str(error))

    def test_a_missing_symbol_is_named(self) -> None:
        """A typing error does not replay half of what was asked for."""
        error = self.assertRaises(
            FeedFileError, find_files, self.folder, trade_date=date(2013, 10, 8), symbols=["BAC", "XYZ"]
        )
        self.assertIn("XYZ", str(error))

    def test_a_path_that_does_not_exist_is_said_so(self) -> None:
        """No empty replay."""
        self.assertRaises(FeedFileError, find_files, self.folder / "nowhere")

    def test_a_file_that_is_no_zip_is_named(self) -> None:
        """The message says which file."""
        path = self.folder / "tick" / "bac" / "20131008_trade.zip"
        path.write_bytes(b"nothing")
        error = self.assertRaises(FeedFileError, read_text, path)
        self.assertIn("20131008_trade.zip", str(error))


@skipUnless(DATA.is_dir(), "the recorded days are not beside the checkout")
class RecordedDayTests(SynchronousTestCase):
    """The recorded files give the counts that their description says."""

    def read(self, symbol: str, day: date, kind: RecordType) -> Records:
        """Return one file's records."""
        (file,) = find_files(DATA, trade_date=day, symbols=[symbol], record_types=[kind])
        return read_file(file, instrument=1, listing_venue=8, exchanges=LETTERS)

    def test_bac_8_october_has_its_changes(self) -> None:
        """All of them with both sides, none crossed in regular hours."""
        records = self.read("BAC", date(2013, 10, 8), RecordType.BBO)
        self.assertEqual(len(records), 288_048)
        opening = local_midnight(date(2013, 10, 8), "America/New_York") + 34_200 * 10**9
        regular = records[(records["source_time"] >= opening) & (records["source_time"] < opening + 23_400 * 10**9)]
        self.assertFalse((regular["bid"] > regular["ask"]).any())
        self.assertTrue((records["present"] == Present.SOURCE_SEQUENCE | Present.BID | Present.ASK).all())

    def test_ibm_8_october_has_its_changes(self) -> None:
        """Forty of them crossed in regular hours, as recorded."""
        records = self.read("IBM", date(2013, 10, 8), RecordType.BBO)
        self.assertEqual(len(records), 62_875)
        opening = local_midnight(date(2013, 10, 8), "America/New_York") + 34_200 * 10**9
        regular = records[(records["source_time"] >= opening) & (records["source_time"] < opening + 23_400 * 10**9)]
        self.assertEqual(int((regular["bid"] > regular["ask"]).sum()), 40)

    def test_ibm_7_october_opens_with_a_lone_offer(self) -> None:
        """One more change than pairs."""
        records = self.read("IBM", date(2013, 10, 7), RecordType.BBO)
        self.assertEqual(len(records), 54_533 + 1)
        self.assertFalse(records["present"][0] & Present.BID)

    def test_trades_are_all_there(self) -> None:
        """Both symbols of 8 October, in the file's time order."""
        bac = self.read("BAC", date(2013, 10, 8), RecordType.TRADE)
        ibm = self.read("IBM", date(2013, 10, 8), RecordType.TRADE)
        self.assertEqual((len(bac), len(ibm)), (125_872, 33_381))
        self.assertTrue((np.diff(bac["source_time"]) >= 0).all())
