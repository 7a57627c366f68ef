"""A configuration is read whole, or refused with file, line and key."""

from pathlib import Path

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from spire.service.configuration import ConfigurationError, load, parse, setting
from spire.service.secrets import Secret
from spire.service.sections import DatabaseSection, ListenSection, RunSection
from spire.values.environment import Environment


@frozen(kw_only=True)
class Inner:
    """A section of the tests."""

    size: int
    ratio: float = 0.5
    names: tuple[str, ...] = ()


@frozen(kw_only=True)
class Outer:
    """A configuration of the tests."""

    environment: Environment
    inner: Inner
    extra: Inner | None = None
    weights: dict[str, float] = setting(factory=dict)
    even: int = setting(parse=lambda value: _even(value), default=2)
    directory: Path = Path()


def _even(value: object) -> int:
    if not isinstance(value, int) or value % 2:
        raise ValueError("must be even")
    return value


GOOD = 'environment = "DEMO"\n[inner]\nsize = 3\n'
WHERE = Path("/etc/spire/x.toml")


class ParseTests(SynchronousTestCase):
    """TOML becomes frozen attrs values."""

    def refusal(self, text: str) -> str:
        """Return the message with which `text` is refused."""
        return str(self.assertRaises(ConfigurationError, parse, text, Outer, WHERE))

    def test_a_good_file_becomes_values(self) -> None:
        """Sections nest, defaults fill in, enumerations go by name."""
        value = parse(GOOD + 'names = ["a", "b"]\n[weights]\nx = 1\n', Outer, WHERE)
        inner = Inner(size=3, names=("a", "b"))
        self.assertEqual(value, Outer(environment=Environment.DEMO, inner=inner, weights={"x": 1.0}))

    def test_a_relative_path_is_relative_to_the_file(self) -> None:
        """A configuration can be moved together with what it names."""
        self.assertEqual(parse('directory = "run"\n' + GOOD, Outer, WHERE).directory, Path("/etc/spire/run"))

    def test_an_unknown_key_is_refused_with_its_line(self) -> None:
        """The message also says which keys there are."""
        self.assertEqual(
            self.refusal(GOOD + "sise = 4\n"),
            "/etc/spire/x.toml:4: inner.sise: unknown key; known here: names, ratio, size",
        )

    def test_a_wrong_type_is_refused_with_its_line(self) -> None:
        """Text is not a number."""
        self.assertEqual(
            self.refusal('environment = "DEMO"\n[inner]\nsize = "3"\n'),
            "/etc/spire/x.toml:3: inner.size: must be an integer, is '3'",
        )

    def test_true_is_not_an_integer(self) -> None:
        """Python's bool is an int; a configuration's is not."""
        self.assertIn(
            ":3: inner.size: must be an integer", self.refusal('environment = "DEMO"\n[inner]\nsize = true\n')
        )

    def test_a_missing_key_is_refused_on_its_tables_line(self) -> None:
        """A key without default is required."""
        self.assertEqual(
            self.refusal('environment = "DEMO"\n[inner]\n'),
            "/etc/spire/x.toml:2: inner.size: missing; it is required",
        )

    def test_a_fault_in_an_array_is_on_the_arrays_line(self) -> None:
        """The position in the array is in the key."""
        self.assertIn(":4: inner.names.1: must be a string", self.refusal(GOOD + 'names = ["a", 2]\n'))

    def test_an_unknown_enumerator_is_refused(self) -> None:
        """The message lists those there are."""
        self.assertIn(":1: environment: TEST is none of PRODUCTION, PAPER", self.refusal(GOOD.replace("DEMO", "TEST")))

    def test_what_a_parser_refuses_is_refused(self) -> None:
        """A key with its own parser is reported like any other."""
        self.assertEqual(self.refusal("even = 3\n" + GOOD), "/etc/spire/x.toml:1: even: must be even")

    def test_broken_toml_is_refused_with_its_line(self) -> None:
        """The parser's own line is passed on."""
        self.assertIn("at line 2", self.refusal("a = 1\nb =\n"))

    def test_a_missing_file_is_refused(self) -> None:
        """The file is named."""
        error = self.assertRaises(ConfigurationError, load, Path("/nonexistent/x.toml"), Outer)
        self.assertIn("/nonexistent/x.toml: cannot be read", str(error))


class SecretTests(SynchronousTestCase):
    """A secret stands in a file that only its owner may read."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = self.directory / "password"
        self.text = 'addresses = ["unix:/s"]\nuser = "u"\npassword_file = "password"\n'

    def read(self) -> DatabaseSection:
        """Parse a section that names the secret."""
        return parse(self.text, DatabaseSection, self.directory / "x.toml")

    def test_a_secret_is_read_without_its_line_end(self) -> None:
        """Editors end files with a line end; passwords do not."""
        self.path.write_text("s3cret\n")
        self.path.chmod(0o600)
        self.assertEqual(self.read().password_file, Secret(self.path, "s3cret"))

    def test_a_secret_is_not_in_the_representation(self) -> None:
        """Configurations get logged."""
        self.path.write_text("s3cret\n")
        self.path.chmod(0o600)
        self.assertNotIn("s3cret", repr(self.read()))

    def test_a_missing_secret_is_refused(self) -> None:
        """File, line and key are named."""
        error = self.assertRaises(ConfigurationError, self.read)
        self.assertIn(f"x.toml:3: password_file: {self.path} does not exist", str(error))

    def test_a_world_readable_secret_is_refused(self) -> None:
        """The message says what to do."""
        self.path.write_text("s3cret")
        self.path.chmod(0o644)
        error = self.assertRaises(ConfigurationError, self.read)
        self.assertIn(f"password_file: {self.path} has mode 644: others can read it; chmod 600 it", str(error))

    def test_an_empty_secret_is_refused(self) -> None:
        """An empty password is no password."""
        self.path.write_text("\n")
        self.path.chmod(0o600)
        self.assertIn("is empty", str(self.assertRaises(ConfigurationError, self.read)))


class SectionTests(SynchronousTestCase):
    """The shared sections check what they hold."""

    def test_an_interface_must_be_host_and_port(self) -> None:
        """A port alone is refused."""
        text = 'interface = "20000"\nadvertise = ["127.0.0.1:20000"]\n'
        error = self.assertRaises(ConfigurationError, parse, text, ListenSection, WHERE)
        self.assertIn(":1: interface: must be host:port", str(error))

    def test_a_port_beyond_65535_is_refused(self) -> None:
        """Ports have 16 bits."""
        text = 'interface = "127.0.0.1:65536"\nadvertise = ["127.0.0.1:20000"]\n'
        self.assertRaises(ConfigurationError, parse, text, ListenSection, WHERE)

    def test_an_empty_list_of_addresses_is_refused(self) -> None:
        """A server that advertises nothing cannot be found."""
        text = 'interface = "127.0.0.1:20000"\nadvertise = []\n'
        self.assertRaises(ConfigurationError, parse, text, ListenSection, WHERE)

    def test_an_unknown_log_level_is_refused(self) -> None:
        """The known ones are listed."""
        error = self.assertRaises(ConfigurationError, parse, 'directory = "r"\nlog_level = "loud"\n', RunSection, WHERE)
        self.assertIn("log_level is loud, must be one of debug, info", str(error))
