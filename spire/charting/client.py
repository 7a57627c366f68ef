"""Candles for a client: of the past, and as they change."""

import numpy as np
from attrs import evolve

from spire.charting.codecs import CODEC
from spire.charting.values import Candles, CandleTopic
from spire.series.following import Following, follow
from spire.series.loads import Loaded, load
from spire.series.query import Interruption, Query
from spire.values.time import Timestamp
from spire.wire.client_session import ClientSession
from spire.wire.topics import StreamListener


class ChartingClient:
    """Typed access to the Charting Server; `session` is started and stopped by its owner."""

    def __init__(self, session: ClientSession) -> None:
        self.session = session

    async def candles(
        self,
        topic: CandleTopic,
        start: Timestamp | None = None,
        end: Timestamp | None = None,
        *,
        limit: int | None = None,
        feed_session: int | None = None,
        policy: Interruption = Interruption.RECOVER,
    ) -> Loaded[Candles]:
        """Return the candles whose buckets touch start..end (both included, None: no bound), oldest first.

        A bucket without a print is absent; `limit` keeps the latest. Raises what the server refuses with.
        """
        query = Query(
            topic=str(topic),
            start_time=start,
            end_time=end,
            limit=limit,
            feed_session=feed_session,
            policy=policy,
        )
        found = await load(self.session, query, CODEC)
        return evolve(found, records=found.records[np.argsort(found.records["start"], kind="stable")])

    def follow(
        self, topic: CandleTopic, listener: StreamListener[Candles], start: Timestamp | None = None
    ) -> Following[Candles]:
        """Hand the listener the candles since `start`, then each candle that changes, whole, known by its `start`."""
        return follow(self.session, Query(topic=str(topic), start_time=start), listener, CODEC)
