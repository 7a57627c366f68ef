"""What an instance was set up with; kept in its `instance.toml`, so that later commands need no options."""

from pathlib import Path

import tomlkit
from attrs import asdict, field, frozen

from spire.operations.servers import FEEDS, KINDS, MOST_RELAYS
from spire.service.configuration import load, parse, setting
from spire.service.paths import private_directory
from spire.values.environment import Environment


def _names(names: object) -> tuple[str, ...]:
    if not isinstance(names, list | tuple) or any(name not in {kind.name for kind in FEEDS} for name in names):
        raise ValueError(f"must name feeds out of {', '.join(kind.name for kind in FEEDS)}, is {names!r}")
    return tuple(names)


def _offset(number: object) -> int:
    if type(number) is not int or not 0 <= number <= 40_000:
        raise ValueError(f"must be an integer from 0 to 40000, is {number!r}")
    return number


def _relays(number: object) -> int:
    if type(number) is not int or not 1 <= number <= MOST_RELAYS:
        raise ValueError(f"must be an integer from 1 to {MOST_RELAYS}, is {number!r}")
    return number


@frozen(kw_only=True)
class InstanceSettings:
    """An instance: its environment, where it listens, its feeds, and its first people.

    `port_offset` is added to every port, so that instances live side by side, each at least 3000 from the next. `host` is the address that servers bind
    and advertise. `feeds` start after the servers and stop before them. Of `relays` market data relays each has a port of
    its own.
    """

    environment: Environment = Environment.DEMO
    host: str = "127.0.0.1"
    port_offset: int = setting(parse=_offset, default=0)
    feeds: tuple[str, ...] = setting(parse=_names, factory=tuple)
    relays: int = setting(parse=_relays, default=1)
    administrator: str = "administrator"
    trader: str = "demo_trader"
    market_data_account: str = "demo_market_data"
    currency: str = "USD"
    schema: str = field(default="spire")

    def port(self, service: str) -> int:
        """Return the port of a service in this instance, of its first process."""
        return self.port_offset + next(kind.ports[service] for kind in KINDS.values() if service in kind.ports)


def read_settings(path: Path) -> InstanceSettings:
    """Read `instance.toml`; ConfigurationError says what is wrong with it."""
    return load(path, InstanceSettings)


def write_settings(path: Path, settings: InstanceSettings) -> None:
    """Write `instance.toml` and its folder, of mode 700. ConfigurationError: what cannot be read again is not written."""
    values = asdict(settings) | {"environment": settings.environment.name, "feeds": list(settings.feeds)}
    text = tomlkit.dumps(values)
    parse(text, InstanceSettings, path)
    private_directory(path.parent)
    path.write_text(text, encoding="utf-8")
