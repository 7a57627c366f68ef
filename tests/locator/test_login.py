"""Logging in, staying logged in, and everything that must not let anybody in."""

from typing import Any

from attrs import evolve
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.internet.defer import Deferred

from spire.locator.client import LocatorLink
from spire.locator.commands import Login, LoginFor, RenewTicket
from spire.locator.credentials import CachedLogin, Password
from spire.locator.keys import renewal_message
from spire.locator.logins import REFUSED
from spire.locator.passwords import ACCOUNT_BACK_OFF, PasswordHashes
from spire.locator.sessions import IDLE_SECONDS
from spire.locator.values import Change
from spire.wire.errors import (
    CredentialsRefused,
    Forbidden,
    Invalid,
    NotAuthenticated,
    Overloaded,
    Unavailable,
)
from spire.wire.tickets import make_key, private_bytes, public_bytes, read
from tests.locator.room import ADMINISTRATOR, SECRETS, TRADER, LocatorTestCase
from tests.locator.store_contract import write

WRONG = evolve(TRADER, password="not his password")


class LoginTests(LocatorTestCase):
    """A password opens a login session."""

    def test_a_person_logs_in(self) -> None:
        """He gets a ticket, and the Locator knows him by it."""
        link = self.link(TRADER)
        self.assertEqual((link.login.account, link.is_ready), ("demo", True))

    def test_the_ticket_says_who_he_is(self) -> None:
        """Account, roles, capabilities, session, key, environment and every service as audience."""
        link = self.link(TRADER)
        held = self.wait(link.login.ticket())
        key = self.wait(self.store.signing_keys())[0]
        claims = read(held.ticket, {key.key_id: key.public_key})
        self.assertEqual((claims.account, claims.roles, claims.delegate), ("demo", {"trader"}, None))
        self.assertEqual(claims.capabilities, {"market_data.all"})
        self.assertEqual((claims.login_session, claims.key), (link.login.login_session, public_bytes(held.key)))
        self.assertIn("order_execution_service", claims.audiences)
        self.assertEqual(round((claims.expires - claims.issued) / 1e9), 300)

    def test_the_login_is_in_the_store(self) -> None:
        """Its session, its key, its peer, and the time at the account."""
        link = self.link(TRADER)
        session = self.wait(self.store.find_session(link.login.login_session))
        self.assertEqual((session.account_id, session.peer), (link.login.account_id, "127.0.0.1"))
        self.assertIsNotNone(self.wait(self.store.account_times(link.login.account_id)).last_login)

    def test_a_wrong_password_is_refused_for_good(self) -> None:
        """The client does not try again with it, and the connection attempts end."""
        link = self.link(WRONG, ready=False)
        self.error(CredentialsRefused, link.when_ready(20.0))
        self.pump(60.0)
        self.assertFalse(link.is_ready)
        self.assertEqual(self.metrics.value("spire_locator_logins_total", outcome="refused"), 1)

    def test_an_unknown_account_hears_the_same(self) -> None:
        """The answer does not tell whether an account exists."""
        wrong = self.error(CredentialsRefused, self.link(WRONG, ready=False).when_ready(20.0))
        nobody = self.link(Password(account="nobody", password="wrong"), ready=False)
        unknown = self.error(CredentialsRefused, nobody.when_ready(20.0))
        self.assertEqual(wrong.message, unknown.message)

    def test_a_disabled_account_hears_the_same(self) -> None:
        """Also with the right password."""
        administrator = self.link(ADMINISTRATOR)
        entry = self.wait(administrator.calls.find("trading_groups/demo/traders/demo"))
        self.wait(administrator.calls.disable(entry.entry_id))
        self.error(CredentialsRefused, self.link(TRADER, ready=False).when_ready(20.0))

    def test_failures_in_a_row_make_the_account_wait(self) -> None:
        """The right password is not looked at meanwhile, and works afterwards."""
        for _ in range(ACCOUNT_BACK_OFF.free):
            self.error(NotAuthenticated, self.attempt(WRONG))
        error = self.error(Overloaded, self.attempt(TRADER))
        self.assertGreater(int(error.details["retry_seconds"]), 0)
        self.pump(float(error.details["retry_seconds"]))
        self.assertEqual(self.wait(self.attempt(TRADER))["account"], "demo")

    def test_a_name_that_no_account_can_have_fails_like_an_unknown_one(self) -> None:
        """All of them are counted together, however they are written; the account that one looks like does not wait."""
        names = ["demo ", "demo  ", " demo", "demo\t", "de/mo"]
        errors = [self.error(NotAuthenticated, self.attempt(evolve(TRADER, account=name))) for name in names]
        self.assertEqual({error.message for error in errors}, {REFUSED})
        self.error(Overloaded, self.attempt(evolve(TRADER, account="demo    ")))
        self.assertEqual(self.wait(self.attempt(TRADER))["account"], "demo")

    def test_another_account_does_not_wait(self) -> None:
        """Only the account that was tried, and in the end the peer, wait."""
        for _ in range(ACCOUNT_BACK_OFF.free):
            self.error(NotAuthenticated, self.attempt(WRONG))
        self.assertEqual(self.wait(self.attempt(ADMINISTRATOR))["account"], "administrator")

    def test_a_public_key_of_another_length_is_invalid(self) -> None:
        """No ticket is bound to rubbish."""
        error = self.error(Invalid, self.attempt(TRADER, public_key=b"short"))
        self.assertEqual(error.details["argument"], "public_key")

    def test_an_audience_is_needed(self) -> None:
        """A ticket for nobody is INVALID."""
        self.error(Invalid, self.attempt(TRADER, audiences=()))

    def test_without_the_database_a_login_is_unavailable(self) -> None:
        """It is said so, and nothing counts as a failure."""
        self.link(ADMINISTRATOR)
        self.break_store("login_state")
        self.error(Unavailable, self.attempt(TRADER))

    def test_logins_that_renew_a_hash_at_the_same_time_all_hold(self) -> None:
        """The slower one finds another hash of the same password, and compares again."""
        held = self.hold_the_next_login()
        slow = Deferred.fromCoroutine(self.attempt(TRADER))
        self.pump()
        self.wait(self.attempt(TRADER))
        held.callback(None)
        self.assertEqual(self.wait(slow)["account"], "demo")

    async def attempt(self, how: Password, **more: object) -> dict[str, object]:
        """Log in over a fresh, anonymous connection, and close it."""
        async with self.anonymous() as connection:
            arguments = {
                "account": how.account,
                "password": how.password,
                "public_key": public_bytes(make_key(self.random_bytes)),
                "audiences": ("*",),
                **more,
            }
            return await connection.ask(Login, arguments)


