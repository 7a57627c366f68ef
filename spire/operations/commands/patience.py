"""Calls that are made again while they are refused with what may pass by itself."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

from spire.client.platform import SLOW_SECONDS, Spire
from spire.operations.commands.output import Output
from spire.runtime.clock import Clock
from spire.wire.errors import SpireError, Unavailable

R = TypeVar("R")

AGAIN_SECONDS: Final = 0.5


async def patiently(
    call: Callable[[], Awaitable[R]],
    clock: Clock,
    deadlines: Mapping[type[SpireError], float],
    refused: Callable[[SpireError], object] = lambda _: None,
) -> R:
    """Return what `call` answers, made again while it is refused with what may pass by itself, each until its deadline.

    `refused` is told of each refusal that is waited for.
    """
    while True:
        try:
            return await call()
        except tuple(deadlines) as error:
            if clock.monotonic() + AGAIN_SECONDS >= deadlines[type(error)]:
                raise
            refused(error)
        await clock.sleep(AGAIN_SECONDS)


async def answered(spire: Spire, output: Output, what: str, call: Callable[[], Awaitable[R]]) -> R:
    """Return the first answer of a service that may have lost who stands behind it: it is waited for as a service is.

    `what` is what is waited for, which is said after one second, with the reason. Raises Unavailable after the time.
    """
    begun = spire.clock.monotonic()
    told: list[SpireError] = []

    def tell(error: SpireError) -> None:
        if not told and spire.clock.monotonic() - begun >= SLOW_SECONDS:
            told.append(error)
            output.note(f"Waiting for {what}: {error.message.rstrip('.')} ...")

    return await patiently(call, spire.clock, {Unavailable: begun + spire.connect_seconds}, tell)
