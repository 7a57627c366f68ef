"""A MariaDB server of our own: for the quick start, the demo, tests, and installations that have no other.

It listens on a unix socket alone, in a directory that only its owner may enter; its administrator is the operating-system
user who owns it, known by the socket, so that there is no root password anywhere. Everything here blocks.
Reference: docs/database.md.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import pymysql
from pymysql.connections import Connection

from spire.database.address import check_socket_path
from spire.database.connector import connect

SERVER_NAMES = ("mariadbd", "mysqld")
SERVER_DIRECTORIES = ("/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/usr/local/libexec", "/usr/local/mysql/bin")
SCRIPT_DIRECTORIES = ("/usr/share/mariadb", "/usr/share/mysql", "/usr/local/share/mariadb", "/usr/local/share/mysql")
# What `mariadb-install-db` feeds to the server; that script needs a package that we do not.
SYSTEM_SCRIPTS = (
    ("mariadb_system_tables.sql", "mysql_system_tables.sql"),
    ("mariadb_performance_tables.sql", "mysql_performance_tables.sql"),
    ("mariadb_system_tables_data.sql", "mysql_system_tables_data.sql"),
    ("maria_add_gis_sp_bootstrap.sql",),
    ("mariadb_sys_schema.sql", "mysql_sys_schema.sql"),
)
# A commit is on the disk before it is answered; for tests, whose data goes with them,
# it is enough that it outlives the process.
DURABLE = ("--innodb-flush-log-at-trx-commit=1", "--innodb-doublewrite=ON")
FLEETING = ("--innodb-flush-log-at-trx-commit=2", "--innodb-doublewrite=OFF")
INITIALISED = "spire-initialised"
START_SECONDS = 30.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.02


class PrivateServerError(Exception):
    """The private server cannot be made, started or stopped; the message says what to do."""


def find_server() -> Path | None:
    """Return the MariaDB server program of this machine, or None where there is none."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *SERVER_DIRECTORIES))
    for name in SERVER_NAMES:
        found = shutil.which(name, path=path)
        if found is not None:
            return Path(found)
    return None


# Those of this very process, whichever object began them: a child that ended stays in the table of processes until its
# parent looks, and whoever stops it may be another object.
_CHILDREN: dict[int, "subprocess.Popen[bytes]"] = {}


