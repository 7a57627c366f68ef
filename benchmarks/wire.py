"""Guard, sessions and typed arguments against plain `twisted.protocols.amp`, over TLS and in clear text.

    python -m benchmarks.wire [--rounds 5] [--pin]

One server process, one client process, one connection for each variant.
"""

import os
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.protocol import Factory
from twisted.protocols import amp
from zope.interface import implementer

from benchmarks.bench import Child, Meter, Run, describe, in_flight, main, options, pin, rounds, say, table
from benchmarks.identity import Clear, Tickets, make_certificates, tls_connector, tls_listener, verifier
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.values.environment import Environment
from spire.values.time import Timestamp
from spire.wire.addresses import FixedAddresses
from spire.wire.arguments import Bytes, Integer, Typed
from spire.wire.client_session import ClientSession
from spire.wire.commands import Command, Push
from spire.wire.interfaces import IAvatars
from spire.wire.server_session import ServerFactory, Session
from spire.wire.ticket_credentials import TicketCredentials

SERVICE = "benchmark_service"
PAYLOAD = b"x" * 100
CALLS, SINGLE_CALLS, PUSHES = 20_000, 3_000, 50_000
WINDOW = 256


class Side(IntEnum):
    """A side."""

    BUY = 1
    SELL = 2


@frozen(kw_only=True)
class Order:
    """A value of six fields, validated on decode."""

    order_id: int
    symbol: str
    side: Side
    quantity: int
    price: int
    note: str | None = None


ORDER = Order(order_id=7, symbol="BAC.XNYS", side=Side.BUY, quantity=100_000_000, price=13_800_000, note="benchmark")


class PlainAdd(amp.Command):
    """Two numbers in, one out."""

    arguments = [(b"left", amp.Integer()), (b"right", amp.Integer())]
    response = [(b"sum", amp.Integer())]


ORDER_FIELDS = [
    (b"order_id", amp.Integer()),
    (b"symbol", amp.Unicode()),
    (b"side", amp.Integer()),
    (b"quantity", amp.Integer()),
    (b"price", amp.Integer()),
    (b"note", amp.Unicode(optional=True)),
]


class PlainOrder(amp.Command):
    """Six fields in, six out."""

    arguments = ORDER_FIELDS
    response = ORDER_FIELDS


class PlainNote(amp.Command):
    """One-way."""

    arguments = [(b"data", amp.String())]
    requiresAnswer = False


class Add(Command):
    """Two numbers in, one out."""

    arguments = [(b"left", Integer()), (b"right", Integer())]
    response = [(b"sum", Integer())]


class SendOrder(Command):
    """A typed value in, one out."""

    arguments = [(b"order", Typed(Order))]
    response = [(b"order", Typed(Order))]


class Note(Push):
    """One-way."""

    arguments = [(b"data", Bytes())]


class PlainServer(amp.AMP):
    """Plain AMP's responders."""

    @PlainAdd.responder
    def add(self, left: int, right: int) -> dict[str, int]:
        """Add."""
        return {"sum": left + right}

    @PlainOrder.responder
    def order(self, **fields: Any) -> dict[str, Any]:
        """Answer what came, as a value of its type."""
        value = Order(**{**fields, "side": Side(fields["side"])})
        return {name: getattr(value, name) for name in fields}

    @PlainNote.responder
    def note(self, data: bytes) -> dict[str, Any]:
        """Take it."""
        return {}


class Responders(amp.CommandLocator):
    """The same in Spire."""

    @Add.responder
    def add(self, left: int, right: int) -> dict[str, int]:
        """Add."""
        return {"sum": left + right}

    @SendOrder.responder
    def order(self, order: Order) -> dict[str, Any]:
        """Answer what came."""
        return {"order": order}

    @Note.responder
    def note(self, data: bytes) -> None:
        """Take it."""


@implementer(IAvatars)
class Avatars:
    """One table for all."""

    def anonymous(self, session: Session) -> amp.CommandLocator:
        """Return nothing."""
        return amp.CommandLocator()

    def avatar(self, session: Session) -> amp.CommandLocator:
        """Return the table."""
        return Responders()

    def closed(self, session: Session) -> None:
        """Forget nothing."""


async def serve(directory: Path, core: int | None, reactor: Any) -> None:
    """Serve all variants until killed."""
    pin(core)
    clock = Clock(reactor)
    metrics = Metrics()
    factory = ServerFactory(
        service=SERVICE,
        instance_id="benchmark",
        epoch=1,
        environment=Environment.DEMO,
        avatars=Avatars(),
        verifier=verifier(clock),
        clock=clock,
        tasks=Tasks(clock, metrics),
        metrics=metrics,
    )
    clear, tls = Clear(reactor), tls_listener(directory, reactor)
    ports = {}
    for name, listener, served in (
        ("plain clear", clear, Factory.forProtocol(PlainServer)),
        ("plain TLS", tls, Factory.forProtocol(PlainServer)),
        ("Spire clear", clear, factory),
        ("Spire TLS", tls, factory),
    ):
        port = await listener.listen("127.0.0.1:0", SERVICE, served)
        ports[name] = port.getHost().port
    say(ports=ports)
    await Deferred()


