"""Order Execution's `activity/0`, followed for the violations in it."""

from collections import deque
from collections.abc import Callable
from typing import Final

from attrs import evolve
from twisted.logger import Logger

from spire.compliance.interfaces import BEGINNING, Place
from spire.compliance.values import Violation
from spire.compliance.violations import ViolationLog
from spire.database.errors import StoreDown, StoreError
from spire.execution.client import OrderExecutionClient
from spire.execution.values import FIRM, Activity
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.wire.channels import GAP, LogSubscription
from spire.wire.errors import SpireError
from spire.wire.topics import StreamListener

RETRY_SECONDS: Final = 1.0
FOLLOW_AGAIN_SECONDS: Final = 5.0
MOST_IN_A_TRANSACTION: Final = 500
"""Events taken over at once."""

MOST_WAITING: Final = 20_000
"""Events that wait for the store; beyond that the stream is left, and taken up again where it was."""


class ViolationUpstream(StreamListener[tuple[Activity, ...]]):
    """Takes violations over from Order Execution, each once, in order: the store first, then the topics.

    It resumes behind what the store holds. While the store is away events wait here, and Order Execution keeps them
    all. `tell` hears why violations are behind, or None.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        client: OrderExecutionClient,
        violations: ViolationLog,
        tell: Callable[[str | None], None],
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._client = client
        self._violations = violations
        self._tell = tell
        self._clock = clock
        self._tasks = tasks
        self._reached = BEGINNING
        self._waiting: deque[tuple[Place, Violation | None]] = deque()
        self._subscription: LogSubscription[tuple[Activity, ...]] | None = None
        self._is_running = False
        self._is_writing = False

    @property
    def waiting(self) -> int:
        """How many events wait for the store."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin behind what the store holds, as soon as Order Execution is there."""
        self._is_running = True
        self._reached = self._violations.place
        self._follow()

    def stop(self) -> None:
        """Follow no more; what waits is asked for again by the next start."""
        self._is_running = False
        self._leave()
        self._waiting.clear()

    # From Order Execution (StreamListener)

    def reset(self, epoch: int, after: int) -> None:
        """Go on, or begin with another epoch."""
        place = Place(epoch, after)
        if place.epoch < self._reached.epoch:
            self._log.critical(
                "Order Execution is in epoch {epoch}, violations are known of epoch {known}: is it the right server?",
                epoch=epoch,
                known=self._reached.epoch,
            )
            self._again(f"Order Execution is in epoch {epoch}, before the known epoch {self._reached.epoch}")
        elif place > self._reached:
            self._take(place, None)
            self._write_soon()

    def update(self, records: tuple[Activity, ...]) -> None:
        """Take events over; those without a violation only move the place."""
        for activity in records:
            violation = activity.violation
            if violation is not None:
                violation = evolve(violation, epoch=activity.epoch, sequence=activity.sequence)
            self._take(Place(activity.epoch, activity.sequence), violation)
        if len(self._waiting) > MOST_WAITING:
            self._leave()
        self._write_soon()

    def ready(self) -> None:
        """Know that nothing is behind but what waits here."""
        if not self._waiting:
            self._tell(None)

    def lost(self, error: SpireError) -> None:
        """Say loudly that violations are missing, or follow again after a while."""
        if error.coded == GAP:
            self._log.critical("violations are missing: {error}", error=str(error))
        elif self._is_running:
            self._again(f"violations are not followed: {error}")

    # To the store

    def _take(self, place: Place, violation: Violation | None) -> None:
        self._waiting.append((place, violation))
        self._reached = place

    def _write_soon(self) -> None:
        if self._waiting and not self._is_writing and self._is_running:
            self._is_writing = True
            self._tasks.spawn("violations", self._write())

    async def _write(self) -> None:
        """Take to the store what waits, for as long as that takes."""
        try:
            while self._waiting and self._is_running:
                try:
                    await self._write_some()
                except StoreError as error:
                    if not isinstance(error, StoreDown):
                        self._log.critical("violations cannot be stored: {error}", error=str(error))
                    self._tell(f"{len(self._waiting)} events wait to be stored: {error}")
                    await self._clock.sleep(RETRY_SECONDS)
                else:
                    if self._subscription is not None:
                        self._tell(None)
        finally:
            self._is_writing = False
        if self._is_running:
            self._follow()

    async def _write_some(self) -> None:
        """Take the first events of one epoch to the store and the topics."""
        epoch = self._waiting[0][0].epoch
        some: list[tuple[Place, Violation | None]] = []
        for each in self._waiting:
            if each[0].epoch != epoch or len(some) == MOST_IN_A_TRANSACTION:
                break
            some.append(each)
        await self._violations.take([violation for _, violation in some if violation is not None], some[-1][0])
        for _ in some if self._is_running else ():
            self._waiting.popleft()

    # The stream

    def _follow(self) -> None:
        """Follow from the place reached on, unless it is followed already."""
        if self._subscription is None and self._is_running:
            place = self._reached
            self._subscription = self._client.follow(
                FIRM, self, after=place.sequence, epoch=place.epoch, begin=BEGINNING.sequence
            )

    def _leave(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()

    def _again(self, reason: str) -> None:
        self._leave()
        self._tell(reason)
        self._clock.later(FOLLOW_AGAIN_SECONDS, self._follow)
