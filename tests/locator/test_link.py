"""Links of servers and people: finding services, being found, and rights that are withdrawn live."""

from collections.abc import Callable
from typing import Any

from twisted.protocols.amp import CommandLocator, IResponderLocator
from zope.interface import implementer
from zope.interface.verify import verifyObject

from spire.locator.client import Link, LocatorLink
from spire.locator.commands import Register
from spire.locator.providers import REMEMBERED_SECONDS
from spire.locator.values import DIRECTORY, AccountKind, Entry, Right
from spire.service.interfaces import ILocator
from spire.values.environment import Environment
from spire.wire.client_session import ClientSession
from spire.wire.errors import Conflict, CredentialsRefused, Forbidden, NotFound, Unavailable
from spire.wire.interfaces import IAvatars, ITicketVerifier
from spire.wire.server_session import ServerFactory, Session
from tests.locator.room import ADDRESS, ADMINISTRATOR, TRADER, LocatorTestCase
from tests.locator.test_server import KIM

UID_ADDRESS = "uid:20900"
SECOND = "locator-2:20000"


@implementer(IAvatars)
class Empty:
    """A service that can do nothing but let people in."""

    def anonymous(self, session: Session) -> IResponderLocator:
        """Nothing."""
        return CommandLocator()

    def avatar(self, session: Session) -> IResponderLocator:
        """Nothing."""
        return CommandLocator()

    def closed(self, session: Session) -> None:
        """Nothing to forget."""


class LinkTestCase(LocatorTestCase):
    """A Locator, and a uid service that trusts it."""

    def serve(self, link: LocatorLink) -> ServerFactory:
        """Let a service listen and register."""
        factory = ServerFactory(
            service="uid_service",
            instance_id="uid-1",
            epoch=1,
            environment=Environment.DEMO,
            avatars=Empty(),
            verifier=link,
            clock=self.clock,
            tasks=self.tasks,
            metrics=self.metrics,
        )
        link.guard(factory)
        self.wait(self.network.listen(UID_ADDRESS, "uid_service", factory))
        self.wait(link.register("uid_service", (UID_ADDRESS,), {"a": "b"}))
        return factory

    def client(self, link: Link) -> ClientSession:
        """Return a session with the uid service, under a link's account."""
        session = ClientSession(
            "uid_service",
            addresses=link,
            connector=self.network,
            credentials=link.credentials,
            environment=Environment.DEMO,
            clock=self.clock,
            tasks=self.tasks,
            metrics=self.metrics,
            chance=lambda: 0.0,
        )
        session.start()
        return session


class ServiceLinkTests(LinkTestCase):
    """A server follows what it needs to decide by itself."""

    def test_it_is_what_servers_are_given(self) -> None:
        """The link provides the service floor's interfaces."""
        link = self.service_link("uid_service")
        self.assertTrue(verifyObject(ILocator, link))
        self.assertTrue(verifyObject(ITicketVerifier, link))

    def test_the_directory_is_here(self) -> None:
        """Whole, with rights that can be asked at once."""
        directory = self.service_link("uid_service").directory
        trader = directory.account("demo")
        trading_account = directory.find("trading_groups/demo/accounts/demo")
        assert trader is not None
        assert trading_account is not None
        self.assertTrue(directory.holds(trader.entry_id, Right.TRADE, trading_account.entry_id))

    def test_the_directory_is_live(self) -> None:
        """A change is here a moment after it was made."""
        directory = self.service_link("uid_service").directory
        calls = self.link(ADMINISTRATOR).calls
        traders = self.wait(calls.find("trading_groups/demo/traders"))
        desk = self.wait(calls.make_directory("desk", traders.entry_id))
        self.pump(0.1)
        self.assertIsNotNone(directory.find("trading_groups/demo/traders/desk"))
        self.wait(calls.remove(desk))
        self.pump(0.1)
        self.assertNotIn(desk, directory)

    def test_a_client_logs_in_to_a_service_without_asking_the_locator(self) -> None:
        """The Locator is gone, and the ticket is enough."""
        factory = self.serve(self.service_link("uid_service"))
        link = self.link(TRADER)
        self.wait(link.addresses("uid_service"))
        self.wait(link.login.ticket())
        self.kill_locator()
        session = self.client(link)
        self.wait(session.when_ready(10.0))
        self.assertEqual([s.identity.account for s in factory.sessions], ["demo"])

    def test_a_session_outlives_many_tickets(self) -> None:
        """Each renewal lengthens it, without a new login."""
        factory = self.serve(self.service_link("uid_service"))
        session = self.client(self.link(TRADER))
        self.wait(session.when_ready(10.0))
        (served,) = factory.sessions
        self.pump(3_600.0)
        self.assertEqual((list(factory.sessions), session.is_ready), ([served], True))

    def test_without_a_locator_a_session_lasts_an_hour(self) -> None:
        """Then it ends, because nobody could say that it still may be."""
        factory = self.serve(self.service_link("uid_service"))
        session = self.client(self.link(TRADER))
        self.wait(session.when_ready(10.0))
        self.kill_locator()
        self.pump(310.0)
        self.jump(2_600.0)
        self.pump(30.0)
        self.assertEqual(len(factory.sessions), 1)
        self.jump(1_000.0)
        self.pump(30.0)
        self.assertEqual(len([s for s in factory.sessions if s.is_authenticated]), 0)


