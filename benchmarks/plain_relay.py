"""The peer of the market data benchmark: plain AMP over TLS that relays boxes of packed records to its clients.

It numbers nothing, checks nothing, keeps nothing: the least that a Twisted program could do. Every box is acknowledged by
every client, and the feed has 16 of them under way, as Spire's feed has.

    python -m benchmarks.plain_relay [--records 500000] [--subscribers 1 20]
"""

from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import connectProtocol
from twisted.internet.protocol import Factory
from twisted.protocols import amp

from benchmarks.bench import Child, Run, cpu_seconds, describe, in_flight, main, median, options, say
from benchmarks.deployment import listen_to_parent, pin_processes
from benchmarks.identity import make_certificates, tls_connector, tls_listener
from spire.marketdata.values import BBO
from spire.runtime.clock import Clock

SERVICE = "benchmark_service"
RECORDS_A_BOX = 60_000 // BBO.itemsize
WINDOW = 16


class Box(amp.Command):
    """Packed records."""

    arguments = [(b"data", amp.String())]
    response = []


class Join(amp.Command):
    """Become a client."""

    arguments = []
    response = []


class Server(amp.AMP):
    """Passes on what it gets, and answers when all clients have."""

    clients: set["Server"]

    @Join.responder
    def join(self) -> dict[str, Any]:
        """Add a client."""
        self.clients.add(self)
        return {}

    @Box.responder
    def relay(self, data: bytes) -> Any:
        """Send a box to everyone."""
        sent = [client.callRemote(Box, data=data) for client in self.clients]
        return gatherResults(sent).addCallback(lambda _: {})


class Client(amp.AMP):
    """Counts records."""

    received = 0

    @Box.responder
    def box(self, data: bytes) -> dict[str, Any]:
        """Count."""
        self.received += len(data) // BBO.itemsize
        return {}


async def serve(directory: Path, reactor: Any) -> None:
    """Serve until killed."""
    clients: set[Server] = set()

    def protocol() -> Server:
        made = Server()
        made.clients = clients
        return made

    factory = Factory.forProtocol(protocol)
    port = await tls_listener(directory, reactor).listen("127.0.0.1:0", SERVICE, factory)
    say(port=port.getHost().port)
    await Deferred()


async def listen(directory: Path, port: int, subscribers: int, reactor: Any) -> None:
    """Join as so many clients."""
    endpoint = tls_connector(directory, reactor).endpoint(f"127.0.0.1:{port}", SERVICE)
    for _ in range(subscribers):
        client = await connectProtocol(endpoint, Client())
        await client.callRemote(Join)
    say(subscribers=subscribers)
    await Deferred()


async def feed(directory: Path, port: int, records: int, reactor: Any) -> None:
    """Send all records each time that the parent says so."""
    client = await connectProtocol(tls_connector(directory, reactor).endpoint(f"127.0.0.1:{port}", SERVICE), amp.AMP())
    data = bytes(RECORDS_A_BOX * BBO.itemsize)

    async def send() -> None:
        began = monotonic()
        await in_flight(-(-records // RECORDS_A_BOX), WINDOW, lambda _: client.callRemote(Box, data=data))
        say(seconds=monotonic() - began)

    listen_to_parent(lambda _: Deferred.fromCoroutine(send()), reactor)
    say(ready=True)
    await Deferred()


def relay_rounds(records: int, subscribers: int, rounds: int, is_pinned: bool) -> Run:
    """Return what the relay does with so many records."""
    directory = make_certificates([SERVICE], Clock(None).now())  # type: ignore[arg-type] # only the wall clock is read
    server = Child("benchmarks.plain_relay", "--serve", "server", str(directory))
    port = str(server.ready["port"])
    listening = Child("benchmarks.plain_relay", "--serve", "listen", str(directory), port, str(subscribers))
    feeding = Child("benchmarks.plain_relay", "--serve", "feed", str(directory), port, str(records))
    children = [server, listening, feeding]
    if is_pinned:
        pin_processes([server.pid], 0)
        pin_processes([listening.pid, feeding.pid], 1)
    runs = []
    for turn in range(rounds + 1):
        before = sum(cpu_seconds(child.pid) for child in children)
        feeding.tell("go")
        seconds = feeding.next_line()["seconds"]
        used = sum(cpu_seconds(child.pid) for child in children) - before
        if turn:
            deliveries = records * subscribers
            runs.append(Run(rate=deliveries / seconds, cpu_us=used / deliveries * 1e6))
    for child in children:
        child.stop()
    return median(runs)


def begin() -> None:
    """Read the command line and go."""
    parser = options(__doc__ or "")
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--subscribers", type=int, nargs="+", default=[1, 20])
    parser.add_argument("rest", nargs="*", help="of a child process")
    arguments = parser.parse_args()
    match arguments.serve, arguments.rest:
        case "server", [directory]:
            main(partial(serve, Path(directory)))
        case "listen", [directory, port, subscribers]:
            main(partial(listen, Path(directory), int(port), int(subscribers)))
        case "feed", [directory, port, records]:
            main(partial(feed, Path(directory), int(port), int(records)))
        case _:
            print(describe(arguments.pin))
            for subscribers in arguments.subscribers:
                run = relay_rounds(arguments.records, subscribers, arguments.rounds, arguments.pin)
                print(f"plain relay to {subscribers}: {run.rate:,.0f} deliveries/s, CPU {run.cpu_us:.2f} us a delivery")


if __name__ == "__main__":
    begin()
