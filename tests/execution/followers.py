"""What listens to Order Execution in tests, and a store that can be away."""

from collections.abc import Sequence
from typing import Any

from spire.compliance.values import Violation
from spire.database.errors import StoreDown
from spire.database.ordered_writer import WriterRow
from spire.execution.memory import MemoryExecutionStore
from spire.execution.values import (
    Activity,
    Batch,
    Halt,
)
from spire.values.audit import AuditEvent
from spire.values.posting import Posting
from spire.values.report import Report
from spire.wire.errors import SpireError
from spire.wire.topics import StreamListener


class FragileStore(MemoryExecutionStore):
    """A memory store that can be away."""

    is_down = False

    def writer(self) -> Any:
        """Return a writer's store that can be away."""
        return FragileWriterStore(self, super().writer())


class FragileWriterStore:
    """Commits unless the store is away."""

    def __init__(self, store: FragileStore, inner: Any) -> None:
        self._store = store
        self._inner = inner

    async def take_over(self) -> WriterRow:
        """Take the writer over."""
        row: WriterRow = await self._inner.take_over()
        return row

    async def commit(self, row: WriterRow, items: Sequence[Batch]) -> None:
        """Write a batch, or be away."""
        if self._store.is_down:
            raise StoreDown("the database is away")
        await self._inner.commit(row, items)


class Follower(StreamListener[tuple[Activity, ...]]):
    """Keeps an account's activity."""

    def __init__(self) -> None:
        self.events: list[Activity] = []
        self.errors: list[SpireError] = []

    def update(self, records: tuple[Activity, ...]) -> None:
        """Keep events."""
        self.events += records

    def lost(self, error: SpireError) -> None:
        """Keep an error."""
        self.errors.append(error)

    @property
    def reports(self) -> list[Report]:
        """Return the reports, in order."""
        return [event.report for event in self.events if event.report is not None]

    @property
    def violations(self) -> list[Violation]:
        """Return the violations, in order."""
        return [event.violation for event in self.events if event.violation is not None]

    @property
    def halts(self) -> list[Halt]:
        """Return the halts as they were set and released, in order."""
        return [event.halt for event in self.events if event.halt is not None]

    @property
    def audits(self) -> list[AuditEvent]:
        """Return the audit events, in order."""
        return [event.audit for event in self.events if event.audit is not None]

    @property
    def postings(self) -> list[Posting]:
        """Return the postings, in order."""
        return [event.posting for event in self.events if event.posting is not None]

    def told(self) -> list[str]:
        """Return what happened, in words: kind, quantity and price of each report."""
        words = []
        for event in self.events:
            if event.submission is not None:
                words.append("SUBMITTED")
            if event.report is not None:
                report = event.report
                fill = (
                    ""
                    if report.last_quantity is None
                    else f" {report.last_quantity // 10**6}@{(report.last_price or 0) / 10**6:g}"
                )
                words.append(f"{report.exec_type.name}{fill}")
        return words
