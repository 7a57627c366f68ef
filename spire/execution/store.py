"""The store of Order Execution in MySQL: tables `execution_*`."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from attrs import evolve
from twisted.logger import Logger
from zope.interface import implementer

from spire.accounting.position import Position
from spire.database.audit import Page, read
from spire.database.database import Database
from spire.database.ordered_writer import SqlWriterStore
from spire.database.transaction import Transaction
from spire.execution.firm_rows import AUDIT_TABLE, firm_activity, read_halts, write_firm
from spire.execution.interfaces import IExecutionStore
from spire.execution.order_rows import VENUE_ORDER, VERSION, first_version, venue_order_of, venue_row, version_row
from spire.execution.rows import PLACE, Columns, insert, select
from spire.execution.values import (
    FIRM,
    AccountHead,
    Activity,
    Batch,
    HeldHalts,
    HeldPosition,
    OrderQuery,
    OrderScope,
    OrderView,
    TakenSize,
    UsedClientOrderId,
)
from spire.values.amounts import Money, Quantity
from spire.values.audit import AuditQuery
from spire.values.codes import Currency
from spire.values.orders import ExecType, Side
from spire.values.posting import Posting
from spire.values.report import Report
from spire.values.submission import Submission
from spire.values.time import Timestamp

R = TypeVar("R")

PAGE = 500
WRITER = "activity"

SUBMISSIONS = Columns(Submission)
REPORTS = Columns(Report)
POSTINGS = Columns(Posting)
ORDERS = Columns(OrderView, skip=frozenset({"submission"}))

_ORDER = ("order_id", "trading_account_id", "is_live", *ORDERS.names)
_POSITION = (
    "trading_account_id", "instrument_id", "currency", "quantity", "cost", "realised", "fees", "activity_sequence",
)  # fmt: skip
_USED_ID = ("trading_account_id", "client_order_id", "business_date", "order_id", "digest")

INSERT_SUBMISSION = insert("execution_submissions", (*SUBMISSIONS.names, *PLACE))
INSERT_REPORT = insert("execution_reports", (*REPORTS.names, *PLACE))
INSERT_POSTING = insert("execution_postings", (*POSTINGS.names, *PLACE))
PUT_ORDER = insert("execution_orders", _ORDER, update=_ORDER[2:])
PUT_VERSION = insert("execution_order_versions", VERSION, update=("state",))
PUT_VENUE_ORDER = insert("execution_venue_orders", VENUE_ORDER, update=("venue_order_id",))
PUT_POSITION = insert("execution_positions", _POSITION, update=_POSITION[2:])
PUT_HEAD = insert(
    "execution_accounts",
    ("trading_account_id", "epoch", "activity_sequence"),
    update=("epoch", "activity_sequence"),
)
INSERT_USED_ID = insert("execution_client_order_ids", _USED_ID, ignore=True)

SELECT_HEADS = """
    SELECT trading_account_id, epoch, activity_sequence
    FROM execution_accounts
    WHERE trading_account_id > %s
    ORDER BY trading_account_id
    LIMIT %s
"""
SELECT_POSITIONS = select(
    "execution_positions",
    _POSITION,
    """
    WHERE (trading_account_id, instrument_id) > (%s, %s)
    ORDER BY trading_account_id, instrument_id
    LIMIT %s
""",
)
_ORDERS_FROM = "execution_orders o JOIN execution_submissions s ON s.order_id = o.order_id"
_ORDER_COLUMNS = (*(f"o.{name}" for name in ORDERS.names), *(f"s.{name}" for name in SUBMISSIONS.names))
SELECT_LIVE = select(
    _ORDERS_FROM, _ORDER_COLUMNS, "WHERE o.is_live = 1 AND o.order_id > %s ORDER BY o.order_id LIMIT %s"
)
SELECT_ORDER = select(_ORDERS_FROM, _ORDER_COLUMNS, "WHERE o.order_id = %s")
SELECT_USED_IDS = select(
    "execution_client_order_ids",
    _USED_ID,
    """
    WHERE business_date >= %s AND order_id > %s
    ORDER BY order_id
    LIMIT %s
""",
)
SELECT_TAKEN = """
    SELECT quote_sequence, quote_taken
    FROM execution_reports
    WHERE instrument_id = %s AND side = %s AND quote_sequence IS NOT NULL AND exec_type = %s
    ORDER BY quote_sequence DESC, quote_taken DESC
    LIMIT 1
"""
_EVENTS = """
    WHERE trading_account_id = %s AND epoch = %s AND activity_sequence > %s AND activity_sequence <= %s
    ORDER BY activity_sequence
    LIMIT %s
