"""The definition files: what ships is right, what is wrong is refused where it stands."""

import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from spire.definitions.files import Datasets, default_directory, load_datasets
from spire.definitions.values import VenueKind
from spire.service.configuration import ConfigurationError
from spire.values.environment import Environment

LETTERS = {
    "A": "XASE", "B": "XBOS", "C": "XCIS", "D": "FINR", "J": "EDGA", "K": "EDGX", "M": "XCHI", "N": "XNYS", "P": "ARCX",
    "Q": "XNAS", "T": "XNAS", "W": "XCBO", "X": "XPHL", "Y": "BATY", "Z": "BATS",
}  # fmt: skip


class ShippedTests(SynchronousTestCase):
    """What stands in etc/definitions."""

    def setUp(self) -> None:
        """Read the files."""
        self.datasets = load_datasets(default_directory(), Environment.DEMO)

    def test_every_tape_letter_of_2013_has_its_venue(self) -> None:
        """The letters of the recorded days map to their MICs."""
        found = {letter: str(venue.mic) for venue in self.datasets.venues for letter in venue.tape_letters}
        self.assertEqual({letter: found.get(letter) for letter in LETTERS}, LETTERS)

    def test_the_reporting_facility_is_no_destination(self) -> None:
        """FINR reports prints only."""
        facility = next(venue for venue in self.datasets.venues if venue.mic == "FINR")
        self.assertEqual(
            (facility.kind, facility.has_quotes, facility.takes_orders), (VenueKind.REPORTING_FACILITY, False, False)
        )

    def test_currencies_have_their_minor_units(self) -> None:
        """Dollars have cents, yen have none, dinars have a thousandth."""
        units = {str(row.code): row.minor_units for row in self.datasets.currencies}
        self.assertEqual((units["USD"], units["JPY"], units["KWD"]), (2, 0, 3))

    def test_the_instruments_of_the_recorded_days_are_there(self) -> None:
        """BAC and IBM list on XNYS in dollars."""
        found = {str(draft.ticker): (draft.listing_venue, draft.currency) for draft in self.datasets.instruments}
        self.assertEqual((found["BAC.XNYS"], found["IBM.XNYS"]), (("XNYS", "USD"), ("XNYS", "USD")))

    def test_every_listing_venue_has_a_preferred_destination(self) -> None:
        """Each shipped instrument can be sent somewhere."""
        preferred = {venue for destination in self.datasets.destinations for venue in destination.preferred_for}
        self.assertEqual({draft.listing_venue for draft in self.datasets.instruments} - preferred, set())

    def test_production_goes_without_indicative_rates(self) -> None:
        """An invented rate is worse than none."""
        self.assertEqual(load_datasets(default_directory(), Environment.PRODUCTION).rates, ())
        self.assertNotEqual(self.datasets.rates, ())


