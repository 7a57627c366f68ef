"""Configuration of the Risk Server."""

from attrs import Factory, field, frozen
from attrs.validators import gt

from spire.service.configuration import setting
from spire.service.sections import DatabaseSection, LocatorSection, ServerConfiguration
from spire.values.time import parse_zone


@frozen(kw_only=True)
class RiskSection:
    """Where quotes come from, and how often places and positions are written.

    `firm_zone` is the zone whose date is the business date until the first one is opened.
    """

    market_data_service: str = "market_data_relay_service"
    firm_zone: str = setting(parse=parse_zone, default="America/New_York")
    save_seconds: float = field(default=1.0, validator=gt(0.0))


@frozen(kw_only=True)
class RiskConfiguration(ServerConfiguration):
    """The whole configuration file."""

    locator: LocatorSection
    database: DatabaseSection
    risk: RiskSection = Factory(RiskSection)
