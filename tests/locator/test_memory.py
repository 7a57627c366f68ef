"""The store in memory keeps the contract."""

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.locator.memory import MemoryLocatorStore
from tests.locator.store_contract import LocatorStoreContract


class MemoryLocatorStoreTests(LocatorStoreContract, SynchronousTestCase):
    """The contract on the memory twin."""

    def setUp(self) -> None:
        self.store = MemoryLocatorStore()

    def wait(self, work: Awaitable[Any]) -> Any:
        """Return what the store answers at once."""
        return self.successResultOf(Deferred.fromCoroutine(work))  # type: ignore[arg-type]
