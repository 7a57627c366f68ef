"""Durable orders a second, and their latency at a quarter of the target's load.

    python -m benchmarks.orders [--rounds 3] [--orders 5000] [--seconds 20] [--pin]

A whole instance runs in a temporary directory: Locator, Uid, Definitions, Administration, Market Data, a relay, Compliance, Order
Execution, Risk and a private MariaDB that is as durable as in production. A feed quotes one instrument; a trader submits DAY limit orders that rest. An
order counts when `submit` has answered: it is in the journal, committed in MariaDB and with its driver. Orders are
submitted with so many in flight; then at a fixed rate, whatever the answers do, for the latency. The peer is a plain AMP
server over TLS that commits one row per order in the same MariaDB, on four connections.
"""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.protocols import amp

from benchmarks.bench import Child, Run, cpu_seconds, describe, in_flight, main, median, options, percentile, say
from benchmarks.deployment import Member, instance, listen_to_parent, pids_of, pin_processes
from benchmarks.identity import make_certificates, tls_connector, tls_listener
from spire.administration.client import AdministrationClient
from spire.administration.values import LimitTerms
from spire.definitions.client import DefinitionsClient
from spire.execution.client import OrderExecutionClient
from spire.execution.values import OrderRequest
from spire.feeds.client import FeedClient
from spire.feeds.simulation import simulation_terms
from spire.marketdata.values import BBO, BboKind, Present, RecordType
from spire.operations.instance import Instance
from spire.runtime.clock import Clock
from spire.values.amounts import Money, Price, Quantity, whole
from spire.values.codes import Currency
from spire.values.environment import Environment
from spire.values.orders import OrderType, Side
from spire.wire.errors import Refused

SERVICE = "benchmark_service"
TICKER = "ACME.DEMO"
WINDOW = 64
QUARTER = 250
PATIENCE_SECONDS = 30.0
SERVERS = (
    "service-locator", "uid", "definitions", "administration", "market-data", "market-data-relay", "compliance",
    "order-execution", "risk",
)  # fmt: skip
PEER_TABLE = """
    CREATE TABLE IF NOT EXISTS benchmark_orders (
        order_id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, symbol VARCHAR(31) NOT NULL, side SMALLINT NOT NULL,
        quantity BIGINT NOT NULL, price BIGINT NOT NULL, client_order_id VARCHAR(64) NOT NULL UNIQUE
    ) ENGINE = InnoDB
"""
PEER_INSERT = """
    INSERT INTO benchmark_orders (symbol, side, quantity, price, client_order_id) VALUES (%s, %s, %s, %s, %s)
"""


async def feed(home: Path, reactor: Any) -> None:
    """Quote one instrument ten times a second."""
    member = Member(home, "simulation_feed", reactor)
    await member.open()
    definitions = DefinitionsClient(await member.session("definitions_service"))
    await definitions.when_ready()
    instrument = definitions.instruments.by_ticker(TICKER)
    venue = definitions.venues.by_mic(instrument.listing_venue).number
    today = datetime.now(UTC).date()
    session = await member.session("market_data_feed_service")
    client = FeedClient(
        session, simulation_terms(venue, today, Environment.DEMO), clock=member.clock, tasks=member.tasks
    )
    await client.start(keeps_book=True)

    def quote() -> "Deferred[None]":
        record = np.zeros(1, dtype=BBO)
        record["instrument"] = instrument.instrument_id
        record["venue"] = record["bid_venue"] = record["ask_venue"] = venue
        record["source_time"] = member.clock.now()
        record["kind"] = BboKind.COMPUTED
        record["present"] = Present.BID | Present.ASK
        record["bid"], record["ask"] = 100_000_000, 100_020_000
        record["bid_size"] = record["ask_size"] = whole(1_000_000)
        return Deferred.fromCoroutine(client.publish({RecordType.BBO: record}, 1))

    LoopingCall(quote).start(0.1)
    await client.changed()
    say(quoted=TICKER)
    await Deferred()


async def at_rate(seconds: float, rate: float, call: Any, reactor: Any) -> list[float]:
    """Call at a fixed rate, whatever the answers do; return the seconds from each planned moment to its answer."""
    latencies: list[float] = []
    count = int(seconds * rate)
    done: Deferred[None] = Deferred()
    began = perf_counter()
    sent = 0

    def ended(_: Any, planned: float) -> None:
        latencies.append(perf_counter() - planned)
        if len(latencies) == count:
            done.callback(None)

    def turn() -> None:
        nonlocal sent
        while sent < count and began + sent / rate <= perf_counter():
            planned = began + sent / rate
            sent += 1
            call(sent).addCallbacks(ended, done.errback, callbackArgs=(planned,))
        if sent < count:
            reactor.callLater(max(0.0, began + sent / rate - perf_counter()), turn)

    turn()
    await done
    return latencies


