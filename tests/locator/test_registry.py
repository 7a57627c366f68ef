"""The registry of services."""

import random

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from spire.locator.registry import Registry, expected_account, in_order_of_load
from spire.wire.errors import Conflict, Forbidden, NotFound
from spire.wire.identity import Provider

UID = Provider(service="uid_service", instance_id="a1", addresses=("h:1",), account="uid_service", environment="DEMO")
RIGHT = {"service.register:uid_service"}


class RegistryTests(SynchronousTestCase):
    """A provider stands as long as its session, under an account that may use the name."""

    def setUp(self) -> None:
        self.registry = Registry()

    def test_without_the_right_a_registration_is_forbidden(self) -> None:
        """The capability of another service's name does not help, and nothing is registered."""
        error = self.assertRaises(
            Forbidden, self.registry.register, "s1", UID, {"service.register:risk_service", "uid.reserve"}
        )
        self.assertEqual(error.details["service"], "uid_service")
        self.assertEqual(self.registry.providers("uid_service"), [])

    def test_a_registered_provider_is_listed(self) -> None:
        """With the right it stands at once."""
        self.registry.register("s1", UID, RIGHT)
        self.assertEqual((self.registry.providers("uid_service"), self.registry.services), ([UID], ["uid_service"]))

    def test_registering_again_writes_it_anew(self) -> None:
        """A provider tells its load so."""
        self.registry.register("s1", UID, RIGHT)
        self.registry.register("s1", evolve(UID, load=7), RIGHT)
        self.assertEqual([provider.load for provider in self.registry.providers("uid_service")], [7])

    def test_its_session_takes_its_providers_with_it(self) -> None:
        """What a session registered ends with it, and only that."""
        other = evolve(UID, instance_id="b2")
        self.registry.register("s1", UID, RIGHT)
        self.registry.register("s2", other, RIGHT)
        self.assertEqual(self.registry.withdraw_session("s1"), [UID])
        self.assertEqual(self.registry.providers("uid_service"), [other])

    def test_a_new_session_of_the_account_takes_an_instance_over(self) -> None:
        """The end of the dead session does not take it away any more."""
        self.registry.register("s1", UID, RIGHT)
        self.registry.register("s2", UID, RIGHT)
        self.assertEqual(self.registry.withdraw_session("s1"), [])
        self.assertEqual(self.registry.providers("uid_service"), [UID])

    def test_another_account_cannot_take_an_instance_over(self) -> None:
        """Also not with the right to the name."""
        self.registry.register("s1", UID, RIGHT)
        self.assertRaises(Conflict, self.registry.register, "s2", evolve(UID, account="mallory"), RIGHT)

    def test_only_the_registering_session_withdraws(self) -> None:
        """Another session's provider is NOT_FOUND."""
        self.registry.register("s1", UID, RIGHT)
        self.assertRaises(NotFound, self.registry.withdraw, "s2", "uid_service", "a1")
        self.assertEqual(self.registry.withdraw("s1", "uid_service", "a1"), UID)
        self.assertEqual(self.registry.services, [])


class OrderTests(SynchronousTestCase):
    """Clients spread over providers."""

    def test_the_least_loaded_comes_first(self) -> None:
        """Load decides before chance."""
        providers = [evolve(UID, instance_id=str(load), load=load) for load in (5, 1, 3)]
        ordered = in_order_of_load(providers, random.Random(1))
        self.assertEqual([provider.load for provider in ordered], [1, 3, 5])

    def test_equals_come_in_any_order(self) -> None:
        """Each of three equal providers is first at times."""
        providers = [evolve(UID, instance_id=str(number)) for number in range(3)]
        source = random.Random(1)
        first = {in_order_of_load(providers, source)[0].instance_id for _ in range(60)}
        self.assertEqual(first, {"0", "1", "2"})

    def test_a_service_runs_under_its_own_account(self) -> None:
        """A client knows whom to believe."""
        names = ("uid_service", "market_data_feed_service", "web_portal")
        self.assertEqual(
            [expected_account(name) for name in names], ["uid_service", "market_data_service", "web_portal_service"]
        )
