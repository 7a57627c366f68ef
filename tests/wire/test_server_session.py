"""A server's session: hello, login, expiry, and what is released at its end."""

from typing import Any

from twisted.protocols import amp

from spire.values.environment import Environment
from spire.values.orders import Channel
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.boxes import key_header, serialise
from spire.wire.errors import Conflict, Forbidden, NotAuthenticated, Overloaded, SpireError, Unavailable
from spire.wire.guard import login_first
from spire.wire.handshake import Authenticate, Goodbye, Reauthenticate
from spire.wire.limits import Limits
from spire.wire.server_session import State
from spire.wire.tickets import make_key, public_bytes, sign_proof
from tests.wire.support import INSTANCE, SERVICE, Add, Ping, Wait, WireTestCase

FAST = Limits(login_seconds=10.0, sessions=2)


class Listener(amp.CommandLocator):
    """Keeps the goodbye."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    @Goodbye.responder
    def goodbye(self, code: str, message: str) -> None:
        """Keep it."""
        self.said.append((code, message))


class HelloTests(WireTestCase):
    """A connection begins with hello."""

    limits = FAST

    def test_hello_says_who_the_server_is(self) -> None:
        """Instance, epoch, environment, time and a nonce."""
        answer = self.answer(self.hello(self.connect()))
        nonce = answer.pop("nonce")
        self.assertEqual(len(nonce), 32)
        self.assertEqual(
            answer,
            {
                "protocol": 1,
                "environment": "DEMO",
                "service": SERVICE,
                "instance_id": INSTANCE,
                "epoch": 3,
                "time": self.clock.now(),
            },
        )

    def test_each_connection_gets_its_own_nonce(self) -> None:
        """A proof for one is none for another."""
        nonces = {self.answer(self.hello(self.connect()))["nonce"] for _ in range(2)}
        self.assertEqual(len(nonces), 2)

    def test_nothing_is_answered_before_hello(self) -> None:
        """Not even the commands of strangers."""
        self.refusal(self.connect().ask(Ping, {}), NotAuthenticated)

    def test_strangers_have_their_table_after_hello(self) -> None:
        """And nobody else's."""
        peer = self.connect()
        self.answer(self.hello(peer))
        self.assertEqual(self.answer(peer.ask(Ping, {})), {"pong": "pong"})
        error = self.refusal(peer.ask(Add, {"left": 1, "right": 1}), NotAuthenticated)
        self.assertEqual(error.message, login_first("Add").message)

    def refused_and_closed(self, **changes: Any) -> SpireError:
        """Assert that a hello with `changes` is refused and ends the connection."""
        peer = self.connect()
        error: SpireError = self.refusal(self.hello(peer, **changes), Conflict)
        self.clock.advance(1.0)
        self.assertEqual((peer.is_open, self.factory.sessions), (False, set()))
        return error

    def test_another_environment_is_refused(self) -> None:
        """A production client never talks to a demo server."""
        self.assertEqual(self.refused_and_closed(environment="PRODUCTION").message, "This is DEMO, not PRODUCTION.")

    def test_another_protocol_is_refused(self) -> None:
        """The text says which ones are spoken."""
        self.assertIn("protocol 1 to 1, not 2", self.refused_and_closed(protocol=2).message)

    def test_another_service_is_refused(self) -> None:
        """Somebody has the wrong address."""
        self.assertEqual(self.refused_and_closed(service="uid_service").details["service"], SERVICE)

    def test_hello_twice_is_a_conflict(self) -> None:
        """The second changes nothing."""
        peer = self.connect()
        self.answer(self.hello(peer))
        self.refusal(self.hello(peer), Conflict)

    def test_a_silent_stranger_is_closed_at_the_deadline(self) -> None:
        """Ten seconds for hello, and it is told why."""
        heard = Listener()
        peer = self.connect(heard)
        self.clock.advance(9.9)
        self.assertTrue(peer.is_open)
        self.clock.advance(0.2)
        self.assertEqual((peer.is_open, heard.said[0][0]), (False, "NOT_AUTHENTICATED"))

    def test_a_stranger_who_does_not_log_in_is_closed_at_the_deadline(self) -> None:
        """Ten more for the login."""
        peer = self.connect()
        self.clock.advance(5.0)
        self.answer(self.hello(peer))
        self.clock.advance(9.9)
        self.assertTrue(peer.is_open)
        self.clock.advance(0.2)
        self.assertFalse(peer.is_open)

    def test_more_sessions_than_allowed_are_told_and_closed(self) -> None:
        """Those within the cap stay."""
        first, second = self.connect(), self.connect()
        heard = Listener()
        third = self.connect(heard)
        self.clock.advance(1.0)
        self.assertEqual([one.is_open for one in (first, second, third)], [True, True, False])
        self.assertEqual(heard.said[0][0], Overloaded.code)


