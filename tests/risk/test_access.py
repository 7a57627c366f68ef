"""Who sees what of the Risk Server."""

from spire.locator.values import Right
from spire.service.audit import audit_events
from spire.values.audit import AuditQuery
from spire.values.orders import Side
from tests.risk.room import TODAY, RiskRoomTestCase


class AccessTests(RiskRoomTestCase):
    """Rights as the live directory has them."""

    def test_a_trader_sees_his_own_account_and_no_other(self) -> None:
        """Loaded, listed and followed."""
        other = self.trader("ben")
        self.advance(1.0)
        risk = self.risk_of("demo_trader")
        self.run_(risk.load(self.account))
        self.assertEqual(self.refusal(risk.load(other)).coded, "FORBIDDEN")
        self.assertEqual([each.trading_account_id for each in self.run_(risk.visible())], [self.account])
        self.assertEqual(self.refusal(risk.portfolio(other).when_ready()).coded, "FORBIDDEN")
        self.assertEqual(self.refusal(risk.positions(other).when_ready()).coded, "FORBIDDEN")
        self.assertEqual(self.refusal(risk.portfolios().when_ready()).coded, "FORBIDDEN")

    def test_an_officer_sees_all_of_them(self) -> None:
        """In one topic."""
        other = self.trader("ben")
        self.submit(Side.BUY, 100)
        view = self.risk.portfolios()
        self.run_(view.when_ready())
        self.advance(1.5)
        self.assertEqual(set(view.rows), {str(self.account), str(other)})
        self.assertEqual(len(self.run_(self.risk.visible())), 2)

    def test_an_account_that_does_not_exist_is_not_found(self) -> None:
        """Neither is a topic of another form."""
        self.assertEqual(self.refusal(self.risk.load(4_711)).coded, "NOT_FOUND")
        self.assertEqual(self.refusal(self.risk.portfolio(4_711).when_ready()).coded, "NOT_FOUND")
        view = self.risk.session.subscriptions.state("portfolio/x", type(self.portfolio()))
        self.assertEqual(self.refusal(view.when_ready()).coded, "NOT_FOUND")

    def test_a_right_that_is_withdrawn_ends_what_is_followed(self) -> None:
        """At once, and for good."""
        calls = self.link("administrator").calls
        watcher = self.make_account("watcher", "trading_groups/demo/traders")
        self.run_(calls.grant(watcher, self.account, Right.VIEW))
        self.advance(0.2)
        view = self.risk_of("watcher").portfolio(self.account)
        self.run_(view.when_ready())
        self.run_(calls.grant(watcher, self.account, Right.NONE))
        self.advance(5.0)
        error = view.error
        assert error is not None
        self.assertEqual(error.coded, "FORBIDDEN")

    def test_auditors_read_the_audit_log(self) -> None:
        """And traders do not."""
        self.person("audrey", "auditor")
        events, _ = self.run_(audit_events(self.ready("risk_service", "audrey"), AuditQuery(action="day.open")))
        self.assertEqual([event.entity for event in events], [f"business_day:{TODAY}"])
        trader = self.ready("risk_service", "demo_trader")
        self.assertEqual(self.refusal(audit_events(trader, AuditQuery())).coded, "FORBIDDEN")
