"""Both Definitions stores keep the contract."""

from typing import ClassVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase

from spire.definitions.memory import MemoryDefinitionsStore
from spire.definitions.store import DefinitionsStore
from spire.testing.database import DatabaseTestCase
from tests.definitions.store_contract import NOW, DefinitionsStoreContract
from tests.definitions.test_instruments import draft


class MemoryDefinitionsStoreTests(DefinitionsStoreContract, TestCase):
    """The contract on the memory twin."""

    def setUp(self) -> None:
        """Make an empty store."""
        self.store = MemoryDefinitionsStore()


class DefinitionsStoreTests(DefinitionsStoreContract, DatabaseTestCase):
    """The contract on MySQL, and what only a shared database can show."""

    rooms: ClassVar[tuple[tuple[str, str], ...]] = (("spire.definitions", "definitions"),)

    async def prepare(self) -> None:
        """Make a store on the open database."""
        self.store = DefinitionsStore(self.database)

    async def test_two_servers_never_give_out_the_same_id(self) -> None:
        """Additions of two servers at once get ids of their own, dense and complete."""
        other = DefinitionsStore(await self.open_database())
        calls = [
            Deferred.fromCoroutine(store.add((draft(f"{name}{n}.XNYS"),), "ada", NOW))
            for n in range(10)
            for name, store in (("A", self.store), ("B", other))
        ]
        answers = await DeferredList(calls, fireOnOneErrback=True, consumeErrors=True)
        ids = sorted(added[0].instrument_id for _, added in answers)
        self.assertEqual(ids, list(range(1, 21)))
        self.assertEqual([each.instrument_id for each in await other.instruments()], ids)

    async def test_more_than_a_page_is_read_whole(self) -> None:
        """A thousand instruments and one come back in their order."""
        drafts = tuple(draft(f"T{n}.XNYS") for n in range(1001))
        added = await self.store.add(drafts, "ada", NOW)
        self.assertEqual(await self.store.instruments(), added)
