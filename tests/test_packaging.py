"""However Spire is installed, `twistd` shows its plugins; nothing is downloaded for these tests."""

import os
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

import twisted
from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = {
    "spire-service-locator",
    "spire-uid",
    "spire-definitions",
    "spire-administration",
    "spire-market-data",
    "spire-market-data-relay",
    "spire-charting",
    "spire-compliance",
    "spire-order-execution",
    "spire-risk",
    "spire-simulation-feed",
    "spire-replay-feed",
}
PACKAGED = ("spire", "twisted", "etc", "pyproject.toml", "README.md", "LICENSE")
LIST_PLUGINS = "from twisted.scripts.twistd import run; run()"


def run(*command: object, directory: Path, **environment: str) -> str:
    """Run a command with nothing inherited that could show a plugin; return what it printed, or fail with it."""
    names = ("PATH", "HOME", "LANG", "TMPDIR")
    clean = {name: os.environ[name] for name in names if name in os.environ} | environment
    done = subprocess.run([str(part) for part in command], cwd=directory, env=clean, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{command} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def plugins_shown(help_text: str) -> set[str]:
    """Return the Spire plugins that the help of twistd lists."""
    return {word for line in help_text.splitlines() for word in line.split()[:1] if word.startswith("spire-")}


class PackagingTests(SynchronousTestCase):
    """A checkout, an editable install and a wheel, each in an environment of its own."""

    def setUp(self) -> None:
        # Not below trial's directory: that may lie inside the checkout, and so on its path.
        self.directory = Path(tempfile.mkdtemp(prefix="spire-packaging-"))
        self.addCleanup(shutil.rmtree, self.directory)

    def source(self) -> Path:
        """Copy what gets packaged; with a `setup.py` that must never be run, as the configuration script will be."""
        copy = self.directory / "source"
        copy.mkdir()
        for name in PACKAGED:
            origin = ROOT / name
            if origin.is_dir():
                shutil.copytree(origin, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(origin, copy / name)
        (copy / "setup.py").write_text("raise SystemExit('a build ran the configuration script')\n")
        (copy / "twisted" / "plugins" / "dropin.cache").write_bytes(b"stale")
        return copy

    def environment(self) -> Path:
        """Make an environment with the dependencies of this one, but without Spire; return its interpreter.

        Twisted itself is copied, so that a wheel lands beside its plugins as in a real installation.
        """
        place = self.directory / "environment"
        venv.create(place, with_pip=False, symlinks=True)
        python = place / "bin" / "python"
        variables = {"base": str(place), "platbase": str(place)}
        packages = Path(sysconfig.get_path("purelib", "venv", vars=variables))
        origin = Path(twisted.__file__).parent
        shutil.copytree(origin, packages / "twisted", ignore=shutil.ignore_patterns("__pycache__", "test", "*.cache"))
        others = [path for path in site.getsitepackages() if Path(path).is_dir()]
        (packages / "dependencies.pth").write_text("\n".join([str(origin.parent), *others]) + "\n")
        return python

    def install(self, python: Path, *what: object) -> None:
        """Install into the environment of `python` without asking any index."""
        options = ("--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed", "--quiet")
        pip = (sys.executable, "-m", "pip", "--isolated", "--python", python, "install", *options)
        run(*pip, *what, directory=self.directory)

    def shown_by(self, python: Path, **environment: str) -> set[str]:
        """Return the Spire plugins that twistd shows under this interpreter."""
        help_text = run(python, "-P", "-c", LIST_PLUGINS, "--help", directory=self.directory, **environment)
        return plugins_shown(help_text)

    def test_an_environment_without_spire_shows_no_plugin(self) -> None:
        """Else the other tests could not fail."""
        self.assertEqual(self.shown_by(self.environment()), set())

    def test_a_checkout_on_the_path_shows_every_plugin(self) -> None:
        """`PYTHONPATH=.` is enough for work on it."""
        self.assertEqual(self.shown_by(self.environment(), PYTHONPATH=str(self.source())), PLUGINS)

    def test_an_editable_install_shows_every_plugin(self) -> None:
        """Where an import hook would hide them, a path file does not."""
        python = self.environment()
        self.install(python, "--editable", self.source())
        self.assertEqual(self.shown_by(python), PLUGINS)

    def test_a_wheel_shows_every_plugin_and_leaves_twisted_whole(self) -> None:
        """It adds one file to Twisted's plugins, and takes it away again."""
        python = self.environment()
        self.install(python, self.wheel())
        self.assertEqual(self.shown_by(python), PLUGINS)
        pip = (sys.executable, "-m", "pip", "--isolated", "--python", python)
        run(*pip, "uninstall", "--yes", "spire-platform", directory=self.directory)
        self.assertEqual(self.shown_by(python), set())

    def test_the_wheel_carries_what_an_instance_is_made_from(self) -> None:
        """Templates and schema steps travel with the code; caches and tests do not."""
        with zipfile.ZipFile(self.wheel()) as archive:
            names = set(archive.namelist())
            (entry_points,) = (archive.read(name).decode() for name in names if name.endswith("/entry_points.txt"))
        for name in ("twisted/plugins/spire_plugins.py", "spire/py.typed", "spire/etc/uid.toml"):
            self.assertIn(name, names)
        self.assertEqual(
            entry_points.split("\n")[:3],
            ["[console_scripts]", "spire = spire.operations.command:main", "spire-admin = spire.operations.admin:main"],
        )
        self.assertTrue([name for name in names if name.startswith("spire/uid/schema/") and name.endswith(".sql")])
        for name in ("twisted/__init__.py", "twisted/plugins/__init__.py", "twisted/plugins/dropin.cache", "setup.py"):
            self.assertNotIn(name, names)

    def wheel(self) -> Path:
        """Build the wheel of the copy with the tools that are here."""
        output = self.directory / "wheel"
        build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", output, self.source())
        run(*build, directory=self.directory)
        (wheel,) = output.glob("*.whl")
        return wheel
