"""An instance is made from nothing, and its processes are started, known, killed and stopped: real ones, on loopback."""

import atexit
import json
import os
import shutil
import signal
import socket
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from spire.database.private import find_server
from spire.locator.bootstrap import SERVICE_ACCOUNTS
from spire.operations.instance import DATABASE, Instance, NewPassword
from spire.operations.layout import Layout
from spire.operations.manage import main
from spire.operations.processes import Condition, OperationError, ServerProcess
from spire.operations.servers import FEEDS, KINDS, OFFSET_STEP, OPERATIONS_ACCOUNT, PROCESSES, SERVERS, kind_of
from spire.operations.settings import InstanceSettings
from spire.testing.ports import free_port_offset
from spire.values.environment import Environment

OFFSET = free_port_offset()


class ServersTests(SynchronousTestCase):
    """The table of processes agrees with itself and with the Locator's."""

    def test_no_two_services_share_a_port(self) -> None:
        """All of an instance run on one machine, further relays too."""
        ports = [port for kind in PROCESSES.values() for port in kind.ports.values()]
        self.assertEqual(len(ports), len(set(ports)))

    def test_instances_whose_offsets_are_a_step_apart_share_no_port(self) -> None:
        """Offsets that differ by 1000 or 2000 do."""
        ports = {port for kind in PROCESSES.values() for port in kind.ports.values()}
        self.assertLess(max(ports) - min(ports), OFFSET_STEP)

    def test_every_server_may_register_what_it_serves(self) -> None:
        """Its account holds the capability for exactly its services."""
        wanted = {kind.account: set(kind.services) for kind in SERVERS if kind.account is not None}
        self.assertEqual(wanted, {account: set(SERVICE_ACCOUNTS[account].registers) for account in wanted})

    def test_servers_start_before_those_that_need_them(self) -> None:
        """Each becomes ready only with its upstreams."""
        self.assertEqual(
            [kind.name for kind in SERVERS],
            [
                "service-locator", "uid", "definitions", "administration", "market-data", "market-data-relay",
                "charting", "compliance", "order-execution", "risk",
            ],
        )  # fmt: skip

    def test_further_relays_stand_behind_the_first(self) -> None:
        """They are processes of the same kind, with ports of their own."""
        names = list(PROCESSES)
        first = names.index("market-data-relay")
        self.assertEqual(names[first + 1 : first + 4], [f"market-data-relay-{number}" for number in (2, 3, 4)])
        self.assertEqual(kind_of("market-data-relay-2").ports, {"market_data_relay_service": 22301})
        self.assertEqual(kind_of("market-data-relay-2").tap, "spire-market-data-relay")

    def test_who_opens_the_day_serves_nothing(self) -> None:
        """Its account may do that and nothing else."""
        account = SERVICE_ACCOUNTS[OPERATIONS_ACCOUNT]
        self.assertEqual((account.registers, account.capabilities), ((), ("day.open",)))

    def test_every_feed_has_an_account_that_may_publish(self) -> None:
        """Market Data refuses any other."""
        for kind in FEEDS:
            self.assertIn("market_data.publish", SERVICE_ACCOUNTS[str(kind.account)].capabilities)

    def test_an_unknown_server_is_refused_with_those_there_are(self) -> None:
        """A typing error is answered with help."""
        error = self.assertRaises(ValueError, kind_of, "uids")
        self.assertIn("service-locator, uid, definitions", str(error))


class ServerProcessTests(SynchronousTestCase):
    """A process is known by its id and its birth."""

    def setUp(self) -> None:
        self.layout = Layout(Path(self.mktemp()))
        self.layout.run.mkdir(parents=True)
        self.process = ServerProcess(self.layout, kind_of("uid"))

    def record(self, pid: int, birth: str) -> None:
        """Write what a start would have written."""
        self.layout.pid("uid").write_text(json.dumps({"pid": pid, "birth": birth, "started": ""}))

    def test_nothing_recorded_is_stopped(self) -> None:
        """It was never started, or it was stopped."""
        self.assertEqual(self.process.state().condition, Condition.STOPPED)

    def test_another_process_with_the_same_id_is_not_taken_for_it(self) -> None:
        """Ids are given out again after a restart of the machine."""
        self.record(os.getpid(), "1")
        self.assertIsNone(self.process.pid)
        self.assertEqual(self.process.state().condition, Condition.DEAD)

    def test_a_ready_file_of_an_earlier_process_is_not_believed(self) -> None:
        """A killed process leaves it."""
        self.layout.ready("uid").write_text('{"pid": 1}')
        self.assertFalse(self.process.is_ready)

    def test_a_damaged_record_is_as_none(self) -> None:
        """A full disk cuts files."""
        self.layout.pid("uid").write_text("{")
        self.assertEqual(self.process.state().condition, Condition.STOPPED)


