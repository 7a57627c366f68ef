"""One instance: set up from nothing, its processes started in order, checked, and stopped in reverse.

The one Python interface behind the scripts and the system test; blocking, and free of any reactor.
"""

import errno
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import tomlkit
from attrs import asdict, frozen

from spire.database.private import PrivateMariaDB
from spire.locator.bootstrap import SERVICE_ACCOUNTS
from spire.operations.layout import CHECKOUT, Layout
from spire.operations.lock import locked
from spire.operations.passwords import generate_password
from spire.operations.processes import (
    OTHER_OFFSET,
    READY_SECONDS,
    STOP_SECONDS,
    Condition,
    OperationError,
    ProcessState,
    ServerProcess,
)
from spire.operations.servers import (
    DATABASE_USER,
    KINDS,
    OPERATIONS_ACCOUNT,
    PROCESSES,
    RELAYS,
    SERVERS,
    ServerKind,
    kind_of,
)
from spire.operations.settings import InstanceSettings, read_settings, write_settings
from spire.operations.templates import render
from spire.service.paths import private_directory
from spire.service.secrets import read_secret
from spire.values.environment import Environment
from spire.values.time import Timestamp
from spire.wire.certificates import Certificate, make_authority, make_server_certificate

PREPARE_SECONDS = 300.0
OPEN_DAY_SECONDS = 180.0
DATABASE = "database"


@frozen(kw_only=True)
class NewPassword:
    """A person's generated password, to be shown once; it also stands in `file`, of mode 600."""

    name: str
    password: str
    file: Path


