"""The store of Order Execution in memory: the twin of the MySQL store, shipped for tests and demonstrations."""

from collections.abc import Sequence

from zope.interface import implementer

from spire.database.audit import MemoryAuditLog, Page
from spire.database.ordered_writer import MemoryWriters, MemoryWriterStore
from spire.execution.interfaces import IExecutionStore
from spire.execution.values import (
    AccountHead,
    Activity,
    Batch,
    Halt,
    HeldHalts,
    HeldPosition,
    OrderQuery,
    OrderScope,
    OrderView,
    TakenSize,
    UsedClientOrderId,
)
from spire.values.audit import AuditQuery
from spire.values.orders import ExecType, Side
from spire.values.report import Report


@implementer(IExecutionStore)
class MemoryExecutionStore:
    """Keeps what Order Execution writes in dictionaries; outlives a server as a database does."""

    def __init__(self) -> None:
        self._writers = MemoryWriters()
        self._events: dict[tuple[int, int], list[Activity]] = {}
        self._orders: dict[int, OrderView] = {}
        self._positions: dict[tuple[int, int], HeldPosition] = {}
        self._heads: dict[int, AccountHead] = {}
        self._used: dict[tuple[int, str, str], UsedClientOrderId] = {}
        self._halts: dict[int, Halt] = {}
        self._audit_log = MemoryAuditLog()

    def writer(self) -> MemoryWriterStore[Batch]:
        """Return where the ordered writer puts its batches."""
        return MemoryWriterStore(self._writers, "activity", self.write)

    def write(self, batches: Sequence[Batch]) -> None:
        """Take over batches."""
        for item in (item for batch in batches for item in batch):
            event = item.activity
            self._events.setdefault((event.trading_account_id, event.epoch), []).append(event)
            self._heads[event.trading_account_id] = AccountHead(
                trading_account_id=event.trading_account_id, epoch=event.epoch, sequence=event.sequence
            )
            if event.halt is not None:
                self._halts[event.halt.halt_id] = event.halt
            if event.audit is not None:
                self._audit_log.write((event.audit,))
            if item.order is not None:
                self._orders[item.order.order_id] = item.order
            if item.position is not None:
                self._positions[item.position.trading_account_id, item.position.instrument_id] = item.position
            if item.used is not None:
                used = item.used
                self._used.setdefault((used.trading_account_id, used.client_order_id, used.business_date), used)

    async def heads(self) -> tuple[AccountHead, ...]:
        """Return how far each account's activity goes."""
        return tuple(self._heads[key] for key in sorted(self._heads))

    async def positions(self) -> tuple[HeldPosition, ...]:
        """Return all positions."""
        return tuple(self._positions[key] for key in sorted(self._positions))

    async def live_orders(self) -> tuple[OrderView, ...]:
        """Return all orders that have not ended."""
        return tuple(self._orders[key] for key in sorted(self._orders) if self._orders[key].state().is_live)

    async def used_ids(self, since_business_date: str) -> tuple[UsedClientOrderId, ...]:
        """Return the client order ids used since a business date."""
        found = [used for used in self._used.values() if used.business_date >= since_business_date]
        return tuple(sorted(found, key=lambda used: used.order_id))

    async def halts(self) -> HeldHalts:
        """Return the halts in force, and the last id."""
        in_force = tuple(halt for _, halt in sorted(self._halts.items()) if halt.released is None)
        return HeldHalts(in_force=in_force, last_id=max(self._halts, default=0))

    async def audit(self, query: AuditQuery) -> Page:
        """Return a page of the audit log."""
        return self._audit_log.read(query)

    async def taken(self, instrument_id: int) -> tuple[TakenSize, ...]:
        """Return what the last fill on each side says was taken."""
        found: dict[Side, TakenSize] = {}
        for report in self._reports():
            if (
                report.instrument_id == instrument_id
                and report.exec_type is ExecType.TRADE
                and report.quote_sequence is not None
                and report.quote_taken is not None
            ):
                taken = TakenSize(
                    instrument_id=instrument_id,
                    side=report.side,
                    quote_sequence=report.quote_sequence,
                    taken=report.quote_taken,
                )
                before = found.get(report.side)
                if before is None or (before.quote_sequence, before.taken) < (taken.quote_sequence, taken.taken):
                    found[report.side] = taken
        return tuple(found[side] for side in sorted(found))

    async def activity(
        self, trading_account_id: int, epoch: int, after: int, through: int, limit: int
    ) -> tuple[Activity, ...]:
        """Return a page of an account's events."""
        events = self._events.get((trading_account_id, epoch), [])
        return tuple([event for event in events if after < event.sequence <= through][:limit])

    async def orders(self, query: OrderQuery) -> tuple[OrderView, ...]:
        """Return a page of orders."""
        found = [
            view
            for order_id, view in sorted(self._orders.items())
            if order_id > query.after_order_id
            and view.submission.trading_account_id == query.trading_account_id
            and (query.order_id is None or order_id == query.order_id)
            and (query.client_order_id is None or view.submission.client_order_id == query.client_order_id)
            and (query.scope is OrderScope.ALL or view.state().is_live)
        ]
        return tuple(found[: query.limit])

    async def order(self, order_id: int) -> OrderView | None:
        """Return one order."""
        return self._orders.get(order_id)

    def _reports(self) -> list[Report]:
        return [event.report for events in self._events.values() for event in events if event.report is not None]
