"""A process under twistd: it becomes ready, stops in order, and a start that fails ends it with status 1."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent.parent
TWISTD = "from twisted.scripts.twistd import run; run()"

APPLICATION = """
import os, signal
from pathlib import Path
from twisted.application.service import Application
from twisted.internet import reactor
from spire.service.container import Child, SpireService
from spire.service.process import ProcessService, real_parts
from spire.service.readiness import Readiness, State
from spire.service.sections import ProcessConfiguration, RunSection
from spire.values.environment import Environment

here = Path(__file__).resolve().parent
configuration = ProcessConfiguration(
    environment=Environment.DEMO, run=RunSection(directory=here / "run", log_file=here / "test.log")
)
parts = real_parts(configuration, reactor)
room = SpireService("test", clock=parts.clock, readiness=Readiness())


def note(text):
    with (here / "events").open("a") as events:
        events.write(text + "\\n")


def broken():
    raise RuntimeError("the schema is another's")


def ended():
    note("ready file " + ("there" if (here / "run" / "test.ready").exists() else "absent"))
    reactor.callLater(0, os.kill, os.getpid(), signal.SIGTERM)


def changed():
    if room.readiness.state is State.READY:
        reactor.callLater(0, ended)


room.add(Child(name="first", start=lambda: note("start first"), stop=lambda: note("stop first")))
room.add(Child(name="second", start=SECOND, stop=lambda: note("stop second")))
room.readiness.observe(changed)
application = Application("test")
ProcessService("test", room, configuration, parts, reactor).setServiceParent(application)
"""


class ProcessServiceTests(SynchronousTestCase):
    """Real processes, which end by themselves."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def ran(self, second: str) -> int:
        """Run a process whose second child starts so; return its exit status."""
        tac = self.directory / "test.tac"
        tac.write_text(APPLICATION.replace("SECOND", second))
        done = subprocess.run(
            [sys.executable, "-c", TWISTD, "--nodaemon", "--pidfile=twistd.pid", "--python", tac],
            cwd=self.directory,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=60,
        )
        return done.returncode

    def events(self) -> list[str]:
        """Return what the children and the observer noted."""
        return (self.directory / "events").read_text().splitlines()

    def log(self) -> list[dict[str, str]]:
        """Return the log's records."""
        return [json.loads(line) for line in (self.directory / "test.log").read_text().splitlines()]

    def test_it_starts_is_ready_and_stops_in_order(self) -> None:
        """The readiness file is there while it is ready; SIGTERM ends it."""
        status = self.ran("lambda: note('start second')")
        self.assertEqual(status, -signal.SIGTERM)
        self.assertEqual(
            self.events(), ["start first", "start second", "ready file there", "stop second", "stop first"]
        )
        self.assertFalse((self.directory / "run" / "test.ready").exists())

    def test_a_start_that_fails_ends_the_process_with_status_1(self) -> None:
        """What had started is stopped, nothing says ready, and the log says why."""
        self.assertEqual(self.ran("broken"), 1)
        self.assertEqual(self.events(), ["start first", "stop second", "stop first"])
        self.assertFalse((self.directory / "run" / "test.ready").exists())
        records = self.log()
        self.assertIn("critical", {record["level"] for record in records})
        failures = [record["failure"] for record in records if "failure" in record]
        self.assertIn("the schema is another's", failures[0])

    def test_a_failed_process_leaves_no_pid_file(self) -> None:
        """Twistd removes it before the status is set."""
        self.ran("broken")
        self.assertFalse((self.directory / "twistd.pid").exists())

    def test_the_log_is_json_with_the_process_name(self) -> None:
        """The application's own log replaces twistd's."""
        self.ran("lambda: None")
        self.assertIn(("test", "test is ready"), {(record["process"], record["text"]) for record in self.log()})
