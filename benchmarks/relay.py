"""What a relay costs and saves: the same records to the same subscribers, from Market Data itself and through a relay.

    python -m benchmarks.relay [--rounds 3] [--workloads replay generated] [--subscribers 1 20] [--pin]

The workloads, the feed and the subscribers are those of `benchmarks.marketdata`. All servers are real processes of one
instance; the two ways take turns by subscriber count, in one run, so that their ratio says what the relay does to the rate
and to Market Data's own CPU. A run counts when every subscriber has received every record, in sequences without a hole.
"""

from typing import Any

from benchmarks.bench import Child, Run, describe, options
from benchmarks.deployment import instance
from benchmarks.marketdata import DATA, run_rounds

RELAY = "market-data-relay"
SERVICE = "market_data_relay_service"


def line(name: str, run: dict[str, Run]) -> str:
    """Return one way's figures as text."""
    whole = run["all"]
    return (
        f"  {name:12} {whole.rate:11,.0f} deliveries/s  CPU {whole.cpu_us:6.2f} us a delivery (Market Data "
        f"{run['server'].cpu_us:5.2f}, relay {run['relay'].cpu_us:5.2f}, feed {run['feed'].cpu_us:5.2f}, "
        f"subscribers {run['subscribers'].cpu_us:5.2f})"
    )


def measure(arguments: Any) -> None:
    """Run all workloads both ways and print."""
    print(describe(arguments.pin))
    workloads = arguments.workloads
    if "replay" in workloads and not (DATA / "tick").is_dir():
        print("the recorded day is not beside the checkout: only generated ticks are measured")
        workloads = ["generated"]
    with instance(arguments.port_offset) as made:
        made.start(["service-locator", "uid", "definitions", "administration"])
        Child("benchmarks.marketdata", "--serve", "add", str(made.home)).finish()
        made.start(["market-data", RELAY])
        for workload in workloads:
            for subscribers in arguments.subscribers:
                common = (made, workload, subscribers, arguments.rounds, arguments.pin)
                direct, total = run_rounds(*common)
                relayed, _ = run_rounds(*common, service=SERVICE, relays=(RELAY,))
                print(f"{workload}, {total:,} records to {subscribers} subscriber(s)")
                print(line("direct", direct))
                print(line("relay", relayed))
                print(
                    f"  ratio to direct: rate x{relayed['all'].rate / direct['all'].rate:.2f}, "
                    f"CPU of the path x{relayed['all'].cpu_us / direct['all'].cpu_us:.2f}, "
                    f"CPU of Market Data x{relayed['server'].cpu_us / direct['server'].cpu_us:.2f}",
                    flush=True,
                )


def begin() -> None:
    """Read the command line and go."""
    parser = options(__doc__ or "")
    parser.set_defaults(rounds=3)
    parser.add_argument("--workloads", nargs="+", choices=["replay", "generated"], default=["replay", "generated"])
    parser.add_argument("--subscribers", type=int, nargs="+", default=[1, 20])
    measure(parser.parse_args())


if __name__ == "__main__":
    begin()
