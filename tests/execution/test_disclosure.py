"""Market data that a decision saw is for those who may see it: on topics for nobody, in answers for those entitled now."""

from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from spire.administration.values import EntitlementGrant, GrantTerms
from spire.execution.client import OrderExecutionClient
from spire.execution.disclosure import Disclosure, activity_without_market, view_without_market
from spire.execution.orders import Orders
from spire.execution.values import Activity, OrderView, Refusal
from spire.locator.directory import Directory
from spire.locator.values import AccountKind, Entry, Kind
from spire.marketdata.values import RecordType
from spire.values.amounts import whole
from spire.values.codes import Venue
from spire.values.orders import Side
from spire.values.submission import DecisionSnapshot
from spire.values.time import Timestamp
from spire.wire.identity import Identity
from tests.execution.examples import BAC, Teller
from tests.execution.room import ExecutionRoomTestCase, Follower
from tests.values.examples import dollars, make_submission, shares

XNYS, XNAS = Venue("XNYS"), Venue("XNAS")
ENTITLED, STRANGER, AUDITOR, SERVICE, FORMER = 10, 11, 12, 20, 21
SEEN = DecisionSnapshot(
    quote_sequence=9,
    quote_epoch=2,
    bid=dollars(13.99),
    bid_size=shares(5),
    ask=dollars(14.00),
    ask_size=shares(6),
    quote_age=70,
    limits_version=4,
    rules_version=3,
    reserved_price=dollars(14.70),
    buying_power_used=whole(1470),
)
TOLD = DecisionSnapshot(quote_sequence=9, quote_epoch=2, quote_age=70, limits_version=4, rules_version=3)
CROSSED = Refusal(code="QUOTE_CROSSED", text="crossed", rule="quote", limit="14.00", observed="14.01")
TOO_MUCH = Refusal(code="BUYING_POWER", text="too much", rule="buying_power", limit="10000", observed="14700")
OFF_TICK = Refusal(code="OFF_TICK", text="off", rule="tick", limit="0.01", observed="14.005")


def identity(
    account_id: int, *, roles: frozenset[str] = frozenset(), capabilities: frozenset[str] = frozenset()
) -> Any:
    """Return who is logged in."""
    return Identity(
        account_id=account_id,
        account=f"a{account_id}",
        roles=roles,
        capabilities=capabilities,
        expires=Timestamp(0),
    )


def refused(refusal: Refusal) -> Activity:
    """Return the event of a refused order whose decision saw a quote."""
    return Teller(Orders(epoch=1)).refused(make_submission(decision=SEEN), refusal)


