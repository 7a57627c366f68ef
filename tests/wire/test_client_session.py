"""A client's session: it comes back by itself, and says what is in its way."""

from itertools import pairwise
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from spire.values.environment import Environment
from spire.wire.back_off import TO_LOCATOR, BackOff
from spire.wire.client_session import ClientSession, ClientState
from spire.wire.errors import Conflict, CredentialsRefused, Unavailable
from spire.wire.identity import Provider
from spire.wire.interfaces import IAddresses, IConnection, ICredentials
from spire.wire.ticket_credentials import TicketCredentials
from tests.wire.support import ADDRESS, INSTANCE, SERVICE, Add, Move, Note, Point, Room, Wait, WireTestCase

SECOND = "127.0.0.1:20901"


@implementer(IAddresses)
class Directory:
    """A Locator's providers, as the test changes them."""

    def __init__(self, *addresses: str) -> None:
        self.providers = [self.provider(address) for address in addresses]
        self.watchers: list[Any] = []
        self.asked = 0

    @staticmethod
    def provider(address: str, account: str = SERVICE, load: int = 0) -> Provider:
        """Return a provider at `address`."""
        return Provider(
            service=SERVICE,
            instance_id=address,
            addresses=(address,),
            account=account,
            environment="DEMO",
            load=load,
        )

    async def addresses(self, service: str) -> list[Provider]:
        """Return what the test has put there."""
        self.asked += 1
        return self.providers

    def on_change(self, callback: Any) -> None:
        """Keep the callback."""
        self.watchers.append(callback)

    def changed(self, service: str = SERVICE) -> None:
        """Push a change."""
        for watcher in self.watchers:
            watcher(service)


class ClientTestCase(WireTestCase):
    """A client of the service."""

    def setUp(self) -> None:
        """Make the client, not started."""
        super().setUp()
        self.directory = Directory(ADDRESS)
        self.client = self.make()
        self.states: list[bool] = []
        self.client.on_state(self.states.append)

    def make(self, **options: Any) -> ClientSession:
        """Return a client session."""
        return ClientSession(
            SERVICE,
            **{
                "addresses": self.directory,
                "connector": self.network,
                "credentials": TicketCredentials(self.tickets, self.tasks),
                "environment": Environment.DEMO,
                "clock": self.clock,
                "tasks": self.tasks,
                "metrics": self.metrics,
                "chance": lambda: 0.0,
                **options,
            },
        )

    def ready(self, client: ClientSession | None = None) -> ClientSession:
        """Start a client and let it get ready."""
        client = client or self.client
        client.start()
        self.clock.pump()
        self.assertTrue(client.is_ready, client.reason)
        return client

    def call(self, command: Any, **arguments: Any) -> Deferred[Any]:
        """Call through the client."""
        return Deferred.fromCoroutine(self.client.call(command, **arguments))

    def stop_listening(self) -> None:
        """Take the server away, with its connections."""
        self.port.stopListening()
        self.network.drop()


