"""Both Administration stores keep the contract."""

from typing import ClassVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase

from spire.administration.memory import MemoryAdministrationStore
from spire.administration.store import AdministrationStore
from spire.database.errors import CommitUnknown
from spire.testing.database import DatabaseTestCase
from spire.values.audit import AuditQuery
from tests.administration.store_contract import AdministrationStoreContract, event, limits, state


class MemoryAdministrationStoreTests(AdministrationStoreContract, TestCase):
    """The contract on the memory twin."""

    def setUp(self) -> None:
        """Make an empty store."""
        self.store = MemoryAdministrationStore()


class AdministrationStoreTests(AdministrationStoreContract, DatabaseTestCase):
    """The contract on MySQL, and what only a shared database can show."""

    rooms: ClassVar[tuple[tuple[str, str], ...]] = (("spire.administration", "administration"),)

    async def prepare(self) -> None:
        """Make a store on the open database."""
        self.store = AdministrationStore(self.database)

    async def test_of_servers_that_write_the_same_version_one_wins(self) -> None:
        """Each time; the others write neither row nor event."""
        other = AdministrationStore(await self.open_database())
        for version in (1, 2, 3):
            calls = [
                Deferred.fromCoroutine(store.write(limits(version), event(version * 10 + number)))
                for number, store in enumerate((self.store, other, self.store, other))
            ]
            answers = [answer for _, answer in await DeferredList(calls, fireOnOneErrback=True, consumeErrors=True)]
            self.assertEqual(sorted(answers, key=str), [version, None, None, None])
        self.assertEqual(len((await other.audit(AuditQuery()))[0]), 3)
        self.assertEqual([row.version for row in await other.limit_history(40, 0, 10)], [1, 2, 3])

    async def test_changes_of_two_servers_are_counted_once_each(self) -> None:
        """Every change makes a revision of its own."""
        other = AdministrationStore(await self.open_database())
        calls = [
            Deferred.fromCoroutine(store.write(state(trading_account_id=number), event(number)))
            for number, store in enumerate((self.store, other) * 10)
        ]
        answers = await DeferredList(calls, fireOnOneErrback=True, consumeErrors=True)
        self.assertEqual(sorted(answer for _, answer in answers), list(range(1, 21)))

    async def test_a_lost_answer_to_a_commit_is_asked_again(self) -> None:
        """The change is in the store once, and its writer hears so."""
        run = self.database.run
        names = []

        async def run_and_lose(name: str, function: object, *arguments: object) -> object:
            names.append(name)
            result = await run(name, function, *arguments)  # type: ignore[arg-type]
            if len(names) == 1:
                raise CommitUnknown("the connection was lost")
            return result

        self.patch(self.database, "run", run_and_lose)
        self.assertEqual(await self.store.write(limits(), event(1)), 1)
        self.assertEqual((len(names), await self.store.revision()), (2, 1))
