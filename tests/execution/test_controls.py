"""What stops an order: halts, risk states, rules, limits in any currency, supervision."""

import json
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from spire.accounting.buying_power import InstrumentUse
from spire.accounting.position import Position
from spire.administration.values import RiskState
from spire.compliance.rules import RuleBook
from spire.compliance.values import RuleEntry
from spire.definitions.rates import Conversion
from spire.execution.controls import Controls, Supervision, permits
from spire.execution.decide import Decision, Holding, decide
from spire.execution.form import Resolved
from spire.execution.values import Halt, Refusal
from spire.values.amounts import Money, whole
from spire.values.codes import Currency
from spire.values.orders import OrderType, Side
from spire.values.risk import HaltMode, HaltScope, RiskMode, RuleState
from spire.values.time import Timestamp
from tests.execution.examples import ACCOUNT, RATE, TICKS, USD, limits
from tests.execution.test_decide import CONTROLS, MARKET, TERMS, held, resolved
from tests.values.examples import dollars, shares

GROUP = 3
CAD, EUR = Currency("CAD"), Currency("EUR")
RULE = RuleEntry(
    rule_id=8,
    entry_id=GROUP,
    schema="max_quantity",
    parameters=json.dumps({"quantity": "50"}),
    state=RuleState.ACTIVE,
    version=3,
    author=1,
    reason="",
    updated=Timestamp(1),
)


def halt(mode: HaltMode, halt_id: int = 5) -> Halt:
    """Return a halt of the firm."""
    return Halt(
        halt_id=halt_id, scope=HaltScope.FIRM, scope_id=0, mode=mode, reason="fire", set_by=9, set_at=Timestamp(1)
    )


def state(mode: RiskMode) -> RiskState:
    """Return a risk state of the account."""
    return RiskState(
        trading_account_id=ACCOUNT,
        mode=mode,
        version=2,
        reason="",
        actor=1,
        since=Timestamp(1),
        business_date="2013-10-08",
    )


def under(*rules: RuleEntry, live: int = 0, **changes: Any) -> Controls:
    """Return the controls of an account in the group, under rules."""
    return evolve(
        CONTROLS,
        rules=RuleBook(rules),
        lineage=(1, GROUP, ACCOUNT),
        count_live=lambda entry_id: live if entry_id is None else live + 1,
        **changes,
    )


OPENING = resolved()
REDUCING = resolved(side=Side.SELL)
LONG = held(100, 1000)


class ControlTestCase(SynchronousTestCase):
    """Decisions about an order that opens, and one that closes a position of 100."""

    def opening(self, controls: Controls, order: Resolved = OPENING, holding: Holding | None = None) -> Decision:
        """Decide about an order that opens risk."""
        return decide(order, MARKET, holding or held(), TICKS, TERMS, controls)

    def reducing(self, controls: Controls, order: Resolved = REDUCING) -> Decision:
        """Decide about an order that reduces."""
        return decide(order, MARKET, LONG, TICKS, TERMS, controls)

    def code(self, decision: Decision) -> str | None:
        """Return the code of a refusal."""
        return None if decision.refusal is None else decision.refusal.code

    def refusal(self, decision: Decision) -> Refusal:
        """Return a refusal."""
        assert decision.refusal is not None
        return decision.refusal