class ReadyTests(ClientTestCase):
    """Connect, hello, login, ready."""

    def test_it_is_ready_and_knows_its_server(self) -> None:
        """Instance and epoch are the hello's."""
        self.ready()
        self.assertEqual((self.client.instance_id, self.client.epoch, self.states), (INSTANCE, 3, [True]))
        self.assertEqual(self.metrics.value("spire_wire_client_ready", service=SERVICE), 1.0)

    def test_calls_are_answered_with_values_and_errors(self) -> None:
        """As if the server were here."""
        self.ready()
        self.assertEqual(self.answer(self.call(Add, left=1, right=2)), {"sum": 3})
        error = self.refusal(self.call(Move, point=Point(x=13)), Conflict)
        self.assertEqual(error.details, {"x": "13"})

    def test_a_call_before_it_is_ready_fails_at_once(self) -> None:
        """Nothing was sent, and the error says so."""
        error = self.refusal(self.call(Add, left=1, right=2), Unavailable)
        self.assertEqual((error.in_doubt, "was not started" in error.message), (False, True))

    def test_a_call_may_wait_until_it_is_ready(self) -> None:
        """Per call site."""
        waiting = self.call(Add, left=1, right=2, wait_seconds=5.0)
        self.ready()
        self.assertEqual(self.answer(waiting), {"sum": 3})

    def test_a_call_waits_no_longer_than_it_was_told(self) -> None:
        """Then it says what is in the way."""
        self.network.faults.refuse.add(ADDRESS)
        self.client.start()
        waiting = self.call(Add, left=1, right=2, wait_seconds=5.0)
        self.clock.advance(5.0)
        error = self.failureResultOf(waiting, Unavailable).value
        self.assertIn("nothing that is test_service listens", error.message)

    def test_pushes_go_both_ways(self) -> None:
        """One-way commands of the application."""
        room = Room()
        client = self.ready(self.make(pushes=room))
        self.assertTrue(client.push(Note, text="up"))
        self.session.send(Note, text="down")
        self.clock.pump()
        self.assertEqual((self.room.notes, room.notes), (["up"], ["down"]))

    def test_a_push_while_it_is_not_ready_is_not_sent(self) -> None:
        """And says so."""
        self.assertFalse(self.client.push(Note, text="up"))

    def test_its_parts_keep_their_interfaces(self) -> None:
        """What is handed about is what it says."""
        verifyObject(ICredentials, TicketCredentials(self.tickets, self.tasks))
        self.ready()
        verifyObject(IConnection, self.client._connection)
        verifyObject(IConnection, self.session.connection)

    def test_stop_closes_and_leaves_no_timer(self) -> None:
        """The server sees it go."""
        self.ready()
        stopped = Deferred.fromCoroutine(self.client.stop())
        self.clock.pump()
        self.successResultOf(stopped)
        self.assertEqual((self.states, self.factory.sessions), ([True, False], set()))
        self.assertEqual(self.clock.reactor.getDelayedCalls(), [])

    def test_stop_while_it_connects(self) -> None:
        """An attempt under way is given up."""
        self.network.faults.hang.add(ADDRESS)
        self.client.start()
        waiting = Deferred.fromCoroutine(self.client.when_ready())
        self.clock.advance(1.0)
        stopped = Deferred.fromCoroutine(self.client.stop())
        self.clock.pump()
        self.successResultOf(stopped)
        self.failureResultOf(waiting, Unavailable)
        self.assertEqual(self.clock.reactor.getDelayedCalls(), [])

    def test_it_can_be_started_again(self) -> None:
        """After a stop."""
        self.ready()
        Deferred.fromCoroutine(self.client.stop())
        self.clock.pump()
        self.ready()
        self.assertEqual(self.states, [True, False, True])


