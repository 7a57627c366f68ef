"""Configuration of the Market Data Relay."""

from attrs import Factory, field, frozen
from attrs.validators import gt

from spire.service.sections import LocatorSection, ServerConfiguration


@frozen(kw_only=True)
class RelaySection:
    """Where market data comes from, and how much of it is kept.

    `linger_seconds` is how long an upstream subscription outlives its last reader; `ring_bytes` bounds what is kept in
    memory for those who resume.
    """

    market_data_service: str = "market_data_service"
    linger_seconds: float = field(default=60.0, validator=gt(0.0))
    ring_bytes: int = field(default=256 * 1024 * 1024, validator=gt(0))


@frozen(kw_only=True)
class RelayConfiguration(ServerConfiguration):
    """The whole configuration file."""

    locator: LocatorSection
    relay: RelaySection = Factory(RelaySection)
