"""The instrument master: identities, aliases over time, drafts, search."""

import datetime

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.definitions.instruments import (
    Alias,
    Instrument,
    InstrumentDraft,
    InstrumentMaster,
    InstrumentStatus,
    check_isin,
)
from spire.values.amounts import Quantity, whole
from spire.values.codes import Currency, Venue
from spire.values.tickers import parse_ticker
from spire.wire.arguments import decode, encode
from spire.wire.errors import Conflict, Invalid, NotFound

START = datetime.date(2013, 1, 1)


def draft(ticker: str = "BAC.XNYS", name: str = "Bank of America", since: datetime.date = START) -> InstrumentDraft:
    """Return a draft of an equity in dollars."""
    return InstrumentDraft(
        ticker=parse_ticker(ticker),
        name=name,
        listing_venue=Venue("XNYS"),
        currency=Currency("USD"),
        tick_table="US_EQUITIES",
        order_increment=Quantity(whole(1)),
        round_lot=Quantity(whole(100)),
        effective_from=since,
    )


def renamed() -> Instrument:
    """Return instrument 7, OLD.XNYS until 2014 and NEW.XNYS since."""
    instrument = draft("OLD.XNYS").instrument(7)
    moved = datetime.date(2014, 1, 1)
    aliases = (
        Alias(ticker=parse_ticker("OLD.XNYS"), effective_from=START, effective_to=moved),
        Alias(ticker=parse_ticker("NEW.XNYS"), effective_from=moved),
    )
    return evolve(instrument, aliases=aliases)


class MasterTests(SynchronousTestCase):
    """Looking instruments up."""

    def test_a_ticker_finds_its_instrument(self) -> None:
        """Both forms of a ticker find the instrument."""
        master = InstrumentMaster([draft().instrument(1)])
        self.assertEqual(master.by_ticker("BAC.XNYS").instrument_id, 1)
        self.assertEqual(master.by_ticker(parse_ticker("BAC.XNYS")).instrument_id, 1)

    def test_an_unknown_ticker_says_how_to_add_it(self) -> None:
        """NOT_FOUND names the administrator's command."""
        error = self.assertRaises(NotFound, InstrumentMaster().by_ticker, "XYZ.XNYS")
        self.assertIn("AddInstrument", error.message)
        self.assertIn("XYZ.XNYS", error.message)

    def test_what_is_no_ticker_is_invalid(self) -> None:
        """A text without venue is refused as such."""
        self.assertRaises(Invalid, InstrumentMaster().by_ticker, "BAC")

    def test_an_unknown_id_is_not_found(self) -> None:
        """An id that was never given out finds nothing."""
        self.assertRaises(NotFound, InstrumentMaster().by_id, 1)

    def test_a_renamed_instrument_keeps_its_history(self) -> None:
        """The old ticker means it on dates before, the new one on dates after."""
        master = InstrumentMaster([renamed()])
        before, after = datetime.date(2013, 6, 1), datetime.date(2014, 6, 1)
        self.assertEqual(master.by_ticker("OLD.XNYS", before).instrument_id, 7)
        self.assertEqual(master.by_ticker("NEW.XNYS", after).instrument_id, 7)
        self.assertRaises(NotFound, master.by_ticker, "OLD.XNYS", after)
        self.assertEqual(str(master.by_id(7).ticker), "NEW.XNYS")
        self.assertEqual(str(master.by_id(7).ticker_on(before)), "OLD.XNYS")

    def test_a_symbol_used_again_means_the_later_instrument(self) -> None:
        """Without a date the newest holder of a ticker is meant."""
        later = draft("OLD.XNYS", "Another", datetime.date(2015, 1, 1)).instrument(9)
        master = InstrumentMaster([renamed(), later])
        self.assertEqual(master.by_ticker("OLD.XNYS").instrument_id, 9)
        self.assertEqual(master.by_ticker("OLD.XNYS", datetime.date(2013, 6, 1)).instrument_id, 7)

    def test_a_change_of_alias_replaces_what_was_known(self) -> None:
        """An instrument put again no longer has the aliases that it lost."""
        master = InstrumentMaster([renamed()])
        master.put(evolve(renamed(), aliases=renamed().aliases[1:]))
        self.assertIsNone(master.find(parse_ticker("OLD.XNYS")))
        self.assertEqual(len(master), 1)

    def test_terms_hold_on_their_dates(self) -> None:
        """Terms of a later date do not change the past."""
        instrument = draft().instrument(1)
        changed = datetime.date(2014, 1, 1)
        old = evolve(instrument.terms[0], effective_to=changed)
        new = evolve(instrument.terms[0], effective_from=changed, status=InstrumentStatus.DELISTED)
        instrument = evolve(instrument, terms=(old, new))
        self.assertEqual(instrument.terms_on(START), old)
        self.assertEqual(instrument.terms_on(changed), new)
        self.assertIsNone(instrument.terms_on(datetime.date(2012, 1, 1)))
        self.assertEqual(instrument.status, InstrumentStatus.DELISTED)


