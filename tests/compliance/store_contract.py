"""What every Compliance store must do."""

from collections.abc import Awaitable
from typing import Any

from attrs import evolve
from zope.interface.verify import verifyObject

from spire.compliance.interfaces import BEGINNING, IComplianceStore, Place
from spire.compliance.values import Violation, ViolationQuery
from spire.values.audit import AuditQuery
from spire.values.orders import Side
from spire.values.risk import RuleState
from spire.values.time import Timestamp
from spire.wire.errors import Conflict, NotFound, SpireError
from tests.compliance.examples import NOW, audit_event, entry, violation


def sequences(violations: tuple[Violation, ...]) -> list[int]:
    """Return the sequences of violations."""
    return [violation.sequence for violation in violations]


class ComplianceStoreContract:
    """A mixin of tests; `self.store` is an empty store."""

    store: IComplianceStore

    async def refused(self, work: Awaitable[Any], kind: type[SpireError]) -> SpireError:
        """Return the error that a call ends with."""
        try:
            await work
        except kind as error:
            return error
        raise self.failureException(f"no {kind.__name__}")  # type: ignore[attr-defined] # trial's

    async def find(self, *trading_account_ids: int, **changes: Any) -> list[int]:
        """Return the sequences of the violations that a query finds."""
        query = ViolationQuery(entry_id=1, **changes)
        return sequences(await self.store.find_violations(query, trading_account_ids))

    async def test_it_is_a_store(self) -> None:
        """It provides the interface."""
        self.assertTrue(verifyObject(IComplianceStore, self.store))

    # Rules

    async def test_an_empty_store_has_no_rule(self) -> None:
        """Nor a version of one, and its version is 0."""
        self.assertEqual(await self.store.rules(), ())
        self.assertEqual(await self.store.rules_version(), 0)
        self.assertIsNone(await self.store.rule(1))
        self.assertEqual(await self.store.rule_versions(1, 0, 10), ())

    async def test_rules_come_back_as_they_were_written(self) -> None:
        """By id, with every field, in any alphabet."""
        second = entry(2**40, 9, reason="Ünïcode: 規則 🙂", state=RuleState.PASSIVE, author=2**41)
        first = entry(7, schema="reject_submissions", parameters="{}", state=RuleState.DISABLED)
        await self.store.add_rule(second, audit_event(1))
        await self.store.add_rule(first, audit_event(2))
        self.assertEqual(await self.store.rules(), (first, second))
        self.assertEqual(await self.store.rule(2**40), second)

    async def test_a_change_is_the_newest_version(self) -> None:
        """And the ones before are kept."""
        first = entry()
        second = entry(version=2, parameters='{"quantity":"50"}', author=21, reason="less", updated=Timestamp(NOW + 1))
        await self.store.add_rule(first, audit_event(1))
        await self.store.change_rule(second, audit_event(2))
        self.assertEqual(await self.store.rules(), (second,))
        self.assertEqual(await self.store.rule_versions(1, 0, 10), (first, second))

    async def test_versions_are_read_in_pages(self) -> None:
        """Behind a version, at most so many."""
        await self.store.add_rule(entry(), audit_event(1))
        for version in range(2, 6):
            await self.store.change_rule(entry(version=version), audit_event(version))
        found = await self.store.rule_versions(1, 2, 2)
        self.assertEqual([rule.version for rule in found], [3, 4])

    async def test_a_change_against_another_version_is_a_conflict(self) -> None:
        """The version that holds is told, and nothing is written, no audit event either."""
        await self.store.add_rule(entry(), audit_event(1))
        await self.store.change_rule(entry(version=2), audit_event(2))
        error = await self.refused(self.store.change_rule(entry(version=2), audit_event(3)), Conflict)
        self.assertEqual(error.details["version"], "2")
        await self.refused(self.store.change_rule(entry(version=4), audit_event(4)), Conflict)
        self.assertEqual(len(await self.store.rule_versions(1, 0, 10)), 2)
        events, _ = await self.store.audit_events(AuditQuery())
        self.assertEqual([event.entity for event in events], ["rule:2", "rule:1"])

    async def test_a_rule_that_is_not_there_cannot_be_changed(self) -> None:
        """NOT_FOUND, and nothing is written."""
        await self.refused(self.store.change_rule(entry(5, version=2), audit_event(1)), NotFound)
        self.assertEqual(await self.store.rules(), ())
        self.assertEqual((await self.store.audit_events(AuditQuery()))[0], ())

    async def test_the_version_of_the_rules_grows_with_each_change(self) -> None:
        """By 1, whichever rule it is."""
        seen = []
        await self.store.add_rule(entry(1), audit_event(1))
        seen.append(await self.store.rules_version())
        await self.store.add_rule(entry(2), audit_event(2))
        seen.append(await self.store.rules_version())
        await self.store.change_rule(entry(1, version=2), audit_event(3))
        seen.append(await self.store.rules_version())
        self.assertEqual(seen, [1, 2, 3])

    # Violations

    async def test_an_empty_store_begins_at_the_beginning(self) -> None:
        """Nothing was followed yet."""
        self.assertEqual(await self.store.place(), BEGINNING)
        self.assertEqual(await self.store.violations(7, 1, 0, 100, 10), ())

    async def test_violations_come_back_as_they_were_recorded(self) -> None:
        """Every field, and how far they reach."""
        first = violation(3, side=Side.SELL_SHORT, limit=None, observed=None, state=RuleState.PASSIVE)
        second = violation(5, text="zu groß", quantity=2**62)
        await self.store.record((first, second), Place(1, 9))
        self.assertEqual(await self.store.violations(7, 1, 0, 9, 10), (first, second))
        self.assertEqual(await self.store.place(), Place(1, 9))

    async def test_a_place_moves_without_violations(self) -> None:
        """Other events of the firm are passed by."""
        await self.store.record((), Place(1, 4))
        self.assertEqual(await self.store.place(), Place(1, 4))

    async def test_a_place_is_never_taken_back(self) -> None:
        """Not by a repeated call, nor by one of an earlier epoch; a later epoch moves it."""
        await self.store.record((), Place(1, 9))
        await self.store.record((), Place(1, 5))
        self.assertEqual(await self.store.place(), Place(1, 9))
        await self.store.record((), Place(2, 0))
        await self.store.record((), Place(1, 12))
        self.assertEqual(await self.store.place(), Place(2, 0))

    async def test_recording_again_changes_nothing(self) -> None:
        """A call whose commit is unknown may be repeated; what is there stays as it is."""
        await self.store.record((violation(3),), Place(1, 3))
        await self.store.record((violation(3, text="another"), violation(4)), Place(1, 4))
        found = await self.store.violations(7, 1, 0, 9, 10)
        self.assertEqual(found, (violation(3), violation(4)))

    async def test_a_range_is_read_in_order(self) -> None:
        """Behind its beginning, up to its end, of one trading account and one epoch, at most so many."""
        await self.store.record([violation(number, 7 + number % 2) for number in range(1, 11)], Place(1, 10))
        await self.store.record((violation(4, 7, epoch=2),), Place(2, 4))
        self.assertEqual(sequences(await self.store.violations(7, 1, 2, 8, 10)), [4, 6, 8])
        self.assertEqual(sequences(await self.store.violations(7, 1, 2, 8, 2)), [4, 6])
        self.assertEqual(sequences(await self.store.violations(7, 2, 0, 10, 10)), [4])

    async def test_the_newest_are_found_first(self) -> None:
        """A later epoch before an earlier one."""
        await self.store.record((violation(3), violation(5)), Place(1, 5))
        await self.store.record((violation(1, epoch=2),), Place(2, 1))
        self.assertEqual(await self.find(7), [1, 5, 3])

    async def test_only_the_trading_accounts_named_are_looked_at(self) -> None:
        """None stands for all of them, no one for nothing."""
        await self.store.record([violation(number, number) for number in range(1, 5)], Place(1, 4))
        self.assertEqual(await self.find(2, 4, 9), [4, 2])
        self.assertEqual(await self.find(), [])
        everything = await self.store.find_violations(ViolationQuery(entry_id=1), None)
        self.assertEqual(sequences(everything), [4, 3, 2, 1])

    async def test_a_page_goes_on_before_the_last_of_the_page_before(self) -> None:
        """Over epochs too."""
        await self.store.record((violation(3), violation(5)), Place(1, 5))
        await self.store.record((violation(1, epoch=2), violation(4, epoch=2)), Place(2, 4))
        query = ViolationQuery(entry_id=1, limit=2)
        first = await self.store.find_violations(query, (7,))
        last = first[-1]
        second = await self.store.find_violations(evolve(query, before=(last.epoch, last.sequence)), (7,))
        self.assertEqual([sequences(first), sequences(second)], [[4, 1], [5, 3]])

    async def test_violations_of_one_rule_are_found(self) -> None:
        """Others are not."""
        await self.store.record((violation(1), violation(2, rule_id=8), violation(3)), Place(1, 3))
        self.assertEqual(await self.find(7, rule_id=8), [2])

    async def test_a_range_of_time_includes_both_ends(self) -> None:
        """And each end may be left open."""
        made = [violation(number) for number in range(1, 6)]
        await self.store.record(made, Place(1, 5))
        self.assertEqual(await self.find(7, since=made[1].time, until=made[3].time), [4, 3, 2])
        self.assertEqual(await self.find(7, since=made[3].time), [5, 4])
        self.assertEqual(await self.find(7, until=made[0].time), [1])

    # Audit

    async def test_a_change_has_its_audit_event(self) -> None:
        """Newest first, beside the attempts that were refused."""
        await self.store.add_rule(entry(), audit_event(1))
        await self.store.audit(audit_event(2, outcome="FORBIDDEN", after='{"entry_id": "1"}', text="no"))
        await self.store.change_rule(entry(version=2), audit_event(3, before="{}", after="{}", entity_version=2))
        events, following = await self.store.audit_events(AuditQuery())
        self.assertEqual([event.event_id for event in events], [f"{number:032x}" for number in (3, 2, 1)])
        self.assertEqual((events[1].outcome, events[0].entity_version, following), ("FORBIDDEN", 2, None))
