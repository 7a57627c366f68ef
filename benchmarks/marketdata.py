"""From a feed to subscribers, in records and deliveries a second, through real server processes.

    python -m benchmarks.marketdata [--rounds 3] [--workloads replay generated] [--subscribers 1 20] [--pin]

Two workloads: the recorded 8 October 2013 of BAC and IBM (where `../shared/data/us-equities-2013` is there), and a
generated market of 500 instruments. An instance of Locator, Definitions and Market Data with a private MariaDB runs in a
temporary directory; the feed is one process, all subscribers are another, with a connection each. Everything is on: TLS,
acknowledged batches, the journal's fdatasync, blocks into MariaDB. A run counts when every subscriber has received every
record, in sequences without a hole. The peer is a relay of the same bytes in plain AMP, without numbers, journal or store.
"""

import sys
from datetime import date
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
from twisted.internet.defer import Deferred, DeferredList

from benchmarks.bench import Child, Run, cpu_seconds, describe, main, median, options, say
from benchmarks.deployment import Member, instance, listen_to_parent, pids_of, pin_processes
from benchmarks.plain_relay import relay_rounds
from spire.definitions.client import DefinitionsClient
from spire.definitions.instruments import InstrumentDraft
from spire.feeds.client import BATCH_RECORDS, FeedClient
from spire.feeds.generated_market import GeneratedMarket
from spire.feeds.merge import Timeline
from spire.feeds.replay import replay_terms
from spire.feeds.replay_source import load_day
from spire.feeds.simulation import simulation_terms
from spire.marketdata.client import MarketDataClient
from spire.marketdata.commands import FeedTerms
from spire.marketdata.values import Records, RecordType
from spire.values.amounts import Quantity, whole
from spire.values.codes import Currency, Venue
from spire.values.environment import Environment
from spire.values.tickers import Ticker
from spire.wire.topics import StreamListener

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "us-equities-2013"
DAY = date(2013, 10, 8)
GENERATED = [f"G{number:03}" for number in range(500)]
GENERATED_BATCHES = 1_000
SETTLE_SECONDS = 5.0

Batch = tuple[dict[RecordType, Records], int]


# The feed's process


def cut(timeline: Timeline) -> list[Batch]:
    """Cut a day into batches as the replay does when it runs as fast as possible."""
    batches: list[Batch] = []
    sent = 0
    while sent < len(timeline):
        part = timeline.cut(sent + 1, BATCH_RECORDS)
        batches.append((part.records, part.count))
        sent = part.last
    return batches


def generate(instruments: list[int], venue: int) -> list[Batch]:
    """Return batches of a generated market, each over most of its instruments: four quotes to a trade."""
    market = GeneratedMarket(instruments, venue, seed=1)
    quotes = BATCH_RECORDS * 4 // 5
    batches: list[Batch] = []
    for number in range(GENERATED_BATCHES):
        now = 1_760_000_000_000_000_000 + number * 10_000_000
        bbo = market.quotes(quotes, now)[RecordType.BBO]
        trades = market.trades(BATCH_RECORDS - len(bbo), now)
        batches.append(({RecordType.BBO: bbo, RecordType.TRADE: trades}, len(bbo) + len(trades)))
    return batches


async def feed(home: Path, workload: str, reactor: Any) -> None:
    """Prepare all batches, then send them in a new feed session each time that the parent says so."""
    member = Member(home, "replay_feed" if workload == "replay" else "simulation_feed", reactor)
    await member.open()
    definitions = DefinitionsClient(await member.session("definitions_service"))
    await definitions.when_ready()
    terms: FeedTerms
    if workload == "replay":

        def run_in_place(function: Any, *arguments: Any) -> Any:
            done: Deferred[Any] = Deferred()
            done.callback(function(*arguments))
            return done

        day = await load_day(DATA, definitions, run_in_place, trade_date=DAY, symbols=("BAC", "IBM"))
        terms, batches = replay_terms(day, Environment.DEMO), cut(day.timeline)
        instruments = [definitions.instruments.by_ticker(f"{name}.XNYS").instrument_id for name in ("BAC", "IBM")]
    else:
        instruments = [definitions.instruments.by_ticker(f"{name}.DEMO").instrument_id for name in GENERATED]
        venue = definitions.venues.by_mic("DEMO").number
        terms, batches = simulation_terms(venue, date(2026, 1, 2), Environment.DEMO), generate(instruments, venue)
    session = await member.session("market_data_feed_service")

    async def send(name: str) -> None:
        client = FeedClient(
            session, FeedTerms(**{**_fields(terms), "name": name}), clock=member.clock, tasks=member.tasks
        )
        await client.start(keeps_book=True)
        began = monotonic()
        for records, count in batches:
            await client.publish(records, count)
        await client.flushed()
        ended = monotonic()
        await client.end()
        say(began=began, ended=ended, backlog=client.backlog)

    counts = {kind.name: sum(len(records.get(kind, ())) for records, _ in batches) for kind in RecordType}
    listen_to_parent(lambda name: Deferred.fromCoroutine(send(name)).addErrback(_die), reactor)
    say(total=sum(count for _, count in batches), counts=counts, instruments=instruments, batches=len(batches))
    await Deferred()


