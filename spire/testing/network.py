"""A network in memory: connections between endpoints, moved by the clock, with the faults that real ones have.

Bytes written are delivered in later turns of the clock, in pieces. A transport asks its producer to pause above
64 KiB of undelivered bytes and to resume when all are delivered, as Twisted's sockets do. Nothing here needs a reactor.
"""

# ruff: noqa: N802 (transports and ports have Twisted's names)

from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import define
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import (
    CannotListenError,
    ConnectError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
)
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IPushProducer,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from spire.runtime.clock import Clock
from spire.wire.interfaces import IConnector, IListener

HIGH_WATER = 65_536
PIECE = 65_536


@define(eq=False)
class Faults:
    """What a network does wrong, and may be changed at any time.

    `refuse` names addresses that refuse connections, `hang` those that never answer an attempt. `delay_seconds` is how
    long each piece travels. `duplicate` answers, for a piece that is delivered, whether it arrives twice.
    """

    refuse: set[str]
    hang: set[str]
    delay_seconds: float = 0.0
    duplicate: Callable[[bytes], bool] = lambda _: False


@implementer(IConnector, IListener)
class MemoryNetwork:
    """Listeners by address, and the connections between them and their clients."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.faults = Faults(refuse=set(), hang=set())
        self.links: list[Link] = []
        self._ports: dict[str, MemoryPort] = {}
        self._next_port = 40_000

    def endpoint(self, address: str, service: str) -> IStreamClientEndpoint:
        """Return an endpoint for `address` that is refused where another service listens there."""
        return _MemoryEndpoint(self, address, service)

    def listen(self, address: str, service: str, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen on `host:port`; port 0 takes a free one. Fails with CannotListenError where the port is taken."""
        host, _, port = address.rpartition(":")
        if port == "0":
            self._next_port += 1
            port = str(self._next_port)
        address = f"{host}:{port}"
        if address in self._ports:
            return fail(CannotListenError(host, int(port), OSError("in use")))
        self._ports[address] = listening = MemoryPort(self, address, service, factory)
        factory.doStart()
        return succeed(listening)

    def connections(self, service: str | None = None) -> "list[Link]":
        """Return the open connections, of one service or all, in the order of their making."""
        return [link for link in self.links if service is None or link.service == service]

    def drop(self, service: str | None = None) -> int:
        """Break connections as a pulled cable would, noticed by both ends; return how many."""
        broken = self.connections(service)
        for link in broken:
            link.drop()
        return len(broken)

    def _open(self, address: str, service: str, factory: IProtocolFactory, connected: Deferred[Any]) -> None:
        if address in self.faults.hang or connected.called:
            return
        port = self._ports.get(address)
        if port is None or address in self.faults.refuse or port.service != service:
            connected.errback(ConnectError(string=f"nothing that is {service} listens on {address}"))
            return
        host, _, number = address.rpartition(":")
        self._next_port += 1
        server_address = IPv4Address("TCP", host, int(number))
        client_address = IPv4Address("TCP", "127.0.0.1", self._next_port)
        client = factory.buildProtocol(server_address)
        server = port.factory.buildProtocol(client_address)
        if client is None or server is None:
            connected.errback(ConnectError(string="a factory makes no protocol"))
            return
        link = Link(self, service, address)
        link.client = MemoryTransport(link, client_address, server_address)
        link.server = MemoryTransport(link, server_address, client_address)
        link.client.join(client, link.server)
        link.server.join(server, link.client)
        self.links.append(link)
        server.makeConnection(link.server)
        client.makeConnection(link.client)
        connected.callback(client)


@implementer(IListeningPort)
class MemoryPort:
    """A port that is listened on."""

    def __init__(self, network: MemoryNetwork, address: str, service: str, factory: IProtocolFactory) -> None:
        self._network = network
        self.address = address
        self.service = service
        self.factory = factory

    def startListening(self) -> None:
        """Listen again; raises CannotListenError where the port is taken."""
        if self._network._ports.setdefault(self.address, self) is not self:
            raise CannotListenError(None, 0, OSError("in use"))

    def stopListening(self) -> Deferred[None]:
        """Take no more connections; those that are open stay."""
        if self._network._ports.pop(self.address, None) is not None:
            self.factory.doStop()
        return succeed(None)

    def getHost(self) -> IPv4Address:
        """Return where it listens."""
        host, _, port = self.address.rpartition(":")
        return IPv4Address("TCP", host, int(port))


@implementer(IStreamClientEndpoint)
class _MemoryEndpoint:
    def __init__(self, network: MemoryNetwork, address: str, service: str) -> None:
        self._network = network
        self._address = address
        self._service = service

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """Connect in a later turn of the clock."""
        connected: Deferred[Any] = Deferred(lambda _: timer.cancel() if timer.active() else None)
        network = self._network
        timer = network.clock.later(
            network.faults.delay_seconds, network._open, self._address, self._service, factory, connected
        )
        return connected


