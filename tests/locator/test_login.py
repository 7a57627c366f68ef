"""Logging in, staying logged in, and everything that must not let anybody in."""

from attrs import evolve

from spire.locator.credentials import Password
from spire.wire.errors import CredentialsRefused
from tests.locator.room import TRADER, LocatorTestCase


class LoginTests(LocatorTestCase):
    """A password opens a login session."""

    def test_a_person_logs_in(self) -> None:
        """He gets a ticket, and the Locator knows him by it."""
        link = self.link(TRADER)
        self.assertEqual((link.login.account, link.is_ready), ("demo", True))

    def test_a_wrong_password_is_refused_for_good(self) -> None:
        """The client does not try again with it."""
        link = self.link(evolve(TRADER, password="not his password"), ready=False)
        self.error(CredentialsRefused, link.when_ready(20.0))
        self.pump(60.0)
        self.assertFalse(link.is_ready)

    def test_an_unknown_account_hears_the_same(self) -> None:
        """The answer does not tell whether an account exists."""
        texts = []
        for how in (evolve(TRADER, password="wrong"), Password(account="nobody", password="wrong")):
            texts.append(self.error(CredentialsRefused, self.link(how, ready=False).when_ready(20.0)).message)
        self.assertEqual(texts[0], texts[1])
