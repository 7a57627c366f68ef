"""TLS on real sockets: a client accepts only the service that it asked for."""

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate as TwistedCertificate
from twisted.internet.ssl import TLSVersion, optionsForClientTLS, trustRootFromCertificates
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.testing.clock import ManualClock
from spire.values.environment import Environment
from spire.values.time import Timestamp
from spire.wire.addresses import FixedAddresses
from spire.wire.certificates import expiry_of, host_of, make_authority, make_server_certificate, names_in
from spire.wire.client_session import ClientSession
from spire.wire.errors import Unavailable
from spire.wire.interfaces import IConnector, IListener
from spire.wire.server_session import ServerFactory
from spire.wire.ticket_credentials import TicketCredentials
from spire.wire.tls import TlsConnector, TlsListener, split_address
from tests.wire.support import SERVICE, Add, Avatars, Tickets


def wall() -> Timestamp:
    """Return the real time: OpenSSL asks no clock of ours."""
    import time

    return Timestamp(time.time_ns())


class TlsTests(TestCase):
    """A server with a certificate of the private authority, on a real socket."""

    timeout = 20

    def setUp(self) -> None:
        """Make the authority."""
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.clock = Clock(self.reactor)
        self.metrics = Metrics()
        self.tasks = Tasks(self.clock, self.metrics)
        self.authority = make_authority("test authority", wall())
        self.path = self.mktemp()
        Path(self.path).write_bytes(self.authority.certificate)
        self.tickets = Tickets(self.clock)  # type: ignore[arg-type]

    async def serve(self, service: str, named: str | None = None, authority: Any = None) -> str:
        """Serve `SERVICE` with a certificate that names `named`; return its address."""
        made = make_server_certificate(authority or self.authority, [named or service], ["127.0.0.1"], wall())
        self.factory = ServerFactory(
            service=service,
            instance_id="i1",
            epoch=1,
            environment=Environment.DEMO,
            avatars=Avatars(),
            verifier=self.tickets.verifier(),
            clock=self.clock,
            tasks=self.tasks,
            metrics=self.metrics,
        )
        listener = TlsListener(made.certificate, made.key)
        verifyObject(IListener, listener)
        port = await listener.listen("127.0.0.1:0", named or service, self.factory)
        self.addCleanup(port.stopListening)
        return f"127.0.0.1:{port.getHost().port}"

    def client(self, address: str) -> ClientSession:
        """Return a client of `SERVICE` at `address`, which ends with the test."""
        connector = TlsConnector(self.path)
        verifyObject(IConnector, connector)
        session = ClientSession(
            SERVICE,
            addresses=FixedAddresses(SERVICE, [address], Environment.DEMO),
            connector=connector,
            credentials=TicketCredentials(self.tickets, self.tasks),
            environment=Environment.DEMO,
            clock=self.clock,
            tasks=self.tasks,
            metrics=self.metrics,
            chance=lambda: 0.0,
        )
        self.addCleanup(self.stop, session)
        session.start()
        return session

    def stop(self, session: ClientSession) -> Deferred[None]:
        """Stop a client, and wait until the server has noticed."""

        async def both() -> None:
            await session.stop()
            while self.factory.sessions:
                await self.clock.sleep(0.01)

        return Deferred.fromCoroutine(both())

    async def test_a_call_over_tls(self) -> None:
        """Hello, login and a call, with the name that the certificate carries."""
        session = self.client(await self.serve(SERVICE))
        await session.when_ready(10.0)
        self.assertEqual(await session.call(Add, left=40, right=2), {"sum": 42})

    async def test_large_and_many_boxes_over_tls(self) -> None:
        """Boxes of more than one TLS record, many at once."""
        session = self.client(await self.serve(SERVICE))
        await session.when_ready(10.0)
        calls = [Deferred.fromCoroutine(session.call(Add, left=n, right=0)) for n in range(200)]
        self.assertEqual([(await one)["sum"] for one in calls], list(range(200)))

    async def test_another_services_certificate_is_refused(self) -> None:
        """Wherever it runs, whoever answers there must be the service."""
        session = self.client(await self.serve(SERVICE, named="uid_service"))
        await self.refused(session, "VerificationError")

    async def test_another_authoritys_certificate_is_refused(self) -> None:
        """The right name, signed by somebody else."""
        session = self.client(await self.serve(SERVICE, authority=make_authority("another", wall())))
        await self.refused(session, "certificate verify failed")

    async def refused(self, session: ClientSession, text: str) -> None:
        """Assert that `session` does not get ready, and that its reason holds `text`."""
        try:
            await session.when_ready(1.0)
        except Unavailable as error:
            self.assertIn(text, error.message)
        else:
            self.fail("the certificate was accepted")

    async def test_tls_1_2_is_refused(self) -> None:
        """Nothing below 1.3 is spoken."""
        address = await self.serve(SERVICE)
        host, port = split_address(address)
        root = trustRootFromCertificates([TwistedCertificate.loadPEM(self.authority.certificate)])
        options = optionsForClientTLS(
            host_of(SERVICE),
            trustRoot=root,
            extraCertificateOptions={
                "insecurelyLowerMinimumTo": TLSVersion.TLSv1_2,
                "lowerMaximumSecurityTo": TLSVersion.TLSv1_2,
            },
        )
        lost: Deferred[Any] = Deferred()

        from twisted.internet.protocol import Protocol

        class Old(Protocol):
            def connectionLost(self, reason: Any = None) -> None:
                lost.callback(str(reason.value))

        await wrapClientTLS(options, HostnameEndpoint(self.reactor, host.encode(), port)).connect(
            Factory.forProtocol(Old)
        )
        self.assertIn("protocol version", await lost)

    def test_a_certificate_must_name_the_service_that_it_serves(self) -> None:
        """A wrong file is found at start."""
        made = make_server_certificate(self.authority, ["uid_service"], [], wall())
        listener = TlsListener(made.certificate, made.key)
        with self.assertRaises(ValueError) as caught:
            listener.listen("127.0.0.1:0", SERVICE, Factory())
        self.assertIn("uid-service.spire", str(caught.exception))

    def test_a_key_must_fit_its_certificate(self) -> None:
        """Also found at start."""
        one = make_server_certificate(self.authority, [SERVICE], [], wall())
        two = make_server_certificate(self.authority, [SERVICE], [], wall())
        self.assertRaises(Exception, TlsListener, one.certificate, two.key)  # noqa: B017 (OpenSSL's own class)


