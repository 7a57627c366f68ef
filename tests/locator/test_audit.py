"""The Locator's audit log: who changed what in the directory, and who tried."""

from typing import Any

from spire.locator.credentials import Password
from spire.locator.values import ROOT_ID, AccountKind, EntryRights, Right
from spire.service.audit import audit_events
from spire.values.audit import DONE, AuditEvent, AuditQuery, Origin
from spire.values.orders import Channel
from spire.wire.arguments import decode, encode
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from tests.locator.room import ADMINISTRATOR, TRADER, LocatorTestCase
from tests.locator.test_server import KIM, TERMS

MANAGES = int(Right.READ | Right.VIEW | Right.MANAGE)
PORTAL = Origin(session="administration-1", channel=Channel.PORTAL, source="10.1.2.3:5000", client_version="7.1")


def origin_in(event: AuditEvent) -> Origin:
    """Return from where somebody acted, as an event has it."""
    return Origin(
        session=event.session, channel=event.channel, source=event.source, client_version=event.client_version
    )


class AuditTests(LocatorTestCase):
    """Every change of the directory, and every refused attempt, is on record."""

    def setUp(self) -> None:
        super().setUp()
        self.administrator = self.link(ADMINISTRATOR)
        self.calls = self.administrator.calls

    def events(self, **query: Any) -> list[AuditEvent]:
        """Return the newest events but those of set-up."""
        events, _ = self.wait(audit_events(self.administrator.session, AuditQuery(**query)))
        return [event for event in events if event.actor_name != "setup"]

    def at(self, path: str) -> int:
        """Return the id of what stands at a path."""
        return int(self.wait(self.calls.find(path)).entry_id)

    def make_kim(self) -> int:
        """Make a trader."""
        parent = self.at("trading_groups/demo/traders")
        return int(self.wait(self.calls.make_account(KIM.account, parent, AccountKind.PERSON, KIM.password)))

    def test_a_new_account_is_on_record_without_its_password(self) -> None:
        """What was made, by whom, from where, as which version."""
        kim = self.make_kim()
        (event,) = self.events()
        self.assertEqual((event.action, event.entity, event.outcome), ("account.make", f"account:{kim}", DONE))
        self.assertEqual((event.actor_name, event.before), ("administrator", None))
        self.assertIn('"name": "kim"', event.after or "")
        self.assertEqual(event.entity_version, 2)
        for text in (event.session, event.source, event.client_version, event.correlation_id):
            self.assertTrue(text)
        self.assertFalse(any(KIM.password in str(each) for each in self.wait(self.store.audit(AuditQuery()))[0]))

    def test_each_kind_of_change_is_on_record(self) -> None:
        """With what was before and what is after."""
        kim = self.make_kim()
        book = self.wait(self.calls.make_trading_account("kim", self.at("trading_groups/demo/accounts"), TERMS, kim))
        desk = self.wait(self.calls.make_directory("desk", ROOT_ID))
        managers = self.at("trading_groups/demo/managers")
        for change in (
            self.calls.associate(kim, managers),
            self.calls.detach(kim, managers),
            self.calls.rename(kim, "kimberly"),
            self.calls.remove(desk),
            self.calls.grant(kim, book, Right.VIEW),
            self.calls.set_capabilities(kim, ("orders.verify",)),
            self.calls.change_password(kim, "another good password"),
            self.calls.disable(book),
            self.calls.disable(book, disabled=False),
        ):
            self.wait(change)
        self.assertEqual(
            [event.action for event in reversed(self.events())],
            [
                "account.make",
                "trading_account.make",
                "directory.make",
                "entry.associate",
                "entry.detach",
                "entry.rename",
                "entry.remove",
                "entry.grant",
                "account.set_capabilities",
                "password.change",
                "entry.disable",
                "entry.enable",
            ],
        )
        removed = self.events(action="entry.remove")[0]
        self.assertEqual((removed.entity, removed.after), (f"directory:{desk}", None))
        renamed = self.events(action="entry.rename")[0]
        self.assertIn('"kim"', renamed.before or "")
        self.assertIn('"kimberly"', renamed.after or "")

    def test_another_signing_key_is_on_record(self) -> None:
        """With the one before."""
        former = self.wait(self.store.signing_keys())[0].key_id
        made = self.wait(self.calls.rotate_signing_key())
        (event,) = self.events(action="signing_key.rotate")
        self.assertEqual((event.before, event.after, event.outcome), (former, made, DONE))

    def test_a_change_that_is_so_already_leaves_no_event(self) -> None:
        """Nothing happened."""
        kim = self.make_kim()
        self.wait(self.calls.associate(kim, self.at("trading_groups/demo/traders")))
        self.assertEqual([event.action for event in self.events()], ["account.make"])

    def test_refused_attempts_are_on_record(self) -> None:
        """With code, reason and what was asked; the directory is as before."""
        demo = self.at("trading_groups/demo/traders/demo")
        trader = self.link(TRADER).calls
        parent = self.at("trading_groups/demo/traders")
        self.error(Forbidden, trader.make_directory("desk", ROOT_ID))
        self.error(Forbidden, trader.set_capabilities(demo, ("market_data.all",)))
        self.error(Conflict, self.calls.make_account("Demo", parent, AccountKind.PERSON, KIM.password))
        self.error(Invalid, self.calls.make_account("kim", parent, AccountKind.PERSON, "tiny-pw"))
        self.error(NotFound, self.calls.rename(9_999, "x"))
        self.error(Invalid, trader.change_password(demo, KIM.password, "not his password"))
        self.assertEqual(
            [(event.action, event.outcome) for event in reversed(self.events())],
            [
                ("directory.make", "FORBIDDEN"),
                ("account.set_capabilities", "FORBIDDEN"),
                ("account.make", "CONFLICT"),
                ("account.make", "INVALID"),
                ("entry.rename", "NOT_FOUND"),
                ("password.change", "INVALID"),
            ],
        )
        refused = self.events(action="directory.make")[0]
        self.assertEqual((refused.actor_name, refused.entity, refused.after), ("demo", "directory:desk", "in 1"))
        self.assertIn("ADMINISTRATE", refused.text or "")
        stored = str(self.wait(self.store.audit(AuditQuery()))[0])
        self.assertFalse("tiny-pw" in stored or "not his password" in stored)

    def test_without_the_database_there_is_neither_change_nor_event(self) -> None:
        """One transaction."""
        restore = self.break_store("write_directory")
        self.error(Unavailable, self.calls.make_directory("desk", ROOT_ID))
        restore()
        self.assertEqual(self.events(), [])

    def test_only_auditors_and_administrators_read_it(self) -> None:
        """A trader learns nothing; without the database nobody does."""
        trader = self.link(TRADER)
        self.error(Forbidden, audit_events(trader.session, AuditQuery()))
        self.break_store("audit")
        self.error(Unavailable, audit_events(self.administrator.session, AuditQuery()))

    def test_set_up_is_on_record(self) -> None:
        """By nobody's account."""
        events, _ = self.wait(self.store.audit(AuditQuery(action="directory.set_up", limit=200)))
        self.assertEqual({(event.actor, event.actor_name) for event in events}, {(None, "setup")})
        self.assertIn("account:", " ".join(event.entity for event in events))

    def test_a_long_log_is_read_in_pages(self) -> None:
        """Each fits an answer; none is lost between them."""
        for number in range(60):
            self.error(Invalid, self.calls.make_directory(f"{number}/" + "x" * 90, ROOT_ID))
            self.clock.advance(1.0)
        found: list[AuditEvent] = []
        before: int | None = None
        while len(found) < 60:
            query = AuditQuery(before=before, limit=200, action="directory.make")
            events, before = self.wait(audit_events(self.administrator.session, query))
            found += events
        self.assertEqual([event.entity.split("/")[0] for event in found], [f"directory:{n}" for n in range(59, -1, -1)])


