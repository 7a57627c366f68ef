"""Configuration of the Uid Server."""

from pathlib import Path

from attrs import Factory, frozen

from spire.service.sections import DatabaseSection, LocatorSection, ServerConfiguration


@frozen(kw_only=True)
class UidSection:
    """`high_water_file` is kept outside the database, and with it out of the database's backups.

    Absent: `uid_high_water` in the journal directory, or else in the run directory.
    """

    high_water_file: Path | None = None


@frozen(kw_only=True)
class UidConfiguration(ServerConfiguration):
    """The whole configuration file."""

    locator: LocatorSection
    database: DatabaseSection
    uid: UidSection = Factory(UidSection)

    @property
    def high_water_file(self) -> Path:
        """Where the mark is kept."""
        if self.uid.high_water_file is not None:
            return self.uid.high_water_file
        return (self.run.journal_directory or self.run.directory) / "uid_high_water"