class LoginTests(WireTestCase):
    """A ticket and its proof make a session."""

    limits = Limits(patient_attempts=2, login_attempts=4, attempt_delay_seconds=1.0)

    def greeted(self) -> tuple[Any, bytes]:
        """Return a peer that has said hello, and the nonce."""
        peer = self.connect()
        return peer, self.answer(self.hello(peer))["nonce"]

    def refused(self, ticket: str | None = None, **proof: Any) -> str:
        """Assert that the ticket or proof is refused without ending the connection; return the text."""
        peer, nonce = self.greeted()
        error = self.refusal(self.authenticate(peer, nonce, ticket, **proof), NotAuthenticated)
        self.assertEqual(self.answer(peer.ask(Ping, {})), {"pong": "pong"})
        text: str = error.message
        return text

    def test_a_session_knows_who_it_serves(self) -> None:
        """Identity, peer, channel and client version."""
        self.log_in()
        session = self.session
        self.assertEqual((session.identity.account, session.identity.account_id), ("ann", 7))
        self.assertEqual((session.channel, session.client_version), (Channel.AMP, "test 1"))
        self.assertRegex(session.peer, r"^127\.0\.0\.1:\d+$")
        self.assertEqual(self.metrics.value("spire_wire_logins_total", service=SERVICE, outcome="succeeded"), 1.0)

    def test_a_delegate_comes_through_the_portal(self) -> None:
        """The ticket names both."""
        self.tickets.claims.update(delegate="web_portal_service", delegate_id=3)
        self.log_in()
        self.assertEqual((self.session.channel, self.session.identity.delegate), (Channel.PORTAL, "web_portal_service"))

    def test_a_session_without_login_has_no_identity(self) -> None:
        """Asking for it is refused."""
        self.connect()
        [session] = self.factory.sessions
        self.assertRaises(NotAuthenticated, lambda: session.identity)
        self.assertRaises(NotAuthenticated, lambda: session.outbound)

    def test_an_expired_ticket_is_refused(self) -> None:
        """To the second."""
        ticket = self.tickets.make(expires=self.clock.now())
        self.assertEqual(self.refused(ticket), "The ticket has expired.")

    def test_a_forged_ticket_is_refused(self) -> None:
        """Another key under the Locator's name."""
        self.tickets.keys["k1"] = public_bytes(make_key(lambda n: b"x" * n))
        self.assertIn("not one that the Service Locator signed", self.refused())

    def test_a_ticket_by_an_unknown_key_is_refused(self) -> None:
        """The key's id must be published."""
        del self.tickets.keys["k1"]
        self.assertIn("key that is not known", self.refused())

    def test_a_changed_ticket_is_refused(self) -> None:
        """The signature covers every claim."""
        head, body, signature = self.tickets.make().split(".")
        other = self.tickets.make(account="root").split(".")[1]
        self.assertNotEqual(body, other)
        self.assertIn("not one", self.refused(f"{head}.{other}.{signature}"))

    def test_garbage_is_no_ticket(self) -> None:
        """Neither is nothing."""
        self.assertIn("not one", self.refused("garbage"))
        self.assertIn("not one", self.refused("..."))
        self.assertIn("not one", self.refused(""))

    def test_an_unsigned_ticket_is_refused(self) -> None:
        """The algorithm is pinned; `none` is no signature."""
        import jwt

        claims = jwt.decode(self.tickets.make(), options={"verify_signature": False})
        self.assertIn("not one", self.refused(jwt.encode(claims, None, algorithm="none", headers={"kid": "k1"})))

    def test_a_ticket_for_another_service_is_refused(self) -> None:
        """Foreign tickets are of no use to whoever catches them."""
        self.assertEqual(
            self.refused(self.tickets.make(audiences=("uid_service",))), "The ticket is not for test_service."
        )

    def test_a_ticket_of_another_environment_is_refused(self) -> None:
        """Even where the keys were the same."""
        text = self.refused(self.tickets.make(environment=Environment.PRODUCTION))
        self.assertIn("PRODUCTION", text)

    def test_a_ticket_from_the_future_is_refused(self) -> None:
        """A clock is wrong, and the text says so."""
        later = Timestamp(self.clock.now() + 120 * NANOSECONDS)
        self.assertIn("clocks", self.refused(self.tickets.make(issued=later, expires=Timestamp(later + NANOSECONDS))))

    def test_a_revoked_ticket_is_refused(self) -> None:
        """Its login session was withdrawn."""
        self.tickets.revoked.add("login-1")
        self.assertIn("withdrawn", self.refused())

    def test_a_stolen_ticket_without_its_key_is_refused(self) -> None:
        """The proof is what counts."""
        self.tickets.holder = make_key(lambda n: b"t" * n)
        ticket = self.tickets.make(key=public_bytes(make_key(lambda n: b"h" * n)))
        self.assertIn("proof", self.refused(ticket))

    def test_a_proof_for_another_instance_is_refused(self) -> None:
        """A server cannot log in elsewhere with what it was sent."""
        self.assertIn("proof", self.refused(instance_id="instance-2"))

    def test_a_proof_for_another_service_is_refused(self) -> None:
        """Nor at another service."""
        self.assertIn("proof", self.refused(service="uid_service"))

    def test_a_replayed_proof_is_refused(self) -> None:
        """What logged in one connection logs in no other."""
        first, nonce = self.greeted()
        self.answer(self.authenticate(first, nonce))
        second, _ = self.greeted()
        error = self.refusal(self.authenticate(second, nonce), NotAuthenticated)
        self.assertIn("proof", error.message)

    def test_logging_in_twice_is_a_conflict(self) -> None:
        """The session stays as it is."""
        peer, nonce = self.greeted()
        self.answer(self.authenticate(peer, nonce))
        self.refusal(self.authenticate(peer, nonce), Conflict)
        self.assertEqual(self.answer(peer.ask(Add, {"left": 1, "right": 1})), {"sum": 2})

    def test_authenticate_before_hello_is_refused(self) -> None:
        """There is no nonce yet."""
        peer = self.connect()
        self.refusal(peer.ask(Authenticate, {"ticket": "", "proof": b""}), NotAuthenticated)

    def test_an_account_without_an_avatar_is_forbidden_and_stays_anonymous(self) -> None:
        """The room says who may come in."""
        self.avatars.refusal = Forbidden("This is for services.")
        peer, nonce = self.greeted()
        self.refusal(self.authenticate(peer, nonce), Forbidden)
        [session] = self.factory.sessions
        self.assertEqual((session.state, session.is_authenticated), (State.ANONYMOUS, False))

    def test_failed_logins_are_counted_delayed_and_end_the_connection(self) -> None:
        """Two at once, the third after 1 s, the fourth after 2 s, and that is the last."""
        peer, nonce = self.greeted()
        for _ in range(2):
            self.refusal(self.authenticate(peer, nonce, "garbage"), NotAuthenticated)
        third = self.authenticate(peer, nonce, "garbage")
        self.clock.advance(0.9)
        self.assertNoResult(third)
        self.clock.advance(0.2)
        self.failureResultOf(third, NotAuthenticated)
        fourth = self.authenticate(peer, nonce, "garbage")
        self.clock.advance(2.1)
        self.failureResultOf(fourth, NotAuthenticated)
        self.clock.pump()
        self.assertFalse(peer.is_open)
        self.assertEqual(self.metrics.value("spire_wire_logins_total", service=SERVICE, outcome="refused"), 4.0)


