"""The platform controls what it does: limits, rules, risk states, halts and days, on real processes."""

import datetime
from time import monotonic
from typing import Any

from attrs import evolve
from twisted.internet.utils import getProcessOutputAndValue

from spire.accounting.portfolio import Portfolio
from spire.administration.values import GrantTerms, LimitTerms
from spire.client.platform import Spire
from spire.compliance.rules import describe
from spire.compliance.values import RuleDraft, RuleEntry, ViolationQuery
from spire.execution.values import HaltRequest, OrderScope
from spire.service.audit import audit_events
from spire.values.amounts import Money, whole
from spire.values.audit import DONE, AuditEvent, AuditQuery
from spire.values.codes import Currency, Venue
from spire.values.orders import Side, Status, TimeInForce
from spire.values.risk import HaltAction, HaltMode, HaltScope, RiskMode, RuleState
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, Refused, SpireError
from tests.system.case import CHECKOUT
from tests.system.desk import CENT, SHARE, DeskTestCase, Person, Violations
from tests.system.test_trading import average_cost

LOSS = 20
"""Dollars that the losing account may lose."""


class ControlsTests(DeskTestCase):
    """One desk, one day and the next."""

    async def test_the_platform_controls_what_it_does(self) -> None:
        """Each control binds at once, is seen by those it concerns, survives what it must, and is recorded."""
        await self.open_market()
        await self.make_desk()
        await self.check_bad_input()
        await self.check_rules()
        await self.check_losses()
        await self.check_restarts()
        await self.check_halt()
        await self.check_next_day()
        await self.check_audit()

    async def make_desk(self) -> None:
        """Let the administrator make a group, its manager, two traders, two risk officers, an auditor; open the day."""
        self.group = await self.make_group("alpha")
        self.manager = await self.make_person("mia", "manager:alpha")
        self.tom = await self.make_trader("tom", self.group)
        self.ann = await self.make_trader("ann", self.group)
        self.olga = await self.make_person("olga", "risk_officer")
        self.otto = await self.make_person("otto", "risk_officer")
        self.auditor = await self.make_person("abe", "auditor")
        refused = await self.refused(self.tom.submit(Side.BUY, 100), Refused)
        self.assertEqual(refused.coded, "LIMITS_MISSING")
        await self.set_limits(self.tom, net_loss=100_000)
        await self.set_limits(self.ann, net_loss=100_000)
        self.today = datetime.datetime.now(datetime.UTC).date().isoformat()
        await self.reset("--date", self.today)

    async def reset(self, *words: str) -> str:
        """Run `bin/reset_risk_states.py` as start.sh does."""
        script = str(CHECKOUT / "bin" / "reset_risk_states.py")
        out, err, status = await getProcessOutputAndValue(
            script, ["--home", str(self.instance.home), *words], dict(self.environ), str(self._folder)
        )
        self.assertEqual(status, 0, err.decode())
        return out.decode()

    # Rules

    async def check_rules(self) -> None:
        """Check that a rule on the group and one on an account refuse, that a passive one reports, that the manager sees it."""
        seen: dict[int, Violations] = {}
        for person in (self.tom, self.ann):
            seen[person.trading_account_id] = Violations()
            self.manager.client.compliance.follow_violations(
                person.trading_account_id, seen[person.trading_account_id], after=0
            )
        most = await self.add_rule(self.group, "max_quantity", quantity="500")
        barred = await self.add_rule(self.tom.trading_account_id, "restricted_instruments", instrument_ids=[self.ibm])
        quiet = await self.add_rule(
            self.ann.trading_account_id, "max_quantity", state=RuleState.PASSIVE, quantity="150"
        )
        single = await self.add_rule(self.ann.trading_account_id, "order_count_limit", count=1, counted="PER_ACCOUNT")
        for person in (self.tom, self.ann):
            error = await self.until_refused(person, 501)
            self.assertEqual(
                (error.coded, error.details["limit"], error.details["observed"]), ("COMPLIANCE", "500", "501")
            )
            self.assertIn(str(most.rule_id), error.details["rule"])
        error = await self.refused(self.tom.submit(Side.BUY, 100, limit=CENT, ticker="IBM.XNYS"), Refused)
        self.assertEqual((error.coded, str(barred.rule_id) in error.details["rule"]), ("COMPLIANCE", True))
        bid, _ = await self.quote()
        resting = await self.ann.submit(Side.BUY, 200, limit=bid // CENT * CENT - 50 * CENT)
        self.assertEqual(resting.status, Status.NEW)
        error = await self.refused(self.ann.submit(Side.BUY, 100, limit=CENT), Refused)
        self.assertIn(str(single.rule_id), error.details["rule"])
        await self.ann.client.orders.cancel(resting.order_id)
        free = await self.ann.submit(Side.BUY, 100, limit=CENT, tif=TimeInForce.IOC)
        self.assertEqual(free.status, Status.CANCELED)
        wanted = {
            self.tom.trading_account_id: {(most.rule_id, RuleState.ACTIVE), (barred.rule_id, RuleState.ACTIVE)},
            self.ann.trading_account_id: {
                (most.rule_id, RuleState.ACTIVE),
                (quiet.rule_id, RuleState.PASSIVE),
                (single.rule_id, RuleState.ACTIVE),
            },
        }

        async def all_seen() -> bool:
            return all({(each.rule_id, each.state) for each in seen[n].found} == wanted[n] for n in wanted)

        await self.at_once(all_seen, seconds=5.0)
        passive = [each for each in seen[self.ann.trading_account_id].found if each.rule_id == quiet.rule_id]
        self.assertEqual([each.order_id for each in passive], [resting.order_id])
        found, _ = await self.manager.client.compliance.violations(ViolationQuery(entry_id=self.group, limit=200))
        self.assertEqual(
            {(each.trading_account_id, each.rule_id, each.state) for each in found},
            {(number, *each) for number, all_of_it in wanted.items() for each in all_of_it},
        )
        await self.watcher.ready("compliance_service")
        await self.refused(self.watcher.compliance.violations(ViolationQuery(entry_id=self.group)), Forbidden)
        await self.administrator.compliance.change_rule(
            single.rule_id, evolve(_draft(single), state=RuleState.DISABLED), expected_version=1, reason="no more"
        )
        self.most = most

    async def add_rule(
        self, entry_id: int, schema: str, *, state: RuleState = RuleState.ACTIVE, **parameters: Any
    ) -> RuleEntry:
        """Put a rule on an entry."""
        draft = RuleDraft(entry_id=entry_id, schema=schema, parameters=describe(parameters), state=state)
        return await self.administrator.compliance.add_rule(draft, "the desk's rule")

    async def until_refused(self, person: Person, shares: int) -> Refused:
        """Submit what has no effect until it is refused, which is at once; the order's size is the rule's."""
        found: list[Refused] = []

        async def is_refused() -> bool:
            try:
                await person.submit(Side.BUY, shares, limit=CENT, tif=TimeInForce.IOC)
            except Refused as error:
                found.append(error)
            return bool(found)

        await self.at_once(is_refused)
        return found[0]

    # Losses

    async def check_losses(self) -> None:
        """Losses beyond the limit lead to CLOSE_ORDERS, then DISABLED, flat at the end; the other account is untouched."""
        tom, number = self.tom, self.tom.trading_account_id
        for _ in range(6):
            await self.until_filled(tom, 500)
        await self.until_filled(self.ann, 300)
        profit = await self.profit(tom)
        shown, _ = await tom.client.risk.load(number)
        self.assertLess(profit, -whole(LOSS))
        await self.at_once(lambda: self.risk_agrees(tom, profit), seconds=5.0)
        self.assertEqual(shown.mode, RiskMode.ACTIVE)
        await self.set_limits(tom, net_loss=LOSS, transition_seconds=6)
        await self.until_mode(tom, RiskMode.CLOSE_ORDERS, seconds=10.0)
        opening = await self.refused(tom.submit(Side.BUY, 100), Refused)
        self.assertIn(opening.coded, ("HALTED", "RISK_STATE"))
        bid, ask = await self.quote()
        reducing = await tom.submit(Side.SELL, 100, limit=ask // CENT * CENT + 20 * CENT)
        self.assertEqual(reducing.status, Status.NEW)
        await self.until_mode(tom, RiskMode.DISABLED, seconds=12.0)
        closed = await self.refused(tom.submit(Side.SELL, 100, limit=bid // CENT * CENT), Refused)
        self.assertEqual(closed.coded, "RISK_STATE")

        async def is_flat() -> bool:
            if await tom.held(self.bac) == 0:
                return True
            await self.feed.step(200)
            return False

        await self.at_once(is_flat, seconds=60.0)
        self.assertEqual(await tom.client.orders.orders(number, scope=OrderScope.LIVE), ())
        history = await self.administrator.administration.risk_history(number)
        self.assertEqual([state.mode for state in history[-2:]], [RiskMode.CLOSE_ORDERS, RiskMode.DISABLED])
        self.assertEqual(await self.ann.held(self.bac), 300 * SHARE)
        self.assertEqual((await self.ann.client.risk.load(self.ann.trading_account_id))[0].mode, RiskMode.ACTIVE)
        await self.until_filled(self.ann, 100)

    async def until_filled(self, person: Person, shares: int) -> None:
        """Buy at the offer, and step until it is all there."""
        order = await person.submit(Side.BUY, shares)

        async def is_filled() -> bool:
            view = await person.client.orders.order(person.trading_account_id, order.order_id)
            if view.status is Status.FILLED:
                return True
            await self.feed.step(20)
            return False

        await self.at_once(is_filled, seconds=30.0)

    async def profit(self, person: Person) -> int:
        """Return the day's profit, worked out from the postings and the tape's own quote."""
        bid, _ = await self.quote()
        ledger = await person.ledger()
        fills = [
            (int(event.posting.price or 0), int(event.posting.quantity))
            for event in ledger.events
            if event.posting is not None
        ]
        quantity, cost, realised = average_cost(fills)
        self.assertEqual(quantity, _quantity(ledger.portfolio, self.bac))
        return realised + bid * quantity // SHARE - cost

    async def risk_agrees(self, person: Person, profit: int) -> bool:
        """Whether Risk's day profit is the test's own."""
        portfolio, _ = await person.client.risk.load(person.trading_account_id)
        return int(portfolio.day_profit) == profit

    async def until_mode(self, person: Person, mode: RiskMode, seconds: float) -> None:
        """Wait until somebody's account is in a risk state, as Administration and Risk have it."""
        number = person.trading_account_id

        async def is_there() -> bool:
            standing = await person.client.administration.standing(number)
            portfolio, _ = await person.client.risk.load(number)
            return standing.state is not None and standing.state.mode is mode and portfolio.mode is mode

        await self.at_once(is_there, seconds=seconds)

    # Restarts

    async def check_restarts(self) -> None:
        """Check that DISABLED stays DISABLED after Risk was killed, and after a restart of everything on the same date."""
        await self.in_thread(self.instance.kill, "risk")
        await self.in_thread(self.instance.start, ["risk"])
        await self.tom.client.ready("risk_service", 30.0)
        await self.until_mode(self.tom, RiskMode.DISABLED, seconds=10.0)
        await self.in_thread(self.instance.stop)
        await self.in_thread(self.instance.start)
        for person in (self.tom, self.ann, self.manager, self.olga, self.otto):
            for service in ("order_execution_service", "risk_service", "administration_service"):
                await person.client.ready(service, 30.0)
        await self.administrator.ready("administration_service", 30.0)
        said = await self.reset("--date", self.today)
        self.assertNotIn("OPENED", said.upper().replace("ALREADY_OPEN", "").replace("ALREADY OPEN", ""))
        await self.until_mode(self.tom, RiskMode.DISABLED, seconds=10.0)
        error = await self.until_coded(self.tom, "RISK_STATE")
        self.assertEqual(error.coded, "RISK_STATE")
        await self.until_traded(self.ann)

    async def until_coded(self, person: Person, code: str) -> Refused:
        """Submit until the refusal has a code: until servers have found each other again it may have another.

        Never is an order taken meanwhile.
        """
        found: list[Refused] = []

        async def is_so() -> bool:
            order = person.client.orders.submit(person.request(Side.BUY, 100, limit=CENT, tif=TimeInForce.IOC))
            found.append(await self.refused(order, Refused))
            return found[-1].coded == code

        await self.at_once(is_so, seconds=20.0)
        return found[-1]

    async def until_traded(self, person: Person) -> None:
        """Submit what has no effect until it is taken."""

        async def is_taken() -> bool:
            try:
                await person.submit(Side.BUY, 100, limit=CENT, tif=TimeInForce.IOC)
            except Refused as error:
                self.assertIn(error.coded, ("QUOTE_STALE", "QUOTE_MISSING", "RISK_UNSUPERVISED", "HALTED"))
                return False
            return True

        await self.at_once(is_taken, seconds=20.0)

    # The kill switch

    async def check_halt(self) -> None:
        """Check that a firm-wide halt stops new orders at once, lets cancels pass, survives a kill; another one releases it."""
        bid, _ = await self.quote()
        far = bid // CENT * CENT - 50 * CENT
        resting = [await self.ann.submit(Side.BUY, 100, limit=far) for _ in range(2)]
        request = HaltRequest(scope=HaltScope.FIRM, mode=HaltMode.NO_NEW, reason="a drill")
        await self.refused(self.ann.client.orders.set_halt(request), Forbidden)
        began = monotonic()
        outcome = await self.olga.client.orders.set_halt(request)
        error = await self.refused(self.ann.submit(Side.BUY, 100, limit=far), Refused)
        self.assertLess(monotonic() - began, 1.0)
        self.assertEqual(error.coded, "HALTED")
        error = await self.refused(self.ann.submit(Side.SELL, 100), Refused)
        self.assertEqual(error.coded, "HALTED")
        await self.ann.client.orders.cancel(resting[0].order_id)
        again = await self.olga.client.orders.set_halt(request)
        self.assertEqual(again.halt.halt_id, outcome.halt.halt_id)
        await self.in_thread(self.instance.kill, "order-execution")
        await self.in_thread(self.instance.start, ["order-execution"])
        await self.ann.client.ready("order_execution_service", 30.0)
        error = await self.refused(self.ann.submit(Side.BUY, 100, limit=far), Refused)
        self.assertEqual(error.coded, "HALTED")
        await self.ann.client.orders.cancel(resting[1].order_id)
        await self.olga.client.ready("order_execution_service", 30.0)
        await self.otto.client.ready("order_execution_service", 30.0)
        await self.refused(self.olga.client.orders.release_halt(outcome.halt.halt_id, "my own"), Forbidden)
        await self.refused(self.ann.client.orders.release_halt(outcome.halt.halt_id, "please"), Forbidden)
        released = await self.otto.client.orders.release_halt(outcome.halt.halt_id, "the drill is over")
        self.assertEqual((released.set_by, released.released_by), (self.olga.account_id, self.otto.account_id))
        await self.refused(self.otto.client.orders.release_halt(outcome.halt.halt_id, "again"), Conflict)
        await self.until_traded(self.ann)
        resting_again = await self.ann.submit(Side.BUY, 100, limit=far)
        cancelling = HaltRequest(
            scope=HaltScope.TRADING_ACCOUNT,
            scope_id=self.ann.trading_account_id,
            mode=HaltMode.NO_OPENING,
            actions=HaltAction.CANCEL_ALL,
            reason="clear the book",
        )
        cleared = await self.olga.client.orders.set_halt(cancelling)
        self.assertEqual(set(cleared.confirmed) | set(cleared.unconfirmed), {resting_again.order_id})
        sold = await self.ann.submit(Side.SELL, 100)
        self.assertIn(sold.status, (Status.FILLED, Status.NEW, Status.PARTIALLY_FILLED))
        await self.otto.client.orders.release_halt(cleared.halt.halt_id, "clear")

    # The next day

    async def check_next_day(self) -> None:
        """Check that the flat account starts ACTIVE with nothing lost, the other from its marks, and that once is enough."""
        following = (datetime.date.fromisoformat(self.today) + datetime.timedelta(days=1)).isoformat()
        await self.refused(
            self.tom.client.risk.release(self.tom.trading_account_id, "me", new_baseline=True), Forbidden
        )
        await self.reset("--date", following)
        await self.until_mode(self.tom, RiskMode.ACTIVE, seconds=10.0)
        portfolio, positions = await self.tom.client.risk.load(self.tom.trading_account_id)
        self.assertEqual(
            (portfolio.business_date, int(portfolio.day_profit), positions_held(positions)), (following, 0, 0)
        )
        portfolio, positions = await self.ann.client.risk.load(self.ann.trading_account_id)
        self.assertEqual((portfolio.business_date, int(portfolio.day_profit)), (following, 0))
        self.assertEqual(positions_held(positions), await self.ann.held(self.bac))
        await self.until_traded(self.tom)
        view = await self.ann.submit(Side.BUY, 100, limit=CENT, tif=TimeInForce.IOC)
        self.assertEqual(view.submission.business_date, following)
        history = await self.administrator.administration.risk_history(self.tom.trading_account_id)
        await self.reset("--date", following)
        again = await self.administrator.administration.risk_history(self.tom.trading_account_id)
        self.assertEqual(again, history)

    # Bad input

    async def check_bad_input(self) -> None:
        """Each is refused with its code, is in the audit log of its server, and leaves nothing half done."""
        administration, compliance = self.administrator.administration, self.administrator.compliance
        number = self.tom.trading_account_id
        before = await administration.standing(number)
        assert before.limits is not None
        terms, version = before.limits.terms, before.limits.version

        async def limits(client: Spire, terms: LimitTerms, expected: int) -> object:
            return await client.administration.set_limits(
                number, terms, expected_version=expected, reason="to be refused"
            )

        unknown = evolve(terms, currency=Currency("XQZ"))
        error: SpireError = await self.refused(limits(self.administrator, unknown, version), Invalid)
        self.assertIn("currency", error.details["argument"])
        negative = evolve(terms, net_loss=Money(-1))
        error = await self.refused(limits(self.administrator, negative, version), Invalid)
        self.assertIn("net_loss", error.details["argument"])
        error = await self.refused(limits(self.administrator, terms, version + 7), Conflict)
        self.assertEqual(error.details["version"], str(version))
        await self.refused(limits(self.tom.client, terms, version), Forbidden)
        await self.refused(self.ann.client.administration.standing(number), Forbidden)
        await self.refused(self.ann.submit(Side.BUY, 100, limit=CENT, account=number), Forbidden)
        await self.refused(
            administration.set_limits(self.group, terms, expected_version=0, reason="no account"), NotFound
        )
        self.assertEqual(await administration.standing(number), before)
        nowhere = GrantTerms(account_id=self.tom.account_id, product="NYSE", listing_venue=Venue("ZZZZ"))
        grants = await administration.grants_of(self.tom.account_id)
        await self.refused(administration.grant(nowhere, "to be refused"), Invalid)
        self.assertEqual(await administration.grants_of(self.tom.account_id), grants)
        rules = await compliance.rules_of(number)
        for schema, parameters in (
            ("max_quantity", '{"quantity": "-5"}'),
            ("order_count_limit", '{"count": 3}'),
            ("no_such_rule", "{}"),
            ("restricted_instruments", '{"instrument_ids": [4000000000]}'),
        ):
            draft = RuleDraft(entry_id=number, schema=schema, parameters=parameters)
            await self.refused(compliance.add_rule(draft, "to be refused"), Invalid)
        good = RuleDraft(entry_id=number, schema="reject_submissions", parameters="{}")
        await self.refused(self.manager.client.compliance.add_rule(good, "to be refused"), Forbidden)
        self.assertEqual(await compliance.rules_of(number), rules)
        await self.refused(administration.create_group("alpha"), Conflict)
        await self.refused(self.olga.client.risk.release(number, "nothing to release", new_baseline=False), Conflict)
        await self.refused(self.olga.client.orders.release_halt(123_456_789, "no such halt"), NotFound)
        foreign = HaltRequest(scope=HaltScope.TRADING_ACCOUNT, scope_id=self.group, mode=HaltMode.NO_NEW, reason="no")
        await self.refused(self.olga.client.orders.set_halt(foreign), NotFound)

    # The audit log

    async def check_audit(self) -> None:
        """Every change and every refusal stands in the log of its server, with who, what and why."""
        auditor = self.auditor.client
        by_server: dict[str, list[AuditEvent]] = {}
        for service in ("administration_service", "compliance_service", "order_execution_service", "risk_service"):
            await auditor.ready(service, 30.0)
            by_server[service] = await everything(auditor, service)
        by_server["service_locator"] = [
            event for event in (await everything(auditor, "service_locator")) if event.actor is not None
        ]
        limits = [event for event in by_server["administration_service"] if event.reason == "to be refused"]
        outcomes = sorted(event.outcome for event in limits)
        self.assertEqual(outcomes, ["CONFLICT", "FORBIDDEN", "INVALID", "INVALID", "INVALID"])
        refused = [event for event in by_server["compliance_service"] if event.reason == "to be refused"]
        self.assertEqual(sorted(event.outcome for event in refused), ["FORBIDDEN", *["INVALID"] * 4])
        drill = [event for event in by_server["order_execution_service"] if event.reason == "a drill"]
        self.assertEqual(
            sorted((event.actor_name, event.outcome) for event in drill),
            [("ann", "FORBIDDEN"), ("olga", DONE), ("olga", DONE)],
        )
        self.assertTrue([event for event in by_server["risk_service"] if event.outcome == "FORBIDDEN"])
        self.assertTrue([event for event in by_server["service_locator"] if event.outcome == DONE])
        everybody = [event for events in by_server.values() for event in events]
        self.assertEqual(len({event.event_id for event in everybody}), len(everybody))
        for event in everybody:
            self.assertTrue(event.action and event.entity and event.time, event)
            for person in (self.tom, self.ann, self.manager):
                self.assertNotIn(person.password, f"{event.before}{event.after}{event.text}")
        await self.refused(audit_events(self.tom.client.session("administration_service"), AuditQuery()), Forbidden)


async def everything(client: Spire, service: str) -> list[AuditEvent]:
    """Return the whole audit log of a server, newest first."""
    session = client.link.session if service == "service_locator" else client.session(service)
    found: list[AuditEvent] = []
    query = AuditQuery(limit=200)
    while True:
        events, before = await audit_events(session, query)
        found += events
        if before is None:
            return found
        query = evolve(query, before=before)


def positions_held(positions: Any) -> int:
    """Return the sum of the quantities held."""
    return sum(int(position.quantity) for position in positions)


def _quantity(portfolio: Portfolio, instrument_id: int) -> int:
    position = portfolio.position(instrument_id)
    return 0 if position is None else int(position.quantity)


def _draft(rule: RuleEntry) -> RuleDraft:
    return RuleDraft(entry_id=rule.entry_id, schema=rule.schema, parameters=rule.parameters, state=rule.state)
