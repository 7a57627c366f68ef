"""A service whose children start one by one and stop in reverse, each awaited (reference: docs/service.md)."""

from collections.abc import Awaitable, Callable

from attrs import field, frozen
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from spire.runtime.clock import Clock
from spire.service.readiness import Readiness, State
from spire.service.verbs import Verbs

Step = Callable[[], Awaitable[object] | None]


@frozen(kw_only=True)
class Child:
    """One thing that starts and stops with its server.

    `start` and `stop` may answer an awaitable, which is awaited. `start` may take as long as it needs (it waits for an
    upstream, say, and tells readiness so); `stop` has `stop_seconds`, then it is cancelled and the next child is stopped.
    """

    name: str
    start: Step
    stop: Step = field(default=lambda: None)
    stop_seconds: float = 5.0


class SpireService(Service):
    """Ordered children behind one readiness; `start` is all or nothing.

    A child whose start fails ends the start: what had started is stopped in reverse, the failure is logged as critical,
    readiness never says ready, and the failure is raised to the caller of `start` (`spire.service.process` turns it into
    a non-zero exit).
    """

    _log = Logger()

    def __init__(self, name: str, *, clock: Clock, readiness: Readiness, verbs: Verbs | None = None) -> None:
        self.setName(name)  # type: ignore[no-untyped-call]
        self.readiness = readiness
        self.verbs = Verbs() if verbs is None else verbs
        self._clock = clock
        self._children: list[Child] = []
        self._started: list[Child] = []
        self._starting: Deferred[None] | None = None

    @property
    def children(self) -> tuple[Child, ...]:
        """The children in start order."""
        return tuple(self._children)

    def add(self, child: Child) -> None:
        """Append a child; only before the start."""
        if self._started or self._starting is not None:
            raise RuntimeError(f"{child.name} cannot join {self.name}: it has started")
        self._children.append(child)

    async def start(self) -> None:
        """Start the children one by one and say ready; raises what the first failing child raised."""
        self._starting = Deferred.fromCoroutine(self._start_children())
        try:
            await self._starting
        finally:
            self._starting = None
        self.readiness.set_ready()

    async def stop(self) -> None:
        """Cancel a start under way, then stop what has started, in reverse; never raises."""
        self.readiness.set_stopping()
        starting = self._starting
        if starting is not None:
            starting.cancel()
        await self._stop_children()

    def startService(self) -> None:
        """Start without anybody waiting; a failure is logged by `start` already."""
        super().startService()  # type: ignore[no-untyped-call]
        Deferred.fromCoroutine(self.start()).addErrback(lambda _: None)

    def stopService(self) -> Deferred[None]:
        """Stop, as Twisted's service tree asks for it."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self.stop())

    async def _start_children(self) -> None:
        for child in self._children:
            self.readiness.starting(child.name)
            self._started.append(child)  # a half-started child is stopped too
            try:
                await _settled(child.start())
            except CancelledError:
                raise
            except Exception:
                self._log.failure("{service} cannot start: {child} failed", service=self.name, child=child.name)
                self._log.critical("{service} is stopped", service=self.name)
                self.readiness.set_failed(child.name)
                await self._stop_children()
                raise

    async def _stop_children(self) -> None:
        while self._started:
            child = self._started.pop()
            try:
                stopping = Deferred.fromCoroutine(_settled(child.stop()))
                timer = self._clock.later(child.stop_seconds, stopping.cancel)
                try:
                    await stopping
                finally:
                    if timer.active():
                        timer.cancel()
            except Exception:  # noqa: BLE001 - one child that cannot stop must not keep the others running
                self._log.failure("{child} of {service} did not stop cleanly", child=child.name, service=self.name)

    @property
    def is_ready(self) -> bool:
        """Whether it became ready and was not stopped."""
        return self.readiness.state in (State.READY, State.DEGRADED)


async def _settled(result: Awaitable[object] | None) -> None:
    if result is not None:
        await result
