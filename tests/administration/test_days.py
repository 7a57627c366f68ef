"""Business days, identities, and the audit log."""

from typing import Any

from attrs import evolve

from spire.administration.values import BusinessDay, Profile, current_day
from spire.service.audit import audit_events
from spire.values.audit import DONE, AuditQuery
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from tests.administration.room import RoomTestCase


class DayTests(RoomTestCase):
    """The firm's day."""

    def days(self, account: str = "demo_trader") -> dict[str, BusinessDay]:
        """Return the business days as an account follows them."""
        view = self.client(account).business_days()
        self.run_it(view.when_ready())
        self.platform.advance(0.5)
        return dict(view.rows)

    def test_before_the_first_there_is_none(self) -> None:
        """The topic is empty."""
        self.assertIsNone(current_day(self.days()))

    def test_a_day_is_opened_and_closes_the_one_before(self) -> None:
        """Everybody follows them."""
        first = self.run_it(self.client().open_business_day("2013-10-07"))
        self.platform.advance(1.0)
        second = self.run_it(self.client().open_business_day("2013-10-08"))
        days = self.days()
        self.assertEqual(days, {"2013-10-07": evolve(first, closed=second.opened), "2013-10-08": second})
        self.assertEqual(current_day(days), second)
        self.assertEqual((second.opened_by, second.closed), (self.spire("administrator").account_id, None))

    def test_opening_the_current_one_again_changes_nothing(self) -> None:
        """Neither day nor audit log."""
        first = self.run_it(self.client().open_business_day("2013-10-07"))
        self.platform.advance(1.0)
        self.assertEqual(self.run_it(self.client().open_business_day("2013-10-07")), first)
        self.assertEqual(self.outcomes("day.open"), [DONE])

    def test_an_earlier_date_is_a_conflict(self) -> None:
        """With the current one; on record."""
        self.run_it(self.client().open_business_day("2013-10-08"))
        error = self.refusal(self.client().open_business_day("2013-10-07"))
        self.assertIsInstance(error, Conflict)
        self.assertEqual(error.details["business_date"], "2013-10-08")
        self.assertEqual(self.outcomes("day.open"), ["CONFLICT", DONE])

    def test_what_is_no_date_is_invalid(self) -> None:
        """ISO dates only."""
        for text in ("", "yesterday", "20131008", "2013-13-01", "2013-2-3"):
            error = self.refusal(self.client().open_business_day(text))
            self.assertEqual((error.coded, error.details["argument"]), ("INVALID", "business_date"))
        self.assertEqual(self.days(), {})

    def test_officers_and_operators_open_days_too(self) -> None:
        """As the scripts' service does."""
        self.officer()
        self.person("otto", "operators")
        for account, date in (("olga", "2013-10-07"), ("otto", "2013-10-08")):
            self.assertEqual(self.run_it(self.client(account).open_business_day(date)).business_date, date)

    def test_an_operator_opens_no_date_that_has_not_come(self) -> None:
        """It would begin everybody's profit anew; a risk officer may, a few days ahead and no further."""
        self.officer()
        self.person("otto", "operators")
        error = self.refusal(self.client("otto").open_business_day("2013-10-09"))
        self.assertEqual((error.coded, error.details["role"]), ("FORBIDDEN", "risk_officer"))
        error = self.refusal(self.client("olga").open_business_day("2013-10-16"))
        self.assertEqual((error.coded, error.details["argument"]), ("INVALID", "business_date"))
        error = self.refusal(self.client("olga").open_business_day("9999-12-31"))
        self.assertEqual(error.coded, "INVALID")
        self.assertEqual(self.days(), {})
        self.assertEqual(self.run_it(self.client("olga").open_business_day("2013-10-15")).business_date, "2013-10-15")

    def test_the_capability_opens_days(self) -> None:
        """Whoever holds it, whatever his role."""
        tess = self.person("tess", "trading_groups/demo/traders")
        self.run_it(self.spire("administrator").link.calls.set_capabilities(tess, ("day.open",)))
        self.platform.advance(0.5)
        day = self.run_it(self.client("tess").open_business_day("2013-10-08"))
        self.assertEqual((day.business_date, day.opened_by), ("2013-10-08", tess))
        self.assertEqual((self.days(), self.outcomes("day.open")), ({"2013-10-08": day}, [DONE]))

    def test_nobody_else_opens_days(self) -> None:
        """On record."""
        for account in ("demo_trader", "risk_service"):
            self.assertIsInstance(self.refusal(self.client(account).open_business_day("2013-10-08")), Forbidden)
        self.assertEqual(self.outcomes("day.open"), ["FORBIDDEN", "FORBIDDEN"])

    def test_without_the_database_no_day_begins(self) -> None:
        """UNAVAILABLE, and the next attempt works."""
        self.break_store("write")
        self.assertIsInstance(self.refusal(self.client().open_business_day("2013-10-08")), Unavailable)
        self.repair_store("write")
        self.run_it(self.client().open_business_day("2013-10-08"))

    def test_a_day_that_another_server_opened_is_taken_over(self) -> None:
        """The answer is the other's, and nothing is written twice."""
        day = self.run_it(self.client().open_business_day("2013-10-07"))
        event = evolve(self.events(action="day.open")[0], event_id="f" * 32)
        other = evolve(day, business_date="2013-10-08")
        self.run_it(self.store.write(other, event))
        self.assertEqual(self.run_it(self.client().open_business_day("2013-10-08")), other)