class WithdrawalTests(LinkTestCase):
    """What is withdrawn takes effect in open sessions at once."""

    def setUp(self) -> None:
        super().setUp()
        self.factory = self.serve(self.service_link("uid_service"))
        self.trader = self.link(TRADER)
        self.session = self.client(self.trader)
        self.wait(self.session.when_ready(10.0))
        self.administrator = self.link(ADMINISTRATOR)

    def accounts(self) -> list[str]:
        """Return who is logged in at the service."""
        return [session.identity.account for session in self.factory.sessions if session.is_authenticated]

    def test_disabling_closes_the_sessions_at_every_service(self) -> None:
        """And nobody comes back."""
        self.wait(self.administrator.calls.disable(self.trader.login.account_id))
        self.pump(30.0)
        self.assertEqual(self.accounts(), [])

    def test_logging_out_closes_them_too(self) -> None:
        """The login session is over everywhere."""
        self.wait(self.trader.login.logout())
        self.pump(1.0)
        self.assertEqual(self.accounts(), [])

    def test_a_withdrawn_role_cuts_the_session_and_the_next_has_less(self) -> None:
        """The client comes back by itself, as somebody else."""
        calls = self.administrator.calls
        traders = self.wait(calls.find("trading_groups/demo/traders"))
        root = self.wait(calls.find("/"))
        guests = self.wait(calls.make_directory("guests", root.entry_id))
        self.wait(calls.associate(self.trader.login.account_id, guests))
        self.wait(calls.detach(self.trader.login.account_id, traders.entry_id))
        self.pump(0.5)
        self.wait(self.session.when_ready(30.0))
        (session,) = self.factory.sessions
        self.assertEqual((session.identity.account, session.identity.roles), ("demo", frozenset()))

    def test_a_withdrawn_capability_cuts_the_session_too(self) -> None:
        """The next one does not hold it."""
        self.wait(self.administrator.calls.set_capabilities(self.trader.login.account_id, ()))
        self.pump(0.5)
        self.wait(self.session.when_ready(30.0))
        (session,) = self.factory.sessions
        self.assertRaises(Forbidden, session.require, "market_data.all")

    def test_other_sessions_stay(self) -> None:
        """Only those concerned are cut."""
        other = self.client(self.administrator)
        self.wait(other.when_ready(10.0))
        self.wait(self.administrator.calls.disable(self.trader.login.account_id))
        self.pump(1.0)
        self.assertEqual(self.accounts(), ["administrator"])

    def test_a_right_on_a_trading_account_is_gone_at_once(self) -> None:
        """Every follower of the directory answers differently a moment later."""
        link = self.service_link("order_execution_service")
        entry = self.wait(self.administrator.calls.find("trading_groups/demo/accounts/demo"))
        account_id = self.trader.login.account_id
        self.assertTrue(link.directory.holds(account_id, Right.TRADE, entry.entry_id))
        self.wait(self.administrator.calls.grant(account_id, entry.entry_id, Right.VIEW))
        self.pump(0.1)
        self.assertFalse(link.directory.holds(account_id, Right.TRADE, entry.entry_id))