async def measure(arguments: Any, reactor: Any) -> None:
    """Measure all variants."""
    print(describe(arguments.pin))
    clock = Clock(reactor)
    directory = make_certificates([SERVICE], Timestamp(clock.now()))
    child = Child("benchmarks.wire", "--serve", str(directory), *(["--pin"] if arguments.pin else []))
    pin(1 if arguments.pin else None)
    ports = child.ready["ports"]
    pids = (os.getpid(), child.pid)
    clear, tls = Clear(reactor), tls_connector(directory, reactor)
    plain: dict[str, amp.AMP] = {}
    spire: dict[str, ClientSession] = {}
    for kind, connector in (("clear", clear), ("TLS", tls)):
        endpoint = connector.endpoint(f"127.0.0.1:{ports[f'plain {kind}']}", SERVICE)
        plain[kind] = await connectProtocol(endpoint, amp.AMP())
        metrics = Metrics()
        tasks = Tasks(clock, metrics)
        spire[kind] = ClientSession(
            SERVICE,
            addresses=FixedAddresses(SERVICE, [f"127.0.0.1:{ports[f'Spire {kind}']}"], Environment.DEMO),
            connector=connector,
            credentials=TicketCredentials(Tickets(clock, audiences=(SERVICE,)), tasks),
            environment=Environment.DEMO,
            clock=clock,
            tasks=tasks,
            metrics=metrics,
            chance=lambda: 0.0,
        )
        spire[kind].start()
        await spire[kind].when_ready(10)

    def plain_call(kind: str, command: Any, values: dict[str, Any], _: int) -> Any:
        return plain[kind].callRemote(command, **values)

    def spire_call(kind: str, command: Any, values: dict[str, Any], _: int) -> Any:
        return Deferred.fromCoroutine(spire[kind].call(command, **values))

    async def calls(call: Any, count: int, window: int) -> Run:
        meter = Meter(pids)
        meter.start()
        latencies = await in_flight(count, window, call)
        return meter.stop(count, latencies)

    async def pushes(push: Any, sync: Any) -> Run:
        meter = Meter(pids)
        meter.start()
        for number in range(PUSHES):
            push()
            if number % 500 == 499:
                await sync(0)
        return meter.stop(PUSHES)

    two = {"left": 1, "right": 2}
    six = {
        "order_id": 7,
        "symbol": "BAC.XNYS",
        "side": 1,
        "quantity": 100_000_000,
        "price": 13_800_000,
        "note": "benchmark",
    }
    callers = {}
    for kind in ("TLS", "clear"):
        callers[f"plain AMP, two integers, {kind}"] = partial(plain_call, kind, PlainAdd, two)
        callers[f"Spire, two integers, {kind}"] = partial(spire_call, kind, Add, two)
    for kind in ("TLS", "clear"):
        callers[f"plain AMP, six arguments, {kind}"] = partial(plain_call, kind, PlainOrder, six)
        callers[f"Spire, one typed value of six, {kind}"] = partial(spire_call, kind, SendOrder, {"order": ORDER})
    peer = "plain AMP, two integers, TLS"
    single = {name: partial(calls, call, SINGLE_CALLS, 1) for name, call in callers.items()}
    print(table("one call at a time", await rounds(arguments.rounds, single), peer))
    many = {name: partial(calls, call, CALLS, WINDOW) for name, call in callers.items()}
    print(table(f"{WINDOW} calls in flight", await rounds(arguments.rounds, many), peer))
    one_way = {}
    for kind in ("TLS", "clear"):
        one_way[f"plain AMP, 100 bytes, {kind}"] = partial(
            pushes,
            partial(plain[kind].callRemote, PlainNote, data=PAYLOAD),
            callers[f"plain AMP, two integers, {kind}"],
        )
        one_way[f"Spire, 100 bytes, {kind}"] = partial(
            pushes, partial(spire[kind].push, Note, data=PAYLOAD), callers[f"Spire, two integers, {kind}"]
        )
    print(table("one-way pushes", await rounds(arguments.rounds, one_way), "plain AMP, 100 bytes, TLS", "pushes/s"))
    child.stop()


def begin() -> None:
    """Read the command line and go."""
    arguments = options(__doc__ or "").parse_args()
    if arguments.serve:
        main(partial(serve, Path(arguments.serve), 0 if arguments.pin else None))
    else:
        main(partial(measure, arguments))


if __name__ == "__main__":
    begin()
