"""The violations that are stored, as log topics: one for each trading account, with the sequences of `activity/0`."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from zope.interface import implementer

from spire.compliance.client import VIOLATION_CODEC
from spire.compliance.interfaces import BEGINNING, IComplianceStore, Place
from spire.compliance.values import Violation, parse_violations_topic, violations_topic
from spire.database.errors import StoreDown
from spire.wire.errors import Unavailable
from spire.wire.log_topic import LogTopic
from spire.wire.publisher import Publisher
from spire.wire.topics import HistoryChunk, IHistory

PAGE: Final = 200


@implementer(IHistory)
class ViolationLog:
    """Takes violations to the store, then to the topics, in one turn; and reads them back for those who resume.

    `place` is how far all of it reaches. A topic covers everything up to its own `through`, so its sequences are sparse.
    """

    def __init__(self, *, store: IComplianceStore, publisher: Publisher) -> None:
        self._store = store
        self._publisher = publisher
        self._topics: dict[int, LogTopic] = {}
        self.place = BEGINNING

    async def start(self) -> None:
        """Read how far the store reaches. Raises StoreDown while it is away."""
        self.place = await self._store.place()

    def topic(self, trading_account_id: int) -> LogTopic:
        """Return the topic of a trading account, made at the first call."""
        topic = self._topics.get(trading_account_id)
        if topic is None:
            topic = self._topics[trading_account_id] = self._publisher.log(
                violations_topic(trading_account_id),
                epoch=self.place.epoch,
                through=self.place.sequence,
                codec=VIOLATION_CODEC,
                history=self,
            )
        return topic

    async def take(self, violations: Sequence[Violation], place: Place) -> None:
        """Store violations of one epoch up to `place`, then make them visible. Raises StoreDown: call it again."""
        await self._store.record(violations, place)
        if place.epoch != self.place.epoch:
            for topic in self._topics.values():
                topic.restart(epoch=place.epoch, through=0)
        by_account: dict[int, list[Violation]] = {}
        for violation in violations:
            by_account.setdefault(violation.trading_account_id, []).append(violation)
        for number, found in by_account.items():
            # A topic that nobody asked for yet is not made: it will begin at the place, with history before it.
            followed = self._topics.get(number)
            if followed is not None:
                followed.publish(VIOLATION_CODEC.encode(found), len(found), found[-1].sequence)
        self.place = place

    # What stands in the store (IHistory)

    async def earliest(self, topic: str) -> int:  # noqa: ARG002 - everything is kept
        """Return 0: no violation is ever dropped."""
        return 0

    async def load(self, topic: str, after: int, through: int) -> AsyncIterator[HistoryChunk]:
        """Yield a trading account's violations, covering the range to its end also where it holds none."""
        number = parse_violations_topic(topic)
        epoch = self.place.epoch
        while after < through:
            try:
                found = await self._store.violations(number, epoch, after, through, PAGE)
            except StoreDown as error:
                raise Unavailable("Violations of the past cannot be read now; try again later.") from error
            reached = found[-1].sequence if len(found) == PAGE else through
            payload = VIOLATION_CODEC.encode(found)
            yield HistoryChunk(payload=payload, count=len(found), after=after, through=reached)
            after = reached