class RegistrationTests(LinkTestCase):
    """Services register under their right, and clients find them."""

    def test_a_registered_service_is_located(self) -> None:
        """With addresses, account, environment and properties."""
        self.serve(self.service_link("uid_service"))
        (provider,) = self.wait(self.link(TRADER).calls.locate("uid_service"))
        self.assertEqual(
            (provider.addresses, provider.account, provider.environment, provider.properties),
            ((UID_ADDRESS,), "uid_service", "DEMO", {"a": "b"}),
        )

    def test_a_registration_without_the_right_is_forbidden(self) -> None:
        """A service cannot take another's name, and nothing is registered."""
        link = self.service_link("charting_service")
        error = self.error(Forbidden, link.register("uid_service", ("evil:1",), {}))
        self.assertEqual(error.details["service"], "uid_service")
        self.assertEqual(self.wait(link.calls.locate("uid_service")), ())

    def test_a_person_cannot_register_at_all(self) -> None:
        """His table does not hold the command."""
        call = self.link(ADMINISTRATOR).session.call(
            Register, service="uid_service", instance_id="x", addresses=("evil:1",), properties={}, load=0
        )
        self.error(NotFound, call)

    def test_another_accounts_provider_is_not_believed(self) -> None:
        """Even with the capability, a client looks at the account."""
        charting = self.service_link("charting_service")
        capabilities = ("service.register:charting_service", "service.register:uid_service")
        self.wait(self.link(ADMINISTRATOR).calls.set_capabilities(charting.login.account_id, capabilities))
        self.pump(5.0)
        self.wait(charting.register("uid_service", ("evil:1",), {}))
        link = self.link(TRADER)
        self.assertEqual(self.wait(link.addresses("uid_service")), [])

    def test_a_provider_ends_with_its_session(self) -> None:
        """A killed service is not located any more."""
        link = self.service_link("uid_service")
        self.serve(link)
        client = self.link(TRADER)
        self.wait(link.session.stop())
        self.pump(1.0)
        self.assertEqual(self.wait(client.calls.locate("uid_service")), ())

    def test_withdrawing_takes_it_back(self) -> None:
        """Before the service stops."""
        link = self.service_link("uid_service")
        self.serve(link)
        self.wait(link.withdraw())
        self.assertEqual(self.wait(link.calls.locate("uid_service")), ())

    def test_clients_wake_when_a_service_appears(self) -> None:
        """At once, not at the next attempt."""
        session = self.client(self.link(TRADER))
        self.pump(120.0)
        self.assertFalse(session.is_ready)
        self.serve(self.service_link("uid_service"))
        self.pump(0.2)
        self.assertTrue(session.is_ready)

    def test_the_load_orders_providers(self) -> None:
        """The least loaded comes first, wherever it is asked."""
        busy, idle = self.service_link("uid_service"), self.service_link("uid_service")
        for link, address in ((busy, "busy:1"), (idle, "idle:1")):
            self.wait(link.register("uid_service", (address,), {}))
        self.wait(busy.set_load("uid_service", 10))
        client = self.link(TRADER)
        found = [p.addresses[0] for p in self.wait(client.addresses("uid_service"))]
        located = [p.addresses[0] for p in self.wait(client.calls.locate("uid_service"))]
        self.assertEqual((found, located), (["idle:1", "busy:1"], ["idle:1", "busy:1"]))

    def test_it_is_unavailable_until_the_first_answer(self) -> None:
        """A link that never met a Locator knows nothing, and says so."""
        link = self.link(TRADER, ("nowhere:1",), ready=False)
        self.error(Unavailable, link.addresses("uid_service"))


