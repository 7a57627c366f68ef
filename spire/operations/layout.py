"""Where everything of an instance stands, below its home (`var/` in a checkout, or SPIRE_HOME)."""

import os
from pathlib import Path

from attrs import frozen

from spire.service.paths import admin_path, ready_path, socket_path

LONGEST_SOCKET_NAME = "mariadb.sock"
CHECKOUT = Path(__file__).resolve().parent.parent.parent


def default_home() -> Path:
    """Return the home of the instance that is meant when none is named."""
    named = os.environ.get("SPIRE_HOME")
    return Path(named) if named else Path("var")


@frozen
class Layout:
    """The paths of one instance; nothing is made here."""

    home: Path

    @property
    def settings(self) -> Path:
        """What the instance was set up with."""
        return self.home / "instance.toml"

    @property
    def etc(self) -> Path:
        """The configuration files."""
        return self.home / "etc"

    @property
    def tls(self) -> Path:
        """The certificate authority, certificates and keys."""
        return self.home / "tls"

    @property
    def secrets(self) -> Path:
        """Passwords, one file of mode 600 an account."""
        return self.home / "secrets"

    @property
    def run(self) -> Path:
        """Readiness files, admin sockets and process ids; of mode 700."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        """Logs, and what processes print before they log."""
        return self.home / "logs"

    @property
    def journals(self) -> Path:
        """The journals, a directory a server."""
        return self.home / "journals"

    @property
    def database(self) -> Path:
        """The private MariaDB's data."""
        return self.home / "mariadb"

    @property
    def database_sockets(self) -> Path:
        """A short directory of mode 700 for the private MariaDB's socket."""
        wanted = self.home / "run" / "mariadb"
        reachable = socket_path(wanted / LONGEST_SOCKET_NAME)
        return wanted if reachable.name == LONGEST_SOCKET_NAME else reachable

    @property
    def start_lock(self) -> Path:
        """What whoever starts a process holds while it looks for one that runs, starts it and writes its id down."""
        return self.run / "start.lock"

    def configuration(self, name: str) -> Path:
        """Return the configuration file of a process."""
        return self.etc / f"{name}.toml"

    def secret(self, account: str) -> Path:
        """Return the file that holds an account's password."""
        return self.secrets / account

    def log(self, name: str) -> Path:
        """Return a process's log."""
        return self.logs / f"{name}.log"

    def output(self, name: str) -> Path:
        """Return what a process printed."""
        return self.logs / f"{name}.out"

    def pid(self, name: str) -> Path:
        """Return the file that tells a process's id."""
        return self.run / f"{name}.pid"

    def ready(self, name: str) -> Path:
        """Return the file that exists while a process is ready."""
        return ready_path(self.run, name)

    def admin(self, name: str) -> Path:
        """Return a process's admin socket, to be asked with `spire.service.admin_client`."""
        return admin_path(self.run, name)