class RenewalTests(WireTestCase):
    """A session ends with its ticket, unless it is renewed or cannot be."""

    def setUp(self) -> None:
        """Log in with a ticket of 300 s."""
        super().setUp()
        self.peer = self.connect()
        nonce = self.answer(self.hello(self.peer))["nonce"]
        self.nonce = self.answer(self.authenticate(self.peer, nonce))["nonce"]

    def renew(self, **changes: Any) -> Any:
        """Send a renewed ticket."""
        proof = sign_proof(self.tickets.holder, SERVICE, INSTANCE, self.nonce)
        return self.peer.ask(Reauthenticate, {"ticket": self.tickets.make(**changes), "proof": proof})

    def test_a_session_ends_with_its_ticket(self) -> None:
        """Not a second later."""
        self.clock.advance(299.0)
        self.assertTrue(self.peer.is_open)
        self.clock.advance(2.0)
        self.assertFalse(self.peer.is_open)

    def test_a_renewed_ticket_lengthens_it(self) -> None:
        """By the new one's life."""
        self.clock.advance(150.0)
        self.answer(self.renew())
        self.clock.advance(299.0)
        self.assertTrue(self.peer.is_open)
        self.clock.advance(2.0)
        self.assertFalse(self.peer.is_open)

    def test_a_renewal_needs_a_fresh_proof(self) -> None:
        """Each one names the nonce of the answer before."""
        self.answer(self.renew())
        self.refusal(self.renew(), NotAuthenticated)

    def test_the_session_shows_the_nonce_in_force(self) -> None:
        """The Locator checks proofs of its own commands with it."""
        self.assertEqual(self.session.nonce, self.nonce)
        renewed = self.answer(self.renew())
        self.assertEqual(self.session.nonce, renewed["nonce"])

    def test_a_renewal_for_somebody_else_is_a_conflict(self) -> None:
        """A session does not change hands."""
        self.refusal(self.renew(account="bob", account_id=8), Conflict)
        self.assertEqual(self.session.identity.account, "ann")

    def test_a_renewal_brings_new_capabilities(self) -> None:
        """Without a new connection."""
        self.answer(self.renew(capabilities=frozenset({"test.use", "test.more"})))
        self.session.require("test.more")

    def test_a_renewal_with_fewer_rights_closes_the_session(self) -> None:
        """The client comes back to the table that it may have."""
        self.answer(self.renew(capabilities=frozenset()))
        self.clock.advance(0.1)
        self.assertFalse(self.peer.is_open)

    def test_an_expired_ticket_is_borne_while_no_locator_can_renew_it(self) -> None:
        """For an hour at most."""
        self.locator_is_there = False
        self.clock.advance(300.0 + 3_590.0)
        self.assertTrue(self.peer.is_open)
        self.clock.advance(15.0)
        self.assertFalse(self.peer.is_open)

    def test_after_an_outage_there_is_time_to_renew(self) -> None:
        """Half a minute, then the session ends."""
        self.locator_is_there = False
        self.clock.advance(400.0)
        self.locator_is_there = True
        self.clock.advance(29.0)
        self.assertTrue(self.peer.is_open)
        self.clock.advance(10.0)
        self.assertFalse(self.peer.is_open)

    def test_after_an_outage_a_renewal_keeps_the_session(self) -> None:
        """As if nothing had been."""
        self.locator_is_there = False
        self.clock.advance(400.0)
        self.locator_is_there = True
        self.clock.advance(10.0)
        self.answer(self.renew())
        self.clock.advance(200.0)
        self.assertTrue(self.peer.is_open)

    def test_revoked_identities_are_closed_at_once(self) -> None:
        """Those that the predicate picks, and no others."""
        self.assertEqual(self.factory.revoke(lambda identity: identity.account == "bob"), 0)
        self.assertEqual(self.factory.revoke(lambda identity: identity.login_session == "login-1"), 1)
        self.clock.pump()
        self.assertFalse(self.peer.is_open)


