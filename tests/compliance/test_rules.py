"""What rules say about an order, and in which order they are asked."""

from typing import Any

from attrs import field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.compliance.rules import (
    LONGEST_PARAMETERS,
    MOST_INSTRUMENTS,
    Breach,
    Counting,
    MaxQuantity,
    OrderCountLimit,
    RejectSubmissions,
    RestrictedInstruments,
    RuleBook,
    RuleError,
    canonical,
    describe,
    read_rule,
)
from spire.compliance.values import RuleEntry
from spire.locator.directory import Directory
from spire.values.amounts import INT64_MAX, Quantity
from spire.values.conversion import to_plain
from spire.values.risk import RuleState
from spire.values.tickers import Ticker, parse_ticker
from tests.compliance.examples import LIVE_PER_ACCOUNT, LIVE_TOGETHER, entry
from tests.locator.places import ACCOUNTS, BOOK, DEMO, GROUPS, NEW, ROOT, demo, place

SHARE = 10**6
HUNDRED = Quantity(100 * SHARE)
BAC = parse_ticker("BAC.XNYS")


@frozen(kw_only=True)
class Order:
    """An order, and how many are live by entry (None: of its own trading account)."""

    instrument_id: int = 1
    ticker: Ticker = BAC
    quantity: Quantity = HUNDRED
    live: dict[int | None, int] = field(factory=dict)

    def live_orders(self, entry_id: int | None) -> int:
        """Return how many orders are live."""
        return self.live.get(entry_id, 0)


def names(breaches: tuple[Breach, ...]) -> list[int]:
    """Return the rule ids of breaches."""
    return [breach.entry.rule_id for breach in breaches]


def rejecting(rule_id: int, entry_id: int, state: RuleState = RuleState.ACTIVE) -> RuleEntry:
    """Return a rule that every order breaks."""
    return entry(rule_id, entry_id, schema="reject_submissions", parameters="{}", state=state)