class PureTests(SynchronousTestCase):
    """What is taken away, and for whom."""

    def setUp(self) -> None:
        """Entitle one account to one venue, and know an auditor and two services."""
        directory = Directory()
        entries = (
            Entry(entry_id=1, kind=Kind.DIRECTORY, name="*"),
            Entry(entry_id=2, kind=Kind.DIRECTORY, name="auditors", parents=(1,)),
            Entry(entry_id=3, kind=Kind.DIRECTORY, name="services", parents=(1,)),
            self.account(AUDITOR, 2),
            self.account(SERVICE, 3, "market_data.all"),
            self.account(FORMER, 3),
            self.account(ENTITLED, 1),
            self.account(STRANGER, 1),
        )
        for entry in entries:
            directory.put(entry)
        self.disclosure = Disclosure(
            directory=directory,
            allows=lambda account, venue, kind: (account, venue, kind) == (ENTITLED, XNYS, RecordType.BBO),
            venue_of={BAC: XNYS, 43: XNAS}.get,
        )

    def account(self, number: int, place: int, *capabilities: str) -> Entry:
        """Return an account's entry."""
        return Entry(
            entry_id=number,
            kind=Kind.ACCOUNT,
            name=f"a{number}",
            parents=(place,),
            account_kind=AccountKind.SERVICE if place == 3 else AccountKind.PERSON,
            capabilities=capabilities,
        )

    def test_a_grant_is_for_the_listing_venue(self) -> None:
        """The entitled account sees one instrument, not that of another venue, nor one that is not known."""
        sees = [self.disclosure.sees(identity(ENTITLED), number) for number in (BAC, 43, 44)]
        self.assertEqual(sees, [True, False, False])
        self.assertFalse(self.disclosure.sees(identity(STRANGER), BAC))

    def test_an_auditor_and_who_holds_all_market_data_see_everything(self) -> None:
        """The capability is asked of the ticket and of the directory."""
        everything = frozenset({"market_data.all"})
        self.assertTrue(self.disclosure.sees(identity(AUDITOR, roles=frozenset({"auditor"})), 44))
        self.assertTrue(self.disclosure.sees(identity(SERVICE, capabilities=everything), 43))
        self.assertFalse(self.disclosure.sees(identity(FORMER, capabilities=everything), 43))
        self.assertFalse(self.disclosure.sees(identity(SERVICE), 43))

    def test_which_quote_it_was_stays(self) -> None:
        """Prices, sizes and what was worked out from them go."""
        event = Teller(Orders(epoch=1)).submitted(make_submission(decision=SEEN))
        shown = activity_without_market(event)
        assert shown.submission is not None
        self.assertEqual(shown.submission.decision, TOLD)
        self.assertEqual(evolve(shown, submission=event.submission), event)

    def test_an_event_without_market_data_is_itself(self) -> None:
        """So that it is encoded once."""
        teller = Teller(Orders(epoch=1))
        order_id = teller.submitted(make_submission()).order_id
        event = teller.filled(order_id, 10, 14)
        self.assertIs(activity_without_market(event), event)

    def test_a_priced_refusal_keeps_the_accounts_own_limit(self) -> None:
        """Of a crossed quote nothing is told, of buying power the limit, of others all."""
        told = []
        for refusal in (CROSSED, TOO_MUCH, OFF_TICK):
            report = activity_without_market(refused(refusal)).report
            assert report is not None
            told.append((report.reason, report.rule, report.limit, report.observed))
        self.assertEqual(
            told,
            [
                ("QUOTE_CROSSED", "quote", None, None),
                ("BUYING_POWER", "buying_power", "10000", None),
                ("OFF_TICK", "tick", "0.01", "14.005"),
            ],
        )

    def test_a_refusal_is_told_as_one_may_see_it(self) -> None:
        """Whole to the entitled."""
        self.assertEqual(self.disclosure.refusal(identity(ENTITLED), BAC, CROSSED), CROSSED)
        self.assertEqual(
            self.disclosure.refusal(identity(STRANGER), BAC, CROSSED), evolve(CROSSED, limit=None, observed=None)
        )
        self.assertEqual(self.disclosure.refusal(identity(STRANGER), BAC, TOO_MUCH), evolve(TOO_MUCH, observed=None))
        self.assertEqual(self.disclosure.refusal(identity(STRANGER), BAC, OFF_TICK), OFF_TICK)

    def test_an_order_is_told_without_the_prices_of_its_refusal(self) -> None:
        """As its report was."""
        teller = Teller(Orders(epoch=1))
        order_id = teller.refused(make_submission(decision=SEEN), CROSSED).order_id
        view = view_without_market(teller.order(order_id).view)
        self.assertEqual((view.reason, view.limit, view.observed), ("QUOTE_CROSSED", None, None))
        self.assertEqual(view.submission.decision, TOLD)


class DisclosureTestCase(ExecutionRoomTestCase):
    """A trader who is entitled to nothing, beside demo_trader who is to everything."""

    def setUp(self) -> None:
        """Log him in."""
        super().setUp()
        self.number = self.rooms.second_account()
        self.advance(0.2)
        self.other = self.trader("second_trader")
        self.watching = Follower()
        self.other.follow(self.number, self.watching)
        self.advance(0.1)

    def hidden(self, decision: DecisionSnapshot) -> None:
        """Check that a decision names its quote and tells nothing of it."""
        self.assertIsNotNone(decision.quote_sequence)
        self.assertIsNotNone(decision.limits_version)
        told = (decision.bid, decision.bid_size, decision.ask, decision.ask_size)
        self.assertEqual((told, decision.reserved_price, decision.buying_power_used), ((None,) * 4, None, None))

    def shown(self, decision: DecisionSnapshot) -> None:
        """Check that a decision tells what it saw."""
        self.assertEqual(
            (decision.bid, decision.bid_size, decision.ask, decision.ask_size),
            (dollars(14.00), shares(300), dollars(14.02), shares(200)),
        )
        self.assertIsNotNone(decision.reserved_price)
        self.assertIsNotNone(decision.buying_power_used)

    def buys(self, count: int = 100, limit: float | None = 13, **changes: Any) -> OrderView:
        """Submit an order of the trader who sees nothing."""
        request = self.request(Side.BUY, count, limit, trading_account_id=self.number, **changes)
        view: OrderView = self.result(self.other.submit(request))
        self.advance(0.1)
        return view

    def asked(self, client: OrderExecutionClient, order_id: int) -> OrderView:
        """Return an order as a client sees it."""
        view: OrderView = self.result(client.order(self.number, order_id))
        return view

    def submissions(self, events: list[Activity]) -> list[DecisionSnapshot]:
        """Return the decisions in an activity."""
        return [event.submission.decision for event in events if event.submission is not None]


