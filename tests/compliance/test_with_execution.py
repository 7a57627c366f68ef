"""Compliance and the real Order Execution, each of which needs the other: one to start, one to be whole."""

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from spire.client.deployment import Deployment, LocatorAddresses
from spire.client.platform import Spire
from spire.compliance import tap
from spire.compliance.memory import MemoryComplianceStore
from spire.compliance.rules import describe
from spire.compliance.values import RuleDraft, RuleEntry, ViolationQuery
from spire.execution.values import OrderRequest, OrderView
from spire.locator.credentials import Password
from spire.service.readiness import State
from spire.service.secrets import read_text
from spire.testing.platform import Platform
from spire.values.amounts import Quantity, parse_price, whole
from spire.values.environment import Environment
from spire.values.orders import OrderType, Side
from spire.values.risk import RuleState
from spire.wire.errors import SpireError
from tests.compliance.room import Follower

BEFORE = ("service-locator", "uid", "definitions", "administration", "market-data", "market-data-relay")
AFTER = ("order-execution", "risk", "simulation-feed")


class WithExecutionTests(SynchronousTestCase):
    """A trader of the demo market, and the administrator who writes rules for him."""

    def setUp(self) -> None:
        """Start every room that an order passes; Compliance before Order Execution."""
        self.platform = Platform(Path(self.mktemp()).absolute())
        self.addCleanup(self.platform.stop)
        self.store = MemoryComplianceStore()
        self.platform.start(*BEFORE)
        self.serve()
        self.platform.start(*AFTER)
        self.platform.advance(3.0)
        self.administrator = self.person("administrator")
        self.trader = self.person("demo_trader")
        for service in ("order_execution_service", "compliance_service"):
            self.platform.run(self.trader.ready(service))
        self.platform.run(self.administrator.ready("compliance_service"))
        account = self.platform.run(self.trader.orders.trading_account("demo_trader"))
        self.account = account.trading_account_id

    def serve(self) -> None:
        """Start Compliance on the store, for `Platform` to stop."""
        room = tap.make_room(self.platform.configuration("compliance"), self.platform.parts(), store=self.store)
        self.platform.rooms["compliance"] = room
        self.platform.run(room.start())

    def person(self, name: str) -> Spire:
        """Return the platform as somebody sees it."""
        layout = self.platform.instance.layout
        locator = LocatorAddresses(addresses=("127.0.0.1:20000",), authority=read_text(layout.tls / "authority.pem"))
        person = Spire(
            Password(account=name, password=self.platform.instance.password(name)),
            Deployment(environment=Environment.DEMO, locator=locator),
            clock=self.platform.clock,
            connector=self.platform.network,
            random_bytes=self.platform.parts().random_bytes,
        )
        self.platform.run(person.open())
        self.addCleanup(lambda: self.platform.run(person.close()))
        return person

    def rule(self, entry_id: int, schema: str, state: RuleState, **parameters: Any) -> RuleEntry:
        """Add a rule, and let it arrive."""
        draft = RuleDraft(entry_id=entry_id, schema=schema, parameters=describe(parameters), state=state)
        rule = self.platform.run(self.administrator.compliance.add_rule(draft, "as agreed"))
        self.platform.advance(0.2)
        return rule

    def submit(self, shares: int) -> OrderView:
        """Submit an order that rests far from the market."""
        request = OrderRequest(
            client_order_id="",
            trading_account_id=self.account,
            ticker="ACME.DEMO",
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=Quantity(whole(shares)),
            limit_price=parse_price("0.01"),
        )
        return self.platform.run(self.trader.orders.submit(request))

    def refused(self, shares: int) -> SpireError:
        """Submit an order that is refused."""
        try:
            self.submit(shares)
        except SpireError as error:
            return error
        raise self.failureException("not refused")

    def test_rules_of_group_and_account_refuse_and_report(self) -> None:
        """The passive one of the group only reports; each violation names its rule and is found by the trader."""
        group = self.platform.run(self.administrator.directory.find("trading_groups/demo")).entry_id
        watch = self.rule(group, "max_quantity", RuleState.PASSIVE, quantity="10")
        stop = self.rule(self.account, "max_quantity", RuleState.ACTIVE, quantity="20")
        follower = Follower()
        self.trader.compliance.follow_violations(self.account, follower, after=0)
        self.assertTrue(self.submit(11).state().is_live)
        error = self.refused(21)
        self.platform.advance(0.5)
        self.assertEqual((error.coded, error.details["limit"], error.details["observed"]), ("COMPLIANCE", "20", "21"))
        told = [(each.rule_id, each.state, each.observed) for each in follower.violations]
        passive, active = RuleState.PASSIVE, RuleState.ACTIVE
        self.assertEqual(
            told, [(watch.rule_id, passive, "11"), (watch.rule_id, passive, "21"), (stop.rule_id, active, "21")]
        )
        found, _ = self.platform.run(self.trader.compliance.violations(ViolationQuery(entry_id=group)))
        self.assertEqual(list(found), follower.violations[::-1])

    def test_a_restart_of_compliance_loses_no_violation_and_lets_no_order_pass(self) -> None:
        """Order Execution goes on with the rules that it has; what it refused meanwhile is seen afterwards."""
        self.rule(self.account, "reject_submissions", RuleState.ACTIVE)
        follower = Follower()
        self.trader.compliance.follow_violations(self.account, follower, after=0)
        self.refused(1)
        self.platform.advance(0.5)
        self.platform.stop("compliance")
        self.assertEqual(self.refused(2).coded, "COMPLIANCE")
        self.serve()
        self.platform.advance(5.0)
        self.assertEqual(self.refused(3).coded, "COMPLIANCE")
        self.platform.advance(0.5)
        self.assertEqual([each.quantity for each in follower.violations], [whole(1), whole(2), whole(3)])
        self.assertEqual(self.platform.rooms["compliance"].readiness.state, State.READY)