class HaltTests(ControlTestCase):
    """Halts come first."""

    def test_the_rule_is_one(self) -> None:
        """What opens never passes; what reduces passes NO_OPENING, and NO_NEW only where that lets Risk pass."""
        told = {
            (mode, is_opening, passes): permits(mode, is_opening=is_opening, passes_risk=passes)
            for mode in HaltMode
            for is_opening in (False, True)
            for passes in (False, True)
        }
        self.assertEqual(
            {key for key, passed in told.items() if passed},
            {
                (HaltMode.NO_OPENING, False, False),
                (HaltMode.NO_OPENING, False, True),
                (HaltMode.NO_NEW, False, True),
            },
        )

    def test_no_opening_lets_pass_what_reduces(self) -> None:
        """And names the halt to what opens."""
        controls = evolve(CONTROLS, halts=(halt(HaltMode.NO_OPENING),))
        refusal = self.refusal(self.opening(controls))
        self.assertEqual((refusal.code, refusal.rule, refusal.observed), ("HALTED", "halt/5", "NO_OPENING"))
        self.assertIn("fire", refusal.text)
        self.assertIsNone(self.code(self.reducing(controls)))

    def test_no_new_stops_everything_new(self) -> None:
        """What reduces too, and what Risk sends."""
        controls = evolve(CONTROLS, halts=(halt(HaltMode.NO_OPENING, 4), halt(HaltMode.NO_NEW)))
        self.assertEqual(self.refusal(self.reducing(controls)).rule, "halt/5")
        self.assertEqual(self.code(self.reducing(evolve(controls, by_risk=True))), "HALTED")

    def test_a_halt_is_told_before_anything_else(self) -> None:
        """A price off its tick is not looked at."""
        controls = evolve(CONTROLS, halts=(halt(HaltMode.NO_NEW),))
        self.assertEqual(self.code(self.opening(controls, resolved(limit_price=dollars(14.005)))), "HALTED")


class StateTests(ControlTestCase):
    """Risk states and supervision come last."""

    def test_close_orders_lets_pass_what_reduces(self) -> None:
        """And refuses what opens."""
        controls = evolve(CONTROLS, state=state(RiskMode.CLOSE_ORDERS))
        refusal = self.refusal(self.opening(controls))
        self.assertEqual((refusal.code, refusal.rule, refusal.observed), ("RISK_STATE", "risk_state", "CLOSE_ORDERS"))
        self.assertIsNone(self.code(self.reducing(controls)))

    def test_disabled_stops_all_but_what_risk_reduces(self) -> None:
        """Also what a trader would reduce."""
        controls = evolve(CONTROLS, state=state(RiskMode.DISABLED))
        self.assertEqual(self.code(self.reducing(controls)), "RISK_STATE")
        self.assertIsNone(self.code(self.reducing(evolve(controls, by_risk=True))))

    def test_the_allowed_state_of_the_limits_counts_where_it_is_stricter(self) -> None:
        """It is the most that an account may do on any day."""
        controls = evolve(CONTROLS, limits=limits(Money(whole(10_000)), allowed_state=RiskMode.CLOSE_ORDERS))
        self.assertEqual(self.refusal(self.opening(controls)).rule, "allowed_state")
        self.assertIsNone(self.code(self.reducing(controls)))
        disabled = evolve(controls, state=state(RiskMode.DISABLED))
        self.assertEqual(self.refusal(self.reducing(disabled)).rule, "risk_state")

    def test_nothing_is_opened_unsupervised(self) -> None:
        """What reduces passes."""
        controls = evolve(CONTROLS, unsupervised="7.0")
        refusal = self.refusal(self.opening(controls))
        self.assertEqual((refusal.code, refusal.limit, refusal.observed), ("RISK_UNSUPERVISED", "5", "7.0"))
        self.assertIsNone(self.code(self.reducing(controls)))

    def test_a_heartbeat_holds_five_seconds(self) -> None:
        """To the moment; before the first there is no supervision, and a blind account has none."""
        supervision = Supervision()
        self.assertEqual(supervision.trouble(ACCOUNT, 100.0), "never heard of")
        supervision.hear(100.0, frozenset({8}), 8)
        self.assertIsNone(supervision.trouble(ACCOUNT, 105.0))
        self.assertEqual(supervision.trouble(ACCOUNT, 105.1), "5.1")
        self.assertEqual(supervision.trouble(8, 101.0), "blind")

    def test_an_account_that_risk_does_not_know_is_not_supervised(self) -> None:
        """Its id is beyond the greatest that Risk named."""
        supervision = Supervision()
        supervision.hear(100.0, frozenset(), ACCOUNT)
        self.assertIsNone(supervision.trouble(ACCOUNT, 101.0))
        self.assertEqual(supervision.trouble(ACCOUNT + 1, 101.0), "unknown to Risk")


