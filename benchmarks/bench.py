"""What the benchmarks share: the machine's description, processes with their CPU time, rounds, tables."""

import argparse
import ctypes
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from attrs import define, frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import react

PACKAGES = ("Twisted", "msgspec", "numpy", "cryptography", "PyMySQL")
NANOSECONDS = 10**9
_PARENT_DEATH_SIGNAL = 1  # prctl(2)


def describe(pinned: bool) -> str:
    """Return the environment of the run in one paragraph."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return (
        f"{cpu}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"{packages}; load before the run {load}; processes {'pinned' if pinned else 'not pinned'}"
    )


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that all threads of a process have used, to the nanosecond."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:  # the thread has just ended
            continue
    return total / NANOSECONDS


def pin(core: int | None) -> None:
    """Keep this process on one core; None leaves it to the system."""
    if core is not None:
        os.sched_setaffinity(0, {core % (os.cpu_count() or 1)})


class Child:
    """Another process of the benchmark, which says on its standard output, in one line of JSON, when it is ready."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid
        self.ready: dict[str, Any] = self.next_line()

    def next_line(self) -> dict[str, Any]:
        """Wait for the child's next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the child {self.pid} ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def tell(self, line: str) -> None:
        """Send the child a line on its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def finish(self) -> None:
        """Wait until the child has ended by itself."""
        self._process.wait(60)

    def stop(self) -> None:
        """End the child."""
        self._process.terminate()
        self._process.wait(10)


def say(**values: Any) -> None:
    """Tell the parent, from a child."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


@frozen(kw_only=True)
class Run:
    """One run: operations a second, CPU microseconds per operation over all processes, latencies in microseconds."""

    rate: float
    cpu_us: float
    p50_us: float = 0.0
    p99_us: float = 0.0


@define
class Meter:
    """Times one run over the processes given."""

    pids: Sequence[int]
    _began: float = 0.0
    _cpu: float = 0.0

    def start(self) -> None:
        """Begin."""
        self._cpu = sum(cpu_seconds(pid) for pid in self.pids)
        self._began = perf_counter()

    def stop(self, operations: int, latencies: Sequence[float] = ()) -> Run:
        """End; `latencies` are seconds."""
        seconds = perf_counter() - self._began
        cpu = sum(cpu_seconds(pid) for pid in self.pids) - self._cpu
        ordered = sorted(latencies)
        return Run(
            rate=operations / seconds,
            cpu_us=cpu / operations * 1e6,
            p50_us=percentile(ordered, 0.5) * 1e6,
            p99_us=percentile(ordered, 0.99) * 1e6,
        )


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return a percentile of an ascending sequence; 0 for none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def median(runs: Sequence[Run]) -> Run:
    """Return the median of each figure."""
    return Run(
        rate=statistics.median(run.rate for run in runs),
        cpu_us=statistics.median(run.cpu_us for run in runs),
        p50_us=statistics.median(run.p50_us for run in runs),
        p99_us=statistics.median(run.p99_us for run in runs),
    )


async def in_flight(count: int, window: int, call: Callable[[int], "Deferred[Any]"]) -> list[float]:
    """Make `count` calls, `window` of them at a time, and return the seconds that each took."""
    latencies: list[float] = []
    done: Deferred[None] = Deferred()
    begun = 0

    def begin() -> None:
        nonlocal begun
        if begun == count:
            return
        begun += 1
        started = perf_counter()

        def ended(_: Any) -> Any:
            latencies.append(perf_counter() - started)
            if len(latencies) == count and not done.called:
                done.callback(None)
            else:
                begin()
            return None

        call(begun).addCallbacks(ended, done.errback)

    for _ in range(min(window, count)):
        begin()
    await done
    return latencies


async def rounds(
    number: int, variants: Mapping[str, Callable[[], Awaitable[Run]]], *, warm: bool = True
) -> dict[str, Run]:
    """Run every variant `number` times, in turns, after one turn that does not count; return the medians."""
    found: dict[str, list[Run]] = {name: [] for name in variants}
    for turn in range(number + (1 if warm else 0)):
        for name, run in variants.items():
            result = await run()
            if turn or not warm:
                found[name].append(result)
    return {name: median(runs) for name, runs in found.items()}


def table(title: str, results: Mapping[str, Run], peer: str, unit: str = "calls/s") -> str:
    """Return results as lines of text; ratios are to `peer`'s rate and CPU time."""
    base = results[peer]
    lines = [f"{title} (ratio to: {peer})"]
    for name, run in results.items():
        latency = f"  p50 {run.p50_us:8.0f} us  p99 {run.p99_us:8.0f} us" if run.p50_us else ""
        lines.append(
            f"  {name:44} {run.rate:11,.0f} {unit}  x{run.rate / base.rate:5.2f}"
            f"  CPU {run.cpu_us:8.2f} us/op  x{run.cpu_us / base.cpu_us:5.2f}{latency}"
        )
    return "\n".join(lines)


def options(description: str) -> argparse.ArgumentParser:
    """Return the options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=5, help="turns that count (default 5)")
    parser.add_argument("--pin", action="store_true", help="servers on core 0, clients on core 1")
    parser.add_argument("--port-offset", type=int, default=17_000, help="keeps runs at the same time apart")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    return parser


def main(work: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine function on the reactor, then end the process; a child process ends with its parent too."""
    if "--serve" in sys.argv:
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    react(lambda reactor: Deferred.fromCoroutine(work(reactor)))
