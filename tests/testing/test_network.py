"""The network in memory behaves as sockets do, and fails as they do."""

from typing import Any

from twisted.internet.error import CannotListenError, ConnectError, ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IListeningPort, IPushProducer, ITransport
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from spire.testing.clock import ManualClock
from spire.testing.network import HIGH_WATER, MemoryNetwork
from spire.wire.interfaces import IConnector, IListener

ADDRESS = "10.0.0.1:20000"


class Kept(Protocol):
    """Keeps what arrives, and why it ended."""

    transport: Any

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.lost: list[type[BaseException]] = []

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.received.append(data)

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        """Keep it."""
        self.lost.append(type(reason.value))


@implementer(IPushProducer)
class Producer:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def pauseProducing(self) -> None:
        """Note it."""
        self.asked.append("pause")

    def resumeProducing(self) -> None:
        """Note it."""
        self.asked.append("resume")

    def stopProducing(self) -> None:
        """Note it."""
        self.asked.append("stop")


class NetworkTestCase(SynchronousTestCase):
    """A server and a client."""

    def setUp(self) -> None:
        """Listen."""
        self.clock = ManualClock()
        self.network = MemoryNetwork(self.clock)
        self.servers: list[Kept] = []
        self.factory = Factory.forProtocol(self.server)
        self.port = self.successResultOf(self.network.listen(ADDRESS, "uid_service", self.factory))

    def server(self) -> Kept:
        """Return a new server protocol."""
        self.servers.append(Kept())
        return self.servers[-1]

    def connect(self, address: str = ADDRESS, service: str = "uid_service") -> Any:
        """Connect and return the client's protocol, or fail."""
        connecting = self.network.endpoint(address, service).connect(Factory.forProtocol(Kept))
        self.clock.pump()
        return self.successResultOf(connecting)


class ConnectionTests(NetworkTestCase):
    """Bytes arrive, in order, in later turns."""

    def test_bytes_arrive_in_a_later_turn(self) -> None:
        """Never inside `write`."""
        client = self.connect()
        client.transport.write(b"one")
        client.transport.write(b"two")
        self.assertEqual(self.servers[0].received, [])
        self.clock.pump()
        self.assertEqual(b"".join(self.servers[0].received), b"onetwo")

    def test_large_writes_arrive_in_pieces(self) -> None:
        """As from a socket."""
        client = self.connect()
        data = bytes(range(256)) * 1_000
        client.transport.write(data)
        self.clock.pump()
        self.assertEqual(b"".join(self.servers[0].received), data)
        self.assertGreater(len(self.servers[0].received), 3)

    def test_an_orderly_close_delivers_first(self) -> None:
        """Both ends see ConnectionDone."""
        client = self.connect()
        client.transport.write(b"last")
        client.transport.loseConnection()
        client.transport.write(b"too late")
        self.clock.pump()
        self.assertEqual(self.servers[0].received, [b"last"])
        self.assertEqual((client.lost, self.servers[0].lost), ([ConnectionDone], [ConnectionDone]))
        self.assertEqual(self.network.connections(), [])

    def test_a_close_waits_for_the_producer(self) -> None:
        """As Twisted's transports do."""
        client = self.connect()
        client.transport.registerProducer(Producer(), True)
        client.transport.loseConnection()
        self.clock.pump()
        self.assertEqual(client.lost, [])
        client.transport.unregisterProducer()
        self.clock.pump()
        self.assertEqual(client.lost, [ConnectionDone])

    def test_an_abort_delivers_nothing_more(self) -> None:
        """And is told apart at the two ends."""
        client = self.connect()
        client.transport.write(b"lost")
        client.transport.abortConnection()
        self.clock.pump()
        self.assertEqual((client.lost, self.servers[0].lost), ([ConnectionAborted], [ConnectionLost]))

    def test_parts_keep_their_interfaces(self) -> None:
        """They can stand for the real ones."""
        client = self.connect()
        verifyObject(IConnector, self.network)
        verifyObject(IListener, self.network)
        verifyObject(IListeningPort, self.port)
        verifyObject(ITransport, client.transport)

    def test_each_end_knows_the_others_address(self) -> None:
        """Peer and host are mirrored."""
        client = self.connect()
        self.assertEqual(client.transport.getPeer(), self.servers[0].transport.getHost())
        self.assertEqual(client.transport.getHost(), self.servers[0].transport.getPeer())


