"""JSON and TOML carry one plain form of every value."""

import json

from attrs import evolve, frozen
from twisted.trial.unittest import SynchronousTestCase

from spire.values.amounts import Money
from spire.values.codes import Currency
from spire.values.conversion import PlainFormError, from_plain, to_plain
from spire.values.orders import ExecType
from spire.values.posting import Posting
from spire.values.report import Fee, Report
from spire.values.status import Change, Flag, submitted
from spire.values.submission import DecisionSnapshot, Submission
from tests.values.examples import dollars, make_posting, make_report, make_submission, shares

FILL = Change(exec_type=ExecType.TRADE, quantity=shares(40), price=dollars(14.01))
SUBMISSION = make_submission(
    order_id=2**62, tags={58: "hello"}, decision=DecisionSnapshot(bid=dollars(13.99), quote_sequence=9)
)
REPORT = evolve(
    make_report(submitted(SUBMISSION), FILL),
    fees=(Fee(kind="EXCHANGE", amount=Money(-1), currency=Currency("USD")),),
)


@frozen(kw_only=True)
class Flagged:
    """A value with flags."""

    flags: Flag


class RoundTripTests(SynchronousTestCase):
    """What went out comes back the same, through real JSON."""

    def test_a_submission_comes_back(self) -> None:
        """All fields of an order survive JSON."""
        self.assertEqual(from_plain(Submission, json.loads(json.dumps(to_plain(SUBMISSION)))), SUBMISSION)

    def test_a_report_comes_back(self) -> None:
        """All fields of a report survive JSON."""
        self.assertEqual(from_plain(Report, json.loads(json.dumps(to_plain(REPORT)))), REPORT)

    def test_a_posting_comes_back(self) -> None:
        """All fields of a posting survive JSON."""
        posting = make_posting(shares(-40), 560_400_000)
        self.assertEqual(from_plain(Posting, json.loads(json.dumps(to_plain(posting)))), posting)

    def test_flags_go_as_names(self) -> None:
        """A set of flags is a list of names."""
        value = Flagged(flags=Flag.IN_DOUBT | Flag.OVERFILLED)
        self.assertEqual(to_plain(value), {"flags": ["IN_DOUBT", "OVERFILLED"]})
        self.assertEqual(from_plain(Flagged, to_plain(value)), value)


class FormTests(SynchronousTestCase):
    """The form is what people and other languages expect."""

    def test_amounts_go_as_decimal_strings(self) -> None:
        """A price is text with a point."""
        self.assertEqual(to_plain(SUBMISSION)["limit_price"], "14")

    def test_long_integers_go_as_strings(self) -> None:
        """An id of 63 bits survives a JavaScript reader."""
        self.assertEqual(to_plain(SUBMISSION)["order_id"], str(2**62))

    def test_enumerations_go_as_names(self) -> None:
        """A side is BUY, not 1."""
        self.assertEqual(to_plain(SUBMISSION)["side"], "BUY")

    def test_tickers_go_as_text(self) -> None:
        """A ticker is SYMBOL.VENUE."""
        self.assertEqual(to_plain(SUBMISSION)["ticker"], "BAC.XNYS")


class RefusalTests(SynchronousTestCase):
    """What does not fit is refused with its path."""

    def _message(self, **changes: object) -> str:
        with self.assertRaises(PlainFormError) as caught:
            from_plain(Submission, to_plain(SUBMISSION) | changes)
        return str(caught.exception)

    def test_an_unknown_key_is_named(self) -> None:
        """A typing error is not ignored."""
        self.assertEqual(self._message(prise="1"), "prise is unknown")

    def test_an_unknown_member_is_named(self) -> None:
        """The message lists what there is."""
        self.assertIn("side: 'HOLD' is none of BUY", self._message(side="HOLD"))

    def test_a_nested_error_has_its_path(self) -> None:
        """The path leads to the field."""
        self.assertIn("decision.bid:", self._message(decision={"bid": "1e3"}))

    def test_a_number_for_an_amount_is_refused(self) -> None:
        """A JSON number may have lost digits already."""
        self.assertIn("limit_price", self._message(limit_price=14.25))

    def test_a_missing_key_is_named(self) -> None:
        """What has no default must be there."""
        data = to_plain(SUBMISSION)
        del data["side"]
        with self.assertRaises(PlainFormError) as caught:
            from_plain(Submission, data)
        self.assertEqual(str(caught.exception), "side is missing")
