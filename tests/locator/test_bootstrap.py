"""What set-up writes into the directory."""

from collections.abc import Coroutine
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.locator.bootstrap import SERVICE_ACCOUNTS, DirectorySetup, NewTrader, setup_directory
from spire.locator.directory import Directory
from spire.locator.memory import MemoryLocatorStore
from spire.locator.passwords import PasswordHashes
from spire.locator.values import ROOT_ID, Right
from spire.values.environment import Environment
from spire.values.time import Timestamp
from spire.wire.errors import Conflict, Invalid
from tests.locator.test_passwords import CHEAP, in_place

SETUP = DirectorySetup(
    administrator="administrator",
    administrator_password="first password",
    service_secrets={name: f"secret of {name}" for name in SERVICE_ACCOUNTS},
    traders=(
        NewTrader(name="demo", password="demo password"),
        NewTrader(name="watcher", password="watcher password", currency=None, capabilities=("market_data.all",)),
    ),
)


class SetupTests(SynchronousTestCase):
    """Set-up leaves a directory in which everybody can log in and do his work."""

    def setUp(self) -> None:
        self.store = MemoryLocatorStore()
        self.hashes = PasswordHashes(in_place, cost=CHEAP)

    def result(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what a coroutine returns at once."""
        return self.successResultOf(Deferred.fromCoroutine(work))

    def run_setup(self, setup: DirectorySetup = SETUP) -> Directory:
        """Run the set-up and return the directory that it leaves."""
        counter = iter(range(1, 100))
        self.changed = self.result(
            setup_directory(
                self.store,
                self.hashes,
                setup,
                environment=Environment.DEMO,
                now=Timestamp(1),
                random_bytes=lambda n: bytes([next(counter)]) * n,
            )
        )
        return Directory(self.result(self.store.load_directory()).entries)

    def logs_in(self, name: str, password: str) -> bool:
        """Whether a name and a password belong together."""
        credential = self.result(self.store.login_state(name, [])).credential
        return bool(self.result(self.hashes.matches(credential.password_hash, password)))

    def test_the_administrator_administers_everything(self) -> None:
        """He holds the role and the rights, but does not trade."""
        directory = self.run_setup()
        found = directory.account("administrator")
        assert found is not None
        self.assertEqual(directory.roles(found.entry_id), {"administrator"})
        self.assertTrue(directory.holds(found.entry_id, Right.READ | Right.MOVE | Right.ADMINISTRATE, ROOT_ID))
        self.assertFalse(directory.holds(found.entry_id, Right.TRADE, ROOT_ID))

    def test_every_service_holds_the_right_to_its_name(self) -> None:
        """Each may register itself and nothing else, and is a service."""
        directory = self.run_setup()
        uid = directory.account("uid_service")
        data = directory.account("market_data_service")
        assert uid is not None
        assert data is not None
        self.assertEqual(directory.capabilities(uid.entry_id), {"service.register:uid_service"})
        self.assertIn("service.register:market_data_feed_service", directory.capabilities(data.entry_id))
        self.assertEqual({e.name for e in directory.members("service")}, set(SERVICE_ACCOUNTS))

    def test_the_trader_trades_the_account_of_his_name(self) -> None:
        """It stands in his group's accounts."""
        directory = self.run_setup()
        trader = directory.account("demo")
        trading_account = directory.find("trading_groups/demo/accounts/demo")
        assert trader is not None
        assert trading_account is not None
        self.assertTrue(directory.holds(trader.entry_id, Right.VIEW | Right.TRADE, trading_account.entry_id))
        self.assertEqual(directory.roles(trader.entry_id), {"trader"})
        self.assertEqual(directory.capabilities(trader.entry_id), frozenset())

    def test_somebody_without_a_currency_has_no_trading_account(self) -> None:
        """He only looks on, with the capabilities that he was given."""
        directory = self.run_setup()
        watcher = directory.account("watcher")
        assert watcher is not None
        self.assertIsNone(directory.find("trading_groups/demo/accounts/watcher"))
        self.assertEqual(directory.capabilities(watcher.entry_id), {"market_data.all"})

    def test_the_scripts_account_opens_the_day_and_nothing_else(self) -> None:
        """It offers no service and has no rights in the directory."""
        directory = self.run_setup()
        scripts = directory.account("operations_service")
        assert scripts is not None
        self.assertEqual(directory.capabilities(scripts.entry_id), {"day.open"})
        self.assertFalse(directory.holds(scripts.entry_id, Right.READ, ROOT_ID))

    def test_everybody_logs_in_with_what_was_set(self) -> None:
        """Passwords and secrets are in the store as hashes."""
        self.run_setup()
        found = [
            self.logs_in("administrator", "first password"),
            self.logs_in("demo", "demo password"),
            self.logs_in("uid_service", "secret of uid_service"),
            self.logs_in("uid_service", "first password"),
        ]
        self.assertEqual(found, [True, True, True, False])

    def test_running_again_changes_nothing(self) -> None:
        """The second run finds everything."""
        first = list(self.run_setup())
        second = list(self.run_setup())
        self.assertFalse(self.changed)
        self.assertEqual(first, second)

    def test_running_again_keeps_peoples_passwords_and_takes_services_new_secrets(self) -> None:
        """A person's password is his own; a service's secret is its file's."""
        self.run_setup()
        self.run_setup(
            evolve(
                SETUP,
                administrator_password="second password",
                service_secrets={**SETUP.service_secrets, "uid_service": "new secret"},
            )
        )
        self.assertTrue(self.logs_in("administrator", "first password"))
        self.assertTrue(self.logs_in("uid_service", "new secret"))

    def test_another_group_and_trader_are_added_later(self) -> None:
        """What stands stays, what is missing comes."""
        self.run_setup()
        more = evolve(SETUP, traders=(*SETUP.traders, NewTrader(name="kim", password="kim password", group="desk")))
        self.assertIsNotNone(self.run_setup(more).find("trading_groups/desk/accounts/kim"))

    def test_an_unknown_service_is_refused(self) -> None:
        """Nothing is written for a name that the platform does not know."""
        setup = evolve(SETUP, service_secrets={"oracle": "secret"})
        work = setup_directory(
            self.store, self.hashes, setup, environment=Environment.DEMO, now=Timestamp(1), random_bytes=bytes
        )
        self.failureResultOf(Deferred.fromCoroutine(work), Invalid)
        self.assertEqual(self.result(self.store.load_directory()).entries, ())

    def test_a_service_cannot_take_a_persons_name(self) -> None:
        """Kinds are not mixed up."""
        setup = evolve(SETUP, administrator="uid_service")
        work = setup_directory(
            self.store, self.hashes, setup, environment=Environment.DEMO, now=Timestamp(1), random_bytes=bytes
        )
        self.failureResultOf(Deferred.fromCoroutine(work), Conflict)