class RenewalTests(LocatorTestCase):
    """A login session renews its ticket by its id and a proof."""

    def test_the_ticket_is_renewed_at_half_life(self) -> None:
        """Long after the first ticket ended, the session goes on, without another login."""
        link = self.link(TRADER)
        first = self.wait(link.login.ticket())
        self.pump(3_600.0)
        self.assertTrue(link.is_ready)
        self.assertGreater(self.wait(link.login.ticket()).expires, first.expires)
        self.assertEqual(self.metrics.value("spire_locator_logins_total", outcome="succeeded"), 1)
        self.assertEqual(
            self.metrics.value("spire_wire_logins_total", service="service_locator", outcome="succeeded"), 1
        )

    def test_a_cached_login_needs_no_password(self) -> None:
        """A shell that kept session and key is logged in again, hours after the ticket ended."""
        link = self.link(TRADER)
        cached = link.login.cached
        self.wait(link.stop())
        self.jump(8 * 3_600.0)
        again = self.link(cached)
        self.assertEqual((again.login.account, again.login.login_session), ("demo", cached.login_session))

    def test_an_idle_login_has_ended(self) -> None:
        """After twelve hours without renewal the password is needed."""
        link = self.link(TRADER)
        cached = link.login.cached
        self.wait(link.stop())
        self.jump(IDLE_SECONDS)
        self.pump(60.0)
        self.error(CredentialsRefused, self.link(cached, ready=False).when_ready(20.0))
        self.assertEqual(self.wait(self.store.find_session(cached.login_session)).end_reason, "idle")

    def test_an_idle_login_that_could_not_be_put_on_record_is_later(self) -> None:
        """Its row would stay open for ever otherwise."""
        link = self.link(TRADER)
        self.wait(link.stop())
        self.jump(IDLE_SECONDS)
        repair = self.break_store("end_sessions")
        self.pump(60.0)
        repair()
        self.pump(60.0)
        self.assertEqual(self.wait(self.store.find_session(link.login.login_session)).end_reason, "idle")

    def test_what_is_idle_when_a_locator_starts_is_put_on_record(self) -> None:
        """It was not used while none ran."""
        link = self.link(TRADER)
        self.wait(link.stop())
        self.kill_locator()
        self.wait(self.room.stop())
        self.jump(IDLE_SECONDS)
        self.start_locator()
        self.pump(60.0)
        self.assertEqual(self.wait(self.store.find_session(link.login.login_session)).end_reason, "idle")

    def test_the_session_id_alone_is_worth_nothing(self) -> None:
        """Another key's proof does not renew."""
        cached = self.link(TRADER).login.cached
        stranger = CachedLogin(login_session=cached.login_session, key=b"\x07" * 32)
        self.error(CredentialsRefused, self.link(stranger, ready=False).when_ready(20.0))

    def test_a_replayed_renewal_does_not_hold(self) -> None:
        """A proof is good for the connection whose nonce it signs, and no other."""
        link = self.link(TRADER)
        proof = self.wait(self.renewal_proof(link.login.cached))
        self.error(NotAuthenticated, self.renew(link.login.login_session, proof))

    def test_renewal_survives_a_database_that_is_away(self) -> None:
        """What memory holds is enough."""
        link = self.link(TRADER)
        for method in ("login_state", "find_session", "touch_sessions", "directory_version", "open_session"):
            self.break_store(method)
        first = self.wait(link.login.ticket())
        self.pump(3_600.0)
        self.assertTrue(link.is_ready)
        self.assertGreater(self.wait(link.login.ticket()).expires, first.expires)

    def test_renewal_survives_a_restart_of_the_locator(self) -> None:
        """The sessions are read from the store; nobody logs in again."""
        link = self.link(TRADER)
        self.kill_locator()
        self.pump(30.0)
        self.start_locator()
        self.wait(link.when_ready(20.0))
        self.assertEqual(self.metrics.value("spire_locator_logins_total", outcome="succeeded"), 1)

    def test_the_last_use_reaches_the_store(self) -> None:
        """So that a restarted Locator knows who is idle."""
        link = self.link(TRADER)
        opened = self.wait(self.store.find_session(link.login.login_session)).last_used
        self.pump(600.0)
        self.assertGreater(self.wait(self.store.find_session(link.login.login_session)).last_used, opened)

    async def renewal_proof(self, cached: CachedLogin) -> bytes:
        """Return a proof made for a connection that is then closed."""
        async with self.anonymous() as connection:
            hello = self.hello
            message = renewal_message(
                service=hello.service, instance_id=hello.instance_id, nonce=hello.nonce, session=cached.login_session
            )
            proof = make_key(lambda _: cached.key).sign(message)
            answer = await connection.ask(RenewTicket, {"login_session": cached.login_session, "proof": proof})
            self.assertEqual(answer["account"], "demo")
            return proof

    async def renew(self, login_session: str, proof: bytes) -> None:
        """Try a proof on a connection of its own."""
        async with self.anonymous() as connection:
            await connection.ask(RenewTicket, {"login_session": login_session, "proof": proof})


