"""The Service Locator's configuration."""

from pathlib import Path

from attrs import field, frozen
from attrs.validators import ge, gt

from spire.locator.keys import TICKET_SECONDS
from spire.locator.passwords import HashCost, PasswordPolicy
from spire.service.sections import DatabaseSection, ServerConfiguration


@frozen(kw_only=True)
class LocatorServiceSection:
    """What is the Locator's own.

    `signing_key_file` has mode 600 and is made at the first start. `hash_memory_kib`, `hash_iterations` and `hash_lanes`
    are argon2id's; `hashes_at_once` of them run in threads. `ticket_seconds` is how long a ticket is good for.
    """

    signing_key_file: Path
    ticket_seconds: int = field(default=TICKET_SECONDS, validator=[ge(10), lambda *given: _at_most_an_hour(given[2])])
    password_length: int = field(default=12, validator=ge(8))
    hash_memory_kib: int = field(default=65536, validator=ge(64))
    hash_iterations: int = field(default=3, validator=gt(0))
    hash_lanes: int = field(default=2, validator=gt(0))
    hashes_at_once: int = field(default=2, validator=gt(0))

    @property
    def hash_cost(self) -> HashCost:
        """What one password hash costs."""
        return HashCost(iterations=self.hash_iterations, memory_kib=self.hash_memory_kib, lanes=self.hash_lanes)

    @property
    def password_policy(self) -> PasswordPolicy:
        """What a new password must be like."""
        return PasswordPolicy(minimum_length=self.password_length)


@frozen(kw_only=True)
class LocatorConfiguration(ServerConfiguration):
    """The Service Locator's configuration file."""

    database: DatabaseSection
    service_locator: LocatorServiceSection


def _at_most_an_hour(seconds: int) -> None:
    """Refuse longer tickets: revocations are published for two hours only."""
    if seconds > 3600:
        raise ValueError(f"ticket_seconds is {seconds}; a ticket is good for an hour at most")
