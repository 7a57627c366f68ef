"""What Order Execution asks of a destination's driver and of its store."""

from collections.abc import Awaitable, Sequence

from zope.interface import Interface

from spire.database.audit import Page
from spire.database.ordered_writer import WriterStore
from spire.execution.values import (
    AccountHead,
    Activity,
    Batch,
    Execution,
    HeldHalts,
    HeldPosition,
    OrderQuery,
    OrderView,
    TakenSize,
    UsedClientOrderId,
)
from spire.values.audit import AuditQuery
from spire.values.submission import Submission, Terms


class IDriver(Interface):
    """The way to one kind of destination. What it has to say it says by the callback that it was made with, in order."""

    def restore(views: Sequence[OrderView]) -> None:
        """Take over the live orders of its destinations after a restart; PENDING_NEW ones may never have arrived."""

    def submit(submission: Submission) -> None:
        """Send an order."""

    def cancel(order_id: int, actor: int | None) -> None:
        """Ask for a cancel; the answer is CANCELED or CANCEL_REJECTED."""

    def replace(order_id: int, version: int, terms: Terms, actor: int | None) -> None:
        """Ask for other terms; the answer is REPLACED or REPLACE_REJECTED."""

    def update(execution: Execution) -> None:
        """Take over what a person or a reconciliation says of one of its orders, and report it."""


class IExecutionStore(Interface):
    """What Order Execution keeps. Any method raises StoreDown while the database is away."""

    def writer() -> WriterStore[Batch]:
        """Return where the ordered writer puts its batches."""

    def heads() -> Awaitable[tuple[AccountHead, ...]]:
        """Return how far each trading account's activity goes."""

    def positions() -> Awaitable[tuple[HeldPosition, ...]]:
        """Return all positions that the ledger makes."""

    def live_orders() -> Awaitable[tuple[OrderView, ...]]:
        """Return all orders that have not ended, by id."""

    def used_ids(since_business_date: str) -> Awaitable[tuple[UsedClientOrderId, ...]]:
        """Return the client order ids used on a business date or later."""

    def halts() -> Awaitable[HeldHalts]:
        """Return the halts in force, and the last id that was given out."""

    def audit(query: AuditQuery) -> Awaitable[Page]:
        """Return a page of the audit log, newest first."""

    def taken(instrument_id: int) -> Awaitable[tuple[TakenSize, ...]]:
        """Return what the last fill on each side of an instrument says was taken, at most one for each side."""

    def activity(
        trading_account_id: int, epoch: int, after: int, through: int, limit: int
    ) -> Awaitable[tuple[Activity, ...]]:
        """Return up to `limit` events of an account (FIRM too) behind `after`, in order."""

    def orders(query: OrderQuery) -> Awaitable[tuple[OrderView, ...]]:
        """Return a page of orders, by id."""

    def order(order_id: int) -> Awaitable[OrderView | None]:
        """Return one order."""