class EndingTests(LocatorTestCase):
    """A login session ends when its owner or an administrator says so."""

    def test_logging_out_ends_the_session_everywhere(self) -> None:
        """The cached login is worth nothing any more."""
        link = self.link(TRADER)
        cached = link.login.cached
        self.wait(link.login.logout())
        self.pump(1.0)
        self.error(CredentialsRefused, self.link(cached, ready=False).when_ready(20.0))
        self.assertEqual(self.wait(self.store.find_session(cached.login_session)).end_reason, "logged out")

    def test_a_logout_counts_while_the_database_is_away_and_is_saved_later(self) -> None:
        """It holds at once; the row follows."""
        link = self.link(TRADER)
        cached = link.login.cached
        restore = self.break_store("end_sessions")
        self.wait(link.login.logout())
        self.error(CredentialsRefused, self.link(cached, ready=False).when_ready(20.0))
        self.assertIsNone(self.wait(self.store.find_session(cached.login_session)).ended)
        restore()
        self.pump(60.0)
        self.assertIsNotNone(self.wait(self.store.find_session(cached.login_session)).ended)

    def test_changing_the_password_ends_the_other_sessions(self) -> None:
        """The one in which it was changed stays; the new password works, the old one does not."""
        here, there = self.link(TRADER), self.link(TRADER)
        new = "an even better phrase"
        self.wait(here.calls.change_password(here.login.account_id, new, TRADER.password))
        self.pump(5.0)
        self.assertTrue(here.is_ready)
        self.error(CredentialsRefused, there.when_ready(20.0))
        self.error(CredentialsRefused, self.link(TRADER, ready=False).when_ready(20.0))
        self.assertTrue(self.link(evolve(TRADER, password=new)).is_ready)

    def test_a_login_under_way_does_not_outlive_the_old_password(self) -> None:
        """It matched before the change, and was to be put on record after it; the new password is not undone."""
        administrator, trader = self.link(ADMINISTRATOR), self.link(TRADER)
        new = "an even better phrase"
        held = self.hold_the_next_login()
        thief = self.link(TRADER, ready=False)
        self.pump(1.0)
        self.wait(administrator.calls.change_password(trader.login.account_id, new))
        held.callback(None)
        self.error(CredentialsRefused, thief.when_ready(20.0))
        self.assertTrue(self.link(evolve(TRADER, password=new)).is_ready)

    def test_a_change_under_way_does_not_undo_another(self) -> None:
        """The old password was still right when it was checked, and no longer when the new one was to be written."""
        administrator, trader = self.link(ADMINISTRATOR), self.link(TRADER)
        make, held = PasswordHashes.make, Deferred[None]()
        new, thiefs = "an even better phrase", "what the thief wants"

        async def late(hashes: PasswordHashes, password: str) -> str:
            if password == thiefs:
                await held
            return await make(hashes, password)

        self.patch(PasswordHashes, "make", late)
        change = trader.calls.change_password(trader.login.account_id, thiefs, TRADER.password)
        Deferred.fromCoroutine(change).addErrback(lambda _: None)
        self.pump()
        self.wait(administrator.calls.change_password(trader.login.account_id, new))
        held.callback(None)
        self.pump(5.0)
        self.error(CredentialsRefused, self.link(evolve(TRADER, password=thiefs), ready=False).when_ready(20.0))
        self.assertTrue(self.link(evolve(TRADER, password=new)).is_ready)

    def test_ones_own_password_needs_the_old_one(self) -> None:
        """A stolen session does not become a stolen account."""
        link = self.link(TRADER)
        for old in (None, "wrong"):
            error = self.error(Invalid, link.calls.change_password(link.login.account_id, "an even better phrase", old))
            self.assertEqual(error.details["argument"], "old_password")

    def test_a_weak_password_is_refused(self) -> None:
        """The policy speaks before anything changes."""
        link = self.link(TRADER)
        self.error(Invalid, link.calls.change_password(link.login.account_id, "short", TRADER.password))
        self.assertTrue(self.link(TRADER).is_ready)

    def test_an_administrator_sets_anothers_password(self) -> None:
        """A trader cannot."""
        administrator, trader = self.link(ADMINISTRATOR), self.link(TRADER)
        new = "an even better phrase"
        self.wait(administrator.calls.change_password(trader.login.account_id, new))
        self.assertTrue(self.link(evolve(TRADER, password=new)).is_ready)
        other = self.link(Password(account="other", password="other trader's password"))
        self.error(Forbidden, other.calls.change_password(trader.login.account_id, "yet another phrase"))

    def test_disabling_ends_the_sessions_at_once(self) -> None:
        """The connection goes, and no ticket comes back."""
        administrator, trader = self.link(ADMINISTRATOR), self.link(TRADER)
        self.wait(administrator.calls.disable(trader.login.account_id))
        self.pump(5.0)
        self.error(CredentialsRefused, trader.when_ready(20.0))

    def test_an_enabled_account_logs_in_again(self) -> None:
        """Its old sessions stay ended."""
        administrator, trader = self.link(ADMINISTRATOR), self.link(TRADER)
        cached = trader.login.cached
        self.wait(administrator.calls.disable(trader.login.account_id))
        self.wait(administrator.calls.disable(trader.login.account_id, disabled=False))
        self.error(CredentialsRefused, self.link(cached, ready=False).when_ready(20.0))
        self.assertTrue(self.link(TRADER).is_ready)


