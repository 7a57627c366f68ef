"""Who may see market data: granted and revoked while it flows, on real processes."""

from collections.abc import Callable

from spire.charting.values import CandleTopic
from spire.marketdata.values import RecordType, topic_of
from spire.series.query import LimitFrom, Query
from spire.wire.errors import Forbidden
from tests.system.desk import DeskTestCase, Person
from tests.system.test_recorded_day import Collector

MINUTE = 60 * 10**9


class EntitlementsTests(DeskTestCase):
    """Two traders of one group, and the grants of both."""

    servers = (
        "service-locator", "uid", "definitions", "administration", "market-data", "market-data-relay", "charting",
    )  # fmt: skip
    services = ("charting_service", "administration_service")

    async def test_market_data_follows_the_grants_at_once(self) -> None:
        """Without a grant a trader gets FORBIDDEN for quotes, history and candles; with it all of it; revoked nothing."""
        await self.open_market()
        group = await self.make_group("alpha")
        self.tom = await self.make_trader("tom", group)
        self.ann = await self.make_trader("ann", group)
        await self.sees_nothing(self.tom)
        grant = await self.entitle(self.tom)
        await self.at_once(lambda: self.may_see(self.tom))
        live = await self.follow_quotes(self.tom)
        await self.feed.step(50)
        await self.at_once(lambda: has(lambda: live.count > 0))
        self.assertEqual(live.errors, [])
        history = await self.tom.client.market_data.load(
            Query(topic=topic_of(RecordType.TRADE, self.bac), limit=10, limit_from=LimitFrom.TAIL)
        )
        self.assertEqual(len(history.records), 10)
        candles = await self.tom.client.charting.candles(self.candles, limit=3)
        self.assertEqual(len(candles.records), 3)
        await self.sees_nothing(self.ann)
        await self.administrator.administration.revoke(grant, "he has left the floor")
        await self.at_once(lambda: has(lambda: bool(live.errors)))
        self.assertEqual([error.coded for error in live.errors], ["FORBIDDEN"])
        seen = live.count
        await self.feed.step(50)
        await self.sees_nothing(self.tom)
        self.assertEqual(live.count, seen)
        await self.entitle(self.tom, RecordType.BBO)
        await self.at_once(lambda: self.may_see(self.tom))
        await self.refused(self.tom.client.charting.candles(self.candles, limit=3), Forbidden)
        await self.entitle(self.ann)

    @property
    def candles(self) -> CandleTopic:
        """The minute candles of the instrument."""
        return CandleTopic(instrument_id=self.bac, interval=MINUTE)

    async def follow_quotes(self, person: Person) -> Collector:
        """Follow the quotes as somebody sees them; refused or not."""
        live = Collector()
        person.client.market_data.subscribe(RecordType.BBO, self.bac, live)
        await self.at_once(lambda: has(lambda: live.began.called or bool(live.errors)))
        return live

    async def sees_nothing(self, person: Person) -> None:
        """Check that quotes, history and candles are FORBIDDEN, never empty."""
        client = person.client
        await self.refused(client.market_data.snapshot(self.bac), Forbidden)
        for record_type in (RecordType.BBO, RecordType.TRADE):
            await self.refused(
                client.market_data.load(Query(topic=topic_of(record_type, self.bac), limit=1)), Forbidden
            )
        await self.refused(client.charting.candles(self.candles, limit=1), Forbidden)
        live = await self.follow_quotes(person)
        self.assertEqual([error.coded for error in live.errors], ["FORBIDDEN"])

    async def may_see(self, person: Person) -> bool:
        """Whether somebody gets a quote."""
        try:
            await person.client.market_data.snapshot(self.bac)
        except Forbidden:
            return False
        return True


async def has(condition: Callable[[], bool]) -> bool:
    """Return whether something holds, for those who await it."""
    return condition()
