"""twistd's plugins name modules that can be loaded, and loading the plugin file chooses no reactor."""

import io
import subprocess
import sys
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from runpy import run_path

from twisted.application.service import ServiceMaker
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from spire.operations.servers import KINDS
from spire.operations.templates import render, templates
from spire.service.configuration import parse

ROOT = Path(__file__).resolve().parent.parent.parent
PLUGIN_FILE = ROOT / "twisted" / "plugins" / "spire_plugins.py"
VALUES = {
    "environment": "DEMO",
    "host": "127.0.0.1",
    "schema": "spire",
    "currency": "USD",
    "database": "unix:/run/spire/mariadb.sock",
}


def makers() -> dict[str, ServiceMaker]:
    """Return the service makers of the plugin file by tap name."""
    found = [value for value in run_path(str(PLUGIN_FILE)).values() if isinstance(value, ServiceMaker)]
    return {maker.tapname: maker for maker in found}


def instance_files(home: Path) -> Path:
    """Make a home with a file for everything that a template names."""
    for kind in KINDS.values():
        text = (Path(str(templates())) / f"{kind.name}.toml").read_text()
        for word in text.split('"')[1::2]:
            if word.startswith(("../tls/", "../secrets/")):
                file = home / word.removeprefix("../")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("x")
                file.chmod(0o600)
    return home


class PluginTests(SynchronousTestCase):
    """One line a process."""

    def test_there_is_a_plugin_for_every_process_of_an_instance(self) -> None:
        """Operations start what twistd knows."""
        self.assertEqual(set(makers()), {kind.tap for kind in KINDS.values()})

    def test_every_tap_has_options_named_as_operations_call_it(self) -> None:
        """Readiness file and admin socket carry that name."""
        names = {maker.tapname: import_module(maker.module).Options.name for maker in makers().values()}
        self.assertEqual(names, {kind.tap: kind.name for kind in KINDS.values()})

    def test_loading_the_plugins_installs_no_reactor(self) -> None:
        """`twistd --reactor` must still have the choice."""
        code = f"import runpy, sys; runpy.run_path({str(PLUGIN_FILE)!r}); sys.exit('twisted.internet.reactor' in sys.modules)"
        self.assertEqual(subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode, 0)

    def test_every_template_is_a_configuration_of_its_tap(self) -> None:
        """No unknown key, no missing one: the rooms' classes and `etc/` agree."""
        home = instance_files(Path(self.mktemp()))
        for kind in KINDS.values():
            ports = {f"{service}_port": str(port) for other in KINDS.values() for service, port in other.ports.items()}
            tap = import_module(makers()[kind.tap].module)
            text = render(kind.name, VALUES | ports)
            value = parse(text, tap.Options.configuration_type, home / "etc" / f"{kind.name}.toml")
            self.assertEqual(value.environment.name, "DEMO", kind.name)


class OptionsTests(SynchronousTestCase):
    """The command line that all taps share."""

    def options(self, *arguments: str) -> None:
        """Parse a command line of the Service Locator's tap."""
        options = import_module("spire.locator.tap").Options()
        options.parseOptions(list(arguments))

    def test_a_configuration_is_required(self) -> None:
        """The message names the option."""
        error = self.assertRaises(UsageError, self.options)
        self.assertIn("--config", str(error))

    def test_a_refused_configuration_is_a_usage_error(self) -> None:
        """Twistd prints it and exits with 1."""
        path = Path(self.mktemp())
        path.write_text("surprise = 1\n")
        error = self.assertRaises(UsageError, self.options, "--config", str(path))
        self.assertIn(f"{path}:1: surprise: unknown key", str(error))

    def test_check_starts_nothing(self) -> None:
        """A good configuration ends the process with 0."""
        home = instance_files(Path(self.mktemp()))
        path = home / "etc" / "service-locator.toml"
        path.parent.mkdir()
        ports = {f"{service}_port": str(port) for kind in KINDS.values() for service, port in kind.ports.items()}
        path.write_text(render("service-locator", VALUES | ports))
        printed = io.StringIO()
        with redirect_stdout(printed):
            ended = self.assertRaises(SystemExit, self.options, "--config", str(path), "--check")
        self.assertEqual((ended.code, printed.getvalue()), (0, f"{path}: good\n"))