class DelegationTests(LocatorTestCase):
    """The portal logs its users in."""

    def test_the_ticket_names_the_user_and_the_portal(self) -> None:
        """The user's roles, the portal as the actor."""
        portal = self.service_link("web_portal_service")
        answer = self.wait(self.login_for(portal))
        key = self.wait(self.store.signing_keys())[0]
        claims = read(answer["ticket"], {key.key_id: key.public_key})
        self.assertEqual((claims.account, claims.roles), ("demo", {"trader"}))
        self.assertEqual((claims.delegate, claims.delegate_id), ("web_portal_service", portal.login.account_id))

    def test_only_who_holds_the_capability_may(self) -> None:
        """Another service is FORBIDDEN."""
        self.error(Forbidden, self.login_for(self.service_link("uid_service")))

    def test_a_wrong_password_is_not_authenticated(self) -> None:
        """It counts against the user and his own address."""
        self.error(NotAuthenticated, self.login_for(self.service_link("web_portal_service"), "wrong"))
        failures = self.wait(self.store.login_state("demo", ["account:demo", "peer:10.1.2.3"])).failures
        self.assertEqual(sorted(failures), ["account:demo", "peer:10.1.2.3"])

    def test_disabling_the_portal_ends_its_users_sessions(self) -> None:
        """Whoever it logged in is logged out."""
        portal = self.service_link("web_portal_service")
        answer = self.wait(self.login_for(portal))
        self.wait(self.link(ADMINISTRATOR).calls.disable(portal.login.account_id))
        session = self.wait(self.store.find_session(answer["login_session"]))
        self.assertEqual(session.end_reason, "disabled")

    def test_a_portal_that_another_locator_disabled_is_refused_after_one_look(self) -> None:
        """It is read then: the password is not hashed again and again for nothing."""
        portal = self.service_link("web_portal_service")
        entry = self.wait(self.link(ADMINISTRATOR).calls.load(portal.login.account_id))[0]
        version, looks = self.wait(self.store.directory_version()), self.count_looks()
        change = Change(put=(evolve(entry, disabled=True),))
        self.assertTrue(self.wait(self.store.write_directory(write(change), version)))
        refused = self.metrics.value("spire_locator_logins_total", outcome="refused")
        self.assertEqual(self.error(NotAuthenticated, self.login_for(portal)).message, REFUSED)
        self.assertEqual(len(looks), 1)
        self.assertEqual(self.metrics.value("spire_locator_logins_total", outcome="refused"), refused + 1)

    def count_looks(self) -> list[str]:
        """Return what is written into at each comparison of a password."""
        matches, looks = PasswordHashes.matches, []

        async def counted(hashes: PasswordHashes, stored: str | None, password: str) -> bool:
            looks.append(password)
            return await matches(hashes, stored, password)

        self.patch(PasswordHashes, "matches", counted)
        return looks

    def test_a_portal_that_may_log_nobody_in_any_more_takes_its_users_with_it(self) -> None:
        """Their sessions close, and renew no ticket, until it may again."""
        portal, administrator = self.service_link("web_portal_service"), self.link(ADMINISTRATOR)
        key = make_key(self.random_bytes)
        answer = self.wait(self.login_for(portal, key=key))
        user = self.link(CachedLogin(login_session=answer["login_session"], key=private_bytes(key)))
        held = self.wait(administrator.calls.load(portal.login.account_id))[0].capabilities
        less = tuple(capability for capability in held if capability != "login.for")
        self.wait(administrator.calls.set_capabilities(portal.login.account_id, less))
        self.pump(5.0)
        self.error(CredentialsRefused, user.when_ready(20.0))

    async def login_for(
        self, portal: LocatorLink, password: str = TRADER.password, key: Ed25519PrivateKey | None = None
    ) -> dict[str, Any]:
        """Log the trader in through a service."""
        return await portal.session.call(
            LoginFor,
            account=TRADER.account,
            password=password,
            public_key=public_bytes(make_key(self.random_bytes) if key is None else key),
            audiences=("*",),
            peer="10.1.2.3",
        )


class SecretTests(LocatorTestCase):
    """Secrets do not leak."""

    def test_no_repr_shows_a_secret(self) -> None:
        """Whatever is logged by mistake is harmless."""
        shown = repr((ADMINISTRATOR, TRADER, self.link(TRADER).login.cached))
        for secret in (ADMINISTRATOR.password, TRADER.password, SECRETS["uid_service"]):
            self.assertNotIn(secret, shown)
        self.assertNotIn("key=", shown)

    def test_the_store_keeps_no_password(self) -> None:
        """Only argon2id hashes."""
        credential = self.wait(self.store.login_state("demo", [])).credential
        self.assertTrue(credential.password_hash.startswith("$argon2id$"))

    def test_the_signing_key_file_is_its_owners_alone(self) -> None:
        """Mode 600, and 64 digits in it."""
        file = self.directory / "signing_key"
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.assertEqual(len(file.read_text().strip()), 64)
