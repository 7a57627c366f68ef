"""An instance is made from nothing, and its processes are started, known, killed and stopped: real ones, on loopback."""

import atexit
import json
import os
import shutil
import signal
import socket
import stat
import tempfile
import tomllib
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
from spire.operations.servers import FEEDS, KINDS, OPERATIONS_ACCOUNT, PROCESSES, SERVERS, kind_of
from spire.operations.settings import InstanceSettings, write_settings
from spire.service.configuration import ConfigurationError
from spire.values.environment import Environment

# Parallel test runs listen beside each other.
OFFSET = 3_000 + os.getpid() % 300 * 100


class ServersTests(SynchronousTestCase):
    """The table of processes agrees with itself and with the Locator's."""

    def test_no_two_services_share_a_port(self) -> None:
        """All of an instance run on one machine, further relays too."""
        ports = [port for kind in PROCESSES.values() for port in kind.ports.values()]
        self.assertEqual(len(ports), len(set(ports)))

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


class SetUpTests(SynchronousTestCase):
    """What is refused before anything is made."""

    def test_production_is_refused(self) -> None:
        """It has a database and accounts of its own."""
        instance = Instance(Path(self.mktemp()))
        error = self.assertRaises(OperationError, instance.set_up, InstanceSettings(environment=Environment.PRODUCTION))
        self.assertIn("PRODUCTION", str(error))
        self.assertFalse(instance.home.exists())

    def test_production_is_refused_on_the_command_line(self) -> None:
        """With the same words, and nothing made."""
        home = Path(self.mktemp())
        done = CliRunner().invoke(main, ["--home", str(home), "setup", "--environment", "PRODUCTION"])
        self.assertEqual((done.exit_code, home.exists()), (1, False))
        self.assertIn("not for PRODUCTION", done.output)

    def test_a_feed_that_does_not_exist_is_refused_with_those_there_are(self) -> None:
        """A typing error is answered with help."""
        home = Path(self.mktemp())
        done = CliRunner().invoke(main, ["--home", str(home), "setup", "--feed", "simulation"])
        self.assertEqual((done.exit_code, home.exists()), (2, False))
        self.assertIn("'simulation-feed', 'replay-feed'", done.output)

    def test_settings_that_cannot_be_read_again_are_not_written(self) -> None:
        """A mistyped port offset leaves nothing behind that stands in the way of the next attempt."""
        instance = Instance(Path(self.mktemp()))
        error = self.assertRaises(ConfigurationError, instance.make_files, InstanceSettings(port_offset=40_001))
        self.assertIn("port_offset: must be an integer from 0 to 40000", str(error))
        self.assertFalse(instance.home.exists())

    def test_the_number_of_relays_is_bounded(self) -> None:
        """And a wrong one leaves nothing behind."""
        home = Path(self.mktemp())
        done = CliRunner().invoke(main, ["--home", str(home), "setup", "--relays", "5"])
        self.assertEqual((done.exit_code, home.exists()), (2, False))
        error = self.assertRaises(ConfigurationError, Instance(home).make_files, InstanceSettings(relays=0))
        self.assertIn("relays: must be an integer from 1 to 4", str(error))

    def test_each_relay_has_its_own_configuration_port_log_and_name(self) -> None:
        """What they share is the service, its account and its certificate."""
        instance = Instance(Path(self.mktemp()))
        instance.make_files(InstanceSettings(relays=2, port_offset=100))
        first, second = (
            tomllib.loads(instance.layout.configuration(name).read_text())
            for name in ("market-data-relay", "market-data-relay-2")
        )
        self.assertEqual(first["server"]["interface"], "127.0.0.1:22400")
        self.assertEqual(second["server"]["interface"], "127.0.0.1:22401")
        self.assertEqual(second["server"]["advertise"], ["127.0.0.1:22401"])
        self.assertEqual(second["run"]["name"], "market-data-relay-2")
        self.assertEqual(second["run"]["log_file"], "../logs/market-data-relay-2.log")
        for section, key in (("server", "name"), ("server", "certificate"), ("locator", "account")):
            self.assertEqual(first[section][key], second[section][key])
        self.assertFalse(instance.layout.configuration("market-data-relay-3").exists())

    def test_relays_and_feeds_that_are_set_up_belong_to_all_and_others_are_stopped_with_them(self) -> None:
        """A spare one that somebody started must not outlive the instance."""
        instance = Instance(Path(self.mktemp()))
        instance.make_files(InstanceSettings(relays=2, feeds=("replay-feed",)))
        names = instance.ordered(None)
        self.assertEqual(names, list(instance.names))
        self.assertIn("market-data-relay-2", names)
        self.assertNotIn("market-data-relay-3", names)
        self.assertEqual(names[-1], "replay-feed")
        self.assertEqual(set(instance.ordered(None, with_spare=True)), set(PROCESSES))

    def test_a_relay_is_added_by_editing_the_settings(self) -> None:
        """Set-up then makes what it lacks."""
        instance = Instance(Path(self.mktemp()))
        instance.make_files(InstanceSettings())
        file = instance.layout.settings
        file.write_text(file.read_text().replace("relays = 1", "relays = 3"))
        instance.make_files()
        self.assertTrue(instance.layout.configuration("market-data-relay-3").exists())

    def test_an_instance_of_an_earlier_release_has_one_relay(self) -> None:
        """Its settings do not speak of relays, and its client goes on as it is."""
        instance = Instance(Path(self.mktemp()))
        instance.make_files(InstanceSettings())
        file = instance.layout.settings
        file.write_text(file.read_text().replace("relays = 1\n", ""))
        self.assertEqual(instance.settings.relays, 1)

    def test_a_home_that_others_may_enter_is_refused(self) -> None:
        """Logs and data in it would be theirs to read; the command line says so without a traceback."""
        home = Path(self.mktemp())
        home.mkdir(mode=0o755)
        done = CliRunner().invoke(main, ["--home", str(home), "setup"])
        self.assertEqual((done.exit_code, list(home.iterdir())), (1, []))
        self.assertIn("must be a directory of ours with mode 700", done.output)

    def test_a_home_that_was_opened_to_others_later_is_refused(self) -> None:
        """By set-up and by start, although an instance stands there; nothing more is made in it."""
        home = Path(self.mktemp())
        write_settings(Layout(home).settings, InstanceSettings())
        home.chmod(0o755)
        for command in ("setup", "start", "run"):
            done = CliRunner().invoke(main, ["--home", str(home), "--only", "uid", command])
            self.assertEqual((done.exit_code, [file.name for file in home.iterdir()]), (1, ["instance.toml"]))
            self.assertIn("must be a directory of ours with mode 700", done.output)

    def test_a_home_without_instance_says_what_to_do(self) -> None:
        """The message names the command."""
        instance = Instance(Path(self.mktemp()))
        error = self.assertRaises(OperationError, instance.start)
        self.assertIn("run bin/quickstart", str(error))
        self.assertFalse(instance.home.exists())


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
        arguments = ["setup", "--environment", "REPLAY", "--feed", "replay-feed"]
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
        self.assertEqual(self.command("stop", "service-locator").exit_code, 0)
        self.assertEqual(self.instance.process("service-locator").state().condition, Condition.STOPPED)

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
            failed.output.startswith(f"service-locator did not start: port {port} of 127.0.0.1 is in use: "),
            failed.output,
        )
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
