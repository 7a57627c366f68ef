"""Entitlement grants and usage: who grants what, when it counts, and who is told."""

from typing import Any

from attrs import evolve

from spire.administration.client import LiveEntitlements
from spire.administration.values import EntitlementGrant, GrantMode, SubscriberStatus, Usage
from spire.marketdata.values import RecordType
from spire.values.audit import DONE
from spire.values.codes import Venue
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.errors import Forbidden, Invalid, NotFound, Unavailable, Unsupported
from tests.administration.room import RoomTestCase, grant_terms

XNYS = Venue("XNYS")


class EntitlementTestCase(RoomTestCase):
    """A trader without any grant."""

    def setUp(self) -> None:
        super().setUp()
        self.tess = self.person("tess", "trading_groups/demo/traders")
        self.platform.advance(0.5)

    def grant(self, account: str = "administrator", reason: str = "he pays", **changed: Any) -> Any:
        """Grant something to tess."""
        return self.client(account).grant(grant_terms(**{"account_id": self.tess, **changed}), reason)

    def after(self, seconds: float) -> Timestamp:
        """Return the time in some seconds."""
        return Timestamp(self.clock.now() + int(seconds * NANOSECONDS))


class GrantTests(EntitlementTestCase):
    """Granting and revoking."""

    def test_a_grant_counts_at_once_and_keeps_every_column(self) -> None:
        """As it was asked for, with who, when and why."""
        terms = {
            "source_venue": Venue("ARCX"),
            "record_type": RecordType.BBO,
            "mode": GrantMode.NON_DISPLAY,
            "subscriber": SubscriberStatus.NON_PROFESSIONAL,
        }
        grant: EntitlementGrant = self.run_it(self.grant(**terms))
        administrator = self.spire("administrator").account_id
        self.assertEqual(grant.terms, grant_terms(self.tess, **terms))
        self.assertEqual((grant.granted_by, grant.reason, grant.revoked), (administrator, "he pays", None))
        self.assertEqual(grant.effective_from, grant.granted)
        self.assertEqual(self.run_it(self.client("tess").grants_of(self.tess)), (grant,))
        event = self.events(action="entitlement.grant")[0]
        self.assertEqual((event.outcome, event.entity, event.reason), (DONE, f"account:{self.tess}", "he pays"))

    def test_grants_have_ids_of_their_own(self) -> None:
        """From the Uid Server."""
        ids = {self.run_it(self.grant()).grant_id for _ in range(3)}
        self.assertEqual(len(ids), 3)

    def test_only_administrators_grant_and_revoke(self) -> None:
        """Attempts are on record."""
        grant = self.run_it(self.grant())
        self.officer()
        for account in ("tess", "olga", "market_data_relay_service"):
            self.assertIsInstance(self.refusal(self.grant(account)), Forbidden)
        self.assertIsInstance(self.refusal(self.client("tess").revoke(grant.grant_id, "no")), Forbidden)
        self.assertEqual(self.outcomes("entitlement.grant"), ["FORBIDDEN"] * 3 + [DONE])
        self.assertEqual(self.outcomes("entitlement.revoke"), ["FORBIDDEN"])

    def test_all_that_befalls_a_grant_is_found_by_the_account(self) -> None:
        """Granted, refused to a stranger, revoked: of one entity, with the grant's id."""
        grant = self.run_it(self.grant())
        self.refusal(self.client("tess").revoke(grant.grant_id, "no"))
        self.run_it(self.client().revoke(grant.grant_id, "he left"))
        found = self.events(entity=f"account:{self.tess}")
        self.assertEqual(
            [(event.action, event.outcome) for event in found if event.action.startswith("entitlement.")],
            [("entitlement.revoke", DONE), ("entitlement.revoke", "FORBIDDEN"), ("entitlement.grant", DONE)],
        )
        self.assertIn(f'"grant_id": "{grant.grant_id}"', found[1].after or "")

    def refused(self, kind: type[Exception], argument: str | None, **changed: Any) -> None:
        """Check how a bad grant is refused, and that it is on record."""
        error = self.refusal(self.grant(**changed))
        self.assertIsInstance(error, kind)
        self.assertEqual(error.details.get("argument"), argument)
        self.assertEqual(self.outcomes("entitlement.grant")[0], error.coded)
        self.assertEqual(self.run_it(self.client().grants_of(self.tess)), ())

    def test_an_unknown_venue_is_invalid(self) -> None:
        """Listing or source."""
        self.refused(Invalid, "terms.listing_venue", venue="XXXX")
        self.refused(Invalid, "terms.source_venue", source_venue=Venue("XXXX"))

    def test_an_end_before_the_beginning_is_invalid(self) -> None:
        """Also where the beginning is now."""
        self.refused(Invalid, "terms.effective_to", effective_to=self.clock.now())
        self.refused(Invalid, "terms.effective_to", effective_from=self.after(9.0), effective_to=self.after(8.0))

    def test_a_time_before_1970_is_invalid(self) -> None:
        """It is none."""
        self.refused(Invalid, "terms.effective_from", effective_from=Timestamp(-1))

    def test_delayed_data_is_unsupported(self) -> None:
        """It is never taken for something else."""
        self.refused(Unsupported, "terms.mode", mode=GrantMode.DELAYED)

    def test_a_product_has_a_name(self) -> None:
        """And not a long one."""
        self.refused(Invalid, "terms.product", product="")
        self.refused(Invalid, "terms.product", product="x" * 101)

    def test_only_accounts_are_entitled(self) -> None:
        """Neither a trading account nor nobody."""
        for number in (self.book.entry_id, 999_999):
            self.assertIsInstance(self.refusal(self.grant(account_id=number)), NotFound)

    def test_a_revoked_grant_is_over_and_stays_readable(self) -> None:
        """With who, when and why; revoking it again changes nothing."""
        grant = self.run_it(self.grant())
        self.platform.advance(1.0)
        revoked = self.run_it(self.client().revoke(grant.grant_id, "he left"))
        self.platform.advance(1.0)
        again = self.run_it(self.client().revoke(grant.grant_id, "again"))
        self.assertEqual((revoked.revoke_reason, again), ("he left", revoked))
        self.assertEqual(self.run_it(self.client("tess").grants_of(self.tess)), (revoked,))
        self.assertEqual(evolve(revoked, revoked=None, revoked_by=None, revoke_reason=None), grant)
        self.assertEqual(self.outcomes("entitlement.revoke"), [DONE])

    def test_what_is_not_granted_is_not_revoked(self) -> None:
        """NOT_FOUND, on record."""
        self.assertIsInstance(self.refusal(self.client().revoke(999_999, "x")), NotFound)
        self.assertEqual(self.outcomes("entitlement.revoke"), ["NOT_FOUND"])
        self.assertEqual(self.events(action="entitlement.revoke")[0].entity, "grant:999999")

    def test_others_grants_are_not_shown(self) -> None:
        """Only an administrator sees anybody's."""
        for account in ("demo_trader", "market_data_relay_service"):
            self.assertIsInstance(self.refusal(self.client(account).grants_of(self.tess)), Forbidden)

    def test_many_grants_come_in_pages(self) -> None:
        """By id, none lost."""
        ids = [self.run_it(self.grant(reason="x" * 1000)).grant_id for _ in range(45)]
        self.assertEqual([grant.grant_id for grant in self.run_it(self.client().grants_of(self.tess))], sorted(ids))

    def test_without_the_database_nothing_is_granted_or_revoked(self) -> None:
        """UNAVAILABLE, and everybody sees what they saw."""
        grant = self.run_it(self.grant())
        self.break_store("write")
        self.assertIsInstance(self.refusal(self.grant()), Unavailable)
        self.assertIsInstance(self.refusal(self.client().revoke(grant.grant_id, "x")), Unavailable)
        self.break_store("grants_of", "grant")
        self.assertIsInstance(self.refusal(self.client().grants_of(self.tess)), Unavailable)
        self.assertIsInstance(self.refusal(self.client().revoke(grant.grant_id, "x")), Unavailable)
        self.repair_store("write", "grants_of", "grant")
        self.assertEqual(self.run_it(self.client().grants_of(self.tess)), (grant,))

    def test_without_the_uid_server_there_are_ids_in_hand(self) -> None:
        """Administration outlives it."""
        self.platform.stop("uid")
        self.assertIsNone(self.run_it(self.grant()).revoked)
        self.platform.start("uid")