class RiskTests(ControlTestCase):
    """What the Risk Server may do."""

    def test_risk_may_only_reduce(self) -> None:
        """With the room that there is; pending orders take of it."""
        controls = Controls(by_risk=True)
        refusal = self.refusal(self.opening(controls))
        self.assertEqual((refusal.code, refusal.limit, refusal.observed), ("RISK_MAY_ONLY_REDUCE", "0", "100"))
        holding = held(150, 1500)
        holding.use.sells.put(1, dollars(14), shares(60))
        refusal = self.refusal(self.opening(controls, REDUCING, holding))
        self.assertEqual((refusal.code, refusal.limit), ("RISK_MAY_ONLY_REDUCE", "90"))

    def test_risk_needs_no_limits_and_heeds_no_rules(self) -> None:
        """Its orders reduce."""
        decision = self.reducing(evolve(under(RULE), by_risk=True, limits=None))
        self.assertEqual((decision.refusal, decision.breaches), (None, ()))

    def test_risk_keeps_to_ticks(self) -> None:
        """The venue would refuse it."""
        order = resolved(side=Side.SELL, limit_price=dollars(14.005))
        self.assertEqual(self.code(self.reducing(Controls(by_risk=True), order)), "OFF_TICK")


class RuleTests(ControlTestCase):
    """Compliance rules."""

    def test_an_active_rule_refuses_with_its_limit(self) -> None:
        """Also what reduces; the snapshot says under which rules it was decided."""
        decision = self.reducing(under(RULE))
        refusal = self.refusal(decision)
        self.assertEqual(
            (refusal.code, refusal.rule, refusal.limit, refusal.observed),
            ("COMPLIANCE", "max_quantity/8", "50", "100"),
        )
        self.assertEqual([breach.entry for breach in decision.breaches], [RULE])
        self.assertEqual(decision.snapshot.rules_version, 3)

    def test_a_passive_rule_only_reports(self) -> None:
        """The order goes, and what it broke is known."""
        passive = evolve(RULE, state=RuleState.PASSIVE)
        decision = self.opening(under(passive))
        self.assertEqual((decision.refusal, [each.entry for each in decision.breaches]), (None, [passive]))

    def test_what_a_passive_rule_saw_is_kept_where_something_else_refuses(self) -> None:
        """The order did break it."""
        decision = self.opening(under(evolve(RULE, state=RuleState.PASSIVE), limits=None))
        self.assertEqual((self.code(decision), len(decision.breaches)), ("LIMITS_MISSING", 1))

    def test_live_orders_are_counted_together_or_per_account(self) -> None:
        """One more than there are must fit: two live ones here, three beneath the group."""
        for counted, count, passes in (
            ("PER_ACCOUNT", 3, True),
            ("PER_ACCOUNT", 2, False),
            ("TOGETHER", 4, True),
            ("TOGETHER", 3, False),
        ):
            parameters = json.dumps({"count": str(count), "counted": counted})
            rule = evolve(RULE, schema="order_count_limit", parameters=parameters)
            self.assertEqual(self.code(self.opening(under(rule, live=2))) is None, passes, (counted, count))

    def test_a_rule_that_cannot_be_read_refuses(self) -> None:
        """It fails closed."""
        refusal = self.refusal(self.opening(under(evolve(RULE, schema="moon_phase"))))
        self.assertEqual((refusal.code, refusal.rule), ("COMPLIANCE", "moon_phase/8"))

    def test_a_form_that_is_wrong_is_told_before_rules(self) -> None:
        """Nobody broke a rule with an order that is none."""
        decision = self.opening(under(RULE), resolved(limit_price=dollars(14.005)))
        self.assertEqual((self.code(decision), decision.breaches), ("OFF_TICK", ()))


