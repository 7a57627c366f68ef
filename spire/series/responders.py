"""The responders of Load for one session: chunks as fast as the client takes them, then an end or an error."""

from collections.abc import Callable
from typing import Any, Final

from attrs import define
from twisted.internet.defer import CancelledError, Deferred
from twisted.protocols import amp

from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.series.commands import CancelLoad, Load
from spire.series.interfaces import ISeries, Series
from spire.series.query import Query, validate
from spire.wire.errors import Conflict, Overloaded, Refused, SpireError
from spire.wire.outbound import StreamClosedError, in_boxes
from spire.wire.readers import cut, end_iteration
from spire.wire.segments import SegmentFlags, segment
from spire.wire.server_session import Session

LOADS_AT_ONCE: Final = 64
"""Loads that one session may have under way."""


@define(eq=False)
class _Load:
    """A load of a topic: being prepared, then answered with a series, then sent; `running` is what it does now."""

    topic: str
    running: Deferred[Any]
    is_answered: bool = False


class SeriesResponders(amp.CommandLocator):
    """What a session may load of a room; merged into its table. Loads under way end with the session."""

    def __init__(self, session: Session, series: ISeries, *, clock: Clock, tasks: Tasks) -> None:
        super().__init__()
        self._session = session
        self._series = series
        self._clock = clock
        self._tasks = tasks
        self._loads: dict[int, _Load] = {}
        session.on_close(self.close)

    @property
    def open_loads(self) -> int:
        """How many loads are under way."""
        return len(self._loads)

    @Load.responder
    async def load(self, number: int, query: Query) -> dict[str, object]:
        """Answer where the topic stands, and send the records once the answer has gone."""
        validate(query)
        if number in self._loads:
            raise Conflict("A load of this number is under way.")
        if len(self._loads) >= LOADS_AT_ONCE:
            raise Overloaded(f"A session may have {LOADS_AT_ONCE} loads under way.")
        preparing: Deferred[Series] = Deferred.fromCoroutine(self._series.load(self._session, query))
        under_way = self._loads[number] = _Load(query.topic, preparing)
        try:
            series = await preparing
            under_way.is_answered = True
        except CancelledError:
            if self._is_under_way(number, under_way):
                raise
            raise Refused("CANCELLED", "The load was cancelled.") from None
        finally:
            if not under_way.is_answered and self._is_under_way(number, under_way):
                del self._loads[number]
        self._clock.later(0, self._start, number, under_way, series)
        return {"epoch": series.epoch, "through": series.through}

    @CancelLoad.responder
    def cancel(self, number: int) -> dict[str, object]:
        """Prepare or send no more of a load."""
        self._stop(number)
        return {}

    def end_where(self, refusal: Callable[[str], SpireError | None]) -> None:
        """Stop the loads of whose topics, by name, `refusal` answers an error; their client hears it.

        One that is still being prepared is its series' own to refuse.
        """
        for number, under_way in tuple(self._loads.items()):
            error = refusal(under_way.topic) if under_way.is_answered else None
            if error is not None:
                self._stop(number)
                self._session.outbound.end(number, error.coded, error.message)

    def close(self) -> None:
        """Stop every load: the session has ended."""
        for number in tuple(self._loads):
            self._stop(number)

    def _stop(self, number: int) -> None:
        under_way = self._loads.pop(number, None)
        if under_way is not None:
            under_way.running.cancel()

    def _is_under_way(self, number: int, load: _Load) -> bool:
        """Return whether a load was not stopped; its number may be another's by now."""
        return self._loads.get(number) is load

    def _start(self, number: int, load: _Load, series: Series) -> None:
        if self._is_under_way(number, load):
            load.running = self._tasks.spawn("load", self._send(number, load, series))
        else:
            self._tasks.spawn("load", end_iteration(series.chunks))

    async def _send(self, number: int, load: _Load, series: Series) -> None:
        ended = ("INTERNAL", "The server failed to read the records; its log says why.")
        through = 0
        try:
            async for chunk in series.chunks:
                through = chunk.through
                for batch in in_boxes(cut(chunk, series.codec, number)):
                    await self._session.outbound.deliver(batch)
            end = segment(number, through, max(through, series.through), 0, b"", flags=SegmentFlags.END)
            await self._session.outbound.deliver([end])
            ended = ("", "")
        except StreamClosedError:
            ended = ("", "")
        except SpireError as error:
            ended = (error.coded, error.message)
        finally:
            if self._is_under_way(number, load):
                del self._loads[number]
                if ended[0]:
                    self._session.outbound.end(number, *ended)
            await end_iteration(series.chunks)
