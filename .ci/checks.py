"""Runs every check of the project, prints how long each took, and closes with the counts (`bin/test`)."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from attrs import define, field, frozen

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
SUMMARY = re.compile(r"^(?:PASSED|FAILED)(?: \((.*)\))?$", re.MULTILINE)
PASSING = ("successes", "expectedFailures")
FAILING = ("failures", "errors", "unexpectedSuccesses")
# What Python can only print, because it happens where nobody can catch it.
UNCAUGHT = re.compile(r".*(?:was never awaited|Exception ignored in|Unhandled error in Deferred).*")
SKIPPED = re.compile(r"^\[SKIPPED\]\n(.+)$", re.MULTILINE)
LONGEST_SECONDS = 1_500


@frozen(kw_only=True)
class Counts:
    """How many checks ended how."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            passed=self.passed + other.passed, failed=self.failed + other.failed, skipped=self.skipped + other.skipped
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@define
class Command:
    """One command under way; its output is kept until it is waited for."""

    name: str
    arguments: list[str]
    environment: dict[str, str] = field(factory=dict)
    began: float = 0.0
    process: "subprocess.Popen[str] | None" = None

    def start(self) -> "Command":
        """Start it."""
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            self.arguments,
            cwd=ROOT,
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        return self

    def finish(self) -> tuple[int, str]:
        """Wait for its end; return its status and what it printed."""
        assert self.process is not None
        try:
            output, _ = self.process.communicate(timeout=LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            output, _ = self.process.communicate()
            output += f"\nstopped after {LONGEST_SECONDS} s\n"
        return self.process.returncode, output

    def say(self, counts: Counts) -> None:
        """Print the phase with its time."""
        print(f"--- {self.name}: {counts} in {time.monotonic() - self.began:.1f} s", flush=True)


def tool(name: str, *arguments: str) -> Command:
    """Return a command of the environment."""
    return Command(" ".join((name, *arguments[:1])), [str(BIN / name), *arguments])


def static_checks() -> Counts:
    """Run what reads the code only; they share the machine."""
    commands = [
        tool("mypy"),
        tool("ruff", "check"),
        tool("ruff", "format", "--check"),
        tool("lint-imports"),
        tool("towncrier", "build", "--draft", "--version", "next", "--date", "2000-01-01"),
    ]
    for command in commands:
        command.start()
    total = Counts()
    for command in commands:
        status, output = command.finish()
        counts = Counts(passed=1) if status == 0 else Counts(failed=1)
        if status != 0:
            print(output)
        command.say(counts)
        total += counts
    return total


def trial(name: str, tests: list[str], directory: Path, environment: dict[str, str], workers: int) -> Counts:
    """Run tests in trial, and count them; what Python could only print counts as one more failure."""
    jobs = [f"-j{workers}"] if workers > 1 else []
    arguments = ["-m", "twisted.trial", "--reporter=text", "--temp-directory", str(directory / name), *jobs, *tests]
    command = Command(name, [sys.executable, *arguments], environment).start()
    status, output = command.finish()
    counts = counted(status, output)
    uncaught = [match.group(0) for match in UNCAUGHT.finditer(output)]
    if uncaught:
        counts += Counts(failed=1)
    if counts.failed:
        print(output)
    else:
        for reason in SKIPPED.findall(output):
            print(f"skipped: {reason}")
    command.say(counts)
    return counts


def counted(status: int, output: str) -> Counts:
    """Return what trial's last line says; a run that ended without one, or without a test, has failed."""
    summaries = list(SUMMARY.finditer(output))
    if not summaries:
        return Counts(failed=1)
    words = [word.split("=") for word in (summaries[-1].group(1) or "").split(", ") if "=" in word]
    numbers = {name: int(number) for name, number in words}
    passed = sum(numbers.get(name, 0) for name in PASSING)
    failed = sum(numbers.get(name, 0) for name in FAILING)
    skipped = numbers.get("skips", 0)
    if not failed and (status != 0 or not passed + skipped):
        failed = 1
    return Counts(passed=passed, failed=failed, skipped=skipped)


def unit_tests() -> list[str]:
    """Return every test package and module but the system's."""
    folders = [path.name for path in (ROOT / "tests").iterdir() if (path / "__init__.py").exists()]
    files = [path.stem for path in (ROOT / "tests").glob("test_*.py")]
    return [f"tests.{name}" for name in sorted(folders + files) if name != "system"]


def main(chosen: list[str]) -> int:
    """Run everything, or the chosen tests; return the exit status."""
    from spire.database.private import PrivateMariaDB

    began = time.monotonic()
    total = Counts() if chosen else static_checks()
    directory = Path(tempfile.mkdtemp(prefix="spire-test-"))
    database = PrivateMariaDB(directory / "mariadb", directory / "socket", is_durable=False)
    try:
        database.initialise()
        database.start()
        environment = {"SPIRE_TEST_MARIADB": str(database.socket_path), "PYTHONWARNINGS": "error"}
        workers = os.cpu_count() or 1
        total += trial("unit", chosen or unit_tests(), directory, environment, 1 if chosen else workers)
        if not chosen:
            total += trial("system", ["tests.system"], directory, environment, 1)
    finally:
        database.stop()
        shutil.rmtree(directory, ignore_errors=True)
    print(f"--- all of it in {time.monotonic() - began:.1f} s")
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