class TogetherTests(LocatorTestCase):
    """Groups and people, over the wire, for somebody."""

    def setUp(self) -> None:
        super().setUp()
        self.administrator = self.link(ADMINISTRATOR)
        self.calls = self.service_link("administration_service").calls
        self.person = self.administrator.login.account_id

    def events(self) -> list[AuditEvent]:
        """Return the newest events but those of set-up, oldest first."""
        events, _ = self.wait(audit_events(self.administrator.session, AuditQuery()))
        return [event for event in reversed(events) if event.actor_name != "setup"]

    def test_a_group_is_one_change_with_four_events(self) -> None:
        """Each names the service and the person."""
        ids = self.wait(self.calls.make_group("desk", on_behalf_of=self.person))
        events = self.events()
        self.assertEqual([event.entity for event in events], [f"directory:{number}" for number in ids])
        told = {(event.actor_name, event.on_behalf_of, event.entity_version) for event in events}
        self.assertEqual(told, {("administration_service", self.person, 2)})

    def test_a_trader_logs_in_and_trades_his_account(self) -> None:
        """Made in one change."""
        _, _, traders, accounts = self.wait(self.calls.make_group("desk"))
        account_id, book = self.wait(
            self.calls.make_person("kim", KIM.password, (traders,), book=(accounts, TERMS), on_behalf_of=self.person)
        )
        link = self.link(KIM)
        self.assertEqual(link.login.account_id, account_id)
        self.assertEqual([entry.entry_id for entry in self.wait(link.calls.trading_accounts())], [book])
        self.assertEqual({event.entity_version for event in self.events()[4:]}, {3})

    def test_a_weak_password_makes_nobody(self) -> None:
        """Neither account nor trading account; on record without it."""
        _, _, traders, accounts = self.wait(self.calls.make_group("desk"))
        self.error(Invalid, self.calls.make_person("kim", "kim", (traders,), book=(accounts, TERMS)))
        self.error(NotFound, self.administrator.calls.find("trading_groups/desk/accounts/kim"))
        self.assertEqual((self.events()[-1].action, self.events()[-1].outcome), ("person.make", "INVALID"))

    def test_a_move_takes_rights_and_sessions_along(self) -> None:
        """The role that goes closes what was open by it; the reason is on record."""
        group, managers, traders, _ = self.wait(self.calls.make_group("desk"))
        manages = (EntryRights(entry_id=group, rights=MANAGES),)
        kim, book = self.wait(self.calls.make_person("kim", KIM.password, (managers,), grants=manages))
        self.assertIsNone(book)
        self.assertEqual(self.wait(self.link(KIM).calls.load(kim))[1], ("/trading_groups/desk/managers/kim",))
        nothing = (EntryRights(entry_id=group, rights=0),)
        self.wait(
            self.calls.move_account(kim, add=(traders,), remove=(managers,), grants=nothing, reason="he asked for it")
        )
        entry, paths, _ = self.wait(self.administrator.calls.load(kim))
        self.assertEqual((paths, entry.grants), (("/trading_groups/desk/traders/kim",), ()))
        moved = [event for event in self.events() if event.action == "account.move"]
        self.assertEqual({event.reason for event in moved}, {"he asked for it"})
        self.assertEqual({event.entity for event in moved}, {f"account:{kim}", f"directory:{group}"})

    def test_the_log_holds_from_where_the_person_acts(self) -> None:
        """As the service tells, which stays the actor; of each change, and of an attempt that is refused."""
        _, managers, traders, _ = self.wait(self.calls.make_group("desk", on_behalf_of=self.person, origin=PORTAL))
        kim, _ = self.wait(
            self.calls.make_person("kim", KIM.password, (traders,), on_behalf_of=self.person, origin=PORTAL)
        )
        self.wait(self.calls.move_account(kim, add=(managers,), on_behalf_of=self.person, origin=PORTAL))
        self.error(Conflict, self.calls.make_group("desk", on_behalf_of=self.person, origin=PORTAL))
        events = self.events()
        self.assertEqual({origin_in(event) for event in events}, {PORTAL})
        self.assertEqual({event.actor_name for event in events}, {"administration_service"})
        self.assertEqual(
            [(event.action, event.outcome) for event in events[4:]],
            [("person.make", DONE), ("account.move", DONE), ("group.make", "CONFLICT")],
        )

    def test_without_an_origin_the_log_holds_the_services_session(self) -> None:
        """A service of the release before tells none."""
        self.wait(self.calls.make_group("desk", on_behalf_of=self.person))
        self.wait(self.calls.make_group("floor"))
        sessions = {event.session for event in self.events()}
        self.assertEqual(len(sessions), 1)
        self.assertNotIn(PORTAL.session, sessions)

    def test_an_origin_is_of_somebody(self) -> None:
        """INVALID without him; the log holds the caller's own session."""
        error = self.error(Invalid, self.calls.make_group("desk", origin=PORTAL))
        self.assertEqual(error.details["argument"], "origin")
        event = self.events()[-1]
        self.assertEqual((event.outcome, event.on_behalf_of), ("INVALID", None))
        self.assertNotEqual(event.session, PORTAL.session)

    def test_nobody_is_believed_who_may_not_act_for_others(self) -> None:
        """His attempt is on record with his own session."""
        self.error(Forbidden, self.administrator.calls.make_group("desk", on_behalf_of=self.person, origin=PORTAL))
        event = self.events()[-1]
        self.assertEqual(event.outcome, "FORBIDDEN")
        self.assertNotIn(event.session, ("", PORTAL.session))
        self.assertNotEqual(event.source, PORTAL.source)

    def test_an_origin_has_its_bounds(self) -> None:
        """What would not fit the log is refused where it is read; a client may tell no version."""
        plain = {"session": "s", "channel": 1, "source": "host:1"}
        self.assertEqual(decode(Origin, encode(plain)), Origin(session="s", channel=Channel.AMP, source="host:1"))
        for bad in ({"session": "s" * 101}, {"source": "s" * 256}, {"client_version": "s" * 129}, {"channel": 99}):
            self.assertRaises(Invalid, decode, Origin, encode(plain | bad))

    def test_a_person_acts_on_nobodys_behalf(self) -> None:
        """Only services may say that they act for somebody; the attempt is on record."""
        self.error(Forbidden, self.administrator.calls.make_group("desk", on_behalf_of=self.person))
        self.assertEqual(self.events()[-1].outcome, "FORBIDDEN")

    def test_a_trader_makes_no_group(self) -> None:
        """He lacks the right."""
        trader = self.link(Password(account=TRADER.account, password=TRADER.password))
        self.error(Forbidden, trader.calls.make_group("desk"))
        self.error(NotFound, self.administrator.calls.find("trading_groups/desk"))
