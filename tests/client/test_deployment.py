"""A client finds its deployment."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from spire.client.deployment import NoDeployment, find_deployment, home_of
from spire.service.configuration import ConfigurationError
from spire.values.environment import Environment

TEXT = 'environment = "DEMO"\n[locator]\naddresses = ["127.0.0.1:20000", "127.0.0.1:20001"]\nauthority = "../authority.pem"\n'


class DeploymentTests(SynchronousTestCase):
    """In `etc/client.toml` of an instance."""

    def setUp(self) -> None:
        """Make an instance's home."""
        self.home = Path(self.mktemp()).absolute()
        (self.home / "etc").mkdir(parents=True)
        (self.home / "authority.pem").write_text("certificate")

    def write(self, text: str) -> None:
        """Write the client's configuration."""
        (self.home / "etc" / "client.toml").write_text(text)

    def test_a_deployment_is_read_from_its_home(self) -> None:
        """Paths are relative to the file."""
        self.write(TEXT)
        found = find_deployment(self.home)
        self.assertEqual(found.environment, Environment.DEMO)
        self.assertEqual(found.locator.addresses, ("127.0.0.1:20000", "127.0.0.1:20001"))
        self.assertEqual(found.locator.authority.path.resolve(), (self.home / "authority.pem").resolve())
        self.assertEqual(found.market_data_service, "market_data_relay_service")

    def test_spire_home_names_the_instance_and_else_it_is_var(self) -> None:
        """An empty variable is none."""
        here = Path("/somewhere")
        self.assertEqual(home_of({"SPIRE_HOME": "/instance"}, here), Path("/instance"))
        self.assertEqual(home_of({"SPIRE_HOME": ""}, here), here / "var")
        self.assertEqual(home_of({}, here), here / "var")

    def test_without_one_it_says_what_to_do(self) -> None:
        """Three ways out."""
        error = self.assertRaises(NoDeployment, find_deployment, self.home)
        for way in (str(self.home), "--home", "SPIRE_HOME", "bin/quickstart"):
            self.assertIn(way, str(error))

    def test_an_unknown_key_is_refused_with_its_line(self) -> None:
        """A typing error must not be silent."""
        self.write("enviroment = 'DEMO'\n" + TEXT)
        error = self.assertRaises(ConfigurationError, find_deployment, self.home)
        self.assertIn("client.toml:1: enviroment", str(error))
