"""The Service Locator's configuration file."""

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from spire.locator.configuration import LocatorConfiguration
from spire.service.configuration import ConfigurationError, load

TEXT = """\
environment = "DEMO"

[server]
name = "service_locator"
interface = "127.0.0.1:20000"
advertise = ["127.0.0.1:20000"]
certificate = "certificate.pem"
key = "secret"

[database]
addresses = ["127.0.0.1:3306"]
user = "spire"
password_file = "secret"

[run]
directory = "run"

[service_locator]
signing_key_file = "secrets/signing_key"
"""


class ConfigurationTests(SynchronousTestCase):
    """What is wrong is refused with file, line and key."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="spire-configuration-")
        self.addCleanup(directory.cleanup)
        self.file = Path(directory.name) / "service-locator.toml"
        for name in ("certificate.pem", "secret"):
            place = self.file.with_name(name)
            place.touch(mode=0o600)
            place.write_text("text\n")

    def read(self, text: str) -> LocatorConfiguration:
        """Read a configuration of this text."""
        self.file.write_text(text)
        return load(self.file, LocatorConfiguration)

    def refusal(self, text: str) -> str:
        """Return why it is refused."""
        return str(self.assertRaises(ConfigurationError, self.read, text))

    def test_the_least_is_enough(self) -> None:
        """Tickets of five minutes, argon2id as the standard recommends."""
        own = self.read(TEXT).service_locator
        self.assertEqual(
            (own.ticket_seconds, own.hash_cost.memory_kib, own.password_policy.minimum_length), (300, 65536, 12)
        )
        self.assertEqual(own.signing_key_file, self.file.with_name("secrets") / "signing_key")

    def test_an_unknown_key_is_refused(self) -> None:
        """With its line."""
        self.assertIn(":20: service_locator.tiket_seconds", self.refusal(f"{TEXT}tiket_seconds = 60\n"))

    def test_a_ticket_of_more_than_an_hour_is_refused(self) -> None:
        """Revocations would be forgotten before it ended."""
        self.assertIn("an hour at most", self.refusal(f"{TEXT}ticket_seconds = 7200\n"))

    def test_a_missing_signing_key_file_is_refused(self) -> None:
        """The Locator must know where its key is."""
        self.assertIn("signing_key_file", self.refusal(TEXT.replace("signing_key_file", "# signing_key_file")))
