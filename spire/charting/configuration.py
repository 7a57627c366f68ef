"""Configuration of the Charting Server."""

from attrs import Factory, field, frozen
from attrs.validators import gt

from spire.service.sections import LocatorSection, ServerConfiguration


@frozen(kw_only=True)
class ChartingSection:
    """Where trades come from, and how much is kept in memory for subscribers that resume."""

    market_data_service: str = "market_data_relay_service"
    ring_bytes: int = field(default=64 * 1024 * 1024, validator=gt(0))


@frozen(kw_only=True)
class ChartingConfiguration(ServerConfiguration):
    """The whole configuration file."""

    locator: LocatorSection
    charting: ChartingSection = Factory(ChartingSection)