class PrivateMariaDB:
    """One private server: its data in one directory, its socket in another (a short path).

    Every method may be called again: what is done already is left alone. A server that another process of the same user
    started is found by its socket. `is_durable=False` is for tests alone: a power cut then costs commits.
    """

    def __init__(
        self,
        data_directory: Path,
        socket_directory: Path,
        *,
        buffer_pool_megabytes: int = 64,
        is_durable: bool = True,
    ) -> None:
        self.data_directory = data_directory.absolute()
        self.socket_directory = socket_directory.absolute()
        self.socket_path = self.socket_directory / "mariadb.sock"
        self.log_path = self.data_directory / "mariadb.log"
        self._pid_path = self.data_directory / "mariadb.pid"
        self._buffer_pool_megabytes = buffer_pool_megabytes
        self._is_durable = is_durable
        self._process: subprocess.Popen[bytes] | None = None
        check_socket_path(str(self.socket_path))

    @property
    def address(self) -> str:
        """The address as configurations name it."""
        return f"unix:{self.socket_path}"

    @property
    def is_running(self) -> bool:
        """Whether a server answers on the socket."""
        try:
            self.connect().close()
        except (pymysql.MySQLError, OSError):
            return False
        return True

    @property
    def is_alive(self) -> bool:
        """Whether the process of this directory's server lives, whether or not it answers."""
        return self._pid() is not None

    @property
    def has_died(self) -> bool:
        """Whether a server was started here and ended without being stopped: in order, it takes its process id away."""
        return self._pid_path.exists() and not self.is_alive

    def connect(self) -> "Connection[pymysql.cursors.Cursor]":
        """Connect as the administrator, which only the owning operating-system user can."""
        return connect(unix_socket=str(self.socket_path), user=_owner(), autocommit=True, connect_timeout=5)

    def initialise(self) -> None:
        """Make the data directory with its system tables, unless it is there; a half-made one is made anew."""
        if (self.data_directory / INITIALISED).exists():
            return
        if self.data_directory.exists() and any(self.data_directory.iterdir()):
            if not (self.data_directory / "spire-initialising").exists():
                raise PrivateServerError(
                    f"{self.data_directory} holds something else: empty it or name another directory"
                )
            shutil.rmtree(self.data_directory)
        self.data_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.data_directory.chmod(0o700)
        (self.data_directory / "spire-initialising").touch()
        (self.data_directory / "mysql").mkdir(mode=0o700)
        with self.log_path.open("ab") as log:
            result = subprocess.run(  # noqa: S603 - our own program and arguments
                [*self._command(), "--bootstrap"], input=self._system_sql(), stdout=log, stderr=log, check=False
            )
        if result.returncode != 0:
            raise PrivateServerError(
                f"the database could not be made, status {result.returncode}: {self._last_words()} (see {self.log_path})"
            )
        (self.data_directory / "spire-initialising").rename(self.data_directory / INITIALISED)

    def start(self) -> int:
        """Start the server, unless it runs, and wait until it answers; return its process id."""
        if not self.is_running:
            self.socket_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.socket_directory.chmod(0o700)
            with self.log_path.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - our own program and arguments
                    [*self._command(), f"--socket={self.socket_path}", f"--pid-file={self._pid_path}"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            _CHILDREN[self._process.pid] = self._process
            self._wait_until_it_answers(self._process)
        pid = self._pid()
        if pid is None:
            raise PrivateServerError(f"a server answers on {self.socket_path}, but it is not the one of this directory")
        return pid

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Stop the server in order, and kill it if it takes longer than `seconds`; then none has died here."""
        self._end(signal.SIGTERM, seconds)
        self._pid_path.unlink(missing_ok=True)

    def kill(self) -> None:
        """Kill the server as a crash would."""
        self._end(signal.SIGKILL, STOP_SECONDS)

    def create_schema(self, schema: str, user: str, password: str | None = None) -> str:
        """Make a schema, and a user with all rights on it alone; return the password (a new one unless given)."""
        password = secrets.token_urlsafe(24) if password is None else password
        if user in (_owner(), "root", "mariadb.sys"):
            raise PrivateServerError(
                f"{user} administrates the private database: take another name for the servers' user"
            )
        quoted = schema.replace("`", "``")
        pattern = quoted.replace("_", r"\_").replace("%", r"\%")
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{quoted}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
            cursor.execute("CREATE USER IF NOT EXISTS %s@'localhost' IDENTIFIED BY %s", (user, password))
            cursor.execute("ALTER USER %s@'localhost' IDENTIFIED BY %s", (user, password))
            cursor.execute(f"GRANT ALL ON `{pattern}`.* TO %s@'localhost'", (user,))
        return password

    def _command(self) -> list[str]:
        server = find_server()
        if server is None:
            raise PrivateServerError("there is no MariaDB server on this machine: apt-get install mariadb-server-core")
        return [
            str(server),
            "--no-defaults",
            f"--datadir={self.data_directory}",
            f"--tmpdir={self._own_temporary()}",
            f"--user={_owner()}",
            "--skip-networking",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--performance-schema=OFF",
            *(DURABLE if self._is_durable else FLEETING),
            f"--innodb-buffer-pool-size={self._buffer_pool_megabytes}M",
            "--innodb-log-file-size=64M",
            "--max-connections=300",
            "--max-allowed-packet=64M",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_bin",
            "--lower-case-table-names=0",
        ]

    def _own_temporary(self) -> Path:
        """Return a folder for temporary tables: a starting server removes those of every other one that shares it."""
        folder = self.socket_directory / "temporary"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket_directory.chmod(0o700)
        return folder

    def _system_sql(self) -> bytes:
        """Return what a new server is told: its own tables, and who administrates it."""
        # Two administrators, `root` and the owner: the socket's word about who is on the other side lets them in.
        texts = [f"USE mysql;\nSET @auth_root_socket = '{_owner()}', @skip_auth_anonymous = 1;\n".encode()]
        for names in SYSTEM_SCRIPTS:
            candidates = [Path(directory, name) for directory in SCRIPT_DIRECTORIES for name in names]
            script = next((path for path in candidates if path.exists()), None)
            if script is None:
                raise PrivateServerError(f"{names[-1]} is not on this machine: apt-get install mariadb-server-core")
            texts.append(script.read_bytes())
        return b"\n".join(texts)

    def _wait_until_it_answers(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.is_running:
            if process.poll() is not None:
                raise PrivateServerError(f"the database ended with status {process.returncode}: see {self.log_path}")
            if time.monotonic() > deadline:
                process.kill()
                raise PrivateServerError(
                    f"the database does not answer after {START_SECONDS:.0f} s: see {self.log_path}"
                )
            time.sleep(POLL_SECONDS)

    def _last_words(self) -> str:
        """Return the last errors that the log tells of, or else its last line."""
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        errors = [line for line in lines if "[ERROR]" in line]
        return "; ".join(errors[-3:] or lines[-1:] or ["it said nothing"])

    def _pid(self) -> int | None:
        """Return the process id of this directory's server while it lives; a stale file names somebody else."""
        if self._process is not None and self._process.poll() is None:
            return self._process.pid
        with suppress(OSError, ValueError):
            pid = int(self._pid_path.read_text(encoding="ascii"))
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if f"--datadir={self.data_directory}".encode() in arguments:
                return pid
        return None

    def _end(self, how: signal.Signals, seconds: float) -> None:
        pid = self._pid()
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, how)
        deadline = time.monotonic() + seconds
        while self._pid() == pid:
            if time.monotonic() > deadline:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(POLL_SECONDS)
        self._process = None
        child = _CHILDREN.pop(pid, None)
        if child is not None:
            child.wait()


def _owner() -> str:
    """Return the operating-system user that this process is."""
    return pwd.getpwuid(os.geteuid()).pw_name
