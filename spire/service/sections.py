"""The sections that the configurations of servers share."""

import re
from pathlib import Path

from attrs import Attribute, field, frozen

from spire.database.address import DatabaseAddress
from spire.service.configuration import setting
from spire.service.secrets import Secret, TextFile
from spire.values.environment import Environment

_ADDRESS = re.compile(r"^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$")
LOG_LEVELS = ("debug", "info", "warn", "error", "critical")


def parse_address(text: object) -> str:
    """Return `host:port` as it stands, checked; ValueError otherwise. Brackets hold an IPv6 host."""
    match = _ADDRESS.match(text) if isinstance(text, str) else None
    if match is None or not 0 <= int(match.group(1)) <= 65535:
        raise ValueError(f"must be host:port, is {text!r}")
    return match.group(0)


def parse_addresses(items: object) -> tuple[str, ...]:
    """Return a list of `host:port`, not empty, as a tuple; ValueError otherwise."""
    if not isinstance(items, list) or not items:
        raise ValueError(f"must be an array of host:port, is {items!r}")
    return tuple(parse_address(item) for item in items)


def parse_database_addresses(items: object) -> tuple[DatabaseAddress, ...]:
    """Return a list of `host:port` or `unix:/path`, not empty; ValueError otherwise."""
    if not isinstance(items, list) or not items or not all(isinstance(item, str) for item in items):
        raise ValueError(f"must be an array of host:port or unix:/path, is {items!r}")
    return tuple(DatabaseAddress.parse(item) for item in items)


def _level(_: object, attribute: "Attribute[str]", value: str) -> None:
    if value not in LOG_LEVELS:
        raise ValueError(f"{attribute.name} is {value}, must be one of {', '.join(LOG_LEVELS)}")


@frozen(kw_only=True)
class ListenSection:
    """One listening port: `interface` is what it binds, `advertise` what other machines connect to."""

    interface: str = setting(parse=parse_address)
    advertise: tuple[str, ...] = setting(parse=parse_addresses)


@frozen(kw_only=True)
class ServerSection(ListenSection):
    """The server's service name, port and TLS identity (PEM files)."""

    name: str
    certificate: TextFile
    key: Secret


@frozen(kw_only=True)
class LocatorSection:
    """How a server or feed finds the Service Locator, and whom it is there."""

    addresses: tuple[str, ...] = setting(parse=parse_addresses)
    authority: TextFile
    account: str
    secret_file: Secret


@frozen(kw_only=True)
class DatabaseSection:
    """The MySQL servers (`host:port` or `unix:/path`, tried in order) and the schema."""

    addresses: tuple[DatabaseAddress, ...] = setting(parse=parse_database_addresses)
    user: str
    password_file: Secret
    schema: str = "spire"
    connections: int = 4


@frozen(kw_only=True)
class RunSection:
    """Where the process keeps what it writes.

    `directory` holds the readiness file and the admin socket; `name` replaces the tap's name in both when two processes
    of one kind share it. `log_file` absent means standard output.
    """

    directory: Path
    name: str | None = None
    log_file: Path | None = None
    log_level: str = field(default="info", validator=_level)
    journal_directory: Path | None = None


@frozen(kw_only=True)
class ProcessConfiguration:
    """What every process has: the base of a feed's configuration."""

    environment: Environment
    run: RunSection


@frozen(kw_only=True)
class ServerConfiguration(ProcessConfiguration):
    """What every server has; a room's configuration adds `locator`, `database` and its own section."""

    server: ServerSection
