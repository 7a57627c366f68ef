"""What set-up makes and refuses, and what the command line says without any process."""

import os
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from spire.operations.instance import Instance
from spire.operations.layout import CHECKOUT, Layout
from spire.operations.manage import main
from spire.operations.pipe import CLOSED_PIPE
from spire.operations.processes import OperationError
from spire.operations.servers import PROCESSES, kind_of
from spire.operations.settings import InstanceSettings, write_settings
from spire.service.configuration import ConfigurationError
from spire.values.environment import Environment


def taken_port(offset: int) -> int:
    """Return the port of charting at an offset."""
    return kind_of("charting").ports["charting_service"] + offset


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

    def test_a_taken_port_is_told_before_a_new_instance_is_made(self) -> None:
        """The service and what to do, so that another offset can be chosen yet."""
        home = Path(self.mktemp())
        with socket.create_server(("127.0.0.6", 0)) as taken:
            offset = taken.getsockname()[1] - kind_of("charting").ports["charting_service"]
            words = ["--host", "127.0.0.6", "--port-offset", str(offset)]
            done = CliRunner().invoke(main, ["--home", str(home), "setup", *words])
        self.assertEqual((done.exit_code, home.exists()), (1, False), done.output)
        self.assertIn(f"port {taken_port(offset)} of 127.0.0.6 (charting_service) is in use", done.output)
        self.assertIn("--port-offset at least 3000 from that of every other", done.output)

    def test_an_instance_that_was_started_may_be_set_up_again_while_it_runs(self) -> None:
        """The ports are its own; to one that was never started they are taken."""
        instance = Instance(Path(self.mktemp()))
        instance.make_files(InstanceSettings(host="127.0.0.6"))
        with socket.create_server(("127.0.0.6", instance.settings.port("uid_service"))):
            error = self.assertRaises(OperationError, instance.require_ports)
            instance.layout.output("uid").write_text("")
            instance.require_ports()
        self.assertIn("(uid_service) is in use", str(error))

    def test_quickstart_takes_a_number_of_relays(self) -> None:
        """Within the same bounds as set-up."""
        home = Path(self.mktemp())
        done = CliRunner().invoke(main, ["--home", str(home), "quickstart", "--relays", "5"])
        self.assertEqual((done.exit_code, home.exists()), (2, False))
        self.assertIn("--relays", done.output)

    def test_the_help_of_the_port_offset_says_how_far_apart(self) -> None:
        """Of set-up and of quickstart."""
        for command in ("setup", "quickstart"):
            words = " ".join(CliRunner().invoke(main, [command, "--help"]).output.split())
            self.assertIn("0, 3000, 6000", words)

    def test_usage_names_what_was_typed(self) -> None:
        """A script, or the program of one server."""
        for words, typed in (
            (("--script", "./stop.sh", "stop", "--nonsense"), "./stop.sh"),
            (("--script", "bin/quickstart", "quickstart", "--home", "x"), "bin/quickstart"),
            (("--only", "uid", "start", "--nonsense"), "bin/uid start"),
            (("--only", "uid", "nonsense"), "bin/uid"),
            (("setup", "--nonsense"), "bin/manage setup"),
        ):
            done = CliRunner().invoke(main, words, prog_name="bin/manage")
            self.assertEqual(done.exit_code, 2, words)
            self.assertIn(f"Usage: {typed} [OPTIONS]", done.output)
            self.assertIn(f"Try '{typed} -", done.output)

    def test_each_script_says_how_it_was_typed(self) -> None:
        """Wherever it is called from."""
        for script in ("check.sh", "start.sh", "stop.sh"):
            done = subprocess.run([CHECKOUT / script, "--help"], capture_output=True, text=True, cwd="/", check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"Usage: {CHECKOUT / script} [OPTIONS]", done.stdout)
        self.assertIn('--script "$0" quickstart', (CHECKOUT / "bin" / "quickstart").read_text())

    def test_quickstart_says_where_another_instance_may_stand(self) -> None:
        """It takes no --home."""
        said = CliRunner().invoke(main, ["quickstart", "--help"]).output
        self.assertIn("SPIRE_HOME", said)
        self.assertNotIn("--home", said)
        instance = Instance(Path(self.mktemp()))
        instance.make_files(InstanceSettings())
        error = self.assertRaises(OperationError, instance.make_files, InstanceSettings(port_offset=3000))
        self.assertIn("SPIRE_HOME=DIR", str(error))
        self.assertNotIn("--home", str(error))

    def test_a_check_whose_reader_has_gone_ends_quietly(self) -> None:
        """As in `./check.sh | head -3`."""
        instance = Instance(Path(self.mktemp()))
        instance.make_files(InstanceSettings())
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-m", "spire.operations.manage", "--home", str(instance.home), "check"],
            stdout=writer,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
            check=False,
        )
        os.close(writer)
        self.assertEqual((done.stderr, done.returncode), (b"", CLOSED_PIPE))

    def test_stopping_and_killing_what_does_not_run_is_told(self) -> None:
        """In a line each; to kill it is an error."""
        instance = Instance(Path(self.mktemp()))
        instance.make_files(InstanceSettings())

        def said(*words: str) -> tuple[int, str]:
            done = CliRunner().invoke(main, ["--home", str(instance.home), *words])
            return done.exit_code, done.output

        self.assertEqual(said("stop"), (0, f"nothing runs of {instance.home}\n"))
        self.assertEqual(said("stop", "uid"), (0, "uid does not run\n"))
        self.assertEqual(said("kill", "uid")[0], 1)

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
