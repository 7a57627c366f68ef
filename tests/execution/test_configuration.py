"""What the configuration of Order Execution refuses."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from spire.execution.configuration import OrderExecutionConfiguration
from spire.operations.instance import Instance
from spire.operations.settings import InstanceSettings
from spire.service.configuration import ConfigurationError, load


class ConfigurationTests(SynchronousTestCase):
    """The file of a real instance, changed line by line."""

    def setUp(self) -> None:
        """Make an instance's files."""
        instance = Instance(Path(self.mktemp()).absolute())
        instance.make_files(InstanceSettings())
        self.path = instance.layout.configuration("order-execution")
        self.text = self.path.read_text()

    def load(self, old: str = "", new: str = "") -> OrderExecutionConfiguration:
        """Read the file with a change."""
        self.assertIn(old, self.text)
        self.path.chmod(0o600)
        self.path.write_text(self.text.replace(old, new) if old else self.text + new)
        return load(self.path, OrderExecutionConfiguration)

    def refusal(self, old: str = "", new: str = "") -> str:
        """Return why a change is refused."""
        with self.assertRaises(ConfigurationError) as caught:
            self.load(old, new)
        return str(caught.exception)

    def test_a_template_is_good(self) -> None:
        """Defaults hold where nothing is said."""
        section = self.load().order_execution
        self.assertEqual((section.collar, section.short_margin), (500, 5000))
        self.assertEqual(section.market_data_service, "market_data_relay_service")

    def test_production_refuses_the_simulation(self) -> None:
        """Unless no driver simulates."""
        old, new = 'environment = "DEMO"', 'environment = "PRODUCTION"'
        self.assertIn("PRODUCTION refuses the simulation driver", self.refusal(old, new))
        self.text += "drivers = []\n"
        self.assertEqual(self.load(old, new).order_execution.drivers, ())

    def test_an_unknown_driver_is_refused(self) -> None:
        """With its name."""
        self.assertIn("drivers", self.refusal(new='drivers = ["telepathy"]\n'))

    def test_a_limit_is_no_setting_any_more(self) -> None:
        """Administration sets it for each trading account; a file that still has it is refused with its line."""
        self.assertIn("buying_power", self.refusal(new='buying_power = "1000000"\n'))

    def test_an_unknown_key_is_refused(self) -> None:
        """With file and line."""
        self.assertIn("colar", self.refusal(new="colar = 500\n"))