class EndTests(WireTestCase):
    """One place releases everything."""

    def test_registrations_are_released_in_reverse_order_then_the_avatar(self) -> None:
        """Also where one of them fails."""
        self.log_in()
        seen: list[str] = []

        def fails() -> None:
            raise ValueError("cannot be released")

        session = self.session
        session.on_close(lambda: seen.append("first"))
        session.on_close(fails)
        taken_back = session.on_close(lambda: seen.append("never"))
        session.on_close(lambda: seen.append(f"last {len(self.avatars.closed_sessions)}"))
        taken_back()
        self.network.drop()
        self.assertEqual((seen, self.avatars.closed_sessions), (["last 0", "first"], [session]))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual((self.factory.sessions, session.state), (set(), State.CLOSED))
        self.assertEqual(self.metrics.value("spire_wire_sessions", service=SERVICE), 0.0)

    def test_a_registration_after_the_end_is_released_at_once(self) -> None:
        """A slow subscription leaves nothing behind."""
        self.log_in()
        session = self.session
        self.network.drop()
        seen: list[str] = []
        session.on_close(lambda: seen.append("released"))
        self.assertEqual(seen, ["released"])

    def test_nothing_is_left_in_the_clock(self) -> None:
        """No timer outlives its connection."""
        self.log_in()
        self.network.drop()
        self.clock.pump()
        self.assertEqual(self.clock.reactor.getDelayedCalls(), [])

    def test_a_closing_server_says_so(self) -> None:
        """Every session hears why."""
        heard = Listener()
        peer = self.log_in(heard)
        self.factory.close_all("The server stops.")
        self.clock.pump()
        self.assertEqual((heard.said, peer.is_open), ([(Unavailable.code, "The server stops.")], False))

    def test_a_peer_that_does_not_read_the_goodbye_is_aborted(self) -> None:
        """Closing takes three seconds at most."""
        self.log_in()
        [link] = self.network.connections()
        link.hang()
        self.session.close("The server stops.")
        self.clock.advance(2.9)
        self.assertEqual(self.session.state, State.CLOSING)
        self.clock.advance(0.2)
        self.assertEqual(self.session.state, State.CLOSED)

    def test_a_silent_peer_is_aborted_after_25_seconds(self) -> None:
        """Heartbeats kept it open until they no longer came."""
        self.log_in()
        self.clock.advance(100.0)
        [link] = self.network.connections()
        session = self.session
        link.client.hold()
        self.clock.advance(24.9)
        self.assertIs(session.state, State.ACTIVE)
        self.clock.advance(0.2)
        self.assertIs(session.state, State.CLOSED)

    def test_garbage_ends_the_connection_and_no_other(self) -> None:
        """The peer is told, in the only way left."""
        heard = Listener()
        good, bad = self.log_in(), self.log_in(heard)
        bad.write_box(b"GET / HTTP/1.1\r\n\r\n")
        self.clock.advance(1.0)
        self.assertEqual((good.is_open, bad.is_open, heard.said[0][0]), (True, False, "INVALID"))
        self.assertEqual(self.metrics.value("spire_wire_server_connection_faults_total", fault="box"), 1.0)

    def test_an_oversized_box_ends_the_connection_with_its_reason(self) -> None:
        """Before it has been held."""
        heard = Listener()
        bad = self.log_in(heard)
        for number in range(3):
            bad.write_box(key_header(b"k%d" % number) + b"\xff\xff" + b"x" * 65_535)
        self.clock.advance(1.0)
        self.assertEqual(bad.is_open, False)
        self.assertIn("larger than 131072", heard.said[0][1])

    def test_a_box_that_is_neither_command_nor_answer_ends_the_connection(self) -> None:
        """AMP has no other."""
        bad = self.log_in()
        bad.write_box(serialise({b"hello": b"world"}))
        self.clock.advance(1.0)
        self.assertFalse(bad.is_open)

    def test_an_answer_to_nothing_is_counted_and_ignored(self) -> None:
        """A late answer looks the same."""
        peer = self.log_in()
        peer.write_box(serialise({b"_answer": b"99"}) + serialise({b"_error": b"98", b"_error_code": b"INVALID"}))
        self.assertEqual(self.answer(peer.ask(Add, {"left": 1, "right": 1})), {"sum": 2})
        self.assertEqual(self.metrics.value("spire_wire_server_late_answers_total"), 2.0)