class AcceptTests(SynchronousTestCase):
    """What may be added."""

    def test_a_new_ticker_may_be_added(self) -> None:
        """Nothing stands against a ticker that nobody has."""
        self.assertIsNone(InstrumentMaster().accept(draft()))

    def test_the_same_again_is_what_is_there(self) -> None:
        """A repeated draft answers the instrument."""
        known = draft().instrument(3)
        self.assertEqual(InstrumentMaster([known]).accept(draft()), known)

    def test_a_taken_ticker_is_a_conflict(self) -> None:
        """Other content under the same ticker is refused with the holder's id."""
        master = InstrumentMaster([draft().instrument(3)])
        error = self.assertRaises(Conflict, master.accept, draft(name="Another"))
        self.assertEqual(error.details["instrument_id"], "3")

    def test_a_ticker_that_was_given_up_may_be_used_again(self) -> None:
        """After the holder's rename the symbol is free."""
        master = InstrumentMaster([renamed()])
        self.assertIsNone(master.accept(draft("OLD.XNYS", "Another", datetime.date(2014, 1, 1))))


class DraftTests(SynchronousTestCase):
    """What a draft checks by itself."""

    def test_an_order_increment_of_zero_is_refused(self) -> None:
        """Orders must be multiples of something."""
        with self.assertRaisesRegex(ValueError, "above 0"):
            evolve(draft(), order_increment=Quantity(0))

    def test_an_empty_name_is_refused(self) -> None:
        """An instrument has a name."""
        with self.assertRaisesRegex(ValueError, "characters"):
            draft(name=" ")

    def test_a_malformed_draft_does_not_decode(self) -> None:
        """The checks hold for drafts from the wire too."""
        data = encode({**decode(dict, encode(draft())), "round_lot": -1})
        error = self.assertRaises(Invalid, decode, InstrumentDraft, data)
        self.assertIn("above 0", error.message)

    def test_an_instrument_survives_the_wire(self) -> None:
        """What is encoded decodes to an equal value."""
        self.assertEqual(decode(Instrument, encode(renamed())), renamed())

    def test_known_isins_are_right(self) -> None:
        """The ISINs of Bank of America and IBM pass."""
        self.assertEqual([check_isin(each) for each in ("US0605051046", "US4592001014")][1], "US4592001014")

    @settings(max_examples=100)
    @given(place=st.integers(2, 11), digit=st.sampled_from("0123456789"))
    def test_a_wrong_digit_is_found(self, place: int, digit: str) -> None:
        """Any single wrong digit of an ISIN is refused."""
        right = "US0605051046"
        if right[place] != digit:
            self.assertRaises(ValueError, check_isin, right[:place] + digit + right[place + 1 :])


class SearchTests(SynchronousTestCase):
    """Finding instruments page by page."""

    def setUp(self) -> None:
        """Make five instruments."""
        names = ("Alpha", "Beta", "Alphabet", "Gamma", "alpine")
        self.master = InstrumentMaster(draft(f"T{n}.XNYS", name).instrument(n) for n, name in enumerate(names, 1))

    def test_case_does_not_matter(self) -> None:
        """A text finds names in any case."""
        found, more = self.master.search("ALP", 0, 10)
        self.assertEqual(([each.instrument_id for each in found], more), ([1, 3, 5], None))

    def test_a_ticker_is_found(self) -> None:
        """A text finds tickers too."""
        found, _ = self.master.search("t4.x", 0, 10)
        self.assertEqual([each.name for each in found], ["Gamma"])

    def test_pages_follow_each_other(self) -> None:
        """A page says where the next begins, the last one that it is the last."""
        first, after = self.master.search("alp", 0, 2)
        assert after is not None
        second, end = self.master.search("alp", after, 2)
        self.assertEqual([each.instrument_id for each in first + second], [1, 3, 5])
        self.assertIsNone(end)