class RefusedTests(SynchronousTestCase):
    """A file that is wrong is refused with file, line and key."""

    def setUp(self) -> None:
        """Copy the shipped files."""
        self.directory = Path(self.mktemp())
        shutil.copytree(default_directory(), self.directory)

    def change(self, file: str, old: str, new: str) -> str:
        """Change one place of a file and return what loading then says."""
        path = self.directory / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        error = self.assertRaises(ConfigurationError, self.load)
        return str(error)

    def load(self) -> Datasets:
        """Load the changed copy."""
        return load_datasets(self.directory, Environment.DEMO)

    def line(self, file: str, text: str) -> int:
        """Return the line on which a text first stands."""
        lines = (self.directory / file).read_text(encoding="utf-8").splitlines()
        return next(number for number, line in enumerate(lines, 1) if text in line)

    def test_an_unknown_key(self) -> None:
        """A misspelt key names its line."""
        message = self.change("venues.toml", 'tape_letters = ["A"]', 'tape_leters = ["A"]')
        self.assertIn(
            f"venues.toml:{self.line('venues.toml', 'tape_leters')}: venue.0.tape_leters: unknown key", message
        )

    def test_a_venue_of_an_unknown_country(self) -> None:
        """A reference to nothing is refused at the row's key."""
        message = self.change("venues.toml", 'country = "US"', 'country = "XX"')
        self.assertIn(f"venues.toml:{self.line('venues.toml', 'XX')}: venue.0.country: XX", message)

    def test_a_number_given_twice(self) -> None:
        """Two venues cannot share a number."""
        message = self.change("venues.toml", "number = 2\n", "number = 1\n")
        self.assertIn("venue.1.number: stands twice", message)

    def test_a_retired_number(self) -> None:
        """A retired number is not given again."""
        message = self.change("venues.toml", "retired_numbers = []", "retired_numbers = [8]")
        self.assertIn("venue.7.number: stands twice, or was retired", message)

    def test_a_tape_letter_of_two_venues(self) -> None:
        """A letter belongs to one venue."""
        message = self.change("venues.toml", 'tape_letters = ["B"]', 'tape_letters = ["A"]')
        self.assertIn("venue.1.tape_letters: letter A", message)

    def test_a_facility_with_quotes(self) -> None:
        """A reporting facility has no quotes."""
        message = self.change("venues.toml", "has_quotes = false", "has_quotes = true")
        self.assertIn("FINR is a reporting facility", message)

    def test_a_destination_at_the_facility(self) -> None:
        """Orders cannot go to a venue that takes none."""
        message = self.change("destinations.toml", 'venues = ["XNYS"', 'venues = ["FINR"')
        self.assertIn("destination.0.venues: FINR is not a venue that takes orders", message)

    def test_an_unknown_time_zone(self) -> None:
        """A zone that the zone database does not have is refused."""
        message = self.change("schedules.toml", "America/New_York", "America/New_Yorck")
        self.assertIn("schedule.1.time_zone", message)

    def test_a_time_of_day_that_is_none(self) -> None:
        """25:00 is no time of day."""
        message = self.change("schedules.toml", '"09:30", closes = "16:00"', '"09:30", closes = "25:00"')
        self.assertIn("schedule.1.sessions.1.closes: must be HH:MM", message)

    def test_a_holiday_named_twice(self) -> None:
        """The same date twice is a mistake."""
        message = self.change("schedules.toml", "date = 2013-01-21", "date = 2013-01-01")
        self.assertIn("2013-01-01 is named twice", message)

    def test_an_unknown_condition(self) -> None:
        """A rule may name conditions of the file only."""
        message = self.change("eligibility.toml", '"CASH", "NEXT_DAY"', '"CASHH", "NEXT_DAY"')
        self.assertIn("rule.1.not_open: CASHH", message)

    def test_a_rate_of_zero(self) -> None:
        """A rate must be above 0."""
        message = self.change("rates.toml", '"1.3576"', '"0"')
        self.assertIn("must be above 0", message)

    def test_the_same_pair_twice(self) -> None:
        """A pair and its inverse are one."""
        message = self.change("rates.toml", 'base = "USD"\ncounter = "CAD"', 'base = "USD"\ncounter = "EUR"')
        self.assertIn("rate.1.counter: stands twice", message)

    def test_a_wrong_isin(self) -> None:
        """The check digit of an ISIN is checked."""
        message = self.change("instruments.toml", "US0605051046", "US0605051047")
        self.assertIn("instrument.0: the check digit of ISIN US0605051047", message)

    def test_an_unknown_tick_table(self) -> None:
        """An instrument's tick table must exist."""
        message = self.change("instruments.toml", 'tick_table = "US_EQUITIES"', 'tick_table = "NONE"')
        self.assertIn("instrument.0.tick_table: NONE", message)

    def test_a_missing_file(self) -> None:
        """All files must be there."""
        (self.directory / "ticks.toml").unlink()
        self.assertIn("ticks.toml: cannot be read", str(self.assertRaises(ConfigurationError, self.load)))
