"""A range of one index is read from the store and from memory, whatever the writer does meanwhile."""

import numpy as np
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.marketdata.history import Wanted, read_forwards
from spire.marketdata.interfaces import BlockRange, StoredRecords
from spire.marketdata.memory import MemoryMarketDataStore
from spire.marketdata.values import RecordType
from tests.marketdata.records import trades


class MergedStore(MemoryMarketDataStore):
    """A store whose only block reaches farther than what is asked of it."""

    async def read(self, wanted: BlockRange, *, backwards: bool) -> StoredRecords:
        """Return no records, and where the block ends."""
        return StoredRecords(records=RECORDS[:0], reached=100 if wanted.after < 100 else None)


RECORDS = trades([1] * 100)
RECORDS["sequence"] = np.arange(1, 101)


class ReadForwardsTests(SynchronousTestCase):
    """What a part says that it reached was looked at."""

    def test_a_block_that_grew_over_what_is_resident_is_reached_only_up_to_there(self) -> None:
        """Who is interrupted behind that part goes on with what memory held, and loses nothing of it."""
        wanted = Wanted(
            range=BlockRange(record_type=RecordType.TRADE, instrument=1, after=0, through=100),
            mask=lambda records: records["sequence"] == 80,
        )

        async def reached() -> list[int]:
            return [part.reached async for part in read_forwards(MergedStore(), [RECORDS[59:]], wanted)]

        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(reached())), [59, 80])