class RestartTests(LinkTestCase):
    """The Locator may go and come back."""

    def test_a_service_registers_again(self) -> None:
        """By itself, under the same account."""
        self.serve(self.service_link("uid_service"))
        client = self.link(TRADER)
        self.kill_locator()
        self.pump(10.0)
        self.start_locator()
        self.wait(client.when_ready(20.0))
        self.pump(5.0)
        self.assertEqual(len(self.wait(client.calls.locate("uid_service"))), 1)

    def test_a_registration_that_was_forbidden_meanwhile_is_given_up(self) -> None:
        """The right is gone when the Locator is back; the service stays out, and does not insist."""
        link = self.service_link("uid_service")
        self.serve(link)
        administrator = self.link(ADMINISTRATOR)
        self.wait(administrator.calls.set_capabilities(link.login.account_id, ()))
        self.pump(30.0)
        self.wait(link.when_ready(20.0))
        self.assertEqual(self.wait(administrator.calls.locate("uid_service")), ())
        self.assertNotIn("register uid_service", self.tasks.running)

    def test_providers_hold_while_the_locator_is_away(self) -> None:
        """Also for those who begin to look then, if they have asked before."""
        self.serve(self.service_link("uid_service"))
        client = self.link(TRADER)
        self.wait(client.addresses("uid_service"))
        self.kill_locator()
        self.pump(600.0)
        self.assertEqual(len(self.wait(client.addresses("uid_service"))), 1)

    def test_a_restarted_locator_that_shows_nothing_yet_is_not_believed_at_once(self) -> None:
        """The last known providers stand for a while, then they are gone."""
        link = self.service_link("uid_service")
        self.serve(link)
        client = self.link(TRADER)
        self.wait(client.addresses("uid_service"))
        self.kill_locator()
        self.wait(link.session.stop())
        self.start_locator()
        self.wait(client.when_ready(20.0))
        self.pump(1.0)
        self.assertEqual(len(self.wait(client.addresses("uid_service"))), 1)
        self.pump(REMEMBERED_SECONDS)
        self.assertEqual(self.wait(client.addresses("uid_service")), [])

    def test_a_change_made_at_another_locator_arrives(self) -> None:
        """Two Locators share a schema; each follows what the other writes."""
        self.start_locator(SECOND)
        directory = self.service_link("uid_service").directory
        other = self.link(ADMINISTRATOR, (SECOND,))
        self.wait(other.calls.make_directory("desk", 1))
        self.pump(3.0)
        self.assertIsNotNone(directory.find("desk"))

    def test_a_logout_at_another_locator_arrives(self) -> None:
        """A session ended there is ended here."""
        self.start_locator(SECOND)
        factory = self.serve(self.service_link("uid_service"))
        there = self.link(TRADER, (SECOND,))
        here = self.link(there.login.cached)
        session = self.client(here)
        self.wait(session.when_ready(10.0))
        self.wait(there.login.logout())
        self.pump(5.0)
        self.assertEqual([s for s in factory.sessions if s.is_authenticated], [])

    def test_a_logout_that_is_saved_late_arrives_at_the_other_locator(self) -> None:
        """The store was away from both for minutes: what counts is when the end was put on record."""
        here, there, accounts = self.one_login_at_two_locators()
        repairs = [self.break_store(method) for method in ("end_sessions", "ended_sessions")]
        self.wait(there.login.logout())
        self.pump(600.0)
        self.assertEqual(accounts(), ["demo"])
        for repair in repairs:
            repair()
        self.pump(30.0)
        self.assertEqual(accounts(), [])
        self.error(CredentialsRefused, here.when_ready(20.0))

    def test_what_ended_while_only_this_locators_store_was_away_is_not_missed(self) -> None:
        """It reads on from where it read last; the renewed ticket is worth nothing afterwards."""
        here, there, accounts = self.one_login_at_two_locators()
        administrator = self.link(ADMINISTRATOR, (SECOND,))
        repair = self.break_store("ended_sessions")
        self.wait(administrator.calls.change_password(there.login.account_id, "an even better phrase"))
        self.pump(3 * 3_600.0)
        self.assertEqual(accounts(), ["demo"])
        repair()
        self.pump(60.0)
        self.assertEqual(accounts(), [])
        self.error(CredentialsRefused, here.when_ready(20.0))
        self.assertIn(here.login.login_session, self.revoked_for_servers())

    def one_login_at_two_locators(self) -> tuple[Link, Link, Callable[[], list[str]]]:
        """Return links with one login session to each of two Locators, and who is logged in at a service."""
        self.start_locator(SECOND)
        self.servers_link = self.service_link("uid_service")
        factory = self.serve(self.servers_link)
        there = self.link(TRADER, (SECOND,))
        here = self.link(there.login.cached)
        self.wait(self.client(here).when_ready(10.0))
        return here, there, lambda: [s.identity.account for s in factory.sessions if s.is_authenticated]

    def revoked_for_servers(self) -> set[str]:
        """Return the login sessions whose revocation a server holds against their tickets."""
        return set(self.servers_link._revocations.rows)

    def test_a_session_that_is_used_at_another_locator_is_not_idle(self) -> None:
        """The first Locator asks the store before it ends what it has not seen for twelve hours."""
        link = self.link(TRADER)
        self.start_locator(SECOND)
        self.wait(link.stop())
        there = self.link(link.login.cached, (SECOND,))
        for _ in range(3):
            self.jump(6 * 3_600.0)
            self.pump(300.0)
        self.assertTrue(there.is_ready)
        self.assertIsNone(self.wait(self.store.find_session(there.login.login_session)).ended)

    def test_both_write_at_the_same_time(self) -> None:
        """The slower one checks again: both changes stand, or the second is a CONFLICT."""
        self.start_locator(SECOND)
        here, there = self.link(ADMINISTRATOR).calls, self.link(ADMINISTRATOR, (SECOND,)).calls
        self.wait(here.make_directory("desk", 1))
        self.error(Conflict, there.make_directory("desk", 1))
        self.wait(there.make_directory("desk-2", 1))
        names = {entry.name for entry in self.wait(self.store.load_directory()).entries}
        self.assertLessEqual({"desk", "desk-2"}, names)

    def test_a_service_is_found_at_every_locator(self) -> None:
        """It registers at each, because each knows its own providers only."""
        self.start_locator(SECOND)
        link = self.service_link("uid_service", (ADDRESS, SECOND))
        self.pump(5.0)
        self.serve(link)
        for address in (ADDRESS, SECOND):
            self.assertEqual(len(self.wait(self.link(TRADER, (address,)).calls.locate("uid_service"))), 1)

    def test_the_other_locator_takes_over(self) -> None:
        """A link with two addresses goes on when one of them is gone."""
        self.start_locator(SECOND)
        link = self.link(TRADER, (ADDRESS, SECOND))
        self.network._ports.pop(ADDRESS)
        for connection in [one for one in self.network.links if one.address == ADDRESS]:
            connection.drop()
        self.pump(10.0)
        self.wait(link.when_ready(20.0))
        self.assertEqual(self.metrics.value("spire_locator_logins_total", outcome="succeeded"), 1)