class CertificateTests(SynchronousTestCase):
    """Certificates of the private authority."""

    def test_a_certificate_names_its_services_and_hosts(self) -> None:
        """Hyphens, and `.spire`."""
        authority = make_authority("test", ManualClock().now())
        made = make_server_certificate(
            authority,
            ["market_data_service", "market_data_feed_service"],
            ["md1.example", "10.0.0.1"],
            ManualClock().now(),
        )
        self.assertEqual(
            names_in(made.certificate),
            {"market-data-service.spire", "market-data-feed-service.spire", "md1.example"},
        )

    def test_it_ends_when_it_was_told_to(self) -> None:
        """Days from the clock that was given."""
        authority = make_authority("test", ManualClock().now(), days=10)
        self.assertEqual(expiry_of(authority.certificate).isoformat(), "2013-10-18T13:30:00+00:00")

    def test_a_private_key_does_not_show_in_a_repr(self) -> None:
        """What is logged by mistake is of no use."""
        self.assertNotIn("PRIVATE", repr(make_authority("test", ManualClock().now())))

    def test_addresses_are_host_and_port(self) -> None:
        """Also of version 6."""
        self.assertEqual(split_address("[::1]:20000"), ("::1", 20_000))
        self.assertEqual(split_address("localhost:0"), ("localhost", 0))
        for text in ("localhost", "localhost:", "localhost:x", "localhost:70000"):
            self.assertRaises(ValueError, split_address, text)