def _fields(terms: FeedTerms) -> dict[str, Any]:
    return {name: getattr(terms, name) for name in ("name", "kind", "trade_date", "schedule", "environment", "serves")}


def _die(failure: Any) -> None:
    sys.stderr.write(failure.getTraceback())
    from twisted.internet import reactor

    reactor.stop()  # type: ignore[attr-defined]


# The subscribers' process


class Counter:
    """Counts what one subscriber receives, over all its topics."""

    def __init__(self) -> None:
        self.received = 0
        self.expected = 0
        self.holes = 0
        self.last = 0.0
        self.done: Deferred[None] | None = None

    def add(self, count: int) -> None:
        """Note records."""
        self.received += count
        if self.done is not None and self.received >= self.expected:
            self.last = monotonic()
            done, self.done = self.done, None
            done.callback(None)


class Topic(StreamListener[Records]):
    """One topic of one subscriber; counts holes in its sequences."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.is_ready: Deferred[None] = Deferred()
        self._next: int | None = None

    def reset(self, epoch: int, after: int) -> None:
        """Begin behind a sequence."""
        self._next = after + 1

    def update(self, records: Records) -> None:
        """Count."""
        sequences = records["sequence"]
        count = len(sequences)
        if (
            int(sequences[0]) != self._next
            or int(sequences[-1]) - int(sequences[0]) != count - 1
            or (count > 2 and not np.all(np.diff(sequences) == 1))
        ):
            self.counter.holes += 1
        self._next = int(sequences[-1]) + 1
        self.counter.add(count)

    def ready(self) -> None:
        """Know that the topic is followed."""
        if not self.is_ready.called:
            self.is_ready.callback(None)

    def lost(self, error: Any) -> None:
        """Count what is missing."""
        self.counter.holes += 1


async def subscribe(home: Path, service: str, subscribers: int, instruments: list[int], reactor: Any) -> None:
    """Follow trades and quotes of all instruments on a connection with a service per subscriber; answer each round to the parent."""
    member = Member(home, "demo_market_data", reactor)
    await member.open()
    counters, topics = [], []
    for _ in range(subscribers):
        client = MarketDataClient(await member.session(service))
        counter = Counter()
        counters.append(counter)
        for instrument in instruments:
            for kind in (RecordType.TRADE, RecordType.BBO):
                topic = Topic(counter)
                topics.append(topic)
                client.subscribe(kind, instrument, topic)
    await DeferredList([topic.is_ready for topic in topics], fireOnOneErrback=True)

    def expect(line: str) -> None:
        waiting = []
        for counter in counters:
            counter.received, counter.expected, counter.done = 0, int(line), Deferred()
            waiting.append(counter.done)
        DeferredList(waiting).addCallback(
            lambda _: say(
                last=max(counter.last for counter in counters),
                received=sum(counter.received for counter in counters),
                holes=sum(counter.holes for counter in counters),
            )
        )
        say(expecting=int(line))

    listen_to_parent(expect, reactor)
    say(subscribers=subscribers)
    await Deferred()


# The parent


async def add_instruments(home: Path, reactor: Any) -> None:
    """Add the generated market's instruments."""
    member = Member(home, "administrator", reactor)
    await member.open()
    client = DefinitionsClient(await member.session("definitions_service"))
    await client.when_ready()
    for symbol in GENERATED:
        await client.add_instrument(
            InstrumentDraft(
                ticker=Ticker(symbol, Venue("DEMO")),
                name=f"Generated {symbol}",
                listing_venue=Venue("DEMO"),
                currency=Currency("USD"),
                tick_table="US_EQUITIES",
                order_increment=Quantity(whole(1)),
                round_lot=Quantity(whole(100)),
                effective_from=date(2013, 1, 1),
            )
        )
    say(added=len(GENERATED))