class Link:
    """One connection, with both of its ends."""

    client: "MemoryTransport"
    server: "MemoryTransport"

    def __init__(self, network: MemoryNetwork, service: str, address: str) -> None:
        self.network = network
        self.service = service
        self.address = address

    def drop(self) -> None:
        """Break the connection: both ends lose it, and what was under way is lost."""
        for end in (self.client, self.server):
            end.lose(ConnectionLost())

    def hang(self) -> None:
        """Deliver nothing more in either direction, and tell nobody."""
        self.client.hold()
        self.server.hold()

    def release(self) -> None:
        """Deliver again."""
        self.client.release()
        self.server.release()


@implementer(ITransport)
class MemoryTransport:
    """One end of a connection. `hold` stops what it has written on its way; `release` lets it go on."""

    protocol: Any
    other: "MemoryTransport"

    def __init__(self, link: Link, host: IPv4Address, peer: IPv4Address) -> None:
        self._link = link
        self._clock = link.network.clock
        self._host = host
        self._peer = peer
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._producer: IPushProducer | None = None
        self._is_streaming = False
        self._is_producer_paused = False
        self._is_held = False
        self._is_reading = True
        self._is_scheduled = False
        self._is_lost = False
        self.disconnecting = False
        self.delivered_bytes = 0

    def join(self, protocol: Any, other: "MemoryTransport") -> None:
        """Take the protocol of this end, and the other end."""
        self.protocol = protocol
        self.other = other

    @property
    def undelivered_bytes(self) -> int:
        """Bytes that were written and have not arrived."""
        return self._size

    # ITransport and IConsumer

    def write(self, data: bytes) -> None:
        """Send `data`; above the high-water mark the producer is asked to pause before this returns."""
        if not isinstance(data, bytes):
            raise TypeError(f"bytes are expected, not {type(data).__name__}")
        if self._is_lost or (self.disconnecting and self._producer is None) or not data:
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER and self._producer is not None and not self._is_producer_paused:
            self._is_producer_paused = True
            self._producer.pauseProducing()
        self._schedule()

    def writeSequence(self, data: Any) -> None:
        """Send the joined parts."""
        self.write(b"".join(data))

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """Ask `producer` to pause and resume from now on; one at a time."""
        if self._producer is not None:
            raise RuntimeError("there is a producer already")
        if self._is_lost:
            producer.stopProducing()
            return
        self._producer = producer
        self._is_streaming = streaming
        self._is_producer_paused = False

    def unregisterProducer(self) -> None:
        """Ask it no more; a close that waited for it goes on."""
        self._producer = None
        if self.disconnecting:
            self._schedule()

    def loseConnection(self) -> None:
        """Close when all that was written has arrived and no producer is registered."""
        self.disconnecting = True
        self._schedule()

    def abortConnection(self) -> None:
        """Close now; what was written and has not arrived is lost."""
        self.disconnecting = True
        self._clock.later(0.0, self.lose, ConnectionAborted())
        self._clock.later(0.0, self.other.lose, ConnectionLost())

    def pauseProducing(self) -> None:
        """Read nothing for a while: what the other end writes stays under way."""
        self._is_reading = False

    def resumeProducing(self) -> None:
        """Read again."""
        self._is_reading = True
        self.other._schedule()

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    def getHost(self) -> IPv4Address:
        """Return this end's address."""
        return self._host

    def getPeer(self) -> IPv4Address:
        """Return the other end's address."""
        return self._peer

    # Faults

    def hold(self) -> None:
        """Deliver nothing of what this end writes."""
        self._is_held = True

    def release(self) -> None:
        """Deliver again."""
        self._is_held = False
        self._schedule()

    def lose(self, error: Exception) -> None:
        """Lose the connection at this end, for `error`."""
        if self._is_lost:
            return
        self._is_lost = True
        self._pieces.clear()
        self._size = 0
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        if self.other._is_lost and self._link in self._link.network.links:
            self._link.network.links.remove(self._link)
        self.protocol.connectionLost(Failure(error))

    # On its way

    def _schedule(self) -> None:
        if self._is_scheduled or self._is_held or self._is_lost:
            return
        self._is_scheduled = True
        self._clock.later(self._link.network.faults.delay_seconds, self._deliver)

    def _deliver(self) -> None:
        self._is_scheduled = False
        if self._is_held or self._is_lost:
            return
        if self._pieces and self.other._is_reading and not self.other._is_lost:
            piece = self._take()
            self.delivered_bytes += len(piece)
            self.other.protocol.dataReceived(piece)
            if self._link.network.faults.duplicate(piece) and not self.other._is_lost:
                self.other.protocol.dataReceived(piece)
        if self._is_lost:
            return
        if not self._pieces and self._producer is not None and self._is_producer_paused:
            self._is_producer_paused = False
            self._producer.resumeProducing()
        if self._pieces:
            if self.other._is_reading:
                self._schedule()
        elif self.disconnecting and self._producer is None:
            self._clock.later(0.0, self.lose, ConnectionDone())
            self._clock.later(0.0, self.other.lose, ConnectionDone())

    def _take(self) -> bytes:
        pieces, taken, size = self._pieces, [], 0
        while pieces and size < PIECE:
            piece = pieces.popleft()
            if size + len(piece) > PIECE:
                cut = PIECE - size
                pieces.appendleft(piece[cut:])
                piece = piece[:cut]
            taken.append(piece)
            size += len(piece)
        self._size -= size
        return b"".join(taken)