@cache
def shared_instance() -> tuple[Instance, list[NewPassword]]:
    """Make the instance of this process's tests; it goes when the process ends."""
    instance = Instance(Path(tempfile.mkdtemp(prefix="spire-instance-")))

    def remove() -> None:
        instance.stop()
        shutil.rmtree(instance.home)

    atexit.register(remove)
    return instance, instance.set_up(InstanceSettings(port_offset=OFFSET))


class InstanceTests(SynchronousTestCase):
    """One instance for all of them: to make it takes seconds."""

    skip = None if find_server() else "there is no MariaDB server on this machine"

    def setUp(self) -> None:
        self.instance, self.made = shared_instance()
        self.instance.start_database()

    def tearDown(self) -> None:
        self.instance.process("service-locator").kill()

    def command(self, *arguments: str) -> Result:
        """Run the command line on this instance."""
        return CliRunner().invoke(main, ["--home", str(self.instance.home), *arguments])

    def test_people_get_passwords_that_are_shown_once(self) -> None:
        """Set-up again makes none."""
        self.assertEqual({person.name for person in self.made}, {"administrator", "demo_trader", "demo_market_data"})
        self.assertEqual(self.instance.set_up(), [])

    def test_secrets_and_keys_have_mode_600(self) -> None:
        """Nobody else reads them."""
        files = [*self.instance.layout.secrets.iterdir(), *self.instance.layout.tls.glob("*.key")]
        self.assertGreater(len(files), 10)
        self.assertEqual({stat.S_IMODE(file.stat().st_mode) for file in files}, {0o600})

    def test_other_settings_are_refused(self) -> None:
        """An instance does not move by being set up."""
        error = self.assertRaises(OperationError, self.instance.make_files, InstanceSettings(port_offset=OFFSET + 1))
        self.assertIn("other settings", str(error))

    def test_the_environment_is_named_on_the_command_line(self) -> None:
        """It reaches what the instance was set up with and the configuration of every server and feed."""
        home = Path(tempfile.mkdtemp(prefix="spire-replay-"))
        self.addCleanup(shutil.rmtree, home)
        arguments = ["setup", "--environment", "REPLAY", "--feed", "replay-feed", "--host", "127.0.0.5"]
        done = CliRunner().invoke(main, ["--home", str(home), *arguments])
        self.assertEqual(done.exit_code, 0, done.output)
        instance = Instance(home)
        self.assertEqual(instance.settings.environment, Environment.REPLAY)
        self.assertEqual(instance.settings.feeds, ("replay-feed",))
        for name in KINDS:
            self.assertIn('environment = "REPLAY"', instance.layout.configuration(name).read_text())

    def test_a_changed_configuration_survives_set_up(self) -> None:
        """Operators edit files."""
        file = self.instance.layout.configuration("charting")
        text = file.read_text() + "# edited\n"
        file.write_text(text)
        self.instance.make_files()
        self.assertEqual(file.read_text(), text)

    def test_a_server_starts_is_checked_and_stops(self) -> None:
        """Through the command line, as a person does."""
        self.assertEqual(self.command("start", "service-locator").output, "service-locator is ready\n")
        checked = self.command("check", "service-locator", "--json")
        (state,) = json.loads(checked.output)
        self.assertEqual((checked.exit_code, state["condition"], state["reasons"]), (0, "ready", {}))
        stopped = self.command("stop", "service-locator")
        self.assertEqual((stopped.exit_code, stopped.output), (0, "service-locator is stopped\n"))
        self.assertEqual(self.instance.process("service-locator").state().condition, Condition.STOPPED)

    def test_a_kill_is_told(self) -> None:
        """Whoever tests what happens then knows that it happened."""
        self.instance.start(["service-locator"])
        killed = self.command("kill", "service-locator")
        self.assertEqual((killed.exit_code, killed.output), (0, "service-locator is killed\n"))

    def test_two_starts_at_once_start_one_process(self) -> None:
        """The second waits for the first and finds what it started: nothing is left that no command knows."""
        instances = [Instance(self.instance.home) for _ in range(2)]
        with ThreadPoolExecutor() as threads:
            done = [threads.submit(each.start, ["service-locator"]) for each in instances]
        self.assertEqual([each.result() for each in done], [None, None])
        self.assertEqual(len({each.process("service-locator").pid for each in instances}), 1)
        self.assertTrue(self.instance.process("service-locator").is_ready)

    def test_check_fails_while_something_is_down(self) -> None:
        """Scripts look at the status."""
        checked = self.command("check")
        self.assertEqual(checked.exit_code, 1)
        self.assertIn("service-locator     stopped", checked.output)

    def test_a_process_that_died_is_told_from_one_that_was_stopped(self) -> None:
        """Only the second was meant."""
        self.instance.start(["service-locator"])
        process = self.instance.process("service-locator")
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        while process.pid is not None:
            os.sched_yield()
        self.assertEqual(process.state().condition, Condition.DEAD)

    def test_the_database_is_a_process_like_others(self) -> None:
        """It is started, stopped and restarted by its name; one that was killed is dead until then."""
        pid = self.instance.database.start()
        os.kill(pid, signal.SIGKILL)
        while self.instance.database.is_alive:
            os.sched_yield()
        checked = self.command("check", "database")
        self.assertEqual(checked.exit_code, 1)
        self.assertRegex(checked.output, r"^database +dead +it ended without being stopped: see .*mariadb\.log\n$")
        self.assertEqual(self.command("stop", "database").output, "database does not run\n")
        self.assertRegex(self.command("check", "database").output, r"^database +stopped\n$")
        self.assertEqual(self.command("start", "database").output, "database is ready\n")
        self.assertEqual(self.command("restart", "database").output, "database is ready\n")
        self.assertEqual(self.command("check", "database").exit_code, 0)
        stopped = self.command("stop", "database")
        self.assertEqual((stopped.exit_code, stopped.output), (0, "database is stopped\n"))
        self.assertIn("stopped", self.command("check", "database").output)

    def test_a_start_that_fails_says_why(self) -> None:
        """File, line and key reach the operator."""
        file = self.instance.layout.configuration("service-locator")
        text = file.read_text()
        self.addCleanup(file.write_text, text)
        file.write_text(text + "surprise = 1\n")
        failed = self.command("start", "service-locator")
        self.assertEqual(failed.exit_code, 1)
        self.assertTrue(failed.output.startswith(f"service-locator did not start: {file}:"), failed.output)
        self.assertIn("service_locator.surprise: unknown key", failed.output)

    def test_a_port_in_use_is_named_with_what_to_do(self) -> None:
        """Two instances of one machine want the same ports unless they are told otherwise."""
        port = self.instance.settings.port("service_locator")
        with socket.create_server(("127.0.0.1", port)):
            failed = self.command("start", "service-locator")
        self.assertEqual(failed.exit_code, 1)
        self.assertTrue(
            failed.output.startswith(
                f"service-locator did not start: port {port} of 127.0.0.1 (service_locator) is in use: "
            ),
            failed.output,
        )
        self.assertIn("at least 3000 from that of every other", failed.output)
        self.assertIn("--port-offset", failed.output)
        self.assertIn("./check.sh", failed.output)

    def test_quickstart_with_other_settings_says_which_differ(self) -> None:
        """The others are not worth a word."""
        done = self.command("quickstart", "--port-offset", str(OFFSET + 1))
        self.assertEqual(done.exit_code, 1)
        self.assertIn(f"port_offset is {OFFSET}, not {OFFSET + 1}", done.output)
        self.assertIn("feeds is none, not simulation-feed", done.output)
        self.assertNotIn("host is", done.output)

    def test_a_server_waits_for_its_database_and_says_so(self) -> None:
        """It is not ready, does not give up, and becomes ready by itself."""
        self.assertTrue(self.instance.kill(DATABASE))
        process = self.instance.process("service-locator")
        process.start()
        while "database" not in process.state().reasons and process.pid is not None:
            os.sched_yield()
        error = self.assertRaises(OperationError, process.await_ready, 1.0)
        self.assertIn("service-locator is starting after 1 s", str(error))
        self.assertIn("database", process.state().reasons)
        self.instance.start_database()
        process.await_ready(20.0)
        self.assertEqual(process.state().condition, Condition.READY)