class Instance:
    """An instance at `home`; every method looks at what stands there, so that several scripts may work on it."""

    def __init__(self, home: Path) -> None:
        self.layout = Layout(home.absolute())
        self._processes = {name: ServerProcess(self.layout, kind) for name, kind in PROCESSES.items()}
        self.database = PrivateMariaDB(self.layout.database, self.layout.database_sockets)

    @property
    def home(self) -> Path:
        """Where the instance stands."""
        return self.layout.home

    @property
    def settings(self) -> InstanceSettings:
        """What it was set up with; OperationError before that."""
        if not self.layout.settings.exists():
            raise OperationError(f"there is no instance at {self.home}: run bin/quickstart, or `setup` first")
        return read_settings(self.layout.settings)

    @property
    def names(self) -> tuple[str, ...]:
        """The processes of this instance in start order: its servers, then its feeds."""
        return _names_of(self.settings)

    def process(self, name: str) -> ServerProcess:
        """Return one process; ValueError for an unknown name."""
        return self._processes[kind_of(name).name]

    def password(self, account: str) -> str:
        """Return the generated password of an account of this instance."""
        return read_secret(self.layout.secret(account)).text

    # Set-up

    def require_ports(self, settings: InstanceSettings | None = None) -> None:
        """Raise OperationError if an instance that was never started finds one of its ports taken, even before it is made.

        `settings` are those of a new instance.
        """
        if self.layout.settings.exists():
            if settings not in (None, self.settings):
                return  # set-up refuses them
            settings = self.settings
        settings = settings or InstanceSettings()
        if any(self.layout.output(name).exists() for name in PROCESSES):
            return
        for name in _names_of(settings):
            for service, base in kind_of(name).ports.items():
                port = base + settings.port_offset
                if _is_taken(settings.host, port):
                    raise OperationError(f"port {port} of {settings.host} ({service}) is in use: {OTHER_OFFSET}")

    def set_up(self, settings: InstanceSettings | None = None) -> list[NewPassword]:
        """Make what is missing, and return the passwords of people that were generated just now.

        May be run again at any time: files that stand are kept, tables are brought up to date. `settings` are those of a
        new instance; for one that exists, OperationError if they differ from its own.
        """
        made = self.make_files(settings)
        settings = self.settings
        was_running = self.database.is_running
        self.start_database()
        try:
            self.database.create_schema(settings.schema, DATABASE_USER, self.password(DATABASE))
            self._prepare()
        finally:
            if not was_running:
                self.database.stop()
        self._make_client(settings)  # the last: it says that the rest is done
        return made

    def make_files(self, settings: InstanceSettings | None = None) -> list[NewPassword]:
        """Make the part of `set_up` that needs no database; PermissionError for a home that others may enter."""
        settings = self._agree(settings)
        private_directory(self.home)
        self._make_directories()
        made = self._make_secrets(settings)
        self._make_certificates(settings)
        for name in (*self.names, *KINDS):
            self._make_configuration(kind_of(name), settings)
        return made

    def _agree(self, settings: InstanceSettings | None) -> InstanceSettings:
        if not self.layout.settings.exists():
            settings = InstanceSettings() if settings is None else settings
            if settings.environment is Environment.PRODUCTION:
                raise OperationError("a private database and demo accounts are not for PRODUCTION")
            write_settings(self.layout.settings, settings)
        elif settings is not None and settings != self.settings:
            differing = "; ".join(_differences(self.settings, settings))
            raise OperationError(
                f"the instance at {self.home} was set up with other settings, and keeps them: {differing}. "
                f"They stand in {self.layout.settings}; make a new instance in another folder: SPIRE_HOME=DIR before the command"
            )
        return self.settings

    def _make_directories(self) -> None:
        layout = self.layout
        for directory in (layout.etc, layout.logs, layout.journals, layout.tls):
            directory.mkdir(parents=True, exist_ok=True)
        for directory in (layout.run, layout.secrets):
            private_directory(directory)

    def _make_secrets(self, settings: InstanceSettings) -> list[NewPassword]:
        people = (settings.administrator, settings.trader, settings.market_data_account)
        wanted = {OPERATIONS_ACCOUNT, *(kind.account for kind in KINDS.values())}
        services = [name for name in SERVICE_ACCOUNTS if name in wanted]
        made = []
        for name in (*people, *services, DATABASE):
            file = self.layout.secret(name)
            if file.exists():
                continue
            password = generate_password(name)
            _write_secret(file, password + "\n")
            if name in people:
                made.append(NewPassword(name=name, password=password, file=file))
        return made

    def _make_certificates(self, settings: InstanceSettings) -> None:
        authority_file = self.layout.tls / "authority.pem"
        now = Timestamp(time.time_ns())
        if not authority_file.exists():
            _write_certificate(authority_file, make_authority("Spire instance", now))
        authority = Certificate(
            certificate=authority_file.read_bytes(), key=authority_file.with_suffix(".key").read_bytes()
        )
        for kind in SERVERS:
            file = self.layout.tls / f"{kind.services[0].replace('_', '-')}.pem"
            if not file.exists():
                _write_certificate(file, make_server_certificate(authority, kind.services, (settings.host,), now))

    def _make_configuration(self, kind: ServerKind, settings: InstanceSettings) -> None:
        file = self.layout.configuration(kind.name)
        if file.exists():
            return
        ports = {f"{service}_port": str(settings.port_offset + port) for service, port in kind.ports.items()}
        text = render(kind.template, self._values(settings) | ports)
        if kind.of is not None:
            document = tomlkit.parse(text)
            run = document.setdefault("run", tomlkit.table())
            run["name"], run["log_file"] = kind.name, f"../logs/{kind.name}.log"
            text = tomlkit.dumps(document)
        file.write_text(text, encoding="utf-8")

    def _make_client(self, settings: InstanceSettings) -> None:
        file = self.layout.configuration("client")
        if not file.exists():
            file.write_text(render("client", self._values(settings)), encoding="utf-8")

    def _values(self, settings: InstanceSettings) -> dict[str, str]:
        values = {
            "environment": settings.environment.name,
            "host": settings.host,
            "schema": settings.schema,
            "currency": settings.currency,
            "database": self._database_address,
        }
        return values | {
            f"{service}_port": str(settings.port(service)) for kind in SERVERS for service in kind.services
        }

    @property
    def _database_address(self) -> str:
        return self.database.address

    def _prepare(self) -> None:
        done = self._run("spire.operations.prepare", str(self.home), self._database_address, seconds=PREPARE_SECONDS)
        if done.returncode != 0:
            words = (done.stderr or done.stdout).strip().splitlines()
            raise OperationError(f"the database could not be prepared: {words[-1] if words else 'no reason given'}")

    def open_day(self, date: str | None = None, *, as_json: bool = False) -> str:
        """Open the business day (`spire.operations.day`; of an ISO date, else the firm's today); return what it tells.

        May be repeated. Its servers must run. OperationError says why it could not.
        """
        words = ["--home", str(self.home), *(["--json"] if as_json else []), *(["--date", date] if date else [])]
        done = self._run("spire.operations.day", *words, seconds=OPEN_DAY_SECONDS)
        if done.returncode != 0:
            raise OperationError(f"the business day could not be opened: {done.stderr.strip()}")
        return done.stdout + done.stderr

    def _run(self, module: str, *words: str, seconds: float) -> "subprocess.CompletedProcess[str]":
        path = os.pathsep.join([str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])])
        try:
            return subprocess.run(
                [sys.executable, "-m", module, *words],
                env=os.environ | {"PYTHONPATH": path},
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise OperationError(f"{module} did not end within {seconds:.0f} s") from error

    def configure(self, name: str, section: str, **values: object) -> None:
        """Set keys of one section of a process's configuration (None takes one away), for its next start."""
        file = self.layout.configuration(kind_of(name).name)
        document = tomlkit.parse(file.read_text(encoding="utf-8"))
        table = document.setdefault(section, tomlkit.table())
        for key, value in values.items():
            if value is None:
                table.pop(key, None)
            else:
                table[key] = str(value) if isinstance(value, Path) else value
        file.write_text(tomlkit.dumps(document), encoding="utf-8")

    # Processes

    def start(self, names: Sequence[str] | None = None, timeout_seconds: float = READY_SECONDS) -> None:
        """Start the database and the processes (all of them, or these) in order, each ready before the next starts."""
        self.start_database()
        for name in self.ordered(_without_database(names)):
            self.process(name).start()
            self.process(name).await_ready(timeout_seconds)

    def stop(
        self,
        names: Sequence[str] | None = None,
        timeout_seconds: float = STOP_SECONDS,
        stopped: Callable[[str, bool], object] = lambda _name, _was_killed: None,
    ) -> list[str]:
        """Stop in reverse order, the database last, if it is named or nothing is; return who had to be killed.

        `stopped` is told of each that ran, once it has ended, and whether it had to be killed.
        """
        killed = []
        for name in reversed(self.ordered(_without_database(names), with_spare=True)):
            process = self.process(name)
            ran = process.pid is not None
            was_killed = not process.stop(timeout_seconds)
            if was_killed:
                killed.append(name)
            if ran:
                stopped(name, was_killed)
        if names is None or DATABASE in names:
            ran = self.database.is_alive
            self.database.stop()
            if ran:
                stopped(DATABASE, False)
        return killed

    def restart(self, name: str, timeout_seconds: float = READY_SECONDS) -> None:
        """Stop one process, or the database, and start it again."""
        self.stop([name])
        self.start([name], timeout_seconds)

    def kill(self, name: str) -> bool:
        """Kill one process, or the database, without a warning; return whether it ran."""
        if name == DATABASE:
            if not self.database.is_running:
                return False
            self.database.kill()
            return True
        return self.process(name).kill()

    def start_database(self) -> None:
        """Start the private database, and make it first if it is not there; PermissionError as in `make_files`."""
        _ = self.settings  # nothing is made where there is no instance
        private_directory(self.home)
        with locked(self.layout.start_lock):
            self.database.initialise()
            if not self.database.is_running:
                self.database.start()

    def check(self, names: Sequence[str] | None = None) -> list[ProcessState]:
        """Return how these are ("database" among them), or the database and every process of the instance."""
        return [self._state(name) for name in ((DATABASE, *self.names) if names is None else names)]

    def _state(self, name: str) -> ProcessState:
        if name == DATABASE:
            return self._database_state()
        return self.process(name).state()

    def _database_state(self) -> ProcessState:
        database = self.database
        if database.is_running:
            return ProcessState(name=DATABASE, condition=Condition.READY)
        if database.is_alive:
            return ProcessState(name=DATABASE, condition=Condition.STARTING)
        if database.has_died:
            reasons = {"process": f"it ended without being stopped: see {database.log_path}"}
            return ProcessState(name=DATABASE, condition=Condition.DEAD, reasons=reasons)
        return ProcessState(name=DATABASE, condition=Condition.STOPPED)

    def ordered(self, names: Sequence[str] | None, *, with_spare: bool = False) -> list[str]:
        """Return these processes, or all of this instance, in start order; ValueError for an unknown name.

        `with_spare` takes in feeds and relays that were not set up: somebody may have started them.
        """
        if names is None:
            names = list(PROCESSES) if with_spare else self.names
        wanted = {kind_of(name).name for name in names}
        return [name for name in PROCESSES if name in wanted]


def _without_database(names: Sequence[str] | None) -> list[str] | None:
    """Return the processes among these names: the database is none of them."""
    return None if names is None else [name for name in names if name != DATABASE]


def _names_of(settings: InstanceSettings) -> tuple[str, ...]:
    """Return the processes of an instance that is set up so, in start order."""
    spare = {kind.name for kind in RELAYS[settings.relays :]}
    return tuple(
        name for name, kind in PROCESSES.items() if name not in spare and (kind.ports or name in settings.feeds)
    )


def _is_taken(host: str, port: int) -> bool:
    """Return whether another process listens there; what else is wrong with an address is told by the start."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # as servers do: one that has just ended is none
            probe.bind(address)
    except (OSError, OverflowError) as error:
        return isinstance(error, OSError) and error.errno == errno.EADDRINUSE
    return False


def _differences(known: InstanceSettings, wanted: InstanceSettings) -> list[str]:
    """Return a phrase for each setting that is not the same."""
    old, new = (asdict(each) | {"environment": each.environment.name} for each in (known, wanted))
    return [f"{name} is {_shown(old[name])}, not {_shown(new[name])}" for name in old if old[name] != new[name]]


def _shown(value: object) -> str:
    return (", ".join(value) or "none") if isinstance(value, tuple) else str(value)


def _write_certificate(path: Path, certificate: Certificate) -> None:
    """Write certificate and key; the certificate last, since it says that both are there."""
    key = path.with_suffix(".key")
    key.unlink(missing_ok=True)
    _write_secret(key, certificate.key.decode())
    path.write_bytes(certificate.certificate)


def _write_secret(path: Path, text: str) -> None:
    """Write a file that never was readable by others."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
