"""The command line that every Spire plugin of twistd has: `--config FILE` and `--check`."""

import sys
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from twisted.python.usage import Options, UsageError

from spire.service.configuration import ConfigurationError, load
from spire.service.sections import ProcessConfiguration

C = TypeVar("C", bound=ProcessConfiguration)


class ServerOptions(Options, Generic[C]):
    """Options of one kind of process; a tap names its `name` ("market-data") and `configuration_type`.

    After parsing, `configuration` is the frozen configuration. A configuration that is refused ends the process with
    status 1 and its file, line and key; with `--check` a good one ends it with status 0.
    """

    optParameters: ClassVar[list[list[Any]]] = [["config", "c", None, "The TOML configuration file of this process."]]
    optFlags: ClassVar[list[list[Any]]] = [["check", None, "Check the configuration, say so, and start nothing."]]

    name: ClassVar[str]
    configuration_type: ClassVar[type[ProcessConfiguration]]
    configuration: C

    def postOptions(self) -> None:
        """Read the configuration."""
        if not self["config"]:
            raise UsageError("--config FILE is required")
        path = Path(self["config"])
        try:
            self.configuration = load(path, self.configuration_type)  # type: ignore[assignment] # a class variable cannot be of type C
        except ConfigurationError as error:
            raise UsageError(str(error)) from error
        if self["check"]:
            sys.stdout.write(f"{path}: good\n")
            raise SystemExit(0)