def run_rounds(
    made: Any,
    workload: str,
    subscribers: int,
    rounds: int,
    is_pinned: bool,
    *,
    service: str = "market_data_service",
    relays: tuple[str, ...] = (),
) -> tuple[dict[str, Run], int]:
    """Run one workload; return what the whole path and its parts took a record, and the number of records.

    Subscribers take `service`; `relays` are the processes between Market Data and them.
    """
    home = str(made.home)
    feeding = Child("benchmarks.marketdata", "--serve", "feed", home, workload)
    instruments = map(str, feeding.ready["instruments"])
    listening = Child("benchmarks.marketdata", "--serve", "subscribe", home, service, str(subscribers), *instruments)
    servers, between = pids_of(made, "market-data"), pids_of(made, *relays)
    if is_pinned:
        pin_processes([*servers, *between], 0)
        pin_processes([feeding.pid, listening.pid], 1)
    total = feeding.ready["total"]
    processes = {"server": servers, "relay": between, "feed": [feeding.pid], "subscribers": [listening.pid]}
    parts: dict[str, list[Run]] = {name: [] for name in ("all", *processes)}
    for turn in range(rounds + 1):
        sleep(SETTLE_SECONDS)
        listening.tell(str(total))
        listening.next_line()
        before = {name: sum(map(cpu_seconds, pids)) for name, pids in processes.items()}
        feeding.tell(f"benchmark {workload} {service} {subscribers} {turn}")
        sent = feeding.next_line()
        received = listening.next_line()
        used = {name: sum(map(cpu_seconds, pids)) - before[name] for name, pids in processes.items()}
        if received["holes"] or received["received"] != total * subscribers:
            raise RuntimeError(f"records are missing: {received}")
        seconds = received["last"] - sent["began"]
        if turn:
            deliveries = total * subscribers
            parts["all"].append(Run(rate=deliveries / seconds, cpu_us=sum(used.values()) / deliveries * 1e6))
            for name, cpu in used.items():
                parts[name].append(Run(rate=deliveries / seconds, cpu_us=cpu / deliveries * 1e6))
    feeding.stop()
    listening.stop()
    return {name: median(runs) for name, runs in parts.items()}, total


def measure(arguments: Any) -> None:
    """Run all workloads and print."""
    print(describe(arguments.pin))
    workloads = arguments.workloads
    if "replay" in workloads and not (DATA / "tick").is_dir():
        print("the recorded day is not beside the checkout: only generated ticks are measured")
        workloads = ["generated"]
    with instance(arguments.port_offset) as made:
        made.start(["service-locator", "definitions"])
        Child("benchmarks.marketdata", "--serve", "add", str(made.home)).finish()
        made.start(["market-data"])
        for workload in workloads:
            for subscribers in arguments.subscribers:
                found, total = run_rounds(made, workload, subscribers, arguments.rounds, arguments.pin)
                peer = relay_rounds(total, subscribers, arguments.rounds, arguments.pin)
                whole_path = found["all"]
                print(
                    f"{workload}, {total:,} records to {subscribers} subscriber(s): {whole_path.rate:,.0f} deliveries/s, "
                    f"CPU {whole_path.cpu_us:.2f} us a delivery (server {found['server'].cpu_us:.2f}, "
                    f"feed {found['feed'].cpu_us:.2f}, subscribers {found['subscribers'].cpu_us:.2f}); "
                    f"plain AMP relay {peer.rate:,.0f}/s, CPU {peer.cpu_us:.2f} us: "
                    f"x{whole_path.rate / peer.rate:.2f}, CPU x{whole_path.cpu_us / peer.cpu_us:.2f}",
                    flush=True,
                )


def begin() -> None:
    """Read the command line and go."""
    parser = options(__doc__ or "")
    parser.set_defaults(rounds=3)
    parser.add_argument("--workloads", nargs="+", choices=["replay", "generated"], default=["replay", "generated"])
    parser.add_argument("--subscribers", type=int, nargs="+", default=[1, 20])
    parser.add_argument("rest", nargs="*", help="of a child process")
    arguments = parser.parse_args()
    match arguments.serve:
        case "feed":
            main(partial(feed, Path(arguments.rest[0]), arguments.rest[1]))
        case "subscribe":
            home, service, subscribers, *instruments = arguments.rest
            main(partial(subscribe, Path(home), service, int(subscribers), [int(each) for each in instruments]))
        case "add":
            main(partial(add_instruments, Path(arguments.rest[0])))
        case _:
            measure(arguments)


if __name__ == "__main__":
    begin()