class RecoveryTests(ClientTestCase):
    """It survives everything but a refusal."""

    def test_a_lost_connection_is_made_again_within_a_second(self) -> None:
        """The first attempt comes after half a second."""
        self.ready()
        self.network.drop()
        self.assertFalse(self.client.is_ready)
        self.clock.advance(0.6)
        self.assertEqual((self.client.is_ready, self.states), (True, [True, False, True]))

    def test_calls_under_way_fail_in_doubt_and_are_not_repeated(self) -> None:
        """Only the caller knows whether to ask again."""
        self.ready()
        waiting = self.call(Wait, name="a")
        self.clock.pump()
        self.network.drop()
        self.assertTrue(self.failureResultOf(waiting, Unavailable).value.in_doubt)
        self.clock.advance(5.0)
        self.assertEqual([list(room.waiting) for room in self.avatars.rooms], [["a"], []])

    def test_attempts_back_off(self) -> None:
        """0.5 s, times 1.7 each, to the ceiling."""
        self.network.faults.refuse.add(ADDRESS)
        self.client.start()
        times = [0.0]
        for _ in range(4_000):
            before = self.directory.asked
            self.clock.advance(0.05)
            if self.directory.asked != before:
                times.append(self.clock.monotonic())
        gaps = [later - earlier for earlier, later in pairwise(times)]
        for gap, expected in zip(gaps, [0.5, 0.85, 1.445, 2.4565], strict=False):
            self.assertApproximates(gap, expected, 0.06)
        self.assertApproximates(gaps[-1], 30.0, 0.06)

    def test_a_change_of_addresses_wakes_it_at_once(self) -> None:
        """It does not sit out its delay."""
        self.stop_listening()
        self.client.start()
        self.clock.advance(200.0)
        self.serve("instance-2", SECOND)
        self.directory.providers = [Directory.provider(SECOND)]
        self.directory.changed()
        self.clock.pump()
        self.assertEqual((self.client.is_ready, self.client.instance_id), (True, "instance-2"))

    def test_a_change_during_an_attempt_is_not_lost(self) -> None:
        """The next attempt follows without a delay."""
        self.network.faults.hang.add(ADDRESS)
        self.client.start()
        self.clock.advance(9.0)
        self.serve("instance-2", SECOND)
        self.directory.providers = [Directory.provider(SECOND)]
        self.directory.changed()
        self.clock.advance(1.1)
        self.assertTrue(self.client.is_ready)

    def test_a_change_of_another_service_wakes_nobody(self) -> None:
        """Only its own counts."""
        self.network.faults.refuse.add(ADDRESS)
        self.client.start()
        self.clock.advance(60.0)
        before = self.directory.asked
        self.directory.changed("uid_service")
        self.clock.pump()
        self.assertEqual(self.directory.asked, before)

    def test_a_server_that_hangs_is_given_up(self) -> None:
        """An attempt ends after ten seconds, then comes the next."""
        self.network.faults.hang.add(ADDRESS)
        self.client.start()
        self.clock.advance(9.0)
        self.network.faults.hang.clear()
        self.clock.advance(2.0)
        self.assertTrue(self.client.is_ready)

    def test_a_server_that_says_nothing_is_given_up(self) -> None:
        """TCP alone is no session, and does not reset the back-off."""
        self.network.faults.delay_seconds = 0.02
        self.client.start()
        for _ in range(3):
            while not self.network.connections():
                self.clock.advance(0.01)
            self.network.connections()[0].hang()
            self.clock.advance(10.05)
        self.assertGreaterEqual(self.client._failures, 3)
        self.assertFalse(self.client.is_ready)

    def test_a_silent_server_is_noticed_after_25_seconds(self) -> None:
        """And replaced by a new connection."""
        self.ready()
        self.network.connections()[0].hang()
        self.clock.advance(24.0)
        self.assertTrue(self.client.is_ready)
        self.clock.advance(2.0)
        self.assertEqual(self.states, [True, False, True])

    def test_the_other_address_is_tried_next(self) -> None:
        """Round and round, the best first."""
        self.directory.providers = [Directory.provider(SECOND, load=5), Directory.provider(ADDRESS, load=9)]
        self.client.start()
        self.clock.advance(1.0)
        self.assertEqual((self.client.is_ready, self.client.instance_id), (True, INSTANCE))

    def test_a_provider_of_another_account_is_no_provider(self) -> None:
        """Whoever registers a name must be who we expect."""
        self.directory.providers = [Directory.provider(ADDRESS, account="mallory")]
        client = self.make(account=SERVICE)
        client.start()
        self.clock.advance(1.0)
        self.assertEqual(
            (client.is_ready, client.reason), (False, "UNAVAILABLE: No server of test_service is registered.")
        )

    def test_another_environment_is_no_session(self) -> None:
        """The reason is kept for whoever asks."""
        client = self.make(environment=Environment.PRODUCTION)
        client.start()
        self.clock.advance(1.0)
        self.assertIn("This is DEMO, not PRODUCTION", client.reason)

    def test_the_servers_goodbye_is_the_reason(self) -> None:
        """Not merely that the connection was lost."""
        self.ready()
        self.session.close("The server stops.")
        self.clock.pump()
        self.assertEqual(self.client.reason, "UNAVAILABLE: The server stops.")

    def test_a_refused_ticket_is_tried_again(self) -> None:
        """A server that has just started may not know the newest key yet."""
        key = self.tickets.keys.pop("k1")
        self.client.start()
        self.clock.advance(1.0)
        self.assertIn("key that is not known", self.client.reason)
        self.tickets.keys["k1"] = key
        self.clock.advance(5.0)
        self.assertTrue(self.client.is_ready)

    def test_a_locator_that_is_away_is_waited_for(self) -> None:
        """Unavailable is never a refusal."""
        self.tickets.refusal = Unavailable("The Service Locator cannot be reached.")
        self.client.start()
        self.clock.advance(60.0)
        self.tickets.refusal = None
        self.clock.advance(30.0)
        self.assertTrue(self.client.is_ready)


