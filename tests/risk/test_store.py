"""Both Risk stores keep the contract."""

from typing import Any, ClassVar

from attrs import evolve
from twisted.trial.unittest import TestCase

from spire.database.errors import CommitUnknown, StoreDown
from spire.database.migrations import load_steps, migrate
from spire.risk.kept import Saved
from spire.risk.memory import MemoryRiskStore
from spire.risk.origin import Origin
from spire.risk.store import RiskStore
from spire.testing.database import DatabaseTestCase
from spire.values.audit import AuditQuery
from tests.risk.store_contract import RiskStoreContract, audited, baseline, place, position


class MemoryRiskStoreTests(RiskStoreContract, TestCase):
    """The contract on the memory twin."""

    def setUp(self) -> None:
        """Make an empty store."""
        self.store = MemoryRiskStore()


class RiskStoreTests(RiskStoreContract, DatabaseTestCase):
    """The contract on MySQL, and what only a database can show."""

    rooms: ClassVar[tuple[tuple[str, str], ...]] = (("spire.risk", "risk"),)

    async def prepare(self) -> None:
        """Make a store on the open database."""
        self.store = RiskStore(self.database)

    def lose(self, *errors: Exception | None, is_done: bool) -> None:
        """Let the next transactions end with these errors, None with its own answer; the first is done or not."""
        run, left = self.database.run, list(errors)

        async def run_and_lose(name: str, function: Any, *arguments: object) -> object:
            error = left.pop(0) if left else None
            if error is None or (is_done and len(left) == len(errors) - 1):
                result = await run(name, function, *arguments)
            if error is not None:
                raise error
            return result

        self.patch(self.database, "run", run_and_lose)

    async def test_a_lost_answer_to_a_commit_is_asked_again(self) -> None:
        """The record is there once, whether the commit was done or not, and its writer hears so."""
        for number, is_done in enumerate((True, False), 1):
            self.lose(CommitUnknown("the connection was lost"), is_done=is_done)
            await self.store.record((baseline(),), (), (audited(number),))
        self.assertEqual(await self.store.baselines(7, 0, 10), (baseline(),))
        events, _ = await self.store.audit(AuditQuery())
        self.assertEqual(events, (audited(2), audited(1)))

    async def test_a_commit_that_is_never_answered_stays_in_doubt(self) -> None:
        """A database that is away afterwards does not make it a no."""
        self.lose(CommitUnknown("the connection was lost"), StoreDown("it is away"), is_done=True)
        with self.assertRaises(CommitUnknown):
            await self.store.record((baseline(),), (), (audited(1),))
        self.assertEqual(await self.store.baselines(7, 0, 10), (baseline(),))

    async def test_more_than_a_page_is_read_whole(self) -> None:
        """A thousand places and one come back in their order, with their positions."""
        places = tuple(place(account) for account in range(1, 1002))
        positions = tuple(position(account) for account in range(1, 1002))
        await self.store.save(Saved(places=places, positions=positions))
        kept = await self.store.load()
        self.assertEqual((kept.places, kept.positions), (places, positions))
        baselines = tuple(baseline(account) for account in range(1, 202))
        await self.store.record(baselines, (), ())
        self.assertEqual((await self.store.load()).baselines, baselines)

    async def test_records_of_the_release_before_count_as_they_did(self) -> None:
        """They had what was realised and paid with each instrument, and a row for each that was ever traded."""
        for (table,) in self.schema.execute("SHOW TABLES"):
            self.schema.execute(f"DROP TABLE `{table}`")
        steps = load_steps("spire.risk", "risk")
        await migrate(self.database, "risk", steps[:1], "a test")
        old = evolve(baseline(), origin=Origin())
        place = "7, 1"
        self.schema.execute(
            f"INSERT INTO risk_baselines VALUES ({place}, 1, '2013-10-08', {old.taken}, 'USD', -5000000, 1, -6000000)"
        )
        for row in (
            "42, 'USD', 5000000, 70, 7, 1, 14000000",
            "43, 'USD', 0, 0, -9, 2, NULL",
            "44, 'CAD', 0, 0, 3, 0, NULL",
        ):
            self.schema.execute(f"INSERT INTO risk_baseline_positions VALUES ({place}, {row})")
        await migrate(self.database, "risk", steps, "a test")
        (found,) = await self.store.baselines(7, 0, 10)
        self.assertEqual(evolve(found, origin=Origin()), old)
        totals = [(total.currency, total.realised, total.fees) for total in found.origin.totals]
        self.assertEqual(totals, [("CAD", 3, 0), ("USD", -2, 3)])
        self.assertEqual(
            [(row.instrument_id, row.cost, row.mark) for row in found.origin.positions], [(42, 70, 14000000)]
        )

    async def test_a_record_is_written_whole_or_not_at_all(self) -> None:
        """An audit event that is there already takes the baseline with it."""
        await self.store.record((), (), (audited(1),))
        refused = None
        try:
            await self.store.record((baseline(),), (), (audited(1),))
        except Exception as error:  # noqa: BLE001 (whatever the database calls it)
            refused = error
        self.assertIsNotNone(refused)
        self.assertEqual(await self.store.baselines(7, 0, 10), ())
