"""The store in memory keeps the contract."""

from twisted.trial.unittest import TestCase

from spire.locator.memory import MemoryLocatorStore
from tests.locator.store_contract import LocatorStoreContract


class MemoryLocatorStoreTests(LocatorStoreContract, TestCase):
    """The contract on the memory twin."""

    def setUp(self) -> None:
        self.store = MemoryLocatorStore()