class LimitTests(ControlTestCase):
    """Limits, and the currencies that lead to theirs."""

    def test_limits_that_were_never_set_refuse_opening(self) -> None:
        """Nothing is unlimited; what reduces passes."""
        controls = evolve(CONTROLS, limits=None)
        self.assertEqual(self.code(self.opening(controls)), "LIMITS_MISSING")
        self.assertIsNone(self.code(self.reducing(controls)))

    def test_a_limit_of_zero_is_a_limit(self) -> None:
        """It refuses by its name."""
        controls = evolve(CONTROLS, limits=limits(Money(0)))
        self.assertEqual(self.code(self.opening(controls)), "BUYING_POWER")
        self.assertIsNone(self.code(self.reducing(controls)))

    def test_the_decision_names_the_limits(self) -> None:
        """By their version."""
        self.assertEqual(self.opening(CONTROLS).snapshot.limits_version, 4)
        self.assertEqual(self.opening(evolve(CONTROLS, limits=limits(Money(0)))).snapshot.limits_version, 4)

    def test_the_currency_of_the_limits_needs_no_rate(self) -> None:
        """It is counted as it is, and no rate is named."""
        decision = self.opening(evolve(CONTROLS, conversions={}))
        self.assertEqual(
            (decision.refusal, decision.snapshot.buying_power_used, decision.snapshot.exchange_rate_id),
            (None, whole(1400), None),
        )

    def test_another_currency_is_converted_and_rounded_up(self) -> None:
        """1,400 dollars at 1.0357 are 1,449.98 Canadian ones; a millionth less does not do."""
        rate = Conversion(numerator=1_035_700_001, denominator=10**9, rate_ids=("USDCAD",))
        enough = Money(whole(1449) + 980_002)  # 1449.9800014, rounded up
        controls = evolve(CONTROLS, conversions={USD: rate}, limits=limits(enough, currency=CAD))
        decision = self.opening(controls)
        self.assertIsNone(decision.refusal)
        self.assertEqual((decision.snapshot.exchange_rate_id, decision.snapshot.buying_power_used), ("USDCAD", enough))
        less = evolve(controls, limits=limits(Money(enough - 1), currency=CAD))
        refusal = self.refusal(self.opening(less))
        self.assertEqual((refusal.code, refusal.observed), ("BUYING_POWER", "1449.980002"))

    def test_what_other_instruments_use_is_converted_by_their_own_rates(self) -> None:
        """Each rate is named once."""
        rates = {
            USD: RATE,
            EUR: Conversion(numerator=2, denominator=1, rate_ids=("EURUSD",)),
            CAD: Conversion(numerator=1, denominator=1, rate_ids=("EURUSD", "EURCAD")),
        }
        holding = Holding(
            position=Position(currency=USD),
            use=InstrumentUse(),
            used_elsewhere={EUR: Money(whole(300)), CAD: Money(whole(8000)), USD: Money(1)},
        )
        controls = evolve(CONTROLS, conversions=rates, limits=limits(Money(whole(10_000) + 1)))
        decision = self.opening(controls, holding=holding)
        self.assertEqual(
            (decision.refusal, decision.snapshot.buying_power_used, decision.snapshot.exchange_rate_id),
            (None, whole(10_000) + 1, "EURUSD, EURCAD"),
        )
        less = evolve(controls, limits=limits(Money(whole(10_000))))
        self.assertEqual(self.code(self.opening(less, holding=holding)), "BUYING_POWER")

    def test_a_missing_rate_refuses_opening(self) -> None:
        """Nothing counts as zero; what reduces passes."""
        controls = evolve(CONTROLS, conversions={USD: None}, limits=limits(Money(whole(10_000)), currency=CAD))
        refusal = self.refusal(self.opening(controls))
        self.assertEqual((refusal.code, refusal.limit, refusal.observed), ("EXCHANGE_RATE_MISSING", "CAD", "USD"))
        self.assertIsNone(self.code(self.reducing(controls)))

    def test_a_market_order_of_the_risk_server_needs_no_quote(self) -> None:
        """It waits at its destination."""
        market = evolve(MARKET, quote=None, is_stale=True)
        order = resolved(side=Side.SELL, type=OrderType.MARKET, limit_price=None)
        decision = decide(order, market, LONG, TICKS, TERMS, Controls(by_risk=True))
        self.assertIsNone(decision.refusal)