class LiveTests(EntitlementTestCase):
    """Who follows grants is told at once."""

    def test_services_follow_all_grants(self) -> None:
        """What is granted counts at once, what is revoked no more."""
        live = LiveEntitlements(self.service("market_data_relay_service"), self.clock)
        self.run_it(live.when_ready())
        told: list[bool] = []
        live.on_change(lambda: told.append(live.allows(self.tess, XNYS, RecordType.TRADE)))
        grant = self.run_it(self.grant())
        self.platform.advance(0.5)
        self.run_it(self.client().revoke(grant.grant_id, "he left"))
        self.platform.advance(0.5)
        self.assertEqual(told, [True, False])
        live.close()

    def test_a_grant_begins_and_ends_by_the_clock(self) -> None:
        """Nobody has to say so."""
        live = LiveEntitlements(self.service("charting_service"), self.clock)
        self.run_it(self.grant(effective_from=self.after(60.0), effective_to=self.after(120.0)))
        seen = []
        for _ in range(3):
            seen.append(live.allows(self.tess, XNYS, RecordType.TRADE))
            self.platform.advance(61.0)
        self.assertEqual(seen, [False, True, False])
        live.close()

    def test_a_grant_is_of_its_venue_and_type(self) -> None:
        """And of nothing else."""
        live = LiveEntitlements(self.service("charting_service"), self.clock)
        self.run_it(live.when_ready())
        self.run_it(self.grant(record_type=RecordType.BBO))
        self.platform.advance(0.5)
        allowed = [
            live.allows(self.tess, Venue(venue), kind)
            for venue, kind in (("XNYS", RecordType.BBO), ("XNYS", RecordType.TRADE), ("XNAS", RecordType.BBO))
        ]
        self.assertEqual(allowed, [True, False, False])
        live.close()

    def test_everybody_follows_his_own_grants(self) -> None:
        """And nobody else's."""
        view = self.client("tess").entitlements(self.tess)
        self.run_it(view.when_ready())
        grant = self.run_it(self.grant())
        self.run_it(self.client().grant(grant_terms(self.trader.entry_id), "another"))
        self.platform.advance(0.5)
        self.assertEqual(dict(view.rows), {str(grant.grant_id): grant})
        self.run_it(self.client().revoke(grant.grant_id, "he left"))
        self.platform.advance(0.5)
        self.assertEqual(dict(view.rows), {})
        self.assertIsInstance(self.refusal(self.client("tess").entitlements().when_ready()), Forbidden)
        self.assertIsInstance(
            self.refusal(self.client("tess").entitlements(self.trader.entry_id).when_ready()), Forbidden
        )

    def test_a_server_follows_those_of_an_account_that_there_is(self) -> None:
        """Of any other number there is no topic, and none is made."""
        grant = self.run_it(self.grant())
        relay = self.service("market_data_relay_service")
        view = relay.entitlements(self.tess)
        self.run_it(view.when_ready())
        self.assertEqual(dict(view.rows), {str(grant.grant_id): grant})
        for number in (999_999, self.book.entry_id):
            self.assertIsInstance(self.refusal(relay.entitlements(number).when_ready()), NotFound)

    def test_an_administrator_follows_anybodys(self) -> None:
        """Grants that were there come first."""
        grant = self.run_it(self.grant())
        view = self.client().entitlements(self.tess)
        self.run_it(view.when_ready())
        self.assertEqual(dict(view.rows), {str(grant.grant_id): grant})


