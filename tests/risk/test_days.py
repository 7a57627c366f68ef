"""Opening a business day."""

from typing import Any
from unittest.mock import AsyncMock

from spire.database.errors import StoreDown
from spire.execution.values import HaltRequest
from spire.risk import days
from spire.risk.acting import Acting
from spire.risk.values import BaselineKind, OpenedAccount
from spire.values.orders import Side
from spire.values.risk import HaltMode, HaltScope, RiskMode
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.errors import Unavailable
from tests.risk.room import BAC, CLOSE, IBM, TODAY, TOMORROW, LossTestCase, RiskRoomTestCase
from tests.values.examples import dollars

NEXT_MORNING = Timestamp(CLOSE + (17 * 3600 + 1860) * NANOSECONDS)


class DayTests(LossTestCase):
    """The next business day."""

    def open(self, business_date: str) -> OpenedAccount:
        """Open a day at Risk, and return what became of the account."""
        accounts = self.run_(self.risk.open_day(business_date))
        (found,) = [each for each in accounts if each.trading_account_id == self.account]
        self.advance(1.5)
        opened: OpenedAccount = found
        return opened

    def tomorrow(self) -> OpenedAccount:
        """Open the next business day at Administration, then at Risk."""
        self.run_(self.administration.open_business_day(TOMORROW))
        return self.open(TOMORROW)

    def test_an_account_gets_a_record_and_its_allowed_state(self) -> None:
        """What it lost the day before is forgotten."""
        self.lose()
        opened = self.tomorrow()
        self.assertEqual((opened.outcome, opened.mode), ("OPENED", RiskMode.ACTIVE))
        state = self.state()
        assert state is not None
        self.assertEqual((state.mode, state.expiry), (RiskMode.ACTIVE, None))
        portfolio = self.portfolio()
        self.assertEqual((portfolio.business_date, portfolio.day_profit), (TOMORROW, 0))
        baseline = self.store.last_baseline(self.account)
        self.assertEqual((baseline.kind, baseline.business_date), (BaselineKind.START_OF_DAY, TOMORROW))
        self.assertEqual(baseline.day_profit, -dollars(130))
        self.submit(Side.BUY, 10)

    def test_a_carried_position_counts_from_its_closing_mark(self) -> None:
        """The last print of the day before; the gain until then is not of today."""
        self.submit(Side.BUY, 100)
        self.print_(14.50)
        self.quote(14.48, 14.52, time=CLOSE)
        self.tomorrow()
        (row,) = self.store.last_baseline(self.account).origin.positions
        self.assertEqual(row.mark, dollars(14.50))
        self.run_(self.feed.end())
        self.feed = self.open_feed(TOMORROW)
        self.quote(14.40, 14.44, time=NEXT_MORNING)
        self.advance(1.0)
        self.assertEqual(self.portfolio().day_profit, -dollars(10))

    def test_a_day_that_is_opened_before_the_feeds_start_closes_at_the_last_quote_of_the_session(self) -> None:
        """Without a print; neither the quote after the close nor the end of the feed takes it away."""
        self.submit(Side.BUY, 100)
        self.quote(14.50, 14.52)
        self.quote(10.00, 20.00, time=CLOSE)
        self.run_(self.feed.end())
        self.advance(3.0)
        self.assertEqual(self.portfolio().unmarked, (BAC,))
        self.assertEqual(self.tomorrow().outcome, "OPENED")
        baseline = self.store.last_baseline(self.account)
        self.assertEqual((baseline.origin.positions[0].mark, baseline.day_profit), (dollars(14.50), dollars(48)))
        self.feed = self.open_feed(TOMORROW)
        self.quote(14.40, 14.42, time=NEXT_MORNING)
        self.advance(1.0)
        self.assertEqual(self.portfolio().day_profit, -dollars(10))

    def test_a_server_that_starts_after_the_close_closes_the_day_at_the_quote_that_was_kept(self) -> None:
        """If it is of the regular session."""
        self.submit(Side.BUY, 100)
        self.quote(14.50, 14.52)
        self.run_(self.feed.end())
        self.restart_risk()
        self.assertEqual(self.tomorrow().outcome, "OPENED")
        (row,) = self.store.last_baseline(self.account).origin.positions
        self.assertEqual(row.mark, dollars(14.50))

    def lose_marks(self) -> None:
        """End the day without a quote or a print that could close it."""
        self.quote(10.00, 20.00, time=CLOSE)
        self.run_(self.feed.end())
        self.restart_risk()

    def test_what_has_no_mark_at_all_gets_it_in_its_record_as_soon_as_it_has_one(self) -> None:
        """Until then it is kept and nobody watches it; a quote after the close is no mark, and the day begins at nothing."""
        self.submit(Side.BUY, 100)
        self.lose_marks()
        opened = self.tomorrow()
        self.assertEqual((opened.outcome, opened.reason), ("KEPT", "no mark of BAC.XNYS"))
        before = self.store.last_baseline(self.account)
        self.assertEqual([(row.quantity, row.mark) for row in before.origin.positions], [(100 * 10**6, None)])
        self.restart_risk()
        self.assertEqual(self.open(TOMORROW).outcome, "KEPT")
        self.assertEqual(self.store.last_baseline(self.account), before)
        self.assertTrue(self.portfolio().is_blind)
        self.feed = self.open_feed(TOMORROW)
        self.store.is_down = True
        self.quote(14.40, 14.42, time=NEXT_MORNING)
        self.advance(3.0)
        self.assertTrue(self.portfolio().is_blind)
        self.store.is_down = False
        self.advance(2.5)
        record = self.store.last_baseline(self.account)
        (row,) = record.origin.positions
        self.assertEqual((row.mark, record.number), (dollars(14.40), before.number))
        self.assertEqual((before.day_profit, record.day_profit), (0, dollars(38)))
        self.assertEqual((self.portfolio().day_profit, self.portfolio().is_blind), (0, False))
        self.assertEqual(self.store.audited("account.open_day")[-1].actor_name, "risk")

    def test_an_account_that_was_disabled_with_positions_stays_so_when_its_marks_come(self) -> None:
        """Risk closes what it holds at the same quote; a person releases it all the same."""
        self.lose(keep=200)
        self.lose_marks()
        self.advance(35.0)
        self.assertEqual((self.mode(), self.held()), (RiskMode.DISABLED, 200))
        opened = self.tomorrow()
        self.assertEqual((opened.outcome, opened.mode), ("KEPT", RiskMode.DISABLED))
        self.assertEqual(opened.reason, "it is DISABLED and has positions; no mark of BAC.XNYS")
        self.feed = self.open_feed(TOMORROW)
        self.quote(13.89, 13.91, time=NEXT_MORNING)
        self.advance(5.0)
        self.assertEqual((self.mode(), self.held()), (RiskMode.DISABLED, 0))
        self.assertEqual(self.open(TOMORROW).outcome, "KEPT")
        self.run_(self.risk.release(self.account, "talked to him", new_baseline=False))
        self.assertEqual((self.open(TOMORROW).outcome, self.mode()), ("ALREADY_OPEN", RiskMode.ACTIVE))

    def test_what_is_lost_before_the_marks_come_counts_and_stays(self) -> None:
        """The day began when it was opened, and nobody is let go by a mark."""
        self.quote(20.00, 20.02, instrument=IBM)
        self.submit(Side.BUY, 100)
        self.submit(Side.BUY, 1_000, ticker="IBM.XNYS")
        self.print_(20.00, instrument=IBM)
        self.lose_marks()
        self.assertEqual(self.tomorrow().outcome, "KEPT")
        self.feed = self.open_feed(TOMORROW)
        self.quote(19.80, 19.82, instrument=IBM, time=NEXT_MORNING)
        self.submit(Side.SELL, 1_000, ticker="IBM.XNYS", settle=1.0)
        self.assertIs(self.mode(), RiskMode.CLOSE_ORDERS)
        self.quote(14.00, 14.02)
        self.advance(3.0)
        self.assertEqual((self.mode(), self.portfolio().day_profit), (RiskMode.CLOSE_ORDERS, -dollars(200)))
        opened = self.store.opened_day(self.account)
        self.assertEqual((opened.outcome, opened.is_complete), ("KEPT", True))
        self.assertEqual(opened.reason, "it was stopped after the day was opened: it is CLOSE_ORDERS")
        event = self.store.audited("account.open_day")[-1]
        self.assertEqual((event.actor_name, event.reason), ("risk", opened.reason))

    def test_a_time_that_ran_out_while_the_server_was_away_is_not_forgiven(self) -> None:
        """Also where the day is opened in the moment in which the server is ready."""
        self.lose(keep=500)
        self.run_(self.feed.end())
        self.platform.stop("risk")
        self.advance(60.0)
        self.run_(self.administration.open_business_day(TOMORROW))
        self.start_risk()
        self.run_(self.risk.session.when_ready())
        self.assertEqual((self.open(TOMORROW).outcome, self.mode()), ("KEPT", RiskMode.DISABLED))

    def test_nor_is_it_by_a_mark_that_comes_late(self) -> None:
        """Whoever is first when states can be written again."""
        self.lose(keep=500)
        self.lose_marks()
        self.platform.stop("risk")
        self.advance(60.0)
        self.run_(self.administration.open_business_day(TOMORROW))
        self.patch(Acting, "write", AsyncMock(side_effect=Unavailable("Administration is away")))
        self.start_risk()
        self.run_(self.risk.session.when_ready())
        self.assertEqual(self.open(TOMORROW).outcome, "KEPT")
        self.feed = self.open_feed(TOMORROW)
        self.quote(13.89, 13.91, time=NEXT_MORNING)
        self.advance(3.0)
        opened = self.store.opened_day(self.account)
        self.assertEqual((opened.outcome, opened.is_complete), ("KEPT", True))

    def test_a_state_that_a_day_ends_runs_out_no_more(self) -> None:
        """Although Administration is away, and so long that its time would be over: nothing was lost since."""
        self.lose()
        self.run_(self.administration.open_business_day(TOMORROW))
        self.advance(0.5)
        self.platform.network.drop("administration_service")
        self.platform.network.faults.refuse.add("127.0.0.1:20100")
        self.refusal(self.risk.open_day(TOMORROW))
        self.advance(60.0)
        self.platform.network.faults.refuse.clear()
        self.advance(60.0)
        self.assertIs(self.mode(), RiskMode.ACTIVE)
        self.assertEqual(self.open(TOMORROW).outcome, "ALREADY_OPEN")

    def test_the_event_of_an_opening_is_written_late_where_the_database_goes_away(self) -> None:
        """The accounts have their own, in the transaction of their records."""
        self.run_(self.administration.open_business_day(TOMORROW))
        record = self.store.record

        async def away(baselines: Any, opened: Any, audit: Any) -> None:
            if any(each.action == "day.open" for each in audit):
                raise StoreDown("it went away")
            await record(baselines, opened, audit)

        self.patch(self.store, "record", away)
        before = len(self.store.audited("day.open"))
        self.assertEqual(self.open(TOMORROW).outcome, "OPENED")
        self.assertEqual(len(self.store.audited("day.open")), before)
        self.store.record = record  # type: ignore[method-assign]
        self.advance(1.5)
        self.assertEqual(len(self.store.audited("day.open")), before + 1)
        self.assertEqual(self.open(TOMORROW).outcome, "ALREADY_OPEN")

    def test_the_record_survives_a_restart(self) -> None:
        """The day goes on counting from it."""
        self.submit(Side.BUY, 100)
        self.quote(14.50, 14.52)
        self.tomorrow()
        self.restart_risk()
        self.quote(14.40, 14.42)
        self.assertEqual(self.portfolio().day_profit, -dollars(10))

    def test_what_is_open_is_not_touched(self) -> None:
        """Neither its record nor its state."""
        self.tomorrow()
        baseline = self.store.last_baseline(self.account)
        self.lose()
        opened = self.open(TOMORROW)
        self.assertEqual((opened.outcome, opened.mode), ("ALREADY_OPEN", RiskMode.CLOSE_ORDERS))
        self.assertIs(self.mode(), RiskMode.CLOSE_ORDERS)
        self.assertEqual(self.store.last_baseline(self.account), baseline)
        self.assertEqual(len(self.store.audited("day.open")), 2)

    def test_a_disabled_account_that_is_flat_is_opened(self) -> None:
        """Risk is done with it."""
        self.lose()
        self.advance(35.0)
        self.assertIs(self.mode(), RiskMode.DISABLED)
        self.assertEqual(self.tomorrow().outcome, "OPENED")
        self.assertIs(self.mode(), RiskMode.ACTIVE)

    def test_a_disabled_account_with_positions_is_kept(self) -> None:
        """It has its record, and a person must release it, also after it has become flat."""
        self.lose(keep=200)
        self.quote(13.89, 13.91, time=CLOSE)
        self.advance(35.0)
        opened = self.tomorrow()
        self.assertEqual((opened.outcome, opened.mode), ("KEPT", RiskMode.DISABLED))
        self.assertEqual(opened.reason, "it is DISABLED and has positions")
        self.assertEqual(self.store.last_baseline(self.account).business_date, TOMORROW)
        self.run_(self.feed.end())
        self.feed = self.open_feed(TOMORROW)
        self.quote(13.89, 13.91, time=NEXT_MORNING)
        self.advance(2.0)
        self.assertEqual(self.held(), 0)
        self.assertEqual(self.open(TOMORROW).outcome, "KEPT")
        self.assertIs(self.mode(), RiskMode.DISABLED)

    def test_a_persons_halt_stays_when_an_account_gets_its_allowed_state(self) -> None:
        """The day forgives what Risk did, never what a person set; the list names it as long as it is in force."""
        self.lose()
        request = HaltRequest(
            scope=HaltScope.TRADING_ACCOUNT, scope_id=self.account, mode=HaltMode.NO_OPENING, reason="look at it first"
        )
        halt = self.run_(self.orders_of(self.officer).set_halt(request)).halt
        self.advance(0.5)
        opened = self.tomorrow()
        self.assertEqual((opened.outcome, opened.mode), ("OPENED", RiskMode.ACTIVE))
        self.assertIn("look at it first", opened.reason)
        self.assertEqual(self.refused(Side.BUY, 10).coded, "HALTED")
        self.person("otto", "risk_officer")
        self.run_(self.orders_of("otto").release_halt(halt.halt_id, "it was nothing"))
        self.advance(0.5)
        opened = self.open(TOMORROW)
        self.assertEqual((opened.outcome, opened.mode, opened.reason), ("ALREADY_OPEN", RiskMode.ACTIVE, ""))
        self.submit(Side.BUY, 10)

    def test_what_was_kept_and_then_released_is_open(self) -> None:
        """And what is still to be released is told with why it was kept."""
        self.lose(keep=200)
        self.quote(13.89, 13.91, time=CLOSE)
        self.advance(35.0)
        self.assertEqual(self.tomorrow().outcome, "KEPT")
        again = self.open(TOMORROW)
        self.assertEqual(again.reason, "when the day was opened: it is DISABLED and has positions")
        self.run_(self.risk.release(self.account, "I have looked", new_baseline=True))
        again = self.open(TOMORROW)
        self.assertEqual((again.outcome, again.mode), ("ALREADY_OPEN", RiskMode.ACTIVE))

    def test_an_account_that_was_made_since_keeps_what_it_lost(self) -> None:
        """Opening the day again forgives it nothing."""
        account = self.trader("ben")
        self.advance(1.5)
        self.run_(self.orders_of("ben").submit(self.request(Side.BUY, 100, trading_account_id=account)))
        self.advance(1.0)
        opened = {each.trading_account_id: each for each in self.run_(self.risk.open_day(TODAY))}
        self.assertEqual(opened[account].outcome, "ALREADY_OPEN")
        self.assertEqual(self.portfolio(account).day_profit, -dollars(2))
        self.run_(self.administration.open_business_day(TOMORROW))
        self.open(TOMORROW)
        self.assertEqual(self.portfolio(account).day_profit, 0)

    def test_a_day_that_is_opened_right_after_a_restart_has_its_marks(self) -> None:
        """The start waits for them."""
        self.submit(Side.BUY, 100)
        self.quote(14.50, 14.52)
        self.run_(self.administration.open_business_day(TOMORROW))
        self.platform.stop("risk")
        self.start_risk()
        self.run_(self.risk.session.when_ready())
        self.open(TOMORROW)
        (row,) = self.store.last_baseline(self.account).origin.positions
        self.assertEqual(row.mark, dollars(14.50))

    def test_more_accounts_than_a_page_are_all_opened(self) -> None:
        """And listed, in the order of their ids, also where each has a long reason."""
        calls = self.link("administrator").calls
        place = self.run_(calls.find("trading_groups/demo/accounts")).entry_id
        for number in range(60):
            self.run_(calls.make_trading_account(f"book{number}", place, self.terms(f"book{number}")))
        self.advance(1.0)
        self.run_(self.administration.open_business_day(TOMORROW))
        opened = self.run_(self.risk.open_day(TOMORROW))
        self.assertEqual([each.outcome for each in opened], ["OPENED"] * 61)
        ids = [each.trading_account_id for each in opened]
        self.assertEqual(ids, sorted(set(ids)))
        self.assertEqual([each.trading_account_id for each in self.run_(self.risk.visible())], ids)
        reason = "\N{MUSICAL SYMBOL G CLEF}" * 1_000
        request = HaltRequest(scope=HaltScope.FIRM, mode=HaltMode.NO_OPENING, reason=reason)
        self.run_(self.orders_of(self.officer).set_halt(request))
        self.advance(0.5)
        self.run_(self.administration.open_business_day("2013-10-10"))
        kept = self.run_(self.risk.open_day("2013-10-10"))
        self.assertEqual([each.outcome for each in kept], ["OPENED"] * 61)
        self.assertEqual([each.trading_account_id for each in kept], ids)

    def test_limits_that_allow_less_hold_on_every_day(self) -> None:
        """The allowed state is what it gets."""
        self.set_limits(allowed_state=RiskMode.CLOSE_ORDERS)
        self.advance(1.5)
        self.assertIs(self.mode(), RiskMode.CLOSE_ORDERS)
        opened = self.tomorrow()
        self.assertEqual((opened.outcome, opened.mode), ("OPENED", RiskMode.CLOSE_ORDERS))

    def test_while_the_database_is_away_nothing_is_opened(self) -> None:
        """Asked again it is."""
        self.lose()
        self.run_(self.administration.open_business_day(TOMORROW))
        before = self.store.last_baseline(self.account)
        self.store.is_down = True
        error = self.refusal(self.risk.open_day(TOMORROW))
        self.assertEqual(error.coded, "UNAVAILABLE")
        self.assertEqual(self.portfolio().day_profit, -dollars(130))
        self.assertIs(self.mode(), RiskMode.CLOSE_ORDERS)
        self.assertEqual(self.store.last_baseline(self.account), before)
        self.store.is_down = False
        self.assertEqual(self.open(TOMORROW).outcome, "OPENED")
        self.assertIs(self.mode(), RiskMode.ACTIVE)

    def test_a_state_that_could_not_be_written_is_written_as_soon_as_it_can(self) -> None:
        """With the record that was taken; nobody has to open the day again."""
        self.lose()
        self.run_(self.administration.open_business_day(TOMORROW))
        self.advance(0.5)
        self.platform.network.drop("administration_service")
        self.platform.network.faults.refuse.add("127.0.0.1:20100")
        error = self.refusal(self.risk.open_day(TOMORROW))
        self.assertEqual(error.coded, "UNAVAILABLE")
        baseline = self.store.last_baseline(self.account)
        self.assertEqual(baseline.business_date, TOMORROW)
        self.assertFalse(self.store.opened_day(self.account).is_complete)
        self.platform.network.faults.refuse.clear()
        self.advance(10.0)
        self.assertTrue(self.store.opened_day(self.account).is_complete)
        self.assertIs(self.mode(), RiskMode.ACTIVE)
        self.assertEqual(self.open(TOMORROW).outcome, "ALREADY_OPEN")
        self.assertEqual(self.store.last_baseline(self.account), baseline)

    def test_an_account_that_the_first_call_did_not_reach_was_not_made_since(self) -> None:
        """It was there when the day was opened: the second call opens it, with a record."""
        account = self.trader("ben")
        self.advance(1.5)
        self.run_(self.orders_of("ben").submit(self.request(Side.BUY, 100, trading_account_id=account)))
        self.advance(1.0)
        self.run_(self.administration.open_business_day(TOMORROW))
        self.patch(days, "AT_ONCE", 1)
        record = self.store.record

        async def away(baselines: Any, opened: Any, audit: Any) -> None:
            if any(each.trading_account_id == account for each in baselines):
                raise StoreDown("once")
            await record(baselines, opened, audit)

        self.patch(self.store, "record", away)
        self.assertEqual(self.refusal(self.risk.open_day(TOMORROW)).coded, "UNAVAILABLE")
        self.assertEqual(self.store.opened_day(self.account).business_date, TOMORROW)
        self.store.record = record
        opened = {each.trading_account_id: each for each in self.run_(self.risk.open_day(TOMORROW))}
        self.advance(1.5)
        self.assertEqual(opened[account].outcome, "OPENED")
        self.assertEqual(self.store.last_baseline(account).business_date, TOMORROW)
        self.assertEqual(self.portfolio(account).day_profit, 0)

    def test_opening_again_while_a_mark_is_missing_changes_nothing(self) -> None:
        """Neither rows nor events."""
        self.submit(Side.BUY, 100)
        self.quote(10.00, 20.00, time=CLOSE)
        self.run_(self.feed.end())
        self.run_(self.administration.open_business_day(TOMORROW))
        self.restart_risk()
        self.assertEqual(self.open(TOMORROW).outcome, "KEPT")
        events = len(self.store.audited("day.open")), len(self.store.audited("account.open_day"))
        self.assertEqual(self.open(TOMORROW).outcome, "KEPT")
        self.assertEqual((len(self.store.audited("day.open")), len(self.store.audited("account.open_day"))), events)


