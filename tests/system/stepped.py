"""A recorded day that a test moves by hand."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from spire.client.platform import Spire
from spire.feeds.replay import ReplayFeed, replay_terms
from spire.feeds.replay_source import load_day
from spire.values.time import Timestamp
from tests.system.waiting import until


async def open_replay(
    client: Spire, ticks: Path, day: date, in_thread: Callable[..., Any], *, symbols: tuple[str, ...]
) -> "Stepped":
    """Open a paused replay of some symbols of a day, as the account of `client`."""
    definitions = await client.definitions_ready()
    recorded = await load_day(ticks, definitions, in_thread, trade_date=day, symbols=symbols)
    feed = ReplayFeed(
        await client.ready("market_data_feed_service"),
        recorded.timeline,
        replay_terms(recorded, client.deployment.environment),
        clock=client.clock,
        tasks=client.tasks,
        is_paused=True,
    )
    await feed.start()
    return Stepped(feed)


class Stepped:
    """A paused replay that is moved by hand."""

    def __init__(self, feed: ReplayFeed) -> None:
        self._feed = feed

    async def step(self, records: int) -> None:
        """Send so many records, and wait until they are accepted."""
        await self._feed.step(records)

    async def run_to(self, moment: Timestamp) -> None:
        """Send everything up to a market time, and wait until it is accepted."""
        self._feed.run_until(moment)

        async def is_there() -> bool:
            progress = self._feed.progress
            return progress.is_paused and progress.accepted == progress.sent

        await until(is_there, seconds=60)

    async def stop(self) -> None:
        """Leave the session unfinished."""
        await self._feed.stop()
