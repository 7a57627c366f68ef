"""Waiting for a condition of the real world, with a deadline."""

from collections.abc import Awaitable, Callable
from time import monotonic

from twisted.internet.task import deferLater

PAUSE_SECONDS = 0.02


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float) -> float:
    """Wait until a condition holds and return how long that took; AssertionError after `seconds`."""
    from twisted.internet import reactor

    began = monotonic()
    while not await condition():
        if monotonic() - began > seconds:
            raise AssertionError(f"{condition.__name__} did not hold within {seconds} s")
        await deferLater(reactor, PAUSE_SECONDS)
    return monotonic() - began
