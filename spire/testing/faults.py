"""Faults around any object: calls that fail a number of times, hang, come late or come twice."""

from collections import deque
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from twisted.internet.defer import Deferred

from spire.runtime.clock import Clock


class Faulty:
    """Stands before an object and lets chosen calls of its async methods go wrong; all else passes through.

    The plan of a method is a queue: each call takes the first entry, and with none left the call passes. A method that
    is not async can only `fail`.
    """

    def __init__(self, target: Any, clock: Clock) -> None:
        self._target = target
        self._clock = clock
        self._plans: dict[str, deque[Callable[..., Any]]] = {}
        self._held: list[Deferred[None]] = []
        self.calls: list[str] = []

    def fail(self, method: str, error: Exception, times: int = 1) -> None:
        """Let the next `times` calls raise `error` without reaching the object."""

        async def raising(_: Callable[..., Any]) -> Any:
            raise error

        self._plan(method, raising, times)

    def fail_after(self, method: str, error: Exception, times: int = 1) -> None:
        """Let the next `times` calls reach the object and raise `error` all the same: the answer is lost."""

        async def losing(call: Callable[..., Any]) -> Any:
            await call()
            raise error

        self._plan(method, losing, times)

    def hang(self, method: str, times: int = 1) -> None:
        """Let the next `times` calls wait for `release`."""

        async def hanging(call: Callable[..., Any]) -> Any:
            held: Deferred[None] = Deferred(self._held.remove)
            self._held.append(held)
            await held
            return await call()

        self._plan(method, hanging, times)

    def delay(self, method: str, seconds: float, times: int = 1) -> None:
        """Let the next `times` calls wait `seconds` first."""

        async def waiting(call: Callable[..., Any]) -> Any:
            await self._clock.sleep(seconds)
            return await call()

        self._plan(method, waiting, times)

    def duplicate(self, method: str, times: int = 1) -> None:
        """Let the next `times` calls reach the object twice; the second answer counts."""

        async def doubling(call: Callable[..., Any]) -> Any:
            await call()
            return await call()

        self._plan(method, doubling, times)

    def release(self) -> int:
        """Let all calls that hang go on; return how many."""
        held, self._held = self._held, []
        for one in held:
            one.callback(None)
        return len(held)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value
        if iscoroutinefunction(value):
            return self._async(name, value)
        return self._sync(name, value)

    def _plan(self, method: str, fault: Callable[..., Any], times: int) -> None:
        self._plans.setdefault(method, deque()).extend([fault] * times)

    def _next(self, name: str) -> Callable[..., Any] | None:
        self.calls.append(name)
        plan = self._plans.get(name)
        return plan.popleft() if plan else None

    def _async(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            fault = self._next(name)
            if fault is None:
                return await method(*args, **kwargs)
            return await fault(lambda: method(*args, **kwargs))

        return call

    def _sync(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            fault = self._next(name)
            if fault is None:
                return method(*args, **kwargs)
            running = fault(None)
            try:
                running.send(None)
            except StopIteration as ended:
                return ended.value
            running.close()
            raise TypeError(f"{name} is not async: it can only fail")

        return call
