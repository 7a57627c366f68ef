"""What every Definitions store must do."""

from typing import Any

from zope.interface.verify import verifyObject

from spire.definitions.interfaces import Content, IDefinitionsStore
from spire.values.codes import Venue
from spire.values.time import Timestamp
from spire.wire.errors import Conflict
from tests.definitions.test_instruments import START, draft

NOW = Timestamp(1_381_219_200_000_000_000)
XNYS, XNAS = Venue("XNYS"), Venue("XNAS")


def content(dataset: str = "venues", digest: str = "a" * 64, rows: int = 2) -> Content:
    """Return the content of a dataset."""
    return Content(dataset=dataset, digest=digest, rows=rows)


class DefinitionsStoreContract:
    """A mixin of tests; `self.store` is an empty store."""

    store: IDefinitionsStore

    async def refused(self, work: Any) -> Conflict:
        """Return the Conflict that a call ends with."""
        try:
            await work
        except Conflict as error:
            return error
        raise self.failureException("no Conflict")  # type: ignore[attr-defined] # trial's

    async def test_it_is_a_store(self) -> None:
        """It provides the interface."""
        self.assertTrue(verifyObject(IDefinitionsStore, self.store))

    async def test_an_empty_store_has_no_instrument(self) -> None:
        """It begins at id 0."""
        self.assertEqual(await self.store.instruments(), ())
        self.assertEqual(await self.store.instruments_version(), 0)

    async def test_ids_are_given_from_one_on(self) -> None:
        """Instruments get the next ids in their order, over several calls."""
        first = await self.store.add((draft("A.XNYS"), draft("B.XNYS")), "ada", NOW)
        second = await self.store.add((draft("C.XNYS"),), "ada", NOW)
        self.assertEqual([each.instrument_id for each in first + second], [1, 2, 3])
        self.assertEqual(await self.store.instruments_version(), 3)

    async def test_instruments_come_back_as_they_were_added(self) -> None:
        """Names, dates, terms and an ISIN survive, by id and from an id on."""
        drafts = (draft("A.XNYS", "Ünïcode Ltd"), draft("b.XNYS"), draft("B.XNYS"))
        added = await self.store.add(drafts, "ada", NOW)
        self.assertEqual(added, tuple(each.instrument(n) for n, each in enumerate(drafts, 1)))
        self.assertEqual(await self.store.instruments(), added)
        self.assertEqual(await self.store.instruments(2), added[2:])

    async def test_a_taken_ticker_adds_nothing(self) -> None:
        """One conflict refuses all, and no id is used up."""
        await self.store.add((draft("A.XNYS"),), "ada", NOW)
        error = await self.refused(self.store.add((draft("B.XNYS"), draft("A.XNYS")), "ada", NOW))
        self.assertEqual(error.details["instrument_id"], "1")
        self.assertEqual(len(await self.store.instruments()), 1)
        (added,) = await self.store.add((draft("B.XNYS"),), "ada", NOW)
        self.assertEqual(added.instrument_id, 2)

    async def test_a_ticker_twice_in_one_call_is_a_conflict(self) -> None:
        """The drafts of one call must not contradict each other."""
        later = START.replace(year=START.year + 1)
        await self.refused(self.store.add((draft("A.XNYS"), draft("A.XNYS", since=later)), "ada", NOW))
        self.assertEqual(await self.store.instruments(), ())

    async def test_a_new_content_is_version_one(self) -> None:
        """The first content of a dataset is version 1, loaded now."""
        (version,) = await self.store.record((content(),), NOW)
        self.assertEqual((version.dataset, version.version, version.rows, version.loaded), ("venues", 1, 2, NOW))

    async def test_the_same_content_keeps_its_version(self) -> None:
        """A restart with unchanged files changes nothing, nor does it move the time."""
        (first,) = await self.store.record((content(),), NOW)
        self.assertEqual(await self.store.record((content(),), Timestamp(NOW + 1)), (first,))

    async def test_another_content_is_the_next_version(self) -> None:
        """Each change counts, also back to what was once there; datasets count apart."""
        digests = ("a" * 64, "b" * 64, "a" * 64)
        versions = [(await self.store.record((content(digest=each),), NOW))[0].version for each in digests]
        (other,) = await self.store.record((content("rates"),), NOW)
        self.assertEqual((versions, other.version), ([1, 2, 3], 1))

    async def test_a_venue_number_keeps_its_venue(self) -> None:
        """A number that once meant a venue is refused to another, and so is a venue's second number."""
        await self.store.claim_venue_numbers(((8, XNYS), (10, XNAS)))
        await self.store.claim_venue_numbers(((8, XNYS),))
        self.assertTrue("number 10 is XNAS" in str(await self.refused(self.store.claim_venue_numbers(((10, XNYS),)))))
        self.assertTrue("XNAS is number 10" in str(await self.refused(self.store.claim_venue_numbers(((11, XNAS),)))))

    async def test_a_refused_claim_records_nothing(self) -> None:
        """The numbers before the refused one stay free."""
        await self.store.claim_venue_numbers(((8, XNYS),))
        await self.refused(self.store.claim_venue_numbers(((9, XNAS), (8, XNAS))))
        await self.store.claim_venue_numbers(((10, XNAS),))
