"""Orders and positions, as a person works with them."""

from tests.operations.commands.room import CommandTestCase


class OrderTests(CommandTestCase):
    """In a generated market, with an account of a million dollars."""

    def test_a_market_order_is_shown_as_filled(self) -> None:
        """The command waits for its fate."""
        (row,) = self.rows("order", "submit", "buy", "100", "ACME.DEMO")
        self.assertEqual((row["status"], row["cumulative"], row["leaves"]), ("FILLED", "100", "0"))

    def test_a_resting_order_is_listed_cancelled_and_gone(self) -> None:
        """Live orders only, unless all are asked for."""
        (row,) = self.rows("order", "submit", "buy", "7", "BLUE.DEMO", "--limit", "0.01")
        self.assertEqual(row["status"], "NEW")
        listed = [each["order_id"] for each in self.rows("order", "list")]
        self.assertIn(row["order_id"], listed)
        (cancelled,) = self.rows("order", "cancel", row["order_id"])
        self.assertEqual(cancelled["status"], "CANCELED")
        self.assertNotIn(row["order_id"], [each["order_id"] for each in self.rows("order", "list")])
        self.assertIn(row["order_id"], [each["order_id"] for each in self.rows("order", "list", "--all")])
        self.assertEqual(self.refused("order", "cancel", row["order_id"])["code"], "CONFLICT")

    def test_no_wait_shows_the_acknowledgement(self) -> None:
        """And nothing of what follows."""
        (row,) = self.rows("order", "submit", "buy", "1", "ACME.DEMO", "--no-wait")
        self.assertEqual(row["status"], "PENDING_NEW")

    def test_an_order_is_shown_with_its_events(self) -> None:
        """From its submission to its end."""
        (row,) = self.rows("order", "submit", "buy", "1", "ACME.DEMO")
        shown = self.spire("order", "show", row["order_id"])
        self.assertRegex(shown, r"(?s)SUBMITTED.*NEW.*TRADE +FILLED")

    def test_an_order_that_nobody_made_is_not_found(self) -> None:
        """Nor can it be cancelled."""
        self.assertEqual(self.refused("order", "show", "987654321")["code"], "NOT_FOUND")
        self.assertEqual(self.refused("order", "cancel", "987654321")["code"], "NOT_FOUND")

    def test_the_same_client_order_id_is_the_same_order(self) -> None:
        """With other content it is a conflict."""
        words = ["order", "submit", "buy", "3", "CORE.DEMO", "--limit", "0.01", "--client-order-id", "once"]
        first, second = self.rows(*words), self.rows(*words)
        self.assertEqual(first[0]["order_id"], second[0]["order_id"])
        words[3] = "4"
        self.assertEqual(self.refused(*words)["code"], "CONFLICT")
        self.rows("order", "cancel", first[0]["order_id"])

    def test_refusals_keep_their_code_and_say_what_next(self) -> None:
        """Rule by rule."""
        for code, words in (
            ("OFF_TICK", ["buy", "1", "ACME.DEMO", "--limit", "1.2345"]),
            ("ORDER_INCREMENT", ["buy", "0.5", "ACME.DEMO"]),
            ("INVALID", ["buy", "0", "ACME.DEMO"]),
            ("BUYING_POWER", ["buy", "1000000", "ACME.DEMO"]),
            ("SHORT_REQUIRED", ["sell", "1", "DUNE.DEMO"]),
            ("UNSUPPORTED", ["buy", "1", "ACME.DEMO", "--tif", "gtc"]),
            ("UNSUPPORTED", ["buy", "1", "ACME.DEMO", "--session", "overnight"]),
            ("UNSUPPORTED", ["sell_short", "1", "ACME.DEMO"]),
            ("NOT_FOUND", ["buy", "1", "NONE.DEMO"]),
            ("NOT_FOUND", ["buy", "1", "ACME.DEMO", "--account", "none"]),
        ):
            self.assertEqual(self.refused("order", "submit", *words)["code"], code, words)
        advice = self.refused("order", "submit", "sell", "1", "DUNE.DEMO")["advice"]
        self.assertIn("spire positions", advice)

    def test_the_help_offers_what_this_release_does(self) -> None:
        """And says what it refuses."""
        help_ = " ".join(self.spire("order", "submit", "--help").split())
        for words in ("{buy|sell} QUANTITY", "--tif [day|ioc|fok]", "--session [regular|extended]"):
            self.assertIn(words, help_)
        for words in ("refuses gtc, gtd, opg and cls", "refuses overnight", "refuses sell_short and sell_short_exempt"):
            self.assertIn(words, help_)

    def test_a_number_will_do_for_a_trading_account(self) -> None:
        """Of one that he may not see the server says so."""
        (made,) = self.rows("order", "submit", "buy", "1", "ACME.DEMO")
        number = made["trading_account_id"]
        (row,) = self.rows("order", "submit", "buy", "1", "ACME.DEMO", "--account", number)
        self.assertEqual((row["account"], row["trading_account_id"]), ("demo_trader", number))
        listed = self.rows("order", "list", "--all", "--account", number)
        self.assertIn(row["order_id"], [each["order_id"] for each in listed])
        self.assertEqual(self.rows("positions", "--account", number), self.rows("positions"))
        for words in (("order", "submit", "buy", "1", "ACME.DEMO"), ("positions",)):
            self.assertIn(self.refused(*words, "--account", "987654")["code"], ("FORBIDDEN", "NOT_FOUND"), words)

    def test_only_who_submits_must_say_where(self) -> None:
        """Lists are of every trading account that one sees."""
        self.admin("group", "create", "omega")
        self.admin("trader", "create", "otis", "--group", "omega")
        error = self.refused("order", "submit", "buy", "1", "ACME.DEMO", account="administrator")
        self.assertEqual(error["code"], "INVALID")
        self.rows("order", "list", account="administrator")
        for words, said in (
            (("order", "submit"), "needed where you see several"),
            (("order", "list"), "Of this trading account only"),
            (("positions",), "Of this trading account only"),
        ):
            self.assertIn(said, " ".join(self.spire(*words, "--help").split()), words)

    def test_who_sees_no_trading_account_is_told_so(self) -> None:
        """And may cancel nobody's order."""
        error = self.refused("order", "submit", "buy", "1", "ACME.DEMO", account="demo_market_data")
        self.assertEqual((error["code"], error["message"]), ("NOT_FOUND", "You see no trading account."))
        (row,) = self.rows("order", "submit", "buy", "7", "BLUE.DEMO", "--limit", "0.01")
        refusal = self.refused("order", "cancel", row["order_id"], account="demo_market_data")
        self.assertEqual(refusal["code"], "FORBIDDEN")
        self.rows("order", "cancel", row["order_id"])


class PositionTests(CommandTestCase):
    """What the account holds."""

    def test_positions_come_of_the_fills(self) -> None:
        """With their cost, and what closing them now would bring."""
        self.assertEqual(self.rows("positions"), [])
        (bought,) = self.rows("order", "submit", "buy", "100", "ACME.DEMO")
        self.rows("order", "submit", "sell", "40", "ACME.DEMO")
        (row,) = self.rows("positions")
        self.assertEqual((row["ticker"], row["quantity"], row["currency"]), ("ACME.DEMO", "60", "USD"))
        self.assertEqual(row["average_price"], bought["average_price"])
        self.assertIsNotNone(row["mark"])
        self.assertIsNotNone(row["unrealised"])

    def test_without_market_data_there_are_positions_without_marks(self) -> None:
        """And a note that says why."""
        self.rows("order", "submit", "buy", "10", "BLUE.DEMO")
        result = self.invoke("positions", account="administrator")
        self.assertEqual(result.exit_code, 0)
        self.assertIn("BLUE.DEMO", result.stdout)
        self.assertIn("Without marks: administrator is not entitled", result.stderr)
