"""Configuration of the Administration Server."""

from attrs import Factory, field, frozen
from attrs.validators import gt

from spire.service.configuration import setting
from spire.service.sections import DatabaseSection, LocatorSection, ServerConfiguration
from spire.values.time import parse_zone


@frozen(kw_only=True)
class AdministrationSection:
    """`firm_zone` is the zone whose date is today's: the business date before the first one is opened.

    Every `refresh_seconds` the store is asked whether another server changed something.
    """

    firm_zone: str = setting(parse=parse_zone, default="America/New_York")
    refresh_seconds: float = field(default=2.0, validator=gt(0.0))


@frozen(kw_only=True)
class AdministrationConfiguration(ServerConfiguration):
    """The whole configuration file."""

    locator: LocatorSection
    database: DatabaseSection
    administration: AdministrationSection = Factory(AdministrationSection)
