"""Where a deployment is: what a client must know before it can log in."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from spire.service.configuration import load, setting
from spire.service.secrets import TextFile
from spire.service.sections import parse_addresses
from spire.values.environment import Environment

CONFIGURATION: Final = Path("etc", "client.toml")


@frozen(kw_only=True)
class LocatorAddresses:
    """The Service Locator's addresses (`host:port`), and the certificate authority that its certificate descends from."""

    addresses: tuple[str, ...] = setting(parse=parse_addresses)
    authority: TextFile


@frozen(kw_only=True)
class Deployment:
    """One deployment: its environment, its Locator, and the service that clients take market data from."""

    environment: Environment
    locator: LocatorAddresses
    market_data_service: str = "market_data_relay_service"


class NoDeployment(LookupError):  # noqa: N818 - it says what was looked for
    """No client configuration stands where it was looked for; the message says what to do."""


def home_of(environ: Mapping[str, str], here: Path) -> Path:
    """Return the instance that `SPIRE_HOME` names, else `var` in the current directory."""
    return Path(environ["SPIRE_HOME"]) if environ.get("SPIRE_HOME") else here / "var"


def find_deployment(home: Path | None = None) -> Deployment:
    """Read `etc/client.toml` of an instance: `home`, else `SPIRE_HOME`, else `./var`.

    Raises NoDeployment where there is none, ConfigurationError where it cannot be used.
    """
    found = (home_of(os.environ, Path.cwd()) if home is None else home) / CONFIGURATION
    if not found.is_file():
        raise NoDeployment(
            f"No deployment at {found.parent.parent}: name an instance with --home or SPIRE_HOME, or make one with bin/quickstart."
        )
    return load(found, Deployment)