class UnreadTests(WireTestCase):
    """Answers that a peer does not read are bounded."""

    limits = Limits(unread_bytes=1_000_000)

    def test_a_peer_that_asks_and_does_not_read_is_cut(self) -> None:
        """At the cap, not at the end of our memory."""
        peer = self.log_in()
        [link] = self.network.connections()
        link.server.hold()
        self.room.outcome = {"value": b"x" * 60_000}
        from tests.wire.support import Fail

        asked = [peer.ask(Fail, {}) for _ in range(40)]
        self.clock.advance(1.0)
        self.assertEqual(self.session.state, State.CLOSED)
        for one in asked:
            self.failureResultOf(one, Unavailable)
        self.assertEqual(self.metrics.value("spire_wire_server_connection_faults_total", fault="unread"), 1.0)

    def test_a_pause_of_the_transport_is_seen(self) -> None:
        """Streams hold back between pause and resume."""
        self.log_in()
        [link] = self.network.connections()
        link.server.hold()
        seen: list[bool] = []
        connection = self.session.connection
        connection.on_writable(seen.append)
        connection.write_box(serialise({b"_command": b"Absent", b"data": b"x" * 60_000}))
        self.assertTrue(connection.writable)
        connection.write_box(serialise({b"_command": b"Absent", b"data": b"x" * 60_000}))
        self.assertEqual((connection.writable, seen), (False, [False]))
        link.server.release()
        self.clock.pump()
        self.assertEqual((connection.writable, seen), (True, [False, True]))

    def test_small_answers_of_one_turn_share_a_write(self) -> None:
        """One write a turn, not one a box."""
        peer = self.log_in()
        transport = self.network.connections()[0].server
        writes: list[bytes] = []
        write = transport.write
        transport.write = lambda data: (writes.append(data), write(data))[1]  # type: ignore[method-assign]
        asked = [peer.ask(Add, {"left": n, "right": 0}) for n in range(20)]
        self.clock.pump()
        self.assertEqual([self.successResultOf(one)["sum"] for one in asked], list(range(20)))
        self.assertEqual(len(writes), 1)


class ServiceLimitTests(WireTestCase):
    """Caps depend on the role."""

    limits = Limits(outstanding_calls=1, service_outstanding_calls=3, subscriptions=5, service_subscriptions=50)

    def test_a_service_may_ask_more_at_once_than_a_person(self) -> None:
        """Calls and subscriptions."""
        self.tickets.claims.update(roles=frozenset({"service"}))
        peer = self.log_in()
        waiting = [peer.ask(Wait, {"name": name}) for name in "abc"]
        self.clock.pump()
        self.refusal(peer.ask(Wait, {"name": "d"}), Overloaded)
        for one in waiting:
            self.assertNoResult(one)
        self.assertEqual(self.session.subscription_limit, 50)

    def test_a_person_may_ask_less(self) -> None:
        """The ordinary caps."""
        peer = self.log_in()
        peer.ask(Wait, {"name": "a"})
        self.clock.pump()
        self.refusal(peer.ask(Wait, {"name": "b"}), Overloaded)
        self.assertEqual(self.session.subscription_limit, 5)
