"""Generated passwords."""

from twisted.trial.unittest import SynchronousTestCase

from spire.locator.passwords import PasswordPolicy
from spire.operations.passwords import generate_password


class GeneratedPasswordTests(SynchronousTestCase):
    """The Locator takes every password that is generated."""

    def test_one_that_holds_the_accounts_name_by_chance_is_thrown_away(self) -> None:
        """A short name turns up in one of a thousand."""
        drawn = iter(["0123456789abcEVEdef", "0123456789abcdef"])
        password = generate_password("eve", lambda _: next(drawn))
        self.assertEqual(password, "0123456789abcdef")
        PasswordPolicy().check(password, "eve")

    def test_they_differ(self) -> None:
        """They come from the system's source of secrets."""
        self.assertEqual(len({generate_password("eve") for _ in range(100)}), 100)
