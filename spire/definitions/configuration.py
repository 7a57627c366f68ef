"""Configuration of the Definitions Server."""

from pathlib import Path

from attrs import Factory, field, frozen

from spire.service.sections import DatabaseSection, LocatorSection, ServerConfiguration


@frozen(kw_only=True)
class DefinitionsSection:
    """`directory` holds the definition files (absent: those that ship); instruments are looked for anew every `refresh_seconds`."""

    directory: Path | None = None
    refresh_seconds: float = field(default=2.0)

    def __attrs_post_init__(self) -> None:
        """Refuse an interval of 0 or less."""
        if self.refresh_seconds <= 0:
            raise ValueError("refresh_seconds must be above 0")


@frozen(kw_only=True)
class DefinitionsConfiguration(ServerConfiguration):
    """The whole configuration file."""

    locator: LocatorSection
    database: DatabaseSection
    definitions: DefinitionsSection = Factory(DefinitionsSection)
