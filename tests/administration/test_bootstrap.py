"""What set-up writes into Administration."""

from collections.abc import Coroutine
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.administration.bootstrap import AdministrationSetup, setup_administration
from spire.administration.memory import MemoryAdministrationStore
from spire.values.amounts import whole
from spire.values.audit import AuditQuery
from spire.values.codes import Currency
from spire.values.environment import Environment
from spire.values.time import Timestamp
from tests.administration.room import RoomTestCase

SETUP = AdministrationSetup(trading_accounts=(40,), accounts=(30,), currency=Currency("EUR"))
NOW = Timestamp(1_000)


class SetupTests(SynchronousTestCase):
    """Set-up leaves a trader who can trade."""

    def setUp(self) -> None:
        self.store = MemoryAdministrationStore()
        self.count = 0

    def result(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what a coroutine returns at once."""
        return self.successResultOf(Deferred.fromCoroutine(work))

    async def next_id(self) -> int:
        """Return the next number."""
        self.count += 1
        return self.count

    def random_bytes(self, size: int) -> bytes:
        """Return bytes that never repeat."""
        self.count += 1
        return self.count.to_bytes(size, "big")

    def run_setup(self, setup: AdministrationSetup = SETUP) -> bool:
        """Run the set-up; return whether it wrote anything."""
        return bool(
            self.result(
                setup_administration(
                    self.store,
                    setup,
                    environment=Environment.DEMO,
                    now=NOW,
                    random_bytes=self.random_bytes,
                    next_id=self.next_id,
                )
            )
        )

    def test_limits_and_a_grant_are_written(self) -> None:
        """In the currency of the set-up; the grant is for every venue and type."""
        self.assertTrue(self.run_setup())
        stored = self.result(self.store.load())
        (limits,), (grant,) = stored.limits, stored.grants
        self.assertEqual((limits.trading_account_id, limits.terms.currency, limits.version), (40, "EUR", 1))
        self.assertEqual(limits.terms.buying_power, whole(1_000_000))
        self.assertEqual((grant.terms.account_id, grant.terms.listing_venue, grant.terms.record_type), (30, None, None))

    def test_each_has_its_audit_event(self) -> None:
        """By set-up, which is no account."""
        self.run_setup()
        events, _ = self.result(self.store.audit(AuditQuery()))
        self.assertEqual([event.action for event in events], ["entitlement.grant", "limits.set"])
        self.assertEqual({(event.actor, event.actor_name) for event in events}, {(None, "setup")})

    def test_running_again_changes_nothing(self) -> None:
        """What stands stays."""
        self.run_setup()
        first = self.result(self.store.load())
        self.assertFalse(self.run_setup())
        self.assertEqual(self.result(self.store.load()), first)

    def test_a_revoked_grant_is_not_given_again(self) -> None:
        """Somebody took it away, and meant it."""
        self.run_setup()
        (grant,) = self.result(self.store.load()).grants
        event = self.result(self.store.audit(AuditQuery()))[0][0]
        revoked = evolve(grant, revoked=NOW, revoked_by=7, revoke_reason="left")
        self.result(self.store.write(revoked, evolve(event, event_id="e" * 32)))
        self.assertFalse(self.run_setup())
        self.assertEqual(self.result(self.store.load()).grants, ())

    def test_another_account_is_added_later(self) -> None:
        """Only what it lacks."""
        self.run_setup()
        self.assertTrue(self.run_setup(evolve(SETUP, trading_accounts=(40, 41))))
        self.assertEqual([row.trading_account_id for row in self.result(self.store.load()).limits], [40, 41])


class PlatformSetupTests(RoomTestCase):
    """The platform in one process is set up the same way."""

    def test_the_demo_trader_has_limits_and_a_grant(self) -> None:
        """And nobody else."""
        book = self.entry("trading_groups/demo/accounts/demo_trader").entry_id
        standing = self.run_it(self.client("demo_trader").standing(book))
        grants = self.run_it(self.client("demo_trader").grants_of(self.trader.entry_id))
        self.assertEqual((standing.limits.version, standing.state, len(grants)), (1, None, 1))
        watcher = self.entry("trading_groups/demo/traders/demo_market_data").entry_id
        self.assertEqual(self.run_it(self.client().grants_of(watcher)), ())
