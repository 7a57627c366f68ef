"""Whether a server can be used: starting, ready, degraded (with reasons), stopping or failed."""

from collections.abc import Callable, Mapping
from enum import StrEnum

Reason = str | Callable[[], str]


class State(StrEnum):
    """What a server says of itself.

    Ready is latched: a loss after it makes the server degraded, with the reason, and keeps its registration.
    """

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    STOPPING = "stopping"
    FAILED = "failed"


class Readiness:
    """The state of one server, the step it is at, and the reasons that keep it from being ready or whole.

    A reason has a key (`database`, `market_data_service`) and one sentence for a person; setting the same key again
    replaces the sentence. Observers hear of every change, in the turn in which it happens.
    """

    def __init__(self) -> None:
        self._latched = False
        self._ending: State | None = None
        self._reasons: dict[str, Reason] = {}
        self._observers: list[Callable[[], None]] = []
        self.step = ""

    @property
    def state(self) -> State:
        """The state now."""
        if self._ending is not None:
            return self._ending
        if not self._latched:
            return State.STARTING
        return State.DEGRADED if self._reasons else State.READY

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why it is not ready, or not whole: key to sentence."""
        return {key: reason if isinstance(reason, str) else reason() for key, reason in self._reasons.items()}

    def observe(self, callback: Callable[[], None]) -> None:
        """Call back after every change."""
        self._observers.append(callback)

    def starting(self, step: str) -> None:
        """Name the step that the start is at."""
        self.step = step
        self._changed()

    def because(self, key: str, reason: Reason) -> None:
        """Give a reason: for not being ready yet, or for being degraded; a function is asked whenever somebody looks."""
        if self._reasons.get(key) != reason:
            self._reasons[key] = reason
            self._changed()

    def clear(self, key: str) -> None:
        """Take a reason back; one that was not given is ignored."""
        if self._reasons.pop(key, None) is not None:
            self._changed()

    def tell(self, key: str, reason: Reason | None) -> None:
        """Give a reason, or take it back with None: for callbacks that say both."""
        if reason is None:
            self.clear(key)
        else:
            self.because(key, reason)

    def set_ready(self) -> None:
        """Latch ready."""
        self._latched = True
        self.step = ""
        self._changed()

    def set_stopping(self) -> None:
        """Say that it is going away; unless it had failed."""
        if self._ending is None:
            self._ending = State.STOPPING
            self._changed()

    def set_failed(self, step: str) -> None:
        """Say that its start failed at this step."""
        self._ending = State.FAILED
        self.step = step
        self._changed()

    def _changed(self) -> None:
        for callback in tuple(self._observers):
            callback()