"""
SELECT_SUBMISSIONS = select("execution_submissions", (*SUBMISSIONS.names, *PLACE), _EVENTS)
SELECT_REPORTS = select("execution_reports", (*REPORTS.names, *PLACE), _EVENTS)
SELECT_POSTINGS = select("execution_postings", (*POSTINGS.names, *PLACE), _EVENTS)


@implementer(IExecutionStore)
class ExecutionStore:
    """Keeps submissions, reports, postings and what follows from them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def writer(self) -> SqlWriterStore[Batch]:
        """Return where the ordered writer puts its batches."""
        return SqlWriterStore(self._database, "execution", WRITER, write)

    async def heads(self) -> tuple[AccountHead, ...]:
        """Return how far each account's activity goes."""
        found: list[AccountHead] = []
        while True:
            after = found[-1].trading_account_id if found else FIRM - 1
            rows = await self._database.run("execution.heads", _fetch, SELECT_HEADS, (after, PAGE))
            found += [AccountHead(trading_account_id=row[0], epoch=row[1], sequence=row[2]) for row in rows]
            if len(rows) < PAGE:
                return tuple(found)

    async def positions(self) -> tuple[HeldPosition, ...]:
        """Return all positions."""
        found: list[HeldPosition] = []
        while True:
            after = (found[-1].trading_account_id, found[-1].instrument_id) if found else (0, 0)
            rows = await self._database.run("execution.positions", _fetch, SELECT_POSITIONS, (*after, PAGE))
            found += [_held(row) for row in rows]
            if len(rows) < PAGE:
                return tuple(found)

    async def live_orders(self) -> tuple[OrderView, ...]:
        """Return all orders that have not ended."""
        found: list[OrderView] = []
        while True:
            after = found[-1].order_id if found else 0
            rows = await self._database.run("execution.live_orders", _fetch, SELECT_LIVE, (after, PAGE))
            found += [_view(row) for row in rows]
            if len(rows) < PAGE:
                return tuple(found)

    async def used_ids(self, since_business_date: str) -> tuple[UsedClientOrderId, ...]:
        """Return the client order ids used since a business date."""
        found: list[UsedClientOrderId] = []
        while True:
            after = found[-1].order_id if found else 0
            rows = await self._database.run(
                "execution.used_ids", _fetch, SELECT_USED_IDS, (since_business_date, after, PAGE)
            )
            found += [
                UsedClientOrderId(
                    trading_account_id=row[0],
                    client_order_id=row[1],
                    business_date=row[2],
                    order_id=row[3],
                    digest=bytes(row[4]),
                )
                for row in rows
            ]
            if len(rows) < PAGE:
                return tuple(found)

    async def halts(self) -> HeldHalts:
        """Return the halts in force, and the last id."""
        return await self._database.run("execution.halts", read_halts)

    async def audit(self, query: AuditQuery) -> Page:
        """Return a page of the audit log."""
        return await self._database.run("execution.audit", read, AUDIT_TABLE, query)

    async def taken(self, instrument_id: int) -> tuple[TakenSize, ...]:
        """Return what the last fill on each side says was taken."""
        return await self._database.run("execution.taken", _taken, instrument_id)

    async def activity(
        self, trading_account_id: int, epoch: int, after: int, through: int, limit: int
    ) -> tuple[Activity, ...]:
        """Return a page of an account's events."""
        if trading_account_id == FIRM:
            return await self._database.run("execution.firm", firm_activity, (epoch, after, through, limit))
        return await self._database.run(
            "execution.activity", _activity, (trading_account_id, epoch, after, through, limit)
        )

    async def orders(self, query: OrderQuery) -> tuple[OrderView, ...]:
        """Return a page of orders."""
        conditions = ["o.trading_account_id = %s", "o.order_id > %s"]
        parameters: list[object] = [query.trading_account_id, query.after_order_id]
        if query.scope is OrderScope.LIVE:
            conditions.append("o.is_live = 1")
        if query.order_id is not None:
            conditions.append("o.order_id = %s")
            parameters.append(query.order_id)
        if query.client_order_id is not None:
            conditions.append(
                "o.order_id IN (SELECT c.order_id FROM execution_client_order_ids c"
                " WHERE c.trading_account_id = %s AND c.client_order_id = %s)"
            )
            parameters += [query.trading_account_id, query.client_order_id]
        rest = f"WHERE {' AND '.join(conditions)} ORDER BY o.order_id LIMIT %s"
        sql = select(_ORDERS_FROM, _ORDER_COLUMNS, rest)
        rows = await self._database.run("execution.orders", _fetch, sql, (*parameters, query.limit))
        return tuple(_view(row) for row in rows)

    async def order(self, order_id: int) -> OrderView | None:
        """Return one order."""
        rows = await self._database.run("execution.order", _fetch, SELECT_ORDER, (order_id,))
        return _view(rows[0]) if rows else None


