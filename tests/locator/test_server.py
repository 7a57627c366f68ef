"""The directory's commands, over the wire, with their rights."""

from attrs import evolve

from spire.locator.client import Link, LocatorLink
from spire.locator.credentials import Password
from spire.locator.values import ROOT_ID, AccountKind, Right, TradingAccountTerms, TradingAccountType
from spire.values.orders import Capacity
from spire.wire.errors import Conflict, CredentialsRefused, Forbidden, Invalid, NotFound, Unavailable
from spire.wire.identity import Provider
from tests.locator.room import ADMINISTRATOR, TRADER, LocatorTestCase

KIM = Password(account="kim", password="correct horse battery")
TERMS = TradingAccountTerms(
    type=TradingAccountType.CUSTOMER,
    firm_designated_id="kim-1",
    base_currency="EUR",
    default_capacity=Capacity.AGENCY,
    client_identifier="5493001KJTIIGC8Y1R12",
    aggregation_unit="desk 7",
    short_marking_exempt=True,
)


class DirectoryCommandTests(LocatorTestCase):
    """An administrator builds the directory; others only within their rights."""

    def setUp(self) -> None:
        super().setUp()
        self.calls = self.link(ADMINISTRATOR).calls

    def at(self, path: str) -> int:
        """Return the id of what stands at a path."""
        return int(self.wait(self.calls.find(path)).entry_id)

    def make_kim(self) -> int:
        """Make a trader."""
        parent = self.at("trading_groups/demo/traders")
        return int(self.wait(self.calls.make_account(KIM.account, parent, AccountKind.PERSON, KIM.password)))

    def test_a_new_account_logs_in(self) -> None:
        """With its role, at once."""
        kim = self.make_kim()
        link = self.link(KIM)
        self.assertEqual((link.login.account_id, link.login.account), (kim, "kim"))

    def test_an_account_needs_a_good_password_and_a_free_name(self) -> None:
        """Nothing is made otherwise."""
        parent = self.at("trading_groups/demo/traders")
        self.error(Invalid, self.calls.make_account("kim", parent, AccountKind.PERSON, "short"))
        self.error(Conflict, self.calls.make_account("Demo", parent, AccountKind.PERSON, KIM.password))
        self.error(Invalid, self.calls.make_account("k/im", parent, AccountKind.PERSON, KIM.password))
        self.error(NotFound, self.calls.find("trading_groups/demo/traders/kim"))

    def test_a_trader_makes_no_accounts(self) -> None:
        """He lacks ADMINISTRATE on the parent."""
        parent = self.at("trading_groups/demo/traders")
        trader = self.link(TRADER).calls
        error = self.error(Forbidden, trader.make_account("kim", parent, AccountKind.PERSON, KIM.password))
        self.assertEqual(error.details["right"], "ADMINISTRATE")

    def test_a_new_trading_account_keeps_all_its_fields(self) -> None:
        """Through wire and store, and its trader finds it."""
        kim = self.make_kim()
        accounts = self.at("trading_groups/demo/accounts")
        made = self.wait(self.calls.make_trading_account("kim", accounts, TERMS, kim))
        (entry,) = self.wait(self.link(KIM).calls.trading_accounts())
        self.assertEqual((entry.entry_id, entry.terms), (made, TERMS))

    def test_the_fields_of_a_trading_account_are_changed(self) -> None:
        """By who administers it."""
        accounts = self.at("trading_groups/demo/accounts")
        made = self.wait(self.calls.make_trading_account("kim", accounts, TERMS))
        changed = evolve(TERMS, type=TradingAccountType.ERROR, aggregation_unit=None)
        self.wait(self.calls.set_terms(made, changed))
        self.assertEqual(self.wait(self.calls.load(made))[0].terms, changed)

    def test_entries_move_and_take_other_names(self) -> None:
        """Associate, detach, rename."""
        kim = self.make_kim()
        managers, traders = self.at("trading_groups/demo/managers"), self.at("trading_groups/demo/traders")
        self.wait(self.calls.associate(kim, managers))
        self.wait(self.calls.detach(kim, traders))
        self.wait(self.calls.rename(kim, "kimberly"))
        self.assertEqual(self.wait(self.calls.load(kim))[1], ("/trading_groups/demo/managers/kimberly",))
        self.error(CredentialsRefused, self.link(KIM, ready=False).when_ready(20.0))
        self.assertTrue(self.link(evolve(KIM, account="kimberly")).is_ready)

    def test_a_manager_cannot_pull_a_foreign_account_under_his_rights(self) -> None:
        """MOVE on the directory is not enough: he would gain MANAGE over the account's entries."""
        kim = self.make_kim()
        demo = self.at("trading_groups/demo")
        self.wait(self.calls.grant(kim, demo, Right.READ | Right.MOVE | Right.MANAGE))
        victim = self.at("administrators/administrator")
        manager = self.link(KIM).calls
        self.error(Forbidden, manager.associate(victim, self.at("trading_groups/demo/traders")))

    def test_a_grant_opens_and_closes(self) -> None:
        """What another trader may see follows the grant."""
        kim = self.make_kim()
        entry = self.at("trading_groups/demo/accounts/demo")
        trader = self.link(KIM).calls
        self.assertEqual(self.wait(trader.trading_accounts()), [])
        self.wait(self.calls.grant(kim, entry, Right.VIEW))
        self.assertEqual([e.entry_id for e in self.wait(trader.trading_accounts())], [entry])
        self.wait(self.calls.grant(kim, entry, Right.NONE))
        self.assertEqual(self.wait(trader.trading_accounts()), [])

    def test_an_unknown_right_is_invalid(self) -> None:
        """A number that is no set of rights changes nothing."""
        self.error(Invalid, self.calls.grant(self.make_kim(), ROOT_ID, Right(128)))

    def test_without_the_database_nothing_changes(self) -> None:
        """UNAVAILABLE, and the directory is as before."""
        restore = self.break_store("write_directory")
        self.error(Unavailable, self.calls.make_directory("desk", ROOT_ID))
        self.error(NotFound, self.calls.find("desk"))
        restore()
        self.wait(self.calls.make_directory("desk", ROOT_ID))
        self.assertEqual(self.wait(self.calls.find("desk")).name, "desk")

    def test_changes_that_come_together_all_happen(self) -> None:
        """One after the other, each checked against the one before."""
        made = [self.calls.make_directory(f"desk-{number}", ROOT_ID) for number in range(5)]
        ids = [self.wait(one) for one in made]
        self.assertEqual(len(set(ids)), 5)

    def test_an_account_that_another_locator_made_is_logged_in_here(self) -> None:
        """Its row is read when it is needed, or the answer is to try again."""
        self.start_locator("locator-2:20000")
        there = self.link(ADMINISTRATOR, ("locator-2:20000",)).calls
        parent = self.at("trading_groups/demo/traders")
        self.wait(there.make_account(KIM.account, parent, AccountKind.PERSON, KIM.password))
        self.assertTrue(self.link(KIM).is_ready)