class UsageTests(EntitlementTestCase):
    """Who used what, once a day."""

    def usage(self, date: str = "2013-10-08", **changed: Any) -> Usage:
        """Return a use of XNYS's quotes by tess."""
        return Usage(
            **{"date": date, "account_id": self.tess, "listing_venue": XNYS, "record_type": RecordType.BBO, **changed}
        )

    def test_the_same_use_is_recorded_once(self) -> None:
        """Services repeat themselves."""
        relay = self.service("market_data_relay_service")
        trades = self.usage(record_type=RecordType.TRADE)
        for usage in ((self.usage(),), (self.usage(), trades), (self.usage("2013-10-09"),)):
            self.run_it(relay.record_usage(usage))
        self.assertEqual(self.run_it(self.store.usage("2013-10-08")), (trades, self.usage()))

    def test_only_who_sees_all_market_data_records_use(self) -> None:
        """On record."""
        for account in ("tess", "administrator", "compliance_service"):
            error = self.refusal(self.client(account).record_usage((self.usage(),)))
            self.assertEqual((error.coded, error.details["capability"]), ("FORBIDDEN", "market_data.all"))
        self.assertEqual(self.outcomes("usage.record"), ["FORBIDDEN"] * 3)

    def test_bad_use_is_invalid_as_a_whole(self) -> None:
        """Nothing of it is recorded."""
        relay = self.service("market_data_relay_service")
        cases = {
            "usage.date": self.usage("8 October"),
            "usage.listing_venue": self.usage(listing_venue=Venue("XXXX")),
            "usage.account_id": self.usage(account_id=0),
        }
        for argument, bad in cases.items():
            error = self.refusal(relay.record_usage((self.usage(), bad)))
            self.assertEqual(error.details["argument"], argument)
        self.assertEqual(self.refusal(relay.record_usage((self.usage(),) * 501)).details["argument"], "usage")
        self.assertEqual(self.run_it(self.store.usage("2013-10-08")), ())