class AnswerTests(DisclosureTestCase):
    """What calls answer."""

    def test_answers_tell_no_quote_to_a_trader_without_a_grant(self) -> None:
        """The submit, the same again, queries before and after its end, the cancel."""
        request = self.request(Side.BUY, 100, 13, trading_account_id=self.number)
        view: OrderView = self.result(self.other.submit(request))
        again: OrderView = self.result(self.other.submit(request))
        live = self.asked(self.other, view.order_id)
        cancelled: OrderView = self.result(self.other.cancel(view.order_id))
        self.advance(1.0)
        ended = self.asked(self.other, view.order_id)
        for each in (view, again, live, cancelled, ended):
            self.hidden(each.submission.decision)

    def test_answers_tell_it_to_whoever_may_see_it(self) -> None:
        """A trader with a grant, a risk officer, the Risk Server; Compliance may verify, not see."""
        view = self.submit(Side.BUY, 100, 13)
        self.shown(view.submission.decision)
        self.shown(self.order(view).submission.decision)
        theirs = self.buys()
        for client in (self.trader(self.rooms.officer("first_officer")), self.risk, self.trader("administrator")):
            self.shown(self.asked(client, theirs.order_id).submission.decision)
        self.hidden(self.asked(self.trader("compliance_service"), theirs.order_id).submission.decision)

    def test_a_grant_counts_while_it_holds(self) -> None:
        """Also for orders of before; once it is revoked, they tell nothing again."""
        view = self.buys()
        grant = self.grant()
        self.shown(self.asked(self.other, view.order_id).submission.decision)
        self.shown(self.buys().submission.decision)
        self.result(self.rooms.administration.revoke(grant.grant_id, "a test"))
        self.advance(0.2)
        self.hidden(self.asked(self.other, view.order_id).submission.decision)
        self.hidden(self.buys().submission.decision)

    def grant(self) -> EntitlementGrant:
        """Entitle the trader to the best bid and offer of the New York Stock Exchange."""
        terms = GrantTerms(
            account_id=self.rooms.path("trading_groups/demo/traders/second_trader"),
            product="test",
            listing_venue=XNYS,
            record_type=RecordType.BBO,
        )
        grant: EntitlementGrant = self.result(self.rooms.administration.grant(terms, "a test"))
        self.advance(0.2)
        return grant

    def test_the_refusal_of_a_crossed_quote_names_no_price(self) -> None:
        """To the entitled it does; nor does the order's view, nor the same order again."""
        self.show(14.03, 100, 14.02, 100)
        mine = self.refused(Side.BUY, 100, 14)
        self.assertEqual((mine.details["limit"], mine.details["observed"]), ("14.02", "14.03"))
        request = self.request(Side.BUY, 100, 14, trading_account_id=self.number)
        for _ in range(2):
            error = self.refusal(self.other.submit(request))
            self.assertEqual((error.coded, error.details["rule"]), ("QUOTE_CROSSED", "quote"))
            self.assertNotIn("limit", error.details)
            self.assertNotIn("observed", error.details)
        view = self.asked(self.other, int(error.details["order_id"]))
        self.assertEqual((view.reason, view.limit, view.observed), ("QUOTE_CROSSED", None, None))
        self.advance(0.1)
        (report,) = self.watching.reports
        self.assertEqual((report.reason, report.limit, report.observed), ("QUOTE_CROSSED", None, None))

    def test_the_refusal_of_a_market_order_does_not_tell_the_ask(self) -> None:
        """Buying power that it would use is the ask and the collar; the limit is the account's own."""
        mine = self.refused(Side.BUY, 10_000)
        self.assertEqual((mine.coded, mine.details["observed"]), ("BUYING_POWER", "147210"))
        error = self.refusal(self.other.submit(self.request(Side.BUY, 10_000, trading_account_id=self.number)))
        self.assertEqual((error.coded, error.details["limit"]), ("BUYING_POWER", "100000"))
        self.assertNotIn("observed", error.details)


class ActivityTests(DisclosureTestCase):
    """What topics tell."""

    def test_activity_tells_no_quote_to_anybody(self) -> None:
        """Live, from memory and from the store; the store keeps it."""
        view = self.submit(Side.BUY, 100, 13)
        self.hidden(self.submissions(self.follower.events)[0])
        self.assertEqual(self.late(), self.follower.events)
        self.advance(70.0)
        self.assertEqual(self.late(), self.follower.events)
        kept = self.result(self.store.order(view.order_id))
        self.shown(kept.submission.decision)

    def late(self) -> list[Activity]:
        """Return the activity as a risk officer sees it who comes new."""
        follower = Follower()
        client = self.trader(self.rooms.officer("first_officer"))
        subscription = client.follow(self.account.trading_account_id, follower, after=0)
        self.advance(0.3)
        subscription.close()
        return follower.events

    def test_nor_after_a_crash(self) -> None:
        """What comes from the journal alone is told as it was, and reaches the store with everything."""
        self.submit(Side.BUY, 100)
        self.store.is_down = True
        view = self.submit(Side.SELL, 40, 15)
        before = list(self.follower.events)
        self.assertEqual(len(self.submissions(before)), 2)
        self.crash()
        self.store.is_down = False
        self.serve()
        self.advance(5.0)
        events = self.late()[: len(before)]
        self.assertEqual(events, before)
        for decision in self.submissions(events):
            self.hidden(decision)
        kept = self.result(self.store.order(view.order_id))
        self.assertEqual((kept.submission.decision.bid, kept.submission.decision.ask), (dollars(14), dollars(14.02)))