class OverloadTests(LocatorTestCase):
    """What could be asked without end is bounded."""

    def test_following_ever_more_services_is_refused(self) -> None:
        """A topic costs memory, also where nobody offers the service."""
        link = self.link(TRADER)
        views = [link.session.subscriptions.state(f"providers/s{number}", Provider) for number in range(1_001)]
        self.pump(1.0)
        self.assertEqual([view.topic for view in views if not view.is_ready], ["providers/s1000"])

    def test_names_that_nobody_reads_any_more_make_room(self) -> None:
        """Whoever left took nothing away for good."""
        self.follow_made_up_names(self.link(TRADER))
        self.wait(self.links.pop().stop())
        self.pump(1.0)
        self.follow_made_up_names(self.link(TRADER), "other")

    def test_a_service_registers_and_is_found_however_many_names_are_followed(self) -> None:
        """One of the platform's own, and another; the platform's may also be waited for, any other name may not."""
        self.follow_made_up_names(self.link(TRADER))
        uid = self.research_link()
        client = self.link(ADMINISTRATOR)
        for service in ("uid_service", "research"):
            self.wait(uid.register(service, ("uid:1",), {}))
            self.assertEqual(self.offered(client, service), [("uid:1",)])
        self.assertEqual(self.offered(client, "charting_service"), [])
        unheard_of = client.session.subscriptions.state("providers/unheard_of", Provider)
        self.pump(1.0)
        self.assertFalse(unheard_of.is_ready)

    def test_a_service_that_was_waited_for_is_not_forgotten_with_made_up_names(self) -> None:
        """It registered at last, and nobody reads its topic when room is made."""
        waiting = self.link(TRADER)
        self.assertEqual(self.offered(waiting, "research"), [])
        self.wait(self.research_link().register("research", ("uid:1",), {}))
        self.wait(waiting.stop())
        client = self.link(TRADER)
        self.follow_made_up_names(client)
        client.session.subscriptions.state("providers/unheard_of", Provider)
        self.pump(1.0)
        self.assertEqual(self.offered(self.link(ADMINISTRATOR), "research"), [("uid:1",)])

    def test_a_refused_registration_leaves_nothing_behind(self) -> None:
        """A provider that fits no row is neither located nor in the way when its session ends."""
        uid = self.service_link("uid_service")
        self.error(Invalid, uid.register("uid_service", ("uid:1",), {"a": "x" * 61_000}))
        self.assertEqual(self.wait(uid.calls.locate("uid_service")), ())
        self.wait(uid.register("uid_service", ("uid:1",), {}))
        self.assertEqual(len(self.wait(uid.calls.locate("uid_service"))), 1)

    def research_link(self) -> LocatorLink:
        """Return the link of a server that may register a service that is none of the platform's."""
        link = self.service_link("uid_service")
        rights = ("service.register:uid_service", "service.register:research")
        self.wait(self.link(ADMINISTRATOR).calls.set_capabilities(link.login.account_id, rights))
        self.pump(5.0)
        self.wait(link.when_ready(20.0))
        return link

    def offered(self, link: Link, service: str) -> list[tuple[str, ...]]:
        """Return the addresses of a service, as the topic has them."""
        view = link.session.subscriptions.state(f"providers/{service}", Provider)
        self.wait(view.when_ready())
        return [row.addresses for row in view.rows.values()]

    def follow_made_up_names(self, link: Link, prefix: str = "made_up") -> None:
        """Follow as many services that nobody offers as may be."""
        states = link.session.subscriptions.state
        views = [states(f"providers/{prefix}_{number}", Provider) for number in range(1_000)]
        self.pump(1.0)
        self.assertEqual([view.topic for view in views if not view.is_ready], [])

    def test_a_service_name_has_plain_letters(self) -> None:
        """Anything else names no topic."""
        link = self.link(TRADER)
        for name in ("providers/", "providers/A", "providers/a b", "providers/../x", "providers/" + "a" * 65, "x"):
            self.error(NotFound, link.session.subscriptions.state(name, Provider).when_ready())
