"""Releasing an account on the same day."""

from typing import Any

from spire.database.errors import StoreFault, TooLong
from spire.risk.values import BaselineKind
from spire.values.orders import Side
from spire.values.risk import RiskMode
from tests.risk.room import CLOSE, LossTestCase
from tests.values.examples import dollars


class ReleaseTests(LossTestCase):
    """The same day."""

    is_shared = True

    def setUp(self) -> None:
        """Begin with an empty audit log."""
        super().setUp()
        self.store.forget_audit()

    def test_a_release_with_a_new_baseline_forgives(self) -> None:
        """The account trades again, and its day counts from here."""
        self.lose(keep=100)
        portfolio = self.run_(self.risk.release(self.account, "talked to him", new_baseline=True))
        self.assertEqual((portfolio.mode, portfolio.day_profit), (RiskMode.ACTIVE, 0))
        state = self.state()
        assert state is not None
        self.assertEqual((state.mode, state.reason), (RiskMode.ACTIVE, "talked to him"))
        self.assertEqual(state.on_behalf_of, self.link(self.officer).login.account_id)
        self.assertIs(self.store.last_baseline(self.account).kind, BaselineKind.RELEASE)
        (event,) = self.store.audited("account.release")
        self.assertEqual((event.actor_name, event.reason, event.outcome), (self.officer, "talked to him", "DONE"))
        self.advance(5.0)
        self.submit(Side.BUY, 10)
        self.assertIs(self.mode(), RiskMode.ACTIVE)

    def test_a_release_on_the_old_baseline_needs_a_higher_limit(self) -> None:
        """Else it would be undone at once."""
        self.lose()
        error = self.refusal(self.risk.release(self.account, "talked to him", new_baseline=False))
        self.assertEqual((error.coded, error.details["reason"]), ("CONFLICT", "STILL_BREACHED"))
        self.assertEqual((error.details["limit"], error.details["observed"]), ("-100", "-130"))
        self.assertIs(self.mode(), RiskMode.CLOSE_ORDERS)
        self.set_limits(net_loss=dollars(500))
        self.run_(self.risk.release(self.account, "a higher limit", new_baseline=False))
        self.assertIs(self.mode(), RiskMode.ACTIVE)
        self.advance(5.0)
        self.assertEqual((self.mode(), self.portfolio().day_profit), (RiskMode.ACTIVE, -dollars(130)))

    def test_a_new_loss_after_a_release_acts_again(self) -> None:
        """The new baseline has the whole limit before it."""
        self.lose()
        self.run_(self.risk.release(self.account, "talked to him", new_baseline=True))
        self.quote(14.00, 14.02, size=5_000)
        self.submit(Side.BUY, 1_000)
        self.quote(13.89, 13.91, size=5_000)
        self.submit(Side.SELL, 1_000)
        self.assertIs(self.mode(), RiskMode.CLOSE_ORDERS)

    def test_a_disabled_account_is_released_too(self) -> None:
        """And survives a restart as what it is."""
        self.lose()
        self.advance(35.0)
        self.run_(self.risk.release(self.account, "talked to him", new_baseline=True))
        self.restart_risk()
        self.assertEqual((self.mode(), self.portfolio().day_profit), (RiskMode.ACTIVE, 0))

    def test_the_wrong_person_releases_nothing(self) -> None:
        """Neither the trader nor an administrator; both attempts are recorded."""
        self.lose()
        for account in (self.name, "administrator"):
            error = self.refusal(self.risk_of(account).release(self.account, "please", new_baseline=True))
            self.assertEqual(error.coded, "FORBIDDEN")
        self.assertIs(self.mode(), RiskMode.CLOSE_ORDERS)
        outcomes = [(event.actor_name, event.outcome) for event in self.store.audited("account.release")]
        self.assertEqual(outcomes, [(self.name, "FORBIDDEN"), ("administrator", "FORBIDDEN")])

    def test_an_account_that_is_active_is_not_released(self) -> None:
        """There is nothing to release it from."""
        error = self.refusal(self.risk.release(self.account, "just so", new_baseline=True))
        self.assertEqual(error.coded, "CONFLICT")

    def test_a_release_has_a_reason(self) -> None:
        """And an account."""
        self.lose()
        error = self.refusal(self.risk.release(self.account, " ", new_baseline=True))
        self.assertEqual((error.coded, error.details["argument"]), ("INVALID", "reason"))
        self.assertEqual(self.refusal(self.risk.release(4_711, "just so", new_baseline=True)).coded, "NOT_FOUND")

    def test_limits_that_allow_nothing_are_changed_first(self) -> None:
        """A release gives the allowed state, and no more."""
        self.set_limits(allowed_state=RiskMode.DISABLED)
        self.advance(2.0)
        error = self.refusal(self.risk.release(self.account, "just so", new_baseline=True))
        self.assertEqual((error.coded, error.details["mode"]), ("CONFLICT", "DISABLED"))

    def test_while_the_database_is_away_nobody_is_released(self) -> None:
        """Nothing is half done: neither forgiven nor released."""
        self.lose()
        before = self.state()
        self.store.is_down = True
        error = self.refusal(self.risk.release(self.account, "talked to him", new_baseline=True))
        self.assertEqual(error.coded, "UNAVAILABLE")
        self.assertEqual((self.mode(), self.portfolio().day_profit), (RiskMode.CLOSE_ORDERS, -dollars(130)))
        self.assertEqual(self.state(), before)

    def test_while_administration_is_away_nothing_is_forgiven(self) -> None:
        """The state comes first: without it there is neither a baseline nor an event that says DONE."""
        self.lose()
        before = self.run_(self.store.baselines(self.account, 0, 9))
        self.platform.network.faults.refuse.add("127.0.0.1:20100")
        self.platform.network.drop("administration_service")
        error = self.refusal(self.risk.release(self.account, "talked to him", new_baseline=True))
        self.assertEqual(error.coded, "UNAVAILABLE")
        self.assertEqual(self.portfolio().day_profit, -dollars(130))
        self.assertEqual(self.run_(self.store.baselines(self.account, 0, 9)), before)
        self.assertEqual(self.store.audited("account.release"), [])

    def test_a_database_that_goes_away_in_between_forgives_nothing(self) -> None:
        """The account is stopped again by what it lost, and the audit log says what happened once it can be written."""
        self.lose()
        before = self.run_(self.store.baselines(self.account, 0, 9))
        self.store.takes_records = False
        error = self.refusal(self.risk.release(self.account, "talked to him", new_baseline=True))
        self.assertEqual((error.coded, error.details["in_doubt"]), ("UNAVAILABLE", "yes"))
        self.advance(1.0)
        self.assertEqual((self.mode(), self.portfolio().day_profit), (RiskMode.CLOSE_ORDERS, -dollars(130)))
        self.assertEqual(self.run_(self.store.baselines(self.account, 0, 9)), before)
        self.store.takes_records = True
        self.advance(1.5)
        (event,) = self.store.audited("account.release")
        self.assertEqual((event.actor_name, event.outcome), (self.officer, "UNAVAILABLE"))
        self.assertIn("The risk state was written", event.text or "")
        self.run_(self.risk.release(self.account, "talked to him", new_baseline=True))
        self.assertEqual((self.mode(), self.portfolio().day_profit), (RiskMode.ACTIVE, 0))

    def test_a_release_whose_commit_has_no_answer_is_told_as_in_doubt(self) -> None:
        """Nobody hears that it is not on record; the database says it as soon as it answers, and it counts as after a restart."""
        self.lose()
        self.store.answers_records = False
        error = self.refusal(self.risk.release(self.account, "talked to him", new_baseline=True))
        self.assertEqual((error.coded, error.details["in_doubt"]), ("UNAVAILABLE", "yes"))
        self.assertIn("not known whether the release is on record", error.message)
        self.assertEqual(self.portfolio().day_profit, -dollars(130))
        self.store.answers_records = True
        self.advance(2.5)
        self.assertEqual((self.mode(), self.portfolio().day_profit), (RiskMode.CLOSE_ORDERS, 0))
        self.restart_risk()
        self.assertEqual((self.mode(), self.portfolio().day_profit), (RiskMode.CLOSE_ORDERS, 0))
        self.run_(self.risk.release(self.account, "talked to him", new_baseline=True))
        self.assertEqual((self.mode(), self.portfolio().day_profit), (RiskMode.ACTIVE, 0))
        self.restart_risk()
        self.assertEqual((self.mode(), self.portfolio().day_profit), (RiskMode.ACTIVE, 0))

    def test_a_release_in_doubt_that_is_not_on_record_counts_for_nothing(self) -> None:
        """The connection was lost before the commit."""
        self.lose()
        self.store.answers_records = None
        error = self.refusal(self.risk.release(self.account, "talked to him", new_baseline=True))
        self.assertEqual(error.details["in_doubt"], "yes")
        self.store.answers_records = True
        self.advance(2.5)
        self.assertEqual((self.mode(), self.portfolio().day_profit), (RiskMode.CLOSE_ORDERS, -dollars(130)))

    def test_a_record_that_the_database_refuses_leaves_no_release_without_its_event(self) -> None:
        """Whatever the reason: the answer says what stands, and the audit log has it."""
        self.lose()
        record = self.store.record

        async def refuse(baselines: Any, opened: Any, audit: Any) -> None:
            if baselines:
                raise StoreFault("a number is out of range")
            await record(baselines, opened, audit)

        self.patch(self.store, "record", refuse)
        error = self.refusal(self.risk.release(self.account, "talked to him", new_baseline=True))
        self.assertEqual((error.coded, error.details["in_doubt"]), ("UNAVAILABLE", "yes"))
        self.advance(1.5)
        self.assertIs(self.mode(), RiskMode.CLOSE_ORDERS)
        (event,) = self.store.audited("account.release")
        self.assertEqual(event.outcome, "UNAVAILABLE")

    def test_an_event_that_can_never_be_written_keeps_no_other_back(self) -> None:
        """It is logged."""
        self.lose()
        self.store.takes_records = False
        self.refusal(self.risk.release(self.account, "talked to him", new_baseline=True))
        self.store.refusal, self.store.takes_records = TooLong("a text is too long"), True
        self.advance(1.5)
        self.store.refusal = None
        self.advance(1.5)
        self.assertEqual(self.store.audited("account.release"), [])
        self.run_(self.risk.release(self.account, "talked to him", new_baseline=True))
        self.assertEqual(len(self.store.audited("account.release")), 1)

    def test_an_event_waits_for_a_fault_of_the_database_to_pass(self) -> None:
        """A full disk takes nothing, and is no reason to forget who released an account."""
        self.lose()
        self.store.takes_records = False
        self.refusal(self.risk.release(self.account, "talked to him", new_baseline=True))
        self.store.refusal, self.store.takes_records = StoreFault("the disk is full"), True
        self.advance(2.5)
        self.store.refusal = None
        self.advance(1.5)
        (event,) = self.store.audited("account.release")
        self.assertEqual((event.actor_name, event.outcome), (self.officer, "UNAVAILABLE"))

    def test_without_a_mark_no_new_baseline_is_taken(self) -> None:
        """What its positions make later would count from what they cost."""
        self.lose(keep=100)
        self.quote(10.00, 20.00, time=CLOSE)
        self.run_(self.feed.end())
        self.restart_risk()
        error = self.refusal(self.risk.release(self.account, "talked to him", new_baseline=True))
        self.assertEqual(error.coded, "UNAVAILABLE")
        self.assertIn("no mark of BAC.XNYS", error.message)
        self.assertIs(self.mode(), RiskMode.CLOSE_ORDERS)


class CurrencyTests(LossTestCase):
    """An account whose own currency is not that of its limits and trades."""

    def test_profit_and_limit_are_in_the_currency_of_the_account(self) -> None:
        """Two US dollars lost are 2.0714 Canadian ones, and the limit of 100 is 103.57."""
        account = self.trader("ben", currency="CAD")
        self.advance(1.0)
        self.run_(self.orders_of("ben").submit(self.request(Side.BUY, 100, trading_account_id=account)))
        self.advance(1.0)
        portfolio = self.portfolio(account)
        self.assertEqual((portfolio.currency, portfolio.day_profit), ("CAD", -2_071_400))
        self.assertEqual(portfolio.net_loss, 103_570_000)
        self.assertFalse(portfolio.is_blind)
