"""Two relays: whichever dies, its clients go on with the other without a hole."""

from time import monotonic

import numpy as np
from attrs import evolve

from spire.client.platform import Spire
from spire.marketdata.values import RecordType, topic_of
from spire.operations.settings import InstanceSettings
from spire.series.query import Query
from tests.system.case import SystemTestCase
from tests.system.load import pause, until
from tests.system.loaded import Counted

FEED = "simulation-feed"
RELAYS = ("market-data-relay", "market-data-relay-2")
TICKER = "ACME.DEMO"
CLIENTS = 4
RECOVERY_SECONDS = 10.0


class RelaysTests(SystemTestCase):
    """A generated market, several followers, and relays that are killed in turn."""

    servers = ("service-locator", "uid", "definitions", "administration", "market-data", *RELAYS, FEED)

    async def test_clients_of_a_relay_that_dies_go_on_with_the_other(self) -> None:
        """Everybody's stream is whole and equal to what is stored, whoever was killed; load was on both relays."""
        await self.follow()
        for relay in RELAYS:
            await self.in_thread(self.instance.kill, relay)
            killed = monotonic()
            before = [collector.received for _, collector in self.followers]
            await until(
                lambda before=before: all(  # type: ignore[misc]
                    collector.received > count for (_, collector), count in zip(self.followers, before, strict=True)
                ),
                RECOVERY_SECONDS,
                "every stream goes on",
            )
            self.assertLess(monotonic() - killed, RECOVERY_SECONDS)
            await self.in_thread(self.instance.start, [relay])
            await pause(1.0)
        await self.in_thread(self.instance.stop, [FEED])
        for client, collector in self.followers:
            history = await client.market_data.load(Query(topic=topic_of(RecordType.BBO, self.number)))
            await until(lambda c=collector, h=history: c.received >= len(h.records), 20.0, "all of it is here")  # type: ignore[misc]
            self.assertEqual((collector.resets, collector.errors), ([0], []))
            np.testing.assert_array_equal(collector.records["sequence"], np.arange(1, len(history.records) + 1))
            self.assertEqual(collector.records.tobytes(), history.records.tobytes())

    async def follow(self) -> None:
        """Let several traders follow one instrument from its first quote on."""
        self.followers: list[tuple[Spire, Counted]] = []
        for _ in range(CLIENTS):
            client = await self.client("demo_trader")
            definitions = await client.definitions_ready()
            self.number = definitions.instruments.by_ticker(TICKER).instrument_id
            await client.ready(client.deployment.market_data_service)
            collector = Counted()
            client.market_data.subscribe(RecordType.BBO, self.number, collector, after=0)
            self.followers.append((client, collector))
        await until(lambda: all(c.received for _, c in self.followers), 20.0, "the first quotes")

    def settings(self) -> InstanceSettings:
        """Return an instance with two relays."""
        return evolve(super().settings(), feeds=(FEED,), relays=len(RELAYS))