class KeyTests(LinkTestCase):
    """Signing keys can be changed while everybody stays logged in."""

    def test_a_new_key_takes_over_and_the_old_one_is_believed_for_a_while(self) -> None:
        """Sessions go on over the change."""
        factory = self.serve(self.service_link("uid_service"))
        session = self.client(self.link(TRADER))
        self.wait(session.when_ready(10.0))
        (served,) = factory.sessions
        former = self.wait(self.store.signing_keys())[0]
        self.pump(1.0)
        self.assertNotEqual(self.wait(self.link(ADMINISTRATOR).calls.rotate_signing_key()), former.key_id)
        self.pump(1_800.0)
        self.assertEqual((list(factory.sessions), session.is_ready), ([served], True))
        self.assertIsNotNone(self.wait(self.store.signing_keys())[0].retires)

    def test_a_restarted_locator_signs_with_the_new_key(self) -> None:
        """It is in the file."""
        self.pump(1.0)
        new = self.wait(self.link(ADMINISTRATOR).calls.rotate_signing_key())
        self.kill_locator()
        self.start_locator()
        self.link(TRADER)
        self.assertEqual(self.wait(self.store.signing_keys())[-1].key_id, new)

    def test_only_administrators_change_it(self) -> None:
        """A trader's table does not hold the command."""
        self.error(NotFound, self.link(TRADER).calls.rotate_signing_key())


