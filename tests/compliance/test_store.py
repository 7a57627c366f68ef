"""Both Compliance stores keep the contract."""

from typing import ClassVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase

from spire.compliance.interfaces import Place
from spire.compliance.memory import MemoryComplianceStore
from spire.compliance.store import ComplianceStore
from spire.testing.database import DatabaseTestCase
from spire.wire.errors import Conflict
from tests.compliance.examples import audit_event, entry, violation
from tests.compliance.store_contract import ComplianceStoreContract


class MemoryComplianceStoreTests(ComplianceStoreContract, TestCase):
    """The contract on the memory twin."""

    def setUp(self) -> None:
        """Make an empty store."""
        self.store = MemoryComplianceStore()


class ComplianceStoreTests(ComplianceStoreContract, DatabaseTestCase):
    """The contract on MySQL, and what only a database can show."""

    rooms: ClassVar[tuple[tuple[str, str], ...]] = (("spire.compliance", "compliance"),)

    async def prepare(self) -> None:
        """Make a store on the open database."""
        self.store = ComplianceStore(self.database)

    async def test_one_of_two_changes_at_once_is_a_conflict(self) -> None:
        """Of two servers that write the same next version, one does."""
        await self.store.add_rule(entry(), audit_event(1))
        other = ComplianceStore(await self.open_database())
        calls = [
            Deferred.fromCoroutine(store.change_rule(entry(version=2, reason=reason), audit_event(number)))
            for store, reason, number in ((self.store, "here", 2), (other, "there", 3))
        ]
        outcomes = await DeferredList(calls, consumeErrors=True)
        self.assertEqual(sorted(is_done for is_done, _ in outcomes), [False, True])
        (failure,) = [outcome for is_done, outcome in outcomes if not is_done]
        self.assertEqual((failure.check(Conflict), failure.value.details["version"]), (Conflict, "2"))
        self.assertEqual(len(await self.store.rule_versions(1, 0, 10)), 2)

    async def test_more_than_a_page_of_rules_is_read_whole(self) -> None:
        """A thousand rules and one come back in their order."""
        rows = ", ".join(["(%s, 1, 'reject_submissions', '{}', 1, 1, 20, 'many', 0)"] * 1001)
        self.schema.execute(f"INSERT INTO compliance_rules VALUES {rows}", range(1, 1002))
        self.assertEqual([rule.rule_id for rule in await self.store.rules()], list(range(1, 1002)))

    async def test_violations_and_their_place_are_written_together(self) -> None:
        """Where the place cannot be written, neither are they."""
        self.schema.execute("ALTER TABLE compliance_places RENAME TO compliance_places_away")
        try:
            failed = await DeferredList(
                [Deferred.fromCoroutine(self.store.record((violation(1),), Place(1, 1)))], consumeErrors=True
            )
        finally:
            self.schema.execute("ALTER TABLE compliance_places_away RENAME TO compliance_places")
        self.assertFalse(failed[0][0])
        self.assertEqual(await self.store.violations(7, 1, 0, 9, 10), ())

    async def test_a_text_that_is_too_long_is_cut_rather_than_refused(self) -> None:
        """One violation must not stop all that come behind it."""
        long = violation(1, text="x" * 3000, observed="y" * 3000, limit="z" * 3000, schema="s" * 300)
        await self.store.record((long,), Place(1, 1))
        (found,) = await self.store.violations(7, 1, 0, 9, 10)
        lengths = (len(found.text), len(found.observed or ""), len(found.limit or ""), len(found.schema))
        self.assertEqual(lengths, (1000, 255, 255, 64))