class WhoOpensTests(RiskRoomTestCase):
    """Who may open which day."""

    is_shared = True

    def test_only_the_current_business_date_is_opened(self) -> None:
        """Administration says which it is; the attempt is recorded."""
        error = self.refusal(self.risk.open_day(TOMORROW))
        self.assertEqual((error.coded, error.details["business_date"]), ("CONFLICT", TODAY))
        self.assertEqual(self.store.audited("day.open")[-1].outcome, "CONFLICT")

    def test_what_is_no_date_is_invalid(self) -> None:
        """With the argument."""
        error = self.refusal(self.risk.open_day("8.10.2013"))
        self.assertEqual((error.coded, error.details["argument"]), ("INVALID", "business_date"))

    def test_a_trader_opens_no_day(self) -> None:
        """The attempt is recorded."""
        error = self.refusal(self.risk_of(self.name).open_day(TODAY))
        self.assertEqual(error.coded, "FORBIDDEN")
        event = self.store.audited("day.open")[-1]
        self.assertEqual((event.actor_name, event.outcome), (self.name, "FORBIDDEN"))

    def test_operators_and_administrators_open_days(self) -> None:
        """As risk officers do."""
        self.person("oscar", "operator")
        for account in ("oscar", "administrator"):
            self.assertTrue(self.run_(self.risk_of(account).open_day(TODAY)))
