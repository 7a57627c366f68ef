"""What every store of the Uid Server must do."""

from zope.interface.verify import verifyObject

from spire.database.errors import TooLong
from spire.uid.block import LAST_ID, Block
from spire.uid.interfaces import IUidStore


class UidStoreContract:
    """A mixin of tests for trial; `self.store` is empty, `other_store` shares its counter as a second server would."""

    store: IUidStore

    async def other_store(self) -> IUidStore:
        """Return another store on the same counter."""
        raise AssertionError("a test case says how")

    async def test_it_is_a_store(self) -> None:
        """It provides the interface."""
        self.assertTrue(verifyObject(IUidStore, self.store))

    async def test_identifiers_begin_at_1(self) -> None:
        """0 is nobody's."""
        self.assertEqual(await self.store.next_id(), 1)
        self.assertEqual(await self.store.reserve(5, 0), Block(1, 5))

    async def test_blocks_follow_each_other(self) -> None:
        """Each begins where the last one ended."""
        blocks = [await self.store.reserve(size, 0) for size in (1, 1_000_000, 2)]
        self.assertEqual(blocks, [Block(1, 1), Block(2, 1_000_000), Block(1_000_002, 2)])
        self.assertEqual(await self.store.next_id(), 1_000_004)

    async def test_a_block_begins_at_least_where_it_is_told(self) -> None:
        """And the counter goes on from there."""
        await self.store.reserve(10, 0)
        self.assertEqual(await self.store.reserve(10, 1_000), Block(1_000, 10))
        self.assertEqual(await self.store.reserve(10, 1_000), Block(1_010, 10))

    async def test_two_servers_of_one_schema_never_collide(self) -> None:
        """Whoever asks, the counter is one."""
        other = await self.other_store()
        blocks = [await store.reserve(3, 0) for store in (self.store, other, other, self.store)]
        self.assertEqual([block.first for block in blocks], [1, 4, 7, 10])

    async def test_the_last_identifier_fits_in_64_bits(self) -> None:
        """Beyond it there is an error, and the counter stays."""
        await self.store.reserve(1, LAST_ID - 5)
        with self.assertRaises(TooLong):
            await self.store.reserve(5, 0)
        self.assertEqual(await self.store.reserve(4, 0), Block(LAST_ID - 4, 4))
