"""Who sees what of the Risk Server."""

from spire.administration.values import EntitlementGrant, GrantTerms
from spire.locator.values import Right
from spire.marketdata.values import RecordType
from spire.risk.client import RiskClient
from spire.risk.values import Portfolio
from spire.service.audit import audit_events
from spire.values.audit import AuditQuery
from spire.values.codes import Venue
from spire.values.orders import Side
from tests.risk.room import BAC, TODAY, RiskRoomTestCase
from tests.values.examples import dollars, shares


class AccessTests(RiskRoomTestCase):
    """Rights as the live directory has them."""

    is_shared = True

    def test_a_trader_sees_his_own_account_and_no_other(self) -> None:
        """Loaded, listed and followed."""
        other = self.trader("ben1")
        self.advance(1.0)
        risk = self.risk_of(self.name)
        self.run_(risk.load(self.account))
        self.assertEqual(self.refusal(risk.load(other)).coded, "FORBIDDEN")
        self.assertEqual([each.trading_account_id for each in self.run_(risk.visible())], [self.account])
        self.assertEqual(self.refusal(risk.portfolio(other).when_ready()).coded, "FORBIDDEN")
        self.assertEqual(self.refusal(risk.positions(other).when_ready()).coded, "FORBIDDEN")
        self.assertEqual(self.refusal(risk.portfolios().when_ready()).coded, "FORBIDDEN")

    def test_an_officer_sees_all_of_them(self) -> None:
        """In one topic."""
        other = self.trader("ben2")
        self.submit(Side.BUY, 100)
        view = self.risk.portfolios()
        self.run_(view.when_ready())
        self.advance(1.5)
        self.assertTrue({str(self.account), str(other)} <= set(view.rows))
        visible = [each.trading_account_id for each in self.run_(self.risk.visible())]
        self.assertEqual(visible, sorted(map(int, view.rows)))

    def test_scripts_and_feeds_see_none_of_them(self) -> None:
        """Servers do: Order Execution, and whatever registers."""
        for account in ("operations_service", "simulation_feed"):
            risk = self.risk_of(account)
            self.assertEqual(self.refusal(risk.portfolios().when_ready()).coded, "FORBIDDEN", account)
            self.assertEqual(self.refusal(risk.load(self.account)).coded, "FORBIDDEN", account)
            self.assertEqual(self.run_(risk.visible()), ())
        self.run_(self.risk_of("order_execution_service").portfolios().when_ready())

    def test_an_account_that_does_not_exist_is_not_found(self) -> None:
        """Neither is a topic of another form."""
        self.assertEqual(self.refusal(self.risk.load(4_711)).coded, "NOT_FOUND")
        self.assertEqual(self.refusal(self.risk.portfolio(4_711).when_ready()).coded, "NOT_FOUND")
        view = self.risk.session.subscriptions.state("portfolio/x", type(self.portfolio()))
        self.assertEqual(self.refusal(view.when_ready()).coded, "NOT_FOUND")

    def test_an_account_has_one_topic_name(self) -> None:
        """Another spelling of its number names nothing."""
        for name in (f"portfolio/0{self.account}", f"positions/00{self.account}", "portfolio/", "portfolios/1"):
            view = self.risk.session.subscriptions.state(name, Portfolio)
            self.assertEqual(self.refusal(view.when_ready()).coded, "NOT_FOUND")

    def test_a_right_that_is_withdrawn_ends_what_is_followed(self) -> None:
        """At once, and for good."""
        calls = self.link("administrator").calls
        watcher, risk = self.watcher()
        view = risk.portfolio(self.account)
        self.run_(view.when_ready())
        self.run_(calls.grant(watcher, self.account, Right.NONE))
        self.advance(5.0)
        error = view.error
        assert error is not None
        self.assertEqual(error.coded, "FORBIDDEN")

    def watcher(self) -> tuple[int, RiskClient]:
        """Make somebody who may see the account, and no market data."""
        name = f"watcher_of_{self.name}"
        watcher = self.make_account(name, "trading_groups/demo/traders")
        self.run_(self.link("administrator").calls.grant(watcher, self.account, Right.VIEW))
        self.advance(0.2)
        return watcher, self.risk_of(name)

    def entitle(self, account: int) -> EntitlementGrant:
        """Grant the best bid and offer of the New York Stock Exchange."""
        terms = GrantTerms(
            account_id=account, product="quotes", listing_venue=Venue("XNYS"), record_type=RecordType.BBO
        )
        grant: EntitlementGrant = self.run_(self.administration.grant(terms, "a test"))
        self.advance(0.2)
        return grant

    def test_marks_are_left_out_for_who_is_not_entitled_to_quotes(self) -> None:
        """They tell the live quote; the profit of the whole is his, and an officer sees all."""
        self.submit(Side.BUY, 100)
        account, risk = self.watcher()
        portfolio, (position,) = self.run_(risk.load(self.account))
        self.assertEqual((position.mark, position.mark_source, position.unrealised), (None, None, None))
        self.assertEqual((position.quantity, portfolio.day_profit), (shares(100), -dollars(2)))
        _, (position,) = self.run_(self.risk.load(self.account))
        self.assertEqual((position.mark, position.unrealised), (dollars(14.00), -dollars(2)))
        self.entitle(account)
        _, (position,) = self.run_(risk.load(self.account))
        self.assertEqual((position.mark, position.unrealised), (dollars(14.00), -dollars(2)))

    def test_positions_are_followed_by_who_is_entitled_to_all_of_them(self) -> None:
        """A grant that is revoked ends that stream, and no other."""
        self.submit(Side.BUY, 100)
        account, risk = self.watcher()
        error = self.refusal(risk.positions(self.account).when_ready())
        self.assertEqual(error.coded, "FORBIDDEN")
        self.assertIn("LoadPortfolio", error.message)
        grant = self.entitle(account)
        positions, portfolio = risk.positions(self.account), risk.portfolio(self.account)
        self.run_(positions.when_ready())
        self.run_(portfolio.when_ready())
        self.assertEqual(positions.rows[str(BAC)].mark, dollars(14.00))
        self.run_(self.administration.revoke(grant.grant_id, "a test"))
        self.advance(0.5)
        assert positions.error is not None
        self.assertEqual(positions.error.coded, "FORBIDDEN")
        self.quote(14.10, 14.12)
        self.advance(1.5)
        self.assertIsNone(portfolio.error)
        self.assertEqual(portfolio.rows[str(self.account)].day_profit, dollars(8))

    def test_a_position_that_may_not_be_seen_ends_what_is_followed_before_it_comes(self) -> None:
        """Nothing was held when he began."""
        _, risk = self.watcher()
        positions = risk.positions(self.account)
        self.run_(positions.when_ready())
        self.submit(Side.BUY, 100)
        self.advance(1.5)
        assert positions.error is not None
        self.assertEqual((positions.error.coded, dict(positions.rows)), ("FORBIDDEN", {}))

    def test_a_position_that_may_not_be_seen_does_not_come_with_another_reader(self) -> None:
        """An officer begins to follow the account that has just bought."""
        _, risk = self.watcher()
        positions = risk.positions(self.account)
        self.run_(positions.when_ready())
        self.run_(self.orders.submit(self.request(Side.BUY, 100)))
        officer = self.risk.positions(self.account)
        self.run_(officer.when_ready())
        self.assertEqual(set(officer.rows), {str(BAC)})
        self.advance(1.5)
        assert positions.error is not None
        self.assertEqual((positions.error.coded, dict(positions.rows)), ("FORBIDDEN", {}))

    def test_auditors_read_the_audit_log(self) -> None:
        """And traders do not."""
        self.person("audrey", "auditor")
        events, _ = self.run_(audit_events(self.ready("risk_service", "audrey"), AuditQuery(action="day.open")))
        self.assertEqual([event.entity for event in events], [f"business_day:{TODAY}"])
        trader = self.ready("risk_service", self.name)
        self.assertEqual(self.refusal(audit_events(trader, AuditQuery())).coded, "FORBIDDEN")