class ListenTests(NetworkTestCase):
    """Ports are taken once."""

    def test_a_taken_port_is_refused(self) -> None:
        """As by a kernel."""
        self.failureResultOf(self.network.listen(ADDRESS, "uid_service", self.factory), CannotListenError)

    def test_port_zero_takes_a_free_one(self) -> None:
        """Another each time."""
        ports = [self.successResultOf(self.network.listen("10.0.0.1:0", "s", self.factory)) for _ in range(2)]
        first, second = (port.getHost().port for port in ports)
        self.assertNotEqual(first, second)

    def test_a_port_that_stopped_can_be_taken_again(self) -> None:
        """Open connections stay."""
        client = self.connect()
        self.port.stopListening()
        self.successResultOf(self.network.listen(ADDRESS, "uid_service", self.factory))
        self.assertEqual((client.lost, self.connect().lost), ([], []))

    def test_nobody_there_is_refused(self) -> None:
        """As is a port of another service, whose certificate would not fit."""
        for address, service in (("10.0.0.1:1", "uid_service"), (ADDRESS, "definitions_service")):
            connecting = self.network.endpoint(address, service).connect(self.factory)
            self.clock.pump()
            self.failureResultOf(connecting, ConnectError)


class FlowTests(NetworkTestCase):
    """Producers are paused and resumed as sockets do it."""

    def setUp(self) -> None:
        """Connect, with a producer."""
        super().setUp()
        self.client = self.connect()
        self.producer = Producer()
        self.client.transport.registerProducer(self.producer, True)

    def test_a_producer_pauses_within_the_write_that_fills_the_buffer(self) -> None:
        """And resumes when the buffer is empty."""
        self.client.transport.write(b"x" * HIGH_WATER)
        self.assertEqual(self.producer.asked, [])
        self.client.transport.write(b"x")
        self.assertEqual(self.producer.asked, ["pause"])
        self.clock.pump()
        self.assertEqual(self.producer.asked, ["pause", "resume"])

    def test_a_reader_that_pauses_holds_up_the_writer(self) -> None:
        """Until it reads again."""
        self.servers[0].transport.pauseProducing()
        self.client.transport.write(b"x" * (HIGH_WATER + 1))
        self.clock.advance(60.0)
        self.assertEqual((self.producer.asked, self.servers[0].received), (["pause"], []))
        self.servers[0].transport.resumeProducing()
        self.clock.pump()
        self.assertEqual(self.producer.asked, ["pause", "resume"])

    def test_a_lost_connection_stops_the_producer(self) -> None:
        """Once."""
        self.network.drop()
        self.network.drop()
        self.assertEqual(self.producer.asked, ["stop"])

    def test_a_second_producer_is_refused(self) -> None:
        """As by Twisted's transports."""
        self.assertRaises(RuntimeError, self.client.transport.registerProducer, Producer(), True)


class FaultTests(NetworkTestCase):
    """What goes wrong in real networks."""

    def test_a_dropped_connection_is_lost_at_both_ends(self) -> None:
        """With what was under way."""
        client = self.connect()
        client.transport.write(b"lost")
        self.assertEqual(self.network.drop("uid_service"), 1)
        self.clock.pump()
        self.assertEqual((client.lost, self.servers[0].lost), ([ConnectionLost], [ConnectionLost]))
        self.assertEqual(self.servers[0].received, [])

    def test_a_hanging_connection_delivers_later(self) -> None:
        """Nothing until it is released, everything then."""
        client = self.connect()
        [link] = self.network.connections("uid_service")
        link.hang()
        client.transport.write(b"late")
        self.clock.advance(60.0)
        self.assertEqual(self.servers[0].received, [])
        link.release()
        self.clock.pump()
        self.assertEqual(self.servers[0].received, [b"late"])

    def test_a_hanging_address_never_answers(self) -> None:
        """Until the attempt is cancelled."""
        self.network.faults.hang.add(ADDRESS)
        connecting = self.network.endpoint(ADDRESS, "uid_service").connect(self.factory)
        self.clock.advance(600.0)
        self.assertNoResult(connecting)
        connecting.cancel()
        self.failureResultOf(connecting)

    def test_a_refusing_address_refuses(self) -> None:
        """While it is told to."""
        self.network.faults.refuse.add(ADDRESS)
        connecting = self.network.endpoint(ADDRESS, "uid_service").connect(self.factory)
        self.clock.pump()
        self.failureResultOf(connecting, ConnectError)

    def test_a_slow_network_delivers_after_its_delay(self) -> None:
        """Each way."""
        client = self.connect()
        self.network.faults.delay_seconds = 0.25
        client.transport.write(b"slow")
        self.clock.advance(0.2)
        self.assertEqual(self.servers[0].received, [])
        self.clock.advance(0.1)
        self.assertEqual(self.servers[0].received, [b"slow"])

    def test_a_duplicating_network_delivers_twice(self) -> None:
        """What it is told to."""
        client = self.connect()
        self.network.faults.duplicate = lambda piece: piece == b"twice"
        client.transport.write(b"twice")
        self.clock.pump()
        client.transport.write(b"once")
        self.clock.pump()
        self.assertEqual(self.servers[0].received, [b"twice", b"twice", b"once"])