class VisibilityTests(LinkTestCase):
    """People see what they may read."""

    def test_a_person_does_not_follow_the_directory(self) -> None:
        """The topic is for services."""
        link = self.link(TRADER)
        view = link.session.subscriptions.state(DIRECTORY, Entry)
        error: Any = self.error(Forbidden, view.when_ready())
        self.assertIn("FindEntry", error.message)

    def test_a_trader_finds_his_trading_account_and_himself(self) -> None:
        """And nothing else."""
        calls = self.link(TRADER).calls
        self.assertEqual(self.wait(calls.find("trading_groups/demo/accounts/demo")).name, "demo")
        self.assertEqual(self.wait(calls.find("trading_groups/demo/traders/demo")).name, "demo")
        for path in ("trading_groups/demo/accounts/other", "administrators", "/", "nothing/here"):
            self.error(NotFound, calls.find(path))

    def test_an_auditor_sees_every_entry(self) -> None:
        """Records name them by number; what he may change is nothing."""
        calls = self.link(ADMINISTRATOR).calls
        auditors = self.wait(calls.find("auditors")).entry_id
        self.wait(calls.make_account(KIM.account, auditors, AccountKind.PERSON, KIM.password))
        seen = self.link(KIM).calls
        for path in ("trading_groups/demo/accounts/other", "trading_groups/demo/traders/demo", "/"):
            self.assertEqual(self.wait(seen.find(path)), self.wait(calls.find(path)))
        self.error(Forbidden, seen.rename(auditors, "readers"))

    def test_his_trading_accounts_are_listed(self) -> None:
        """Those on which he holds a right."""
        found = self.wait(self.link(TRADER).calls.trading_accounts())
        self.assertEqual([entry.name for entry in found], ["demo"])
        self.assertEqual(len(self.wait(self.link(ADMINISTRATOR).calls.trading_accounts())), 2)

    def test_a_listing_holds_what_he_may_read(self) -> None:
        """An administrator sees all services, a trader none of them."""
        services = self.wait(self.link(ADMINISTRATOR).calls.find("services")).entry_id
        everything = self.wait(self.link(ADMINISTRATOR).calls.children(services))
        nothing = self.wait(self.link(TRADER).calls.children(services))
        self.assertEqual((len(everything), nothing), (14, []))

    def test_an_entry_is_loaded_with_paths_and_times(self) -> None:
        """By id."""
        calls = self.link(ADMINISTRATOR).calls
        entry = self.wait(calls.find("trading_groups/demo/traders/demo"))
        loaded, paths, times = self.wait(calls.load(entry.entry_id))
        self.assertEqual((loaded, paths), (entry, ("/trading_groups/demo/traders/demo",)))
        self.assertIsNone(times.last_login)

    def test_a_long_listing_comes_in_pages(self) -> None:
        """Nothing is lost between them, and no answer outgrows its box."""
        calls = self.link(ADMINISTRATOR).calls
        desk = self.wait(calls.make_directory("desk", 1))
        names = [f"{number:03d}-{'x' * 90}" for number in range(300)]
        for name in names:
            self.wait(calls.make_directory(name, desk))
        self.assertEqual([entry.name for entry in self.wait(calls.children(desk))], names)
