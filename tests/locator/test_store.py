"""The store in MySQL keeps the contract."""

from contextlib import closing

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from spire.database.errors import CommitUnknown
from spire.locator.interfaces import ILocatorStore
from spire.locator.store import LocatorStore
from spire.locator.values import Change
from spire.testing.database import DatabaseTestCase
from tests.locator.places import NEW, ROOT, TESS, place
from tests.locator.store_contract import SESSION, LocatorStoreContract, write


class MySqlLocatorStoreTests(LocatorStoreContract, DatabaseTestCase):
    """The contract on MySQL, and what only a database can do."""

    rooms = (("spire.locator", "locator"),)
    store: ILocatorStore

    async def prepare(self) -> None:
        """Make the store."""
        self.store = LocatorStore(self.database)

    async def test_two_locators_of_a_schema_cannot_both_write_a_version(self) -> None:
        """The second sees that it is late, and what the first wrote."""
        await self.fill()
        other = LocatorStore(await self.open_database())
        self.assertTrue(await self.store.write_directory(write(Change(put=(place(NEW, "desk", ROOT),))), 1))
        late = write(Change(put=(place(NEW, "other", ROOT),)), "c2")
        self.assertFalse(await other.write_directory(late, 1))
        names = {entry.name for entry in (await other.load_directory()).entries}
        self.assertEqual(("desk" in names, "other" in names), (True, False))

    async def test_a_login_waits_for_a_password_that_is_being_changed(self) -> None:
        """The change was written and not yet committed when the login was to be put on record."""
        await self.fill()
        with closing(self.schema.server.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"USE `{self.schema.name}`")
            cursor.execute("BEGIN")
            cursor.execute("UPDATE locator_accounts SET password_hash = 'new' WHERE account_id = %s", (TESS,))
            opening = Deferred.fromCoroutine(self.store.open_session(SESSION, "hash", [], "hash, renewed"))
            await deferLater(reactor, 0.2, connection.commit)
        self.assertFalse(await opening)
        self.assertEqual((await self.store.credential(TESS)).password_hash, "new")

    async def test_a_lost_answer_to_a_commit_is_asked_again(self) -> None:
        """The change is in the store once, and its writer hears so."""
        await self.fill()
        run = self.database.run
        names = []

        async def run_and_lose(name: str, function: object, *arguments: object) -> object:
            names.append(name)
            result = await run(name, function, *arguments)  # type: ignore[arg-type]
            if len(names) == 1:
                raise CommitUnknown("the connection was lost")
            return result

        self.patch(self.database, "run", run_and_lose)
        self.assertTrue(await self.store.write_directory(write(Change(put=(place(NEW, "desk", ROOT),))), 1))
        self.assertEqual((len(names), await self.store.directory_version()), (2, 2))