class RefusalTests(ClientTestCase):
    """A definitive refusal ends it, until told otherwise."""

    def setUp(self) -> None:
        """Let the Locator refuse."""
        super().setUp()
        self.tickets.refusal = CredentialsRefused("Wrong name or password.")
        self.client.start()
        self.clock.advance(0.1)

    def test_it_stays_refused_with_the_reason(self) -> None:
        """And tries no more."""
        asked = self.directory.asked
        self.clock.advance(300.0)
        self.directory.changed()
        self.clock.pump()
        self.assertEqual((self.client.state, self.directory.asked), (ClientState.REFUSED, asked))
        self.assertEqual(self.client.reason, "Wrong name or password.")

    def test_whoever_waits_hears_it(self) -> None:
        """It is of no use to wait."""
        self.failureResultOf(Deferred.fromCoroutine(self.client.when_ready(10.0)), CredentialsRefused)

    def test_start_tries_again(self) -> None:
        """With better credentials."""
        self.tickets.refusal = None
        self.ready()


class RenewalTests(ClientTestCase):
    """Renewed tickets lengthen open sessions."""

    def test_every_open_session_is_renewed(self) -> None:
        """Whenever the source has a newer ticket."""
        self.ready()
        for _ in range(4):
            self.clock.advance(200.0)
            for renewed in self.tickets.renewed:
                renewed()
            self.clock.pump()
        self.assertEqual((self.client.is_ready, self.states), (True, [True]))

    def test_without_renewal_it_logs_in_again(self) -> None:
        """The server ends the session with its ticket, and the client comes back."""
        self.ready()
        self.clock.advance(302.0)
        self.assertEqual((self.client.is_ready, self.states), (True, [True, False, True]))

    def test_a_refused_renewal_is_only_logged(self) -> None:
        """The session ends when its ticket does."""
        self.ready()
        self.tickets.revoked.add("login-1")
        for renewed in self.tickets.renewed:
            renewed()
        self.clock.pump()
        self.assertTrue(self.client.is_ready)


class RestoreTests(ClientTestCase):
    """It is ready only when its subscriptions are there again."""

    def test_a_failing_restore_is_tried_again(self) -> None:
        """On a new connection."""
        attempts: list[IConnection] = []

        async def restore(connection: IConnection) -> None:
            attempts.append(connection)
            if len(attempts) == 1:
                raise Unavailable("The snapshot did not come.")

        self.client.subscriptions.restore = restore
        self.client.start()
        self.clock.advance(1.0)
        self.assertEqual((len(attempts), self.client.is_ready), (2, True))
        self.assertIsNot(attempts[0], attempts[1])

    def test_a_restore_that_crashes_is_logged_and_tried_again(self) -> None:
        """A fault of ours does not leave a dead session behind."""
        attempts: list[IConnection] = []

        async def restore(connection: IConnection) -> None:
            attempts.append(connection)
            if len(attempts) == 1:
                raise KeyError("a fault")

        self.client.subscriptions.restore = restore
        self.client.start()
        self.clock.advance(1.0)
        self.assertEqual((len(self.flushLoggedErrors(KeyError)), self.client.is_ready), (1, True))

    def test_subscriptions_learn_of_the_loss(self) -> None:
        """Once for each connection that was lost."""
        seen: list[Failure] = []
        self.client.subscriptions.disconnected = seen.append
        self.ready()
        self.network.drop()
        self.assertEqual(len(seen), 1)


class BackOffTests(WireTestCase):
    """Delays grow and are jittered."""

    def test_no_failure_no_delay(self) -> None:
        """The first attempt is at once."""
        self.assertEqual(BackOff().delay(0, lambda: 0.0), 0.0)

    def test_the_ceiling_holds(self) -> None:
        """Also after very many."""
        self.assertEqual(BackOff().delay(10_000, lambda: 0.0), 30.0)
        self.assertEqual(TO_LOCATOR.delay(10_000, lambda: 0.0), 2.0)

    def test_jitter_shortens_by_half_at_most(self) -> None:
        """So that a thousand clients do not return as one."""
        chances = [1.0, 0.5, 0.0]
        self.assertEqual([BackOff().delay(1, chances.pop) for _ in range(3)], [0.5, 0.375, 0.25])
