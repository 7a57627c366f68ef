"""Both Risk stores keep the contract."""

from typing import ClassVar

from twisted.trial.unittest import TestCase

from spire.risk.kept import Saved
from spire.risk.memory import MemoryRiskStore
from spire.risk.store import RiskStore
from spire.testing.database import DatabaseTestCase
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

    async def test_more_than_a_page_is_read_whole(self) -> None:
        """A thousand places and one come back in their order, with their positions."""
        places = tuple(place(account) for account in range(1, 1002))
        positions = tuple(position(account) for account in range(1, 1002))
        await self.store.save(Saved(places=places, positions=positions))
        kept = await self.store.load()
        self.assertEqual((kept.places, kept.positions), (places, positions))

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