class ReadingTests(SynchronousTestCase):
    """A schema's name and parameters become a rule, or are refused with what is wrong."""

    def assertRefused(self, schema: str, parameters: str, *texts: str) -> None:  # noqa: N802 (trial's style)
        """Assert that the error's message holds these texts."""
        error = self.assertRaises(RuleError, read_rule, schema, parameters)
        for text in texts:
            self.assertIn(text, str(error))

    def test_each_schema_reads_its_parameters(self) -> None:
        """All four, with amounts as decimal strings and names of enumerations."""
        self.assertEqual(read_rule("reject_submissions", "{}"), RejectSubmissions())
        self.assertEqual(
            read_rule("order_count_limit", LIVE_TOGETHER), OrderCountLimit(count=2, counted=Counting.TOGETHER)
        )
        self.assertEqual(read_rule("max_quantity", '{"quantity": "0.5"}'), MaxQuantity(quantity=Quantity(SHARE // 2)))
        self.assertEqual(
            read_rule("restricted_instruments", '{"instrument_ids": [3, "4"]}'),
            RestrictedInstruments(instrument_ids=(3, 4)),
        )

    def test_an_unknown_schema_names_those_that_there_are(self) -> None:
        """Whoever types a rule is told what he may type; a long name is not repeated whole."""
        self.assertRefused("maximum", "{}", "schema: there is no rule 'maximum'", "max_quantity")
        error = self.assertRaises(RuleError, read_rule, "x" * 60_000, "{}")
        self.assertLess(len(str(error)), 300)

    def test_what_is_no_object_is_refused(self) -> None:
        """Neither broken JSON nor a list nor nothing."""
        self.assertRefused("reject_submissions", "{", "parameters: no JSON object")
        self.assertRefused("reject_submissions", "[]", "parameters: value must be a table")
        self.assertRefused("reject_submissions", "", "parameters: no JSON object")
        self.assertRefused("reject_submissions", "[" * 20_000, "parameters: no JSON object")

    def test_an_unknown_parameter_is_refused(self) -> None:
        """Whoever misspells a limit must not believe in it."""
        self.assertRefused("max_quantity", '{"quantity": "1", "size": "2"}', "parameters: size is unknown")
        self.assertRefused("reject_submissions", '{"quantity": "1"}', "parameters: quantity is unknown")

    def test_a_missing_parameter_is_refused(self) -> None:
        """Nothing stands for a limit that was not given."""
        self.assertRefused("max_quantity", "{}", "parameters: quantity is missing")
        self.assertRefused("order_count_limit", '{"count": 1}', "parameters: counted is missing")

    def test_a_quantity_is_above_zero_and_fits_the_platform(self) -> None:
        """0 and negative quantities, too many digits and binary fractions are refused."""
        greatest = f"{INT64_MAX // SHARE}.{INT64_MAX % SHARE:06d}"
        self.assertEqual(
            read_rule("max_quantity", describe({"quantity": greatest})), MaxQuantity(quantity=Quantity(INT64_MAX))
        )
        for wrong in ('"0"', '"-1"', '"0.0000001"', '"9223372036854.775808"', "1.5", "null", '"many"', "true"):
            self.assertRefused("max_quantity", f'{{"quantity": {wrong}}}', "parameters: ", "quantity")

    def test_what_is_out_of_bounds_is_told_as_it_was_written(self) -> None:
        """With the bounds, and nothing of how values are held."""
        for schema, parameters, said in (
            (
                "max_quantity",
                {"quantity": "-4"},
                "quantity must be above 0 and at most 9223372036854.775807, and not -4",
            ),
            ("order_count_limit", {"count": -1, "counted": "TOGETHER"}, "count must be from 0 to 1000000, and not -1"),
            (
                "restricted_instruments",
                {"instrument_ids": []},
                "instrument_ids: name at least one instrument and at most 1000, and not 0",
            ),
        ):
            with self.assertRaises(RuleError, msg=schema) as raised:
                read_rule(schema, describe(parameters))
            self.assertEqual(str(raised.exception), f"parameters: {said}")

    def test_a_count_is_a_whole_number_from_zero_to_a_million(self) -> None:
        """0 is a limit; beyond a million nobody counts."""
        for count in (0, 1_000_000):
            rule = read_rule("order_count_limit", describe({"count": count, "counted": "PER_ACCOUNT"}))
            self.assertEqual(rule, OrderCountLimit(count=count, counted=Counting.PER_ACCOUNT))
        for wrong in (-1, 1_000_001, 1.0, "some", None, True):
            self.assertRefused("order_count_limit", describe({"count": wrong, "counted": "PER_ACCOUNT"}), "count")

    def test_counting_is_together_or_per_account(self) -> None:
        """There is no third way, and no default."""
        self.assertRefused("order_count_limit", '{"count": 1, "counted": "APART"}', "parameters: counted", "TOGETHER")
        self.assertRefused("order_count_limit", '{"count": 1, "counted": 1}', "parameters: counted")

    def test_from_one_instrument_to_a_thousand_can_be_restricted(self) -> None:
        """None would be a rule that says nothing."""
        most = list(range(1, MOST_INSTRUMENTS + 1))
        read_rule("restricted_instruments", describe({"instrument_ids": most}))
        self.assertRefused("restricted_instruments", '{"instrument_ids": []}', "instrument_ids")
        self.assertRefused("restricted_instruments", describe({"instrument_ids": [*most, 1]}), "at most 1000")
        self.assertRefused("restricted_instruments", '{"instrument_ids": 1}', "instrument_ids must be a list")

    def test_parameters_end_at_their_length_in_bytes(self) -> None:
        """A rule must fit one segment, whatever alphabet its digits are of."""
        self.assertRefused("reject_submissions", "{}" + " " * LONGEST_PARAMETERS, "parameters: at most")
        digits = describe({"instrument_ids": ["\U0001d7d9" * 9] * 900})
        self.assertLess(len(digits), LONGEST_PARAMETERS)
        self.assertRefused("restricted_instruments", digits, "parameters: at most")

    def test_what_is_wrong_can_be_told_over_the_wire(self) -> None:
        """Half a surrogate pair in a key has no UTF-8; the message has."""
        error = self.assertRaises(RuleError, read_rule, "max_quantity", '{"\\ud800": 1}')
        self.assertIn("\\ud800 is unknown", str(error).encode().decode())

    @settings(max_examples=80)
    @given(st.text(max_size=40), st.text(max_size=200))
    def test_any_text_is_a_rule_or_a_rule_error(self, schema: str, parameters: str) -> None:
        """Nothing that can be sent raises anything else."""
        for name in (schema, "order_count_limit", "restricted_instruments"):
            try:
                read_rule(name, parameters)
            except RuleError as error:
                self.assertRegex(str(error), "^(schema|parameters): ")

    @settings(max_examples=80)
    @given(
        st.one_of(
            st.builds(OrderCountLimit, count=st.integers(0, 1_000_000), counted=st.sampled_from(Counting)),
            st.builds(MaxQuantity, quantity=st.integers(1, INT64_MAX).map(Quantity)),
            st.builds(
                RestrictedInstruments,
                instrument_ids=st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=20).map(tuple),
            ),
        )
    )
    def test_the_canonical_text_of_a_rule_reads_as_the_rule(self, rule: Any) -> None:
        """And writing it down canonically again changes nothing."""
        schemas = {
            OrderCountLimit: "order_count_limit",
            MaxQuantity: "max_quantity",
            RestrictedInstruments: "restricted_instruments",
        }
        text = describe(to_plain(rule))
        self.assertEqual(read_rule(schemas[type(rule)], text), rule)
        self.assertEqual(canonical(text), text)

    def test_the_canonical_text_has_sorted_keys_and_no_blanks(self) -> None:
        """Equal parameters are equal texts."""
        self.assertEqual(canonical('{ "counted": "TOGETHER",\n "count": 2 }'), LIVE_TOGETHER)


class CheckTests(SynchronousTestCase):
    """Each schema at its boundary."""

    def check(self, schema: str, parameters: str, order: Order, *, entry_id: int = DEMO) -> tuple[Breach, ...]:
        """Hold an order against one rule on an entry."""
        book = RuleBook((entry(1, entry_id, schema=schema, parameters=parameters),))
        return book.check((ROOT, GROUPS, DEMO, ACCOUNTS, BOOK), order)

    def test_reject_submissions_is_broken_by_every_order(self) -> None:
        """There is no limit to name."""
        (breach,) = self.check("reject_submissions", "{}", Order(quantity=Quantity(1)))
        self.assertEqual((breach.broken.limit, breach.broken.observed), (None, None))
        self.assertEqual(breach.broken.text, "Orders are not accepted here.")

    def test_max_quantity_lets_the_limit_itself_pass(self) -> None:
        """One millionth of a share more does not pass, and both figures are told."""
        self.assertEqual(self.check("max_quantity", '{"quantity":"100"}', Order()), ())
        (breach,) = self.check("max_quantity", '{"quantity":"100"}', Order(quantity=Quantity(100 * SHARE + 1)))
        self.assertEqual((breach.broken.limit, breach.broken.observed), ("100", "100.000001"))

    def test_a_count_includes_the_order_itself(self) -> None:
        """With one live, the second still passes a limit of two, the third does not."""
        self.assertEqual(self.check("order_count_limit", LIVE_PER_ACCOUNT, Order(live={None: 1})), ())
        (breach,) = self.check("order_count_limit", LIVE_PER_ACCOUNT, Order(live={None: 2}))
        self.assertEqual((breach.broken.limit, breach.broken.observed), ("2", "3"))

    def test_a_count_of_zero_refuses_the_first_order(self) -> None:
        """0 is a value, not the absence of a limit."""
        (breach,) = self.check("order_count_limit", '{"count":0,"counted":"PER_ACCOUNT"}', Order())
        self.assertEqual((breach.broken.limit, breach.broken.observed), ("0", "1"))

    def test_counted_together_asks_for_the_entry_that_carries_the_rule(self) -> None:
        """Orders of other accounts of the group count, those of the order's own account alone do not decide."""
        self.assertEqual(len(self.check("order_count_limit", LIVE_TOGETHER, Order(live={DEMO: 2, None: 0}))), 1)
        self.assertEqual(self.check("order_count_limit", LIVE_TOGETHER, Order(live={DEMO: 1, None: 9, ROOT: 9})), ())

    def test_counted_per_account_asks_for_the_orders_own_account(self) -> None:
        """However many the group has."""
        self.assertEqual(self.check("order_count_limit", LIVE_PER_ACCOUNT, Order(live={DEMO: 50, None: 1})), ())

    def test_restricted_instruments_are_those_named(self) -> None:
        """Any other passes."""
        parameters = '{"instrument_ids":[3,4]}'
        self.assertEqual(self.check("restricted_instruments", parameters, Order(instrument_id=5)), ())
        (breach,) = self.check("restricted_instruments", parameters, Order(instrument_id=4))
        self.assertEqual(breach.broken.observed, "BAC.XNYS")

    def test_a_rule_elsewhere_is_not_asked(self) -> None:
        """Only what stands above the trading account, and on it, binds."""
        self.assertEqual(self.check("reject_submissions", "{}", Order(), entry_id=NEW), ())

    @settings(max_examples=80)
    @given(limit=st.integers(1, 10**12), quantity=st.integers(1, 10**12))
    def test_max_quantity_is_broken_exactly_above_its_limit(self, limit: int, quantity: int) -> None:
        """Whatever the figures."""
        rule = MaxQuantity(quantity=Quantity(limit))
        self.assertEqual(rule.check(Order(quantity=Quantity(quantity)), DEMO) is not None, quantity > limit)

    @settings(max_examples=80)
    @given(limit=st.integers(0, 1_000), live=st.integers(0, 1_000), counted=st.sampled_from(Counting))
    def test_a_count_is_never_exceeded_by_what_passes(self, limit: int, live: int, counted: Counting) -> None:
        """What passes makes at most as many live orders as the limit says."""
        rule = OrderCountLimit(count=limit, counted=counted)
        order = Order(live={DEMO: live, None: live})
        self.assertEqual(rule.check(order, DEMO) is None, live + 1 <= limit)


class BookTests(SynchronousTestCase):
    """Rules are asked from the root down, by id on each entry, up to the first that refuses."""

    LINEAGE = (ROOT, GROUPS, DEMO, ACCOUNTS, BOOK)

    def check(self, *rules: RuleEntry, order: Order | None = None) -> tuple[Breach, ...]:
        """Hold an order against rules."""
        return RuleBook(rules).check(self.LINEAGE, order or Order())

    def test_no_rule_breaks_nothing(self) -> None:
        """An order passes an empty book."""
        self.assertEqual(self.check(), ())

    def test_an_active_rule_refuses(self) -> None:
        """And is named by its schema and id, at its version."""
        (breach,) = self.check(entry(8, DEMO, version=3), order=Order(quantity=Quantity(101 * SHARE)))
        self.assertTrue(breach.refuses)
        self.assertEqual((breach.name, breach.entry.version), ("max_quantity/8", 3))

    def test_a_passive_rule_only_reports(self) -> None:
        """What comes after it is still asked."""
        found = self.check(rejecting(1, ROOT, RuleState.PASSIVE), rejecting(2, DEMO, RuleState.PASSIVE))
        self.assertEqual([(breach.entry.rule_id, breach.refuses) for breach in found], [(1, False), (2, False)])

    def test_a_disabled_rule_is_not_asked(self) -> None:
        """Not even when it cannot be read."""
        disabled = RuleState.DISABLED
        unreadable = entry(2, DEMO, schema="of the future", state=disabled)
        self.assertEqual(self.check(rejecting(1, ROOT, disabled), unreadable), ())

    def test_the_group_is_asked_before_the_account(self) -> None:
        """Whatever the ids."""
        found = self.check(rejecting(1, BOOK, RuleState.PASSIVE), rejecting(9, DEMO, RuleState.PASSIVE))
        self.assertEqual(names(found), [9, 1])

    def test_rules_of_one_entry_are_asked_by_id(self) -> None:
        """However they came in."""
        passive = RuleState.PASSIVE
        found = self.check(rejecting(10, DEMO, passive), rejecting(9, DEMO, passive), rejecting(2, DEMO, passive))
        self.assertEqual(names(found), [2, 9, 10])

    def test_it_ends_with_the_first_rule_that_refuses(self) -> None:
        """Reports before it are kept, nothing after it is asked."""
        found = self.check(
            rejecting(1, ROOT, RuleState.PASSIVE),
            rejecting(2, DEMO),
            rejecting(3, DEMO, RuleState.PASSIVE),
            rejecting(4, BOOK),
        )
        self.assertEqual(names(found), [1, 2])

    def test_a_rule_of_an_unknown_schema_fails_closed(self) -> None:
        """A newer server's rule refuses what this one cannot check."""
        (breach,) = self.check(entry(1, DEMO, schema="of the future", parameters='{"wild": true}'))
        self.assertTrue(breach.refuses)
        self.assertIn("cannot be read", breach.broken.text)

    def test_a_rule_with_parameters_that_cannot_be_read_fails_closed(self) -> None:
        """Also where only they are wrong; a passive one reports each order."""
        active = self.check(entry(1, DEMO, parameters="{}"))
        passive = self.check(entry(1, DEMO, parameters="no JSON", state=RuleState.PASSIVE))
        self.assertEqual([breach.refuses for breach in (*active, *passive)], [True, False])

    def test_the_newest_version_is_in_force(self) -> None:
        """A rule that was changed is asked once, as it is now."""
        book = RuleBook((rejecting(1, DEMO),))
        book.put(entry(1, DEMO, version=2))
        self.assertEqual(book.check(self.LINEAGE, Order()), ())
        self.assertEqual([rule.version for rule in book.on(DEMO)], [2])

    def test_a_removed_rule_is_forgotten(self) -> None:
        """One that was never there is no error."""
        book = RuleBook((rejecting(1, DEMO), rejecting(2, DEMO)))
        book.remove(rejecting(1, DEMO))
        book.remove(rejecting(7, NEW))
        self.assertEqual([rule.rule_id for rule in book.on(DEMO)], [2])

    def test_each_change_of_a_rule_is_one_more_version_of_the_book(self) -> None:
        """Whatever rule it is, disabled ones too; what is put again as it is changes nothing."""
        book = RuleBook((rejecting(1, DEMO),))
        versions = [book.version]
        for each in (
            rejecting(2, NEW),
            entry(1, DEMO, version=2, state=RuleState.DISABLED),
            entry(1, DEMO, version=2, state=RuleState.DISABLED),
            entry(1, DEMO, version=3),
        ):
            book.put(each)
            versions.append(book.version)
        self.assertEqual(versions, [1, 2, 3, 3, 4])

    def test_rules_on_every_parent_of_an_account_bind(self) -> None:
        """A trading account that stands in two groups keeps the rules of both, each group before the account."""
        directory: Directory = demo()
        directory.put(place(NEW, "desk", GROUPS))
        book_entry = directory.entry(BOOK)
        directory.put(
            type(book_entry)(
                entry_id=BOOK, kind=book_entry.kind, name=book_entry.name, parents=(ACCOUNTS, NEW), grants=()
            )
        )
        passive = RuleState.PASSIVE
        rules = RuleBook((rejecting(1, BOOK, passive), rejecting(2, NEW, passive), rejecting(3, DEMO, passive)))
        found = names(rules.check(directory.lineage(BOOK), Order()))
        self.assertEqual((sorted(found), found[-1]), ([1, 2, 3], 1))

    @settings(max_examples=80)
    @given(
        st.lists(
            st.tuples(st.sampled_from(LINEAGE), st.sampled_from(RuleState), st.booleans()), min_size=1, max_size=12
        )
    )
    def test_what_is_found_is_the_beginning_of_all_broken_rules(self, drawn: Any) -> None:
        """Up to and with the first active one, in the order of the lineage and then of the ids."""
        rules = [
            rejecting(number, entry_id, state) if broken else entry(number, entry_id, state=state)
            for number, (entry_id, state, broken) in enumerate(drawn, 1)
        ]
        expected = [
            rule
            for entry_id in self.LINEAGE
            for rule in rules
            if rule.entry_id == entry_id
            and rule.schema == "reject_submissions"
            and rule.state is not RuleState.DISABLED
        ]
        active = [place for place, rule in enumerate(expected) if rule.state is RuleState.ACTIVE]
        wanted = expected[: active[0] + 1] if active else expected
        self.assertEqual([breach.entry for breach in self.check(*rules)], wanted)
