"""A shell's login is kept in a file."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from spire.client.cached_login import CachedLogin, NoLogin, forget, login_file, read, save
from spire.values.environment import Environment

LOGIN = CachedLogin(account="demo", environment=Environment.DEMO, login_session="s1", key=bytes(range(32)))


class CachedLoginTests(SynchronousTestCase):
    """Only its owner reads it."""

    def setUp(self) -> None:
        """Name a file in a folder that does not exist yet."""
        self.path = Path(self.mktemp()) / "deep" / "login.json"

    def test_a_login_reads_back_as_it_was_saved(self) -> None:
        """The round trip keeps every byte of the key."""
        save(self.path, LOGIN)
        self.assertEqual(read(self.path), LOGIN)

    def test_the_file_is_for_its_owner_alone(self) -> None:
        """Mode 600, also over a file that was wider."""
        self.path.parent.mkdir(parents=True)
        self.path.write_text("old")
        self.path.chmod(0o644)
        save(self.path, LOGIN)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_a_file_that_others_can_read_is_not_used(self) -> None:
        """A key that others may hold proves nothing."""
        save(self.path, LOGIN)
        self.path.chmod(0o640)
        self.assertIn("read by others", str(self.assertRaises(NoLogin, read, self.path)))

    def test_without_a_file_the_message_says_how_to_log_in(self) -> None:
        """The first thing a new user sees."""
        self.assertIn("spire login", str(self.assertRaises(NoLogin, read, self.path)))

    def test_a_broken_file_is_no_login(self) -> None:
        """Half a file is refused, not guessed at."""
        save(self.path, LOGIN)
        self.path.write_text('{"account": "demo"}')
        self.assertIn("holds no login", str(self.assertRaises(NoLogin, read, self.path)))

    def test_a_forgotten_login_is_gone(self) -> None:
        """Forgetting twice is fine."""
        save(self.path, LOGIN)
        forget(self.path)
        forget(self.path)
        self.assertFalse(self.path.exists())

    def test_the_key_never_shows_in_a_representation(self) -> None:
        """A log line of the value holds no secret."""
        self.assertNotIn("key", repr(LOGIN))

    def test_each_instance_has_a_login_of_its_own(self) -> None:
        """Two deployments side by side do not overwrite each other."""
        environ = {"HOME": "/home/someone"}
        self.assertNotEqual(login_file(environ, Path("/a/var")), login_file(environ, Path("/b/var")))

    def test_a_named_file_wins(self) -> None:
        """SPIRE_LOGIN says where."""
        self.assertEqual(login_file({"SPIRE_LOGIN": "/x/y.json"}, Path("/a")), Path("/x/y.json"))