def write(transaction: Transaction, batches: Sequence[Batch]) -> None:
    """Put batches of events into the tables."""
    items = [item for batch in batches for item in batch]
    events = [item.activity for item in items]
    write_firm(transaction, events)
    _many(transaction, INSERT_SUBMISSION, (_row(SUBMISSIONS, event.submission, event) for event in events))
    _many(transaction, INSERT_REPORT, (_row(REPORTS, event.report, event) for event in events))
    _many(transaction, INSERT_POSTING, (_row(POSTINGS, event.posting, event) for event in events))
    orders = {item.order.order_id: item.order for item in items if item.order is not None}
    _many(transaction, PUT_ORDER, map(_order_row, _in_order(orders)))
    submissions = [event.submission for event in events if event.submission is not None]
    _many(transaction, PUT_VERSION, (version_row(first_version(each)) for each in submissions))
    venue_orders = (venue_order_of(event.report) for event in events)
    _many(transaction, PUT_VENUE_ORDER, (None if each is None else venue_row(each) for each in venue_orders))
    positions = {(item.position.trading_account_id, item.position.instrument_id): item.position
                 for item in items if item.position is not None}  # fmt: skip
    _many(transaction, PUT_POSITION, map(_position_row, _in_order(positions)))
    heads = {event.trading_account_id: event for event in events}
    _many(
        transaction,
        PUT_HEAD,
        ((event.trading_account_id, event.epoch, event.sequence) for event in _in_order(heads)),
    )
    used = [_used_row(item.used) for item in items if item.used is not None]
    if _many(transaction, INSERT_USED_ID, used) < len(used):
        transaction.after_commit(_alarm, len(used))


_log = Logger()


def _alarm(count: int) -> None:
    _log.critical("a client order id of {count} was in the store already for its business date", count=count)


def _many(transaction: Transaction, sql: str, rows: Iterable[tuple[Any, ...] | None]) -> int:
    return transaction.executemany(sql, [row for row in rows if row is not None])


def _in_order(found: dict[Any, R]) -> list[R]:
    return [found[key] for key in sorted(found)]


def _row(columns: Columns[Any], value: object | None, event: Activity) -> tuple[Any, ...] | None:
    return None if value is None else (*columns.row(value), event.epoch, event.sequence, event.time)


def _order_row(view: OrderView) -> tuple[Any, ...]:
    live = int(view.state().is_live)
    return (view.order_id, view.submission.trading_account_id, live, *ORDERS.row(view))


def _position_row(held: HeldPosition) -> tuple[Any, ...]:
    position = held.position
    return (
        held.trading_account_id,
        held.instrument_id,
        position.currency,
        position.quantity,
        position.cost,
        position.realised,
        position.fees,
        held.sequence,
    )


def _used_row(used: UsedClientOrderId) -> tuple[Any, ...]:
    return (used.trading_account_id, used.client_order_id, used.business_date, used.order_id, used.digest)


def _fetch(transaction: Transaction, sql: str, parameters: tuple[object, ...]) -> list[tuple[Any, ...]]:
    return transaction.fetch(sql, parameters)


def _held(row: tuple[Any, ...]) -> HeldPosition:
    account, instrument, currency, quantity, cost, realised, fees, sequence = row
    return HeldPosition(
        trading_account_id=account,
        instrument_id=instrument,
        position=Position(
            currency=Currency(currency),
            quantity=Quantity(quantity),
            cost=Money(cost),
            realised=Money(realised),
            fees=Money(fees),
        ),
        sequence=sequence,
    )


def _view(row: tuple[Any, ...]) -> OrderView:
    at = len(ORDERS.names)
    return ORDERS.value(row[:at], submission=SUBMISSIONS.value(row[at:]))


def _taken(transaction: Transaction, instrument_id: int) -> tuple[TakenSize, ...]:
    found = []
    for side in (Side.BUY, Side.SELL):
        row = transaction.fetch_one(SELECT_TAKEN, (instrument_id, int(side), int(ExecType.TRADE)))
        if row is not None and row[1] is not None:
            found.append(
                TakenSize(instrument_id=instrument_id, side=side, quote_sequence=row[0], taken=Quantity(row[1]))
            )
    return tuple(found)


def _activity(transaction: Transaction, place: tuple[int, int, int, int, int]) -> tuple[Activity, ...]:
    account, _, _, _, limit = place
    events: dict[int, Activity] = {}
    parts: tuple[tuple[str, str, Columns[Any], Callable[[Activity, Any], Activity]], ...] = (
        ("submission", SELECT_SUBMISSIONS, SUBMISSIONS, lambda event, value: evolve(event, submission=value)),
        ("report", SELECT_REPORTS, REPORTS, lambda event, value: evolve(event, report=value)),
        ("posting", SELECT_POSTINGS, POSTINGS, lambda event, value: evolve(event, posting=value)),
    )
    for _, sql, columns, put in parts:
        for row in transaction.fetch(sql, place):
            epoch, sequence, time = row[-3:]
            event = events.get(sequence)
            if event is None:
                event = Activity(sequence=sequence, epoch=epoch, time=Timestamp(time), trading_account_id=account)
            events[sequence] = put(event, columns.value(row))
    return tuple(events[sequence] for sequence in sorted(events)[:limit])
