"""Configuration of the Compliance Server."""

from attrs import Factory, field, frozen
from attrs.validators import gt

from spire.service.sections import DatabaseSection, LocatorSection, ServerConfiguration


@frozen(kw_only=True)
class ComplianceSection:
    """Rules that another server on the same tables wrote are looked for every `refresh_seconds`."""

    refresh_seconds: float = field(default=2.0, validator=gt(0))


@frozen(kw_only=True)
class ComplianceConfiguration(ServerConfiguration):
    """The whole configuration file."""

    locator: LocatorSection
    database: DatabaseSection
    compliance: ComplianceSection = Factory(ComplianceSection)
