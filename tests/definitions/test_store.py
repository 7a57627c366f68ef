"""Both Definitions stores keep the contract."""

from twisted.trial.unittest import TestCase

from spire.definitions.memory import MemoryDefinitionsStore
from tests.definitions.store_contract import DefinitionsStoreContract


class MemoryDefinitionsStoreTests(DefinitionsStoreContract, TestCase):
    """The contract on the memory twin."""

    def setUp(self) -> None:
        """Make an empty store."""
        self.store = MemoryDefinitionsStore()
