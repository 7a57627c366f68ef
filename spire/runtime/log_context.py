"""Fields that every log record of one piece of work carries: session, command, task, correlation id."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

NOTHING: Mapping[str, object] = MappingProxyType({})

# Public for the wire's guard, which sets it once per command without the cost of a context manager.
fields: ContextVar[Mapping[str, object]] = ContextVar("spire_log_context", default=NOTHING)


@contextmanager
def log_context(**added: object) -> Iterator[None]:
    """Add `added` to the log fields of the body and of every coroutine that it starts.

    A coroutine started by `Deferred.fromCoroutine` keeps the fields of its start; threads do not inherit them.
    """
    token = fields.set({**fields.get(), **added})
    try:
        yield
    finally:
        fields.reset(token)


def current_log_context() -> Mapping[str, object]:
    """Return the fields in force here; empty outside any context."""
    return fields.get()