class IdentityTests(RoomTestCase):
    """Who people are."""

    PROFILE = Profile(first_name="Tess", last_name="Trüeb", e_mail="tess@firm.example", country="CH", notes="desk 7")

    def store_profile(self, account: str = "administrator", expected_version: int = 0, **changed: Any) -> Any:
        """Write the demo trader's profile."""
        profile = evolve(self.PROFILE, **changed)
        return self.client(account).store_identity(self.trader.entry_id, profile, expected_version)

    def test_a_profile_is_written_and_read(self) -> None:
        """By an administrator; he himself reads it."""
        identity = self.run_it(self.store_profile())
        self.assertEqual((identity.profile, identity.version), (self.PROFILE, 1))
        self.assertEqual(self.run_it(self.client("demo_trader").identity(self.trader.entry_id)), identity)
        view = self.client().identities()
        self.run_it(view.when_ready())
        self.assertEqual(dict(view.rows), {str(self.trader.entry_id): identity})

    def test_administrators_and_auditors_see_who_people_are(self) -> None:
        """No risk officer, no server, nobody else."""
        identity = self.run_it(self.store_profile())
        self.person("audrey", "auditors")
        auditor = self.client("audrey")
        view = auditor.identities()
        self.run_it(view.when_ready())
        self.assertEqual(dict(view.rows), {str(self.trader.entry_id): identity})
        self.assertEqual(self.run_it(auditor.identity(self.trader.entry_id)), identity)
        self.officer()
        for account in ("olga", "risk_service", "operations_service"):
            client = self.client(account)
            self.assertIsInstance(self.refusal(client.identities().when_ready()), Forbidden, account)
            self.assertIsInstance(self.refusal(client.identity(self.trader.entry_id)), Forbidden, account)

    def test_without_one_there_is_none(self) -> None:
        """Absent, not empty."""
        self.assertIsNone(self.run_it(self.client().identity(self.trader.entry_id)))

    def test_a_stale_version_is_a_conflict(self) -> None:
        """With the one in force."""
        self.run_it(self.store_profile())
        self.assertEqual(self.refusal(self.store_profile(city="Bern")).details["version"], "1")
        self.assertEqual(self.run_it(self.store_profile(expected_version=1, city="Bern")).profile.city, "Bern")

    def test_bad_profiles_are_invalid(self) -> None:
        """Too long, or of a country that is none."""
        for field, text in (("first_name", "x" * 201), ("notes", "x" * 4_001), ("country", "XX"), ("country", "CHE")):
            error = self.refusal(self.store_profile(**{field: text}))
            self.assertEqual((error.coded, error.details["argument"]), ("INVALID", f"profile.{field}"))
        self.assertEqual(self.outcomes("identity.store"), ["INVALID"] * 4)

    def test_only_administrators_write_and_read_others(self) -> None:
        """Nobody writes his own."""
        self.officer()
        self.assertIsInstance(self.refusal(self.store_profile("demo_trader")), Forbidden)
        self.assertIsInstance(self.refusal(self.store_profile("olga")), Forbidden)
        self.assertIsInstance(self.refusal(self.client("olga").identity(self.trader.entry_id)), Forbidden)

    def test_only_accounts_have_one(self) -> None:
        """A trading account has none."""
        number = self.book.entry_id
        self.assertIsInstance(self.refusal(self.client().store_identity(number, self.PROFILE, 0)), NotFound)
        self.assertIsInstance(self.refusal(self.client().identity(number)), NotFound)


class AuditTests(RoomTestCase):
    """Who reads the audit log."""

    def read(self, account: str) -> Any:
        """Read the log as somebody."""
        return audit_events(self.client(account).session, AuditQuery())

    def test_auditors_and_administrators_read_it(self) -> None:
        """And nobody else."""
        self.person("aud", "auditors")
        self.officer()
        for account in ("administrator", "aud"):
            self.assertTrue(self.run_it(self.read(account))[0])
        for account in ("olga", "demo_trader", "risk_service"):
            self.assertIsInstance(self.refusal(self.read(account)), Forbidden)

    def test_without_the_database_it_cannot_be_read(self) -> None:
        """An error, not an empty page."""
        self.break_store("audit")
        self.assertIsInstance(self.refusal(self.read("administrator")), Unavailable)

    def test_a_query_that_does_not_parse_is_invalid(self) -> None:
        """As any argument."""
        query = AuditQuery(limit="many")  # type: ignore[arg-type]
        self.assertIsInstance(self.refusal(audit_events(self.client().session, query)), Invalid)
