"""An account that Risk has stopped: everybody whom it concerns is told which state it is in, and why."""

import json
import re
from io import StringIO
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from spire.operations.commands.output import Output
from spire.operations.commands.risk import POSITION_COLUMNS, position_row, show
from spire.risk.values import MarkedPosition
from spire.values.amounts import Money, Quantity, whole
from spire.values.codes import Currency
from tests.operations.commands.following import FollowTestCase, Kept

LIMITS = ("--buying-power", "1000000", "--transition-seconds", "30", "--reason")


class StoppedTests(FollowTestCase):
    """Risk stops an account at once whose loss limit is nothing, disables it, and an officer releases it."""

    def setUp(self) -> None:
        """Make the people whom it concerns, once."""
        super().setUp()
        self.make_person("mia", "manager:demo")
        self.make_person("olga", "risk_officer")

    def test_a_stopped_account_says_why_until_and_after_it_is_released(self) -> None:
        """To its trader, his manager and the officer; the history keeps the versions of limits and of states."""
        self.admin("limits", "set", "demo_trader", *LIMITS, "no more for him", "--net-loss", "0")
        self.platform.advance(3.0)
        for account in ("demo_trader", "mia", "olga"):
            (row,) = self.rows("limits", account=account)
            self.assertEqual(
                (row["reason"], row["state"], row["state_by"]), ("no more for him", "CLOSE_ORDERS", "risk_service")
            )
            self.assertIn("limit", row["state_reason"])
            self.assertIsNotNone(row["state_expiry"])
            (shown,) = self.rows("risk", account=account)
            self.assertEqual((shown["mode"], shown["state_reason"]), ("CLOSE_ORDERS", row["state_reason"]))
        reason = row["state_reason"]
        table = self.spire("limits", account="demo_trader")
        self.assertRegex(table, r"(?m)^demo_trader .* no more for him$")
        self.assertRegex(table, rf"(?m)^demo_trader +CLOSE_ORDERS .* {re.escape(reason)}$")
        self.assertRegex(self.spire("risk"), rf"(?m)^demo_trader +CLOSE_ORDERS .* {re.escape(reason)}$")
        error = self.refused("order", "submit", "buy", "1", "ACME.DEMO")
        self.assertEqual(error["code"], "RISK_STATE")
        self.assertIn("Reduce only", error["advice"])

        self.platform.advance(40.0)
        error = self.refused("order", "submit", "buy", "1", "ACME.DEMO")
        self.assertIn("The account takes no orders", error["advice"])

        self.admin("limits", "set", "demo_trader", *LIMITS, "enough again", "--net-loss", "50000")
        self.platform.advance(2.0)
        self.rows("risk", "release", "demo_trader", "--reason", "he has learned", account="olga")
        self.platform.advance(1.0)
        (row,) = self.rows("limits", account="olga")
        self.assertEqual((row["state"], row["state_by"]), ("ACTIVE", "olga"))
        self.assertIn("he has learned", row["state_reason"])
        history = self.rows("limits", "demo_trader", "--history")
        states = [row["state"] for row in history if "state" in row]
        self.assertEqual(states, ["CLOSE_ORDERS", "DISABLED", "ACTIVE"])
        self.assertEqual(
            [row["reason"] for row in history if "reason" in row][-2:], ["no more for him", "enough again"]
        )

    def test_who_follows_an_account_sees_why_it_is_stopped(self) -> None:
        """In the line in which its mode changes, or the next one."""
        self.admin("group", "create", "theta")
        (made,) = self.admin("trader", "create", "tim", "--group", "theta")
        self.passwords["tim"] = made["password"]
        written: list[str] = []
        body: Any = show.callback.__wrapped__  # type: ignore[union-attr]
        following = self.followed("tim", lambda spire: body(spire, Kept(written), None, True))
        self.platform.advance(3.0)
        self.admin("limits", "set", "tim", *LIMITS, "no more for him", "--net-loss", "0")
        self.platform.advance(40.0)
        following.cancel()
        self.platform.advance(2.0)
        self.failureResultOf(following, CancelledError)
        last = json.loads(written[-1])
        self.assertEqual(last["mode"], "DISABLED")
        (state,) = self.rows("limits", account="tim")
        self.assertEqual(last["state_reason"], state["state_reason"])

    def test_the_day_and_the_total_stand_apart(self) -> None:
        """Under headings that say which is which."""
        heading = self.spire("risk").splitlines()[0]
        self.assertRegex(heading, r"Day P/L +Day realised +Day fees .* Total realised +Unrealised now +Total fees")

    def test_while_administration_is_away_the_rest_is_shown(self) -> None:
        """And a note says what is missing."""
        self.refuse("127.0.0.1:20100")
        result = self.invoke("risk")
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertIn("is not told now", result.stderr)
        self.assertRegex(result.stdout, r"(?m)^demo_trader ")

    def test_nobody_waits_for_order_execution_to_tell_names(self) -> None:
        """The Locator knows them; where an account is looked for by name, a note says what is not known."""
        self.refuse("127.0.0.1:20700")
        for account in ("demo_trader", "olga"):
            before = self.platform.clock.monotonic()
            result = self.invoke("risk", account=account)
            self.assertLess(self.platform.clock.monotonic() - before, 5.0)
            self.assertEqual((result.exit_code, result.stderr), (0, "No positions.\n"))
            self.assertRegex(result.stdout, r"(?m)^demo_trader ")
        for words in (("risk", "--account", "demo_trader"), ("limits",), ("limits", "demo_trader")):
            result = self.invoke(*words)
            self.assertEqual(result.exit_code, 0, words)
            self.assertIn("Trading accounts on which you hold no right of your own are not known now", result.stderr)
        self.assertEqual(self.refused("limits", account="olga")["code"], "UNAVAILABLE")


class PositionTests(SynchronousTestCase):
    """A line of positions."""

    def test_a_mark_that_is_not_told_is_a_dash(self) -> None:
        """Whoever is not entitled to the venue's data learns no price by the way."""
        position = MarkedPosition(
            instrument_id=1,
            currency=Currency("USD"),
            quantity=Quantity(100 * whole(1)),
            cost=Money(1000 * whole(1)),
            realised=Money(0),
            fees=Money(0),
            mark=None,
            mark_source=None,
            is_fresh=True,
            unrealised=None,
        )
        out = StringIO()
        row = position_row(position, lambda _: "ACME.DEMO")
        Output(as_json=False, stdout=out).table(POSITION_COLUMNS, [row])
        self.assertEqual(
            out.getvalue().splitlines()[-1].split(), ["ACME.DEMO", "100", "1000", "-", "-", "0", "-", "0", "USD"]
        )