async def allow(home: Path, trading_account_id: int, reactor: Any) -> None:
    """Give the trading account buying power for everything that is submitted."""
    administrator = Member(home, "administrator", reactor)
    await administrator.open()
    administration = AdministrationClient(await administrator.session("administration_service"))
    standing = await administration.standing(trading_account_id)
    terms = LimitTerms(
        currency=Currency("USD"),
        buying_power=Money(whole(1_000_000_000)),
        net_loss=Money(whole(1_000_000_000)),
        transition_seconds=60,
    )
    version = 0 if standing.limits is None else standing.limits.version
    await administration.set_limits(trading_account_id, terms, expected_version=version, reason="a benchmark")


async def trade(home: Path, orders: int, seconds: float, reactor: Any) -> None:
    """Submit orders each time that the parent says so: `max`, or a rate."""
    member = Member(home, "demo_trader", reactor)
    await member.open()
    client = OrderExecutionClient(await member.session("order_execution_service"))
    account = await client.trading_account("demo_trader")
    await allow(home, account.trading_account_id, reactor)

    def request(number: int) -> OrderRequest:
        return OrderRequest(
            client_order_id=client.client_order_id(),
            trading_account_id=account.trading_account_id,
            ticker=TICKER,
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=Quantity(whole(1)),
            limit_price=Price(whole(1) + number % 100 * 10_000),
        )

    def submit(number: int) -> "Deferred[Any]":
        return Deferred.fromCoroutine(client.submit(request(number)))

    await until_taken(submit, member.clock)
    await _serve_rounds(submit, orders, seconds, reactor)


async def until_taken(submit: Callable[[int], "Deferred[Any]"], clock: Clock) -> None:
    """Submit until an order is taken: the first quote and Risk's first heartbeat have to be there."""
    deadline = clock.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            await submit(0)
        except Refused:
            if clock.monotonic() > deadline:
                raise
            await clock.sleep(0.5)
        else:
            return


class SaveOrder(amp.Command):
    """The peer's order."""

    arguments = [
        (b"symbol", amp.Unicode()),
        (b"side", amp.Integer()),
        (b"quantity", amp.Integer()),
        (b"price", amp.Integer()),
        (b"client_order_id", amp.Unicode()),
    ]
    response = [(b"order_id", amp.Integer())]


async def peer(home: Path, directory: Path, reactor: Any) -> None:
    """Serve the peer: a row and a commit for each order."""
    made = Instance(home)
    pool = ConnectionPool(
        "pymysql",
        unix_socket=str(made.database.socket_path),
        user="spire_servers",
        password=made.password("database"),
        database=made.settings.schema,
        cp_reactor=reactor,
        cp_min=4,
        cp_max=4,
    )
    await pool.runOperation(PEER_TABLE)

    def insert(transaction: Any, values: tuple[Any, ...]) -> dict[str, int]:
        transaction.execute(PEER_INSERT, values)
        return {"order_id": transaction.lastrowid}

    class Server(amp.AMP):
        """Saves orders."""

        @SaveOrder.responder
        def save(self, symbol: str, side: int, quantity: int, price: int, client_order_id: str) -> Any:
            """Save one."""
            return pool.runInteraction(insert, (symbol, side, quantity, price, client_order_id))

    port = await tls_listener(directory, reactor).listen("127.0.0.1:0", SERVICE, Factory.forProtocol(Server))
    say(port=port.getHost().port)
    await Deferred()


async def trade_with_peer(directory: Path, port: int, orders: int, seconds: float, reactor: Any) -> None:
    """Submit orders to the peer."""
    endpoint = tls_connector(directory, reactor).endpoint(f"127.0.0.1:{port}", SERVICE)
    client = await connectProtocol(endpoint, amp.AMP())

    def submit(number: int) -> Any:
        price = 1_000_000 + number % 100 * 10_000
        return client.callRemote(
            SaveOrder, symbol=TICKER, side=1, quantity=1_000_000, price=price, client_order_id=os.urandom(12).hex()
        )

    await _serve_rounds(submit, orders, seconds, reactor)


