"""A whole instance is started, opened for the day, checked and stopped: real processes, on loopback."""

import json
import shutil
import tempfile
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from spire.database.private import find_server
from spire.operations.instance import Instance
from spire.operations.manage import main
from spire.operations.processes import Condition, OperationError
from spire.operations.servers import OPERATIONS_ACCOUNT, SERVERS
from spire.operations.settings import InstanceSettings
from spire.testing.ports import free_port_offset

OFFSET = free_port_offset()
FEED = "simulation-feed"


class StartTests(SynchronousTestCase):
    """One instance, with two relays and a feed: to make and start it takes seconds."""

    skip = None if find_server() else "there is no MariaDB server on this machine"

    def setUp(self) -> None:
        self.instance = Instance(Path(tempfile.mkdtemp(prefix="spire-start-")))
        self.addCleanup(shutil.rmtree, self.instance.home)
        self.addCleanup(self.instance.stop)
        self.instance.set_up(InstanceSettings(port_offset=OFFSET, relays=2, feeds=(FEED,)))
        self.instance.start_database()

    def command(self, *arguments: str) -> Result:
        """Run the command line on this instance."""
        return CliRunner().invoke(main, ["--home", str(self.instance.home), *arguments])

    def test_all_start_the_day_is_opened_before_the_feeds_and_all_stop(self) -> None:
        """In order, once; started again nothing is opened twice, and with --no-reset nobody tries; a day that cannot be opened is told at the end."""
        started = self.command("start")
        self.assertEqual(started.exit_code, 0, started.output)
        lines = started.output.splitlines()
        relay = [kind.name for kind in SERVERS].index("market-data-relay") + 1
        names = [kind.name for kind in SERVERS]
        names.insert(relay, "market-data-relay-2")
        self.assertEqual(lines[: len(names)], [f"{name} is ready" for name in names])
        self.assertRegex(lines[len(names)], r"^Business date \d{4}-\d\d-\d\d is open: 1 opened\.$")
        self.assertEqual(lines[-1], f"{FEED} is ready")
        checked = self.command("check", "--json")
        states = {state["name"]: state["condition"] for state in json.loads(checked.output)}
        self.assertEqual((checked.exit_code, set(states.values())), (0, {"ready"}), checked.output)
        self.assertEqual(list(states), ["database", *names, FEED])
        self.assertIn(": 1 untouched.", self.command("start").output)
        self.assertNotIn("Business date", self.command("start", "--no-reset").output)
        error = self.assertRaises(OperationError, self.instance.open_day, "2000-01-01")
        self.assertIn("CONFLICT", str(error))
        self.instance.layout.secret(OPERATIONS_ACCOUNT).unlink()
        failed = self.command("start")
        self.assertEqual(failed.exit_code, 1)
        self.assertIn("the business day could not be opened: INVALID The secret of operations_service", failed.output)
        self.assertIn("all else runs", failed.output)
        stopped = self.command("stop")
        self.assertEqual(stopped.exit_code, 0)
        ended = [f"{name} is stopped" for name in (FEED, *reversed(names), "database")]
        self.assertEqual(stopped.output.splitlines(), ended)
        self.assertEqual({state.condition for state in self.instance.check()}, {Condition.STOPPED})
