"""What every Market Data store must do."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from zope.interface.verify import verifyObject

from spire.marketdata.frames import Frame, FrameKind
from spire.marketdata.history import Wanted, read_backwards, read_forwards
from spire.marketdata.interfaces import BlockRange, IMarketDataStore, Stored
from spire.marketdata.sequencing import Sequences
from spire.marketdata.values import Records, RecordType, joined
from spire.values.orders import BookSide
from spire.values.time import Timestamp
from tests.marketdata.records import quotes, row, session, trades

DAY = "2013-10-08"


class MarketDataStoreContract:
    """A mixin of tests; `self.store` is an empty store and `self.commit(items)` writes to it in one transaction."""

    store: IMarketDataStore
    sequences: Sequences
    positions: dict[int, int]

    async def commit(self, items: Sequence[Stored]) -> None:
        """Write frames in one transaction."""
        raise NotImplementedError

    def begin(self) -> None:
        """Forget what was sequenced."""
        self.sequences = Sequences()
        self.positions = {}

    def opened(self, number: int, **changes: object) -> Stored:
        """Return a frame that opens a feed session."""
        opened = session(number, **changes)
        frame = Frame(kind=FrameKind.OPENED, feed_session=number, time=opened.opened, opened=opened)
        return Stored(frame=frame, trade_date=opened.trade_date)

    def batch(self, number: int, record_type: RecordType, records: Records, trade_date: str = DAY) -> Stored:
        """Return a frame with a batch, sequenced as the server does."""
        sequenced, _ = self.sequences.assign(record_type, records)
        sequenced["feed_session"] = number
        first = self.positions.get(number, 0) + 1
        self.positions[number] = first + len(records) - 1
        frame = Frame(
            kind=FrameKind.BATCH,
            feed_session=number,
            time=Timestamp(5),
            first=first,
            count=len(records),
            records={record_type: sequenced},
        )
        return Stored(frame=frame, trade_date=trade_date)

    async def read(self, *, backwards: bool = False, limit: int | None = None, **changes: object) -> Records:
        """Return what a range of instrument 1's trades holds."""
        terms: dict[str, object] = {"record_type": RecordType.TRADE, "instrument": 1, "after": 0, "through": 10**6}
        wanted = Wanted(range=BlockRange(**{**terms, **changes}), limit=limit)  # type: ignore[arg-type]
        if backwards:
            parts = [part async for part in read_backwards(self.store, [], wanted)][::-1]
        else:
            parts = [part.records async for part in read_forwards(self.store, [], wanted)]
        return joined(RecordType.TRADE, parts)

    async def test_it_is_a_store(self) -> None:
        """It provides the interface."""
        self.assertTrue(verifyObject(IMarketDataStore, self.store))

    async def test_feed_sessions_come_back_whole(self) -> None:
        """With position and end."""
        batch = self.batch(1, RecordType.TRADE, trades([1, 1]))
        ended = Stored(frame=Frame(kind=FrameKind.ENDED, feed_session=1, time=Timestamp(77)), trade_date=DAY)
        await self.commit([self.opened(1), self.opened(2), batch])
        await self.commit([ended])
        found = await self.store.feed_sessions()
        self.assertEqual(found, [session(1, position=2, ended=Timestamp(77)), session(2)])

    async def test_records_come_back_in_sequence(self) -> None:
        """Over many commits, each once."""
        await self.commit([self.opened(1)])
        written = []
        for number in range(30):
            stored = self.batch(1, RecordType.TRADE, trades([1, 2, 1], start_time=1000 + 10 * number))
            written.append(stored.frame.records[RecordType.TRADE])
            await self.commit([stored])
        expected = np.concatenate([part[part["instrument"] == 1] for part in written])
        self.assertEqual((await self.read()).tobytes(), expected.tobytes())
        self.assertEqual((await self.read(backwards=True)).tobytes(), expected.tobytes())

    async def test_a_range_by_sequence_is_exact(self) -> None:
        """It begins behind `after` and ends at `through`, whatever the blocks are."""
        await self.commit([self.opened(1), self.batch(1, RecordType.TRADE, trades([1] * 50))])
        await self.commit([self.batch(1, RecordType.TRADE, trades([1] * 50, start_time=2000))])
        self.assertEqual((await self.read(after=40, through=60))["sequence"].tolist(), list(range(41, 61)))

    async def test_a_range_by_time_does_not_assume_time_order(self) -> None:
        """A late record in a later block is found, early ones around it are not."""
        await self.commit([self.opened(1), self.batch(1, RecordType.TRADE, trades([1] * 3, start_time=1000))])
        await self.commit([self.batch(1, RecordType.TRADE, trades([1] * 3, start_time=5000))])
        await self.commit([self.batch(1, RecordType.TRADE, trades([1] * 2, start_time=1001))])
        found = await self.read(start_time=1001, end_time=1002)
        self.assertEqual(found["sequence"].tolist(), [2, 3, 7, 8])

    async def test_a_limit_counts_from_the_end_that_is_asked_for(self) -> None:
        """Either way the oldest comes first."""
        await self.commit([self.opened(1)])
        for number in range(5):
            await self.commit([self.batch(1, RecordType.TRADE, trades([1] * 600, start_time=1000 * number))])
        self.assertEqual((await self.read(limit=700))["sequence"].tolist(), list(range(1, 701)))
        self.assertEqual((await self.read(limit=700, backwards=True))["sequence"].tolist(), list(range(2301, 3001)))

    async def test_more_than_a_page_of_blocks_is_read_whole(self) -> None:
        """In both directions."""
        await self.commit([self.opened(1)])
        for number in range(20):
            await self.commit([self.batch(1, RecordType.TRADE, trades([1] * 513, start_time=1000 * number))])
        self.assertEqual(len(await self.read()), 20 * 513)
        self.assertEqual(len(await self.read(backwards=True, limit=20 * 513)), 20 * 513)

    async def test_feed_sessions_are_told_apart(self) -> None:
        """One can be asked for, others left out."""
        await self.commit([self.opened(1), self.batch(1, RecordType.TRADE, trades([1, 1]))])
        await self.commit([self.opened(2), self.batch(2, RecordType.TRADE, trades([1, 1, 1]))])
        self.assertEqual((await self.read(feed_session=2))["sequence"].tolist(), [3, 4, 5])
        self.assertEqual((await self.read(without=frozenset([2])))["sequence"].tolist(), [1, 2])

    async def test_sequences_are_the_last_stored_ones(self) -> None:
        """Per type and instrument."""
        await self.commit([self.opened(1), self.batch(1, RecordType.TRADE, trades([1, 2, 1]))])
        await self.commit([self.batch(1, RecordType.BBO, quotes([2]))])
        found = sorted(await self.store.sequences())
        self.assertEqual(found, [(RecordType.TRADE, 1, 2), (RecordType.TRADE, 2, 1), (RecordType.BBO, 2, 1)])

    async def test_last_records_are_kept_per_trade_date(self) -> None:
        """The newest of all is what a start begins with."""
        await self.commit([self.opened(1), self.batch(1, RecordType.TRADE, trades([1, 2], start_time=1000))])
        later = self.batch(2, RecordType.TRADE, trades([1], start_time=2000), "2013-10-09")
        await self.commit([self.opened(2, trade_date="2013-10-09"), later])
        newest = (await self.store.last_records())[RecordType.TRADE]
        self.assertEqual(
            sorted(zip(newest["instrument"].tolist(), newest["source_time"].tolist(), strict=True)),
            [(1, 2000), (2, 1001)],
        )
        first_day = await self.store.last_record(RecordType.TRADE, 1, date(2013, 10, 8))
        self.assertEqual(first_day["source_time"].tolist(), [1000])
        self.assertEqual(len(await self.store.last_record(RecordType.BBO, 1, date(2013, 10, 8))), 0)

    async def test_a_feed_sessions_records_are_read_page_by_page(self) -> None:
        """Grouped by instrument, in sequence, and only its own."""
        rows = [row(instrument, BookSide.BID, 10 + place, 5) for instrument in (1, 2) for place in range(3)]
        await self.commit([self.opened(1), self.batch(1, RecordType.BOOK, np.concatenate(rows))])
        await self.commit([self.opened(2), self.batch(2, RecordType.BOOK, row(1, BookSide.BID, 9, 5))])
        found: list[tuple[int, int]] = []
        place = (0, 0)
        while pages := await self.store.session_records(RecordType.BOOK, 1, place):
            for page in pages:
                found += zip(page["instrument"].tolist(), page["sequence"].tolist(), strict=True)
            place = found[-1]
        self.assertEqual(found, [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)])