async def _serve_rounds(submit: Any, orders: int, seconds: float, reactor: Any) -> None:
    async def work(line: str) -> None:
        began = perf_counter()
        if line == "max":
            latencies = await in_flight(orders, WINDOW, submit)
        else:
            latencies = await at_rate(seconds, float(line), submit, reactor)
        took = perf_counter() - began
        latencies.sort()
        say(orders=len(latencies), seconds=took, p50=percentile(latencies, 0.5), p99=percentile(latencies, 0.99))

    def failed(failure: Any) -> None:
        sys.stderr.write(failure.getTraceback())
        os._exit(1)

    listen_to_parent(lambda line: Deferred.fromCoroutine(work(line)).addErrback(failed), reactor)
    say(ready=True)
    await Deferred()


def run(trader: Child, line: str, pids: list[int], rounds: int) -> Run:
    """Have the trader work, and return the medians."""
    runs = []
    for turn in range(rounds + 1):
        before = sum(map(cpu_seconds, pids))
        trader.tell(line)
        found = trader.next_line()
        used = sum(map(cpu_seconds, pids)) - before
        if turn:
            runs.append(
                Run(
                    rate=found["orders"] / found["seconds"],
                    cpu_us=used / found["orders"] * 1e6,
                    p50_us=found["p50"] * 1e6,
                    p99_us=found["p99"] * 1e6,
                )
            )
    return median(runs)


def line_of(name: str, run: Run) -> str:
    """Return one line of the report."""
    return (
        f"{name:52} {run.rate:8,.0f} orders/s  CPU {run.cpu_us:7.0f} us an order"
        f"  p50 {run.p50_us / 1000:7.2f} ms  p99 {run.p99_us / 1000:7.2f} ms"
    )


def measure(arguments: Any) -> None:
    """Measure and print."""
    print(describe(arguments.pin))
    with instance(arguments.port_offset) as made:
        made.start(SERVERS)
        home, orders, seconds = str(made.home), str(arguments.orders), str(arguments.seconds)
        feeding = Child("benchmarks.orders", "--serve", "feed", home)
        trading = Child("benchmarks.orders", "--serve", "trade", home, orders, seconds)
        directory = make_certificates([SERVICE], Clock(None).now())  # type: ignore[arg-type] # only the wall clock is read
        server = Child("benchmarks.orders", "--serve", "peer", home, str(directory))
        port = str(server.ready["port"])
        peer_trading = Child("benchmarks.orders", "--serve", "trade-with-peer", str(directory), port, orders, seconds)
        servers = pids_of(made, *SERVERS)
        if arguments.pin:
            pin_processes([*servers, server.pid], 0)
            pin_processes([feeding.pid, trading.pid, peer_trading.pid], 1)
        ours, theirs = [*servers, trading.pid], [server.pid, peer_trading.pid]
        own = pids_of(made, "order-execution")
        results = {}
        for title, line in ((f"{WINDOW} in flight", "max"), (f"{QUARTER} a second", str(QUARTER))):
            before = sum(map(cpu_seconds, own))
            results["Spire", line] = run(trading, line, ours, arguments.rounds)
            used = sum(map(cpu_seconds, own)) - before
            submitted = arguments.orders if line == "max" else arguments.seconds * QUARTER
            alone = used / (submitted * (arguments.rounds + 1)) * 1e6
            results["peer", line] = run(peer_trading, line, theirs, arguments.rounds)
            print(line_of(f"Spire, {title}", results["Spire", line]), f" Order Execution alone {alone:.0f} us")
            print(line_of(f"plain AMP, a row and a commit each, {title}", results["peer", line]), flush=True)
        most, peer_most = results["Spire", "max"], results["peer", "max"]
        print(f"ratio to the peer: rate x{most.rate / peer_most.rate:.2f}, CPU x{most.cpu_us / peer_most.cpu_us:.2f}")
        for child in (trading, peer_trading, server, feeding):
            child.stop()


def begin() -> None:
    """Read the command line and go."""
    parser = options(__doc__ or "")
    parser.set_defaults(rounds=3)
    parser.add_argument("--orders", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("rest", nargs="*", help="of a child process")
    arguments = parser.parse_args()
    rest = arguments.rest
    match arguments.serve:
        case "feed":
            main(partial(feed, Path(rest[0])))
        case "trade":
            main(partial(trade, Path(rest[0]), int(rest[1]), float(rest[2])))
        case "peer":
            main(partial(peer, Path(rest[0]), Path(rest[1])))
        case "trade-with-peer":
            main(partial(trade_with_peer, Path(rest[0]), int(rest[1]), int(rest[2]), float(rest[3])))
        case _:
            measure(arguments)


if __name__ == "__main__":
    begin()
